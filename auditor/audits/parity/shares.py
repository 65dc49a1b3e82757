"""Target shares of the levels for each query (mode C2), from a wide or a long table, or one target for all queries."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from auditor.audits.findings import Caution
from auditor.audits.parity.checks import filled
from auditor.audits.parity.columns import missing
from auditor.audits.parity.data import MISSING, Scale
from auditor.audits.parity.scales import unknown
from auditor.audits.reading.columnar import Column, Problems, Table
from auditor.audits.reading.names import nearest
from auditor.errors import InputError, printable

#: Shares are written rounded: a row may miss 1 by this and is divided by its sum (ours).
ROUNDING = 0.01


def levels_named(table: Table, fields: Mapping[str, str]) -> tuple[str, ...]:
    """Names of levels that a table of shares gives, in its order."""
    if "level" in fields and "share" in fields:
        column = table.columns[fields["level"]]
        return tuple(column.texts.take(np.sort(column.used)).to_pylist())
    about = {fields.get("query_id"), fields.get("target_mean")}
    return tuple(name.strip() for name in table.columns if name not in about)


def leave_a_rest(table: Table, fields: Mapping[str, str]) -> bool:
    """Whether the shares of every row of a wide table leave something for a level that is not named."""
    if "level" in fields:
        return False
    about = {fields.get("query_id"), fields.get("target_mean")}
    cells = [column.numbers()[0] for name, column in table.columns.items() if name not in about]
    return bool(cells) and bool(np.all(np.sum(cells, axis=0) < 1 - ROUNDING))


def target_mean(table: Table, fields: Mapping[str, str], problems: Problems) -> float | None:
    """The one target in degrees, if the table gives one; None if it gives shares."""
    name = fields.get("target_mean")
    if name is None:
        return None
    numbers, _ = table.columns[name].numbers()
    good = np.isfinite(numbers) & (np.abs(numbers) <= 90)
    if not good.all() or not len(numbers):
        row = int(np.flatnonzero(~good)[0]) if len(numbers) else None
        problems.add(
            InputError(
                "The target mean is no number of degrees from -90 to 90",
                file=table.file,
                row=None if row is None else table.row(row),
                column=name,
                value=None if row is None else table.columns[name].text(row) or None,
                fix="Write degrees, for example 41.5.",
            )
        )
        return None
    if len(np.unique(numbers)) > 1:
        problems.add(
            InputError(
                "The target mean differs between rows",
                file=table.file,
                column=name,
                fix="Give one target for all queries.",
            )
        )
        return None
    return float(numbers[0])


def matrix(
    table: Table,
    fields: Mapping[str, str],
    scale: Scale,
    query_ids: Sequence[str],
    problems: Problems,
    cautions: list[Caution],
) -> NDArray[np.float64] | None:
    """Target shares, shape (Q, n_levels): rows sum to 1, nan for queries that the table does not name; None if damaged."""
    before = problems.count
    per_row, row_query = (
        _long(table, fields, scale, problems)
        if "level" in fields and "share" in fields
        else _wide(table, fields, scale, problems)
    )
    if problems.count > before or per_row is None:
        return None
    per_row = _summing_to_one(table, fields, scale, per_row, row_query, problems, cautions)
    if problems.count > before:
        return None
    if row_query is None:  # one target for all queries
        if len(per_row) != 1:
            problems.add(missing(table, "query_id", "query_id"))
            return None
        return np.repeat(per_row, len(query_ids), axis=0)
    place = {name: number for number, name in enumerate(query_ids)}
    found = np.full((len(query_ids), per_row.shape[1]), np.nan)
    for shares, row in zip(per_row, row_query, strict=True):
        name = table.columns[fields["query_id"]].text(row)
        if name in place:
            found[place[name]] = shares
        else:
            problems.add(
                InputError(
                    "The query has no results",
                    file=table.file,
                    row=table.row(row),
                    column=fields["query_id"],
                    value=name,
                    fix="Leave the row out, or add the query's results.",
                )
            )
    if lost := int(np.isnan(found[:, 0]).sum()):
        message = f"Queries without target shares: {lost:,}. They take no part in a comparison with them."
        cautions.append(Caution(code="queries-without-shares", message=message, count=lost))
    return found


_Rows = tuple[NDArray[np.float64] | None, list[int] | None]


def _wide(table: Table, fields: Mapping[str, str], scale: Scale, problems: Problems) -> _Rows:
    """Shares of each row, nan in a column that is not there, and the row of each query."""
    shares = np.full((table.n_rows, len(scale.levels)), np.nan)
    for name in table.columns:
        if name in (fields.get("query_id"), fields.get("target_mean")):
            continue
        place = _place(name, scale)
        if place is None:
            error = unknown(name, scale.levels)
            problems.add(
                InputError("This column is none of the levels", file=table.file, row=1, column=name, fix=error.fix)
            )
            continue
        shares[:, place] = _share_cells(table, name, problems)
    if "query_id" not in fields:
        return shares, None
    column = table.columns[fields["query_id"]]
    filled(table, fields["query_id"], problems)
    _check_once(table, fields["query_id"], column, column.codes.astype(np.int64), problems)
    return shares, list(range(table.n_rows))


def _long(table: Table, fields: Mapping[str, str], scale: Scale, problems: Problems) -> _Rows:
    values = _share_cells(table, fields["share"], problems)
    column = table.columns[fields["level"]]
    filled(table, fields["level"], problems)
    texts = column.texts.to_pylist()
    places = np.array([-1 if (place := _place(text, scale)) is None else place for text in texts] + [-1], np.int64)
    number = places[column.codes]

    def bad(row: int) -> InputError:
        error = unknown(column.text(row), scale.levels)
        return InputError(
            error.problem, file=table.file, row=table.row(row), column=fields["level"], value=error.value, fix=error.fix
        )

    problems.add_rows(np.flatnonzero((number < 0) & (column.codes != MISSING)), bad)
    query = np.zeros(table.n_rows, np.int64)
    first_row: list[int] | None = None
    if "query_id" in fields:
        filled(table, fields["query_id"], problems)
        codes = table.columns[fields["query_id"]].codes
        _, rows, query = np.unique(codes, return_index=True, return_inverse=True)
        first_row = [int(row) for row in rows]
    _check_once(table, fields["level"], column, query * (len(scale.levels) + 1) + number, problems)
    good = number >= 0
    shares = np.full((int(query.max(initial=-1)) + 1, len(scale.levels)), np.nan)
    shares[query[good], number[good]] = values[good]
    return shares, first_row


def _place(name: str, scale: Scale) -> int | None:
    plain = name.strip().casefold()
    return next((number for number, level in enumerate(scale.levels) if level.strip().casefold() == plain), None)


def _share_cells(table: Table, name: str, problems: Problems) -> NDArray[np.float64]:
    column = table.columns[name]
    numbers, _ = column.numbers()
    good = np.isfinite(numbers) & (numbers >= 0)
    problems.add_rows(
        np.flatnonzero(~good),
        lambda row: InputError(
            "This is no share",
            file=table.file,
            row=table.row(row),
            column=name,
            value=column.text(row) or None,
            fix="Write a number from 0 to 1.",
        ),
    )
    return numbers


def _check_once(table: Table, name: str, column: Column, key: NDArray[np.int64], problems: Problems) -> None:
    order = np.argsort(key, kind="stable")
    again = np.sort(order[1:][key[order[1:]] == key[order[:-1]]])
    problems.add_rows(
        again,
        lambda row: InputError(
            "The shares stand here a second time",
            file=table.file,
            row=table.row(row),
            column=name,
            value=column.text(row) or None,
            fix="Keep one of the rows.",
        ),
    )


def _summing_to_one(
    table: Table,
    fields: Mapping[str, str],
    scale: Scale,
    shares: NDArray[np.float64],
    rows: list[int] | None,
    problems: Problems,
    cautions: list[Caution],
) -> NDArray[np.float64]:
    """Shares whose rows sum to 1; one level that nobody named is the rest, others that nobody named are 0."""
    absent = np.flatnonzero(np.isnan(shares).all(axis=0))
    known = np.nan_to_num(shares, nan=0.0)
    total = known.sum(axis=1)
    if len(absent) == 1 and len(total) and np.all(total <= 1 + ROUNDING) and np.any(total < 1 - ROUNDING):
        known[:, absent[0]] = np.maximum(1 - total, 0)
        message = "One level has no target share: it was given what the others leave of 1."
        cautions.append(Caution(code="shares-completed", message=message, count=len(known)))
        total = known.sum(axis=1)
    bad = np.abs(total - 1) > ROUNDING
    if bad.any() and len(absent):
        first = int(np.flatnonzero(bad)[0])
        row = None if rows is None else rows[first]
        problems.add(_unnamed(table, fields, scale, absent, float(total[first]), row))
        return known

    def wrong(number: int) -> InputError:
        in_percent = abs(total[number] - 100) <= 100 * ROUNDING
        return InputError(
            f"The shares add up to {total[number]:.4g} instead of 1",
            file=table.file,
            row=None if rows is None else table.row(rows[number]),
            fix="Divide percentages by 100."
            if in_percent
            else "Give every level one column, and no column to anything else.",
        )

    problems.add_rows(np.flatnonzero(bad), wrong)
    rounded = np.count_nonzero(~bad & (np.abs(total - 1) > 1e-9))
    if rounded:
        message = f"Rows whose shares add up to 1 only after rounding: {rounded:,}; each was divided by its row's sum."
        cautions.append(Caution(code="shares-rounded", message=message, count=rounded))
    return np.asarray(known / np.where(total > 0, total, 1)[:, None], np.float64)


def _unnamed(
    table: Table,
    fields: Mapping[str, str],
    scale: Scale,
    absent: NDArray[np.int64],
    total: float,
    row: int | None,
) -> InputError:
    """The one problem that levels of the results have no target, as where their names are written otherwise."""
    named = levels_named(table, fields)
    lacking = [scale.levels[number] for number in absent]
    shown = ", ".join(printable(name, 40) for name in lacking[:10])
    has = ", ".join(printable(name, 40) for name in named[:10])
    meant = [(name, near[0]) for name in lacking if (near := nearest(name, named))]
    hint = f" Perhaps {printable(meant[0][1], 40)} is {printable(meant[0][0], 40)}." if meant else ""
    return InputError(
        f"The shares add up to {total:.4g} instead of 1, and no share is given for {shown}",
        file=table.file,
        row=None if row is None else table.row(row),
        fix=f"Write the levels as the results do. The file names {has}.{hint}",
    )
