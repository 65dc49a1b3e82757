import numpy as np
import pytest
from auditor.stats.bootstrap import mean_interval
from scipy import stats


def test_agrees_with_scipy_when_every_value_stands_alone() -> None:
    values = np.random.default_rng(1).gamma(2.0, size=200)
    ours = mean_interval(values, confidence=0.95, seed=3, n_resamples=20_000)
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=4).confidence_interval
    # Two bootstraps with 20,000 draws differ by their own noise: about 0.5% of the interval's width per bound.
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.03 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.03 * width)


def test_width_of_many_values_is_that_of_the_normal_interval() -> None:
    values = np.random.default_rng(2).normal(3, 1, size=4000)
    ours = mean_interval(values, confidence=0.9, seed=0)
    assert ours.low is not None
    assert ours.high is not None
    assert ours.high - ours.low == pytest.approx(2 * 1.6449 * values.std() / np.sqrt(4000), rel=0.08)


def test_groups_that_agree_within_widen_the_interval_as_if_each_were_one_value() -> None:
    base = np.random.default_rng(5).normal(size=50)
    repeated = np.repeat(base, 6)
    groups = [str(i) for i in range(50) for _ in range(6)]
    grouped = mean_interval(repeated, groups, confidence=0.95, seed=1)
    single = mean_interval(base, confidence=0.95, seed=1)
    assert grouped.clusters == 50
    assert (grouped.low, grouped.high) == pytest.approx((single.low, single.high))


def test_one_group_gives_no_interval() -> None:
    found = mean_interval(np.array([1.0, 2.0]), ["a", "a"], confidence=0.95, seed=0)
    assert (found.mean, found.low, found.high) == (1.5, None, None)


def test_the_seed_decides() -> None:
    values = np.random.default_rng(0).normal(size=30)
    assert mean_interval(values, confidence=0.9, seed=1) == mean_interval(values, confidence=0.9, seed=1)
    assert mean_interval(values, confidence=0.9, seed=1) != mean_interval(values, confidence=0.9, seed=2)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")]])
def test_refuses_what_has_no_mean(values: list[float]) -> None:
    with pytest.raises(ValueError, match="at least one value"):
        mean_interval(np.array(values), confidence=0.9, seed=0)
