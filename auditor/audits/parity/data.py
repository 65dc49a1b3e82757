"""What a parity test sees: ranked results, the attribute of every item, the group of every query.

Everything is numbered: queries from 0 to Q - 1 and items from 0 to N - 1 in the order in which they first stand in the
files (the catalog first, if there is one), so that a million slots are a few arrays.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from auditor.audits.findings import Caution
from auditor.audits.parity.areas import Degrees
from auditor.audits.reading.columnar import MISSING as EMPTY

ScaleKind = Literal["nominal", "ordinal", "ita"]
#: Level of an item whose attribute is not known: the code of an empty cell.
MISSING = EMPTY
#: Cut-offs of the individual typology angle, degrees, and the names of the classes from dark to very light.
ITA_CUTOFFS = (-30.0, 10.0, 28.0, 41.0, 55.0)
ITA_CLASSES = ("dark", "brown", "tan", "intermediate", "light", "very light")


@dataclass(frozen=True)
class Scale:
    """How an attribute is measured.

    Attributes
    ----------
    kind : str
        "nominal" (names without order), "ordinal" (levels in order) or "ita" (degrees).
    levels : tuple of str
        Names of the levels, in order for an ordinal scale; `ITA_CLASSES` for degrees.
    """

    kind: ScaleKind
    levels: tuple[str, ...]


@dataclass(frozen=True)
class Attribute:
    """An attribute of every item.

    Attributes
    ----------
    level : ndarray of int16, shape (n_items,)
        Number of the level; `MISSING` where it is not known. For degrees the class by `ITA_CUTOFFS`.
    value : ndarray of float64, shape (n_items,), or None
        Degrees, nan where not known; None on the other scales.
    hue : ndarray of float64, shape (n_items,), or None
        Hue angle of the colours that degrees were read from, nan for greys and where not known; None without colours.
    """

    name: str
    scale: Scale
    level: NDArray[np.int16]
    value: NDArray[np.float64] | None = None
    hue: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Results:
    """Ranked results with everything that is known of queries and items.

    Attributes
    ----------
    query_ids, item_ids : tuple of str
        Ids in the files; lengths Q and N.
    query, item : ndarray of int32, shape (n_slots,)
        Query and item of every slot; slots of one query side by side, in order of rank.
    rank : ndarray of int32, shape (n_slots,)
        From 1, after the declared rule for gaps.
    score : ndarray of float64, shape (n_slots,), or None
        Retrieval scores; shown, never tested.
    group_names : tuple of str
        Names of the query groups, in their declared order if they have one.
    query_group : ndarray of int16, shape (Q,)
        Number of each query's group; `MISSING` where there are no groups.
    query_stratum, item_stratum : ndarray of int32, shapes (Q,) and (N,)
        Stratum of each query and item; zeros where there are no strata.
    stratum_names : tuple of str
    query_item : ndarray of int32, shape (Q,)
        The item that each query is (mode A); `MISSING` where it is none.
    in_catalog : ndarray of bool, shape (N,)
        Whether the item stands in the catalog; all False where there is no catalog.
    attributes : mapping of str to Attribute
        By name; the first one is the primary one.
    shares : ndarray of float64, shape (Q, n_levels), or None
        Target share of every level of the primary attribute for every query (mode C2); rows sum to 1.
    target_mean : float or None
        Target mean in degrees, for mode C2 on an ITA scale.
    images : mapping of int to str
        Item -> path of its image, where there is one.
    image_folder : str
        Where the paths of a column of images begin; empty without such a column.
    cautions : tuple of Caution
        Everything that was noticed while reading, counted.
    excluded : mapping of str to int
        What was left out, by reason, in slots.
    """

    query_ids: tuple[str, ...]
    item_ids: tuple[str, ...]
    query: NDArray[np.int32]
    item: NDArray[np.int32]
    rank: NDArray[np.int32]
    score: NDArray[np.float64] | None
    group_names: tuple[str, ...]
    query_group: NDArray[np.int16]
    query_stratum: NDArray[np.int32]
    item_stratum: NDArray[np.int32]
    stratum_names: tuple[str, ...]
    query_item: NDArray[np.int32]
    in_catalog: NDArray[np.bool_]
    attributes: Mapping[str, Attribute]
    shares: NDArray[np.float64] | None = None
    target_mean: float | None = None
    images: Mapping[int, str] = field(default_factory=dict)
    image_folder: str = ""
    cautions: tuple[Caution, ...] = ()
    excluded: Mapping[str, int] = field(default_factory=dict)

    @property
    def n_queries(self) -> int:
        """Q."""
        return len(self.query_ids)

    @property
    def n_items(self) -> int:
        """N."""
        return len(self.item_ids)

    @property
    def has_groups(self) -> bool:
        """Whether queries have groups."""
        return bool(self.group_names)


#: Why results are left out that are the query's own item, and the code of the caution about them.
ITSELF = "the query itself"
FINDS_ITSELF = "query-finds-itself"


def without_self(results: Results) -> Results:
    """Results without those whose item is the query's own, counted in `excluded` and in a caution.

    Such a result has the label of its query under every permutation of labels (mode A): it would pass for a preference of
    1 / K for the query's own level. Ranks stay as they are, so that K counts positions, not results that are left.
    """
    own = (results.query_item[results.query] != MISSING) & (results.query_item[results.query] == results.item)
    count = int(np.count_nonzero(own))
    if not count:
        return results
    message = (
        f"Results that are the very item that the query is: {count:,}. They have the query's attribute by themselves and take "
        "no part in mode A; ranks stay as they are, so K counts positions with them."
    )
    cautions = [caution for caution in results.cautions if caution.code != FINDS_ITSELF]
    kept = ~own
    return replace(
        results,
        query=results.query[kept],
        item=results.item[kept],
        rank=results.rank[kept],
        score=None if results.score is None else results.score[kept],
        cautions=(*cautions, Caution(code=FINDS_ITSELF, message=message, count=count)),
        excluded={**results.excluded, ITSELF: count},
    )


@dataclass(frozen=True)
class Lists:
    """The top K of every query as one row of numbers: all that a test of whole lists needs.

    Attributes
    ----------
    queries : ndarray of int32, shape (n,)
        Numbers of the queries that have at least one slot with a known attribute within K.
    shares : ndarray of float64, shape (n, n_levels)
        Weighted share of each level among the slots whose level is known; rows sum to 1, so every query weighs the same.
    values : ndarray of float64, shape (n,), or None
        Weighted mean in degrees, on an ITA scale.
    cumulative : ndarray of float64, shape (n, n_grid), or None
        Weighted share of slots at or below each point of `grid`, on an ITA scale.
    grid : ndarray of float64, shape (n_grid,), or None
        Degrees, ascending: at most 200 points, the quantiles of all known values (all distinct values if there are fewer).
    size, known : ndarray of int32, shape (n,)
        Slots within K, and those of them whose attribute is known.
    k : int or None
        Cut-off that was applied; None for all results.
    rank_aware : bool
        Whether slots weigh 1 / log2(1 + rank) instead of 1.
    degrees : Degrees or None
        Of every slot with a known value, on an ITA scale; rows are numbers of queries.
    """

    queries: NDArray[np.int32]
    shares: NDArray[np.float64]
    values: NDArray[np.float64] | None
    cumulative: NDArray[np.float64] | None
    grid: NDArray[np.float64] | None
    size: NDArray[np.int32]
    known: NDArray[np.int32]
    k: int | None
    rank_aware: bool
    degrees: Degrees | None = None


def slot_weights(results: Results, k: int | None, *, rank_aware: bool) -> NDArray[np.float64]:
    """Weight of every slot, shape (n_slots,): 0 beyond K, else 1, or 1 / log2(1 + rank)."""
    weights = 1 / np.log2(1.0 + results.rank) if rank_aware else np.ones(len(results.rank))
    return np.where(results.rank <= k, weights, 0.0) if k is not None else weights


def lists(
    results: Results,
    attribute: Attribute,
    *,
    k: int | None,
    rank_aware: bool,
    grid_of: NDArray[np.float64] | None = None,
) -> Lists:
    """Top-K lists of every query for one attribute.

    A slot whose item's attribute is missing takes no part; a query without any known slot is left out. What was left
    out is seen from `size`, `known` and the queries that are not there. On an ITA scale `grid_of` are the degrees that the
    grid is made from, where lists are compared with others than each other; no slot has more than the largest of them.
    """
    weights = slot_weights(results, k, rank_aware=rank_aware)
    level = attribute.level[results.item]
    counted = (level != MISSING) & (weights > 0)
    n_levels = len(attribute.scale.levels)
    query, slot_level, weight = results.query[counted], level[counted], weights[counted]
    table = np.bincount(query * np.intp(n_levels) + slot_level, weights=weight, minlength=results.n_queries * n_levels)
    table = table.reshape(results.n_queries, n_levels)
    total = table.sum(axis=1)
    kept = np.flatnonzero(total > 0).astype(np.int32)
    values = cumulative = grid = degrees = None
    if attribute.value is not None:
        slot_value = attribute.value[results.item][counted]
        values = np.bincount(query, weights=weight * slot_value, minlength=results.n_queries)[kept] / total[kept]
        grid = degrees_grid(slot_value if grid_of is None else grid_of)
        cumulative = _cumulative(query, slot_value, weight, grid, results.n_queries)[kept] / total[kept, None]
        degrees = Degrees(query, slot_value, weight / total[query])
    return Lists(
        queries=kept,
        shares=table[kept] / total[kept, None],
        values=values,
        cumulative=cumulative,
        grid=grid,
        size=np.bincount(results.query[weights > 0], minlength=results.n_queries)[kept].astype(np.int32),
        known=np.bincount(query, minlength=results.n_queries)[kept].astype(np.int32),
        k=k,
        rank_aware=rank_aware,
        degrees=degrees,
    )


_GRID_POINTS = 200


def degrees_grid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """At most 200 degrees, ascending: the quantiles of the distinct values, or all of them if there are fewer."""
    distinct = np.unique(values)
    if len(distinct) <= _GRID_POINTS:
        return distinct
    return np.unique(np.quantile(distinct, np.linspace(0, 1, _GRID_POINTS)))


def _cumulative(
    query: NDArray[np.int32],
    value: NDArray[np.float64],
    weight: NDArray[np.float64],
    grid: NDArray[np.float64],
    n_queries: int,
) -> NDArray[np.float64]:
    bins = np.searchsorted(grid, value, side="left")  # the first point at or above the value
    table = np.bincount(query * np.intp(len(grid)) + bins, weights=weight, minlength=n_queries * len(grid))
    cumulative: NDArray[np.float64] = np.cumsum(table.reshape(n_queries, len(grid)), axis=1)
    return cumulative
