"""What a backend is and how to start one, in short; the README has the whole of it."""

from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from auditor.desktop import theme
from auditor.desktop.widgets.detail import plain_label

_WHAT = (
    "A backend is another machine, or several of them, on which runs are carried out: a Ray cluster with the same "
    "version of Auditor. You choose it beside a run's settings. What the run reads is sent there, progress and results "
    "come back into the case, and the run goes on there while this window is closed."
)
_HOW = "To start one, type on the other machine:"
COMMANDS = (
    "pip install 'auditor[ray]'\n"
    "ray get-auth-token --generate\n"
    "RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 ray start --head"
)
_THEN = (
    "Then bring its port 8265 here, encrypted: ssh -N -L 8265:127.0.0.1:8265 THAT-MACHINE, and add http://127.0.0.1:8265 "
    "with the token that was printed. The README, under “Another machine”, tells of reverse proxies with HTTPS, of several "
    "nodes and of shared folders."
)


class HowToStart(QFrame):
    """The card that explains backends."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("card")
        commands = plain_label(COMMANDS, wrap=False)
        commands.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        commands.setAccessibleName("Commands that start a backend")
        self.copy = theme.icon_button("copy", "Copy")
        self.copy.setAccessibleName("Copy the commands")
        self.copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(COMMANDS))
        row = QHBoxLayout()
        row.addWidget(commands, 1)
        row.addWidget(self.copy)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(8)
        layout.addWidget(plain_label("Run audits on another machine", name="heading"))
        for widget in (plain_label(_WHAT), plain_label(_HOW)):
            layout.addWidget(widget)
        layout.addLayout(row)
        layout.addWidget(plain_label(_THEN, name="soft"))
