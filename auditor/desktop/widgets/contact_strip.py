"""One ranked list as a strip of small pictures, each with the swatch of its tone and its name in words."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPainter, QPainterPath, QPen, QPixmap
from PySide6.QtWidgets import QListView, QListWidget, QListWidgetItem, QWidget

from auditor.desktop import theme
from auditor.desktop.widgets.detail import plain_tip

_WIDTH, _IMAGE, _SWATCH, _GAP = 70, 92, 14, 4
_RADIUS = 4.0
#: Drawn so many times larger than shown, so that it is sharp on dense screens.
_SCALE = 2


class ContactStrip(QListWidget):
    """Results of one query in the order of their ranks; arrows move, and screen readers read every place.

    Signals
    -------
    chosen(int)
        Place of the result that is selected, -1 for none.
    """

    chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._slots: Sequence[Mapping[str, Any]] = ()
        self._pictures: list[QPixmap | None] = []
        self.setAccessibleName("Results of the query, by rank")
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMovement(QListView.Movement.Static)
        self.setUniformItemSizes(True)
        self.setWordWrap(False)
        self.setSpacing(2)
        self.currentRowChanged.connect(self.chosen)

    def show_slots(self, slots: Sequence[Mapping[str, Any]]) -> None:
        """Show results.

        Parameters
        ----------
        slots : sequence of mapping
            As the task `parity_query` gives them: rank, item_id, level, value, hue, colour, thumbnail.
        """
        self._slots = slots
        self._pictures = [_picture(slot["thumbnail"]) for slot in slots]
        self.clear()
        height = (_IMAGE + _GAP if any(self._pictures) else 0) + _SWATCH
        line = self.fontMetrics().height()
        self.setIconSize(QSize(_WIDTH, height))
        self.setGridSize(QSize(_WIDTH + 14, height + line + 18))
        for slot in slots:
            item = QListWidgetItem(f"{slot['rank']} · {tone_of(slot, short=True)}")
            item.setData(Qt.ItemDataRole.AccessibleTextRole, self.words(slot))
            item.setToolTip(plain_tip(self.words(slot)))
            item.setTextAlignment(Qt.AlignmentFlag.AlignHCenter)
            self.addItem(item)
        self.refresh_theme()

    def refresh_theme(self) -> None:
        """Draw the places in the colours of the theme."""
        has_pictures = any(self._pictures)
        for place, (slot, picture) in enumerate(zip(self._slots, self._pictures, strict=True)):
            item = self.item(place)
            assert item is not None
            item.setIcon(QIcon(_drawn(slot, picture, self.iconSize(), has_pictures=has_pictures)))

    @staticmethod
    def words(slot: Mapping[str, Any]) -> str:
        """A place in words."""
        return f"Rank {slot['rank']}: {slot['item_id']}, {tone_of(slot)}"


def tone_of(slot: Mapping[str, Any], *, short: bool = False) -> str:
    """What is known of a result's attribute, in words."""
    if slot["value"] is not None:
        hue = "" if slot.get("hue") is None else f", hue {slot['hue']:.0f} degrees"
        return f"{slot['value']:.0f}°" if short else f"{slot['value']:.1f} degrees, {slot['level']}{hue}"
    if slot["level"] is None:
        return "?" if short else "not known"
    return str(slot["level"])


def _picture(encoded: str | None) -> QPixmap | None:
    if encoded is None:
        return None
    # Made by a process of our own from whatever the file was, so that only small PNGs are read here.
    picture = QPixmap()
    return picture if picture.loadFromData(base64.b64decode(encoded), "PNG") else None


def _drawn(slot: Mapping[str, Any], picture: QPixmap | None, size: QSize, *, has_pictures: bool) -> QPixmap:
    """A place: its picture if there are any, and the swatch of its tone below it."""
    look = theme.current()
    made = QPixmap(size * _SCALE)
    made.setDevicePixelRatio(_SCALE)
    made.fill(Qt.GlobalColor.transparent)
    painter = QPainter(made)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    if has_pictures:
        frame = QRectF(0.5, 0.5, size.width() - 1, _IMAGE - 1)
        _draw_picture(painter, frame, picture, look)
    swatch = QRectF(0.5, size.height() - _SWATCH + 0.5, size.width() - 1, _SWATCH - 1)
    painter.setPen(QPen(QColor(look.soft), 1))
    if slot["colour"] is not None:
        painter.setBrush(QColor(slot["colour"]))
    else:
        # No colour stands for this level, or none is known: a pattern is not taken for a tone.
        painter.setBrush(Qt.BrushStyle.NoBrush if slot["level"] else Qt.BrushStyle.BDiagPattern)
    painter.drawRoundedRect(swatch, _RADIUS, _RADIUS)
    painter.end()
    return made


def _draw_picture(painter: QPainter, frame: QRectF, picture: QPixmap | None, look: theme.Theme) -> None:
    edge = QPainterPath()
    edge.addRoundedRect(frame, _RADIUS, _RADIUS)
    painter.fillPath(edge, QColor(look.raised))
    if picture is None:
        painter.setPen(QColor(look.soft))
        painter.drawText(frame, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, "no image")
        return
    share = min(frame.width() / picture.width(), frame.height() / picture.height())
    width, height = picture.width() * share, picture.height() * share
    inside = QRectF(frame.center().x() - width / 2, frame.center().y() - height / 2, width, height)
    painter.save()
    painter.setClipPath(edge)
    painter.drawPixmap(inside, picture, QRectF(picture.rect()))
    painter.restore()
