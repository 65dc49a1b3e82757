from dataclasses import replace

import numpy as np
import pytest
from auditor.audits.guard.certificate import MIXTURE, unit_losses
from auditor.audits.guard.planning import fewest
from auditor.audits.guard.splits import n_above, split_rows
from auditor.errors import InputError
from auditor.stats.risk_control import certify, fixed_sequence
from tests.audits.guard.worlds import answers, certifier, queries, spec

HELPFUL = {"correct": 4.0, "cyclic:1": 1.5}


def test_without_groups_it_is_the_certificate_of_the_mixed_losses_in_a_drawn_order() -> None:
    found = answers(3, 300, HELPFUL)
    asked = spec(mixture=0.25)
    places = np.random.default_rng(0).permutation(300)[:150]
    told = certifier(found, asked).certify(places)
    mixed = 0.75 * found.by_condition["correct"].losses + 0.25 * found.by_condition["cyclic:1"].losses
    by_hb = certify(mixed[:, places], found.lambdas.tolist(), epsilon=0.05, delta=0.1, p_value="hb")
    assert told.risks == pytest.approx(by_hb.risks)
    assert told.certified
    assert told.n == 150
    # Hoeffding-Bentkus does not depend on the order, so there the p-values are the same.
    same = certifier(found, spec(mixture=0.25, p_value="hb")).certify(places)
    assert same.p_values[1:] == pytest.approx(by_hb.p_values[1:], abs=1e-12)


def test_the_order_of_bets_depends_on_the_seed_and_not_on_the_losses() -> None:
    found = answers(3, 200, HELPFUL)
    places = np.arange(200)
    one, again, other = (certifier(found, spec(), seed=seed).certify(places).p_values for seed in (1, 1, 2))
    assert (one[1:] == again[1:]).all()
    assert (one[1:] != other[1:]).any()


def test_one_group_counts_as_one_and_the_mean_is_that_of_its_queries() -> None:
    losses = np.array([[0.0] * 5, [1.0, 0.0, -1.0, 0.0, 1.0]])
    made = unit_losses(losses, np.array([7, 7, 3, 7, 3]), 0.1, largest=3)
    # Groups in the order in which they first stand: sums of (loss - epsilon) over 3, plus epsilon.
    assert made[1] == pytest.approx([0.1 + (1 - 0.3) / 3, 0.1 + (0 - 0.2) / 3])
    assert ((made.mean(axis=1) > 0.1) == (losses.mean(axis=1) > 0.1)).all()


def test_queries_asked_twice_are_no_more_evidence_than_once() -> None:
    found = answers(4, 120, HELPFUL)
    twice = np.repeat(np.arange(60), 2)
    grouped = certifier(found, spec(), twice).certify(np.arange(120))
    assert grouped.n == 60
    alone = certifier(found, spec()).certify(np.arange(120))
    assert np.nanmin(grouped.p_values) > np.nanmin(alone.p_values)


def test_a_declared_largest_group_is_a_bound() -> None:
    found = answers(9, 120, HELPFUL)
    pairs = np.repeat(np.arange(60), 2)
    here, declared = (certifier(found, spec(largest_group=bound), pairs) for bound in (None, 8))
    assert (here.largest, declared.largest) == (2, 8)
    assert np.nanmin(declared.certify(np.arange(120)).p_values) > np.nanmin(here.certify(np.arange(120)).p_values)
    with pytest.raises(InputError, match=r"A group has 2 queries, more than .Largest group. allows"):
        certifier(found, spec(largest_group=1), pairs).check()


def test_what_is_needed_is_what_certifies() -> None:
    """A loss of 0 everywhere, over groups of one and three queries, at every rule of selection."""
    sizes = np.tile([1, 3], 2_000)
    for select in ("fixed", "holm", "bonferroni"):
        asked = spec(select=select)
        n = fewest(asked, sizes[:10], largest=3)
        assert n is not None
        told = {}
        few, many = round(0.95 * n), round(1.05 * n)  # the order of the sizes counts a little
        for groups in (few, many):
            unit = np.repeat(np.arange(groups), sizes[:groups])
            nothing = answers(0, len(unit), HELPFUL)
            under = {name: replace(one, losses=np.zeros_like(one.losses)) for name, one in nothing.by_condition.items()}
            told[groups] = certifier(replace(nothing, by_condition=under), asked, unit).certify(np.arange(len(unit)))
        assert told[many].certified
        assert not told[few].certified
    assert fewest(spec(), [1], largest=1) == 95
    assert (fewest(spec(select="bonferroni"), [1], largest=1) or 0) > 150


def test_groups_have_no_binomial_tail() -> None:
    asked = spec(transform="clip", p_value="binomial")
    certifier(answers(0, 10), asked).check()
    with pytest.raises(InputError, match="Choose wsr or hb"):
        certifier(answers(0, 10), asked, [0, 0, *range(1, 9)]).check()


def test_with_the_binomial_tail_one_prompt_of_a_query_is_drawn() -> None:
    asked = spec(transform="clip", p_value="binomial", mixture=0.3)
    losses = certifier(answers(1, 400), asked).losses(MIXTURE, "clip")
    assert set(np.unique(losses)) == {0.0, 1.0}


def test_every_attack_is_as_strict_as_the_worst_of_them() -> None:
    found = answers(5, 400, {"correct": 4.0, "cyclic:1": 2.0, "random:1": -3.0})
    asked = spec(cover="every attack", attacks=("cyclic", "random"))
    every = certifier(found, asked)
    assert every.covered == ("correct", "cyclic:1", "random:1")
    told = every.certify(np.arange(400))
    alone = [every.certify(np.arange(400), conditions=(name,)) for name in every.covered]
    assert told.p_values[1:] == pytest.approx(np.max([one.p_values[1:] for one in alone], axis=0))
    assert told.lambda_hat == max(one.lambda_hat for one in alone)


def test_settings_that_were_tried_share_delta() -> None:
    found = answers(6, 300, {"correct": 2.6, "cyclic:1": -1.0})
    one, ten = (certifier(found, spec(options_tried=n, p_value="hb")) for n in (1, 10))
    assert (one.delta, ten.delta) == (0.1, pytest.approx(0.01))
    alone, among = (of.certify(np.arange(300)) for of in (one, ten))
    assert among.delta == pytest.approx(0.01)
    assert (alone.p_values[1:] == among.p_values[1:]).all()
    for told, level in ((alone, 0.1), (among, 0.01)):
        assert told.passed[1:].sum() == fixed_sequence(told.p_values[1:], level)


def test_new_splits_certify_on_one_part_and_measure_on_the_other() -> None:
    found = answers(7, 240, HELPFUL)
    asked = spec(splits=8, calibration_share=0.6)
    rows = split_rows(certifier(found, asked), queries(found), [0.05, 0.2])
    assert len(rows) == 16
    assert {row["n_calibration"] + row["n_test"] for row in rows} == {240}
    assert all(row["n_calibration"] == pytest.approx(144, abs=1) for row in rows)
    for row in rows:
        assert row["certified"] == (row["lambda"] < 1)
        assert row["risk_test"] == pytest.approx(row["accuracy_zero_shot"] - row["accuracy_guarded"])
    assert len({row["risk_test"] for row in rows}) > 1, "splits differ"
    strict, lenient = ([row["lambda"] for row in rows if row["epsilon"] == e] for e in (0.05, 0.2))
    assert all(low <= high for low, high in zip(lenient, strict, strict=True)), "more risk allowed, lower thresholds"
    assert n_above(rows, 0.2) <= n_above(rows, 0.05)


def test_the_uncorrected_rule_certifies_nothing() -> None:
    found = answers(8, 240)
    asked = spec(splits=5)
    rows = split_rows(certifier(found, asked), queries(found), [0.05], uncorrected=True)
    assert not any(row["certified"] for row in rows)
