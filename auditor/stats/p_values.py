"""p-values for "the risk exceeds epsilon", from losses on queries drawn independently.

A p-value is valid if it falls to u or below with probability at most u whenever the risk does exceed epsilon; for a
number n that was fixed beforehand and any u between 0 and 1.

References
----------
[1] C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
    Biometrika 26 (1934) 404-413.
[2] S. Bates, A. Angelopoulos, L. Lei, J. Malik, M. I. Jordan, "Distribution-free, risk-controlling prediction sets",
    Journal of the ACM 68 (2021), section 3.1: Hoeffding-Bentkus; as a p-value: A. Angelopoulos, S. Bates,
    E. J. Candes, M. I. Jordan, L. Lei, "Learn then test" (2021), proposition 1.
[3] I. Waudby-Smith, A. Ramdas, "Estimating means of bounded random variables by betting", Journal of the Royal
    Statistical Society B 86 (2024) 1-27, section 4; Ville's inequality turns the capital into a p-value.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def binomial_p_value(n_wrong: ArrayLike, n: ArrayLike, epsilon: float) -> NDArray[np.float64]:
    """P[Bin(n, epsilon) <= n_wrong]: exact for losses of 0 and 1 [1].

    Not valid for losses of more than two values, nor where queries come in groups.

    Parameters
    ----------
    n_wrong, n : array_like of whole numbers, shapes that broadcast
        Losses of 1, and all losses. Without any the p-value is 1.
    epsilon : float
        Between 0 and 1.

    Returns
    -------
    ndarray
        Shape of the inputs, broadcast.
    """
    from scipy.special import betainc

    _check(epsilon)
    k, total = np.broadcast_arrays(np.asarray(n_wrong, np.float64), np.asarray(n, np.float64))
    inside = (k >= 0) & (k < total)
    # The binomial distribution function is a regularised incomplete beta function, which scipy has with full precision.
    tail = betainc(np.where(inside, total - k, 1.0), np.where(inside, k + 1, 1.0), 1 - epsilon)
    p: NDArray[np.float64] = np.where(inside, tail, np.where(k < 0, 0.0, 1.0))
    return p


def clopper_pearson_upper(n_wrong: int, n: int, delta: float) -> float:
    """Exact upper confidence bound of a share, at level 1 - delta [1].

    The share at which P[Bin(n, share) <= n_wrong] = delta; 1 if all were wrong or there were none.

    Parameters
    ----------
    n_wrong, n : int
        Losses of 1, and all losses.
    delta : float
        Between 0 and 1.
    """
    from scipy.special import betaincinv

    return 1.0 if n_wrong >= n else float(betaincinv(n_wrong + 1, n - n_wrong, 1 - delta))


def hoeffding_bentkus_p_value(mean: ArrayLike, n: int, epsilon: float) -> NDArray[np.float64]:
    """Hoeffding-Bentkus p-value of losses between 0 and 1 [2].

    min( exp(-n KL(min(mean, epsilon) || epsilon)), e P[Bin(n, epsilon) <= ceil(n mean)] ), KL between two Bernoullis.

    Parameters
    ----------
    mean : array_like
        Mean losses, between 0 and 1.
    n : int
        Number of losses in each mean, at least 1.
    epsilon : float
        Between 0 and 1.

    Returns
    -------
    ndarray
        Shape of mean; at most 1.
    """
    from scipy.special import rel_entr

    _check(epsilon)
    means = np.asarray(mean, dtype=np.float64)
    if n < 1 or (means < 0).any() or (means > 1).any():
        raise ValueError("means of at least one loss lie between 0 and 1")
    low = np.minimum(means, epsilon)
    divergence = rel_entr(low, epsilon) + rel_entr(1 - low, 1 - epsilon)
    bentkus = np.e * binomial_p_value(np.ceil(n * means), n, epsilon)
    p: NDArray[np.float64] = np.minimum(np.exp(-n * divergence), bentkus)
    return p


def wsr_p_value(losses: ArrayLike, epsilon: float, delta: float, *, most: float = 1.0) -> NDArray[np.float64]:
    """Betting p-value of Waudby-Smith and Ramdas for losses between 0 and 1 [3].

    Somebody bets that the risk is below epsilon, with capital K_t = prod_{i<=t} (1 - nu_i (l_i - epsilon)). If the risk
    is epsilon or more nobody can expect to gain, whatever the bets nu_i, as long as each is fixed before l_i is seen:
    P[max_t K_t >= 1/u] <= u. Hence p = min(1, 1 / max_t K_t). The bets are those of the empirical Bernstein bound,

        nu_i = min(most, sqrt(2 log(1/delta) / (n s_{i-1}))),  m_i = (1/2 + sum_{j<=i} l_j) / (i + 1),
        s_i = (1/4 + sum_{j<=i} (l_j - m_j)^2) / (i + 1),  s_0 = 1/4.

    Parameters
    ----------
    losses : array_like of shape (..., n)
        Between 0 and 1, in an order that does not depend on the losses themselves.
    epsilon : float
        Between 0 and 1.
    delta : float
        Level at which the bets aim. The p-value is valid at every level.
    most : float
        Largest bet; up to 1 / (1 - epsilon) the capital never falls below 0.

    Returns
    -------
    ndarray of shape (...)

    Raises
    ------
    ValueError
        If a loss lies outside 0 to 1, or bets could cost more than the capital.
    """
    _check(epsilon)
    if not 0 <= most * (1 - epsilon) <= 1:
        raise ValueError("the largest bet lies between 0 and 1 / (1 - epsilon)")
    values = np.asarray(losses, dtype=np.float64)
    if values.size and (not (values.min() >= 0) or not (values.max() <= 1)):
        raise ValueError("losses lie between 0 and 1")
    n = values.shape[-1]
    if n == 0:
        return np.ones(values.shape[:-1])
    bets = np.minimum(most, wsr_bets(values, delta))
    with np.errstate(divide="ignore"):  # all capital lost: log 0, and it stays there
        capital = np.cumsum(np.log1p(-bets * (values - epsilon)), axis=-1)
    p: NDArray[np.float64] = np.exp(-capital.max(axis=-1, initial=0.0))  # before the first bet it is 1, log 0
    return p


def wsr_bets(values: NDArray[np.float64], delta: float) -> NDArray[np.float64]:
    """The bets nu_i of `wsr_p_value` before they are cut off; each looks at the losses before it alone.

    Parameters
    ----------
    values : ndarray of shape (..., n), n at least 1
        Between 0 and 1.
    delta : float
        Level at which the bets aim.

    Returns
    -------
    ndarray of shape (..., n)
    """
    n = values.shape[-1]
    seen = np.arange(1, n + 1)
    means = (0.5 + np.cumsum(values, axis=-1)) / (seen + 1)
    variances = (0.25 + np.cumsum(np.square(values - means), axis=-1)) / (seen + 1)
    before = np.concatenate([np.full((*values.shape[:-1], 1), 0.25), variances[..., :-1]], axis=-1)
    bets: NDArray[np.float64] = np.sqrt(2 * np.log(1 / delta) / (n * before))
    return bets


def _check(epsilon: float) -> None:
    if not 0 <= epsilon < 1:
        raise ValueError("epsilon is at least 0 and less than 1")
