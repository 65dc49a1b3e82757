"""Strata: test and effect divide by the same ones, and lists that are missing divide what is exchanged."""

from dataclasses import replace

import numpy as np
import pytest
from auditor.audits.parity import answers, hypotheses, permutation
from auditor.audits.parity.data import MISSING, lists
from auditor.audits.parity.spec import ParitySpec
from auditor.audits.parity.subject import Subject, subject
from scipy import stats
from tests.audits.parity.worlds import attribute, results, world

_SPEC = ParitySpec(mode="A", scale="ordinal", strata=("season",), permutations=99, sensitivity=False)


def _asked(*, of_queries: bool, of_items: bool) -> tuple[hypotheses.Tester, Subject]:
    found, one = world("ordinal")
    none = np.zeros_like
    found = replace(
        found,
        query_stratum=found.query_stratum if of_queries else none(found.query_stratum),
        item_stratum=found.item_stratum if of_items else none(found.item_stratum),
        in_catalog=np.ones(found.n_items, np.bool_),
    )
    return hypotheses.Tester(_SPEC, found, "A", 1), subject(_SPEC, found, "A", one, None)


def test_in_mode_a_strata_of_queries_alone_divide_neither_test_nor_effect() -> None:
    tester, made = _asked(of_queries=True, of_items=False)
    plain_tester, plain = _asked(of_queries=False, of_items=False)
    assert len(np.unique(tester.results.query_stratum)) > 1
    assert answers.effects(tester, made) == answers.effects(plain_tester, plain)
    settings = {"k": None, "n_permutations": 99}
    test = permutation.test_catalog_queries(tester.results, made.attribute, **settings)
    assert test.p_value == permutation.test_catalog_queries(plain_tester.results, made.attribute, **settings).p_value
    found = answers.concentration(tester, made)
    left = answers.excluded(tester.results, made, "A")
    told = answers.cautions(tester, made, answers.effects(tester, made)[0], 0.5, found, left)
    (caution,) = [caution for caution in told if caution.code == "strata-unused"]
    assert "season" in caution.message
    assert "neither the test nor the effect is stratified" in caution.message


def test_in_mode_a_a_query_is_in_the_stratum_of_its_item() -> None:
    tester, made = _asked(of_queries=True, of_items=True)
    items = tester.results.query_item[made.lists.queries]
    np.testing.assert_array_equal(made.stratum, tester.results.item_stratum[items])
    other_tester, other = _asked(of_queries=False, of_items=True)
    assert answers.effects(tester, made) == answers.effects(other_tester, other)
    unstratified_tester, unstratified = _asked(of_queries=False, of_items=False)
    assert answers.effects(tester, made)[0].value != answers.effects(unstratified_tester, unstratified)[0].value


def test_a_family_keeps_its_level_where_lists_are_missing_in_one_group() -> None:
    """Nine in ten queries of one group have no list for the second attribute; neither attribute goes with the group.

    Bound: at a level of .05, more rejections than stated in 200 have probability below 1 in 1,000. With missing lists taken as
    lists of the mean, which hardly vary, 27 were rejected.
    """
    generator, rejected = np.random.default_rng(0), 0
    group = (np.arange(120) >= 20).astype(int)
    for seed in range(200):
        level = generator.integers(0, 2, 600)
        other = (generator.random((120, 5)) < generator.beta(1, 1, 120)[:, None]).astype(int)
        other[30:] = MISSING
        first, second = attribute("nominal", level, 2), attribute("nominal", other.ravel(), 2)
        found = results(np.arange(600).reshape(120, 5), first, group=group)
        members = [
            (name, lists(found, one, k=None, rank_aware=False), one) for name, one in (("1", first), ("2", second))
        ]
        family = permutation.test_groups_family(
            members, found.query_group, found.query_stratum, n_permutations=199, seed=seed, n_threads=1
        )
        rejected += family[1][1].p_value <= 0.05
    assert rejected <= stats.binom.ppf(0.999, 200, 0.05), rejected


def test_where_no_list_is_missing_a_family_takes_the_test_itself() -> None:
    found, one = world("nominal")
    top = lists(found, one, k=None, rank_aware=False)
    ((_, alone, _),) = permutation.test_groups_family(
        [("one", top, one)], found.query_group, found.query_stratum, n_permutations=199, seed=4
    )
    itself = permutation.test_groups(
        top, one, found.query_group[top.queries], found.query_stratum[top.queries], n_permutations=199, seed=4
    )
    assert alone.p_value == itself.p_value
    assert alone.statistic == pytest.approx(itself.statistic)
