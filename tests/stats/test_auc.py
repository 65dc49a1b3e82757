import numpy as np
import pytest
from auditor.stats.auc import auc, auc_draws
from sklearn.metrics import roc_auc_score


@pytest.mark.parametrize("seed", range(5))
def test_equals_scikit_learn_with_ties(seed: int) -> None:
    generator = np.random.default_rng(seed)
    lower = generator.integers(0, 8, 40).astype(float)
    higher = generator.integers(2, 10, 25).astype(float)
    labels = np.repeat([0, 1], [40, 25])
    assert auc(lower, higher) == pytest.approx(roc_auc_score(labels, np.concatenate([lower, higher])), abs=1e-12)


def test_order_decides() -> None:
    assert auc(np.array([1.0, 2.0]), np.array([3.0])) == 1
    assert auc(np.array([3.0]), np.array([1.0, 2.0])) == 0
    assert auc(np.array([1.0]), np.array([1.0])) == 0.5


def test_draws_are_areas_of_samples_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(3)
    lower, higher = generator.normal(0, 1, 30), generator.normal(0.7, 1, 20)
    draws = auc_draws(lower, higher, seed=5, n_resamples=40)
    again = np.random.default_rng(5)
    counts = again.multinomial(30, np.full(30, 1 / 30), 40), again.multinomial(20, np.full(20, 1 / 20), 40)
    wanted = [auc(np.repeat(lower, n), np.repeat(higher, m)) for n, m in zip(*counts, strict=True)]
    np.testing.assert_allclose(draws, wanted, atol=1e-12)
    # In parts, as large samples are.
    monkeypatch.setattr("auditor.stats.auc._PAIRS", 60)
    np.testing.assert_allclose(auc_draws(lower, higher, seed=5, n_resamples=40), wanted, atol=1e-12)


def test_values_of_one_group_are_drawn_together() -> None:
    generator = np.random.default_rng(8)
    lower, higher = generator.normal(0, 1, 9), generator.normal(0.7, 1, 5)
    groups = ["a", "b", "a", "c", "c", "c", "d", "e", "a"], ["v", "w", "w", "x", "v"]
    draws = auc_draws(lower, higher, seed=5, n_resamples=40, groups=groups)
    again = np.random.default_rng(5)
    counts = [again.multinomial(n, np.full(n, 1 / n), 40) for n in (5, 3)]
    for draw, *times in zip(draws, *counts, strict=True):
        sample = []
        for values, of, often in zip((lower, higher), groups, times, strict=True):
            drawn = np.repeat(sorted(set(of)), often)
            sample.append(np.concatenate([values[np.array(of) == group] for group in drawn]))
        assert draw == pytest.approx(auc(*sample), abs=1e-12)
    own = [str(number) for number in range(10, 19)], [str(number) for number in range(10, 15)]
    np.testing.assert_array_equal(
        auc_draws(lower, higher, seed=5, groups=own), auc_draws(lower, higher, seed=5), "each in a group of its own"
    )


def test_the_interval_covers_the_true_area_as_often_as_it_says() -> None:
    generator = np.random.default_rng(11)
    true, hits = 0.6914624612740131, 0  # P(N(0, 1) < N(1/sqrt(2), 1))
    for seed in range(200):
        lower, higher = generator.normal(0, 1, 60), generator.normal(2**-0.5, 1, 60)
        low, high = np.quantile(auc_draws(lower, higher, seed=seed, n_resamples=400), [0.025, 0.975])
        hits += low <= true <= high
    assert hits >= 180


def test_nothing_or_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="both kinds"):
        auc(np.array([]), np.array([1.0]))
    with pytest.raises(ValueError, match="finite"):
        auc_draws(np.array([np.nan]), np.array([1.0]), seed=0)
