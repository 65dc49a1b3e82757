"""Columns of a table as plain files, which the window maps into its own table without reading row by row.

Numbers as doubles, text as UTF-8 with offsets and sort ranks; `auditor.desktop.widgets.columns` reads them.
"""

from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def write_columns(table: "pa.Table", columns: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, Any]:
    """Write columns of a table, one after the other; returns how many rows there are, and what each file holds.

    Parameters
    ----------
    table : Table
        Holds at least the columns.
    columns : sequence of mapping
        name, title, description and unit of each, as `Column` has them.
    folder : Path
        An empty folder.
    """
    import pyarrow.compute as pc

    written = []
    for number, column in enumerate(columns):
        values = table[column["name"]].combine_chunks()
        if str(values.type) == "bool":
            values = pc.if_else(values, "yes", "no")
        is_text = str(values.type) in ("string", "large_string")
        target = folder / f"{number}"
        if is_text:
            _write_text(values.fill_null("").to_pylist(), target)
            # Texts differ in rank exactly when they differ, so that sorting needs numbers alone.
            ranks = pc.rank(values.fill_null(""), sort_keys="ascending", tiebreaker="min")
            _write_numbers(array("d", ranks.cast("float64").to_pylist()), target.with_suffix(".rank"))
        else:
            numbers = values.cast("float64").fill_null(float("nan")).to_pylist()
            _write_numbers(array("d", numbers), target.with_suffix(".f8"))
        written.append({**column, "kind": "text" if is_text else "number", "whole": str(values.type).startswith("int")})
    return {"rows": table.num_rows, "columns": written}


def _write_text(values: list[str], target: Path) -> None:
    offsets = array("q", [0])
    with target.with_suffix(".utf8").open("xb") as file:
        for value in values:
            offsets.append(offsets[-1] + file.write(value.encode()))
    _write_numbers(offsets, target.with_suffix(".offsets"))


def _write_numbers(numbers: "array[float] | array[int]", target: Path) -> None:
    with target.open("xb") as file:
        numbers.tofile(file)
