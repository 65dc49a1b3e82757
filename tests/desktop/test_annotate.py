"""The annotation desk through a real widget: keys set tones, everything is kept at once, raters are blind to each other."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from auditor.audits.parity.swatches import MONK_SWATCHES
from auditor.case import Case, verify
from auditor.case.records import GivenAnnotation
from auditor.case.store import Record
from auditor.desktop.panels.annotate import AnnotationDesk
from auditor.desktop.panels.annotate_book import ToneBook, read_sheet
from auditor.desktop.session import Session
from auditor.desktop.widgets.contact_sheet import ContactSheet, SheetCell, SheetModel
from PIL import Image
from PySide6.QtCore import QEvent, QPoint, QSettings, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

#: Items of each query; "a" and "b" stand in two lists.
LISTS = {"q1": "abc", "q2": "bd", "q3": "ae"}
SKIN = (176, 124, 96)
_MOST_MS = 120_000


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Results of three queries with an image for each item but "e", one of them broken."""
    folder = tmp_path / "shop"
    (folder / "images").mkdir(parents=True)
    for item in "abc":
        picture = Image.new("RGB", (60, 90), (90, 130, 200))
        picture.paste(SKIN, (15, 20, 45, 70))
        picture.save(folder / "images" / f"{item}.png")
    (folder / "images" / "d.png").write_bytes(b"\x89PNG\r\n\x1a\nnot an image")
    with (folder / "results.csv").open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["query_id", "item_id", "rank", "query_group"])
        for query, items in LISTS.items():
            rows.writerows(
                [query, item, rank, "dark" if query == "q1" else "light"] for rank, item in enumerate(items, 1)
            )
    with (folder / "catalog.csv").open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["item_id", "image"])
        rows.writerows([item, f"images/{item}.png" if item != "e" else ""] for item in "abcde")
    return folder


@pytest.fixture
def session(tmp_path: Path, qapp: object, home: Path) -> Iterator[Session]:
    made = Session(QSettings(str(tmp_path / "desktop.ini"), QSettings.Format.IniFormat))
    assert made.open_case(tmp_path / "case", create=True, title="Tones")
    yield made
    made.close()


@pytest.fixture
def said(session: Session) -> list[str]:
    """Sentences for the person."""
    sentences: list[str] = []
    session.said.connect(sentences.append)
    return sentences


@pytest.fixture
def desk(session: Session, files: Path, qtbot: QtBot) -> AnnotationDesk:
    """The desk with the sheet open; nobody has given a name yet."""
    made = AnnotationDesk(session)
    qtbot.addWidget(made)
    made.resize(1332, 800)
    made.show()
    qtbot.waitExposed(made)
    show(made, files, qtbot)
    return made


def show(desk: AnnotationDesk, files: Path, qtbot: QtBot, **options: object) -> None:
    assert desk.open(files / "results.csv", files / "catalog.csv", options)
    qtbot.waitUntil(lambda: not desk.state.isVisible() or not desk.state.text().startswith("Reading"), timeout=_MOST_MS)
    assert desk.sheet.isVisible(), desk.state.text()
    idle(desk, qtbot)


def idle(desk: AnnotationDesk, qtbot: QtBot) -> None:
    session = desk._session
    qtbot.waitUntil(
        lambda: session.asker.is_idle and session.background.is_idle and desk.items.images.is_idle, timeout=_MOST_MS
    )


def sit_down(desk: AnnotationDesk, rater: str) -> None:
    desk.bar.name.setFocus()
    desk.bar.name.selectAll()
    QTest.keyClicks(desk.bar.name, rater)
    QTest.keyClick(desk.bar.name, Qt.Key.Key_Return)


def press(desk: AnnotationDesk, *keys: Qt.Key | str) -> None:
    for key in keys:
        QTest.keyClick(desk.middle.currentWidget(), key)


def records(session: Session) -> list[Record]:
    assert session.case is not None
    return session.case.annotations()


def bodies(session: Session) -> list[tuple[str, str, str]]:
    return [(record.body["item"], record.body["rater"], record.body["value"]) for record in records(session)]


def in_view(desk: AnnotationDesk) -> str:
    assert desk.item is not None
    return desk.items.item_id(desk.item)


def test_tones_are_given_by_keyboard_and_each_is_kept_at_once(
    desk: AnnotationDesk, session: Session, said: list[str]
) -> None:
    sit_down(desk, "Ada")
    assert desk.sheet.hasFocus()
    assert in_view(desk) == "a"
    press(desk, "7", "0", "z")
    assert bodies(session) == [("a", "Ada", "7"), ("b", "Ada", "10"), ("c", "Ada", "uncertain")]
    # "b" stands in the next list too and is not asked for again.
    assert in_view(desk) == "d"
    assert desk.bar.progress_words.text() == "3 of 5 items annotated by Ada, 1 uncertain"
    press(desk, "1", "?")
    assert bodies(session)[-2:] == [("d", "Ada", "1"), ("e", "Ada", "uncertain")]
    assert said[-1] == "Ada has annotated all 5 items."
    case = session.case
    assert case is not None
    with Case.open(case.path, write=False) as reader:
        assert len(reader.annotations("skin tone", "monk")) == 5
    assert verify(case.path).ok


def test_what_was_looked_at_is_kept_with_the_tone(desk: AnnotationDesk, session: Session, files: Path) -> None:
    from auditor.files import sha256_of

    sit_down(desk, "Ada")
    press(desk, "7", Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Right)
    assert in_view(desk) == "d"
    press(desk, "3")
    first, second = (record.body for record in records(session))
    assert first["image_sha256"] == sha256_of(files / "images" / "a.png")
    assert (first["source"], first["blind"], first["attribute"], first["scale"]) == (
        "by eye",
        True,
        "skin tone",
        "monk",
    )
    assert "image_sha256" not in second


def test_without_a_name_nothing_is_annotated(desk: AnnotationDesk, session: Session, said: list[str]) -> None:
    assert desk.bar.name.hasFocus()
    desk.sheet.setFocus()
    press(desk, "4")
    assert records(session) == []
    assert "your name" in said[-1]
    assert desk.bar.name.hasFocus()


def test_digits_in_a_name_are_no_tones(desk: AnnotationDesk, session: Session) -> None:
    sit_down(desk, "Rater 17")
    assert desk.items.book.rater == "Rater 17"
    assert records(session) == []


def test_undo_goes_back_step_by_step_and_brings_back_what_was_there_before(
    desk: AnnotationDesk, session: Session, said: list[str]
) -> None:
    sit_down(desk, "Ada")
    press(desk, "2", "3", Qt.Key.Key_Left)
    assert in_view(desk) == "b"
    press(desk, "9")
    assert bodies(session) == [("a", "Ada", "2"), ("b", "Ada", "9")]
    press(desk, "u")
    assert bodies(session) == [("a", "Ada", "2"), ("b", "Ada", "3")]
    assert in_view(desk) == "b"
    assert said[-1] == "Withdrawn: Monk tone 9 for item b."
    press(desk, "u", "u")
    assert records(session) == []
    assert in_view(desk) == "a"
    press(desk, "u")
    assert "nothing to undo" in said[-1]
    assert session.case is not None
    assert verify(session.case.path).ok


def test_arrows_go_over_the_end_of_a_list(desk: AnnotationDesk) -> None:
    sit_down(desk, "Ada")
    walk = []
    for _ in range(7):
        walk.append((desk.sheet.currentIndex().row(), desk.sheet.currentIndex().column()))
        press(desk, Qt.Key.Key_Right)
    assert walk == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0), (2, 1)]
    press(desk, Qt.Key.Key_Left, Qt.Key.Key_Left)
    assert (desk.sheet.currentIndex().row(), desk.sheet.currentIndex().column()) == (1, 1)
    press(desk, Qt.Key.Key_Up)
    assert in_view(desk) == "b"


def test_images_are_shown_and_broken_or_missing_ones_say_so(desk: AnnotationDesk) -> None:
    cells = [desk.items.sheet_cell(query, column) for query, column in ((0, 0), (1, 1), (2, 1))]
    assert cells[0].picture is not None
    assert cells[1].picture is None
    assert "d.png" in cells[1].note
    assert (cells[2].picture, cells[2].note) == (None, "no image")
    words = desk.model.data(desk.model.index(1, 1), Qt.ItemDataRole.AccessibleTextRole)
    assert words == "Query q2, rank 2, item d: not annotated"
    assert desk.model.headerData(0, Qt.Orientation.Vertical) == "q1\n"
    assert not desk.model.flags(desk.model.index(1, 2)) & Qt.ItemFlag.ItemIsEnabled


def test_a_tone_is_drawn_as_its_colour_and_its_number(desk: AnnotationDesk, session: Session) -> None:
    sit_down(desk, "Ada")
    press(desk, "6")
    QApplication.processEvents()
    shot = desk.sheet.viewport().grab().toImage()
    colours = {shot.pixelColor(x, y).name() for x in range(0, 110, 2) for y in range(0, 160, 2)}
    assert MONK_SWATCHES[5] in colours
    words = desk.model.data(desk.model.index(0, 0), Qt.ItemDataRole.AccessibleTextRole)
    assert words == "Query q1, rank 1, item a: Monk tone 6"
    assert not desk.side.keys.keys["6"].isChecked()
    press(desk, Qt.Key.Key_Left)
    assert desk.side.keys.keys["6"].isChecked()
    assert desk.side.held.text() == "You said: Monk tone 6, by eye."
    QTest.mouseClick(desk.side.keys.keys["5"], Qt.MouseButton.LeftButton)
    assert bodies(session) == [("a", "Ada", "5")]
    assert desk.sheet.hasFocus()


def test_space_shows_the_image_in_large_and_keys_go_on_working(desk: AnnotationDesk, session: Session) -> None:
    sit_down(desk, "Ada")
    press(desk, Qt.Key.Key_Space)
    assert desk.large.isVisible()
    assert desk.side.keys.isVisible()
    press(desk, "4", Qt.Key.Key_Right)
    assert bodies(session) == [("a", "Ada", "4")]
    assert in_view(desk) == "c"
    press(desk, Qt.Key.Key_Space)
    assert desk.sheet.isVisible()
    press(desk, Qt.Key.Key_Space, Qt.Key.Key_Escape)
    assert desk.sheet.isVisible()
    closed: list[bool] = []
    desk.closed.connect(lambda: closed.append(True))
    press(desk, Qt.Key.Key_Escape)
    assert closed == [True]


def test_raters_are_blind_to_each_other_until_they_ask(desk: AnnotationDesk, session: Session) -> None:
    sit_down(desk, "Ada")
    press(desk, "2", "3")
    sit_down(desk, "Ben")
    assert desk.bar.progress_words.text() == "0 of 5 items annotated by Ben"
    desk.sheet.go_to(0, 0)
    assert "Ada" not in desk.side.others.text()
    press(desk, "8")
    assert in_view(desk) == "b"
    press(desk, "o")
    assert desk.side.others.text() == "Others: Ada 3"
    press(desk, "9")
    desk.bar.blind.setChecked(False)
    assert desk.side.others.text() == "Nobody else has annotated this item."
    assert [record.body.get("blind") for record in records(session)] == [True, True, True, False]
    assert [desk.bar.rater.itemText(place) for place in range(desk.bar.rater.count())] == ["Ada", "Ben"]
    press(desk, "u", "u", "u")
    assert bodies(session) == [("a", "Ada", "2"), ("b", "Ada", "3")]


def test_a_rater_goes_on_where_the_work_was_left(
    desk: AnnotationDesk, session: Session, files: Path, qtbot: QtBot
) -> None:
    sit_down(desk, "Ada")
    press(desk, "2", "3")
    show(desk, files, qtbot)
    assert in_view(desk) == "c"
    assert desk.bar.progress_words.text() == "2 of 5 items annotated by Ada"
    press(desk, "u")
    assert bodies(session) == [("a", "Ada", "2")]


def test_types_of_fitzpatrick_have_six_keys(desk: AnnotationDesk, session: Session, qtbot: QtBot) -> None:
    sit_down(desk, "Ada")
    press(desk, "2")
    desk.bar.scale.setCurrentIndex(1)
    desk.bar.scale.activated.emit(1)
    idle(desk, qtbot)
    assert desk.bar.progress_words.text() == "0 of 5 items annotated by Ada"
    assert list(desk.side.keys.keys) == ["I", "II", "III", "IV", "V", "VI"]
    press(desk, "7", "9", "0")
    assert len(records(session)) == 1
    press(desk, "6")
    assert [(r.body["scale"], r.body["value"]) for r in records(session)] == [("monk", "2"), ("fitzpatrick", "VI")]


def test_a_measured_tone_is_a_proposal_until_it_is_confirmed(
    desk: AnnotationDesk, session: Session, qtbot: QtBot, said: list[str]
) -> None:
    sit_down(desk, "Ada")
    press(desk, Qt.Key.Key_Return)
    assert "no proposal" in said[-1]
    press(desk, "m")
    idle(desk, qtbot)
    assert records(session) == []
    assert desk.side.card.isVisible()
    assert desk.side.picture.has_mask
    proposed = desk.items.sheet_cell(0, 0).proposal
    assert proposed in ("5", "6", "7")
    assert desk.items.sheet_cell(0, 0).value == ""
    press(desk, Qt.Key.Key_Return)
    body = records(session)[0].body
    assert (body["item"], body["value"], body["source"]) == ("a", proposed, "measurement confirmed")
    assert isinstance(body["ita_degrees"], float)
    assert not desk.side.card.isVisible()
    press(desk, "m")
    idle(desk, qtbot)
    press(desk, "1")
    body = records(session)[1].body
    assert (body["item"], body["value"], body["source"]) == ("b", "1", "by eye")
    assert isinstance(body["ita_degrees"], float)


def test_the_mask_is_corrected_with_a_brush(desk: AnnotationDesk, qtbot: QtBot) -> None:
    sit_down(desk, "Ada")
    press(desk, Qt.Key.Key_Space, "m")
    idle(desk, qtbot)
    item = desk.item
    assert item is not None
    before = desk.items.measurements.found(item)
    # One stroke to and fro over all of the image takes everything away.
    middle = desk.large.rect().center()
    track = [middle + QPoint(x, y) for x in range(-260, 261, 24) for y in ((-340, 340) if x % 48 else (340, -340))]
    QTest.mousePress(desk.large, Qt.MouseButton.RightButton, pos=track[0])
    for point in track[1:]:
        QTest.mouseMove(desk.large, point)
    QTest.mouseRelease(desk.large, Qt.MouseButton.RightButton, pos=track[-1])
    idle(desk, qtbot)
    found = desk.items.measurements.found(item)
    assert found is not None
    assert len(found.corrections) == 1
    assert "No skin was found" in desk.side.proposal.text()
    assert not desk.side.confirm.isVisible()
    QTest.mouseClick(desk.side.reset, Qt.MouseButton.LeftButton)
    idle(desk, qtbot)
    again = desk.items.measurements.found(item)
    assert again is not None
    assert before is not None
    assert (again.value, again.corrections) == (before.value, ())


def test_agreement_follows_what_raters_say(desk: AnnotationDesk, session: Session, qtbot: QtBot) -> None:
    assert "once two raters" in desk.side.alpha.text()
    sit_down(desk, "Ada")
    press(desk, "2", "3", "9", "4")
    sit_down(desk, "Ben")
    desk.sheet.go_to(0, 0)
    press(desk, "2", "3", "8", "5")
    qtbot.waitUntil(lambda: "2 raters, 4 items" in desk.side.alpha.text(), timeout=_MOST_MS)
    assert desk.side.alpha.text().startswith("Krippendorff's alpha 0.9")


def test_annotations_are_saved_as_a_table_that_a_run_takes_in(
    desk: AnnotationDesk, session: Session, qtbot: QtBot, tmp_path: Path, said: list[str]
) -> None:
    desk.export(tmp_path / "tones.csv")
    idle(desk, qtbot)
    assert said[-1] == "There are no annotations to save yet."
    sit_down(desk, "Ada")
    press(desk, "7", "z")
    with qtbot.waitSignal(desk.exported, timeout=_MOST_MS) as saved:
        desk.export(tmp_path / "tones.csv")
    assert saved.args == [str(tmp_path / "tones.csv")]
    with (tmp_path / "tones.csv").open(encoding="utf-8", newline="") as stream:
        assert list(csv.reader(stream)) == [
            ["item_id", "rater", "value", "source", "ita_degrees"],
            ["a", "Ada", "7", "by eye", ""],
            ["b", "Ada", "uncertain", "by eye", ""],
        ]


def test_results_that_cannot_be_read_say_why(desk: AnnotationDesk, files: Path, qtbot: QtBot) -> None:
    (files / "bad.csv").write_text("one,two\n1,2\n", encoding="utf-8")
    assert desk.open(files / "bad.csv", None, {})
    qtbot.waitUntil(lambda: "query_id" in desk.state.text(), timeout=_MOST_MS)
    assert desk.state.isVisible()
    assert not desk.side.isEnabled()
    idle(desk, qtbot)


def test_nobody_annotates_without_a_case_or_in_one_that_is_only_read(
    desk: AnnotationDesk, session: Session, files: Path, said: list[str], tmp_path: Path, qtbot: QtBot
) -> None:
    closed: list[bool] = []
    desk.closed.connect(lambda: closed.append(True))
    session.close_case()
    session.case_changed.emit()
    assert closed == [True]
    assert not desk.open(files / "results.csv", None, {})
    assert "make or open one first" in said[-1]
    with Case.open(tmp_path / "case"):
        assert session.open_case(tmp_path / "case")
        assert not desk.open(files / "results.csv", None, {})
        assert "reading only" in said[-1]


def test_annotations_of_another_attribute_and_of_other_items_are_left_alone(
    desk: AnnotationDesk, session: Session, files: Path, qtbot: QtBot
) -> None:
    case = session.case
    assert case is not None
    case.add_annotation(GivenAnnotation("elsewhere", "skin tone", "monk", "4", "Ada", blind=True))
    case.add_annotation(GivenAnnotation("a", "hair", "monk", "4", "Ada", blind=True))
    sit_down(desk, "Ada")
    show(desk, files, qtbot)
    assert desk.bar.progress_words.text() == "0 of 5 items annotated by Ada"
    press(desk, "u")
    assert len(records(session)) == 2
    show(desk, files, qtbot, attribute="hair")
    assert desk.bar.heading.text() == "Annotate hair: results.csv"
    assert desk.bar.progress_words.text() == "1 of 5 items annotated by Ada"


class _Million:
    """Ten thousand queries of a hundred results."""

    def __init__(self) -> None:
        self.asked = 0

    def has_cell(self, query: int, column: int) -> bool:
        return query < 10_000 and column < 100

    def sheet_cell(self, query: int, column: int) -> SheetCell:
        self.asked += 1
        return SheetCell(f"i{query}-{column}", column + 1, None, "no image", "4")

    def sheet_query(self, query: int) -> tuple[str, str]:
        return f"q{query}", "light"


def test_a_million_cells_cost_no_more_than_a_screenful(qtbot: QtBot) -> None:
    source = _Million()
    sheet = ContactSheet(SheetModel(source))
    sheet._model.set_size(10_000, 100)
    qtbot.addWidget(sheet)
    sheet.resize(1000, 700)
    sheet.show()
    qtbot.waitExposed(sheet)
    source.asked = 0
    sheet.go_to(9_999, 99)
    QApplication.processEvents()
    assert 0 < source.asked < 500
    assert sheet.rowAt(sheet.viewport().height() // 2) > 9_900
    event = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_Right, Qt.KeyboardModifier.NoModifier)
    sheet.keyPressEvent(event)
    assert sheet.currentIndex().row() == 9_999


def test_the_next_open_item_is_found_in_a_large_sheet(tmp_path: Path) -> None:
    import numpy as np
    import pyarrow as pa
    from auditor.column_files import write_columns

    n_queries, k, n_items = 2_000, 50, 30_000
    item = np.random.default_rng(1).integers(0, n_items, n_queries * k)
    shown, first = np.unique(item, return_index=True)
    order = np.sort(first)
    place = np.full(n_items, -1)
    place[shown] = np.searchsorted(order, first)
    tables = {
        "queries": pa.table(
            {
                "query_id": [f"q{number}" for number in range(n_queries)],
                "end": np.arange(1, n_queries + 1) * k,
            }
        ),
        "slots": pa.table({"item": item, "rank": np.tile(np.arange(1, k + 1), n_queries)}),
        "items": pa.table(
            {"item_id": [f"i{number}" for number in range(n_items)], "image": [""] * n_items, "place": place}
        ),
        "order": pa.table({"slot": order}),
    }
    infos = {}
    for name, table in tables.items():
        (tmp_path / name).mkdir()
        columns = [{"name": column, "title": column, "description": ""} for column in table.column_names]
        infos[name] = write_columns(table, columns, tmp_path / name)
    sheet = read_sheet(tmp_path, infos)
    assert (sheet.n_queries, sheet.longest) == (n_queries, k)
    assert all(sheet.slot(*sheet.cell(slot)) == slot for slot in range(0, n_queries * k, 991))
    book = ToneBook()
    book.rater = "Ada"
    records = [
        Record(
            str(number),
            "",
            "annotation",
            None,
            {"item": f"i{number}", "rater": "Ada", "value": "3", "source": "by eye"},
            1,
        )
        for number in range(n_items)
        if number != item[order[-1]]
    ]
    book.read(sheet, "skin tone", "monk", records)
    assert book.n_said == book.n_items - 1 == len(shown) - 1
    assert book.next_open(-1) == order[-1]
    assert book.next_open(int(order[-1])) == order[-1]
