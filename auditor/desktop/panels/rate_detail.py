"""The right part of the Rate panel: one conversation with its scores, and a person's own rating by keyboard."""

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import PlainTurns, ScoreBars, plain_label
from auditor.runs.directory import RunDirectory

_EMPTY = "Select a row of the ratings to see the conversation, its scores and where they come from."


class RateDetail(QWidget):
    """One row of the ratings table.

    Signals
    -------
    rated()
        A person's rating was committed; the next row should come into view.
    """

    rated = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._run: RunDirectory | None = None
        self._row: Mapping[str, Any] | None = None
        self._last: str | None = None
        self._shown: Sequence[Sequence[str]] = ()
        self.heading = plain_label(_EMPTY, name="soft")
        self.turns = PlainTurns()
        self.bars = ScoreBars()
        self.numbers = plain_label()
        self.explanation = plain_label(name="soft")
        self.source = plain_label(name="help")
        self.rater = QLineEdit(str(session.settings.value("rater", "")))
        self.rater.setPlaceholderText("Your name, kept with your ratings")
        self.rater.setAccessibleName("Rater")
        self.rater.editingFinished.connect(lambda: session.settings.setValue("rater", self.rater.text()))
        self.own = plain_label(name="soft")
        self._rating = QFrame()
        box = QVBoxLayout(self._rating)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(plain_label("Your rating: keys 1 to 5 rate and go on, U withdraws the last", name="help"))
        box.addWidget(self.rater)
        keys = QHBoxLayout()
        for score in range(1, 6):
            button = QPushButton(str(score))
            button.setAccessibleName(f"Rate {score}")
            button.setMinimumWidth(30)
            button.clicked.connect(lambda _checked=False, score=score: self.rate(score))
            keys.addWidget(button)
        box.addLayout(keys)
        box.addWidget(self.own)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 14, 14, 10)
        layout.addWidget(self.heading)
        layout.addWidget(self.turns, 1)
        for widget in (self.bars, self.numbers, self.explanation, self.source, self._rating):
            layout.addWidget(widget)
        self._parts = (self.turns, self.bars, self.numbers, self.explanation, self.source, self._rating)
        self._spring = QWidget()
        layout.addWidget(self._spring, 1)
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
        self.bars.show_row(row)
        self.numbers.setText(
            f"Expected {row['expected']:.3f}, most probable {int(row['mode'])}, entropy {row['entropy']:.3f} nats"
        )
        self.explanation.setText(f"Judge: {row['explanation']}" if row["explanation"] else "")
        left_out = f" {int(row['truncated_turns'])} earliest turns were left out." if row["truncated_turns"] else ""
        self.source.setText(
            f"Expected = Σ i·p(i) over the five digit logits after “Rating:”. From run {run.path.name}.{left_out}"
        )
        self._spring.hide()
        for widget in self._parts:
            widget.show()
        self.explanation.setVisible(bool(row["explanation"]))
        self._show_own()
        if is_new_text:
            self.turns.clear()
            asked = {"run_dir": str(run.path), "row": int(row["row"])}
            self._session.asker.ask("unit", asked, self._show_parts, self._show_missing)

    def refresh_theme(self) -> None:
        """Draw text and bars in the colours of the theme."""
        self.turns.show_parts(self._shown)
        self.bars.update()

    def _show_parts(self, found: dict[str, Any]) -> None:
        if self._row is not None and found["row"] == int(self._row["row"]):
            self._shown = found["parts"]
            self.turns.show_parts(found["parts"])

    def _show_missing(self, sentence: str) -> None:
        self.turns.show_parts([("Not shown", sentence)])

    def _show_own(self) -> None:
        case = self._session.case
        if case is None or self._run is None or self._row is None:
            return
        said = [
            f"{record.body['rater']}: {record.body['score']}"
            for record in case.human_ratings(self._run.path.name)
            if record.body["unit"] == str(int(self._row["row"])) and record.body["axis"] == self._row["axis"]
        ]
        self.own.setText("Human ratings: " + "; ".join(said) if said else "No human rating yet.")

    def rate(self, score: int) -> None:
        """Commit a person's rating of the row in view."""
        run, row, rater = self._run, self._row, self.rater.text().strip()
        if run is None or row is None:
            return
        if not rater:
            self._session.said.emit("Enter your name first: it is kept with your ratings.")
            self.rater.setFocus()
            return

        def commit(case: Any) -> None:
            self._last = case.add_human_rating(run.path.name, str(int(row["row"])), row["axis"], score, rater=rater)

        if self._session.commit(commit):
            self._show_own()
            self.rated.emit()

    def withdraw_last(self) -> None:
        """Withdraw the rating that was given last in this window."""
        last, rater = self._last, self.rater.text().strip()
        if last is None:
            return
        if self._session.commit(lambda case: case.withdraw_human_rating(last, rater=rater)):
            self._last = None
            self._session.said.emit("The last rating was withdrawn.")
            self._show_own()
