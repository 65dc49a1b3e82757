"""Power by simulation: lists drawn from the injection model, each tested as in mode B.

The model has two query groups. With probability beta a slot is filled from the query's own group, else at random from
the catalog. With pi the share of the first group's attribute among items, a slot of a query of the first group shows it
with probability beta + (1 - beta) pi, one of the second group with (1 - beta) pi: the risk difference is beta. Slots of a
list are correlated: the number that show the attribute is beta-binomial with intra-list correlation ICC, at every beta.

The test is that of mode B for two groups and two levels: whole lists keep together, group labels are permuted over
queries. There every statistic of the 2 x 2 table orders the permutations like the deviation of one of its cells, since
row and column totals are kept; so that deviation is computed. All simulated data sets of a call are compared with the
same permutations, which makes their p-values no less valid one by one and lets a matrix product do the work (ours).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.errors import Cancelled

#: Elements of one block of permuted labels, and slots that are drawn in one call, at most.
_BLOCK, _TIE = 4_000_000, 1e-9
#: Biases tried around the formula's, as multiples of it, when the detectable one is sought (ours).
_TRIED = (0.6, 0.8, 1.0, 1.2, 1.5)


@dataclass(frozen=True)
class Simulated:
    """Share of simulated data sets in which the test rejects.

    Attributes
    ----------
    power : float
        The share.
    low, high : float
        Clopper-Pearson 95% interval of the probability.
    n_simulations, n_permutations : int
        Data sets, and permutations in each test.
    """

    power: float
    low: float
    high: float
    n_simulations: int
    n_permutations: int


def slot_probabilities(pi: float, beta: float) -> tuple[float, float]:
    """Probability that a slot shows the first group's attribute: for a query of the first group, and of the second."""
    return beta + (1 - beta) * pi, (1 - beta) * pi


def draw_counts(
    generator: np.random.Generator,
    *,
    n_queries: int,
    k: int,
    q: float,
    pi: float,
    icc: float,
    beta: float,
    n_simulations: int,
) -> NDArray[np.float64]:
    """Slots of each list that show the attribute, from the injection model.

    Returns
    -------
    ndarray of shape (n_simulations, n_queries)
        Whole numbers from 0 to k; the first `first_group_size(n_queries, q)` queries form the first group.
    """
    n_first = first_group_size(n_queries, q)
    own, other = slot_probabilities(pi, beta)
    mean = np.where(np.arange(n_queries) < n_first, own, other)
    tendency = np.broadcast_to(mean, (n_simulations, n_queries))
    if icc >= 1:
        tendency = generator.binomial(1, tendency).astype(np.float64)
    elif icc > 0:
        spread = (1 - icc) / icc
        inside = (mean > 0) & (mean < 1)  # a certain slot varies in no list
        shape = np.where(inside, mean, 0.5) * spread
        tendency = np.where(inside, generator.beta(shape, spread - shape, (n_simulations, n_queries)), mean)
    return generator.binomial(k, tendency).astype(np.float64)


def first_group_size(n_queries: int, q: float) -> int:
    """Queries of the first group: the share q, rounded, and at least one in each group."""
    return min(max(round(q * n_queries), 1), n_queries - 1)


def p_values(
    counts: NDArray[np.float64],
    n_first: int,
    *,
    two_sided: bool,
    n_permutations: int,
    generator: np.random.Generator,
    cancelled: Callable[[], bool] | None = None,
) -> NDArray[np.float64]:
    """Permutation p-value of every simulated data set, (1 + #{T* >= T}) / (B + 1).

    Parameters
    ----------
    counts : ndarray of shape (n_simulations, n_queries)
        The first `n_first` queries form the first group.
    n_first : int
        Queries of the first group.
    two_sided : bool
        Whether T is the deviation's absolute value; else large shares in the first group count as extreme.
    n_permutations : int
        B.
    generator : numpy Generator
    cancelled : callable, optional
        Asked between blocks.

    Returns
    -------
    ndarray of shape (n_simulations,)

    Raises
    ------
    Cancelled
        If `cancelled` says so.
    """
    n_queries = counts.shape[1]
    deviations = counts - counts.mean(axis=1, keepdims=True)
    observed = deviations[:, :n_first].sum(axis=1)
    observed = np.abs(observed) if two_sided else observed
    threshold = observed - _TIE * np.maximum(1.0, np.abs(observed))
    exceeding = np.zeros(len(counts), dtype=np.int64)
    first = (np.arange(n_queries) < n_first).astype(np.float64)
    done = 0
    while done < n_permutations:
        if cancelled is not None and cancelled():
            raise Cancelled("The simulation was cancelled.")
        n = min(n_permutations - done, max(1, _BLOCK // n_queries))
        permuted = generator.permuted(np.tile(first, (n, 1)), axis=1) @ deviations.T
        exceeding += ((np.abs(permuted) if two_sided else permuted) >= threshold).sum(axis=0)
        done += n
    found: NDArray[np.float64] = (1 + exceeding) / (n_permutations + 1)
    return found


def simulate_power(
    *,
    n_queries: int,
    k: float,
    q: float,
    pi: float,
    icc: float,
    beta: float,
    alpha: float = 0.05,
    two_sided: bool = False,
    n_simulations: int = 1000,
    n_permutations: int = 999,
    seed: int = 0,
    cancelled: Callable[[], bool] | None = None,
) -> Simulated:
    """Probability that mode B detects a bias of the injection model, by simulation.

    Parameters
    ----------
    n_queries : int
        Q, at least 2.
    k : float
        Results of each query; rounded.
    q : float
        Share of queries in the first group.
    pi : float
        Share of the first group's attribute among items.
    icc : float
        Intra-list correlation, 0 to 1.
    beta : float
        Probability that a slot is filled from the query's own group, 0 to 1.
    alpha : float
        Level of the test.
    two_sided : bool
        As the audit tests; else one-sided towards the query's own group, as the formula of the specification.
    n_simulations, n_permutations : int
        Data sets, and permutations in each test.
    seed : int
        Seed of data and permutations.
    cancelled : callable, optional
        Asked between blocks of permutations.

    Raises
    ------
    Cancelled
        If `cancelled` says so.
    """
    data, labels = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
    n_first = first_group_size(n_queries, q)
    at_once = max(1, _BLOCK // n_queries)
    rejections, done = 0, 0
    while done < n_simulations:
        n = min(at_once, n_simulations - done)
        counts = draw_counts(
            data, n_queries=n_queries, k=max(1, round(k)), q=q, pi=pi, icc=icc, beta=beta, n_simulations=n
        )
        found = p_values(
            counts, n_first, two_sided=two_sided, n_permutations=n_permutations, generator=labels, cancelled=cancelled
        )
        rejections += int((found <= alpha).sum())
        done += n
    low, high = _clopper_pearson(rejections, n_simulations)
    return Simulated(rejections / n_simulations, low, high, n_simulations, n_permutations)


def simulate_detectable_bias(
    *,
    near: float,
    power: float,
    n_queries: int,
    k: float,
    q: float,
    pi: float,
    icc: float,
    alpha: float = 0.05,
    two_sided: bool = False,
    n_simulations: int = 400,
    n_permutations: int = 499,
    seed: int = 0,
    cancelled: Callable[[], bool] | None = None,
) -> float | None:
    """The bias at which the simulated power is as asked for; None if biases around `near` do not show it.

    Parameters
    ----------
    near : float
        Where to look: the formula's detectable bias.
    power : float
        Power asked for.
    n_queries, k, q, pi, icc, alpha, two_sided, n_simulations, n_permutations, seed, cancelled
        As for `simulate_power`; the simulations are those at each bias.
    """
    points = simulate_around(
        near=near,
        n_queries=n_queries,
        k=k,
        q=q,
        pi=pi,
        icc=icc,
        alpha=alpha,
        two_sided=two_sided,
        n_simulations=n_simulations,
        n_permutations=n_permutations,
        seed=seed,
        cancelled=cancelled,
    )
    return bias_at(points, power)


def simulate_around(*, near: float, seed: int = 0, **numbers: Any) -> list[tuple[float, Simulated]]:
    """(bias, power there) at five biases around one.

    Parameters
    ----------
    near : float
        The middle one.
    seed : int
        Of the first bias; the others follow.
    **numbers
        As for `simulate_power`, without `beta`.
    """
    biases = sorted({min(1.0, near * factor) for factor in _TRIED})
    return [(beta, simulate_power(beta=beta, seed=seed + i, **numbers)) for i, beta in enumerate(biases)]


def bias_at(points: Sequence[tuple[float, Simulated]], power: float) -> float | None:
    """The bias with a power, read off simulated ones; None if they do not show it.

    The normal quantile of the power is close to a line in the bias, and that line is read off at the power asked for (a
    probit fit; ours).

    Parameters
    ----------
    points : sequence of (float, Simulated)
        Biases, and the power at each.
    power : float
        Power asked for.
    """
    normal = NormalDist()
    biases, quantiles, weights = [], [], []
    for beta, found in points:
        if 0.02 < found.power < 0.995:
            z = normal.inv_cdf(found.power)
            biases.append(beta)
            quantiles.append(z)
            # The weight of a proportion on the normal scale: density^2 / (p (1 - p)).
            weights.append(normal.pdf(z) ** 2 / (found.power * (1 - found.power)))
    if len(set(biases)) < 2 or not min(quantiles) <= normal.inv_cdf(power) <= max(quantiles):
        return None
    slope, start = np.polyfit(biases, quantiles, 1, w=np.sqrt(weights))
    return float((normal.inv_cdf(power) - start) / slope) if slope > 0 else None


def _clopper_pearson(hits: int, n: int) -> tuple[float, float]:
    from scipy.special import betaincinv

    low = float(betaincinv(hits, n - hits + 1, 0.025)) if hits else 0.0
    high = float(betaincinv(hits + 1, n - hits, 0.975)) if hits < n else 1.0
    return low, high
