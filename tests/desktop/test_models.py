"""Optimising a model through the real window."""

import json
from pathlib import Path

import pytest
from auditor.desktop.panels.models_optimise import OptimiseModel
from auditor.desktop.window import Window
from auditor.models import starter
from auditor.models.library import Library
from auditor.models.tolerance import Tolerance
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDialogButtonBox
from pytestqt.qtbot import QtBot
from tests.conftest import SAMPLE


@pytest.fixture
def dialog(window: Window, qtbot: QtBot) -> OptimiseModel:
    """The dialog as it opens for the starter."""
    window.go_to(window.models)
    qtbot.waitUntil(lambda: window.models.table.rowCount() == 1, timeout=20_000)
    QTest.mouseClick(window.models.optimise_button, Qt.MouseButton.LeftButton)
    (opened,) = window.models.findChildren(OptimiseModel)
    qtbot.waitUntil(opened.isVisible, timeout=10_000)
    return opened


def close(dialog: OptimiseModel) -> None:
    button = dialog.buttons.button(QDialogButtonBox.StandardButton.Close)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def test_the_dialog_says_what_it_does_and_what_it_compares_on(
    window: Window, dialog: OptimiseModel, qtbot: QtBot, tmp_path: Path
) -> None:
    assert "for trying the program, not evidence" in dialog.starter.text()
    assert "bundled sample" in dialog.sample.text()
    dialog.use(tmp_path / "<b>mine.jsonl")
    assert dialog.sample.text() == "<b>mine.jsonl"
    assert dialog.sample.textFormat() == Qt.TextFormat.PlainText
    assert {name: box.value() for name, box in dialog.boxes.items()} == Tolerance().model_dump()
    assert all(box.accessibleName() for box in dialog.boxes.values())
    # What cannot be read is said where it was asked, and it can be asked again.
    QTest.mouseClick(dialog.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "cannot be read" in dialog.outcome.text(), timeout=60_000)
    assert dialog.start.isEnabled()
    close(dialog)
    qtbot.waitUntil(lambda: window.session.asker.is_idle, timeout=20_000)


@pytest.mark.slow
@pytest.mark.long
def test_candidates_are_shown_and_what_is_kept_is_in_the_library_and_no_evidence(
    window: Window, dialog: OptimiseModel, qtbot: QtBot, tmp_path: Path
) -> None:
    few = tmp_path / "few.jsonl"
    few.write_text("".join(SAMPLE.read_text(encoding="utf-8").splitlines(keepends=True)[:2]), encoding="utf-8")
    dialog.use(few)
    dialog.boxes["least_agreement"].setValue(0)
    dialog.boxes["most_difference"].setValue(4)
    QTest.mouseClick(dialog.start, Qt.MouseButton.LeftButton)
    assert not dialog.start.isEnabled()
    assert dialog.progress.isVisible()
    qtbot.waitUntil(dialog.table.isVisible, timeout=500_000)
    assert dialog.table.rowCount() == 4
    assert "few.jsonl" in dialog.cautions.text()
    assert "never better" in dialog.cautions.text()
    kept = [model for model in Library().list() if model.made_from]
    # Which of them is faster is the machine's business; that one of them is, on every processor that we know.
    assert [model.name for model in kept] == ["starter-optimised"]
    assert kept[0].made_from == starter.SHA256
    assert kept[0].is_starter
    assert dialog.outcome.text().startswith("Kept as starter-optimised")
    close(dialog)
    qtbot.waitUntil(lambda: window.models.table.rowCount() == 2, timeout=20_000)
    window.models.table.selectRow(1)
    assert "for trying the program, not evidence" in window.models.detail.text().lower()
    assert f"Requantised from SHA-256 {starter.SHA256} (starter)" in window.models.detail.text()
    assert not window.models.optimise_button.isEnabled()
    qtbot.waitUntil(lambda: window.session.asker.is_idle, timeout=20_000)


def test_closing_while_it_works_stops_it_and_leaves_nothing(
    window: Window, dialog: OptimiseModel, qtbot: QtBot, home: Path
) -> None:
    QTest.mouseClick(dialog.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: any((home / "models").glob("*.part")), timeout=120_000)
    close(dialog)
    qtbot.waitUntil(lambda: not any((home / "models").glob("*.part")), timeout=30_000)
    qtbot.waitUntil(lambda: window.session.asker.is_idle, timeout=20_000)
    assert (
        not (home / "models" / "models.json").exists()
        or not json.loads((home / "models" / "models.json").read_text(encoding="utf-8"))["models"]
    )
