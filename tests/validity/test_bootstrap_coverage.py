"""Do 95% intervals hold the true mean, and the true rank correlation, about 95% of the time?"""

import numpy as np
import pytest
from auditor.stats.agreement import spearman
from auditor.stats.bootstrap import intervals, mean_interval
from numpy.typing import NDArray
from scipy import stats

_TRIALS = 600


@pytest.mark.slow
def test_coverage_with_sixty_groups_of_six() -> None:
    """60 groups of 6 correlated values (as in USR). Percentile intervals fall short by about 1 to 2 points there.

    Bound: if the true coverage were 0.92, fewer than the stated number of hits has probability below 1 in 1,000.
    """
    generator = np.random.default_rng(20261124)
    groups = [i for i in range(60) for _ in range(6)]
    hits = 0
    for trial in range(_TRIALS):
        shared = np.repeat(generator.normal(0, 1, 60), 6)
        values = 3 + shared + generator.normal(0, 1, 360)
        found = mean_interval(values, groups, confidence=0.95, seed=trial, n_resamples=500)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 3 <= found.high
    least = int(stats.binom.ppf(0.001, _TRIALS, 0.92))
    most = int(stats.binom.ppf(0.999, _TRIALS, 0.96))
    assert least <= hits <= most, f"coverage {hits / _TRIALS:.3f}"


def test_ignoring_groups_would_fall_far_short() -> None:
    """The check above can fail: intervals that take every value for itself cover far less than 95%."""
    generator = np.random.default_rng(1)
    hits = 0
    for trial in range(150):
        values = 3 + np.repeat(generator.normal(0, 1, 60), 6) + generator.normal(0, 0.3, 360)
        found = mean_interval(values, confidence=0.95, seed=trial, n_resamples=200)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 3 <= found.high
    assert hits / 150 < 0.8


@pytest.mark.slow
def test_coverage_of_several_statistics_with_sixty_groups_of_six() -> None:
    """Mean and rank correlation of a judge with people, 60 groups of 6, from one bootstrap.

    The true correlation is that of a very large draw. Percentile intervals fall short by about 1 to 3 points here.
    Bound: if the true coverage were 0.91, fewer than the stated number of hits has probability below 1 in 1,000.
    """
    generator = np.random.default_rng(42)
    trials = 300
    groups = [i for i in range(60) for _ in range(6)]

    def draw(contexts: int) -> tuple[np.ndarray, np.ndarray]:
        truth = np.repeat(generator.normal(0, 1, contexts), 6) + generator.normal(0, 1, 6 * contexts)
        judge = truth + generator.normal(0, 1, 6 * contexts)
        people = np.clip(np.round(3 + 0.8 * (truth + generator.normal(0, 0.7, 6 * contexts))), 1, 5)
        return judge, people

    true_correlation = spearman(*draw(100_000))
    hits = np.zeros(2)
    for trial in range(trials):
        judge, people = draw(60)

        def statistics(
            rows: NDArray[np.intp], judge: np.ndarray = judge, people: np.ndarray = people
        ) -> NDArray[np.float64]:
            return np.array([judge[rows].mean(), spearman(judge[rows], people[rows])])

        bounds = intervals(statistics, groups, 360, confidence=0.95, seed=trial, n_resamples=300)
        hits += (bounds[:, 0] <= [0, true_correlation]) & ([0, true_correlation] <= bounds[:, 1])
    least = int(stats.binom.ppf(0.001, trials, 0.91))
    most = int(stats.binom.ppf(0.999, trials, 0.96))
    assert (hits >= least).all(), hits / trials
    assert (hits <= most).all(), hits / trials
