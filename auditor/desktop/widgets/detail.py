"""One unit in view: its text, its scores with where they come from, and a person's own rating by keyboard."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent, QPen, QTextCharFormat, QTextCursor
from PySide6.QtGui import Qt as RichText
from PySide6.QtWidgets import QLabel, QSizePolicy, QTextEdit, QWidget

from auditor.desktop import theme

_NO_BREAK = "\N{NO-BREAK SPACE}"
#: Characters of a longer part of a line of keys, which may be broken.
_MOST_TOGETHER = 32


class PlainTurns(QTextEdit):
    """Turns of a conversation. Text is inserted as text: nothing of it is ever markup."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setReadOnly(True)
        self.setAcceptRichText(False)
        self.setAccessibleName("Conversation")
        self.setTabChangesFocus(True)

    def show_parts(self, parts: Sequence[Sequence[str]]) -> None:
        """Show (heading, text) pairs."""
        self.clear()
        cursor = QTextCursor(self.document())
        heading, body = QTextCharFormat(), QTextCharFormat()
        heading.setFontWeight(QFont.Weight.DemiBold)
        heading.setForeground(QColor(theme.current().accent))
        body.setForeground(QColor(theme.current().ink))
        for place, (role, text) in enumerate(parts):
            if place:
                cursor.insertText("\n\n", body)
            cursor.insertText(role.capitalize() + "\n", heading)
            cursor.insertText(text, body)
        self.moveCursor(QTextCursor.MoveOperation.Start)


class ScoreBars(QWidget):
    """Probabilities of the scores 1 to 5 as bars with their figures; the most probable one is marked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._row: Mapping[str, Any] = {}
        self._beside: Mapping[str, Any] | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Room for five bars."""
        return QSize(200, 110)

    def show_row(self, row: Mapping[str, Any], beside: Mapping[str, Any] | None = None) -> None:
        """Show a row of the ratings table; a line marks where the same bar of another judge's row ends."""
        self._row, self._beside = row, beside
        words = ", ".join(f"{score}: {row[f'p{score}']:.1%}" for score in range(1, 6))
        self.setAccessibleName(f"Probabilities: {words}")
        marks = " Dashed lines: the first judge's probabilities." if beside is not None else ""
        self.setToolTip(f"Softmax over the logits of the tokens 1 to 5 after 'Rating:'.{marks}")
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the bars."""
        if not self._row:
            return
        look = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        slot = min(self.width() / 5, 64.0)
        floor = self.height() - 20
        for score in range(1, 6):
            share = float(self._row[f"p{score}"])
            left = (score - 1) * slot + 4
            height = share * (floor - 18)
            is_mode = int(self._row["mode"]) == score
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(look.accent if is_mode else look.line))
            painter.drawRoundedRect(QRectF(left, floor - height, slot - 8, height), 2, 2)
            if self._beside is not None:
                mark = floor - float(self._beside[f"p{score}"]) * (floor - 18)
                painter.setPen(QPen(QColor(look.ink), 1.4, Qt.PenStyle.DashLine))
                painter.drawLine(QPointF(left - 2, mark), QPointF(left + slot - 6, mark))
            painter.setPen(QColor(look.ink))
            painter.drawText(
                QRectF(left, floor - height - 16, slot - 8, 14), Qt.AlignmentFlag.AlignCenter, f"{share:.0%}"
            )
            label = f"▸{score}" if is_mode else str(score)
            painter.drawText(QRectF(left, floor + 2, slot - 8, 16), Qt.AlignmentFlag.AlignCenter, label)
        painter.end()


def plain_label(text: str = "", *, name: str = "", wrap: bool = True) -> QLabel:
    """A label whose text is never markup and can be selected."""
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(wrap)
    label.setObjectName(name)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def plain_tip(text: str) -> str:
    """A tool tip that shows a text as it is.

    Qt takes what looks like markup for markup, and a picture named in it would be opened; such a text is escaped.
    """
    if not RichText.mightBeRichText(text):
        return text
    lines = html.escape(text).replace("\n", "<br>")
    return f"<qt>{lines}</qt>"


def key_words(text: str) -> str:
    """Keys with what they do, divided by " · ": a short one is never broken over two lines."""
    parts = (part if len(part) > _MOST_TOGETHER else part.replace(" ", _NO_BREAK) for part in text.split(" · "))
    return f"{_NO_BREAK}· ".join(parts)
