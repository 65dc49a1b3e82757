"""Beside a contact sheet: the item in view, the keys of its tones, what was measured, what others said, agreement."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from auditor.desktop import theme
from auditor.desktop.panels.annotate_large import LargeImage
from auditor.desktop.panels.annotate_measure import Proposal
from auditor.desktop.widgets.detail import plain_label, plain_tip
from auditor.desktop.widgets.pane import ElidedLabel
from auditor.desktop.widgets.swatches import SwatchKeys, paint_tone, tone_words

if TYPE_CHECKING:
    from auditor.audits.parity.tones import ToneScale

_HIDDEN = "What other raters said is hidden. O shows it; your tone is then kept as not blind."
#: Least and greatest height of the picture; it takes what the rest leaves.
_LOW_PX, _HIGH_PX = 84, 260


class ToneBadge(QWidget):
    """One tone with its name, drawn as in the cells."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scale: ToneScale = "monk"
        self._value, self._proposed = "", False
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Room for two digits and a mark."""
        return QSize(48, 26)

    def show_tone(self, scale: "ToneScale", value: str, *, proposed: bool) -> None:
        """Show a tone."""
        self._scale, self._value, self._proposed = scale, value, proposed
        words = tone_words(scale, value) if value else "no tone"
        self.setAccessibleName(f"Proposal: {words}" if proposed else words)
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw it."""
        painter = QPainter(self)
        font = QFont(self.font())
        font.setPixelSize(13)
        font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        painter.fillRect(self.rect(), QColor(theme.current().base))
        paint_tone(painter, QRectF(self.rect()), self._scale, self._value, proposed=self._proposed)
        painter.end()


class AnnotateSide(QWidget):
    """The part on the right.

    Signals
    -------
    pressed(str)
        A tone, or "uncertain".
    measure_asked(), confirmed(), reset_asked()
        Measure the item's image; take the proposal as one's own; forget what was drawn on the mask.
    reveal_asked()
        Show what others said, or hide it.
    """

    pressed = Signal(str)
    measure_asked = Signal()
    confirmed = Signal()
    reset_asked = Signal()
    reveal_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scale: ToneScale = "monk"
        self.picture = LargeImage()
        self.picture.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.picture.setMinimumSize(120, _LOW_PX)
        self.picture.setMaximumHeight(_HIGH_PX)
        self.item = ElidedLabel("heading")
        self.where = ElidedLabel("soft")
        self.keys = SwatchKeys()
        self.keys.pressed.connect(self.pressed)
        self.held = plain_label(name="help")
        self.measure = QPushButton("Measure (M)")
        self.measure.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.measure.setToolTip("Proposes a tone from the image, through a skin mask that you see and can correct.")
        self.measure.clicked.connect(self.measure_asked)
        self.others = plain_label(name="help")
        self.reveal = QPushButton("Others' tones (O)")
        self.reveal.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.reveal.clicked.connect(self.reveal_asked)
        buttons = QHBoxLayout()
        buttons.addWidget(self.measure)
        buttons.addWidget(self.reveal)
        self.alpha = plain_label(name="soft")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 0, 4, 0)
        layout.setSpacing(8)
        for widget in (self.picture, self.item, self.where, self.keys, self.held):
            layout.addWidget(widget)
        layout.addLayout(buttons)
        layout.addWidget(self._proposal_card())
        layout.addWidget(self.others)
        layout.addStretch(1)
        layout.setStretchFactor(self.picture, 1000)
        layout.addWidget(plain_label("Agreement of the raters", name="heading"))
        layout.addWidget(self.alpha)

    def _proposal_card(self) -> QWidget:
        self.badge = ToneBadge()
        self.proposal = plain_label(name="help")
        self.confirm = QPushButton("Confirm (Enter)")
        self.confirm.setObjectName("quick")
        self.confirm.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.confirm.clicked.connect(self.confirmed)
        self.reset = QPushButton("Mask as found")
        self.reset.setObjectName("quick")
        self.reset.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.reset.setToolTip("Forgets what you drew on the mask.")
        self.reset.clicked.connect(self.reset_asked)
        row = QHBoxLayout()
        row.addWidget(self.badge)
        row.addWidget(self.confirm)
        row.addWidget(self.reset)
        row.addStretch(1)
        self.card = QFrame()
        self.card.setObjectName("card")
        layout = QVBoxLayout(self.card)
        layout.setContentsMargins(10, 8, 10, 8)
        layout.addWidget(self.proposal)
        layout.addLayout(row)
        self.card.hide()
        return self.card

    def clear(self) -> None:
        """Show no item."""
        self.show_item("", "", "", "")
        self.picture.show_image("", "")
        self.show_proposal(None)
        self.others.clear()
        self.alpha.clear()

    def show_scale(self, scale: "ToneScale") -> None:
        """Offer the keys of a scale."""
        self._scale = scale
        self.keys.set_scale(scale)

    def show_item(self, item: str, where: str, value: str, held: str) -> None:
        """Show which item is in view, and what the rater said of it."""
        self.item.setText(item)
        self.item.setToolTip(plain_tip(item))
        self.where.setText(where)
        self.keys.show_value(value)
        self.held.setText(held)

    def show_proposal(self, proposal: Proposal | None) -> None:
        """Show what was measured; a proposal until it is confirmed."""
        self.card.setVisible(proposal is not None)
        if proposal is not None:
            self.proposal.setText(proposal.sentence)
            self.badge.setVisible(bool(proposal.value))
            self.badge.show_tone(self._scale, proposal.value, proposed=True)
            self.confirm.setVisible(bool(proposal.value))
            self.reset.setVisible(bool(proposal.corrections))

    def show_others(self, others: Sequence[tuple[str, str]] | None, *, was_seen: bool) -> None:
        """Show what others said of the item in view; None hides it."""
        if others is None:
            self.others.setText(f"{_HIDDEN} You have seen it for this one." if was_seen else _HIDDEN)
        elif others:
            self.others.setText("Others: " + "; ".join(f"{rater} {value}" for rater, value in others))
        else:
            self.others.setText("Nobody else has annotated this item.")
