"""Quick filters: buttons of which one is pressed, each a condition on the rows of a table."""

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QButtonGroup, QPushButton, QWidget

_GAP_PX = 4
#: The words of the button that is pressed are bold; no button changes its width for that.
_BOLD_PX = 12


class QuickFilters(QWidget):
    """A single choice among conditions; Tab reaches the buttons, space presses, arrow keys go on to the next.

    Parameters
    ----------
    name : str
        What is filtered, for people who cannot see it.

    Signals
    -------
    chosen(str)
        Condition of the button that was pressed; see `widgets.columns.arrange`.
    """

    chosen = Signal(str)

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self._name = name
        self._group = QButtonGroup(self)
        self.buttons: list[QPushButton] = []

    def set_choices(self, choices: Sequence[Mapping[str, str]]) -> None:
        """Offer other conditions and press the first; nothing is sent.

        Parameters
        ----------
        choices : sequence of mapping
            title, condition and help of each.
        """
        for button in self.buttons:
            self._group.removeButton(button)
            button.hide()
            button.deleteLater()
        self.buttons = []
        for place, choice in enumerate(choices):
            button = QPushButton(choice["title"].replace("&", "&&"), self)
            button.setObjectName("quick")
            button.setCheckable(True)
            button.setChecked(place == 0)
            button.setToolTip(choice["help"])
            button.setAccessibleName(f"{self._name}: {choice['title']}")
            button.clicked.connect(lambda _checked=False, condition=choice["condition"]: self.chosen.emit(condition))
            self._group.addButton(button)
            button.show()
            self.buttons.append(button)
        self._place()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fill another width."""
        super().resizeEvent(event)
        self._place()

    def _place(self) -> None:
        """Put the buttons into as many lines as the width takes."""
        left = top = height = 0
        for button in self.buttons:
            size = button.sizeHint()
            width = size.width() + _BOLD_PX
            if left and left + width > self.width():
                left, top = 0, top + height + _GAP_PX
            button.setGeometry(left, top, width, size.height())
            left, height = left + width + _GAP_PX, size.height()
        self.setFixedHeight(top + height)
