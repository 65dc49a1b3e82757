"""Tables separated by commas, semicolons or tabs: every damaged row is named where a person sees it."""

import csv
import io
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.audits import InputFile
from auditor.audits.reading.columnar import Column, Problems, Table, table_of
from auditor.audits.reading.text import MOST_ROW_BYTES, first_line, is_utf8
from auditor.errors import InputError

#: Chooses the columns to read from those that there are.
Wanted = Callable[[tuple[str, ...]], Collection[str]]

_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}


def table(file: InputFile, text: str, ending: str, wanted: Wanted, problems: Problems) -> Table:
    """Read a delimited table with a header.

    Parameters
    ----------
    text : str
        The beginning of the file.
    ending : str
        Of its name, in lower case and without the point.

    Raises
    ------
    InputError
        If the file as a whole cannot be read.
    """
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
        raise InputError(f"The header cannot be read: {error}", file=file.name, row=1 + skipped) from error
    if "\0" in "".join(names):
        raise InputError("The header holds NUL characters: this is no text file", file=file.name, row=1 + skipped)
    used = columns_to_read(file, names, wanted, row=1 + skipped)
    _check_quotes(file, delimiter)
    arrays, rows = columns(file, names, used, delimiter, skipped, True, problems)
    title = f"Table separated by {_SEPARATORS[delimiter]}"
    found = table_of(file.name, title, arrays, rows, problems, names=names)
    _name_replaced(file, found, problems)
    return found


def columns_to_read(file: InputFile, names: tuple[str, ...], wanted: Wanted, *, row: int | None = None) -> list[int]:
    """Places of the columns that are wanted; `row` is that of the header, where there is one."""
    chosen = set(wanted(names))
    for name in chosen:
        if names.count(name) > 1:
            raise InputError(
                "Two columns have this name", file=file.name, row=row, column=name, fix="Rename one of them."
            )
    return [number for number, name in enumerate(names) if name in chosen]


def columns(
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
        number = int(row.number)  # counts rows that were skipped too, and a row with a quoted line break once
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
    rows = np.delete(rows, np.array(ragged, np.int64) - first - has_header)
    return {names[number]: table[numbers[number]] for number in used}, rows


def _as_utf8(file: InputFile) -> Any:
    """The file for pyarrow, whose handler of bad rows gives up on bytes that are no UTF-8: those become U+FFFD."""
    import pyarrow as pa

    if is_utf8(file):
        return pa.OSFile(str(file.path))
    return pa.BufferReader(file.path.read_bytes().decode(errors="replace").encode())


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
