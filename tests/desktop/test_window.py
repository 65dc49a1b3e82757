"""Window, overview, models, commands: through the real window."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from auditor.case import Case
from auditor.desktop.palette import Palette, Shortcuts, matches
from auditor.desktop.widgets.pane import ScrollPane
from auditor.desktop.window import Window
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QComboBox, QLineEdit, QPushButton, QTableView, QWidget
from pytestqt.qtbot import QtBot


def test_without_a_case_the_window_says_what_to_do(window: Window) -> None:
    assert "No case is open" in window.overview.words.text()
    assert window.overview.samples["rating"].isVisible()
    assert not window.overview.verify_button.isVisible()


def test_buttons_of_the_window_look_like_any_other_one(window: Window) -> None:
    """It is put together before it is styled, which nobody sees."""
    for button in (window.rate.setup.run, window.overview.verify_button):
        other = QPushButton(button.icon(), button.text())
        other.setObjectName(button.objectName())
        other.ensurePolished()
        assert button.sizeHint() == other.sizeHint()
        assert button.font() == other.font()
        assert button.palette() == other.palette()


def test_the_sample_makes_a_case_and_is_ready_to_run(window: Window, qtbot: QtBot, home: Path) -> None:
    QTest.mouseClick(window.overview.samples["rating"], Qt.MouseButton.LeftButton)
    assert window.session.case is not None
    assert window.session.case.path == home / "cases" / "sample-1"
    qtbot.waitUntil(window.rate.setup.run.isEnabled, timeout=30_000)


def test_a_case_that_somebody_else_writes_opens_for_reading_and_names_them(window: Window, tmp_path: Path) -> None:
    Case.create(tmp_path / "case").close()
    code = (
        "import sys; from pathlib import Path; from auditor.case import Case; "
        f"c = Case.open(Path({str(tmp_path / 'case')!r})); print('open', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout is not None
    assert other.stdin is not None
    assert other.stdout.readline() == b"open\n"
    assert window.session.open_case(tmp_path / "case")
    assert f"process {other.pid}" in window.statusBar().currentMessage()
    assert "for reading only" in window.overview.words.text()
    assert not window.overview.note_button.isEnabled()
    other.stdin.close()
    assert other.wait(10) == 0
    other.stdout.close()


def test_a_finished_run_is_shown_from_the_overview_and_the_case_verifies(
    window: Window, qtbot: QtBot, finished_case: Path
) -> None:
    assert window.session.open_case(finished_case)
    assert window.overview.runs.rowCount() == 1
    assert "I have read it." in window.overview.said.text()
    QTest.mouseClick(window.overview.verify_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.overview.outcome.text().startswith("Verified"), timeout=30_000)
    assert window.header.facts.text().startswith("1 run · evidence chain verified ")
    QTest.mouseClick(window.overview.show_button, Qt.MouseButton.LeftButton)
    assert "6 last replies" in window.rate.results.verdict.text()
    qtbot.waitUntil(lambda: window.rate.results.table.model.rowCount() == 18, timeout=30_000)
    qtbot.waitUntil(lambda: window.session.asker.is_idle, timeout=30_000)


def test_a_changed_byte_is_shown_as_not_verified(window: Window, qtbot: QtBot, finished_case: Path) -> None:
    (findings,) = finished_case.glob("runs/*/findings.json")
    before = findings.read_text()
    findings.write_text(before.replace("6", "7", 1))
    assert findings.read_text() != before
    window.session.open_case(finished_case)
    QTest.mouseClick(window.overview.verify_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "findings.json has changed" in window.overview.outcome.text(), timeout=30_000)
    assert "NOT verified" in window.header.facts.text()


@pytest.mark.parametrize("width", [1024, 1440])
def test_nothing_is_cut_off_at_the_side(window: Window, qtbot: QtBot, finished_case: Path, width: int) -> None:
    window.session.open_case(finished_case)
    window.resize(width, 700)
    window.show_run(window.session.runs()[0].path)
    qtbot.waitUntil(lambda: window.rate.results.table.model.rowCount() == 18, timeout=30_000)
    qtbot.waitUntil(lambda: window.session.asker.is_idle, timeout=30_000)
    panes = [pane for pane in window.rate.findChildren(ScrollPane) if pane.isVisible()]
    assert len(panes) == 3
    for pane in panes:
        inner = pane.widget()
        assert inner is not None
        assert inner.width() <= pane.viewport().width(), pane


def test_models_lists_the_starter_checks_it_and_names_damage(window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    window.go_to(window.models)
    qtbot.waitUntil(lambda: window.models.table.rowCount() == 1, timeout=20_000)
    assert "for trying the program, not evidence" in window.models.detail.text()
    assert not window.models.remove_button.isEnabled()
    QTest.mouseClick(window.models.check_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "is unchanged" in window.models.outcome.text(), timeout=30_000)
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF\x03\x00\x00\x00" + b"\xff" * 100)
    window.take_dropped(damaged)
    qtbot.waitUntil(window.models.add_button.isEnabled, timeout=30_000)
    assert "not a usable GGUF file" in window.models.outcome.text()


def test_the_palette_finds_and_runs_a_command(window: Window, qtbot: QtBot) -> None:
    palette = Palette(window.commands, window)
    qtbot.addWidget(palette)
    palette.open()
    QTest.keyClicks(palette.line, "gomod")
    assert palette.list.count() == 1
    QTest.keyClick(palette.line, Qt.Key.Key_Return)
    assert window.stack.currentWidget() is window.models
    assert matches("vrf", "Verify case")
    assert not matches("xyz", "Verify case")
    qtbot.waitUntil(lambda: window.session.asker.is_idle, timeout=20_000)


def test_shortcuts_can_be_changed_and_a_taken_one_is_refused(window: Window, qtbot: QtBot) -> None:
    dialog = Shortcuts(window.commands, window)
    qtbot.addWidget(dialog)
    assert window.commands.set_shortcut("go.models", "Ctrl+K") == "Find a command…"
    assert window.commands.set_shortcut("go.models", "Ctrl+9") is None
    assert window.session.settings.value("shortcuts/go.models") == "Ctrl+9"
    window.commands.restore_shortcuts()
    assert window.commands.action("go.models").shortcut().toString() == "Ctrl+7"


@pytest.mark.parametrize("name", ["overview", "rate", "guard", "unlearn", "parity", "compare", "models", "backends"])
def test_every_control_has_a_name_and_can_be_reached_by_keyboard(case_window: Window, qtbot: QtBot, name: str) -> None:
    case_window.go_to(getattr(case_window, name))
    qtbot.waitUntil(lambda: case_window.session.asker.is_idle, timeout=20_000)
    panel = case_window.stack.currentWidget()
    for kind in (QAbstractButton, QLineEdit, QComboBox, QTableView):
        for control in panel.findChildren(kind):
            if control.objectName().startswith("qt_") or not control.isVisibleTo(panel) or is_part(control):
                continue
            named = control.accessibleName() or (control.text() if isinstance(control, QAbstractButton) else "")
            assert named, control
            if isinstance(control, (QLineEdit, QComboBox, QTableView)):
                assert control.focusPolicy() & Qt.FocusPolicy.TabFocus, control


def is_part(control: QWidget) -> bool:
    """Whether Qt made it as a part of another control."""
    parent = control.parentWidget()
    return parent is not None and any(parent.inherits(kind) for kind in ("QAbstractSpinBox", "QTableView", "QTabBar"))


def by_tab(first: QWidget, last: QWidget) -> list[QWidget]:
    """What Tab reaches from one widget to another."""
    found = [first]
    while found[-1] is not last:
        found.append(found[-1].nextInFocusChain())
        assert found[-1] is not first, "the last one is not reached"
    return [widget for widget in found if widget.focusPolicy() & Qt.FocusPolicy.TabFocus]


def test_tab_goes_from_the_files_to_the_settings_and_then_to_run(window: Window) -> None:
    for panel in window.audits.values():
        window.go_to(panel)
        panel.setup.grab()
        scroll = panel.setup.findChild(ScrollPane)
        assert scroll is not None
        inner = scroll.widget()
        first, *_ = (button for button in inner.findChildren(QPushButton) if button.isVisibleTo(inner))
        reached = [widget for widget in by_tab(first, panel.setup.run) if widget.isVisibleTo(panel.setup)]
        assert panel.setup.seed in reached
        middles = [
            widget.mapTo(panel.setup, widget.rect().center()) for widget in reached if inner.isAncestorOf(widget)
        ]
        # What stands in one row differs by a few pixels.
        assert all(later.y() > sooner.y() - 8 for sooner, later in pairwise(middles))


def test_tab_goes_through_the_columns_and_mapping_keeps_the_focus(window: Window) -> None:
    preview = window.parity.setup.files.previews["results"]
    found = {
        "rows": [{"query_id": "q1", "kind": "a"}],
        "problems": ["x.csv, row 2: no rank."],
        "columns": ["query_id", "kind"],
        "mapping": {"query_id": "query_id"},
    }
    fields = {"query_id": "Query", "query_group": "Query group"}
    window.go_to(window.parity)
    preview.show_found(found, "1 result.", fields)
    boxes = list(preview.mapping.values())
    assert by_tab(preview.problems, preview.rows) == [preview.problems, *boxes, preview.rows]
    preview.show_found({**found, "mapping": {"query_id": "query_id", "query_group": "kind"}}, "1 result.", fields)
    assert list(preview.mapping.values()) == boxes
    assert preview.columns() == {"query_id": "query_id", "query_group": "kind"}
    preview.show_found({**found, "columns": ["query_id"]}, "1 result.", fields)
    assert preview.mapping["query_group"] is not boxes[1]


@pytest.mark.parametrize("width", [1440, 1024])
def test_what_an_empty_panel_says_is_not_cut_off(window: Window, qtbot: QtBot, width: int) -> None:
    window.resize(width, 700)
    for panel in window.audits.values():
        window.go_to(panel)
        card = panel.results.card
        qtbot.waitUntil(lambda card=card: card.verdict.height() == card.verdict.heightForWidth(card.verdict.width()))
        assert card.rect().contains(card.verdict.geometry())
        assert card.parentWidget().height() >= card.height()


def test_a_narrow_panel_shows_its_right_part_once_something_is_selected(window: Window) -> None:
    panel = window.parity
    window.go_to(panel)
    assert panel.detail.isVisible()
    window.resize(1024, 700)
    assert not panel.detail.isVisible()
    middle = panel.results.width()
    panel.splitter.show_detail(True)
    assert panel.detail.isVisible()
    panel.clear()
    assert not panel.detail.isVisible()
    assert panel.results.width() == middle
    window.resize(1440, 900)
    assert panel.detail.isVisible()


def test_many_runs_leave_a_low_window_its_room(window: Window, tmp_path: Path) -> None:
    for number in range(5):
        window.activity.row(tmp_path / f"run-{number}")
    high = window.activity.sizeHint().height()
    window.resize(1024, 700)
    assert window.activity.sizeHint().height() < high
