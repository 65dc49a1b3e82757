"""E-processes: evidence that may be looked at after every observation, as often as one likes.

Somebody bets, before each observation, that the mean is not 0. If it is 0, nobody can expect to gain: the capital is a
test martingale that starts at 1, and by Ville's inequality [1] the probability that it ever reaches 1 / alpha is at most
alpha. So a person may look daily, stop or go on as they please, and an alarm at 1 / alpha is false with probability at
most alpha over the whole time. What counts is that each bet is fixed before its observation is seen.

The capital that a bettor multiplies is evidence on a scale of its own [2]: 20 says as much at any time as a test at
alpha = .05 that was planned for that very time would need to say once.

References
----------
[1] J. Ville, "Etude critique de la notion de collectif" (1939).
[2] G. Shafer, "Testing by betting: a strategy for statistical and scientific communication", Journal of the Royal
    Statistical Society A 184 (2021) 407-431.
[3] I. Waudby-Smith, A. Ramdas, "Estimating means of bounded random variables by betting", Journal of the Royal
    Statistical Society B 86 (2024) 1-27, sections 4 and B.3 (aGRAPA).
[4] V. Vovk, R. Wang, "E-values: calibration, combination and applications", Annals of Statistics 49 (2021) 1736-1754:
    an average of e-values is an e-value, however they depend on each other.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Share of the capital that one observation can cost at most. Bets near all of it break at one bad observation, small ones
#: grow slowly where differences are small beside their bounds (ours).
MOST_AT_STAKE = 0.9
#: Variance that is assumed before the first observation, as if seen once; differences of shares are often near it (ours).
_FIRST_VARIANCE = 0.1
#: Rounding that observations may stray beyond their bounds.
_ROUNDING = 1e-9


def log_capital(observations: ArrayLike, *, sign: int, most: float = MOST_AT_STAKE) -> NDArray[np.float64]:
    """Logarithm of the capital of somebody who bets on a mean above 0 (sign 1) or below 0 (sign -1).

    K_t = prod_{i<=t} (1 + lambda_i sign x_i) with the approximate growth-rate adaptive bet [3],

        lambda_i = min(most, max(0, m / (v + m^2))),

    m and v mean and variance of sign x_1, ..., sign x_{i-1}, shrunk towards 0 and a first variance by one observation.

    Parameters
    ----------
    observations : array_like of shape (..., n)
        Between -1 and 1, in order of arrival. Under the null hypothesis each has mean 0 given those before it.
    sign : {1, -1}
        Direction of the bet.
    most : float
        Largest bet, above 0 and under 1.

    Returns
    -------
    ndarray of shape (..., n)
        After each observation.

    Raises
    ------
    ValueError
        If an observation is not a number from -1 to 1, or the largest bet is not between 0 and 1.
    """
    x = sign * _bounded(observations)
    if not 0 < most < 1:
        raise ValueError("the largest bet lies between 0 and 1")
    if x.shape[-1] == 0:
        return x
    seen = np.arange(1, x.shape[-1] + 1)
    means = np.cumsum(x, axis=-1) / (seen + 1)
    variances = (_FIRST_VARIANCE + np.cumsum(np.square(x - means), axis=-1)) / (seen + 1)
    bets = np.zeros_like(x)
    m, v = means[..., :-1], variances[..., :-1]
    # Nothing was seen before the first observation, so nothing is bet on it.
    bets[..., 1:] = np.clip(m / (v + np.square(m)), 0.0, most)
    log: NDArray[np.float64] = np.cumsum(np.log1p(bets * x), axis=-1)
    return log


def log_e_process(observations: ArrayLike, *, most: float = MOST_AT_STAKE) -> NDArray[np.float64]:
    """Logarithm of a two-sided e-process for "every observation has mean 0 given those before it".

    Half of the capital bets on a mean above 0, half on one below; the sum is a test martingale again.

    Parameters
    ----------
    observations : array_like of shape (..., n)
        Between -1 and 1, in order of arrival.
    most : float
        Largest bet, above 0 and under 1.

    Returns
    -------
    ndarray of shape (..., n)
        After each observation.

    Raises
    ------
    ValueError
        If an observation is not a number from -1 to 1, or the largest bet is not between 0 and 1.
    """
    up, down = (log_capital(observations, sign=sign, most=most) for sign in (1, -1))
    found: NDArray[np.float64] = np.logaddexp(up, down) - np.log(2)
    return found


def log_average(log_e: ArrayLike, weights: ArrayLike | None = None) -> NDArray[np.float64]:
    """Logarithm of the average of several e-processes that run at the same times: an e-process again [4].

    Parameters
    ----------
    log_e : array_like of shape (m, ..., n)
        Logarithms, one e-process a row.
    weights : array_like of shape (m,), optional
        At least 0, in sum 1, fixed beforehand; equal if not given.

    Returns
    -------
    ndarray of shape (..., n)

    Raises
    ------
    ValueError
        If there is no e-process, or weights are negative or do not sum to 1.
    """
    rows = np.asarray(log_e, dtype=np.float64)
    if rows.ndim < 1 or len(rows) == 0:
        raise ValueError("an average needs at least one e-process")
    share = np.full(len(rows), 1 / len(rows)) if weights is None else np.asarray(weights, dtype=np.float64)
    if share.shape != (len(rows),) or (share < 0).any() or not np.isclose(share.sum(), 1):
        raise ValueError("weights are one for each e-process, at least 0, and sum to 1")
    kept = share > 0
    shifted = rows[kept] + np.log(share[kept]).reshape(-1, *[1] * (rows.ndim - 1))
    found: NDArray[np.float64] = np.logaddexp.reduce(shifted, axis=0)
    return found


def first_alarm(log_e: ArrayLike, alpha: float) -> int | None:
    """Place, from 0, at which an e-process first reaches 1 / alpha; None if it never does [1].

    Parameters
    ----------
    log_e : array_like of shape (n,)
        Logarithms.
    alpha : float
        Probability of an alarm, at any time, that is allowed under the null hypothesis; between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise ValueError("alpha lies between 0 and 1")
    reached = np.flatnonzero(np.asarray(log_e, dtype=np.float64) >= -np.log(alpha))
    return int(reached[0]) if reached.size else None


def anytime_p_value(log_e: ArrayLike) -> NDArray[np.float64]:
    """1 over the largest capital so far, at most 1: a p-value at any time, however often one looked [1].

    Parameters
    ----------
    log_e : array_like of shape (..., n)
        Logarithms.

    Returns
    -------
    ndarray of shape (..., n)
        Never rises.
    """
    highest = np.maximum.accumulate(np.asarray(log_e, dtype=np.float64), axis=-1)
    p: NDArray[np.float64] = np.exp(-np.maximum(highest, 0.0))
    return p


def _bounded(observations: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(observations, dtype=np.float64)
    if x.ndim == 0:
        raise ValueError("observations stand in an order")
    if x.size and (not (x.min() >= -1 - _ROUNDING) or not (x.max() <= 1 + _ROUNDING)):
        raise ValueError("observations lie between -1 and 1")
    return np.clip(x, -1.0, 1.0)
