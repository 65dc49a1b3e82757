"""Which tables of a run a report prints, and how."""

from pathlib import Path

from auditor.audits.findings import Column, TableInfo
from auditor.report.blocks import Grid, clean, number

#: Longer or wider tables stay beside the report, where they are named with their hash.
MOST_ROWS, MOST_COLUMNS = 40, 8
_MOST_CHARACTERS = 400


def is_whole(info: TableInfo) -> bool:
    """Whether a table is printed with all its rows."""
    return info.rows <= MOST_ROWS and len(_columns(info)) <= MOST_COLUMNS


def printed(info: TableInfo, path: Path) -> Grid | None:
    """A table, or its leading rows where it is long and sorted by what matters most; None if it is not printed."""
    import pyarrow.parquet as pq

    columns = _columns(info)
    n = info.rows if is_whole(info) else info.leading
    if not n or len(columns) > MOST_COLUMNS:
        return None
    names = [column.name for column in columns]
    records = pq.read_table(path, columns=names).slice(0, n).to_pylist()
    rows = tuple(tuple(_cell(record[name]) for name in names) for record in records)
    numeric = tuple(
        all(isinstance(record[name], (int, float)) or record[name] is None for record in records) for name in names
    )
    headers = tuple(clean(f"{column.title} ({column.unit})" if column.unit else column.title) for column in columns)
    caption = info.title if is_whole(info) else f"{info.title}: the first {n:,} of {info.rows:,}"
    return Grid(clean(caption), headers, numeric, rows)


def _cell(value: object) -> str:
    """A value as text; a long one is cut."""
    text = number(value)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 1]}…"


def _columns(info: TableInfo) -> tuple[Column, ...]:
    return tuple(column for column in info.columns if not column.detail)
