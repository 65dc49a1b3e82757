"""Several hypotheses tested on the same data, with the probability of any false rejection at most delta.

References
----------
[1] W. Maurer, L. A. Hothorn, W. Lehmacher, "Multiple comparisons in drug clinical trials and preclinical assays:
    a-priori ordered hypotheses", in: Biometrie in der chemisch-pharmazeutischen Industrie 6 (1995) 3-18; P. Bauer,
    "Multiple testing in clinical trials", Statistics in Medicine 10 (1991) 871-890: fixed sequence.
[2] S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979)
    65-70.
[3] C. E. Bonferroni, "Teoria statistica delle classi e calcolo delle probabilita" (1936).
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


def _leading(passed: NDArray[np.bool_]) -> int:
    return int(passed.size if passed.all() else np.argmin(passed))
