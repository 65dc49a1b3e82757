"""The annotations of several raters, from a table in any format -> one value an item by the declared rule."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from auditor.audits.findings import Caution
from auditor.audits.parity.annotation import (
    UNSURE,
    Annotations,
    consensus,
    degrees_of_items,
    from_rows,
    no_such_expert,
)
from auditor.audits.parity.annotation_file import CONFIRMED, as_it_was
from auditor.audits.parity.checks import filled
from auditor.audits.parity.data import MISSING, Attribute, Scale, ScaleKind
from auditor.audits.parity.scales import meaning
from auditor.audits.parity.sentinels import NUMBER
from auditor.audits.parity.spec import ParitySpec
from auditor.audits.parity.tones import UNCERTAIN
from auditor.audits.reading.columnar import Column, Problems, Table
from auditor.errors import InputError

#: What raters write for "uncertain", beside the word.
_UNSURE = {UNCERTAIN, "?"}


def annotations_of(table: Table, fields: Mapping[str, str], spec: ParitySpec, problems: Problems) -> Annotations | None:
    """What raters said; labels that are no level, second judgements by one rater and an expert who judged nothing are problems.

    On the scale ita raters judge tones too, Monk or Fitzpatrick: a run in degrees rests on the measurements that they
    confirmed, where the file has any, and else on the tones.
    """
    from auditor.audits.parity.attributes import name_wrong

    if not {"item_id", "rater", "value"} <= set(fields):
        return None
    item, rater, value = (table.columns[fields[field]] for field in ("item_id", "rater", "value"))
    good = filled(table, fields["item_id"], problems) & filled(table, fields["rater"], problems)
    texts = _undone(value)
    unsure = np.array([text.casefold() in _UNSURE for text in texts] + [False], np.bool_)
    counts = np.bincount(value.codes[(value.codes != MISSING) & ~unsure[value.codes]], minlength=len(texts))
    kind: ScaleKind = "nominal" if spec.scale == "nominal" else "ordinal"
    means = meaning(texts, counts, kind, spec, is_primary=True)
    name_wrong(table, fields["value"], value, means, problems)
    said = np.append(np.where(unsure[:-1], UNSURE, means.level), MISSING)[value.codes]
    rows = np.flatnonzero(good & (said != MISSING))
    if not len(rows):
        if not problems.count:
            problems.add(
                InputError("The file holds no judgement", file=table.file, fix="Put one judgement in each row.")
            )
        return None
    _check_once(table, item, rater, rows, fields["item_id"], problems)
    items, raters = _undone(item), _undone(rater)
    n_empty = int(np.count_nonzero(value.codes == MISSING))
    message = f"{table.file}: {n_empty:,} rows hold no judgement and were left out."
    judged = ((items[item.codes[row]], raters[rater.codes[row]], int(said[row])) for row in rows.tolist())
    scale = Scale(kind, means.scale.levels)
    found = from_rows(
        judged, scale, cautions=[Caution(code="annotations_empty", message=message, count=n_empty)] if n_empty else []
    )
    if spec.consensus == "expert" and spec.expert not in found.raters:
        problems.add(no_such_expert(found, spec.expert, file=table.file, column=fields["rater"]))
    if spec.scale == "ita" and "degrees" in fields:
        found = _with_degrees(found, table, fields, items, raters, rows, problems)
    return _on_tones(found, table.file) if spec.scale == "ita" and found.degrees is None else found


def _on_tones(found: Annotations, file: str) -> Annotations:
    """The same, with the caution that a test which was asked for in degrees is one of tones."""
    message = (
        f"{file}: no judgement has degrees that a person confirmed, so the test is about tones, not about degrees."
    )
    return replace(found, cautions=(*found.cautions, Caution(code="degrees-none", message=message)))


def _with_degrees(
    found: Annotations,
    table: Table,
    fields: Mapping[str, str],
    items: Sequence[str],
    raters: Sequence[str],
    rows: NDArray[np.int64],
    problems: Problems,
) -> Annotations:
    """The same with the degrees of confirmed measurements, and what was left out of them."""
    cells, item, rater = (table.columns[fields[field]] for field in ("degrees", "item_id", "rater"))
    value, wrong = _degrees(cells)
    has_degrees = rows[cells.codes[rows] != MISSING]
    problems.add_rows(
        has_degrees[np.isin(cells.codes[has_degrees], wrong)],
        lambda row: InputError(
            "The angle is no number between -90 and 90 degrees",
            file=table.file,
            row=table.row(row),
            column=fields["degrees"],
            value=cells.text(row),
            fix="Write the individual typology angle in degrees, or leave the cell empty.",
        ),
    )
    confirmed = has_degrees
    if "source" in fields:
        source = table.columns[fields["source"]]
        is_confirmed = np.array([text == CONFIRMED for text in source.texts.to_pylist()] + [False], np.bool_)
        confirmed = has_degrees[is_confirmed[source.codes[has_degrees]]]
    told = []
    if n := len(has_degrees) - len(confirmed):
        message = f"{table.file}: degrees that nobody has confirmed: {n:,}; they are proposals and were left out."
        told.append(Caution(code="degrees-unconfirmed", message=message, count=n))
    if not len(confirmed):
        return replace(found, cautions=(*found.cautions, *told))
    place_of_item = {name: place for place, name in enumerate(found.item_ids)}
    place_of_rater = {name: place for place, name in enumerate(found.raters)}
    degrees = np.full(found.said.shape, np.nan)
    for row in confirmed.tolist():
        at = place_of_rater[raters[rater.codes[row]]], place_of_item[items[item.codes[row]]]
        degrees[at] = value[cells.codes[row]]
    message = _measured(len(confirmed), len(rows))
    told.append(Caution(code="degrees-measured", message=message, count=len(confirmed)))
    return replace(found, degrees=degrees, cautions=(*found.cautions, *told))


def _degrees(cells: Column) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Degrees of each distinct text, nan for what is none, and the numbers of those texts."""
    texts = _undone(cells)
    value = np.full(len(texts), np.nan)
    for number, text in enumerate(texts):
        if NUMBER.fullmatch(text) and abs(float(text)) <= 90:
            value[number] = float(text)
    return value, np.flatnonzero(np.isnan(value))


def _measured(n: int, n_rows: int) -> str:
    """How many judgements have degrees; the others have a tone only."""
    message = f"Degrees are those of {n:,} measurements from images that a person confirmed."
    lacking = n_rows - n
    return f"{message} Judgements with a tone only: {lacking:,}; they have no degrees." if lacking else message


def _undone(column: Column) -> list[str]:
    """Texts without the apostrophe that was written before cells on which a spreadsheet would act."""
    return [as_it_was(text) for text in column.texts.to_pylist()]


def _check_once(
    table: Table, item: Column, rater: Column, rows: NDArray[np.int64], name: str, problems: Problems
) -> None:
    key = item.codes[rows].astype(np.int64) * max(len(rater.values), 1) + rater.codes[rows]
    order = np.argsort(key, kind="stable")
    again = np.sort(rows[order[1:]][key[order[1:]] == key[order[:-1]]])
    problems.add_rows(
        again,
        lambda row: InputError(
            f"{rater.text(row)[:60]!r} judges this item a second time",
            file=table.file,
            row=table.row(row),
            column=name,
            value=item.text(row),
            fix="Keep one of the two rows.",
        ),
    )


def consensus_of(
    annotations: Annotations, name: str, item_ids: Sequence[str], spec: ParitySpec, cautions: list[Caution]
) -> Attribute:
    """One value an item, by the declared rule, for the items of the results."""
    aligned = annotations.aligned(item_ids)
    if aligned.degrees is not None:
        cautions.extend(aligned.cautions)
        return degrees_of_items(aligned, name, spec.consensus, expert=spec.expert)
    found = consensus(aligned, spec.consensus, expert=spec.expert)
    cautions.extend([*aligned.cautions, *found.cautions()])
    return found.attribute(name)
