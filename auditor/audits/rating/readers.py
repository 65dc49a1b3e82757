"""Reading each file form record by record, with flat memory; damage becomes a named bad row.

A line over 16 MiB is passed over in pieces, without being loaded.
"""

import csv
import io
import itertools
import json
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, BinaryIO

from auditor.audits import InputFile
from auditor.audits.rating.conversation import BadRow, Conversation
from auditor.audits.rating.records import Unusable, conversation, from_speakers
from auditor.errors import InputError, printable

MAX_LINE_BYTES = 16 * 1024**2
#: Levels that a record of an array may be nested (ours); conversations need six.
_DEEPEST = 100

Item = Conversation | BadRow
Record = tuple[int, Any]


def made(records: Iterator[Record], make: Callable[[Any, int], Conversation]) -> Iterator[Item]:
    """Conversations made from records, or the reason why not."""
    for row, record in records:
        if isinstance(record, BadRow):
            yield record
            continue
        try:
            yield make(record, row)
        except Unusable as error:
            yield error.bad_row(row)


def _lines(stream: BinaryIO) -> Iterator[bytes | None]:
    """Lines of bytes; None for one over the limit, which is passed over in pieces."""
    while line := stream.readline(MAX_LINE_BYTES + 1):
        if len(line) <= MAX_LINE_BYTES:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(MAX_LINE_BYTES)
        yield None


def json_lines(file: InputFile) -> Iterator[Record]:
    """One JSON value a line; a damaged line is one bad row."""
    with file.path.open("rb") as stream:
        for row, line in enumerate(_lines(stream), start=1):
            if line is None:
                yield row, _too_long(row)
                continue
            line = line.removeprefix(b"\xef\xbb\xbf") if row == 1 else line
            if line.strip():
                yield row, _parsed(line, row)


def _too_long(row: int) -> BadRow:
    return BadRow(row, f"The line has more than {MAX_LINE_BYTES // 1024**2} MiB", fix="Split it.")


def _parsed(line: bytes, row: int) -> object:
    try:
        return json.loads(line.decode())
    except UnicodeDecodeError as error:
        return BadRow(row, "The line is not UTF-8", value=line[error.start : error.start + 4], fix="Save it as UTF-8.")
    except RecursionError:
        return BadRow(row, "The JSON is nested too deeply")
    except ValueError as error:
        return BadRow(row, f"The line is not JSON: {error}", value=line[:60].decode(errors="replace"))


def json_array(file: InputFile) -> Iterator[Record]:
    """Elements of one JSON array, parsed as a stream; damage ends it with a bad row."""
    import ijson

    row = 0
    with file.path.open("rb") as stream:
        if stream.read(3) != b"\xef\xbb\xbf":
            stream.seek(0)
        try:
            events = _shallow(ijson.basic_parse(stream, use_float=True))
            for record in ijson.items(ijson.parse(events), "item"):
                row += 1
                yield row, record
        except (ijson.JSONError, UnicodeError, ValueError, RecursionError, OverflowError) as error:
            reason = printable(" ".join(str(error).split()), 160)
            yield row + 1, BadRow(row + 1, f"The JSON array is damaged here, the rest cannot be read: {reason}")


def _shallow(events: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Events of a JSON parser, down to a depth: what the parser keeps of each level grows with the square of the depth."""
    depth = 0
    for event in events:
        if event[0].startswith("start"):
            depth += 1
            if depth > _DEEPEST:
                raise ValueError(f"it is nested more than {_DEEPEST} levels deep")
        elif event[0].startswith("end"):
            depth -= 1
        yield event


def csv_records(file: InputFile, columns: Sequence[str], delimiter: str) -> Iterator[Record]:
    """Rows of a delimited table as column -> cell; row 1 is the first after the header, which empty lines may precede."""
    csv.field_size_limit(MAX_LINE_BYTES)
    number = 0
    with file.path.open("rb") as stream:
        reader = csv.reader(_csv_lines(stream), delimiter=delimiter, strict=True)
        try:
            for number, cells in enumerate(itertools.dropwhile(operator.not_, reader)):
                if number == 0 or not cells:
                    continue
                if len(cells) != len(columns):
                    problem = f"The row has {len(cells)} cells, the header {len(columns)}"
                    yield number, BadRow(number, problem, fix="Quote cells that hold the separator.")
                else:
                    yield number, dict(zip(columns, cells, strict=True))
        except csv.Error as error:
            yield number + 1, BadRow(number + 1, f"The table is damaged here, the rest cannot be read: {error}")


def _csv_lines(stream: BinaryIO) -> Iterator[str]:
    for number, line in enumerate(_lines(stream)):
        if line is None:
            raise csv.Error(f"a line has more than {MAX_LINE_BYTES // 1024**2} MiB")
        line = line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line
        # Bytes that are no UTF-8 come through as marks that `check_text` finds, so that only their row is lost.
        yield from io.StringIO(line.decode(errors="surrogateescape"), newline="")


def parquet(file: InputFile) -> Any:
    """An opened Parquet file.

    Raises
    ------
    InputError
        If it is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(file.path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"The Parquet file is damaged: {_first_line(error)}", file=file.name) from error


def parquet_records(file: InputFile) -> Iterator[Record]:
    """Rows of a Parquet file, a thousand read at a time."""
    import pyarrow as pa

    row = 0
    with parquet(file) as opened:
        try:
            for batch in opened.iter_batches(batch_size=1000):
                for record in batch.to_pylist():
                    row += 1
                    yield row, record
        except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
            problem = f"The Parquet file is damaged here, the rest cannot be read: {_first_line(error)}"
            yield row + 1, BadRow(row + 1, problem)


def _first_line(error: BaseException) -> str:
    return printable((str(error).splitlines() or [type(error).__name__])[0], 160)


def is_rule(line: str) -> bool:
    """Whether a line of text is a rule of at least three dashes."""
    stripped = line.strip()
    return len(stripped) >= 3 and set(stripped) == {"-"}


def text_items(file: InputFile) -> Iterator[Item]:
    """Conversations from plain text with speakers, separated by rules."""
    with file.path.open("rb") as stream:
        lines: list[str] = []
        start = size = 0
        too_long = False
        for number, line in enumerate(itertools.chain(_lines(stream), [b"---\n"]), start=1):
            text = "" if line is None else line.removeprefix(b"\xef\xbb\xbf").decode(errors="surrogateescape")
            too_long = too_long or line is None or size > MAX_LINE_BYTES
            if not is_rule(text):
                start = start or (number if text.strip() else 0)
                size += len(text)
                if not too_long:
                    lines.append(text)
                continue
            if start:
                yield _too_long(start) if too_long else _text_conversation("".join(lines), start)
            lines, start, size, too_long = [], 0, 0, False


def _text_conversation(text: str, row: int) -> Item:
    try:
        return conversation(from_speakers(text), row)
    except Unusable as error:
        return error.bad_row(row)
