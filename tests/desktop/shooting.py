"""Screenshots of a window in its states, once everything in it has come to rest."""

import time
from collections.abc import Callable
from pathlib import Path

from auditor.desktop.panels.picture_column import PictureColumn
from auditor.desktop.window import Window
from PySide6.QtWidgets import QApplication

SIZES = ((1440, 900), (1024, 700))


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
    # Pictures come one by one, and push aside what is there until the last one is.
    wait(application, lambda: all(column.is_whole for column in window.findChildren(PictureColumn)), 60)
    wait(application, lambda: False, 0.5)


def shoot(application: QApplication, window: Window, folder: Path, name: str) -> None:
    """Save the window in both sizes and both schemes."""
    for scheme in ("light", "dark"):
        window.choose_scheme(scheme)
        for width, height in SIZES:
            window.resize(width, height)
            settle(application, window)
            window.grab().save(str(folder / f"{name}-{width}x{height}-{scheme}.png"))
