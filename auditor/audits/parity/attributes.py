"""An attribute of every item, from a column of labels or colours: every label that fits no level is named by row."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from auditor.audits.findings import Caution
from auditor.audits.parity.data import MISSING, Attribute
from auditor.audits.parity.scales import WHOLE, Meaning, Mixture, fits, kind_of, meaning
from auditor.audits.parity.spec import ParitySpec
from auditor.audits.reading.columnar import Column, Problems, Table, constant
from auditor.errors import InputError, printable


def attribute_of(
    table: Table,
    name: str,
    column: Column,
    item: NDArray[np.int32],
    n_items: int,
    spec: ParitySpec,
    problems: Problems,
    cautions: list[Caution],
    *,
    is_primary: bool,
    more_levels: Sequence[str] = (),
) -> Attribute:
    """The attribute that a column gives to items.

    Parameters
    ----------
    item : ndarray of int32, shape (n_rows,)
        Item of each row; `MISSING` rows are passed over.
    more_levels : sequence of str
        Levels that the target shares name.
    """
    texts = column.texts.to_pylist()
    counts = np.bincount(column.codes[(column.codes != MISSING) & (item != MISSING)], minlength=len(texts))
    kind = kind_of([texts[code] for code in np.flatnonzero(counts)], spec, is_primary=is_primary)
    means = meaning(texts, counts, kind, spec, is_primary=is_primary, more_levels=more_levels)
    name_wrong(table, name, column, means, problems)
    # Rows of one item agree if they mean the same, however it is written.
    if means.value is None:
        same = means.level.astype(np.int32)
        first = np.arange(len(means.scale.levels))
    else:
        known = ~np.isnan(means.value)
        same = np.full(len(texts), MISSING, np.int32)
        first, same[known] = np.unique(means.value[known], return_inverse=True)
    same = np.append(same, np.int32(MISSING))  # the code of an empty cell is -1
    of_item, bad = constant(item, n_items, same[column.codes])
    _name_contradictions(table, name, column, item, bad, problems)
    there = of_item != MISSING
    cautions.extend(_cautions(name, column, means, item, there))
    if means.value is None:
        return Attribute(name, means.scale, of_item.astype(np.int16))
    from auditor.audits.parity.colour import ita_level

    value = np.full(n_items, np.nan)
    value[there] = first[of_item[there]]
    return Attribute(name, means.scale, ita_level(value), value, _hue(column, means, item, n_items))


def _hue(column: Column, means: Meaning, item: NDArray[np.int32], n_items: int) -> NDArray[np.float64] | None:
    """Hue of every item, from its first row, where the cells are colours."""
    if means.lab is None:
        return None
    from auditor.audits.parity.hue import hue_of

    of_text = np.append(hue_of(means.lab), np.nan)  # the code of an empty cell is -1
    found = np.full(n_items, np.nan)
    rows = np.flatnonzero((item != MISSING) & (column.codes != MISSING))[::-1]
    found[item[rows]] = of_text[column.codes[rows]]
    return found


def name_wrong(table: Table, name: str, column: Column, means: Meaning, problems: Problems) -> None:
    """Add the place of every cell that means nothing."""
    if means.mixture is not None:
        problems.add(_mixture_at(table, name, column, means.mixture))
    if not means.wrong:
        return
    wrong = np.zeros(len(column.values) + 1, np.bool_)
    wrong[[number for number in means.wrong if number != WHOLE]] = True
    if WHOLE in means.wrong:
        found = means.wrong[WHOLE]
        row = int(np.flatnonzero(column.codes != MISSING)[0])
        problems.add(
            InputError(
                found.problem,
                file=table.file,
                row=table.row(row),
                column=name,
                value=column.text(row),
                fix=found.fix,
            )
        )
    rows = np.flatnonzero(wrong[column.codes])

    def bad(row: int) -> InputError:
        found = means.wrong[int(column.codes[row])]
        return InputError(
            found.problem, file=table.file, row=table.row(row), column=name, value=found.value, fix=found.fix
        )

    problems.add_rows(rows, bad)


def _mixture_at(table: Table, name: str, column: Column, mixture: Mixture) -> InputError:
    """The problem that spellings are of different scales, with the first row of each; it stands at the rarest one."""
    told, places = [], []
    for words, texts in mixture.parts.items():
        rows = np.flatnonzero(np.isin(column.codes, texts))
        told.append(
            f"{words} such as {printable(column.text(int(rows[0])), 40)} in row {table.row(int(rows[0]))} (rows: {len(rows):,})"
        )
        places.append((len(rows), -int(rows[0])))
    row = -min(places)[1]
    return InputError(
        f"{mixture.problem}: {'; '.join(told)}",
        file=table.file,
        row=table.row(row),
        column=name,
        value=column.text(row),
        fix=mixture.fix,
    )


def _name_contradictions(
    table: Table, name: str, column: Column, item: NDArray[np.int32], bad: NDArray[np.int64], problems: Problems
) -> None:
    if not len(bad):
        return
    numbered = np.where(column.codes != MISSING, item, MISSING)
    first = np.full(int(item.max()) + 1, -1, np.int64)
    there = np.flatnonzero(numbered != MISSING)[::-1]
    first[numbered[there]] = there
    problems.add_rows(
        bad,
        lambda row: InputError(
            f"The item has another value in row {table.row(first[item[row]])}: {column.text(int(first[item[row]]))[:60]!r}",
            file=table.file,
            row=table.row(row),
            column=name,
            value=column.text(row),
            fix="Give an item the same value in all rows.",
        ),
    )


def _cautions(
    name: str, column: Column, means: Meaning, item: NDArray[np.int32], there: NDArray[np.bool_]
) -> list[Caution]:
    """What was decided about an attribute's cells; `there` says which items have a value."""
    found = [Caution(code="scale", message=f"{name}: {note}") for note in means.notes]
    known = there[item] & (item != MISSING)

    def items(mask: NDArray[np.bool_]) -> int:
        return len(np.unique(item[np.append(mask, False)[column.codes] & (item != MISSING) & ~known]))

    def coloured(mask: NDArray[np.bool_]) -> int:
        return len(np.unique(item[np.append(mask, False)[column.codes] & (item != MISSING)]))

    no_value = np.append(means.uncertain | means.sentinel, True)[column.codes]  # the code of an empty cell is -1
    if n := int(np.count_nonzero(no_value & known)):
        n_items = len(np.unique(item[no_value & known]))
        message = (
            f"{name}: rows that are blank, uncertain or declared to mean missing, whose item has a value in another row: "
            f"{n:,} (items: {n_items:,}). The item's value was taken for them."
        )
        found.append(Caution(code="labels-filled", message=message, count=n))
    if n := items(means.uncertain):
        message = f"{name}: items marked uncertain: {n:,}; they count as without a value."
        found.append(Caution(code="uncertain", message=message, count=n))
    if n := items(means.sentinel):
        message = f"{name}: items with a value that was declared to mean missing: {n:,}."
        found.append(Caution(code="sentinels", message=message, count=n))
    if means.lab is not None and (n := coloured(np.nan_to_num(means.lab[:, 2], nan=1.0) <= 0)):
        message = (
            f"{name}: items whose colour has b* of 0 or below (grey or bluish), where ITA means little for skin: {n:,}."
        )
        found.append(Caution(code="blue-skin", message=message, count=n))
    return found


def scale_hint(column: Column, spec: ParitySpec) -> str | None:
    """A sentence where another scale than the declared one fits the labels better; None where it does not."""
    best = fits(column.texts.take(column.used).to_pylist(), spec)
    if best is None or best[0] == spec.scale:
        return None
    return f"The values look like {best[1]}: the scale {best[0]} would fit them; {spec.scale} was asked for"
