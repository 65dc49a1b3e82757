"""Figures of two unlearning runs on the examples they share, with their difference, each with an interval from the same draws."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from auditor.audits.unlearning.compare_examples import Shared
from auditor.audits.unlearning.measuring import PROBES
from auditor.audits.unlearning.metrics.membership import ATTACKS
from auditor.audits.unlearning.metrics.truth_ratio import indistinct
from auditor.audits.unlearning.probes import CHAT, PARAPHRASE, PREFIX
from auditor.audits.unlearning.scored import Scored
from auditor.stats.auc import auc, auc_draws
from auditor.stats.bootstrap import intervals

Unit = Literal["share", "nats", "area"]
Group = Literal["forget", "keep", "membership"]
#: From so many different examples on a difference is called clear (ours): with fewer, all of them fall on one side by chance
#: more often than the interval's level says.
LEAST_CLEAR = 6
#: Start model, A and B; nan where one has no figure.
Values = tuple[float, float, float]
_NONE = (float("nan"),) * 3


class Estimate(BaseModel):
    """A number with its interval; no bounds with fewer than two different examples."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float | None
    high: float | None

    @property
    def leaves_out_0(self) -> bool:
        """Whether there is an interval, and 0 lies outside of it."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


class ComparedMeasure(BaseModel):
    """One figure of the start model and of both that were made of it, and A less B."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    group: Group = Field(description="What it tells about: what was to be forgotten, to be kept, or telling it apart.")
    unit: Unit
    n: int = Field(description="Examples behind it; of an area those to forget and those held out.")
    n_different: int = Field(
        description="Different questions with answers among them; of an area those of the side that has fewer."
    )
    start: float | None = Field(description="Of the start model, on the same examples, as A measured it.")
    a: Estimate
    b: Estimate
    difference: Estimate

    @property
    def is_clear(self) -> bool:
        """Whether A and B differ clearly: 0 lies outside of an interval that rests on enough examples."""
        return self.difference.leaves_out_0 and self.n_different >= LEAST_CLEAR


@dataclass(frozen=True)
class _Plan:
    """A mean over the examples of a set.

    Attributes
    ----------
    of : callable
        The figure of an example.
    by_token : bool
        Whether examples count by the tokens that were read of their answers, as in the loss that epsilon bounds.
    """

    name: str
    title: str
    group: Group
    kind: str
    of: Callable[[Shared], Values]
    unit: Unit = "share"
    by_token: bool = False


def _scored(read: Callable[[Scored], float | None]) -> Callable[[Shared], Values]:
    def values(one: Shared) -> Values:
        start, a, b = (read(found) for found in (one.a.before, one.a.after, one.b.after))
        return _number(start), _number(a), _number(b)

    return values


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _asked(kind: str) -> Callable[[Shared], Values]:
    return lambda one: one.probabilities(kind) or _NONE


def _answer_probability(one: Scored) -> float:
    return one.answer_probability


def _indistinct(one: Scored) -> float | None:
    return None if one.truth_ratio is None else float(indistinct(np.array([one.truth_ratio]))[0])


_PLANS = (
    _Plan(
        "forget_answer_probability",
        "probability of answers to forget",
        "forget",
        "forget",
        _scored(_answer_probability),
    ),
    _Plan("probe_paraphrase_probability", "that in other words", "forget", "forget", _asked(PARAPHRASE)),
    _Plan("probe_prefix_probability", "that with a text before", "forget", "forget", _asked(PREFIX)),
    _Plan("probe_chat_probability", "that in a chat", "forget", "forget", _asked(CHAT)),
    _Plan("worst_way_probability", "that at worst, no part of it given", "forget", "forget", lambda one: one.at_worst),
    _Plan("probes_probability", "probability of the probes", "forget", PROBES, _scored(_answer_probability)),
    _Plan("forget_rouge_recall", "ROUGE-L recall to forget", "forget", "forget", _scored(lambda one: one.rouge_recall)),
    _Plan(
        "extraction_strength", "extraction strength", "forget", "forget", _scored(lambda one: one.extraction_strength)
    ),
    _Plan("exact_memorisation", "exact memorisation", "forget", "forget", _scored(lambda one: one.exact_memorisation)),
    _Plan("forget_truth_ratio", "truth ratio, min(R, 1/R)", "forget", "forget", _scored(_indistinct)),
    _Plan(
        "retain_answer_probability", "probability of answers to keep", "keep", "retain", _scored(_answer_probability)
    ),
    _Plan("retain_loss", "retain loss, nats", "keep", "retain", _scored(lambda one: one.loss), "nats", by_token=True),
    _Plan("retain_rouge_recall", "ROUGE-L recall to keep", "keep", "retain", _scored(lambda one: one.rouge_recall)),
    _Plan(
        "holdout_answer_probability",
        "probability of what is held out",
        "keep",
        "holdout",
        _scored(_answer_probability),
    ),
)
_ATTACKS = {"loss": "loss", "min_k": "min-k", "min_k_plus_plus": "min-k++", "zlib": "zlib"}


def compared_measures(
    found: Mapping[str, Sequence[Shared]], *, confidence: float, seed: int
) -> tuple[ComparedMeasure, ...]:
    """Every figure that both runs have, on the examples that have it in both.

    Parameters
    ----------
    found : mapping of str to sequence of Shared
        Shared examples by kind.
    confidence : float
        Coverage of the intervals.
    seed : int
        Of the bootstrap over examples.
    """
    means = [_mean(plan, found.get(plan.kind, ()), confidence, seed) for plan in _PLANS]
    areas = [
        _area(attack, found.get("forget", ()), found.get("holdout", ()), confidence, seed)
        for attack in ATTACKS
        if attack in _ATTACKS
    ]
    return tuple(one for one in (*means, *areas) if one is not None)


def _mean(plan: _Plan, rows: Sequence[Shared], confidence: float, seed: int) -> ComparedMeasure | None:
    """Means over the examples that both have a figure of; a question that stands twice is drawn as one."""
    known = [(one, values) for one in rows if np.isfinite((values := plan.of(one))[1:]).all()]
    if not known:
        return None
    start, a, b = np.array([values for _, values in known], np.float64).T
    columns = np.stack([a, b], axis=1)
    # Both runs read the same tokens of an answer unless one of them cut it.
    tokens = [(one.a.after.n_tokens, one.b.after.n_tokens) for one, _ in known]
    weights = np.array(tokens, np.float64) if plan.by_token else np.ones((len(known), 2))

    def means(drawn: NDArray[np.intp]) -> NDArray[np.float64]:
        of_a = np.average(columns[drawn, 0], weights=weights[drawn, 0])
        of_b = np.average(columns[drawn, 1], weights=weights[drawn, 1])
        return np.array([of_a, of_b, of_a - of_b])

    groups = [one.key for one, _ in known]
    bounds = intervals(means, groups, len(known), confidence=confidence, seed=seed)
    found = means(np.arange(len(known)))
    first, second, apart = (_estimate(value, pair) for value, pair in zip(found, bounds, strict=True))
    return ComparedMeasure(
        name=plan.name,
        title=plan.title,
        group=plan.group,
        unit=plan.unit,
        n=len(known),
        n_different=len(set(groups)),
        start=float(np.average(start, weights=weights[:, 0])) if np.isfinite(start).all() else None,
        a=first,
        b=second,
        difference=apart,
    )


def _area(
    attack: str, forget: Sequence[Shared], holdout: Sequence[Shared], confidence: float, seed: int
) -> ComparedMeasure | None:
    """The area of an attack; the examples to forget and those held out are drawn anew, the same ones for A and B."""
    name = f"mia_{attack}"
    (lower, of_lower), (higher, of_higher) = (_scores(rows, attack) for rows in (forget, holdout))
    if not len(lower) or not len(higher):
        return None
    start, a, b = (auc(lower[:, place], higher[:, place]) for place in range(3))
    groups = (of_lower, of_higher)
    draws = np.stack([auc_draws(lower[:, place], higher[:, place], seed=seed, groups=groups) for place in (1, 2)])
    tail = (1 - confidence) / 2
    drawn = [*draws, draws[0] - draws[1]]
    n_different = min(len(set(of_lower)), len(set(of_higher)))
    bounds = [np.full(2, np.nan)] * 3 if n_different < 2 else [np.quantile(each, [tail, 1 - tail]) for each in drawn]
    first, second, apart = (_estimate(value, pair) for value, pair in zip((a, b, a - b), bounds, strict=True))
    return ComparedMeasure(
        name=name,
        title=f"AUC by {_ATTACKS[attack]}",
        group="membership",
        unit="area",
        n=len(lower) + len(higher),
        n_different=n_different,
        start=start,
        a=first,
        b=second,
        difference=apart,
    )


def _scores(rows: Sequence[Shared], attack: str) -> tuple[NDArray[np.float64], list[str]]:
    """Score of each example by the start model, A's and B's, shape (n, 3), and its key; those that lack one are left out."""
    found, keys = [], []
    for one in rows:
        each = [told.scores.get(attack) for told in (one.a.before, one.a.after, one.b.after)]
        if None not in each:
            found.append(each)
            keys.append(one.key)
    return np.array(found, np.float64).reshape(-1, 3), keys


def _estimate(value: float, bounds: NDArray[np.float64]) -> Estimate:
    low, high = (None if np.isnan(bound) else float(bound) for bound in bounds)
    return Estimate(value=float(value), low=low, high=high)
