"""The Parity panel through the real window."""

import csv
import json
from pathlib import Path

import pytest
from auditor.case import Case, verify
from auditor.desktop.panels.parity_live import LivePValue, p_is
from auditor.desktop.panels.parity_results import facts
from auditor.desktop.widgets.contact_strip import ContactStrip, tone_of
from auditor.desktop.widgets.figure import FigureCard
from auditor.desktop.widgets.pane import ScrollPane
from auditor.desktop.window import Window
from auditor.resources import resource
from auditor.runs.contract import RunState
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QColor, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QListWidgetItem, QMessageBox, QPushButton, QToolButton
from pytestqt.qtbot import QtBot

#: Processes are started one after the other, sometimes on a machine that is busy.
_PATIENCE_MS = 240_000


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


def results(tmp_path: Path, name: str = "results.csv", group: str = "query_group", **changed: str) -> Path:
    """Forty queries of two groups with six results each, and tones of the items; some cells changed."""
    rows = []
    for query in range(40):
        for rank in range(1, 7):
            item = (query * 11 + rank * 5) % 90
            tone = "light" if item % 5 < 3 else "dark"
            rows.append([f"q{query}", f"i{item}", str(rank), "ab"[query % 2], tone])
    header = ["query_id", "item_id", "rank", group, "tone"]
    for place, text in changed.items():
        row, column = place.removeprefix("r").split("_", 1)
        rows[int(row)][header.index(column)] = text
    path = tmp_path / name
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


def looked_up(tmp_path: Path) -> tuple[Path, Path]:
    """Results without the attribute, and the catalog that holds it."""
    catalog, tones = tmp_path / "items.csv", {}
    with results(tmp_path).open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        tones.setdefault(row["item_id"], row["tone"])
    catalog.write_text("item_id,tone\n" + "".join(f"{item},{tone}\n" for item, tone in tones.items()), encoding="utf-8")
    bare = tmp_path / "bare.csv"
    lines = [",".join([row["query_id"], row["item_id"], row["rank"], row["query_group"]]) for row in rows]
    bare.write_text("\n".join(["query_id,item_id,rank,query_group", *lines, ""]), encoding="utf-8")
    return bare, catalog


def choose(window: Window, path: Path, field: str, column: str, qtbot: QtBot, role: str = "results") -> None:
    """Map a column of a file that is in the panel."""
    del path
    preview = window.parity.setup.files.previews[role]
    qtbot.waitUntil(lambda: field in preview.mapping, timeout=_PATIENCE_MS)
    box = preview.mapping[field]
    box.setCurrentIndex(box.findData(column))
    box.activated.emit(box.currentIndex())


def ready(window: Window, qtbot: QtBot) -> None:
    setup = window.parity.setup

    def can_run() -> None:
        assert setup.run.isEnabled(), f"{setup.files.found.keys()}: {setup.cost.text()}"

    qtbot.waitUntil(can_run, timeout=_PATIENCE_MS)


def refused(window: Window, qtbot: QtBot) -> str:
    """What the panel says against a run."""
    cost = window.parity.setup.cost
    qtbot.waitUntil(lambda: cost.objectName() == "alert" and bool(cost.text()), timeout=_PATIENCE_MS)
    assert not window.parity.setup.run.isEnabled()
    return cost.text()


def finish(window: Window, qtbot: QtBot) -> Path:
    qtbot.waitUntil(lambda: window.parity.shown_run is not None, timeout=_PATIENCE_MS)
    run = window.parity.shown_run
    assert run is not None
    qtbot.waitUntil(lambda: window.session.executor.status(run).sealed, timeout=_PATIENCE_MS)
    qtbot.waitUntil(window.parity.results.report.isVisible, timeout=_PATIENCE_MS)
    settle(window, qtbot)
    return run


def settle(window: Window, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: window.session.asker.is_idle and window.session.background.is_idle, timeout=_PATIENCE_MS)


@pytest.mark.slow
def test_the_biased_sample_is_read_tested_shown_and_reported(
    case_window: Window, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = case_window
    window.try_sample("parity")
    assert window.stack.currentWidget() is window.parity
    ready(window, qtbot)
    setup, panel = window.parity.setup, window.parity
    assert "1,440 results" in setup.files.previews["results"].recognised.text()
    assert "240 items" in setup.files.previews["catalog"].recognised.text()
    assert "72 queries" in setup.facts.text()
    assert "mode B" in setup.facts.text()
    assert "MiB" in setup.cost.text()
    setup.form.set_value("permutations", 999)
    qtbot.waitUntil(lambda: not setup.run.isEnabled(), timeout=_PATIENCE_MS)
    ready(window, qtbot)
    QTest.mouseClick(setup.run, Qt.MouseButton.LeftButton)
    run = finish(window, qtbot)
    findings = json.loads((run / "findings.json").read_text())
    assert findings["verdict"]["state"] == "disparity detected"
    assert panel.results.state.text() == "● Disparity detected"
    assert panel.results.verdict.text() == findings["verdict"]["sentence"]
    assert "999 relabellings" in panel.results.facts.text()
    assert "smallest detectable effect" in panel.results.facts.text()
    queries = panel.results.tables["queries"]
    qtbot.waitUntil(lambda: queries.model.rowCount() == 72, timeout=_PATIENCE_MS)
    qtbot.waitUntil(lambda: panel.results.tables["tests"].model.rowCount() > 0, timeout=_PATIENCE_MS)
    qtbot.waitUntil(lambda: queries.model.value(0, "place") == 1, timeout=_PATIENCE_MS)
    queries.view.selectRow(0)
    qtbot.waitUntil(lambda: panel.detail.strip.count() == 20, timeout=_PATIENCE_MS)
    assert panel.detail.heading.text() == queries.model.value(0, "query_id")
    assert "deviation" in panel.detail.words.text()
    first = panel.detail.strip.item(0)
    assert first is not None
    assert first.data(Qt.ItemDataRole.AccessibleTextRole).startswith("Rank 1: g")
    panel.detail.strip.setCurrentRow(3)
    assert panel.detail.place.text().startswith("Rank 4: ")
    panel.results.tabs.setCurrentWidget(panel.results.monitor)
    qtbot.waitUntil(lambda: bool(panel.results.monitor.findChildren(FigureCard)), timeout=_PATIENCE_MS)
    assert "fresh queries" in panel.results.monitor.sentence.text()
    data = tmp_path / "evidence.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_asked: (str(data), ""))
    (button,) = (
        button
        for button in panel.results.monitor.findChildren(QToolButton)
        if button.accessibleName().startswith("Export the picture's data")
    )
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(data.is_file, timeout=_PATIENCE_MS)
    window.resize(1024, 700)
    qtbot.wait(100)
    for pane in (pane for pane in panel.findChildren(ScrollPane) if pane.isVisible()):
        inner = pane.widget()
        assert inner is not None
        assert inner.width() <= pane.viewport().width(), pane
    for kind in ("html", "pdf"):
        target = tmp_path / f"out.{kind}"
        panel.results.report.save(kind, target)
        qtbot.waitUntil(target.is_file, timeout=_PATIENCE_MS)
        settle(window, qtbot)
    assert "disparity detected" in (tmp_path / "out.html").read_text(encoding="utf-8").lower()
    assert window.session.case is not None
    case = window.session.case.path
    window.close()
    assert verify(case).ok


def test_files_with_problems_name_each_and_cannot_be_run(case_window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    window = case_window
    window.go_to(window.parity)
    drop(window, results(tmp_path, r3_rank="first", r9_query_group="b"))
    preview = window.parity.setup.files.previews["results"]
    qtbot.waitUntil(preview.problems.isVisible, timeout=_PATIENCE_MS)
    assert "first" in preview.problems.toPlainText()
    assert "problems" in preview.recognised.text() or "problem" in preview.recognised.text()
    assert preview.rows.rowCount() > 0
    assert "results.csv" in refused(window, qtbot)


def test_a_file_that_is_no_table_says_so(case_window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(b"PK\x03\x04" + bytes(range(256)))
    case_window.parity.setup.files.take_first(path)
    case_window.go_to(case_window.parity)
    preview = case_window.parity.setup.files.previews["results"]
    qtbot.waitUntil(lambda: bool(preview.problem.text() or preview.problems.toPlainText()), timeout=_PATIENCE_MS)
    assert "bad.csv" in preview.problem.text() + preview.problems.toPlainText()
    settle(case_window, qtbot)
    assert not case_window.parity.setup.run.isEnabled()


def test_columns_that_say_nothing_are_mapped_by_hand(case_window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    window = case_window
    window.go_to(window.parity)
    path = results(tmp_path, group="kind")
    drop(window, path)
    choose(window, path, "attribute", "tone", qtbot)
    choose(window, path, "query_group", "kind", qtbot)
    ready(window, qtbot)
    assert "2 groups" in window.parity.setup.facts.text()
    assert window.parity.setup.settings()["mapping"]["query_group"] == "kind"


def test_the_second_file_is_asked_what_it_holds(case_window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    window = case_window
    window.go_to(window.parity)
    bare, catalog = looked_up(tmp_path)
    drop(window, bare)
    drop(window, catalog)
    box = window.parity.findChild(QMessageBox)
    assert "items.csv" in box.text()
    (button,) = (button for button in box.findChildren(QPushButton) if button.text() == "Catalog")
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    files = window.parity.setup.files
    assert files.paths == {"results": bare, "catalog": catalog}
    choose(window, catalog, "attribute", "tone", qtbot, role="catalog")
    ready(window, qtbot)
    QTest.mouseClick(files.others["catalog"].drop, Qt.MouseButton.LeftButton)
    assert "catalog" not in files.paths
    assert "attribute" in refused(window, qtbot)


def test_a_dropped_folder_is_a_case_or_images(case_window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    window = case_window
    window.go_to(window.parity)
    images = tmp_path / "images"
    images.mkdir()
    (images / "config.json").write_text("{}", encoding="utf-8")  # of whatever made them; there are no weights beside it
    window.take_dropped(images)
    assert window.parity.setup.files.image_folder == images
    assert window.parity.setup.settings()["image_folder"] == str(images)
    other = tmp_path / "other"
    Case.create(other).close()
    window.take_dropped(other)
    assert window.session.case is not None
    assert window.session.case.path == other


def test_settings_that_cannot_be_stay_unasked(case_window: Window) -> None:
    form = case_window.parity.setup.form
    form.set_value("k", 10)
    form.set_value("more_k", (10, 20))
    assert form.spec({}) is None
    assert form.unfold.isChecked()
    form.set_value("more_k", (5, 20))
    spec = form.spec({})
    assert spec is not None
    assert spec.model_dump()["more_k"] == (5, 20)
    form.set_value("merge_groups", "tan = brown, dark=brown")
    assert form.values()["merge_groups"] == {"tan": "brown", "dark": "brown"}
    form.set_value("scale", "ita")
    assert form.controls["colour"].isVisibleTo(form)
    assert not form.controls["levels"].isVisibleTo(form)


@pytest.mark.slow
def test_a_run_that_fails_says_why_and_can_be_resumed(case_window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    window = case_window
    case = window.session.case
    assert case is not None
    asked = {"mapping": {"attribute": "tone"}, "strata": ["brand"]}
    run = case.new_run("parity", asked, {"results": results(tmp_path)}, {}, seed=0)
    window.session.resume(run.path)
    qtbot.waitUntil(lambda: window.session.executor.status(run.path).state is RunState.FAILED, timeout=_PATIENCE_MS)
    qtbot.waitUntil(window.parity.results.resume.isVisible, timeout=_PATIENCE_MS)
    assert window.stack.currentWidget() is window.parity
    assert window.parity.results.state.text() == "● Failed"
    assert "brand" in window.parity.results.verdict.text()
    assert not window.parity.results.tabs.isVisible()
    window.session.executor.wait(run.path, 60)


def test_every_run_is_shown_in_the_panel_of_its_audit(case_window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    window = case_window
    case = window.session.case
    assert case is not None
    ours = case.new_run("parity", {}, {"results": results(tmp_path)}, {}, seed=0)
    rating = case.new_run("rating", {}, {"conversations": resource("samples", "conversations.jsonl")}, {}, seed=0)
    foreign = case.new_run("elsewhere", {}, {"results": results(tmp_path)}, {}, seed=0)
    window.show_run(ours.path)
    assert window.stack.currentWidget() is window.parity
    assert window.parity.shown_run == ours.path
    assert window.rate.shown_run is None
    window.show_run(rating.path)
    assert window.stack.currentWidget() is window.rate
    window.show_run(foreign.path)
    assert "no panel" in window.statusBar().currentMessage()
    settle(window, qtbot)


def test_the_p_value_sharpens_as_metrics_come(qtbot: QtBot) -> None:
    live = LivePValue()
    qtbot.addWidget(live)
    live.begin(9_999, 0.05)
    assert live.sentence == ""

    def metric(name: str, value: float, step: int | None) -> dict[str, object]:
        return {"kind": "metric", "name": name, "value": value, "step": step}

    assert live.take_events([metric("closed_form_p", 0.0123, 0)])
    assert live.sentence == "First answer, from a normal approximation: p = .012."
    live.take_events([metric("p_value", 0.02, 499), metric("p_low", 0.008, 499)])
    assert live.steps == []
    live.take_events([metric("p_high", 0.041, 499), {"kind": "log", "message": "x"}])
    assert "p = .020 (99% Monte Carlo interval .008 to .041) after 499 relabellings" in live.sentence
    live.take_events(
        [
            metric(name, value, 9_999)
            for name, value in zip(("p_value", "p_low", "p_high"), (0.0004, 0.0001, 0.0012), strict=True)
        ]
    )
    assert "p = .0004" in live.accessibleDescription()
    live.take_events(
        [
            metric(name, value, 99_999)
            for name, value in zip(("p_value", "p_low", "p_high"), (1e-5, 0.0, 5e-5), strict=True)
        ]
    )
    assert "p < .0001 (99% Monte Carlo interval 0 to below .0001) after 99,999 relabellings" in live.sentence
    assert live.grab().toImage().width() > 0


@pytest.mark.parametrize(
    ("p", "words"), [(1.0, "p = 1.000"), (0.5, "p = .500"), (0.0004, "p = .0004"), (0.00001, "p < .0001")]
)
def test_a_p_value_is_written_as_the_field_does(p: float, words: str) -> None:
    assert p_is(p) == words


@pytest.mark.parametrize(
    ("test", "words"),
    [
        ({"n_permutations": 0, "p_low": 0.01, "p_high": 0.01}, "p = .010 (exact, from the distribution itself)"),
        ({"n_permutations": 252, "p_low": 0.01, "p_high": 0.01}, "p = .010 (exact, all 252 relabellings)"),
        (
            {"n_permutations": 999, "p_low": 0.005, "p_high": 0.02},
            "(999 relabellings, 99% Monte Carlo interval .005 to .020)",
        ),
    ],
)
def test_the_line_of_facts_says_how_p_came_about(test: dict[str, float], words: str) -> None:
    found = {
        "primary": {"p_value": 0.01, "seed": 1, **test},
        "k": None,
        "mode": "C1",
        "n_queries": 1,
        "minimum_detectable_effect": None,
        "excluded": {"slots_by_reason": {}, "slots_without_attribute": 0},
        "margin": None,
    }
    assert words in facts(found)


def item_of(strip: ContactStrip, place: int) -> QListWidgetItem:
    item = strip.item(place)
    assert item is not None
    return item


def test_a_tone_is_a_swatch_and_a_word(qtbot: QtBot) -> None:
    strip = ContactStrip()
    qtbot.addWidget(strip)
    coloured = {"rank": 3, "item_id": "c", "level": "tan", "value": 21.4, "hue": 57.6}
    assert tone_of(coloured) == "21.4 degrees, tan, hue 58 degrees"
    known = {"rank": 1, "item_id": "<b>a</b>", "level": "3", "value": None, "colour": "#f7ead0", "thumbnail": None}
    degrees = {**known, "rank": 2, "level": "tan", "value": 21.4, "colour": "#ff0000"}
    missing = {**known, "rank": 3, "level": None, "colour": None}
    strip.show_slots([known, degrees, missing])
    texts = [item_of(strip, place).text() for place in range(3)]
    assert texts == ["1 · 3", "2 · 21°", "3 · ?"]
    assert strip.words(missing) == "Rank 3: <b>a</b>, not known"
    assert "&lt;b&gt;" in item_of(strip, 0).toolTip()
    shown = item_of(strip, 1).icon().pixmap(strip.iconSize()).toImage()
    assert shown.pixelColor(shown.width() // 2, shown.height() // 2) == QColor("#ff0000")


@pytest.mark.slow
def test_an_audit_is_planned_before_there_are_data(window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    window.commands.action("parity.power").trigger()
    power = window.parity.power
    assert power.isVisible()
    qtbot.waitUntil(lambda: power.pictures.count() > 0, timeout=_PATIENCE_MS)
    before = power.sentence.text()
    assert "0" in before
    power.numbers["n_queries"].setValue(2_000)
    qtbot.waitUntil(lambda: power.sentence.text() not in (before, "Computing …"), timeout=_PATIENCE_MS)
    # What would do nothing cannot be changed, and says when it can.
    assert not power.numbers["catalog_size"].isEnabled()
    assert "until “Every item is a query” is ticked" in power.numbers["catalog_size"].toolTip()
    power.every.setChecked(True)
    assert not power.numbers["n_queries"].isEnabled()
    assert power.numbers["catalog_size"].isEnabled()
    settle(window, qtbot)
    QTest.mouseClick(power.back, Qt.MouseButton.LeftButton)
    assert window.parity.setup.isVisible()
    settle(window, qtbot)


def test_the_annotation_desk_opens_on_the_results_and_comes_back(
    case_window: Window, qtbot: QtBot, tmp_path: Path
) -> None:
    window = case_window
    window.go_to(window.parity)
    window.parity.annotate()
    assert "Choose search results first" in window.statusBar().currentMessage()
    bare, _catalog = looked_up(tmp_path)
    drop(window, bare)
    assert window.parity.setup.annotate.isEnabled()
    QTest.mouseClick(window.parity.setup.annotate, Qt.MouseButton.LeftButton)
    assert window.parity.desk.isVisible()
    settle(window, qtbot)
    table = tmp_path / "tones.csv"
    table.write_text("item_id,rater,label\ni1,Ada,3\n", encoding="utf-8")
    window.parity.desk.exported.emit(str(table))
    assert window.parity.setup.files.paths["annotations"] == table
    window.parity.desk.closed.emit()
    assert window.parity.setup.isVisible()
    settle(window, qtbot)
