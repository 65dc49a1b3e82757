"""Where a run is to be carried out: this machine, or a backend that is kept."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label
from auditor.runs.executor import LOCAL

_HERE = "This machine"


class RunsOn(QWidget):
    """Asks where; there is nothing to ask, and nothing to see, while no backend is kept.

    Parameters
    ----------
    parent : QWidget
        Without one it would be a window of its own when it is shown.

    Signals
    -------
    changed()
        Another place was chosen, by the person or since the one that was chosen is gone.
    """

    changed = Signal()

    def __init__(self, session: Session, parent: QWidget) -> None:
        super().__init__(parent)
        self._session = session
        self._addresses: dict[str, str] = {}
        self.box = QComboBox()
        self.box.setAccessibleName("Runs on")
        self.box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.box.setMinimumContentsLength(10)
        self.box.currentIndexChanged.connect(self._chose)
        self.words = plain_label(name="help")
        label = QLabel("Runs on")
        label.setBuddy(self.box)
        row = QHBoxLayout()
        row.addWidget(label)
        row.addWidget(self.box, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 4)
        layout.addLayout(row)
        layout.addWidget(self.words)
        session.backends_changed.connect(self.refresh)
        self.refresh()

    @property
    def chosen(self) -> str:
        """Name of the executor: "local", or the name of a backend."""
        return str(self.box.currentData() or LOCAL)

    def refresh(self) -> None:
        """Read anew which backends are kept."""
        before = self.chosen
        self._addresses = {backend.name: backend.address for backend in self._session.backends()}
        self.box.blockSignals(True)
        self.box.clear()
        self.box.addItem(_HERE, LOCAL)
        for name in self._addresses:
            self.box.addItem(name, name)
        self.box.setCurrentIndex(max(0, self.box.findData(before)))
        self.box.blockSignals(False)
        self.setVisible(bool(self._addresses))
        self._say()
        if self.chosen != before:
            self.changed.emit()

    def _chose(self) -> None:
        self._say()
        self.changed.emit()

    def _say(self) -> None:
        address = self._addresses.get(self.chosen)
        sent = f"The run's settings and inputs are sent to {address}; a model too, unless it lies there."
        self.words.setText(sent if address else "")
        self.words.setVisible(address is not None)
