"""One conversation with what every judge made of it, and what people said."""

from collections.abc import Mapping
from typing import Any, ClassVar

from PySide6.QtWidgets import QWidget

from auditor.desktop.panels.compared_unit import ComparedUnit, RunCard
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import ScoreBars, plain_label

_BARS_HEIGHT = 96


class JudgeCard(RunCard):
    """One judge's rating of a unit."""

    def __init__(self, letter: str, model: str) -> None:
        super().__init__(letter, model)
        self.bars = ScoreBars()
        self.bars.setMaximumHeight(_BARS_HEIGHT)
        self.explanation = plain_label(name="soft")
        self._layout.insertWidget(2, self.bars)
        self._layout.addWidget(self.explanation)

    def show_row(self, row: Mapping[str, Any] | None, first: Mapping[str, Any] | None) -> None:
        """Show a row of the ratings table."""
        for widget in (self.bars, self.difference, self.explanation):
            widget.hide()
        if row is None:
            self.numbers.setText("Not rated on this axis by this run.")
            return
        self.bars.show_row(row, first)
        self.bars.show()
        self.numbers.setText(
            f"Expected {row['expected']:.3f}, most probable {row['mode']}, entropy {row['entropy']:.3f} nats"
        )
        if first is not None:
            self.difference.setText(_difference_words(row, first))
            self.difference.show()
        if row["explanation"]:
            self.explanation.setText(f"{self.letter}'s words, not a proved reason: {row['explanation']}")
            self.explanation.show()


def _difference_words(rating: Mapping[str, Any], first: Mapping[str, Any]) -> str:
    difference = float(rating["expected"]) - float(first["expected"])
    arrow, words = ("▲", "higher") if difference > 0 else ("▼", "lower")
    said = f"{arrow} {abs(difference):.3f} {words} than A" if difference else "As A"
    if rating["mode"] != first["mode"]:
        return f"{said}; most probable {rating['mode']} instead of {first['mode']}"
    return f"{said}; the same most probable score"


class ComparedRating(ComparedUnit):
    """A conversation on one axis."""

    task: ClassVar[str] = "compared_unit"
    of_both: ClassVar[str] = "ratings"
    card: ClassVar[type[RunCard]] = JudgeCard

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.people = plain_label()
        self._cards.insertWidget(0, self.people)

    def _question(self, row: Mapping[str, Any]) -> dict[str, str]:
        return {"axis": str(row["axis"])}

    def _named(self, row: Mapping[str, Any]) -> str:
        return f"{row['id']} (row {int(row['row_a']):,}), {str(row['axis']).replace('_', ' ')}"

    def _fill(self, found: Mapping[str, Any]) -> None:
        self.people.setText(found["people"])
