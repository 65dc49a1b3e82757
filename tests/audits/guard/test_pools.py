"""Pools share nothing, are drawn by seed and ids alone, and are met as closely as whole groups allow."""

import random

import numpy as np
import pytest
from auditor.audits.guard.pools import Draw, mixed, split, units
from auditor.audits.guard.spec import GuardSpec
from auditor.audits.guard.task import Demonstration, Example
from hypothesis import given
from hypothesis import strategies as st


def example(n: int, group: str = "", text: str = "") -> Example:
    return Example(f"q{n}", text or f"text {n}", "good", group, n + 2)


POOL = tuple(Demonstration(f"shown {n}", "good", "good", f"d{n:02d}") for n in range(40))
groups = st.lists(st.sampled_from(["", "", "", "a", "b", "c"]), min_size=3, max_size=60)


@given(groups, st.floats(0.05, 0.95), st.integers(0, 2**32), st.integers(0, 50))
def test_pools_share_no_query_and_no_group(names: list[str], share: float, seed: int, number: int) -> None:
    queries = [example(n, group) for n, group in enumerate(names)]
    if len(set(units(queries).tolist())) < 2:
        with pytest.raises(ValueError, match="single group"):
            split(queries, share, seed=seed, number=number)
        return
    pools = split(queries, share, seed=seed, number=number)
    assert sorted([*pools.calibration, *pools.test]) == list(range(len(queries)))
    assert len(pools.calibration)
    assert len(pools.test)
    there = {queries[place].group for place in pools.calibration} - {""}
    assert there.isdisjoint({queries[place].group for place in pools.test})


@given(groups, st.integers(0, 100), st.randoms(use_true_random=False))
def test_the_order_of_the_file_does_not_count(names: list[str], seed: int, shuffling: random.Random) -> None:
    queries = [example(n, group) for n, group in enumerate([*names, "x"])]
    shuffled = list(queries)
    shuffling.shuffle(shuffled)
    one, other = split(queries, 0.5, seed=seed), split(shuffled, 0.5, seed=seed)
    for a, b in ((one.calibration, other.calibration), (one.test, other.test)):
        assert [queries[place].id for place in a] == [shuffled[place].id for place in b]


def test_the_share_is_met_exactly_without_groups() -> None:
    queries = [example(n) for n in range(100)]
    for share in (0.01, 0.25, 0.5, 0.99):
        assert len(split(queries, share, seed=3).calibration) == round(100 * share)


def test_splits_and_seeds_differ_and_their_order_is_not_that_of_the_file() -> None:
    queries = [example(n) for n in range(100)]
    found = [split(queries, 0.5, seed=seed, number=number) for seed, number in ((0, 0), (0, 1), (1, 0))]
    assert len({tuple(pools.calibration) for pools in found}) == 3
    assert all(sorted(pools.calibration) != list(pools.calibration) for pools in found)
    # Every query calibrates in about half of all splits: 200 draws, within five standard deviations.
    counts = sum(np.bincount(split(queries, 0.5, seed=0, number=n).calibration, minlength=100) for n in range(200))
    assert np.abs(counts - 100).max() < 5 * np.sqrt(50)


def test_equal_texts_and_chains_of_groups_belong_together() -> None:
    queries = [
        example(0, "a"),
        example(1, "b", "the same"),
        example(2, "a", "the same"),
        example(3, "", "the same"),
        example(4),
    ]
    assert units(queries).tolist() == [0, 0, 0, 0, 1]


def test_demonstrations_are_drawn_without_repeating_for_each_query_alone() -> None:
    draw = Draw(POOL, GuardSpec(n_demonstrations=16), seed=5)
    first = draw.demonstrations("q1")
    assert len({shown.source for shown in first}) == 16
    assert draw.demonstrations("q2") != first
    assert draw.demonstrations("q1") == first
    assert Draw(POOL[::-1], GuardSpec(n_demonstrations=16), seed=5).demonstrations("q1") == first
    assert Draw(POOL, GuardSpec(n_demonstrations=16), seed=6).demonstrations("q1") != first
    # More of them hold the fewer.
    assert Draw(POOL, GuardSpec(n_demonstrations=20), seed=5).demonstrations("q1")[:16] == first
    assert draw.key("q1") == "q1"


def test_every_demonstration_is_drawn_alike() -> None:
    draw = Draw(POOL, GuardSpec(n_demonstrations=10), seed=0)
    counts = dict.fromkeys((shown.source for shown in POOL), 0)
    for n in range(800):
        for shown in draw.demonstrations(f"q{n}"):
            counts[shown.source] += 1
    # 800 draws with probability 1/4 each, within five standard deviations.
    assert max(abs(count - 200) for count in counts.values()) < 5 * np.sqrt(800 * 0.25 * 0.75)


def test_fixed_demonstrations_are_the_first_of_the_file_and_so_is_their_corruption() -> None:
    draw = Draw(POOL[::-1], GuardSpec(demonstrations="fixed", n_demonstrations=3), seed=5)
    assert [shown.source for shown in draw.demonstrations("q1")] == ["d39", "d38", "d37"]
    assert draw.demonstrations("q1") == draw.demonstrations("q2")
    assert draw.key("q1") == draw.key("q2")


@given(st.integers(0, 1000), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_mixture_holds_a_smaller_one(seed: int, one: float, other: float) -> None:
    ids = [f"q{n}" for n in range(30)]
    small, large = (mixed(ids, share, seed=seed) for share in sorted((one, other)))
    assert (large | ~small).all()


def test_a_mixture_has_its_share() -> None:
    ids = [f"q{n}" for n in range(2000)]
    assert not mixed(ids, 0, seed=0).any()
    assert mixed(ids, 1, seed=0).all()
    assert abs(mixed(ids, 0.25, seed=0).sum() - 500) < 5 * np.sqrt(2000 * 0.25 * 0.75)
