"""Records of JSON files as rows: objects in them become columns named by their path, every bad cell is named."""

import itertools
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np

from auditor.audits.findings import Caution
from auditor.audits.reading.columnar import Problems, Table, table_of
from auditor.audits.reading.delimited import Wanted
from auditor.errors import InputError

_DEEPEST = 4
_MOST_COLUMNS = 2_000


class Rows:
    """Columns that are filled one record at a time, with the row of each.

    Parameters
    ----------
    problems : Problems
        Takes what is wrong with the columns that are wanted, once the table is finished.
    wanted : callable, optional
        Chooses the columns from the names of those that there are; all of them if not given.
    """

    def __init__(self, file: str, problems: Problems, wanted: Wanted | None = None) -> None:
        self._file, self._problems, self._wanted = file, problems, wanted
        self._bad: dict[str, Problems] = {}
        self._columns: dict[str, list[str | None]] = {}
        self._rows: list[int] = []

    def add(self, row: int, record: Mapping[str, Any]) -> None:
        """Take a record; objects in it become columns named by their path."""
        n = len(self._rows)
        self._rows.append(row)
        for name, value in record.items():
            if isinstance(value, dict):
                for path, inner in self._flat(row, name, value, 1):
                    self._set(row, n, path, inner)
            else:
                self._set(row, n, name, value)

    def _flat(self, row: int, name: str, value: dict[str, Any], depth: int) -> Iterator[tuple[str, Any]]:
        if depth > _DEEPEST:
            self._name(InputError("The record is nested too deeply", file=self._file, row=row, column=name))
            return
        for key, inner in value.items():
            if isinstance(inner, dict):
                yield from self._flat(row, f"{name}.{key}", inner, depth + 1)
            else:
                yield f"{name}.{key}", inner

    def _set(self, row: int, n: int, name: str, value: Any) -> None:
        column = self._columns.get(name)
        if column is None:
            if len(self._columns) >= _MOST_COLUMNS:
                raise InputError(f"The records have more than {_MOST_COLUMNS:,} fields", file=self._file, row=row)
            column = self._columns[name] = []
        if len(column) < n:
            column.extend(itertools.repeat(None, n - len(column)))
        try:
            text = cell(value)
            if text is not None:
                text.encode()
        except (ValueError, UnicodeError) as error:
            problem = (
                str(error) if not isinstance(error, UnicodeError) else "The text holds half a character (a surrogate)"
            )
            self._name(InputError(problem, file=self._file, row=row, column=name))
            text = None
        column.append(text)

    def _name(self, error: InputError) -> None:
        self._bad.setdefault(str(error.column), Problems()).add(error)

    def table(self, title: str, fields: Mapping[str, str] | None = None, cautions: tuple[Caution, ...] = ()) -> Table:
        """The finished table."""
        import pyarrow as pa

        n, names = len(self._rows), tuple(self._columns)
        # What is nested too deeply has a name, but is no column.
        there = tuple(dict.fromkeys((*names, *self._bad)))
        chosen = set(there if self._wanted is None else self._wanted(there))
        self._tell(chosen)
        arrays = {}
        for name, column in self._columns.items():
            if name in chosen:
                column.extend(itertools.repeat(None, n - len(column)))
                arrays[name] = pa.array(column, pa.string())
        rows = np.array(self._rows, np.int64)
        return table_of(self._file, title, arrays, rows, self._problems, names=names, fields=fields, cautions=cautions)

    def _tell(self, chosen: AbstractSet[str]) -> None:
        """Add what is wrong with the chosen columns, in the order of the rows."""
        bad = [found for name, found in self._bad.items() if name in chosen]
        for error in sorted(itertools.chain(*(found.errors for found in bad)), key=lambda error: error.row or 0):
            self._problems.add(error)
        self._problems.count += sum(found.count - len(found.errors) for found in bad)


def cell(value: Any) -> str | None:
    """A JSON value as the text of a cell.

    Raises
    ------
    ValueError
        If it is no single value; a list of up to four numbers is one, for colours.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list) and 0 < len(value) <= 4 and all(type(part) in (int, float) for part in value):
        return " ".join(str(part) for part in value)
    raise ValueError(f"The field holds {'a list' if isinstance(value, list) else 'an object'} instead of one value")
