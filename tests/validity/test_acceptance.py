"""Does the certified auto-accept hold its guarantee, and does it ever certify?

A violation is a threshold above which the true share of wrong ratings exceeds epsilon. At delta = .1 the number of
violations in 1,000 draws exceeds 123 with probability under 1% if the guarantee holds.
"""

from collections.abc import Callable

import numpy as np
import pytest
from auditor.stats.acceptance import BETTING, BINOMIAL, certify_acceptance, start_threshold
from numpy.typing import NDArray
from scipy import stats

_DRAWS, _MOST = 1000, 123
_DELTA = 0.1

Ratings = tuple[NDArray[np.float64], NDArray[np.bool_], list[int] | None]
#: Ten levels of confidence, equally frequent, from sure to unsure.
_LEVELS = np.round(np.linspace(0.95, 0.5, 10), 2)


def _true_shares(errors: NDArray[np.float64]) -> dict[float, float]:
    """Share wrong at each threshold or above, if the level i is wrong with probability errors[i]."""
    return dict(zip(_LEVELS.tolist(), (np.cumsum(errors) / np.arange(1, 11)).tolist(), strict=True))


def _violations(
    draw: Callable[[np.random.Generator], Ratings],
    shares: dict[float, float],
    epsilon: float,
    thresholds: NDArray[np.float64] = _LEVELS,
) -> int:
    generator = np.random.default_rng(20261124)
    violations = 0
    for seed in range(_DRAWS):
        confidence, wrong, groups = draw(generator)
        found = certify_acceptance(
            confidence, wrong, groups, thresholds.tolist(), epsilon=epsilon, delta=_DELTA, seed=seed
        )
        assert found.method == (BINOMIAL if groups is None else BETTING)
        violations += found.threshold is not None and shares[found.threshold] > epsilon
    return violations


def _independent(errors: NDArray[np.float64], n: int) -> Callable[[np.random.Generator], Ratings]:
    def draw(generator: np.random.Generator) -> Ratings:
        level = generator.integers(0, 10, n)
        return _LEVELS[level], generator.random(n) < errors[level], None

    return draw


#: Probability of a wrong rating at each level of confidence, for epsilon = .1.
_CURVES = {
    "all just above": np.full(10, 0.1 + 1e-9),
    "just above after a good start": np.array([0.02, 0.18 + 1e-8, *[0.1 + 1e-9] * 8]),
    "the surest are the worst": np.array([0.5, 0.0, 0.0, 0.0, 0.0, 0.1, 0.1, 0.1, 0.1, 0.1]),
    "up and down": np.array([0.0, 0.25, 0.0, 0.2, 0.0, 0.3, 0.0, 0.2, 0.0, 0.3]),
    "falling with confidence": np.linspace(0.0, 0.4, 10),
}


@pytest.mark.parametrize("n", [60, 300, 1000])
@pytest.mark.parametrize("curve", list(_CURVES))
def test_independent_ratings_and_any_curve_of_errors(curve: str, n: int) -> None:
    errors = _CURVES[curve]
    assert _violations(_independent(errors, n), _true_shares(errors), 0.1) <= _MOST


#: Chance that a whole context of 1, 2, ... 6 ratings is wrong, such that the share of wrong ratings is just above .1.
_SIZES = np.arange(1, 7)
#: A start that accepts most ratings, so that those of one context are accepted together.
_MOST_ACCEPTED = _LEVELS[7:]
_BY_SIZE = {
    "the same for every size": np.full(6, 0.1),
    "large contexts are worse": 0.1 * _SIZES * _SIZES.sum() / (_SIZES**2).sum(),
    "small contexts are worse": 0.1 * (7 - _SIZES) * _SIZES.sum() / ((7 - _SIZES) * _SIZES).sum(),
}


def _clustered(
    chances: NDArray[np.float64], contexts: int, together: float
) -> Callable[[np.random.Generator], Ratings]:
    """Unequal contexts; with probability `together` the errors of a context stand and fall together, else each alone.

    Confidence means nothing here, so the share wrong is the same above every threshold.
    """

    def draw(generator: np.random.Generator) -> Ratings:
        sizes = generator.integers(1, 7, contexts)
        groups = np.repeat(np.arange(contexts), sizes)
        joint = (generator.random(contexts) < together)[groups]
        chance = chances[sizes - 1][groups]
        u = np.where(joint, generator.random(contexts)[groups], generator.random(groups.size))
        confidence = _LEVELS[generator.integers(0, 10, groups.size)]
        return confidence, u < chance + 1e-9, groups.tolist()

    return draw


@pytest.mark.parametrize("contexts", [30, 100, 300])
@pytest.mark.parametrize("together", [1.0, 0.3])
@pytest.mark.parametrize("by_size", list(_BY_SIZE))
def test_contexts_whose_errors_come_together(by_size: str, together: float, contexts: int) -> None:
    chances = _BY_SIZE[by_size]
    assert (chances * _SIZES).sum() / _SIZES.sum() == pytest.approx(0.1)
    shares = dict.fromkeys(_LEVELS.tolist(), 0.1 + 1e-9)
    assert _violations(_clustered(chances, contexts, together), shares, 0.1, _MOST_ACCEPTED) <= _MOST


def test_confidence_shared_by_a_context_and_errors_that_go_up_and_down() -> None:
    """All ratings of a context have one confidence and one outcome: only contexts count."""
    errors = np.array([0.1, 0.1, 0.0, 0.2, 0.0, 0.3, 0.0, 0.2, 0.1, 0.1]) + 1e-9

    def draw(generator: np.random.Generator) -> Ratings:
        sizes = generator.integers(1, 5, 120)
        level = generator.integers(0, 10, 120)
        wrong = generator.random(120) < errors[level]
        groups = np.repeat(np.arange(120), sizes)
        return _LEVELS[level][groups], wrong[groups], groups.tolist()

    assert _violations(draw, _true_shares(errors), 0.1) <= _MOST


def test_the_plain_binomial_breaks_on_such_contexts() -> None:
    """The check above can fail: the same ratings taken as independent violate the guarantee far more often."""
    clustered = _clustered(_BY_SIZE["the same for every size"], 100, 1.0)

    def draw(generator: np.random.Generator) -> Ratings:
        confidence, wrong, _ = clustered(generator)
        return confidence, wrong, None

    shares = dict.fromkeys(_LEVELS.tolist(), 0.1 + 1e-9)
    assert _violations(draw, shares, 0.1, _MOST_ACCEPTED) > 1.5 * _MOST


def _calibrated(generator: np.random.Generator, contexts: int, size: int) -> Ratings:
    """A useful judge: wrong with probability 1 - confidence; contexts differ in how hard they are.

    Both confidence and errors of a context correlate at .3 (a Gaussian copula). Over everything 16% are wrong.
    """
    groups = np.repeat(np.arange(contexts), size)

    def correlated() -> NDArray[np.float64]:
        shared, own = generator.normal(size=contexts)[groups], generator.normal(size=groups.size)
        return np.sqrt(0.3) * shared + np.sqrt(0.7) * own

    confidence = 0.5 + 0.5 * stats.norm.cdf(correlated() + 0.6)
    return confidence, stats.norm.cdf(correlated()) > confidence, groups.tolist() if size > 1 else None


def _certified_with_a_start(contexts: int, size: int, epsilon: float, draws: int) -> tuple[float, int, float]:
    """How often something is certified, how often wrongly, and the mean share accepted where it is."""
    generator = np.random.default_rng(7)
    future, amiss, _ = _calibrated(generator, 200_000, 1)
    certified, violations, shares = 0, 0, []
    for seed in range(draws):
        confidence, wrong, groups = _calibrated(generator, contexts // 2, size)
        thresholds = start_threshold(
            confidence, groups, epsilon=epsilon, delta=_DELTA, n_certify=contexts * size, wrong_fit=wrong
        )
        confidence, wrong, groups = _calibrated(generator, contexts, size)
        found = certify_acceptance(
            confidence, wrong, groups, thresholds.tolist(), epsilon=epsilon, delta=_DELTA, seed=seed
        )
        if found.threshold is not None:
            accepted = future >= found.threshold
            certified += 1
            violations += amiss[accepted].mean() > epsilon
            shares.append(accepted.mean())
    return certified / draws, violations, float(np.mean(shares))


@pytest.mark.slow
@pytest.mark.parametrize(("contexts", "size"), [(200, 1), (120, 4)])
def test_a_useful_judge_is_certified_and_the_start_costs_no_guarantee(contexts: int, size: int) -> None:
    """With some hundred labels most draws certify, and what is certified accepts a good part of all ratings."""
    certified, violations, share = _certified_with_a_start(contexts, size, 0.15, 200)
    assert certified >= 0.8, certified
    assert share >= 0.5, share
    assert violations <= 30, violations  # 99% bound for 200 draws at delta = .1
