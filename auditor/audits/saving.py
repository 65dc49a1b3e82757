"""Saving tables of a run, some thousand rows at a time."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from auditor.audits import Context
from auditor.audits.findings import TableInfo

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 10_000


def save_rows(context: Context, info: TableInfo, rows: Sequence[Mapping[str, Any]], schema: "pa.Schema") -> None:
    """Save rows as a table; a column that a row lacks is null there."""
    context.save_table(info, _batches(rows, schema), schema)


def _batches(rows: Sequence[Mapping[str, Any]], schema: "pa.Schema") -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    for start in range(0, len(rows), _BATCH_ROWS):
        yield pa.RecordBatch.from_pylist(list(rows[start : start + _BATCH_ROWS]), schema=schema)
