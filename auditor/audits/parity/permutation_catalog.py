"""Modes A and C1: attribute labels permuted over the items of a catalog, while the retrieval graph stays as it is.

Both assume that labels are exchangeable over catalog items within strata. That is more than B assumes: see
`auditor.audits.parity.permutation`.
"""

from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.audits.parity.catalog_graph import Graph, Units
from auditor.audits.parity.data import Attribute, Results, slot_weights
from auditor.audits.parity.level_counts import CountingSpace, LevelCounts
from auditor.audits.parity.null_test import NullTest, Plan, Progress, exactly, run
from auditor.audits.parity.statistics import (
    Array,
    Statistic,
    StatisticName,
    choose,
    names,
    names_against_target,
    root_steps,
    within_strata,
)
from auditor.stats.permutation import Blocks, normal_p, quadratic_p, reaches
from auditor.stats.shuffling import LabelShuffler

#: Slots that are counted in one go, over all permutations: few enough to stay in the cache of a core.
_SLOTS_AT_ONCE = 1 << 16
#: Cells that one byte can tell apart.
_BYTE = 256
#: Bytes of the numbers in which codes are fetched.
_PACK = 8


def test_catalog_queries(
    results: Results,
    attribute: Attribute,
    *,
    k: int | None,
    rank_aware: bool = False,
    statistic: StatisticName | None = None,
    n_permutations: int = 9999,
    seed: int = 0,
    sequential: bool = False,
    progress: Progress | None = None,
    n_threads: int | None = None,
    blocks: Blocks | None = None,
) -> NullTest:
    """Mode A: test whether the attribute of the results depends on that of the item that is the query.

    The null hypothesis: labels are exchangeable over the catalog's items within item strata, whatever was retrieved for
    what. A permutation moves the labels of query items and of result items together; to hold the query groups and move only
    the results would not be exact, since the same items are both. Queries are compared within the stratum of their item.
    A query's own item in its list takes no part (see `data.without_self`): its label never parts from that of the query.

    Parameters
    ----------
    results : Results
        With `query_item`. Items without a label keep none and take no part, as do items outside the catalog, if there is
        one, and queries that are not such items.
    k, rank_aware
        As for `data.lists`.
    statistic, n_permutations, seed, sequential, progress, n_threads, blocks
        As for `permutation.test_groups`. Groups are the levels (classes of degrees), in their order.

    Raises
    ------
    InputError
        If fewer than two levels are left, or no query is an item with a known label.
    """
    graph = Graph.of(results, attribute, k, rank_aware=rank_aware)
    ordered = attribute.scale.kind != "nominal"
    chosen = choose(statistic, names(attribute.scale.kind, graph.n_levels, ordered_groups=ordered))
    evaluate = _Evaluation(graph, chosen)
    return run(
        chosen.name,
        float(evaluate(graph.codes[None])[0]),
        graph.shuffler(),
        evaluate,
        Plan(n_permutations, seed, sequential, progress, n_threads, blocks),
        signed=chosen.signed,
        closed_form_p=None,
        method=(
            f"{chosen.name} of {graph.n_queries:,} queries, labels permuted over {len(graph.units.codes):,} catalog items"
            f"{_within(graph.units.stratum)}, those of queries and results together"
        ),
    )


def test_catalog(
    results: Results,
    attribute: Attribute,
    *,
    k: int | None,
    rank_aware: bool = False,
    statistic: StatisticName | None = None,
    n_permutations: int = 9999,
    seed: int = 0,
    sequential: bool = False,
    progress: Progress | None = None,
    n_threads: int | None = None,
    blocks: Blocks | None = None,
) -> NullTest:
    """Mode C1: test whether the results match the catalog.

    The null hypothesis: labels are exchangeable over the catalog's items within item strata, whatever was retrieved. The
    exposure of an item is the sum over queries of its share of that query's weight; the exposure of each level is compared
    with its share of the catalog, stratum by stratum.

    With one list without rank weights, without strata, and two levels, the count of a level is hypergeometric and the
    p-value exact, from that distribution.

    Parameters
    ----------
    results : Results
    k, rank_aware
        As for `data.lists`.
    statistic, n_permutations, seed, sequential, progress, n_threads, blocks
        As for `permutation.test_groups`; statistics of `statistics.names_against_target`.

    Raises
    ------
    InputError
        If no result is a catalog item with a known label, or the catalog has only one level.
    """
    units = Units.of(results, attribute)
    query, unit, weight = units.slots(results, slot_weights(results, k, rank_aware=rank_aware))
    exposure = np.bincount(unit, weights=weight, minlength=len(units.codes)) / len(np.unique(query))
    chosen = choose(statistic, names_against_target(attribute.scale.kind))
    plan = Plan(n_permutations, seed, sequential, progress, n_threads, blocks)
    codes, features = units.columns(chosen)
    expected = _expected_exposure(exposure, codes, features, units.stratum)
    # Degrees are measured from what is expected, so that the target is 0 and needs no shares.
    target = expected if chosen.columns == "levels" else np.ones(features.shape[1])
    method = (
        f"{chosen.name} of the results against the catalog, labels permuted over {len(units.codes):,} items"
        f"{_within(units.stratum)}"
    )

    exposed = exposure > 0

    def evaluate(permuted: NDArray[Any]) -> Array:
        return chosen.against(_exposed(permuted, exposure[exposed], features) - expected, target)

    observed = float(evaluate(codes[exposed][None])[0])
    hypergeometric = units.n_levels == 2 and chosen.columns == "levels" and len(np.unique(units.stratum)) == 1
    if hypergeometric and len(np.unique(exposure[exposure > 0])) == 1:
        n_drawn = int(np.count_nonzero(exposure))
        p, counts = _hypergeometric(codes, exposure, plan)
        null = chosen.against(np.stack([1 - counts / n_drawn, counts / n_drawn], axis=1) - expected, target)
        sentence = f"{chosen.name} of the results against the catalog; the count of a level among {n_drawn:,} items is \
hypergeometric: the p-value is exact."
        return exactly(chosen.name, observed, p, null, plan, chosen.signed, sentence)
    return run(
        chosen.name,
        observed,
        LabelShuffler(codes, units.stratum, exposed),
        evaluate,
        plan,
        signed=chosen.signed,
        closed_form_p=_closed_form_p(exposure, codes, features, units.stratum, chosen, target, observed),
        method=method,
    )


class _Evaluation:
    """Statistics of permuted codes on a frozen retrieval graph."""

    def __init__(self, graph: Graph, statistic: Statistic) -> None:
        self.graph, self.statistic = graph, statistic
        self.n_strata = int(graph.query_stratum.max()) + 1
        units = graph.units
        self.root_steps: Array | None = None
        self.values: Array | None = None
        if statistic.columns == "levels":
            self.column_of, self.n_columns = units.level_of, units.n_levels
        elif statistic.columns == "value":
            self.column_of, self.n_columns, self.values = np.zeros_like(units.level_of), 1, units.value_of
        else:
            grid, self.column_of = units.bins()
            self.n_columns, self.root_steps = len(grid), root_steps(grid)
        self.codes_are_columns = bool((self.column_of == np.arange(len(self.column_of))).all())
        n_cells = self.n_strata * graph.n_levels * self.n_columns
        large = len(graph.item) > _SLOTS_AT_ONCE // _PACK
        packs = large and self.codes_are_columns and self.values is None
        same = np.ptp(graph.weight) < 1e-15 and self.values is None
        self.equal_weight = float(graph.weight[0]) if same else None
        self.list_weight = np.zeros(graph.n_queries)
        self.list_weight[graph.query] = 1.0 if same else graph.weight
        in_lists = same or float(np.abs(self.list_weight[graph.query] - graph.weight).max()) < 1e-15
        self.counts: LevelCounts | None = None
        if packs and in_lists:
            self.counts = LevelCounts.of(graph.query, graph.item, len(graph.codes), self.n_columns)
        # Memory of threads that counted before: it is used again.
        self.spaces: SimpleQueue[_ListSpace] = SimpleQueue()
        # Whole numbers are added up exactly in single precision, as long as they are this small.
        small = self.equal_weight is not None and len(graph.item) < 1 << 24
        self.exact: type[np.floating[Any]] = np.float32 if small else np.float64
        strata = [np.flatnonzero(graph.query_stratum == stratum) for stratum in range(self.n_strata)]
        self.in_stratum: list[Any] = strata if self.n_strata > 1 else [slice(None)]  # a slice copies nothing
        self.packs = packs and n_cells <= _BYTE

    def __call__(self, codes: NDArray[Any]) -> Array:
        """Statistics (rows,) of codes (rows, n_units)."""
        parts = []
        start = 0
        if codes.dtype == np.uint8 and self.counts is not None:
            step = self.counts.together(len(codes))
            # Less than half of what is looked at together is counted faster one by one.
            start = (len(codes) + step // 2) // step * step
            space = self._list_space(self.counts, step)
            parts = [self._by_lists(self.counts, codes[first : first + step], space) for first in range(0, start, step)]
            self.spaces.put(space)
        elif codes.dtype == np.uint8 and self.packs:
            start = len(codes) // _PACK * _PACK
            parts = [self._eight(codes[first : first + _PACK]) for first in range(0, start, _PACK)]
        return np.concatenate([*parts, self._plainly(np.ascontiguousarray(codes[start:]))])

    def _plainly(self, codes: NDArray[Any]) -> Array:
        if not len(codes):
            return np.empty(0)
        n_slots = len(self.graph.item)
        at_once = max(1, min(len(codes), _SLOTS_AT_ONCE // n_slots))
        # Buffers are made once for all rows: fresh memory for every row would take longer than the counting.
        space = _Space(
            np.empty((at_once, n_slots), np.intp),
            np.empty((at_once, n_slots), np.intp),
            np.empty((at_once, n_slots)) if self.values is not None else None,
        )
        parts = [self._some(codes[start : start + at_once], space) for start in range(0, len(codes), at_once)]
        return np.concatenate(parts)

    def _some(self, codes: NDArray[Any], space: "_Space") -> Array:
        graph, n_groups, rows = self.graph, self.graph.n_levels, len(codes)
        cells = self.n_strata * n_groups
        # Every permutation counts in cells of its own: one count is all it takes.
        first = np.arange(rows)[:, None] * cells
        cell = graph.units.level_of[codes[:, graph.query_item]] + graph.query_stratum * n_groups + first
        place, column = space.place[:rows], space.column[:rows]
        np.take(cell * self.n_columns, graph.query, axis=1, out=place, mode="clip")
        weights: Array | None
        if self.values is not None:
            assert space.weight is not None
            weights = space.weight[:rows]
            np.take(self.values[codes], graph.item, axis=1, out=weights, mode="clip")
            weights *= graph.weight
        else:
            columns = codes.astype(np.intp) if self.codes_are_columns else self.column_of[codes]
            np.take(columns, graph.item, axis=1, out=column, mode="clip")
            place += column
            weights = None if self.equal_weight is not None else np.broadcast_to(graph.weight, place.shape)
        counted = np.bincount(
            place.ravel(), None if weights is None else weights.ravel(), minlength=rows * cells * self.n_columns
        )
        return self._of_counts(counted, np.bincount(cell.ravel(), minlength=rows * cells), rows)

    def _eight(self, codes: NDArray[np.uint8]) -> Array:
        """The same for eight permutations of a large graph.

        The eight codes of an item are the bytes of one number, and so are the eight cells of a query: one fetch serves all
        eight, and fetching from all over the catalog is what counting waits for.
        """
        graph, n_groups = self.graph, self.graph.n_levels
        cells = self.n_strata * n_groups
        cell = graph.units.level_of[codes[:, graph.query_item]] + graph.query_stratum * n_groups
        column = np.ascontiguousarray(codes.T).view(np.uint64)[:, 0]
        first = np.ascontiguousarray((cell * self.n_columns).T.astype(np.uint8)).view(np.uint64)[:, 0]
        own_cells = np.tile(np.arange(_PACK) * (cells * self.n_columns), _SLOTS_AT_ONCE // _PACK)
        counted = np.zeros(_PACK * cells * self.n_columns)
        at_once = _SLOTS_AT_ONCE // _PACK
        space = np.empty_like(own_cells)
        for start in range(0, len(graph.item), at_once):
            slots = slice(start, start + at_once)
            together = column.take(graph.item[slots])
            together += first.take(graph.query[slots])  # no byte overflows: there are at most `_BYTE` cells
            place = space[: _PACK * len(together)]
            np.add(together.view(np.uint8), own_cells[: len(place)], out=place)
            weights = None if self.equal_weight is not None else np.repeat(graph.weight[slots], _PACK)
            counted += np.bincount(place, weights, minlength=len(counted))
        sizes = np.bincount((cell + np.arange(_PACK)[:, None] * cells).ravel(), minlength=_PACK * cells)
        return self._of_counts(counted, sizes, _PACK)

    def _list_space(self, counts: LevelCounts, together: int) -> "_ListSpace":
        """Memory for so many permutations: what another block left, if it is large enough."""
        try:
            space = self.spaces.get_nowait()
        except Empty:
            pass
        else:
            if len(space.by_list) == together:
                return space
        shape = (together, self.graph.n_levels, self.graph.n_queries)
        by_list = np.empty((together, self.n_columns, self.graph.n_queries), self.exact)
        return _ListSpace(counts.space(together), by_list, np.empty(shape, np.bool_), np.empty(shape, self.exact))

    def _by_lists(self, counts: LevelCounts, codes: NDArray[np.uint8], space: "_ListSpace") -> Array:
        """The same for some permutations where the results of a list weigh alike: lists are counted first."""
        rows, n_groups = len(codes), self.graph.n_levels
        by_list, is_member, weighted = space.by_list[:rows], space.is_member[:rows], space.weighted[:rows]
        by_list[...] = counts(codes.T, space.counting)
        group = np.take(self.graph.units.level_of.astype(np.uint8), codes.T[self.graph.query_item]).T
        np.equal(group[:, None, :], np.arange(n_groups, dtype=np.uint8)[:, None], out=is_member)
        np.multiply(is_member, self.list_weight if self.equal_weight is None else self.exact(1), out=weighted)
        tables = np.empty((rows, self.n_strata, n_groups, self.n_columns))
        sizes = np.empty(tables.shape[:3])
        for stratum, queries in enumerate(self.in_stratum):
            sizes[:, stratum] = is_member[:, :, queries].sum(axis=-1)
            tables[:, stratum] = weighted[:, :, queries] @ by_list[:, :, queries].transpose(0, 2, 1)
        return self._of_counts(tables, sizes, rows)

    def _of_counts(self, counted: NDArray[Any], sizes: NDArray[Any], rows: int) -> Array:
        shape = (rows, self.n_strata, self.graph.n_levels)
        tables: Array = counted.reshape(*shape, self.n_columns) * np.float64(self.equal_weight or 1)
        if self.root_steps is not None:
            tables = np.cumsum(tables, axis=-1) * self.root_steps
        return self.statistic.between(*within_strata(tables, sizes.reshape(shape).astype(np.float64)))


@dataclass(frozen=True)
class _Space:
    """Memory for the cells, columns and weights of some permutations' slots, (rows, n_slots)."""

    place: NDArray[np.intp]
    column: NDArray[np.intp]
    weight: Array | None


@dataclass(frozen=True)
class _ListSpace:
    """Memory for lists that are counted first: counts by list and level, and which queries are of which group."""

    counting: CountingSpace
    by_list: NDArray[np.floating[Any]]
    is_member: NDArray[np.bool_]
    weighted: NDArray[np.floating[Any]]


def _exposed(codes: NDArray[Any], exposure: Array, features: Array) -> Array:
    """Exposure of every column, (rows, C) from codes (rows, n_units) and features of codes (n_codes, C)."""
    n_codes = len(features)
    at_once = max(1, _SLOTS_AT_ONCE // len(exposure))
    by_code = np.empty((len(codes), n_codes))
    for start in range(0, len(codes), at_once):
        some = codes[start : start + at_once]
        place = some + np.arange(len(some))[:, None] * np.intp(n_codes)
        weights = np.broadcast_to(exposure, some.shape).ravel()
        counted = np.bincount(place.ravel(), weights, minlength=len(some) * n_codes)
        by_code[start : start + at_once] = counted.reshape(-1, n_codes)
    return by_code @ features


def _expected_exposure(exposure: Array, codes: NDArray[np.intp], features: Array, stratum: NDArray[np.intp]) -> Array:
    """Exposure of every column if labels were spread evenly within strata, (C,)."""
    expected: Array = np.zeros(features.shape[1])
    for one in np.unique(stratum):
        here = stratum == one
        expected += exposure[here].sum() * (np.bincount(codes[here], minlength=len(features)) @ features / here.sum())
    return expected


def _closed_form_p(
    exposure: Array,
    codes: NDArray[np.intp],
    features: Array,
    stratum: NDArray[np.intp],
    statistic: Statistic,
    target: Array,
    observed: float,
) -> float:
    """p-value from the closed-form mean and variance of linear permutation statistics.

    Cov(sum e_i F_c, sum e_i F_d) = sum over strata of SS(e) SS(F)_cd / (n - 1), sums of squares about stratum means.
    """
    along = features @ statistic.axes(target)
    covariance = np.zeros((along.shape[1], along.shape[1]))
    for one in np.unique(stratum):
        here = stratum == one
        n = int(np.count_nonzero(here))
        if n > 1:
            count = np.bincount(codes[here], minlength=len(along))
            apart = along - count @ along / n
            shared = (apart * count[:, None]).T @ apart / (n - 1)
            covariance += np.square(exposure[here] - exposure[here].mean()).sum() * shared
    if statistic.signed:
        variance = float(covariance[0, 0])
        return normal_p(observed / np.sqrt(variance)) if variance > 1e-24 else 1.0
    return quadratic_p(observed, float(np.trace(covariance)), 2 * float(np.square(covariance).sum()))


def _hypergeometric(codes: NDArray[np.intp], exposure: Array, plan: Plan) -> tuple[float, NDArray[np.int64]]:
    """Two-sided p-value of the number of exposed items with code 1, and draws of that number under the null.

    All counts at least as far from the expected one as the observed count are added up.
    """
    from scipy.stats import hypergeom

    total, n_ones, n_drawn = len(codes), int(codes.sum()), int(np.count_nonzero(exposure))
    observed = int(codes[exposure > 0].sum())
    counts = np.arange(max(0, n_drawn + n_ones - total), min(n_drawn, n_ones) + 1)
    centre = n_drawn * n_ones / total
    far = reaches(np.abs(counts - centre), abs(observed - centre))
    p = min(1.0, float(hypergeom.pmf(counts[far], total, n_ones, n_drawn).sum()))
    draws = np.random.default_rng(plan.seed).hypergeometric(n_ones, total - n_ones, n_drawn, plan.n_permutations)
    return p, draws


def _within(stratum: NDArray[np.intp]) -> str:
    n_strata = len(np.unique(stratum))
    return f" within {n_strata:,} strata" if n_strata > 1 else ""
