"""Which model of the library a run uses."""

from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QVBoxLayout, QWidget

from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label
from auditor.models import ModelFile


class ModelChoice(QWidget):
    """Asks for a model.

    Parameters
    ----------
    name : str
        What the model is, for people who cannot see the box.
    kind : str
        Of the question for the library; a newer one of the same kind takes its place.
    without : str
        What it means to choose none, where that is possible.

    Attributes
    ----------
    known : dict of str to ModelFile
        The library.

    Signals
    -------
    changed()
        Another model, or another library.
    listed(object)
        What the library holds, as `show_models` takes it.
    """

    changed = Signal()
    listed = Signal(object)

    def __init__(
        self, session: Session, name: str, kind: str, *, without: str = "", parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._session, self._kind, self._without = session, kind, without
        self._wanted: str | None = None
        self.known: dict[str, ModelFile] = {}
        self.box = QComboBox()
        self.box.setAccessibleName(name)
        self.box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.box.setMinimumContentsLength(10)
        self.box.currentIndexChanged.connect(lambda _index: self.changed.emit())
        # What somebody chooses meanwhile holds.
        self.box.activated.connect(lambda _index: self._forget_wanted())
        self.words = plain_label(name="help")
        self.words.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.box)
        layout.addWidget(self.words)

    @property
    def chosen(self) -> str | None:
        """Name of the model, None while there is none."""
        name = self.box.currentData()
        return None if name is None else str(name)

    def select(self, name: str) -> None:
        """Choose a model, as soon as the library is known to have it."""
        place = self.box.findData(name)
        if place < 0:
            self._wanted = name
        else:
            self._forget_wanted()
            self.box.setCurrentIndex(place)

    def _forget_wanted(self) -> None:
        self._wanted = None

    def refresh(self) -> None:
        """Read the library anew."""
        self._session.asker.ask("models_list", {}, self.show_models, self.say, kind=self._kind)

    def show_models(self, models: list[dict[str, Any]]) -> None:
        """Offer what the library holds, as the task `models_list` gives it."""
        kept = self._wanted or self.box.currentData()
        self.known = {m["name"]: ModelFile.model_validate({k: v for k, v in m.items() if k != "fit"}) for m in models}
        self.box.blockSignals(True)
        self.box.clear()
        if self._without:
            self.box.addItem(self._without, None)
        for name, model in self.known.items():
            self.box.addItem(f"{name} ({model.architecture} {model.quantisation})", name)
        self.box.setCurrentIndex(0 if kept is None else max(0, self.box.findData(kept)))
        self.box.blockSignals(False)
        if kept in self.known:
            self._forget_wanted()
        self.say("" if models or self._without else "There is no model yet: add a GGUF file under Models.")
        self.listed.emit(models)
        self.changed.emit()

    def say(self, sentence: str) -> None:
        """Say something below the box; nothing where the sentence is empty."""
        self.words.setText(sentence)
        self.words.setVisible(bool(sentence))
