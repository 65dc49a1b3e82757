"""Tables of a finished run come into the window, whatever became of the others, and leave nothing behind."""

import tempfile
from pathlib import Path

import pytest
from auditor.desktop.window import Window
from auditor.files import write_json
from auditor.runs.directory import RunDirectory
from pytestqt.qtbot import QtBot
from tests.audits.guard.made_runs import full_rows, made_findings, made_tables, table_infos

_PATIENCE_MS = 240_000


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def run(case_window: Window, tmp_path: Path) -> RunDirectory:
    """A guard run with findings and tables that were written by hand."""
    case = case_window.session.case
    assert case is not None
    queries = tmp_path / "queries.csv"
    queries.write_text("text,label\na,0\nb,1\n", encoding="utf-8")
    made = case.new_run("guard", {}, {"queries": queries, "demonstrations": queries}, {}, seed=0)
    rows = full_rows()
    made_tables(made.tables, rows)
    write_json(made.findings_file, made_findings(tables=tuple(table_infos(rows))).model_dump(mode="json"))
    case_window.go_to(case_window.guard)
    return made


def settle(window: Window, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: window.session.asker.is_idle, timeout=_PATIENCE_MS)
    qtbot.waitUntil(
        lambda: all(table.background.is_idle for table in window.guard.results.tables.values()), timeout=_PATIENCE_MS
    )


def test_a_lost_and_a_damaged_table_do_not_keep_the_others_away(
    case_window: Window, qtbot: QtBot, run: RunDirectory, temporary: Path
) -> None:
    files = run.table_files()
    files["conditions"].write_bytes(files["conditions"].read_bytes()[:200])
    files["influence"].unlink()
    results = case_window.guard.results
    results.show_finished(run)
    shown = results.tables["risk_curve"].model
    qtbot.waitUntil(lambda: shown.all_rows == 101, timeout=_PATIENCE_MS)
    settle(case_window, qtbot)
    assert [results.tables[name].model.all_rows for name in ("conditions", "influence")] == [0, 0]
    assert f"The table conditions of run {run.path.name} is damaged: verify the case." in results.card.alerts
    assert f"The table influence of run {run.path.name} is missing: verify the case." in results.card.alerts
    assert "conditions" in results.alert.text()
    assert list(temporary.glob("auditor-tables-*")) == []


def test_nothing_is_left_of_tables_that_nobody_waits_for(
    case_window: Window, qtbot: QtBot, run: RunDirectory, temporary: Path
) -> None:
    results = case_window.guard.results
    results.show_finished(run)
    assert len(list(temporary.glob("auditor-tables-*"))) == 1
    results.show_empty()
    assert list(temporary.glob("auditor-tables-*")) == []
    for file in run.table_files().values():
        file.unlink()
    results.show_finished(run)
    settle(case_window, qtbot)
    assert list(temporary.glob("auditor-tables-*")) == []
    results.show_finished(run)
    case_window.close()
    assert list(temporary.glob("auditor-tables-*")) == []
