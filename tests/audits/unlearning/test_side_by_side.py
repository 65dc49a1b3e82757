"""An unlearning run beside those of its case that had the same task."""

from typing import Any

from auditor.audits import FinishedRun
from auditor.audits.unlearning import beside_runs
from auditor.audits.unlearning.metrics.metric import Metric
from tests.audits.unlearning.made_runs import made_findings

_TASK = {"forget": "f" * 64, "retain": "r" * 64}


def _metric(value: float) -> Metric:
    return Metric(value=value, low=value / 2, high=min(1.0, 1.5 * value), n=5)


def finished(
    name: str, forget: float, retain: float, *, otherwise: float | None = None, spec: Any = None, **more: Any
) -> FinishedRun:
    """A run that ended with these probabilities."""
    after = {"forget_answer_probability": _metric(forget), "retain_answer_probability": _metric(retain)}
    if otherwise is not None:
        after["probe_paraphrase_probability"] = _metric(otherwise)
    before = {"forget_answer_probability": _metric(0.94), "retain_answer_probability": _metric(0.97)}
    inputs = more.pop("inputs", _TASK)
    findings = made_findings(before=before, after=after, **more).model_dump(mode="json")
    return FinishedRun(name, "2026-11-24", findings, {}, inputs, spec=spec or {}, seed=more.get("seed", 0))


def test_runs_of_one_task_stand_in_one_table_the_newest_first() -> None:
    a = finished("a", 0.02, 0.96, otherwise=0.04)
    others = [
        finished("npo", 0.01, 0.5, method="npo", state="retention lost", spec={"settings": {"beta": 0.2}}),
        finished("longer", 0.001, 0.97, spec={"epochs": 30}),
    ]
    found = beside_runs(a, others, "light")
    assert found is not None
    assert found.rows == (
        ("A: a", "pdu", "2% (1% to 3%)", "in other words: 4% (2% to 6%)", "96% (48% to 100%)", "0.040 of 0.080 nats",
         "forgotten by these measures"),
        ("B 1: longer", "pdu", "0.1% (0.05% to 0.15%)", "as trained: 0.1% (0.05% to 0.15%)", "97% (48% to 100%)",
         "0.040 of 0.080 nats", "forgotten by these measures"),
        ("B 2: npo", "npo", "1% (0.5% to 1.5%)", "as trained: 1% (0.5% to 1.5%)", "50% (25% to 75%)", "0.040 of 0.080 nats",
         "retention lost"),
    )  # fmt: skip
    assert found.sentences[0].startswith("A is this run. 2 other runs of this case began with the same model")
    assert found.sentences[1] == "B 1 is longer: epochs 30 (A: 10)."
    assert found.sentences[2] == "B 2 is npo: method npo (A: pdu)."
    (picture,) = found.pictures
    data = picture.data.to_pydict()
    assert data["run"] == ["A", "B 1", "B 2"]
    assert data["forget_after"] == [0.02, 0.001, 0.01]
    assert data["retain_after_high"] == [1.0, 1.0, 0.75]
    assert data["forget_before"] == [0.94] * 3


def test_a_run_of_another_model_or_file_or_one_that_learnt_is_not_beside_it() -> None:
    a = finished("a", 0.02, 0.96)
    others = [
        finished("model", 0.01, 0.9, model_sha256="1" * 64),
        finished("file", 0.01, 0.9, inputs={**_TASK, "forget": "e" * 64}),
        finished("learnt", 0.9, 0.9, constraint=None, method="learn", state="learnt"),
    ]
    assert beside_runs(a, others, "light") is None
    assert beside_runs(others[2], [a], "light") is None


def test_what_finds_no_room_or_cannot_be_read_is_told() -> None:
    a = finished("a", 0.02, 0.96)
    others = [finished(f"run {number}", 0.01, 0.9) for number in range(7)]
    damaged = FinishedRun("bad", "", {**others[6].findings, "before": {}, "training": 3}, {}, _TASK)
    found = beside_runs(a, [*others[:6], damaged], "dark")
    assert found is not None
    assert [row[0] for row in found.rows] == ["A: a", "B 1: run 5", "B 2: run 4", "B 3: run 3", "B 4: run 2"]
    assert found.notes == (
        "bad is not shown: its findings are damaged, or of another version.",
        "2 older runs are not shown here.",
    )
    assert found.sentences[1] == "B 1 is run 5: nothing was set otherwise."
