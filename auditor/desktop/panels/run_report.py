"""The button that saves the report of the run in view."""

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFileDialog, QMenu, QPushButton, QWidget

from auditor.desktop import theme
from auditor.desktop.session import Session

if TYPE_CHECKING:
    from auditor.runs.directory import RunDirectory


class ReportButton(QPushButton):
    """Saves a report as HTML or PDF and opens it."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__("Report", parent)
        self._session = session
        self.run: RunDirectory | None = None
        theme.set_icon(self, "report")
        menu = QMenu(self)
        menu.addAction("As HTML…", lambda: self._ask("html"))
        menu.addAction("As PDF…", lambda: self._ask("pdf"))
        self.setMenu(menu)

    def _ask(self, kind: str) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save report", f"report.{kind}", f"{kind.upper()} (*.{kind})")
        if name:
            self.save(kind, Path(name))

    def save(self, kind: str, path: Path) -> None:
        """Write the report of the run in view and open it."""
        case = self._session.case
        if self.run is None or case is None:
            return
        asked = {"case": str(case.path), "run": self.run.path.name, kind: str(path)}
        self._session.asker.ask("report", asked, self._saved, self._session.said.emit)

    def _saved(self, files: list[str]) -> None:
        self._session.said.emit(f"Saved {files[0]}.")
        if self._session.settings.value("open_reports", True, bool):
            QDesktopServices.openUrl(QUrl.fromLocalFile(files[0]))
