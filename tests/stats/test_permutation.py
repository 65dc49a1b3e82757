import itertools
import tracemalloc
from collections import Counter
from typing import Any

import numpy as np
import pytest
from auditor.stats.permutation import (
    ENOUGH,
    Exceedances,
    group_sum_covariance,
    max_t,
    null_distribution,
    p_value,
    quadratic_p,
    reaches,
)
from auditor.stats.shuffling import LabelShuffler, RowResampler, SignFlipper
from numpy.typing import NDArray
from scipy import stats


def _rows(block: NDArray[np.integer]) -> list[tuple[int, ...]]:
    return [tuple(row) for row in block.tolist()]


@pytest.mark.parametrize("n", [50, 700, 5000])
@pytest.mark.parametrize("n_labels", [2, 3, 10])
def test_every_draw_holds_the_same_labels_in_every_stratum(n: int, n_labels: int) -> None:
    generator = np.random.default_rng(n)
    labels = generator.integers(0, n_labels, n)
    strata = generator.choice([3, 5, 9], n, p=[0.05, 0.25, 0.7])
    drawn = LabelShuffler(labels, strata).draw(generator, 40)
    for stratum in (3, 5, 9):
        here = strata == stratum
        for row in drawn:
            assert (np.bincount(row[here], minlength=n_labels) == np.bincount(labels[here], minlength=n_labels)).all()
    assert len(set(_rows(drawn))) == 40


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.1), (0.2, 0.3, 0.5), (0.001, 0.999), (0.01, 0.5, 0.015, 0.475)])
def test_fast_draws_are_as_uniform_as_plain_shuffles(shares: tuple[float, ...]) -> None:
    """Single places, pairs of places, and the sum over a half: all as under uniform arrangements.

    Bound: each chi-squared statistic exceeds its 99.99% quantile in 1 of 10,000 tries.
    """
    n, rows = 900, 20_000
    labels = np.repeat(np.arange(len(shares)), np.round(np.array(shares) * n).astype(int))
    drawn = LabelShuffler(labels).draw(np.random.default_rng(5), rows)
    counts = np.bincount(labels)
    by_place = np.stack([(drawn == label).sum(axis=0) for label in range(len(counts))])
    share = counts[:, None] / n
    statistic = (np.square(by_place - rows * share) / (rows * share)).sum() * (n - 1) / n
    assert statistic < stats.chi2.ppf(0.9999, (n - 1) * (len(counts) - 1))
    # The number of label 0 among the first half is hypergeometric.
    half = (drawn[:, : n // 2] == 0).sum(axis=1)
    expected = stats.hypergeom(n, int(counts[0]), n // 2)
    z = (half.mean() - expected.mean()) / (expected.std() / np.sqrt(rows))
    assert abs(z) < 4
    assert half.var() == pytest.approx(expected.var(), rel=4 * np.sqrt(2 / rows) + 1e-12)
    together = ((drawn[:, 0] == 0) & (drawn[:, n - 1] == 0)).sum()
    pair = counts[0] * (counts[0] - 1) / (n * (n - 1))
    assert abs(together - rows * pair) < 4 * np.sqrt(rows * pair) + 1


@pytest.mark.parametrize("n_labels", [2, 10])
def test_fast_draws_of_many_units_are_as_uniform(n_labels: int) -> None:
    """Two labels and ten. Bound: exceeded in 1 of 10,000 tries."""
    n, rows = 20_000, 1_000
    drawn = LabelShuffler(np.arange(n) * n_labels // n).draw(np.random.default_rng(6), rows)
    by_place = np.stack([(drawn == label).sum(axis=0) for label in range(n_labels)])
    expected = rows / n_labels
    statistic = (np.square(by_place - expected) / expected).sum() * (n - 1) / n
    assert statistic < stats.chi2.ppf(0.9999, (n - 1) * (n_labels - 1))
    # Neighbours, whose labels stood together before, hold the same label no more often than others do.
    same = (drawn[:, 1:] == drawn[:, :-1]).mean()
    chance = (n / n_labels - 1) / (n - 1)
    assert abs(same - chance) < 4 * np.sqrt(chance * (1 - chance) / (rows * (n - 1)))


@pytest.mark.parametrize("counts", [[100] * 10, [980, 5, 15], [1, 999], [0, 600, 0, 400], [700, 300, 10, 0, 3]])
def test_labels_that_were_given_out_too_often_are_corrected(counts: list[int]) -> None:
    """Thousands of draws: most miss the numbers at first, and all hold what they should."""
    labels = np.repeat(np.arange(len(counts)), counts)
    drawn = LabelShuffler(labels).draw(np.random.default_rng(0), 3000)
    assert all((np.bincount(row, minlength=len(counts)) == counts).all() for row in drawn)


@pytest.mark.parametrize("shape", [(1500, 700), (1500, 120), (900, 500), (5000, 4800)])
@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.05, 0.15, 0.8)])
def test_draws_of_some_units_are_those_of_all_of_them(shape: tuple[int, int], shares: tuple[float, ...]) -> None:
    """Few picked one by one, some given out independently, others shuffled: how often each label is among them is
    hypergeometric, and every place is as likely to hold it. Two strata, of which the other has only labels of its own.

    Bound: each test fails in 1 of 10,000 tries.
    """
    (n, m), rows = shape, 4000
    counts = np.round(np.array(shares) * n).astype(int)
    labels = np.concatenate([np.repeat(np.arange(len(shares)), counts), np.full(300, len(shares))])
    strata = np.repeat([1, 0], [counts.sum(), 300])
    order = np.random.default_rng(1).permutation(len(labels))
    labels, strata = labels[order], strata[order]
    looked_at = np.zeros(len(labels), bool)
    looked_at[np.flatnonzero(strata == 1)[:m]] = True
    looked_at[np.flatnonzero(strata == 0)[:7]] = True
    shuffler = LabelShuffler(labels, strata, looked_at)
    drawn = shuffler.draw(np.random.default_rng(2), rows)
    assert drawn.shape == (rows, m + 7)
    assert shuffler.n == m + 7
    there = strata[looked_at] == 1
    assert (drawn[:, ~there] == len(shares)).all()
    for label, count in enumerate(counts.tolist()):
        expected = stats.hypergeom(n, count, m)
        found = (drawn[:, there] == label).sum(axis=1)
        edges = np.unique(expected.ppf(np.linspace(0, 1, 11)[1:-1]).astype(int))
        seen = np.bincount(np.searchsorted(edges, found), minlength=len(edges) + 1)
        chance = np.diff(expected.cdf(edges), prepend=0, append=1)
        assert stats.chisquare(seen, chance * rows).pvalue > 1e-4
        by_place = (drawn[:, there] == label).sum(axis=0)
        share = count / n
        assert np.abs(by_place - rows * share).max() < 6 * np.sqrt(rows * share * (1 - share))


def test_some_units_of_every_arrangement() -> None:
    shuffler = LabelShuffler([0, 1, 1, 2, 1], [7, 7, 7, 1, 1], [True, False, True, False, True])
    every = Counter(_rows(np.concatenate(list(shuffler.all(4)))))
    # Of 3 arrangements in the one stratum and 2 in the other; the last unit is of the other.
    assert every == {(0, 1, 1): 1, (1, 1, 1): 1, (1, 0, 1): 1, (0, 1, 2): 1, (1, 1, 2): 1, (1, 0, 2): 1}
    assert shuffler.n_arrangements == 6


def test_many_rare_labels_take_no_more_memory_than_a_plain_shuffle() -> None:
    """Whole degrees of many items: hardly a label is common."""
    labels = np.clip(np.round(np.random.default_rng(0).normal(80, 25, 5000)), 0, 159).astype(int)
    shuffler = LabelShuffler(labels)
    tracemalloc.start()
    try:
        drawn = shuffler.draw(np.random.default_rng(1), 64)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (np.sort(drawn, axis=1) == np.sort(labels)).all()
    assert peak < 8 * drawn.size


def test_small_strata_give_every_arrangement_equally_often() -> None:
    shuffler = LabelShuffler([0, 0, 1, 2, 1], [7, 7, 7, 1, 1])
    assert shuffler.n_arrangements == 3 * 2
    every = _rows(np.concatenate(list(shuffler.all(4))))
    assert len(every) == len(set(every)) == 6
    assert (0, 0, 1, 2, 1) in every
    counts = Counter(_rows(shuffler.draw(np.random.default_rng(1), 6000)))
    assert set(counts) == set(every)
    assert stats.chisquare(list(counts.values())).pvalue > 1e-4


def test_many_labels_and_one_label() -> None:
    labels = np.arange(1000)
    assert sorted(LabelShuffler(labels).draw(np.random.default_rng(0), 1)[0].tolist()) == labels.tolist()
    only = LabelShuffler(np.zeros(2000, int))
    assert only.n_arrangements == 1
    assert (only.draw(np.random.default_rng(0), 3) == 0).all()
    assert LabelShuffler(np.arange(2000) % 2).n_arrangements is None


@pytest.mark.parametrize("bad", [[-1, 0], [[0, 1]]])
def test_refuses_what_are_no_labels(bad: list[int]) -> None:
    with pytest.raises(ValueError, match="labels"):
        LabelShuffler(bad)
    with pytest.raises(ValueError, match="length"):
        LabelShuffler([0, 1], [0])
    with pytest.raises(ValueError, match="length"):
        LabelShuffler([0, 1], None, [True])


def test_signs_are_even_and_all_of_them_once() -> None:
    flipper = SignFlipper(13)
    drawn = flipper.draw(np.random.default_rng(2), 8000)
    assert set(np.unique(drawn).tolist()) == {-1, 1}
    assert np.abs(drawn.mean(axis=0)).max() < 4.5 / np.sqrt(8000)
    every = np.concatenate(list(SignFlipper(3).all(3)))
    assert sorted(_rows(every)) == sorted(itertools.product([-1, 1], repeat=3))


def test_p_value_and_its_interval() -> None:
    found = p_value(49, 999)
    assert found.p == 0.05
    exact = stats.binomtest(49, 999).proportion_ci(0.99, "exact")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=1e-9)
    none, every = p_value(0, 999), p_value(999, 999)
    assert (none.p, none.low, every.p, every.high) == (0.001, 0.0, 1.0, 1.0)
    assert p_value(3, 20, exhaustive=True) == p_value(3, 20, exhaustive=True)
    assert p_value(3, 20, exhaustive=True).p == 0.15


def test_the_interval_of_a_test_that_stopped_holds_the_p_value_99_percent_of_the_time() -> None:
    generator = np.random.default_rng(6)
    held = 0
    for _ in range(2000):
        count = Exceedances(0.9, sequential=True)
        while count.add(generator.random(50)) and count.n < 2000:
            pass
        found = count.p()
        held += found.low <= 0.1 <= found.high
    assert held >= 0.983 * 2000


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.3])
def test_sequential_stopping_keeps_its_size(alpha: float) -> None:
    """Bound: 2,000 nulls at true size alpha exceed this count in 1% of all tries."""
    generator = np.random.default_rng(7)
    rejected, looked_at = 0, 0
    for _ in range(2000):
        observed, *null = generator.random(1000)
        count = Exceedances(observed, sequential=True)
        count.add(np.array(null))
        rejected += count.p().p <= alpha
        looked_at += count.n
    assert rejected <= stats.binom.ppf(0.99, 2000, alpha)
    assert looked_at < 0.2 * 2000 * 999


def test_stops_at_the_very_exceedance() -> None:
    count = Exceedances(0.0, sequential=True)
    values = np.array([-1.0, 1.0] * ENOUGH)
    assert count.add(values[:5])
    assert not count.add(values[5:])
    assert (count.n, count.n_exceeding, count.stopped) == (2 * ENOUGH, ENOUGH, True)


def test_ties_count_whatever_the_rounding() -> None:
    assert reaches(np.array([0.1 + 0.2, 0.3 - 1e-6]), 0.3 + 1e-12).tolist() == [True, False]
    assert reaches(np.array([1e9 - 0.5]), 1e9).tolist() == [True]


def _evaluate(block: NDArray[np.integer]) -> NDArray[np.float64]:
    return (block @ np.arange(block.shape[1], dtype=np.float64))[:, None]


def test_threads_change_no_number() -> None:
    shuffler = LabelShuffler(np.arange(3000) % 3, np.arange(3000) % 2)
    one, two, five = (
        null_distribution(shuffler, _evaluate, 900, seed=3, n_threads=threads).values for threads in (1, 2, 5)
    )
    assert one.shape == (900, 1)
    assert (one == two).all()
    assert (one == five).all()
    assert (one != null_distribution(shuffler, _evaluate, 900, seed=4).values).any()


def test_few_arrangements_are_all_taken() -> None:
    found = null_distribution(LabelShuffler([0, 0, 1, 1]), _evaluate, 6, seed=0)
    assert found.exhaustive
    assert sorted(found.values[:, 0].tolist()) == [1, 2, 3, 3, 4, 5]
    assert not null_distribution(LabelShuffler([0, 0, 1, 1]), _evaluate, 5, seed=0).exhaustive
    assert not null_distribution(RowResampler(2), _evaluate, 50, seed=0).exhaustive
    with pytest.raises(ValueError, match="at least one"):
        null_distribution(LabelShuffler([0, 1]), _evaluate, 0, seed=0)


def test_whoever_listens_can_end_it() -> None:
    class Enough(Exception):
        pass

    def refuse(_: NDArray[np.float64]) -> bool:
        raise Enough

    shuffler = LabelShuffler(np.arange(100) % 2)
    with pytest.raises(Enough):
        null_distribution(shuffler, _evaluate, 9999, seed=0, n_threads=2, on_block=refuse)
    first = null_distribution(shuffler, _evaluate, 9999, seed=0, n_threads=2, on_block=lambda _: False)
    assert 0 < len(first.values) < 9999


def _cut_short(n_blocks: int, **asked: Any) -> list[NDArray[np.float64]]:
    """Finished blocks of a call that was ended after so many."""
    blocks: list[NDArray[np.float64]] = []
    null_distribution(**asked, blocks=blocks, on_block=lambda _: len(blocks) < n_blocks)
    return blocks


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("shuffler", [LabelShuffler(np.arange(3000) % 3), SignFlipper(11)])
def test_what_was_cut_short_goes_on_and_ends_with_the_same_numbers(
    shuffler: LabelShuffler | SignFlipper, n_threads: int
) -> None:
    """Drawn at random in the one case; in the other all 2,048 arrangements are taken."""
    computed: list[int] = []

    def evaluate(block: NDArray[np.integer]) -> NDArray[np.float64]:
        computed.append(len(block))
        return _evaluate(block)

    asked = {"arrangements": shuffler, "evaluate": evaluate, "n_permutations": 2050, "seed": 3, "n_threads": n_threads}
    whole = null_distribution(**asked)
    of_whole = sum(computed)
    assert of_whole == len(whole.values)
    for n_blocks in (1, 4):
        blocks = _cut_short(n_blocks, **asked)
        known = sum(map(len, blocks))
        computed.clear()
        told: list[NDArray[np.float64]] = []
        resumed = null_distribution(
            **asked, blocks=blocks, on_block=lambda block, told=told: told.append(block) or True
        )
        assert sum(computed) == of_whole - known, "what was known is computed again, or something is left out"
        assert (resumed.values == whole.values).all()
        assert (np.concatenate(told) == whole.values).all()
        assert (np.concatenate(blocks) == whole.values).all()


def test_a_sequential_test_that_was_cut_short_stops_where_it_would_have_stopped() -> None:
    asked = {
        "arrangements": LabelShuffler(np.arange(3000) % 2),
        "evaluate": _evaluate,
        "n_permutations": 9999,
        "seed": 3,
    }
    observed = float(np.quantile(null_distribution(**asked).values, 0.99))
    whole = Exceedances(observed, sequential=True)
    null_distribution(**asked, on_block=lambda block: whole.add(block[:, 0]))
    assert whole.stopped
    for n_blocks in (1, 5, 100):
        blocks: list[NDArray[np.float64]] = []
        first = Exceedances(observed, sequential=True)
        null_distribution(
            **asked,
            blocks=blocks,
            on_block=lambda block, first=first, n=n_blocks, kept=blocks: first.add(block[:, 0]) and len(kept) < n,
        )
        again = Exceedances(observed, sequential=True)
        null_distribution(**asked, blocks=blocks, on_block=lambda block, again=again: again.add(block[:, 0]))
        assert again.p() == whole.p()


def test_blocks_of_another_call_are_refused() -> None:
    blocks = _cut_short(
        2, arrangements=LabelShuffler(np.arange(3000) % 2), evaluate=_evaluate, n_permutations=9999, seed=3
    )
    with pytest.raises(ValueError, match="same arguments"):
        null_distribution(LabelShuffler(np.arange(90_000) % 2), _evaluate, 9999, seed=3, blocks=blocks)


def test_max_t_of_one_is_its_own_p_and_of_equals_costs_nothing() -> None:
    null = np.random.default_rng(0).normal(size=(999, 1))
    alone = max_t([2.0], null)
    assert alone[0] == (1 + (null >= 2).sum()) / 1000
    assert (max_t([2.0, 200.0], np.hstack([null, 100 * null])) == alone).all()  # other scale, same hypothesis


def test_max_t_keeps_the_family_wise_error() -> None:
    """Five correlated statistics of very different scale and shape; the first is truly different in half of the runs.

    Bound: 1,000 families at true error .05 exceed 67 in 1% of all tries.
    """
    generator = np.random.default_rng(8)
    scale = np.array([1, 100, 0.01, 5, 1])
    wrong = 0
    for trial in range(1000):
        draws = generator.normal(size=(200, 5)) + generator.normal(size=(200, 1))
        draws[:, 4] = draws[:, 4] ** 2
        draws *= scale
        observed = draws[0].copy()
        observed[0] += 8 * (trial % 2)
        adjusted = max_t(observed, draws[1:])
        wrong += adjusted[1:].min() <= 0.05 or (trial % 2 == 0 and adjusted[0] <= 0.05)
    assert wrong <= stats.binom.ppf(0.99, 1000, 0.05)


def test_max_t_is_stronger_than_holm_where_statistics_hang_together() -> None:
    generator = np.random.default_rng(9)
    null = generator.normal(size=(999, 1)) + 0.05 * generator.normal(size=(999, 6))
    adjusted = max_t(np.full(6, 2.3), null)
    assert adjusted.max() < 2 * (null >= 2.3).mean(axis=0).max() < 6 * (null >= 2.3).mean(axis=0).min()


def test_closed_form_covariance_is_that_of_all_arrangements() -> None:
    generator = np.random.default_rng(10)
    group, strata = np.array([0, 1, 2, 0, 1, 1, 2]), np.array([0, 0, 0, 1, 1, 1, 1])
    features = generator.normal(size=(7, 2))
    every = np.concatenate(list(LabelShuffler(group, strata).all(100)))
    sums = np.stack([(every == g).astype(float) @ features for g in range(3)], axis=1).reshape(len(every), 6)
    assert len(every) == 6 * 12
    expected = np.cov(sums.T, ddof=0).reshape(3, 2, 3, 2).transpose(0, 2, 1, 3)
    assert group_sum_covariance(group, features, strata, 3) == pytest.approx(expected, abs=1e-12)


def test_satterthwaite_is_exact_for_a_chi_squared() -> None:
    assert quadratic_p(9.2, 4.0, 8.0) == pytest.approx(stats.chi2.sf(9.2, 4))
    assert quadratic_p(1.0, 0.0, 0.0) == 1.0
