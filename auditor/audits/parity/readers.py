"""Reading a table by columns, whatever its format: recognised by content and ending, every damaged row named.

Nothing is guessed from values: cells stay texts until a check asks for numbers. No reader here unpickles or evaluates.
"""

import codecs
import csv
import io
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.audits import InputFile
from auditor.audits.parity.columnar import MOST_ROWS, Column, Problems, Table, table_of
from auditor.errors import InputError, printable

HEAD_BYTES = 64 * 1024
#: A row that is longer is refused: mostly a quote that was never closed.
MOST_ROW_BYTES = 16 * 1024**2

#: Chooses the columns to read from those that there are.
Wanted = Callable[[tuple[str, ...]], Collection[str]]

_TREC = ("qid", "Q0", "docid", "rank", "score", "tag")
_TREC_FIELDS = {"query_id": "qid", "item_id": "docid", "rank": "rank", "score": "score"}
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
_TABLE_ENDINGS = ("csv", "tsv", "tab", "txt")


def every(names: tuple[str, ...]) -> Collection[str]:
    """Wants every column."""
    return names


def load(file: InputFile, preset: str, wanted: Wanted, problems: Problems) -> Table:
    """Read the columns of a file that are wanted.

    Parameters
    ----------
    preset : str
        "auto", or the format that the person declared for results; a file of another format is refused.
    problems : Problems
        Takes every row that cannot be read.

    Raises
    ------
    InputError
        If the file as a whole cannot be read.
    """
    try:
        return _load(file, preset, wanted, problems)
    except OSError as error:
        raise InputError(f"The file cannot be read: {error.strerror or error}", file=file.name) from error
    except MemoryError:
        raise InputError("The file does not fit into memory", file=file.name) from None


def _load(file: InputFile, preset: str, wanted: Wanted, problems: Problems) -> Table:
    from auditor.audits.parity import json_tables, presets

    with file.path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    _check_head(file, head)
    ending = file.name.lower().rpartition(".")[2]
    if head[:4] == b"PAR1":
        _expect(file, preset, ("auto", "long"), "Parquet")
        return _parquet(file, wanted, problems)
    if head[:6] == b"\x93NUMPY" or (head[:4] == b"PK\x03\x04" and ending == "npz"):
        _expect(file, preset, ("auto", "milvus", "faiss"), "a numpy matrix")
        return presets.numpy_matrix(file, problems)
    if head[:4] == b"PK\x03\x04":
        raise InputError(
            "The file is a spreadsheet or an archive", file=file.name, fix="Save the sheet as CSV (UTF-8)."
        )
    text = head.removeprefix(b"\xef\xbb\xbf").decode(errors="replace")
    begin = text.lstrip()[:1]
    if not begin:
        raise InputError("The file is empty" if not head else "The file begins with blanks only", file=file.name)
    if begin in "[{" and ending not in ("csv", "tsv", "tab"):
        return json_tables.load(file, begin, preset, problems)
    if preset == "trec" or (preset == "auto" and _is_trec(text)):
        return _trec(file, text, wanted, problems)
    _expect(file, preset, ("auto", "long"), "a table")
    if ending in _TABLE_ENDINGS:
        return _table(file, text, ending, wanted, problems)
    raise InputError(
        "The format is not recognised",
        file=file.name,
        row=1,
        value=text.lstrip()[:40],
        fix="Use CSV, TSV, JSON, JSON Lines or Parquet with a matching ending, a TREC run, or the JSON of a search engine.",
    )


def _check_head(file: InputFile, head: bytes) -> None:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or head[:4] == b"\x00\x00\xfe\xff":
        raise InputError("The file is UTF-16 or UTF-32", file=file.name, fix="Save it as UTF-8.")
    if len(head) >= 8 and head[1:8:2] == b"\0\0\0\0" and head[:6] != b"\x93NUMPY":
        raise InputError("The file looks like UTF-16", file=file.name, fix="Save it as UTF-8.")


def _expect(file: InputFile, preset: str, fitting: tuple[str, ...], what: str) -> None:
    if preset not in fitting:
        raise InputError(
            f"The file is {what}, but the format was set to {preset}",
            file=file.name,
            fix="Set Format to auto, or give another file.",
        )


# ---- delimited text


def _table(file: InputFile, text: str, ending: str, wanted: Wanted, problems: Problems) -> Table:
    blank = len(text) - len(text.lstrip("\r\n"))
    skipped = len(text[:blank].splitlines())
    body = text[blank:]
    first = body.splitlines()[0]
    delimiter = "," if ending == "csv" else "\t"
    if delimiter not in first:
        delimiter = max(",;\t", key=first.count)
    try:
        names = tuple(name.strip() for name in next(csv.reader(io.StringIO(body, newline=""), delimiter=delimiter)))
    except (csv.Error, StopIteration) as error:
        raise InputError(f"The header cannot be read: {error}", file=file.name, row=1) from error
    if "\0" in "".join(names):
        raise InputError("The header holds NUL characters: this is no text file", file=file.name, row=1 + skipped)
    used = _columns_to_read(file, names, wanted)
    _check_quotes(file, delimiter)
    arrays, rows = _delimited(file, names, used, delimiter, skipped, True, problems)
    title = f"Table separated by {_SEPARATORS[delimiter]}"
    table = table_of(file.name, title, arrays, rows, problems, names=names)
    _name_replaced(file, table, problems)
    return table


def _columns_to_read(file: InputFile, names: tuple[str, ...], wanted: Wanted) -> list[int]:
    chosen = set(wanted(names))
    for name in chosen:
        if names.count(name) > 1:
            raise InputError(
                "Two columns have this name", file=file.name, row=1, column=name, fix="Rename one of them."
            )
    return [number for number, name in enumerate(names) if name in chosen]


def _delimited(
    file: InputFile,
    names: Sequence[str],
    used: Sequence[int],
    delimiter: str,
    skipped: int,
    has_header: bool,
    problems: Problems,
) -> tuple[dict[str, Any], NDArray[np.int64]]:
    """Columns of a delimited file as dictionaries of bytes, and the row of every record."""
    import pyarrow as pa
    import pyarrow.csv as pc

    ragged: list[int] = []
    first = skipped + 1

    def on_ragged(row: Any) -> str:
        number = int(row.number) + skipped
        ragged.append(number)
        problems.add(
            InputError(
                f"The row has {row.actual_columns} cells, the table {row.expected_columns} columns",
                file=file.name,
                row=number,
                value=row.text[:100],
                fix="Quote cells that hold the separator.",
            )
        )
        return "skip"

    # Columns are known by number here: a header may hold anything.
    numbers = [str(number) for number in range(len(names))]
    read = [numbers[number] for number in (used or [0])]
    try:
        with _as_utf8(file) as stream:
            table = pc.read_csv(
                stream,
                read_options=pc.ReadOptions(
                    use_threads=False,  # row numbers are told by the serial reader only
                    block_size=MOST_ROW_BYTES,
                    column_names=numbers,
                    skip_rows=skipped,
                    skip_rows_after_names=1 if has_header else 0,
                ),
                parse_options=pc.ParseOptions(
                    delimiter=delimiter,
                    quote_char='"' if has_header else False,
                    newlines_in_values=has_header,
                    ignore_empty_lines=False,
                    invalid_row_handler=on_ragged,
                ),
                convert_options=pc.ConvertOptions(
                    column_types={number: pa.dictionary(pa.int32(), pa.binary()) for number in read},
                    include_columns=read,
                    strings_can_be_null=False,
                    check_utf8=False,
                ),
            )
    except (pa.ArrowException, UnicodeError, ValueError) as error:
        if "straddling" in str(error) or "block size" in str(error):
            raise InputError(
                f"A row has more than {MOST_ROW_BYTES // 1024**2} MiB",
                file=file.name,
                fix="Look for a quote that is never closed.",
            ) from error
        raise InputError(f"The table is damaged: {first_line(error)}", file=file.name) from error
    rows = np.arange(table.num_rows + len(ragged), dtype=np.int64) + first + has_header
    if ragged:
        places = np.array(ragged) - first - has_header
        if places.min() < 0 or places.max() >= len(rows):
            # A quoted line break before it: pyarrow counts such rows otherwise, and no row could be named rightly.
            raise InputError(
                "The table is damaged: cells are missing or too many in a row, and quotes hide which",
                file=file.name,
                fix="Look for a quote that is never closed, or for a line break inside a cell.",
            )
        rows = np.delete(rows, places)
    return {names[number]: table[numbers[number]] for number in used}, rows


def _as_utf8(file: InputFile) -> Any:
    """The file for pyarrow, whose handler of bad rows gives up on bytes that are no UTF-8: those become U+FFFD."""
    import pyarrow as pa

    if is_utf8(file):
        return pa.OSFile(str(file.path))
    return pa.BufferReader(file.path.read_bytes().decode(errors="replace").encode())


def is_utf8(file: InputFile) -> bool:
    """Whether all bytes of a file are UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with file.path.open("rb") as stream:
            while block := stream.read(MOST_ROW_BYTES):
                decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _name_replaced(file: InputFile, table: Table, problems: Problems) -> None:
    """Add cells with bytes that were no UTF-8, which were replaced by U+FFFD, to the problems."""
    import pyarrow.compute as pc

    for name, column in table.columns.items():
        bad = np.append(np.asarray(pc.match_substring(column.texts, "\ufffd"), np.bool_), False)
        rows = np.flatnonzero(bad[column.codes])
        if len(rows) and not is_utf8(file):
            problems.add_rows(rows, partial(_not_utf8, table, name, column))


def _not_utf8(table: Table, name: str, column: Column, row: int) -> InputError:
    fix = "Save the file as UTF-8."
    return InputError(
        "The cell is not UTF-8", file=table.file, row=table.row(row), column=name, value=column.text(row), fix=fix
    )


def _check_quotes(file: InputFile, delimiter: str) -> None:
    """Refuse a file whose last quote is never closed: a reader would take the rest of the file for one cell."""
    quotes = 0
    with file.path.open("rb") as stream:
        while block := stream.read(MOST_ROW_BYTES):
            quotes += block.count(b'"')
    if quotes % 2 == 0:
        return
    with file.path.open(encoding="utf-8-sig", errors="replace", newline="") as text:
        csv.field_size_limit(MOST_ROW_BYTES)
        reader = csv.reader(text, delimiter=delimiter)
        record, last = 0, ""
        try:
            for cells in reader:
                record, last = record + 1, cells[-1] if cells else ""
        except csv.Error:
            record, last = record + 1, "\n"
    if "\n" in last or "\r" in last:
        raise InputError(
            "A quoted cell that begins here is never closed",
            file=file.name,
            row=record,
            value=last[:60],
            fix='Write " as "".',
        )


# ---- TREC


def _is_trec(text: str) -> bool:
    cells = text.lstrip("\r\n").splitlines()[0].split()
    return len(cells) == 6 and cells[1].upper() == "Q0"


def _trec(file: InputFile, text: str, wanted: Wanted, problems: Problems) -> Table:
    first = text.lstrip("\r\n").splitlines()[0]
    delimiter = "\t" if first.count("\t") == 5 else " "
    used = [number for number, name in enumerate(_TREC) if name in {*wanted(_TREC), *_TREC_FIELDS.values()}]
    arrays: dict[str, Any] = {}
    rows = np.zeros(0, np.int64)
    found = Problems()
    if first.count(delimiter) == 5:
        arrays, rows = _delimited(file, _TREC, used, delimiter, 0, False, found)
    if found.count or not arrays or not is_utf8(file):  # several blanks between cells: split line by line
        arrays, rows = _trec_lines(file, used, problems)
    return table_of(file.name, "TREC run", arrays, rows, problems, names=_TREC, fields=_TREC_FIELDS)


def _trec_lines(file: InputFile, used: Sequence[int], problems: Problems) -> tuple[dict[str, Any], NDArray[np.int64]]:
    import pyarrow as pa

    cells: list[list[bytes]] = [[] for _ in used]
    rows = []
    for row, line in enumerate(lines(file), start=1):
        found = line.split()
        if len(found) == 6:
            rows.append(row)
            for column, number in zip(cells, used, strict=True):
                column.append(found[number])
        elif found:
            problems.add(
                InputError(
                    f"The line has {len(found)} cells, a TREC run 6",
                    file=file.name,
                    row=row,
                    value=line[:80].decode(errors="replace"),
                    fix="Write: query Q0 document rank score tag.",
                )
            )
    arrays = {_TREC[number]: pa.array(column, pa.binary()) for column, number in zip(cells, used, strict=True)}
    return arrays, np.array(rows, np.int64)


def lines(file: InputFile) -> Iterator[bytes]:
    """Lines of a file, without a byte order mark.

    Raises
    ------
    InputError
        If a line is longer than `MOST_ROW_BYTES`.
    """
    with file.path.open("rb") as stream:
        row = 0
        while line := stream.readline(MOST_ROW_BYTES + 1):
            row += 1
            if len(line) > MOST_ROW_BYTES:
                raise InputError(f"The line has more than {MOST_ROW_BYTES // 1024**2} MiB", file=file.name, row=row)
            yield line.removeprefix(b"\xef\xbb\xbf") if row == 1 else line


# ---- Parquet


def _parquet(file: InputFile, wanted: Wanted, problems: Problems) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file.path) as opened:
            if not 0 <= opened.metadata.num_rows <= MOST_ROWS:
                raise InputError(f"The file says that it has {opened.metadata.num_rows:,} rows", file=file.name)
            names = tuple(str(name) for name in opened.schema_arrow.names)
            used = [names[number] for number in _columns_to_read(file, names, wanted)]
            read = opened.read(columns=used, use_threads=False)
            n_rows = opened.metadata.num_rows if not used else read.num_rows
        arrays = {name: read[name] for name in used}
        return table_of(file.name, "Parquet", arrays, np.arange(1, n_rows + 1), problems, names=names)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise InputError(f"The Parquet file is damaged: {first_line(error)}", file=file.name) from error


def from_arrow(table: Any, name: str, wanted: Wanted, problems: Problems) -> Table:
    """A pyarrow.Table in memory as a file of this name would be read; rows count from 1."""
    names = tuple(str(column) for column in table.column_names)
    arrays = {column: table[column] for column in names if column in set(wanted(names))}
    return table_of(name, "Table in memory", arrays, np.arange(1, table.num_rows + 1), problems, names=names)


def first_line(error: BaseException) -> str:
    """What an error says, as one short printable line."""
    return printable((str(error).splitlines() or [type(error).__name__])[0], 160)
