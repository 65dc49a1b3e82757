"""Percentile bootstrap of a mean, by clusters.

Source: B. Efron, R. Tibshirani, An Introduction to the Bootstrap (1993), chapter 13 (percentile intervals);
A. C. Davison, D. V. Hinkley, Bootstrap Methods and their Application (1997), section 3.8 (whole clusters drawn).
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

N_RESAMPLES = 2000


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


def _by_group(
    values: NDArray[np.float64], groups: Sequence[Hashable] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if groups is None:
        return values, np.ones_like(values)
    number: dict[Hashable, int] = {}
    index = np.fromiter((number.setdefault(group, len(number)) for group in groups), dtype=np.int64, count=len(groups))
    sums = np.bincount(index, weights=values).astype(np.float64)
    return sums, np.bincount(index).astype(np.float64)
