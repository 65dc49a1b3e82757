import numpy as np
import pytest
from auditor.stats.p_values import binomial_p_value, clopper_pearson_upper, hoeffding_bentkus_p_value, wsr_p_value
from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value
from scipy import stats


@pytest.mark.parametrize("epsilon", [0.01, 0.05, 0.2, 0.7])
def test_binomial_is_the_tail_that_scipy_has(epsilon: float) -> None:
    n = np.arange(1, 400, 7)[:, None]
    k = np.arange(0, 400, 3)
    assert binomial_p_value(k, n, epsilon) == pytest.approx(stats.binom.cdf(k, n, epsilon), rel=1e-9, abs=1e-300)


def test_binomial_at_its_ends() -> None:
    assert binomial_p_value(0, 0, 0.1) == 1
    assert binomial_p_value(7, 7, 0.1) == 1
    assert binomial_p_value(0, 22, 0.1) == pytest.approx(0.9**22)
    assert binomial_p_value(0, 50, 0.0) == 1  # that a share is not above 0 cannot be shown
    with pytest.raises(ValueError, match="epsilon"):
        binomial_p_value(0, 5, 1.0)


@pytest.mark.parametrize(("k", "n"), [(0, 22), (3, 80), (40, 41), (5, 5), (0, 0)])
def test_clopper_pearson_is_that_of_scipy(k: int, n: int) -> None:
    expected = stats.binomtest(k, n, alternative="less").proportion_ci(0.9, "exact").high if n else 1.0
    assert clopper_pearson_upper(k, n, 0.1) == pytest.approx(expected, abs=1e-9)


def test_clopper_pearson_is_where_the_p_value_is_delta() -> None:
    assert binomial_p_value(3, 80, clopper_pearson_upper(3, 80, 0.1)) == pytest.approx(0.1, abs=1e-9)


@pytest.mark.parametrize("n", [1, 20, 95, 130, 1000])
@pytest.mark.parametrize("epsilon", [0.01, 0.05, 0.3, 0.525, 0.9])
def test_hoeffding_bentkus_is_that_of_mapie(n: int, epsilon: float) -> None:
    generator = np.random.default_rng(n)
    means = np.concatenate([np.arange(n + 1) / n, generator.random(50), generator.choice([0, 0.5, 1], (50, n)).mean(1)])
    theirs = compute_hoeffding_bentkus_p_value(np.where(means == 1, 1 - 1e-16, means), n, epsilon)[:, 0]
    assert hoeffding_bentkus_p_value(means, n, epsilon) == pytest.approx(theirs, abs=1e-12)


def test_hoeffding_bentkus_refuses_what_is_no_mean_of_losses() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        hoeffding_bentkus_p_value(-0.1, 10, 0.1)
    with pytest.raises(ValueError, match="at least one loss"):
        hoeffding_bentkus_p_value(0.1, 0, 0.1)


def _wsr_by_hand(losses: list[float], epsilon: float, delta: float) -> float:
    """The formulas once more, one loss at a time."""
    capital, greatest, total, squares, variance = 1.0, 1.0, 0.0, 0.0, 0.25
    for i, loss in enumerate(losses, start=1):
        bet = min(1.0, (2 * np.log(1 / delta) / (len(losses) * variance)) ** 0.5)
        capital *= 1 - bet * (loss - epsilon)
        greatest = max(greatest, capital)
        total += loss
        squares += (loss - (0.5 + total) / (i + 1)) ** 2
        variance = (0.25 + squares) / (i + 1)
    return 1 / greatest


@pytest.mark.parametrize("seed", range(8))
def test_betting_is_what_one_loss_at_a_time_gives(seed: int) -> None:
    generator = np.random.default_rng(seed)
    losses = generator.choice([0.0, 0.5, 1.0], size=int(generator.integers(1, 300)), p=[0.15, 0.8, 0.05])
    assert wsr_p_value(losses, 0.525, 0.1) == pytest.approx(_wsr_by_hand(losses.tolist(), 0.525, 0.1), rel=1e-12)


def test_betting_needs_95_harmless_queries_at_a_risk_of_five_hundredths() -> None:
    """Checked number of the method's source: p = .0989 at n = 95 for a loss of 0, scaled to 1/2."""
    assert wsr_p_value(np.full(95, 0.5), 0.525, 0.1) == pytest.approx(0.0989, abs=5e-5)
    assert wsr_p_value(np.full(94, 0.5), 0.525, 0.1) > 0.1


def test_betting_looks_along_the_last_axis() -> None:
    losses = np.random.default_rng(0).random((3, 4, 50)) * 0.4
    p = wsr_p_value(losses, 0.4, 0.1)
    assert p.shape == (3, 4)
    assert p[2, 1] == pytest.approx(float(wsr_p_value(losses[2, 1], 0.4, 0.1)))


def test_betting_on_nothing_proves_nothing_and_bad_input_is_refused() -> None:
    assert wsr_p_value(np.empty((2, 0)), 0.1, 0.1).tolist() == [1, 1]
    assert wsr_p_value(np.ones(30), 0.1, 0.1) == 1
    assert wsr_p_value(np.array([1.0, 0, 0, 0]), 0.0, 0.1) == 1  # all capital lost at the first bet
    with pytest.raises(ValueError, match="between 0 and 1"):
        wsr_p_value(np.array([0.5, np.nan]), 0.1, 0.1)
    with pytest.raises(ValueError, match="largest bet"):
        wsr_p_value(np.array([0.5]), 0.1, 0.1, most=2.0)
