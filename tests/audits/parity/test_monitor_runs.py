"""Which runs are followed over time, and against what."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from auditor.audits import FinishedRun
from auditor.audits.memory import MemoryContext
from auditor.audits.parity.audit import carry_out
from auditor.audits.parity.data import ITA_CLASSES, Results, Scale
from auditor.audits.parity.monitor import Batch, Monitor
from auditor.audits.parity.monitor_runs import Followed, Monitored, over_runs, over_time
from auditor.audits.parity.spec import ParitySpec
from auditor.errors import InputError
from numpy.typing import NDArray
from tests.audits.parity.worlds import attribute, results

_DEGREES = np.array([-40.0, 0.0, 20.0, 35.0, 50.0, 60.0])
_TARGET = np.array([0.1, 0.2, 0.2, 0.2, 0.2, 0.1])


def _queries(levels: NDArray[Any], day: int, kind: Any, **more: Any) -> Results:
    """A query for each row of levels; every result is an item of its own."""
    one = attribute(kind, _DEGREES[levels.ravel()] if kind == "ita" else levels.ravel(), 6)
    found = results(list(np.arange(levels.size).reshape(levels.shape)), one, **more)
    return replace(found, query_ids=tuple(f"day {day}, {n}" for n in range(len(levels))))


def _finished(day: int, found: Results, **settings: Any) -> FinishedRun:
    context = MemoryContext(seed=1)
    spec = ParitySpec.model_validate({"attribute": "tone", "permutations": 199, "sensitivity": False, **settings})
    findings = carry_out(spec, found, context).model_dump()
    return FinishedRun(f"run {day}", f"2026-11-{day:02d}", findings, context.table_files())


def _against_classes(day: int, levels: NDArray[Any], target: NDArray[Any]) -> FinishedRun:
    found = replace(_queries(levels, day, "ita"), shares=np.tile(target, (len(levels), 1)))
    return _finished(day, found, scale="ita", mode="C2")


def _drawn(seed: int, n: int, shares: NDArray[Any]) -> NDArray[Any]:
    return np.random.default_rng(seed).choice(6, (n, 10), p=shares)


@pytest.mark.parametrize("mode", ["A", "C1"])
def test_modes_in_which_items_are_exchanged_are_refused(mode: str) -> None:
    levels = _drawn(1, 20, _TARGET)
    found = _queries(levels, 1, "nominal", query_item=np.arange(20) * 7)
    found = replace(found, in_catalog=np.ones(found.n_items, np.bool_))
    run = _finished(1, found, mode=mode)
    with pytest.raises(InputError, match="items shared by lists are not fresh evidence"):
        over_runs([run])
    told = over_time(run, [run], "light")
    assert "items shared by lists are not fresh evidence" in told.sentences[0]
    assert not told.rows
    followed = _finished(2, _queries(levels, 2, "nominal", group=np.arange(20) % 2))
    both = over_runs([run, followed])
    assert [one.runs for one in both.questions] == [("run 2",)]
    assert [name for name, _ in both.left_out] == ["run 1"]
    assert "This run was left out: runs of mode" in both.sentences("run 1")[0]


def test_shares_of_classes_of_degrees_are_followed_as_they_were_declared() -> None:
    days = [_drawn(day, 15, _TARGET) for day in (1, 2, 3)]
    found = over_runs([_against_classes(day, levels, _TARGET) for day, levels in enumerate(days, 1)])
    plain = Monitor(Scale("ordinal", ITA_CLASSES))
    for day, levels in enumerate(days, 1):
        shares = np.stack([(levels == level).mean(axis=1) for level in range(6)], axis=1)
        ids = tuple(f"day {day}, {n}" for n in range(15))
        target = np.tile(_TARGET, (15, 1))
        expected = plain.add(Batch(f"2026-11-{day:02d}", ids, (None,) * 15, shares, target=target))
    assert _only(found).evidence.log_e == pytest.approx(expected.log_e)


def test_a_mean_that_moves_away_from_the_first_run_but_to_the_target_raises_no_alarm() -> None:
    first = _drawn(1, 4, np.array([0, 0, 0, 0, 0.5, 0.5]))
    days = [_against_classes(1, first, _TARGET)]
    days += [_against_classes(day, _drawn(day, 60, _TARGET), _TARGET) for day in (2, 3, 4)]
    assert _only(over_runs(days)).evidence.alarm_date is None


def test_a_declared_mean_in_degrees_is_the_target() -> None:
    levels = _drawn(1, 15, _TARGET)
    found = replace(_queries(levels, 1, "ita"), target_mean=20.0)
    other = replace(_queries(levels, 2, "ita"), target_mean=25.0)
    runs = [_finished(day, one, scale="ita", mode="C2") for day, one in ((1, found), (2, other))]
    first, second = over_runs(runs).questions
    plain = Monitor(Scale("ita", ITA_CLASSES), target_mean=20.0)
    batch = Batch("2026-11-01", found.query_ids, (None,) * 15, np.tile(np.eye(6)[0], (15, 1)), _means(levels))
    assert first.evidence.log_e == pytest.approx(plain.add(batch).log_e)
    assert (
        "tone (degrees), against a mean of 20 degrees, all results: after 15 fresh queries" in first.evidence.sentence
    )
    assert (second.runs, second.question.target) == (("run 2",), (25.0,))


def _means(levels: NDArray[Any]) -> NDArray[Any]:
    means: NDArray[Any] = _DEGREES[levels].mean(axis=1)
    return means


def _only(found: Followed) -> Monitored:
    (only,) = found.questions
    return only


def _titles(runs: Sequence[FinishedRun]) -> list[str]:
    return [one.evidence.question for one in over_runs(runs).questions]


def test_another_target_or_other_strata_are_another_question() -> None:
    levels = _drawn(1, 20, _TARGET)
    other = np.array([0.2, 0.1, 0.2, 0.2, 0.2, 0.1])
    first, second = _titles([_against_classes(1, levels, _TARGET), _against_classes(2, levels, other)])
    assert "against shares of dark 10%, brown 20%" in first
    assert "against shares of dark 20%, brown 10%" in second
    groups = {"group": np.arange(20) % 2}
    one = _finished(1, _queries(levels, 1, "nominal", **groups))
    strata = _finished(2, _queries(levels, 2, "nominal", **groups), strata=("cloth",))
    k = _finished(3, _queries(levels, 3, "nominal", **groups), k=3, weights="rank")
    compared = "between group 0 and group 1"
    levels_named = ", ".join(f"level {n}" for n in range(5)) + " and level 5"
    assert _titles([one, strata, k]) == [
        f"tone (nominal: {levels_named}), {compared}, all results",
        f"tone (nominal: {levels_named}), {compared}, all results, within strata of cloth",
        f"tone (nominal: {levels_named}), {compared}, first 3 results, weighted by rank",
    ]


def _named(name: str, day: int, bias: float, groups: Sequence[str] = ("a", "b")) -> FinishedRun:
    """40 fresh queries of two groups; the share of the second level is higher by the bias in the second group."""
    group = np.arange(40) % 2
    chance = np.where(group[:, None] == 1, 0.5 + bias / 2, 0.5 - bias / 2)
    levels = (np.random.default_rng(day).random((40, 10)) < chance).astype(np.int16)
    one = replace(attribute("nominal", levels.ravel(), 2), name=name)
    found = results(list(np.arange(levels.size).reshape(levels.shape)), one, group=group)
    ids = tuple(f"day {day}, {n}" for n in range(40))
    return _finished(day, replace(found, query_ids=ids, group_names=tuple(groups)), attribute=name)


def test_each_question_has_evidence_of_its_own_and_a_run_shows_its_own() -> None:
    tone, gender, fresh, again = (
        _named("tone", 1, 0.0),
        _named("gender", 2, 0.9),
        _named("gender", 3, 0.9),
        replace(_named("gender", 3, 0.9), run="again", created="2026-11-04"),
    )
    found = over_runs([tone, gender, fresh, again])
    first, second = found.questions
    assert (first.runs, second.runs) == (("run 1",), ("run 2", "run 3", "again"))
    assert first.evidence.e_value == over_runs([tone]).questions[0].evidence.e_value < 20
    # The same queries audited again are versions of them.
    assert second.evidence.e_value == over_runs([gender, fresh]).questions[0].evidence.e_value > 40
    assert (second.evidence.n, len(second.evidence.versions)) == (40, 40)
    assert list(found.found.values()) == [False, True]
    assert "2 questions are followed in this case" in found.together
    assert "at most 0.05 over them (e-BH), disparity is found for 1: gender (nominal" in found.together
    of_tone, of_gender = over_time(tone, [gender, fresh, again], "light"), over_time(gender, [tone, fresh], "light")
    assert of_tone.sentences[0] == first.evidence.sentence
    assert of_tone.sentences[0].startswith(
        "tone (nominal: level 0 and level 1), between a and b, all results: after 20 "
    )
    assert of_gender.sentences[0].startswith("gender (nominal")
    for told in (of_tone, of_gender):
        assert found.together in told.sentences
        assert told.sentences[0] in told.pictures[0].description
    assert "Another question of this case: gender (nominal" in of_tone.notes[0]
    assert "disparity found by e-BH. Runs: run 2, run 3, again." in of_tone.notes[0]


def test_further_attributes_of_a_run_are_named_since_nothing_follows_them() -> None:
    run = _named("tone", 1, 0.0)
    run = replace(run, findings={**run.findings, "more_attributes": ("gender", "age")})
    found = over_runs([run, _named("gender", 2, 0.0)])
    assert found.notes == ("The further attribute 'age' is not followed: audit it in a run of its own.",)


def test_json_of_one_question_is_flat_too_and_of_several_names_each() -> None:
    one = over_runs([_named("tone", 1, 0.9)]).as_dict()
    (question,) = one["questions"]
    assert {name: one[name] for name in question} == question
    assert (question["attribute"], question["groups"], question["found_by_e_bh"]) == ("tone", ["a", "b"], True)
    both = over_runs([_named("tone", 1, 0.9), _named("gender", 2, 0.0)]).as_dict()
    assert both["n_questions"] == 2
    assert "e_value" not in both
    assert [each["found_by_e_bh"] for each in both["questions"]] == [True, False]
    assert "disparity is found for 1: tone" in both["sentence"]


def test_questions_whose_words_are_cut_to_the_same_are_told_apart() -> None:
    groups = [("a" * 70 + ending, "b") for ending in "xy"]
    titles = _titles([_named("tone", day, 0.0, names) for day, names in enumerate(groups, 1)])
    assert [title.rpartition(", ")[2] for title in titles] == ["first asked by run run 1", "first asked by run run 2"]


def test_a_true_target_in_classes_rarely_raises_an_alarm() -> None:
    """200 sequences of 60 queries at alpha .05: more than 20 alarms have probability under .1%."""
    generator, alarms = np.random.default_rng(20261125), 0
    for _ in range(200):
        levels = generator.choice(6, (60, 10), p=_TARGET)
        shares = np.stack([(levels == level).mean(axis=1) for level in range(6)], axis=1)
        monitor = Monitor(Scale("ordinal", ITA_CLASSES))
        ids = tuple(map(str, range(60)))
        found = monitor.add(Batch("2026-11-01", ids, (None,) * 60, shares, target=np.tile(_TARGET, (60, 1))))
        alarms += found.alarm_date is not None
    assert alarms <= 20
