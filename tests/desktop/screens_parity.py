"""Screenshots of the Parity panel in all its states; `tests.desktop.screens` calls it."""

import os
from pathlib import Path

from auditor.desktop.window import Window
from auditor.runs.contract import RunState
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from tests.desktop.shooting import settle, shoot, wait


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


def take_damaged(application: QApplication, window: Window) -> Path:
    """Drop results of which one rank is a word and one tone is missing; returns the file."""
    files = window.parity.setup.files
    damaged = Path(os.environ["AUDITOR_HOME"]) / "damaged-results.csv"
    rows = (
        f"q{row // 5},i{row},{'first' if row == 3 else row % 5 + 1},{'ab'[row // 5 % 2]},{'' if row == 7 else 'light'}"
        for row in range(40)
    )
    damaged.write_text("\n".join(["query_id,item_id,rank,query_group,tone", *rows, ""]), encoding="utf-8")
    files.take_first(damaged)
    wait(application, files.previews["results"].problems.isVisible, 60)
    return damaged


def shoot_running(application: QApplication, window: Window, folder: Path) -> None:
    """Save a run that is long enough to be looked at in all sizes, then cancel it."""
    panel = window.parity
    panel.setup.form.set_value("permutations", 999_999)
    settle(application, window)
    wait(application, panel.setup.run.isEnabled, 120)
    panel.setup.start()
    wait(application, lambda: len(panel.results.live.steps) > 2, 120)
    shoot(application, window, folder, "parity-running")
    run = panel.shown_run
    assert run is not None
    window.session.executor.cancel(run)
    wait(application, panel.results.resume.isVisible, 30)
    shoot(application, window, folder, "parity-cancelled")
    panel.setup.form.set_value("permutations", 9_999)


def shoot_verdict(application: QApplication, window: Window, folder: Path, name: str) -> None:
    """Run what is asked and save its verdict with the first query selected."""
    panel = window.parity
    settle(application, window)
    wait(application, panel.setup.run.isEnabled, 120)
    shoot(application, window, folder, f"parity-preview-{name}")
    before = panel.shown_run
    panel.setup.start()
    wait(application, lambda: panel.shown_run != before, 60)
    wait(application, panel.results.report.isVisible, 300)
    settle(application, window)
    panel.results.tables["queries"].view.selectRow(0)
    shoot(application, window, folder, f"parity-{name}")


def shoot_parity(application: QApplication, window: Window, folder: Path) -> None:
    """Save the panel: planning, files with problems, running, cancelled, each verdict, each tab, annotating, failed."""
    panel, files = window.parity, window.parity.setup.files
    window.go_to(panel)
    window.choose_scheme("light")
    shoot(application, window, folder, "parity-empty")
    panel.show_power()
    wait(application, lambda: panel.power.pictures.count() > 0, 120)
    shoot(application, window, folder, "parity-power")
    panel.show_results()
    damaged = take_damaged(application, window)
    shoot(application, window, folder, "parity-problems")
    files.take_sample("biased")
    shoot_running(application, window, folder)
    files.take_sample("fair")
    shoot_verdict(application, window, folder, "fair")
    panel.setup.form.set_value("margin", None)
    shoot_verdict(application, window, folder, "inconclusive")
    files.take_sample("biased")
    shoot_verdict(application, window, folder, "biased")
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
    shoot(application, window, folder, "parity-failed")
