"""What makes an unlearning run another one than others: its method, what was set, and the seed."""

from collections.abc import Mapping
from typing import Any

from auditor.audits.unlearning.spec import BASELINES, OF_PDU, UnlearningSpec

#: Settings that decide what is trained, kept and measured, whatever the method; epsilon and gamma are read from the findings,
#: since the run may have chosen them.
_OF_ALL = (
    *("epochs", "batch_size", "accumulation", "devices", "learning_rate", "weight_decay", "warmup_epochs", "schedule"),
    *("clip", "lora_rank", "probe_steps", "probe_examples", "prompt", "max_tokens", "evaluated", "new_tokens"),
    *("most_probability", "most_lost"),
)

Parts = Mapping[str, Any]


def parts_of(findings: Mapping[str, Any], asked: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """What was asked of a run, as plain JSON.

    Parameters
    ----------
    findings : mapping
        Of a run that has unlearnt.
    asked : mapping
        Its settings; what a run of an earlier version did not know has its default.
    seed : int

    Returns
    -------
    dict
        method: its name. of_method: what people call a setting -> its value, of this method alone. others: the same of every
        other setting.
    """
    method = str(findings["method"])
    others = {_words(name): _setting(asked, name) for name in _OF_ALL}
    return {
        "method": method,
        "of_method": _of_method(method, asked, findings["constraint"].get("gamma")),
        "others": {
            "epsilon": findings["constraint"]["epsilon"],
            **others,
            "number format": findings["dtype"],
            "device": findings["device"],
            "seed": seed,
        },
    }


def _of_method(method: str, asked: Mapping[str, Any], gamma: float | None) -> dict[str, Any]:
    """Settings of the method alone; a gamma that the run has chosen is told as it was used."""
    if method in BASELINES:
        known = BASELINES[method].model_validate(asked.get("settings") or {})
        return {name.replace("_", " "): value for name, value in known.model_dump(mode="json").items()}
    found = {_words(name): _setting(asked, name) for name in OF_PDU}
    # Rounded, since the last digits of a measured one are rounding.
    return found if gamma is None else {**found, _words("gamma"): float(f"{gamma:.6g}")}


def _setting(asked: Mapping[str, Any], name: str) -> Any:
    return asked.get(name, UnlearningSpec.model_fields[name].default)


def _words(name: str) -> str:
    """A setting within a sentence: the form's title, in lower case but for names."""
    title = str(UnlearningSpec.model_fields[name].title)
    return title if title.startswith("LoRA") else f"{title[:1].lower()}{title[1:]}"


def differing(a: Parts, b: Parts) -> dict[str, tuple[Any, Any]]:
    """What is not the same in two runs: what people call it -> its value in both.

    Settings of a method are named only where both runs have the same one: another method has other settings anyhow.
    """
    if a["method"] != b["method"]:
        return {"method": (a["method"], b["method"]), **_apart(a["others"], b["others"])}
    return {**_apart(a["of_method"], b["of_method"]), **_apart(a["others"], b["others"])}


def _apart(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {words: (value, b.get(words)) for words, value in a.items() if value != b.get(words)}


def setting_words(value: Any) -> str:
    """A setting as people read it."""
    if value is None:
        return "chosen by the run"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
