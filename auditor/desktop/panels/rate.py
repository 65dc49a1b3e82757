"""The Rate panel: left what is asked, middle what came out, right what is selected."""

from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QStackedLayout, QWidget

from auditor.desktop.panels.rate_by_hand import RateByHand
from auditor.desktop.panels.rate_detail import RateDetail
from auditor.desktop.panels.rate_import import ImportRatings, holds_ratings
from auditor.desktop.panels.rate_judge import SHOWN
from auditor.desktop.panels.rate_results import RateResults
from auditor.desktop.panels.rate_setup import RateSetup
from auditor.desktop.session import Session
from auditor.desktop.widgets.three_parts import ThreeParts
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.executor import RunStatus

#: Widths of the left and the right part in a wide and in a narrow panel; the middle one takes what is left.
_WIDE, _SMALL = (330, 310), (304, 214)


class RatePanel(QWidget):
    """Rate conversations."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.setup = RateSetup(session)
        self.results = RateResults(session)
        self.detail = RateDetail(session)
        self.splitter = ThreeParts(self.setup, self.results, self.detail, wide=_WIDE, small=_SMALL)
        self.by_hand = RateByHand(session, self.results.table.model)
        self._pages = QStackedLayout(self)
        self._pages.addWidget(self.splitter)
        self._pages.addWidget(self.by_hand)
        self.results.row_selected.connect(self._show_row)
        self.results.resume_wanted.connect(session.resume)
        self.results.hand_wanted.connect(self.rate_by_hand)
        self.results.people.source_selected.connect(self._show_source)
        self.results.people.import_wanted.connect(self.import_ratings)
        self.detail.rate_wanted.connect(lambda row, axis: self.rate_by_hand((row, axis)))
        self.by_hand.closed.connect(self.show_results)
        session.case_changed.connect(self.clear)

    def activate(self) -> None:
        """Called when the panel comes into view."""
        self.setup.refresh_models()
        self.setup.rubric.refresh()

    def take_file(self, path: Path) -> None:
        """Take a file that was dropped anywhere in the window."""
        if path.suffix == ".toml":
            self.setup.rubric.take_file(path)
        elif holds_ratings(path):
            self.import_ratings(path)
        else:
            self.setup.take_file(path)

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
        """A run's worker is gone; what it took is known from now on."""
        self.setup.refresh_cost()
        if path == self.shown_run and self._session.executor.status(path).state is RunState.DONE:
            self.results.show_finished(RunDirectory(path))

    def refresh_theme(self) -> None:
        """Draw pictures and text in the colours of the theme."""
        self.results.refresh_theme()
        self.detail.refresh_theme()
        self.by_hand.refresh_theme()

    def rate_by_hand(self, start: tuple[int, str] | None = None) -> None:
        """Show one conversation after the other in large, to be rated; from a row and an axis, or where a rater stopped."""
        run, case = self.results.run, self._session.case
        if run is None or case is None or not self.results.is_whole:
            self._session.said.emit("Show a finished run first: people rate what a judge has rated.")
            return
        if not case.writable:
            self._session.said.emit("This case is open for reading only: nobody can rate in it here.")
            return
        self._pages.setCurrentWidget(self.by_hand)
        self.by_hand.open(run, run.findings(), start, self.detail.seen(run.path.name))

    def show_results(self) -> None:
        """Go back from rating by hand."""
        self._pages.setCurrentWidget(self.splitter)

    def import_ratings(self, path: Path) -> None:
        """Show what a file of human ratings holds, and add it to the run in view once that is confirmed."""
        run, case = self.results.run, self._session.case
        if run is None or case is None or not self.results.is_whole:
            self._session.said.emit(f"{path.name} holds human ratings: show the finished run they belong to first.")
            return
        ImportRatings(self._session, run, path, self).open()

    def _show_source(self, source: int) -> None:
        run, model = self.results.run, self.results.table.model
        if run is not None and 0 <= source < model.all_rows:
            self.detail.show_row(run, {name: model.cell(source, name) for name in SHOWN})

    def _show_row(self, shown: int) -> None:
        if shown >= 0 and self.results.run is not None:
            self._show_source(self.results.table.model.source_row(shown))
