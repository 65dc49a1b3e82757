"""What a model says that has never seen what is to be forgotten.

It is the yardstick of forget quality, privleak and the reference attack.
It is taken from an evaluation of that model, or from a log of one: our own, one of TOFU (``eval_log_forget.json`` [1]_) or one of
open-unlearning (``TOFU_EVAL.json`` [2]_).

References
----------
.. [1] https://github.com/locuslab/tofu
.. [2] https://github.com/locuslab/open-unlearning
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from auditor.audits.unlearning.metrics.truth_ratio import truth_ratio
from auditor.audits.unlearning.scored import Evaluation, EvaluationSettings, Scored, spaced
from auditor.audits.unlearning.template import QUESTION
from auditor.errors import InputError

#: Metrics of open-unlearning's logs that are read.
_RATIOS, _AUC = "forget_truth_ratio", "mia_min_k"
_FIX = "Give a log of `auditor evaluate --log`, of TOFU (eval_log_forget.json) or of open-unlearning (TOFU_EVAL.json)."
_CUT_FIX = "Copy the log anew, or make it once more."
_SETS = ("forget", "holdout")


class Reference(BaseModel):
    """Figures of a reference model on the examples that are to be forgotten."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(description="Where they are from, in words.")
    prompt: str | None = Field(default=None, description="How questions were put, where that is known.")
    sha256: str | None = Field(default=None, description="Hash of the model, where that is known.")
    dtype: str | None = Field(default=None, description="Number format it was computed in, where that is known.")
    settings: EvaluationSettings | None = Field(
        default=None, description="How they were computed, where that is known."
    )
    truth_ratios: tuple[float, ...] = Field(default=(), description="R of each example to forget.")
    examples: tuple[str, ...] | None = Field(
        default=None,
        description="What tells each of them (`Scored.key`), or its answer alone; None if the log says neither.",
    )
    by_answer: bool = Field(default=False, description="Whether examples are told by their answers alone.")
    min_k: dict[str, dict[str, float]] = Field(
        default_factory=dict, description="Set (forget, holdout) -> example -> score of min-k."
    )
    auc_min_k: float | None = Field(default=None, description="AUC of min-k, where only that is known.")
    losses: dict[str, dict[str, float]] = Field(
        default_factory=dict, description="Set (forget, holdout) -> example -> mean loss a token."
    )


def of_evaluation(evaluation: Evaluation, source: str) -> Reference:
    """A reference from an evaluation of a model that was trained without the forget set.

    Parameters
    ----------
    evaluation : Evaluation
    source : str
        Its model, in words.
    """
    forget = [one for one in evaluation.of("forget") if one.truth_ratio is not None]
    sets = {name: evaluation.of(name) for name in _SETS}
    return Reference(
        source=source,
        settings=evaluation.settings,
        truth_ratios=tuple(one.truth_ratio for one in forget if one.truth_ratio is not None),
        examples=tuple(one.key for one in forget),
        min_k={name: _scores(rows) for name, rows in sets.items()},
        losses={name: {one.key: one.loss for one in rows} for name, rows in sets.items()},
    )


def _scores(rows: Sequence[Scored]) -> dict[str, float]:
    return {one.key: one.scores["min_k"] for one in rows if "min_k" in one.scores}


def read(path: Path, name: str | None = None) -> Reference:
    """A reference from a log.

    Parameters
    ----------
    path : Path
    name : str, optional
        What a person calls the file, where it lies under another name.

    Raises
    ------
    InputError
        If the file is none that is known, was cut off, or holds no figure that could be used.
    """
    name = name or path.name
    try:
        found = _parsed(path.read_bytes(), name)
    except OSError as error:
        raise InputError(f"The log cannot be read: {error.strerror}", file=name) from error
    if not isinstance(found, dict):
        raise InputError("The log is no JSON object", file=name, fix=_FIX)
    if "examples" in found and "metrics" in found:
        return _of_own_log(found, name)
    if "average_perturb_loss" in found:
        return _of_tofu(found, name)
    if _RATIOS in found or _AUC in found:
        return _of_open_unlearning(found, name)
    raise InputError("The log has none of the figures that a comparison needs", file=name, fix=_FIX)


def _parsed(data: bytes, name: str) -> Any:
    try:
        text = data.decode("utf-8-sig")
        return json.loads(text)
    except json.JSONDecodeError as error:
        is_begun = text.lstrip()[:1] in ("{", "[")
        # A parser stops at the end of what was cut off, or at the quotation mark that nothing closes.
        is_cut = error.pos >= len(text.rstrip()) - 1 or error.msg.startswith("Unterminated string")
        if is_begun and is_cut:
            raise InputError("The log breaks off", file=name, row=error.lineno, fix=_CUT_FIX) from error
        raise InputError("The log is no JSON", file=name, fix=_FIX) from error
    except (ValueError, RecursionError) as error:
        raise InputError("The log is no JSON", file=name, fix=_FIX) from error


def _of_own_log(found: Mapping[str, Any], name: str) -> Reference:
    try:
        evaluation = Evaluation.model_validate({key: found[key] for key in Evaluation.model_fields if key in found})
    except ValidationError as error:
        first = error.errors()[0]
        column = ".".join(map(str, first["loc"]))
        raise InputError(f"The log is damaged: {first['msg']}", file=name, column=column, fix=_FIX) from error
    _require_whole(evaluation, found.get("n"), name)
    known = {field: found[field] for field in ("prompt", "sha256", "dtype") if isinstance(found.get(field), str)}
    if found.get("benchmark") == "muse":
        known["prompt"] = QUESTION  # its texts are read as they are, whatever prompt was given
    return of_evaluation(evaluation, f"the log {name}").model_copy(update=known)


def _require_whole(evaluation: Evaluation, told: Any, name: str) -> None:
    """Refuse a log that holds fewer examples than were evaluated, or figures that are no numbers.

    Raises
    ------
    InputError
    """
    for role in _SETS:
        rows = evaluation.of(role)
        n = told.get(role) if isinstance(told, dict) else None
        if isinstance(n, int) and rows and len(rows) != n:
            problem = (
                f"The log says that {n:,} examples of the file {role} were evaluated, and holds {len(rows):,} of them"
            )
            raise InputError(problem, file=name, column="examples", fix=_CUT_FIX)
        for one in rows:
            used = {"loss": one.loss, "truth_ratio": one.truth_ratio, "min_k": one.scores.get("min_k")}
            for column, value in used.items():
                if value is not None and not np.isfinite(value):
                    raise InputError(
                        "A figure is no number", file=name, row=one.row, column=column, value=value, fix=_FIX
                    )


def _of_tofu(found: Mapping[str, Any], name: str) -> Reference:
    """Losses of the paraphrased answer and of each wrong one, an entry each example."""
    right, wrong = found.get("avg_paraphrased_loss", found.get("avg_gt_loss")), found["average_perturb_loss"]
    if isinstance(right, dict) and isinstance(wrong, dict):  # later logs go by the number of the example
        right, wrong = [right.get(key) for key in wrong], list(wrong.values())
    if not isinstance(right, list) or not isinstance(wrong, list) or len(right) != len(wrong) or not right:
        raise InputError("The log has not as many losses of right as of wrong answers", file=name, fix=_FIX)
    ratios = []
    for row, (one, others) in enumerate(zip(right, wrong, strict=True), 1):
        if not _is_number(one) or not isinstance(others, list) or not others or not all(map(_is_number, others)):
            raise InputError("A loss is no number", file=name, row=row, column="average_perturb_loss", value=others)
        ratios.append(truth_ratio(one, others))
    answers = _answers(found, len(ratios))
    return Reference(source=f"the log {name}", truth_ratios=tuple(ratios), examples=answers, by_answer=True)


def _answers(found: Mapping[str, Any], n: int) -> tuple[str, ...] | None:
    """The answers of a TOFU log: the last of (prompt, generated, answer), if all have them."""
    texts = found.get("generated_text")
    listed = list(texts.values()) if isinstance(texts, dict) else texts
    if not isinstance(listed, list) or len(listed) != n:
        return None
    if not all(isinstance(one, list) and len(one) == 3 and isinstance(one[2], str) for one in listed):
        return None
    return tuple(spaced(one[2]) for one in listed)


def _of_open_unlearning(found: Mapping[str, Any], name: str) -> Reference:
    ratios: list[float] = []
    by_index = (found.get(_RATIOS) or {}).get("value_by_index") or {}
    for index, entry in by_index.items():
        value = entry.get("score") if isinstance(entry, dict) else None
        if value is None or not _is_number(value):
            raise InputError("A truth ratio is no number", file=name, row=_row(index), column=_RATIOS, value=value)
        ratios.append(float(value))
    auc = (found.get(_AUC) or {}).get("agg_value")
    if auc is not None and not (_is_number(auc) and 0 <= auc <= 1):
        raise InputError("The AUC is no number between 0 and 1", file=name, column=_AUC, value=auc)
    if not ratios and auc is None:
        raise InputError("The log has none of the figures that a comparison needs", file=name, fix=_FIX)
    return Reference(source=f"the log {name}", truth_ratios=tuple(ratios), auc_min_k=auc)


def _row(index: str) -> int | None:
    return int(index) + 1 if index.isdecimal() else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and bool(np.isfinite(value))
