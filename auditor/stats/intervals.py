"""Intervals that hold for every number of observations: of a share, and of the mean of bounded numbers.

References
----------
[1] C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
    Biometrika 26 (1934) 404-413.
[2] I. Waudby-Smith, A. Ramdas, "Estimating means of bounded random variables by betting", Journal of the Royal
    Statistical Society B 86 (2024) 1-27, section 4.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.stats.p_values import wsr_bets

#: Share of the largest possible bet that is never exceeded: one observation at the worst end then leaves a twentieth of
#: the capital instead of nothing (ours).
_MOST_AT_STAKE = 0.95
#: Halvings of the range in which a bound is looked for: down to 1e-12.
_HALVINGS = 40
#: Sums of floating point numbers may miss a bound by this.
_DUST = 1e-9


def clopper_pearson(hits: int, n: int, confidence: float) -> tuple[float, float]:
    """Exact interval of a share [1]: each end is missed with probability at most (1 - confidence) / 2.

    Parameters
    ----------
    hits, n : int
        Successes, and all observations; without any the interval is 0 to 1.
    confidence : float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If there are more hits than observations, or the confidence is not between 0 and 1.
    """
    from scipy.special import betaincinv

    if not 0 <= hits <= n:
        raise ValueError("hits lie between 0 and n")
    if not 0 < confidence < 1:
        raise ValueError("the confidence lies between 0 and 1")
    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else float(betaincinv(hits, n - hits + 1, tail))
    high = 1.0 if hits == n else float(betaincinv(hits + 1, n - hits, 1 - tail))
    return low, high


def betting_interval(
    values: ArrayLike,
    confidence: float,
    *,
    least: float = 0.0,
    most: float = 1.0,
    sizes: ArrayLike | None = None,
    largest: int | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Interval of the mean of bounded numbers, by betting against every mean [2]; valid for every n.

    The upper bound is the smallest mean that a betting test at level (1 - confidence) / 2 rejects from above, the lower one
    its mirror image. Nothing but the bounds is assumed of the numbers; they are drawn independently and stand in an order
    that does not depend on them.

    Parameters
    ----------
    values : array_like of shape (..., n)
        Between least and most; with sizes, the sums of such numbers within groups. Without any the interval is the whole
        range.
    confidence : float
        Between 0 and 1.
    least, most : float
        Bounds of the numbers.
    sizes : array_like of shape (n,), optional
        Numbers in each group, at least 1. Groups are drawn independently, their numbers hang together in any way, and the
        mean is that over all numbers.
    largest : int, optional
        Numbers in the largest group that can be drawn; the interval rests on that bound. The largest group here if not given:
        then it holds where no group is larger.

    Returns
    -------
    low, high : ndarray of shape (...)

    Raises
    ------
    ValueError
        If a number lies outside the bounds, sizes do not fit, or the confidence is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError("the confidence lies between 0 and 1")
    given = np.asarray(values, dtype=np.float64)
    held = np.ones(given.shape[-1:]) if sizes is None else np.asarray(sizes, dtype=np.float64)
    if held.shape != given.shape[-1:] or (held.size and held.min() < 1):
        raise ValueError("every group has a size of at least 1")
    share = (given - least * held) / (most - least)
    if share.size and not (share.min() >= -_DUST and (held - share).min() >= -_DUST):
        raise ValueError(f"values lie between {least:g} and {most:g}")
    share = np.clip(share, 0.0, held)
    m = float(held.max(initial=1.0)) if largest is None else float(largest)
    if held.max(initial=1.0) > m:
        raise ValueError("a group is larger than the largest there can be")
    tail = (1 - confidence) / 2
    high = least + (most - least) * _upper(share, held, m, tail)
    low = most - (most - least) * _upper(held - share, held, m, tail)
    return low, high


def _upper(sums: NDArray[np.float64], sizes: NDArray[np.float64], largest: float, tail: float) -> NDArray[np.float64]:
    """Upper bounds of means, shape (...).

    Whoever bets that the mean is below m gains (m size - sum) / largest size from a group; the capital grows with m.
    """
    if sums.shape[-1] == 0:
        return np.ones(sums.shape[:-1])
    bets = wsr_bets(sums / largest, tail)
    low, high = np.zeros(sums.shape[:-1]), np.ones(sums.shape[:-1])
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        against = middle[..., None]
        taken = np.minimum(bets, _MOST_AT_STAKE / (1 - against))
        capital = np.cumsum(np.log1p(taken * (against * sizes - sums) / largest), axis=-1).max(axis=-1)
        rejected = capital >= -np.log(tail)
        low, high = np.where(rejected, low, middle), np.where(rejected, middle, high)
    return high
