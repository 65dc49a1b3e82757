"""Area under the ROC curve with a bootstrap interval.

Source: H. B. Mann, D. R. Whitney, "On a test of whether one of two random variables is stochastically larger than the
other", Annals of Mathematical Statistics 18 (1947) 50-60: the area is the share of pairs in order, ties counting half.
"""

from collections.abc import Sequence

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
    lower: NDArray[np.float64],
    higher: NDArray[np.float64],
    *,
    seed: int,
    n_resamples: int = N_RESAMPLES,
    groups: tuple[Sequence[str], Sequence[str]] | None = None,
) -> NDArray[np.float64]:
    """Areas of bootstrap draws, shape (n_resamples,): each sample is drawn anew, with as many groups as it has.

    The same seed and sizes give the same draws, so that the areas of two models on the same texts can be compared draw
    by draw.

    Parameters
    ----------
    lower, higher : ndarrays of shapes (n,) and (m,)
        As `auc`.
    groups : (sequence of n str, sequence of m str), optional
        Values of one group are drawn together; each is a group of its own if not given.

    Raises
    ------
    ValueError
        As `auc`.
    """
    _check(lower, higher)
    of_lower, of_higher = (None, None) if groups is None else groups
    generator = np.random.default_rng(seed)
    times_lower = _times(generator, lower.size, of_lower, n_resamples)
    times_higher = _times(generator, higher.size, of_higher, n_resamples)
    total = np.zeros(n_resamples)
    step = max(1, _PAIRS // higher.size)
    for begin in range(0, lower.size, step):
        part = lower[begin : begin + step, None]
        pairs = (part < higher).astype(np.float64) + 0.5 * (part == higher)
        total += np.einsum("bm,bm->b", times_lower[:, begin : begin + step] @ pairs, times_higher)
    # Groups differ in size, and with them the pairs of a draw.
    return np.asarray(total / (times_lower.sum(axis=1) * times_higher.sum(axis=1)))


def _times(generator: np.random.Generator, n: int, groups: Sequence[str] | None, n_resamples: int) -> NDArray[np.int64]:
    """How often each of n values is drawn, shape (n_resamples, n)."""
    place = np.arange(n) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    n_groups = int(place.max()) + 1
    drawn = generator.multinomial(n_groups, np.full(n_groups, 1 / n_groups), n_resamples)
    return np.asarray(drawn[:, place], np.int64)


def _check(lower: NDArray[np.float64], higher: NDArray[np.float64]) -> None:
    if not lower.size or not higher.size:
        raise ValueError("an area needs values of both kinds")
    if not (np.isfinite(lower).all() and np.isfinite(higher).all()):
        raise ValueError("an area needs finite values")
