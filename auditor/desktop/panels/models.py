"""The Models panel: the library of model files: list, add, check, remove, and whether each fits."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)

from auditor.desktop import theme
from auditor.desktop.panels.models_optimise import OptimiseModel
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.listing import Listing
from auditor.models import ModelFile
from auditor.models.starter import STARTER_WARNING
from auditor.sizes import size_words

_COLUMNS = ("Name", "Architecture", "Quantisation", "Weights", "Size", "Context", "Licence", "Fits here")
_EMPTY = (
    "There is no model yet. Add a GGUF file, for example a 7B model in Q4_K_M, or drop the folder of a transformers model with "
    "safetensors (for Guard); it is used where it lies or copied."
)
_ADD = "To add the folder of a transformers model, drop it on the window."


class ModelsPanel(QWidget):
    """The library.

    Signals
    -------
    changed()
        A model was added or removed.
    """

    changed = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._models: list[dict[str, Any]] = []
        title = plain_label("Models", name="title")
        self.words = plain_label(_EMPTY, name="soft")
        self.table = Listing("Model library", _COLUMNS)
        self.table.itemSelectionChanged.connect(self._show_selected)
        self.add_button = theme.icon_button("add", "Add a GGUF file…")
        self.add_button.setToolTip(_ADD)
        self.add_button.clicked.connect(self._choose)
        self.copy = QCheckBox("Copy it into the library")
        self.copy.setToolTip("Otherwise the file is used where it lies, and must stay there.")
        self.check_button = theme.icon_button("verify", "Check")
        self.check_button.setToolTip("Hash the file again and compare with the hash from when it was added.")
        self.check_button.clicked.connect(self._check)
        self.optimise_button = theme.icon_button("run", "Optimise for this machine…")
        self.optimise_button.setToolTip("Make a faster file of the selected model, if one agrees with it.")
        self.optimise_button.clicked.connect(self._optimise)
        self.remove_button = theme.icon_button("remove", "Remove")
        self.remove_button.clicked.connect(self._remove)
        self.progress = QProgressBar()
        self.progress.setAccessibleName("Reading a model file")
        self.progress.hide()
        self.detail = plain_label(name="soft")
        self.outcome = plain_label()
        buttons = QHBoxLayout()
        buttons.addWidget(self.add_button)
        buttons.addWidget(self.copy)
        buttons.addStretch(1)
        buttons.addWidget(self.optimise_button)
        buttons.addWidget(self.check_button)
        buttons.addWidget(self.remove_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 18, 20, 14)
        for widget in (title, self.words):
            layout.addWidget(widget)
        layout.addLayout(buttons)
        layout.addWidget(self.progress)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.detail)
        layout.addWidget(self.outcome)
        self._show_selected()

    def activate(self) -> None:
        """Called when the panel comes into view."""
        self._session.asker.ask("models_list", {}, self._show, self._say, kind="models list")

    def _show(self, models: list[dict[str, Any]]) -> None:
        self._models = models
        self.words.setText(f"{len(models)} in the library." if models else _EMPTY)
        rows = [
            (
                model["name"],
                model["architecture"],
                model["quantisation"],
                f"{model['parameters'] / 1e9:.2f} B",
                size_words(model["size_bytes"]),
                f"{model['context_length']:,} tokens",
                model["licence"] or "not stated",
                "yes" if model["fit"]["fits"] else "no",
            )
            for model in models
        ]
        self.table.show_rows(rows, max(0, min(self.table.currentRow(), len(rows) - 1)))
        self._show_selected()

    def _selected(self) -> dict[str, Any] | None:
        row = self.table.currentRow()
        return self._models[row] if 0 <= row < len(self._models) else None

    def _show_selected(self) -> None:
        model = self._selected()
        self.check_button.setEnabled(model is not None)
        self.optimise_button.setEnabled(model is not None and not model["made_from"])
        self.remove_button.setEnabled(model is not None and model["held"] != "starter")
        if model is None:
            self.detail.setText("")
            return
        held = {"reference": "used where it lies", "copy": "copied into the library", "starter": STARTER_WARNING}
        lines = [model["fit"]["sentence"], f"{model['path']} ({held[model['held']]})", f"SHA-256 {model['sha256']}"]
        file = _file(model)
        if file.made_from:
            lines.append(_origin(file))
        if file.is_starter and model["held"] != "starter":
            lines.append(STARTER_WARNING[:1].upper() + STARTER_WARNING[1:] + ".")
        self.detail.setText("\n".join(lines))

    def _choose(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Add a model", "", "GGUF models (*.gguf);;All files (*)")
        if name:
            self.add(Path(name))

    def add(self, path: Path) -> None:
        """Inspect, hash and add a file; what is wrong with it is said here."""
        self.add_button.setEnabled(False)
        self.progress.setRange(0, 0)
        self.progress.show()
        self.outcome.setText(f"Reading {path.name} …")
        asked = {"path": str(path), "copy": self.copy.isChecked()}
        self._session.asker.ask("models_add", asked, self._added, self._not_added, self._show_progress)

    def _show_progress(self, done: int, total: int, _message: str) -> None:
        self.progress.setRange(0, max(1, total))
        self.progress.setValue(done)

    def _added(self, model: dict[str, Any]) -> None:
        self._not_added(f"{model['name']} was added: SHA-256 {model['sha256']}")
        self.changed.emit()
        self.activate()

    def _not_added(self, sentence: str) -> None:
        self.add_button.setEnabled(True)
        self.progress.hide()
        self._say(sentence)

    def _check(self) -> None:
        model = self._selected()
        if model:
            self._say(f"Checking {model['name']} …")
            asked = {"name": model["name"]}
            self._session.asker.ask("models_check", asked, lambda found: self._say(found["sentence"]), self._say)

    def _optimise(self) -> None:
        model = self._selected()
        if model:
            dialog = OptimiseModel(self._session, _file(model), self)
            dialog.kept.connect(self._changed)
            # What a cancelled one left behind is swept when the list is read again.
            dialog.finished.connect(lambda _result: self.activate())
            dialog.open()

    def _changed(self) -> None:
        self.changed.emit()
        self.activate()

    def _remove(self) -> None:
        model = self._selected()
        if model:
            self._session.asker.ask("models_remove", {"name": model["name"]}, self._removed, self._say)

    def _removed(self, found: dict[str, Any]) -> None:
        self._say(f"{found['name']} was removed from the library.")
        self.changed.emit()
        self.activate()

    def _say(self, sentence: str) -> None:
        self.outcome.setText(sentence)


def _file(model: Mapping[str, Any]) -> ModelFile:
    return ModelFile.model_validate({name: value for name, value in model.items() if name != "fit"})


def _origin(file: ModelFile) -> str:
    words = f"Requantised from SHA-256 {file.made_from}"
    how = file.requantised
    if how is None:
        return f"{words}."
    return (
        f"{words} ({how.original_name}): {how.tokens_per_s:,.0f} tokens/s against {how.original_tokens_per_s:,.0f} then; "
        f"{how.same_mode:.1%} of {how.ratings} ratings the same, {how.same_or_near:.1%} with near ties, expected scores "
        f"differ by {how.difference:.3f} on average; {how.sample}."
    )
