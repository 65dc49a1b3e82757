"""Reading what a parity run is given: results, and where there are any a catalog, queries, shares and annotations.

`read` gives `Results` or one `InputError` that names file, row, column, value and the fix. `preview` reads the whole of one
file and lists every problem.
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np

from auditor.audits import InputFile, Preview
from auditor.audits.findings import Caution
from auditor.audits.parity import annotated, columns, readers, settings, shares
from auditor.audits.parity.assemble import Assembly, Loaded
from auditor.audits.parity.attributes import attribute_of, scale_hint
from auditor.audits.parity.checks import filled, one_row_each, slots_of
from auditor.audits.parity.data import MISSING, Results, Scale
from auditor.audits.parity.groups import Keyed, groups_of
from auditor.audits.parity.noticed import noticed
from auditor.audits.parity.spec import ParitySpec
from auditor.audits.reading.columnar import Problems, Table
from auditor.audits.reading.readers import every
from auditor.errors import InputError, printable

ROLES = ("results", "catalog", "queries", "shares", "annotations")
PREVIEW_ROWS = 50


def read(files: Mapping[str, InputFile], spec: ParitySpec) -> Results:
    """Read all files of a run.

    Parameters
    ----------
    files : mapping of str to InputFile
        By role (`ROLES`); "results" must be there.

    Raises
    ------
    InputError
        For the first problem; it says how many there are.
    """
    return _assembled(_loaded(files, spec), spec, needs_attribute=True)


def read_slots(files: Mapping[str, InputFile], spec: ParitySpec) -> Results:
    """Read results that nobody has annotated yet: no attribute is needed, and `attributes` is empty.

    Raises
    ------
    InputError
        As `read`, except for labels, groups and strata.
    """
    kept = {role: file for role, file in files.items() if role in ("results", "catalog", "queries")}
    return _assembled(_loaded(kept, spec), spec, needs_attribute=False)


_Read = tuple[dict[str, Loaded], Problems]


def _loaded(files: Mapping[str, InputFile], spec: ParitySpec) -> _Read:
    if "results" not in files:
        raise InputError("There is no file of results", fix="Give one.")
    problems = Problems()
    loaded = {}
    for role in ROLES:
        if role in files:
            one = _load(role, files[role], spec, problems)
            optional = ("attribute", "image") if role in ("results", "catalog") else ()
            columns.problems_of(role, one.table, one.fields, spec, problems, optional=optional)
            loaded[role] = one
    columns.mapped_nowhere([one.table for one in loaded.values()], spec, problems)
    if problems.count:
        problems.refuse()
    return loaded, problems


def _load(role: str, file: InputFile, spec: ParitySpec, problems: Problems) -> Loaded:
    preset = spec.preset if role == "results" else "auto"
    table = readers.load(file, preset, lambda names: columns.to_read(role, names, spec), problems)
    if not table.n_rows and not problems.count:
        raise InputError("The file has no rows", file=file.name, fix="Check that it was saved completely.")
    fields = columns.fields_of(role, table.names, table.fields, spec)
    return Loaded(table, {field: name for field, name in fields.items() if name in table.columns}, file.path.parent)


def _assembled(read_tables: _Read, spec: ParitySpec, *, needs_attribute: bool) -> Results:
    loaded, problems = read_tables
    found = Assembly(loaded, spec, problems).results(needs_attribute=needs_attribute)
    problems.refuse()
    if not needs_attribute:
        return found
    from dataclasses import replace

    return replace(found, cautions=(*found.cautions, *noticed(found, spec)))


# ---- preview


def preview(role: str, file: InputFile, options: Mapping[str, Any]) -> Preview:
    """What one file turned out to be, with every problem that can be seen in it alone.

    Raises
    ------
    InputError
        If the file as a whole cannot be read, or a setting is wrong.
    """
    spec = _spec(options)
    if role not in ROLES:
        raise InputError("There is no such kind of file", value=role, fix=f"There are {', '.join(ROLES)}.")
    problems = Problems()
    one = _load(role, file, spec, problems)
    columns.problems_of(role, one.table, one.fields, spec, problems)
    cautions: list[Caution] = list(one.table.cautions)
    _CHECKS[role](one, spec, problems, cautions)
    return Preview(
        format=". ".join([one.table.title, *(_plain(caution.message) for caution in cautions[:5])]),
        columns=one.table.names,
        mapping=dict(one.fields),
        rows=tuple(_row(one, index) for index in range(min(PREVIEW_ROWS, one.table.n_rows))),
        problems=tuple(str(error) for error in problems.errors),
        n_rows=one.table.n_rows,
        n_problems=problems.count,
    )


def _plain(sentence: str) -> str:
    return printable(sentence.rstrip("."), 200)[1:-1]


def _spec(options: Mapping[str, Any]) -> ParitySpec:
    return settings.checked({name: value for name, value in options.items() if name in ParitySpec.model_fields})


def _row(one: Loaded, index: int) -> dict[str, str]:
    shown = {"row": str(one.table.row(index))}
    if one.fields:
        for field, name in one.fields.items():
            shown[field] = printable(one.table.columns[name].text(index), 160)[1:-1]
    for name in one.table.columns:
        if name not in one.fields.values() and len(shown) < 12:
            shown[name] = printable(one.table.columns[name].text(index), 160)[1:-1]
    return shown


def _check_results(one: Loaded, spec: ParitySpec, problems: Problems, cautions: list[Caution]) -> None:
    if "query_id" not in one.fields:
        return
    slots = slots_of(one.table, one.fields, spec, problems)
    cautions.extend(caution for caution in slots.cautions if caution not in cautions)
    if not len(slots.rank):
        return
    group = one.fields.get("query_group")
    if group is not None:
        n_queries = len(slots.query.values)
        keyed = Keyed(slots.table, slots.query.codes, n_queries, "query")
        sizes = np.bincount(slots.query.codes, minlength=n_queries)
        groups_of(keyed, group, slots.table.columns[group], sizes, spec, problems)
    _check_attributes(one.fields, slots.table, slots.item.codes, len(slots.item.values), spec, problems, cautions)


def _check_catalog(one: Loaded, spec: ParitySpec, problems: Problems, cautions: list[Caution]) -> None:
    if "item_id" not in one.fields:
        return
    filled(one.table, one.fields["item_id"], problems)
    rows = one_row_each(one.table, one.fields["item_id"], "item", problems)
    number = np.full(one.table.n_rows, MISSING, np.int32)
    number[rows] = np.arange(len(rows))
    _check_attributes(one.fields, one.table, number, len(rows), spec, problems, cautions)


def _check_attributes(
    fields: Mapping[str, str],
    table: Table,
    item: Any,
    n_items: int,
    spec: ParitySpec,
    problems: Problems,
    cautions: list[Caution],
) -> None:
    """Labels, as far as they stand in this file; the one that is missing may stand in another."""
    for number, name in enumerate(columns.attribute_names(spec)):
        found = columns.attribute_column(table, name or fields.get("attribute", ""), spec.colour)
        if found is not None:
            hint = scale_hint(found[1], spec) if number == 0 else None
            cautions.extend([Caution(code="scale", message=f"{found[0]}: {hint}.")] if hint else [])
            attribute_of(table, *found, item, n_items, spec, problems, cautions, is_primary=number == 0)


def _check_queries(one: Loaded, spec: ParitySpec, problems: Problems, cautions: list[Caution]) -> None:
    if "query_id" not in one.fields:
        return
    filled(one.table, one.fields["query_id"], problems)
    rows = one_row_each(one.table, one.fields["query_id"], "query", problems)
    group = one.fields.get("query_group")
    if group is not None and len(rows):
        number = np.full(one.table.n_rows, MISSING, np.int32)
        number[rows] = np.arange(len(rows))
        keyed = Keyed(one.table, number, len(rows), "query")
        found = groups_of(keyed, group, one.table.columns[group], np.zeros(len(rows), np.int64), spec, problems)
        cautions.extend(found.cautions)


def _check_shares(one: Loaded, _spec: ParitySpec, problems: Problems, cautions: list[Caution]) -> None:
    if "target_mean" in one.fields:
        shares.target_mean(one.table, one.fields, problems)
        return
    # Levels are those that the table names: whether they are the results' own is seen when both are read.
    rest = ("(the rest)",) if shares.leave_a_rest(one.table, one.fields) else ()
    scale = Scale("nominal", (*shares.levels_named(one.table, one.fields), *rest))
    if len(scale.levels) > len(rest) and ("share" in one.fields) == ("level" in one.fields):
        shares.matrix(one.table, one.fields, scale, _names(one), problems, cautions)
    elif not problems.count:
        problems.add(columns.missing(one.table, "share", "share"))


def _names(one: Loaded) -> tuple[str, ...]:
    if "query_id" not in one.fields:
        return ("all",)
    column = one.column("query_id")
    return tuple(column.texts.take(column.used).to_pylist())


def _check_annotations(one: Loaded, spec: ParitySpec, problems: Problems, cautions: list[Caution]) -> None:
    found = annotated.annotations_of(one.table, one.fields, spec, problems)
    cautions.extend(found.cautions if found is not None else ())


_CHECKS = {
    "results": _check_results,
    "catalog": _check_catalog,
    "queries": _check_queries,
    "shares": _check_shares,
    "annotations": _check_annotations,
}


# ---- single rows, to look at


def unit(file: InputFile, options: Mapping[str, Any], row: int) -> list[tuple[str, str]]:
    """One row of a results file as (column, text).

    Raises
    ------
    InputError
        If there is no such row.
    """
    found = next((pairs for _, pairs in units(file, options, {row})), None)
    if found is None:
        raise InputError("There is no result in this row", file=file.name, row=row)
    return found


def units(
    file: InputFile, options: Mapping[str, Any], rows: AbstractSet[int]
) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """Rows of a results file, in the file's order; of several results in one row (an answer of a search engine) the first."""
    table = readers.load(file, _spec(options).preset, every, Problems())
    numbers, first = np.unique(table.row_numbers, return_index=True)
    for place in np.flatnonzero(np.isin(numbers, list(rows))).tolist():
        index = int(first[place])
        yield int(numbers[place]), [(name, column.text(index)) for name, column in table.columns.items()]
