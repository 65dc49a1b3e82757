"""Fixtures of the desktop: offscreen, a window of its own for each test, and nothing left behind."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from auditor.case import Case
from auditor.desktop.app import make_window
from auditor.desktop.lateness import LatenessProbe
from auditor.desktop.window import Window
from pytestqt.qtbot import QtBot


@pytest.fixture(scope="session")
def qapp_args() -> list[str]:
    return ["auditor"]


@pytest.fixture(scope="session")
def qapp(qapp_args: list[str]) -> object:
    """The real application: style, font and colours as people get them."""
    from auditor.desktop.app import make_application

    application = make_application(qapp_args)
    application.setProperty("scheme", "light")
    return application


#: How long parts of the window wait for more typing before they ask. Tests type at once, and only the wait is shortened.
_WAITS = (
    *("panels.annotate._AGREEMENT_MS", "panels.guard_prompt._DELAY_MS", "panels.parity_power._DELAY_MS"),
    *("panels.rate_import._WAIT_MS", "panels.rate_people._WAIT_MS", "panels.rubric_editor._DRAFT_DELAY_MS"),
    *("panels.rubric_prompt._DELAY_MS", "panels.run_setup._DELAY_MS", "widgets.table._TYPING_MS"),
)
_WAIT_MS = 50


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _WAITS:
        monkeypatch.setattr(f"auditor.desktop.{name}", _WAIT_MS)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Fail a test that leaves a thread or a process behind."""
    threads = set(threading.enumerate())
    processes = {child.pid for child in psutil.Process().children()}
    yield
    left = [child for child in psutil.Process().children() if child.pid not in processes]
    _gone, alive = psutil.wait_procs(left, timeout=5)
    assert not alive, f"processes left: {[child.cmdline() for child in alive]}"
    more = [thread.name for thread in threading.enumerate() if thread not in threads and "Dummy" not in thread.name]
    assert not more, f"threads left: {more}"


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path, home: Path, short_waits: None) -> Iterator[Window]:
    """The real window, without a case."""
    shown = make_window(tmp_path / "desktop.ini")
    shown.session.settings.setValue("open_reports", False)
    qtbot.addWidget(shown)
    shown.resize(1440, 900)
    shown.show()
    qtbot.waitExposed(shown)
    yield shown
    shown.close()


@pytest.fixture
def case_window(window: Window, tmp_path: Path) -> Window:
    """The window with a fresh case open."""
    assert window.session.open_case(tmp_path / "case", create=True, title="Test case")
    assert isinstance(window.session.case, Case)
    return window


@pytest.fixture
def lateness(window: Window) -> Iterator[LatenessProbe]:
    """A probe of the event loop's lateness; start and stop it in the test."""
    probe = LatenessProbe(window)
    yield probe
    probe.stop()
