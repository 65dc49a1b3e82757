"""Guard runs side by side through the real window."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from auditor.audits.guard import sample
from auditor.case import Case
from auditor.desktop.panels.compared_query import ComparedQuery
from auditor.desktop.widgets.pane import ScrollPane
from auditor.desktop.window import Window
from auditor.models import ModelFile
from auditor.models.folder import inspect_folder
from auditor.resources import resource
from auditor.runs.contract import RunState
from auditor.runs.local import LocalExecutor
from auditor.runs.worker import DONE, carry_out
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from tests.audits.guard.small_model import write

_PATIENCE_MS = 240_000
#: Little is asked: 20 test queries under two conditions.
_QUICK: dict[str, Any] = {
    "attacks": ("cyclic",),
    "n_demonstrations": 4,
    "limit": 40,
    "splits": 0,
    "influence_queries": 0,
    "attention_queries": 0,
    "timing_queries": 0,
    "epsilon": 0.9,
    "dtype": "float32",
}
#: One thing apart, and two.
_ASKED: tuple[dict[str, Any], ...] = (
    {},
    {"instruction": "Is the text one of {labels}?"},
    {"instruction": "Is the text one of {labels}?", "n_demonstrations": 2},
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def _compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("guard-cases")
    model = inspect_folder(write(folder / "small"))
    runs = []
    files = {role: path for role, path in sample.files().items() if role != "corrupted"}
    with Case.create(folder / "compared", "Compared") as case:
        for spec in _ASKED:
            run = case.new_run("guard", {**_QUICK, **spec, "model": "small"}, files, {"model": model}, seed=4)
            # In this process, which has imported torch once and for all.
            assert carry_out(run) == DONE
            runs.append(run.path.name)
        case.link_pending()
    return folder / "compared", runs


@pytest.fixture
def compared(_compared: tuple[Path, list[str]], tmp_path: Path) -> tuple[Path, list[str]]:
    """A copy of a case with three finished guard runs; ids of the runs, oldest first."""
    path, runs = _compared
    shutil.copytree(path, tmp_path / "compared")
    return tmp_path / "compared", runs


def open_panel(window: Window, qtbot: QtBot, case: Path, n: int) -> None:
    assert window.session.open_case(case)
    window.go_to(window.compare)
    qtbot.waitUntil(lambda: len(window.compare.choice.offered) == n, timeout=_PATIENCE_MS)


def compare(window: Window, qtbot: QtBot, *runs: str) -> None:
    for run in runs:
        window.compare.choice.tick(run)
    QTest.mouseClick(window.compare.choice.compare, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.compare.results.table.model.all_rows > 0, timeout=_PATIENCE_MS)


def answers(case: Path, run: str) -> dict[tuple[str, str], dict[str, Any]]:
    """(query, condition) -> row of the table of queries, of those that test."""
    rows = pq.read_table(case / "runs" / run / "tables" / "queries.parquet").to_pylist()
    return {(row["query_id"], row["condition"]): row for row in rows if row["pool"] == "test"}


def test_two_guard_runs_stand_side_by_side(window: Window, qtbot: QtBot, compared: tuple[Path, list[str]]) -> None:
    case, (first, second, third) = compared
    open_panel(window, qtbot, case, 3)
    panel = window.compare
    assert panel.choice.offered == [third, second, first]
    assert not panel.choice.people.isVisible(), "nobody rates answers of a guard by hand"
    compare(window, qtbot, first, second)
    assert not panel.choice.alert.isVisible(), "one thing apart is what is compared"
    results = panel.results
    assert results.state.text() == "● Compared"
    assert "on 20 test queries" in results.verdict.text()
    assert "They differ in instruction." in results.facts.text()
    assert "Whoever keeps the best of 3 runs" in results.alert.text(), "three were made on these queries"
    assert results.tabs.tabText(1) == "Answers"
    a, b = answers(case, first), answers(case, second)
    model = results.table.model
    assert model.all_rows == len(a) == 2 * 20
    for row in range(model.rowCount()):
        key = (model.value(row, "query_id"), model.value(row, "condition"))
        for name in ("zero_shot", "unguarded", "guarded"):
            assert model.value(row, f"{name}_a") == a[key][name]
            assert model.value(row, f"{name}_b") == b[key][name]
    bare, kept, risk = results.figures
    assert bare.accessibleName() == "Accuracy without a guard"
    assert kept.accessibleName() == "Accuracy with the guard"
    assert risk.accessibleName() == "Risk against zero-shot"
    attack = "Wrong labels in a circle (100%)"
    assert [bare.item(row, 0).text() for row in range(3)] == ["Zero-shot", "Correct demonstrations", attack]
    assert [kept.item(row, 0).text() for row in range(2)] == ["Correct demonstrations", attack]
    right = sum(row["zero_shot"] == row["label"] for key, row in a.items() if key[1] == "correct") / 20
    assert float(bare.item(0, 1).text()) == pytest.approx(100 * right)
    (card,) = results.pictures.cards
    assert card.name == "compare_1"
    for table in results.figures:
        assert table.horizontalHeader().length() <= table.viewport().width(), "nothing is cut off"
    window.resize(1024, 700)
    panes = [pane for pane in panel.findChildren(ScrollPane) if pane.isVisible()]
    for pane in panes:
        inner = pane.widget()
        assert inner is not None
        qtbot.waitUntil(lambda pane=pane, inner=inner: inner.width() <= pane.viewport().width(), timeout=5_000)


def test_a_row_shows_what_both_guards_answered_and_what_they_were_asked(
    window: Window, qtbot: QtBot, compared: tuple[Path, list[str]]
) -> None:
    case, (first, second, _third) = compared
    open_panel(window, qtbot, case, 3)
    compare(window, qtbot, first, second)
    panel = window.compare
    panel.results.tabs.setCurrentIndex(1)
    (button,) = [button for button in panel.results.quick.buttons if button.text() == "Guards differ"]
    model = panel.results.table.model
    with qtbot.waitSignal(model.arranged, timeout=10_000):
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    a, b = answers(case, first), answers(case, second)
    apart = {key for key in a if a[key]["guarded"] != b[key]["guarded"]}
    assert model.rowCount() == len(apart)
    window.resize(1024, 700)
    (everything,) = [button for button in panel.results.quick.buttons if button.text() == "All"]
    with qtbot.waitSignal(model.arranged, timeout=10_000):
        QTest.mouseClick(everything, Qt.MouseButton.LeftButton)
    panel.results.table.view.selectRow(0)
    detail = panel.detail
    assert isinstance(detail, ComparedQuery)
    qtbot.waitUntil(detail.parts.isVisible, timeout=_PATIENCE_MS)
    key = (str(model.value(0, "query_id")), str(model.value(0, "condition")))
    assert detail.heading.text().startswith(key[0])
    seen = detail.turns.toPlainText()
    assert "Answer with one of: negative, positive." in seen
    assert "Is the text one of negative, positive?" in seen
    assert "A: prompt, correct demonstrations" in seen
    assert [card.heading.text() for card in detail.cards] == ["A  small", "B  small"]
    for card, row in zip(detail.cards, (a[key], b[key]), strict=True):
        mark = "✓ right" if row["zero_shot"] == row["label"] else "✗ wrong"
        words = f"Zero-shot: {row['zero_shot']} {mark} ({row['p_zero_shot']:.3f})"
        assert words in card.numbers.text()
        assert f"Guarded: {row['guarded']} " in card.numbers.text()
    same = a[key]["guarded"] == b[key]["guarded"]
    assert detail.cards[1].difference.text().startswith("= Guarded as A" if same else "≠ Guarded")
    assert not detail.cards[0].difference.isVisible()


def test_of_three_runs_each_stands_beside_the_first_and_several_causes_are_said(
    window: Window, qtbot: QtBot, compared: tuple[Path, list[str]], tmp_path: Path
) -> None:
    case, (first, second, third) = compared
    open_panel(window, qtbot, case, 3)
    compare(window, qtbot, first, second, third)
    panel = window.compare
    assert panel.choice.alert.text() == (
        "The runs differ in instruction and number of demonstrations: no difference can be put down to one of these alone."
    )
    assert "A and B 2 differ in instruction and number of demonstrations" in panel.results.alert.text()
    assert panel.results.pair.isVisible()
    with qtbot.waitSignal(panel.results.table.model.arranged, timeout=20_000):
        panel.results.show_pair(1)
    assert "B 2" in panel.results.verdict.text()
    target = tmp_path / "differences.csv"
    panel.results.pictures.export("compare_1", target)
    qtbot.waitUntil(target.is_file, timeout=_PATIENCE_MS)
    assert target.read_text().splitlines()[0].startswith("figure,condition,a,b,difference,low,high")
    picture = tmp_path / "differences.svg"
    panel.results.pictures.export("compare_1", picture)
    qtbot.waitUntil(picture.is_file, timeout=_PATIENCE_MS)
    assert "<svg" in picture.read_text(encoding="utf-8")
    qtbot.waitUntil(lambda: window.session.asker.is_idle, timeout=_PATIENCE_MS)


def test_runs_of_another_audit_cannot_be_ticked_beside_them(
    window: Window, qtbot: QtBot, compared: tuple[Path, list[str]], starter_model: ModelFile
) -> None:
    case, (first, second, _third) = compared
    conversations = resource("samples", "conversations.jsonl")
    with Case.open(case) as opened:
        asked = {"limit": 1, "axes": ["on_topic"]}
        rating = opened.new_run("rating", asked, {"conversations": conversations}, {"judge": starter_model}, seed=0)
        executor = LocalExecutor()
        executor.start(rating.path)
        assert executor.wait(rating.path, 300).state is RunState.DONE
        opened.link_pending()
    open_panel(window, qtbot, case, 4)
    choice, other = window.compare.choice, window.compare.choice.box(rating.path.name)
    assert other.isEnabled()
    assert choice.people.isVisible()
    choice.tick(first)
    assert not other.isEnabled()
    assert "Only runs of one audit can be compared" in other.toolTip()
    assert choice.box(second).isEnabled()
    choice.box(first).setChecked(False)
    assert other.isEnabled()
    qtbot.waitUntil(lambda: window.session.asker.is_idle, timeout=_PATIENCE_MS)


def test_a_guard_run_that_lost_its_table_is_said(
    window: Window, qtbot: QtBot, compared: tuple[Path, list[str]]
) -> None:
    case, (first, second, _third) = compared
    (case / "runs" / second / "tables" / "queries.parquet").unlink()
    open_panel(window, qtbot, case, 3)
    for run in (first, second):
        window.compare.choice.tick(run)
    window.commands.action("compare.run").trigger()
    qtbot.waitUntil(lambda: "lost its table of queries" in window.compare.results.verdict.text(), timeout=_PATIENCE_MS)
    assert window.compare.results.state.text() == "● Not compared"
    assert not window.compare.results.tabs.isVisible()
