"""The group, the stratum and the item of every query, from the results table or a table of queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.audits.findings import Caution
from auditor.audits.parity.columnar import Column, Problems, Table, constant
from auditor.audits.parity.columns import match
from auditor.audits.parity.data import MISSING
from auditor.audits.parity.scales import MOST_LEVELS, by_number_then_name, unknown
from auditor.audits.parity.sentinels import is_sentinel, sentinel_error
from auditor.audits.parity.spec import ParitySpec
from auditor.errors import InputError


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
            error = unknown(merging, sorted(occurring))
            problems.add(InputError("There is no such group to merge", column=name, value=merging, fix=error.fix))
    wrong: dict[int, InputError] = {}
    for number in np.flatnonzero(counts).tolist():
        group = merged[number]
        if group is None:
            continue
        if spec.group_order and group not in spec.group_order:
            wrong[number] = unknown(group, spec.group_order)
        elif not spec.group_order and (asking := sentinel_error(group, "name it in Order of the groups")) is not None:
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
    return _excluding(names, of_text[code], n_slots, spec)


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
        placed = _place(name, queries, of_queries) + _place(name, items, of_items)
        if not placed:
            where = next((keyed for keyed in (*queries, *items) if match(tuple(keyed.table.columns), name)), None)
            problem = (
                "The column for strata is missing"
                if where is None
                else "The stratum is constant neither within queries nor within items"
            )
            file = (where or queries[0]).table.file
            problems.add(InputError(problem, file=file, column=name, fix="Name a column that is one value for each."))
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


def _place(name: str, sources: Sequence[Keyed], of: list[list[str]]) -> bool:
    """Add a column's value to every thing, from the first source in which it is constant."""
    for keyed in sources:
        column_name = match(tuple(keyed.table.columns), name)
        if column_name is None:
            continue
        column = keyed.table.columns[column_name]
        value, bad = constant(keyed.number, keyed.n, column.codes)
        if len(bad):
            continue
        texts = [*column.texts.to_pylist(), NO_STRATUM]
        for parts, code in zip(of, value.tolist(), strict=True):
            parts.append(texts[code])
        return True
    return False
