"""Screenshots of the real window: ``python -m tests.desktop.screens OUT_DIR`` (on a screen, or under Xvfb).

Empty, running, failed and finished states at 1440x900 and 1024x700, light and dark; ``parity`` as a second argument
walks through the Parity panel alone.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
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

_SIZES = ((1440, 900), (1024, 700))


def wait(application: QApplication, until: Callable[[], bool], seconds: float) -> None:
    """Run the event loop until something holds."""
    end = time.monotonic() + seconds
    while not until() and time.monotonic() < end:
        application.processEvents()
        time.sleep(0.01)


def settle(application: QApplication, window: Window) -> None:
    """Let questions be answered and everything be painted."""
    wait(application, lambda: False, 0.4)
    wait(application, lambda: window.session.asker.is_idle and window.session.background.is_idle, 60)
    wait(application, lambda: False, 0.3)


def shoot(application: QApplication, window: Window, folder: Path, name: str) -> None:
    """Save the window in both sizes and both schemes."""
    for scheme in ("light", "dark"):
        window.choose_scheme(scheme)
        for width, height in _SIZES:
            window.resize(width, height)
            settle(application, window)
            window.grab().save(str(folder / f"{name}-{width}x{height}-{scheme}.png"))


def shoot_rubric_editor(application: QApplication, window: Window, folder: Path) -> None:
    """Save the rubric editor as it opens, and with something that is not right, in all sizes and schemes."""
    editor = window.rate.setup.rubric.edit()
    wait(application, lambda: bool(editor.preview.prompt.toPlainText()), 30)
    for name in ("rubric", "rubric-problem"):
        for scheme in ("light", "dark"):
            window.choose_scheme(scheme)
            for width, height in _SIZES:
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


def shoot_annotate(application: QApplication, window: Window, folder: Path) -> None:
    """Save the annotation desk: before a name is given, two raters in, a proposal, one image in large."""
    desk = window.parity.desk
    window.parity.annotate()
    wait(application, desk.sheet.isVisible, 120)
    wait(application, lambda: desk.items.images.is_idle, 120)
    shoot(application, window, folder, "annotate-empty")
    for rater, keys in (("Ada", "28z4609752381"), ("Ben", "38z5608752")):
        desk.bar.name.setFocus()
        desk.bar.name.selectAll()
        QTest.keyClicks(desk.bar.name, rater)
        QTest.keyClick(desk.bar.name, Qt.Key.Key_Return)
        desk.sheet.go_to(0, 0)
        QTest.keyClicks(desk.sheet, keys)
    QTest.keyClick(desk.sheet, "m")
    settle(application, window)
    shoot(application, window, folder, "annotate")
    QTest.keyClick(desk.sheet, Qt.Key.Key_Space)
    shoot(application, window, folder, "annotate-large")
    desk.closed.emit()


def shoot_parity(application: QApplication, window: Window, folder: Path) -> None:
    """Save the Parity panel: planning, files with problems, running, each verdict, each tab, failed, over time."""
    panel, files = window.parity, window.parity.setup.files
    window.go_to(panel)
    window.choose_scheme("light")
    shoot(application, window, folder, "parity-empty")
    panel.show_power()
    wait(application, lambda: panel.power.pictures.count() > 0, 120)
    shoot(application, window, folder, "parity-power")
    panel.show_results()
    damaged = Path(os.environ["AUDITOR_HOME"]) / "damaged-results.csv"
    rows = (f"q{row // 5},i{row},{'first' if row == 3 else row % 5 + 1},{'ab'[row % 2]},light" for row in range(40))
    damaged.write_text("\n".join(["query_id,item_id,rank,query_group,tone", *rows, ""]), encoding="utf-8")
    files.take_results(damaged)
    wait(application, files.previews["results"].problems.isVisible, 60)
    shoot(application, window, folder, "parity-problems")
    for engine in ("fair", "biased"):
        files.take_sample(engine)
        settle(application, window)
        wait(application, panel.setup.run.isEnabled, 120)
        shoot(application, window, folder, f"parity-preview-{engine}")
        panel.setup.start()
        wait(application, lambda: len(panel.results.live.steps) > 2, 120)
        window.grab().save(str(folder / f"parity-running-{engine}.png"))
        wait(application, panel.results.report.isVisible, 300)
        settle(application, window)
        panel.results.tables["queries"].view.selectRow(0)
        settle(application, window)
        shoot(application, window, folder, f"parity-{engine}")
    for place in range(2, panel.results.tabs.count()):
        panel.results.tabs.setCurrentIndex(place)
        settle(application, window)
        name = panel.results.tabs.tabText(place).lower().replace(" ", "-")
        shoot(application, window, folder, f"parity-{name}")
    shoot_annotate(application, window, folder)
    case = window.session.case
    assert case is not None
    asked = {"mapping": {"attribute": "tone"}, "strata": ["brand"]}
    failing = case.new_run("parity", asked, {"results": damaged}, {}, seed=0)
    window.session.resume(failing.path)
    wait(application, lambda: window.session.executor.status(failing.path).state is RunState.FAILED, 120)
    settle(application, window)
    shoot(application, window, folder, "parity-failed")


def main(folder: Path, *, only_parity: bool = False) -> None:
    """Walk through the states."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["AUDITOR_HOME"] = tempfile.mkdtemp()
    application = make_application(["auditor"])
    window = make_window(Path(os.environ["AUDITOR_HOME"]) / "desktop.ini")
    window.show()
    settle(application, window)
    if only_parity:
        window.session.open_case(Path(os.environ["AUDITOR_HOME"]) / "case", create=True, title="Fashion search")
        shoot_parity(application, window, folder)
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
    window.go_to(window.overview)
    shoot(application, window, folder, "overview")
    window.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), only_parity=sys.argv[2:] == ["parity"])
