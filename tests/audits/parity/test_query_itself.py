"""A query's own item in its list is no evidence in mode A: it has the query's label, whatever the engine does."""

import numpy as np
import pytest
from auditor.audits.memory import MemoryContext
from auditor.audits.parity import permutation
from auditor.audits.parity.audit import carry_out
from auditor.audits.parity.data import ITSELF, Attribute, Results, without_self
from auditor.audits.parity.spec import ParitySpec
from auditor.audits.parity.subject import subject
from tests.audits.parity.worlds import attribute, results

#: Exceeded with probability under 1% in 2,000 nulls at alpha .05.
_NULLS, _MOST, _ALPHA = 2000, 123, 0.05
_ITEMS, _K = 60, 5


def _neutral(generator: np.random.Generator) -> tuple[Results, Attribute]:
    """Every item asks and finds itself first, then four others that are drawn without a look at labels."""
    one = attribute("nominal", generator.permutation(np.arange(_ITEMS) % 2))
    others = np.argsort(generator.random((_ITEMS, _ITEMS)) + 2 * np.eye(_ITEMS), axis=1)[:, : _K - 1]
    own = np.arange(_ITEMS)
    return results(list(np.column_stack([own, others])), one, query_item=own), one


def test_own_items_are_left_out_and_counted_and_ranks_stay() -> None:
    found, _ = _neutral(np.random.default_rng(1))
    left = without_self(found)
    assert left.rank.tolist() == [2, 3, 4, 5] * _ITEMS
    assert not np.any(left.item == left.query_item[left.query])
    assert left.excluded == {ITSELF: _ITEMS}
    (caution,) = left.cautions
    assert (caution.code, caution.count) == ("query-finds-itself", _ITEMS)
    assert without_self(left) is left


def test_a_run_of_mode_a_counts_them_and_shows_none() -> None:
    found, one = _neutral(np.random.default_rng(2))
    whole = results(np.split(found.item, _ITEMS), one, query_item=found.query_item)
    whole = Results(**{**whole.__dict__, "in_catalog": np.ones(_ITEMS, np.bool_)})
    spec = ParitySpec(attribute="tone", mode="A", k=3, permutations=199, sensitivity=False)
    context = MemoryContext(seed=1)
    told = carry_out(spec, whole, context)
    assert told.excluded.slots_by_reason == {ITSELF: _ITEMS}
    assert "query-finds-itself" in {caution.code for caution in told.warnings}
    assert told.n_slots == 2 * _ITEMS
    slots = context.tables["slots"].to_pydict()
    assert set(slots["rank"]) == {2, 3}
    assert told.primary_effect.value == pytest.approx(0, abs=0.25)


def test_with_own_items_the_size_of_mode_a_is_kept_and_its_effect_is_centred() -> None:
    """What is left on average is -1 / (N - 1): the others hold one item less of the query's own level."""
    generator = np.random.default_rng(20261125)
    spec = ParitySpec(attribute="tone", mode="A")
    rejected, effects = 0, []
    for seed in range(_NULLS):
        found, one = _neutral(generator)
        rejected += (
            permutation.test_catalog_queries(found, one, k=None, n_permutations=199, seed=seed).p_value <= _ALPHA
        )
        looked = subject(spec, without_self(found), "A", one, None)
        shares = looked.lists.shares[:, 1]
        effects.append(shares[looked.group == 1].mean() - shares[looked.group == 0].mean())
    assert rejected <= _MOST
    standard_error = np.std(effects) / np.sqrt(_NULLS)
    assert np.mean(effects) == pytest.approx(-1 / (_ITEMS - 1), abs=4 * standard_error)
