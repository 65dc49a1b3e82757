"""The Compare panel through the real window."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from auditor.case import Case
from auditor.desktop.panels.compared_rating import ComparedRating, JudgeCard
from auditor.desktop.widgets.pane import ScrollPane
from auditor.desktop.window import Window
from auditor.models import ModelFile
from auditor.resources import resource
from auditor.runs.contract import RunState
from auditor.runs.local import LocalExecutor
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

_AXES = ["naturalness", "on_topic"]
#: What is asked of the runs, oldest first: two instruments, and one that rates less.
_ASKED: tuple[dict[str, Any], ...] = (
    {"axes": _AXES},
    {"axes": _AXES, "scope": "conversation", "variants": ["4"]},
    {"limit": 2, "axes": ["on_topic"]},
)
#: Lines of the sample: answers to three questions, so that there are intervals.
_LINES = (0, 5, 9)

pytestmark = pytest.mark.slow


def finished(case: Case, model: ModelFile, conversations: Path, spec: dict[str, Any]) -> str:
    """Id of a run that was carried out."""
    run = case.new_run("rating", spec, {"conversations": conversations}, {"judge": model}, seed=7)
    executor = LocalExecutor()
    executor.start(run.path)
    assert executor.wait(run.path, 300).state is RunState.DONE
    return run.path.name


def ratings(case: Path, run: str) -> dict[tuple[int, str], dict[str, Any]]:
    """(row, axis) -> row of the table of ratings."""
    rows = pq.read_table(case / "runs" / run / "tables" / "ratings.parquet").to_pylist()
    return {(row["row"], row["axis"]): row for row in rows}


@pytest.fixture(scope="session")
def _compared(tmp_path_factory: pytest.TempPathFactory, starter_model: ModelFile) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("cases")
    path, conversations = folder / "compared", folder / "three.jsonl"
    lines = resource("samples", "conversations.jsonl").read_text(encoding="utf-8").splitlines()
    conversations.write_text("".join(f"{lines[line]}\n" for line in _LINES), encoding="utf-8")
    with Case.create(path, "Compared") as case:
        runs = [finished(case, starter_model, conversations, spec) for spec in _ASKED]
        case.link_pending()
        # Ada agrees with the first judge on one axis and with the second on the other.
        for axis, run in zip(_AXES, runs, strict=False):
            for row in (1, 2, 3):
                mode = ratings(path, run)[row, axis]["mode"]
                case.add_human_rating(runs[0], str(row), axis, mode, rater="Ada", note="as I see it")
        case.add_explanation(runs[0], "1", "naturalness", "It reads <b>well</b>.", model="starter")
    return path, runs


@pytest.fixture
def compared(_compared: tuple[Path, list[str]], tmp_path: Path) -> tuple[Path, list[str]]:
    """A copy of a case with three finished runs and a person's ratings; ids of the runs, oldest first."""
    path, runs = _compared
    shutil.copytree(path, tmp_path / "compared")
    return tmp_path / "compared", runs


def open_panel(window: Window, qtbot: QtBot, case: Path, n: int) -> None:
    assert window.session.open_case(case)
    window.go_to(window.compare)
    qtbot.waitUntil(lambda: len(window.compare.choice.offered) == n, timeout=30_000)


def compare(window: Window, qtbot: QtBot, *runs: str) -> None:
    for run in runs:
        window.compare.choice.tick(run)
    QTest.mouseClick(window.compare.choice.compare, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.compare.results.table.model.all_rows > 0, timeout=60_000)


def shown(window: Window, column: str) -> list[Any]:
    model = window.compare.results.table.model
    return [model.value(row, column) for row in range(model.rowCount())]


def press(window: Window, qtbot: QtBot, title: str) -> None:
    """Press a quick filter by keyboard and wait until it holds."""
    (button,) = [button for button in window.compare.results.quick.buttons if button.text() == title]
    button.setFocus()
    with qtbot.waitSignal(window.compare.results.table.model.arranged, timeout=10_000):
        QTest.keyClick(button, Qt.Key.Key_Space)
    assert button.isChecked()


def test_two_runs_stand_side_by_side(window: Window, qtbot: QtBot, compared: tuple[Path, list[str]]) -> None:
    case, (first, second, third) = compared
    open_panel(window, qtbot, case, 3)
    panel = window.compare
    assert panel.choice.offered == [third, second, first]
    assert not panel.choice.compare.isEnabled()
    assert "6 given in this case by Ada" in panel.choice.people.text()
    compare(window, qtbot, first, second)
    assert panel.choice.alert.text().startswith(
        "Not the same instrument: what is rated and the prompt's variants differ."
    )
    assert "differ in what is rated" in panel.results.alert.text()
    assert "tarter model: for trying the program, not evidence" in panel.results.alert.text()
    assert "on 3 conversations" in panel.results.verdict.text()
    assert "95% CI" in panel.results.verdict.text()
    assert "6 human ratings by Ada" in panel.results.facts.text()
    a, b = ratings(case, first), ratings(case, second)
    assert panel.results.table.model.all_rows == len(a) == 6
    difference = dict(
        zip(zip(shown(window, "row_a"), shown(window, "axis"), strict=True), shown(window, "difference"), strict=True)
    )
    assert difference == pytest.approx({key: a[key]["expected"] - b[key]["expected"] for key in a})
    tables = panel.results.figures
    assert [table.accessibleName() for table in tables] == ["Scores of both judges", "Both judges against people"]
    assert [tables[0].item(row, 0).text() for row in range(2)] == ["Naturalness", "On topic"]
    qtbot.waitUntil(lambda: len(panel.results.pictures.cards) == 2)
    window.resize(1024, 700)
    panes = [pane for pane in panel.findChildren(ScrollPane) if pane.isVisible()]
    assert len(panes) == 3, "card, differences and detail"
    for pane in panes:
        inner = pane.widget()
        assert inner is not None
        qtbot.waitUntil(lambda pane=pane, inner=inner: inner.width() <= pane.viewport().width(), timeout=5_000)
    # Where the card has no room for its words they scroll: none is cut off.
    for label in (panel.results.verdict, panel.results.alert):
        assert label.height() >= label.heightForWidth(label.width())


def test_quick_filters_show_who_is_higher_and_who_is_right(
    window: Window, qtbot: QtBot, compared: tuple[Path, list[str]]
) -> None:
    case, (first, second, _third) = compared
    open_panel(window, qtbot, case, 3)
    compare(window, qtbot, first, second)
    window.compare.results.tabs.setCurrentIndex(1)
    a, b = ratings(case, first), ratings(case, second)
    apart = {key: a[key]["mode"] - b[key]["mode"] for key in a}
    expected = {
        "A higher": sum(difference > 0 for difference in apart.values()),
        "B higher": sum(difference < 0 for difference in apart.values()),
        "A right, B wrong": sum(apart[row, "naturalness"] != 0 for row in (1, 2, 3)),
        "B right, A wrong": sum(apart[row, "on_topic"] != 0 for row in (1, 2, 3)),
        "All": 6,
    }
    assert expected["A right, B wrong"] > 0, "the judges must differ somewhere, or nothing is tested"
    assert expected["B right, A wrong"] > 0
    model = window.compare.results.table.model
    for title, count in expected.items():
        press(window, qtbot, title)
        assert model.rowCount() == count, title
    with qtbot.waitSignal(model.arranged, timeout=10_000):
        window.compare.results.table.view.sortByColumn(model.column_index("difference"), Qt.SortOrder.DescendingOrder)
    assert shown(window, "difference") == sorted(shown(window, "difference"), reverse=True)
    with qtbot.waitSignal(model.arranged, timeout=10_000):
        window.compare.results.table.filter.setText("axis is on_topic")
    assert shown(window, "axis") == ["on_topic"] * 3
    press(window, qtbot, "A right, B wrong")
    assert model.rowCount() == 0


def test_a_row_shows_the_conversation_both_scores_and_what_was_said(
    window: Window, qtbot: QtBot, compared: tuple[Path, list[str]]
) -> None:
    case, (first, second, _third) = compared
    open_panel(window, qtbot, case, 3)
    compare(window, qtbot, first, second)
    detail = window.compare.detail
    assert isinstance(detail, ComparedRating)
    window.compare.results.tabs.setCurrentIndex(1)
    window.compare.results.table.view.selectRow(0)
    qtbot.waitUntil(detail.parts.isVisible, timeout=20_000)
    a, b = ratings(case, first)[1, "naturalness"], ratings(case, second)[1, "naturalness"]
    assert detail.heading.text() == "basil-full (row 1), naturalness"
    assert "basil" in detail.turns.toPlainText()
    assert detail.people.text() == f"People: Ada {a['mode']} (as I see it)"
    assert [card.heading.text() for card in detail.cards] == ["A  starter", "B  starter"]
    first_card, second_card = detail.cards
    assert isinstance(first_card, JudgeCard)
    assert isinstance(second_card, JudgeCard)
    for card, rating in ((first_card, a), (second_card, b)):
        assert f"Expected {rating['expected']:.3f}" in card.numbers.text()
        assert all(f"{score}: {rating[f'p{score}']:.1%}" in card.bars.accessibleName() for score in range(1, 6))
    assert first_card.explanation.text() == "A's words, not a proved reason: It reads <b>well</b>."
    assert not second_card.explanation.isVisible()
    side = "higher" if b["expected"] > a["expected"] else "lower"
    assert f"{abs(b['expected'] - a['expected']):.3f} {side} than A" in second_card.difference.text()


def test_of_three_runs_each_stands_beside_the_first(
    window: Window, qtbot: QtBot, compared: tuple[Path, list[str]]
) -> None:
    case, (first, second, third) = compared
    open_panel(window, qtbot, case, 3)
    compare(window, qtbot, first, second, third)
    results = window.compare.results
    assert results.pair.isVisible()
    assert [results.pair.itemText(n)[:4] for n in range(results.pair.count())] == ["B 1:", "B 2:"]
    with qtbot.waitSignal(results.table.model.arranged, timeout=20_000):
        results.show_pair(1)
    assert results.table.model.all_rows == 2
    assert "on 2 conversations" in results.verdict.text()
    assert set(shown(window, "difference")) == {0.0}
    window.compare.results.table.view.selectRow(0)
    qtbot.waitUntil(window.compare.detail.parts.isVisible, timeout=20_000)
    assert window.compare.detail.cards[1].difference.text() == "As A; the same most probable score"


def test_a_picture_of_the_comparison_is_saved(
    window: Window, qtbot: QtBot, compared: tuple[Path, list[str]], tmp_path: Path
) -> None:
    case, (first, second, _third) = compared
    open_panel(window, qtbot, case, 3)
    compare(window, qtbot, first, second)
    target = tmp_path / "scores.csv"
    window.compare.results.pictures.export("compare_scores_1", target)
    qtbot.waitUntil(target.is_file, timeout=30_000)
    assert target.read_text().splitlines()[0] == "id,axis,expected_a,expected_b"
    qtbot.waitUntil(lambda: window.session.asker.is_idle, timeout=10_000)
    assert window.statusBar().currentMessage() == f"Saved {target}."


def test_a_run_that_lost_its_table_is_said(window: Window, qtbot: QtBot, compared: tuple[Path, list[str]]) -> None:
    case, (first, second, _third) = compared
    (case / "runs" / second / "tables" / "ratings.parquet").unlink()
    open_panel(window, qtbot, case, 3)
    window.compare.choice.tick(first)
    window.compare.choice.tick(second)
    window.commands.action("compare.run").trigger()
    qtbot.waitUntil(lambda: "lost its table of ratings" in window.compare.results.verdict.text(), timeout=30_000)
    assert window.compare.results.state.text() == "● Not compared"
    assert not window.compare.results.tabs.isVisible()


def test_another_case_clears_the_panel(
    window: Window, qtbot: QtBot, compared: tuple[Path, list[str]], tmp_path: Path
) -> None:
    case, (first, second, _third) = compared
    window.go_to(window.compare)
    assert window.compare.choice.words.text().startswith("No case is open")
    open_panel(window, qtbot, case, 3)
    compare(window, qtbot, first, second)
    window.session.open_case(tmp_path / "empty", create=True)
    qtbot.waitUntil(
        lambda: "Two finished runs of one audit are needed" in window.compare.choice.words.text(), timeout=20_000
    )
    assert window.compare.choice.offered == []
    assert window.compare.results.verdict.text().startswith("Tick two or more finished runs of one audit")
    assert window.compare.results.table.model.all_rows == 0
    assert not window.compare.detail.parts.isVisible()
    qtbot.waitUntil(lambda: window.session.asker.is_idle, timeout=20_000)
