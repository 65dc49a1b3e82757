"""The middle of the Parity panel: verdict in words, pictures, queries, tests and effects, sensitivity; live or finished."""

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QSplitter, QTabWidget, QVBoxLayout, QWidget

from auditor.desktop import theme
from auditor.desktop.panels.parity_live import LivePValue, p_is, p_words
from auditor.desktop.panels.parity_monitor import ParityMonitor
from auditor.desktop.panels.run_pictures import RunPictures
from auditor.desktop.panels.run_report import ReportButton
from auditor.desktop.panels.run_table import load_table
from auditor.desktop.session import Session
from auditor.desktop.widgets.columns import Numbers, Texts
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.table import Table
from auditor.desktop.widgets.verdict import Tone, VerdictCard, VerdictPane
from auditor.errors import AuditorError, RunError
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.executor import RunStatus

_EMPTY = (
    "Drop the results of a search or recommendation system, say which column holds the protected attribute, and press Run. "
    "A permutation test answers whether the results depend on it, how much, and what could have been missed. To see how it "
    "works, press “Use the sample”; to plan an audit before there are data, press “Power…”."
)
_TONES: Mapping[str, Tone] = {"disparity detected": "alert", "parity within margin": "good", "failed": "alert"}
_P_COLUMNS = ("p_value", "p_low", "p_high", "adjusted_p")
#: Tables of a run that the tabs show, with what an empty filter says.
_TABLES = {
    "queries": "Filter: text, or deviation > 0.2; several with ;",
    "tests": "Filter: text, or p < 0.05; several with ;",
    "effects": "Filter: text, or value > 0.1; several with ;",
    "sensitivity": "Filter: text, or p < 0.05; several with ;",
}
#: Columns that are looked at first, however the tables order them.
_FIRST = {
    "queries": ("query_id", "group", "deviation", "value", "place"),
    "tests": ("attribute", "k", "family", "p_value", "adjusted_p", "p_low", "p_high"),
    "effects": ("title", "value", "low", "high", "unit"),
    "sensitivity": (),
}
#: Tables that share a tab.
_TITLES = {"effects": "Effects", "tests": "Tests"}
_LIVE, _PICTURES = 0, 1


class ParityResults(QWidget):
    """What came out of one run.

    Signals
    -------
    query_selected(str)
        Id of the query that was selected, empty for none.
    resume_wanted(object)
        Path of the run.
    """

    query_selected = Signal(str)
    resume_wanted = Signal(object)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.run: RunDirectory | None = None
        self.is_whole = False
        self.report = ReportButton(session)
        self.resume = theme.icon_button("resume", "Resume")
        self.resume.clicked.connect(self._resume)
        self.card = VerdictCard((self.resume, self.report))
        self.state, self.verdict, self.alert = self.card.state, self.card.verdict, self.card.alert
        self.facts = self.card.facts
        self.live = LivePValue()
        self.pictures = RunPictures(session, "parity")
        self.tables = {name: Table(name.capitalize(), _TITLES.get(name, "")) for name in _TABLES}
        for name, words in _TABLES.items():
            self.tables[name].filter.setPlaceholderText(words)
        self.tables["queries"].selected.connect(self._select)
        self.monitor = ParityMonitor(session)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.tabBar().setDrawBase(False)
        self.tabs.addTab(self.live, "So far")
        self.tabs.addTab(self.pictures, "Pictures")
        self.tabs.addTab(self.tables["queries"], "Queries")
        self.tabs.addTab(self._tests_and_effects(), "Tests and effects")
        self.tabs.addTab(self._sensitivity(), "Sensitivity")
        self.tabs.addTab(self.monitor, "Over time")
        self._spring = QWidget()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 14, 14, 10)
        layout.addWidget(VerdictPane(self.card))
        layout.addWidget(self.tabs, 1)
        layout.addWidget(self._spring, 1)
        self.show_empty()

    def _tests_and_effects(self) -> QWidget:
        both = QSplitter(Qt.Orientation.Vertical)
        both.setChildrenCollapsible(False)
        for name in _TITLES:
            both.addWidget(self.tables[name])
        return both

    def _sensitivity(self) -> QWidget:
        part = QWidget()
        self.condition = plain_label(name="soft")
        self.tables["sensitivity"].selected.connect(self._show_condition)
        layout = QVBoxLayout(part)
        layout.setContentsMargins(0, 6, 0, 0)
        layout.addWidget(plain_label("How the answer changes with one thing changed.", name="soft"))
        layout.addWidget(self.tables["sensitivity"], 1)
        layout.addWidget(self.condition)
        return part

    def _begin(self, run: RunDirectory) -> None:
        self.show_empty()
        self.run = self.report.run = run
        self._spring.hide()
        self.tabs.show()

    def _show_tabs(self, *, is_live: bool) -> None:
        for place in range(self.tabs.count()):
            self.tabs.setTabVisible(place, (place == _LIVE) == is_live)
        self.tabs.setCurrentIndex(_LIVE if is_live else _PICTURES)

    def show_live(self, run: RunDirectory) -> None:
        """Begin to show a run that is under way; its events follow."""
        self._begin(run)
        asked = run.spec().spec
        self.live.begin(int(asked.get("permutations", 9_999)), float(asked.get("alpha", 0.05)))
        self.verdict.setText("The run is starting …")
        self._show_tabs(is_live=True)

    def take_events(self, events: list[dict[str, Any]]) -> None:
        """Take in events of the run in view."""
        self.live.take_events(events)
        warnings = [event["message"] for event in events if event["kind"] == "warning"]
        if warnings:
            self.card.show_alerts([*self.card.alerts, *warnings])

    def show_status(self, status: RunStatus) -> None:
        """Say where an unfinished run stands, with the answer so far."""
        state = status.state
        self.card.show_state(state.value, _TONES.get(state.value, ""))
        if state.is_live:
            words = f"{status.message or 'Working'} …"
            self.verdict.setText(f"{self.live.sentence or words}")
            done = f": {status.done:,} of {status.total:,}" if status.total else ""
            self.card.show_facts(f"{status.message or 'Working'}{done}" if self.live.sentence else "")
        elif state is not RunState.DONE:
            self.verdict.setText(status.message or state.value.capitalize())
            self.card.show_facts(self.live.sentence)
        self.resume.setVisible(state.is_resumable and not state.is_live)
        # Nothing to draw: the curve would be an empty frame.
        self.tabs.setVisible(state.is_live or bool(self.live.sentence))
        self._spring.setVisible(not self.tabs.isVisibleTo(self))

    def show_finished(self, run: RunDirectory) -> None:
        """Show findings, pictures and tables."""
        self._begin(run)
        self._show_tabs(is_live=False)
        try:
            findings = run.findings()
            facts = _facts(findings)
        except AuditorError as error:
            self.verdict.setText(str(error))
            return
        except (KeyError, TypeError):
            self.verdict.setText(str(RunError(f"The findings of run {run.path.name} are damaged.")))
            return
        state = findings["verdict"]["state"]
        self.card.show_state(state, _TONES.get(state, ""))
        self.verdict.setText(findings["verdict"]["sentence"])
        self.card.show_alerts([caution["message"] for caution in findings["warnings"]])
        self.card.show_facts(facts)
        self.report.show()
        self.pictures.show_run(run)
        self.monitor.show_case()
        there = {table["name"] for table in findings["tables"]}
        for name in self.tables:
            if name in there:
                load_table(self._session, run, name, self.tables[name], self._shower(name))
            else:
                self.tables[name].set_columns([])

    def _shower(self, name: str) -> Any:
        def show(columns: list[Numbers | Texts]) -> None:
            for column in columns:
                if isinstance(column, Numbers) and column.name in _P_COLUMNS:
                    # 1 / (B + 1) must not look like 0.
                    column.decimals = 4
            first = {wanted: place for place, wanted in enumerate(_FIRST[name])}
            self.tables[name].set_columns(sorted(columns, key=lambda column: first.get(column.name, len(first))))
            if name == "queries":
                self.is_whole = True
                self._sort_by_place()

        return show

    def _sort_by_place(self) -> None:
        table = self.tables["queries"]
        place = table.model.column_index("place")
        table.view.sortByColumn(place, Qt.SortOrder.AscendingOrder)

    def _select(self, shown: int) -> None:
        model = self.tables["queries"].model
        self.query_selected.emit(str(model.value(shown, "query_id")) if 0 <= shown < model.rowCount() else "")

    def _show_condition(self, shown: int) -> None:
        model = self.tables["sensitivity"].model
        self.condition.setText(str(model.value(shown, "detail")) if 0 <= shown < model.rowCount() else "")

    def _resume(self) -> None:
        if self.run is not None:
            self.resume_wanted.emit(self.run.path)

    def refresh_theme(self) -> None:
        """Draw the pictures in the colours of the theme."""
        self.live.update()
        if self.run is not None and self.report.isVisibleTo(self):
            self.pictures.refresh_theme()
            self.monitor.refresh_theme()

    def show_empty(self) -> None:
        """Say what to do."""
        self.run, self.report.run, self.is_whole = None, None, False
        self.pictures.clear()
        self.monitor.clear()
        for name, table in self.tables.items():
            self._session.asker.drop(f"table {name}")
            table.set_columns([])
        self.condition.setText("")
        self.card.clear(_EMPTY)
        for widget in (self.resume, self.report, self.tabs):
            widget.hide()
        self._spring.show()

    def finish(self) -> None:
        """Wait for sorts that are under way."""
        for table in self.tables.values():
            table.finish()


def _facts(findings: Mapping[str, Any]) -> str:
    """What the verdict rests on, in a line or two."""
    test = findings["primary"]
    within = f"first {findings['k']:,} results" if findings["k"] else "all results"
    monte_carlo = f"99% Monte Carlo interval {p_words(test['p_low'])} to {p_words(test['p_high'])}"
    parts = [
        f"Mode {findings['mode']}, {findings['n_queries']:,} queries, {within} of each",
        f"{p_is(test['p_value'])} ({test['n_permutations']:,} relabellings, {monte_carlo})",
    ]
    least = findings["minimum_detectable_effect"]
    if least is not None:
        parts.append(f"smallest detectable effect {least:.2g} {findings['effects'][0]['unit']}")
    left_out = sum(findings["excluded"]["slots_by_reason"].values()) + findings["excluded"]["slots_without_attribute"]
    parts.append(f"{left_out:,} results left out" if left_out else "no result left out")
    margin = findings["margin"]
    parts.append(f"margin {margin:g}" if margin is not None else "no margin declared")
    return f"{' · '.join(parts)} · seed {test['seed']}."
