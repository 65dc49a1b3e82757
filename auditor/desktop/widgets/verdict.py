"""The card on top of what came out: state, verdict as a sentence, what people must know, the facts behind it."""

from collections.abc import Sequence
from typing import Literal

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QBoxLayout, QFrame, QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from auditor.desktop import theme
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.pane import ScrollPane

Tone = Literal["", "alert", "good"]
#: More warnings than these are folded, so that pictures stay in view; their count is always said.
_MOST_ALERTS = 3
#: The card takes at most this share of what came out, or this one if nothing else is shown; a longer one scrolls.
_MOST_SHARE, _MOST_ALONE = 0.45, 0.9
#: Width from which on state and buttons share a line.
_SIDE_BY_SIDE_PX = 480


class VerdictCard(QFrame):
    """The answer in words.

    Parameters
    ----------
    buttons : sequence of QPushButton
        What can be done with the answer.

    Attributes
    ----------
    alerts : list of str
        What people must know, whether it is folded or not.
    """

    def __init__(self, buttons: Sequence[QPushButton], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("verdictCard")
        self.alerts: list[str] = []
        self.state = plain_label(name="state")
        self.verdict = plain_label(name="verdict")
        self.alert = plain_label(name="alert")
        self.more = QPushButton()
        self.more.setObjectName("quick")
        self.more.setCheckable(True)
        self.more.toggled.connect(lambda _on: self._show_alerts())
        self.facts = plain_label(name="soft")
        # Beside the state, so that they stay in view where the rest scrolls.
        self._top = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._top.addWidget(self.state, 1)
        row = QHBoxLayout()
        row.addStretch()
        for button in buttons:
            row.addWidget(button)
        self._top.addLayout(row)
        inside = QVBoxLayout(self)
        inside.setContentsMargins(14, 12, 12, 12)
        inside.addLayout(self._top)
        for label in (self.verdict, self.alert):
            inside.addWidget(label)
        inside.addWidget(self.more, 0, Qt.AlignmentFlag.AlignLeft)
        inside.addWidget(self.facts)
        self.clear("")

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the buttons under the state where there is no room beside it."""
        super().resizeEvent(event)
        has_room = event.size().width() >= _SIDE_BY_SIDE_PX
        self._top.setDirection(QBoxLayout.Direction.LeftToRight if has_room else QBoxLayout.Direction.TopToBottom)

    def showEvent(self, event: QShowEvent) -> None:
        """Measure the words anew: they got their font on being shown, and heights were kept from before."""
        super().showEvent(event)
        if (layout := self.layout()) is not None:
            layout.invalidate()

    def clear(self, words: str) -> None:
        """Show nothing but words."""
        self.verdict.setText(words)
        self.set_tone("")
        self.alerts = []
        for widget in (self.state, self.alert, self.more, self.facts):
            widget.hide()

    def show_state(self, state: str, tone: Tone = "") -> None:
        """Name the state; the colour only repeats what the word says."""
        self.state.setText(f"● {state[:1].upper()}{state[1:]}")
        self.state.show()
        self.set_tone(tone)

    def set_tone(self, tone: Tone) -> None:
        """Colour the state and the edge of the card."""
        for widget in (self, self.state):
            widget.setProperty("tone", tone)
            theme.repolish(widget)

    def show_facts(self, facts: str) -> None:
        """Say what the answer rests on."""
        self.facts.setText(facts)
        self.facts.setVisible(bool(facts))

    def show_alerts(self, alerts: Sequence[str]) -> None:
        """Say what people must know; many are folded behind a button that counts them."""
        self.alerts = list(alerts)
        self.more.blockSignals(True)
        self.more.setChecked(False)
        self.more.blockSignals(False)
        self._show_alerts()

    def _show_alerts(self) -> None:
        folded = len(self.alerts) > _MOST_ALERTS
        shown = self.alerts if self.more.isChecked() or not folded else self.alerts[: _MOST_ALERTS - 1]
        self.alert.setText("\n".join(shown))
        self.alert.setVisible(bool(shown))
        self.more.setVisible(folded)
        self.more.setText("Fewer warnings" if self.more.isChecked() else f"All {len(self.alerts)} warnings")


class VerdictPane(ScrollPane):
    """Keeps the card as high as its words need, and lets it scroll where a small window has no room for all of them."""

    def __init__(self, card: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(card, parent)
        self.card = card
        self._share = _MOST_SHARE
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def set_alone(self, alone: bool) -> None:
        """Whether the card is all there is to see."""
        self._share = _MOST_ALONE if alone else _MOST_SHARE
        self._fit()

    def event(self, event: QEvent) -> bool:
        """Look at whom it belongs to, for the room there is."""
        parent = self.parentWidget()
        if event.type() == QEvent.Type.ParentChange and parent is not None:
            parent.installEventFilter(self)
        return super().event(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Fit when the words, or the room for them, change."""
        if event.type() in (QEvent.Type.Resize, QEvent.Type.LayoutRequest):
            self._fit()
        return super().eventFilter(watched, event)

    def _fit(self) -> None:
        parent = self.parentWidget()
        # The width without a scroll bar: whether there is one must not depend on whether there was one.
        width = self.width() - 2 * self.frameWidth()
        if parent is not None and width > 0:
            wanted = self.card.heightForWidth(width) + 2 * self.frameWidth()
            most = max(0, round(self._share * parent.height()))
            # A bar that was needed before would take width, and so be needed for ever.
            policy = Qt.ScrollBarPolicy.ScrollBarAsNeeded if wanted > most else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
            if self.verticalScrollBarPolicy() != policy:
                self.setVerticalScrollBarPolicy(policy)
            self.setFixedHeight(min(wanted, most))
