"""The Rate panel: left what is asked, middle what came out, right what is selected."""

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import QSplitter, QVBoxLayout, QWidget

from auditor.desktop.panels.rate_detail import RateDetail
from auditor.desktop.panels.rate_results import RateResults
from auditor.desktop.panels.rate_setup import RateSetup
from auditor.desktop.session import Session
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.executor import RunStatus

#: Widths of the three parts in a wide and in a narrow panel; the middle one takes what is left.
_WIDE, _SMALL = (330, 700, 310), (304, 400, 214)
_NARROW_PX = 1100
_SHOWN = (
    "id",
    "row",
    "axis",
    "p1",
    "p2",
    "p3",
    "p4",
    "p5",
    "expected",
    "mode",
    "entropy",
    "truncated_turns",
    "explanation",
)


class RatePanel(QWidget):
    """Rate conversations."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._is_narrow = False
        self.setup = RateSetup(session)
        self.results = RateResults(session)
        self.detail = RateDetail(session)
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        for part in (self.setup, self.results, self.detail):
            self.splitter.addWidget(part)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setStretchFactor(0, 0)
        self.splitter.setStretchFactor(1, 1)
        self.splitter.setStretchFactor(2, 0)
        self.splitter.setSizes(list(_WIDE))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.splitter)
        self.results.row_selected.connect(self._show_row)
        self.results.resume_wanted.connect(session.resume)
        self.detail.rated.connect(self._next_row)
        session.case_changed.connect(self.clear)
        for score in range(1, 6):
            self._key(str(score), lambda score=score: self.detail.rate(score))
        self._key("U", self.detail.withdraw_last)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Give the results what a small window has to spare; a splitter that was moved stays as it is on a large one."""
        super().resizeEvent(event)
        is_narrow = event.size().width() < _NARROW_PX
        if is_narrow != self._is_narrow:
            self._is_narrow = is_narrow
            middle = event.size().width() - (_SMALL[0] + _SMALL[2] if is_narrow else _WIDE[0] + _WIDE[2])
            sides = _SMALL if is_narrow else _WIDE
            self.splitter.setSizes([sides[0], middle, sides[2]])

    def _key(self, keys: str, callback: Any) -> None:
        shortcut = QShortcut(QKeySequence(keys), self)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(callback)

    def activate(self) -> None:
        """Called when the panel comes into view."""
        self.setup.refresh_models()

    def take_file(self, path: Path) -> None:
        """Take a file that was dropped anywhere in the window."""
        if path.suffix == ".toml":
            self.setup.take_rubric(path)
        else:
            self.setup.take_file(path)

    def clear(self) -> None:
        """Show no run."""
        self.results.show_empty()
        self.detail.clear()

    def show_run(self, path: Path) -> bool:
        """Show a run; returns whether its events are wanted from the first on."""
        run = RunDirectory(path)
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

    def _show_row(self, shown: int) -> None:
        run = self.results.run
        if run is None or shown < 0:
            return
        self.detail.show_row(run, {name: self.results.table.model.value(shown, name) for name in _SHOWN})

    def _next_row(self) -> None:
        view = self.results.table.view
        following = view.currentIndex().row() + 1
        if following < self.results.table.model.rowCount():
            view.selectRow(following)
