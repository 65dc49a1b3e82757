"""The Parity panel: left what is asked, middle what came out, right what is selected."""

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox, QStackedLayout, QWidget

from auditor.audits import parity
from auditor.desktop.panels.annotate import AnnotationDesk
from auditor.desktop.panels.parity_detail import ParityDetail
from auditor.desktop.panels.parity_power import ParityPower
from auditor.desktop.panels.parity_results import ParityResults
from auditor.desktop.panels.parity_setup import ParitySetup
from auditor.desktop.session import Session
from auditor.desktop.widgets.three_parts import ThreeParts
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.executor import RunStatus

#: Widths of the left and the right part in a wide and in a narrow panel; the middle one takes what is left.
_WIDE, _SMALL = (330, 320), (304, 214)


class ParityPanel(QWidget):
    """Test results for parity."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.setup = ParitySetup(session)
        self.results = ParityResults(session)
        self.detail = ParityDetail(session)
        self.splitter = ThreeParts(self.setup, self.results, self.detail, wide=_WIDE, small=_SMALL)
        self.power = ParityPower(session)
        self.desk = AnnotationDesk(session)
        self._pages = QStackedLayout(self)
        for page in (self.splitter, self.power, self.desk):
            self._pages.addWidget(page)
        self.setup.power_wanted.connect(self.show_power)
        self.setup.annotation_wanted.connect(self.annotate)
        self.power.closed.connect(self.show_results)
        self.desk.closed.connect(self.show_results)
        self.desk.exported.connect(lambda path: self.setup.files.take("annotations", Path(path)))
        self.results.query_selected.connect(self._show_query)
        self.results.resume_wanted.connect(session.resume)
        session.case_changed.connect(self.clear)

    def activate(self) -> None:
        """Called when the panel comes into view: what it shows follows the files and the case, not the moment."""

    def take_file(self, path: Path) -> None:
        """Take a file or a folder of images that was dropped anywhere in the window.

        The first file holds the results; what another one holds is asked, never guessed.
        """
        self.show_results()
        files = self.setup.files
        if path.is_dir():
            files.take("images", path)
        elif "results" not in files.paths:
            files.take_results(path)
        else:
            self._ask_role(path)

    def _ask_role(self, path: Path) -> None:
        box = QMessageBox(QMessageBox.Icon.Question, "Auditor", f"What does {path.name} hold?", parent=self)
        box.setTextFormat(Qt.TextFormat.PlainText)
        for role in parity.input_roles:
            button = box.addButton(role.title, QMessageBox.ButtonRole.AcceptRole)
            button.clicked.connect(lambda _checked=False, name=role.name: self.setup.files.take(name, path))
        box.addButton(QMessageBox.StandardButton.Cancel)
        box.open()

    def clear(self) -> None:
        """Show no run."""
        self.show_results()
        self.results.show_empty()
        self.detail.clear()

    def show_run(self, path: Path) -> bool:
        """Show a run; returns whether its events are wanted from the first on."""
        run = RunDirectory(path)
        self.show_results()
        self.detail.clear()
        status = self._session.executor.status(path)
        if status.state is RunState.DONE:
            self.results.show_finished(run)
            return False
        self.results.show_live(run)
        self.results.show_status(status)
        return True

    @property
    def shown_run(self) -> Path | None:
        """Path of the run in view."""
        return self.results.run.path if self.results.run else None

    def take_events(self, path: Path, events: list[dict[str, Any]]) -> None:
        """Take in events if they are of the run in view."""
        if path == self.shown_run:
            self.results.take_events(events)

    def take_status(self, path: Path, status: RunStatus) -> None:
        """Take in where a run stands if it is the one in view."""
        if path == self.shown_run and status.state is not RunState.DONE:
            self.results.show_status(status)

    def run_over(self, path: Path) -> None:
        """A run's worker is gone."""
        if path == self.shown_run and self._session.executor.status(path).state is RunState.DONE:
            self.results.show_finished(RunDirectory(path))

    def refresh_theme(self) -> None:
        """Draw pictures and swatches in the colours of the theme."""
        self.results.refresh_theme()
        self.detail.refresh_theme()
        self.power.refresh_theme()
        self.desk.refresh_theme()

    def show_results(self) -> None:
        """Go back from planning or annotating."""
        self._pages.setCurrentWidget(self.splitter)

    def show_power(self) -> None:
        """Plan an audit."""
        self._pages.setCurrentWidget(self.power)
        self.power.open()

    def annotate(self) -> None:
        """Set the tones of the items by keyboard."""
        files = self.setup.files
        if "results" not in files.paths:
            self._session.said.emit("Choose search results first: their items are what is annotated.")
            return
        if self.desk.open(files.paths["results"], files.paths.get("catalog"), self.setup.settings()):
            self._pages.setCurrentWidget(self.desk)

    def finish(self) -> None:
        """Wait for sorts that are under way."""
        self.results.finish()

    def _show_query(self, query: str) -> None:
        if self.results.run is None or not query:
            self.detail.clear()
        else:
            self.detail.show_query(self.results.run, query)
