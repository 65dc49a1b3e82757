"""One figure of a run that is under way, by its steps: curves that grow, the bound they are held against, what they are now."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil, floor, log10

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from auditor.desktop import theme

_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 47, 24
_LINE_PX, _SAMPLE_PX, _GAP_PX, _DOT_PX = 18, 18, 6, 2.5
#: Points of a curve that are drawn; of more, the lowest and the highest of each stretch, so that no peak is lost.
_MOST_POINTS = 400
#: Fewer points than these are marked one by one.
_FEW_POINTS = 30
_TICKS = 3


@dataclass
class Curve:
    """Values by step, in order.

    Attributes
    ----------
    words : str
        What is drawn.
    pen : callable
        How it is drawn in a theme.
    """

    words: str
    pen: "Callable[[theme.Theme], QPen]"
    steps: "array[int]" = field(default_factory=lambda: array("q"))
    values: "array[float]" = field(default_factory=lambda: array("d"))

    def take(self, step: int, value: float) -> None:
        """Add a value; a step that is taken again takes the place of what came from it on."""
        if self.steps and step <= self.steps[-1]:
            kept = bisect_left(self.steps, step)
            del self.steps[kept:], self.values[kept:]
        self.steps.append(step)
        self.values.append(value)

    def points(self) -> list[tuple[int, float]]:
        """What is drawn of it."""
        n = len(self.steps)
        if n <= _MOST_POINTS:
            return list(zip(self.steps, self.values, strict=True))
        size = -(-2 * n // _MOST_POINTS)
        found: list[tuple[int, float]] = []
        for begin in range(0, n, size):
            part = self.values[begin : begin + size]
            ends = {begin + part.index(min(part)), begin + part.index(max(part))}
            found += [(self.steps[place], self.values[place]) for place in sorted(ends)]
        return found


class LiveChart(QWidget):
    """Draws curves as their points come.

    Parameters
    ----------
    title : str
        What is drawn, with its unit.
    curves : mapping of str to Curve
        Name -> curve.
    number : callable
        A value as people read it.
    highest : float, optional
        Upper end of the scale; it follows the curves if not given.
    """

    def __init__(
        self,
        title: str,
        curves: Mapping[str, Curve],
        number: Callable[[float], str],
        *,
        highest: float | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.title, self.curves = title, dict(curves)
        self._number, self._highest = number, highest
        self._last_step = 0
        self._bound: tuple[float, str] | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(180, 104)
        self._describe()

    def sizeHint(self) -> QSize:
        """Room for the curves."""
        return QSize(320, 180)

    def clear(self) -> None:
        """Forget what was drawn."""
        for curve in self.curves.values():
            del curve.steps[:], curve.values[:]
        self._last_step, self._bound = 0, None
        self._describe()
        self.update()

    def take(self, name: str, step: int, value: float) -> None:
        """Add a value; `show_news` draws it."""
        self.curves[name].take(step, value)

    def set_last_step(self, step: int) -> None:
        """Say how many steps there will be."""
        self._last_step = step

    def set_bound(self, value: float, words: str) -> None:
        """Draw a line that the curves are held against."""
        self._bound = (value, words)

    def show_news(self) -> None:
        """Draw what was taken in."""
        self._describe()
        self.update()

    @property
    def sentence(self) -> str:
        """What the curves are now, in words."""
        told = [f"{words} {value}" for words, value in self._now()]
        return f"{self.title}: {', '.join(told)}." if told else f"{self.title}: nothing yet."

    def _now(self) -> list[tuple[str, str]]:
        found = [(curve.words, self._number(curve.values[-1])) for curve in self.curves.values() if curve.values]
        return found + ([(self._bound[1], self._number(self._bound[0]))] if self._bound else [])

    def _describe(self) -> None:
        self.setAccessibleName(self.title)
        self.setAccessibleDescription(self.sentence)

    # ---- drawing

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw title, legend with the values of now, scale, bound and curves."""
        look = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QColor(look.ink))
        metrics = painter.fontMetrics()
        title = metrics.elidedText(self.title, Qt.TextElideMode.ElideRight, self.width() - _RIGHT)
        painter.drawText(QRectF(0, 0, self.width() - _RIGHT, _LINE_PX), Qt.AlignmentFlag.AlignVCenter, title)
        room = QRectF(_LEFT, _TOP, self.width() - _LEFT - _RIGHT, self.height() - _TOP - _BOTTOM)
        drawn = {name: curve.points() for name, curve in self.curves.items() if curve.steps}
        self._draw_legend(painter, look)
        low, high = self._scale(painter, room, look, [value for points in drawn.values() for _, value in points])
        last = max(self._last_step, *(points[-1][0] for points in drawn.values()), 1) if drawn else self._last_step
        self._draw_steps(painter, room, look, last)

        def place(step: int, value: float) -> QPointF:
            x = room.left() + step / max(1, last) * room.width()
            return QPointF(x, room.bottom() - (value - low) / (high - low) * room.height())

        if self._bound is not None:
            painter.setPen(_bound_pen(look))
            painter.drawLine(place(0, self._bound[0]), place(max(1, last), self._bound[0]))
        for name, points in drawn.items():
            pen = self.curves[name].pen(look)
            painter.setPen(pen)
            line = [place(step, value) for step, value in points]
            painter.drawPolyline(QPolygonF(line))
            if len(line) < _FEW_POINTS:
                painter.setBrush(pen.color())
                for point in line:
                    painter.drawEllipse(point, _DOT_PX, _DOT_PX)
                painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.end()

    def _draw_legend(self, painter: QPainter, look: theme.Theme) -> None:
        """What each line is and where it is now; lines differ by dashes too, so that no colour tells alone."""
        pens = [curve.pen(look) for curve in self.curves.values() if curve.values]
        pens += [_bound_pen(look)] if self._bound else []
        left, middle, metrics = 0.0, 1.5 * _LINE_PX, painter.fontMetrics()
        for pen, (words, value) in zip(pens, self._now(), strict=True):
            painter.setPen(pen)
            painter.drawLine(QPointF(left, middle), QPointF(left + _SAMPLE_PX, middle))
            left += _SAMPLE_PX + _GAP_PX
            text = f"{words} {value}"
            painter.setPen(QColor(look.soft))
            box = QRectF(left, _LINE_PX, self.width() - left, _LINE_PX)
            shown = metrics.elidedText(text, Qt.TextElideMode.ElideRight, max(0, int(box.width())))
            painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, shown)
            left += metrics.horizontalAdvance(text) + 2 * _GAP_PX

    def _scale(self, painter: QPainter, room: QRectF, look: theme.Theme, values: list[float]) -> tuple[float, float]:
        """Draw the lines that guide the eye; the values at the bottom and at the top."""
        known = values + ([self._bound[0]] if self._bound else [])
        low = min(0.0, *known) if known else 0.0
        high = self._highest if self._highest is not None else max(known, default=1.0)
        ticks = _ticks(low, high if high > low else low + 1.0)
        for tick in ticks:
            y = room.bottom() - (tick - ticks[0]) / (ticks[-1] - ticks[0]) * room.height()
            painter.setPen(QPen(QColor(look.line), 1))
            painter.drawLine(QPointF(room.left(), y), QPointF(room.right(), y))
            painter.setPen(QColor(look.soft))
            box = QRectF(0, y - _LINE_PX / 2, _LEFT - _GAP_PX, _LINE_PX)
            painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, self._number(tick))
        return ticks[0], ticks[-1]

    @staticmethod
    def _draw_steps(painter: QPainter, room: QRectF, look: theme.Theme, last: int) -> None:
        painter.setPen(QColor(look.soft))
        below = QRectF(room.left(), room.bottom() + 4, room.width(), _LINE_PX)
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, "step 0")
        if last:
            painter.drawText(below, Qt.AlignmentFlag.AlignRight, f"{last:,}")


def _bound_pen(look: theme.Theme) -> QPen:
    return QPen(QColor(look.alert), 1.4, Qt.PenStyle.DotLine)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers, from one not above the lowest value to one not below the highest."""
    raw = (high - low) / _TICKS
    ten: float = 10.0 ** floor(log10(raw))
    size = next(times * ten for times in (1, 2, 2.5, 5, 10) if times * ten >= raw * (1 - 1e-9))
    first, last = floor(low / size + 1e-9), ceil(high / size - 1e-9)
    return [place * size for place in range(first, max(last, first + 1) + 1)]
