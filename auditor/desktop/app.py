"""Starting the desktop: application, settings, what happens when something unforeseen goes wrong."""

import gc
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QSettings, QTimer
from PySide6.QtWidgets import QApplication, QMessageBox

from auditor import __version__
from auditor.case import Case
from auditor.desktop import theme
from auditor.desktop.session import Session
from auditor.desktop.window import Window
from auditor.models.library import home


def make_application(arguments: list[str]) -> QApplication:
    """The Qt application in the project's style."""
    application = QApplication(arguments)
    application.setApplicationName("Auditor")
    application.setApplicationVersion(__version__)
    application.setStyle("Fusion")
    font = application.font()
    font.setPointSizeF(max(10.0, font.pointSizeF()))
    application.setFont(font)
    theme.apply(application)
    return application


def make_window(settings_file: Path) -> Window:
    """A window with its own session; settings are kept in an INI file."""
    settings = QSettings(str(settings_file), QSettings.Format.IniFormat)
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    with theme.unstyled(application):
        window = Window(Session(settings))
    window.session.setParent(window)
    return window


def run(case: Path | None = None) -> int:
    """Open the desktop, on a case if one is given, else on the one that was open last.

    Returns the exit code of the application.
    """
    application = make_application(sys.argv[:1])
    window = make_window(home() / "desktop.ini")
    sys.excepthook = lambda kind, error, trace: _crashed(window, kind, error, trace)

    theme.choose(application, str(window.session.settings.value("scheme", "")))
    window.refresh_theme()

    def follow_scheme() -> None:
        theme.apply(application)
        window.refresh_theme()

    hints = application.styleHints()
    hints.colorSchemeChanged.connect(lambda _scheme: follow_scheme())
    if hasattr(hints, "accessibility"):
        hints.accessibility().contrastPreferenceChanged.connect(lambda _wish: follow_scheme())
    window.show()

    def begin() -> None:
        _open_first(window, case)
        keep_what_started()

    QTimer.singleShot(0, window, begin)
    return application.exec()


def keep_what_started() -> None:
    """Spare the garbage collector what is there once window and case are: going through all of it stalls the window."""
    gc.collect()
    gc.freeze()


def _open_first(window: Window, case: Path | None) -> None:
    if case is not None:
        window.session.open_case(case, create=not Case.is_case(case))
        return
    last = str(window.session.settings.value("case", ""))
    if last and Case.is_case(Path(last)):
        window.session.open_case(Path(last))


def _crashed(window: Window, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Say that something went wrong and where it was written; runs are processes of their own and go on."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    file = home() / "crashes" / f"{stamp}.txt"
    text = "".join(traceback.format_exception(kind, error, trace))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        place = f"What happened was written to {file}."
    except OSError:
        place = "It could not be written down."
    sys.stderr.write(text)
    box = QMessageBox(QMessageBox.Icon.Warning, "Auditor", "", QMessageBox.StandardButton.Ok, window)
    box.setText(f"Something went wrong in the window ({kind.__name__}). Runs go on and nothing saved is lost. {place}")
    box.open()
