"""Reading conversation files: recognised by content and name, streamed, every bad record named.

Memory stays flat: one record is held at a time. A conversation is known by its row; ids may repeat.
"""

import csv
import itertools
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from auditor.audits import InputFile, Preview
from auditor.audits.rating.conversation import BadRow, Conversation
from auditor.audits.rating.readers import (
    Item,
    csv_records,
    is_rule,
    json_array,
    json_lines,
    long_items,
    made,
    parquet,
    parquet_records,
    text_items,
)
from auditor.audits.rating.records import Unusable, from_json, from_speakers, from_wide, kind_of
from auditor.errors import InputError, printable

PREVIEW_ROWS = 50
PREVIEW_PROBLEMS = 1000
FIELDS = ("id", "group", "role", "text", "prompt", "response", "context")

_HEAD_BYTES = 64 * 1024
#: Column names that are taken for a field when nobody has mapped it; shown in the preview before anything runs.
_USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "conversation_id", "dialog_id"),
    "group": ("group", "context_id"),
    "role": ("role", "speaker", "from"),
    "text": ("text", "content", "message", "value"),
    "prompt": ("prompt", "question", "instruction", "input"),
    "response": ("response", "answer", "output", "completion", "reply"),
    "context": ("context", "history"),
}
_JSON_TITLES = {"openai": "OpenAI chat", "sharegpt": "ShareGPT", "hh": "HH-RLHF"}


@dataclass(frozen=True)
class Format:
    """What a file turned out to be."""

    kind: str
    title: str
    columns: tuple[str, ...] = ()
    mapping: Mapping[str, str] | None = None
    delimiter: str = ","


def recognise(file: InputFile, mapping: Mapping[str, str]) -> Format:
    """Tell a file's format from its first bytes and its name.

    Raises
    ------
    InputError
        If the file is empty, unreadable, not UTF-8, or of no known format; says what is needed.
    """
    unknown = sorted(set(mapping) - set(FIELDS))
    if unknown:
        raise InputError(
            "The mapping names a field that does not exist", column=unknown[0], fix=f"Fields: {', '.join(FIELDS)}."
        )
    try:
        with file.path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError as error:
        raise InputError(f"The file cannot be read: {error.strerror}", file=file.name) from error
    if head[:4] == b"PAR1":
        return _parquet_format(file, mapping)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError("The file is UTF-16", file=file.name, fix="Save it as UTF-8.")
    text = head.removeprefix(b"\xef\xbb\xbf").decode(errors="surrogateescape")
    begin = text.lstrip()[:1]
    if not begin:
        raise InputError("The file is empty" if not head else "The file begins with blanks only", file=file.name)
    ending = file.name.lower().rpartition(".")[2]
    if ending in ("csv", "tsv", "tab"):
        return _csv_format(file, text, ending, mapping)
    if begin == "[":
        return _json_format("array", "JSON array", file, mapping)
    if begin == "{":
        return _json_format("lines", "JSON Lines", file, mapping)
    if ending in ("jsonl", "ndjson", "json"):
        raise InputError("The file does not begin with { or [", file=file.name, row=1, value=text[:40])
    try:
        from_speakers("\n".join(itertools.takewhile(lambda line: not is_rule(line), text.strip().splitlines()[:200])))
    except Unusable:
        raise InputError(
            "The format is not recognised",
            file=file.name,
            row=1,
            value=text[:40],
            fix="Use JSON Lines, a JSON array, CSV, TSV or Parquet with a matching ending, or text with 'User:' lines.",
        ) from None
    return Format("text", "Plain text with speakers; lines of --- between conversations")


def _json_format(kind: str, title: str, file: InputFile, mapping: Mapping[str, str]) -> Format:
    records = json_lines(file) if kind == "lines" else json_array(file)
    for _, record in itertools.islice(records, PREVIEW_ROWS):
        if isinstance(record, dict) and (form := kind_of(record, mapping)):
            columns = tuple(str(key) for key in record) if form == "hh" else ()
            return Format(kind, f"{_JSON_TITLES[form]}, {title}", columns, dict(mapping))
    return Format(kind, f"{title} of unknown form", (), dict(mapping))


def _csv_format(file: InputFile, text: str, ending: str, mapping: Mapping[str, str]) -> Format:
    first = text.lstrip("\r\n").splitlines()[0]
    delimiter = "," if ending == "csv" else "\t"
    if delimiter not in first:
        delimiter = max(",;\t", key=first.count)
    try:
        columns = tuple(next(csv.reader([first], delimiter=delimiter)))
    except (csv.Error, StopIteration) as error:
        raise InputError(f"The header cannot be read: {error}", file=file.name, row=1) from error
    used = map_columns(file.name, columns, mapping)
    names = {",": "comma", ";": "semicolon", "\t": "tab"}
    return Format("csv", f"Table separated by {names[delimiter]}", columns, used, delimiter)


def _parquet_format(file: InputFile, mapping: Mapping[str, str]) -> Format:
    with parquet(file) as opened:
        columns = tuple(str(name) for name in opened.schema_arrow.names)
    return Format("parquet", "Parquet", columns, map_columns(file.name, columns, mapping))


def map_columns(file: str, columns: tuple[str, ...], mapping: Mapping[str, str]) -> dict[str, str]:
    """Which column is read as which field.

    Raises
    ------
    InputError
        If a mapped column is not there, or neither role + text nor response is known.
    """
    for field, column in mapping.items():
        if column not in columns:
            raise InputError(
                f"The column for {field} is not in the file", file=file, column=column, fix=f"It has: {_list(columns)}."
            )
    used = dict(mapping)
    lower = {column.strip().lower(): column for column in reversed(columns)}
    for field, names in _USUAL_NAMES.items():
        found = next((lower[name] for name in names if name in lower), None)
        if field not in used and found is not None and found not in used.values():
            used[field] = found
    if "response" in used:
        return {field: column for field, column in used.items() if field not in ("role", "text")}
    if {"id", "role", "text"} <= set(used):
        return {field: column for field, column in used.items() if field in ("id", "group", "role", "text")}
    raise UnclearColumns(file, columns)


class UnclearColumns(InputError):
    """A table that can be read once somebody says which columns hold the conversation."""

    def __init__(self, file: str, columns: tuple[str, ...]) -> None:
        self.columns = columns
        super().__init__(
            "It is not clear which columns hold the conversation",
            file=file,
            fix=f"Map response (and prompt), or id, role and text. The file has: {_list(columns)}.",
        )


def _list(columns: tuple[str, ...]) -> str:
    return ", ".join(printable(column, 40) for column in columns[:20])


def conversations(
    file: InputFile, mapping: Mapping[str, str], *, on_bad: Callable[[BadRow], None], limit: int | None = None
) -> Iterator[Conversation]:
    """Conversations of a file, in order, one at a time.

    Parameters
    ----------
    on_bad : callable
        Called with every record that cannot be rated.
    limit : int, optional
        Stop after so many conversations.

    Raises
    ------
    InputError
        If the file as a whole cannot be read.
    """
    given = 0
    for item in _items(file, recognise(file, mapping)):
        if limit is not None and given >= limit:
            return
        if isinstance(item, BadRow):
            on_bad(item)
        else:
            given += 1
            yield item


def count(file: InputFile, mapping: Mapping[str, str], limit: int | None = None) -> int:
    """Number of conversations that would be rated."""
    return sum(1 for _ in conversations(file, mapping, on_bad=lambda _: None, limit=limit))


def conversation_at(file: InputFile, mapping: Mapping[str, str], row: int) -> Conversation:
    """The conversation of a row.

    Raises
    ------
    InputError
        If the file has no usable conversation there.
    """
    for found in conversations(file, mapping, on_bad=lambda _: None):
        if found.row == row:
            return found
    raise InputError("There is no conversation in this row", file=file.name, row=row)


def conversations_at(file: InputFile, mapping: Mapping[str, str], rows: AbstractSet[int]) -> Iterator[Conversation]:
    """The conversations of some rows, in the order of the file, which is read once and no further than needed."""
    left = len(rows)
    for found in conversations(file, mapping, on_bad=lambda _: None):
        if found.row in rows:
            yield found
            left -= 1
            if not left:
                return


def preview(file: InputFile, mapping: Mapping[str, str]) -> Preview:
    """Read the whole file once: the first rows, every problem, the counts."""
    try:
        form = recognise(file, mapping)
    except UnclearColumns as error:
        return Preview("Table", error.columns, dict(mapping), (), (str(error),), 0, 1)
    rows: list[Mapping[str, str]] = []
    problems: list[str] = []
    n_rows = n_problems = 0
    for item in _items(file, form):
        if isinstance(item, BadRow):
            n_problems += 1
            if len(problems) < PREVIEW_PROBLEMS:
                problems.append(item.sentence(file.name))
            continue
        n_rows += 1
        if len(rows) < PREVIEW_ROWS:
            rows.append(_preview_row(item))
    return Preview(form.title, form.columns, form.mapping or {}, tuple(rows), tuple(problems), n_rows, n_problems)


def _preview_row(item: Conversation) -> dict[str, str]:
    last = next(turn.text for turn in reversed(item.turns) if turn.role == "assistant")
    return {
        "row": str(item.row),
        "id": item.id,
        "group": item.group or "",
        "turns": str(len(item.turns)),
        "last reply": printable(" ".join(last.split()), 160)[1:-1],
    }


def _items(file: InputFile, form: Format) -> Iterator[Item]:
    is_empty = True
    for item in _read(file, form):
        is_empty = False
        yield item
    if is_empty:
        raise InputError("The file holds no record", file=file.name, fix="Check that it was saved completely.")


def _read(file: InputFile, form: Format) -> Iterator[Item]:
    mapping = form.mapping or {}
    try:
        if form.kind == "text":
            yield from text_items(file)
        elif form.kind == "lines":
            yield from made(json_lines(file), lambda record, row: from_json(record, row, mapping))
        elif form.kind == "array":
            yield from made(json_array(file), lambda record, row: from_json(record, row, mapping))
        else:
            records = csv_records(file, form.columns, form.delimiter) if form.kind == "csv" else parquet_records(file)
            if "response" in mapping:
                yield from made(records, lambda record, row: from_wide(record, row, mapping))
            else:
                yield from long_items(records, mapping)
    except OSError as error:
        raise InputError(f"The file cannot be read: {error.strerror or error}", file=file.name) from error
