"""Tables as columns of distinct values, and the problems found in them.

A column is a list of distinct values and, for every row, the number of its value: a million rows are checked by looking
at the distinct values once. Only rows with a problem are ever looked at one by one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.audits.findings import Caution
from auditor.errors import InputError, printable

#: Code of an empty cell.
MISSING = -1
#: Problems that are kept with their place; all are counted.
MOST_PROBLEMS = 1_000
#: More rows than these are refused before they are read (ours).
MOST_ROWS = 100_000_000

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_NOT_FINITE = r"(?i)^[+-]?(nan|inf|infinity)$"


class Problems:
    """Problems of one or several files: the first 1,000 with their place, all of them counted.

    Attributes
    ----------
    errors : list of InputError
    count : int
    """

    def __init__(self) -> None:
        self.errors: list[InputError] = []
        self.count = 0

    def add(self, error: InputError) -> None:
        """Count a problem."""
        self.count += 1
        if len(self.errors) < MOST_PROBLEMS:
            self.errors.append(error)

    def add_rows(self, indices: NDArray[Any], make: Callable[[int], InputError]) -> None:
        """Count a problem for each of some rows; `make` names it, and is called only for those that are kept."""
        self.count += len(indices)
        for index in indices[: max(MOST_PROBLEMS - len(self.errors), 0)]:
            self.errors.append(make(int(index)))

    def refuse(self) -> None:
        """Raise the first problem, saying how many there are.

        Raises
        ------
        InputError
            If there is any problem.
        """
        if self.count == 1:
            raise self.errors[0]
        if self.errors:
            raise Several(self.errors, self.count)


class Several(InputError):
    """Several problems at once: it reads as the first one.

    Parameters
    ----------
    errors : sequence of InputError
        The first problems.
    count : int
        All problems.
    listed : int
        Kinds of problem that the sentence lists, a line each, where nothing else does; 0 for none.
    """

    def __init__(self, errors: Sequence[InputError], count: int, *, listed: int = 0) -> None:
        self.errors, self.count, self._listed = tuple(errors), count, listed
        first = self.errors[0]
        super().__init__(
            first.problem, file=first.file, row=first.row, column=first.column, value=first.value, fix=first.fix
        )

    def _sentence(self) -> str:
        if not self._listed:
            return f"{super()._sentence()} There are {self.count:,} problems in all."
        kinds: dict[tuple[str | None, ...], list[InputError]] = {}
        for error in self.errors:
            kinds.setdefault((error.file, error.column, error.problem, error.fix), []).append(error)
        at_least = "at least " if self.count > len(self.errors) else ""
        lines = [
            f"{same[0]} The same in {at_least}{len(same) - 1:,} more rows." if len(same) > 1 else str(same[0])
            for same in list(kinds.values())[: self._listed]
        ]
        shown = f"; the first {len(lines):,} kinds are shown" if len(kinds) > len(lines) else ""
        return "\n".join([*lines, f"There are {self.count:,} problems in all{shown}."])


@dataclass(frozen=True)
class Column:
    """Cells of one column.

    Attributes
    ----------
    codes : ndarray of int32, shape (n_rows,)
        Number of each row's value; `MISSING` for an empty cell.
    values : pyarrow.Array
        Distinct values in the order in which they first occur: texts without blanks around them, int64 or float64.
    """

    codes: NDArray[np.int32]
    values: Any

    @cached_property
    def texts(self) -> Any:
        """The distinct values as a pyarrow.StringArray."""
        import pyarrow as pa

        return self.values if pa.types.is_string(self.values.type) else self.values.cast(pa.string())

    def text(self, row: int) -> str:
        """A cell as text; empty where there is none."""
        code = self.codes[row]
        return "" if code == MISSING else str(self.texts[int(code)].as_py())

    @cached_property
    def used(self) -> NDArray[np.int64]:
        """Numbers of the values that occur, in order of their first row."""
        return first_seen(self.codes, len(self.values))

    @cached_property
    def value_numbers(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Number that each distinct value is (nan if none), and whether it is one (nan and infinity are numbers here)."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not pa.types.is_string(self.values.type):
            return np.asarray(self.values.cast(pa.float64(), safe=False), np.float64), np.ones(
                len(self.values), np.bool_
            )
        good = pc.match_substring_regex(self.values, _NUMBER)
        numbers = np.full(len(self.values), np.nan)
        mask = np.asarray(good, np.bool_)
        try:
            numbers[mask] = np.asarray(self.values.filter(good).cast(pa.float64()), np.float64)
        except pa.ArrowInvalid:  # too large for a double
            numbers[mask] = [float(text) for text in self.values.filter(good).to_pylist()]
        not_finite = np.asarray(pc.match_substring_regex(self.values, _NOT_FINITE), np.bool_)
        return numbers, mask | not_finite

    def numbers(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Number of every row (nan if there is none), and whether its cell is a number."""
        numbers, good = self.value_numbers
        if not len(numbers):
            return np.full(len(self.codes), np.nan), np.zeros(len(self.codes), np.bool_)
        there = self.codes != MISSING
        return np.where(there, numbers[self.codes], np.nan), there & good[self.codes]

    def take(self, rows: NDArray[Any]) -> "Column":
        """Some of the rows, by mask or by number."""
        return Column(self.codes[rows], self.values)


def first_seen(codes: NDArray[Any], size: int) -> NDArray[np.int64]:
    """Codes that occur, in order of their first row; codes below 0 are passed over."""
    first = np.full(size, len(codes), np.int64)
    there = np.flatnonzero(codes >= 0)[::-1]
    first[codes[there]] = there  # in reverse, so that the first row is written last
    order = np.argsort(first, kind="stable")
    return order[: np.count_nonzero(first < len(codes))]


def constant(keys: NDArray[Any], n_keys: int, codes: NDArray[Any]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The value of each key, and the rows that contradict it.

    Returns
    -------
    value : ndarray of int32, shape (n_keys,)
        Code in the first row of each key that has one; `MISSING` where none has.
    bad : ndarray of int64
        Rows with another code.
    """
    value = np.full(n_keys, MISSING, np.int32)
    there = np.flatnonzero((codes >= 0) & (keys >= 0))
    value[keys[there[::-1]]] = codes[there[::-1]]
    return value, there[codes[there] != value[keys[there]]]


@dataclass(frozen=True)
class Table:
    """A table as it was read.

    Attributes
    ----------
    file : str
        Name of the file as the person knows it.
    title : str
        Its format in words.
    names : tuple of str
        All columns of the file, read or not.
    columns : mapping of str to Column
        The columns that were read.
    row_numbers : ndarray of int64, shape (n_rows,)
        Rows as people see them: lines of a spreadsheet with the header as row 1, records from 1 in other formats.
    fields : mapping of str to str
        Field -> column, where the format itself says so.
    cautions : tuple of Caution
        What was noticed while reading.
    """

    file: str
    title: str
    names: tuple[str, ...]
    columns: Mapping[str, Column]
    row_numbers: NDArray[np.int64]
    fields: Mapping[str, str] = field(default_factory=dict)
    cautions: tuple[Caution, ...] = ()

    @property
    def n_rows(self) -> int:
        """Rows that were read."""
        return len(self.row_numbers)

    def row(self, index: int) -> int:
        """Row as people see it."""
        return int(self.row_numbers[index])

    def listed(self) -> str:
        """The columns of the file, printable."""
        shown = ", ".join(printable(name, 40) for name in self.names[:20])
        return f"{shown} and {len(self.names) - 20} more" if len(self.names) > 20 else shown

    def take(self, rows: NDArray[Any]) -> "Table":
        """Some of the rows, by mask or by number."""
        columns = {name: column.take(rows) for name, column in self.columns.items()}
        return Table(self.file, self.title, self.names, columns, self.row_numbers[rows], self.fields, self.cautions)


def table_of(
    file: str,
    title: str,
    arrays: Mapping[str, Any],
    row_numbers: NDArray[np.int64],
    problems: Problems,
    *,
    names: Sequence[str] | None = None,
    fields: Mapping[str, str] | None = None,
    cautions: tuple[Caution, ...] = (),
) -> Table:
    """A table from pyarrow columns; cells that are no text are added to `problems` and become empty.

    Rows in which every cell that was read is empty are passed over, as a spreadsheet leaves them behind.
    """
    columns = {name: _column(array, _Place(file, name, row_numbers, problems)) for name, array in arrays.items()}
    known = tuple(names if names is not None else arrays)
    table = Table(file, title, known, columns, row_numbers, fields or {}, cautions)
    if columns:
        filled = np.any([column.codes != MISSING for column in columns.values()], axis=0)
        if not filled.all():
            table = table.take(filled)
    return table


def check_lengths(table: Table, most: int, problems: Problems) -> None:
    """Add a problem for every cell with more than `most` characters, such as one that a lost quote has swallowed."""
    import pyarrow.compute as pc

    for name, column in table.columns.items():
        long = np.append(np.asarray(pc.greater(pc.utf8_length(column.texts), most), np.bool_), False)
        if long.any():
            place = _Place(table.file, name, table.row_numbers, problems)
            problem = f"The cell holds more than {most:,} characters"
            place.name_cells(column.codes, long[:-1], column.texts, problem, "Check how the file was written.")


@dataclass(frozen=True)
class _Place:
    """Where a column stands, so that its bad cells can be named."""

    file: str
    name: str
    row_numbers: NDArray[np.int64]
    problems: Problems

    def name_cells(self, codes: NDArray[np.int32], bad: NDArray[np.bool_], values: Any, problem: str, fix: str) -> None:
        """Add a problem for every row whose value is bad."""
        self.problems.add_rows(
            np.flatnonzero((codes != MISSING) & bad[codes]),
            lambda row: InputError(
                problem,
                file=self.file,
                row=int(self.row_numbers[row]),
                column=self.name,
                value=values[int(codes[row])].as_py()[:100],
                fix=fix,
            ),
        )


def _column(array: Any, place: _Place) -> Column:
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(array, pa.ChunkedArray):
        if pa.types.is_dictionary(array.type):
            array = array.unify_dictionaries()
        array = array.combine_chunks()
        if isinstance(array, pa.ChunkedArray):  # no chunk at all, or more than fit into one
            array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if pa.types.is_nested(kind):
        error = InputError(
            "The column holds lists or records", file=place.file, column=place.name, fix="Write one value a cell."
        )
        place.problems.add(error)
    if pa.types.is_nested(kind) or pa.types.is_null(kind):
        return Column(np.full(len(array), MISSING, np.int32), pa.array([], pa.string()))
    if not pa.types.is_dictionary(array.type):
        array = pc.dictionary_encode(array)
    values = array.dictionary
    codes = np.asarray(array.indices.fill_null(MISSING).cast(pa.int32()), np.int32)
    if pa.types.is_integer(kind):
        return Column(codes, values.cast(pa.string() if pa.types.is_uint64(kind) else pa.int64()))
    if pa.types.is_floating(kind):
        return _of_floats(codes, values.cast(pa.float64()))
    return _trimmed(codes, _decoded(codes, values, place), place)


def _of_floats(codes: NDArray[np.int32], values: Any) -> Column:
    """Numbers; whole ones are written without a point, as ids and levels are, and nan stays to be refused as a score."""
    import pyarrow as pa

    numbers = np.asarray(values.fill_null(np.nan), np.float64)
    if len(numbers) and np.all(np.abs(numbers) < 2**53) and np.all(numbers == np.trunc(numbers)):
        return Column(codes, pa.array(numbers.astype(np.int64)))
    return Column(codes, values)


def _decoded(codes: NDArray[np.int32], values: Any, place: _Place) -> Any:
    """Distinct values as texts; bytes that are no UTF-8 are a problem of their rows."""
    import pyarrow as pa

    try:
        return values.cast(pa.string())
    except (pa.ArrowException, UnicodeError):
        pass
    if not (pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type)):
        place.problems.add(
            InputError(f"The column holds {values.type}, which is no text", file=place.file, column=place.name)
        )
        return pa.array([""] * len(values), pa.string())
    texts, bad = [], []
    for value in values.to_pylist():
        text = "" if value is None else value.decode(errors="replace")
        texts.append(text)
        bad.append(value is not None and text.encode() != value)
    decoded = pa.array(texts, pa.string())
    place.name_cells(codes, np.array(bad, np.bool_), decoded, "The cell is not UTF-8", "Save the file as UTF-8.")
    return decoded


def _trimmed(codes: NDArray[np.int32], values: Any, place: _Place) -> Column:
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(values.fill_null(""))
    if not trimmed.equals(values):  # values may have become equal: number them again
        encoded = trimmed.dictionary_encode()
        values = encoded.dictionary
        if len(values):
            codes = np.where(codes == MISSING, MISSING, np.asarray(encoded.indices, np.int32)[codes]).astype(np.int32)
    empty = pc.index(values, "").as_py()
    if empty >= 0:
        codes = np.where(codes == empty, MISSING, codes - (codes > empty)).astype(np.int32)
        values = values.filter(pc.not_equal(values, ""))
    odd = np.asarray(pc.match_substring(values, "\0"), np.bool_)
    if odd.any():
        place.name_cells(codes, odd, values, "The cell holds NUL characters", "Check how the file was written.")
    return Column(codes, values)
