"""Where a run is to be, cost and Run below what is asked, in view however far the settings are scrolled."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QPushButton, QVBoxLayout, QWidget

from auditor.desktop import theme
from auditor.desktop.widgets.detail import plain_label


class RunFooter(QFrame):
    """Where a run is to be carried out, what it would cost, and the button that starts it.

    Parameters
    ----------
    place : QWidget
        Asks where.

    Signals
    -------
    wanted()
        Run was pressed.
    """

    wanted = Signal()

    def __init__(self, place: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("footer")
        self.cost = plain_label(name="help")
        self.cost.hide()
        self.run = QPushButton("Run")
        theme.set_icon(self.run, "run", on_accent=True)
        self.run.setObjectName("primary")
        self.run.setEnabled(False)
        self.run.clicked.connect(self.wanted)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 8, 14, 12)
        layout.addWidget(place)
        layout.addWidget(self.cost)
        layout.addWidget(self.run)

    def show_cost(self, sentence: str, *, fits: bool) -> None:
        """Say what a run would cost, or why it cannot be."""
        theme.set_name(self.cost, "help" if fits else "alert")
        self.cost.setText(sentence)
        self.cost.setVisible(bool(sentence))

    def enable(self, is_ready: bool, why_not: str) -> None:
        """Whether Run can be pressed, else why it cannot."""
        self.run.setEnabled(is_ready)
        self.run.setToolTip("" if is_ready else why_not)
