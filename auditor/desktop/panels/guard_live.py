"""Accuracies while a guard run asks its queries: one curve for each way of making the prompt."""

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from auditor.audits.guard.conditions import CORRECT, ZERO_SHOT, described
from auditor.desktop import theme

_PREFIX = "accuracy/"
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 228, 14, 40
#: Names of curves that end close to each other are moved apart by this.
_LINE_PX = 17
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
_CAPTION = "queries asked"


class LiveAccuracy(QWidget):
    """Draws what metric events say of the accuracies without a guard."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.curves: dict[str, list[tuple[int, float]]] = {}
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Accuracy so far")

    def sizeHint(self) -> QSize:
        """Room for the curves."""
        return QSize(420, 260)

    def begin(self) -> None:
        """Forget what was drawn."""
        self.curves = {}
        self._describe()

    def take_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Take in metric events."""
        is_new = False
        for event in events:
            name = str(event.get("name", ""))
            if event["kind"] == "metric" and name.startswith(_PREFIX) and event["step"]:
                curve = self.curves.setdefault(name.removeprefix(_PREFIX), [])
                curve.append((int(event["step"]), float(event["value"])))
                is_new = True
        if is_new:
            self._describe()
            self.update()

    @property
    def sentence(self) -> str:
        """The accuracies so far, in words; empty while there are none."""
        if not self.curves:
            return ""
        now = [f"{described(name)} {curve[-1][1]:.0%}" for name, curve in self._first_curves()]
        return f"Accuracy without a guard so far: {', '.join(now)}."

    def _first_curves(self) -> list[tuple[str, list[tuple[int, float]]]]:
        """Zero-shot, correct demonstrations and the first attack."""
        names = [name for name in (ZERO_SHOT, CORRECT) if name in self.curves]
        names += [name for name in self.curves if name not in names][:1]
        return [(name, self.curves[name]) for name in names]

    def _describe(self) -> None:
        self.setAccessibleDescription(self.sentence)
        self.setToolTip("")

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw scale and curves, each with its name at its end."""
        look = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        room = QRectF(_LEFT, _TOP, self.width() - _LEFT - _RIGHT, self.height() - _TOP - _BOTTOM)
        for tick in _TICKS:
            y = room.bottom() - tick * room.height()
            painter.setPen(QPen(QColor(look.line), 1))
            painter.drawLine(QPointF(room.left(), y), QPointF(room.right(), y))
            painter.setPen(QColor(look.soft))
            box = QRectF(0, y - 9, _LEFT - 8, 18)
            painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, f"{tick:.0%}")
        most = max((curve[-1][0] for curve in self.curves.values()), default=0)
        below = QRectF(room.left(), room.bottom() + 8, room.width(), 20)
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, "0")
        painter.drawText(below, Qt.AlignmentFlag.AlignRight, f"{most:,}" if most else "")
        painter.drawText(below, Qt.AlignmentFlag.AlignHCenter, _CAPTION)
        if most:
            self._draw_curves(painter, room, most, look)
        painter.end()

    def _draw_curves(self, painter: QPainter, room: QRectF, most: int, look: theme.Theme) -> None:
        ends: list[tuple[float, str, QPen]] = []
        for name, curve in self.curves.items():
            points = [
                QPointF(room.left() + step / most * room.width(), room.bottom() - value * room.height())
                for step, value in curve
            ]
            pen = _pen(name, look)
            painter.setPen(pen)
            painter.drawPolyline(
                QPolygonF(points if len(points) > 1 else [QPointF(room.left(), points[0].y()), *points])
            )
            ends.append((points[-1].y(), name, pen))
        lowest = room.top() - _LINE_PX
        for y, name, pen in sorted(ends, key=lambda end: end[0]):
            lowest = max(y, lowest + _LINE_PX)
            painter.setPen(pen.color())
            box = QRectF(room.right() + 8, lowest - 9, _RIGHT - 12, 18)
            words = painter.fontMetrics().elidedText(described(name), Qt.TextElideMode.ElideRight, int(box.width()))
            painter.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, words)


def _pen(name: str, look: theme.Theme) -> QPen:
    """Zero-shot dashed, correct demonstrations in green, attacks in the colour of alerts: never told by colour alone."""
    if name == ZERO_SHOT:
        return QPen(QColor(look.ink), 2, Qt.PenStyle.DashLine)
    if name == CORRECT:
        return QPen(QColor(look.good), 2.4)
    return QPen(QColor(look.alert), 1.6)
