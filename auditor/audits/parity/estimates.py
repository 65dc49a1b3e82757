"""From contrasts to effects: values, standard errors, intervals, and the words that say how they were computed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.audits.parity.contrasts import Contrast, Design, Slots, influence, standard_error, value
from auditor.audits.parity.data import Lists
from auditor.audits.parity.intervals import (
    FEWEST_QUERIES,
    N_RESAMPLES,
    Interval,
    Studentised,
    around,
    distance_interval,
    largest_error,
    measured_coverage,
    own_errors,
    reaches,
    resampled_errors,
    stretches,
    studentised_errors,
)
from auditor.audits.parity.sparse import bounds, missed

#: The distance that is in the unit of the primary effect.
DISTANCE = "Wasserstein-1"
#: Takes differences, shape (..., m), and returns their norms, shape (...).
Norm = Callable[[NDArray[np.float64]], NDArray[np.float64]]
#: Resamples for the error of a distance, whose interval is wide anyway (ours).
_DISTANCE_RESAMPLES = 499
#: Share of what simultaneous intervals may miss that is kept for effects which few queries show, if there are any (ours).
_FOR_SPARSE = 0.1
#: A resample may miss all that differs with at most this share of the probability with which an interval may miss (ours).
_MISSED = 0.1
#: Numbers that are held at a time while resampling.
_MOST_HELD = 20_000_000


@dataclass(frozen=True)
class Effect:
    """A difference, or a distance, with its interval.

    Attributes
    ----------
    name : str
        "mean difference", "mid-rank difference", "risk difference", "mean level difference", "total variation",
        "Cramer's V" or "Wasserstein-1".
    title : str
        In words, with what is compared.
    unit : str
        "degrees", "mid-rank" (from -1 to 1), "share" (from -1 to 1), "levels", or "" for Cramer's V.
    value : float
        The first group less the second, or the results less their target.
    low, high : float or None
        None where there is no interval; `no_interval` says why.
    se : float or None
        Standard error; None for distances, and where it cannot be estimated.
    a, b : str
        What is compared: two groups, or "results" and "target".
    n_clusters : int
        Queries that are compared.
    method : str
        How the interval was computed, or why there is none.
    level : str or None
        Level whose shares are compared.
    simultaneous : bool
        Whether the interval holds at once with those of all effects of its name.
    no_interval : str
        Why there is no interval.
    two_way : bool
        Whether repeated items widen the interval, which is then about other items too.
    bounded : bool
        Whether so few queries of a group differ that its part of the interval is a bound instead of resampled; the interval
        is then wider than the standard error says.
    """

    name: str
    title: str
    unit: str
    value: float
    low: float | None
    high: float | None
    se: float | None
    a: str
    b: str
    n_clusters: int
    method: str
    level: str | None = None
    simultaneous: bool = False
    no_interval: str = ""
    two_way: bool = False
    bounded: bool = False


@dataclass(frozen=True)
class Asked:
    """A difference that is to be estimated.

    Attributes
    ----------
    name, title, unit, a, b, level
        As in `Effect`.
    contrast : Contrast
    most : float or None
        Largest absolute value that it can have.
    n, fewest : int
        Queries that are compared, and those of the smaller group.
    """

    name: str
    title: str
    unit: str
    contrast: Contrast
    most: float | None
    a: str
    b: str
    n: int
    fewest: int
    level: str | None = None


@dataclass(frozen=True)
class Distance:
    """A distance between distributions that is to be estimated: a norm of several differences.

    Attributes
    ----------
    name, title, unit, a, b
        As in `Effect`.
    value : float
    parts : ndarray of float64, shape (n, m)
        Influence of each query on each of the differences.
    norm : callable
    most : float or None
        Largest possible distance.
    n, fewest : int
        Queries that are compared, and those of the smallest group.
    widening : float
        Factor by which errors grow because items repeat; at least 1.
    """

    name: str
    title: str
    unit: str
    a: str
    b: str
    value: float
    parts: NDArray[np.float64]
    norm: Norm
    most: float | None
    n: int
    fewest: int
    widening: float


@dataclass(frozen=True)
class Sample:
    """Lists with their design, and how intervals are wanted.

    Attributes
    ----------
    slots : Slots or None
        For two-way variances; None for one-way ones.
    situation : str
        Key of `MEASURED_COVERAGE`.
    """

    lists: Lists
    design: Design
    slots: Slots | None
    confidence: float
    seed: int
    situation: str


def estimated(sample: Sample, asked: Sequence[Asked], *, simultaneous: bool) -> tuple[list[Effect], list[float]]:
    """Effects with intervals.

    Parameters
    ----------
    sample : Sample
    asked : sequence of Asked
    simultaneous : bool
        Whether all intervals are to hold at once (if there are several).

    Returns
    -------
    effects : list of Effect
    widening : list of float
        Two-way standard error over the one-way one, at least 1.
    """
    errors, widening = _standard_errors(sample, asked)
    usable = [i for i, one in enumerate(asked) if one.fewest >= FEWEST_QUERIES and errors[i] > 0]
    together = simultaneous and len(usable) > 1
    sparse = _sparse(sample, asked, usable, len(usable) if together else 1)
    intervals: dict[int, Interval] = {}
    if together:
        alone, miss = [i for i in usable if sparse[i].any()], 1 - sample.confidence
        common = [i for i in usable if not sparse[i].any()]
        kept = (_FOR_SPARSE if common else 1.0) * miss if alone else 0.0
        intervals |= _balanced(sample, asked, common, errors, 1 - (miss - kept))
        intervals |= _each(sample, asked, alone, errors, widening, sparse, 1 - kept / max(len(alone), 1))
    else:
        intervals |= _each(sample, asked, usable, errors, widening, sparse, sample.confidence)
    made = []
    for i, one in enumerate(asked):
        found = intervals.get(i) or _refused(one, errors[i])
        bounded = i in intervals and found.low is not None and one.contrast.scores is not None and bool(sparse[i].any())
        words = _how(sample, one, len(usable) if together else 1, widening[i], bounded=bounded)
        made.append(
            Effect(
                name=one.name,
                title=one.title,
                unit=one.unit,
                value=value(one.contrast, sample.lists),
                low=found.low,
                high=found.high,
                se=found.se,
                a=one.a,
                b=one.b,
                n_clusters=one.n,
                method=f"no interval: {found.reason}" if found.reason else words,
                level=one.level,
                simultaneous=together,
                no_interval=found.reason,
                two_way=widening[i] > 1,
                bounded=bounded,
            )
        )
    return made, widening


def _sparse(
    sample: Sample, asked: Sequence[Asked], usable: Sequence[int], n_together: int
) -> dict[int, NDArray[np.bool_]]:
    """Groups, shape (G,), whose part of an effect so few queries show that resampling would miss them."""
    most = _MISSED * (1 - sample.confidence) / n_together
    return {i: missed(asked[i].contrast, sample.lists, sample.design) > most for i in usable}


def _balanced(
    sample: Sample, asked: Sequence[Asked], places: Sequence[int], errors: Sequence[float], confidence: float
) -> dict[int, Interval]:
    """Intervals that hold at once, every effect measured by its own errors."""
    largest: list[NDArray[np.float64]] = []
    lengths: list[NDArray[np.float64]] = []
    one = 1 - (1 - confidence) / max(len(places), 1)
    for _, ratios in _studentised(sample, asked, places):
        own = own_errors(ratios.together, confidence=one)
        largest.append((np.abs(ratios.together) / own).max(axis=1))
        lengths.append(own * stretches(ratios, confidence=sample.confidence))
    if not places:
        return {}
    reach = largest_error(np.max(largest, axis=0), confidence=confidence)
    found = zip(places, reach * np.concatenate(lengths, axis=1).T, strict=True)
    return {
        i: _interval(sample, asked[i], errors[i], below * errors[i], above * errors[i]) for i, (below, above) in found
    }


def _each(
    sample: Sample,
    asked: Sequence[Asked],
    places: Sequence[int],
    errors: Sequence[float],
    widening: Sequence[float],
    sparse: Mapping[int, NDArray[np.bool_]],
    confidence: float,
) -> dict[int, Interval]:
    """Intervals that hold each for itself."""
    found: dict[int, Interval] = {}
    for block, ratios in _studentised(sample, asked, places):
        limits = [
            bounds(asked[i].contrast, sample.lists, sample.design, sparse[i], confidence=confidence, seed=sample.seed)
            for i in block
        ]
        lengths = reaches(ratios, confidence=confidence, bounds=np.stack(limits, axis=2))
        for i, (below, above) in zip(block, lengths.T, strict=True):
            found[i] = _interval(sample, asked[i], errors[i], below * widening[i], above * widening[i])
    return found


def distance(sample: Sample, asked: Distance) -> Effect:
    """A distance with its conservative interval."""
    low = high = None
    reason = ""
    if asked.fewest < FEWEST_QUERIES:
        reason = _too_few(asked.fewest)
    else:
        weighty = asked.parts.any(axis=1)  # queries of other groups add nothing
        blocks = resampled_errors(
            asked.parts[weighty], sample.design.group[weighty], n_resamples=_DISTANCE_RESAMPLES, seed=sample.seed
        )
        norms = np.concatenate([asked.norm(errors.sum(axis=0)) for errors, _ in blocks])
        error = float(np.quantile(norms, sample.confidence, method="higher")) * asked.widening
        low, high = distance_interval(asked.value, error, asked.most)
    words = (
        f"bootstrap of the distance of resampled errors over queries ({_DISTANCE_RESAMPLES} resamples, seed {sample.seed}); "
        "covers at least as often as it says"
    )
    return Effect(
        name=asked.name,
        title=asked.title,
        unit=asked.unit,
        value=asked.value,
        low=low,
        high=high,
        se=None,
        a=asked.a,
        b=asked.b,
        n_clusters=asked.n,
        method=f"no interval: {reason}" if reason else words,
        no_interval=reason,
    )


def largest_first(effects: Sequence[Effect]) -> list[Effect]:
    """The largest effect that has an interval first (the largest of all if none has one), the others in their order."""
    if not effects:
        return []
    first = max(effects, key=lambda effect: (effect.low is not None, abs(effect.value)))
    return [first, *(effect for effect in effects if effect is not first)]


def _standard_errors(sample: Sample, asked: Sequence[Asked]) -> tuple[list[float], list[float]]:
    errors, widening = [], []
    for one in asked:
        error, wider = standard_error(one.contrast, sample.lists, sample.design, sample.slots)
        errors.append(error)
        widening.append(wider)
    return errors, widening


def _interval(sample: Sample, asked: Asked, error: float, below: float, above: float) -> Interval:
    return around(value(asked.contrast, sample.lists), error, float(below), float(above), asked.most)


def _studentised(
    sample: Sample, asked: Sequence[Asked], usable: Sequence[int]
) -> Iterator[tuple[Sequence[int], Studentised]]:
    """Studentised errors, some effects at a time; the same draws for all."""
    n_groups = int(np.count_nonzero(sample.design.sizes))
    step = max(1, _MOST_HELD // (max(len(sample.design.group), N_RESAMPLES) * (n_groups + 1)))
    for start in range(0, len(usable), step):
        places = usable[start : start + step]
        parts = np.stack([influence(asked[i].contrast, sample.lists, sample.design) for i in places], axis=1)
        yield places, studentised_errors(parts, sample.design.group, seed=sample.seed)


def _refused(asked: Asked, error: float) -> Interval:
    if asked.fewest < FEWEST_QUERIES:
        # With two queries in a group there is a standard error, though none to build an interval on.
        return Interval(None, None, error if asked.fewest >= 2 and error > 0 else None, _too_few(asked.fewest))
    return Interval(None, None, None, "all queries of a group are alike, so that resampling shows no error")


def _too_few(n: int) -> str:
    return f"a group has {n} {'query' if n == 1 else 'queries'}, an interval takes at least {FEWEST_QUERIES}"


def _how(sample: Sample, asked: Asked, n_together: int, widening: float, *, bounded: bool) -> str:
    words = f"bootstrap-t over {asked.n:,} queries ({N_RESAMPLES:,} resamples, seed {sample.seed})"
    if asked.fewest < asked.n:
        words += ", group by group (MOVER)"
    if n_together > 1:
        words += f", holding at once for {n_together:,} differences (balanced max-t)"
    if bounded:
        words += (
            "; so few queries of a group differ that resampling would miss them, and its part is bounded by betting on the mean "
            "of its queries (Waudby-Smith and Ramdas)"
        )
    if widening > 1:
        words += f"; two-way variance, queries x items, widens it by {widening - 1:.0%}"
    elif sample.slots is not None and sample.slots.repeated:
        words += "; items repeat, but the two-way variance is not above that of queries"
    if measured := measured_coverage(sample.situation, asked.n if asked.fewest == asked.n else 2 * asked.fewest):
        words += f"; at {measured[0]} queries nominal 95% intervals held the truth in {measured[1]:.1%} of simulations"
    return words
