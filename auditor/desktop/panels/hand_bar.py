"""Above a conversation that is rated by hand: who rates, which axes, in which order, blind or not, and how far."""

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QWidget

from auditor.desktop.widgets.detail import plain_tip
from auditor.desktop.widgets.rater_bar import RaterBar

_PROGRESS_WIDTH = 140
_BLIND = (
    "Hides the judge's scores while you rate, so that they do not pull yours towards them. What counts as seen is what you "
    "showed here or selected in the table since the program was started; a glance over the table is not known."
)


class HandBar(RaterBar):
    """Controls of rating by hand.

    Signals
    -------
    asked()
        Other axes or another order.
    """

    asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Results", "Share of what is rated", _BLIND, _PROGRESS_WIDTH, parent=parent)
        self.axis = QComboBox()
        self.order = QComboBox()
        for title, box in (("Axes", self.axis), ("Order", self.order)):
            box.activated.connect(lambda _index: self.asked.emit())
            self._add_choice(title, box)
        self._close_row()

    def begin(self, axes: Sequence[Mapping[str, Any]], seed: int) -> None:
        """Offer a run's axes; the random order is that of the run's seed, the same for every rater."""
        self.axis.clear()
        self.axis.addItem("All axes", "")
        for axis in axes:
            self.axis.addItem(f"{axis['title']} only", axis["name"])
        self.order.clear()
        self.order.addItem("As in the file", "file")
        self.order.addItem(f"Random (seed {seed})", "random")
        self.order.addItem("Most uncertain first", "uncertain")
        self.blind.setChecked(True)

    def show_unit(self, name: str, row: int) -> None:
        """Name the conversation in view."""
        self.heading.setText(f"{name} (row {row:,})")
        self.heading.setToolTip(plain_tip(name))

    def show_progress(self, rated: int, n: int, rater: str) -> None:
        """Say how much is rated."""
        by = f" by {rater}" if rater else ""
        self._show_share(f"{rated:,} of {n:,} rated{by}", rated, n)
