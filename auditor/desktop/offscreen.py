"""Whether Qt works here at all, found out without a screen."""

import os

from auditor.errors import AuditorError


def paint() -> str:
    """Paint a coloured square offscreen and read it back.

    Raises
    ------
    AuditorError
        If another colour comes back.
    """
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtCore import qVersion
    from PySide6.QtGui import QColor, QGuiApplication, QImage, QPainter

    application = QGuiApplication.instance() or QGuiApplication([])
    image = QImage(8, 8, QImage.Format.Format_RGB32)
    painter = QPainter(image)
    painter.fillRect(image.rect(), QColor("#0072b2"))
    painter.end()
    if image.pixelColor(4, 4) != QColor("#0072b2"):
        raise AuditorError("Qt painted another colour than it was asked for.")
    del application
    return f"Qt {qVersion()}"
