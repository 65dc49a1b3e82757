"""E-processes: against the products written out, and what makes them valid."""

import itertools

import numpy as np
import pytest
from auditor.stats.e_process import (
    MOST_AT_STAKE,
    anytime_p_value,
    first_alarm,
    log_average,
    log_capital,
    log_e_process,
)


def plain(x: list[float], sign: int, most: float) -> list[float]:
    """Capital after each observation, bet by bet."""
    capital, found = 1.0, []
    for i, now in enumerate(x):
        bet = 0.0
        if i:
            past = [sign * value for value in x[:i]]
            means = [sum(past[: j + 1]) / (j + 2) for j in range(i)]
            variance = (0.1 + sum((a - m) ** 2 for a, m in zip(past, means, strict=True))) / (i + 1)
            mean = means[-1]
            bet = min(most, max(0.0, mean / (variance + mean**2)))
        capital *= 1 + bet * sign * now
        found.append(capital)
    return found


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("most", [0.5, MOST_AT_STAKE])
def test_capital_is_the_product_of_the_bets(sign: int, most: float) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, 40).tolist()
    assert np.exp(log_capital(x, sign=sign, most=most)) == pytest.approx(plain(x, sign, most))
    both = (np.array(plain(x, 1, most)) + plain(x, -1, most)) / 2
    assert np.exp(log_e_process(x, most=most)) == pytest.approx(both)


def test_the_mean_capital_is_one_over_all_coin_flips() -> None:
    """Exactly: over the 1,024 equally likely paths of ten fair coins of +-1, the expectation is 1 at every time."""
    paths = np.array(list(itertools.product((-1.0, 1.0), repeat=10)))
    assert np.exp(log_e_process(paths)).mean(axis=0) == pytest.approx(np.ones(10))


def test_bets_do_not_look_ahead_and_the_first_is_nothing() -> None:
    draw = np.random.default_rng(1)
    x = draw.uniform(-1, 1, 30)
    changed = np.concatenate([x[:20], draw.uniform(-1, 1, 10)])
    assert log_e_process(x)[:20] == pytest.approx(log_e_process(changed)[:20])
    assert log_e_process([0.9]) == pytest.approx([0.0])


def test_both_signs_count_alike_and_rows_are_apart() -> None:
    x = np.random.default_rng(2).uniform(-0.5, 1, (3, 50))
    assert log_e_process(x) == pytest.approx(log_e_process(-x))
    assert log_e_process(x)[1] == pytest.approx(log_e_process(x[1]))


def test_evidence_grows_without_overflow() -> None:
    log_e = log_e_process(np.ones(5_000))
    assert np.isfinite(log_e).all()
    assert log_e[-1] > 1_000
    assert anytime_p_value(log_e)[-1] == 0.0
    lost = log_capital(np.concatenate([np.ones(50), -np.ones(50)]), sign=1)
    assert np.isfinite(lost).all()


def test_averages_are_averages() -> None:
    rows = np.log([[1.0, 2.0], [3.0, 4.0], [0.5, 12.0]])
    assert np.exp(log_average(rows)) == pytest.approx([1.5, 6.0])
    assert np.exp(log_average(rows, [0.5, 0.5, 0.0])) == pytest.approx([2.0, 3.0])
    assert log_average([[1_000.0], [-1_000.0]])[0] == pytest.approx(1_000 - np.log(2))
    for weights in ([0.5, 0.5], [1.0, 1.0, -1.0], [0.5, 0.4, 0.0]):
        with pytest.raises(ValueError, match="weights"):
            log_average(rows, weights)
    with pytest.raises(ValueError, match="at least one"):
        log_average(np.zeros((0, 3)))


def test_the_alarm_is_the_first_time_and_stays_in_the_p_value() -> None:
    log_e = np.log([1.0, 5.0, 25.0, 2.0, 30.0])
    assert first_alarm(log_e, 0.05) == 2
    assert first_alarm(log_e, 0.01) is None
    assert first_alarm([], 0.05) is None
    assert anytime_p_value(log_e) == pytest.approx([1, 0.2, 0.04, 0.04, 1 / 30])
    assert anytime_p_value(np.log([0.5, 0.2])) == pytest.approx([1, 1])
    with pytest.raises(ValueError, match="alpha"):
        first_alarm(log_e, 0)


@pytest.mark.parametrize("x", [[1.5], [np.nan], [0.0, -1.01]])
def test_what_is_out_of_bounds_is_refused(x: list[float]) -> None:
    with pytest.raises(ValueError, match="between -1 and 1"):
        log_e_process(x)


def test_settings_out_of_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match="largest bet"):
        log_e_process([0.0], most=1.0)
    with pytest.raises(ValueError, match="order"):
        log_e_process(0.5)
    assert log_e_process([]).shape == (0,)
