"""The right part of an audit's panel: what is selected."""

from PySide6.QtWidgets import QVBoxLayout, QWidget

from auditor.desktop.session import Session


class RunDetail(QWidget):
    """One row of what came out.

    A subclass adds its parts above `_spring`, which takes the room while they are hidden, and calls `clear` at the
    end of its construction.
    """

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(14, 14, 14, 10)
        self._spring = QWidget()

    def clear(self) -> None:
        """Say what to select."""
        raise NotImplementedError

    def refresh_theme(self) -> None:
        """Draw in the colours of the theme."""
