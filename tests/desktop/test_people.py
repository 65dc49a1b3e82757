"""People beside the judge, through the real window: rating by keyboard, importing, agreement, explanations."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from auditor.audits.rating import people
from auditor.case import Case, verify
from auditor.case.records import GivenRating
from auditor.case.store import Record
from auditor.desktop.panels.hand_queue import HandQueue, Places, arrange_places
from auditor.desktop.panels.rate_by_hand import RateByHand
from auditor.desktop.panels.rate_import import HEADER, ImportRatings, holds_ratings
from auditor.desktop.widgets.columns import Numbers, Texts
from auditor.desktop.window import Window
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

AXES = ("naturalness", "comprehensiveness", "on_topic")


def idle(window: Window, qtbot: QtBot) -> None:
    session = window.session
    qtbot.waitUntil(lambda: session.asker.is_idle and session.background.is_idle, timeout=60_000)


def show(window: Window, qtbot: QtBot, case: Path) -> str:
    """Open the case and show its run; returns the run's id. The rating that the fixture holds is withdrawn."""
    assert window.session.open_case(case)
    run = window.session.runs()[0]
    for record in records(window):
        assert window.session.case is not None
        window.session.case.withdraw_human_rating(record.id, rater=record.body["rater"])
    window.show_run(run.path)
    # Nobody looks at pictures here, which take seconds to draw.
    window.rate.results.pictures.clear()
    qtbot.waitUntil(lambda: window.rate.results.is_whole, timeout=30_000)
    idle(window, qtbot)
    return run.id


def by_hand(window: Window, qtbot: QtBot, rater: str) -> RateByHand:
    """Begin to rate by hand under a name."""
    QTest.mouseClick(window.rate.results.hand, Qt.MouseButton.LeftButton)
    view = window.rate.by_hand
    qtbot.waitUntil(lambda: view.isVisible() and len(view.queue) == 18, timeout=20_000)
    sit_down(view, rater)
    idle(window, qtbot)
    return view


def sit_down(view: RateByHand, rater: str) -> None:
    line = view.bar.name
    line.setFocus()
    line.selectAll()
    QTest.keyClicks(line, rater)
    QTest.keyClick(line, Qt.Key.Key_Return)


def press(view: RateByHand, keys: str) -> None:
    for key in keys:
        QTest.keyClick(view.turns, Qt.Key.Key_Space if key == " " else key)


def records(window: Window) -> list[Record]:
    assert window.session.case is not None
    return window.session.case.human_ratings()


def bodies(window: Window) -> list[tuple[str, str, str, float]]:
    return [(r.body["unit"], r.body["axis"], r.body["rater"], r.body["score"]) for r in records(window)]


def file_of(
    folder: Path, rows: list[tuple[str, str, str, str]], header: str = "conversation_id,axis,rater,score"
) -> Path:
    path = folder / "people.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        stream.write(header + "\n")
        csv.writer(stream).writerows(rows)
    return path


def opened(window: Window, qtbot: QtBot, path: Path) -> ImportRatings:
    """The dialog after the file was dropped and read."""
    window.take_dropped(path)
    dialog = window.rate.findChild(ImportRatings)
    assert dialog is not None
    qtbot.waitUntil(lambda: not dialog.outcome.text().startswith("Reading"), timeout=30_000)
    return dialog


def test_a_person_rates_by_keyboard_and_every_key_is_kept(window: Window, qtbot: QtBot, finished_case: Path) -> None:
    run = show(window, qtbot, finished_case)
    view = by_hand(window, qtbot, "Ada")
    assert view.turns.hasFocus()
    assert "basil" in view.turns.toPlainText()
    assert "the reply to rate" in view.turns.toPlainText()
    assert view.guide.title.text() == "Naturalness"
    assert "garbled" in view.guide.levels[1].text()
    press(view, "432")
    assert bodies(window) == [("1", axis, "Ada", score) for axis, score in zip(AXES, (4, 3, 2), strict=True)]
    assert view.bar.progress_words.text() == "3 of 18 rated by Ada"
    assert view.bar.heading.text().startswith("basil-curt (row 2)")
    qtbot.waitUntil(lambda: "Water it." in view.turns.toPlainText(), timeout=20_000)
    QTest.mouseClick(view.guide.keys[5], Qt.MouseButton.LeftButton)
    assert bodies(window)[-1] == ("2", "naturalness", "Ada", 5)
    assert view.turns.hasFocus()
    QTest.keyClick(view.turns, Qt.Key.Key_Escape)
    assert window.rate.results.isVisible()
    case = finished_case
    window.close()
    assert verify(case).ok
    with Case.open(case, write=False) as kept:
        assert [record.body["blind"] for record in kept.human_ratings(run)] == [True] * 4


def test_undo_goes_back_rating_by_rating_also_after_coming_back(
    window: Window, qtbot: QtBot, finished_case: Path
) -> None:
    show(window, qtbot, finished_case)
    view = by_hand(window, qtbot, "Ada")
    press(view, "12345")
    press(view, "uu")
    assert len(records(window)) == 3
    assert view.queue.key(view.queue.place) == (2, "naturalness")
    assert view.bar.heading.text().startswith("basil-curt")
    QTest.keyClick(view.turns, Qt.Key.Key_Escape)
    view = by_hand(window, qtbot, "Ada")
    assert view.queue.key(view.queue.place) == (2, "naturalness")
    press(view, "uuuu")
    assert records(window) == []
    assert view.queue.key(view.queue.place) == (1, "naturalness")
    assert "nothing to undo" in window.statusBar().currentMessage()


def test_a_rating_given_anew_takes_the_place_of_the_old_one_and_undo_brings_that_back(
    window: Window, qtbot: QtBot, finished_case: Path
) -> None:
    show(window, qtbot, finished_case)
    view = by_hand(window, qtbot, "Ada")
    press(view, "2")
    QTest.keyClick(view.turns, Qt.Key.Key_Left)
    assert view.guide.keys[2].isChecked()
    press(view, "5")
    assert bodies(window) == [("1", "naturalness", "Ada", 5)]
    press(view, "u")
    assert bodies(window) == [("1", "naturalness", "Ada", 2)]
    press(view, "u")
    assert bodies(window) == []


def test_an_imported_rating_keeps_its_scale_when_it_gets_a_note_or_comes_back(
    window: Window, qtbot: QtBot, finished_case: Path
) -> None:
    """3 of 3 is a 5, not a 3; a score between two keys can come back too."""
    run = show(window, qtbot, finished_case)
    of_three = GivenRating("1", "naturalness", "Ada", 3, scale=(1, 3), mapping="linear", source="people.csv")
    between = GivenRating("1", "comprehensiveness", "Ada", 2.5, scale=(1, 5), source="people.csv")
    assert window.session.commit_judgement(run, lambda case: case.add_human_ratings(run, [of_three, between]))
    view = by_hand(window, qtbot, "Ada")
    QTest.keyClick(view.turns, Qt.Key.Key_Left)
    QTest.keyClick(view.turns, Qt.Key.Key_Left)
    assert view.queue.key(view.queue.place) == (1, "naturalness")
    assert not any(key.isChecked() for key in view.guide.keys.values())
    view.note.setText("Sounds right.")
    QTest.keyClick(view.note, Qt.Key.Key_Return)
    noted = replace(of_three, note="Sounds right.")
    assert {GivenRating.of(record.body) for record in records(window)} == {noted, between}
    press(view, "2")
    QTest.keyClick(view.turns, Qt.Key.Key_Left)
    press(view, "u")
    assert {GivenRating.of(record.body) for record in records(window)} == {noted, between}
    view.queue.place = 1
    press(view, "4u")
    assert {GivenRating.of(record.body) for record in records(window)} == {noted, between}


def test_skipping_leaves_it_open_and_jumping_finds_it_again(window: Window, qtbot: QtBot, finished_case: Path) -> None:
    show(window, qtbot, finished_case)
    view = by_hand(window, qtbot, "Ada")
    press(view, "s" + "3" * 17)
    assert view.bar.progress_words.text() == "17 of 18 rated by Ada"
    assert view.queue.key(view.queue.place) == (1, "naturalness")
    press(view, "3")
    assert "has rated all 18" in window.statusBar().currentMessage()
    for _ in range(3):
        QTest.keyClick(view.turns, Qt.Key.Key_Right)
    press(view, "j")
    assert len(records(window)) == 18


def test_a_note_is_written_with_the_rating_or_later(window: Window, qtbot: QtBot, finished_case: Path) -> None:
    show(window, qtbot, finished_case)
    view = by_hand(window, qtbot, "Ada")
    press(view, "n")
    QTest.keyClicks(view.note, "12 odd words")
    QTest.keyClick(view.note, Qt.Key.Key_Return)
    assert records(window) == []
    press(view, "2")
    assert [record.body["note"] for record in records(window)] == ["12 odd words"]
    assert view.note.text() == ""
    QTest.keyClick(view.turns, Qt.Key.Key_Left)
    assert view.note.text() == "12 odd words"
    press(view, "n")
    QTest.keyClicks(view.note, "13 odd words")
    QTest.keyClick(view.note, Qt.Key.Key_Return)
    assert [(r.body["score"], r.body["note"]) for r in records(window)] == [(2, "13 odd words")]


def test_a_note_that_is_not_rated_with_waits_and_is_nobody_elses(
    window: Window, qtbot: QtBot, finished_case: Path
) -> None:
    show(window, qtbot, finished_case)
    view = by_hand(window, qtbot, "Ada")
    press(view, "n")
    QTest.keyClicks(view.note, "look again")
    QTest.keyClick(view.note, Qt.Key.Key_Return)
    press(view, "s")
    assert view.note.text() == ""
    QTest.keyClick(view.turns, Qt.Key.Key_Left)
    assert view.note.text() == "look again"
    sit_down(view, "Ben")
    assert view.note.text() == ""
    press(view, "2")
    assert [(r.body["rater"], r.body["note"]) for r in records(window)] == [("Ben", "")]


def test_the_judge_is_hidden_until_asked_for_and_the_rating_says_so(
    window: Window, qtbot: QtBot, finished_case: Path
) -> None:
    show(window, qtbot, finished_case)
    view = by_hand(window, qtbot, "Ada")
    assert view.bar.blind.isChecked()
    assert not view.judge.isVisible()
    press(view, "3")
    press(view, " ")
    assert view.judge.isVisible()
    assert "Expected" in view.judge.numbers.text()
    press(view, " ")
    assert not view.judge.isVisible()
    press(view, "3")
    assert not view.judge.isVisible()
    view.bar.blind.setChecked(False)
    assert view.judge.isVisible()
    press(view, "3")
    assert [record.body["blind"] for record in records(window)] == [True, False, False]


def test_what_was_seen_in_the_results_is_not_rated_blind(window: Window, qtbot: QtBot, finished_case: Path) -> None:
    show(window, qtbot, finished_case)
    window.rate.results.tabs.setCurrentIndex(1)
    window.rate.results.table.view.selectRow(4)
    idle(window, qtbot)
    QTest.mouseClick(window.rate.detail.rate, Qt.MouseButton.LeftButton)
    view = window.rate.by_hand
    qtbot.waitUntil(lambda: len(view.queue) == 18 and view.queue.place == 4, timeout=20_000)
    sit_down(view, "Ada")
    assert view.queue.key(view.queue.place) == (2, "comprehensiveness")
    press(view, "1")
    assert records(window)[0].body["blind"] is False


def test_several_people_rate_each_under_their_name(window: Window, qtbot: QtBot, finished_case: Path) -> None:
    show(window, qtbot, finished_case)
    view = by_hand(window, qtbot, "Ada")
    press(view, "44")
    sit_down(view, "Ben")
    assert view.bar.progress_words.text() == "0 of 18 rated by Ben"
    view.queue.place = 0
    press(view, "2")
    assert [view.bar.rater.itemText(place) for place in range(view.bar.rater.count())] == ["Ada", "Ben"]
    assert [(rater, score) for _, _, rater, score in bodies(window)] == [("Ada", 4), ("Ada", 4), ("Ben", 2)]
    press(view, "uu")
    assert [(rater, score) for _, _, rater, score in bodies(window)] == [("Ada", 4), ("Ada", 4)]


def test_without_a_name_nothing_is_rated(window: Window, qtbot: QtBot, finished_case: Path) -> None:
    show(window, qtbot, finished_case)
    QTest.mouseClick(window.rate.results.hand, Qt.MouseButton.LeftButton)
    view = window.rate.by_hand
    qtbot.waitUntil(lambda: len(view.queue) == 18, timeout=20_000)
    view.turns.setFocus()
    press(view, "4")
    assert records(window) == []
    assert "your name" in window.statusBar().currentMessage()
    idle(window, qtbot)


def test_order_and_axes_can_be_chosen(window: Window, qtbot: QtBot, finished_case: Path) -> None:
    show(window, qtbot, finished_case)
    view = by_hand(window, qtbot, "Ada")
    entropy, row = (window.rate.results.table.model.column(name) for name in ("entropy", "row"))
    assert isinstance(entropy, Numbers)
    assert isinstance(row, Numbers)

    def choose(order: str, axis: str) -> list[tuple[int, str]]:
        view.bar.axis.setCurrentIndex(view.bar.axis.findData(axis))
        view.bar.order.setCurrentIndex(view.bar.order.findData(order))
        view.bar.order.activated.emit(view.bar.order.currentIndex())
        idle(window, qtbot)
        return [view.queue.key(place) for place in range(len(view.queue))]

    assert choose("file", "on_topic") == [(number, "on_topic") for number in range(1, 7)]
    drawn = choose("random", "")
    assert sorted(drawn) == sorted((number, axis) for number in range(1, 7) for axis in AXES)
    assert [axis for _, axis in drawn] == list(AXES) * 6
    assert drawn == choose("random", "")
    choose("uncertain", "naturalness")
    shown = [entropy.values[view.queue.source(place)] for place in range(6)]
    assert shown == sorted(shown, reverse=True)


def test_many_ratings_are_put_into_order_and_found_again() -> None:
    n = 300_000
    row, axis, entropy = Numbers("row", "", ""), Texts("axis", "", ""), Numbers("entropy", "", "")
    for number in range(1, n // 3 + 1):
        for place, name in enumerate(AXES):
            row.append(number)
            axis.append(name)
            entropy.append((number * 7 + place) % 101)
    places = arrange_places(row, axis, entropy, "", "random", 3)
    queue = HandQueue()
    queue.arrange(places, row, axis)
    assert sorted(places.sources) == list(range(n))
    assert all(queue.position(queue.key(place)) == place for place in range(0, n, 997))
    assert queue.position((n, "naturalness")) is None
    only = arrange_places(row, axis, entropy, "on_topic", "file", 0)
    assert isinstance(only, Places)
    assert len(only.sources) == n // 3


def test_a_file_of_ratings_is_recognised_shown_and_added(
    window: Window, qtbot: QtBot, finished_case: Path, tmp_path: Path
) -> None:
    run = show(window, qtbot, finished_case)
    rows = [("basil-full", axis, rater, "4") for axis in AXES for rater in ("Ben", "Cleo")]
    rows += [("row-2", axis, rater, "2") for axis in AXES for rater in ("Ben", "Cleo")]
    dialog = opened(window, qtbot, file_of(tmp_path, [*rows, ("nothere", "on_topic", "Ben", "3")]))
    assert "12 human ratings can be added" in dialog.outcome.text()
    assert "'nothere'" in dialog.cautions.text()
    assert dialog.rows.rowCount() == 13
    assert records(window) == []
    QTest.mouseClick(dialog.add, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(records(window)) == 12, timeout=30_000)
    idle(window, qtbot)
    assert {record.run for record in records(window)} == {run}
    assert {record.body["source"] for record in records(window)} == {"people.csv"}
    assert window.rate.setup.file.recognised.text() != "people.csv"
    window.close()
    assert verify(finished_case).ok


def test_problems_are_named_and_nothing_is_added_before_the_scale_is_declared(
    window: Window, qtbot: QtBot, finished_case: Path, tmp_path: Path
) -> None:
    show(window, qtbot, finished_case)
    rows = [("basil-full", "on_topic", "Ben", "0"), ("basil-curt", "on_topic", "Ben", "1")]
    dialog = opened(window, qtbot, file_of(tmp_path, rows))
    assert "row 1, column 'score'" in dialog.problems.toPlainText()
    assert not dialog.add.isEnabled()
    low, high, linear = (dialog.axes.cellWidget(0, column) for column in (5, 6, 7))
    low.setValue(0)  # type: ignore[union-attr]  # a cell's widget is typed as any widget
    high.setValue(1)  # type: ignore[union-attr]
    linear.setChecked(True)  # type: ignore[union-attr]
    qtbot.waitUntil(dialog.add.isEnabled, timeout=30_000)
    assert dialog.problems.toPlainText() == ""
    QTest.mouseClick(dialog.add, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(records(window)) == 2, timeout=30_000)
    idle(window, qtbot)
    assert [(r.body["scale"], r.body["mapping"]) for r in records(window)] == [([0, 1], "linear")] * 2


@pytest.mark.parametrize(
    ("name", "header", "holds"),
    [
        ("a.csv", "conversation_id,axis,rater,score", True),
        ("a.csv", "\ufeffConversation_ID;Axis;Rater;Score;Note", True),
        ("a.tsv", "rater\tscore\taxis\tconversation_id", True),
        ("a.csv", "prompt,response", False),
        ("a.jsonl", "conversation_id,axis,rater,score", False),
        ("a.csv", "", False),
    ],
)
def test_a_file_of_ratings_is_told_by_its_header(tmp_path: Path, name: str, header: str, holds: bool) -> None:
    path = tmp_path / name
    path.write_text(header, encoding="utf-8")
    assert holds_ratings(path) is holds
    assert frozenset(people.NEEDED) == HEADER


def test_ratings_without_a_finished_run_in_view_say_what_to_do(
    case_window: Window, qtbot: QtBot, tmp_path: Path
) -> None:
    case_window.take_dropped(file_of(tmp_path, [("a", "on_topic", "Ben", "3")]))
    assert "show the finished run" in case_window.statusBar().currentMessage()
    case_window.rate.rate_by_hand()
    assert "finished run first" in case_window.statusBar().currentMessage()
    idle(case_window, qtbot)


def rated(window: Window, run: str, score: Callable[[int, int], int]) -> None:
    """Two people rate everything."""
    given = [
        GivenRating(str(row), axis, rater, score(row, place))
        for row in range(1, 7)
        for axis in AXES
        for place, rater in enumerate(("Ben", "Cleo"))
    ]
    assert window.session.commit_judgement(run, lambda case: case.add_human_ratings(run, given))


def test_agreement_is_shown_when_somebody_looks_and_anew_when_people_rate(
    window: Window, qtbot: QtBot, finished_case: Path
) -> None:
    run = show(window, qtbot, finished_case)
    view = window.rate.results.people
    window.rate.results.tabs.setCurrentWidget(view)
    assert "No person has rated this run yet" in view.sentence.text()
    rated(window, run, lambda row, place: 1 + (row + place) % 5)
    qtbot.waitUntil(lambda: "Agreement of starter with 2 people on 6" in view.sentence.text(), timeout=60_000)
    idle(window, qtbot)
    assert "Spearman" in view.sentence.text()
    assert "one person against the others" in view.sentence.text()
    measures = {item.text() for line in range(view.estimates.rowCount()) if (item := view.estimates.item(line, 0))}
    assert {"Quadratic-weighted kappa", "Ordinal Krippendorff alpha", "Within 1", "Mean absolute error"} <= measures
    assert "too narrow" in view.notes.text()
    assert view.queue.model.rowCount() == 18
    distances = [abs(view.queue.model.value(line, "difference")) for line in range(18)]
    assert distances == sorted(distances, reverse=True)
    view.queue.view.selectRow(0)
    worst = view.queue.model.value(0, "id")
    qtbot.waitUntil(lambda: window.rate.detail.heading.text().startswith(worst), timeout=20_000)
    assert "Ben" in window.rate.detail.own.text()
    idle(window, qtbot)
    rated(window, run, lambda row, _place: row % 5 + 1)
    qtbot.waitUntil(lambda: "against the others 1.00" in view.sentence.text(), timeout=60_000)
    idle(window, qtbot)


def test_ratings_given_in_view_of_the_judge_are_counted_in_the_notes(
    window: Window, qtbot: QtBot, finished_case: Path
) -> None:
    run = show(window, qtbot, finished_case)
    given = [GivenRating(str(row), "on_topic", "Ada", row % 5 + 1, blind=row > 2) for row in range(1, 7)]
    window.session.commit_judgement(run, lambda case: case.add_human_ratings(run, given))
    view = window.rate.results.people
    window.rate.results.tabs.setCurrentWidget(view)
    qtbot.waitUntil(view.notes.isVisible, timeout=60_000)
    assert "2 of 6 ratings were given with the judge's scores in view" in view.notes.text()
    idle(window, qtbot)


@pytest.mark.slow
def test_the_judge_explains_a_row_when_asked_and_the_words_are_kept(
    window: Window, qtbot: QtBot, finished_case: Path
) -> None:
    run = show(window, qtbot, finished_case)
    window.rate.results.tabs.setCurrentIndex(1)
    window.rate.results.table.view.selectRow(1)
    idle(window, qtbot)
    judge = window.rate.detail.judge
    QTest.mouseClick(judge.explain, Qt.MouseButton.LeftButton)
    assert "being asked" in judge.words.text()
    qtbot.waitUntil(lambda: "not a proved reason" in judge.words.text(), timeout=120_000)
    assert not judge.explain.isVisible()
    assert window.session.case is not None
    kept = window.session.case.explanations(run)
    assert set(kept) == {("1", "comprehensiveness")}
    assert kept["1", "comprehensiveness"] in judge.words.text()
    idle(window, qtbot)
    window.close()
    assert verify(finished_case).ok
