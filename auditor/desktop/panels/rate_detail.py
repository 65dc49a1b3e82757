"""The right part of the Rate panel: one conversation with the judge's scores and what people gave it."""

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from auditor.desktop import theme
from auditor.desktop.panels.hand_queue import score_words
from auditor.desktop.panels.rate_judge import JudgeCard
from auditor.desktop.panels.run_detail import RunDetail
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import PlainTurns, plain_label
from auditor.runs.directory import RunDirectory

_EMPTY = "Select a row of the ratings to see the conversation, its scores and where they come from."


class RateDetail(RunDetail):
    """One row of the ratings table.

    Signals
    -------
    rate_wanted(int, str)
        Row and axis from which a person wants to rate by hand.
    """

    rate_wanted = Signal(int, str)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self._run: RunDirectory | None = None
        self._row: Mapping[str, Any] | None = None
        self._shown: Sequence[Sequence[str]] = ()
        self._seen: dict[str, set[tuple[int, str]]] = {}
        self.heading = plain_label(_EMPTY, name="soft")
        self.turns = PlainTurns()
        self.judge = JudgeCard(session)
        self.own = plain_label(name="soft")
        self.rate = theme.icon_button("note", "Rate by hand from here")
        self.rate.setToolTip("Opens this conversation in large, with keys 1 to 5; the judge's scores are hidden there.")
        self.rate.clicked.connect(self._want_rating)
        self._layout.addWidget(self.heading)
        self._layout.addWidget(self.turns, 1)
        self._parts = (self.turns, self.judge, self.own, self.rate)
        for widget in self._parts[1:]:
            self._layout.addWidget(widget)
        self._layout.addWidget(self._spring, 1)
        session.judged.connect(self._show_own)
        self.clear()

    def clear(self) -> None:
        """Show nothing."""
        self._row = None
        self.heading.setText(_EMPTY)
        for widget in self._parts:
            widget.hide()
        self._spring.show()

    def show_row(self, run: RunDirectory, row: Mapping[str, Any]) -> None:
        """Show a row; the conversation is read from the run's input."""
        same = self._run is not None and self._row is not None and self._run.path == run.path
        is_new_text = not (same and self._row is not None and self._row["row"] == row["row"])
        self._run, self._row = run, row
        self.heading.setText(f"{row['id']} (row {int(row['row']):,}), {row['axis'].replace('_', ' ')}")
        self._spring.hide()
        for widget in self._parts:
            widget.show()
        self.judge.show_row(run, row)
        self._seen.setdefault(run.path.name, set()).add((int(row["row"]), str(row["axis"])))
        self._show_own(run.path.name)
        if is_new_text:
            self.turns.clear()
            asked = {"run_dir": str(run.path), "row": int(row["row"])}
            self._session.asker.ask("unit", asked, self._show_parts, self._show_missing)

    def seen(self, run_id: str) -> set[tuple[int, str]]:
        """Rows and axes of a run of which the judge's scores were shown here."""
        return self._seen.get(run_id, set())

    def refresh_theme(self) -> None:
        """Draw text and bars in the colours of the theme."""
        self.turns.show_parts(self._shown)
        self.judge.refresh_theme()

    def _show_parts(self, found: dict[str, Any]) -> None:
        if self._row is not None and found["row"] == int(self._row["row"]):
            self._shown = found["parts"]
            self.turns.show_parts(found["parts"])

    def _show_missing(self, sentence: str) -> None:
        self.turns.show_parts([("Not shown", sentence)])

    def _show_own(self, run_id: str) -> None:
        case = self._session.case
        if case is None or self._run is None or self._row is None or self._run.path.name != run_id:
            return
        unit, axis = str(int(self._row["row"])), self._row["axis"]
        said = [
            record.body
            for record in case.human_ratings(run_id)
            if record.body["unit"] == unit and record.body["axis"] == axis
        ]
        self.own.setText(f"People: {score_words(said)}" if said else "No human rating yet.")
        self.rate.setEnabled(case.writable and self._run.findings_file.exists())

    def _want_rating(self) -> None:
        if self._row is not None:
            self.rate_wanted.emit(int(self._row["row"]), str(self._row["axis"]))
