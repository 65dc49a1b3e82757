"""Tables -> labelled texts: which column is what, and every row that cannot be used, by name."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from auditor.audits.findings import Caution
from auditor.audits.guard.spec import GuardSpec
from auditor.audits.reading.columnar import Problems, Table
from auditor.audits.reading.names import candidates, did_you_mean, match
from auditor.errors import InputError, printable

#: Names, in lower case, that are taken for a field when nobody has mapped it; the first one wins over the others.
USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "text": ("text", "sentence", "review", "tweet", "comment", "message", "content", "question", "input", "query"),
    "label": ("label", "sentiment", "class", "category", "target", "answer", "output", "stance"),
    "id": ("id", "query_id", "text_id", "row_id", "idx", "guid", "uid"),
    "group": ("group", "group_id", "author", "author_id", "user", "user_id", "document", "document_id"),
}
NEEDED = ("text", "label")


@dataclass(frozen=True)
class Row:
    """A labelled text as it stands in a file.

    Attributes
    ----------
    id, text, label, group : str
        The id is the row's number where the file has no ids; group and label may be empty.
    place : int
        Row of the file, as a person counts it.
    """

    id: str
    text: str
    label: str
    group: str
    place: int


def named(field: str) -> str:
    """A setting as messages call it: its title on the form, in curly quotes."""
    return f"“{GuardSpec.model_fields[field].title}”"


def fields_of(names: tuple[str, ...], mapping: Mapping[str, str]) -> dict[str, str]:
    """Field -> column, as far as it can be told; see `column_problems` for what cannot."""
    found: dict[str, str] = {}
    for field, usual in USUAL_NAMES.items():
        if mapping.get(field):
            column = match(names, mapping[field])
        else:
            options = candidates(names, usual, set(found.values()))
            column = options[0] if len(options) == 1 else None
        if column is not None:
            found[field] = column
    return found


def column_problems(table: Table, mapping: Mapping[str, str], problems: Problems, *, is_queries: bool) -> None:
    """Add columns that are missing, and fields that two columns could be.

    Parameters
    ----------
    is_queries : bool
        Whether a column that the person named must be in this file; of the others, only what is needed must.
    """
    found = fields_of(table.names, mapping)
    for field, usual in USUAL_NAMES.items():
        if field in found:
            continue
        options = candidates(table.names, usual, set(found.values()))
        if not mapping.get(field) and len(options) > 1:
            listed = ", ".join(printable(name, 40) for name in options)
            problems.add(
                InputError(
                    f"Several columns could be {field}",
                    file=table.file,
                    column=options[0],
                    fix=f"Say which one it is in {named('mapping')}: {listed}.",
                )
            )
        elif field in NEEDED or (mapping.get(field) and is_queries):
            problems.add(_missing(table, mapping.get(field) or field, field))


def _missing(table: Table, column: str, field: str) -> InputError:
    other = f"Add it, or name another column in {named('mapping')}."
    fix = f"{other} The file has: {table.listed()}.{did_you_mean(column, table.names)}"
    return InputError(f"The column for {field} is missing", file=table.file, column=column, fix=fix)


def rows_of(table: Table, fields: Mapping[str, str], problems: Problems, cautions: list[Caution]) -> list[Row]:
    """The labelled texts of a file; rows without a text, and ids that stand twice, are problems.

    A text is written in one line: a break inside it would look like the end of a demonstration.
    """
    cells = {field: [table.columns[name].text(row) for row in range(table.n_rows)] for field, name in fields.items()}
    empty = [""] * table.n_rows
    ids = cells.get("id", [str(number) for number in table.row_numbers.tolist()])
    found, broken = [], 0
    places: dict[str, int] = {}
    for index, (own_id, written) in enumerate(zip(ids, cells["text"], strict=True)):
        place = table.row(index)
        text = " ".join(written.split())
        broken += "\n" in written or "\r" in written
        error = _row_problem(own_id, text, places)
        if error is not None:
            problem, field, fix = error
            column = fields.get(field)
            value = own_id if field == "id" and own_id else None
            problems.add(InputError(problem, file=table.file, row=place, column=column, value=value, fix=fix))
            continue
        places[own_id] = place
        found.append(Row(own_id, text, cells["label"][index], cells.get("group", empty)[index], place))
    if broken:
        message = f"{table.file}: texts with line breaks inside: {broken:,}. They are written in one line."
        cautions.append(Caution(code="line-breaks", message=message, count=broken))
    return found


def _row_problem(own_id: str, text: str, places: Mapping[str, int]) -> tuple[str, str, str] | None:
    if not text:
        return "The text is empty", "text", "Write a text, or delete the row."
    if not own_id:
        return "The id is missing", "id", "Give every row an id, or leave the column out."
    if own_id in places:
        return f"The id stands in row {places[own_id]:,} already", "id", "Give every row its own id."
    return None


def label_problems(
    rows: Sequence[Row], labels: Sequence[str], table: Table, column: str, problems: Problems
) -> Iterator[Row]:
    """Rows whose label is known; the others are added to the problems, with the nearest label."""
    known = set(labels)
    shown = ", ".join(printable(label, 40) for label in labels)
    for row in rows:
        if row.label in known:
            yield row
            continue
        problem = "The label is unknown" if row.label else "The label is missing"
        fix = f"Allowed: {shown}.{did_you_mean(row.label, labels) if row.label else ''}"
        value = row.label or None
        problems.add(InputError(problem, file=table.file, row=row.place, column=column, value=value, fix=fix))
