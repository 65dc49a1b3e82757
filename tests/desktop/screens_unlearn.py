"""Screenshots of the Unlearn panel in all its states; `tests.desktop.screens` calls it."""

import os
from pathlib import Path

from auditor.desktop.widgets.figure import FigureCard
from auditor.desktop.window import Window
from auditor.models.library import Library
from auditor.runs.contract import RunState
from PySide6.QtWidgets import QApplication
from tests.audits.unlearning import taught
from tests.audits.unlearning.files import facts, jsonl
from tests.desktop.shooting import settle, shoot, wait

#: Pictures that are looked at by themselves.
_PICTURES = ("probabilities", "files", "relearning", "losses", "trace", "generations")
#: A small model that knows a few facts forgets them within a minute, in steps enough to see it do so.
_SETTINGS = {
    "epochs": 400,
    "batch_size": 3,
    "learning_rate": 3e-4,
    "probe_steps": 20,
    "new_tokens": 30,
    "device": "cpu",
    "dtype": "float32",
}
_METHOD = {"method": "pdu", "lambda_start": 10.0, "dual_step": 5.0, "dual_warmup_epochs": 0}


def take_known(application: QApplication, window: Window) -> None:
    """Take a small model that has learnt facts by heart, and files of these facts."""
    panel, home = window.unlearn, Path(os.environ["AUDITOR_HOME"])
    Library().add(taught.teach(home / "small-teller"), name="small-teller")
    for role in ("forget", "retain", "holdout"):
        rows = [
            {"question": one.question, "answer": one.answer, "paraphrased_question": one.paraphrased_question}
            for one in taught.facts(role)
        ]
        panel.setup.files.take(role, jsonl(home / f"{role}.jsonl", rows).path)
    panel.setup.files.others["probes"].take(None)
    panel.setup.method.set_values(_METHOD)
    panel.setup.models.select("small-teller")
    panel.setup.models.refresh()
    wait(application, lambda: panel.setup.models.chosen == "small-teller", 120)


def press(application: QApplication, window: Window, **settings: object) -> Path:
    """Press Run with some settings changed; returns the run."""
    panel = window.unlearn
    for name, value in settings.items():
        panel.setup.form.set_value(name, value)
    settle(application, window)
    wait(application, panel.setup.run.isEnabled, 120)
    before = panel.shown_run
    panel.setup.start()
    wait(application, lambda: panel.shown_run != before, 60)
    assert panel.shown_run is not None
    return panel.shown_run


def shoot_problems(application: QApplication, window: Window, folder: Path) -> None:
    """Save files with problems, files that contradict each other, and a batch that does not fit."""
    panel, home = window.unlearn, Path(os.environ["AUDITOR_HOME"])
    rows = facts(12)
    rows[3] = {"question": "What does Dov 3 keep?", "answer": ""}
    rows[7] = {"question": "", "answer": "A pebble from year 1907."}
    panel.setup.files.take("forget", jsonl(home / "damaged-facts.jsonl", rows).path)
    wait(application, panel.setup.files.previews["forget"].problems.isVisible, 60)
    settle(application, window)
    shoot(application, window, folder, "unlearn-problems")
    panel.setup.files.take("forget", jsonl(home / "facts.jsonl", facts(12)).path)
    panel.setup.files.take("retain", jsonl(home / "others.jsonl", facts(12, first=11)).path)
    settle(application, window)
    wait(application, lambda: "too" in panel.setup.cost.text(), 60)
    shoot(application, window, folder, "unlearn-overlap")
    panel.try_sample()
    panel.setup.form.set_value("batch_size", 1024)
    settle(application, window)
    wait(application, lambda: panel.setup.cost.objectName() == "alert", 60)
    shoot(application, window, folder, "unlearn-too-large")


def shoot_paused(application: QApplication, window: Window, folder: Path) -> None:
    """Save a run while it trains, then paused; it goes on afterwards."""
    results = window.unlearn.results
    wait(application, lambda: results.live.step > 3 and results.pause.isEnabled(), 1200)
    shoot(application, window, folder, "unlearn-running")
    results.pause.click()
    wait(application, results.resume.isVisible, 600)
    settle(application, window)
    shoot(application, window, folder, "unlearn-paused")
    results.resume.click()


def finish(application: QApplication, window: Window) -> None:
    """Wait until the run in view has findings."""
    results = window.unlearn.results
    wait(application, results.report.isVisible, 3600)
    settle(application, window)


def shoot_tabs(application: QApplication, window: Window, folder: Path) -> None:
    """Save the pictures one by one, and each table with its first row selected."""
    panel = window.unlearn
    shoot_pictures(application, window, folder)
    for place in range(2, panel.results.tabs.count()):
        if not panel.results.tabs.isTabVisible(place):
            continue
        panel.results.tabs.setCurrentIndex(place)
        if place == panel.results.tabs.count() - 1:
            panel.results.exports.tables["exports"].view.selectRow(0)
        name = panel.results.tabs.tabText(place).lower().replace(" ", "-")
        shoot(application, window, folder, f"unlearn-{name}")
    panel.results.tabs.setCurrentIndex(1)


def shoot_pictures(application: QApplication, window: Window, folder: Path) -> None:
    """Save the pictures that are looked at by themselves, scrolled into view."""
    pictures = window.unlearn.results.pictures
    window.resize(1440, 900)
    for scheme in ("light", "dark"):
        window.choose_scheme(scheme)
        settle(application, window)
        for card in pictures.findChildren(FigureCard):
            if card.name in _PICTURES:
                pictures.verticalScrollBar().setValue(card.y())
                settle(application, window)
                window.grab().save(str(folder / f"unlearn-picture-{card.name}-1440x900-{scheme}.png"))


def shoot_failed(application: QApplication, window: Window, folder: Path) -> None:
    """Save a run whose files contradict each other."""
    case = window.session.case
    assert case is not None
    file = jsonl(Path(os.environ["AUDITOR_HOME"]) / "same.jsonl", facts(3)).path
    failing = case.new_run("unlearning", {}, {"forget": file, "retain": file}, {}, seed=0)
    window.session.resume(failing.path)
    wait(application, lambda: window.session.executor.status(failing.path).state is RunState.FAILED, 120)
    settle(application, window)
    shoot(application, window, folder, "unlearn-failed")


def shoot_unlearn(application: QApplication, window: Window, folder: Path) -> None:
    """Save the panel: empty, preview, problems, running, paused, finished, every tab, failed."""
    panel = window.unlearn
    window.go_to(panel)
    window.choose_scheme("light")
    settle(application, window)
    shoot(application, window, folder, "unlearn-empty")
    panel.try_sample()
    settle(application, window)
    wait(application, panel.setup.run.isEnabled, 120)
    shoot(application, window, folder, "unlearn-preview")
    shoot_problems(application, window, folder)
    take_known(application, window)
    press(application, window, **_SETTINGS)
    shoot_paused(application, window, folder)
    finish(application, window)
    panel.results.tables["examples"].view.selectRow(0)
    wait(application, panel.detail.turns.isVisible, 60)
    shoot(application, window, folder, "unlearn-finished")
    shoot_tabs(application, window, folder)
    shoot_failed(application, window, folder)
