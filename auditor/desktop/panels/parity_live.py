"""A p-value while it sharpens: its Monte Carlo interval over the relabellings so far."""

from collections.abc import Mapping, Sequence
from math import log10
from typing import Any

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from auditor.desktop import theme

_METRICS = ("p_value", "p_low", "p_high")
_GAP, _RIGHT, _TOP = 8, 16, 14
#: Room below the scale; in a narrow part the caption stands on two lines under the numbers.
_BOTTOM, _NARROW_BOTTOM, _LINE = 40, 74, 20
_CAPTION = "p-value over relabellings; shaded: where it lies with 99% confidence"
#: Lines of the scale; what is smaller than the last one lies on it.
_TICKS = (1.0, 0.1, 0.01, 0.001, 0.0001)


class LivePValue(QWidget):
    """Draws what metric events say of the p-value."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._points: dict[int, dict[str, float]] = {}
        self.first: float | None = None
        self._total = 0
        self._alpha = 0.05
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        """Room for the curve."""
        return QSize(400, 260)

    def begin(self, total: int, alpha: float) -> None:
        """Forget what was drawn.

        Parameters
        ----------
        total : int
            Relabellings that were asked for.
        alpha : float
            Where the line of the decision lies.
        """
        self._points, self.first, self._total, self._alpha = {}, None, total, alpha
        self._describe()

    def take_events(self, events: Sequence[Mapping[str, Any]]) -> bool:
        """Take in metric events; returns whether any of them was of the p-value."""
        is_new = False
        for event in events:
            if event["kind"] != "metric":
                continue
            if event["name"] == "closed_form_p":
                self.first, is_new = float(event["value"]), True
            elif event["name"] in _METRICS and event["step"] is not None:
                self._points.setdefault(int(event["step"]), {})[event["name"]] = float(event["value"])
                is_new = True
        if is_new:
            self._describe()
            self.update()
        return is_new

    @property
    def steps(self) -> list[int]:
        """Relabellings at which p and its interval are known, in order."""
        return sorted(step for step, point in self._points.items() if len(point) == len(_METRICS))

    @property
    def sentence(self) -> str:
        """The answer so far, in words; empty while there is none."""
        if self.steps:
            step = self.steps[-1]
            now = self._points[step]
            return (
                f"So far {p_is(now['p_value'])} (99% Monte Carlo interval {p_words(now['p_low'])} to "
                f"{p_words(now['p_high'])}) after {step:,} relabellings."
            )
        if self.first is not None:
            return f"First answer, from a normal approximation: {p_is(self.first)}."
        return ""

    def _describe(self) -> None:
        self.setAccessibleName("p-value while it sharpens")
        self.setAccessibleDescription(self.sentence)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw scale, decision line, interval and curve."""
        look = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics = painter.fontMetrics()
        left = metrics.horizontalAdvance(_tick_words(_TICKS[-1])) + 2 * _GAP
        width = self.width() - left - _RIGHT
        total = f"{self._total:,}"
        # The caption is centred: what stands at one end must fit at the other as well.
        is_narrow = metrics.horizontalAdvance(_CAPTION) + 2 * metrics.horizontalAdvance(f"  {total}") > width
        room = QRectF(left, _TOP, width, self.height() - _TOP - (_NARROW_BOTTOM if is_narrow else _BOTTOM))
        for tick in _TICKS:
            y = self._y(room, tick)
            painter.setPen(QPen(QColor(look.line), 1))
            painter.drawLine(QPointF(room.left(), y), QPointF(room.right(), y))
            painter.setPen(QColor(look.soft))
            box = QRectF(0, y - 9, left - _GAP, 18)
            painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, _tick_words(tick))
        y = self._y(room, self._alpha)
        painter.setPen(QPen(QColor(look.alert), 1.4, Qt.PenStyle.DashLine))
        painter.drawLine(QPointF(room.left(), y), QPointF(room.right(), y))
        painter.drawText(
            QRectF(room.right() - 160, y - 19, 158, 18), Qt.AlignmentFlag.AlignRight, f"α = {self._alpha:g}"
        )
        painter.setPen(QColor(look.soft))
        below = QRectF(room.left(), room.bottom() + 8, room.width(), _LINE)
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, "0")
        painter.drawText(below, Qt.AlignmentFlag.AlignRight, total)
        caption = below.adjusted(0, _LINE, 0, 2 * _LINE) if is_narrow else below
        painter.drawText(caption, int(Qt.AlignmentFlag.AlignHCenter) | int(Qt.TextFlag.TextWordWrap), _CAPTION)
        if self.steps:
            self._draw_curve(painter, room, look)
        elif self.first is not None:
            painter.setBrush(QColor(look.accent))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.drawEllipse(QPointF(room.left() + 6, self._y(room, self.first)), 4, 4)
        painter.end()

    def _draw_curve(self, painter: QPainter, room: QRectF, look: theme.Theme) -> None:
        def line(name: str) -> list[QPointF]:
            steps = self.steps
            width = room.width() / max(self._total, steps[-1])
            found = [QPointF(room.left() + s * width, self._y(room, self._points[s][name])) for s in steps]
            # One answer alone is drawn as a short piece.
            return found if len(found) > 1 else [QPointF(room.left(), found[0].y()), *found]

        shade = QColor(look.accent)
        shade.setAlpha(60)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(shade)
        painter.drawPolygon(QPolygonF([*line("p_low"), *reversed(line("p_high"))]))
        painter.setPen(QPen(QColor(look.accent), 2.2))
        painter.drawPolyline(QPolygonF(line("p_value")))

    @staticmethod
    def _y(room: QRectF, p: float) -> float:
        lowest = _TICKS[-1]
        share = log10(max(p, lowest)) / log10(lowest)
        return room.top() + min(1.0, max(0.0, share)) * room.height()


def _tick_words(tick: float) -> str:
    return f"{tick:g}" if tick > _TICKS[-1] else f"≤ {tick:g}"


def p_is(p: float) -> str:
    """What a p-value is, as the field writes it."""
    return f"p = {p_words(p)}" if p >= _TICKS[-1] else "p < .0001"


def p_words(p: float) -> str:
    """A p-value without its leading zero: three decimals, four where it is small."""
    if p < _TICKS[-1]:
        # Only what is 0 is called 0.
        return "below .0001" if p > 0 else "0"
    text = f"{p:.3f}" if p >= 0.001 else f"{p:.4f}"
    return text.removeprefix("0") if p < 1 else text
