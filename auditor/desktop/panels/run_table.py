"""Finished tables of a run, brought into the window without reading them row by row."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from auditor.desktop.session import Session
from auditor.desktop.widgets.columns import Numbers, Texts, read_columns
from auditor.desktop.widgets.table import Table
from auditor.runs.directory import RunDirectory


def load_tables(
    session: Session,
    run: RunDirectory,
    tables: Mapping[str, Table],
    done: Callable[[str, list[Numbers | Texts]], None],
    lacking: Callable[[list[str]], None],
    kind: str,
) -> None:
    """Ask for tables of a finished run; `done` is called with each one's name and columns, in the window's thread.

    One process writes all of them: several at once would take the processor from the window. A table that is lost or
    damaged is left out; the others are shown.

    Parameters
    ----------
    tables : mapping of str to Table
        Name of a table in the run -> where it is shown, which reads the files in its own thread.
    lacking : callable
        Called with a sentence for each table that is lost or damaged, if any is.
    kind : str
        Of the question; a newer one of the same kind takes its place.
    """
    folder = Path(tempfile.mkdtemp(prefix="auditor-tables-"))

    def clear() -> None:
        shutil.rmtree(folder, ignore_errors=True)

    def written(answer: dict[str, Any]) -> None:
        for name, told in answer["found"].items():
            work = partial(_taken, folder / name, told["columns"])
            tables[name].background.do(work, partial(done, name), session.said.emit)
        if answer["problems"]:
            lacking(answer["problems"])
        if not answer["found"]:
            clear()

    def failed(sentence: str) -> None:
        clear()
        session.said.emit(sentence)

    asked = {"run_dir": str(run.path), "tables": list(tables), "folder": str(folder)}
    session.asker.ask("tables", asked, written, failed, kind=kind, dropped=clear)


def _taken(folder: Path, columns: list[dict[str, Any]]) -> list[Numbers | Texts]:
    """Columns from their files, which are then no longer needed."""
    try:
        return read_columns(folder, columns)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # others of the tables are still to be read
            folder.parent.rmdir()
