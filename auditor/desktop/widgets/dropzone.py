"""Where a file is dropped or chosen."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QLabel, QMenu, QPushButton, QVBoxLayout, QWidget

from auditor.desktop import theme


def dropped_file(event: QDragEnterEvent | QDropEvent) -> Path | None:
    """The local file that is dragged, None if it is something else."""
    for url in event.mimeData().urls():
        if url.isLocalFile():
            return Path(url.toLocalFile())
    return None


class DropZone(QFrame):
    """Asks for a file.

    Parameters
    ----------
    what : str
        What the file holds.
    endings : tuple of str
        Of the files that are offered.
    samples : mapping of str to str
        Name -> title, where there are several samples to choose from.

    Signals
    -------
    chosen(object)
        Path of the file.
    sample_wanted(str)
        Name of the sample, empty where there is only one.
    """

    chosen = Signal(object)
    sample_wanted = Signal(str)

    def __init__(
        self,
        what: str,
        endings: tuple[str, ...],
        samples: Mapping[str, str] = MappingProxyType({}),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("drop")
        self.setAcceptDrops(True)
        self._endings = endings
        self.words = QLabel(f"Drop a file with {what} here")
        self.words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.words.setTextFormat(Qt.TextFormat.PlainText)
        self.words.setWordWrap(True)
        choose = theme.icon_button("open", "Choose…")
        choose.setAccessibleName(f"Choose a file with {what}")
        choose.clicked.connect(self._choose)
        self.sample = QPushButton("Use the sample")
        if samples:
            menu = QMenu(self.sample)
            for name, title in samples.items():
                menu.addAction(title, partial(self.sample_wanted.emit, name))
            self.sample.setMenu(menu)
        else:
            self.sample.clicked.connect(lambda _checked=False: self.sample_wanted.emit(""))
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(choose)
        buttons.addWidget(self.sample)
        buttons.addStretch(1)
        layout = QVBoxLayout(self)
        layout.addWidget(self.words)
        layout.addLayout(buttons)

    def _choose(self) -> None:
        patterns = " ".join(f"*{ending}" for ending in self._endings)
        name, _ = QFileDialog.getOpenFileName(self, "Choose a file", "", f"Files ({patterns});;All files (*)")
        if name:
            self.chosen.emit(Path(name))

    def _mark(self, over: bool) -> None:
        self.setProperty("over", over)
        self.style().unpolish(self)
        self.style().polish(self)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files."""
        if dropped_file(event):
            event.acceptProposedAction()
            self._mark(True)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """Unmark."""
        self._mark(False)
        super().dragLeaveEvent(event)

    def dropEvent(self, event: QDropEvent) -> None:
        """Hand the file on."""
        self._mark(False)
        path = dropped_file(event)
        if path:
            event.acceptProposedAction()
            self.chosen.emit(path)
