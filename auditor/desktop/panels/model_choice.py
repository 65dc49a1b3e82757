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

    Attributes
    ----------
    known : dict of str to ModelFile
        The library.

    Signals
    -------
    changed()
        Another model, or another library.
    """

    changed = Signal()

    def __init__(self, session: Session, name: str, kind: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._kind = session, kind
        self.known: dict[str, ModelFile] = {}
        self.box = QComboBox()
        self.box.setAccessibleName(name)
        self.box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.box.setMinimumContentsLength(10)
        self.box.currentIndexChanged.connect(lambda _index: self.changed.emit())
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

    def refresh(self) -> None:
        """Read the library anew."""
        self._session.asker.ask("models_list", {}, self._show, self._say, kind=self._kind)

    def _show(self, models: list[dict[str, Any]]) -> None:
        kept = self.box.currentData()
        self.known = {m["name"]: ModelFile.model_validate({k: v for k, v in m.items() if k != "fit"}) for m in models}
        self.box.blockSignals(True)
        self.box.clear()
        for name, model in self.known.items():
            self.box.addItem(f"{name} ({model.architecture} {model.quantisation})", name)
        self.box.setCurrentIndex(max(0, self.box.findData(kept)))
        self.box.blockSignals(False)
        self._say("" if models else "There is no model yet: add a GGUF file under Models.")
        self.changed.emit()

    def _say(self, sentence: str) -> None:
        self.words.setText(sentence)
        self.words.setVisible(bool(sentence))
