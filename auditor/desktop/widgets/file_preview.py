"""What a dropped file turned out to be: recognised format, every problem, columns that can be mapped, first rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QGridLayout,
    QHeaderView,
    QLabel,
    QPlainTextEdit,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from auditor.desktop.widgets.detail import plain_label, plain_tip
from auditor.desktop.widgets.elided_box import ElidedBox

_NOT_MAPPED = "(not in the file)"
_ROWS_HEIGHT, _PROBLEMS_HEIGHT = 150, 96


class FilePreview(QWidget):
    """Shows the answer of the task `preview`.

    Parameters
    ----------
    help_words : str
        What stands there before a file is read.
    problems_name : str
        What the list of problems is, for people who cannot see it.

    Signals
    -------
    mapped()
        Somebody chose another column for a field.
    """

    mapped = Signal()

    def __init__(self, help_words: str, problems_name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.recognised = plain_label(help_words, name="help")
        self.problem = plain_label(name="alert")
        self.problem.hide()
        self.problems = QPlainTextEdit()
        self.problems.setReadOnly(True)
        self.problems.setAccessibleName(problems_name)
        self.problems.setFixedHeight(_PROBLEMS_HEIGHT)
        self.problems.setTabChangesFocus(True)
        self.problems.hide()
        self.rows = QTableWidget(0, 0)
        self.rows.setAccessibleName("Preview of the first rows")
        self.rows.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.rows.setFixedHeight(_ROWS_HEIGHT)
        self.rows.setWordWrap(False)
        self.rows.setTabKeyNavigation(False)
        self.rows.verticalHeader().hide()
        self.rows.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.rows.hide()
        self._frame = QFrame()
        self._boxes = QGridLayout(self._frame)
        self._boxes.setContentsMargins(0, 0, 0, 0)
        self._boxes.setVerticalSpacing(4)
        self._boxes.setColumnStretch(1, 1)
        self._frame.hide()
        self.mapping: dict[str, QComboBox] = {}
        self._offered: tuple[list[str], dict[str, str]] = ([], {})
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        # Problems stand before the rows, so that they are seen in a small window too.
        for widget in (self.recognised, self.problem, self.problems, self._frame, self.rows):
            layout.addWidget(widget)

    def show_reading(self, name: str) -> None:
        """Say that a file is being read."""
        self.problem.hide()
        self._recognise(f"Reading {name} …")

    def show_problem(self, sentence: str) -> None:
        """Say why a file cannot be read at all; columns that were offered before stay, so that they can be mapped."""
        self._recognise("")
        self.problem.setText(sentence)
        self.problem.show()
        self.show()
        for widget in (self.rows, self.problems):
            widget.hide()
        self._frame.setVisible(bool(self.mapping))

    def show_found(self, found: Mapping[str, Any], sentence: str, fields: Mapping[str, str]) -> None:
        """Show what was found.

        Parameters
        ----------
        found : mapping
            As the task `preview` gives it.
        sentence : str
            Format and counts in words.
        fields : mapping of str to str
            Fields that can be mapped -> what people call them.
        """
        self.problem.hide()
        self._recognise(sentence)
        self._show_rows(found["rows"])
        self.problems.setPlainText("\n".join(found["problems"]))
        self.problems.setVisible(bool(found["problems"]))
        self._show_mapping(found["columns"], found["mapping"], fields)

    def clear(self, words: str) -> None:
        """Show no file."""
        self._show_rows([])
        self._show_mapping([], {}, {})
        self.problem.hide()
        self.problems.hide()
        self._recognise(words)

    def _recognise(self, words: str) -> None:
        self.recognised.setText(words)
        self.recognised.setVisible(bool(words))
        # Without a word there is nothing to see, and no room is taken.
        self.setVisible(bool(words))

    def _show_rows(self, rows: Sequence[Mapping[str, str]]) -> None:
        self.rows.setVisible(bool(rows))
        names = list(rows[0]) if rows else []
        self.rows.setColumnCount(len(names))
        self.rows.setHorizontalHeaderLabels([name.capitalize().replace("_", " ") for name in names])
        self.rows.setRowCount(len(rows))
        for place, row in enumerate(rows):
            for column, name in enumerate(names):
                item = QTableWidgetItem(row[name])
                item.setToolTip(plain_tip(row[name]))
                self.rows.setItem(place, column, item)
        self.rows.resizeColumnsToContents()
        self.rows.horizontalHeader().setStretchLastSection(True)
        self.rows.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)

    def _show_mapping(self, columns: Sequence[str], used: Mapping[str, str], fields: Mapping[str, str]) -> None:
        self._frame.setVisible(bool(columns))
        offered = (list(columns), dict(fields) if columns else {})
        # Boxes that offer the same stay: whoever maps by keyboard keeps the focus.
        if offered != self._offered:
            self._offered = offered
            self._offer(*offered)
        for field, box in self.mapping.items():
            box.setCurrentIndex(max(0, box.findData(used.get(field, ""))))

    def _offer(self, columns: Sequence[str], fields: Mapping[str, str]) -> None:
        while (item := self._boxes.takeAt(0)) is not None:
            if widget := item.widget():
                widget.hide()
                widget.deleteLater()
        self.mapping = {}
        before: QWidget = self.problems
        for place, (field, words) in enumerate(fields.items()):
            box = ElidedBox(f"Column for {words.lower()}")
            box.setMinimumContentsLength(8)
            box.addItem(_NOT_MAPPED, "")
            for column in columns:
                box.addItem(column, column)
            box.activated.connect(lambda _index: self.mapped.emit())
            self.mapping[field] = box
            label = QLabel(words)
            label.setBuddy(box)
            self._boxes.addWidget(label, place, 0)
            self._boxes.addWidget(box, place, 1)
            # Tab follows the eye: what is made last would be reached last.
            QWidget.setTabOrder(before, box)
            before = box

    def columns(self) -> dict[str, str]:
        """Field -> column, of those that are mapped."""
        return {field: box.currentData() for field, box in self.mapping.items() if box.currentData()}
