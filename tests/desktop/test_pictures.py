"""Pictures of a run come one by one, and the window lives meanwhile."""

from typing import Any

import pytest
from auditor.desktop.lateness import LatenessProbe
from auditor.desktop.panels.picture_column import PictureColumn
from auditor.desktop.widgets.figure import FigureCard
from auditor.desktop.window import Window
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

#: Marks of one picture, more than any of the audit's has.
_MARKS = 3_000


def picture(number: int) -> dict[str, Any]:
    marks = "".join(
        f'<path d="M{x % 600} {x // 600 * 20} l3 4 l5 -2 z" fill="#3b6ea5" opacity="0.5"/>' for x in range(_MARKS)
    )
    return {
        "name": f"picture-{number}",
        "title": f"Picture {number}",
        "description": "Marks.",
        "svg": f'<svg xmlns="http://www.w3.org/2000/svg" width="600" height="200">{marks}</svg>',
    }


@pytest.fixture
def column(window: Window) -> PictureColumn:
    """A column in view, with a word below the pictures."""
    place = QWidget(window)
    found = PictureColumn(window.session, "picture_export")
    place.setLayout(found)
    place.resize(800, 600)
    place.show()
    return found


def test_pictures_come_in_their_order_while_the_window_lives(
    column: PictureColumn, qtbot: QtBot, lateness: LatenessProbe
) -> None:
    pictures = [picture(number) for number in range(12)]
    lateness.start()
    column.show_pictures(pictures, {})
    word = QLabel("That is all.")
    column.addWidget(word)
    assert not column.is_whole
    qtbot.waitUntil(lambda: column.is_whole, timeout=60_000)
    lateness.stop()
    # Every picture had a turn of its own, and so had whatever else waits.
    assert len(lateness.late_ms) >= len(pictures) - 1
    widgets = [item.widget() for place in range(column.count()) if (item := column.itemAt(place)) is not None]
    assert widgets[-1] is word
    assert [card.name for card in widgets[:-1] if isinstance(card, FigureCard)] == [each["name"] for each in pictures]


def test_what_is_taken_away_does_not_come_back(column: PictureColumn, qtbot: QtBot) -> None:
    column.show_pictures([picture(number) for number in range(5)], {})
    column.take_away()
    assert column.is_whole
    column.show_pictures([picture(7)], {})
    qtbot.wait(50)
    assert [card.name for card in column.cards] == ["picture-7"]


def test_a_picture_is_drawn_anew_in_another_width(column: PictureColumn, qtbot: QtBot) -> None:
    """A line in the middle of the picture stays there."""
    middle = '<rect x="299" y="0" width="2" height="200" fill="#000000"/>'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="600" height="200">{middle}</svg>'
    column.show_pictures([{**picture(0), "svg": svg}], {})
    column.addStretch(1)
    (card,) = column.cards
    place = card.parentWidget()
    assert place is not None
    for width in (700, 560):
        place.resize(width, 600)
        qtbot.waitUntil(lambda width=width: width - 90 < card.drawing.width() <= width)
        drawn = card.drawing.grab().toImage()
        assert drawn == card.drawing.grab().toImage()
        y = drawn.height() // 2
        dark = [x for x in range(drawn.width()) if drawn.pixelColor(x, y).lightness() < 128]
        assert dark
        assert sum(dark) / len(dark) == pytest.approx(drawn.width() / 2, abs=2)
