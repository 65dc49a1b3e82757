"""The rail on the left: one button a panel."""

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QToolButton, QVBoxLayout, QWidget

from auditor.desktop import theme

_WIDTH, _BUTTON_WIDTH, _ICON = 108, 96, 26


class Rail(QWidget):
    """Buttons of which one is pressed.

    Parameters
    ----------
    entries : sequence of (name, icon)
        Of every panel, in the order of the panels.

    Signals
    -------
    wanted(int)
        Place of the panel.
    """

    wanted = Signal(int)

    def __init__(self, entries: Sequence[tuple[str, str]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("rail")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedWidth(_WIDTH)
        self._buttons = QButtonGroup(self)
        self._buttons.idClicked.connect(self.wanted)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 8)
        # Buttons have margins of their own; in a small window each pixel is needed for their words.
        layout.setSpacing(0)
        for place, (name, icon) in enumerate(entries):
            button = QToolButton()
            button.setObjectName("railButton")
            button.setText(name)
            theme.set_icon(button, icon)
            button.setIconSize(QSize(_ICON, _ICON))
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
            button.setCheckable(True)
            button.setFixedWidth(_BUTTON_WIDTH)
            button.setAccessibleName(f"Panel {name}")
            self._buttons.addButton(button, place)
            layout.addWidget(button)
        layout.addStretch(1)

    def mark(self, place: int) -> None:
        """Show which panel is in view."""
        self._buttons.button(place).setChecked(True)
