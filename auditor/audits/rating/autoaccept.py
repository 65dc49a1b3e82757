"""Certified auto-accept: above which confidence a judge's ratings may stand, and how often they then disagree.

The contexts that people labelled are split into three disjoint parts: one to fit a calibration and to fix the
thresholds that are tried, one to certify a threshold, one to report what it does to ratings that took no part in
choosing it. A rating disagrees when its whole score is more than `within` points from the human label rounded half up.
Shares of the parts, `within` = 1 and that label are our choice; the risk control is that of `auditor.stats.acceptance`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.audits.rating.agreement import Estimate, agree_axis, reliability_of
from auditor.audits.rating.calibrate import Calibration, Calibrator
from auditor.audits.rating.certificate import AxisCertificate, percent, short
from auditor.audits.rating.judged import Judged, axes_of, read_axis
from auditor.audits.rating.labels import HumanRating, Labels, PeopleScale, Scales, scale_of
from auditor.stats.acceptance import BINOMIAL, Acceptance, certify_acceptance, fewest_contexts, start_threshold
from auditor.stats.p_values import clopper_pearson_upper

FIT, CERTIFY, REPORT = 0, 1, 2
#: Shares of the labelled contexts; certifying takes the most, since its number decides what can be certified.
SHARES = (0.25, 0.5, 0.25)


@dataclass(frozen=True)
class Asked:
    """What a certificate is asked for.

    Attributes
    ----------
    epsilon : float
        Largest share of accepted ratings that may disagree with people, between 0 and 1.
    delta : float
        Probability with which a certificate may be wrong, between 0 and 1.
    within : int
        A rating disagrees when it is more than so many points from the label.
    calibration : {"none", "temperature", "isotonic"}
        What turns the judge's probabilities into a confidence, fitted on the fit part.
    confidence : float
        Coverage of the intervals of the report part.
    seed : int
        Seed of the split and of the bootstrap.
    """

    epsilon: float
    delta: float
    within: int
    calibration: Calibration
    confidence: float
    seed: int


def certify_axes(
    ratings: Path,
    humans: Sequence[HumanRating],
    scale: Scales,
    *,
    titles: Mapping[str, str],
    epsilon: float,
    delta: float,
    within: int = 1,
    calibration: Calibration = "none",
    confidence: float = 0.95,
    seed: int,
) -> list[AxisCertificate]:
    """Certify a threshold of confidence for each axis that people rated; see `Asked` for the settings.

    Each certificate holds with probability 1 - delta by itself; of k axes all hold with probability 1 - k delta.

    Parameters
    ----------
    ratings : Path
        The run's table of ratings.
    humans : sequence of HumanRating
        Scores on the people's scale.
    scale : PeopleScale or mapping of axis to PeopleScale
        Nothing is certified on another scale than 1 to 5 without a declared mapping.
    titles : Mapping[str, str]
        Axis -> what people read.

    Returns
    -------
    list of AxisCertificate
        In the run's order of axes; certified or not.
    """
    asked = Asked(epsilon, delta, within, calibration, confidence, seed)
    labelled = {}
    for axis in axes_of(ratings):
        labels = Labels.of(humans, axis, scale_of(scale, axis))
        judged = read_axis(ratings, axis, labels.rows)
        if len(judged):
            labelled[axis] = (judged, labels.take(np.isin(labels.rows, judged.rows)))
    part_of = split_contexts((group for judged, _ in labelled.values() for group in judged.groups), seed)
    found = []
    for axis, (judged, labels) in labelled.items():
        parts = np.array([part_of[group] for group in judged.groups], dtype=np.int64)
        split = _Split(axis, titles.get(axis, axis), judged, labels, scale_of(scale, axis), parts)
        found.append(_certify(split, read_axis(ratings, axis), asked))
    return found


def split_contexts(groups: Iterable[str], seed: int) -> dict[str, int]:
    """Context -> `FIT`, `CERTIFY` or `REPORT`, drawn by the seed whatever the order in which contexts come."""
    names = sorted(set(groups))
    drawn = np.random.default_rng(seed).permutation(len(names))
    ends = np.round(np.cumsum(SHARES) * len(names))
    parts = np.searchsorted(ends, np.arange(len(names)), side="right")
    return {names[place]: int(part) for place, part in zip(drawn, parts, strict=True)}


@dataclass(frozen=True)
class _Split:
    """The labelled units of an axis, each in one part."""

    axis: str
    title: str
    judged: Judged
    labels: Labels
    scale: PeopleScale
    parts: NDArray[np.int64]

    def places(self, part: int) -> NDArray[np.intp]:
        """Units of a part."""
        return np.flatnonzero(self.parts == part)

    def groups(self, part: int) -> list[str]:
        """Contexts of the units of a part."""
        return [self.judged.groups[place] for place in self.places(part)]

    @property
    def largest_context(self) -> int:
        """Most labelled units in one context."""
        return int(np.unique(np.array(self.judged.groups), return_counts=True)[1].max())

    def sizes(self) -> dict[str, tuple[int, ...]]:
        """Contexts and units of the three parts."""
        parts = (FIT, CERTIFY, REPORT)
        return {
            "contexts": tuple(len(set(self.groups(part))) for part in parts),
            "units": tuple(len(self.places(part)) for part in parts),
        }


def _certify(split: _Split, run: Judged, asked: Asked) -> AxisCertificate:
    fields: dict[str, Any] = {
        "name": split.axis,
        "title": split.title,
        "epsilon": asked.epsilon,
        "delta": asked.delta,
        "within": asked.within,
        "calibration": asked.calibration,
        "seed": asked.seed,
        "run_n": len(run),
        **split.sizes(),
    }
    fit, certify = split.places(FIT), split.places(CERTIFY)
    if not split.scale.is_comparable:
        why = f"people rated from {split.scale.words()}, and no mapping onto 1 to 5 was declared."
        return AxisCertificate(**fields, why=why)
    if not (len(fit) and len(certify)):
        why = f"{sum(fields['contexts']):,} labelled contexts are too few to be split into three parts."
        return AxisCertificate(**fields, why=why)
    calibrator = Calibrator.fit(asked.calibration, split.judged.take(fit), split.labels.take(fit).whole)
    after = calibrator.apply(split.judged)
    wrong = np.abs(split.judged.mode - split.labels.whole) > asked.within
    thresholds = start_threshold(
        after.confidence[fit],
        split.groups(FIT),
        epsilon=asked.epsilon,
        delta=asked.delta,
        n_certify=len(certify),
        wrong_fit=wrong[fit],
        largest_context=split.largest_context,
        seed=asked.seed,
    )
    outcome = certify_acceptance(
        after.confidence[certify],
        wrong[certify],
        split.groups(CERTIFY),
        thresholds.tolist(),
        epsilon=asked.epsilon,
        delta=asked.delta,
        seed=asked.seed,
        largest_context=split.largest_context,
    )
    fields |= {
        "calibration_fit": calibrator.to_dict(),
        "certified": outcome.certified,
        "threshold": outcome.threshold,
        "method": outcome.method,
        "tested": outcome.tested,
        "p_values": outcome.p_values,
        "n_accepted": outcome.n_accepted,
        "n_wrong": outcome.n_wrong,
        "upper": outcome.upper,
        "run_accepted": accepted_by(outcome.threshold, calibrator.apply(run)).sum(),
        **_reported(split, after, wrong, outcome.threshold, asked),
    }
    why, needed = ("", None) if outcome.certified else _why_not(outcome, split, asked)
    return AxisCertificate(**fields, why=why, needed=needed)


def accepted_by(threshold: float | None, judged: Judged) -> NDArray[np.bool_]:
    """Which ratings a threshold accepts, after the calibration it belongs to; none without a threshold."""
    return judged.confidence >= (np.inf if threshold is None else threshold)


def _reported(
    split: _Split, after: Judged, wrong: NDArray[np.bool_], threshold: float | None, asked: Asked
) -> dict[str, Any]:
    """What happens on the part that took no part in choosing."""
    report = split.places(REPORT)
    if not len(report):
        return {"notes": ("There are too few labelled contexts to keep a part for the report.",)}
    labels = split.labels.take(report)
    agreement = agree_axis(
        split.axis, split.title, after.take(report), labels, split.scale, confidence=asked.confidence, seed=asked.seed
    )
    reliability, ece = reliability_of(split.judged.take(report), labels.whole)
    accepted = accepted_by(threshold, after)[report]
    n, n_wrong = int(accepted.sum()), int((wrong[report] & accepted).sum())
    notes = []
    if n and split.largest_context > 1:
        notes.append("The exact interval of the report part takes units as independent; contexts hold several of them.")
    return {
        "report_accepted": n,
        "report_wrong": n_wrong,
        "report_disagreement": exact_interval(n_wrong, n, asked.confidence),
        "report_agreement": agreement,
        "reliability_before": reliability,
        "ece_before": ece,
        "notes": tuple(notes),
    }


def exact_interval(n_wrong: int, n: int, confidence: float) -> Estimate:
    """A share with its Clopper-Pearson interval; None of nothing."""
    if n == 0:
        return Estimate(value=None)
    tail = (1 - confidence) / 2
    low = 1 - clopper_pearson_upper(n - n_wrong, n, tail)
    return Estimate(value=n_wrong / n, low=low, high=clopper_pearson_upper(n_wrong, n, tail))


def _why_not(outcome: Acceptance, split: _Split, asked: Asked) -> tuple[str, int | None]:
    """Why nothing was certified, and about how many labelled units, or contexts where they hold several, would do."""
    accepted, wrong, p = outcome.accepted[0], outcome.wrong[0], outcome.p_values[0]
    if accepted == 0:
        return f"none of {outcome.n:,} units reaches the confidence that was fixed beforehand.", None
    said = (
        f"of {accepted:,} units with confidence of at least {short(outcome.tested[0])} {wrong:,} disagree with people "
        f"({percent(wrong / accepted, 1)})"
    )
    if wrong / accepted > asked.epsilon:
        least = 1 - clopper_pearson_upper(accepted - wrong, accepted, asked.delta)
        end = "more labels would hardly help" if least > asked.epsilon else "of so few that may be chance"
        return f"{said}, more than {percent(asked.epsilon)}; {end}.", None
    fewest = _fewest(outcome, split, asked)
    if outcome.method == BINOMIAL:
        what, n = "units", len(split.judged)
    else:
        what, n = "contexts", len(set(split.judged.groups))
    if p >= 1:
        proves = f"which proves nothing about {percent(asked.epsilon)}"
        return f"{said}, {proves}; it takes at least {fewest:,} labelled {what}.", None
    # A p-value shrinks about exponentially with the number of contexts, if the further ones are like these.
    needed = max(int(np.ceil(n * np.log(asked.delta) / np.log(p))), fewest)
    why = (
        f"{said}, too few {what} to prove {percent(asked.epsilon)}: about {needed:,} labelled {what} instead of {n:,} would "
        "do, if the others are like these."
    )
    return why, needed


def _fewest(outcome: Acceptance, split: _Split, asked: Asked) -> int:
    """Labelled contexts in all three parts without which nothing can be certified, even if nothing accepted is wrong."""
    accepted = outcome.accepted[0] / (outcome.contexts * split.largest_context)
    binomial = outcome.method == BINOMIAL
    certifying = fewest_contexts(asked.epsilon, asked.delta, accepted=accepted, binomial=binomial)
    return int(np.ceil(certifying / SHARES[CERTIFY]))
