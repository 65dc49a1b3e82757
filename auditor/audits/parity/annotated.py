"""The annotations of several raters, from a table in any format -> one value an item by the declared rule."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from auditor.audits.findings import Caution
from auditor.audits.parity.annotation import UNSURE, Annotations, consensus, from_rows
from auditor.audits.parity.annotation_file import as_it_was
from auditor.audits.parity.checks import filled
from auditor.audits.parity.data import MISSING, Attribute, Scale, ScaleKind
from auditor.audits.parity.scales import meaning
from auditor.audits.parity.spec import ParitySpec
from auditor.audits.parity.tones import UNCERTAIN
from auditor.audits.reading.columnar import Column, Problems, Table
from auditor.errors import InputError

#: What raters write for "uncertain", beside the word.
_UNSURE = {UNCERTAIN, "?"}


def annotations_of(table: Table, fields: Mapping[str, str], spec: ParitySpec, problems: Problems) -> Annotations | None:
    """What raters said; labels that are no level and second judgements by one rater are problems.

    On the scale ita raters judge tones, not degrees: Monk or Fitzpatrick tones are recognised.
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
    return from_rows(
        judged, scale, cautions=[Caution(code="annotations_empty", message=message, count=n_empty)] if n_empty else []
    )


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
    found = consensus(aligned, spec.consensus, expert=spec.expert)
    cautions.extend([*aligned.cautions, *found.cautions()])
    return found.attribute(name)
