"""Questions of the command line about a model's figures on a benchmark of unlearning; see `auditor.tasks`."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.errors import InputError

if TYPE_CHECKING:
    from auditor.audits.unlearning.examples import Example
    from auditor.audits.unlearning.reference import Reference
    from auditor.audits.unlearning.scored import Evaluation
    from auditor.models import ModelFile

Question = Mapping[str, Any]
Progress = Callable[[int, int, str], None]

#: Measured on 24 answers of TOFU with the starter model: .007 on average, .03 at most.
_ROUNDED = "Computed in bfloat16, which rounds losses by some hundredths of a nat: --dtype float32 does not."
#: Between two messages about how far a pass is.
_GAP_S = 0.2


def evaluate(asked: Question, progress: Progress) -> Any:
    """Figures of a model on a benchmark.

    Asked: model (name or path), benchmark, files (role -> path), reference (path of a log) or reference_model, prompt,
    max_new_tokens, limit, probes, seed, device, dtype, log (path to write, where nothing stands yet).

    Raises
    ------
    InputError
        If the log's place is taken or there is no such folder, before anything is loaded; as `_examples` and `evaluate`.
    """
    from auditor.files import write_json
    from auditor.models.library import Library

    if asked.get("log"):
        _require_new(Path(asked["log"]))
    library = Library()
    model = library.get(asked["model"])
    other = library.get(asked["reference_model"]) if asked.get("reference_model") else None
    files = _examples(asked)
    reference = _reference(asked, other, files, progress)
    found = _evaluated(model, asked, files, reference, progress)
    if asked.get("log"):
        try:
            write_json(Path(asked["log"]), found)
        except OSError as error:
            raise InputError(f"The log cannot be written: {error.strerror}", file=str(asked["log"])) from error
    del found["examples"]
    return found


def _require_new(log: Path) -> None:
    """Refuse to write over a file, which may be one of a person's own, or into a folder that is not there."""
    if log.exists() or log.is_symlink():
        raise InputError("There is a file already where the log is to be written", file=str(log), fix="Name a new one.")
    if not log.parent.is_dir():
        raise InputError("There is no folder for the log", file=str(log), fix="Make it, or name another place.")


def _examples(asked: Question) -> "dict[str, Sequence[Example]]":
    """The examples of every file, the first `limit` of each.

    Raises
    ------
    InputError
        For the first problem of a file.
    """
    from auditor.audits import InputFile
    from auditor.audits.unlearning.inputs import read_examples

    limit = asked.get("limit")
    return {
        role: read_examples(InputFile(Path(path), Path(path).name, ""))[:limit] for role, path in asked["files"].items()
    }


def _reference(
    asked: Question, other: "ModelFile | None", files: "Mapping[str, Sequence[Example]]", progress: Progress
) -> "Reference | None":
    """From a log, or from another model, which is loaded and closed before the one that is evaluated."""
    from auditor.audits.unlearning import reference

    if asked.get("reference"):
        found = reference.read(Path(asked["reference"]))
        if found.prompt not in (None, asked["prompt"]) and asked["benchmark"] != "muse":
            raise InputError(
                "The log was made with another prompt, so that its figures cannot be compared",
                file=Path(asked["reference"]).name,
                column="prompt",
                value=found.prompt,
                fix="Give the same --prompt, or evaluate the reference once more.",
            )
        return found
    if other is None:
        return None
    compared = {name: files[name] for name in ("forget", "holdout") if name in files}
    evaluation, _ = _run(other, {**asked, "max_new_tokens": 0, "probes": False}, compared, None, progress)
    made = reference.of_evaluation(evaluation, f"the model {other.name}")
    return made.model_copy(update={"sha256": other.sha256})


def _evaluated(
    model: "ModelFile",
    asked: Question,
    files: "Mapping[str, Sequence[Example]]",
    reference: "Reference | None",
    progress: Progress,
) -> dict[str, Any]:
    from auditor.audits.unlearning.reference_log import other_format
    from auditor.models.starter import STARTER_WARNING

    found, more = _run(model, asked, files, reference, progress)
    warnings = [STARTER_WARNING[:1].upper() + STARTER_WARNING[1:] + "."] if model.is_starter else []
    if more["dtype"] == "bfloat16":
        warnings.append(_ROUNDED)
    if reference is not None and reference.sha256 == model.sha256:
        warnings.append("The reference is the evaluated model itself: it says nothing about forgetting.")
    if reference is not None:
        warnings += [caution.message for caution in other_format(reference, more["dtype"])]
    if asked.get("limit"):
        warnings.append(f"Only the first {asked['limit']:,} examples of each file were read.")
    result, probe_metrics = found.model_dump(mode="json"), more.pop("probe_metrics", {})
    return {
        "model": model.name,
        "sha256": model.sha256,
        "benchmark": asked["benchmark"],
        **more,
        "prompt": asked["prompt"],
        "n": {name: len(examples) for name, examples in files.items()},
        "reference": reference.source if reference else None,
        "metrics": result["metrics"] | probe_metrics,
        "warnings": warnings,
        "settings": result["settings"],
        "seed": result["seed"],
        "examples": result["examples"],
    }


def _run(
    model: "ModelFile",
    asked: Question,
    files: "Mapping[str, Sequence[Example]]",
    reference: "Reference | None",
    progress: Progress,
) -> "tuple[Evaluation, dict[str, Any]]":
    """The evaluation of one model, and what computed it."""
    from auditor.audits.unlearning import benchmarks
    from auditor.audits.unlearning.probes import probe
    from auditor.audits.unlearning.template import Template
    from auditor.models.readable import readable
    from auditor.models.torch_model import load

    progress(0, 0, f"Loading {model.name}")
    template, tell = Template(asked["prompt"]), _now_and_then(progress)
    loaded = load(model, device=asked["device"], dtype=asked["dtype"])
    with closing(loaded.words):
        learner = readable(loaded)
        found = benchmarks.run(
            asked["benchmark"],
            learner,
            files,
            template=template,
            seed=asked["seed"],
            max_new_tokens=asked.get("max_new_tokens"),
            reference=reference,
            tell=tell,
        )
        more: dict[str, Any] = {"device": loaded.device_name, "dtype": loaded.precision.dtype}
        if asked.get("probes") and files.get("forget"):
            probed = probe(
                learner, files["forget"], template=template, seed=asked["seed"], settings=found.settings, tell=tell
            ).model_dump(mode="json")
            more |= {"probes": probed["rows"], "probe_metrics": probed["metrics"]}
    return found, more


def _now_and_then(progress: Progress) -> Progress:
    """Passes on what is said, but not after every token."""
    last, told = 0.0, ""

    def say(done: int, total: int, message: str) -> None:
        nonlocal last, told
        now = time.monotonic()
        if message != told or now - last > _GAP_S:
            progress(done, total, message)
            last, told = now, message

    return say


TASKS: tuple[Callable[[Question, Progress], Any], ...] = (evaluate,)
