"""JSON files as tables: one record a line, an array of records, or records that hold several rows each.

Plain JSON Lines go through pyarrow; whatever it refuses or would change is read again record by record, so that every
bad record is named.
"""

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TextIO

import numpy as np

from auditor.audits import InputFile
from auditor.audits.reading.columnar import Problems, Table, table_of
from auditor.audits.reading.delimited import Wanted, columns_to_read
from auditor.audits.reading.json_rows import Rows
from auditor.audits.reading.text import MOST_ROW_BYTES, first_line, is_utf8, lines
from auditor.errors import InputError, printable

#: One JSON value is held in memory as a whole; larger files must be written one answer a line (ours).
MOST_DOCUMENT_BYTES = 256 * 1024**2
_BLOCK = 1024**2
_BLANKS = re.compile(r"[ \t\r\n]*")

Record = tuple[int, Any]


class Nested(Protocol):
    """Records that hold several rows each, such as the answers of a search engine."""

    def form_of(self, record: Any) -> str | None:
        """What a record is, if it holds several rows; None if it is a row."""

    def unpacked(self, document: Mapping[str, Any]) -> Iterator[Record]:
        """The records in a file that is one object."""

    def may_be_plain(self, file: str) -> None:
        """Refuse a file whose records are rows, where others were asked for.

        Raises
        ------
        InputError
            If they were.
        """

    def table(
        self, file: str, form: str, title: str, records: Iterator[Record], rows: Rows, problems: Problems
    ) -> Table:
        """The rows that records of one form hold."""


def load(file: InputFile, begin: str, wanted: Wanted, problems: Problems, *, nested: Nested | None = None) -> Table:
    """Read a JSON file.

    Parameters
    ----------
    begin : str
        Its first character that is no blank.
    wanted : callable
        Chooses the columns of plain records; of records that hold several rows all are read.
    nested : Nested, optional
        How records are read that hold several rows each.

    Raises
    ------
    InputError
        If the file as a whole cannot be read.
    """
    if begin == "[":
        return _of_records(file, "JSON array", lambda found: _array(file, found), wanted, nested, problems)
    first = next((line for line in lines_or_none(file) if line is None or line.strip()), None)
    try:
        opening = _parsed(first) if first is not None else None
    except ValueError:
        opening = None
    if isinstance(opening, dict) and (_has_more_lines(file) or _is_flat(opening)):
        fast = _fast(file, wanted, problems) if nested is None or nested.form_of(opening) is None else None
        if fast is not None:
            if nested is not None:
                nested.may_be_plain(file.name)
            return fast
        return _of_records(file, "JSON Lines", lambda found: _lines(file, found), wanted, nested, problems)
    try:
        document = opening if isinstance(opening, dict) else _document(file)
    except InputError:
        if not _looks_like_lines(file):
            raise
        return _of_records(file, "JSON Lines", lambda found: _lines(file, found), wanted, nested, problems)
    if not isinstance(document, dict):
        raise InputError("The file is neither an object nor a list of them", file=file.name, row=1)
    whole = nested.unpacked if nested is not None else _alone
    return _of_records(file, "JSON", lambda _: whole(document), wanted, nested, problems)


def _alone(document: Mapping[str, Any]) -> Iterator[Record]:
    yield 1, document


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
    file: InputFile,
    title: str,
    records: Callable[[Problems], Iterator[Record]],
    wanted: Wanted,
    nested: Nested | None,
    problems: Problems,
) -> Table:
    """A table of the records, or of the rows that they hold, whichever the first records are."""
    if nested is not None:
        first = itertools.islice(records(Problems()), 20)
        form = next((form for _, record in first if (form := nested.form_of(record))), None)
        if form is not None:
            return nested.table(file.name, form, title, records(problems), Rows(file.name, problems), problems)
        nested.may_be_plain(file.name)
    rows = Rows(file.name, problems, wanted)
    empty = True
    for row, record in records(problems):
        empty = False
        if isinstance(record, dict):
            rows.add(row, record)
        else:
            problems.add(InputError("The record is no object", file=file.name, row=row, value=type(record).__name__))
    if empty and not problems.count:
        raise InputError("The file holds no record", file=file.name, fix="Check that it was saved completely.")
    return rows.table(title)


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


def _fast(file: InputFile, wanted: Wanted, problems: Problems) -> Table | None:
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
    names = tuple(read.column_names)
    arrays = {names[number]: read[names[number]] for number in columns_to_read(file, names, wanted)}
    rows = np.arange(1, n_lines + 1, dtype=np.int64)
    return table_of(file.name, "JSON Lines", arrays, rows, problems, names=names)


def _typed(read: Any) -> Iterator[tuple[str, Any]]:
    return zip(read.column_names, read.schema.types, strict=True)


def _has_long_whole_numbers(column: Any) -> bool:
    """Whether a column of doubles may have been ids too long for an integer: doubles would make several of them one."""
    import pyarrow.compute as pc

    return bool(pc.any(pc.greater_equal(pc.abs(column), 2.0**53)).as_py())
