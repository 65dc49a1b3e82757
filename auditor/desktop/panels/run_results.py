"""The middle of an audit's panel: verdict in words, then pictures, then tables; live or finished."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QPushButton, QTabWidget, QVBoxLayout, QWidget

from auditor.desktop import theme
from auditor.desktop.panels.run_pictures import RunPictures
from auditor.desktop.panels.run_report import ReportButton
from auditor.desktop.panels.run_table import load_tables
from auditor.desktop.session import Session
from auditor.desktop.widgets.columns import Numbers, Texts
from auditor.desktop.widgets.verdict import Tone, VerdictCard, VerdictPane
from auditor.errors import AuditorError, RunError
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.executor import RunStatus

if TYPE_CHECKING:
    from auditor.desktop.widgets.table import Table


class RunResults(QWidget):
    """What came out of one run.

    A subclass makes its tables and tabs, and calls `show_empty` at the end of its construction.

    Parameters
    ----------
    audit : str
        Name of the audit.
    empty : str
        What to do while there is no run.
    buttons : sequence of QPushButton
        What else can be done with a finished run.

    Attributes
    ----------
    run : RunDirectory or None
        The run in view.
    is_whole : bool
        Whether the table that rows are selected from is there as a whole; a subclass says so in `_show_table`.
    tables : dict of str to Table
        Name of a table of the run -> where it is shown.

    Signals
    -------
    resume_wanted(object)
        Path of the run.
    """

    resume_wanted = Signal(object)

    #: Colours of states and verdicts that have one; the word says the same.
    tones: ClassVar[Mapping[str, Tone]] = {"failed": "alert"}

    def __init__(
        self,
        session: Session,
        audit: str,
        empty: str,
        buttons: Sequence[QPushButton] = (),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._session, self._audit, self._empty = session, audit, empty
        self.run: RunDirectory | None = None
        self.is_whole = False
        self.tables: dict[str, Table] = {}
        self.report = ReportButton(session)
        self.resume = theme.icon_button("resume", "Resume")
        self.resume.clicked.connect(self._resume)
        self._buttons = (self.resume, *buttons, self.report)
        self.card = VerdictCard(self._buttons)
        self.state, self.verdict, self.alert = self.card.state, self.card.verdict, self.card.alert
        self.facts = self.card.facts
        self.pictures = RunPictures(session, audit)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.tabBar().setDrawBase(False)
        self._live_tabs: list[bool] = []
        self._finished_tabs: list[bool] = []
        self._spring = QWidget()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 14, 14, 10)
        self._pane = VerdictPane(self.card)
        layout.addWidget(self._pane)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(self._spring, 1)

    def _add_tab(self, part: QWidget, title: str, *, live: bool = False, finished: bool = True) -> None:
        """Add a tab that is there while a run is under way, once it has finished, or both."""
        self.tabs.addTab(part, title)
        self._live_tabs.append(live)
        self._finished_tabs.append(finished)

    def _show_tabs(self, *, is_live: bool) -> None:
        shown = self._live_tabs if is_live else self._finished_tabs
        for place, is_shown in enumerate(shown):
            self.tabs.setTabVisible(place, is_shown)
        self.tabs.setCurrentIndex(shown.index(True))

    def _set_tabs_shown(self, shown: bool) -> None:
        self.tabs.setVisible(shown)
        self._spring.setVisible(not shown)
        self._pane.set_alone(not shown)

    def _begin(self, run: RunDirectory) -> None:
        self.show_empty()
        self.run = self.report.run = run

    def show_live(self, run: RunDirectory) -> None:
        """Begin to show a run that is under way; its events follow."""
        self._begin(run)
        self.verdict.setText("The run is starting …")
        self._show_tabs(is_live=True)
        self._set_tabs_shown(True)

    def take_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Take in events of the run in view."""
        self._take_live(events)
        warnings = [event["message"] for event in events if event["kind"] == "warning"]
        if warnings:
            self.card.show_alerts([*self.card.alerts, *warnings])

    def show_status(self, status: RunStatus) -> None:
        """Say where an unfinished run stands."""
        state = status.state
        self.card.show_state(f"{state.value}{self._on_place}", self.tones.get(state.value, ""))
        if state is not RunState.DONE:
            self._show_unfinished(status)
        self.resume.setVisible(state.is_resumable and not state.is_live)

    def show_finished(self, run: RunDirectory) -> None:
        """Show findings, pictures and tables."""
        self._begin(run)
        try:
            findings = run.findings()
            facts = self._facts(findings)
            verdict, warnings = findings["verdict"], [caution["message"] for caution in findings["warnings"]]
            state, sentence = verdict["state"], verdict["sentence"]
        except AuditorError as error:
            self.verdict.setText(str(error))
            return
        except (KeyError, TypeError):
            self.verdict.setText(str(RunError(f"The findings of run {run.path.name} are damaged.")))
            return
        self.card.show_state(state, self.tones.get(state, ""))
        self.verdict.setText(sentence)
        self.card.show_alerts(warnings)
        self.card.show_facts(f"{facts}\nRun{self._on_place}." if self._on_place else facts)
        self.report.show()
        self._show_tabs(is_live=False)
        self._set_tabs_shown(True)
        there = {table["name"] for table in findings["tables"]}
        self.pictures.show_run(run)
        self._load_tables(run, {name: table for name, table in self.tables.items() if name in there})
        self._show_found(run)

    @property
    def _on_place(self) -> str:
        """Where the run in view was to be carried out, as the end of a phrase; empty on this machine."""
        place = self._session.place_of(self.run.path) if self.run is not None else ""
        return f" on {place}" if place else ""

    def _load_tables(self, run: RunDirectory, tables: "Mapping[str, Table]") -> None:
        def show(name: str, columns: list[Numbers | Texts]) -> None:
            # Another run may have come into view while the table was read.
            if self.run is run:
                self._show_table(name, columns)

        def tell(problems: list[str]) -> None:
            if self.run is run:
                self.card.show_alerts([*problems, *self.card.alerts])

        if tables:
            load_tables(self._session, run, tables, show, tell, self._tables_kind)

    @property
    def _tables_kind(self) -> str:
        return f"{self._audit} tables"

    def show_empty(self) -> None:
        """Say what to do."""
        self.run, self.report.run, self.is_whole = None, None, False
        self.pictures.clear()
        self._session.asker.drop(self._tables_kind)
        for table in self.tables.values():
            table.set_columns([])
        self.card.clear(self._empty)
        for button in self._buttons:
            button.hide()
        self._set_tabs_shown(False)

    def refresh_theme(self) -> None:
        """Draw the pictures in the colours of the theme."""
        if self.is_finished:
            self.pictures.refresh_theme()

    @property
    def is_finished(self) -> bool:
        """Whether findings of a run are in view."""
        return self.run is not None and self.report.isVisibleTo(self)

    def finish(self) -> None:
        """Wait for sorts that are under way."""
        for table in self.tables.values():
            table.finish()

    def _resume(self) -> None:
        if self.run is not None:
            self.resume_wanted.emit(self.run.path)

    def _facts(self, findings: Mapping[str, Any]) -> str:
        """What the verdict rests on, in a line or two; KeyError or TypeError where the findings are damaged."""
        raise NotImplementedError

    def _take_live(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Show what events of a run under way say."""

    def _show_unfinished(self, status: RunStatus) -> None:
        """Say how far an unfinished run is."""
        self.verdict.setText(status.message or status.state.value.capitalize())

    def _show_found(self, run: RunDirectory) -> None:
        """Show what there is of a finished run beside its pictures and tables."""

    def _show_table(self, name: str, columns: list[Numbers | Texts]) -> None:
        """Show a table of a finished run."""
        self.tables[name].set_columns(columns)
