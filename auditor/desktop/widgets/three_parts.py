"""The three parts of a panel: left what is asked, middle what came out, right what is selected."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSplitter, QWidget

_NARROW_PX = 1100


class ThreeParts(QSplitter):
    """Three widgets side by side; what a small window has to spare goes to the middle one.

    In a narrow panel the right part is there only while it has something to show.

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
        self._right = right
        self._is_narrow: bool | None = None
        self._has_detail = False
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
            self._divide()

    def show_detail(self, has_detail: bool) -> None:
        """Say whether the right part has something to show."""
        if has_detail != self._has_detail:
            self._has_detail = has_detail
            if self._is_narrow:
                self._divide()

    def _divide(self) -> None:
        left, right = self._small if self._is_narrow else self._wide
        is_shown = self._has_detail or not self._is_narrow
        self._right.setVisible(is_shown)
        self.setSizes([left, self.width() - left - (right if is_shown else 0), right])
