"""One image in large, with the skin mask through which it was measured, and a brush that corrects the mask."""

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QSizePolicy, QWidget

from auditor.desktop import theme

#: Radius of the brush, as a share of the image's longer side (ours).
_BRUSH = 0.025


class LargeImage(QWidget):
    """The image, as large as there is room.

    Signals
    -------
    corrected(object)
        A stroke on the mask, as `auditor.audits.parity.skin.Correction` has it.
    """

    corrected = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._image, self._overlay = QPixmap(), QPixmap()
        self._files, self._words = ("", ""), ""
        self._stroke: list[QPointF] = []
        self._action = "add"
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(200, 200)

    def show_image(self, file: str, words: str, *, overlay: str = "") -> None:
        """Show an image that the program made itself, or words if there is none; with the mask if it was measured."""
        if (file, overlay) != self._files:
            self._files = (file, overlay)
            self._image, self._overlay = (QPixmap(name) if name else QPixmap() for name in self._files)
        self._words = words
        self.setAccessibleName(words)
        can_correct = not self._overlay.isNull()
        self.setCursor(Qt.CursorShape.CrossCursor if can_correct else Qt.CursorShape.ArrowCursor)
        self.setToolTip(
            "Drag to add skin to the mask; drag with the right button to take it away." if can_correct else ""
        )
        self.update()

    @property
    def has_mask(self) -> bool:
        """Whether a mask is shown."""
        return not self._overlay.isNull()

    def _box(self) -> QRectF:
        size = self._image.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        box = QRectF(0, 0, size.width(), size.height())
        box.moveCenter(QRectF(self.rect()).center())
        return box

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the image, the mask over it, and the stroke that is being drawn."""
        look = theme.current()
        painter = QPainter(self)
        painter.setRenderHints(QPainter.RenderHint.SmoothPixmapTransform | QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), QColor(look.base if self.focusPolicy() else look.paper))
        if self._image.isNull():
            font = QFont(self.font())
            font.setPixelSize(15)
            painter.setFont(font)
            painter.setPen(QColor(look.soft))
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(self.rect().adjusted(40, 0, -40, 0), flags, self._words)
            painter.end()
            return
        box = self._box()
        painter.drawPixmap(box, self._image, QRectF(self._image.rect()))
        if not self._overlay.isNull():
            painter.drawPixmap(box, self._overlay, QRectF(self._overlay.rect()))
        if self._stroke:
            width = 2 * _BRUSH * max(box.width(), box.height())
            colour = QColor(look.good if self._action == "add" else look.alert)
            colour.setAlpha(170)
            pen = QPen(colour, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)
            painter.setPen(pen)
            painter.drawPolyline([self._on_screen(point, box) for point in [*self._stroke, self._stroke[-1]]])
        if self.hasFocus():
            painter.setPen(QPen(QColor(look.accent), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(QRectF(self.rect()).adjusted(1, 1, -1, -1))
        painter.end()

    @staticmethod
    def _on_screen(point: QPointF, box: QRectF) -> QPointF:
        return QPointF(box.left() + point.x() * box.width(), box.top() + point.y() * box.height())

    def _in_image(self, point: QPointF) -> QPointF:
        box = self._box()
        x, y = (point.x() - box.left()) / box.width(), (point.y() - box.top()) / box.height()
        return QPointF(min(max(x, -1.0), 2.0), min(max(y, -1.0), 2.0))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin a stroke where there is a mask."""
        if self.has_mask and event.button() in (Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton):
            self._action = "add" if event.button() == Qt.MouseButton.LeftButton else "remove"
            self._stroke = [self._in_image(event.position())]
            self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Go on with it."""
        if self._stroke:
            self._stroke.append(self._in_image(event.position()))
            self.update()

    def mouseReleaseEvent(self, _event: QMouseEvent) -> None:
        """End it: the mask is corrected and the image measured again."""
        if self._stroke:
            stroke, self._stroke = self._stroke, []
            self.update()
            self.corrected.emit(correction(self._action, [(point.x(), point.y()) for point in stroke]))


def correction(action: str, points: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """A stroke as the task takes it."""
    return {"action": action, "shape": "stroke", "points": [list(point) for point in points], "radius": _BRUSH}
