"""Every statistic against an independent implementation, to 1e-9."""

import json
from pathlib import Path
from typing import Literal

import krippendorff
import numpy as np
import pytest
from auditor.stats.agreement import (
    confusion,
    drawn_alpha,
    drawn_spearman,
    expected_calibration_error,
    human_ceiling,
    mean_absolute_error,
    nominal_alpha,
    ordinal_alpha,
    quadratic_weighted_kappa,
    spearman,
    within,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import cohen_kappa_score, confusion_matrix
from sklearn.metrics import mean_absolute_error as sklearn_mae

LEVELS = (1.0, 2.0, 3.0, 4.0, 5.0)
_scores = st_numpy.arrays(np.int64, (2, 30), elements=st.integers(1, 5))


def _two_raters(seed: int, n: int = 200) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    generator = np.random.default_rng(seed)
    truth = generator.normal(3, 1, n)
    a, b = (np.clip(np.round(truth + generator.normal(0, 0.8, n)), 1, 5) for _ in range(2))
    return a, b


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_scikit_learn(seed: int) -> None:
    a, b = _two_raters(seed)
    theirs = cohen_kappa_score(a.astype(int), b.astype(int), weights="quadratic", labels=[1, 2, 3, 4, 5])
    assert quadratic_weighted_kappa(a, b, LEVELS) == pytest.approx(theirs, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(_scores)
def test_kappa_of_any_scores_is_that_of_scikit_learn_or_undefined_in_both(scores: NDArray[np.int64]) -> None:
    a, b = scores
    ours = quadratic_weighted_kappa(a, b, LEVELS)
    if np.unique(scores).size == 1:  # no disagreement to be expected: scikit-learn warns and gives nan
        assert np.isnan(ours)
    else:
        assert ours == pytest.approx(cohen_kappa_score(a, b, weights="quadratic", labels=list(LEVELS)), abs=1e-9)


def test_unused_levels_change_nothing() -> None:
    a, b = np.array([2.0, 3, 4, 4, 2, 3]), np.array([2.0, 4, 4, 3, 2, 2])
    assert quadratic_weighted_kappa(a, b, LEVELS) == pytest.approx(quadratic_weighted_kappa(a, b, (2, 3, 4)), abs=1e-12)


def test_kappa_weighs_by_value_where_scikit_learn_weighs_by_position() -> None:
    a, b = np.array([1, 1, 2, 2, 5, 5, 5, 1]), np.array([1, 2, 2, 5, 5, 5, 1, 1])
    by_position = cohen_kappa_score(a, b, weights="quadratic", labels=[1, 2, 5])
    by_value = cohen_kappa_score(a, b, weights="quadratic", labels=[1, 2, 3, 4, 5])
    assert quadratic_weighted_kappa(a, b, (1, 2, 5)) == pytest.approx(by_value, abs=1e-9)
    assert abs(by_value - by_position) > 0.005


def test_a_constant_judge_has_kappa_zero_and_no_rank_correlation() -> None:
    a, b = np.full(6, 3.0), np.array([1.0, 2, 3, 4, 5, 3])
    assert quadratic_weighted_kappa(a, b, LEVELS) == pytest.approx(0, abs=1e-12)
    assert np.isnan(spearman(a, b))


def test_confusion_is_that_of_scikit_learn() -> None:
    a, b = _two_raters(3)
    theirs = confusion_matrix(a.astype(int), b.astype(int), labels=[1, 2, 3, 4, 5])
    assert (confusion(a, b, LEVELS) == theirs).all()


def test_a_rating_off_the_scale_is_named() -> None:
    with pytest.raises(ValueError, match=r"2\.5 is none of the levels 1, 2, 3, 4, 5"):
        confusion([1.0, 2.5], [1.0, 2.0], LEVELS)
    with pytest.raises(ValueError, match="rising order"):
        confusion([1.0], [1.0], (2, 1))


def test_alpha_of_krippendorffs_own_example() -> None:
    """The data of [2], section C: four observers, twelve units, missing values; he reports 0.743 nominal, 0.815 ordinal."""
    nan = np.nan
    ratings = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
            [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
        ]
    )
    assert ordinal_alpha(ratings) == pytest.approx(0.815, abs=5e-4)
    assert nominal_alpha(ratings) == pytest.approx(0.743, abs=5e-4)
    theirs = krippendorff.alpha(reliability_data=ratings, level_of_measurement="ordinal")
    assert ordinal_alpha(ratings) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("missing", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("coders", [2, 3, 10])
def test_alpha_is_that_of_krippendorff_with_missing_ratings(coders: int, missing: float) -> None:
    generator = np.random.default_rng(coders)
    truth = generator.normal(3, 1, 60)
    ratings = np.clip(np.round(truth + generator.normal(0, 0.9, (coders, 60))), 1, 5)
    ratings[generator.random(ratings.shape) < missing] = np.nan
    theirs = krippendorff.alpha(reliability_data=ratings, level_of_measurement="ordinal")
    assert ordinal_alpha(ratings) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("difference", ["ordinal", "nominal"])
@pytest.mark.parametrize("coders", [2, 5])
def test_alpha_of_drawn_units_is_that_of_krippendorff_on_these_units(
    coders: int, difference: Literal["ordinal", "nominal"]
) -> None:
    generator = np.random.default_rng(coders)
    truth = generator.normal(5, 2, 80)
    ratings = np.clip(np.round(truth + generator.normal(0, 1, (coders, 80))), 1, 10)
    ratings[generator.random(ratings.shape) < 0.3] = np.nan
    alpha = drawn_alpha(ratings, difference)
    whole = (ordinal_alpha if difference == "ordinal" else nominal_alpha)(ratings)
    assert alpha(np.arange(80)) == pytest.approx(whole, abs=1e-12)
    for _ in range(3):
        drawn = generator.integers(0, 80, 80)
        theirs = krippendorff.alpha(reliability_data=ratings[:, drawn], level_of_measurement=difference)
        assert alpha(drawn) == pytest.approx(theirs, abs=1e-9)
    assert np.isnan(alpha(np.empty(0, np.intp)))


def test_alpha_of_values_that_are_no_whole_numbers() -> None:
    ratings = np.random.default_rng(4).integers(0, 7, (3, 40)) / 3
    theirs = krippendorff.alpha(reliability_data=ratings, level_of_measurement="ordinal")
    assert ordinal_alpha(ratings) == pytest.approx(theirs, abs=1e-9)


def test_alpha_is_undefined_without_variation_or_pairs() -> None:
    assert np.isnan(ordinal_alpha(np.full((2, 5), 3.0)))
    assert np.isnan(ordinal_alpha(np.array([[1.0, np.nan], [np.nan, 2.0]])))
    assert np.isnan(ordinal_alpha(np.empty((2, 0))))


@pytest.mark.parametrize("seed", range(5))
def test_spearman_is_that_of_scipy_with_ties(seed: int) -> None:
    a, b = _two_raters(seed)
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-9)
    b = b + np.random.default_rng(seed).normal(size=b.size)
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(st_numpy.arrays(np.float64, (2, 12), elements=st.integers(-3, 3).map(float)))
def test_spearman_of_any_scores_is_that_of_scipy_or_undefined_in_both(scores: NDArray[np.float64]) -> None:
    a, b = scores
    if np.unique(a).size == 1 or np.unique(b).size == 1:
        assert np.isnan(spearman(a, b))
    else:
        assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-9)


def test_spearman_of_drawn_rows_is_that_of_scipy_on_these_rows() -> None:
    a, b = _two_raters(3)
    correlation = drawn_spearman(a, b)
    generator = np.random.default_rng(0)
    for size in (2, 50, 200, 300):
        drawn = generator.integers(0, len(a), size)
        if np.ptp(a[drawn]) and np.ptp(b[drawn]):
            assert correlation(drawn) == pytest.approx(stats.spearmanr(a[drawn], b[drawn]).statistic, abs=1e-9)
    assert np.isnan(correlation(np.zeros(5, np.intp)))
    assert np.isnan(correlation(np.empty(0, np.intp)))


def test_a_distance_exceeded_by_rounding_only_is_within() -> None:
    assert abs(4.4 - 3.4) > 1
    assert within([4.4], [3.4], 1) == 1
    assert within([1.0, 2, 3, 4], [1.0, 3, 5, 1], 1) == 0.5
    assert within([1.0, 2, 3, 4], [1.0, 3, 5, 1], 0) == 0.25


def test_mean_absolute_error_is_that_of_scikit_learn() -> None:
    a, b = _two_raters(9)
    assert mean_absolute_error(a, b + 0.25) == pytest.approx(sklearn_mae(a, b + 0.25), abs=1e-12)


def test_human_ceiling_is_the_mean_of_scipys_correlations() -> None:
    generator = np.random.default_rng(11)
    ratings = np.clip(np.round(generator.normal(3, 1, (50, 1)) + generator.normal(0, 0.7, (50, 4))), 1, 5)
    ratings[generator.random(ratings.shape) < 0.2] = np.nan
    expected, counts = [], []
    for rater in range(4):
        others = np.array([np.delete(row, rater) for row in ratings])
        keep = [i for i in range(50) if not np.isnan(ratings[i, rater]) and not np.isnan(others[i]).all()]
        means = [np.mean(others[i][~np.isnan(others[i])]) for i in keep]
        expected.append(stats.spearmanr(ratings[keep, rater], means).statistic)
        counts.append(len(keep))
    assert human_ceiling(ratings) == pytest.approx(np.average(expected, weights=counts), abs=1e-9)


def test_human_ceiling_does_not_depend_on_the_order_of_raters_on_a_mapped_scale() -> None:
    ratings = 1 + np.random.default_rng(2).integers(0, 4, (40, 4)) * 4 / 3
    assert human_ceiling(ratings) == pytest.approx(human_ceiling(ratings[:, ::-1]), abs=1e-12)


def test_one_rater_has_no_ceiling() -> None:
    assert np.isnan(human_ceiling(np.array([[1.0], [2.0], [3.0]])))
    assert np.isnan(human_ceiling(np.array([[1.0, np.nan], [np.nan, 2.0]])))


def test_a_constant_rater_is_left_out_of_the_ceiling() -> None:
    generator = np.random.default_rng(6)
    ratings = np.clip(np.round(generator.normal(3, 1, (40, 1)) + generator.normal(0, 0.6, (40, 3))), 1, 5)
    with_constant = np.column_stack([ratings, np.full(40, 3.0)])
    expected = [
        stats.spearmanr(ratings[:, i], np.delete(with_constant, i, axis=1).mean(axis=1)).statistic for i in range(3)
    ]
    assert human_ceiling(with_constant) == pytest.approx(np.mean(expected), abs=1e-9)


def test_calibration_error_by_hand() -> None:
    table, ece = expected_calibration_error([0.95, 0.91, 0.55, 0.6, 1.0], [True, True, False, True, False])
    assert [(row.low, row.high, row.n) for row in table] == [
        (pytest.approx(0.5), pytest.approx(0.6), 2),
        (pytest.approx(0.9), 1.0, 3),
    ]
    assert table[0].confidence == pytest.approx(0.575)
    assert table[0].accuracy == 0.5
    assert ece == pytest.approx((2 * 0.075 + 3 * (2.86 / 3 - 2 / 3)) / 5)


def test_a_calibrated_confidence_has_little_error_and_a_shifted_one_its_shift() -> None:
    generator = np.random.default_rng(0)
    confidence = generator.uniform(0.3, 0.8, 40_000)
    correct = generator.random(40_000) < confidence
    assert expected_calibration_error(confidence, correct)[1] < 0.01
    assert expected_calibration_error(confidence + 0.2, correct)[1] == pytest.approx(0.2, abs=0.01)


def test_nothing_is_nan_and_unequal_lengths_are_refused() -> None:
    assert np.isnan(spearman([], []))
    assert np.isnan(within([], [], 1))
    assert np.isnan(mean_absolute_error([], []))
    assert np.isnan(quadratic_weighted_kappa([], [], LEVELS))
    table, ece = expected_calibration_error([], [])
    assert table == []
    assert np.isnan(ece)
    with pytest.raises(ValueError, match="one length"):
        spearman([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="finite"):
        mean_absolute_error([np.nan], [1.0])
    with pytest.raises(ValueError, match="between 0 and 1"):
        expected_calibration_error([1.2], [True])
    with pytest.raises(ValueError, match="table"):
        ordinal_alpha(np.array([1.0]))
    with pytest.raises(ValueError, match="table"):
        human_ceiling(np.array([1.0]))


def test_ceilings_and_alphas_of_real_raters(data_folder: Path) -> None:
    """USR Topical-Chat: 360 responses by three raters; ceilings as published beside the data, within 0.07."""
    items = json.loads((data_folder / "usr_topical_chat" / "ratings.json").read_text())
    for name, published in (("Natural", 0.5), ("Maintains Context", 0.6), ("Uses Knowledge", 0.76), ("Overall", 0.75)):
        ratings = np.array([response[name] for item in items for response in item["responses"]], dtype=float)
        assert ratings.shape == (360, 3)
        assert human_ceiling(ratings) == pytest.approx(published, abs=0.07)
        theirs = krippendorff.alpha(reliability_data=ratings.T, level_of_measurement="ordinal")
        assert ordinal_alpha(ratings.T) == pytest.approx(theirs, abs=1e-9)
