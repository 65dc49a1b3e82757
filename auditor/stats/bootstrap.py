"""Percentile bootstrap by clusters: of a mean, and of any statistics of the drawn rows.

Source: B. Efron, R. Tibshirani, An Introduction to the Bootstrap (1993), chapter 13 (percentile intervals);
A. C. Davison, D. V. Hinkley, Bootstrap Methods and their Application (1997), section 3.8 (whole clusters drawn).
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

N_RESAMPLES = 2000
#: Below this number of groups a percentile interval is too narrow to be quoted without a word (our choice).
FEW_GROUPS = 20


@dataclass(frozen=True)
class Interval:
    """A mean with its interval.

    Attributes
    ----------
    mean : float
        Mean of all values.
    low, high : float or None
        Bounds of the interval; None with fewer than two clusters, where nothing can be resampled.
    n, clusters : int
        Number of values, and of groups that were drawn together.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    clusters: int


def mean_interval(
    values: NDArray[np.float64],
    groups: Sequence[Hashable] | None = None,
    *,
    confidence: float,
    seed: int,
    n_resamples: int = N_RESAMPLES,
) -> Interval:
    """Mean with a percentile interval from a bootstrap over groups.

    Whole groups are drawn with replacement, as many as there are; the statistic is the mean over all values of
    the drawn groups. With few groups (under about 20) such intervals are too narrow: say so beside them.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Finite.
    groups : sequence of n hashables, optional
        Values of one group go together; every value is its own group if not given.
    confidence : float
        Nominal coverage, between 0 and 1.
    seed : int
        Seed of the draws.

    Raises
    ------
    ValueError
        If there are no values, a value is not finite, or the lengths differ.
    """
    if values.size == 0 or not np.isfinite(values).all():
        raise ValueError("a mean needs at least one value, and finite ones")
    if groups is not None and len(groups) != values.size:
        raise ValueError("values and groups differ in length")
    sums, sizes = _by_group(values, groups)
    mean, clusters = float(values.mean()), len(sums)
    if clusters < 2:
        return Interval(mean, None, None, values.size, clusters)
    generator = np.random.default_rng(seed)
    means = np.empty(n_resamples)
    for i in range(n_resamples):
        drawn = generator.integers(0, clusters, clusters)
        means[i] = sums[drawn].sum() / sizes[drawn].sum()
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(mean, float(low), float(high), values.size, clusters)


def intervals(
    statistics: Callable[[NDArray[np.intp]], NDArray[np.float64]],
    groups: Sequence[Hashable] | None,
    n: int,
    *,
    confidence: float,
    seed: int,
    n_resamples: int = N_RESAMPLES,
) -> NDArray[np.float64]:
    """Percentile intervals of several statistics from one bootstrap over groups.

    All statistics see the same draws, so that differences between them can be taken draw by draw: give the
    difference as a statistic of its own.

    Parameters
    ----------
    statistics : callable
        Takes row numbers, an array of shape (m,) in which the rows of a group drawn twice stand twice, and returns
        k numbers; nan where a statistic is undefined in that draw (a constant judge has no rank correlation).
    groups : sequence of n hashables or None
        Rows of one group go together; every row is its own group if None. All rows of group None are one group:
        give rows without a context names of their own.
    n : int
        Number of rows, at least 1.
    confidence : float
        Nominal coverage, between 0 and 1.
    seed : int
        Seed of the draws.

    Returns
    -------
    ndarray of shape (k, 2)
        Lower and upper bounds: percentiles of the draws in which the statistic is defined. nan with fewer than two
        groups, and where a statistic is undefined in more than half of the draws (ours).

    Raises
    ------
    ValueError
        If there are no rows, the lengths differ, or the confidence is not between 0 and 1.
    """
    if n < 1:
        raise ValueError("a bootstrap needs at least one row")
    if groups is not None and len(groups) != n:
        raise ValueError("groups and rows differ in length")
    if not 0 < confidence < 1:
        raise ValueError("the confidence lies between 0 and 1")
    index = np.arange(n) if groups is None else group_numbers(groups)
    clusters = int(index.max()) + 1
    k = len(statistics(np.arange(n)))
    if clusters < 2:
        return np.full((k, 2), np.nan)
    rows = np.argsort(index, kind="stable")  # rows of one group side by side
    sizes = np.bincount(index)
    starts = np.cumsum(sizes) - sizes
    generator = np.random.default_rng(seed)
    draws = np.empty((n_resamples, k))
    for i in range(n_resamples):
        drawn = generator.integers(0, clusters, clusters)
        draws[i] = statistics(rows[_concatenated_ranges(starts[drawn], sizes[drawn])])
    tail = (1 - confidence) / 2
    bounds = np.full((k, 2), np.nan)
    for j, values in enumerate(draws.T):
        defined = values[np.isfinite(values)]
        if 2 * defined.size >= n_resamples:
            bounds[j] = np.quantile(defined, [tail, 1 - tail])
    return bounds


def _concatenated_ranges(starts: NDArray[np.intp], sizes: NDArray[np.intp]) -> NDArray[np.intp]:
    """Start, start + 1, ... of every range, one after another, without a loop."""
    ends = np.cumsum(sizes)
    ranges: NDArray[np.intp] = np.arange(ends[-1]) + np.repeat(starts - (ends - sizes), sizes)
    return ranges


def _by_group(
    values: NDArray[np.float64], groups: Sequence[Hashable] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if groups is None:
        return values, np.ones_like(values)
    index = group_numbers(groups)
    sums = np.bincount(index, weights=values).astype(np.float64)
    return sums, np.bincount(index).astype(np.float64)


def group_numbers(groups: Sequence[Hashable]) -> NDArray[np.intp]:
    """Number of the group of every row, shape (n,): 0, 1, ... in the order in which the groups first stand."""
    number: dict[Hashable, int] = {}
    return np.fromiter((number.setdefault(group, len(number)) for group in groups), dtype=np.intp, count=len(groups))


def joined(a: Sequence[str], b: Sequence[str]) -> tuple[str, ...]:
    """The finest groups in which everything stays together that is together in one of two groupings.

    Parameters
    ----------
    a, b : sequences of n str
        Group of each value.

    Returns
    -------
    tuple of n str
        Named by the first group of `a` in each; `a` itself where `b` joins nothing more.
    """
    root = {name: name for name in a}

    def find(name: str) -> str:
        while root[name] != name:
            root[name] = name = root[root[name]]
        return name

    first: dict[str, str] = {}
    for one, other in zip(a, b, strict=True):
        root[find(one)] = find(first.setdefault(other, one))
    named: dict[str, str] = {}
    return tuple(named.setdefault(find(name), name) for name in a)
