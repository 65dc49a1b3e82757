"""scipy.stats.permutation_test at its best, as the peer of the parity test: statistics in numpy and scipy alone.

None of them uses code of ours, and all of them permute as scipy does: with its own shuffles of indices, and its own gathering of
the data. (scipy's shuffles with our kernel as the statistic are no peers: `tests.benchmarks.parity` prints them as ratios of
their own, `..._given_our_kernel`.)

Every statistic here takes labels as scipy hands them over, (..., n), and gives chi-square, sum of (M - E)^2 / E over groups
and levels. Written down are those that came out fastest or that one would write first; each round measures all of them, and
the fastest one counts. What else was tried, and was slower:

- mode B: products with memberships that scipy shuffles as float64 or float32 themselves (its gather of small integers is
  cheaper), `np.einsum`, shares (levels x queries) from the left, one batch for everything.
- mode A: one `np.bincount` over a whole batch (its cells leave the cache), sparse products with indicators of one permutation
  at a time or as float64, exposures of groups from the left, `scipy.sparse.coo_array`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy import sparse

Array = NDArray[np.float64]
Statistic = Callable[..., Array]


@dataclass(frozen=True)
class Peer:
    """What scipy.stats.permutation_test is given.

    Attributes
    ----------
    data : tuple of ndarray
        Samples.
    statistic : callable
        (*samples, axis) -> statistics.
    kind : str
        Its `permutation_type`.
    batch : int
        Permutations at a time: the one that came out fastest.
    sizes : (int, int)
        Numbers of permutations whose difference is scaled.
    """

    data: tuple[NDArray[Any], ...]
    statistic: Statistic
    kind: str
    batch: int
    sizes: tuple[int, int]


def of_labels(labels: NDArray[Any], statistic: Callable[[NDArray[Any]], Array], batch: int, last: int) -> Peer:
    """One vector of labels, shuffled; `statistic` takes (rows, n)."""

    def of_any(drawn: NDArray[Any], axis: int) -> Array:
        found = statistic(np.atleast_2d(drawn))
        return found if drawn.ndim > 1 else found[0]

    return Peer((labels,), of_any, "pairings", batch, (10, last))


def mode_b(shares: Array, group: NDArray[Any]) -> dict[str, Peer]:
    """Peers of mode B with two groups.

    Parameters
    ----------
    shares : ndarray of shape (n_queries, n_levels)
        Reduced beforehand, as for ours.
    group : ndarray of int, shape (n_queries,)
        0 or 1.
    """
    mean = shares.mean(axis=0)
    sizes = np.bincount(group)
    # With two groups M - E of the one is that of the other with its sign turned round.
    weight = 1 / (sizes[0] * mean) + 1 / (sizes[1] * mean)
    labels = group.astype(np.int8)

    def product(kind: DTypeLike) -> Callable[[NDArray[Any]], Array]:
        centred = (shares - mean).astype(kind)

        def statistic(drawn: NDArray[Any]) -> Array:
            apart: Array = ((drawn == 0).astype(kind) @ centred).astype(np.float64)
            return np.square(apart) @ weight

        return statistic

    def gathered(first: NDArray[Any], _second: NDArray[Any], axis: int) -> Array:
        apart: Array = shares[first].sum(axis=axis - 1) - sizes[0] * mean
        return np.square(apart) @ weight

    members = (np.flatnonzero(group == 0), np.flatnonzero(group == 1))
    return {
        "product_float32": of_labels(labels, product(np.float32), 16, 810),
        "product_float64": of_labels(labels, product(np.float64), 16, 810),
        "gather": Peer(members, gathered, "independent", 10, (10, 310)),
    }


def mode_a(
    codes: NDArray[Any], query_unit: NDArray[Any], slots: tuple[NDArray[Any], ...], levels: int
) -> dict[str, Peer]:
    """Peers of mode A.

    Parameters
    ----------
    codes : ndarray of int, shape (n_items,)
        Level of every item.
    query_unit : ndarray of int, shape (n_queries,)
        The item of every query.
    slots : (query, item, weight), each of shape (n_slots,)
    levels : int
        At most 11, so that a cell is a small integer.
    """
    query, item, weight = slots
    labels = codes.astype(np.int8)
    n_queries, n_cells = len(query_unit), levels * levels
    first = np.arange(levels, dtype=np.int8) * np.int8(levels)

    def chi_square(tables: Array, sizes: Array) -> Array:
        expected = sizes[:, :, None] * (tables.sum(axis=1) / n_queries)[:, None, :]
        cells: Array = np.square(tables - expected) / expected
        return cells.sum(axis=(1, 2))

    def counted(count: Callable[[NDArray[Any]], Array]) -> Callable[[NDArray[Any]], Array]:
        def statistic(drawn: NDArray[Any]) -> Array:
            own = drawn[:, query_unit]
            tables = [count(first[group][query] + each[item]) for group, each in zip(own, drawn, strict=True)]
            sizes = [np.bincount(group, minlength=levels) for group in own]
            return chi_square(np.reshape(tables, (-1, levels, levels)), np.array(sizes, np.float64))

        return statistic

    # The same with labels of queries broadcast over rows of results; shorter lists are filled up with what weighs nothing.
    lengths = np.bincount(query, minlength=n_queries)
    held = np.arange(lengths.max()) < lengths[:, None]
    row_items, row_weights = np.zeros(held.shape, np.intp), np.zeros(held.shape)
    order = np.argsort(query, kind="stable")
    row_items[held], row_weights[held] = item[order], weight[order]

    def broadcast(drawn: NDArray[Any]) -> Array:
        own = drawn[:, query_unit]
        tables = [
            np.bincount(
                (first[group][:, None] + each.take(row_items, mode="clip")).ravel(),
                row_weights.ravel(),
                minlength=n_cells,
            )
            for group, each in zip(own, drawn, strict=True)
        ]
        sizes = [np.bincount(group, minlength=levels) for group in own]
        return chi_square(np.reshape(tables, (-1, levels, levels)), np.array(sizes, np.float64))

    def added(cell: NDArray[Any]) -> Array:
        table = np.zeros(n_cells)
        np.add.at(table, cell, weight)
        return table

    exposure = sparse.csr_array(
        (weight.astype(np.float32), (query.astype(np.int32), item.astype(np.int32))), shape=(n_queries, len(codes))
    )

    def product(drawn: NDArray[Any]) -> Array:
        every = np.arange(levels, dtype=np.int8)
        indicators = (drawn.T[:, :, None] == every).astype(np.float32).reshape(len(codes), -1)
        seen = (exposure @ indicators).reshape(n_queries, len(drawn), levels)
        own = (drawn[:, query_unit, None] == every).astype(np.float32)
        tables = np.einsum("bqg,qbc->bgc", own, seen, optimize=True).astype(np.float64)
        return chi_square(tables, own.sum(axis=1).astype(np.float64))

    return {
        "bincount": of_labels(labels, counted(lambda cell: np.bincount(cell, weight, minlength=n_cells)), 8, 170),
        "bincount_of_rows": of_labels(labels, broadcast, 4, 170),
        "add_at": of_labels(labels, counted(added), 8, 170),
        "sparse_product": of_labels(labels, product, 4, 50),
    }
