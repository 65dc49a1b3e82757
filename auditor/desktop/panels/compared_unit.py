"""The right part of the Compare panel: one unit with what both runs made of it; each audit has its own cards."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QSplitter, QVBoxLayout, QWidget

from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import PlainTurns, plain_label
from auditor.desktop.widgets.pane import ScrollPane

_EMPTY = "Select a row of the table to see its text, and what both runs made of it side by side."


class RunCard(QFrame):
    """What one run made of a unit.

    Parameters
    ----------
    letter, model : str
        What the comparison calls the run, and its model.
    """

    def __init__(self, letter: str, model: str) -> None:
        super().__init__()
        self.setObjectName("card")
        self.letter = letter
        self.heading = plain_label(f"{letter}  {model}", name="heading")
        self.difference = plain_label(name="state")
        self.numbers = plain_label()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(8, 6, 8, 6)
        self._layout.setSpacing(4)
        for widget in (self.heading, self.difference, self.numbers):
            self._layout.addWidget(widget)

    def show_row(self, row: Mapping[str, Any] | None, first: Mapping[str, Any] | None) -> None:
        """Show what the run made of the unit, None if nothing; `first` is what A made of it, None for A itself."""
        raise NotImplementedError


class ComparedUnit(QWidget):
    """One unit of a comparison.

    Signals
    -------
    shown()
        There is something to see.

    Attributes
    ----------
    task : str
        Answers what both runs made of a unit: the rows as asked, parts of its text, and what each made of it.
    of_both : str
        Field of the answer with what each run made of it, A first; None for a run that made nothing.
    card : type of RunCard
        Shows one of them.
    heights : tuple of int
        Of the texts and of the cards below them, before anybody moves what parts them.
    cards : list of RunCard
        A first.
    """

    task: ClassVar[str]
    of_both: ClassVar[str]
    card: ClassVar[type[RunCard]]
    heights: ClassVar[tuple[int, int]] = (230, 560)

    shown = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._asked: dict[str, Any] | None = None
        self._runs: list[str] = []
        self._parts_shown: Sequence[Sequence[str]] = ()
        self.cards: list[RunCard] = []
        self.heading = plain_label(_EMPTY, name="soft")
        self.turns = PlainTurns()
        self.turns.setMinimumHeight(90)
        inner = QWidget()
        self._cards = QVBoxLayout(inner)
        self._cards.setContentsMargins(0, 6, 6, 0)
        self._cards.addStretch(1)
        self.parts = QSplitter(Qt.Orientation.Vertical)
        self.parts.addWidget(self.turns)
        self.parts.addWidget(ScrollPane(inner))
        self.parts.setChildrenCollapsible(False)
        self.parts.setSizes(list(self.heights))
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
        self._session.asker.drop(self.task)
        self.heading.setText(_EMPTY)
        self.parts.hide()
        self._spring.show()

    def set_runs(self, runs: Sequence[Mapping[str, str]]) -> None:
        """Make room for the runs of another pair.

        Parameters
        ----------
        runs : sequence of mapping
            letter, run and model of each, A first.
        """
        for card in self.cards:
            card.hide()
            card.deleteLater()
        self._runs = [run["run"] for run in runs]
        self.cards = [self.card(run["letter"], run["model"]) for run in runs]
        for place, card in enumerate(self.cards, start=self._cards.count() - 1):
            self._cards.insertWidget(place, card)
        self.clear()

    def show_row(self, row: Mapping[str, Any]) -> None:
        """Show the unit of a row of the table; its text and what the runs made of it are read from them."""
        case = self._session.case
        if case is None:
            return
        rows = [int(row["row_a"]), int(row["row_b"])]
        self._asked = {"case": str(case.path), "runs": self._runs, "rows": rows, **self._question(row)}
        self.heading.setText(self._named(row))
        self._session.asker.ask(self.task, self._asked, self._show, self._show_missing)

    def _question(self, row: Mapping[str, Any]) -> dict[str, str]:
        """What is asked beside the rows; the answer repeats it."""
        raise NotImplementedError

    def _named(self, row: Mapping[str, Any]) -> str:
        raise NotImplementedError

    def _show(self, found: dict[str, Any]) -> None:
        if self._asked is None or any(found.get(name) != self._asked[name] for name in self._asked if name in found):
            return
        self._fill(found)
        first, *others = found[self.of_both]
        self.cards[0].show_row(first, None)
        for card, other in zip(self.cards[1:], others, strict=True):
            card.show_row(other, first)
        if self._parts_shown != found["parts"] or not self.turns.toPlainText():
            self._parts_shown = found["parts"]
            self.turns.show_parts(self._parts_shown)
        self._spring.hide()
        self.parts.show()
        self.shown.emit()

    def _fill(self, found: Mapping[str, Any]) -> None:
        """Show what stands beside the cards, if anything does."""

    def _show_missing(self, sentence: str) -> None:
        self.heading.setText(f"{self.heading.text()}\n{sentence}")
        self.shown.emit()

    def refresh_theme(self) -> None:
        """Draw text and cards in the colours of the theme."""
        self.turns.show_parts(self._parts_shown)
        for card in self.cards:
            card.update()
