"""Tones as swatches with their names: on keys that are pressed, and in cells. A colour never stands without its name."""

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QGridLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from auditor.audits.parity.tones import LEVELS, UNCERTAIN, ToneScale, swatch
from auditor.desktop import theme

_COLUMNS = {"monk": 5, "fitzpatrick": 6}
_NAMES = {"monk": "Monk tone", "fitzpatrick": "Fitzpatrick type"}
#: Relative luminance (0 to 255) above which black is read better than white.
_LIGHT = 128
_RADIUS = 4.0


def tone_words(scale: ToneScale, value: str) -> str:
    """A value in words, for tool tips and screen readers."""
    return "uncertain" if value == UNCERTAIN else f"{_NAMES[scale]} {value}"


def key_of(scale: ToneScale, value: str) -> str:
    """The key that gives a tone: its place on the scale, 0 for the tenth."""
    return str((LEVELS[scale].index(value) + 1) % 10)


def paint_tone(
    painter: QPainter, box: QRectF, scale: ToneScale, value: str, *, proposed: bool = False, chosen: bool = False
) -> None:
    """Draw a tone: its swatch with its name on it; "?" where the rater was uncertain, a dash for nothing said.

    Parameters
    ----------
    proposed : bool
        Draw it as a proposal that nobody has confirmed: dashed, with "≈" before its name.
    chosen : bool
        Draw a thick edge around it.
    """
    look = theme.current()
    colour = swatch(scale, value)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    edge = QColor(look.accent if chosen or proposed else look.soft)
    painter.setPen(QPen(edge, 3 if chosen else 1, Qt.PenStyle.DashLine if proposed else Qt.PenStyle.SolidLine))
    painter.setBrush(QColor(colour) if colour else QColor(look.base))
    inset = 1.5 if chosen else 0.5
    painter.drawRoundedRect(box.adjusted(inset, inset, -inset, -inset), _RADIUS, _RADIUS)
    painter.setPen(QColor(ink_on(colour) if colour else look.ink if value else look.soft))
    word = "?" if value == UNCERTAIN else value or "–"
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, f"≈{word}" if proposed else word)
    painter.restore()


def ink_on(colour: str) -> str:
    """Black or white, whichever is read better on a colour."""
    rgb = QColor(colour)
    luminance = 0.299 * rgb.red() + 0.587 * rgb.green() + 0.114 * rgb.blue()
    return "#000000" if luminance > _LIGHT else "#ffffff"


class SwatchKey(QAbstractButton):
    """A tone that can be pressed, with the key that does the same."""

    def __init__(self, scale: ToneScale, value: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scale, self.value = scale, value
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(tone_words(scale, value))
        self.setToolTip(f"{tone_words(scale, value)}: key {key_of(scale, value)}")

    def sizeHint(self) -> QSize:
        """Room for two digits and a mark."""
        return QSize(44, 44)

    def minimumSizeHint(self) -> QSize:
        """Room for two digits."""
        return QSize(32, 44)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the tone; the one that is held has a thick edge and a mark."""
        painter = QPainter(self)
        font = QFont(self.font())
        font.setPixelSize(15)
        font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        box = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        paint_tone(painter, box, self._scale, self.value, chosen=self.isChecked())
        colour = swatch(self._scale, self.value)
        ink = QColor(ink_on(colour or "#ffffff"))
        if self.isChecked():
            font.setPixelSize(10)
            painter.setFont(font)
            painter.setPen(ink)
            painter.drawText(box.adjusted(0, 4, -5, 0), Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignRight, "✓")
        if self.hasFocus():
            painter.setPen(QPen(ink, 1, Qt.PenStyle.DotLine))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(box.adjusted(4, 4, -4, -4), _RADIUS, _RADIUS)
        painter.end()


class SwatchKeys(QWidget):
    """All tones of a scale from light to dark, and "uncertain".

    Signals
    -------
    pressed(str)
        A tone of the scale, or "uncertain".
    """

    pressed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.keys: dict[str, SwatchKey] = {}
        self.uncertain = QPushButton("? Uncertain")
        self.uncertain.setCheckable(True)
        self.uncertain.setObjectName("quick")
        self.uncertain.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.uncertain.setToolTip(
            "The tone cannot be told. It is kept as a value, and never counts as a tone. Key Z or ?"
        )
        self.uncertain.clicked.connect(lambda: self._press(UNCERTAIN))
        self._grid = QGridLayout()
        self._grid.setSpacing(4)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(self._grid)
        layout.addWidget(self.uncertain)

    def set_scale(self, scale: ToneScale) -> None:
        """Offer the tones of a scale."""
        for key in self.keys.values():
            self._grid.removeWidget(key)
            key.hide()
            key.deleteLater()
        self.keys = {}
        columns = _COLUMNS[scale]
        for place, value in enumerate(LEVELS[scale]):
            key = SwatchKey(scale, value)
            key.clicked.connect(lambda _checked=False, value=value: self._press(value))
            self._grid.addWidget(key, place // columns, place % columns)
            self.keys[value] = key

    def show_value(self, value: str) -> None:
        """Mark what is held; "" for nothing."""
        for name, key in self.keys.items():
            key.setChecked(name == value)
        self.uncertain.setChecked(value == UNCERTAIN)

    def _press(self, value: str) -> None:
        # Whether it counts is for who listens to decide; until then the keys show what is kept.
        button = self.uncertain if value == UNCERTAIN else self.keys[value]
        button.setChecked(not button.isChecked())
        self.pressed.emit(value)
