"""The group, the stratum and the item of every query, from the results table or a table of queries."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.audits.findings import Caution
from auditor.audits.parity.columns import missing
from auditor.audits.parity.data import MISSING
from auditor.audits.parity.scales import MOST_LEVELS, alike, by_number_then_name, unknown
from auditor.audits.parity.sentinels import is_sentinel, sentinel_error
from auditor.audits.parity.settings import named
from auditor.audits.parity.spec import ParitySpec
from auditor.audits.reading.columnar import Column, Problems, Table, constant
from auditor.audits.reading.names import did_you_mean, match
from auditor.errors import InputError, printable


@dataclass(frozen=True)
class Keyed:
    """A table whose rows belong to numbered things, such as queries or items."""

    table: Table
    number: NDArray[np.int32]
    n: int
    what: str

    def value(self, name: str, column: Column, problems: Problems) -> NDArray[np.int32]:
        """Code of a column for each thing; rows that contradict an earlier one are problems."""
        value, bad = constant(self.number, self.n, column.codes)
        problems.add_rows(
            bad,
            lambda row: InputError(
                f"The {self.what} has another value here than before: "
                f"{column.texts[int(value[self.number[row]])].as_py()[:60]!r} first",
                file=self.table.file,
                row=self.table.row(row),
                column=name,
                value=column.text(row),
                fix=f"Give one {self.what} the same value in all rows.",
            ),
        )
        return value


@dataclass(frozen=True)
class Groups:
    """Groups of queries.

    Attributes
    ----------
    names : tuple of str
    of_query : ndarray of int16, shape (Q,)
        `MISSING` for queries that take no part.
    excluded : dict of str to int
        Slots left out, by reason.
    cautions : list of Caution
    """

    names: tuple[str, ...]
    of_query: NDArray[np.int16]
    excluded: dict[str, int]
    cautions: list[Caution]


def no_groups(n_queries: int) -> Groups:
    """Queries without groups."""
    return Groups((), np.full(n_queries, MISSING, np.int16), {}, [])


def groups_of(
    keyed: Keyed, name: str, column: Column, n_slots: NDArray[np.int64], spec: ParitySpec, problems: Problems
) -> Groups:
    """Groups from a column, after merging, ordering and leaving out as the spec asks.

    Parameters
    ----------
    n_slots : ndarray of int64, shape (Q,)
        Results of each query.
    """
    texts = column.texts.to_pylist()
    code = keyed.value(name, column, problems)
    counts = np.bincount(column.codes[column.codes != MISSING], minlength=len(texts))
    merged = [None if is_sentinel(text, spec.sentinels) else spec.merge_groups.get(text, text) for text in texts]
    occurring = {texts[number] for number in np.flatnonzero(counts)}
    for merging in spec.merge_groups:
        if merging not in occurring:
            problem = f"{named('merge_groups')} names a group that is not there"
            fix = unknown(merging, sorted(occurring)).fix
            problems.add(InputError(problem, file=keyed.table.file, column=name, value=merging, fix=fix))
    wrong: dict[int, InputError] = {}
    for number in np.flatnonzero(counts).tolist():
        group = merged[number]
        if group is None:
            continue
        if spec.group_order and group not in spec.group_order:
            problem = f"The group is missing in {named('group_order')}"
            fix = f"Add it there, or leave its queries out.{did_you_mean(group, spec.group_order)}"
            wrong[number] = InputError(problem, value=group, fix=fix)
        elif (
            not spec.group_order and (asking := sentinel_error(group, f"name it in {named('group_order')}")) is not None
        ):
            wrong[number] = asking
    _name_wrong(keyed.table, name, column, wrong, problems)
    used = {
        group for number, group in enumerate(merged) if counts[number] and group is not None and number not in wrong
    }
    names = tuple(group for group in spec.group_order if group in used) or tuple(sorted(used, key=by_number_then_name))
    if len(names) > MOST_LEVELS:
        problem = f"The column has {len(names):,} different values: these are no groups"
        problems.add(InputError(problem, file=keyed.table.file, column=name, fix="Name another column."))
        return no_groups(keyed.n)
    place = {group: number for number, group in enumerate(names)}
    of_text = np.array([MISSING if group is None else place.get(group, MISSING) for group in [*merged, None]], np.int16)
    found = _excluding(names, of_text[code], n_slots, spec)
    found.cautions[:0] = [*_alike(names), *_filled(keyed, name, column, code, "groups-filled")]
    return found


def _alike(names: Sequence[str]) -> Iterator[Caution]:
    """Groups that are one group, most likely, written in several ways."""
    same = alike(names)
    if not same:
        return
    shown = "; ".join(" and ".join(printable(name, 40) for name in variants) for variants in same[:5])
    other, one = same[0][0], same[0][-1]
    message = (
        f"Groups that differ only in capitals or blanks count as different groups: {shown}. If they are one group, write "
        f"them alike in the file, or merge them: {printable(other, 40)} with {printable(one, 40)}."
    )
    yield Caution(code="groups-alike", message=message, count=len(same))


def _filled(keyed: Keyed, name: str, column: Column, code: NDArray[np.int32], short: str) -> Iterator[Caution]:
    """Rows without a value whose query or item has one in another row."""
    blank = (column.codes == MISSING) & (keyed.number != MISSING)
    rows = np.flatnonzero(blank)[code[keyed.number[blank]] != MISSING]
    if len(rows):
        n = len(np.unique(keyed.number[rows]))
        several = {"query": "queries", "item": "items"}[keyed.what]
        message = (
            f"{name}: rows without a value whose {keyed.what} has one in another row: {len(rows):,} ({several}: {n:,}). That "
            "value was taken for them."
        )
        yield Caution(code=short, message=message, count=len(rows))


def _name_wrong(table: Table, name: str, column: Column, wrong: Mapping[int, InputError], problems: Problems) -> None:
    if not wrong:
        return

    def bad(row: int) -> InputError:
        found = wrong[int(column.codes[row])]
        return InputError(
            found.problem, file=table.file, row=table.row(row), column=name, value=found.value, fix=found.fix
        )

    problems.add_rows(np.flatnonzero(np.isin(column.codes, list(wrong))), bad)


def _excluding(
    names: tuple[str, ...], of_query: NDArray[np.int16], n_slots: NDArray[np.int64], spec: ParitySpec
) -> Groups:
    excluded: dict[str, int] = {}
    cautions: list[Caution] = []
    without = of_query == MISSING
    if without.any():
        excluded["query without a group"] = int(n_slots[without].sum())
        count = int(without.sum())
        message = f"Queries without a group: {count:,}. They take no part in a comparison of groups."
        cautions.append(Caution(code="queries-without-group", message=message, count=count))
    counts = np.bincount(of_query[~without], minlength=len(names))
    share = counts / max(counts.sum(), 1)
    small = np.flatnonzero((share < spec.smallest_group_share) & (counts > 0))
    for number in small:
        reason = f"group {names[number]!r}: less than {100 * spec.smallest_group_share:g}% of the queries"
        excluded[reason] = int(n_slots[of_query == number].sum())
        message = f"Queries left out: {int(counts[number]):,} ({reason})."
        cautions.append(Caution(code="group-left-out", message=message, count=int(counts[number])))
    kept = np.setdiff1d(np.arange(len(names)), small)
    number_of = np.full(len(names) + 1, MISSING, np.int16)  # the last one serves MISSING
    number_of[kept] = np.arange(len(kept))
    return Groups(tuple(names[number] for number in kept), number_of[of_query], excluded, cautions)


def strata_of(
    columns: Sequence[str],
    queries: Sequence[Keyed],
    items: Sequence[Keyed],
    n_queries: int,
    n_items: int,
    problems: Problems,
    cautions: list[Caution],
) -> tuple[NDArray[np.int32], NDArray[np.int32], tuple[str, ...]]:
    """Stratum of every query and of every item, and the strata's names.

    A column counts for queries if it is constant within each query, for items if it is constant within each item; a
    column that is neither is refused.
    """
    of_queries: list[list[str]] = [[] for _ in range(n_queries)]
    of_items: list[list[str]] = [[] for _ in range(n_items)]
    for name in columns:
        placed = _place(name, queries, of_queries, cautions) + _place(name, items, of_items, cautions)
        if not placed:
            where = next((keyed for keyed in (*queries, *items) if match(tuple(keyed.table.columns), name)), None)
            if where is None:
                tables = {keyed.table.file: keyed.table for keyed in (*queries, *items)}
                problems.add(missing(list(tables.values()), name, "strata"))
                continue
            problem = "The stratum is constant neither within queries nor within items"
            fix = "Name a column that has one value for each query, or one for each item."
            problems.add(InputError(problem, file=where.table.file, column=name, fix=fix))
    shown_queries = [" / ".join(parts) or ALL for parts in of_queries]
    shown_items = [" / ".join(parts) or ALL for parts in of_items]
    names = tuple(dict.fromkeys([*shown_queries, *shown_items])) if columns else ()
    place = {name: number for number, name in enumerate(names)}
    if not columns:
        return np.zeros(n_queries, np.int32), np.zeros(n_items, np.int32), ()
    unknown_ones = sum(NO_STRATUM in name for name in (*shown_queries, *shown_items))
    if unknown_ones:
        message = f"Queries or items without a stratum: {unknown_ones:,}. They form one of their own, {NO_STRATUM!r}."
        cautions.append(Caution(code="without-stratum", message=message, count=unknown_ones))
    return (
        np.array([place[name] for name in shown_queries], np.int32),
        np.array([place[name] for name in shown_items], np.int32),
        names,
    )


#: Stratum of what has none, and the one stratum of all where no column gives any.
NO_STRATUM, ALL = "(none)", "(all)"


def _place(name: str, sources: Sequence[Keyed], of: list[list[str]], cautions: list[Caution]) -> bool:
    """Add a column's value to every thing, from the first source in which it is constant."""
    for keyed in sources:
        column_name = match(tuple(keyed.table.columns), name)
        if column_name is None:
            continue
        column = keyed.table.columns[column_name]
        value, bad = constant(keyed.number, keyed.n, column.codes)
        if len(bad):
            continue
        cautions.extend(_filled(keyed, column_name, column, value, "strata-filled"))
        texts = [*column.texts.to_pylist(), NO_STRATUM]
        for parts, code in zip(of, value.tolist(), strict=True):
            parts.append(texts[code])
        return True
    return False
