"""The pictures of a finished run, drawn by a process of its own in the colours of the theme."""

from typing import Any

from PySide6.QtWidgets import QWidget

from auditor.desktop import theme
from auditor.desktop.panels.picture_column import PictureColumn
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.pane import ScrollPane
from auditor.runs.directory import RunDirectory


class RunPictures(ScrollPane):
    """All pictures of one run, one below the other.

    Parameters
    ----------
    audit : str
        Name of the audit, so that two panels may ask at the same time.
    """

    def __init__(self, session: Session, audit: str, parent: QWidget | None = None) -> None:
        inner = QWidget()
        super().__init__(inner, parent)
        self._session, self._kind = session, f"{audit} pictures"
        self._run: RunDirectory | None = None
        self._layout = PictureColumn(session, "picture_export")
        inner.setLayout(self._layout)
        self._layout.setContentsMargins(0, 0, 8, 0)

    def show_run(self, run: RunDirectory) -> None:
        """Ask for the pictures of a finished run."""
        self._run = run
        if not self._layout.count():
            self._layout.addWidget(plain_label("Drawing …", name="soft"))
            self._layout.addStretch(1)
        asked = {"run_dir": str(run.path), "theme": theme.current().name}
        self._session.asker.ask(
            "pictures", asked, lambda pictures: self._show(pictures, asked), self._fail, kind=self._kind
        )

    def _show(self, pictures: list[dict[str, Any]], asked: dict[str, Any]) -> None:
        self._layout.show_pictures(pictures, asked)
        self._layout.addStretch(1)

    def _fail(self, sentence: str) -> None:
        self._layout.take_away()
        self._layout.addWidget(plain_label(sentence, name="alert"))
        self._layout.addStretch(1)
        self._session.said.emit(sentence)

    @property
    def is_whole(self) -> bool:
        """Whether all pictures that were drawn are there."""
        return self._layout.is_whole

    def clear(self) -> None:
        """Show none."""
        self._run = None
        self._session.asker.drop(self._kind)
        self._layout.take_away()

    def refresh_theme(self) -> None:
        """Draw them in the colours of the theme."""
        if self._run is not None:
            self.show_run(self._run)
