"""The right part of the Compare panel: one conversation with what every judge made of it, and what people said."""

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QSplitter, QVBoxLayout, QWidget

from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import PlainTurns, ScoreBars, plain_label
from auditor.desktop.widgets.pane import ScrollPane

_EMPTY = "Select a row of the ratings to see the conversation and the judges' scores of it side by side."
#: Height of the conversation and of the scores below it, before anybody moves what parts them.
_HEIGHTS = (230, 560)
_BARS_HEIGHT = 96


class _Judge(QFrame):
    """One judge's rating of a unit."""

    def __init__(self, letter: str, model: str) -> None:
        super().__init__()
        self.setObjectName("card")
        self._letter = letter
        self.heading = plain_label(f"{letter}  {model}", name="heading")
        self.bars = ScoreBars()
        self.bars.setMaximumHeight(_BARS_HEIGHT)
        self.numbers = plain_label()
        self.difference = plain_label(name="state")
        self.explanation = plain_label(name="soft")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.setSpacing(4)
        for widget in (self.heading, self.difference, self.bars, self.numbers, self.explanation):
            layout.addWidget(widget)

    def show_rating(self, rating: Mapping[str, Any] | None, first: Mapping[str, Any] | None) -> None:
        """Show a row of the ratings table; `first` is the same unit by judge A, None for A itself."""
        for widget in (self.bars, self.difference, self.explanation):
            widget.hide()
        if rating is None:
            self.numbers.setText("Not rated on this axis by this run.")
            return
        self.bars.show_row(rating, first)
        self.bars.show()
        self.numbers.setText(
            f"Expected {rating['expected']:.3f}, most probable {rating['mode']}, entropy {rating['entropy']:.3f} nats"
        )
        if first is not None:
            self.difference.setText(_difference_words(rating, first))
            self.difference.show()
        if rating["explanation"]:
            self.explanation.setText(f"{self._letter}'s words, not a proved reason: {rating['explanation']}")
            self.explanation.show()


def _difference_words(rating: Mapping[str, Any], first: Mapping[str, Any]) -> str:
    difference = float(rating["expected"]) - float(first["expected"])
    arrow, words = ("▲", "higher") if difference > 0 else ("▼", "lower")
    said = f"{arrow} {abs(difference):.3f} {words} than A" if difference else "As A"
    if rating["mode"] != first["mode"]:
        return f"{said}; most probable {rating['mode']} instead of {first['mode']}"
    return f"{said}; the same most probable score"


class CompareDetail(QWidget):
    """One unit of a comparison."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._asked: dict[str, Any] | None = None
        self._runs: list[str] = []
        self._shown: Sequence[Sequence[str]] = ()
        self.judges: list[_Judge] = []
        self.heading = plain_label(_EMPTY, name="soft")
        self.people = plain_label()
        self.turns = PlainTurns()
        self.turns.setMinimumHeight(90)
        inner = QWidget()
        self._judges = QVBoxLayout(inner)
        self._judges.setContentsMargins(0, 6, 6, 0)
        self._judges.addWidget(self.people)
        self._judges.addStretch(1)
        self.parts = QSplitter(Qt.Orientation.Vertical)
        self.parts.addWidget(self.turns)
        self.parts.addWidget(ScrollPane(inner))
        self.parts.setChildrenCollapsible(False)
        self.parts.setSizes(list(_HEIGHTS))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 14, 10, 10)
        layout.addWidget(self.heading)
        layout.addWidget(self.parts, 1)
        self._spring = QWidget()
        layout.addWidget(self._spring, 1)
        self.clear()

    def clear(self) -> None:
        """Show nothing."""
        self._asked = None
        self._session.asker.drop("compared_unit")
        self.heading.setText(_EMPTY)
        self.parts.hide()
        self._spring.show()

    def set_judges(self, judges: Sequence[Mapping[str, str]]) -> None:
        """Make room for the runs of another pair.

        Parameters
        ----------
        judges : sequence of mapping
            letter, run and model of each, A first.
        """
        for judge in self.judges:
            judge.hide()
            judge.deleteLater()
        self._runs = [judge["run"] for judge in judges]
        self.judges = [_Judge(judge["letter"], judge["model"]) for judge in judges]
        for place, judge in enumerate(self.judges):
            self._judges.insertWidget(place + 1, judge)
        self.clear()

    def show_unit(self, unit: str, rows: Sequence[int], axis: str) -> None:
        """Show a unit; the conversation and the judges' rows are read from the runs.

        Parameters
        ----------
        unit : str
            Id of the conversation.
        rows : sequence of int
            Its row in each run, A first.
        """
        case = self._session.case
        if case is None:
            return
        self._asked = {"case": str(case.path), "runs": self._runs, "rows": list(rows), "axis": axis}
        self.heading.setText(f"{unit} (row {rows[0]:,}), {axis.replace('_', ' ')}")
        self._session.asker.ask("compared_unit", self._asked, self._show, self._show_missing)

    def _show(self, found: dict[str, Any]) -> None:
        if self._asked is None or (found["rows"], found["axis"]) != (self._asked["rows"], self._asked["axis"]):
            return
        first, *others = found["ratings"]
        self.judges[0].show_rating(first, None)
        for judge, rating in zip(self.judges[1:], others, strict=True):
            judge.show_rating(rating, first)
        self.people.setText(found["people"])
        if self._shown != found["parts"] or not self.turns.toPlainText():
            self._shown = found["parts"]
            self.turns.show_parts(self._shown)
        self._spring.hide()
        self.parts.show()

    def _show_missing(self, sentence: str) -> None:
        self.heading.setText(f"{self.heading.text()}\n{sentence}")

    def refresh_theme(self) -> None:
        """Draw text and bars in the colours of the theme."""
        self.turns.show_parts(self._shown)
        for judge in self.judges:
            judge.bars.update()
