"""The Rate panel through the real window."""

import json
import time
from pathlib import Path

import pytest
from auditor.audits.rating.ensemble import merge_rows
from auditor.case import verify
from auditor.desktop.lateness import LatenessProbe
from auditor.desktop.panels.rate_results import live_row
from auditor.desktop.window import Window
from auditor.models import ModelFile
from auditor.models.library import Library
from auditor.resources import resource
from auditor.runs.contract import RunState
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox
from pytestqt.qtbot import QtBot
from tests.ratings import write_many

_SAMPLE = resource("samples", "conversations.jsonl")


def drop(window: Window, path: Path) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    event = QDropEvent(
        QPointF(QPoint(700, 400)),
        Qt.DropAction.CopyAction,
        mime,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    window.dropEvent(event)


def short(tmp_path: Path, n: int, text: str | None = None) -> Path:
    path = tmp_path / "short.jsonl"
    lines = _SAMPLE.read_text(encoding="utf-8").splitlines()[:n]
    if text is not None:
        lines[0] = json.dumps({"id": text, "messages": [{"role": "assistant", "content": text}]})
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def ready(window: Window, qtbot: QtBot, path: Path) -> None:
    drop(window, path)
    qtbot.waitUntil(window.rate.setup.run.isEnabled, timeout=30_000)


def run_in_view(window: Window) -> Path:
    assert window.rate.shown_run is not None
    return window.rate.shown_run


def finish(window: Window, qtbot: QtBot) -> Path:
    qtbot.waitUntil(lambda: window.rate.shown_run is not None, timeout=20_000)
    run = run_in_view(window)
    qtbot.waitUntil(lambda: window.session.executor.status(run).sealed, timeout=240_000)
    qtbot.waitUntil(window.rate.results.report.isVisible, timeout=20_000)
    qtbot.waitUntil(lambda: window.session.asker.is_idle and window.session.background.is_idle, timeout=60_000)
    return run


@pytest.mark.slow
def test_a_dropped_file_is_previewed_rated_shown_and_reported(
    case_window: Window, qtbot: QtBot, tmp_path: Path
) -> None:
    window = case_window
    ready(window, qtbot, short(tmp_path, 5))
    assert window.stack.currentWidget() is window.rate
    assert "5 conversations" in window.rate.setup.file.recognised.text()
    assert window.rate.setup.file.rows.rowCount() == 5
    assert "GiB" in window.rate.setup.cost.text()
    QTest.mouseClick(window.rate.setup.run, Qt.MouseButton.LeftButton)
    run = finish(window, qtbot)
    assert "5 last replies rated by starter" in window.rate.results.verdict.text()
    assert "starter model: for trying the program, not evidence" in window.rate.results.alert.text()
    qtbot.waitUntil(lambda: window.rate.results.table.model.rowCount() == 15, timeout=20_000)
    findings = json.loads((run / "findings.json").read_text())
    assert window.rate.results.verdict.text() == findings["verdict"]["sentence"]
    window.rate.results.table.view.selectRow(4)
    qtbot.waitUntil(lambda: "Water it." in window.rate.detail.turns.toPlainText(), timeout=20_000)
    assert "comprehensiveness" in window.rate.detail.heading.text()
    assert window.session.case is not None
    for kind in ("html", "pdf"):
        target = tmp_path / f"out.{kind}"
        window.rate.results.report.save(kind, target)
        qtbot.waitUntil(target.is_file, timeout=30_000)
        qtbot.waitUntil(lambda: window.session.asker.is_idle, timeout=10_000)
    assert findings["verdict"]["sentence"] in (tmp_path / "out.html").read_text()
    case = window.session.case.path
    window.close()
    assert verify(case).ok


@pytest.mark.slow
def test_a_run_is_cancelled_and_resumed_and_loses_nothing(
    case_window: Window, qtbot: QtBot, tmp_path: Path, tiny_judge: ModelFile
) -> None:
    window = case_window
    Library().add(tiny_judge.path, name="tiny")
    window.rate.setup.refresh_models()
    qtbot.waitUntil(lambda: window.rate.setup.models.box.findData("tiny") >= 0, timeout=20_000)
    window.rate.setup.models.select("tiny")
    ready(window, qtbot, write_many(tmp_path / "many.jsonl", 1_000))
    QTest.mouseClick(window.rate.setup.run, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.rate.results.table.model.all_rows >= 3, timeout=60_000)
    run = run_in_view(window)
    row = window.activity.row(run)
    QTest.mouseClick(row.cancel, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.session.executor.status(run).state is RunState.CANCELLED, timeout=30_000)
    qtbot.waitUntil(row.resume.isVisible, timeout=10_000)
    kept = window.rate.results.table.model.all_rows
    assert 3 <= kept < 3_000
    assert "Stopped after" in window.rate.results.verdict.text()
    QTest.mouseClick(row.resume, Qt.MouseButton.LeftButton)
    finish(window, qtbot)
    qtbot.waitUntil(lambda: window.rate.results.table.model.rowCount() == 3_000, timeout=20_000)
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert sum(event["kind"] == "row" and event["table"] == "ratings" for event in events) == 3_000


@pytest.mark.slow
def test_the_event_loop_is_never_late_during_a_run(case_window: Window, qtbot: QtBot, lateness: LatenessProbe) -> None:
    """The bounds of the design are measured by tests.benchmarks.lateness; here ten times as much would fail."""
    window = case_window
    ready(window, qtbot, _SAMPLE)
    QTest.mouseClick(window.rate.setup.run, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.rate.results.table.model.all_rows >= 3, timeout=60_000)
    lateness.start()
    end = time.monotonic() + 6
    while time.monotonic() < end:
        qtbot.wait(50)
    lateness.stop()
    assert len(lateness.late_ms) > 200
    assert lateness.quantile_ms(0.99) < 500
    window.session.executor.cancel(run_in_view(window))


@pytest.mark.slow
def test_markup_in_a_conversation_is_text(case_window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    window = case_window
    hostile = "<b>bold</b><img src='file:///etc/passwd'> &amp; <h1>x</h1>"
    ready(window, qtbot, short(tmp_path, 1, hostile))
    QTest.mouseClick(window.rate.setup.run, Qt.MouseButton.LeftButton)
    finish(window, qtbot)
    qtbot.waitUntil(lambda: window.rate.results.table.model.rowCount() == 3, timeout=20_000)
    window.rate.results.table.view.selectRow(0)
    qtbot.waitUntil(lambda: hostile in window.rate.detail.turns.toPlainText(), timeout=20_000)
    assert window.rate.detail.heading.text().startswith(hostile)
    assert window.rate.detail.heading.textFormat() == Qt.TextFormat.PlainText


def test_a_damaged_file_says_what_is_wrong(case_window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes("Grüße".encode("utf-16"))
    drop(case_window, path)
    qtbot.waitUntil(case_window.rate.setup.file.problem.isVisible, timeout=20_000)
    assert "UTF-16" in case_window.rate.setup.file.problem.text()
    assert not case_window.rate.setup.run.isEnabled()


def test_columns_that_say_nothing_are_mapped_by_hand(case_window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("frage,antwort\nHi?,Hello.\nAnd?,So.\n", encoding="utf-8")
    setup = case_window.rate.setup
    drop(case_window, path)
    qtbot.waitUntil(lambda: "response" in setup.file.mapping, timeout=20_000)
    assert not setup.run.isEnabled()
    box = setup.file.mapping["response"]
    box.setCurrentIndex(box.findData("antwort"))
    box.activated.emit(box.currentIndex())
    qtbot.waitUntil(lambda: "2 conversations" in setup.file.recognised.text(), timeout=20_000)
    qtbot.waitUntil(setup.run.isEnabled, timeout=20_000)


def test_groups_of_json_records_are_mapped_by_hand(case_window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    path = tmp_path / "groups.jsonl"
    turns = [{"role": "assistant", "content": "Hello."}, {"role": "assistant", "content": None}]
    path.write_text(json.dumps({"ctx": "c1", "messages": turns[:1]}) + "\n" + json.dumps({"messages": turns}))
    setup = case_window.rate.setup
    drop(case_window, path)
    # A reply that is empty can be rated as part of the whole conversation only.
    qtbot.waitUntil(lambda: "1 conversation, 1 record" in setup.file.recognised.text(), timeout=20_000)
    assert list(setup.file.mapping) == ["id", "group"]
    assert "Fields that are not read: 'ctx'" in setup.file.recognised.text()
    box = setup.file.mapping["group"]
    box.setCurrentIndex(box.findData("ctx"))
    box.activated.emit(box.currentIndex())
    qtbot.waitUntil(lambda: setup.file.recognised.text().endswith("cannot be rated."), timeout=20_000)
    choice = setup.form.controls["scope"]
    assert isinstance(choice, QComboBox)
    choice.setCurrentIndex(choice.findData("conversation"))
    qtbot.waitUntil(lambda: "2 conversations" in setup.file.recognised.text(), timeout=20_000)
    assert setup.file.columns() == {"group": "ctx"}


def test_a_setting_out_of_bounds_cannot_be_asked_for(case_window: Window) -> None:
    form = case_window.rate.setup.form
    form.controls["axes"].setText("Not An Axis")  # type: ignore[attr-defined]  # it is a line
    assert form.spec({"model": "", "mapping": {}}) is None
    assert form.controls["n_ctx"].maximum() == 32_768  # type: ignore[attr-defined]  # it is a spin box


def test_what_several_judges_say_is_seen_while_they_rate(
    case_window: Window, starter_model: ModelFile, tmp_path: Path
) -> None:
    row = {"id": "a", "row": 1, "group": None, "axis": "on_topic", "judge": "starter", "variant": "4", "scale": 4}
    row |= {"p1": 0.05, "p2": 0.05, "p3": 0.6, "p4": 0.3, "expected": 3.87, "mode": 3, "entropy": 0.97, "length": 9}
    row |= {"truncated_turns": 0, "prompt": "x", "explanation": "Fine."}
    # As the finished table says it: the 3 of 4 counts for 4 of 5.
    (finished,) = merge_rows([iter([row])], "mean")
    shown = live_row(row, "mean")
    assert shown["mode"] == 4
    assert {name: shown[name] for name in finished if name != "spread"} == {
        name: value for name, value in finished.items() if name != "spread"
    }
    humans = tmp_path / "said.csv"
    humans.write_text("conversation_id,axis,rater,score\nrow-1,on_topic,Ada,3\n")
    window = case_window
    assert window.session.case is not None
    files = {"conversations": _SAMPLE, "humans": humans}
    run = window.session.case.new_run("rating", {"variants": ["5", "4"]}, files, {"judge": starter_model}, seed=1)
    results = window.rate.results
    results.show_live(run)
    results.take_events([{"kind": "row", "table": "judgements", "row": row}])
    assert results.table.model.all_rows == 1
    assert (results.table.model.value(0, "variant"), results.table.model.value(0, "mode")) == ("4", 4)
    results.people.show_run(run)
    results.people.refresh()
    assert "set beside the ratings in said.csv" in results.people.sentence.text()
