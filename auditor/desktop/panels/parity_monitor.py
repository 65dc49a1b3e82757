"""Evidence over the parity runs of a case: what may be looked at as often as one likes."""

from typing import Any

from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from auditor.desktop import theme
from auditor.desktop.panels.picture_column import PictureColumn
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.pane import ScrollPane

_ABOUT = (
    "The same audit on fresh queries, again and again: evidence adds up over the runs of this case and may be looked at "
    "daily. A query that was audited before counts once. Each question has evidence of its own: attribute, scale, groups, K, "
    "weights, strata and target. That of this run comes first."
)


class ParityMonitor(ScrollPane):
    """The running evidence, computed when it comes into view."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        inner = QWidget()
        super().__init__(inner, parent)
        self._session = session
        self._run = ""
        self._is_stale = True
        self.sentence = plain_label()
        self._pictures = PictureColumn(session, "parity_monitor_export")
        layout = QVBoxLayout(inner)
        layout.setContentsMargins(0, 6, 8, 0)
        layout.setSpacing(10)
        layout.addWidget(plain_label(_ABOUT, name="soft"))
        layout.addWidget(self.sentence)
        layout.addLayout(self._pictures)
        layout.addStretch(1)

    def show_case(self, run: str) -> None:
        """Another run is shown, or another case is open: compute anew when somebody looks."""
        self._run = run
        self._is_stale = True
        self._refresh_if_seen()

    def showEvent(self, event: QShowEvent) -> None:
        """Compute what waited until somebody looks."""
        super().showEvent(event)
        self._refresh_if_seen()

    def _refresh_if_seen(self) -> None:
        case = self._session.case
        if self._is_stale and self.isVisible() and case is not None:
            self._is_stale = False
            self.sentence.setText("Computing …")
            asked = {"case": str(case.path), "run": self._run, "theme": theme.current().name}
            self._session.asker.ask("parity_monitor", asked, lambda found: self._show(found, asked), self._fail)

    def _show(self, found: dict[str, Any], asked: dict[str, Any]) -> None:
        self.sentence.setText("\n\n".join(found["sentences"]))
        self._pictures.show_pictures(found["pictures"], asked)

    def _fail(self, sentence: str) -> None:
        self.sentence.setText(sentence)
        self._pictures.take_away()

    def clear(self) -> None:
        """Show nothing."""
        self._session.asker.drop("parity_monitor")
        self._is_stale = True
        self.sentence.setText("")
        self._pictures.take_away()

    def refresh_theme(self) -> None:
        """Draw the pictures in the colours of the theme."""
        self.show_case(self._run)
