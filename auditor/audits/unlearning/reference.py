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
from auditor.audits.unlearning.scored import Evaluation, Scored, spaced
from auditor.errors import InputError

#: Metrics of open-unlearning's logs that are read.
_RATIOS, _AUC = "forget_truth_ratio", "mia_min_k"
_FIX = "Give a log of `auditor evaluate --log`, of TOFU (eval_log_forget.json) or of open-unlearning (TOFU_EVAL.json)."


class Reference(BaseModel):
    """Figures of a reference model on the examples that are to be forgotten."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(description="Where they are from, in words.")
    prompt: str | None = Field(default=None, description="How questions were put, where that is known.")
    sha256: str | None = Field(default=None, description="Hash of the model, where that is known.")
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
    sets = {name: evaluation.of(name) for name in ("forget", "holdout")}
    return Reference(
        source=source,
        truth_ratios=tuple(one.truth_ratio for one in forget if one.truth_ratio is not None),
        examples=tuple(one.key for one in forget),
        min_k={name: _scores(rows) for name, rows in sets.items()},
        losses={name: {one.key: one.loss for one in rows} for name, rows in sets.items()},
    )


def _scores(rows: Sequence[Scored]) -> dict[str, float]:
    return {one.key: one.scores["min_k"] for one in rows if "min_k" in one.scores}


def read(path: Path) -> Reference:
    """A reference from a log.

    Raises
    ------
    InputError
        If the file is none that is known, or holds no figure that could be used.
    """
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"The log cannot be read: {error.strerror}", file=path.name) from error
    except (ValueError, RecursionError) as error:
        raise InputError("The log is no JSON", file=path.name, fix=_FIX) from error
    if not isinstance(found, dict):
        raise InputError("The log is no JSON object", file=path.name, fix=_FIX)
    if "examples" in found and "metrics" in found:
        return _of_own_log(found, path.name)
    if "average_perturb_loss" in found:
        return _of_tofu(found, path.name)
    if _RATIOS in found or _AUC in found:
        return _of_open_unlearning(found, path.name)
    raise InputError("The log has none of the figures that a comparison needs", file=path.name, fix=_FIX)


def _of_own_log(found: Mapping[str, Any], name: str) -> Reference:
    try:
        evaluation = Evaluation.model_validate({key: found[key] for key in Evaluation.model_fields if key in found})
    except ValidationError as error:
        first = error.errors()[0]
        column = ".".join(map(str, first["loc"]))
        raise InputError(f"The log is damaged: {first['msg']}", file=name, column=column, fix=_FIX) from error
    known = {field: found[field] for field in ("prompt", "sha256") if isinstance(found.get(field), str)}
    return of_evaluation(evaluation, f"the log {name}").model_copy(update=known)


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
