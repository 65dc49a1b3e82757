"""Screenshots of the real window: ``python -m tests.desktop.screens OUT_DIR`` (on a screen, or under Xvfb).

Empty, running, failed and finished states at 1440x900 and 1024x700, light and dark.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from auditor.desktop.app import make_application, make_window
from auditor.desktop.window import Window
from auditor.models.starter import starter
from auditor.resources import resource
from auditor.runs.contract import RunState
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


def main(folder: Path) -> None:
    """Walk through the states."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["AUDITOR_HOME"] = tempfile.mkdtemp()
    application = make_application(["auditor"])
    window = make_window(Path(os.environ["AUDITOR_HOME"]) / "desktop.ini")
    window.show()
    settle(application, window)
    shoot(application, window, folder, "overview-empty")
    window.go_to(1)
    shoot(application, window, folder, "rate-empty")
    window.go_to(2)
    shoot(application, window, folder, "models")
    case = Path(os.environ["AUDITOR_HOME"]) / "cases" / "assistant-review"
    window.session.open_case(case, create=True, title="Assistant review, November")
    window.go_to(1)
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
    assert window.session.case is not None
    judge = starter()
    assert judge is not None
    sample = {"conversations": resource("samples", "conversations.jsonl")}
    failing = window.session.case.new_run("rating", {"axes": ["kindness"]}, sample, {"judge": judge}, seed=0)
    window.session.resume(failing.path)
    wait(application, lambda: window.session.executor.status(failing.path).state is RunState.FAILED, 60)
    settle(application, window)
    shoot(application, window, folder, "rate-failed")
    window.go_to(0)
    shoot(application, window, folder, "overview")
    window.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
