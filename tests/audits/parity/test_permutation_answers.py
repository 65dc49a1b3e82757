"""What the modes of the parity test see and do not see, what they refuse, and real results."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from auditor.audits.parity import permutation
from auditor.audits.parity.data import MISSING, Attribute, Lists, Results, lists
from auditor.audits.parity.effects import effects_target
from auditor.audits.parity.statistics import choose, names, names_against_target
from auditor.errors import InputError
from numpy.typing import NDArray
from scipy import stats
from tests.audits.parity.worlds import ITEMS, QUERIES, attribute, image_search, in_groups, results, world

# --- what a test should and should not see ----------------------------------------------------------------------------


def _biased(generator: np.random.Generator, share: float, n: int) -> list[NDArray[Any]]:
    """Lists of 10 of 200 items, half of them level 1 (the odd ones), shown with the given probability."""
    return [2 * generator.integers(0, 100, 10) + (generator.random(10) < share) for _ in range(n)]


def test_a_bias_is_seen_by_every_mode_and_no_bias_is_not() -> None:
    generator = np.random.default_rng(6)
    level = np.arange(200) % 2
    one = attribute("nominal", level)
    for share, seen in ((0.75, True), (0.5, False)):
        rows = [*_biased(generator, share, 30), *_biased(generator, 1 - share if seen else 0.5, 30)]
        group = np.repeat([1, 0], 30)
        # A query item of level 1 gets many of level 1.
        own = np.concatenate([2 * np.arange(30) + 1, 2 * np.arange(30)])
        found = results(rows, one, group=group, query_item=own)
        one_sided = results(rows[:30], one)
        top = lists(one_sided, one, k=None, rank_aware=False)
        target = np.full((30, 2), 0.5)
        p_values = [
            in_groups(found, one).p_value,
            permutation.test_catalog_queries(found, one, k=None, n_permutations=300).p_value,
            permutation.test_catalog(one_sided, one, k=None, n_permutations=300).p_value,
            permutation.test_shares(top, one, target, n_permutations=300).p_value,
            permutation.test_shares(top, one, target, method="bootstrap-t", n_permutations=300).p_value,
        ]
        assert (np.array(p_values) <= 0.01).all() if seen else (np.array(p_values) > 0.05).all(), p_values


def test_a_difference_between_strata_is_no_difference_between_groups() -> None:
    """One stratum shows level 1 and is asked by group 1: seen without strata, gone within them."""
    generator = np.random.default_rng(7)
    one = attribute("nominal", np.arange(200) % 2)
    stratum = np.repeat([0, 1], 60)
    group = (generator.random(120) < np.where(stratum == 1, 0.8, 0.2)).astype(int)
    found = results([*_biased(generator, 0.2, 60), *_biased(generator, 0.8, 60)], one, group=group)
    top = lists(found, one, k=None, rank_aware=False)
    pooled = permutation.test_groups(top, one, found.query_group, np.zeros(120, np.int32), n_permutations=999)
    within = permutation.test_groups(top, one, found.query_group, stratum.astype(np.int32), n_permutations=999)
    assert pooled.p_value <= 0.001
    assert within.p_value > 0.05
    assert "within 2 strata" in within.method


def test_ties_count_against_rejection() -> None:
    """Every list is the same: every arrangement reaches what was observed, and p is 1."""
    one = attribute("ordinal", [0, 1, 2])
    found = results([[0, 1, 2]] * 40, one, group=np.arange(40) % 2)
    top = lists(found, one, k=None, rank_aware=False)
    for name in names("ordinal", 2, ordered_groups=False):
        test = permutation.test_groups(
            top, one, found.query_group, found.query_stratum, statistic=name, n_permutations=99
        )
        assert test.p_value == 1.0, name
        assert test.closed_form_p == 1.0, name


def test_the_same_seed_and_any_number_of_threads_give_the_same_numbers() -> None:
    for kind in ("nominal", "ita"):
        found, one = world(kind)
        runs: list[Any] = [
            lambda n, found=found, one=one: in_groups(found, one, n_permutations=700, seed=9, n_threads=n),
            lambda n, found=found, one=one: permutation.test_catalog_queries(
                found, one, k=5, n_permutations=700, seed=9, n_threads=n
            ),
            lambda n, found=found, one=one: permutation.test_catalog(
                found, one, k=5, n_permutations=700, seed=9, n_threads=n
            ),
        ]
        for run in runs:
            one_thread, three = run(1), run(3)
            assert (one_thread.null == three.null).all()
            assert one_thread.p_value == three.p_value
            assert one_thread.seed == 9


def test_the_answer_is_told_at_once_and_sharpens() -> None:
    found, one = world("nominal")
    told: list[permutation.SoFar] = []
    test = in_groups(found, one, n_permutations=2000, progress=told.append)
    assert told[0].done == 0
    assert told[0].p_value == test.closed_form_p
    assert [one.done for one in told[1:]] == sorted({one.done for one in told[1:]})
    assert told[-1].done == told[-1].total == 2000
    assert told[-1].p_value == test.p_value
    widths = [one.p_high - one.p_low for one in told[1:]]
    assert widths[-1] < widths[0]


def test_sequential_stopping_saves_permutations_where_nothing_is_to_be_seen() -> None:
    found, one = world("nominal")
    full, stopped = (
        in_groups(found, one, n_permutations=9999),
        in_groups(found, one, n_permutations=9999, sequential=True),
    )
    assert full.p_value > 0.05
    assert stopped.stopped_early
    assert stopped.n_permutations < 2000
    assert stopped.p_low <= full.p_value <= stopped.p_high
    assert len(stopped.null) == stopped.n_permutations


# --- families ---------------------------------------------------------------------------------------------------------


def test_a_family_of_one_is_the_test_itself() -> None:
    found, one = world("nominal")
    top = lists(found, one, k=10, rank_aware=True)
    assert len(top.queries) == QUERIES
    ((name, test, adjusted),) = permutation.test_groups_family(
        [("K = 10", top, one)], found.query_group, found.query_stratum, n_permutations=300
    )
    alone = in_groups(found, one)
    assert name == "K = 10"
    assert test.null == pytest.approx(alone.null)
    assert test.p_value == alone.p_value == adjusted


def test_a_family_over_cut_offs_and_attributes() -> None:
    """Adjusted p-values are above the plain ones, below Bonferroni's, and a query without a list spoils nothing."""
    found, first = world("ordinal", seed=11)
    _, second = world("ita", seed=11)
    sparse = attribute("nominal", np.where(np.arange(ITEMS) % 7 == 0, first.level, MISSING), 4)
    members = [
        *((f"K = {k}", lists(found, first, k=k, rank_aware=False), first) for k in (3, 5, 10)),
        ("degrees", lists(found, second, k=10, rank_aware=False), second),
        ("sparse", lists(found, sparse, k=10, rank_aware=False), sparse),
    ]
    assert len(members[-1][1].queries) < QUERIES
    family = permutation.test_groups_family(members, found.query_group, found.query_stratum, n_permutations=499)
    assert [name for name, _, _ in family] == [name for name, _, _ in members]
    for _, test, adjusted in family:
        assert test.p_value <= adjusted <= min(1.0, 5 * test.p_value + 0.05)


# --- what is refused --------------------------------------------------------------------------------------------------


def _lists(found: Results, one: Attribute) -> Lists:
    return lists(found, one, k=None, rank_aware=False)


def test_refusals_name_the_fix() -> None:
    one = attribute("nominal", [0, 1, 1, 0])
    found = results([[0, 1], [2, 3]], one, group=[0, 0])
    top = _lists(found, one)
    with pytest.raises(InputError, match="at least two groups"):
        permutation.test_groups(top, one, found.query_group, found.query_stratum)
    with pytest.raises(InputError, match="does not fit"):
        permutation.test_groups(top, one, np.array([0, 1], np.int16), found.query_stratum, statistic="energy distance")
    with pytest.raises(InputError, match="no query is a catalog item"):
        permutation.test_catalog_queries(found, one, k=None)
    with pytest.raises(InputError, match="fewer than two levels"):
        permutation.test_catalog(
            results([[0, 1]], attribute("nominal", [1, 1], 2)), attribute("nominal", [1, 1], 2), k=1
        )
    with pytest.raises(InputError, match="no target"):
        permutation.test_shares(top, one, None)
    with pytest.raises(InputError, match="at least two queries"):
        permutation.test_shares(_lists(results([[0, 1]], one), one), one, np.full((1, 2), 0.5))
    assert choose(None, names_against_target("ita")).name == "mean difference"


def test_queries_without_a_group_and_items_without_a_label_take_no_part() -> None:
    found, one = world("nominal", strata=1)
    top = _lists(found, one)
    group = found.query_group[top.queries].copy()
    group[:5] = MISSING
    kept = group != MISSING
    whole = permutation.test_groups(top, one, group, found.query_stratum, n_permutations=200)
    smaller = lists(
        results([found.item[found.query == q] for q in top.queries[kept]], one), one, k=None, rank_aware=False
    )
    alone = permutation.test_groups(smaller, one, group[kept], np.zeros(kept.sum(), np.int32), n_permutations=200)
    assert whole.null == pytest.approx(alone.null)


# --- real results -----------------------------------------------------------------------------------------------------


def test_image_search_shows_fewer_women_than_work_there_but_not_with_the_certainty_of_pooled_images(
    data_folder: Path,
) -> None:
    """45 occupations: mean deviation with sign-flips near p = .02; every image taken for itself would say 1e-8."""
    found, at_work, woman = image_search(data_folder)
    one = found.attributes["tone"]
    top = _lists(found, one)
    target = np.stack([1 - at_work, at_work], axis=1)[top.queries]
    flips = permutation.test_shares(top, one, target, n_permutations=9999, seed=1)
    assert len(top.queries) == 45
    assert 0.01 < flips.p_value < 0.035
    assert (top.shares - target)[:, 1].mean() < 0
    assert 0.01 < permutation.test_shares(top, one, target, method="bootstrap-t", seed=1).p_value < 0.06
    assert flips.closed_form_p == pytest.approx(flips.p_value, abs=0.01)
    expected = at_work[found.query]
    pooled = (woman.sum() - expected.sum()) / np.sqrt((expected * (1 - expected)).sum())
    assert 2 * stats.norm.sf(abs(pooled)) < 1e-7


def test_against_targets_that_differ_the_statistic_is_half_the_effect() -> None:
    """Mid-ranks are taken among each query's own target in both, so that test and interval look at the same number."""
    generator = np.random.default_rng(7)
    one = attribute("ordinal", generator.integers(0, 4, 300), 4)
    top = _lists(results(np.arange(300).reshape(30, 10), one), one)
    target = generator.dirichlet(np.ones(4), 30)
    test = permutation.test_shares(top, one, target, n_permutations=99)
    (effect, *_) = effects_target(top, one, target, None, confidence=0.95, seed=1, primary_only=True)
    assert 2 * test.statistic == pytest.approx(effect.value)


def test_where_all_queries_deviate_alike_there_is_no_first_answer() -> None:
    """Not "p = 1": nothing is known of chance, while every query deviates."""
    one = attribute("nominal", np.tile([0, 1, 2], 12), 3)
    top = _lists(results(np.arange(36).reshape(12, 3), one), one)
    test = permutation.test_shares(top, one, np.tile([0.6, 0.3, 0.1], (12, 1)), n_permutations=9999)
    assert test.closed_form_p is None
    assert test.p_value == 2 / 2**12
