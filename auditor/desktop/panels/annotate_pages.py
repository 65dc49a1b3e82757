"""The middle of the annotation desk: words while there is nothing to see, the contact sheet, or one image in large."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QStackedWidget, QWidget

from auditor.desktop.panels.annotate_large import LargeImage
from auditor.desktop.widgets.contact_sheet import ContactSheet
from auditor.desktop.widgets.detail import plain_label


class AnnotatePages(QStackedWidget):
    """One of three pages.

    Parameters
    ----------
    sheet : ContactSheet
    """

    def __init__(self, sheet: ContactSheet, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.sheet, self.large = sheet, LargeImage()
        self.state = plain_label(name="soft")
        self.state.setAlignment(Qt.AlignmentFlag.AlignCenter)
        for page in (self.state, self.sheet, self.large):
            self.addWidget(page)

    @property
    def is_empty(self) -> bool:
        """Whether there is no sheet to see."""
        return self.currentWidget() is self.state

    @property
    def is_large(self) -> bool:
        """Whether one image fills the page."""
        return self.currentWidget() is self.large

    def show_words(self, words: str | None = None) -> None:
        """Show no sheet, and say why if that has changed."""
        if words is not None:
            self.state.setText(words)
        self.setCurrentWidget(self.state)

    def show_sheet(self) -> None:
        """Show the sheet, unless one of its images is in view."""
        if self.is_empty:
            self.setCurrentWidget(self.sheet)

    def toggle_large(self) -> None:
        """Show the image in large, or the sheet again."""
        self.setCurrentWidget(self.sheet if self.is_large else self.large)

    def look(self) -> None:
        """Take the keyboard to where tones are set."""
        (self.large if self.is_large else self.sheet).setFocus()
