"""The files of an audit: the first one dropped, what may stand beside it, how their columns are read."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QMessageBox, QVBoxLayout, QWidget

from auditor.audits import InputRole
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label, plain_tip
from auditor.desktop.widgets.dropzone import DropZone
from auditor.desktop.widgets.file_preview import FilePreview
from auditor.desktop.widgets.other_file import OtherFile


class RunFiles(QWidget):
    """Asks for the files of a run.

    Parameters
    ----------
    audit : str
        Name of the audit.
    roles : sequence of InputRole
        The first one is dropped or chosen, the others stand beside it.

    Attributes
    ----------
    words : mapping of str to str
        Fields that people call otherwise than the spec does.
    fields : mapping of str to tuple of str
        Which fields are asked for in which file.
    units : mapping of str to str
        What the rows of each file are.
    samples : mapping of str to str
        Name -> title, where there are several samples.
    first_words : str
        What the first file holds, if its title does not say that by itself.

    Signals
    -------
    changed()
        Another file, another column, or another answer about one of them.
    sample_taken()
        The files are those of the sample, whose settings are known.
    """

    changed = Signal()
    sample_taken = Signal()

    words: ClassVar[Mapping[str, str]] = MappingProxyType({})
    fields: ClassVar[Mapping[str, tuple[str, ...]]]
    units: ClassVar[Mapping[str, str]]
    samples: ClassVar[Mapping[str, str]] = MappingProxyType({})
    first_words: ClassVar[str] = ""

    def __init__(self, session: Session, audit: str, roles: Sequence[InputRole], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._audit = session, audit
        self._settings: Mapping[str, Any] = {}
        self.found: dict[str, dict[str, Any]] = {}
        first, *others = roles
        self._first, self._roles = first.name, {role.name: role for role in roles}
        self._path: Path | None = None
        #: What people, or the sample, said of columns; what is not said is recognised.
        self._said: dict[str, dict[str, str]] = {}
        self.drop = DropZone(self.first_words or first.title.lower(), first.endings, self.samples)
        self.drop.setToolTip(plain_tip(first.description))
        self.drop.chosen.connect(self.take_first)
        self.drop.sample_wanted.connect(self.take_sample)
        self.previews = {role.name: FilePreview("", f"Problems of {role.title.lower()}") for role in roles}
        self.previews[first.name].clear(first.description)
        self.others: dict[str, OtherFile] = {}
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.addWidget(plain_label(first.title, name="heading"))
        self._layout.addWidget(self.drop)
        self._layout.addWidget(self.previews[first.name])
        self._layout.addWidget(plain_label("Beside them", name="heading"))
        for role in others:
            self._add_other(role.name, role.title, role.endings, role.description)
            self._layout.addWidget(self.previews[role.name])
            self.previews[role.name].clear("")
            self.others[role.name].changed.connect(lambda _path, role=role.name: self._take_other(role))
        for role_name, preview in self.previews.items():
            preview.mapped.connect(lambda role=role_name: self._map(role))

    def _add_other(self, name: str, title: str, endings: tuple[str, ...], about: str) -> None:
        file = OtherFile(
            title, without=title, given=title + ": {name}", endings=endings, tip=plain_tip(about), in_a_row=True
        )
        file.words.setAccessibleDescription(about)
        self.others[name] = file
        self._layout.addWidget(file)

    @property
    def paths(self) -> dict[str, Path]:
        """Role -> file, of those that were chosen."""
        found = {role: self._path if role == self._first else self.others[role].path for role in self._roles}
        return {role: path for role, path in found.items() if path is not None}

    @property
    def mapping(self) -> dict[str, str]:
        """Field -> column over all files; what a later file says holds."""
        return {field: column for preview in self.previews.values() for field, column in preview.columns().items()}

    @property
    def is_read(self) -> bool:
        """Whether every file that is needed was chosen, and every chosen one was read and has rows."""
        needed = {role.name for role in self._roles.values() if role.required}
        return all(role in self.found and self.found[role]["n_rows"] > 0 for role in needed | set(self.paths))

    def take_first(self, path: Path) -> None:
        """Read the first file and show what it turned out to be."""
        self._path = path
        self.drop.words.setText(path.name)
        self._said.pop(self._first, None)
        self._read(self._first)

    def take(self, role: str, path: Path) -> None:
        """Take a file, or a folder of images, for what it is said to be."""
        if role == self._first:
            self.take_first(path)
        else:
            self.others[role].take(path)

    def take_any(self, path: Path) -> None:
        """Take a file that was dropped anywhere: the first one is the first role's; what another holds is asked."""
        if self._first not in self.paths:
            self.take_first(path)
            return
        box = QMessageBox(QMessageBox.Icon.Question, "Auditor", f"What does {path.name} hold?", parent=self)
        box.setTextFormat(Qt.TextFormat.PlainText)
        for role in self._roles.values():
            button = box.addButton(role.title, QMessageBox.ButtonRole.AcceptRole)
            button.clicked.connect(lambda _checked=False, name=role.name: self.take(name, path))
        box.addButton(QMessageBox.StandardButton.Cancel)
        box.open()

    def take_sample(self, name: str) -> None:
        """Take the files of a sample."""
        raise NotImplementedError

    def set_settings(self, settings: Mapping[str, Any]) -> None:
        """Settings by which files are read; they are read anew if these change."""
        if settings != self._settings:
            self._settings = dict(settings)
            for role in self.paths:
                self._read(role)

    def _take_other(self, role: str) -> None:
        self._said.pop(role, None)
        self._read(role)

    def _map(self, role: str) -> None:
        self._said[role] = self.previews[role].columns()
        self._read(role)

    def _read(self, role: str) -> None:
        path = self.paths.get(role)
        self.found.pop(role, None)
        kind = f"{self._audit} preview {role}"
        if path is None:
            self._session.asker.drop(kind)
            self.previews[role].clear("")
            self.changed.emit()
            return
        self.previews[role].show_reading(path.name)
        options = {**self._settings, "mapping": self._said.get(role, {})}
        asked = {"audit": self._audit, "role": role, "path": str(path), "options": options}
        self._session.asker.ask(
            "preview",
            asked,
            lambda found: self._show(role, found),
            lambda sentence: self._show_problem(role, sentence),
            kind=kind,
        )
        self.changed.emit()

    def _show(self, role: str, found: dict[str, Any]) -> None:
        self.found[role] = found
        fields = {field: self.words.get(field, field.capitalize()) for field in self.fields[role]}
        n = found["n_problems"]
        bad = f", {n:,} problem{'s' if n != 1 else ''}" if n else ""
        sentence = f"{found['n_rows']:,} {self.units[role]}{bad}. {found['format']}."
        self.previews[role].show_found(found, sentence, fields)
        self.changed.emit()

    def _show_problem(self, role: str, sentence: str) -> None:
        self.previews[role].show_problem(sentence)
        self.changed.emit()
