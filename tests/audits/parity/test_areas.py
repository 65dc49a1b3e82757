"""Areas between distributions of degrees are those of every single result, not of a grid."""

from dataclasses import replace

import numpy as np
import pytest
from auditor.audits.parity import permutation
from auditor.audits.parity.areas import Degrees, area_between
from auditor.audits.parity.data import degrees_grid, lists
from auditor.audits.parity.effects import Effect, effects_groups, effects_target
from auditor.audits.parity.output import score
from auditor.audits.parity.spec import ParitySpec
from auditor.audits.parity.subject import Subject, subject
from numpy.typing import NDArray
from scipy import stats
from tests.audits.parity.test_shape import apart
from tests.audits.parity.worlds import attribute, results, world


def skewed(n: int, seed: int) -> NDArray[np.float64]:
    """Degrees most of which lie close together, with a long tail: where points of a grid are far apart."""
    generator = np.random.default_rng(seed)
    return np.clip(10 + 12 * generator.standard_t(2, n), -90, 90)


@pytest.mark.parametrize("n", [7, 1_999])
def test_the_area_is_scipys_distance(n: int) -> None:
    generator = np.random.default_rng(2)
    first, second = skewed(n, 3), skewed(n, 4) + generator.integers(0, 2, n)
    a, b = generator.random(n), generator.random(n)
    a, b = a / a.sum(), b / b.sum()
    wanted = stats.wasserstein_distance(first, second, a, b)
    assert area_between((first, a), (second, b)) == pytest.approx(wanted)
    assert area_between((np.append(first, second), np.append(a, -b))) == pytest.approx(wanted)


def test_cells_add_up_to_the_area_under_each_distribution_function() -> None:
    """Up to the largest value m the area is m less the mean, whatever lies between two points of the grid."""
    values = skewed(3_000, 5)
    row = np.repeat(np.arange(30), 100)
    found = Degrees(row, values, np.full(3_000, 0.01))
    grid = degrees_grid(values)
    assert len(grid) == 200
    kept = np.array([3, 4, 17, 29])
    areas = found.cells(kept, grid)
    means = values.reshape(30, 100).mean(axis=1)[kept]
    assert areas.sum(axis=1) == pytest.approx(grid[-1] - means)
    a_cell = (values[300:400, None] <= np.linspace(grid[90], grid[91], 200_001)).mean(axis=0)
    assert areas[0, 90] == pytest.approx(np.trapezoid(a_cell, dx=(grid[91] - grid[90]) / 200_000), rel=1e-4)


def test_thousands_of_distinct_degrees_lose_nothing() -> None:
    values = skewed(4_000, 6)
    group = np.repeat([0, 1], [150, 250])
    one = attribute("ita", values)
    found = results(np.arange(4_000).reshape(400, 10), one, group=group)
    asked = lists(found, one, k=None, rank_aware=False)
    assert asked.grid is not None
    assert len(asked.grid) == 200
    none = np.zeros(400, np.int32)
    effects = effects_groups(asked, one, found.query_group, ("a", "b"), none, confidence=0.95, seed=1)
    distance = apart(effects)
    assert distance.value == pytest.approx(stats.wasserstein_distance(values[:1_500], values[1_500:]))
    assert distance.low <= distance.value <= distance.high


def catalog_world(kind: str) -> tuple[Subject, permutation.NullTest]:
    """Results of unequal lists compared with their catalog, whose strata have other levels each."""
    found, one = world(kind, levels=5)
    generator = np.random.default_rng(11)
    if one.value is None:
        level = np.minimum(one.level + (found.item_stratum == 2), 4).astype(np.int16)
        one = replace(one, level=np.where(one.level < 0, one.level, level))
    else:
        value = one.value + 12 * found.item_stratum + generator.random(len(one.value))
        one = attribute("ita", np.clip(value, -90, 90))
    found = replace(
        found,
        in_catalog=np.ones(found.n_items, np.bool_),
        attributes={"tone": one},
        query_group=np.full(found.n_queries, -1, np.int16),
    )
    spec = ParitySpec(mode="C1", scale=kind, k=10)
    return subject(spec, found, "C1", one, 10), permutation.test_catalog(found, one, k=10, n_permutations=99)


def test_within_strata_of_a_catalog_test_and_effect_rank_results_alike() -> None:
    """The statistic is in ridits, from 0 to 1, the effect in mid-ranks from -1 to 1."""
    primary, test = catalog_world("ordinal")
    assert primary.target is not None
    assert np.ptp(primary.target[:, 0]) > 0.05  # targets differ from query to query
    effect, *others = effects_target(
        primary.lists,
        primary.attribute,
        primary.target,
        None,
        confidence=0.95,
        seed=1,
        ranked_among=primary.ranked_among,
    )
    assert effect.name == "mid-rank difference"
    assert test.statistic_name == "mid-rank mean difference"
    assert effect.value == pytest.approx(2 * test.statistic)
    # A distance over the same mid-ranks is never below it.
    assert abs(effect.value) <= apart(others).value + 1e-12
    mean = primary.target.mean(axis=0)
    scores = 2 * (np.cumsum(mean) - mean / 2) - 1
    by_hand = stats.wasserstein_distance(scores, scores, primary.lists.shares.mean(axis=0), mean)
    assert apart(others).value == pytest.approx(by_hand)


def test_the_standard_error_knows_that_ranks_move_with_the_targets() -> None:
    """Against a jackknife of the whole effect, ranks included."""
    primary, _ = catalog_world("ordinal")
    assert primary.target is not None
    shares, target = primary.lists.shares, primary.target
    n = len(shares)

    def effect_of(rows: NDArray[np.bool_]) -> float:
        mean, off = target[rows].mean(axis=0), (shares - target)[rows].mean(axis=0)
        return float(off @ (2 * (np.cumsum(mean) - mean / 2) - 1))

    without = np.array([effect_of(np.arange(n) != query) for query in range(n)])
    jackknife = np.sqrt((n - 1) / n * np.square(without - without.mean()).sum())
    effect = effects_target(
        primary.lists,
        primary.attribute,
        target,
        None,
        confidence=0.95,
        seed=1,
        primary_only=True,
        ranked_among=primary.ranked_among,
    )[0]
    assert effect.value == pytest.approx(effect_of(np.ones(n, np.bool_)))
    assert effect.se == pytest.approx(jackknife, rel=0.01)


def test_the_standard_error_in_degrees_knows_what_is_expected_of_each_list() -> None:
    """Against a jackknife of the whole effect; strata lie 60 degrees apart, which lists and their targets share."""
    found, one = world("ita", levels=5)
    assert one.value is not None
    one = attribute("ita", np.clip(one.value / 10 + 60 * found.item_stratum - 60, -90, 90))
    generator = np.random.default_rng(4)
    rows = [generator.choice(np.flatnonzero(found.item_stratum == i % 3), 8, replace=False) for i in range(60)]
    found = results(rows, one, item_stratum=found.item_stratum)
    found = replace(found, in_catalog=np.ones(found.n_items, np.bool_))
    spec = ParitySpec(mode="C1", scale="ita", k=10)
    primary = subject(spec, found, "C1", one, 10)
    assert primary.lists.values is not None
    assert one.value is not None
    known = one.level >= 0
    of_strata = np.array([one.value[known & (found.item_stratum == s)].mean() for s in range(3)])
    off = primary.lists.values - of_strata[np.arange(60) % 3]
    without = (off.sum() - off) / 59
    jackknife = np.sqrt(59 / 60 * np.square(without - without.mean()).sum())

    def effect(two_way: bool) -> Effect:
        return effects_target(
            primary.lists,
            one,
            primary.target,
            primary.target_mean,
            confidence=0.95,
            seed=1,
            two_way=found if two_way else None,
            primary_only=True,
            expected=primary.expected,
        )[0]

    assert effect(False).value == pytest.approx(off.mean())
    assert effect(False).se == pytest.approx(jackknife, rel=0.01)
    # The same catalog and the same results, with each stratum's mean taken out beforehand: the same question.
    level_ground = attribute("ita", one.value - of_strata[found.item_stratum])
    flat = subject(spec, replace(found, attributes={"tone": level_ground}), "C1", level_ground, 10)
    plain = effects_target(
        flat.lists, level_ground, None, 0.0, confidence=0.95, seed=1, two_way=found, primary_only=True
    )[0]
    assert plain.two_way
    assert (effect(True).se, effect(True).low) == pytest.approx((plain.se, plain.low))
    score_ = score(primary, None)
    assert score_.deviation == pytest.approx(off)


def test_degrees_of_a_stratified_catalog_are_compared_exactly() -> None:
    primary, _ = catalog_world("ita")
    assert primary.expected is not None
    assert primary.lists.degrees is not None
    effects = effects_target(
        primary.lists,
        primary.attribute,
        primary.target,
        primary.target_mean,
        confidence=0.95,
        seed=1,
        expected=primary.expected,
    )
    shown = primary.lists.degrees
    items = primary.expected.items
    of_items = items.weight * primary.expected.shares.mean(axis=0)[items.row]
    by_hand = stats.wasserstein_distance(shown.value, items.value, shown.weight, of_items)
    assert apart(effects).value == pytest.approx(by_hand)
    assert apart(effects).value >= abs(effects[0].value)
