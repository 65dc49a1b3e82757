"""What the panels of audits share: a run in view, live or finished."""

from pathlib import Path
from typing import Any, Protocol

from PySide6.QtWidgets import QWidget

from auditor.desktop.session import Session
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.executor import RunStatus


class ShowsResults(Protocol):
    """The middle part of a panel."""

    run: RunDirectory | None

    def show_empty(self) -> None:
        """Say what to do."""

    def show_live(self, run: RunDirectory) -> None:
        """Begin to show a run that is under way."""

    def show_finished(self, run: RunDirectory) -> None:
        """Show what came out."""

    def show_status(self, status: RunStatus) -> None:
        """Say where an unfinished run stands."""

    def take_events(self, events: list[dict[str, Any]]) -> None:
        """Take in events of the run in view."""


class ShowsDetail(Protocol):
    """The right part of a panel."""

    def clear(self) -> None:
        """Show nothing."""


class RunPanel(QWidget):
    """A panel that shows one run of its audit."""

    results: ShowsResults
    detail: ShowsDetail

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session

    def show_results(self) -> None:
        """Bring the three parts into view."""
        raise NotImplementedError

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
