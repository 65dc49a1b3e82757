"""The middle of the Parity panel: verdict in words, pictures, queries, tests and effects, sensitivity; live or finished."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QSplitter, QVBoxLayout, QWidget

from auditor.desktop.panels.parity_live import LivePValue, p_is, p_words
from auditor.desktop.panels.parity_monitor import ParityMonitor
from auditor.desktop.panels.run_results import RunResults
from auditor.desktop.session import Session
from auditor.desktop.widgets.columns import Numbers, Texts
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.table import Table
from auditor.desktop.widgets.verdict import Tone
from auditor.runs.directory import RunDirectory
from auditor.runs.executor import RunStatus

_EMPTY = (
    "Drop the results of a search or recommendation system, say which column holds the protected attribute, and press Run. "
    "A permutation test answers whether the results depend on it, how much, and what could have been missed. To see how it "
    "works, press “Use the sample”; to plan an audit before there are data, press “Power…”."
)
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


class ParityResults(RunResults):
    """What came out of one test for parity.

    Signals
    -------
    query_selected(str)
        Id of the query that was selected, empty for none.
    """

    query_selected = Signal(str)

    tones: ClassVar[Mapping[str, Tone]] = {
        **RunResults.tones,
        "disparity detected": "alert",
        "parity within margin": "good",
    }

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, "parity", _EMPTY, parent=parent)
        self.live = LivePValue()
        self.tables = {name: Table(name.capitalize(), _TITLES.get(name, "")) for name in _TABLES}
        for name, words in _TABLES.items():
            self.tables[name].filter.setPlaceholderText(words)
        self.tables["queries"].selected.connect(self._select)
        self.monitor = ParityMonitor(session)
        self._add_tab(self.live, "So far", live=True, finished=False)
        self._add_tab(self.pictures, "Pictures")
        self._add_tab(self.tables["queries"], "Queries")
        self._add_tab(self._tests_and_effects(), "Tests and effects")
        self._add_tab(self._sensitivity(), "Sensitivity")
        self._add_tab(self.monitor, "Over time")
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

    def show_live(self, run: RunDirectory) -> None:
        """Begin to show a run that is under way; its p-value sharpens as it goes."""
        super().show_live(run)
        asked = run.spec().spec
        self.live.begin(int(asked.get("permutations", 9_999)), float(asked.get("alpha", 0.05)))

    def _take_live(self, events: Sequence[Mapping[str, Any]]) -> None:
        self.live.take_events(events)

    def _show_unfinished(self, status: RunStatus) -> None:
        state = status.state
        if state.is_live:
            words = f"{status.message or 'Working'} …"
            self.verdict.setText(self.live.sentence or words)
            done = f": {status.done:,} of {status.total:,}" if status.total else ""
            self.card.show_facts(f"{status.message or 'Working'}{done}" if self.live.sentence else "")
        else:
            super()._show_unfinished(status)
            self.card.show_facts(self.live.sentence)
        # Nothing to draw: the curve would be an empty frame.
        self._set_tabs_shown(state.is_live or bool(self.live.sentence))

    def _facts(self, findings: Mapping[str, Any]) -> str:
        return facts(findings)

    def _show_found(self, run: RunDirectory) -> None:
        self.monitor.show_case(run.path.name)

    def _show_table(self, name: str, columns: list[Numbers | Texts]) -> None:
        for column in columns:
            if isinstance(column, Numbers) and column.name in _P_COLUMNS:
                # 1 / (B + 1) must not look like 0.
                column.decimals = 4
        first = {wanted: place for place, wanted in enumerate(_FIRST[name])}
        super()._show_table(name, sorted(columns, key=lambda column: first.get(column.name, len(first))))
        if name == "queries":
            self.is_whole = True
            self._sort_by_place()

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

    def refresh_theme(self) -> None:
        """Draw the pictures in the colours of the theme."""
        super().refresh_theme()
        self.live.update()
        if self.is_finished:
            self.monitor.refresh_theme()

    def show_empty(self) -> None:
        """Say what to do."""
        self.monitor.clear()
        self.condition.setText("")
        super().show_empty()


def facts(findings: Mapping[str, Any]) -> str:
    """What the verdict rests on, in a line or two."""
    test = findings["primary"]
    within = f"first {findings['k']:,} results" if findings["k"] else "all results"
    parts = [
        f"Mode {findings['mode']}, {findings['n_queries']:,} queries, {within} of each",
        f"{p_is(test['p_value'])} ({_relabelled(test)})",
    ]
    least = findings["minimum_detectable_effect"]
    if least is not None:
        parts.append(f"smallest detectable effect {least:.2g} {findings['effects'][0]['unit']}")
    left_out = sum(findings["excluded"]["slots_by_reason"].values()) + findings["excluded"]["slots_without_attribute"]
    parts.append(f"{left_out:,} results left out" if left_out else "no result left out")
    margin = findings["margin"]
    parts.append(f"margin {margin:g}" if margin is not None else "no margin declared")
    return f"{' · '.join(parts)} · seed {test['seed']}."


def _relabelled(test: Mapping[str, Any]) -> str:
    """How p came about: from a known distribution, from all relabellings, or from those that were drawn."""
    if not test["n_permutations"]:
        return "exact, from the distribution itself"
    if test["p_low"] == test["p_high"]:
        return f"exact, all {test['n_permutations']:,} relabellings"
    bounds = f"99% Monte Carlo interval {p_words(test['p_low'])} to {p_words(test['p_high'])}"
    return f"{test['n_permutations']:,} relabellings, {bounds}"
