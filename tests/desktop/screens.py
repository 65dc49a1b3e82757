"""Screenshots of the real window: ``python -m tests.desktop.screens OUT_DIR`` (on a screen, or under Xvfb).

Empty, running, failed and finished states at 1440x900 and 1024x700, light and dark; ``parity`` or ``guard`` as a second
argument walks through that panel alone.
"""

import os
import sys
import tempfile
from pathlib import Path

from auditor.desktop.app import make_application, make_window
from auditor.desktop.panels.models_optimise import OptimiseModel
from auditor.desktop.panels.rate_import import ImportRatings
from auditor.desktop.window import Window
from auditor.models.starter import starter
from auditor.resources import resource
from auditor.runs.contract import RunState
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from tests.desktop.screens_guard import shoot_guard
from tests.desktop.screens_parity import shoot_parity
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


def shoot_optimise(application: QApplication, window: Window, folder: Path) -> None:
    """Save the dialog that optimises a model: asked, running, finished."""
    window.models.table.selectRow(0)
    window.models.optimise_button.click()
    (dialog,) = window.models.findChildren(OptimiseModel)

    def save(name: str) -> None:
        for scheme in ("light", "dark"):
            window.choose_scheme(scheme)
            wait(application, lambda: False, 0.3)
            dialog.grab().save(str(folder / f"{name}-{scheme}.png"))

    save("optimise")
    dialog.start.click()
    wait(application, lambda: "Measuring" in dialog.progress.format(), 120)
    save("optimise-running")
    wait(application, dialog.table.isVisible, 600)
    save("optimise-finished")
    dialog.reject()


def shoot_compare(application: QApplication, window: Window, folder: Path, first: Path) -> None:
    """Save the Compare panel with a finished run beside one that was asked otherwise."""
    case, judge = window.session.case, starter()
    assert case is not None
    assert judge is not None
    sample = {"conversations": resource("samples", "conversations.jsonl")}
    other = case.new_run("rating", {"scope": "conversation"}, sample, {"judge": judge}, seed=0)
    for row in range(1, 13):
        case.add_human_rating(first.name, str(row), "naturalness", 1 + row % 5, rater="Ada")
    window.session.resume(other.path)
    wait(application, lambda: window.session.executor.status(other.path).sealed, 300)
    settle(application, window)
    window.go_to(window.compare)
    panel = window.compare
    wait(application, lambda: len(panel.choice.offered) == 2, 30)
    for run in (first, other.path):
        panel.choice.tick(run.name)
    panel.compare()
    wait(application, lambda: panel.results.table.model.all_rows > 0, 60)
    shoot(application, window, folder, "compare-differences")
    panel.results.tabs.setCurrentIndex(1)
    panel.results.table.view.selectRow(4)
    shoot(application, window, folder, "compare-ratings")
    (other.tables / "ratings.parquet").unlink()
    panel.compare()
    shoot(application, window, folder, "compare-failed")


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


#: Panels that can be walked through alone, with the title of the case.
_ALONE = {"parity": (shoot_parity, "Fashion search"), "guard": (shoot_guard, "Shop remarks, November")}


def main(folder: Path, *, only: str = "") -> None:
    """Walk through the states."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["AUDITOR_HOME"] = tempfile.mkdtemp()
    application = make_application(["auditor"])
    window = make_window(Path(os.environ["AUDITOR_HOME"]) / "desktop.ini")
    window.show()
    settle(application, window)
    if only:
        shoot_panel, title = _ALONE[only]
        window.session.open_case(Path(os.environ["AUDITOR_HOME"]) / "case", create=True, title=title)
        shoot_panel(application, window, folder)
        window.close()
        return
    shoot(application, window, folder, "overview-empty")
    window.go_to(window.rate)
    shoot(application, window, folder, "rate-empty")
    shoot_rubric_editor(application, window, folder)
    window.go_to(window.compare)
    shoot(application, window, folder, "compare-empty")
    window.go_to(window.models)
    shoot(application, window, folder, "models")
    shoot_optimise(application, window, folder)
    case = Path(os.environ["AUDITOR_HOME"]) / "cases" / "assistant-review"
    window.session.open_case(case, create=True, title="Assistant review, November")
    window.go_to(window.rate)
    damaged = Path(os.environ["AUDITOR_HOME"]) / "damaged.csv"
    damaged.write_text("question_de,reply_de\nHi?,Hello.\n", encoding="utf-8")
    window.rate.take_file(damaged)
    shoot(application, window, folder, "rate-mapping")
    window.rate.take_file(resource("samples", "conversations.jsonl"))
    settle(application, window)
    wait(application, window.rate.setup.run.isEnabled, 30)
    window.rate.setup.start()
    wait(application, lambda: window.rate.results.table.model.all_rows > 12, 60)
    window.rate.results.table.view.selectRow(4)
    window.resize(1440, 900)
    for scheme in ("light", "dark"):
        window.choose_scheme(scheme)
        wait(application, lambda: False, 0.3)
        window.grab().save(str(folder / f"rate-running-1440x900-{scheme}.png"))
    run = window.rate.shown_run
    assert run is not None
    window.session.executor.cancel(run)
    settle(application, window)
    shoot(application, window, folder, "rate-cancelled")
    window.session.resume(run)
    wait(application, lambda: window.session.executor.status(run).sealed, 180)
    settle(application, window)
    wait(application, window.rate.results.report.isVisible, 30)
    settle(application, window)
    shoot(application, window, folder, "rate-finished")
    window.rate.results.tabs.setCurrentIndex(1)
    window.rate.results.table.view.selectRow(5)
    shoot(application, window, folder, "rate-table")
    shoot_people(application, window, folder)
    assert window.session.case is not None
    judge = starter()
    assert judge is not None
    sample = {"conversations": resource("samples", "conversations.jsonl")}
    failing = window.session.case.new_run("rating", {"axes": ["kindness"]}, sample, {"judge": judge}, seed=0)
    window.session.resume(failing.path)
    wait(application, lambda: window.session.executor.status(failing.path).state is RunState.FAILED, 60)
    settle(application, window)
    shoot(application, window, folder, "rate-failed")
    shoot_compare(application, window, folder, run)
    shoot_parity(application, window, folder)
    shoot_guard(application, window, folder)
    window.go_to(window.overview)
    shoot(application, window, folder, "overview")
    window.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), only=sys.argv[2] if len(sys.argv) > 2 else "")
