"""The catalog items that labels are permuted over, and the frozen graph of which item retrieved which (modes A and C1)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.audits.parity.data import MISSING, Attribute, Results, slot_weights, without_self
from auditor.audits.parity.statistics import Array, Statistic, root_steps
from auditor.errors import InputError
from auditor.stats.shuffling import LabelShuffler

#: Most points of the grid on which distributions of degrees are compared, as in `data.lists`.
_GRID_POINTS = 200


@dataclass(frozen=True)
class Units:
    """The catalog items whose label is known: what labels are permuted over.

    A code stands for all that moves with a label: the level, or the degrees with their class.
    """

    place: NDArray[np.intp]  # item -> unit, or -1
    codes: NDArray[np.intp]  # of every unit
    stratum: NDArray[np.intp]
    level_of: NDArray[np.intp]  # code -> level, of those that occur
    value_of: Array | None  # code -> degrees
    n_levels: int

    @classmethod
    def of(cls, results: Results, attribute: Attribute) -> "Units":
        """Units of a catalog; all items are the catalog where there is none.

        Raises
        ------
        InputError
            If they have fewer than two levels.
        """
        known = attribute.level != MISSING
        if results.in_catalog.any():
            known &= results.in_catalog
        items = np.flatnonzero(known)
        place = np.full(results.n_items, -1)
        place[items] = np.arange(len(items))
        levels, level = np.unique(attribute.level[items], return_inverse=True)
        if len(levels) < 2:
            raise InputError(
                "the annotated items of the catalog have fewer than two levels, so there is nothing to compare",
                fix="Check the annotations.",
            )
        stratum = np.unique(results.item_stratum[items], return_inverse=True)[1]
        if attribute.value is None:
            return cls(place, level, stratum, np.arange(len(levels)), None, len(levels))
        values, first, codes = np.unique(attribute.value[items], return_index=True, return_inverse=True)
        return cls(place, codes, stratum, level[first], values, len(levels))

    def slots(self, results: Results, weights: Array) -> tuple[NDArray[np.int32], NDArray[np.intp], Array]:
        """Query, unit and weight of every slot that counts; the weights of a query add up to 1."""
        unit = self.place[results.item]
        counted = (weights > 0) & (unit >= 0)
        if not counted.any():
            raise InputError(
                "no result is a catalog item with a known attribute", fix="Check ids and annotations of the catalog."
            )
        query, weight = results.query[counted], weights[counted]
        total = np.bincount(query, weights=weight)
        return query, unit[counted], weight / total[query]

    def columns(self, statistic: Statistic) -> tuple[NDArray[np.intp], Array]:
        """Codes of the units that hold no more than a statistic needs, and what it adds up of every code, (n_codes, C)."""
        if statistic.columns == "levels":
            return self.level_of[self.codes], np.eye(self.n_levels)
        assert self.value_of is not None, "only scales in degrees have these statistics"
        if statistic.columns == "value":
            return self.codes, self.value_of[:, None]
        grid, bins = self.bins()
        points = np.arange(len(grid))
        return bins[self.codes], (points[:, None] <= points) * root_steps(grid)

    def bins(self) -> tuple[Array, NDArray[np.intp]]:
        """Grid of degrees, and for every code the first of its points that is not below."""
        assert self.value_of is not None
        grid = self.value_of
        if len(grid) > _GRID_POINTS:
            grid = np.unique(np.quantile(grid, np.linspace(0, 1, _GRID_POINTS)))
        return grid, np.searchsorted(grid, self.value_of, side="left")


@dataclass(frozen=True)
class Graph:
    """Which item retrieved which: all that stays when labels are permuted.

    Items that are neither a query nor a result hold labels that the others might get, and no more: items are numbered among
    those that occur.
    """

    units: Units
    occurs: NDArray[np.bool_]  # of every unit
    query_item: NDArray[np.intp]  # of every query
    query_stratum: NDArray[np.intp]
    query: NDArray[np.intp]  # of every slot
    item: NDArray[np.intp]
    weight: Array

    @classmethod
    def of(cls, results: Results, attribute: Attribute, k: int | None, *, rank_aware: bool) -> "Graph":
        """Queries that are units, with the slots of their lists that are, but for those of the query's own item.

        Raises
        ------
        InputError
            If there are none.
        """
        results = without_self(results)
        units = Units.of(results, attribute)
        own = np.where(results.query_item >= 0, units.place[results.query_item], -1)
        weights = slot_weights(results, k, rank_aware=rank_aware)
        if not (own >= 0).any():
            raise InputError(
                "no query is a catalog item with a known attribute",
                fix="Name the column of the query's own item, or compare groups of queries (mode B).",
            )
        query, unit, weight = units.slots(results, np.where(own[results.query] >= 0, weights, 0.0))
        kept, numbered = np.unique(query, return_inverse=True)
        stratum = np.unique(units.stratum[own[kept]], return_inverse=True)[1]
        occurs = np.zeros(len(units.codes), np.bool_)
        occurs[own[kept]] = occurs[unit] = True
        number = np.cumsum(occurs) - 1
        return cls(units, occurs, number[own[kept]], stratum, numbered, number[unit], weight)

    @property
    def codes(self) -> NDArray[np.intp]:
        """Code of every item that occurs."""
        return self.units.codes[self.occurs]

    def shuffler(self) -> LabelShuffler:
        """Draws codes of the items that occur."""
        return LabelShuffler(self.units.codes, self.units.stratum, self.occurs)

    @property
    def n_levels(self) -> int:
        """Levels that occur among the units."""
        return self.units.n_levels

    @property
    def n_queries(self) -> int:
        """Queries that take part."""
        return len(self.query_item)
