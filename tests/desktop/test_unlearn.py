"""The Unlearn panel through the real window."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from auditor.case import verify
from auditor.desktop.panels.unlearn_live import LiveTraining
from auditor.desktop.widgets.figure import FigureCard
from auditor.desktop.widgets.pane import ScrollPane
from auditor.desktop.window import Window
from auditor.models.library import Library
from auditor.runs.contract import RunState
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from tests.audits.unlearning.files import facts, jsonl
from tests.models import small

#: Processes are started one after the other, sometimes on a machine that is busy.
_PATIENCE_MS = 240_000
#: Little is asked, in many steps: there is time to pause between them.
_QUICK = {
    "epochs": 400,
    "batch_size": 4,
    "learning_rate": 1e-3,
    "probe_steps": 100,
    "new_tokens": 4,
    "device": "cpu",
    "dtype": "float32",
    "quantised": "",
    "relearn_steps": 0,
}


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of two layers and random weights: it is loaded and trained within seconds."""
    return small.write(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture
def unlearn_window(home: Path, small_model: Path, case_window: Window, qtbot: QtBot) -> Window:
    """The window with a case and the small model chosen in the Unlearn panel."""
    Library().add(small_model, name="small")
    case_window.go_to(case_window.unlearn)
    case_window.unlearn.setup.models.select("small")
    qtbot.waitUntil(lambda: case_window.unlearn.setup.models.chosen == "small", timeout=_PATIENCE_MS)
    return case_window


def give(window: Window, tmp_path: Path, **rows: list[dict[str, str]]) -> None:
    """Take files: three facts to forget, in other words too, six to keep, and others as given."""
    forget = [row | {"paraphrased_question": f"Say what {row['question'][10:-6]} keeps!"} for row in facts(3)]
    written: dict[str, Any] = {"forget": forget, "retain": facts(6, first=3)} | rows
    for role, given in written.items():
        window.unlearn.setup.files.take(role, jsonl(tmp_path / f"{role}.jsonl", given).path)


def ask(window: Window, **settings: object) -> None:
    """Change settings. Where the device is the processor, torch need not be asked for others."""
    for name, value in settings.items():
        window.unlearn.setup.form.set_value(name, value)


def ready(window: Window, qtbot: QtBot) -> None:
    setup = window.unlearn.setup
    # What was refused before may still stand there, until it is asked anew.
    qtbot.waitUntil(setup.run.isEnabled, timeout=_PATIENCE_MS)


def refused(window: Window, qtbot: QtBot, words: str) -> None:
    cost = window.unlearn.setup.cost
    qtbot.waitUntil(lambda: cost.objectName() == "alert" and words in cost.text(), timeout=_PATIENCE_MS)
    assert not window.unlearn.setup.run.isEnabled()


def settle(window: Window, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: window.session.asker.is_idle and window.session.background.is_idle, timeout=_PATIENCE_MS)


def steps_of(run: Path) -> list[int]:
    """Steps that a run has told, in the order of its events."""
    events = [json.loads(line) for line in (run / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    return [event["row"]["step"] for event in events if event["kind"] == "row" and event["table"] == "training"]


@pytest.mark.slow
@pytest.mark.long
def test_a_run_is_paused_goes_on_exactly_is_shown_and_its_model_is_used(
    unlearn_window: Window, qtbot: QtBot, tmp_path: Path
) -> None:
    window, panel, results = unlearn_window, unlearn_window.unlearn, unlearn_window.unlearn.results
    ask(window, **_QUICK)
    give(window, tmp_path)
    ready(window, qtbot)
    assert "3 examples to forget (" in panel.setup.facts.text()
    assert "400 steps in 400 epochs" in panel.setup.facts.text()
    cost = panel.setup.cost.text()
    assert re.search(r"GiB of memory, up to \d[\d.]* MiB on the disk; time is not known before the first run", cost), (
        cost
    )
    QTest.mouseClick(panel.setup.run, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: results.pause.isEnabled() and results.live.step > 0, timeout=_PATIENCE_MS)
    assert "step " in results.verdict.text()
    QTest.mouseClick(results.pause, Qt.MouseButton.LeftButton)
    assert results.state.text() == "● Pausing"
    qtbot.waitUntil(results.resume.isVisible, timeout=_PATIENCE_MS)
    run = panel.shown_run
    assert run is not None
    assert results.state.text() == "● Paused"
    last = steps_of(run)[-1]
    assert 0 < last < 400, "there was no time to pause"
    assert f"The training stands at step {last:,} of 400" in results.verdict.text()
    assert "epsilon" in results.live.retain.sentence
    assert results.live.isVisible()
    kept = sorted(folder.name for folder in (run / "checkpoints" / "training").glob("step-*"))
    assert kept[-1] == f"step-{last:09d}"
    QTest.mouseClick(results.resume, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.session.executor.status(run).sealed, timeout=_PATIENCE_MS)
    qtbot.waitUntil(results.report.isVisible, timeout=_PATIENCE_MS)
    settle(window, qtbot)
    findings = json.loads((run / "findings.json").read_text(encoding="utf-8"))
    assert findings["training"]["resumed_at"] == [last]
    assert steps_of(run) == list(range(1, 401)), "no step was taken twice, and none left out"
    assert results.verdict.text() == findings["verdict"]["sentence"]
    assert "Model small" in results.facts.text()
    qtbot.waitUntil(lambda: len(results.pictures.findChildren(FigureCard)) >= 4, timeout=_PATIENCE_MS)
    assert not results.tabs.isTabVisible(results.tabs.indexOf(results.tables["overlaps"]))
    examples = results.tables["examples"]
    assert examples.model.all_rows == 9
    examples.view.selectRow(0)
    qtbot.waitUntil(panel.detail.turns.isVisible, timeout=_PATIENCE_MS)
    seen = panel.detail.turns.toPlainText()
    assert str(examples.model.value(0, "question")) in seen
    for heading in (
        "Said before",
        "Says after",
        "Probability a token",
        "Asked in other words",
        "Asked with half of the answer given",
    ):
        assert heading in seen, heading
    assert results.exports.tables["exports"].model.all_rows == len(findings["exports"]) == 2
    results.exports.tables["exports"].view.selectRow(0)
    assert findings["exports"][0]["sha256"] in panel.detail.turns.toPlainText()
    fits_its_panes(window, qtbot)
    use_both(window, qtbot)
    settle(window, qtbot)
    case = window.session.case
    assert case is not None
    window.close()
    assert verify(case.path).ok


def fits_its_panes(window: Window, qtbot: QtBot) -> None:
    window.resize(1024, 700)
    qtbot.wait(100)
    for pane in (pane for pane in window.unlearn.findChildren(ScrollPane) if pane.isVisible()):
        inner = pane.widget()
        assert inner is not None
        assert inner.width() <= pane.viewport().width(), pane


def use_both(window: Window, qtbot: QtBot) -> None:
    """The folder becomes the start model of another run, the GGUF file a judge."""
    folder, gguf = window.unlearn.results.menu.actions()
    folder.trigger()
    qtbot.waitUntil(lambda: window.unlearn.setup.models.chosen == "small-unlearnt", timeout=_PATIENCE_MS)
    ready(window, qtbot)
    assert "About " in window.unlearn.setup.cost.text(), "an earlier run tells how long it takes"
    gguf.trigger()
    qtbot.waitUntil(lambda: window.stack.currentWidget() is window.rate, timeout=_PATIENCE_MS)
    qtbot.waitUntil(lambda: window.rate.setup.models.chosen == "small-unlearnt-gguf", timeout=_PATIENCE_MS)
    assert {model.name for model in Library().list()} >= {"small-unlearnt", "small-unlearnt-gguf"}


def test_the_sample_begins_with_learning_and_what_does_not_fit_says_so(case_window: Window, qtbot: QtBot) -> None:
    window, setup = case_window, case_window.unlearn.setup
    ask(window, device="cpu")
    window.try_sample("unlearning")
    ready(window, qtbot)
    assert (setup.method.chosen, setup.models.chosen) == ("learn", "starter")
    assert set(setup.files.paths) == {"forget", "retain"}
    assert "5 examples to forget." in setup.files.previews["forget"].recognised.text()
    assert "5 examples to learn and forget later (" in setup.facts.text()
    assert not setup.form.controls["epsilon"].isVisibleTo(setup), "nothing is bounded while it learns"
    setup.form.set_value("batch_size", 1024)
    refused(window, qtbot, "Training starter needs about ")
    assert "take smaller batches" in setup.cost.text()
    setup.files.take_sample("forget")
    assert "No model has learnt the sample's facts yet" in window.statusBar().currentMessage()
    assert set(setup.files.paths) == {"forget", "retain", "holdout", "probes"}
    assert setup.settings()["lambda_start"] == 10.0
    settle(window, qtbot)


def test_what_files_share_and_what_is_wrong_with_them_is_named(
    unlearn_window: Window, qtbot: QtBot, tmp_path: Path
) -> None:
    window, files = unlearn_window, unlearn_window.unlearn.setup.files
    hostile = {"question": "What <b>does</b> Ada 0 keep?", "answer": '<img src="file:///secret.png">'}
    ask(window, device="cpu")
    give(window, tmp_path, forget=[*facts(3), hostile], retain=[*facts(6, first=3), facts(1)[0]])
    refused(window, qtbot, "The example stands in row 1 of what to forget too")
    assert "retain.jsonl" in window.unlearn.setup.cost.text()
    rows = files.previews["forget"].rows
    qtbot.waitUntil(lambda: rows.rowCount() == 4, timeout=_PATIENCE_MS)
    cells = [rows.item(3, column) for column in range(rows.columnCount())]
    (cell,) = (cell for cell in cells if cell is not None and cell.text() == hostile["answer"])
    assert "<img" not in cell.toolTip()
    alike = facts(1)[0] | {"answer": "A kettle that nobody else ever saw."}
    give(window, tmp_path, retain=[*facts(6, first=3), alike])
    ready(window, qtbot)
    assert "Examples to keep that are like one to forget: 1 (same question 1)" in window.unlearn.setup.cautions.text()
    assert "Lambda" not in window.unlearn.setup.cautions.text()
    ask(window, epochs=2)
    told = "Lambda will keep its first value of 100"
    qtbot.waitUntil(lambda: told in window.unlearn.setup.cautions.text(), timeout=_PATIENCE_MS)
    give(window, tmp_path, forget=[*facts(3), {"question": "And?", "answer": ""}])
    preview = files.previews["forget"]
    qtbot.waitUntil(preview.problems.isVisible, timeout=_PATIENCE_MS)
    assert "row 4, column 'answer': The answer is empty" in preview.problems.toPlainText()
    refused(window, qtbot, "The answer is empty")
    give(window, tmp_path)
    files.take("reference", jsonl(tmp_path / "log.json", facts(1)).path)
    qtbot.waitUntil(files.previews["reference"].problem.isVisible, timeout=_PATIENCE_MS)
    assert "log.json: The log has none of the figures" in files.previews["reference"].problem.text()
    settle(window, qtbot)
    assert not window.unlearn.setup.run.isEnabled()
    window.unlearn.setup.method.set_values({"method": "learn"})
    assert not files.others["reference"].isVisible(), "nothing is compared while a model learns"
    ready(window, qtbot)


def test_every_method_has_its_own_settings_and_numbers_are_typed(
    unlearn_window: Window, qtbot: QtBot, tmp_path: Path
) -> None:
    setup = unlearn_window.unlearn.setup
    assert setup.form.controls["learning_rate"].property("text") == "1e-5"
    assert setup.settings()["epsilon"] is None
    assert setup.method.forms["pdu"].isVisible()
    setup.method.set_values({"method": "npo"})
    assert setup.method.forms["npo"].isVisible()
    assert not setup.method.forms["pdu"].isVisible()
    setup.method.forms["npo"].set_value("beta", 0.2)
    asked = setup.settings()
    assert (asked["method"], asked["settings"]) == ("npo", {"beta": 0.2})
    assert "gamma" not in asked
    ask(unlearn_window, device="cpu", epsilon="soon")
    give(unlearn_window, tmp_path)
    refused(unlearn_window, qtbot, "“Epsilon”: Input should be a valid number")
    ask(unlearn_window, epsilon="3e-2", learning_rate=2e-5)
    ready(unlearn_window, qtbot)
    spec = setup.form.spec(setup._chosen())
    assert spec is not None
    assert (spec.model_dump()["epsilon"], spec.model_dump()["learning_rate"]) == (0.03, 2e-5)


@pytest.mark.slow
def test_a_run_that_fails_says_why_and_can_be_resumed(case_window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    window, results = case_window, case_window.unlearn.results
    case = window.session.case
    assert case is not None
    file = jsonl(tmp_path / "same.jsonl", facts(3)).path
    run = case.new_run("unlearning", {}, {"forget": file, "retain": file}, {}, seed=0)
    window.session.resume(run.path)
    qtbot.waitUntil(lambda: window.session.executor.status(run.path).state is RunState.FAILED, timeout=_PATIENCE_MS)
    qtbot.waitUntil(results.resume.isVisible, timeout=_PATIENCE_MS)
    assert window.stack.currentWidget() is window.unlearn
    assert results.state.text() == "● Failed"
    assert "The example stands in row 1 of what to forget too" in results.verdict.text()
    assert not results.tabs.isVisible()
    assert not results.pause.isVisible()
    window.session.executor.wait(run.path, 60)


def metric(name: str, value: float, step: int, second: int = 0) -> dict[str, object]:
    t = f"2026-01-01T00:00:{second:02d}.000Z"
    return {"kind": "metric", "name": name, "value": value, "step": step, "t": t}


def test_curves_grow_and_say_what_they_are_now(qtbot: QtBot) -> None:
    live = LiveTraining()
    qtbot.addWidget(live)
    live.begin("pdu")
    assert (live.sentence, live.where, live.has_steps) == ("", "", False)
    bound = {"stage": "bound", "result": {"epsilon": 0.08}}
    live.take_events([{"kind": "row", "table": "stages", "row": bound}, metric("forget_probability", 0.94, 0)])
    live.take_events([{"kind": "progress", "done": 0, "total": 8, "message": "epoch 1 of 4"}])
    for step in (1, 2, 3):
        live.take_events([metric("forget_loss", 400 / step, step, 3 * step), metric("retain_loss", 0.1 / step, step)])
    live.take_events([{"kind": "progress", "done": 3, "total": 8, "message": "epoch 2 of 4"}])
    live.take_events([metric("forget_probability", 0.001, 3), metric("retain_probability", 0.97, 3)])
    live.take_events([metric("lambda", 9.5, 3), metric("tokens_per_s", 412.0, 3)])
    assert live.where == "step 3 of 8, epoch 2 of 4"
    assert live.left_words() == ", about 15 s of training left"
    assert live.sentence == (
        "Retain loss of the last step 0.0333 nats, within epsilon 0.08 · probability of probed answers to forget 0.1%, to keep "
        "97% (step 3) · lambda 9.5 · 412 tokens/s"
    )
    # What is done between steps, probes and checkpoints, will be done again: step 4 came 12 s after the third.
    live.take_events(
        [metric("forget_loss", 9.0, 4, 21), {"kind": "progress", "done": 4, "total": 8, "message": "epoch 3 of 4"}]
    )
    assert live.left_words() == ", about 24 s of training left"
    # After a kill steps are taken again from the last checkpoint on.
    live.take_events([metric("forget_loss", 7.0, 2)])
    assert list(live.forget.curves["forget_loss"].steps) == [1, 2]
    curve = live.retain.curves["retain_loss"]
    for step in range(4, 5000):
        curve.take(step, 9.0 if step == 3333 else 0.05)
    assert (3333, 9.0) in curve.points()
    assert len(curve.points()) <= 400
    assert live.grab().toImage().width() > 0
    live.begin("learn")
    assert not live.has_steps
    assert live.weight.isHidden()
