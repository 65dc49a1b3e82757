"""The three parts of a panel: left what is asked, middle what came out, right what is selected."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSplitter, QWidget

_NARROW_PX = 1100


class ThreeParts(QSplitter):
    """Three widgets side by side; what a small window has to spare goes to the middle one.

    Parameters
    ----------
    left, middle, right : QWidget
        The parts.
    wide, small : tuple of int
        Widths in pixels of the left and the right part in a wide and in a narrow panel.
    """

    def __init__(
        self,
        left: QWidget,
        middle: QWidget,
        right: QWidget,
        *,
        wide: tuple[int, int],
        small: tuple[int, int],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._wide, self._small = wide, small
        self._is_narrow: bool | None = None
        for place, part in enumerate((left, middle, right)):
            self.addWidget(part)
            self.setStretchFactor(place, 1 if part is middle else 0)
        self.setChildrenCollapsible(False)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Divide the width anew when the panel gets wide or narrow; parts that were moved stay as they are meanwhile."""
        super().resizeEvent(event)
        width = event.size().width()
        is_narrow = width < _NARROW_PX
        if is_narrow != self._is_narrow:
            self._is_narrow = is_narrow
            left, right = self._small if is_narrow else self._wide
            self.setSizes([left, width - left - right, right])
