"""Screenshots of the Guard panel in all its states; `tests.desktop.screens` calls it."""

import os
from pathlib import Path

from auditor.desktop.panels.guard import GuardPanel
from auditor.desktop.widgets.figure import FigureCard
from auditor.desktop.window import Window
from auditor.runs.contract import RunState
from PySide6.QtWidgets import QApplication
from tests.desktop.shooting import settle, shoot, wait

#: Pictures that are looked at by themselves.
_PICTURES = ("attacks", "risk_curve", "influence", "attention")


def shoot_prompt(application: QApplication, window: Window, folder: Path) -> None:
    """Save the page of the prompt: under an attack, and with a label that is no single token."""
    panel = window.guard
    window.commands.action("guard.prompt").trigger()
    page = panel.prompt
    page.condition.setCurrentIndex(1)
    settle(application, window)
    wait(application, page.counts.isVisible, 60)
    shoot(application, window, folder, "guard-prompt")
    panel.setup.form.set_value("label_words", "positive = wonderfully good, negative = bad")
    page.condition.setCurrentIndex(0)
    settle(application, window)
    wait(application, page.problem.isVisible, 60)
    shoot(application, window, folder, "guard-prompt-problem")
    panel.setup.form.set_value("label_words", "")
    panel.show_results()


def take_damaged(application: QApplication, window: Window) -> Path:
    """Drop queries of which some have no label, no text or a label of their own; returns the file."""
    files = window.guard.setup.files
    damaged = Path(os.environ["AUDITOR_HOME"]) / "damaged-queries.csv"
    rows = [
        f"q{row},The tea was {'cold' if row % 2 else 'good'} on day {row}.,{'bad' if row % 2 else 'fine'}"
        for row in range(40)
    ]
    rows[3], rows[5], rows[8] = "q3,The cup was chipped.,", "q5,,bad", "q7,Said twice.,fine"
    damaged.write_text("\n".join(["id,text,label", *rows, ""]), encoding="utf-8")
    files.take_first(damaged)
    wait(application, files.previews["queries"].problems.isVisible, 60)
    return damaged


def start(application: QApplication, window: Window, **settings: object) -> Path:
    """Press Run with some settings changed; returns the run."""
    panel = window.guard
    for name, value in settings.items():
        panel.setup.form.set_value(name, value)
    settle(application, window)
    wait(application, panel.setup.run.isEnabled, 120)
    before = panel.shown_run
    panel.setup.start()
    wait(application, lambda: panel.shown_run != before, 60)
    assert panel.shown_run is not None
    return panel.shown_run


def shoot_running(application: QApplication, window: Window, folder: Path) -> None:
    """Save a run with its curves, then cancel it."""
    panel = window.guard
    run = start(application, window)
    wait(application, lambda: any(len(curve) > 2 for curve in panel.results.live.curves.values()), 900)
    shoot(application, window, folder, "guard-running")
    window.session.executor.cancel(run)
    wait(application, panel.results.resume.isVisible, 60)
    shoot(application, window, folder, "guard-cancelled")


def shoot_finished(application: QApplication, window: Window, folder: Path, name: str) -> None:
    """Save a finished run with its first flipped query selected."""
    panel = window.guard
    wait(application, panel.results.report.isVisible, 1800)
    settle(application, window)
    panel.results.tables["flipped"].view.selectRow(0)
    wait(application, panel.detail.turns.isVisible, 60)
    shoot(application, window, folder, f"guard-{name}")


def shoot_tabs(application: QApplication, window: Window, folder: Path) -> None:
    """Save the pictures one by one, and each table."""
    panel = window.guard
    shoot_pictures(application, window, folder, panel)
    for place in range(2, panel.results.tabs.count()):
        panel.results.tabs.setCurrentIndex(place)
        name = panel.results.tabs.tabText(place).lower().replace(" ", "-")
        shoot(application, window, folder, f"guard-{name}")
    panel.results.tabs.setCurrentIndex(1)


def shoot_pictures(application: QApplication, window: Window, folder: Path, panel: GuardPanel) -> None:
    """Save the pictures that are looked at by themselves, scrolled into view."""
    window.choose_scheme("light")
    window.resize(1440, 900)
    settle(application, window)
    names = [card.name for card in panel.results.pictures.findChildren(FigureCard)]
    for name in (name for name in names if name in _PICTURES):
        for scheme in ("light", "dark"):
            window.choose_scheme(scheme)
            settle(application, window)
            # The cards are made anew in the colours of the theme.
            (card,) = (card for card in panel.results.pictures.findChildren(FigureCard) if card.name == name)
            panel.results.pictures.verticalScrollBar().setValue(card.y())
            settle(application, window)
            window.grab().save(str(folder / f"guard-picture-{name}-1440x900-{scheme}.png"))


def shoot_guard(application: QApplication, window: Window, folder: Path) -> None:
    """Save the panel: empty, preview, prompt, problems, running, cancelled, both verdicts, every tab, failed."""
    panel = window.guard
    window.go_to(panel)
    window.choose_scheme("light")
    shoot(application, window, folder, "guard-empty")
    panel.try_sample()
    settle(application, window)
    wait(application, panel.setup.run.isEnabled, 120)
    shoot(application, window, folder, "guard-preview")
    shoot_prompt(application, window, folder)
    damaged = take_damaged(application, window)
    settle(application, window)
    shoot(application, window, folder, "guard-problems")
    panel.try_sample()
    shoot_running(application, window, folder)
    start(application, window, limit=60, attacks=("cyclic",), epsilon=0.05)
    shoot_finished(application, window, folder, "not-certified")
    panel.try_sample()
    start(application, window, limit=None)
    shoot_finished(application, window, folder, "certified")
    shoot_tabs(application, window, folder)
    case = window.session.case
    assert case is not None
    inputs = {**panel.setup.files.paths, "queries": damaged}
    failing = case.new_run("guard", {}, inputs, {}, seed=0)
    window.session.resume(failing.path)
    wait(application, lambda: window.session.executor.status(failing.path).state is RunState.FAILED, 120)
    settle(application, window)
    shoot(application, window, folder, "guard-failed")
