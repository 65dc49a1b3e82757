"""Effects against scipy and hand computations; intervals against the closed form; what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from auditor.audits.parity.contrasts import Contrast, Design, counted_slots, influence, item_variance
from auditor.audits.parity.data import ITA_CLASSES, ITA_CUTOFFS, Attribute, Results, Scale, lists
from auditor.audits.parity.effects import Effect, effects_groups, effects_target
from auditor.audits.parity.intervals import MEASURED_COVERAGE, measured_coverage, reaches, stretches, studentised_errors
from auditor.errors import InputError
from numpy.typing import NDArray
from scipy import stats

NAMES = ("dark", "light")


def made(
    *,
    n_queries: int = 60,
    k: int = 10,
    n_items: int | None = None,
    kind: str = "nominal",
    levels: tuple[str, ...] = ("x", "y"),
    move: float = 0.5,
    group: NDArray[np.int16] | None = None,
    seed: int = 1,
) -> tuple[Results, Attribute]:
    """Results of two groups of queries; in the first the attribute is higher. Items repeat if `n_items` is given."""
    generator = np.random.default_rng(seed)
    group = (np.arange(n_queries) % 2).astype(np.int16) if group is None else group
    query = np.repeat(np.arange(n_queries, dtype=np.int32), k)
    n = n_queries * k if n_items is None else n_items
    tone = generator.normal(size=n)
    if n_items is None:
        item = np.arange(n, dtype=np.int32)
        tone = tone + move * (group[query] == 0) + 0.5 * np.repeat(generator.normal(size=n_queries), k)
    else:
        chances = np.exp(move * tone[None, :] * (group == 0)[:, None])
        rows = [
            generator.choice(n, k, replace=False, p=chance) for chance in chances / chances.sum(axis=1, keepdims=True)
        ]
        item = np.concatenate(rows).astype(np.int32)
    value = None
    if kind == "ita":
        levels, value = ITA_CLASSES, 20 + 25 * tone
        level = np.searchsorted(ITA_CUTOFFS, value).astype(np.int16)
    else:
        level = np.searchsorted(np.quantile(tone, np.arange(1, len(levels)) / len(levels)), tone).astype(np.int16)
    attribute = Attribute("tone", Scale(kind, levels), level, value)
    results = Results(
        query_ids=tuple(f"q{i}" for i in range(n_queries)),
        item_ids=tuple(f"i{i}" for i in range(n)),
        query=query,
        item=item,
        rank=np.tile(np.arange(1, k + 1, dtype=np.int32), n_queries),
        score=None,
        group_names=NAMES,
        query_group=group,
        query_stratum=np.zeros(n_queries, np.int32),
        item_stratum=np.zeros(n, np.int32),
        stratum_names=(),
        query_item=np.full(n_queries, -1, np.int32),
        in_catalog=np.zeros(n, np.bool_),
        attributes={"tone": attribute},
    )
    return results, attribute


def effects(
    results: Results,
    attribute: Attribute,
    *,
    names: tuple[str, ...] = NAMES,
    stratum: NDArray[np.int32] | None = None,
    two_way: bool = False,
    seed: int = 7,
) -> list[Effect]:
    found = lists(results, attribute, k=None, rank_aware=False)
    group = results.query_group[found.queries]
    none = np.zeros(len(group), np.int32) if stratum is None else stratum
    return effects_groups(
        found, attribute, group, names, none, confidence=0.95, seed=seed, two_way=results if two_way else None
    )


def named(found: list[Effect], name: str) -> Effect:
    return next(effect for effect in found if effect.name == name)


def bounds(effect: Effect) -> tuple[float, float]:
    assert effect.low is not None
    assert effect.high is not None
    return effect.low, effect.high


def test_mean_difference_agrees_with_welch_and_with_scipys_bootstrap() -> None:
    results, attribute = made(kind="ita", n_queries=120)
    found = lists(results, attribute, k=None, rank_aware=False)
    assert found.values is not None
    a, b = found.values[results.query_group == 0], found.values[results.query_group == 1]
    effect = effects(results, attribute)[0]
    assert effect.name == "mean difference"
    assert (effect.a, effect.b, effect.unit) == ("dark", "light", "degrees")
    assert effect.value == pytest.approx(a.mean() - b.mean())
    welch = stats.ttest_ind(a, b, equal_var=False)
    assert effect.se == pytest.approx((a.mean() - b.mean()) / welch.statistic)
    closed = welch.confidence_interval(0.95)
    width = closed.high - closed.low
    assert np.allclose(bounds(effect), closed, atol=0.06 * width)
    peer = stats.bootstrap(
        (a, b), lambda x, y, axis: x.mean(axis) - y.mean(axis), method="BCa", n_resamples=4999, rng=3, vectorized=True
    ).confidence_interval
    assert np.allclose(bounds(effect), (peer.low, peer.high), atol=0.08 * width)


def test_deviation_from_a_target_agrees_with_the_t_interval() -> None:
    results, attribute = made(kind="ita", n_queries=150)
    found = lists(results, attribute, k=None, rank_aware=False)
    assert found.values is not None
    effect = effects_target(found, attribute, None, 20.0, confidence=0.95, seed=1)[0]
    closed = stats.ttest_1samp(found.values, 20.0).confidence_interval(0.95)
    assert effect.value == pytest.approx(found.values.mean() - 20)
    assert np.allclose(bounds(effect), np.array(closed) - 20, atol=0.06 * (closed.high - closed.low))


def test_mid_rank_difference_is_somers_d() -> None:
    """Lists of one length: the difference of mean mid-ranks is Somers' d of all slots, and Mann-Whitney's U rescaled."""
    results, attribute = made(kind="ordinal", levels=("I", "II", "III", "IV"))
    effect = effects(results, attribute)[0]
    first = results.query_group[results.query] == 0
    level = attribute.level[results.item]
    peer = stats.somersd(first.astype(int), level).statistic
    u = stats.mannwhitneyu(level[first], level[~first]).statistic
    assert effect.name == "mid-rank difference"
    assert effect.value == pytest.approx(peer)
    assert effect.value == pytest.approx(2 * u / (first.sum() * (~first).sum()) - 1)


def test_mid_rank_difference_by_hand() -> None:
    """Group dark shows I, II, II; light shows I, I, II. Pairs: 4 higher, 1 lower of 9."""
    results, _ = made(n_queries=2, k=3, group=np.array([0, 1], np.int16))
    attribute = Attribute("t", Scale("ordinal", ("I", "II")), np.array([0, 1, 1, 0, 0, 1], np.int16))
    effect = effects(results, attribute)[0]
    assert effect.value == pytest.approx((4 - 1) / 9)
    assert effect.low is None


def test_wasserstein_is_scipys() -> None:
    results, attribute = made(kind="ita", n_queries=24, k=6)
    assert attribute.value is not None
    value = attribute.value[results.item]
    first = results.query_group[results.query] == 0
    found = named(effects(results, attribute), "Wasserstein-1")
    assert found.value == pytest.approx(stats.wasserstein_distance(value[first], value[~first]))
    low, high = bounds(found)
    assert 0 <= low <= found.value <= high


def test_wasserstein_weighs_queries_the_same_when_lists_differ_in_length() -> None:
    results, attribute = made(kind="ita", n_queries=30, k=8)
    assert attribute.value is not None
    kept = (results.rank <= 3) | (results.query % 3 == 0)
    short = replace(results, query=results.query[kept], item=results.item[kept], rank=results.rank[kept])
    value, weight = attribute.value[short.item], 1 / np.bincount(short.query)[short.query]
    first = short.query_group[short.query] == 0
    peer = stats.wasserstein_distance(value[first], value[~first], weight[first], weight[~first])
    # Curves are held at 200 quantiles when there are more values than that: here there are fewer.
    assert named(effects(short, attribute), "Wasserstein-1").value == pytest.approx(peer, rel=1e-9)


def test_risk_difference_total_variation_and_cramers_v() -> None:
    results, attribute = made(n_queries=40)
    found = effects(results, attribute)
    first = results.query_group[results.query] == 0
    x = attribute.level[results.item] == 0
    difference = x[first].mean() - x[~first].mean()
    assert found[0].name == "risk difference"
    assert (found[0].level, found[0].value) == ("x", pytest.approx(difference))
    assert named(found, "total variation").value == pytest.approx(abs(difference))
    # Groups of one size and lists of one length: the table of mean shares is that of the slots, up to a factor.
    table = np.array([[np.sum(x & g), np.sum(~x & g)] for g in (first, ~first)])
    assert named(found, "Cramer's V").value == pytest.approx(
        np.sqrt(stats.chi2_contingency(table, correction=False).statistic / table.sum())
    )


def test_the_largest_of_several_differences_gets_a_simultaneous_interval() -> None:
    results, attribute = made(n_queries=120, levels=("u", "v", "w"))
    found = effects(results, attribute)
    risks = [effect for effect in found if effect.name == "risk difference"]
    assert abs(found[0].value) == max(abs(effect.value) for effect in risks)
    assert all(effect.simultaneous for effect in risks)
    assert "max-t" in found[0].method
    low, high = bounds(found[0])
    assert found[0].se is not None
    reach = (high - low) / 2 / found[0].se
    assert stats.norm.ppf(0.975) < reach < stats.norm.ppf(1 - 0.025 / 3) * 1.1


def test_three_groups_compare_all_pairs() -> None:
    group = (np.arange(90) % 3).astype(np.int16)
    results, attribute = made(n_queries=90, kind="ita", group=group)
    found = effects(results, attribute, names=("dark", "medium", "light"))
    means = [effect for effect in found if effect.name == "mean difference"]
    assert {(effect.a, effect.b) for effect in means} == {("dark", "medium"), ("dark", "light"), ("medium", "light")}
    assert abs(means[0].value) == max(abs(effect.value) for effect in means)


def test_strata_take_out_what_goes_with_them() -> None:
    """Half of each stratum's difference would be seen without strata: brands differ in tone and in their queries."""
    generator = np.random.default_rng(3)
    stratum = np.repeat([0, 1], 100).astype(np.int32)
    group = (generator.random(200) < np.where(stratum == 0, 0.8, 0.2)).astype(np.int16)
    results, attribute = made(n_queries=200, kind="ita", group=group, move=0)
    assert attribute.value is not None
    moved = replace(attribute, value=attribute.value + 30 * stratum[results.query])
    confounded = effects(results, moved)[0]
    fair = effects(results, moved, stratum=stratum)[0]
    assert abs(confounded.value) > 12
    low, high = bounds(fair)
    assert low < 0 < high
    # By hand: differences within strata, weighted n1 n2 / (n1 + n2).
    found = lists(results, moved, k=None, rank_aware=False)
    assert found.values is not None
    parts, weights = [], []
    for s in (0, 1):
        a, b = (found.values[(stratum == s) & (group == g)] for g in (0, 1))
        parts.append(a.mean() - b.mean())
        weights.append(len(a) * len(b) / (len(a) + len(b)))
    assert fair.value == pytest.approx(np.average(parts, weights=weights))


def test_strata_that_hold_one_group_only_cannot_be_compared() -> None:
    results, attribute = made(n_queries=40)
    with pytest.raises(InputError, match="no stratum holds queries of two groups"):
        effects(results, attribute, stratum=results.query_group.astype(np.int32))


def test_under_ten_queries_in_a_group_there_is_no_interval() -> None:
    group = np.array([0] * 9 + [1] * 40, np.int16)
    results, attribute = made(n_queries=49, kind="ita", group=group)
    for effect in effects(results, attribute):
        assert effect.low is None
        assert "a group has 9 queries, an interval takes at least 10" in effect.method


def test_a_small_group_does_not_take_the_interval_from_the_others() -> None:
    group = np.array([0] * 30 + [1] * 30 + [2] * 4, np.int16)
    results, attribute = made(n_queries=64, kind="ita", group=group, move=0.1)
    assert attribute.value is not None
    odd = replace(attribute, value=attribute.value + 50 * (group[results.query] == 2))
    found = effects(results, odd, names=("dark", "light", "rare"))
    assert (found[0].a, found[0].b) == ("dark", "light")
    assert found[0].low is not None
    assert any(effect.b == "rare" and abs(effect.value) > abs(found[0].value) for effect in found)


def test_queries_that_are_all_alike_have_no_interval() -> None:
    results, _ = made(n_queries=40, k=2)
    attribute = Attribute("t", Scale("nominal", ("x", "y")), np.tile(np.array([0, 1], np.int16), 40))
    effect = effects(results, attribute)[0]
    assert effect.value == pytest.approx(0)
    assert effect.low is None
    assert "all queries of a group are alike" in effect.no_interval


def test_one_group_cannot_be_compared() -> None:
    results, attribute = made(n_queries=20, group=np.zeros(20, np.int16))
    with pytest.raises(InputError, match="fewer than two query groups"):
        effects(results, attribute)


def test_queries_without_group_take_no_part() -> None:
    group = np.array([0, 1] * 20 + [-1] * 20, np.int16)
    results, attribute = made(n_queries=60, kind="ita", group=group)
    assert effects(results, attribute)[0].n_clusters == 40


def test_repeated_items_widen_the_interval_and_never_narrow_it() -> None:
    results, attribute = made(n_queries=100, n_items=25, kind="ita", move=0.6)
    one, two = effects(results, attribute)[0], effects(results, attribute, two_way=True)[0]
    assert one.se is not None
    assert two.se is not None
    assert two.se > 1.2 * one.se
    assert "two-way variance" in two.method
    fresh, plain = made(n_queries=100, kind="ita")
    assert effects(fresh, plain, two_way=True)[0] == effects(fresh, plain)[0]


def test_two_way_variance_by_hand() -> None:
    """Cameron, Gelbach and Miller: by query + by item - by slot, from the slots' own errors."""
    results, attribute = made(n_queries=30, n_items=12, kind="ita", k=4)
    found = lists(results, attribute, k=None, rank_aware=False)
    group = results.query_group
    design = Design(group, 2, np.zeros(30, np.int32))
    weights = design.difference(0, 1)
    assert weights is not None
    contrast = Contrast(weights, None)
    assert attribute.value is not None
    assert found.values is not None
    means = np.array([found.values[group == g].mean() for g in (0, 1)])
    slot = attribute.value[results.item] - means[group[results.query]]
    sizes = np.bincount(group)
    slot = slot / 4 / sizes[group[results.query]] * np.where(group[results.query] == 0, 1, -1)
    slot = slot * np.sqrt(sizes / (sizes - 1))[group[results.query]]
    by_query = np.square(np.bincount(results.query, weights=slot)).sum()
    by_item = np.square(np.bincount(results.item, weights=slot)).sum()
    assert np.square(influence(contrast, found, design)).sum() == pytest.approx(by_query)
    slots = counted_slots(results, attribute, found)
    assert slots.repeated
    assert item_variance(contrast, found, design, slots) == pytest.approx(by_item - np.square(slot).sum())


def test_standard_error_of_a_mid_rank_difference_counts_that_ranks_are_estimated() -> None:
    """Against the jackknife, which recomputes mid-ranks without each query."""
    group = np.array([0] * 15 + [1] * 45, np.int16)
    results, attribute = made(n_queries=60, kind="ordinal", levels=("I", "II", "III", "IV"), group=group, move=1.5)
    found = lists(results, attribute, k=None, rank_aware=False)
    order = np.sign(np.arange(4)[:, None] - np.arange(4)[None, :])

    def statistic(kept: NDArray[np.bool_]) -> float:
        a, b = (found.shares[kept & (group == g)].mean(axis=0) for g in (0, 1))
        return float(a @ order @ b)

    everyone = np.ones(60, np.bool_)
    left_out = np.array([statistic(everyone & (np.arange(60) != i)) for i in range(60)])
    variance = 0.0
    for g, n in ((0, 15), (1, 45)):
        part = left_out[group == g]
        variance += (n - 1) / n * np.square(part - part.mean()).sum()
    assert effects(results, attribute)[0].se == pytest.approx(np.sqrt(variance), rel=0.01)


def test_the_same_seed_gives_the_same_interval() -> None:
    results, attribute = made(kind="ita")
    assert effects(results, attribute, seed=3) == effects(results, attribute, seed=3)
    assert effects(results, attribute, seed=3)[0].low != effects(results, attribute, seed=4)[0].low


def test_few_queries_say_what_their_intervals_are_worth() -> None:
    results, attribute = made(n_queries=44, kind="ita")
    measured = MEASURED_COVERAGE["mean difference"][40]
    assert (
        f"at 40 queries nominal 95% intervals held the truth in {measured:.1%}" in effects(results, attribute)[0].method
    )
    assert measured_coverage("mean difference", 100) is None
    results, attribute = made(n_queries=120, kind="ita")
    assert "held the truth" not in effects(results, attribute)[0].method


def test_deviations_from_shares() -> None:
    results, attribute = made(n_queries=50, levels=("u", "v", "w"))
    found = lists(results, attribute, k=None, rank_aware=False)
    target = np.array([0.5, 0.3, 0.2])
    got = effects_target(found, attribute, target, None, confidence=0.95, seed=1)
    off = found.shares.mean(axis=0) - target
    assert got[0].value == pytest.approx(off[np.abs(off).argmax()])
    assert got[0].simultaneous
    assert named(got, "total variation").value == pytest.approx(np.abs(off).sum() / 2)
    each = np.tile(target, (50, 1))
    assert effects_target(found, attribute, each, None, confidence=0.95, seed=1) == got


def test_ordinal_deviation_by_hand() -> None:
    """Shares (.5, .5, 0) against (.2, .3, .5): higher than a draw with .5 x .2, lower with .5 x .8 + .5 x .5."""
    results, _ = made(n_queries=12, k=2)
    attribute = Attribute("t", Scale("ordinal", ("a", "b", "c")), np.tile(np.array([0, 1], np.int16), 12))
    found = lists(results, attribute, k=None, rank_aware=False)
    got = effects_target(found, attribute, np.array([0.2, 0.3, 0.5]), None, confidence=0.95, seed=1)
    assert got[0].name == "mid-rank difference"
    assert got[0].value == pytest.approx(0.5 * 0.2 - 0.5 * 0.8 - 0.5 * 0.5)
    assert named(got, "mean level difference").value == pytest.approx(1.5 - 2.3)


def test_a_target_must_fit_the_scale() -> None:
    results, attribute = made(n_queries=12)
    found = lists(results, attribute, k=None, rank_aware=False)
    with pytest.raises(ValueError, match="target on the attribute's scale"):
        effects_target(found, attribute, None, 20.0, confidence=0.95, seed=1)


def test_queries_without_a_partner_in_their_stratum_carry_no_interval() -> None:
    # 100 queries of one group in one stratum, 100 of the other in a second, and two of each in a third: only those count.
    group = np.repeat([0, 1, 0, 1], [100, 100, 2, 2]).astype(np.int16)
    stratum = np.repeat([0, 1, 2], [100, 100, 4]).astype(np.int32)
    results, attribute = made(n_queries=204, levels=("x", "y", "z"), group=group)
    found = lists(results, attribute, k=None, rank_aware=False)
    for kind in ("nominal", "ordinal"):
        one = replace(attribute, scale=Scale(kind, attribute.scale.levels))
        for effect in effects_groups(found, one, group, NAMES, stratum, confidence=0.95, seed=1):
            assert (effect.low, effect.high) == (None, None)
            assert effect.n_clusters == 4
            assert "2 queries" in effect.no_interval
    partnered = Design(group, 2, stratum).partnered
    assert partnered.sum() == 4
    assert partnered[-4:].all()


def test_lengths_of_the_groups_own_intervals_add_up_in_squares() -> None:
    """Zou and Donner: bootstrap-t of each mean by hand, as scipy's ordering of the same draws would give it."""
    generator = np.random.default_rng(2)
    group = np.repeat([0, 1], [12, 80]).astype(np.int16)
    y = generator.exponential(size=92)
    means = np.array([y[group == g].mean() for g in (0, 1)])
    sizes = np.bincount(group)
    parts = (y - means[group]) / np.sqrt(sizes * (sizes - 1.0))[group] * np.where(group == 0, 1, -1)
    found = studentised_errors(parts[:, None], group, seed=4)
    below, above = reaches(found, confidence=0.95)[:, 0]
    lengths = np.zeros((2, 2))
    for g in (0, 1):
        ordered, se = np.sort(found.of_groups[g, :, 0]), stats.sem(y[group == g])
        assert found.errors[g, 0] == pytest.approx(se)
        lengths[g] = ordered[1949] * se, -ordered[49] * se
    assert below == pytest.approx(np.hypot(*lengths[:, 0]))
    assert above == pytest.approx(np.hypot(*lengths[:, 1]))
    # One group alone: the bootstrap-t interval itself, from both ways of taking it.
    alone = studentised_errors(parts[:12, None], group[:12], seed=4)
    np.testing.assert_allclose(alone.together, alone.of_groups[0])
    np.testing.assert_allclose(stretches(alone, confidence=0.95), 1)


def test_a_small_group_that_hardly_shows_a_level_has_a_wide_interval() -> None:
    """Two of ten queries show it once in ten: that two in ten do so in the long run cannot be ruled out."""
    group = np.repeat([0, 1], [10, 200]).astype(np.int16)
    level = np.ones((210, 10), np.int16)
    level[:2, 0] = 0
    generator = np.random.default_rng(1)
    level[10:] = generator.random((200, 10)) >= generator.beta(0.2, 3.8, 200)[:, None]
    results, _ = made(n_queries=210, group=group)
    attribute = Attribute("t", Scale("nominal", ("x", "y")), level.ravel())
    low, high = bounds(effects(results, attribute)[0])
    assert low < -0.04
    assert high > 0.1
