"""Descriptive measures of fair ranking: skew@k, NDKL and AWRF. They are shown, never tested.

For the list of one query with reference shares r (the catalog's, the query's target, or those of all results):

    skew@k of level c = ln(p_c / r_c),  p_c the share of c within the first k
    NDKL = sum_i KL(p(i) || r) / log2(1 + i)  over  sum_i 1 / log2(1 + i),  p(i) the shares within the first i
    AWRF = 1 - JS(e, r),  e the shares of attention when a result at rank i gets 1 / log2(1 + i), JS to base 2

and then the mean over queries, each query weighing the same. Smoothing (ours): a constant s is added to the count of every
level, and to the count n r_c that the reference leads one to expect, so that p_c = (n_c + s) / (n + s C) and r_c = (n r_c +
s) / (n + s C): an absent level has a logarithm, and a list that matches its reference still has skew 0. AWRF needs none.

References
----------
[1] S. C. Geyik, S. Ambler, K. Kenthapadi, "Fairness-aware ranking in search & recommendation systems with application to
    LinkedIn talent search", KDD (2019): skew@k and NDKL.
[2] P. Sapiezynski, W. Zeng, R. E. Robertson, A. Mislove, C. Wilson, "Quantifying the impact of user attention on fair group
    representation in ranked lists", WWW Companion (2019); A. Raj, M. D. Ekstrand, "Measuring fairness in ranked results: an
    analytical and empirical comparison", SIGIR (2022): AWRF. They leave attention and distance open; the logarithmic
    discount and 1 - JS are those of the TREC 2022 Fair Ranking track, where 1 is best.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.audits.parity.data import MISSING, Attribute, Results


@dataclass(frozen=True)
class Measure:
    """A descriptive measure, averaged over the queries of a group.

    Attributes
    ----------
    group : str
        Name of the group, or "all".
    measure : str
        "skew@10" (with its k), "skew" without a cut-off, "NDKL" or "AWRF".
    level : str or None
        For skew.
    value : float or None
        None where it is not defined: without smoothing, a level that is absent or not expected.
    smoothing : str
        The rule that was applied.
    """

    group: str
    measure: str
    level: str | None
    value: float | None
    smoothing: str


def describe(
    results: Results,
    attribute: Attribute,
    group: NDArray[np.int16],
    group_names: Sequence[str],
    reference: NDArray[np.float64],
    *,
    k: int | None,
    smoothing: float,
) -> list[Measure]:
    """skew@k, NDKL and AWRF for all queries, and for the queries of each group.

    Parameters
    ----------
    results : Results
    attribute : Attribute
        Slots of unknown attribute are passed over; what stands below them keeps its rank.
    group : ndarray of int16, shape (n_queries,)
        Group of every query; all `MISSING` where there are no groups.
    group_names : sequence of str
    reference : ndarray of float64, shape (n_levels,) or (n_queries, n_levels)
        Reference shares; rows sum to 1.
    k : int or None
        Cut-off.
    smoothing : float
        The constant s, at least 0.
    """
    tables = _prefixes(results, attribute, k)
    if not len(tables.last):
        return []
    queries = tables.query[tables.last]
    target = np.broadcast_to(reference, (results.n_queries, len(attribute.scale.levels)))
    skew = _skew(tables.counts[tables.last], target[queries], smoothing)
    ndkl, awrf = _ndkl(tables, target, smoothing), _awrf(tables, target)
    rule = f"{smoothing:g} added to every observed and expected count" if smoothing else "none"
    found = []
    sets = [("all", np.ones(len(queries), np.bool_))]
    sets += [(name, group[queries] == number) for number, name in enumerate(group_names)]
    for name, chosen in sets:
        if not chosen.any():
            continue
        title = "skew" if k is None else f"skew@{k}"
        found += [
            Measure(name, title, level, _mean(skew[chosen, c]), rule) for c, level in enumerate(attribute.scale.levels)
        ]
        found.append(Measure(name, "NDKL", None, _mean(ndkl[chosen]), rule))
        found.append(Measure(name, "AWRF", None, _mean(awrf[chosen]), "none"))
    return found


@dataclass(frozen=True)
class _Prefixes:
    """Known slots in order of query and rank, with what has been counted down to each."""

    query: NDArray[np.int32]
    discount: NDArray[np.float64]
    level: NDArray[np.int16]
    counts: NDArray[np.float64]
    first: NDArray[np.intp]
    last: NDArray[np.intp]


def _prefixes(results: Results, attribute: Attribute, k: int | None) -> _Prefixes:
    level = attribute.level[results.item]
    kept = level != MISSING
    if k is not None:
        kept &= results.rank <= k
    query, level = results.query[kept], level[kept]
    one_each = (level[:, None] == np.arange(len(attribute.scale.levels))).astype(np.float64)
    first = np.flatnonzero(np.diff(query, prepend=-1))
    last = np.append(first[1:], len(query)) - 1 if len(query) else first
    running = np.cumsum(one_each, axis=0)
    before = running[first] - one_each[first]
    counts = running - np.repeat(before, last - first + 1, axis=0)
    return _Prefixes(query, 1 / np.log2(1.0 + results.rank[kept]), level, counts, first, last)


def _smoothed(
    counts: NDArray[np.float64], target: NDArray[np.float64], smoothing: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n = counts.sum(axis=1, keepdims=True)
    total = n + smoothing * counts.shape[1]
    return (counts + smoothing) / total, (n * target + smoothing) / total


def _skew(counts: NDArray[np.float64], target: NDArray[np.float64], smoothing: float) -> NDArray[np.float64]:
    observed, expected = _smoothed(counts, target, smoothing)
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithm: NDArray[np.float64] = np.log(observed) - np.log(expected)
    return logarithm


def _ndkl(tables: _Prefixes, target: NDArray[np.float64], smoothing: float) -> NDArray[np.float64]:
    observed, expected = _smoothed(tables.counts, target[tables.query], smoothing)
    divergence = _divergence(observed, expected)
    # A sum over the slots of each query: with sums of products an infinite divergence stays what it is.
    weighted = np.add.reduceat(divergence * tables.discount, tables.first)
    means: NDArray[np.float64] = weighted / np.add.reduceat(tables.discount, tables.first)
    return means


def _awrf(tables: _Prefixes, target: NDArray[np.float64]) -> NDArray[np.float64]:
    one_each = (tables.level[:, None] == np.arange(target.shape[1])) * tables.discount[:, None]
    attention = np.add.reduceat(one_each, tables.first, axis=0)
    attention = attention / attention.sum(axis=1, keepdims=True)
    wanted = target[tables.query[tables.first]]
    middle = (attention + wanted) / 2
    distance = (_divergence(attention, middle) + _divergence(wanted, middle)) / (2 * np.log(2))
    nearness: NDArray[np.float64] = 1 - distance
    return nearness


def _divergence(p: NDArray[np.float64], r: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kullback-Leibler divergence of each row, in nats, with 0 log 0 = 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * (np.log(p) - np.log(r)), 0.0)
    sums: NDArray[np.float64] = terms.sum(axis=1)
    return sums


def _mean(values: NDArray[np.float64]) -> float | None:
    return float(values.mean()) if np.isfinite(values).all() else None
