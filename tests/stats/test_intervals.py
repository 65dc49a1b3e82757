import numpy as np
import pytest
from auditor.stats.intervals import betting_interval, clopper_pearson
from auditor.stats.p_values import wsr_p_value
from scipy import stats


@pytest.mark.parametrize(("hits", "n"), [(0, 22), (3, 80), (40, 41), (5, 5), (65, 130)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_clopper_pearson_is_that_of_scipy(hits: int, n: int, confidence: float) -> None:
    expected = stats.binomtest(hits, n).proportion_ci(confidence, "exact")
    assert clopper_pearson(hits, n, confidence) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_clopper_pearson_of_nothing_and_of_what_cannot_be() -> None:
    assert clopper_pearson(0, 0, 0.95) == (0.0, 1.0)
    with pytest.raises(ValueError, match="between 0 and n"):
        clopper_pearson(3, 2, 0.95)
    with pytest.raises(ValueError, match="confidence"):
        clopper_pearson(1, 2, 1.0)


def _losses(generator: np.random.Generator, n: int) -> np.ndarray:
    return generator.choice([1.0, -1.0, 0.0], size=n, p=[0.05, 0.15, 0.8])


@pytest.mark.parametrize("n", [30, 130, 400])
def test_betting_covers_the_mean_of_losses_and_is_not_much_wider_than_a_normal_interval(n: int) -> None:
    generator = np.random.default_rng(n)
    low, high = betting_interval([_losses(generator, n) for _ in range(1000)], 0.95, least=-1)
    covered = int(((low <= -0.1) & (high >= -0.1)).sum())
    assert covered >= 933, "a 99% test of 95% coverage"
    normal = 2 * 1.96 * 0.436 / n**0.5
    assert float((high - low).mean()) < 1.6 * normal


def test_a_bound_is_where_the_betting_test_starts_to_reject() -> None:
    values = np.random.default_rng(1).random(200)
    _, high = betting_interval(values, 0.9)
    for mean, rejected in ((float(high) + 1e-6, True), (float(high) - 1e-6, False)):
        assert (wsr_p_value(values, mean, 0.05, most=0.95 / (1 - mean)) <= 0.05) == rejected


def test_betting_is_a_mirror() -> None:
    losses = _losses(np.random.default_rng(2), 100)
    low, high = betting_interval(losses, 0.95, least=-1)
    mirrored_low, mirrored_high = betting_interval(-losses, 0.95, least=-1)
    assert (float(low), float(high)) == pytest.approx((-float(mirrored_high), -float(mirrored_low)), abs=1e-9)


def test_betting_covers_the_mean_over_all_members_of_groups() -> None:
    """Members of a group are alike, and larger groups are worse: the mean counts every member once."""
    generator = np.random.default_rng(3)
    chances = {1: 0.1, 2: 0.2, 5: 0.5}
    mean = (0.1 + 0.4 + 2.5) / 8
    covered = 0
    for _ in range(500):
        sizes = generator.choice([1, 2, 5], size=60)
        sums = np.array([size * (generator.random() < chances[size]) for size in sizes.tolist()])
        low, high = betting_interval(sums, 0.95, sizes=sizes)
        covered += bool(low <= mean <= high)
    assert covered >= 463, "a 99% test of 95% coverage"


def test_groups_of_one_are_no_groups() -> None:
    losses = _losses(np.random.default_rng(4), 90)
    alone = betting_interval(losses, 0.95, least=-1)
    assert betting_interval(losses, 0.95, least=-1, sizes=np.ones(90)) == alone


def test_without_observations_everything_is_possible_and_bad_input_is_refused() -> None:
    low, high = betting_interval(np.zeros(0), 0.95, least=-1)
    assert (float(low), float(high)) == (-1.0, 1.0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        betting_interval([0.5, 1.5], 0.95)
    with pytest.raises(ValueError, match="size of at least 1"):
        betting_interval([0.5, 0.5], 0.95, sizes=[1, 0])
    with pytest.raises(ValueError, match="confidence"):
        betting_interval([0.5], 0.0)
