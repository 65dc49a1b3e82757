"""The line on top of the window: which case is open, what is known of it, and the door to every command."""

from PySide6.QtCore import Qt, QTime, Signal
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from auditor.desktop import theme
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label


class Header(QWidget):
    """Case and facts.

    Signals
    -------
    find_wanted()
        Somebody wants to find a command.
    """

    find_wanted = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._verified = ""
        self.setObjectName("header")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.title = plain_label("No case is open", name="heading", wrap=False)
        self.facts = plain_label(name="soft", wrap=False)
        self.find_button = QPushButton()
        self.find_button.setObjectName("find")
        theme.set_icon(self.find_button, "search")
        self.find_button.clicked.connect(self.find_wanted)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(14, 6, 12, 6)
        layout.addWidget(self.title)
        layout.addSpacing(10)
        layout.addWidget(self.facts)
        layout.addStretch(1)
        layout.addWidget(self.find_button)

    def show_keys(self, keys: QKeySequence) -> None:
        """Name the shortcut that finds a command."""
        text = keys.toString(QKeySequence.SequenceFormat.NativeText)
        self.find_button.setText(f"Find a command   {text}".rstrip())

    def refresh(self) -> None:
        """Read the case anew."""
        case = self._session.case
        self.title.setText(case.title if case else "No case is open")
        n = len(self._session.runs()) if case else 0
        facts = [f"{n:,} run" + ("s" if n != 1 else ""), self._verified] if case else []
        self.facts.setText(" · ".join(fact for fact in facts if fact))

    def show_verified(self, holds: bool) -> None:
        """Say whether every hash of the case was right just now."""
        outcome = "evidence chain verified" if holds else "evidence chain NOT verified"
        self._verified = f"{outcome} {QTime.currentTime().toString('HH:mm')}"
        self.refresh()

    def forget_verified(self) -> None:
        """What was verified no longer holds: something was added since, or another case is open."""
        self._verified = ""
        self.refresh()
