"""How large a disparity is: differences between query groups, or from target shares, with intervals.

The primary effect is what the verdict is about. On a scale in degrees it is the difference of mean degrees, on an ordinal
scale the difference of mean mid-ranks, for two names and two groups the risk difference. Where there are several such
differences (more groups, or more names) it is the largest of them in absolute value, and all of them get intervals that
hold at once, so that having chosen the largest costs nothing. What a difference of means cannot see, distributions that
differ in shape, is seen by the Wasserstein-1 distance in the same unit.

References
----------
[1] I. D. J. Bross, "How to use ridit analysis", Biometrics 14 (1958) 18-38; N. Cliff, "Dominance statistics", Psychological
    Bulletin 114 (1993) 494-509: on a scale from -1 to 1 the difference of mean mid-ranks of two groups is P[a result of one
    stands higher] - P[lower], which is also Somers' d.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from auditor.audits.parity.areas import Expected
from auditor.audits.parity.contrasts import (
    Contrast,
    Design,
    Pair,
    counted_slots,
    order_of,
    rank_deviations,
    standard_error,
)
from auditor.audits.parity.data import MISSING, Attribute, Lists, Results
from auditor.audits.parity.distances import (
    between_groups,
    cramers_v,
    from_target,
    wasserstein_between,
    wasserstein_from_target,
)
from auditor.audits.parity.estimates import Asked, Effect, Sample, distance, estimated, largest_first
from auditor.errors import InputError

__all__ = ["Effect", "effects_groups", "effects_target", "restricted", "shapes_groups"]

#: More differences than these are no question any more (ours).
_MOST_DIFFERENCES = 5_000
#: What the coverage of intervals around the primary effect was measured for.
SITUATIONS = {"nominal": "risk difference", "ordinal": "mid-rank difference", "ita": "mean difference"}
AGAINST_TARGET = "deviation from target"


def effects_groups(
    lists: Lists,
    attribute: Attribute,
    group: NDArray[np.int16],
    group_names: Sequence[str],
    stratum: NDArray[np.int32],
    *,
    confidence: float,
    seed: int,
    two_way: Results | None = None,
    primary_only: bool = False,
) -> list[Effect]:
    """Effects of the query's group on its results, the primary one first (modes A and B).

    Parameters
    ----------
    lists : Lists
    attribute : Attribute
        The one that the lists were made for.
    group : ndarray of int16, shape (n,)
        Group of each query of the lists; queries of `MISSING` group take no part.
    group_names : sequence of str
    stratum : ndarray of int32, shape (n,)
        Stratum of each query; groups are compared within strata.
    confidence : float
        Nominal coverage of the intervals.
    seed : int
        Seed of every random draw.
    two_way : Results, optional
        What the lists were made of. If given, and items stand in the lists of several queries, variances are those of
        queries x items, never below those of queries alone.
    primary_only : bool
        Whether to leave out everything but what a verdict rests on: the differences among which the primary effect was
        chosen, and the Wasserstein-1 distances in their unit.

    Raises
    ------
    InputError
        If fewer than two groups have a query with a known result, no stratum holds queries of two groups, or there are
        too many differences.
    """
    sample, pairs = _compared(lists, attribute, group, group_names, stratum, confidence, seed, two_way)
    kind, levels = attribute.scale.kind, attribute.scale.levels
    ranked = kind == "ordinal"
    shown = _levels_shown(sample.lists.shares)
    if len(pairs) * len(shown) > _MOST_DIFFERENCES:
        raise InputError(
            f"{len(pairs):,} pairs of groups and {len(shown):,} levels are too many differences to look at",
            fix="Merge groups or levels.",
        )
    shares = [_share_difference(sample, pair, group_names, level, levels) for pair in pairs for level in shown]
    located = _located(sample, pairs, group_names, kind)
    primary, others = located or shares, []
    if located:
        levels_apart = [_level_difference(sample, pair, group_names) for pair in pairs] if ranked else []
        others = [*levels_apart, *shares]
    found, widening = estimated(sample, primary, simultaneous=True)
    wider: dict[tuple[str, str], float] = {}
    for asked, factor in zip(primary, widening, strict=True):
        wider[asked.a, asked.b] = max(factor, wider.get((asked.a, asked.b), 1.0))
    of_pairs = [(pair, wider.get((group_names[pair[0]], group_names[pair[1]]), 1.0)) for pair in pairs]
    if primary_only:
        shapes = (wasserstein_between(sample, pair, group_names, factor, ranked=ranked) for pair, factor in of_pairs)
        return [*largest_first(found), *(distance(sample, shape) for shape in shapes if shape is not None)]
    distances = [
        distance(sample, asked)
        for pair, factor in of_pairs
        for asked in between_groups(sample, pair, group_names, factor, ranked=ranked)
    ]
    overall = distance(sample, cramers_v(sample, max(wider.values(), default=1.0)))
    return [*largest_first(found), *estimated(sample, others, simultaneous=False)[0], *distances, overall]


def effects_target(
    lists: Lists,
    attribute: Attribute,
    shares: NDArray[np.float64] | None,
    target_mean: float | None,
    *,
    confidence: float,
    seed: int,
    two_way: Results | None = None,
    primary_only: bool = False,
    ranked_among: NDArray[np.float64] | None = None,
    expected: Expected | None = None,
) -> list[Effect]:
    """Deviations of the results from target shares, the primary one first (modes C1 and C2).

    Parameters
    ----------
    lists : Lists
    attribute : Attribute
    shares : ndarray of float64, shape (n, n_levels) or (n_levels,), or None
        Target share of every level, for each query or for all: declared shares, or those of the catalog.
    target_mean : float or None
        Target in degrees, on an ITA scale; the same for every query unless their distribution is known (`expected`).
    confidence, seed, two_way, primary_only
        As in `effects_groups`.
    ranked_among : ndarray of float64, shape (n_levels,), optional
        Shares among which results are ranked on an ordinal scale, the mean of the targets; those of each query's own target
        if not given.
    expected : Expected, optional
        Degrees that the results of each query are compared with, where their distribution is known.

    Raises
    ------
    ValueError
        If there are no queries, or no target that fits the scale.
    """
    n, kind = len(lists.queries), attribute.scale.kind
    if n == 0 or (shares is None and (target_mean is None or kind != "ita")):
        raise ValueError("a deviation needs at least one query and a target on the attribute's scale")
    slots = None if two_way is None else counted_slots(two_way, attribute, lists)
    design = Design(np.zeros(n, np.int16), 1, np.zeros(n, np.int32))
    sample = Sample(lists, design, slots, confidence, seed, AGAINST_TARGET)
    of_shares: list[Asked] = []
    of_ranks: list[Asked] = []
    target = None
    if shares is not None:
        target = np.broadcast_to(shares, lists.shares.shape)
        of_shares = list(_share_deviations(sample, target, attribute.scale.levels))
        of_ranks = list(_rank_deviations(sample, target, ranked_among))
    in_degrees = kind == "ita" and target_mean is not None
    if in_degrees and target_mean is not None:
        assert lists.values is not None, "degrees are only there on an ITA scale"
        moved = _less_target(sample, attribute, two_way, target_mean, expected)
        mean = _deviation(sample, "mean difference", "Mean degrees ITA", "degrees", None, None)
        found, widening = estimated(moved, [mean], simultaneous=True)
        others = of_shares
    elif kind == "nominal":
        found, widening = estimated(sample, of_shares, simultaneous=True)
        others = []
    else:
        found, widening = estimated(sample, of_ranks[:1], simultaneous=True)
        others = [*of_ranks[1:], *of_shares]
    factor = max(widening, default=1.0)
    distances: list[Effect] = []
    if kind != "nominal":
        shape = wasserstein_from_target(sample, None if in_degrees else target, ranked_among, expected, factor)
        distances = [] if shape is None else [distance(sample, shape)]
    if primary_only:
        return [*largest_first(found), *distances]
    if target is not None:
        distances.append(distance(sample, from_target(sample, target, factor)))
    return [*largest_first(found), *estimated(sample, others, simultaneous=False)[0], *distances]


def shapes_groups(
    lists: Lists,
    attribute: Attribute,
    group: NDArray[np.int16],
    group_names: Sequence[str],
    stratum: NDArray[np.int32],
    *,
    confidence: float,
    seed: int,
    two_way: Results | None = None,
) -> list[Effect]:
    """The Wasserstein-1 distances of `effects_groups` alone; none between names."""
    kind = attribute.scale.kind
    if kind == "nominal":
        return []
    sample, pairs = _compared(lists, attribute, group, group_names, stratum, confidence, seed, two_way)
    found = []
    for pair, asked in zip(pairs, _located(sample, pairs, group_names, kind), strict=True):
        _, factor = standard_error(asked.contrast, sample.lists, sample.design, sample.slots)
        shape = wasserstein_between(sample, pair, group_names, factor, ranked=kind == "ordinal")
        found += [] if shape is None else [distance(sample, shape)]
    return found


def restricted(lists: Lists, kept: NDArray[np.bool_]) -> Lists:
    """Some of the queries of lists; `kept` has shape (n,)."""
    return replace(
        lists,
        queries=lists.queries[kept],
        shares=lists.shares[kept],
        values=None if lists.values is None else lists.values[kept],
        cumulative=None if lists.cumulative is None else lists.cumulative[kept],
        size=lists.size[kept],
        known=lists.known[kept],
    )


# Differences between groups -------------------------------------------------------------------------------------------


def _compared(
    lists: Lists,
    attribute: Attribute,
    group: NDArray[np.int16],
    group_names: Sequence[str],
    stratum: NDArray[np.int32],
    confidence: float,
    seed: int,
    two_way: Results | None,
) -> tuple[Sample, list[Pair]]:
    """The queries that have groups, and the pairs of groups that can be compared.

    Raises
    ------
    InputError
        If there are none.
    """
    kept = group != MISSING
    lists, group, stratum = restricted(lists, kept), group[kept], stratum[kept]
    design = Design(group, len(group_names), stratum)
    if np.count_nonzero(design.sizes) < 2:
        raise InputError(
            "fewer than two query groups have results of known attribute", fix="Compare at least two groups."
        )
    pairs = _pairs(design)
    if not pairs:
        raise InputError("no stratum holds queries of two groups: nothing can be compared", fix="Use coarser strata.")
    slots = None if two_way is None else counted_slots(two_way, attribute, lists)
    situation = SITUATIONS[attribute.scale.kind]
    return Sample(lists, design, slots, confidence, seed, situation), pairs


def _located(sample: Sample, pairs: Sequence[Pair], names: Sequence[str], kind: str) -> list[Asked]:
    """How far groups lie apart, pair by pair: in degrees or in mid-ranks; nothing between names."""
    if kind == "ita":
        return [_mean_difference(sample, pair, names) for pair in pairs]
    return [_mid_rank_difference(sample, pair, names) for pair in pairs] if kind == "ordinal" else []


def _pairs(design: Design) -> list[Pair]:
    """Pairs of groups that can be compared, with the weights of their difference."""
    shown = np.flatnonzero(design.sizes)
    tried = ((int(a), int(b), design.difference(int(a), int(b))) for a in shown for b in shown if a < b)
    return [(a, b, weights) for a, b, weights in tried if weights is not None]


def _between(
    sample: Sample,
    pair: Pair,
    names: Sequence[str],
    words: tuple[str, str, str],
    contrast: Contrast,
    most: float | None,
    level: str | None = None,
) -> Asked:
    (a, b, _), (name, title, unit) = pair, words
    sizes = sample.design.compared(pair)
    title = f"{title}: {names[a]} less {names[b]}"
    return Asked(name, title, unit, contrast, most, names[a], names[b], sum(sizes), min(sizes), level)


def _mean_difference(sample: Sample, pair: Pair, names: Sequence[str]) -> Asked:
    words = ("mean difference", "Mean degrees ITA", "degrees")
    return _between(sample, pair, names, words, Contrast(pair[2], None), None)


def _mid_rank_difference(sample: Sample, pair: Pair, names: Sequence[str]) -> Asked:
    # Mid-ranks are taken among the results of the two groups. With order[c, d] = sign(c - d) and mean shares p of these
    # groups the scores are s = order @ p, and the effect D's changes by D'order (p_i - p) / n with each of their queries.
    a, b, weights = pair
    shares = sample.lists.shares
    both = np.isin(sample.design.group, (a, b))
    order = order_of(shares.shape[1])
    scores = order @ shares[both].mean(axis=0)
    contrast = Contrast(weights, scores[None, :], (weights @ shares) @ order, both)
    return _between(sample, pair, names, ("mid-rank difference", "Mean mid-rank", "mid-rank"), contrast, 1.0)


def _level_difference(sample: Sample, pair: Pair, names: Sequence[str]) -> Asked:
    n_levels = sample.lists.shares.shape[1]
    contrast = Contrast(pair[2], np.arange(1.0, n_levels + 1)[None, :])
    return _between(sample, pair, names, ("mean level difference", "Mean level", "levels"), contrast, n_levels - 1.0)


def _share_difference(sample: Sample, pair: Pair, names: Sequence[str], level: int, levels: Sequence[str]) -> Asked:
    contrast = Contrast(pair[2], _one_level(level, len(levels)))
    words = ("risk difference", f"Share of {levels[level]}", "share")
    return _between(sample, pair, names, words, contrast, 1.0, levels[level])


def _levels_shown(shares: NDArray[np.float64]) -> list[int]:
    """Levels that occur; of two levels the first one, since the other is what remains."""
    shown = [int(level) for level in np.flatnonzero(shares.max(axis=0) > 0)]
    return shown[:1] if shares.shape[1] <= 2 else shown


def _one_level(level: int, n_levels: int) -> NDArray[np.float64]:
    indicator: NDArray[np.float64] = (np.arange(n_levels) == level).astype(np.float64)[None, :]
    return indicator


# Deviations from a target ---------------------------------------------------------------------------------------------


def _deviation(
    sample: Sample,
    name: str,
    title: str,
    unit: str,
    scores: NDArray[np.float64] | None,
    most: float | None,
    level: str | None = None,
) -> Asked:
    n = len(sample.lists.queries)
    contrast = Contrast(np.full(n, 1 / n), scores)
    return Asked(name, f"{title}: results less target", unit, contrast, most, "results", "target", n, n, level)


def _share_deviations(sample: Sample, target: NDArray[np.float64], levels: Sequence[str]) -> Iterator[Asked]:
    for level in _levels_shown(np.concatenate([sample.lists.shares, target])):
        # A query's number is its share less its own target: the target is spread over its slots, which sum to 1.
        scores = _one_level(level, len(levels)) - target[:, [level]]
        yield _deviation(sample, "risk difference", f"Share of {levels[level]}", "share", scores, 1.0, levels[level])


def _rank_deviations(
    sample: Sample, target: NDArray[np.float64], ranked_among: NDArray[np.float64] | None
) -> Iterator[Asked]:
    n_levels = target.shape[1]
    scores = rank_deviations(sample.lists.shares, target, ranked_among)
    yield _deviation(sample, "mid-rank difference", "Mean mid-rank", "mid-rank", scores, 1.0)
    numbers = np.arange(1.0, n_levels + 1)
    scores = numbers - (target @ numbers)[:, None]
    yield _deviation(sample, "mean level difference", "Mean level", "levels", scores, n_levels - 1.0)


def _less_target(
    sample: Sample, attribute: Attribute, two_way: Results | None, target_mean: float, expected: Expected | None
) -> Sample:
    """Degrees of every list less its own target, and of every slot less what its item's stratum leads one to expect."""
    lists, slots = sample.lists, sample.slots
    assert lists.values is not None, "degrees are only there on an ITA scale"
    if expected is None:
        values = lists.values - target_mean
        slots = slots if slots is None or slots.value is None else replace(slots, value=slots.value - target_mean)
        return replace(sample, lists=replace(lists, values=values), slots=slots)
    if two_way is not None:
        assert attribute.value is not None, "degrees are only there on an ITA scale"
        less = replace(attribute, value=attribute.value - expected.of_strata[two_way.item_stratum])
        slots = counted_slots(two_way, less, lists)
    return replace(sample, lists=replace(lists, values=lists.values - expected.means), slots=slots)
