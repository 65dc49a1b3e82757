"""Pictures one below the other, each of which can be saved."""

from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QLayout, QVBoxLayout

from auditor.desktop.session import Session
from auditor.desktop.widgets.figure import FigureCard


class PictureColumn(QVBoxLayout):
    """A column of pictures that a task has drawn; they come one by one, so that the window lives meanwhile.

    Parameters
    ----------
    export : str
        Name of the task that saves one of them, or its data, by the ending of a path.
    """

    def __init__(self, session: Session, export: str) -> None:
        super().__init__()
        self._session, self._task = session, export
        self._asked: dict[str, Any] = {}
        self._waiting: deque[dict[str, Any]] = deque()
        # Fires once whatever else happens in the window has had its turn.
        self._turn = QTimer(self, singleShot=True, interval=0)
        self._turn.timeout.connect(self._show_next)
        self.cards: list[FigureCard] = []

    def show_pictures(self, pictures: Sequence[dict[str, Any]], asked: Mapping[str, Any]) -> None:
        """Show pictures, and what was asked for to get them: a saved one is drawn from the same, in light colours."""
        self.take_away()
        self._asked = dict(asked)
        self._waiting.extend(pictures)
        self._show_next()

    def _show_next(self) -> None:
        if self._waiting:
            card = FigureCard(self._waiting.popleft(), self.export)
            # Above whatever stands at the end of the column.
            self.insertWidget(len(self.cards), card)
            self.cards.append(card)
        if self._waiting:
            self._turn.start()

    @property
    def is_whole(self) -> bool:
        """Whether all pictures are there."""
        return not self._waiting

    def take_away(self) -> None:
        """Show none."""
        self._turn.stop()
        self._waiting.clear()
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
