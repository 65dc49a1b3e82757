"""The files of a parity audit: results, what may stand beside them, how their columns are read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from auditor.audits import parity
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label, plain_tip
from auditor.desktop.widgets.dropzone import DropZone
from auditor.desktop.widgets.file_preview import FilePreview
from auditor.desktop.widgets.other_file import OtherFile
from auditor.resources import resource

#: Fields that people call otherwise than the spec does.
_WORDS = {
    "query_id": "Query",
    "item_id": "Item",
    "query_group": "Query group",
    "query_item": "Query is item",
    "rater": "Rater",
}
#: Which fields are asked for in which file.
_FIELDS = {
    "results": ("query_id", "item_id", "rank", "score", "query_group", "attribute", "query_item", "image"),
    "catalog": ("item_id", "attribute", "image"),
    "queries": ("query_id", "query_group", "query_item"),
    "shares": ("query_id",),
    "annotations": ("item_id", "rater", "attribute"),
}
_UNITS = {
    "results": "results",
    "catalog": "items",
    "queries": "queries",
    "shares": "rows of shares",
    "annotations": "judgements",
}
#: The sample's catalog holds the same tone on three scales.
_SAMPLE_MAPPING = {"attribute": "monk"}
SAMPLES = {"biased": "A biased engine", "fair": "A fair engine"}


class ParityFiles(QWidget):
    """Asks for the files.

    Signals
    -------
    changed()
        Another file, another column, or another answer about one of them.
    sample_taken()
        The files are those of the sample, whose settings are known.
    """

    changed = Signal()
    sample_taken = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._settings: Mapping[str, Any] = {}
        self.found: dict[str, dict[str, Any]] = {}
        self._results: Path | None = None
        #: What people, or the sample, said of columns; what is not said is recognised.
        self._said: dict[str, dict[str, str]] = {}
        first, *others = parity.input_roles
        self.drop = DropZone("search results", first.endings, SAMPLES)
        self.drop.setToolTip(plain_tip(first.description))
        self.drop.chosen.connect(self.take_results)
        self.drop.sample_wanted.connect(self.take_sample)
        self.previews = {role.name: FilePreview("", f"Problems of {role.title.lower()}") for role in parity.input_roles}
        self.previews["results"].clear(first.description)
        self.others: dict[str, OtherFile] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(plain_label("Search results", name="heading"))
        layout.addWidget(self.drop)
        layout.addWidget(self.previews["results"])
        layout.addWidget(plain_label("Beside them", name="heading"))
        for role in others:
            self._add(layout, role.name, role.title, role.endings, role.description)
            layout.addWidget(self.previews[role.name])
            self.previews[role.name].clear("")
            self.others[role.name].changed.connect(lambda _path, role=role.name: self._take_other(role))
        about = "Folder of the images that are shown beside results. The case does not copy it."
        self._add(layout, "images", "Images", (), about)
        self.others["images"].changed.connect(lambda _path: self.changed.emit())
        for role_name, preview in self.previews.items():
            preview.mapped.connect(lambda role=role_name: self._map(role))

    def _add(self, layout: QVBoxLayout, name: str, title: str, endings: tuple[str, ...], about: str) -> None:
        file = OtherFile(
            title, without=title, given=title + ": {name}", endings=endings, tip=plain_tip(about), in_a_row=True
        )
        file.words.setAccessibleDescription(about)
        self.others[name] = file
        layout.addWidget(file)

    @property
    def paths(self) -> dict[str, Path]:
        """Role -> file, of those that were chosen."""
        found = {"results": self._results, **{role: self.others[role].path for role in list(_FIELDS)[1:]}}
        return {role: path for role, path in found.items() if path is not None}

    @property
    def image_folder(self) -> Path | None:
        """Where images are looked up."""
        return self.others["images"].path

    @property
    def mapping(self) -> dict[str, str]:
        """Field -> column over all files; what a later file says holds."""
        return {field: column for preview in self.previews.values() for field, column in preview.columns().items()}

    @property
    def is_read(self) -> bool:
        """Whether every chosen file was read and has rows."""
        return bool(self.paths) and all(
            role in self.found and self.found[role]["n_rows"] > 0 for role in ("results", *self.paths)
        )

    def take_results(self, path: Path) -> None:
        """Read a file of results and show what it turned out to be."""
        self._results = path
        self.drop.words.setText(path.name)
        self._said.pop("results", None)
        self._read("results")

    def take(self, role: str, path: Path) -> None:
        """Take a file, or a folder of images, for what it is said to be."""
        if role == "results":
            self.take_results(path)
        else:
            self.others[role].take(path)

    def take_sample(self, engine: str) -> None:
        """Take the sample: results of one of the two engines, the catalog and its images."""
        self.take_results(resource("samples", "parity", f"results-{engine}.csv"))
        self.others["catalog"].take(resource("samples", "parity", "catalog.csv"))
        self._said["catalog"] = dict(_SAMPLE_MAPPING)
        self._read("catalog")
        self.others["images"].take(resource("samples", "parity"))
        for role in ("queries", "shares", "annotations"):
            self.others[role].take(None)
        self.sample_taken.emit()

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
        kind = f"parity preview {role}"
        if path is None:
            self._session.asker.drop(kind)
            self.previews[role].clear("")
            self.changed.emit()
            return
        self.previews[role].show_reading(path.name)
        options = {**self._settings, "mapping": self._said.get(role, {})}
        asked = {"audit": "parity", "role": role, "path": str(path), "options": options}
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
        fields = {field: _WORDS.get(field, field.capitalize()) for field in _FIELDS[role]}
        n = found["n_problems"]
        bad = f", {n:,} problem{'s' if n != 1 else ''}" if n else ""
        sentence = f"{found['n_rows']:,} {_UNITS[role]}{bad}. {found['format']}."
        self.previews[role].show_found(found, sentence, fields)
        self.changed.emit()

    def _show_problem(self, role: str, sentence: str) -> None:
        self.previews[role].show_problem(sentence)
        self.changed.emit()
