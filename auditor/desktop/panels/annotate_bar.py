"""Above a contact sheet that is annotated: who annotates, on which scale, blind or not, and how far."""

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from auditor.audits.parity.tones import TITLES
from auditor.desktop import theme
from auditor.desktop.widgets.detail import plain_label, plain_tip
from auditor.desktop.widgets.pane import ElidedLabel

_NARROW, _WIDE = 120, 150


class AnnotateBar(QWidget):
    """Controls of the annotation desk.

    Signals
    -------
    back()
        To where the desk was opened from.
    named(str)
        A rater was chosen or entered.
    done()
        A control was used: the focus belongs to the sheet again.
    scale_asked(str)
        Another scale.
    resized(int)
        Larger (+1) or smaller (-1) images.
    export_asked()
        Save the annotations.
    """

    back = Signal()
    named = Signal(str)
    done = Signal()
    scale_asked = Signal(str)
    resized = Signal(int)
    export_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        back = theme.icon_button("back", "Back")
        back.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        back.clicked.connect(self.back)
        self.heading = ElidedLabel("heading")
        self.progress_words = plain_label(name="soft", wrap=False)
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedWidth(_NARROW)
        self.progress.setAccessibleName("Share of the items that is annotated")
        self.export = theme.icon_button("save", "Save as CSV…")
        self.export.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.export.setToolTip("Saves all raters' annotations on this scale: a table that a parity run takes in.")
        self.export.clicked.connect(self.export_asked)
        top = QHBoxLayout()
        top.setSpacing(12)
        top.addWidget(back)
        top.addWidget(self.heading, 1)
        top.addWidget(self.progress_words)
        top.addWidget(self.progress)
        top.addWidget(self.export)
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
        self.scale = QComboBox()
        for scale, words in TITLES.items():
            self.scale.addItem(words, scale)
        self.scale.activated.connect(lambda _index: self.scale_asked.emit(str(self.scale.currentData())))
        self.blind = QCheckBox("Blind")
        self.blind.setChecked(True)
        self.blind.setToolTip(
            "Hides what other raters said while you annotate, so that it does not pull you towards it."
        )
        self.blind.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        below = QHBoxLayout()
        for title, control in (("Rater", self.rater), ("Scale", self.scale)):
            label = plain_label(title, wrap=False)
            label.setBuddy(control)
            control.setAccessibleName(title)
            below.addWidget(label)
            below.addWidget(control)
            below.addSpacing(8)
        below.addWidget(self.blind)
        below.addStretch(1)
        below.addWidget(plain_label("Images", wrap=False))
        for text, step, help_text in (("−", -1, "Smaller images (−)"), ("+", 1, "Larger images (+)")):
            button = QToolButton()
            button.setText(text)
            button.setToolTip(help_text)
            button.setAccessibleName(help_text)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(lambda _checked=False, step=step: self.resized.emit(step))
            below.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(10)
        layout.addLayout(top)
        layout.addLayout(below)

    def _chosen(self, _index: int) -> None:
        self.named.emit(self.name.text().strip())
        self.done.emit()

    def show_title(self, title: str) -> None:
        """Say what is annotated."""
        self.heading.setText(title)
        self.heading.setToolTip(plain_tip(title))

    def show_raters(self, names: Sequence[str], now: str) -> None:
        """Offer the people who are known."""
        self.rater.clear()
        self.rater.addItems(list(names))
        self.rater.setCurrentIndex(names.index(now) if now else -1)

    def show_progress(self, n_said: int, n_uncertain: int, n_items: int, rater: str) -> None:
        """Say how much is annotated."""
        by = f" by {rater}" if rater else ""
        unsure = f", {n_uncertain:,} uncertain" if n_uncertain else ""
        self.progress_words.setText(f"{n_said:,} of {n_items:,} items annotated{by}{unsure}")
        self.progress.setMaximum(max(1, n_items))
        self.progress.setValue(n_said)
