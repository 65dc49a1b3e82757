"""Reading what a guard run is given: queries, demonstrations, and a person's own corrupted demonstrations.

`read` gives `GuardInputs` or one `InputError` that names file, row, column, value and the fix. `preview` reads the whole of one
file and lists every problem.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from auditor.audits import InputFile, Preview
from auditor.audits.findings import Caution
from auditor.audits.guard.conditions import uses
from auditor.audits.guard.disjoint import check_disjoint, without_repeats
from auditor.audits.guard.label_words import alike
from auditor.audits.guard.pools import units as unit_numbers
from auditor.audits.guard.rows import Row, column_problems, fields_of, label_problems, named, rows_of
from auditor.audits.guard.spec import MOST_LABELS, GuardSpec
from auditor.audits.guard.task import Demonstration, Example, Task
from auditor.audits.reading.columnar import Problems, Table, check_lengths
from auditor.audits.reading.readers import load
from auditor.audits.reading.settings import settings_of
from auditor.errors import InputError, printable

ROLES = ("queries", "demonstrations", "corrupted")
PREVIEW_ROWS = 50
#: Longer texts are no examples for a prompt (ours).
LONGEST_TEXT = 20_000
#: Fewer demonstrations to draw from than this many prompts hold, and prompts are much alike (ours).
FEW_PROMPTS = 2


@dataclass(frozen=True)
class GuardInputs:
    """What a run is given.

    Attributes
    ----------
    task : Task
    queries : tuple of Example
        In the order of the file.
    demonstrations : tuple of Demonstration
        The pool, in the order of the file, all correct.
    corrupted : tuple of Demonstration
        The person's own corrupted demonstrations.
    cautions : tuple of Caution
    """

    task: Task
    queries: tuple[Example, ...]
    demonstrations: tuple[Demonstration, ...]
    corrupted: tuple[Demonstration, ...]
    cautions: tuple[Caution, ...]


@dataclass(frozen=True)
class _Loaded:
    """A file, what its columns are read as, and its rows."""

    table: Table
    fields: Mapping[str, str]
    rows: Sequence[Row]


def read(files: Mapping[str, InputFile], spec: GuardSpec) -> GuardInputs:
    """Read all files of a run.

    Parameters
    ----------
    files : mapping of str to InputFile
        By role (`ROLES`); "queries" and "demonstrations" must be there.

    Raises
    ------
    InputError
        For the first problem; it says how many there are.
    """
    _check_roles(files, spec)
    problems, cautions = Problems(), list[Caution]()
    loaded = {role: _load(role, files[role], spec, problems, cautions) for role in ROLES if role in files}
    task, known = _labelled(loaded, spec, problems)
    queries, pool = known["queries"][: spec.limit], known["demonstrations"]
    own = loaded["corrupted"].rows if "corrupted" in loaded else ()
    check_disjoint(queries, pool, own, {role: one.table for role, one in loaded.items()}, problems)
    problems.refuse()
    queries, repeats = without_repeats(queries)
    _check_sizes(queries, pool, files, spec)
    cautions += [*repeats, *_noticed(queries, pool, task, spec)]
    return GuardInputs(
        task,
        _examples(queries),
        tuple(Demonstration(row.text, task.word(row.label), row.label, row.id) for row in pool),
        tuple(_own_demonstration(row, task) for row in own),
        tuple(cautions),
    )


def _check_roles(files: Mapping[str, InputFile], spec: GuardSpec) -> None:
    for role in ROLES[:2]:
        if role not in files:
            raise InputError(f"There is no file of {role}", fix="Give one.")
    if uses(spec.attacks, "own") and "corrupted" not in files:
        fix = "Give a file of corrupted demonstrations, or leave the attack out."
        raise InputError("The attack own needs a file of corrupted demonstrations", fix=fix)


def _load(role: str, file: InputFile, spec: GuardSpec, problems: Problems, cautions: list[Caution]) -> _Loaded:
    table = load(file, lambda names: set(fields_of(names, spec.mapping).values()), problems)
    if not table.n_rows and not problems.count:
        raise InputError("The file has no rows", file=file.name, fix="Check that it was saved completely.")
    check_lengths(table, LONGEST_TEXT, problems)
    cautions += table.cautions
    before = problems.count
    column_problems(table, spec.mapping, problems, is_queries=role == "queries")
    fields = {field: name for field, name in fields_of(table.names, spec.mapping).items() if name in table.columns}
    return _Loaded(table, fields, rows_of(table, fields, problems, cautions) if problems.count == before else ())


# ---- labels


def _labelled(
    loaded: Mapping[str, _Loaded], spec: GuardSpec, problems: Problems
) -> tuple[Task, Mapping[str, list[Row]]]:
    """The labels, and the rows of queries and demonstrations.

    Raises
    ------
    InputError
        For the first problem of any file; what is wrong with labels is counted too, as the previews count it.
    """
    task = _task_or_problem(loaded["queries"], spec, problems) if loaded["queries"].rows else None
    known = {}
    for role in ROLES[:2]:
        # Labels that were not declared are those of the queries, which rows that cannot be used might have added to.
        is_certain = role == "queries" or spec.labels or not problems.count
        if task is not None and loaded[role].rows and is_certain:
            known[role] = _known(loaded[role], task, problems)
    problems.refuse()
    assert task is not None, "a file without rows is a problem"
    return task, known


def _task_or_problem(queries: _Loaded, spec: GuardSpec, problems: Problems) -> Task | None:
    try:
        return _task(queries, spec)
    except InputError as error:
        problems.add(error)
        return None


def _task(queries: _Loaded, spec: GuardSpec) -> Task:
    """Labels as declared, else those that occur, in alphabetical order.

    Raises
    ------
    InputError
        If there are fewer than two, more than `MOST_LABELS`, or two that no model could tell apart.
    """
    column, file = queries.fields["label"], queries.table.file
    labels = spec.labels or tuple(sorted({row.label for row in queries.rows if row.label}))
    if len(labels) < 2:
        problem = f"There are fewer than 2 labels: {', '.join(labels) or 'none'}"
        raise InputError(problem, file=file, column=column, fix=f"Name all labels in {named('labels')}.")
    if len(labels) > MOST_LABELS:
        raise InputError(
            f"There are {len(labels):,} labels; a model is asked to choose among at most {MOST_LABELS}",
            file=file,
            column=column,
            value=", ".join(labels[:5]),
            fix=f"Name the column of the labels in {named('mapping')}.",
        )
    _check_settings(labels, spec)
    task = Task(labels, tuple(spec.label_words.get(label, label) for label in labels))
    same = alike(task.words)
    if same is not None:
        one, other = (printable(labels[place], 60) for place in same)
        raise InputError(
            f"The labels {one} and {other} are written with the same word, so that a model could not tell them apart",
            file=file,
            column=column,
            value=task.words[same[1]],
            fix=f"Give each its own word in {named('label_words')}, or write them alike if they are one label.",
        )
    return task


def _check_settings(labels: tuple[str, ...], spec: GuardSpec) -> None:
    from auditor.audits.reading.names import did_you_mean

    for field, asked in (("label_words", tuple(spec.label_words)), ("target", (spec.target,) if spec.target else ())):
        for label in asked:
            if label not in labels:
                shown = ", ".join(printable(name, 40) for name in labels)
                fix = f"Labels: {shown}.{did_you_mean(label, labels)}"
                raise InputError(f"{named(field)} names a label that does not occur", value=label, fix=fix)


def _known(loaded: _Loaded, task: Task, problems: Problems) -> list[Row]:
    return list(label_problems(loaded.rows, task.labels, loaded.table, loaded.fields["label"], problems))


def _own_demonstration(row: Row, task: Task) -> Demonstration:
    """A demonstration of the person's own attack: its label is shown, known or not, and the true one is not known."""
    word = task.word(row.label) if row.label in task.labels else row.label
    return Demonstration(row.text, word, "", row.id, corrupted=True)


def _examples(rows: Sequence[Row]) -> tuple[Example, ...]:
    return tuple(Example(row.id, row.text, row.label, row.group, row.place) for row in rows)


# ---- sizes


def _check_sizes(queries: Sequence[Row], pool: Sequence[Row], files: Mapping[str, InputFile], spec: GuardSpec) -> None:
    n_units = len(set(unit_numbers(_examples(queries)).tolist())) if queries else 0
    if n_units < 2:
        what = "texts" if len(queries) > 1 and not any(row.group for row in queries) else "groups"
        raise InputError(
            f"There are too few queries to calibrate on some and test on others: {len(queries)} of {n_units} {what}",
            file=files["queries"].name,
            fix="Give more queries; a guarantee takes about a hundred.",
        )
    if len(pool) < spec.n_demonstrations:
        raise InputError(
            f"There are {len(pool):,} demonstrations, and {spec.n_demonstrations:,} were asked for in a prompt",
            file=files["demonstrations"].name,
            fix=f"Add some, or set {named('n_demonstrations')} to at most {len(pool):,}.",
        )


def _noticed(queries: Sequence[Row], pool: Sequence[Row], task: Task, spec: GuardSpec) -> Iterator[Caution]:
    if spec.demonstrations == "resampled" and len(pool) < FEW_PROMPTS * spec.n_demonstrations:
        message = (
            f"The pool has {len(pool):,} demonstrations for prompts of {spec.n_demonstrations:,}: prompts of different queries "
            "are much alike, and the guarantee says little about other demonstrations than these."
        )
        yield Caution(code="small-pool", message=message, count=len(pool))
    yield from _numeric_words(task)
    for what, rows in (("queries", queries), ("demonstrations", pool)):
        absent = [label for label in task.labels if all(row.label != label for row in rows)]
        if absent:
            shown = ", ".join(printable(label, 40) for label in absent)
            message = f"Labels that none of the {what} has: {shown}."
            yield Caution(code=f"absent-labels-{what}", message=message, count=len(absent))


def _numeric_words(task: Task) -> Iterator[Caution]:
    numbers = [word for word in task.words if word.lstrip("+-").isdecimal()]
    if numbers:
        message = (
            f"Labels that the model sees as numbers: {', '.join(numbers)}. Unless demonstrations explain them, they say nothing: "
            f"give words in {named('label_words')}."
        )
        yield Caution(code="numeric-labels", message=message, count=len(numbers))


# ---- preview


def preview(role: str, file: InputFile, options: Mapping[str, Any]) -> Preview:
    """What one file turned out to be, with every problem that can be seen in it alone.

    Raises
    ------
    InputError
        If the file as a whole cannot be read, or a setting is wrong.
    """
    if role not in ROLES:
        raise InputError("There is no such kind of file", value=role, fix=f"There are {', '.join(ROLES)}.")
    spec = settings_of(GuardSpec, options, named)
    problems, cautions = Problems(), list[Caution]()
    one = _load(role, file, spec, problems, cautions)
    rows, facts = list(one.rows), [one.table.title]
    if rows and role == "queries":
        facts += _query_facts(one, spec, problems, cautions)
    elif rows and role == "demonstrations" and spec.labels:
        rows = list(label_problems(rows, spec.labels, one.table, one.fields["label"], problems))
    facts += [caution.message.rstrip(".") for caution in cautions[:5]]
    return Preview(
        format="; ".join(facts),
        columns=one.table.names,
        mapping=dict(one.fields),
        rows=tuple(_shown(row) for row in one.rows[:PREVIEW_ROWS]),
        problems=tuple(str(error) for error in problems.errors),
        n_rows=one.table.n_rows,
        n_problems=problems.count,
    )


def _query_facts(one: _Loaded, spec: GuardSpec, problems: Problems, cautions: list[Caution]) -> list[str]:
    """How many queries each label has, with its word; what is wrong with labels is added to the problems."""
    task = _task_or_problem(one, spec, problems)
    if task is None:
        return []
    known = _known(one, task, problems)
    cautions += [*_numeric_words(task), *without_repeats(known)[1]]
    counts = [f"{printable(label, 40)[1:-1]} {sum(row.label == label for row in known):,}" for label in task.labels]
    return [f"{len(known):,} queries: {', '.join(counts)}"]


def _shown(row: Row) -> dict[str, str]:
    cells = {"row": str(row.place), "id": row.id, "label": row.label, "text": row.text}
    if row.group:
        cells["group"] = row.group
    return {name: printable(value, 160)[1:-1] for name, value in cells.items()}


# ---- single rows, to look at


def unit(file: InputFile, options: Mapping[str, Any], row: int) -> list[tuple[str, str]]:
    """One query as (heading, text).

    Raises
    ------
    InputError
        If there is no such row.
    """
    found = next((parts for _, parts in units(file, options, {row})), None)
    if found is None:
        raise InputError("There is no query in this row", file=file.name, row=row)
    return found


def units(
    file: InputFile, options: Mapping[str, Any], rows: AbstractSet[int]
) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """Queries of some rows, in the file's order; rows that hold none are left out."""
    one = _load("queries", file, settings_of(GuardSpec, options, named), Problems(), [])
    for row in one.rows:
        if row.place in rows:
            parts = [("Text", row.text), ("Label", row.label), ("Id", row.id)]
            yield row.place, parts + ([("Group", row.group)] if row.group else [])
