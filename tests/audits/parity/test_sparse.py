"""One label that hardly any query shows must cost no other label its interval, and has itself a bound that holds."""

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from auditor.audits import parity
from auditor.audits.parity.data import Attribute, Results, Scale, lists
from auditor.audits.parity.effects import Effect, effects_target
from auditor.audits.parity.verdict import Answer, verdict
from scipy import stats
from tests.audits.parity.test_effects import bounds, effects, made

LEVELS = ("w", "x", "y", "z")
#: Queries that show the rare label, once each.
RARE = (0, 1, 2, 4)


def with_rare(n_rare: int, n_queries: int = 200) -> tuple[Results, Attribute]:
    """Ten results of three labels for every query; a few results have a fourth one."""
    results, attribute = made(n_queries=n_queries, levels=LEVELS[:3], move=0.4)
    level = attribute.level.copy()
    level[10 * (7 * np.arange(n_rare) + 3)] = 3
    return results, Attribute("tone", Scale("nominal", LEVELS), level)


def of(found: list[Effect], level: str) -> Effect:
    return next(one for one in found if (one.name, one.level) == ("risk difference", level))


def answer(found: list[Effect], margin: float) -> Answer:
    asked = [one for one in found if one.name == "risk difference"]
    scale = Scale("nominal", LEVELS)
    return verdict(found[0], 0.01, alpha=0.05, margin=margin, scale=scale, attribute="tone", differences=asked)


def test_a_rare_label_leaves_the_intervals_of_the_others_alone() -> None:
    plain, *rare = [effects(*with_rare(n)) for n in RARE]
    low, high = bounds(of(plain, "w"))
    width = high - low
    margin = 0.3
    assert answer(plain, margin).state == "parity within margin"
    smallest = answer(plain, margin).minimum_detectable_effect
    for found in rare:
        for level in LEVELS[:3]:
            low, high = bounds(of(found, level))
            assert (high - low) == pytest.approx(of(plain, level).high - of(plain, level).low, rel=0.06)
            assert not of(found, level).bounded
        assert answer(found, margin).state == "parity within margin"
        assert answer(found, margin).minimum_detectable_effect == pytest.approx(smallest, rel=0.06)
        low, high = bounds(of(found, "z"))
        assert of(found, "z").bounded
        assert "bounded by betting" in of(found, "z").method
        assert -0.07 < low < 0 < high < 0.07
        assert high - low < 1.5 * width


def test_a_group_that_never_shows_a_level_is_not_taken_to_be_sure_of_it() -> None:
    """Lists of one result are Bernoulli draws: Clopper and Pearson's exact limit of none in fifty is the least there can be."""
    results, _ = made(n_queries=100, k=1)
    level = np.ones(100, np.int16)
    level[0:60:2] = 0  # 30 of the 50 queries of the first group, none of the second
    found = effects(results, Attribute("tone", Scale("nominal", ("x", "y")), level))[0]
    assert found.value == pytest.approx(0.6)
    exact = 1 - 0.025 ** (1 / 50)
    alone = 1.96 * np.sqrt(0.24 / 49)  # what resampling of the first group says, about
    low, high = bounds(found)
    assert np.hypot(exact, 0.9 * alone) < found.value - low < 1.3 * np.hypot(exact, alone)
    assert high - found.value == pytest.approx(alone, rel=0.15)


def test_mid_ranks_of_two_levels_are_bounded_as_their_shares_are() -> None:
    """Between two levels P[higher] - P[lower] is the difference of shares, so that both have one interval."""
    results, _ = made(n_queries=80)
    level = np.zeros(800, np.int16)
    level[10 * np.array([0, 3, 4])] = 1
    share, rank = (
        effects(results, Attribute("tone", Scale(kind, ("low", "high")), level))[0] for kind in ("nominal", "ordinal")
    )
    assert share.bounded
    assert rank.bounded
    assert rank.value == pytest.approx(-share.value)
    assert bounds(rank) == pytest.approx([-end for end in reversed(bounds(share))], rel=0.02)


def test_strata_of_like_composition_change_nothing_of_a_bound() -> None:
    results, attribute = with_rare(2)
    stratum = (np.arange(200) // 2 % 5).astype(np.int32)
    plain, divided = (of(effects(results, attribute, stratum=s), "z") for s in (None, stratum))
    assert divided.bounded
    assert bounds(divided) == pytest.approx(bounds(plain), rel=1e-6)


def test_against_a_target_of_its_own_for_every_query() -> None:
    """That targets differ from query to query must not hide that two results are all that is known of a level."""
    results, attribute = with_rare(2)
    found = lists(results, attribute, k=None, rank_aware=False)
    rare = np.linspace(0.001, 0.01, 200)
    target = np.stack([(1 - rare) / 3, (1 - rare) / 3, (1 - rare) / 3, rare], axis=1)
    made_ = effects_target(found, attribute, target, None, confidence=0.95, seed=1, primary_only=True)
    low, high = bounds(of(made_, "z"))
    assert of(made_, "z").bounded
    assert low < -0.0045 < 0 < high < 0.04
    assert not of(made_, "w").bounded


def test_many_rare_labels_still_leave_the_others_alone() -> None:
    """Twelve results with a name of their own each."""
    results, attribute = with_rare(0)
    level = attribute.level.copy()
    level[10 * (7 * np.arange(12) + 3)] = 3 + np.arange(12)
    many = replace(attribute, level=level, scale=Scale("nominal", LEVELS[:3] + tuple(f"rare {i}" for i in range(12))))
    plain, crowded = effects(results, attribute), effects(results, many)
    for name in LEVELS[:3]:
        low, high = bounds(of(crowded, name))
        assert (high - low) == pytest.approx(of(plain, name).high - of(plain, name).low, rel=0.06)
    assert bounds(of(crowded, "rare 3"))[1] < 0.1


def test_what_a_bound_detects_is_half_of_it_and_more() -> None:
    """The standard error of three results says nothing of how small a difference would have been seen."""
    results, _ = made(n_queries=80)
    level = np.zeros(800, np.int16)
    level[10 * np.array([0, 2, 4])] = 1
    found = effects(results, Attribute("tone", Scale("nominal", ("x", "y")), level))
    low, high = bounds(found[0])
    assert found[0].se is not None
    half = max(high - found[0].value, found[0].value - low)
    told = answer(found, 0.2)
    assert told.minimum_detectable_effect == pytest.approx(half + NormalDist().inv_cdf(0.8) * found[0].se)
    assert "by its interval and not by the test, which is a bound where few queries differ" in told.sentence
    assert told.minimum_detectable_effect > stats.binom(40, 0.05).std() / 40


def test_a_run_with_a_rare_label_says_parity_and_how_it_was_bounded() -> None:
    results, attribute = with_rare(1, 80)
    rows = {
        "query_id": [results.query_ids[q] for q in results.query],
        "item_id": [results.item_ids[i] for i in results.item],
        "rank": results.rank.tolist(),
        "query_group": ["ab"[results.query_group[q]] for q in results.query],
        "tone": [LEVELS[attribute.level[i]] for i in results.item],
    }
    run = parity.test(rows, attribute="tone", query_group="query_group", permutations=199, margin=0.45)
    assert run.findings.state == "parity within margin"
    assert {row.verdict for row in run.findings.sensitivity if row.kind == "query left out"} == {"parity within margin"}
    assert run.findings.minimum_detectable_effect < 0.3
    told = dict(parity.methods(run.findings))["Effects and intervals"]
    assert "For a less b in z so few queries of a group differ" in told
    assert "Beran" in told
