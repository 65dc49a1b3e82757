"""A file of human ratings: recognised, shown with every problem named, and added to a run once that is confirmed."""

import csv
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QPlainTextEdit,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from auditor.case.records import GivenRating
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.listing import Listing
from auditor.runs.directory import RunDirectory

#: What `auditor.audits.rating.people` asks of a header; it is not imported here because it needs numpy.
HEADER = frozenset({"conversation_id", "axis", "rater", "score"})
_HEAD_BYTES = 4096
_WAIT_MS = 400
_AXES = ("Axis", "Ratings", "Conversations", "People", "Scores found", "Scale from", "to", "Map onto 1 to 5")
_LINEAR = "Declares that this scale maps onto 1 to 5 by a straight line; without it only ranks are compared."
_MOST_PROBLEMS_SHOWN = 200


def holds_ratings(path: Path) -> bool:
    """Whether the header of a file is that of human ratings."""
    if path.suffix.lower() not in (".csv", ".tsv", ".txt"):
        return False
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError:
        return False
    lines = head.removeprefix(b"\xef\xbb\xbf").decode(errors="replace").splitlines()
    if not lines:
        return False
    try:
        cells = next(csv.reader([lines[0]], delimiter=max(",;\t", key=lines[0].count)))
    except (csv.Error, StopIteration):
        return False
    return {cell.strip().lower() for cell in cells} >= HEADER


class ImportRatings(QDialog):
    """Shows a file of human ratings and adds it to a run.

    Parameters
    ----------
    run : RunDirectory
        A finished run of the open case.
    path : Path
        The file.
    """

    def __init__(self, session: Session, run: RunDirectory, path: Path, parent: QWidget) -> None:
        super().__init__(parent)
        self._session, self._run, self._path = session, run, path
        self._scales: dict[str, tuple[float, float, bool]] = {}
        self._n_axes = 0
        self.setWindowTitle("Import human ratings")
        self.resize(920, 640)
        self.outcome = plain_label(f"Reading {path.name} …", name="verdict")
        self.axes = QTableWidget(0, len(_AXES))
        self.axes.setAccessibleName("Axes of the file, and the scale that people used")
        self.axes.setHorizontalHeaderLabels(list(_AXES))
        self.axes.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.axes.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.axes.setTabKeyNavigation(False)
        self.axes.verticalHeader().hide()
        self.axes.setShowGrid(False)
        self.axes.horizontalHeader().setStretchLastSection(True)
        self.rows = Listing("First rows of the file", ())
        self.rows.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        for table in (self.axes, self.rows):
            table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.problems = QPlainTextEdit()
        self.problems.setReadOnly(True)
        self.problems.setAccessibleName("Problems of the file")
        self.problems.setTabChangesFocus(True)
        self.problems.setFixedHeight(120)
        self.cautions = plain_label(name="alert")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.add = QPushButton("Add")
        self.add.setObjectName("primary")
        self.add.setEnabled(False)
        self.add.clicked.connect(self._read)
        buttons.addButton(self.add, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setSpacing(10)
        layout.addWidget(self.outcome)
        layout.addWidget(plain_label(f"{path.name}, for run {run.path.name}", name="soft"))
        layout.addWidget(self.axes)
        layout.addWidget(self.cautions)
        layout.addWidget(self.problems)
        layout.addWidget(self.rows, 1)
        layout.addWidget(buttons)
        for widget in (self.axes, self.cautions, self.problems):
            widget.hide()
        self._wait = QTimer(self, singleShot=True, interval=_WAIT_MS)
        self._wait.timeout.connect(self._ask)
        self.finished.connect(lambda _result: self._leave())
        self._ask()

    def _asked(self) -> dict[str, Any]:
        return {"path": str(self._path), "run_dir": str(self._run.path), "scales": self._scales}

    def _ask(self) -> None:
        self.add.setEnabled(False)
        self._session.asker.ask("humans_preview", self._asked(), self._show, self._failed)

    def _failed(self, sentence: str) -> None:
        self.outcome.setText("This file cannot be read.")
        self.problems.setPlainText(sentence)
        self.problems.show()

    def _show(self, found: dict[str, Any]) -> None:
        n = sum(axis["ratings"] for axis in found["axes"])
        if found["problems"]:
            more = "s" if found["n_problems"] != 1 else ""
            self.outcome.setText(
                f"{found['n_problems']:,} problem{more}: nothing is added before the file or its scale is put right."
            )
        else:
            self.outcome.setText(f"{n:,} human ratings can be added. Those of the same person, if any, are replaced.")
        self.problems.setPlainText("\n".join(found["problems"][:_MOST_PROBLEMS_SHOWN]))
        self.problems.setVisible(bool(found["problems"]))
        self.cautions.setText("\n".join(found["cautions"]))
        self.cautions.setVisible(bool(found["cautions"]))
        if self.axes.rowCount() != len(found["axes"]):
            self._show_axes(found["axes"])
        names = list(found["rows"][0]) if found["rows"] else []
        self.rows.setColumnCount(len(names))
        self.rows.setHorizontalHeaderLabels([name.replace("_", " ").capitalize() for name in names])
        self.rows.show_rows([[row[name] for name in names] for row in found["rows"]], 0)
        self.rows.setCurrentCell(-1, -1)
        self.add.setText(f"Add {n:,} ratings" if n else "Add")
        self.add.setEnabled(not found["problems"] and n > 0)

    def _show_axes(self, axes: list[dict[str, Any]]) -> None:
        self.axes.setRowCount(len(axes))
        for line, axis in enumerate(axes):
            name = axis["name"]
            self._scales.setdefault(name, (1.0, 5.0, False))
            span = f"{axis['low']:g} to {axis['high']:g}"
            counts = (name, f"{axis['ratings']:,}", f"{axis['units']:,}", f"{axis['raters']:,}", span)
            for column, text in enumerate(counts):
                self.axes.setItem(line, column, QTableWidgetItem(text))
            low, high = self._bound(name, 0, "Lowest"), self._bound(name, 1, "Highest")
            linear = QCheckBox()
            linear.setToolTip(_LINEAR)
            linear.setAccessibleName(f"Map the scale of {name} onto 1 to 5 by a straight line")
            linear.toggled.connect(lambda on, name=name: self._change(name, 2, on))
            for column, control in enumerate((low, high, linear), start=len(counts)):
                self.axes.setCellWidget(line, column, control)
        self.axes.resizeColumnsToContents()
        self.axes.resizeRowsToContents()
        height = sum(self.axes.rowHeight(line) for line in range(len(axes)))
        self.axes.setFixedHeight(min(240, height + self.axes.horizontalHeader().sizeHint().height() + 18))
        self.axes.setVisible(bool(axes))

    def _bound(self, name: str, place: int, words: str) -> QDoubleSpinBox:
        box = QDoubleSpinBox()
        box.setDecimals(1)
        box.setRange(-1000, 1000)
        box.setValue(float(self._scales[name][place]))
        box.setAccessibleName(f"{words} score of the scale of {name}")
        box.valueChanged.connect(lambda value: self._change(name, place, value))
        return box

    def _change(self, name: str, place: int, value: float | bool) -> None:
        scale: list[Any] = list(self._scales[name])
        scale[place] = value
        self._scales[name] = (scale[0], scale[1], scale[2])
        self.add.setEnabled(False)
        self._wait.start()

    def _read(self) -> None:
        self.add.setEnabled(False)
        self._session.asker.ask("humans_read", self._asked(), self._add, self._failed)

    def _add(self, found: list[list[Any]]) -> None:
        case, run = self._session.case, self._run.path.name
        if case is None:
            return
        ratings = [self._given(*said) for said in found]

        def added(_records: object) -> None:
            self._session.said.emit(f"{len(ratings):,} human ratings were added from {self._path.name}.")
            self._session.judged.emit(run)
            self.accept()

        self._session.background.do(lambda: case.add_human_ratings(run, ratings), added, self._failed)

    def _given(self, unit: str, axis: str, rater: str, score: float, note: str) -> GivenRating:
        low, high, linear = self._scales.get(axis, (1.0, 5.0, False))
        is_plain = (low, high) == (1, 5) and score == int(score)
        return GivenRating(
            unit,
            axis,
            rater,
            int(score) if is_plain else score,
            note,
            scale=None if is_plain else (low, high),
            mapping="linear" if linear and (low, high) != (1, 5) else "none",
            source=self._path.name,
        )

    def _leave(self) -> None:
        self._wait.stop()
        for name in ("humans_preview", "humans_read"):
            self._session.asker.drop(name)
        self.deleteLater()
