"""Which rubric the next run uses: the one that ships, a saved version, or a file; and the way to the editor."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from auditor.audits.rating import rubric_store
from auditor.desktop import theme
from auditor.desktop.panels.rubric_editor import RubricEditor
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label, plain_tip
from auditor.desktop.widgets.elided_box import ElidedBox
from auditor.resources import resource

_HASH_DIGITS = 12


class RubricChoice(QWidget):
    """Asks for a rubric.

    Parameters
    ----------
    session : Session
        Answers questions and works in the background.
    judge : callable
        Gives ``model``, ``scope``, ``n_ctx`` and ``variant`` as they stand in the panel, for the preview of the prompt.
    """

    def __init__(self, session: Session, judge: Callable[[], Mapping[str, Any]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._judge = judge
        self._words: dict[str, str] = {}
        self._editor: RubricEditor | None = None
        self.box = ElidedBox("Rubric")
        self.box.addItem(f"{rubric_store.SHIPPED} (ships with Auditor)", "")
        self.box.currentIndexChanged.connect(lambda _index: self._describe())
        self.words = plain_label(name="help")
        self.problem = plain_label(name="alert")
        self.problem.hide()
        self.edit_button = theme.icon_button("edit", "Edit rubric…")
        self.edit_button.clicked.connect(lambda _checked=False: self.edit())
        choose = QPushButton("From a file…")
        choose.setToolTip("Use a rubric in TOML where it lies.")
        choose.clicked.connect(lambda _checked=False: self._choose())
        buttons = QHBoxLayout()
        buttons.addWidget(self.edit_button, 1)
        buttons.addWidget(choose, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.box, self.words, self.problem):
            layout.addWidget(widget)
        layout.addLayout(buttons)

    @property
    def path(self) -> Path | None:
        """The file of the rubric that was chosen; None for the one that ships."""
        chosen = self.box.currentData()
        return Path(chosen) if chosen else None

    def refresh(self, select: Path | None = None) -> None:
        """Read the saved versions anew; choose one of them, or keep what was chosen."""
        keep = str(select) if select is not None else None

        def shown(found: dict[str, Any]) -> None:
            self._show(found["versions"], keep or self.box.currentData())
            self._show_problem(" ".join(found["problems"]))

        self._session.asker.ask("rubric_list", {}, shown, self._show_problem)

    def _show_problem(self, sentence: str) -> None:
        self.problem.setText(sentence)
        self.problem.setVisible(bool(sentence))

    def _show(self, versions: list[dict[str, Any]], chosen: str) -> None:
        kept_words, kept_text = self._words.get(chosen, ""), self.box.currentText()
        self._words = {}
        self.box.blockSignals(True)
        self.box.clear()
        for version in versions:
            if version["saved"] is None:
                self._add("", f"{version['name']} (ships with Auditor)", version)
                continue
            when = datetime.fromtimestamp(version["saved"]).astimezone().strftime("%Y-%m-%d %H:%M")
            self._add(version["path"], f"{version['name']}, {when}, {version['sha256'][:_HASH_DIGITS]}", version)
        if chosen and self.box.findData(chosen) < 0 and Path(chosen).is_file():
            self._words[chosen] = kept_words
            self.box.addItem(kept_text, chosen)
        self.box.setCurrentIndex(max(0, self.box.findData(chosen)))
        self.box.blockSignals(False)
        self._describe()

    def _add(self, path: str, text: str, version: Mapping[str, Any]) -> None:
        self.box.addItem(text, path)
        self.box.setItemData(self.box.count() - 1, version["sha256"], Qt.ItemDataRole.ToolTipRole)
        self._words[path] = (
            f"{version['title']}. Axes: {', '.join(version['axes'])}. SHA-256 {version['sha256'][:_HASH_DIGITS]}…"
        )

    def _describe(self) -> None:
        self.words.setText(self._words.get(self.box.currentData(), ""))
        self.box.setToolTip(plain_tip(self.box.currentText()))

    def _choose(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Choose a rubric", "", "Rubrics (*.toml)")
        if name:
            self.take_file(Path(name))

    def take_file(self, path: Path) -> None:
        """Use a rubric file where it lies, once it was read."""

        def shown(found: dict[str, Any]) -> None:
            axes = ", ".join(row["axis"] for row in found["rows"])
            self._words[str(path)] = f"{found['format']} ({path.name}). Axes: {axes}"
            if self.box.findData(str(path)) < 0:
                self.box.addItem(f"{path.name} (a file)", str(path))
            self.box.setCurrentIndex(self.box.findData(str(path)))
            self._describe()
            self._show_problem("")

        asked = {"audit": "rating", "role": "rubric", "path": str(path)}
        self._session.asker.ask("preview", asked, shown, self._show_problem, kind="rubric")

    def edit(self) -> RubricEditor:
        """Open the editor on the rubric that is chosen."""
        if self._editor is None:
            self._editor = RubricEditor(self._session, self.window())
            self._editor.saved.connect(lambda version: self.refresh(None if version.is_shipped else version.path))
        self._editor.edit(self.path or resource("rubrics", "default.toml"), self._judge())
        self._editor.resize(self._editor.sizeHint())
        self._editor.open()
        return self._editor
