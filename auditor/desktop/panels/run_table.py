"""A finished table of a run, brought into the window without reading it row by row."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from auditor.desktop.session import Session
from auditor.desktop.widgets.columns import Numbers, Texts, read_columns
from auditor.desktop.widgets.table import Table
from auditor.runs.directory import RunDirectory


def load_table(
    session: Session,
    run: RunDirectory,
    name: str,
    table: Table,
    done: Callable[[list[Numbers | Texts]], None],
    kind: str,
) -> None:
    """Ask for a table of a finished run; `done` is called with its columns, in the window's thread.

    Parameters
    ----------
    name : str
        Name of the table in the run.
    table : Table
        Reads the files in its own thread.
    kind : str
        Of the question; a newer one of the same kind takes its place.
    """
    folder = Path(tempfile.mkdtemp(prefix="auditor-table-"))

    def written(found: dict[str, Any]) -> None:
        table.background.do(lambda: read_columns(folder, found["columns"]), ready, failed)

    def ready(columns: list[Numbers | Texts]) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        done(columns)

    def failed(sentence: str) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        session.said.emit(sentence)

    asked = {"run_dir": str(run.path), "table": name, "folder": str(folder)}
    session.asker.ask("table", asked, written, failed, kind=kind)
