"""Above a conversation that is rated by hand: who rates, which axes, in which order, blind or not, and how far."""

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)

from auditor.desktop import theme
from auditor.desktop.widgets.detail import plain_label, plain_tip
from auditor.desktop.widgets.pane import ElidedLabel

_NARROW, _WIDE = 140, 150


class HandBar(QWidget):
    """Controls of rating by hand.

    Signals
    -------
    back()
        To the results.
    named(str)
        A rater was chosen or entered.
    done()
        A control was used: the focus belongs to the conversation again.
    asked()
        Other axes or another order.
    """

    back = Signal()
    named = Signal(str)
    done = Signal()
    asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        back = theme.icon_button("back", "Results")
        back.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        back.clicked.connect(self.back)
        self.heading = ElidedLabel("heading")
        self.progress_words = plain_label(name="soft", wrap=False)
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedWidth(_NARROW)
        self.progress.setAccessibleName("Share of what is rated")
        top = QHBoxLayout()
        top.setSpacing(12)
        top.addWidget(back)
        top.addWidget(self.heading, 1)
        top.addWidget(self.progress_words)
        top.addWidget(self.progress)
        self.rater = QComboBox()
        self.rater.setEditable(True)
        self.rater.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.rater.setMinimumWidth(_WIDE)
        self.name = QLineEdit()
        self.name.setPlaceholderText("Your name")
        self.name.setAccessibleName("Rater: known people, or a new name")
        self.rater.setLineEdit(self.name)
        self.name.editingFinished.connect(lambda: self.named.emit(self.name.text().strip()))
        self.name.returnPressed.connect(self.done)
        self.rater.activated.connect(self._chosen)
        self.axis = QComboBox()
        self.order = QComboBox()
        for box in (self.axis, self.order):
            box.activated.connect(lambda _index: self.asked.emit())
        self.blind = QCheckBox("Blind")
        self.blind.setToolTip("Hides the judge's scores while you rate, so that they do not pull yours towards them.")
        self.blind.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        below = QHBoxLayout()
        for words, control in (("Rater", self.rater), ("Axes", self.axis), ("Order", self.order)):
            label = plain_label(words, wrap=False)
            label.setBuddy(control)
            control.setAccessibleName(words)
            below.addWidget(label)
            below.addWidget(control)
            below.addSpacing(8)
        below.addWidget(self.blind)
        below.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(10)
        layout.addLayout(top)
        layout.addLayout(below)

    def _chosen(self, _index: int) -> None:
        self.named.emit(self.name.text().strip())
        self.done.emit()

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

    def show_raters(self, names: Sequence[str], now: str) -> None:
        """Offer the people who are known."""
        self.rater.clear()
        self.rater.addItems(list(names))
        self.rater.setCurrentIndex(names.index(now) if now else -1)

    def show_unit(self, name: str, row: int) -> None:
        """Name the conversation in view."""
        self.heading.setText(f"{name} (row {row:,})")
        self.heading.setToolTip(plain_tip(name))

    def show_progress(self, rated: int, n: int, rater: str) -> None:
        """Say how much is rated."""
        by = f" by {rater}" if rater else ""
        self.progress_words.setText(f"{rated:,} of {n:,} rated{by}")
        self.progress.setMaximum(max(1, n))
        self.progress.setValue(rated)
