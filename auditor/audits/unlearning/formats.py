"""Files of examples as tables: TOFU, LUME, MUSE and a person's own, by columns; lists of wrong answers, and plain text.

TOFU is JSON Lines with question, answer and, for some, a list of perturbed answers; LUME has input, output and task; MUSE has
question and answer, prompt and gt, or texts alone, as a list or as a text file whose paragraphs are apart by a blank line.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from auditor.audits import InputFile
from auditor.audits.findings import Caution
from auditor.audits.reading.columnar import Problems, Table, table_of
from auditor.audits.reading.json_rows import Rows
from auditor.audits.reading.json_tables import Record
from auditor.audits.reading.names import candidates, did_you_mean, match
from auditor.audits.reading.readers import beginning, load, refusing
from auditor.audits.unlearning.examples import Example
from auditor.audits.unlearning.spec import UnlearningSpec
from auditor.errors import InputError, printable

#: Names, in lower case, that are taken for a field when nobody has mapped it; the first one wins over the others.
USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "question": ("question", "prompt", "instruction", "input", "query"),
    "answer": ("answer", "gt", "output", "response", "completion", "target"),
    "text": ("text", "content", "document", "passage"),
    "id": ("id", "question_id", "row_id", "idx", "uid"),
    "task": ("task", "category", "kind"),
    "paraphrased_question": ("paraphrased_question", "paraphrase", "question_paraphrased"),
    "paraphrased_answer": ("paraphrased_answer", "answer_paraphrased"),
    "perturbed_answers": ("perturbed_answers", "perturbed_answer", "wrong_answers", "wrong_answer"),
}
#: More characters than these in one cell mean that a lost quote has swallowed the file (ours).
LONGEST_TEXT = 1_000_000


def named(name: str) -> str:
    """A setting as messages call it: its title on the form, in curly quotes."""
    return f"“{UnlearningSpec.model_fields[name].title}”"


@dataclass(frozen=True)
class Loaded:
    """A file, what its columns are read as, and its examples.

    Attributes
    ----------
    table : Table
    fields : mapping of str to str
        Field -> column.
    lists : mapping of int to str
        Row -> its wrong answers as a JSON list, where the format keeps lists beside the table (Parquet).
    examples : tuple of Example
    """

    table: Table
    fields: Mapping[str, str]
    examples: tuple[Example, ...]
    lists: Mapping[int, str] = field(default_factory=dict)


def load_examples(file: InputFile, mapping: Mapping[str, str], problems: Problems, cautions: list[Caution]) -> Loaded:
    """Read a file of examples; everything wrong with it is added to the problems.

    Parameters
    ----------
    mapping : mapping of str to str
        Field -> column, as a person has said it.
    problems : Problems
    cautions : list of Caution
        Takes what was noticed.

    Raises
    ------
    InputError
        If the file as a whole cannot be read.
    """
    table, lists = _table(file, mapping, problems)
    if not table.n_rows and not problems.count:
        raise InputError("The file has no rows", file=file.name, fix="Check that it was saved completely.")
    cautions += table.cautions
    before = problems.count
    fields = fields_of(table.names, mapping)
    _check_columns(table, fields, mapping, problems)
    if problems.count > before:
        return Loaded(table, fields, (), lists)
    return Loaded(table, fields, tuple(_examples(table, fields, lists, problems)), lists)


# ---- columns


def fields_of(names: tuple[str, ...], mapping: Mapping[str, str]) -> dict[str, str]:
    """Field -> column, as far as it can be told; a text is taken only where there is no answer."""
    found: dict[str, str] = {}
    for name, usual in USUAL_NAMES.items():
        if mapping.get(name):
            column = match(names, mapping[name])
        else:
            options = candidates(names, usual, set(found.values()))
            column = options[0] if len(options) == 1 else None
        if column is not None:
            found[name] = column
    if "text" in found and "answer" in found and not mapping.get("text"):
        del found["text"]
    return found


def _check_columns(table: Table, fields: Mapping[str, str], mapping: Mapping[str, str], problems: Problems) -> None:
    for name, column in mapping.items():
        if column and name not in fields:
            problems.add(_missing(table, column, name))
    if "text" in fields and "answer" in fields:
        fix = f"Leave one of them out of {named('mapping')}."
        problems.add(
            InputError("Both a text and an answer are named: an example is one of them", file=table.file, fix=fix)
        )
    elif "text" not in fields:
        for name in ("question", "answer"):
            if name not in fields and not mapping.get(name):
                problems.add(_unclear(table, fields, name))


def _unclear(table: Table, fields: Mapping[str, str], name: str) -> InputError:
    options = candidates(table.names, USUAL_NAMES[name], set(fields.values()))
    if len(options) > 1:
        listed = ", ".join(printable(option, 40) for option in options)
        fix = f"Say which one it is in {named('mapping')}: {listed}."
        return InputError(f"Several columns could be {name}", file=table.file, column=options[0], fix=fix)
    return _missing(table, name, name)


def _missing(table: Table, column: str, name: str) -> InputError:
    plain_text = " Plain texts stand in a column text." if name in ("question", "answer") else ""
    fix = (
        f"Add it, or name another column in {named('mapping')}.{plain_text} The file has: {table.listed()}."
        f"{did_you_mean(column, table.names)}"
    )
    return InputError(f"The column for {name} is missing", file=table.file, column=column, fix=fix)


# ---- rows


def _examples(
    table: Table, fields: Mapping[str, str], lists: Mapping[int, str], problems: Problems
) -> Iterator[Example]:
    cells = {
        name: [table.columns[column].text(index) for index in range(table.n_rows)]
        for name, column in fields.items()
        if column in table.columns
    }
    empty, places = [""] * table.n_rows, dict[str, int]()
    is_text = "text" in fields
    # MUSE's texts that are to be continued: a prompt and the ground truth.
    usual_task = "verbmem" if (fields.get("question"), fields.get("answer")) == ("prompt", "gt") else ""
    for index in range(table.n_rows):
        row = table.row(index)
        cell = {name: cells.get(name, empty)[index] for name in USUAL_NAMES}
        own = cell["id"] if "id" in cells else str(row)
        wrong = _wrong_answers(lists.get(row) or cell["perturbed_answers"])
        problem = _row_problem(own, cell, places, is_text=is_text, wrong=wrong)
        if problem is not None:
            what, name, fix = problem
            value = cell[name] or None
            problems.add(InputError(what, file=table.file, row=row, column=fields.get(name), value=value, fix=fix))
            continue
        places[own] = row
        yield Example(
            id=own,
            question=None if is_text else cell["question"],
            answer=cell["text"] if is_text else cell["answer"],
            row=row,
            paraphrased_question=cell["paraphrased_question"],
            paraphrased_answer=cell["paraphrased_answer"],
            perturbed_answers=wrong or (),
            task=cell["task"] or usual_task,
        )


def _row_problem(
    own: str, cell: Mapping[str, str], places: Mapping[str, int], *, is_text: bool, wrong: tuple[str, ...] | None
) -> tuple[str, str, str] | None:
    """What is wrong with a row, the field, and the fix."""
    if is_text and not cell["text"]:
        return "The text is empty", "text", "Write a text, or delete the row."
    if not is_text and not cell["question"]:
        return "The question is empty", "question", "Write a question, or delete the row."
    if not is_text and not cell["answer"]:
        return "The answer is empty", "answer", "Write an answer, or delete the row."
    if not own:
        return "The id is missing", "id", "Give every row an id, or leave the column out."
    if own in places:
        return f"The id stands in row {places[own]:,} already", "id", "Give every row its own id."
    if wrong is None:
        return "The wrong answers are no list of texts", "perturbed_answers", 'Write them as ["one", "another"].'
    return None


def _wrong_answers(written: str) -> tuple[str, ...] | None:
    """A JSON list of texts, or one text; None if it begins like a list and is none."""
    if not written.startswith("["):
        return (written,) if written else ()
    try:
        found = json.loads(written)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list) or not all(isinstance(text, str) and text.strip() for text in found):
        return None
    return tuple(text.strip() for text in found)


# ---- formats


def _table(file: InputFile, mapping: Mapping[str, str], problems: Problems) -> tuple[Table, Mapping[int, str]]:
    if file.name.lower().endswith(".txt"):
        return _paragraphs(file, problems), {}
    lists = _parquet_lists(file, mapping)
    name = next(iter(lists), "")

    def wanted(names: tuple[str, ...]) -> set[str]:
        return set(fields_of(names, mapping).values()) - {name}

    read = load(file, wanted, problems, nested=_Lists(mapping), other_formats=", or a text file")
    return read, lists.get(name, {})


class _Lists:
    """Records with a list of wrong answers, and lists of plain texts; see `auditor.audits.reading.json_tables.Nested`."""

    def __init__(self, mapping: Mapping[str, str]) -> None:
        own = mapping.get("perturbed_answers")
        self._names = {own} if own else set(USUAL_NAMES["perturbed_answers"])

    def form_of(self, record: Any) -> str | None:
        """What a record is."""
        if isinstance(record, str):
            return "texts"
        has_list = isinstance(record, dict) and any(isinstance(record.get(name), list) for name in self._names)
        return "lists" if has_list else None

    def unpacked(self, document: Mapping[str, Any]) -> Iterator[Record]:
        """A file that is one object is one record."""
        yield 1, document

    def may_be_plain(self, file: str) -> None:
        """It may."""

    def table(
        self, file: str, form: str, title: str, records: Iterator[Record], rows: Rows, problems: Problems
    ) -> Table:
        """Records with their lists written as JSON, or texts as a column of that name."""
        for row, record in records:
            if form == "texts" and isinstance(record, str):
                rows.add(row, {"text": record})
            elif isinstance(record, dict) and form == "lists":
                rows.add(row, {name: self._packed(name, value) for name, value in record.items()})
            else:
                what = "text" if form == "texts" else "object"
                found = type(record).__name__
                problems.add(
                    InputError(f"The record is no {what}, as those before it are", file=file, row=row, value=found)
                )
        return rows.table(title)

    def _packed(self, name: str, value: Any) -> Any:
        return json.dumps(value, ensure_ascii=False) if name in self._names and isinstance(value, list) else value


def _parquet_lists(file: InputFile, mapping: Mapping[str, str]) -> dict[str, dict[int, str]]:
    """The column of wrong answers of a Parquet file, if it holds lists: column -> row -> the list as JSON."""
    if beginning(file).kind != "Parquet":
        return {}
    import pyarrow as pa
    import pyarrow.parquet as pq

    with refusing(file):
        try:
            schema = pq.read_schema(file.path)
            column = fields_of(tuple(schema.names), mapping).get("perturbed_answers")
            if column is None or not (
                pa.types.is_list(kind := schema.field(column).type) or pa.types.is_large_list(kind)
            ):
                return {}
            cells = pq.read_table(file.path, columns=[column])[column].to_pylist()
        except (pa.ArrowException, ValueError, KeyError):
            return {}  # the reader of the other columns names the damage
    return {
        column: {row: json.dumps(cell, ensure_ascii=False) for row, cell in enumerate(cells, 1) if cell is not None}
    }


def _paragraphs(file: InputFile, problems: Problems) -> Table:
    """A text file: paragraphs apart by blank lines, each a text in the row in which it begins."""
    import pyarrow as pa

    beginning(file)  # refuses what is empty or no UTF-8 at all
    with refusing(file):
        written = file.path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    try:
        lines = written.decode().splitlines()
    except UnicodeDecodeError as error:
        row = written[: error.start].count(b"\n") + 1
        raise InputError("The line is not UTF-8", file=file.name, row=row, fix="Save the file as UTF-8.") from None
    texts, rows = list[str](), list[int]()
    is_open = False
    for number, line in enumerate(lines, 1):
        if not line.strip():
            is_open = False
        elif is_open:
            texts[-1] += f"\n{line}"
        else:
            texts.append(line)
            rows.append(number)
            is_open = True
    arrays = {"text": pa.array(texts, pa.string())}
    return table_of(file.name, "Text, a paragraph each", arrays, np.array(rows, np.int64), problems)
