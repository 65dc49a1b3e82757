"""The panel of an audit: left what is asked, middle what came out, right what is selected."""

from pathlib import Path
from typing import Any, ClassVar

from PySide6.QtWidgets import QStackedLayout, QWidget

from auditor.desktop.actions import Command
from auditor.desktop.panels.run_detail import RunDetail
from auditor.desktop.panels.run_results import RunResults
from auditor.desktop.panels.run_setup import RunSetup
from auditor.desktop.session import Session
from auditor.desktop.widgets.three_parts import ThreeParts
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.executor import RunStatus


class RunPanel(QWidget):
    """Shows one run of its audit, live or finished, and asks for another.

    Parameters
    ----------
    setup, results, detail : RunSetup, RunResults, RunDetail
        The three parts.
    wide, small : tuple of int
        Widths in pixels of the left and the right part in a wide and in a narrow panel; the middle one takes what is
        left.

    Attributes
    ----------
    audit : str
        Name of the audit.
    title, icon : str
        How the rail and the menus name the panel.
    sample_button, sample_words : str
        What trying its sample is called, and a sentence about it.
    takes_folders : bool
        Whether a folder that is dropped is meant for the panel.
    """

    audit: ClassVar[str]
    title: ClassVar[str]
    icon: ClassVar[str]
    sample_button: ClassVar[str]
    sample_words: ClassVar[str]
    takes_folders: ClassVar[bool] = False

    setup: RunSetup
    results: RunResults
    detail: RunDetail

    def __init__(
        self,
        session: Session,
        setup: RunSetup,
        results: RunResults,
        detail: RunDetail,
        *,
        wide: tuple[int, int],
        small: tuple[int, int],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self.setup, self.results, self.detail = setup, results, detail
        setup.order_tabs()
        self.splitter = ThreeParts(setup, results, detail, wide=wide, small=small)
        self._pages = QStackedLayout(self)
        self._pages.addWidget(self.splitter)
        results.resume_wanted.connect(session.resume)
        session.case_changed.connect(self.clear)

    def commands(self) -> tuple[Command, ...]:
        """What only this panel does; each brings it into view first."""
        raise NotImplementedError

    def activate(self) -> None:
        """Called when the panel comes into view."""

    def take_file(self, path: Path) -> None:
        """Take a file that was dropped anywhere in the window."""
        raise NotImplementedError

    def try_sample(self) -> None:
        """Load the sample, in a case for trying if none is open."""
        if self._session.ensure_case():
            self._take_sample()

    def _take_sample(self) -> None:
        raise NotImplementedError

    def clear(self) -> None:
        """Show no run."""
        self.show_results()
        self.results.show_empty()
        self._clear_detail()

    def show_results(self) -> None:
        """Bring the three parts into view."""
        self._pages.setCurrentWidget(self.splitter)

    def show_run(self, path: Path) -> bool:
        """Show a run; returns whether its events are wanted from the first on."""
        run = RunDirectory(path)
        self.show_results()
        self._clear_detail()
        status = self._session.executor.status(path)
        if status.state is RunState.DONE:
            self.results.show_finished(run)
            return False
        self.results.show_live(run)
        self.results.show_status(status)
        return True

    def _clear_detail(self) -> None:
        """Select nothing; a subclass calls `self.splitter.show_detail(True)` when it shows something there."""
        self.splitter.show_detail(False)
        self.detail.clear()

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
        """Draw pictures and text in the colours of the theme."""
        self.results.refresh_theme()
        self.detail.refresh_theme()

    def finish(self) -> None:
        """Wait for sorts that are under way."""
        self.results.finish()
