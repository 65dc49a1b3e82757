"""May the evidence of a monitor really be looked at as often as one likes?

Under the null hypothesis an alarm, at any of many looks, has probability at most alpha = .05. In 2,000 simulations more
than 123 alarms then have probability under 1%.
"""

import numpy as np
import pytest
from auditor.audits.parity.data import Scale
from auditor.audits.parity.monitor import Batch, Monitor
from auditor.stats.e_process import log_average, log_e_process
from auditor.stats.multiplicity import e_bh
from numpy.typing import NDArray
from scipy import stats

_DRAWS, _MOST, _ALPHA = 2_000, 123, 0.05
_LOOKS = 500  # pairs of fresh queries, with a look after each
_K = 20


def _shares(generator: np.random.Generator, p: float, icc: float, size: tuple[int, ...]) -> NDArray[np.float64]:
    """Share of a level in lists of `_K` results with intra-list correlation: beta-binomial."""
    spread = (1 - icc) / icc
    return generator.binomial(_K, generator.beta(p * spread, (1 - p) * spread, size)) / _K


def _alarms(log_e: NDArray[np.float64]) -> int:
    """Simulations with an alarm at any look."""
    return int((log_e.max(axis=-1) >= -np.log(_ALPHA)).sum())


@pytest.mark.parametrize(("p", "icc"), [(0.5, 0.2), (0.5, 0.9), (0.2, 0.2), (0.05, 0.05), (0.02, 0.5), (0.9, 0.2)])
def test_pairs_of_groups_without_disparity(p: float, icc: float) -> None:
    generator = np.random.default_rng(20261125)
    x = _shares(generator, p, icc, (_DRAWS, _LOOKS)) - _shares(generator, p, icc, (_DRAWS, _LOOKS))
    assert _alarms(log_e_process(x)) <= _MOST


@pytest.mark.parametrize("target", [0.03, 0.1, 0.3, 0.5])
def test_skewed_deviations_from_a_target(target: float) -> None:
    """Rare and large on one side, frequent and small on the other: a t-test would be off, the bets are not."""
    generator = np.random.default_rng(1)
    x = _shares(generator, target, 0.5, (_DRAWS, _LOOKS)) - target
    assert _alarms(log_e_process(x)) <= _MOST


def test_averages_over_dependent_levels() -> None:
    """Ten levels of one list, whose shares hang together."""
    generator = np.random.default_rng(2)
    level_shares = np.array([0.3, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.03, 0.02])

    def lists() -> NDArray[np.float64]:
        tendency = generator.dirichlet(4 * level_shares, (_DRAWS, 200))
        return generator.multinomial(_K, tendency) / _K

    differences = np.moveaxis(lists() - lists(), -1, 0)
    assert _alarms(log_average(log_e_process(differences))) <= _MOST


def test_a_variance_that_changes_over_time_with_groups_alike() -> None:
    """Lists of both groups drift together, within each batch alike: nothing to alarm about."""
    generator = np.random.default_rng(3)
    p = np.clip(np.cumsum(generator.normal(0, 0.02, (_DRAWS, _LOOKS)), axis=1) + 0.5, 0.05, 0.95)
    x = (generator.binomial(_K, p) - generator.binomial(_K, p)) / _K
    assert _alarms(log_e_process(x)) <= _MOST


def _day(day: int, dark: NDArray[np.float64], groups: str) -> Batch:
    return Batch(
        f"2026-{1 + day // 28:02d}-{1 + day % 28:02d}",
        tuple(f"{day}-{i}" for i in range(len(dark))),
        tuple(groups),
        np.stack([1 - dark, dark], axis=1),
    )


def _monitors(*, carry: bool, n: int) -> int:
    """Alarms of whole monitors while the catalog darkens by .4 in sixty days, the same for both groups.

    Queries of group A come four times as often as those of B, so that a queue of A builds up where queries wait.
    """
    generator = np.random.default_rng(4)
    alarms = 0
    for _ in range(n):
        monitor = Monitor(Scale("nominal", ("light", "dark")), ("A", "B"), alpha=_ALPHA, carry=carry)
        for day in range(60):
            tendency = 0.3 + 0.4 * day / 60
            monitor.add(_day(day, generator.binomial(_K, tendency, 15) / _K, "AAAAB" * 3))
        alarms += monitor.evidence().alarm_date is not None
    return alarms


def test_a_change_that_hits_both_groups_raises_no_alarm_unless_queries_wait() -> None:
    n = 100
    most = int(stats.binom.ppf(0.99, n, _ALPHA))
    assert _monitors(carry=False, n=n) <= most
    assert _monitors(carry=True, n=n) >= 0.9 * n  # why waiting is not the default


def test_naive_tests_looked_at_daily_alarm_far_more_often() -> None:
    """For contrast: a t-test at .05 after every pair from the tenth on."""
    generator = np.random.default_rng(5)
    x = _shares(generator, 0.3, 0.2, (_DRAWS, _LOOKS)) - _shares(generator, 0.3, 0.2, (_DRAWS, _LOOKS))
    n = np.arange(1, _LOOKS + 1)
    mean = np.cumsum(x, axis=1) / n
    variance = (np.cumsum(x**2, axis=1) - n * mean**2)[:, 9:] / (n[9:] - 1)
    t = mean[:, 9:] / np.sqrt(variance / n[9:])
    naive = int((np.abs(t) >= stats.t.ppf(0.975, n[9:] - 1)).any(axis=1).sum())
    assert naive > 6 * _ALPHA * _DRAWS
    assert _alarms(log_e_process(x)) <= _MOST


def test_the_same_queries_counted_again_alarm_falsely() -> None:
    """For contrast: forty pairs of queries audited daily, every time taken as new evidence; and as versions."""
    generator = np.random.default_rng(6)
    first = _shares(generator, 0.3, 0.2, (_DRAWS, 40)) - _shares(generator, 0.3, 0.2, (_DRAWS, 40))
    fifty_days = _alarms(log_e_process(np.tile(first, 50))) / _DRAWS
    a_year = _alarms(log_e_process(np.tile(first[:300], 365))) / 300
    assert fifty_days > 0.5
    assert a_year > 0.75
    assert _alarms(log_e_process(first)) <= _MOST
    # Through a monitor the evidence stays where the first audit left it.
    monitor = Monitor(Scale("nominal", ("light", "dark")), ("A", "B"))
    dark = _shares(generator, 0.3, 0.2, (80,))
    start = monitor.add(_day(0, dark, "AB" * 40)).log_e
    for day in range(1, 50):
        again = _day(0, dark, "AB" * 40)
        found = monitor.add(Batch(_day(day, dark, "AB" * 40).date, again.query_ids, again.groups, again.shares))
    assert found.log_e == pytest.approx(start)
    assert len(found.versions) == 49 * 80


@pytest.mark.parametrize(("bias", "pairs", "least"), [(0.1, 300, 0.9), (0.2, 100, 0.9), (0.3, 60, 0.9)])
def test_a_disparity_is_found(bias: float, pairs: int, least: float) -> None:
    """Injected bias (see `power_simulation`), pi = .3, intra-list correlation .2."""
    generator = np.random.default_rng(7)
    own, other = bias + (1 - bias) * 0.3, (1 - bias) * 0.3
    x = _shares(generator, own, 0.2, (_DRAWS, pairs)) - _shares(generator, other, 0.2, (_DRAWS, pairs))
    assert _alarms(log_e_process(x)) / _DRAWS >= least


def test_a_disparity_in_degrees_is_found() -> None:
    """Ten degrees between groups whose lists spread by 15 degrees, within -90 to 90: some ninety pairs are enough."""
    generator = np.random.default_rng(8)
    x = np.clip(generator.normal(10, 15 * np.sqrt(2), (_DRAWS, 150)) / 180, -1, 1)
    assert _alarms(log_e_process(x)) / _DRAWS >= 0.9


def test_false_discovery_rate_of_e_bh_when_one_stops_at_will() -> None:
    """Ten attributes, three with a disparity; one stops as soon as anything is found. Mean share of false ones <= .05.

    With 2,000 draws its standard error is at most .005 (shares lie between 0 and 1 and are rarely above 0).
    """
    generator = np.random.default_rng(9)
    n, looks = 500, 150
    shown = np.full(10, 0.3)
    shown[:3] = 0.5
    x = np.stack(
        [_shares(generator, p, 0.2, (n, looks)) - _shares(generator, 0.3, 0.2, (n, looks)) for p in shown], axis=-2
    )
    e = np.exp(log_e_process(x))
    false, power = [], []
    for one in e:
        for look in range(9, looks, 10):
            found = e_bh(one[:, look], _ALPHA)
            if found.any():
                break
        false.append(found[3:].sum() / max(found.sum(), 1))
        power.append(found[:3].any())
    assert np.mean(false) <= _ALPHA
    assert np.mean(power) >= 0.95
