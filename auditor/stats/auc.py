"""Area under the ROC curve with a bootstrap interval.

Source: H. B. Mann, D. R. Whitney, "On a test of whether one of two random variables is stochastically larger than the
other", Annals of Mathematical Statistics 18 (1947) 50-60: the area is the share of pairs in order, ties counting half.
"""

import numpy as np
from numpy.typing import NDArray

from auditor.stats.bootstrap import N_RESAMPLES

#: Entries of the matrix of pairs that are held at once.
_PAIRS = 4_000_000


def auc(lower: NDArray[np.float64], higher: NDArray[np.float64]) -> float:
    """Probability that a value of `lower` is below one of `higher`, ties counting half.

    Parameters
    ----------
    lower, higher : ndarrays of shapes (n,) and (m,)
        Finite, at least one each.

    Raises
    ------
    ValueError
        If there are none, or one is not finite.
    """
    _check(lower, higher)
    ordered = np.sort(lower)
    below = np.searchsorted(ordered, higher, side="left") + np.searchsorted(ordered, higher, side="right")
    return float(below.sum() / (2 * lower.size * higher.size))


def auc_draws(
    lower: NDArray[np.float64], higher: NDArray[np.float64], *, seed: int, n_resamples: int = N_RESAMPLES
) -> NDArray[np.float64]:
    """Areas of bootstrap draws, shape (n_resamples,): each sample is drawn anew with its own size.

    The same seed and sizes give the same draws, so that the areas of two models on the same texts can be compared draw
    by draw.

    Raises
    ------
    ValueError
        As `auc`.
    """
    _check(lower, higher)
    generator = np.random.default_rng(seed)
    times_lower = generator.multinomial(lower.size, np.full(lower.size, 1 / lower.size), n_resamples)
    times_higher = generator.multinomial(higher.size, np.full(higher.size, 1 / higher.size), n_resamples)
    total = np.zeros(n_resamples)
    step = max(1, _PAIRS // higher.size)
    for begin in range(0, lower.size, step):
        part = lower[begin : begin + step, None]
        pairs = (part < higher).astype(np.float64) + 0.5 * (part == higher)
        total += np.einsum("bm,bm->b", times_lower[:, begin : begin + step] @ pairs, times_higher)
    return np.asarray(total / (lower.size * higher.size))


def _check(lower: NDArray[np.float64], higher: NDArray[np.float64]) -> None:
    if not lower.size or not higher.size:
        raise ValueError("an area needs values of both kinds")
    if not (np.isfinite(lower).all() and np.isfinite(higher).all()):
        raise ValueError("an area needs finite values")
