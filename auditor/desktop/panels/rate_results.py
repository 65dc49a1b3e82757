"""The middle of the Rate panel: verdict in words, then pictures, then the table of ratings, live or finished."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from PySide6.QtCore import QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QMenu,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from auditor.desktop import theme
from auditor.desktop.panels.rate_people import RatePeople
from auditor.desktop.session import Session
from auditor.desktop.widgets.columns import Numbers, Texts, read_columns
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.figure import FigureCard
from auditor.desktop.widgets.pane import ScrollPane
from auditor.desktop.widgets.table import Table
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
        self.state = plain_label(name="state")
        self.state.hide()
        self.verdict = plain_label(_EMPTY, name="verdict")
        self.alert = plain_label(name="alert")
        self.alert.hide()
        self.facts = plain_label(name="soft")
        self.facts.hide()
        self.report = theme.icon_button("report", "Report")
        menu = QMenu(self.report)
        menu.addAction("As HTML…", lambda: self._ask_report("html"))
        menu.addAction("As PDF…", lambda: self._ask_report("pdf"))
        self.report.setMenu(menu)
        self.report.hide()
        self.resume = theme.icon_button("resume", "Resume")
        self.resume.clicked.connect(self._resume)
        self.resume.hide()
        self.hand = theme.icon_button("people", "Rate by hand")
        self.hand.clicked.connect(self.hand_wanted)
        self.hand.hide()
        self.people = RatePeople(session)
        card = QFrame()
        card.setObjectName("verdictCard")
        inside = QVBoxLayout(card)
        inside.setContentsMargins(14, 12, 12, 12)
        inside.addWidget(self.state)
        inside.addWidget(self.verdict)
        inside.addWidget(self.alert)
        inside.addWidget(self.facts)
        below = QHBoxLayout()
        below.addStretch(1)
        below.addWidget(self.resume)
        below.addWidget(self.hand)
        below.addWidget(self.report)
        inside.addLayout(below)
        self.table = Table("Ratings")
        self.table.selected.connect(self.row_selected)
        self._pictures = QWidget()
        self._pictures_layout = QVBoxLayout(self._pictures)
        self._pictures_layout.setContentsMargins(0, 0, 8, 0)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.tabBar().setDrawBase(False)
        self.tabs.addTab(ScrollPane(self._pictures), "Pictures")
        self.tabs.addTab(self.table, "Ratings")
        self.tabs.addTab(self.people, "People")
        self.tabs.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 14, 14, 10)
        layout.addWidget(card)
        layout.addWidget(self.tabs, 1)
        self._spring = QWidget()
        layout.addWidget(self._spring, 1)

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
        self.run, self.is_whole = run, False
        self.people.clear()
        self._spring.hide()
        self.tabs.show()
        for widget in (self.state, self.alert, self.facts, self.report, self.resume, self.hand):
            widget.hide()
        self._clear_pictures()

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
                self.alert.setText(event["message"])
                self.alert.show()

    def show_status(self, status: RunStatus) -> None:
        """Say where an unfinished run stands."""
        self._show_state(status.state.value)
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
        self._show_state(findings["verdict"]["state"])
        self.verdict.setText(findings["verdict"]["sentence"])
        self.alert.setText("\n".join(caution["message"] for caution in findings["warnings"]))
        self.alert.setVisible(bool(findings["warnings"]))
        self.facts.setText(
            f"Rubric {findings['rubric']['name']} ({findings['rubric_sha256'][:12]}…), model {findings['model_name']} "
            f"{findings['model_quantisation']} ({findings['model_sha256'][:12]}…), seed {findings['provenance']['seed']}."
        )
        self.facts.show()
        self.report.show()
        for place in (0, 2):
            self.tabs.setTabVisible(place, True)
        self.tabs.setCurrentIndex(0)
        self.people.show_run(run)
        self._ask_pictures()
        self._ask_table()

    def _show_state(self, state: str) -> None:
        self.state.setText(f"● {state[:1].upper()}{state[1:]}")
        self.state.show()

    def _ask_pictures(self) -> None:
        if self.run is not None:
            asked = {"run_dir": str(self.run.path), "theme": theme.current().name}
            self._session.asker.ask("pictures", asked, self._show_pictures, self._session.said.emit)

    def _show_pictures(self, pictures: list[dict[str, Any]]) -> None:
        self._clear_pictures()
        for picture in pictures:
            self._pictures_layout.addWidget(FigureCard(picture, self._export))
        self._pictures_layout.addStretch(1)

    def _clear_pictures(self) -> None:
        while (item := self._pictures_layout.takeAt(0)) is not None:
            if widget := item.widget():
                widget.hide()
                widget.deleteLater()

    def refresh_theme(self) -> None:
        """Draw the pictures in the colours of the theme."""
        if self.run is not None and self.report.isVisibleTo(self):
            self._ask_pictures()
            self.people.refresh_theme()

    def _export(self, name: str, path: Path) -> None:
        assert self.run is not None
        asked = {"run_dir": str(self.run.path), "theme": "light", "name": name, "path": str(path)}
        self._session.asker.ask(
            "picture_export",
            asked,
            lambda done: self._session.said.emit(f"Saved {done['path']}."),
            self._session.said.emit,
        )

    def _ask_table(self) -> None:
        assert self.run is not None
        folder = Path(tempfile.mkdtemp(prefix="auditor-table-"))

        def shown(found: dict[str, Any]) -> None:
            def ready(columns: list[Numbers | Texts]) -> None:
                shutil.rmtree(folder, ignore_errors=True)
                self.table.set_columns(columns)
                self.is_whole = True
                self.hand.show()

            self.table.background.do(lambda: read_columns(folder, found["columns"]), ready, failed)

        def failed(sentence: str) -> None:
            shutil.rmtree(folder, ignore_errors=True)
            self._session.said.emit(sentence)

        asked = {"run_dir": str(self.run.path), "table": "ratings", "folder": str(folder)}
        self._session.asker.ask("table", asked, shown, failed)

    def _ask_report(self, kind: str) -> None:
        assert self.run is not None
        name, _ = QFileDialog.getSaveFileName(self, "Save report", f"report.{kind}", f"{kind.upper()} (*.{kind})")
        if name:
            self.save_report(kind, Path(name))

    def save_report(self, kind: str, path: Path) -> None:
        """Write the report and open it."""
        case = self._session.case
        if self.run is None or case is None:
            return
        asked = {"case": str(case.path), "run": self.run.path.name, kind: str(path)}
        self._session.asker.ask("report", asked, self._show_report, self._session.said.emit)

    def _show_report(self, files: list[str]) -> None:
        self._session.said.emit(f"Saved {files[0]}.")
        if self._session.settings.value("open_reports", True, bool):
            QDesktopServices.openUrl(QUrl.fromLocalFile(files[0]))

    def show_empty(self) -> None:
        """Say what to do."""
        self.run, self.is_whole = None, False
        self.people.clear()
        self.verdict.setText(_EMPTY)
        for widget in (self.state, self.alert, self.facts, self.report, self.resume, self.hand, self.tabs):
            widget.hide()
        self._spring.show()
