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
from auditor.audits.rating.prompt import Scope
from auditor.audits.rating.readers import (
    Item,
    Record,
    csv_records,
    is_rule,
    json_array,
    json_lines,
    made,
    parquet,
    parquet_records,
    text_items,
)
from auditor.audits.rating.records import Unusable, from_json, from_speakers, from_wide, hh_field, kind_of
from auditor.audits.rating.turn_tables import turn_items
from auditor.errors import InputError, printable

PREVIEW_ROWS = 50
PREVIEW_PROBLEMS = 1000
FIELDS = ("id", "group", "role", "text", "prompt", "response", "context")

_HEAD_BYTES = 64 * 1024
_NO_REPLY = "Leave the record out, or rate the whole conversation."
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
#: Field of a record in which each form has its turns; that of HH-RLHF can be mapped.
_JSON_TURNS = {"openai": "messages", "sharegpt": "conversations"}


@dataclass(frozen=True)
class Format:
    """What a file turned out to be.

    Attributes
    ----------
    columns : tuple of str
        Columns, or keys of the first records, that can be mapped.
    mapping : mapping
        Field -> column that is read, whether somebody said so or the name was taken for it.
    fields : tuple of str
        Fields that can be mapped in this form.
    """

    kind: str
    title: str
    columns: tuple[str, ...] = ()
    mapping: Mapping[str, str] | None = None
    delimiter: str = ","
    fields: tuple[str, ...] = FIELDS

    @property
    def unread(self) -> tuple[str, ...]:
        """Columns that nothing is read from, in their order."""
        used = set((self.mapping or {}).values())
        return tuple(column for column in self.columns if column not in used)

    @property
    def unread_words(self) -> str:
        """The same as a sentence; empty if everything is read."""
        what = "Columns" if self.kind in ("csv", "parquet") else "Fields"
        return f"{what} that are not read: {_list(self.unread)}." if self.unread else ""


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
    first = [record for _, record in itertools.islice(records, PREVIEW_ROWS) if isinstance(record, dict)]
    known = next((record for record in first if kind_of(record, mapping)), None)
    form = kind_of(known, mapping) if known is not None else None
    keys = tuple(dict.fromkeys(key for record in first for key in record if key != _JSON_TURNS.get(form or "")))
    fields = ("id", "group") if form in _JSON_TURNS else ("id", "group", "text")
    for field, key in mapping.items():
        if field not in fields:
            fix = f"Fields that can be mapped: {', '.join(fields)}."
            raise InputError("Records of this form do not have this field", file=file.name, column=field, fix=fix)
        if first and key not in keys:
            fix = f"They have: {_list(keys)}."
            raise InputError(
                f"None of the first records has the field mapped to {field}",
                file=file.name,
                column=key,
                fix=fix,
            )
    if known is None or form is None:
        return Format(kind, f"{title} of unknown form", keys, dict(mapping), fields=fields)
    used = {field: field for field in ("id", "group") if field in keys} | dict(mapping)
    if form == "hh":
        used["text"] = hh_field(known, mapping)
    return Format(kind, f"{_JSON_TITLES[form]}, {title}", keys, used, fields=fields)


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
        If a mapped column is not there, stands twice or would not be used, or neither role + text nor response is
        known.
    """
    for field, column in mapping.items():
        if column not in columns:
            raise InputError(
                f"The column for {field} is not in the file", file=file, column=column, fix=f"It has: {_list(columns)}."
            )
    if "response" in mapping and (turned := next((f for f in ("role", "text") if f in mapping), None)):
        raise InputError(
            f"A table has a response in each row or a turn in each row, not both: response and {turned} are mapped",
            file=file,
            column=mapping[turned],
            fix="Map response (and prompt, context), or id, role and text.",
        )
    used = dict(mapping)
    lower = {column.strip().lower(): column for column in reversed(columns)}
    for field, names in _USUAL_NAMES.items():
        found = next((lower[name] for name in names if name in lower), None)
        if field not in used and found is not None and found not in used.values():
            used[field] = found
    # What somebody said comes before what a name is taken for.
    if "response" in used and not {"role", "text"} & set(mapping):
        chosen = {field: column for field, column in used.items() if field not in ("role", "text")}
    elif {"id", "role", "text"} <= set(used):
        chosen = {field: column for field, column in used.items() if field in ("id", "group", "role", "text")}
    else:
        raise UnclearColumns(file, columns)
    for column in chosen.values():
        if columns.count(column) > 1:
            raise InputError("The column stands twice", file=file, column=column, fix="Rename or remove one of them.")
    unused = sorted(set(mapping) - set(chosen))
    if unused:
        raise InputError(
            f"The field {unused[0]} is not used in a table with "
            + ("a response in each row" if "response" in chosen else "a turn in each row"),
            file=file,
            column=mapping[unused[0]],
            fix=f"Leave it out; fields that are used: {', '.join(chosen)}.",
        )
    return chosen


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


def mapping_of(file: InputFile, mapping: Mapping[str, str]) -> Mapping[str, str]:
    """Which columns a run reads that was asked with a mapping; as it was asked where the file cannot be read any more."""
    try:
        return recognise(file, mapping).mapping or {}
    except InputError:
        return mapping


def conversations(
    file: InputFile,
    mapping: Mapping[str, str],
    *,
    on_bad: Callable[[BadRow], None],
    limit: int | None = None,
    scope: Scope = "conversation",
) -> Iterator[Conversation]:
    """Conversations of a file, in order, one at a time.

    Parameters
    ----------
    scope : str
        What is rated of them: where it is the last reply, one whose last reply is empty cannot be rated.
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
    for item in _items(file, recognise(file, mapping), scope):
        if limit is not None and given >= limit:
            return
        if isinstance(item, BadRow):
            on_bad(item)
        else:
            given += 1
            yield item


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


def preview(file: InputFile, mapping: Mapping[str, str], scope: Scope = "conversation") -> Preview:
    """Read the whole file once: the first rows, every problem, the counts."""
    try:
        form = recognise(file, mapping)
    except UnclearColumns as error:
        return Preview("Table", error.columns, dict(mapping), (), (str(error),), 0, 1, fields=FIELDS)
    rows: list[Mapping[str, str]] = []
    problems: list[str] = []
    n_rows = n_problems = 0
    for item in _items(file, form, scope):
        if isinstance(item, BadRow):
            n_problems += 1
            if len(problems) < PREVIEW_PROBLEMS:
                problems.append(item.sentence(file.name))
            continue
        n_rows += 1
        if len(rows) < PREVIEW_ROWS:
            rows.append(_preview_row(item))
    return Preview(
        form.title,
        form.columns,
        form.mapping or {},
        tuple(rows),
        tuple(problems),
        n_rows,
        n_problems,
        fields=form.fields,
        unread=form.unread_words,
    )


def _preview_row(item: Conversation) -> dict[str, str]:
    return {
        "row": str(item.row),
        "id": item.id,
        "group": item.group or "",
        "turns": str(len(item.turns)),
        "last reply": printable(" ".join(_last_reply(item).split()), 160)[1:-1],
    }


def _items(file: InputFile, form: Format, scope: Scope) -> Iterator[Item]:
    is_empty = True
    for item in _read(file, form):
        is_empty = False
        is_reply_missing = scope == "last_response" and isinstance(item, Conversation) and not _last_reply(item)
        yield BadRow(item.row, "The last reply is empty", fix=_NO_REPLY) if is_reply_missing else item
    if is_empty:
        raise InputError("The file holds no record", file=file.name, fix="Check that it was saved completely.")


def _last_reply(item: Conversation) -> str:
    return next(turn.text for turn in reversed(item.turns) if turn.role == "assistant").strip()


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
            if "response" in mapping:
                yield from made(_rows(file, form), lambda record, row: from_wide(record, row, mapping))
            else:
                yield from turn_items(lambda: _rows(file, form), mapping)
    except OSError as error:
        raise InputError(f"The file cannot be read: {error.strerror or error}", file=file.name) from error


def _rows(file: InputFile, form: Format) -> Iterator[Record]:
    return csv_records(file, form.columns, form.delimiter) if form.kind == "csv" else parquet_records(file)
