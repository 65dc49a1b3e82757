"""A prompt to look at: its pieces under headings. The text is data: nothing of it is ever markup."""

from collections.abc import Sequence

from PySide6.QtCore import QEvent
from PySide6.QtGui import QColor, QFont, QFontDatabase, QTextBlockFormat, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QTextEdit, QWidget

from auditor.desktop import theme

_GAP_PX = 12


class PromptView(QTextEdit):
    """Shows (heading, text) pairs; headings in the accent colour, texts in a font of fixed width."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setReadOnly(True)
        self.setAcceptRichText(False)
        self.setUndoRedoEnabled(False)
        self.setAccessibleName("The prompt as the model reads it")
        self.setTabChangesFocus(True)
        self._pieces: Sequence[tuple[str, str]] = ()

    def show_pieces(self, pieces: Sequence[tuple[str, str]]) -> None:
        """Show pieces; what is in view stays there."""
        self._pieces = pieces
        place = self.verticalScrollBar().value()
        self.clear()
        cursor = QTextCursor(self.document())
        heading, body = QTextCharFormat(), QTextCharFormat()
        heading.setFontWeight(QFont.Weight.DemiBold)
        heading.setForeground(QColor(theme.current().accent))
        body.setFontFamilies(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont).families())
        body.setForeground(QColor(theme.current().ink))
        above = QTextBlockFormat()
        for number, (title, text) in enumerate(pieces):
            if number:
                cursor.insertBlock()
                above.setTopMargin(_GAP_PX)
            cursor.setBlockFormat(above)
            cursor.insertText(title, heading)
            cursor.insertBlock(QTextBlockFormat())
            cursor.insertText(text, body)
        self.verticalScrollBar().setValue(place)

    def changeEvent(self, event: QEvent) -> None:
        """Take on the colours of another scheme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self._pieces:
            self.show_pieces(self._pieces)
