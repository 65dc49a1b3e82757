"""How many queries it takes to certify a loss, told before anything runs.

A loss of 0 everywhere is certified from a number of queries on that is known exactly; losses that help and harm are
certified with some probability, which is simulated with the p-value itself, from a fixed seed.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.stats.losses import PValue, Transform, loss_p_values

#: Simulated sets of queries behind every probability; the standard error is at most .011 (ours).
_DRAWS = 2_000
#: Losses drawn at once: about 64 MiB.
_AT_ONCE = 4_000_000
#: More queries than these nobody labels: None is said instead (ours).
MOST_QUERIES = 20_000


def certifying_power(
    n: int,
    *,
    epsilon: float,
    delta: float,
    harmed: float = 0.0,
    helped: float = 0.0,
    transform: Transform = "scale",
    p_value: PValue = "wsr",
    seed: int = 0,
    shares: ArrayLike | None = None,
) -> float:
    """Probability that n queries certify one threshold, if demonstrations harm and help these shares of queries.

    Parameters
    ----------
    n : int
        Queries, at least 1.
    epsilon, delta : float
        Mean loss allowed, and level.
    harmed, helped : float
        Shares of queries with loss 1 and -1; the others have 0.
    transform, p_value : str
        As for `certify`.
    seed : int
        Seed of the simulated losses.
    shares : array_like of numbers above 0 and at most 1, optional
        Where queries come in groups, n counts groups: sizes of some of them over the largest there can be, from which sizes are
        drawn in turn. A group has one loss, and enters as epsilon + share (loss - epsilon).

    Raises
    ------
    ValueError
        If the shares are no probabilities, or the p-value is not valid for these losses.
    """
    _check(harmed, helped)
    generator = np.random.default_rng([seed, n])
    size = _sizes(generator, n, shares)
    draws = 1 if harmed == helped == 0 else _DRAWS
    passed = 0
    step = max(1, _AT_ONCE // n)
    for start in range(0, draws, step):
        losses = _draw(generator, (min(step, draws - start), n), harmed, helped)
        if transform == "clip":
            losses = np.maximum(losses, 0.0)
        if size is not None:
            losses = epsilon + size * (losses - epsilon)
        passed += int((loss_p_values(losses, epsilon, delta, transform, p_value) <= delta).sum())
    return passed / draws


def fewest_queries(
    *,
    epsilon: float,
    delta: float,
    harmed: float = 0.0,
    helped: float = 0.0,
    transform: Transform = "scale",
    p_value: PValue = "wsr",
    power: float = 0.8,
    seed: int = 0,
    shares: ArrayLike | None = None,
) -> int | None:
    """Fewest queries that certify one threshold with a probability of at least `power`.

    Parameters
    ----------
    epsilon, delta, harmed, helped, transform, p_value, seed, shares
        As for `certifying_power`. Without harm and help the answer is exact and `power` plays no part.
    power : float
        Probability of a certificate that is asked for, between 0 and 1.

    Returns
    -------
    int or None
        None if more than 20,000 would be needed.

    Raises
    ------
    ValueError
        As for `certifying_power`.
    """
    if not 0 < power < 1:
        raise ValueError("the power lies between 0 and 1")

    def enough(n: int) -> bool:
        chance = certifying_power(
            n,
            epsilon=epsilon,
            delta=delta,
            harmed=harmed,
            helped=helped,
            transform=transform,
            p_value=p_value,
            seed=seed,
            shares=shares,
        )
        return chance >= power

    few, many = 0, 8
    while not enough(many):
        if many == MOST_QUERIES:
            return None
        few, many = many, min(2 * many, MOST_QUERIES)
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if enough(middle) else (middle, many)
    return many


def _sizes(generator: np.random.Generator, n: int, shares: ArrayLike | None) -> NDArray[np.float64] | None:
    """Shares of n groups, in random order; None where every query is its own group."""
    if shares is None:
        return None
    given = np.asarray(shares, dtype=np.float64)
    if given.size == 0 or given.min() <= 0 or given.max() > 1:
        raise ValueError("shares of the largest group are above 0 and at most 1")
    if (given == 1).all():
        return None
    return generator.permutation(np.resize(given, n))


def _draw(generator: np.random.Generator, shape: tuple[int, int], harmed: float, helped: float) -> NDArray[np.float64]:
    if harmed == helped == 0:
        return np.zeros(shape)
    u = generator.random(shape)
    return (u < harmed).astype(np.float64) - (u >= 1 - helped)


def _check(harmed: float, helped: float) -> None:
    if not (harmed >= 0 and helped >= 0 and harmed + helped <= 1):
        raise ValueError("the shares harmed and helped are at least 0 and together at most 1")
