"""The Guard panel through the real window."""

import json
from pathlib import Path

import pytest
from auditor.case import verify
from auditor.desktop.panels.guard_live import LiveAccuracy
from auditor.desktop.widgets.figure import FigureCard
from auditor.desktop.widgets.pane import ScrollPane
from auditor.desktop.window import Window
from auditor.models.library import Library
from auditor.runs.contract import RunState
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMessageBox, QPushButton
from pytestqt.qtbot import QtBot
from tests.audits.guard.small_model import write

#: Processes are started one after the other, sometimes on a machine that is busy.
_PATIENCE_MS = 240_000
#: Little is asked.
_QUICK = {
    "attacks": ("cyclic", "cyclic:0.5"),
    "n_demonstrations": 4,
    "limit": 40,
    "splits": 2,
    "influence_queries": 2,
    "attention_queries": 1,
    "timing_queries": 1,
}


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of six layers and random weights: it is loaded and asked within seconds."""
    return write(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture
def guard_window(home: Path, small_model: Path, case_window: Window, qtbot: QtBot) -> Window:
    """The window with a case and the small model chosen in the Guard panel."""
    Library().add(small_model, name="small")
    case_window.go_to(case_window.guard)
    box = case_window.guard.setup.models.box
    qtbot.waitUntil(lambda: box.findData("small") >= 0, timeout=_PATIENCE_MS)
    box.setCurrentIndex(box.findData("small"))
    return case_window


def queries(tmp_path: Path, *rows: str, n: int = 40, name: str = "queries.csv") -> Path:
    """Short remarks, the first ones as given."""
    written = [f"q{row},The tea was {'cold' if row % 2 else 'good'} on day {row}.,{'ab'[row % 2]}" for row in range(n)]
    written[: len(rows)] = rows
    path = tmp_path / name
    path.write_text("\n".join(["id,text,label", *written, ""]), encoding="utf-8")
    return path


def ready(window: Window, qtbot: QtBot) -> None:
    setup = window.guard.setup

    qtbot.waitUntil(lambda: setup.run.isEnabled() or setup.cost.objectName() == "alert", timeout=_PATIENCE_MS)
    assert setup.run.isEnabled(), setup.cost.text()


def ask(window: Window, qtbot: QtBot, **settings: object) -> None:
    """Take the sample with other settings, and wait until it could be run."""
    window.try_sample("guard")
    for name, value in settings.items():
        window.guard.setup.form.set_value(name, value)
    ready(window, qtbot)


def refused(window: Window, qtbot: QtBot) -> str:
    """What the panel says against a run."""
    cost = window.guard.setup.cost
    qtbot.waitUntil(lambda: cost.objectName() == "alert" and bool(cost.text()), timeout=_PATIENCE_MS)
    assert not window.guard.setup.run.isEnabled()
    return cost.text()


def settle(window: Window, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: window.session.asker.is_idle and window.session.background.is_idle, timeout=_PATIENCE_MS)


def finish(window: Window, qtbot: QtBot) -> Path:
    qtbot.waitUntil(lambda: window.guard.shown_run is not None, timeout=_PATIENCE_MS)
    run = window.guard.shown_run
    assert run is not None
    qtbot.waitUntil(lambda: window.session.executor.status(run).sealed, timeout=_PATIENCE_MS)
    qtbot.waitUntil(window.guard.results.report.isVisible, timeout=_PATIENCE_MS)
    settle(window, qtbot)
    return run


@pytest.mark.slow
@pytest.mark.long
def test_the_sample_is_read_attacked_certified_shown_and_reported(
    guard_window: Window, qtbot: QtBot, tmp_path: Path
) -> None:
    window, panel = guard_window, guard_window.guard
    setup, results = panel.setup, panel.results
    ask(window, qtbot)
    assert "260 queries" in setup.files.previews["queries"].recognised.text()
    assert "64 demonstrations" in setup.files.previews["demonstrations"].recognised.text()
    for name, value in _QUICK.items():
        setup.form.set_value(name, value)
    qtbot.waitUntil(lambda: not setup.run.isEnabled(), timeout=_PATIENCE_MS)
    ready(window, qtbot)
    assert "40 queries (negative " in setup.facts.text()
    assert "of which the first 4 stand in every prompt" in setup.facts.text()
    assert "About 20 queries calibrate." in setup.cost.text()
    assert "GiB of memory" in setup.cost.text()
    QTest.mouseClick(setup.run, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(results.live.curves) == 4 or results.is_finished, timeout=_PATIENCE_MS)
    run = finish(window, qtbot)
    assert set(results.live.curves) == {"zero-shot", "correct", "cyclic:1", "cyclic:0.5"}
    findings = json.loads((run / "findings.json").read_text())
    assert results.state.text() == f"● {findings['verdict']['state'].capitalize()}"
    assert results.verdict.text() == findings["verdict"]["sentence"]
    assert "Model small" in results.facts.text()
    assert "20 calibration and 20 test queries" in results.facts.text()
    qtbot.waitUntil(lambda: len(results.pictures.findChildren(FigureCard)) > 7, timeout=_PATIENCE_MS)
    names = {card.name for card in results.pictures.findChildren(FigureCard)}
    assert names >= {"risk_curve", "attacks", "layers", "exits", "splits", "influence", "attention", "cost"}
    shown = {name: table.model.all_rows for name, table in results.tables.items()}
    assert shown["queries"] == 40 * 3
    assert shown["influence"] == 4
    assert shown["risk_curve"] > 100
    assert results.tables["conditions"].model.headerData(0, Qt.Orientation.Horizontal) == "Condition"
    flipped = results.tables["flipped"]
    assert flipped.model.all_rows > 0
    flipped.view.selectRow(0)
    qtbot.waitUntil(panel.detail.turns.isVisible, timeout=_PATIENCE_MS)
    seen = panel.detail.turns.toPlainText()
    assert flipped.model.value(0, "text") in seen
    assert "Prompt: zero-shot" in seen
    assert seen.count("Answer with one of: negative, positive.") == 2
    window.resize(1024, 700)
    qtbot.wait(100)
    for pane in (pane for pane in panel.findChildren(ScrollPane) if pane.isVisible()):
        inner = pane.widget()
        assert inner is not None
        assert inner.width() <= pane.viewport().width(), pane
    target = tmp_path / "out.html"
    results.report.save("html", target)
    qtbot.waitUntil(target.is_file, timeout=_PATIENCE_MS)
    settle(window, qtbot)
    assert "What the guarantee covers" in target.read_text(encoding="utf-8")
    assert window.session.case is not None
    case = window.session.case.path
    window.close()
    assert verify(case).ok


@pytest.mark.slow
@pytest.mark.long
def test_a_cancelled_run_keeps_its_answers_and_is_resumed(guard_window: Window, qtbot: QtBot) -> None:
    window, panel = guard_window, guard_window.guard
    ask(window, qtbot, **{**_QUICK, "demonstrations": "resampled", "limit": None, "influence_queries": 0})
    QTest.mouseClick(panel.setup.run, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(panel.results.live.curves), timeout=_PATIENCE_MS)
    run = panel.shown_run
    assert run is not None
    window.session.executor.cancel(run)
    qtbot.waitUntil(panel.results.resume.isVisible, timeout=_PATIENCE_MS)
    assert panel.results.state.text() == "● Cancelled"
    assert panel.results.verdict.text().startswith("The run was cancelled; what was computed is kept. ")
    assert panel.results.verdict.text().endswith(" prompts were asked.")
    assert panel.results.live.isVisible()
    kept = (run / "events.jsonl").read_bytes().count(b'"table":"scores"')
    QTest.mouseClick(panel.results.resume, Qt.MouseButton.LeftButton)
    assert finish(window, qtbot) == run
    events = (run / "events.jsonl").read_bytes()
    assert 0 < kept <= events.count(b'"table":"scores"') == 260 * 4
    assert json.loads((run / "findings.json").read_text())["n"] == 130


def test_the_prompt_is_shown_with_its_tokens_and_changed(case_window: Window, qtbot: QtBot) -> None:
    window, page = case_window, case_window.guard.prompt
    window.go_to(window.guard)
    window.commands.action("guard.prompt").trigger()
    assert "Choose queries, demonstrations and a model first" in window.statusBar().currentMessage()
    ask(window, qtbot)
    QTest.mouseClick(window.guard.setup.prompt, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(page.counts.isVisible, timeout=_PATIENCE_MS)
    before, text = page.counts.text(), page.view.toPlainText()
    assert "tokens" in before
    assert text.startswith("Correct demonstrations: ")
    assert "homemade.\nLabel: positive" in text
    assert "negative:" in page.labels.text()
    page.condition.setCurrentIndex(page.condition.findData("cyclic:1"))
    qtbot.waitUntil(lambda: "homemade.\nLabel: negative" in page.view.toPlainText(), timeout=_PATIENCE_MS)
    page.fields["instruction"].setPlainText("Is the mood of the text one of {labels}? Answer with one word.")
    qtbot.waitUntil(lambda: page.counts.text() != before, timeout=_PATIENCE_MS)
    assert "Is the mood of the text one of negative, positive?" in page.view.toPlainText()
    assert page.fields["separator"].toPlainText() == r"\n\n"
    page.fields["separator"].setPlainText(r"\n---\n")
    qtbot.waitUntil(lambda: "homemade.\nLabel: negative\n---\n" in page.view.toPlainText(), timeout=_PATIENCE_MS)
    assert window.guard.setup.settings()["separator"] == "\n---\n"
    page.fields["query"].setPlainText("Text: {text} Label: ")
    qtbot.waitUntil(page.problem.isVisible, timeout=_PATIENCE_MS)
    assert "“Query”: it ends in a blank" in page.problem.text()
    QTest.mouseClick(page.reset, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.counts.text() == before, timeout=_PATIENCE_MS)
    assert not page.problem.isVisible()
    QTest.mouseClick(page.back, Qt.MouseButton.LeftButton)
    assert window.guard.setup.isVisible()
    settle(window, qtbot)


def test_labels_that_a_model_cannot_tell_apart_are_refused_before_anything_runs(
    case_window: Window, qtbot: QtBot
) -> None:
    ask(case_window, qtbot)
    case_window.guard.setup.form.set_value("label_words", "negative = not good, positive = not bad")
    words = refused(case_window, qtbot)
    assert "'negative' and 'positive' begin with the same token" in words
    assert "Give words for labels, for example" in words


def test_that_nothing_could_be_certified_is_said_before_running_and_is_no_refusal(
    case_window: Window, qtbot: QtBot
) -> None:
    setup = case_window.guard.setup
    ask(case_window, qtbot)
    assert "unlikely" not in setup.cost.text()
    setup.form.set_value("limit", 20)
    setup.form.set_value("epsilon", 0.05)
    qtbot.waitUntil(lambda: "About 10 queries calibrate." in setup.cost.text(), timeout=_PATIENCE_MS)
    assert "takes 95 queries if demonstrations change no answer" in setup.cost.text()
    assert "So it is unlikely: add queries, or allow a larger epsilon." in setup.cost.text()
    assert setup.run.isEnabled()
    settle(case_window, qtbot)


def test_a_folder_of_a_model_that_is_dropped_goes_to_the_library_and_can_be_chosen(
    case_window: Window, qtbot: QtBot, small_model: Path, tmp_path: Path
) -> None:
    """Whatever panel is in view, even one that takes folders of images."""
    window = case_window
    window.go_to(window.parity)
    window.take_dropped(small_model)
    assert window.stack.currentWidget() is window.models
    qtbot.waitUntil(lambda: "was added" in window.models.outcome.text(), timeout=_PATIENCE_MS)
    assert "small was added: SHA-256 " in window.models.outcome.text()
    window.go_to(window.guard)
    box = window.guard.setup.models.box
    qtbot.waitUntil(lambda: box.findData("small") >= 0, timeout=_PATIENCE_MS)
    # Weights that are a pickle are refused where the folder was dropped.
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    (pickled / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    window.take_dropped(pickled)
    qtbot.waitUntil(lambda: "pickle" in window.models.outcome.text(), timeout=_PATIENCE_MS)
    settle(window, qtbot)


def test_files_with_problems_name_each_and_cannot_be_run(case_window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    window = case_window
    ask(window, qtbot)
    window.guard.setup.files.take_first(queries(tmp_path, "q0,,a", "q1,Fine.,", "q1,Twice.,a"))
    preview = window.guard.setup.files.previews["queries"]
    qtbot.waitUntil(preview.problems.isVisible, timeout=_PATIENCE_MS)
    for words in (
        "row 2, column 'text': The text is empty",
        "row 3, column 'label': The label is missing",
        "row 4, column 'id'",
    ):
        assert words in preview.problems.toPlainText(), words
    assert "3 problems" in preview.recognised.text()
    assert "queries.csv" in refused(window, qtbot)
    damaged = tmp_path / "bad.csv"
    damaged.write_bytes(b"PK\x03\x04" + bytes(range(256)))
    window.guard.setup.files.take_first(damaged)
    qtbot.waitUntil(lambda: "bad.csv" in preview.problem.text() + preview.problems.toPlainText(), timeout=_PATIENCE_MS)
    settle(window, qtbot)
    assert not window.guard.setup.run.isEnabled()


def test_a_second_file_is_asked_what_it_holds(case_window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    window, files = case_window, case_window.guard.setup.files
    window.go_to(window.guard)
    first, other = queries(tmp_path), queries(tmp_path, n=20, name="shown.csv")
    window.take_dropped(first)
    window.take_dropped(other)
    box = window.guard.findChild(QMessageBox)
    assert box is not None
    (button,) = (button for button in box.findChildren(QPushButton) if button.text() == "Demonstrations")
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert files.paths == {"queries": first, "demonstrations": other}
    # The same texts on both sides would teach the answers.
    assert "shown.csv" in refused(window, qtbot)


def test_markup_in_texts_is_text(case_window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    window = case_window
    ask(window, qtbot)
    hostile = '<img src="file:///secret.png"> <b>bold</b> {label} {text} <|endoftext|>'
    window.guard.setup.files.take_first(
        queries(tmp_path, f'q0,"{hostile.replace(chr(34), chr(34) * 2)}",positive', "q1,Dull.,negative", n=2)
    )
    preview = window.guard.setup.files.previews["queries"]
    qtbot.waitUntil(lambda: "2 queries" in preview.recognised.text(), timeout=_PATIENCE_MS)
    cells = [preview.rows.item(0, column) for column in range(preview.rows.columnCount())]
    (cell,) = (cell for cell in cells if cell is not None and cell.text() == hostile)
    assert "<img" not in cell.toolTip()
    ready(window, qtbot)
    window.guard.show_prompt()
    page = window.guard.prompt
    qtbot.waitUntil(page.counts.isVisible, timeout=_PATIENCE_MS)
    assert f"Text: {hostile}\nLabel:" in page.view.toPlainText()
    settle(window, qtbot)


@pytest.mark.slow
def test_a_run_that_fails_says_why_and_can_be_resumed(case_window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    window = case_window
    case = window.session.case
    assert case is not None
    file = queries(tmp_path, "q0,,a")
    run = case.new_run("guard", {}, {"queries": file, "demonstrations": file}, {}, seed=0)
    window.session.resume(run.path)
    qtbot.waitUntil(lambda: window.session.executor.status(run.path).state is RunState.FAILED, timeout=_PATIENCE_MS)
    qtbot.waitUntil(window.guard.results.resume.isVisible, timeout=_PATIENCE_MS)
    assert window.stack.currentWidget() is window.guard
    assert window.guard.results.state.text() == "● Failed"
    assert "The text is empty" in window.guard.results.verdict.text()
    assert not window.guard.results.tabs.isVisible()
    window.session.executor.wait(run.path, 60)


def test_curves_grow_as_metrics_come(qtbot: QtBot) -> None:
    live = LiveAccuracy()
    qtbot.addWidget(live)
    live.begin()
    assert live.sentence == ""

    def metric(name: str, value: float, step: int) -> dict[str, object]:
        return {"kind": "metric", "name": name, "value": value, "step": step}

    live.take_events([metric("accuracy/zero-shot", 0.6, 16), {"kind": "log", "message": "x"}, metric("other", 1.0, 1)])
    assert live.sentence == "Accuracy without a guard so far: Zero-shot 60%."
    live.take_events([metric("accuracy/correct", 0.75, 16), metric("accuracy/cyclic:1", 0.25, 16)])
    live.take_events([metric("accuracy/zero-shot", 0.5, 32)])
    assert live.curves["zero-shot"] == [(16, 0.6), (32, 0.5)]
    assert "Wrong labels in a circle (100%) 25%" in live.accessibleDescription()
    assert live.grab().toImage().width() > 0


def test_damaged_findings_are_said(case_window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    case = case_window.session.case
    assert case is not None
    file = queries(tmp_path)
    run = case.new_run("guard", {}, {"queries": file, "demonstrations": file}, {}, seed=0)
    with (run.path / "findings.json").open("w", encoding="utf-8") as stream:
        json.dump({"verdict": {"state": "certified", "sentence": "x"}, "warnings": []}, stream)
    case_window.go_to(case_window.guard)
    case_window.guard.results.show_finished(run)
    assert "are damaged" in case_window.guard.results.verdict.text()
    settle(case_window, qtbot)
