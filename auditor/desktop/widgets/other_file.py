"""A file or folder that may stand beside a run, or not."""

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QVBoxLayout, QWidget

from auditor.desktop import theme
from auditor.desktop.widgets.detail import plain_label


class OtherFile(QWidget):
    """Asks for a file that is not required.

    Parameters
    ----------
    title : str
        What is chosen, as it stands in the dialog and for people who cannot see it.
    without : str
        What it means that there is none.
    given : str
        What it means that there is one, with ``{name}``.
    endings : tuple of str
        Of the files that are offered; none asks for a folder.
    in_a_row : bool
        Whether words and buttons share a line, where the words are few.

    Signals
    -------
    changed(object)
        Path, or None.
    """

    changed = Signal(object)

    def __init__(
        self,
        title: str,
        *,
        without: str,
        given: str,
        endings: tuple[str, ...],
        icon: str = "open",
        tip: str = "",
        in_a_row: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._title, self._without, self._given, self._endings = title, without, given, endings
        self.path: Path | None = None
        self.words = plain_label(without, name="help")
        spoken = f"{title[:1].lower()}{title[1:]}"
        what = "a file…" if endings else "a folder…"
        self.choose = theme.icon_button(icon, "Choose…" if in_a_row else f"Choose {what}")
        self.choose.setAccessibleName(f"Choose {spoken}")
        self.choose.setToolTip(tip)
        self.choose.clicked.connect(self._choose)
        self.drop = theme.icon_button("remove", "" if in_a_row else "Without")
        self.drop.setAccessibleName(f"Run without {spoken}")
        self.drop.setToolTip(f"Run without {spoken}")
        self.drop.clicked.connect(lambda: self.take(None))
        self.drop.hide()
        row = QHBoxLayout()
        if in_a_row:
            self.words.setToolTip(tip)
            row.addWidget(self.words, 1)
        row.addWidget(self.choose)
        row.addWidget(self.drop)
        if not in_a_row:
            row.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        if not in_a_row:
            layout.addWidget(self.words)
        layout.addLayout(row)

    def _choose(self) -> None:
        if self._endings:
            patterns = " ".join(f"*{ending}" for ending in self._endings)
            name, _ = QFileDialog.getOpenFileName(self, f"Choose {self._title}", "", f"{self._title} ({patterns})")
        else:
            name = QFileDialog.getExistingDirectory(self, f"Choose {self._title}")
        if name:
            self.take(Path(name))

    def take(self, path: Path | None) -> None:
        """Set the next run beside a file, or beside none."""
        self.path = path
        self.words.setText(self._given.format(name=path.name) if path else self._without)
        self.drop.setVisible(path is not None)
        self.changed.emit(path)
