"""Screenshots of the Rate panel in all its states; `tests.desktop.screens` calls it."""

import os
from pathlib import Path

from auditor.desktop.panels.rate_import import ImportRatings
from auditor.desktop.window import Window
from auditor.models.starter import starter
from auditor.resources import resource
from auditor.runs.contract import RunState
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from tests.desktop.shooting import SIZES, settle, shoot, wait


def shoot_rubric_editor(application: QApplication, window: Window, folder: Path) -> None:
    """Save the rubric editor as it opens, and with something that is not right, in all sizes and schemes."""
    editor = window.rate.setup.rubric.edit()
    wait(application, lambda: bool(editor.preview.prompt.toPlainText()), 30)
    for name in ("rubric", "rubric-problem"):
        for scheme in ("light", "dark"):
            window.choose_scheme(scheme)
            for width, height in SIZES:
                window.resize(width, height)
                editor.resize(editor.sizeHint())
                settle(application, window)
                editor.grab().save(str(folder / f"{name}-{width}x{height}-{scheme}.png"))
        editor.axes.list.setCurrentRow(1)
        editor.axes.form(1).levels[2].set_text("")
    editor.axes.form(1).levels[2].set_text("Half of it.")
    editor.save(editor.reject)
    wait(application, lambda: not editor.isVisible(), 10)


def shoot_people(application: QApplication, window: Window, folder: Path) -> None:
    """Save rating by hand, blind and with the judge's scores, the import of a file, and agreement with people."""
    view = window.rate.by_hand
    # Dialogs that were shown before may have kept the keyboard.
    window.activateWindow()
    window.rate.rate_by_hand()
    wait(application, lambda: len(view.queue) > 0, 20)
    QTest.keyClicks(view.bar.name, "Ada")
    QTest.keyClick(view.bar.name, Qt.Key.Key_Return)
    QTest.keyClicks(view.turns, "43524")
    shoot(application, window, folder, "rate-by-hand")
    QTest.keyClick(view.turns, Qt.Key.Key_Space)
    shoot(application, window, folder, "rate-by-hand-judge")
    view.closed.emit()
    file = folder / "people.csv"
    rows = (
        f"row-{row},{axis},{rater},{1 + (row * 7 + place) % 5}"
        for row in range(1, 25)
        for axis in view.rubric_axes
        for place, rater in enumerate(("Ben", "Cleo"))
    )
    file.write_text("\n".join(["conversation_id,axis,rater,score", *rows]), encoding="utf-8")
    window.take_dropped(file)
    dialog = window.rate.findChild(ImportRatings)
    wait(application, dialog.add.isEnabled, 30)
    for scheme in ("light", "dark"):
        window.choose_scheme(scheme)
        settle(application, window)
        dialog.grab().save(str(folder / f"import-{scheme}.png"))
    dialog.add.click()
    wait(application, lambda: not dialog.isVisible(), 30)
    file.unlink()
    people = window.rate.results.people
    window.rate.results.tabs.setCurrentWidget(people)
    wait(application, people.estimates.isVisible, 60)
    shoot(application, window, folder, "people")
    people.queue.view.selectRow(0)
    people.pane.verticalScrollBar().setValue(people.queue.y())
    shoot(application, window, folder, "people-queue")


def shoot_running(application: QApplication, window: Window, folder: Path) -> Path:
    """Save a run while it goes, cancelled, and finished; returns it."""
    window.rate.setup.start()
    wait(application, lambda: window.rate.results.table.model.all_rows > 12, 60)
    window.rate.results.table.view.selectRow(4)
    run = window.rate.shown_run
    assert run is not None
    # Too short to come to rest in every size.
    for scheme in ("light", "dark"):
        window.choose_scheme(scheme)
        for width, height in SIZES:
            window.resize(width, height)
            wait(application, lambda: False, 0.3)
            window.grab().save(str(folder / f"rate-running-{width}x{height}-{scheme}.png"))
    window.session.executor.cancel(run)
    settle(application, window)
    shoot(application, window, folder, "rate-cancelled")
    window.session.resume(run)
    wait(application, lambda: window.session.executor.status(run).sealed, 900)
    settle(application, window)
    wait(application, window.rate.results.report.isVisible, 30)
    settle(application, window)
    shoot(application, window, folder, "rate-finished")
    return run


def shoot_rate(application: QApplication, window: Window, folder: Path) -> Path:
    """Save the panel: mapping, running, cancelled, finished, by hand, people, failed; returns the finished run."""
    window.go_to(window.rate)
    damaged = Path(os.environ["AUDITOR_HOME"]) / "damaged.csv"
    damaged.write_text("question_de,reply_de\nHi?,Hello.\n", encoding="utf-8")
    window.rate.take_file(damaged)
    shoot(application, window, folder, "rate-mapping")
    window.rate.take_file(resource("samples", "conversations.jsonl"))
    settle(application, window)
    wait(application, window.rate.setup.run.isEnabled, 30)
    run = shoot_running(application, window, folder)
    window.rate.results.tabs.setCurrentIndex(1)
    window.rate.results.table.view.selectRow(5)
    shoot(application, window, folder, "rate-table")
    shoot_people(application, window, folder)
    case, judge = window.session.case, starter()
    assert case is not None
    assert judge is not None
    sample = {"conversations": resource("samples", "conversations.jsonl")}
    failing = case.new_run("rating", {"axes": ["kindness"]}, sample, {"judge": judge}, seed=0)
    window.session.resume(failing.path)
    wait(application, lambda: window.session.executor.status(failing.path).state is RunState.FAILED, 60)
    settle(application, window)
    shoot(application, window, folder, "rate-failed")
    return run
