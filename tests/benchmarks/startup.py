"""From the start of the process to the shown window. ``python -m tests.benchmarks.startup [--quick]``

The limit is a bare Qt window in the same interpreter. Offscreen unless a screen is there.
"""

import os
import subprocess
import sys
import tempfile
import time

from tests.benchmarks.harness import is_quick, ratio, report, summary

_OURS = """
import pathlib, sys, time
from auditor.desktop.app import make_application, make_window
application = make_application(["auditor"])
window = make_window(pathlib.Path(sys.argv[1]) / "desktop.ini")
window.show()
while not window.windowHandle().isExposed():
    application.processEvents()
application.processEvents()
print(time.time(), flush=True)
window.close()
"""
_BARE = """
import time
from PySide6.QtWidgets import QApplication, QMainWindow
application = QApplication(["bare"])
window = QMainWindow()
window.show()
while not window.windowHandle().isExposed():
    application.processEvents()
application.processEvents()
print(time.time(), flush=True)
window.close()
"""


def measure(code: str) -> float:
    """Seconds from the start of the process to the shown window."""
    environment = dict(os.environ)
    if not environment.get("DISPLAY"):
        environment.setdefault("QT_QPA_PLATFORM", "offscreen")
    with tempfile.TemporaryDirectory() as home:
        environment["AUDITOR_HOME"] = home
        begun = time.time()
        done = subprocess.run(
            [sys.executable, "-c", code, home], capture_output=True, text=True, check=True, env=environment
        )
        return float(done.stdout.split()[0]) - begun


def main() -> None:
    """Measure."""
    rounds = 3 if is_quick() else 10
    ours, bare = [], []
    for _ in range(rounds):
        ours.append(measure(_OURS))
        bare.append(measure(_BARE))
    figures = {"start_to_shown_window": summary(ours, "s"), "bare_qt_window": summary(bare, "s")}
    platform = "screen" if os.environ.get("DISPLAY") else "offscreen"
    report({"rounds": rounds, "platform": platform}, figures, {"start_to_bare_window": ratio(ours, bare)})


if __name__ == "__main__":
    main()
