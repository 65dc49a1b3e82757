"""Monitoring: what counts as evidence, what as a version, and how it is said."""

from dataclasses import replace

import numpy as np
import pytest
from auditor.audits.parity.data import MISSING, Attribute, Results, Scale, lists
from auditor.audits.parity.monitor import Batch, Monitor, batch_of, several_attributes
from auditor.errors import InputError
from auditor.stats.e_process import log_e_process
from numpy.typing import NDArray

NOMINAL = Scale("nominal", ("light", "dark"))
ORDINAL = Scale("ordinal", ("I", "II", "III"))
ITA = Scale("ita", ("dark", "brown", "tan", "intermediate", "light", "very light"))


def batch(day: int, dark: list[float], groups: str, *, start: int = 0, strata: str = "") -> Batch:
    share = np.array(dark)
    return Batch(
        date=f"2026-11-{day:02d}",
        query_ids=tuple(f"q{start + i}" for i in range(len(dark))),
        groups=tuple(None if g == "-" else g for g in groups),
        shares=np.stack([1 - share, share], axis=1),
        strata=tuple(strata),
    )


def test_the_next_fresh_queries_of_both_groups_are_paired_in_order() -> None:
    monitor = Monitor(NOMINAL, ("A", "B"))
    dark = [0.9, 0.8, 0.1, 0.7, 0.3, 0.2]
    found = monitor.add(batch(1, dark, "AABABB"))
    assert found.n == 3
    assert found.log_e == pytest.approx(log_e_process([0.9 - 0.1, 0.8 - 0.3, 0.7 - 0.2]))
    assert found.e_value == pytest.approx(np.exp(found.log_e[-1]))
    assert found.dates == ("2026-11-01",) * 3
    assert (found.n_fresh, found.n_unpaired, found.n_without_group) == (6, 0, 0)


def test_looking_changes_nothing_and_several_batches_are_one_sequence() -> None:
    draw = np.random.default_rng(0)
    monitor, others = Monitor(NOMINAL, ("A", "B")), []
    for day in range(1, 6):
        dark = draw.uniform(0, 1, 8)
        monitor.evidence()
        found = monitor.add(batch(day, dark.tolist(), "ABABABAB", start=100 * day))
        others.append(dark[::2] - dark[1::2])
        assert monitor.evidence().log_e == pytest.approx(found.log_e)
    assert found.log_e == pytest.approx(log_e_process(np.concatenate(others)))
    assert [row["n"] for row in found.rows()] == [4, 8, 12, 16, 20]


def test_known_queries_are_versions_never_evidence() -> None:
    monitor = Monitor(NOMINAL, ("A", "B"))
    first = monitor.add(batch(1, [0.9, 0.1, 0.8, 0.2], "ABAB"))
    for day in range(2, 40):
        again = monitor.add(
            batch(1, [0.9, 0.1, 0.8, 0.5], "ABAB") if day == 2 else batch(2, [0.9, 0.1, 0.8, 0.5], "ABAB")
        )
    assert again.log_e == pytest.approx(first.log_e)
    assert again.n_fresh == 4
    assert len(again.versions) == 38 * 4
    changed = [version for version in again.versions if version.change > 1e-9]
    assert [(version.query_id, version.previous) for version in changed] == [("q3", "2026-11-01")]
    assert changed[0].change == pytest.approx(0.3)
    assert "152 audits of known queries are versions, not evidence; 1 of them changed." in again.sentence


def test_a_query_twice_in_a_batch_counts_once() -> None:
    twice = batch(1, [0.9, 0.1, 0.9, 0.1], "ABAB")
    found = Monitor(NOMINAL, ("A", "B")).add(replace(twice, query_ids=("q0", "q1", "q0", "q1")))
    assert (found.n, len(found.versions)) == (1, 2)


def test_partners_come_from_the_same_batch_and_stratum_unless_carried() -> None:
    monitor = Monitor(NOMINAL, ("A", "B"))
    monitor.add(batch(1, [0.9, 0.8], "AA"))
    found = monitor.add(batch(2, [0.1, 0.2], "BB", start=10))
    assert (found.n, found.n_unpaired) == (0, 4)
    assert found.e_value == 1
    carrying = Monitor(NOMINAL, ("A", "B"), carry=True)
    carrying.add(batch(1, [0.9, 0.8], "AA"))
    assert carrying.evidence().n_unpaired == 2
    assert carrying.add(batch(2, [0.1, 0.2], "BB", start=10)).n == 2
    strata = Monitor(NOMINAL, ("A", "B")).add(batch(1, [0.9, 0.1, 0.8, 0.2], "ABAB", strata="xyyx"))
    assert strata.log_e == pytest.approx(log_e_process([0.8 - 0.1, 0.9 - 0.2]))


def test_queries_without_a_group_are_counted() -> None:
    found = Monitor(NOMINAL, ("A", "B")).add(batch(1, [0.9, 0.4, 0.1, 0.3], "A-BC"))
    assert (found.n, found.n_without_group) == (1, 2)


def test_an_alarm_is_dated_and_stays() -> None:
    monitor = Monitor(NOMINAL, ("A", "B"))
    for day in range(1, 11):
        found = monitor.add(batch(day, [1.0, 0.0] * 5, "AB" * 5, start=100 * day))
        if found.alarm_date is None:
            assert "an alarm needs 20" in found.sentence
    assert found.alarm_date == "2026-11-02"
    for day in range(11, 31):
        found = monitor.add(batch(day, [0.0, 1.0] * 2, "AB" * 2, start=100 * day))
    assert found.alarm_date == "2026-11-02"
    assert "disparity detected" in found.sentence
    assert found.p_value < 0.05
    largest = [row["largest_e_value"] for row in found.rows()]
    assert largest == sorted(largest)


def test_three_groups_and_ordered_levels_average_their_e_processes() -> None:
    draw = np.random.default_rng(3)
    shares = draw.dirichlet([1, 1, 1], 9)
    one = Batch("2026-11-01", tuple("abcdefghi"), tuple("ABCABCABC"), shares)
    found = Monitor(Scale("nominal", ("x", "y", "z")), ("A", "B", "C")).add(one)
    sets = shares.reshape(3, 3, 3)
    e = [
        np.exp(log_e_process(sets[:, g, level] - sets[:, h, level]))
        for g, h in ((0, 1), (0, 2), (1, 2))
        for level in range(3)
    ]
    assert found.e_values == pytest.approx(np.mean(e, axis=0))
    ordered = Monitor(ORDINAL, ("A", "B", "C")).add(one)
    mean = sets @ [0, 0.5, 1]
    e_mean = [np.exp(log_e_process(mean[:, g] - mean[:, h])) for g, h in ((0, 1), (0, 2), (1, 2))]
    assert ordered.e_values == pytest.approx((np.mean(e, axis=0) + np.mean(e_mean, axis=0)) / 2)


def degrees(values: list[float], groups: str) -> Batch:
    n = len(values)
    return Batch(
        "2026-11-01", tuple(f"q{i}" for i in range(n)), tuple(groups), np.tile(np.eye(6)[0], (n, 1)), np.array(values)
    )


def test_degrees_are_taken_within_declared_bounds() -> None:
    found = Monitor(ITA, ("A", "B")).add(degrees([50, -10, 40, 0], "ABAB"))
    assert found.log_e == pytest.approx(log_e_process([60 / 180, 40 / 180]))
    narrow = Monitor(ITA, ("A", "B"), bounds=(-40, 60)).add(degrees([50, -10, 40, 0], "ABAB"))
    assert narrow.log_e == pytest.approx(log_e_process([0.6, 0.4]))
    with pytest.raises(InputError, match="query 'q1' lies outside the declared bounds of 0 to 60 degrees"):
        Monitor(ITA, ("A", "B"), bounds=(0, 60)).add(degrees([50, -10], "AB"))
    target = Monitor(ITA, target_mean=20.0).add(degrees([50, -10], "AB"))
    assert target.log_e == pytest.approx(log_e_process([30 / 180, -30 / 180]))


def test_degrees_of_a_version_change_in_degrees() -> None:
    monitor = Monitor(ITA, ("A", "B"))
    monitor.add(degrees([50, -10], "AB"))
    found = monitor.add(degrees([45, -10], "AB"))
    assert [version.change for version in found.versions] == [-5, 0]


def test_every_fresh_query_deviates_from_its_target() -> None:
    one = replace(batch(1, [0.9, 0.4, 0.7], "---"), target=np.array([[0.5, 0.5], [0.5, 0.5], [0.2, 0.8]]))
    found = Monitor(NOMINAL).add(one)
    assert found.against == "target"
    assert found.log_e == pytest.approx(log_e_process([0.4, -0.1, -0.1]))
    with pytest.raises(InputError, match="target shares of every query are missing"):
        Monitor(NOMINAL).add(batch(1, [0.9], "-"))


def results(dark: NDArray[np.bool_]) -> Results:
    """Four queries of three results."""
    n = len(dark)
    return Results(
        query_ids=("q0", "q1", "q2", "q3"),
        item_ids=tuple(f"i{i}" for i in range(n)),
        query=np.repeat(np.arange(4, dtype=np.int32), 3),
        item=np.arange(12, dtype=np.int32),
        rank=np.tile([1, 2, 3], 4).astype(np.int32),
        score=None,
        group_names=("A", "B"),
        query_group=np.array([0, 1, 0, MISSING], dtype=np.int16),
        query_stratum=np.array([0, 1, 0, 1], dtype=np.int32),
        item_stratum=np.zeros(n, np.int32),
        stratum_names=("shoes", "coats"),
        query_item=np.full(4, MISSING, np.int32),
        in_catalog=np.zeros(n, bool),
        attributes={"tone": Attribute("tone", NOMINAL, dark.astype(np.int16))},
    )


def test_a_batch_is_made_of_an_audits_lists() -> None:
    dark = np.array([1, 0, 0] * 4, bool)
    given = results(dark)
    one = batch_of("2026-11-25", given, lists(given, given.attributes["tone"], k=2, rank_aware=False))
    assert one.query_ids == ("q0", "q1", "q2", "q3")
    assert one.groups == ("A", "B", "A", None)
    assert one.strata == ("shoes", "coats", "shoes", "coats")
    assert one.shares[:, 1] == pytest.approx([0.5] * 4)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="at least two groups"):
        Monitor(NOMINAL, ("A",))
    with pytest.raises(InputError, match="alpha"):
        Monitor(NOMINAL, ("A", "B"), alpha=0)
    with pytest.raises(InputError, match="bounds"):
        Monitor(ITA, ("A", "B"), bounds=(10, 0))
    with pytest.raises(InputError, match="target"):
        Monitor(ITA)
    with pytest.raises(InputError, match="outside the bounds"):
        Monitor(ITA, target_mean=95)
    monitor = Monitor(NOMINAL, ("A", "B"))
    with pytest.raises(InputError, match="no date"):
        monitor.add(replace(batch(1, [0.5], "A"), date="yesterday"))
    with pytest.raises(InputError, match="sum to 1"):
        monitor.add(replace(batch(1, [0.5], "A"), shares=np.array([[0.5, 0.6]])))
    with pytest.raises(InputError, match="levels"):
        monitor.add(replace(batch(1, [0.5], "A"), shares=np.array([[0.5, 0.25, 0.25]])))
    monitor.add(batch(2, [0.5], "A"))
    with pytest.raises(InputError, match="order of time"):
        monitor.add(batch(1, [0.5], "A", start=9))
    assert monitor.evidence().n_fresh == 1


def test_several_attributes_by_e_bh() -> None:
    draw = np.random.default_rng(5)
    found = {}
    for name, bias in (("tone", 0.6), ("age", 0.0), ("size", 0.0)):
        monitor = Monitor(NOMINAL, ("A", "B"))
        dark = np.clip(draw.uniform(0, 0.4, 60) + bias * (np.arange(60) % 2), 0, 1)
        found[name] = monitor.add(batch(1, dark.tolist(), "AB" * 30))
    assert several_attributes(found, alpha=0.05) == {"tone": True, "age": False, "size": False}
