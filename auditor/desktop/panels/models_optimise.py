"""Optimise a model for this machine: what is asked, how far it is, which candidates there were, what was kept."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import QDir, Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from auditor.desktop import theme
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label, plain_tip
from auditor.desktop.widgets.listing import Listing
from auditor.models import ModelFile
from auditor.models.starter import STARTER_WARNING
from auditor.models.tolerance import Tolerance
from auditor.runs.clock import duration

_TASK = "models_optimise"
_COLUMNS = ("Weights", "Tokens/s", "Range", "Faster", "Same score", "or near tie", "Difference", "Result")
_WHAT = (
    "Which quantisation is fastest differs between processors. Q4_0, Q8_0 and BF16 are made from {name} as they fit, "
    "their speed is measured in turns with it, and their ratings are compared with its ratings. The fastest file within "
    "the tolerance is kept as a model of its own, {name} stays as it is. A requantised file is never better than the "
    "file it was made from, in BF16 neither: it is only faster."
)
#: Holds the result too, so that nothing jumps.
_SIZE = (900, 640)
#: Frame of the table and its horizontal scroll bar, pixels.
_FRAME = 16
#: Before that, what is left cannot be told from what was done.
_SURE_SECONDS = 5.0
_SAMPLE = "the bundled sample, for want of conversations of your own"


class OptimiseModel(QDialog):
    """Asks, shows progress, shows the result.

    Parameters
    ----------
    model : ModelFile
        The original.

    Signals
    -------
    kept()
        A file was taken into the library.
    """

    kept = Signal()

    def __init__(self, session: Session, model: ModelFile, parent: QWidget) -> None:
        super().__init__(parent)
        self._session, self._model = session, model
        self._conversations: Path | None = None
        self._begun = 0.0
        self.setWindowTitle(f"Optimise {model.name} for this machine")
        self.resize(*_SIZE)
        what = plain_label(_WHAT.format(name=model.name), name="soft")
        self.starter = plain_label(STARTER_WARNING[:1].upper() + STARTER_WARNING[1:] + ".", name="alert")
        self.starter.setVisible(model.is_starter)
        self.sample = plain_label()
        self.choose = theme.icon_button("open", "Conversations…")
        self.choose.setToolTip("Ratings are compared on up to 32 of these conversations.")
        self.choose.clicked.connect(self._choose)
        self.boxes = {name: self._box(name) for name in Tolerance.model_fields}
        self.progress = QProgressBar()
        self.progress.setAccessibleName("Progress of the optimisation")
        self.outcome = plain_label(name="verdict")
        self.table = Listing("Candidates", _COLUMNS)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.cautions = plain_label(name="soft")
        self.start = QPushButton("Optimise")
        self.start.setObjectName("primary")
        self.start.setDefault(True)
        self.start.clicked.connect(self._start)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.buttons.addButton(self.start, QDialogButtonBox.ButtonRole.ActionRole)
        self.buttons.rejected.connect(self.reject)
        self._lay_out(what)
        self.start.setFocus()
        self._show_sample()
        for widget in (self.progress, self.outcome, self.table, self.cautions):
            widget.hide()
        self.finished.connect(lambda _result: self._leave())

    def _lay_out(self, what: QWidget) -> None:
        sample = QHBoxLayout()
        sample.addWidget(self.sample, 1)
        sample.addWidget(self.choose)
        self._form = QWidget()
        form = QFormLayout(self._form)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Compared on", sample)
        titles = ("Least agreement", "Near tie", "Largest difference")
        for title, box in zip(titles, self.boxes.values(), strict=True):
            row = QHBoxLayout()
            row.addWidget(box)
            row.addWidget(plain_label(box.toolTip(), name="help"), 1)
            form.addRow(title, row)
        layout = QVBoxLayout(self)
        layout.setSpacing(10)
        layout.addWidget(what)
        layout.addWidget(self.starter)
        layout.addWidget(self._form)
        layout.addWidget(self.progress)
        layout.addWidget(self.outcome)
        layout.addWidget(self.table)
        layout.addWidget(self.cautions)
        layout.addStretch()
        layout.addWidget(self.buttons)

    def _box(self, name: str) -> QDoubleSpinBox:
        field = Tolerance.model_fields[name]
        box = QDoubleSpinBox()
        box.setDecimals(2)
        box.setSingleStep(0.01)
        box.setRange(0, 4 if name == "most_difference" else 1)
        box.setValue(float(field.default))
        box.setFixedWidth(100)
        box.setToolTip(field.description or "")
        box.setAccessibleName(field.description or name)
        return box

    def _show_sample(self) -> None:
        self.sample.setText(self._conversations.name if self._conversations else _SAMPLE)

    def _choose(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Conversations to compare ratings on", QDir.homePath())
        if name:
            self.use(Path(name))

    def use(self, conversations: Path) -> None:
        """Compare ratings on these conversations."""
        self._conversations = conversations
        self._show_sample()

    def _start(self) -> None:
        self._set_running(running=True)
        self.outcome.hide()
        self.table.hide()
        self.cautions.hide()
        asked: dict[str, Any] = {"name": self._model.name, **{name: box.value() for name, box in self.boxes.items()}}
        if self._conversations:
            asked["conversations"] = str(self._conversations)
        self.progress.setRange(0, 0)
        self._begun = time.monotonic()
        self._session.asker.ask(_TASK, asked, self._show, self._end, self._show_progress)

    def _set_running(self, *, running: bool) -> None:
        self.progress.setVisible(running)
        self._form.setEnabled(not running)
        self.start.setEnabled(not running)
        close = self.buttons.button(QDialogButtonBox.StandardButton.Close)
        close.setText("Cancel" if running else "Close")

    def _show_progress(self, done: int, total: int, message: str) -> None:
        self.progress.setRange(0, max(1, total))
        self.progress.setValue(done)
        seconds = time.monotonic() - self._begun
        left = f", about {duration(seconds * (total - done) / done)} left" if done and seconds > _SURE_SECONDS else ""
        self.progress.setFormat(f"{message}  %p%{left}")

    def _end(self, sentence: str) -> None:
        self._set_running(running=False)
        self.outcome.setText(sentence)
        self.outcome.show()

    def _show(self, found: Mapping[str, Any]) -> None:
        original = found["original_speed"]
        first = (f"{found['original_quantisation']} (original)", *_speed(original), "", "", "", "", "")
        self.table.show_rows([first, *(_row(one, found["kept"]) for one in found["candidates"])], 0)
        self.table.setCurrentCell(-1, -1)
        for place, one in enumerate(found["candidates"], start=1):
            hint = "\n".join(_by_axis(one)) or one["reason"]
            for column in range(len(_COLUMNS)):
                item = self.table.item(place, column)
                if item is not None:
                    item.setToolTip(plain_tip(hint))
        self.cautions.setText("\n".join([f"Compared on {found['sample']}.", *found["cautions"]]))
        rows = sum(self.table.rowHeight(place) for place in range(self.table.rowCount()))
        self.table.setFixedHeight(rows + self.table.horizontalHeader().sizeHint().height() + _FRAME)
        self.table.show()
        self.cautions.show()
        self._end(found["sentence"])
        if found["kept"]:
            self.start.setEnabled(False)
            self.kept.emit()

    def _leave(self) -> None:
        self._session.asker.drop(_TASK)
        self.deleteLater()


def _speed(speed: Mapping[str, float] | None) -> tuple[str, str]:
    if speed is None:
        return "", ""
    return f"{speed['median']:,.0f}", f"{speed['low']:,.0f} to {speed['high']:,.0f}"


def _row(one: Mapping[str, Any], kept: Mapping[str, Any] | None) -> tuple[str, ...]:
    if one["state"] != "measured":
        return (one["kind"], "", "", "", "", "", "", f"{one['state']}: {one['reason']}")
    agreed = one["agreement"]
    if kept and kept["sha256"] == one["sha256"]:
        result = f"kept as {kept['name']}"
    elif not one["is_within"]:
        result = "not within the tolerance"
    else:
        result = "within the tolerance" if one["is_faster"] else "not faster"
    return (
        one["kind"],
        *_speed(one["speed"]),
        f"{one['ratio']:.2f}x",
        f"{agreed['same_mode']:.1%}",
        f"{agreed['same_or_near']:.1%}",
        f"{agreed['difference']:.3f}",
        result,
    )


def _by_axis(one: Mapping[str, Any]) -> list[str]:
    return [
        f"{axis['axis']}: {axis['same_mode']:.1%} the same, {axis['same_or_near']:.1%} with near ties, "
        f"difference {axis['difference']:.3f}, n = {axis['n']}"
        for axis in one["by_axis"]
    ]
