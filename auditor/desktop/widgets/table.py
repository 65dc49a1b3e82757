"""A table of up to a million rows and more: sorts and filters by index permutation, off the window's thread."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, QTimer, Signal
from PySide6.QtGui import QFont, QFontMetrics
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QStyleOptionHeader,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from auditor.desktop.background import Background
from auditor.desktop.widgets.columns import Numbers, Texts, arrange
from auditor.desktop.widgets.detail import plain_label, plain_tip

if TYPE_CHECKING:
    from array import array

_ROW_HEIGHT = 26
_TYPING_MS = 250
#: What a cell, and a title with its sorting arrow, need beside their text; no column is wider than the last one.
_CELL_PX, _TITLE_PX, _MOST_PX = 22, 36, 320
_ARROWS = {QStyleOptionHeader.SortIndicator.SortUp: "▴", QStyleOptionHeader.SortIndicator.SortDown: "▾"}
_ROOT = QModelIndex()
Index = QModelIndex | QPersistentModelIndex


class TableModel(QAbstractTableModel):
    """Columns and the order in which their rows are shown.

    Signals
    -------
    arranged()
        Another order, or another set of rows, is shown.
    """

    arranged = Signal()

    def __init__(self, background: Background, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._background = background
        self._columns: list[Numbers | Texts] = []
        self._rows = 0
        self._order: array[int] | None = None
        self._sort_by: int | None = None
        self._descending = False
        self._wanted = ""
        self._turn = 0

    def set_columns(self, columns: Sequence[Numbers | Texts]) -> None:
        """Show other columns, in their own order."""
        self.beginResetModel()
        self._columns = list(columns)
        self._rows = len(columns[0]) if columns else 0
        self._order, self._sort_by, self._wanted = None, None, ""
        self._turn += 1
        self.endResetModel()
        self.arranged.emit()

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows at the end; a sorted or filtered view takes them in at its next arrangement."""
        first = self._rows
        shown = self._order is None and self._sort_by is None and not self._wanted
        if shown:
            self.beginInsertRows(_ROOT, first, first + len(rows) - 1)
        for row in rows:
            for column in self._columns:
                column.append(row.get(column.name))
        self._rows += len(rows)
        if shown:
            self.endInsertRows()
        else:
            self._arrange()

    def rowCount(self, parent: Index = _ROOT) -> int:
        """Rows that are shown."""
        if parent.isValid():
            return 0
        return self._rows if self._order is None else len(self._order)

    @property
    def all_rows(self) -> int:
        """Rows there are."""
        return self._rows

    def columnCount(self, parent: Index = _ROOT) -> int:
        """Columns."""
        return 0 if parent.isValid() else len(self._columns)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Text, alignment and tool tip of a cell."""
        column = self._columns[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.text(self.source_row(index.row()))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column.is_number else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip(f"{column.title}: {column.help}")
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Title, alignment and help of a column."""
        if orientation == Qt.Orientation.Vertical or section >= len(self._columns):
            return None
        column = self._columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip(column.help)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column.is_number else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        return None

    def source_row(self, shown: int) -> int:
        """Row of the columns that stands in a shown row."""
        return shown if self._order is None else self._order[shown]

    def value(self, shown: int, name: str) -> Any:
        """Cell of a shown row by the column's name: a number or the whole text; None where there is none."""
        return self.cell(self.source_row(shown), name)

    def cell(self, row: int, name: str) -> Any:
        """The same of a row in the rows' own order, whether it is shown or not."""
        for column in self._columns:
            if column.name == name:
                return column.whole_text(row) if isinstance(column, Texts) else column.values[row]
        return None

    def column(self, name: str) -> Numbers | Texts:
        """A column by its name."""
        return self._columns[self.column_index(name)]

    def column_index(self, name: str) -> int:
        """Place of a column."""
        return [column.name for column in self._columns].index(name)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; -1 restores the rows' own order."""
        self._sort_by = column if 0 <= column < len(self._columns) else None
        self._descending = order == Qt.SortOrder.DescendingOrder
        self._arrange()

    def set_filter(self, wanted: str) -> None:
        """Show the rows that hold a text or fulfil a condition; see `arrange`."""
        self._wanted = wanted
        self._arrange()

    def _arrange(self) -> None:
        self._turn += 1
        turn, rows, columns = self._turn, self._rows, list(self._columns)
        sort_by, descending, wanted = self._sort_by, self._descending, self._wanted

        def done(order: "array[int] | None") -> None:
            if turn != self._turn:
                return
            self.beginResetModel()
            self._order = order
            self.endResetModel()
            self.arranged.emit()

        self._background.do(lambda: arrange(columns, rows, sort_by, descending, wanted), done, lambda _sentence: None)


class _Header(QHeaderView):
    """Titles with the sorting arrow beside their words, on the inner side: the style's own would lie upon numbers' titles."""

    def __init__(self) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.setSectionsClickable(True)

    def initStyleOptionForIndex(self, option: QStyleOptionHeader, section: int) -> None:
        """Write the arrow as part of the title."""
        super().initStyleOptionForIndex(option, section)
        arrow = _ARROWS.get(option.sortIndicator)
        if arrow is not None:
            option.sortIndicator = QStyleOptionHeader.SortIndicator.None_
            is_right = bool(option.textAlignment & Qt.AlignmentFlag.AlignRight)
            option.text = f"{arrow} {option.text}" if is_right else f"{option.text} {arrow}"


class Table(QWidget):
    """A table with its filter line and the count of what is shown.

    Parameters
    ----------
    name : str
        What it holds, for people who cannot see it.
    title : str
        Heading before the filter line, where several tables stand together.

    Signals
    -------
    selected(int)
        Shown row that was selected, -1 for none.
    """

    selected = Signal(int)

    def __init__(self, name: str, title: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.background = Background(self)
        self.model = TableModel(self.background, self)
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("Filter: text, or expected < 3; several with ;")
        self.filter.setAccessibleName(f"Filter of {name}")
        self.filter.setClearButtonEnabled(True)
        self.count = QLabel()
        self.count.setObjectName("soft")
        self.view = QTableView()
        self.view.setAccessibleName(name)
        self.view.setModel(self.model)
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.view.setAlternatingRowColors(True)
        self.view.setShowGrid(False)
        self.view.setWordWrap(False)
        self.view.setTabKeyNavigation(False)
        self.view.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.view.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        self.view.verticalHeader().hide()
        header = _Header()
        self.view.setHorizontalHeader(header)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        header.setSortIndicatorClearable(True)
        header.setHighlightSections(False)
        self.view.setSortingEnabled(True)
        self.view.selectionModel().currentRowChanged.connect(lambda now, _before: self.selected.emit(now.row()))
        self._condition = ""
        self._typing = QTimer(self, singleShot=True, interval=_TYPING_MS)
        self._typing.timeout.connect(self._set_filter)
        self.filter.textChanged.connect(lambda _text: self._typing.start())
        for signal in (self.model.arranged, self.model.rowsInserted):
            signal.connect(self._show_count)
        top = QHBoxLayout()
        if title:
            top.addWidget(plain_label(title, name="heading", wrap=False))
        top.addWidget(self.filter, 1)
        top.addWidget(self.count)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(top)
        layout.addWidget(self.view, 1)

    def set_columns(self, columns: Sequence[Numbers | Texts]) -> None:
        """Show other columns, without conditions; widths follow the titles and the first rows."""
        self._condition = ""
        self.filter.blockSignals(True)
        self.filter.clear()
        self.filter.blockSignals(False)
        self.view.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.model.set_columns(columns)
        self.fit_columns()

    def fit_columns(self) -> None:
        """Widths from titles and the first fifty rows."""
        metrics = self.view.fontMetrics()
        bold = self.view.font()
        bold.setWeight(QFont.Weight.DemiBold)
        title_metrics = QFontMetrics(bold)
        for place in range(self.model.columnCount()):
            title = str(self.model.headerData(place, Qt.Orientation.Horizontal))
            texts = [
                str(self.model.data(self.model.index(row, place))) for row in range(min(50, self.model.rowCount()))
            ]
            width = max((metrics.horizontalAdvance(text) for text in texts), default=0) + _CELL_PX
            width = max(width, title_metrics.horizontalAdvance(title) + _TITLE_PX)
            self.view.setColumnWidth(place, min(_MOST_PX, width))

    def set_condition(self, condition: str) -> None:
        """Show only rows that fulfil a condition, besides what the filter line asks for; see `arrange`."""
        self._condition = condition
        self._set_filter()

    def _set_filter(self) -> None:
        self.model.set_filter(";".join(part for part in (self._condition, self.filter.text()) if part.strip()))

    def _show_count(self) -> None:
        shown, there = self.model.rowCount(), self.model.all_rows
        rows = "row" if there == 1 else "rows"
        self.count.setText(f"{there:,} {rows}" if shown == there else f"{shown:,} of {there:,} {rows}")

    def finish(self) -> None:
        """Wait for a sort that is under way."""
        self.background.finish()
