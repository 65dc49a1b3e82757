"""The figures that a rating run prints at the head of everything."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from auditor.audits import Context
from auditor.audits.rating import pairs
from auditor.audits.rating.assess import Assessment
from auditor.audits.rating.findings import AxisSummary, JudgeInfo, PairOrder, Paraphrase
from auditor.audits.rating.output import Collected, scores_of
from auditor.audits.rating.rating_pass import Member, Progress


def headline(progress: Progress, pace: float | None, collected: Collected, reused: int) -> dict[str, Any]:
    """How much was rated, how fast, and what was left out; `reused` counts ratings known from before."""
    return {
        "n": collected.n,
        "ratings": progress.total,
        # Wall-clock of the process that finished the run; None if it had nothing left to compute.
        "ratings_per_s": pace,
        "units_per_s": pace * collected.n / progress.total if pace else None,
        "computed": progress.total - reused,
        "reused": reused,
        # Of the process that finished the run.
        "tokens_decoded": progress.tokens,
        "skipped": collected.n_skipped,
        "truncated": collected.n_truncated,
    }


def figures(summaries: list[AxisSummary], people: Assessment | None) -> dict[str, Any]:
    """The axes' figures, and those of the agreement with people."""
    axes: dict[str, dict[str, Any]] = {
        axis.name: {
            "mean": axis.mean,
            "low": axis.low,
            "high": axis.high,
            "median": axis.median,
            "sd": axis.sd,
            "entropy": axis.entropy,
            "modes": list(axis.modes),
            **({"spread": axis.spread} if axis.spread is not None else {}),
        }
        for axis in summaries
    }
    found: dict[str, Any] = {"axes": axes}
    if people is not None:
        found["agreement"] = {
            axis.name: {
                "n": axis.n,
                "spearman": axis.spearman.value,
                "qwk": axis.qwk.value,
                "alpha": axis.alpha.value,
                "within1": axis.within1.value,
                "human_ceiling": axis.human_ceiling.value,
            }
            for axis in people.agreement
        }
    return found


def of_members(judges: list[JudgeInfo], paraphrase: list[Paraphrase], order: PairOrder | None) -> dict[str, Any]:
    """Mean scores of every judge and prompt where there are several, and the probes' figures."""
    found: dict[str, Any] = {}
    means = {f"{judge.name}, prompt {name}": axes for judge in judges for name, axes in judge.means.items()}
    if len(means) > 1:
        found["members"] = means
    if paraphrase:
        found["paraphrase"] = {probe.axis: probe.model_dump(exclude={"axis"}) for probe in paraphrase}
    if order is not None:
        found["order_probe"] = pairs.figures(order)
    return found


def paraphrase(context: Context, members: Sequence[Member], axes: Sequence[str]) -> list[Paraphrase]:
    """The probe, the last member, beside the first judge's prompt on the same scale, which has no examples either."""
    own = next(member for member in members[:-1] if member.place == 0 and member.variant == "5")
    first, probe = (scores_of(context, member, axes) for member in (own, members[-1]))
    found = []
    for axis in axes:
        difference = probe[axis].expected - first[axis].expected
        found.append(
            Paraphrase(
                axis=axis,
                n=len(difference),
                same=float(np.mean(probe[axis].mode == first[axis].mode)),
                mean_difference=float(difference.mean()),
                mean_absolute_difference=float(np.abs(difference).mean()),
            )
        )
    return found
