"""Above a contact sheet that is annotated: who annotates, on which scale, blind or not, and how far."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QToolButton, QWidget

from auditor.audits.parity.tones import TITLES
from auditor.desktop import theme
from auditor.desktop.widgets.detail import plain_label, plain_tip
from auditor.desktop.widgets.rater_bar import RaterBar

_PROGRESS_WIDTH = 120
_BLIND = "Hides what other raters said while you annotate, so that it does not pull you towards it."


class AnnotateBar(RaterBar):
    """Controls of the annotation desk.

    Signals
    -------
    scale_asked(str)
        Another scale.
    resized(int)
        Larger (+1) or smaller (-1) images.
    export_asked()
        Save the annotations.
    """

    scale_asked = Signal(str)
    resized = Signal(int)
    export_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        export = theme.icon_button("save", "Save as CSV…")
        super().__init__("Back", "Share of the items that is annotated", _BLIND, _PROGRESS_WIDTH, (export,), parent)
        self.export = export
        self.export.setToolTip("Saves all raters' annotations on this scale: a table that a parity run takes in.")
        self.export.clicked.connect(self.export_asked)
        self.scale = QComboBox()
        for scale, words in TITLES.items():
            self.scale.addItem(words, scale)
        self.scale.activated.connect(lambda _index: self.scale_asked.emit(str(self.scale.currentData())))
        self._add_choice("Scale", self.scale)
        self.blind.setChecked(True)
        self._close_row()
        self._below.addWidget(plain_label("Images", wrap=False))
        for text, step, help_text in (("−", -1, "Smaller images (−)"), ("+", 1, "Larger images (+)")):
            button = QToolButton()
            button.setObjectName("quick")
            button.setText(text)
            button.setToolTip(help_text)
            button.setAccessibleName(help_text)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(lambda _checked=False, step=step: self.resized.emit(step))
            self._below.addWidget(button)

    def show_title(self, title: str) -> None:
        """Say what is annotated."""
        self.heading.setText(title)
        self.heading.setToolTip(plain_tip(title))

    def show_progress(self, n_said: int, n_uncertain: int, n_items: int, rater: str) -> None:
        """Say how much is annotated."""
        by = f" by {rater}" if rater else ""
        unsure = f", {n_uncertain:,} uncertain" if n_uncertain else ""
        self._show_share(f"{n_said:,} of {n_items:,} items annotated{by}{unsure}", n_said, n_items)
