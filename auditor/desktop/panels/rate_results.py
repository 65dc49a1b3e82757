"""The middle of the Rate panel: verdict in words, then pictures, then the table of ratings, live or finished."""

from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from auditor.desktop import theme
from auditor.desktop.panels.rate_people import RatePeople
from auditor.desktop.panels.run_pictures import RunPictures
from auditor.desktop.panels.run_report import ReportButton
from auditor.desktop.panels.run_table import load_table
from auditor.desktop.session import Session
from auditor.desktop.widgets.columns import Numbers, Texts
from auditor.desktop.widgets.table import Table
from auditor.desktop.widgets.verdict import VerdictCard, VerdictPane
from auditor.errors import AuditorError
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.executor import RunStatus

_EMPTY = (
    "Drop a file of conversations, choose a judge model and press Run. Each reply is rated from 1 to 5 on every axis of the "
    "rubric; results appear here as they come. To see how it works, press “Use the sample”."
)


def live_columns() -> list[Numbers | Texts]:
    """Empty columns for rows as they come from a run's events."""
    shares: list[Numbers | Texts] = [
        Numbers(f"p{score}", f"p({score})", f"Probability of {score} among the five scores.") for score in range(1, 6)
    ]
    return [
        Texts("id", "Conversation", "Id in the file, or row-<n>."),
        Numbers("row", "Row", "Record number in the input, from 1.", whole=True),
        Texts("group", "Group", "Conversations that belong together."),
        Texts("axis", "Axis", "Axis of the rubric."),
        Numbers("expected", "Expected", "Sum of i p(i), from 1 to 5."),
        Numbers("mode", "Most probable", "Score with the highest p.", whole=True),
        Numbers("entropy", "Entropy, nats", "0 is sure, 1.609 is clueless."),
        *shares,
        Numbers("truncated_turns", "Turns left out", "Earliest turns that did not fit into the context.", whole=True),
        Texts("explanation", "Explanation", "The judge's sentence after its score."),
    ]


class RateResults(QWidget):
    """What came out of one run.

    Signals
    -------
    row_selected(int)
        Shown row of the table, -1 for none.
    resume_wanted(object)
        Path of the run.
    hand_wanted()
        Somebody wants to rate by hand.
    """

    row_selected = Signal(int)
    resume_wanted = Signal(object)
    hand_wanted = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.run: RunDirectory | None = None
        self.is_whole = False
        self.report = ReportButton(session)
        self.resume = theme.icon_button("resume", "Resume")
        self.resume.clicked.connect(self._resume)
        self.hand = theme.icon_button("people", "Rate by hand")
        self.hand.clicked.connect(self.hand_wanted)
        self._buttons = (self.resume, self.hand, self.report)
        self.card = VerdictCard(self._buttons)
        self.state, self.verdict, self.alert = self.card.state, self.card.verdict, self.card.alert
        self.people = RatePeople(session)
        self.table = Table("Ratings")
        self.table.selected.connect(self.row_selected)
        self._pictures = RunPictures(session, "rating")
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.tabBar().setDrawBase(False)
        self.tabs.addTab(self._pictures, "Pictures")
        self.tabs.addTab(self.table, "Ratings")
        self.tabs.addTab(self.people, "People")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 14, 14, 10)
        layout.addWidget(VerdictPane(self.card))
        layout.addWidget(self.tabs, 1)
        self._spring = QWidget()
        layout.addWidget(self._spring, 1)
        self.show_empty()

    def show_live(self, run: RunDirectory) -> None:
        """Begin to show a run that is under way; its events follow."""
        self._begin(run)
        self.table.set_columns(live_columns())
        self.verdict.setText("The run is starting …")
        self.tabs.setCurrentIndex(1)
        self.tabs.setTabVisible(0, False)
        self.tabs.setTabVisible(2, False)

    def _resume(self) -> None:
        if self.run is not None:
            self.resume_wanted.emit(self.run.path)

    def _begin(self, run: RunDirectory) -> None:
        self.show_empty()
        self.run = self.report.run = run
        self._spring.hide()
        self.tabs.show()

    def take_events(self, events: list[dict[str, Any]]) -> None:
        """Take in events of the run in view."""
        rows = [event["row"] for event in events if event["kind"] == "row" and event["table"] == "ratings"]
        if rows:
            was_empty = self.table.model.all_rows == 0
            self.table.model.append(rows)
            if was_empty:
                self.table.fit_columns()
        for event in events:
            if event["kind"] == "warning":
                self.card.show_alerts([event["message"]])

    def show_status(self, status: RunStatus) -> None:
        """Say where an unfinished run stands."""
        self.card.show_state(status.state.value)
        if status.state.is_live:
            words = status.message or "Working"
            done = f": {status.done:,} of {status.total:,} conversations so far" if status.total else ""
            self.verdict.setText(f"{words}{done}. Partial results are below.")
        elif status.state is not RunState.DONE:
            kept = f"{self.table.model.all_rows:,} ratings are kept." if self.table.model.all_rows else ""
            self.verdict.setText(f"{status.message or status.state.value.capitalize()} {kept}".strip())
        self.resume.setVisible(status.state.is_resumable and not status.state.is_live)

    def show_finished(self, run: RunDirectory) -> None:
        """Show findings, pictures and the finished table."""
        self._begin(run)
        try:
            findings = run.findings()
        except AuditorError as error:
            self.verdict.setText(str(error))
            return
        self.card.show_state(findings["verdict"]["state"])
        self.verdict.setText(findings["verdict"]["sentence"])
        self.card.show_alerts([caution["message"] for caution in findings["warnings"]])
        self.card.show_facts(
            f"Rubric {findings['rubric']['name']} ({findings['rubric_sha256'][:12]}…), model {findings['model_name']} "
            f"{findings['model_quantisation']} ({findings['model_sha256'][:12]}…), seed {findings['provenance']['seed']}."
        )
        self.report.show()
        for place in (0, 2):
            self.tabs.setTabVisible(place, True)
        self.tabs.setCurrentIndex(0)
        self.people.show_run(run)
        self._pictures.show_run(run)
        load_table(self._session, run, "ratings", self.table, self._show_table)

    def _show_table(self, columns: list[Numbers | Texts]) -> None:
        self.table.set_columns(columns)
        self.is_whole = True
        self.hand.show()

    def refresh_theme(self) -> None:
        """Draw the pictures in the colours of the theme."""
        if self.run is not None and self.report.isVisibleTo(self):
            self._pictures.refresh_theme()
            self.people.refresh_theme()

    def show_empty(self) -> None:
        """Say what to do."""
        self.run, self.report.run, self.is_whole = None, None, False
        self.people.clear()
        self._pictures.clear()
        self.card.clear(_EMPTY)
        for widget in (*self._buttons, self.tabs):
            widget.hide()
        self._spring.show()
