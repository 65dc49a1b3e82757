"""The rubric editor: left the axes, middle the texts of one, right the exact prompt with token counts.

Nothing saved is ever lost: saving makes a version of its own, and what is not saved yet is kept as a draft, which
outlives a crash and is taken up when the editor opens again.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QMessageBox,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from auditor.audits.rating import rubric_store
from auditor.audits.rating.rubric import Problem, Rubric, load, problems, to_toml
from auditor.desktop import theme
from auditor.desktop.panels.rubric_axes import RubricAxes
from auditor.desktop.panels.rubric_axis import line_field
from auditor.desktop.panels.rubric_prompt import RubricPrompt
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label
from auditor.files import write_atomic

_DRAFT_DELAY_MS = 1000
_OWN_NAME = "my-rubric"


class RubricEditor(QDialog):
    """Edits a rubric and saves versions of it.

    Parameters
    ----------
    session : Session
        Answers questions and works in the background.

    Signals
    -------
    saved(object)
        The `Version` that was saved and is meant for the next run.
    """

    saved = Signal(object)

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._base: dict[str, Any] = {}
        self._base_words = ""
        self._kept: dict[str, Any] = {}
        self._problems: list[Problem] = []
        self.question: QMessageBox | None = None
        self.setWindowTitle("Rubric editor")
        self._build()
        self._draft_delay = QTimer(self, singleShot=True, interval=_DRAFT_DELAY_MS)
        self._draft_delay.timeout.connect(self._keep_draft)
        for field in (self.name, self.title):
            field.control.textChanged.connect(self._changed)
        self.axes.changed.connect(self._changed)

    def _build(self) -> None:
        self.name = line_field("Rubric name", "Name of the rubric")
        self.title = line_field("Rubric title", "Title of the rubric")
        self.base = plain_label(name="help")
        head = QHBoxLayout()
        head.setContentsMargins(14, 12, 14, 4)
        head.setSpacing(10)
        head.addWidget(self.name, 1)
        head.addWidget(self.title, 2)
        self.axes = RubricAxes()
        self.preview = RubricPrompt(self._session)
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(self.axes)
        splitter.addWidget(self.preview)
        splitter.setStretchFactor(0, 3)
        splitter.setStretchFactor(1, 2)
        splitter.setSizes([640, 420])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        base = QHBoxLayout()
        base.setContentsMargins(14, 0, 14, 8)
        base.addWidget(self.base)
        layout.addLayout(base)
        layout.addWidget(splitter, 1)
        layout.addWidget(self._footer())

    def _footer(self) -> QFrame:
        self.state = plain_label(name="soft")
        self.import_button = self._button("open", "Import…", self._choose_import)
        self.export_button = self._button("data", "Export…", self._choose_export)
        self.discard_button = self._button("undo", "Discard changes…", self._ask_discard)
        self.close_button = self._button("close", "Close", self.reject)
        self.save_button = QPushButton("Save and use")
        theme.set_icon(self.save_button, "save", on_accent=True)
        self.save_button.setObjectName("primary")
        self.save_button.setToolTip("Keep this state as a version and choose it for the next run (Ctrl+S)")
        self.save_button.setAutoDefault(False)
        self.save_button.clicked.connect(lambda _checked=False: self.save())
        QShortcut(QKeySequence.StandardKey.Save, self, self.save)
        footer = QFrame()
        footer.setObjectName("footer")
        layout = QHBoxLayout(footer)
        layout.setContentsMargins(14, 8, 14, 12)
        for button in (self.import_button, self.export_button, self.discard_button):
            layout.addWidget(button)
        layout.addWidget(self.state, 1)
        for button in (self.close_button, self.save_button):
            layout.addWidget(button)
        return footer

    @staticmethod
    def _button(icon: str, text: str, callback: Callable[[], object]) -> QPushButton:
        button = theme.icon_button(icon, text)
        button.setAutoDefault(False)
        button.clicked.connect(lambda _checked=False: callback())
        return button

    def sizeHint(self) -> QSize:
        """Most of the window below."""
        parent = self.parentWidget()
        below = parent.window().size() if parent else QSize(1240, 780)
        return QSize(min(1240, below.width() - 40), min(800, below.height() - 40))

    def edit(self, path: Path, judge: Mapping[str, Any]) -> None:
        """Show a rubric file to edit; unsaved changes of an earlier time are taken up.

        Parameters
        ----------
        path : Path
            The file.
        judge : Mapping
            ``model`` (a name, or None), ``scope``, ``n_ctx`` and ``variant``: for whom the prompt is shown.
        """
        self.preview.show_for(judge)

        def read() -> tuple[Rubric, str, Any]:
            rubric = load(path)
            name = rubric_store.free_name(_OWN_NAME) if rubric.name == rubric_store.SHIPPED else rubric.name
            return rubric, name, rubric_store.draft()

        self._session.background.do(read, self._opened, self._say)

    def _opened(self, found: tuple[Rubric, str, Any]) -> None:
        rubric, name, draft = found
        if rubric.name == rubric_store.SHIPPED:
            self._base_words = f"{rubric.name}, which ships and stays as it is: this is a copy under a name of its own"
        else:
            self._base_words = f"{rubric.name}, SHA-256 {rubric.sha256[:12]}…: saving makes a version of its own"
        self._base = {**rubric.model_dump(mode="json"), "name": name}
        self.base.setText(f"Made from {self._base_words}.")
        self._show(self._base)
        if draft is not None and draft[0] != self._base:
            self._show(draft[0])
            when = draft[1].astimezone().strftime("%Y-%m-%d %H:%M")
            self._say(f"Unsaved changes of {when} were taken up.")
        self.axes.list.setFocus()

    def _show(self, fields: Mapping[str, Any]) -> None:
        for field, name in ((self.name, "name"), (self.title, "title")):
            field.control.blockSignals(True)
            field.set_text(fields[name])
            field.control.blockSignals(False)
        self.axes.show_axes(fields["axes"])
        self._changed()

    def fields(self) -> dict[str, Any]:
        """The rubric as it stands in the fields, checked by nobody."""
        return {"name": self.name.text(), "title": self.title.text(), "axes": self.axes.axes()}

    @property
    def is_changed(self) -> bool:
        """Whether something would be lost by closing."""
        return bool(self._base) and self.fields() != self._base

    def _changed(self) -> None:
        fields = self.fields()
        self._problems = [*problems(fields), *self._shipped_name(fields)]
        said = {problem.place: problem.sentence for problem in self._problems}
        self.name.show_problem(said.get(("name",), ""))
        self.title.show_problem(said.get(("title",), ""))
        self.axes.show_problems(self._problems)
        right = not self._problems
        for button in (self.save_button, self.export_button):
            button.setEnabled(right)
        self.discard_button.setEnabled(self.is_changed)
        count = len(self._problems)
        self._say("" if right else f"▲ {count} field{'s are' if count > 1 else ' is'} not right yet: see the marks.")
        if right and self.is_changed:
            self._say("Not saved yet.")
        self.preview.show_rubric(None if self._problems else fields)
        self._draft_delay.start()

    def _shipped_name(self, fields: Mapping[str, Any]) -> list[Problem]:
        if fields["name"] != rubric_store.SHIPPED:
            return []
        return [Problem(("name",), f"{rubric_store.SHIPPED} is the rubric that ships: give yours another name.")]

    def _say(self, sentence: str) -> None:
        self.state.setText(sentence)

    def _keep_draft(self) -> None:
        fields = self.fields()
        if not self._base or fields == self._kept:
            return
        self._kept = fields
        if fields == self._base:
            self._session.background.do(rubric_store.drop_draft, lambda _: None, self._say)
        else:
            self._session.background.do(lambda: rubric_store.keep_draft(fields), lambda _: None, self._say)

    def _drop_draft(self) -> None:
        self._draft_delay.stop()
        self._kept = self.fields()
        self._session.background.do(rubric_store.drop_draft, lambda _: None, self._say)

    def save(self, then: Callable[[], None] | None = None) -> None:
        """Keep this state as a version and hand it to the next run."""
        if self._problems or not self._base:
            return
        fields = self.fields()
        rubric = Rubric.model_validate(fields)
        self._draft_delay.stop()

        def work() -> rubric_store.Version:
            version = rubric_store.save(rubric)
            rubric_store.drop_draft()
            return version

        def kept(version: rubric_store.Version) -> None:
            self._base = self._kept = fields
            self._base_words = f"{version.path.name}: saving again makes a version of its own"
            self.base.setText(f"Made from {self._base_words}.")
            self._changed()
            self._say(f"Saved as {version.path.stem} and chosen for the next run.")
            self.saved.emit(version)
            if then is not None:
                then()

        def failed(sentence: str) -> None:
            self._say(sentence)
            self._draft_delay.start()

        self._session.background.do(work, kept, failed)

    def _choose_import(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Import a rubric", "", "Rubrics (*.toml)")
        if name:
            self.import_file(Path(name))

    def import_file(self, path: Path) -> None:
        """Show a rubric file's texts in place of these; asks first if something would be lost."""

        def shown(rubric: Rubric) -> None:
            self.base.setText(f"Imported from {path.name}. Not a saved version yet.")
            self._show(rubric.model_dump(mode="json"))

        def read() -> None:
            self._session.background.do(lambda: load(path), shown, self._say)

        self._after_asking(f"Import {path.name} in place of what was changed here?", read)

    def _choose_export(self) -> None:
        proposed = f"{self.name.text()}.toml"
        name, _ = QFileDialog.getSaveFileName(self, "Export the rubric", proposed, "Rubrics (*.toml)")
        if name:
            self.export_file(Path(name))

    def export_file(self, path: Path) -> None:
        """Write the rubric as it stands to a TOML file; one that is there is replaced."""
        if self._problems:
            return
        text = to_toml(Rubric.model_validate(self.fields()))
        done = f"Exported to {path.name}."
        self._session.background.do(lambda: write_atomic(path, text), lambda _: self._say(done), self._say)

    def _ask_discard(self) -> None:
        self._after_asking("Discard the changes?", self._discard)

    def _discard(self) -> None:
        self.base.setText(f"Made from {self._base_words}.")
        self._show(self._base)
        self._drop_draft()

    def _after_asking(self, words: str, then: Callable[[], None]) -> None:
        """Do something that loses changes, if there are none or the person agrees."""
        if not self.is_changed:
            then()
            return
        buttons = QMessageBox.StandardButton.Discard | QMessageBox.StandardButton.Cancel
        self._ask(words, buttons, {QMessageBox.StandardButton.Discard: then})

    def _ask(
        self,
        words: str,
        buttons: QMessageBox.StandardButton,
        answers: Mapping[QMessageBox.StandardButton, Callable[[], None]],
    ) -> None:
        box = QMessageBox(QMessageBox.Icon.Question, "Rubric editor", "", buttons, self)
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(words)
        self.question = box

        def answered(chosen: int) -> None:
            self.question = None
            box.deleteLater()
            answer = answers.get(QMessageBox.StandardButton(chosen))
            if answer is not None:
                answer()

        box.finished.connect(answered)
        box.open()

    def reject(self) -> None:
        """Close; asks first if something would be lost."""
        if not self.is_changed:
            self._leave()
            return
        buttons = QMessageBox.StandardButton.Discard | QMessageBox.StandardButton.Cancel
        answers: dict[QMessageBox.StandardButton, Callable[[], None]] = {
            QMessageBox.StandardButton.Discard: self._leave
        }
        if not self._problems:
            buttons |= QMessageBox.StandardButton.Save
            answers[QMessageBox.StandardButton.Save] = lambda: self.save(self._leave)
        self._ask("The rubric has changes that are not saved. Saving keeps them as a version.", buttons, answers)

    def _leave(self) -> None:
        self.preview.stop()
        if self._base:
            self._drop_draft()
        super().reject()

    def closeEvent(self, event: QCloseEvent) -> None:
        """The window's own close button asks too."""
        if self.isVisible():
            event.ignore()
            self.reject()
        else:
            super().closeEvent(event)
