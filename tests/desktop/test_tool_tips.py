"""Tool tips show what files hold as it stands there: nothing of it is markup."""

from auditor.desktop.panels.hand_bar import HandBar
from auditor.desktop.widgets.detail import plain_tip
from auditor.desktop.widgets.listing import Listing
from PySide6.QtGui import QTextDocument
from pytestqt.qtbot import QtBot

HOSTILE = '<img src="file:///secret.png"> <b>c1</b> & "q"\nsecond line'


def read(tip: str) -> str:
    """What a person reads, since Qt takes such a tip for markup."""
    document = QTextDocument()
    document.setHtml(tip)
    return document.toPlainText()


def test_markup_is_escaped_and_lines_are_kept(qapp: object) -> None:
    tip = plain_tip(HOSTILE)
    assert "<img" not in tip
    assert "<b>" not in tip
    assert read(tip) == HOSTILE
    # What looks like no markup stays as it is, for those who hear it read out too.
    assert [plain_tip(text) for text in ("", "a < b & c\nd")] == ["", "a < b & c\nd"]


def test_cells_and_ids_are_escaped(qtbot: QtBot) -> None:
    listing = Listing("Things", ["Thing"])
    qtbot.addWidget(listing)
    listing.show_rows([[HOSTILE]], 0)
    item = listing.item(0, 0)
    assert item is not None
    assert item.text() == HOSTILE
    assert read(item.toolTip()) == HOSTILE
    bar = HandBar()
    qtbot.addWidget(bar)
    bar.show_unit(HOSTILE, 1)
    assert read(bar.heading.toolTip()) == HOSTILE
