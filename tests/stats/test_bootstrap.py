import time
from collections.abc import Callable

import numpy as np
import pytest
from auditor.stats.agreement import ordinal_alpha, quadratic_weighted_kappa, spearman
from auditor.stats.bootstrap import intervals, mean_interval
from numpy.typing import NDArray
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


def _several(values: np.ndarray, other: np.ndarray) -> Callable[[NDArray[np.intp]], NDArray[np.float64]]:
    return lambda rows: np.array([values[rows].mean(), spearman(values[rows], other[rows])])


def test_the_mean_among_several_statistics_has_the_interval_of_the_mean() -> None:
    generator = np.random.default_rng(8)
    values, other = generator.gamma(2.0, size=(2, 240))
    groups = [str(i) for i in generator.integers(0, 40, 240)]
    bounds = intervals(_several(values, other), groups, 240, confidence=0.9, seed=5)
    alone = mean_interval(values, groups, confidence=0.9, seed=5)
    assert bounds.shape == (2, 2)
    assert bounds[0].tolist() == pytest.approx([alone.low, alone.high])


def test_paired_statistics_agree_with_scipy_when_every_row_stands_alone() -> None:
    generator = np.random.default_rng(3)
    a = generator.normal(size=150)
    b = a + generator.normal(size=150)
    ours = intervals(_several(a, b), None, 150, confidence=0.95, seed=1, n_resamples=5000)[1]
    theirs = stats.bootstrap(
        (a, b), spearman, paired=True, vectorized=False, method="percentile", n_resamples=5000, rng=2
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.tolist() == pytest.approx([theirs.low, theirs.high], abs=0.06 * width)


def test_a_statistic_undefined_in_most_draws_has_no_interval() -> None:
    constant = np.full(30, 3.0)
    constant[0] = 4.0  # in about 63% of draws at least one row differs, so the correlation is defined there
    other = np.arange(30.0)
    bounds = intervals(_several(constant, other), None, 30, confidence=0.9, seed=0)
    assert np.isfinite(bounds).all()
    bounds = intervals(_several(np.full(30, 3.0), other), None, 30, confidence=0.9, seed=0)
    assert np.isfinite(bounds[0]).all()
    assert np.isnan(bounds[1]).all()


def test_rows_of_one_group_give_no_intervals() -> None:
    bounds = intervals(_several(np.arange(4.0), np.arange(4.0)), ["a"] * 4, 4, confidence=0.9, seed=0)
    assert bounds.shape == (2, 2)
    assert np.isnan(bounds).all()


def test_whole_groups_are_drawn() -> None:
    sizes = [1, 4, 2]
    groups = [name for name, size in zip("abc", sizes, strict=True) for _ in range(size)]
    seen = []

    def statistics(rows: NDArray[np.intp]) -> NDArray[np.float64]:
        seen.append(np.bincount(rows, minlength=7))
        return np.zeros(1)

    intervals(statistics, groups, 7, confidence=0.9, seed=0, n_resamples=50)
    for counts in seen[1:]:
        assert counts[1] == counts[2] == counts[3] == counts[4]
        assert counts[5] == counts[6]
        assert counts[0] + counts[1] + counts[5] == 3


def test_intervals_refuse_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        intervals(_several(np.empty(0), np.empty(0)), None, 0, confidence=0.9, seed=0)
    with pytest.raises(ValueError, match="length"):
        intervals(_several(np.ones(2), np.ones(2)), ["a"], 2, confidence=0.9, seed=0)
    with pytest.raises(ValueError, match="confidence"):
        intervals(_several(np.ones(2), np.ones(2)), None, 2, confidence=95, seed=0)


def test_two_thousand_units_are_done_in_seconds() -> None:
    generator = np.random.default_rng(0)
    human = generator.integers(1, 6, 2000).astype(float)
    mode = np.clip(human + generator.integers(-1, 2, 2000), 1, 5)
    expected = mode + generator.normal(0, 0.3, 2000)
    groups = [i // 6 for i in range(2000)]

    def statistics(rows: NDArray[np.intp]) -> NDArray[np.float64]:
        a, b = mode[rows], human[rows]
        return np.array(
            [
                quadratic_weighted_kappa(a, b, (1, 2, 3, 4, 5)),
                ordinal_alpha(np.stack([a, b])),
                spearman(expected[rows], b),
            ]
        )

    begin = time.perf_counter()
    intervals(statistics, groups, 2000, confidence=0.95, seed=0, n_resamples=2000)
    assert time.perf_counter() - begin < 20
