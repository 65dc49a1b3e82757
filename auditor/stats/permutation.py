"""Permutation tests: labels shuffled within strata, null distributions block by block, p-values, max-T.

Under the null the labels of the units (queries, or items of a catalog) are exchangeable within strata: every arrangement
of the same labels was as likely as the one observed. The p-value of a statistic T is (1 + #{T* >= T}) / (B + 1) over B
arrangements drawn at random, and falls to u or below with probability at most u for any u [1]. If there are no more than B
arrangements, all of them are taken.

Blocks of permutations have generators of their own, spawned from one seed: neither the number of threads nor the order in
which they finish changes a number.

References
----------
[1] B. Phipson, G. K. Smyth, "Permutation p-values should never be zero", Statistical Applications in Genetics and Molecular
    Biology 9 (2010), article 39; J. Hemerik, J. Goeman, "Exact testing with random permutations", TEST 27 (2018) 811-825.
[2] J. Besag, P. Clifford, "Sequential Monte Carlo p-values", Biometrika 78 (1991) 301-304.
[3] P. H. Westfall, S. S. Young, Resampling-Based Multiple Testing (1993), section 2.6: step-down max-T.
[4] C. J. Clopper, E. S. Pearson, Biometrika 26 (1934) 404-413.
"""

import itertools
import math
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.processor import usable_cores

#: Raised whenever a seed gives other arrangements, or blocks are cut otherwise: what an older way drew is not gone on from.
DRAWING = 3
#: Confidence of the Monte Carlo interval of a p-value.
CONFIDENCE = 0.99
#: Exceedances after which a sequential test stops: p is then known to about a fifth of itself (ours).
ENOUGH = 20
#: Labels drawn in one go, and most permutations in one block: a block with its tables stays below 64 MiB.
_BLOCK_LABELS, _BLOCK_ROWS = 6 << 20, 256
#: Permutations that are looked at together where there are many labels, up to so many of them.
_TOGETHER, _MANY_LABELS = 16, 1 << 20


@dataclass(frozen=True)
class PValue:
    """A p-value from permutations.

    Attributes
    ----------
    p : float
        (1 + n_exceeding) / (1 + n); n_exceeding / n if all arrangements were taken or sampling stopped early.
    low, high : float
        Clopper-Pearson interval, at `CONFIDENCE`, of the p-value that all arrangements would give [4].
    n_exceeding, n : int
        Permutations that reach the observed statistic, and all that were looked at.
    stopped_early : bool
        Whether `ENOUGH` exceedances ended it.
    """

    p: float
    low: float
    high: float
    n_exceeding: int
    n: int
    stopped_early: bool = False


def p_value(n_exceeding: int, n: int, *, stopped_early: bool = False, exhaustive: bool = False) -> PValue:
    """p-value with its Monte Carlo interval.

    Parameters
    ----------
    n_exceeding, n : int
        Permutations at or beyond the observed statistic, and all.
    stopped_early : bool
        Whether sampling stopped at the last exceedance; then p = n_exceeding / n [2].
    exhaustive : bool
        Whether these are all arrangements, the observed one among them; then p is exact.
    """
    from scipy.special import betaincinv

    if exhaustive:
        p = n_exceeding / n
        return PValue(p, p, p, n_exceeding, n)
    tail = (1 - CONFIDENCE) / 2
    # The last draw of a sequential test is an exceedance by design and says nothing about the upper bound.
    beyond, trials = (n_exceeding - 1, n - 1) if stopped_early else (n_exceeding, n)
    low = float(betaincinv(n_exceeding, n - n_exceeding + 1, tail)) if n_exceeding else 0.0
    high = float(betaincinv(beyond + 1, trials - beyond, 1 - tail)) if beyond < trials else 1.0
    p = n_exceeding / n if stopped_early else (1 + n_exceeding) / (1 + n)
    return PValue(p, low, high, n_exceeding, n, stopped_early)


def reaches(null: NDArray[np.float64], observed: ArrayLike) -> NDArray[np.bool_]:
    """Which values of the null reach the observed one, ties included: T* >= T - 1e-9 max(1, |T|).

    Parameters
    ----------
    null : ndarray of shape (B, ...)
        Larger values speak against the null hypothesis.
    observed : array_like of shape (...)
    """
    seen = np.asarray(observed, dtype=np.float64)
    reached: NDArray[np.bool_] = null >= seen - 1e-9 * np.maximum(1.0, np.abs(seen))
    return reached


class Arrangements(Protocol):
    """What is drawn: see `auditor.stats.shuffling`."""

    @property
    def n(self) -> int:
        """Units in one arrangement."""

    @property
    def n_arrangements(self) -> int | None:
        """How many different ones there are; None if they are not to be enumerated."""

    def draw(self, generator: np.random.Generator, rows: int) -> NDArray[Any]:
        """Independent draws, shape (rows, n)."""

    def all(self, rows: int) -> Iterator[NDArray[Any]]:
        """Every arrangement once, in blocks of at most `rows`."""


class Blocks(Protocol):
    """Finished blocks of a null distribution, in order; kept by whoever wants to go on from them. A list will do."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, number: int, /) -> NDArray[np.float64]:
        """Statistics of one block, shape (rows, H)."""

    def append(self, block: NDArray[np.float64], /) -> None:
        """Keep the next one."""


@dataclass(frozen=True)
class NullDistribution:
    """What permutations gave.

    Attributes
    ----------
    values : ndarray of shape (n, H)
        Statistics of every permutation that was looked at.
    exhaustive : bool
        Whether these are all arrangements, each once.
    """

    values: NDArray[np.float64]
    exhaustive: bool


def null_distribution(
    arrangements: Arrangements,
    evaluate: Callable[[NDArray[Any]], NDArray[np.float64]],
    n_permutations: int,
    *,
    seed: int,
    n_threads: int | None = None,
    on_block: Callable[[NDArray[np.float64]], bool] | None = None,
    blocks: Blocks | None = None,
) -> NullDistribution:
    """Statistics of random arrangements, or of all of them if there are no more than n_permutations.

    Parameters
    ----------
    arrangements : Arrangements
    evaluate : callable
        Arrangements (rows, n) -> statistics (rows, H). Called from several threads at once.
    n_permutations : int
        B, at least 1.
    seed : int
        The same seed gives the same numbers whatever the number of threads.
    n_threads : int, optional
        Physical cores of this machine if not given; more would only get into each other's way.
    on_block : callable, optional
        Called in this thread with the statistics of each block, in order; False ends the drawing. What it raises ends it too.
    blocks : Blocks, optional
        Of an earlier call with the same arguments that was cut short: they are taken as they are, and every further one is
        put there before `on_block` is told of it. The result is that of one unbroken call.

    Raises
    ------
    ValueError
        If n_permutations is less than 1, or `blocks` are those of another call.
    """
    if n_permutations < 1:
        raise ValueError("a permutation test needs at least one permutation")
    rows = _block_rows(arrangements.n)
    n_all = arrangements.n_arrangements
    exhaustive = n_all is not None and n_all <= n_permutations
    kept: Blocks = [] if blocks is None else blocks
    known = [kept[number] for number in range(len(kept))]
    total = n_all if n_all is not None and exhaustive else n_permutations
    if [len(block) for block in known] != [min(rows, total - number * rows) for number in range(len(known))]:
        raise ValueError("these blocks are not those of an earlier call with the same arguments")
    further = (
        _every(arrangements, evaluate, rows, len(known))
        if exhaustive
        else _drawn(arrangements, evaluate, n_permutations, rows, seed, n_threads or usable_cores(), len(known))
    )
    values = []
    with closing(further):
        for number, block in enumerate(itertools.chain(known, further)):
            values.append(block)
            if number >= len(known):
                kept.append(block)
            if on_block is not None and not on_block(block):
                break
    return NullDistribution(np.concatenate(values), exhaustive)


def _block_rows(n: int) -> int:
    """Permutations in one block."""
    least = _TOGETHER if n <= _MANY_LABELS else 1
    return max(least, min(_BLOCK_ROWS, _BLOCK_LABELS // max(n, 1) // _TOGETHER * _TOGETHER))


def _every(
    arrangements: Arrangements, evaluate: Callable[[NDArray[Any]], NDArray[np.float64]], rows: int, first: int
) -> Generator[NDArray[np.float64], None, None]:
    for block in itertools.islice(arrangements.all(rows), first, None):
        yield evaluate(block)


def _drawn(
    arrangements: Arrangements,
    evaluate: Callable[[NDArray[Any]], NDArray[np.float64]],
    n_permutations: int,
    rows: int,
    seed: int,
    n_threads: int,
    first: int,
) -> Generator[NDArray[np.float64], None, None]:
    starts = range(0, n_permutations, rows)
    seeds = np.random.SeedSequence(seed).spawn(len(starts))

    def block(number: int) -> NDArray[np.float64]:
        generator = np.random.Generator(np.random.SFC64(seeds[number]))  # the fastest of numpy's
        return evaluate(arrangements.draw(generator, min(rows, n_permutations - starts[number])))

    numbers = range(first, len(starts))
    if n_threads == 1 or len(numbers) <= 1:
        yield from map(block, numbers)
        return
    with ThreadPoolExecutor(n_threads, "permutation") as pool:
        waiting: deque[Future[NDArray[np.float64]]] = deque()
        try:
            for number in numbers:
                waiting.append(pool.submit(block, number))
                if len(waiting) > 2 * n_threads:  # enough to keep all busy; results are few, blocks are not kept
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


class Exceedances:
    """Counts permutations that reach the observed statistic, block by block.

    Parameters
    ----------
    observed : float
        Larger values speak against the null.
    sequential : bool
        Whether to stop at the `ENOUGH`-th exceedance, after Besag and Clifford [2]: the p-value stays valid, and a null
        that is far from being rejected costs few permutations.
    """

    def __init__(self, observed: float, *, sequential: bool = False) -> None:
        self.observed, self.sequential = observed, sequential
        self.n = self.n_exceeding = 0
        self.stopped = False

    def add(self, values: NDArray[np.float64]) -> bool:
        """Count a block, shape (rows,); False if no more is needed."""
        reached = reaches(values, self.observed)
        places = np.flatnonzero(reached)
        if self.sequential and self.n_exceeding + places.size >= ENOUGH:
            self.n += int(places[ENOUGH - self.n_exceeding - 1]) + 1
            self.n_exceeding, self.stopped = ENOUGH, True
            return False
        self.n += values.size
        self.n_exceeding += places.size
        return True

    def p(self, *, exhaustive: bool = False) -> PValue:
        """p-value of what was counted so far."""
        return p_value(self.n_exceeding, self.n, stopped_early=self.stopped, exhaustive=exhaustive)


def max_t(observed: ArrayLike, null: NDArray[np.float64], *, exhaustive: bool = False) -> NDArray[np.float64]:
    """Step-down max-T adjusted p-values of Westfall and Young [3].

    Statistics are standardised by the mean and standard deviation of their permutations, the observed one among them, so
    that different scales weigh alike. The probability of any false rejection is at most the level wherever the joint
    distribution of the true hypotheses' statistics does not depend on the others (subset pivotality; here all come from
    the same shuffles of the same labels), and always if all hypotheses are true.

    Parameters
    ----------
    observed : array_like of shape (H,)
        Larger values speak against the null: absolute values of signed statistics.
    null : ndarray of shape (B, H)
        From the same permutations for all hypotheses.
    exhaustive : bool
        Whether these are all arrangements, the observed one among them.

    Returns
    -------
    ndarray of shape (H,)
    """
    seen = np.asarray(observed, dtype=np.float64)
    together = null if exhaustive else np.vstack([seen, null])
    mean, sd = together.mean(axis=0), together.std(axis=0)
    scale = np.where(sd > 1e-12 * np.maximum(1.0, np.abs(mean)), sd, 1.0)  # a statistic that never changes
    null_z, z = (together - mean) / scale, (seen - mean) / scale
    order = np.argsort(-z, kind="stable")
    # Largest over each hypothesis and all that are less extreme.
    largest = np.maximum.accumulate(null_z[:, order[::-1]], axis=1)[:, ::-1]
    adjusted = np.empty(seen.size)
    adjusted[order] = np.maximum.accumulate(reaches(largest, z[order]).mean(axis=0))
    return adjusted


def group_sum_covariance(
    group: NDArray[np.integer[Any]], features: NDArray[np.float64], strata: NDArray[np.integer[Any]], n_groups: int
) -> NDArray[np.float64]:
    """Covariance of the groups' sums of features over all arrangements of the group labels, in closed form.

    Cov(sum_g F_c, sum_h F_d) = sum over strata of ([g = h] n_g - n_g n_h / n) S_cd, with S the covariance of the features
    within the stratum (divisor n - 1); the mean is the sum over strata of n_g times the mean of F.

    Parameters
    ----------
    group, strata : ndarray of int, shape (n,)
    features : ndarray of shape (n, D)

    Returns
    -------
    ndarray of shape (G, G, D, D)
    """
    d = features.shape[1]
    total = np.zeros((n_groups, n_groups, d, d))
    _, stratum = np.unique(strata, return_inverse=True)
    order = np.argsort(stratum, kind="stable")
    for rows in np.split(order, np.cumsum(np.bincount(stratum))[:-1]):
        if rows.size < 2:
            continue
        sizes = np.bincount(group[rows], minlength=n_groups).astype(np.float64)
        apart = features[rows] - features[rows].mean(axis=0)
        between = np.diag(sizes) - np.outer(sizes, sizes) / rows.size
        total += between[:, :, None, None] * (apart.T @ apart / (rows.size - 1))
    return total


def normal_p(z: float) -> float:
    """Two-sided p-value of a standard normal statistic."""
    return math.erfc(abs(z) / math.sqrt(2))


def quadratic_p(value: float, mean: float, variance: float) -> float:
    """p-value of a sum of squares with this mean and variance, as a scaled chi-squared (Satterthwaite, 1946)."""
    from scipy.special import gammaincc

    if mean < 1e-20:  # nothing ever varies, but for rounding
        return 1.0
    freedom = 2 * mean * mean / variance
    return float(gammaincc(freedom / 2, value * freedom / (2 * mean)))
