"""Which column is read as which field: what the person mapped, else the usual names, never silently one of two."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from auditor.audits.parity.data import MISSING
from auditor.audits.parity.settings import named
from auditor.audits.parity.spec import MAPPED
from auditor.audits.reading.columnar import Column, Problems, Table
from auditor.audits.reading.names import candidates, did_you_mean, match
from auditor.errors import InputError, printable

if TYPE_CHECKING:
    from auditor.audits.parity.spec import ParitySpec

#: Names, in lower case, that are taken for a field when nobody has mapped it; the first one wins over the others.
USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "query_id": ("query_id", "queryid", "qid", "query", "search_term", "query_text", "topic", "topic_id", "search_id"),
    "item_id": (
        "item_id",
        "itemid",
        "docid",
        "doc_id",
        "document_id",
        "product_id",
        "asset_id",
        "image_id",
        "sku",
        "item",
        "id",
    ),
    "rank": ("rank", "position", "pos", "order", "place"),
    "score": ("score", "_score", "relevance", "similarity", "distance"),
    "query_group": ("query_group", "querygroup", "group", "query_attribute", "query_tone", "query_skin_tone"),
    "attribute": (
        "attribute",
        "skin_tone",
        "skintone",
        "monk",
        "monk_skin_tone",
        "mst",
        "fitzpatrick",
        "ita",
        "ita_degrees",
        "tone",
        "gender",
        "image_gender",
    ),
    "image": ("image", "image_path", "image_file", "picture"),
    "query_item": ("query_item", "query_item_id"),
    "rater": ("rater", "rater_id", "annotator", "annotator_id"),
    "value": ("value", "label", "annotation", "tone", "skin_tone", "rating"),
    "degrees": ("ita_degrees", "degrees"),
    "source": ("source",),
    "level": ("level", "attribute", "label"),
    "share": ("share", "target", "proportion", "target_share"),
    "target_mean": ("target_mean", "target_ita", "mean"),
}
#: Fields of each file, the needed ones first.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "results": ("query_id", "item_id", "rank", "score", "query_group", "attribute", "image", "query_item"),
    "catalog": ("item_id", "attribute", "image"),
    "queries": ("query_id", "query_group", "query_item"),
    "annotations": ("item_id", "rater", "value", "degrees", "source"),
    "shares": ("query_id", "level", "share", "target_mean"),
}
NEEDED: Mapping[str, tuple[str, ...]] = {
    "results": ("query_id",),
    "catalog": ("item_id",),
    "queries": ("query_id",),
    "annotations": ("item_id", "rater", "value"),
    "shares": (),
}
_COLOUR_PARTS = {
    "rgb": (("r", "g", "b"), ("red", "green", "blue")),
    "lab": (("l", "a", "b"), ("lab_l", "lab_a", "lab_b")),
}


#: Ids may be called differently in each file: a mapped name that is not in a file leaves the usual ones to be looked for.
_ID_FIELDS = ("query_id", "item_id")


def asked(spec: "ParitySpec", field: str) -> str:
    """Column that the person named for a field; empty if none."""
    own = {"attribute": spec.attribute, "query_group": spec.query_group}.get(field, "")
    return own or spec.mapping.get("attribute" if field == "value" else field, "")


def _asked_in(names: tuple[str, ...], spec: "ParitySpec", field: str) -> str:
    """As `asked`, for a file: what raters said may stand under the attribute's own name, or under a usual one."""
    own = asked(spec, field)
    return spec.attribute if not own and field == "value" and match(names, spec.attribute) else own


def fields_of(role: str, table_names: tuple[str, ...], own: Mapping[str, str], spec: "ParitySpec") -> dict[str, str]:
    """Field -> column of one file, as far as it can be told; see `problems_of` for what cannot.

    Parameters
    ----------
    own : mapping of str to str
        What the format itself says.
    """
    found: dict[str, str] = {}
    for field in FIELDS[role]:
        named_column = _asked_in(table_names, spec, field)
        column = match(table_names, named_column) if named_column else None
        if column is None and not (named_column and field not in _ID_FIELDS):
            column = own.get(field) or _usual(table_names, field, set(found.values()))
        if column is not None:
            found[field] = column
    return found


def _usual(names: tuple[str, ...], field: str, taken: set[str]) -> str | None:
    found = candidates(names, USUAL_NAMES[field], taken)
    return found[0] if len(found) == 1 else None


def ambiguous(table: Table, field: str, taken: Collection[str]) -> InputError | None:
    """The problem that several columns could be a field; None if at most one could."""
    found = candidates(table.names, USUAL_NAMES[field], set(taken))
    if len(found) < 2:
        return None
    listed = ", ".join(printable(name, 40) for name in found)
    which = f"Name one of them in {_setting(field)}" if _setting(field) else "Rename all but one of them"
    fix = f"{which}: {listed}."
    return InputError(f"Several columns could be {field}", file=table.file, column=found[0], fix=fix)


def problems_of(
    role: str,
    table: Table,
    used: Mapping[str, str],
    spec: "ParitySpec",
    problems: Problems,
    *,
    optional: Collection[str] = (),
) -> None:
    """Add what is unclear about the columns of a file: missing ones, and fields that two columns could be.

    Parameters
    ----------
    optional : collection of str
        Fields that another file may have, or that are looked for later.
    """
    for field in FIELDS[role]:
        if field in used or field in optional:
            continue
        error = None if asked(spec, field) else ambiguous(table, field, used.values())
        is_asked = bool(asked(spec, field)) and role == "results" and field in ("rank", "score", "item_id")
        if error is not None:
            problems.add(error)
        elif field in NEEDED[role] or is_asked:
            named_column = asked(spec, field) or (spec.attribute if field == "value" else "") or field
            problems.add(missing(table, named_column, field))
    is_named = asked(spec, "rank") or asked(spec, "score")
    if role == "results" and "rank" not in used and "score" not in used and not is_named:
        problems.add(
            InputError(
                "There is no column with ranks, and none with scores to make them from",
                file=table.file,
                column="rank",
                fix=f"Add one, or name it in {_setting('rank')}. The file has: {table.listed()}.",
            )
        )


def mapped_nowhere(tables: Sequence[Table], spec: "ParitySpec", problems: Problems) -> None:
    """Add ids that were mapped to a column that no file has."""
    for field in _ID_FIELDS:
        column = asked(spec, field)
        if column and not any(match(table.names, column) for table in tables):
            problems.add(missing(tables, column, field))


def missing(
    tables: Table | Sequence[Table], column: str, field: str, *, setting: str = "", also: str = ""
) -> InputError:
    """A column that is in none of the files where it could stand.

    Parameters
    ----------
    tables : Table or sequence of Table
        The files, the one where it is looked for first at the front.
    setting : str, optional
        Setting that names the column, where it is not the field's own.
    also : str, optional
        Another way out, as the end of "Add it".
    """
    files = [tables] if isinstance(tables, Table) else list(tables)
    if len(files) == 1:
        problem, listed = f"The column for {field} is missing", f"The file has: {files[0].listed()}."
    else:
        problem = f"The column for {field} is in none of the files"
        listed = " ".join(f"{table.file} has: {table.listed()}." for table in files)
    names = [name for table in files for name in table.names]
    own = named(setting) if setting else _setting(field)
    other = f", or name another column in {own}" if own else ""
    fix = f"Add it{also}{other}. {listed}{did_you_mean(column, names)}"
    return InputError(problem, file=files[0].file, column=column, fix=fix)


def _setting(field: str) -> str:
    """The setting that says which column a field is; empty where none does."""
    own = {"strata": "strata", "value": "attribute", "attribute": "attribute", "query_group": "query_group"}
    name = own.get(field, "mapping" if field in MAPPED else "")
    return named(name) if name else ""


def to_read(role: str, names: tuple[str, ...], spec: "ParitySpec") -> set[str]:
    """Columns of a file that a reader must load."""
    chosen = set(fields_of(role, names, {}, spec).values())
    if role == "shares":
        return set(names)
    wanted = [*spec.strata, spec.mapping.get("stratum", ""), *spec.more_attributes]
    chosen |= {column for name in wanted if name and (column := match(names, name))}
    for attribute in attribute_names(spec):
        chosen |= set(colour_parts(names, attribute, spec.colour))
    return chosen


def attribute_names(spec: "ParitySpec") -> list[str]:
    """Attributes that were asked for by name; the first is the primary one, empty if it is to be found."""
    return [asked(spec, "attribute"), *spec.more_attributes]


def colour_parts(names: tuple[str, ...], attribute: str, colour: str) -> tuple[str, ...]:
    """The three columns that write a colour, if there are.

    They are named with commas, with the attribute's name before them, or as usual (r, g, b; red, green, blue; L, a, b).
    """
    if colour not in _COLOUR_PARTS or match(names, attribute):
        return ()
    written = tuple(part.strip() for part in attribute.split(","))
    options: list[tuple[str, ...]] = [written] if len(written) == 3 else []
    for parts in _COLOUR_PARTS[colour]:
        options += [tuple(f"{attribute}_{part}" for part in parts)] if attribute else []
        options += [parts] if len(written) == 1 else []
    for option in options:
        found = [match(names, part) for part in option]
        if all(found):
            return tuple(str(name) for name in found)
    return ()


def joined(columns: list[Column]) -> Column:
    """One column whose cells are those of several with a blank between; empty where one of them is."""
    import pyarrow as pa
    import pyarrow.compute as pc

    there = np.all([column.codes != MISSING for column in columns], axis=0)
    if not there.any():
        return Column(np.full(len(there), MISSING, np.int32), pa.array([], pa.string()))
    parts = [pc.take(column.texts, pa.array(np.maximum(column.codes, 0)[there])) for column in columns]
    encoded = pc.binary_join_element_wise(*parts, " ").dictionary_encode()
    codes = np.full(len(there), MISSING, np.int32)
    codes[there] = np.asarray(encoded.indices, np.int32)
    return Column(codes, encoded.dictionary)


def attribute_column(table: Table, name: str, colour: str) -> tuple[str, Column] | None:
    """The column of an attribute in a file, made from three where a colour is written so."""
    column = match(tuple(table.columns), name) if name else None
    if column is not None:
        return column, table.columns[column]
    parts = colour_parts(tuple(table.columns), name, colour)
    if parts:
        return ", ".join(parts), joined([table.columns[part] for part in parts])
    return None
