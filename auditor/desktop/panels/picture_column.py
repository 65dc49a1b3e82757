"""Pictures one below the other, each of which can be saved."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QLayout, QVBoxLayout

from auditor.desktop.session import Session
from auditor.desktop.widgets.figure import FigureCard


class PictureColumn(QVBoxLayout):
    """A column of pictures that a task has drawn.

    Parameters
    ----------
    export : str
        Name of the task that saves one of them, or its data, by the ending of a path.
    """

    def __init__(self, session: Session, export: str) -> None:
        super().__init__()
        self._session, self._task = session, export
        self._asked: dict[str, Any] = {}
        self.cards: list[FigureCard] = []

    def show_pictures(self, pictures: Sequence[dict[str, Any]], asked: Mapping[str, Any]) -> None:
        """Show pictures, and what was asked for to get them: a saved one is drawn from the same, in light colours."""
        self.take_away()
        self._asked = dict(asked)
        self.cards = [FigureCard(picture, self.export) for picture in pictures]
        for card in self.cards:
            self.addWidget(card)

    def take_away(self) -> None:
        """Show none."""
        self.cards = []
        empty(self)

    def export(self, name: str, path: Path) -> None:
        """Save a picture, or its data."""
        asked = {**self._asked, "theme": "light", "name": name, "path": str(path)}
        said = self._session.said
        self._session.asker.ask(self._task, asked, lambda done: said.emit(f"Saved {done['path']}."), said.emit)


def empty(layout: QLayout) -> None:
    """Take everything out of a layout."""
    while (item := layout.takeAt(0)) is not None:
        if widget := item.widget():
            widget.hide()
            widget.deleteLater()
