"""A million rows sort and filter by index permutation, and the window does not stall."""

import random
from array import array

import pytest
from auditor.desktop.lateness import LatenessProbe
from auditor.desktop.widgets.columns import Numbers, Texts, arrange
from auditor.desktop.widgets.table import Table
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QFont, QFontMetrics, QImage
from pytestqt.qtbot import QtBot


def columns(n: int, seed: int = 1) -> tuple[Numbers, Texts]:
    generator = random.Random(seed)
    numbers = Numbers("expected", "Expected", "", array("d", [generator.uniform(1, 5) for _ in range(n)]))
    texts = Texts("id", "Conversation", "")
    for row in range(n):
        texts.append(f"Row-{row % 97}-ä")
    return numbers, texts


def test_order_agrees_with_sorted_and_keeps_equals_in_place() -> None:
    numbers, texts = columns(5000)
    by_number = arrange([numbers, texts], 5000, 0, False, "")
    assert list(by_number or ()) == sorted(range(5000), key=lambda row: numbers.values[row])
    by_text = arrange([numbers, texts], 5000, 1, False, "")
    assert list(by_text or ()) == sorted(range(5000), key=texts.text)
    falling = arrange([numbers, texts], 5000, 1, True, "")
    rank = {text: i for i, text in enumerate(sorted({texts.text(row) for row in range(5000)}))}
    assert list(falling or ()) == sorted(range(5000), key=lambda row: -rank[texts.text(row)])


def test_empty_cells_go_to_the_end_either_way() -> None:
    numbers = Numbers("x", "X", "", array("d", [3.0, float("nan"), 1.0]))
    assert list(arrange([numbers], 3, 0, False, "") or ()) == [2, 0, 1]
    assert list(arrange([numbers], 3, 0, True, "") or ()) == [0, 2, 1]


@pytest.mark.parametrize(
    ("wanted", "holds"),
    [
        ("row-13-Ä", lambda number, text: text == "Row-13-ä"),
        ("expected < 2", lambda number, text: number < 2),
        ("expected >= 4.5; row-1", lambda number, text: number >= 4.5 and "Row-1" in text),
        ("nothing like it", lambda number, text: False),
        ("id is Row-1-ä", lambda number, text: text == "Row-1-ä"),
        ("Conversation is Row-13-ä; expected < 3", lambda number, text: text == "Row-13-ä" and number < 3),
        ("id is Row-1", lambda number, text: False),
    ],
)
def test_filters(wanted: str, holds) -> None:  # type: ignore[no-untyped-def]  # a plain predicate
    numbers, texts = columns(3000)
    if "Ä" in wanted:
        wanted = wanted.replace("Ä", "ä")
    found = list(arrange([numbers, texts], 3000, None, False, wanted) or ())
    assert found == [row for row in range(3000) if holds(numbers.values[row], texts.text(row))]


def test_a_number_copied_from_a_cell_filters_as_it_reads() -> None:
    """Cells show a real minus; typed with a hyphen it is the same number."""
    numbers = Numbers("difference", "A less B", "", array("d", [-0.5, -0.31, 0.0, 0.31]), decimals=2)
    assert numbers.text(1) == "−0.31"
    for wanted in ("difference < −0.31", "difference < -0.31"):
        assert list(arrange([numbers], 4, None, False, wanted) or ()) == [0]
    assert list(arrange([numbers], 4, None, False, "difference >= −0.31") or ()) == [1, 2, 3]
    dashed = Texts("t", "T", "")
    for cell in ("5 − 3", "5 - 3"):
        dashed.append(cell)
    assert list(arrange([dashed], 2, None, False, "5 − 3") or ()) == [0]


def test_letters_outside_ascii_are_found_as_typed() -> None:
    texts = Texts("t", "T", "")
    for cell in ("École", "ecole", "日本 AUDIT"):
        texts.append(cell)
    assert texts.rows_with("École", 3) == [0]
    assert texts.rows_with("日本 audit", 3) == [2]


def test_a_needle_does_not_match_across_two_cells() -> None:
    texts = Texts("t", "T", "")
    for text in ("ab", "cd", "bc"):
        texts.append(text)
    assert texts.rows_with("bc", 3) == [2]


@pytest.mark.parametrize("order", [Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder])
def test_the_sorting_arrow_stands_beside_the_title_of_numbers(qtbot: QtBot, order: Qt.SortOrder) -> None:
    table = Table("Test")
    qtbot.addWidget(table)
    table.resize(600, 300)
    table.show()
    table.set_columns(columns(50))
    header = table.view.horizontalHeader()
    bold = QFont(header.font())
    bold.setWeight(QFont.Weight.DemiBold)
    words = QFontMetrics(bold).horizontalAdvance("Expected") + 8

    def shown() -> tuple[QImage, QImage]:
        x, width = header.sectionViewportPosition(0), header.sectionSize(0)
        image = header.viewport().grab(QRect(x, 0, width, header.height())).toImage()
        return image.copy(0, 0, width - words, image.height()), image.copy(width - words, 0, words, image.height())

    room, title = shown()
    with qtbot.waitSignal(table.model.arranged):
        table.view.sortByColumn(0, order)
    sorted_room, sorted_title = shown()
    assert sorted_title == title
    assert sorted_room != room
    table.finish()


@pytest.mark.slow
def test_a_million_rows_sort_and_filter_while_the_window_lives(qtbot: QtBot) -> None:
    table = Table("Test")
    qtbot.addWidget(table)
    table.resize(800, 600)
    table.show()
    numbers, texts = columns(1_000_000)
    texts.ranks = array("d", [row % 97 for row in range(1_000_000)])
    table.set_columns([numbers, texts])
    arrange([numbers], 10, 0, False, "")  # numpy is imported before the clock runs
    probe = LatenessProbe(table)
    probe.start()
    with qtbot.waitSignal(table.model.arranged, timeout=20_000):
        table.view.sortByColumn(0, Qt.SortOrder.DescendingOrder)
    shown = [table.model.value(row, "expected") for row in range(1000)]
    assert shown == sorted(shown, reverse=True)
    assert shown[0] == max(numbers.values)
    with qtbot.waitSignal(table.model.arranged, timeout=20_000):
        table.filter.setText("row-13-; expected < 3")
    probe.stop()
    assert table.model.rowCount() == sum(1 for row in range(1_000_000) if row % 97 == 13 and numbers.values[row] < 3)
    assert "of 1,000,000 rows" in table.count.text()
    table.finish()
    assert probe.max_ms < 1000
