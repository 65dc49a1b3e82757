"""A picture with its words: sharp at any scale, copied, saved, its data exported."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QByteArray, QMimeData, QRectF, QSize, QSizeF, Qt
from PySide6.QtGui import QImage, QPainter, QPaintEvent, QPixmap, QResizeEvent
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import (
    QApplication,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from auditor.desktop import theme
from auditor.desktop.widgets.detail import plain_label

_MAX_WIDTH = 860


class _Svg(QWidget):
    def __init__(self, svg: str, words: str) -> None:
        super().__init__()
        self._renderer = QSvgRenderer(QByteArray(svg.encode()), self)
        self._renderer.setAspectRatioMode(Qt.AspectRatioMode.KeepAspectRatio)
        self._drawn = QPixmap()
        self.setAccessibleName(words)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._fit()

    def _fit(self) -> None:
        size = self._renderer.defaultSize()
        width = min(self.width(), _MAX_WIDTH)
        self.setFixedHeight(max(60, round(width * size.height() / max(1, size.width()))))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def paintEvent(self, _event: QPaintEvent) -> None:
        width, scale = min(self.width(), _MAX_WIDTH), self.devicePixelRatioF()
        size = (QSizeF(width, self.height()) * scale).toSize()
        # Drawn once: scrolling, and cards that come after it, only copy it.
        if self._drawn.size() != size:
            self._drawn = QPixmap(size)
            self._drawn.setDevicePixelRatio(scale)
            self._drawn.fill(Qt.GlobalColor.transparent)
            drawing = QPainter(self._drawn)
            drawing.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._renderer.render(drawing, QRectF(0, 0, width, self.height()))
            drawing.end()
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._drawn)
        painter.end()

    def image(self, scale: int = 3) -> QImage:
        size: QSize = self._renderer.defaultSize() * scale
        image = QImage(size, QImage.Format.Format_ARGB32)
        image.fill(Qt.GlobalColor.white)
        painter = QPainter(image)
        self._renderer.render(painter)
        painter.end()
        return image


class FigureCard(QFrame):
    """One picture.

    Parameters
    ----------
    picture : dict
        name, title, description, svg as the task `pictures` gives them.
    export : callable
        Called with the picture's name and the path to save to.

    Attributes
    ----------
    name : str
        Of the picture.
    drawing : QWidget
        The picture itself.
    """

    def __init__(
        self, picture: dict[str, Any], export: Callable[[str, Path], None], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("card")
        self._picture, self._export = picture, export
        self.name: str = picture["name"]
        title = QLabel(picture["title"])
        title.setObjectName("heading")
        title.setTextFormat(Qt.TextFormat.PlainText)
        title.setWordWrap(True)
        top = QHBoxLayout()
        top.addWidget(title, 1)
        for icon, words, callback in (
            ("copy", "Copy picture", self.copy),
            ("save", "Save picture as SVG, PNG or PDF", self._save),
            ("data", "Export the picture's data as CSV", self._save_data),
        ):
            button = QToolButton()
            theme.set_icon(button, icon)
            button.setAutoRaise(True)
            button.setToolTip(words)
            button.setAccessibleName(f"{words}: {picture['title']}")
            button.clicked.connect(callback)
            top.addWidget(button)
        self.drawing = _Svg(picture["svg"], picture["description"])
        about = plain_label(picture["description"], name="help")
        layout = QVBoxLayout(self)
        layout.addLayout(top)
        layout.addWidget(self.drawing)
        layout.addWidget(about)

    def copy(self) -> None:
        """Put the picture on the clipboard, as pixels and as SVG."""
        mime = QMimeData()
        mime.setImageData(self.drawing.image())
        mime.setData("image/svg+xml", self._picture["svg"].encode())
        QApplication.clipboard().setMimeData(mime)

    def _save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(
            self, "Save picture", f"{self._picture['name']}.svg", "SVG (*.svg);;PNG (*.png);;PDF (*.pdf)"
        )
        if name:
            self._export(self._picture["name"], Path(name))

    def _save_data(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Export data", f"{self._picture['name']}.csv", "CSV (*.csv)")
        if name:
            self._export(self._picture["name"], Path(name))
