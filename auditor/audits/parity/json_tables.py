"""JSON files as tables: one record a line, an array of records, or the answers of search engines.

Plain JSON Lines go through pyarrow; whatever it refuses or would change is read again record by record, so that every
bad record is named.
"""

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TextIO

import numpy as np

from auditor.audits import InputFile
from auditor.audits.parity import presets
from auditor.audits.parity.columnar import Problems, Table, table_of
from auditor.audits.parity.readers import MOST_ROW_BYTES, first_line, is_utf8, lines
from auditor.errors import InputError, printable

#: One JSON value is held in memory as a whole; larger files must be written one answer a line (ours).
MOST_DOCUMENT_BYTES = 256 * 1024**2
_DEEPEST = 4
_BLOCK = 1024**2
_BLANKS = re.compile(r"[ \t\r\n]*")
_MOST_COLUMNS = 2_000

Record = tuple[int, Any]


class Rows:
    """Columns that are filled one record at a time, with the row of each."""

    def __init__(self, file: str, problems: Problems) -> None:
        self._file, self._problems = file, problems
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
            self._problems.add(InputError("The record is nested too deeply", file=self._file, row=row, column=name))
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
            self._problems.add(InputError(problem, file=self._file, row=row, column=name))
            text = None
        column.append(text)

    def table(self, title: str, fields: Mapping[str, str] | None = None, cautions: Any = ()) -> Table:
        """The finished table."""
        import pyarrow as pa

        n = len(self._rows)
        arrays = {}
        for name, column in self._columns.items():
            column.extend(itertools.repeat(None, n - len(column)))
            arrays[name] = pa.array(column, pa.string())
        rows = np.array(self._rows, np.int64)
        return table_of(self._file, title, arrays, rows, self._problems, fields=fields, cautions=cautions)


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


def load(file: InputFile, begin: str, preset: str, problems: Problems) -> Table:
    """Read a JSON file of any of the known forms.

    Raises
    ------
    InputError
        If the file as a whole cannot be read.
    """
    if begin == "[":
        return _of_records(file, "JSON array", lambda found: _array(file, found), preset, problems)
    first = next((line for line in lines_or_none(file) if line is None or line.strip()), None)
    try:
        opening = _parsed(first) if first is not None else None
    except ValueError:
        opening = None
    if isinstance(opening, dict) and (_has_more_lines(file) or _is_flat(opening)):
        if preset in ("auto", "long") and presets.form_of(opening) is None:
            fast = _fast(file, problems)
            if fast is not None:
                return fast
        return _of_records(file, "JSON Lines", lambda found: _lines(file, found), preset, problems)
    try:
        document = opening if isinstance(opening, dict) else _document(file)
    except InputError:
        if not _looks_like_lines(file):
            raise
        return _of_records(file, "JSON Lines", lambda found: _lines(file, found), preset, problems)
    if not isinstance(document, dict):
        raise InputError("The file is neither an object nor a list of them", file=file.name, row=1)
    return _of_records(file, "JSON", lambda _: presets.unpacked(document), preset, problems)


def lines_or_none(file: InputFile) -> Iterator[bytes | None]:
    """Lines of a file; a line that is too long ends it with None."""
    try:
        yield from lines(file)
    except InputError:
        yield None


def _is_flat(record: Mapping[str, Any]) -> bool:
    return not any(isinstance(value, dict | list) for value in record.values())


def _has_more_lines(file: InputFile) -> bool:
    return len(list(itertools.islice((line for line in lines_or_none(file) if line is None or line.strip()), 2))) == 2


def _looks_like_lines(file: InputFile) -> bool:
    """Whether a file whose first line is damaged goes on with a line that is a record."""
    for line in itertools.islice((line for line in lines_or_none(file) if line and line.strip()), 1, 4):
        try:
            if isinstance(_parsed(line), dict):
                return True
        except ValueError:
            continue
    return file.name.lower().endswith(("jsonl", "ndjson"))


def _of_records(
    file: InputFile, title: str, records: Callable[[Problems], Iterator[Record]], preset: str, problems: Problems
) -> Table:
    """A long table, or the slots of search answers, whichever the first records are."""
    form = next(
        (form for _, record in itertools.islice(records(Problems()), 20) if (form := presets.form_of(record))), None
    )
    if form is None:
        if preset not in ("auto", "long"):
            raise InputError(f"The file holds no answers of {preset}", file=file.name, fix="Set Format to auto.")
        rows = Rows(file.name, problems)
        empty = True
        for row, record in records(problems):
            empty = False
            if isinstance(record, dict):
                rows.add(row, record)
            else:
                problems.add(
                    InputError("The record is no object", file=file.name, row=row, value=type(record).__name__)
                )
        if empty and not problems.count:
            raise InputError("The file holds no record", file=file.name, fix="Check that it was saved completely.")
        return rows.table(title)
    presets.expect(file.name, form, preset)
    return presets.slots(file.name, form, title, records(problems), Rows(file.name, problems), problems)


def _lines(file: InputFile, problems: Problems) -> Iterator[Record]:
    for row, line in enumerate(lines(file), start=1):
        if not line.strip():
            continue
        try:
            yield row, _parsed(line)
        except ValueError as error:
            shown = line[:60].decode(errors="replace")
            problems.add(InputError(f"The line is not JSON: {first_line(error)}", file=file.name, row=row, value=shown))


def _parsed(text: bytes | str) -> Any:
    """One JSON value.

    Raises
    ------
    ValueError
        If it is none, is nested too deeply, is no UTF-8, or has a key twice.
    """
    try:
        return json.loads(text.decode() if isinstance(text, bytes) else text, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {printable(twice, 40)} stands twice in one object")
    return found


def _document(file: InputFile) -> Any:
    size = file.path.stat().st_size
    if size > MOST_DOCUMENT_BYTES:
        raise InputError(
            f"The file is one JSON value of {size / 1024**2:,.0f} MiB",
            file=file.name,
            fix="Write one answer a line (JSON Lines).",
        )
    try:
        return _parsed(file.path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except ValueError as error:
        row = getattr(error, "lineno", None)
        raise InputError(f"The file is not JSON: {first_line(error)}", file=file.name, row=row) from error


def _array(file: InputFile, problems: Problems) -> Iterator[Record]:
    """Elements of one JSON array, one in memory at a time; damage ends it with a problem.

    A stream parser that keeps the path of every open list needs memory that grows with the square of the nesting, so each
    element is parsed by the standard parser, which refuses deep nesting.
    """
    row = 0
    with file.path.open(encoding="utf-8-sig", newline="") as stream:
        try:
            for twice, record in _elements(stream):
                row += 1
                if twice:
                    problem = f"The key {printable(twice[0], 40)} stands twice in one object"
                    problems.add(InputError(problem, file=file.name, row=row))
                else:
                    yield row, record
        except (ValueError, RecursionError) as error:
            reason = "it is nested too deeply" if isinstance(error, RecursionError) else first_line(error)
            problem = f"The JSON array is damaged here, the rest cannot be read: {reason}"
            problems.add(InputError(problem, file=file.name, row=row + 1))


def _elements(stream: TextIO) -> Iterator[tuple[list[str], Any]]:
    """Elements of the array that a stream holds, each with the keys that stand twice in it.

    Raises
    ------
    ValueError
        Where the text is no JSON, or an element is larger than `MOST_ROW_BYTES` characters.
    """
    twice: list[str] = []

    def noting(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice.append(next(key for key in keys if keys.count(key) > 1))
        return found

    decoder = json.JSONDecoder(object_pairs_hook=noting)
    text, is_over, is_first = stream.read(_BLOCK), False, True
    at = _behind_blanks(text, 0) + 1  # behind the [
    while True:
        place = _behind_blanks(text, at)
        sign = text[place : place + 1]
        if sign == "]":
            if text[place + 1 :].strip() or stream.read(1).strip():
                raise ValueError("something follows the closing ]")
            return
        if sign == "," and not is_first:
            place = _behind_blanks(text, place + 1)
        elif sign and not is_first:
            raise ValueError("a comma is missing between two elements")
        twice.clear()
        try:
            record, end = decoder.raw_decode(text, place)
            is_whole = end < len(text) or is_over  # a number may go on behind the block
        except ValueError:
            if is_over or len(text) - place > MOST_ROW_BYTES:
                raise
            is_whole = False
        if is_whole:
            yield list(twice), record
            at, is_first = end, False
            continue
        more = stream.read(max(_BLOCK, len(text) - at))
        is_over = not more
        text, at = text[at:] + more, 0


def _behind_blanks(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return found.end() if found else at


def _fast(file: InputFile, problems: Problems) -> Table | None:
    """JSON Lines through pyarrow; None where it would change a value or lose a row."""
    import pyarrow as pa
    import pyarrow.json as pj

    n_lines = n_objects = 0
    last = b"\n"
    with file.path.open("rb") as stream:
        while block := stream.read(MOST_ROW_BYTES):
            if b"[" in block:  # deep nesting is left to a parser that counts it
                return None
            n_lines += block.count(b"\n")
            n_objects += block.count(b"{")
            last = block
    n_lines += not last.endswith(b"\n")
    if n_objects != n_lines or not is_utf8(file):
        return None
    try:
        with pa.OSFile(str(file.path)) as opened:
            read = pj.read_json(opened, read_options=pj.ReadOptions(use_threads=False, block_size=MOST_ROW_BYTES))
    except (pa.ArrowException, UnicodeError, ValueError):
        return None
    kept = (pa.types.is_string, pa.types.is_int64, pa.types.is_boolean, pa.types.is_null, pa.types.is_float64)
    if read.num_rows != n_lines or not all(any(test(kind) for test in kept) for kind in read.schema.types):
        return None
    if any(pa.types.is_float64(kind) and _has_long_whole_numbers(read[name]) for name, kind in _typed(read)):
        return None
    arrays = {name: read[name] for name in read.column_names}
    rows = np.arange(1, n_lines + 1, dtype=np.int64)
    return table_of(file.name, "JSON Lines", arrays, rows, problems)


def _typed(read: Any) -> Iterator[tuple[str, Any]]:
    return zip(read.column_names, read.schema.types, strict=True)


def _has_long_whole_numbers(column: Any) -> bool:
    """Whether a column of doubles may have been ids too long for an integer: doubles would make several of them one."""
    import pyarrow.compute as pc

    return bool(pc.any(pc.greater_equal(pc.abs(column), 2.0**53)).as_py())
