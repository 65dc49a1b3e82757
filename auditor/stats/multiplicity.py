"""Several hypotheses tested on the same data: rejections and adjusted p-values.

Fixed sequence, Holm and Bonferroni keep the probability of any false rejection at most delta; Benjamini-Hochberg and e-BH
keep the expected share of false ones among the rejections.

References
----------
[1] W. Maurer, L. A. Hothorn, W. Lehmacher, "Multiple comparisons in drug clinical trials and preclinical assays:
    a-priori ordered hypotheses", in: Biometrie in der chemisch-pharmazeutischen Industrie 6 (1995) 3-18; P. Bauer,
    "Multiple testing in clinical trials", Statistics in Medicine 10 (1991) 871-890: fixed sequence.
[2] S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979)
    65-70.
[3] C. E. Bonferroni, "Teoria statistica delle classi e calcolo delle probabilita" (1936).
[4] Y. Benjamini, Y. Hochberg, "Controlling the false discovery rate", Journal of the Royal Statistical Society B 57
    (1995) 289-300.
[5] R. Wang, A. Ramdas, "False discovery rate control with e-values", Journal of the Royal Statistical Society B 84
    (2022) 822-852.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def fixed_sequence(p_values: ArrayLike, delta: float) -> int:
    """Number of hypotheses rejected in their fixed order, each at level delta, up to the first that is not [1].

    Parameters
    ----------
    p_values : array_like of shape (m,)
        In an order that was fixed before the data were seen.
    delta : float
        Level.
    """
    return _leading(np.asarray(p_values, dtype=np.float64) <= delta)


def holm(p_values: ArrayLike, delta: float) -> NDArray[np.bool_]:
    """Which hypotheses Holm's step-down procedure rejects [2].

    The smallest p-value is tested at delta / m, the next at delta / (m - 1), and so on up to the first that fails.

    Parameters
    ----------
    p_values : array_like of shape (m,)
        In any order, dependent in any way.
    delta : float
        Level.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    rejected = np.zeros(p.size, dtype=np.bool_)
    rejected[order[: _leading(p[order] <= delta / np.arange(p.size, 0, -1))]] = True
    return rejected


def bonferroni(p_values: ArrayLike, delta: float) -> NDArray[np.bool_]:
    """Which hypotheses are rejected at level delta / m [3].

    Parameters
    ----------
    p_values : array_like of shape (m,)
        In any order, dependent in any way.
    delta : float
        Level.
    """
    p = np.asarray(p_values, dtype=np.float64)
    rejected: NDArray[np.bool_] = p <= delta / max(p.size, 1)
    return rejected


def holm_adjusted(p_values: ArrayLike) -> NDArray[np.float64]:
    """Holm-adjusted p-values [2]: the smallest level at which `holm` rejects each hypothesis.

    Parameters
    ----------
    p_values : array_like of shape (m,)
        In any order, dependent in any way.

    Returns
    -------
    ndarray of shape (m,)
        In the order given; at most 1.

    Raises
    ------
    ValueError
        If a p-value does not lie between 0 and 1.
    """
    p = _checked(p_values)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1.0)
    return adjusted


def bh_adjusted(p_values: ArrayLike) -> NDArray[np.float64]:
    """Benjamini-Hochberg-adjusted p-values [4]: the smallest false discovery rate at which each is rejected.

    Guaranteed for independent p-values and for those with positive regression dependence, as of nested cut-offs K.

    Parameters
    ----------
    p_values : array_like of shape (m,)
        In any order.

    Returns
    -------
    ndarray of shape (m,)
        In the order given; at most 1.

    Raises
    ------
    ValueError
        If a p-value does not lie between 0 and 1.
    """
    p = _checked(p_values)
    order = np.argsort(p, kind="stable")[::-1]
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum(np.minimum.accumulate(p[order] * p.size / np.arange(p.size, 0, -1)), 1.0)
    return adjusted


def e_bh(e_values: ArrayLike, rate: float) -> NDArray[np.bool_]:
    """Which hypotheses e-BH rejects [5]: the k largest e-values, for the largest k with e_(k) >= m / (k rate).

    The expected share of false rejections is at most `rate` however the e-values depend on each other.

    Parameters
    ----------
    e_values : array_like of shape (m,)
        Not negative, of expectation at most 1 under their hypotheses; in any order.
    rate : float
        False discovery rate, between 0 and 1.

    Raises
    ------
    ValueError
        If an e-value is negative or not a number, or the rate does not lie between 0 and 1.
    """
    e = np.asarray(e_values, dtype=np.float64)
    if not (e >= 0).all():
        raise ValueError("e-values are not negative")
    if not 0 < rate < 1:
        raise ValueError("a false discovery rate lies between 0 and 1")
    order = np.argsort(-e, kind="stable")
    passed = np.flatnonzero(e[order] * np.arange(1, e.size + 1) * rate >= e.size)
    rejected = np.zeros(e.size, dtype=np.bool_)
    rejected[order[: passed[-1] + 1 if passed.size else 0]] = True
    return rejected


def _checked(p_values: ArrayLike) -> NDArray[np.float64]:
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("p-values lie between 0 and 1")
    return p


def _leading(passed: NDArray[np.bool_]) -> int:
    return int(passed.size if passed.all() else np.argmin(passed))
