"""The pictures of a finished run, drawn by a process of its own in the colours of the theme."""

from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QVBoxLayout, QWidget

from auditor.desktop import theme
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.figure import FigureCard
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
        self._layout = QVBoxLayout(inner)
        self._layout.setContentsMargins(0, 0, 8, 0)

    def show_run(self, run: RunDirectory) -> None:
        """Ask for the pictures of a finished run."""
        self._run = run
        if not self._layout.count():
            self._layout.addWidget(plain_label("Drawing …", name="soft"))
            self._layout.addStretch(1)
        asked = {"run_dir": str(run.path), "theme": theme.current().name}
        self._session.asker.ask("pictures", asked, self._show, self._fail, kind=self._kind)

    def _show(self, pictures: list[dict[str, Any]]) -> None:
        self._take_away()
        for picture in pictures:
            self._layout.addWidget(FigureCard(picture, self._export))
        self._layout.addStretch(1)

    def _fail(self, sentence: str) -> None:
        self._take_away()
        self._layout.addWidget(plain_label(sentence, name="alert"))
        self._layout.addStretch(1)
        self._session.said.emit(sentence)

    def clear(self) -> None:
        """Show none."""
        self._run = None
        self._session.asker.drop(self._kind)
        self._take_away()

    def refresh_theme(self) -> None:
        """Draw them in the colours of the theme."""
        if self._run is not None:
            self.show_run(self._run)

    def _take_away(self) -> None:
        while (item := self._layout.takeAt(0)) is not None:
            if widget := item.widget():
                widget.hide()
                widget.deleteLater()

    def _export(self, name: str, path: Path) -> None:
        assert self._run is not None
        asked = {"run_dir": str(self._run.path), "theme": "light", "name": name, "path": str(path)}
        self._session.asker.ask(
            "picture_export",
            asked,
            lambda done: self._session.said.emit(f"Saved {done['path']}."),
            self._session.said.emit,
        )
