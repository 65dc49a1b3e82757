"""Unlearning runs side by side through the real window, and by the command line."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from auditor.audits.unlearning.words import percent
from auditor.case import Case
from auditor.desktop.panels.compared_example import ComparedExample
from auditor.desktop.widgets.pane import ScrollPane
from auditor.desktop.window import Window
from auditor.files import read_json, write_json
from auditor.models.folder import inspect_folder
from auditor.report.content import collect
from auditor.report.html import html
from auditor.runs.contract import RunState
from auditor.runs.local import LocalExecutor
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from tests.audits.unlearning import taught
from tests.audits.unlearning.files import jsonl
from tests.command import auditor

_PATIENCE_MS = 240_000
_QUICK: dict[str, Any] = {
    "method": "grad_diff",
    "epochs": 10,
    "batch_size": 3,
    "learning_rate": 1e-3,
    "warmup_epochs": 0.0,
    "new_tokens": 8,
    "device": "cpu",
    "dtype": "float32",
    "gguf": False,
    "relearn_steps": 0,
}
#: One thing apart.
_ASKED: tuple[dict[str, Any], ...] = ({}, {"epochs": 2})

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def _compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("unlearning-cases")
    model = inspect_folder(taught.teach(folder / "teller"))
    files = {
        role: jsonl(
            folder / f"{role}.jsonl",
            [
                {"question": one.question, "answer": one.answer, "paraphrased_question": one.paraphrased_question}
                for one in taught.facts(role)
            ],
        ).path
        for role in ("forget", "retain", "holdout")
    }
    executor, runs = LocalExecutor(), []
    with Case.create(folder / "compared", "Compared") as case:
        for spec in _ASKED:
            run = case.new_run("unlearning", {**_QUICK, **spec, "model": "teller"}, files, {"model": model}, seed=4)
            executor.start(run.path)
            assert executor.wait(run.path, 300).state is RunState.DONE
            runs.append(run.path.name)
        case.link_pending()
    return folder / "compared", runs


@pytest.fixture
def compared(_compared: tuple[Path, list[str]], tmp_path: Path) -> tuple[Path, list[str]]:
    """A copy of a case with two finished unlearning runs; ids of the runs, oldest first."""
    path, runs = _compared
    shutil.copytree(path, tmp_path / "compared")
    return tmp_path / "compared", runs


def open_panel(window: Window, qtbot: QtBot, case: Path, runs: list[str]) -> None:
    assert window.session.open_case(case)
    window.go_to(window.compare)
    qtbot.waitUntil(lambda: len(window.compare.choice.offered) == len(runs), timeout=_PATIENCE_MS)
    for run in runs:
        window.compare.choice.tick(run)
    QTest.mouseClick(window.compare.choice.compare, Qt.MouseButton.LeftButton)


def examples(case: Path, run: str, kind: str) -> dict[str, dict[str, Any]]:
    """Question -> row of the run's table of examples."""
    rows = pq.read_table(case / "runs" / run / "tables" / "examples.parquet").to_pylist()
    return {row["question"]: row for row in rows if row["kind"] == kind}


def test_two_unlearning_runs_and_one_example_stand_side_by_side(
    window: Window, qtbot: QtBot, compared: tuple[Path, list[str]]
) -> None:
    case, runs = compared
    open_panel(window, qtbot, case, runs)
    panel = window.compare
    qtbot.waitUntil(lambda: panel.results.table.model.all_rows > 0, timeout=_PATIENCE_MS)
    assert not panel.choice.alert.isVisible(), "one thing apart is what is compared"
    results = panel.results
    assert results.state.text() == "● Compared"
    assert "They differ in epochs." in results.facts.text()
    assert "another seed" in results.alert.text()
    forget, kept, membership, verdicts = results.figures
    a, b = (examples(case, run, "forget") for run in runs)
    means = [np.mean([row["probability_after"] for row in rows.values()]) for rows in (a, b)]
    shown = [forget.item(0, column).text() for column in range(4)]
    assert shown[0] == "Probability of answers to forget"
    assert [float(cell.rstrip("%")) for cell in shown[2:]] == pytest.approx([100 * mean for mean in means], abs=0.051)
    assert kept.item(0, 0).text() == "Probability of answers to keep"
    assert membership.rowCount() == 4
    assert [verdicts.item(row, 0).text() for row in range(verdicts.rowCount())][-1] == "Epochs"
    for table in results.figures:
        assert table.horizontalHeader().length() <= table.viewport().width(), "nothing is cut off"
    (card,) = results.pictures.cards
    assert card.name == "compare_1"
    results.tabs.setCurrentIndex(1)
    assert results.tabs.tabText(1) == "Examples"
    results.table.view.selectRow(0)
    detail = panel.detail
    assert isinstance(detail, ComparedExample)
    qtbot.waitUntil(detail.parts.isVisible, timeout=_PATIENCE_MS)
    question = str(results.table.model.value(0, "question"))
    seen = detail.turns.toPlainText()
    for words in (question, a[question]["answer"], a[question]["generated_after"], b[question]["generated_after"]):
        assert words in seen
    for card_of, rows in zip(detail.cards, (a, b), strict=True):
        told = f"Probability a token: {percent(rows[question]['probability_before'])} before, "
        assert f"{told}{percent(rows[question]['probability_after'])} after" in card_of.numbers.text()
    window.resize(1024, 700)
    for pane in (pane for pane in panel.findChildren(ScrollPane) if pane.isVisible()):
        inner = pane.widget()
        assert inner is not None
        qtbot.waitUntil(lambda pane=pane, inner=inner: inner.width() <= pane.viewport().width(), timeout=5_000)
    qtbot.waitUntil(lambda: window.session.asker.is_idle, timeout=_PATIENCE_MS)


def test_runs_from_different_models_are_not_compared(
    window: Window, qtbot: QtBot, compared: tuple[Path, list[str]]
) -> None:
    case, runs = compared
    file = case / "runs" / runs[1] / "findings.json"
    write_json(file, {**read_json(file), "model_sha256": "0" * 64})
    open_panel(window, qtbot, case, runs)
    panel = window.compare
    assert panel.choice.alert.text() == "The runs begin with different models: they cannot be compared."
    qtbot.waitUntil(lambda: "begin with different models" in panel.results.verdict.text(), timeout=_PATIENCE_MS)
    assert panel.results.state.text() == "● Not compared"
    assert not panel.results.tabs.isVisible()


def test_the_command_line_tells_the_same_differences(compared: tuple[Path, list[str]]) -> None:
    case, runs = compared
    done = auditor("compare", case, *runs, "--seed", 3, "--json")
    assert done.returncode == 0, done.stderr
    (pair,) = json.loads(done.stdout)["pairs"]
    a, b = (examples(case, run, "retain") for run in runs)
    apart = np.array([a[question]["probability_after"] - b[question]["probability_after"] for question in a])
    (kept,) = (one for one in pair["measures"] if one["name"] == "retain_answer_probability")
    assert kept["difference"] == pytest.approx(apart.mean(), rel=1e-12)
    drawn = np.random.default_rng(3).integers(0, len(apart), (2_000, len(apart)))
    assert kept["difference_ci"] == pytest.approx(
        np.quantile(apart[drawn].mean(axis=1), [0.025, 0.975]).tolist(), rel=1e-9
    )
    assert pair["differs"] == ["epochs"]


def test_the_report_of_a_run_sets_both_in_one_table(compared: tuple[Path, list[str]]) -> None:
    path, (first, second) = compared
    with Case.open(path, write=False) as case:
        told = html(collect(case, case.run(first)))
    assert f"B 1 is {second}: epochs 2 (A: 10)." in told
    rows = told.partition("Highest mean, way asked")[2].partition("</table>")[0]
    assert f"A: {first}" in rows
    assert f"B 1: {second}" in rows
