"""Event-loop lateness of the real window during a real rating run with the starter model.

``python -m tests.benchmarks.lateness [--quick] [FILE]``: rates FILE wholly in one round and prints the axes' means
as well (for comparing with the command line); otherwise the bundled sample, five rounds.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from auditor.desktop.app import keep_what_started, make_application, make_window
from auditor.desktop.lateness import LatenessProbe
from auditor.desktop.window import Window
from auditor.resources import resource
from auditor.runs.directory import RunDirectory
from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication
from tests.benchmarks.harness import is_quick, report, summary

_WAKE_MS = 20


def opened() -> tuple[QApplication, Window]:
    """The real window with a fresh case, in a home of its own; --quick: in the one that is given, if one is."""
    home = Path(tempfile.mkdtemp())
    if not (is_quick() and os.environ.get("AUDITOR_HOME")):
        os.environ["AUDITOR_HOME"] = str(home)
    if not os.environ.get("DISPLAY"):
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    application = make_application(["auditor"])
    window = make_window(home / "desktop.ini")
    window.show()
    keep_what_started()
    window.session.open_case(home / "case", create=True)
    return application, window


def wait(application: QApplication, until: Callable[[], bool], seconds: float) -> None:
    """Let the event loop run until something holds."""
    end = time.monotonic() + seconds
    # Where no probe wakes the loop it would sleep until the window has an event of its own.
    wake = QTimer(interval=_WAKE_MS)
    wake.start()
    while not until():
        if time.monotonic() > end:
            raise TimeoutError
        # In between it sleeps as under exec().
        application.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
    wake.stop()


def one_run(
    application: QApplication, window: Window, file: Path, limit: int | None
) -> tuple[LatenessProbe, RunDirectory]:
    """Rate a file through the window; the probe runs from pressing Run until pictures and table are shown."""
    window.go_to(window.rate)
    window.rate.take_file(file)
    if limit is not None:
        window.rate.setup.form.controls["limit"].setValue(limit)  # type: ignore[attr-defined]  # it is a spin box
    wait(application, lambda: window.session.asker.is_idle, 120)
    wait(application, window.rate.setup.run.isEnabled, 120)
    before = window.rate.shown_run
    probe = LatenessProbe(window)
    probe.start()
    window.rate.setup.start()
    wait(application, lambda: window.rate.shown_run not in (None, before), 60)
    path = window.rate.shown_run
    assert path is not None
    wait(application, (path / "seal.json").is_file, 7200)
    wait(application, window.rate.results.report.isVisible, 60)
    wait(application, lambda: window.session.asker.is_idle and window.rate.results.table.background.is_idle, 60)
    probe.stop()
    return probe, RunDirectory(path)


def main() -> None:
    """Measure."""
    files = [Path(argument) for argument in sys.argv[1:] if not argument.startswith("--")]
    file = files[0] if files else resource("samples", "conversations.jsonl")
    rounds, limit = (1, 4) if is_quick() else (1, None) if files else (5, None)
    application, window = opened()
    quantiles, worst, means = [], [], {}
    for _ in range(rounds):
        probe, run = one_run(application, window, file, limit)
        quantiles.append(probe.quantile_ms(0.99))
        worst.append(probe.max_ms)
        findings = run.findings()
        means = {axis["name"]: [axis["mean"], axis["low"], axis["high"]] for axis in findings["axes"]}
    window.close()
    figures = {"lateness_p99": summary(quantiles, "ms"), "lateness_max": summary(worst, "ms")}
    report({"file": file.name, "rounds": rounds, "n": findings["n"], "mean_low_high": means}, figures, {})


if __name__ == "__main__":
    main()
