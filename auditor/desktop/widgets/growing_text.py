"""A field for plain text that is as high as what stands in it."""

from math import ceil

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QPlainTextEdit, QWidget

_SPARE_PX = 4


class GrowingText(QPlainTextEdit):
    """Plain text over several lines; Tab leaves it, Ctrl+Z undoes.

    Parameters
    ----------
    name : str
        What stands here, for people who cannot see it.
    least, most : int
        Lines that are shown; above `most` it scrolls.
    """

    def __init__(self, name: str, *, least: int = 2, most: int = 10, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setTabChangesFocus(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._least, self._most = least, most
        self.document().documentLayout().documentSizeChanged.connect(lambda _size: self._fit())
        self.textChanged.connect(self._fit)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Another width wraps the text anew."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        # The layout of plain text measures its height in lines.
        needed = ceil(self.document().size().height())
        lines = min(max(needed, self._least), self._most)
        # Without room for a scroll bar a text that fits is never scrolled, and does not wrap anew because of it.
        fits = needed <= self._most
        policy = Qt.ScrollBarPolicy.ScrollBarAlwaysOff if fits else Qt.ScrollBarPolicy.ScrollBarAlwaysOn
        if self.verticalScrollBarPolicy() != policy:
            self.setVerticalScrollBarPolicy(policy)
        around = 2 * self.document().documentMargin() + 2 * self.frameWidth() + _SPARE_PX
        height = ceil(lines * self.fontMetrics().lineSpacing() + around)
        if self.height() != height or self.minimumHeight() != height:
            self.setFixedHeight(height)
