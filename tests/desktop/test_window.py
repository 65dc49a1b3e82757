"""Window, overview, models, commands: through the real window."""

import subprocess
import sys
from pathlib import Path

import pytest
from auditor.case import Case
from auditor.desktop.palette import Palette, Shortcuts, matches
from auditor.desktop.widgets.pane import ScrollPane
from auditor.desktop.window import Window
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QComboBox, QLineEdit, QTableView, QWidget
from pytestqt.qtbot import QtBot


def test_without_a_case_the_window_says_what_to_do(window: Window) -> None:
    assert "No case is open" in window.overview.words.text()
    assert window.overview.sample_button.isVisible()
    assert not window.overview.verify_button.isVisible()


def test_the_sample_makes_a_case_and_is_ready_to_run(window: Window, qtbot: QtBot, home: Path) -> None:
    QTest.mouseClick(window.overview.sample_button, Qt.MouseButton.LeftButton)
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
    assert window.commands.action("go.models").shortcut().toString() == "Ctrl+5"


@pytest.mark.parametrize("name", ["overview", "rate", "parity", "compare", "models"])
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
