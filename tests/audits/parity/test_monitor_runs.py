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
from auditor.audits.parity.monitor_runs import over_runs, over_time
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
    told = over_time([run, run], "light")
    assert "items shared by lists are not fresh evidence" in told.sentences[0]
    assert not told.rows
    followed = _finished(2, _queries(levels, 2, "nominal", group=np.arange(20) % 2))
    both = over_runs([run, followed])
    assert both.runs == ("run 2",)
    assert [name for name, _ in both.left_out] == ["run 1"]


def test_shares_of_classes_of_degrees_are_followed_as_they_were_declared() -> None:
    days = [_drawn(day, 15, _TARGET) for day in (1, 2, 3)]
    found = over_runs([_against_classes(day, levels, _TARGET) for day, levels in enumerate(days, 1)])
    plain = Monitor(Scale("ordinal", ITA_CLASSES))
    for day, levels in enumerate(days, 1):
        shares = np.stack([(levels == level).mean(axis=1) for level in range(6)], axis=1)
        ids = tuple(f"day {day}, {n}" for n in range(15))
        target = np.tile(_TARGET, (15, 1))
        expected = plain.add(Batch(f"2026-11-{day:02d}", ids, (None,) * 15, shares, target=target))
    assert found.evidence.log_e == pytest.approx(expected.log_e)


def test_a_mean_that_moves_away_from_the_first_run_but_to_the_target_raises_no_alarm() -> None:
    first = _drawn(1, 4, np.array([0, 0, 0, 0, 0.5, 0.5]))
    days = [_against_classes(1, first, _TARGET)]
    days += [_against_classes(day, _drawn(day, 60, _TARGET), _TARGET) for day in (2, 3, 4)]
    assert over_runs(days).evidence.alarm_date is None


def test_a_declared_mean_in_degrees_is_the_target() -> None:
    levels = _drawn(1, 15, _TARGET)
    found = replace(_queries(levels, 1, "ita"), target_mean=20.0)
    other = replace(_queries(levels, 2, "ita"), target_mean=25.0)
    runs = [_finished(day, one, scale="ita", mode="C2") for day, one in ((1, found), (2, other))]
    told = over_runs(runs)
    plain = Monitor(Scale("ita", ITA_CLASSES), target_mean=20.0)
    batch = Batch("2026-11-01", found.query_ids, (None,) * 15, np.tile(np.eye(6)[0], (15, 1)), _means(levels))
    assert told.evidence.log_e == pytest.approx(plain.add(batch).log_e)
    assert told.left_out == (("run 2", "another target"),)


def _means(levels: NDArray[Any]) -> NDArray[Any]:
    means: NDArray[Any] = _DEGREES[levels].mean(axis=1)
    return means


def _reasons(runs: Sequence[FinishedRun]) -> list[str]:
    return [reason for _, reason in over_runs(runs).left_out]


def test_another_target_or_other_strata_are_another_question() -> None:
    levels = _drawn(1, 20, _TARGET)
    other = np.array([0.2, 0.1, 0.2, 0.2, 0.2, 0.1])
    assert _reasons([_against_classes(1, levels, _TARGET), _against_classes(2, levels, other)]) == ["another target"]
    groups = {"group": np.arange(20) % 2}
    first = _finished(1, _queries(levels, 1, "nominal", **groups))
    strata = _finished(2, _queries(levels, 2, "nominal", **groups), strata=("cloth",))
    assert _reasons([first, strata]) == ["other strata"]


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
