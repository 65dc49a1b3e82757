"""How far a judge agrees with people: one axis at a time, every estimate with an interval, a ceiling and a baseline.

The judge's whole score is its most probable one, its real-valued score the expected one. The human label of a unit is
the mean of its raters; exact and within-1 accuracy, kappa, alpha and the confusion matrix take that mean rounded half
up, Spearman and the mean absolute error take it as it is. These choices are ours.

References
----------
.. [1] J. Cohen, Weighted kappa, Psychological Bulletin 70 (1968).
.. [2] K. Krippendorff, Content Analysis, 4th ed. (2019), chapter 12 (alpha for ordinal data).
.. [3] C. Spearman, The proof and measurement of association between two things, Am. J. of Psychology 15 (1904).
.. [4] A. C. Davison, D. V. Hinkley, Bootstrap Methods and their Application (1997), section 3.8 (whole clusters drawn).
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from auditor.audits.rating.judged import Judged, axes_of, read_axis
from auditor.audits.rating.labels import HumanRating, Labels, PeopleScale, Scales, rounded, scale_of
from auditor.stats import agreement as stats
from auditor.stats.bootstrap import FEW_GROUPS, N_RESAMPLES, intervals

LEVELS = (1, 2, 3, 4, 5)
#: With more units than this fewer resamples are drawn, so that the work stays bounded; never fewer than `MIN_RESAMPLES`.
MANY_UNITS, MIN_RESAMPLES = 5_000, 300

_ESTIMATES = (
    "spearman",
    "qwk",
    "alpha",
    "alpha_people",
    "exact",
    "within1",
    "mae",
    "human_ceiling",
    "human_within1",
    "length_correlation",
    "length_correlation_people",
)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(_Frozen):
    """A number with its interval; None where it is not defined, which the notes explain."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, value: float, bounds: NDArray[np.float64]) -> "Estimate":
        """An estimate from numbers in which nan means undefined."""
        low, high = (float(bound) for bound in bounds)
        defined = np.isfinite(value)
        known = bool(defined and np.isfinite(low) and np.isfinite(high))
        return cls(value=float(value) if defined else None, low=low if known else None, high=high if known else None)


class Baseline(_Frozen):
    """What the best constant answer reaches; its Spearman is undefined and its kappa 0 by construction."""

    score: int = Field(description="The whole score with the highest within-1 accuracy, then exact accuracy.")
    exact: float
    within1: float
    mae: float


class ReliabilityBin(_Frozen):
    """Ratings of similar confidence."""

    confidence: float = Field(description="Mean probability of the most probable score.")
    accuracy: float = Field(description="Share whose most probable score is the human label.")
    n: int


class AxisAgreement(_Frozen):
    """Agreement of the judge with people on one axis."""

    name: str
    title: str
    n: int = Field(description="Units that people rated.")
    groups: int = Field(description="Contexts of these units, the clusters of the bootstrap.")
    raters: tuple[str, ...]
    ratings: int = Field(description="Ratings that people gave.")
    scale_low: float
    scale_high: float
    mapping: str = Field(description="'linear' where the people's scale was declared to map onto 1 to 5, else 'none'.")
    confidence: float = Field(description="Nominal coverage of the intervals.")
    resamples: int = Field(description="Draws of the bootstrap over contexts.")
    spearman: Estimate = Field(description="Rank correlation of the judge's expected score with the human label.")
    qwk: Estimate = Field(description="Quadratic-weighted kappa of the judge's whole score and the human label.")
    alpha: Estimate = Field(description="Ordinal Krippendorff alpha, judge's whole score and human label as coders.")
    alpha_people: Estimate = Field(description="Ordinal Krippendorff alpha among the raters.")
    exact: Estimate = Field(description="Share of units whose whole scores are equal.")
    within1: Estimate = Field(description="Share of units whose whole scores differ by at most 1.")
    mae: Estimate = Field(description="Mean absolute difference of expected score and human label.")
    human_ceiling: Estimate = Field(description="Spearman of one rater with the mean of the others, mean over raters.")
    human_within1: Estimate = Field(description="Share of one rater's scores within 1 of the others' mean, rounded.")
    baseline: Baseline | None
    confusion: tuple[tuple[int, ...], ...] | None = Field(description="Rows human label 1..5, columns judge's score.")
    reliability: tuple[ReliabilityBin, ...] | None
    ece: float | None = Field(description="Expected calibration error over ten bins of equal width.")
    length_correlation: Estimate = Field(description="Spearman of the judge's expected score with the length rated.")
    length_correlation_people: Estimate = Field(description="Spearman of the human label with the length rated.")
    notes: tuple[str, ...] = ()


def agree(
    ratings: Path,
    humans: Sequence[HumanRating],
    scale: Scales,
    *,
    titles: Mapping[str, str],
    confidence: float,
    seed: int,
) -> list[AxisAgreement]:
    """Agreement of a run with people, for each axis that people rated.

    Parameters
    ----------
    ratings : Path
        The run's table of ratings.
    humans : sequence of HumanRating
        Scores on the people's scale.
    scale : PeopleScale or mapping of axis to PeopleScale
        Another scale than 1 to 5 without a declared mapping gives rank statistics only.
    titles : Mapping[str, str]
        Axis -> what people read; the name where it is missing.
    confidence : float
        Nominal coverage of the intervals, between 0 and 1.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    list of AxisAgreement
        In the run's order of axes; empty without ratings.
    """
    found = []
    for axis in axes_of(ratings):
        used = scale_of(scale, axis)
        labels = Labels.of(humans, axis, used)
        if len(labels.rows):
            judged = read_axis(ratings, axis, labels.rows)
            labels = labels.take(np.isin(labels.rows, judged.rows))
            found.append(
                agree_axis(axis, titles.get(axis, axis), judged, labels, used, confidence=confidence, seed=seed)
            )
    return found


def agree_axis(
    name: str, title: str, judged: Judged, labels: Labels, scale: PeopleScale, *, confidence: float, seed: int
) -> AxisAgreement:
    """Agreement on one axis; `judged` and `labels` concern the same rows, in the same order.

    Raises
    ------
    ValueError
        If they do not, or are empty.
    """
    if len(judged) == 0 or not np.array_equal(judged.rows, labels.rows):
        raise ValueError("judge and people must have the same rows, at least one")
    comparable = scale.is_comparable
    statistics = _statistics(judged, labels, comparable=comparable)
    resamples = resamples_for(len(judged))
    bounds = intervals(statistics, judged.groups, len(judged), confidence=confidence, seed=seed, n_resamples=resamples)
    values = statistics(np.arange(len(judged)))
    estimates = {key: Estimate.of(float(values[i]), bounds[i]) for i, key in enumerate(_ESTIMATES)}
    reliability, ece = reliability_of(judged, labels.whole) if comparable else (None, None)
    return AxisAgreement(
        name=name,
        title=title,
        n=len(judged),
        groups=len(set(judged.groups)),
        raters=labels.raters,
        ratings=int((~np.isnan(labels.scores)).sum()),
        scale_low=scale.low,
        scale_high=scale.high,
        mapping="none" if scale.is_five else scale.mapping,
        confidence=confidence,
        resamples=resamples,
        baseline=_baseline(labels) if comparable else None,
        confusion=_confusion(judged, labels) if comparable else None,
        reliability=reliability,
        ece=ece,
        notes=tuple(_notes(judged, labels, scale, estimates)),
        **estimates,
    )


def resamples_for(n: int) -> int:
    """Draws of a bootstrap over n units: 2,000, fewer from 5,000 units on, never under 300."""
    return N_RESAMPLES if n <= MANY_UNITS else max(MIN_RESAMPLES, N_RESAMPLES * MANY_UNITS // n)


def _statistics(
    judged: Judged, labels: Labels, *, comparable: bool
) -> Callable[[NDArray[np.intp]], NDArray[np.float64]]:
    """Every estimate of `_ESTIMATES` as a function of the units that were drawn; nan where it is undefined."""
    label, scores, mode, expected = labels.mean, labels.scores, judged.mode, judged.expected
    others = _others(scores)
    whole = rounded(label) if comparable else None
    near = _near(scores, others) if comparable else None
    several = scores.shape[1] > 1

    def statistics(drawn: NDArray[np.intp]) -> NDArray[np.float64]:
        found = dict.fromkeys(_ESTIMATES, np.nan)
        found["spearman"] = stats.spearman(expected[drawn], label[drawn])
        if several:
            found["alpha_people"] = stats.ordinal_alpha(scores[drawn].T)
            found["human_ceiling"] = stats.human_ceiling(scores[drawn])
        if whole is not None and near is not None:
            judge, people = mode[drawn].astype(np.float64), whole[drawn].astype(np.float64)
            found["qwk"] = stats.quadratic_weighted_kappa(judge, people, LEVELS)
            found["alpha"] = stats.ordinal_alpha(np.stack([judge, people]))
            found["exact"] = stats.within(judge, people, 0)
            found["within1"] = stats.within(judge, people, 1)
            found["mae"] = stats.mean_absolute_error(expected[drawn], label[drawn])
            found["human_within1"] = _mean_of_known(near[drawn])
        if judged.length is not None:
            length = judged.length[drawn]
            found["length_correlation"] = stats.spearman(expected[drawn], length)
            found["length_correlation_people"] = stats.spearman(label[drawn], length)
        return np.array([found[key] for key in _ESTIMATES])

    return statistics


def _others(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the other raters for each score, shape (n, n_columns); nan where there is no score or no other."""
    rated = ~np.isnan(scores)
    count = rated.sum(axis=1, keepdims=True) - 1
    rest = np.where(rated, scores, 0.0).sum(axis=1, keepdims=True) - scores
    found: NDArray[np.float64] = np.divide(rest, count, out=np.full(scores.shape, np.nan), where=rated & (count > 0))
    return found


def _near(scores: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Whether a rater is within 1 of the others, as whole scores: 1, 0, or nan where there is no other."""
    known = ~np.isnan(others)
    found = np.full(scores.shape, np.nan)
    found[known] = np.abs(rounded(scores[known]) - rounded(others[known])) <= 1
    return found


def _mean_of_known(values: NDArray[np.float64]) -> float:
    """Mean over all ratings: each rater counts by the number of units."""
    known = ~np.isnan(values)
    return float(values[known].mean()) if known.any() else float("nan")


def _baseline(labels: Labels) -> Baseline:
    whole, label = labels.whole, labels.mean
    exact = [float((whole == score).mean()) for score in LEVELS]
    within1 = [float((np.abs(whole - score) <= 1).mean()) for score in LEVELS]
    best = max(range(len(LEVELS)), key=lambda place: (within1[place], exact[place]))
    mae = float(np.abs(label - LEVELS[best]).mean())
    return Baseline(score=LEVELS[best], exact=exact[best], within1=within1[best], mae=mae)


def _confusion(judged: Judged, labels: Labels) -> tuple[tuple[int, ...], ...]:
    counts = stats.confusion(labels.whole.astype(np.float64), judged.mode.astype(np.float64), LEVELS)
    return tuple(tuple(int(count) for count in row) for row in counts)


def reliability_of(judged: Judged, whole: NDArray[np.int64]) -> tuple[tuple[ReliabilityBin, ...], float]:
    """How often the most probable score is the human label, by confidence; and the expected calibration error."""
    bins, ece = stats.expected_calibration_error(judged.confidence, judged.mode == whole)
    made = (ReliabilityBin(confidence=float(b.confidence), accuracy=float(b.accuracy), n=int(b.n)) for b in bins)
    return tuple(made), float(ece)


def _notes(judged: Judged, labels: Labels, scale: PeopleScale, estimates: Mapping[str, Estimate]) -> list[str]:
    """Why something is undefined, and what a reader of the intervals must know."""
    notes = []
    groups = len(set(judged.groups))
    if not scale.is_comparable:
        notes.append(
            f"People rated from {scale.words()}, the judge from 1 to 5, and no mapping was declared: rank statistics only."
        )
    elif not scale.is_five:
        notes.append(f"People's scores from {scale.words()} were mapped onto 1 to 5 by a straight line, as declared.")
    if groups < 2:
        notes.append("All units belong to one context: there are no intervals.")
    elif groups < FEW_GROUPS:
        notes.append(f"The intervals rest on {groups} contexts; with fewer than {FEW_GROUPS} they are too narrow.")
    if np.ptp(judged.expected) == 0:
        notes.append("The judge gives every unit the same score: a rank correlation is not defined.")
    if np.ptp(labels.mean) == 0:
        notes.append("People give every unit the same label: a rank correlation is not defined.")
    if not np.isfinite(_others(labels.scores)).any():
        notes.append("No unit has two raters: there is no human ceiling and no agreement among people.")
    elif estimates["human_ceiling"].value is None:
        notes.append("The raters' scores do not vary enough for a human ceiling.")
    if labels.is_crowd:
        notes.append(
            f"There are {len(labels.raters):,} raters: the human ceiling compares the first, second, ... rating of each "
            "unit with the mean of its others, not one person with the rest."
        )
    if judged.length is None:
        notes.append("The run did not record lengths: there is no length correlation.")
    return notes
