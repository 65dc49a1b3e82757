"""A contact sheet of queries by ranks: images side by side, each with its tone. Draws only what is in view.

A table view with a delegate, so that ten thousand queries of a hundred results cost no more than a screenful, and
screen readers and the keyboard find their way through it as through any table.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QFont, QKeyEvent, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QHeaderView, QStyledItemDelegate, QStyleOptionViewItem, QTableView, QWidget

from auditor.desktop import theme
from auditor.desktop.widgets.detail import plain_tip
from auditor.desktop.widgets.swatches import paint_tone, tone_words

if TYPE_CHECKING:
    from auditor.audits.parity.tones import ToneScale

Index = QModelIndex | QPersistentModelIndex
#: Longest side of an image in a cell, pixels; + and - go from one to the next.
SIDES = (72, 104, 152, 208)
_PAD, _TONE, _HEADER = 6, 22, 132


@dataclass(frozen=True)
class SheetCell:
    """What a cell shows.

    Attributes
    ----------
    item : str
        Id of the item.
    rank : int
    picture : QPixmap or None
        None while it is read, and where there is none.
    note : str
        What stands where the picture would: "reading", "no image", or why it cannot be shown.
    value : str
        Tone, "uncertain", or "" for nothing said.
    proposal : str
        A measured tone that nobody has confirmed.
    """

    item: str
    rank: int
    picture: QPixmap | None
    note: str
    value: str
    proposal: str = ""


class SheetSource(Protocol):
    """Who knows what the cells hold."""

    def has_cell(self, query: int, column: int) -> bool:
        """Whether the query's list is that long."""

    def sheet_cell(self, query: int, column: int) -> SheetCell:
        """What a cell shows; its picture is read if it is not there yet."""

    def sheet_query(self, query: int) -> tuple[str, str]:
        """Id and group of a query."""


class SheetModel(QAbstractTableModel):
    """Queries by places in their lists. What a cell holds is asked for when it is drawn."""

    def __init__(self, source: SheetSource, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.source = source
        self.scale: ToneScale = "monk"
        self._rows = self._columns = 0

    def set_size(self, rows: int, columns: int) -> None:
        """Show another sheet."""
        self.beginResetModel()
        self._rows, self._columns = rows, columns
        self.endResetModel()

    def rowCount(self, parent: Index | None = None) -> int:
        """Queries."""
        return 0 if parent is not None and parent.isValid() else self._rows

    def columnCount(self, parent: Index | None = None) -> int:
        """Results of the longest list."""
        return 0 if parent is not None and parent.isValid() else self._columns

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Words for people who cannot see the picture; pictures are drawn by the delegate."""
        if role not in (
            Qt.ItemDataRole.AccessibleTextRole,
            Qt.ItemDataRole.DisplayRole,
            Qt.ItemDataRole.ToolTipRole,
        ):
            return None
        if not self.source.has_cell(index.row(), index.column()):
            return ""
        cell = self.source.sheet_cell(index.row(), index.column())
        if role == Qt.ItemDataRole.DisplayRole:
            return cell.item
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip(f"{cell.item}\n{cell.note}" if cell.note else cell.item)
        tone = tone_words(self.scale, cell.value) if cell.value else "not annotated"
        return f"Query {self.source.sheet_query(index.row())[0]}, rank {cell.rank:,}, item {cell.item}: {tone}"

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Places in the list above, queries on the left."""
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        if orientation == Qt.Orientation.Horizontal:
            return f"Rank {section + 1:,}"
        return "\n".join(self.source.sheet_query(section))

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Where a list has ended nothing can be chosen."""
        if not self.source.has_cell(index.row(), index.column()):
            return Qt.ItemFlag.NoItemFlags
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable


class _CellDelegate(QStyledItemDelegate):
    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        model = index.model()
        assert isinstance(model, SheetModel)
        if not model.source.has_cell(index.row(), index.column()):
            return
        cell = model.source.sheet_cell(index.row(), index.column())
        look, box = theme.current(), QRect(option.rect)
        view = self.parent()
        is_current = isinstance(view, QTableView) and view.currentIndex() == index
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.fillRect(box, QColor(look.raised if is_current else look.base))
        picture = box.adjusted(_PAD, _PAD, -_PAD, -(_TONE + 2 * _PAD))
        _paint_picture(painter, picture, cell, look)
        below = QRect(picture.left(), picture.bottom() + _PAD, picture.width(), _TONE)
        tone = QRectF(below.left(), below.top(), 40, _TONE)
        shown = cell.value or cell.proposal
        font = QFont(painter.font())
        font.setPixelSize(13)
        font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        paint_tone(painter, tone, model.scale, shown, proposed=bool(cell.proposal and not cell.value))
        font.setPixelSize(11)
        font.setWeight(QFont.Weight.Normal)
        painter.setFont(font)
        painter.setPen(QColor(look.soft))
        words = below.adjusted(46, 0, 0, 0)
        name = cell.item if cell.rank == index.column() + 1 else f"rank {cell.rank:,} · {cell.item}"
        elided = painter.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, words.width())
        painter.drawText(words, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, elided)
        if is_current:
            painter.setPen(QPen(QColor(look.accent), 3))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(box.adjusted(2, 2, -2, -2))
        painter.restore()


def _paint_picture(painter: QPainter, box: QRect, cell: SheetCell, look: theme.Theme) -> None:
    if cell.picture is not None:
        size = cell.picture.size().scaled(box.size(), Qt.AspectRatioMode.KeepAspectRatio)
        target = QRect(0, 0, size.width(), size.height())
        target.moveCenter(box.center())
        painter.drawPixmap(target, cell.picture)
        return
    painter.setPen(QPen(QColor(look.line), 1, Qt.PenStyle.DashLine))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRect(box.adjusted(0, 0, -1, -1))
    font = QFont(painter.font())
    font.setPixelSize(11)
    painter.setFont(font)
    painter.setPen(QColor(look.soft))
    flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
    painter.drawText(box.adjusted(4, 4, -4, -4), flags, cell.note)


class _QueryHeader(QHeaderView):
    """Id of a query with its group below."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Vertical, parent)
        self.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.setSectionsClickable(False)
        self.setFixedWidth(_HEADER)

    def paintSection(self, painter: QPainter, rect: QRect, section: int) -> None:
        look = theme.current()
        name, _, group = str(self.model().headerData(section, Qt.Orientation.Vertical)).partition("\n")
        painter.save()
        painter.fillRect(rect, QColor(look.raised))
        painter.setPen(QColor(look.line))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        painter.drawLine(rect.topRight(), rect.bottomRight())
        box = rect.adjusted(8, 10, -8, -8)
        font = QFont(self.font())
        font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        painter.setPen(QColor(look.ink))
        metrics = painter.fontMetrics()
        mode, top = Qt.TextElideMode.ElideRight, Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft
        painter.drawText(box, top, metrics.elidedText(name, mode, box.width()))
        font.setWeight(QFont.Weight.Normal)
        painter.setFont(font)
        painter.setPen(QColor(look.soft))
        lower = box.adjusted(0, metrics.height() + 2, 0, 0)
        painter.drawText(lower, top, painter.fontMetrics().elidedText(group, mode, box.width()))
        painter.restore()


class ContactSheet(QTableView):
    """The sheet.

    Signals
    -------
    moved(int, int)
        Query and column of the cell that came to be the current one.
    """

    moved = Signal(int, int)

    def __init__(self, model: SheetModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._size = 1
        self.setAccessibleName("Contact sheet: a row for each query, a column for each result")
        self.setItemDelegate(_CellDelegate(self))
        self.setVerticalHeader(_QueryHeader(self))
        self.setModel(model)
        self.setSelectionMode(QTableView.SelectionMode.SingleSelection)
        self.setTabKeyNavigation(False)
        self.setShowGrid(True)
        self.setCornerButtonEnabled(False)
        self.setHorizontalScrollMode(QTableView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QTableView.ScrollMode.ScrollPerPixel)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionsClickable(False)
        header.setHighlightSections(False)
        self.resize_cells(0)
        self.selectionModel().currentChanged.connect(self._tell)

    def _tell(self, now: QModelIndex, _before: QModelIndex) -> None:
        if now.isValid():
            self.moved.emit(now.row(), now.column())

    def resize_cells(self, step: int) -> None:
        """Make images larger (+1) or smaller (-1)."""
        self._size = min(max(self._size + step, 0), len(SIDES) - 1)
        side = SIDES[self._size]
        self.horizontalHeader().setDefaultSectionSize(max(side, 96) + 2 * _PAD)
        self.verticalHeader().setDefaultSectionSize(side + _TONE + 3 * _PAD)
        if self.currentIndex().isValid():
            self.scrollTo(self.currentIndex())

    def go_to(self, query: int, column: int) -> None:
        """Make a cell the current one and bring it into view."""
        self.setCurrentIndex(self._model.index(query, column))

    def redraw(self) -> None:
        """Draw again what is in view, after tones or pictures have changed."""
        self.viewport().update()

    def keyboardSearch(self, _text: str) -> None:
        """Letters and digits are commands here, not a search."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrow keys move; at the end of a list, right goes on with the next query and left comes back."""
        column = {Qt.Key.Key_Right: 1, Qt.Key.Key_Left: -1}.get(Qt.Key(event.key()), 0)
        if not (column and self.step(0, column)):
            super().keyPressEvent(event)

    def step(self, rows: int, columns: int) -> bool:
        """Move by a row or a column, over the end of a list too; returns whether there was anything to move to."""
        now = self.currentIndex()
        if not now.isValid():
            return False
        row, column = now.row() + rows, now.column() + columns
        if columns and not (column >= 0 and self._model.source.has_cell(row, column)):
            row += columns
            if not 0 <= row < self._model.rowCount():
                return False
            column = 0 if columns > 0 else self._last_column(row)
        if not (0 <= row < self._model.rowCount() and self._model.source.has_cell(row, column)):
            return False
        self.go_to(row, column)
        return True

    def _last_column(self, row: int) -> int:
        columns = range(self._model.columnCount() - 1, -1, -1)
        return next((column for column in columns if self._model.source.has_cell(row, column)), 0)

    def sizeHint(self) -> QSize:
        """Room for a few images."""
        return QSize(560, 420)
