"""The middle of the Guard panel: verdict in words, pictures, attacks, flipped queries, demonstrations, thresholds."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from auditor.desktop.panels.guard_live import LiveAccuracy
from auditor.desktop.panels.run_results import RunResults
from auditor.desktop.session import Session
from auditor.desktop.widgets.columns import Numbers, Texts
from auditor.desktop.widgets.table import Table
from auditor.desktop.widgets.verdict import Tone
from auditor.runs.directory import RunDirectory
from auditor.runs.executor import RunStatus

_EMPTY = (
    "Drop labelled queries, choose demonstrations and a model, and press Run. Attacks corrupt the demonstrations; the run shows "
    "how far they pull the model below zero-shot, and certifies from which confidence on demonstrations may be used. To see how "
    "it works, press “Use the sample”."
)
#: Tables of a run that the tabs show: tab, and what an empty filter says.
_TABLES = {
    "conditions": ("Attacks", "Filter: text, or risk_guarded > 0.05; several with ;"),
    "flipped": ("Flipped queries", "Filter: text, or drop > 0.2; several with ;"),
    "influence": ("Demonstrations", "Filter: text, or influence < 0; several with ;"),
    "risk_curve": ("Thresholds", "Filter: text, or lambda > 0.8; several with ;"),
    "queries": ("All answers", "Filter: text, or exit < 20; several with ;"),
}
#: Columns that are looked at first, however the tables order them.
_FIRST = {
    "conditions": (
        *("condition", "accuracy_zero_shot", "accuracy_unguarded", "accuracy_guarded", "risk_guarded", "harm_guarded"),
        *(
            "n_corrupted",
            "risk_unguarded",
            "harm_unguarded",
            "lost_benefit",
            "fallback",
            "mean_exit",
            "layer_passes",
            "n",
        ),
    ),
    "flipped": ("label", "zero_shot", "unguarded", "guarded", "text", "condition", "change", "drop"),
    "influence": ("influence", "low", "high", "word", "corrupted", "text", "accuracy_change"),
    "risk_curve": ("lambda", "passed", "p_value", "risk", "low", "high", "risk_test", "harm", "benefit"),
    "queries": ("query_id", "label", "zero_shot", "unguarded", "guarded", "condition", "exit"),
}
_P_DECIMALS = 4


class GuardResults(RunResults):
    """What came out of one guard run.

    Signals
    -------
    query_selected(object)
        (row of the file, condition) of the answer that was selected, None for none.
    """

    query_selected = Signal(object)

    tones: ClassVar[Mapping[str, Tone]] = {**RunResults.tones, "certified": "good", "not certified": "alert"}

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, "guard", _EMPTY, parent=parent)
        self.live = LiveAccuracy()
        self.tables = {name: Table(title) for name, (title, _) in _TABLES.items()}
        for name, (_, words) in _TABLES.items():
            self.tables[name].filter.setPlaceholderText(words)
        for name in ("flipped", "queries"):
            self.tables[name].selected.connect(lambda row, table=name: self._select(table, row))
        self._add_tab(self.live, "So far", live=True, finished=False)
        self._add_tab(self.pictures, "Pictures")
        for name, (title, _) in _TABLES.items():
            self._add_tab(self.tables[name], title)
        self.show_empty()

    def show_live(self, run: RunDirectory) -> None:
        """Begin to show a run that is under way; its accuracies settle as it goes."""
        super().show_live(run)
        self.live.begin()

    def _take_live(self, events: Sequence[Mapping[str, Any]]) -> None:
        self.live.take_events(events)

    def _show_unfinished(self, status: RunStatus) -> None:
        done = f"{status.done:,} of {status.total:,} prompts" if status.total else ""
        if status.state.is_live:
            words = status.message or "Working"
            self.verdict.setText(f"{words}{': ' if done else ''}{done} …")
        else:
            words = status.message or f"{status.state.value.capitalize()}."
            self.verdict.setText(f"{words} {done} were asked." if status.done and done else words)
        self.card.show_facts(self.live.sentence)
        # Nothing to draw: the curves would be an empty frame.
        self._set_tabs_shown(status.state.is_live or bool(self.live.sentence))

    def _facts(self, findings: Mapping[str, Any]) -> str:
        pools, readout = findings["pools"], findings["readout"]
        return (
            f"Model {findings['model_name']} ({findings['model_sha256'][:12]}…) by {findings['backend']} in "
            f"{findings['dtype']}, {readout['n_exits']} exits; {pools['n_calibration']:,} calibration and "
            f"{pools['n_test']:,} test queries, {pools['n_per_prompt']} {pools['demonstrations']} demonstrations; seed "
            f"{findings['provenance']['seed']}."
        )

    def _show_table(self, name: str, columns: list[Numbers | Texts]) -> None:
        for column in columns:
            if isinstance(column, Numbers) and column.name == "p_value":
                column.decimals = _P_DECIMALS
        first = {wanted: place for place, wanted in enumerate(_FIRST[name])}
        super()._show_table(name, sorted(columns, key=lambda column: first.get(column.name, len(first))))
        self.is_whole = name == "queries" or self.is_whole

    def _select(self, table: str, shown: int) -> None:
        model = self.tables[table].model
        if not 0 <= shown < model.rowCount():
            self.query_selected.emit(None)
            return
        self.query_selected.emit((int(model.value(shown, "row")), str(model.value(shown, "condition"))))
