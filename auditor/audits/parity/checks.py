"""The slots of a results table, checked: ids, ranks, scores, duplicates; sorted by query and rank.

Every check runs on whole columns; rows are looked at one by one only where something is wrong with them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.audits.findings import Caution
from auditor.audits.parity.data import MISSING
from auditor.audits.parity.settings import named
from auditor.audits.parity.spec import ParitySpec
from auditor.audits.reading.columnar import Column, Problems, Table
from auditor.errors import InputError

_LARGEST_RANK = 2**31 - 2


@dataclass(frozen=True)
class Slots:
    """Rows of a results table in order: one query's side by side, by rank.

    Attributes
    ----------
    table : Table
        The rows, in this order.
    query, item : Column
    rank : ndarray of int32, shape (n_slots,)
        From 1.
    score : ndarray of float64, shape (n_slots,), or None
    excluded : dict of str to int
        Slots left out, by reason.
    cautions : list of Caution
    """

    table: Table
    query: Column
    item: Column
    rank: NDArray[np.int32]
    score: NDArray[np.float64] | None
    excluded: dict[str, int]
    cautions: list[Caution]

    def take(self, rows: NDArray[np.bool_]) -> "Slots":
        """Some of the slots."""
        score = None if self.score is None else self.score[rows]
        taken = (self.table.take(rows), self.query.take(rows), self.item.take(rows), self.rank[rows])
        return Slots(*taken, score, self.excluded, self.cautions)


def slots_of(table: Table, fields: Mapping[str, str], spec: ParitySpec, problems: Problems) -> Slots:
    """Slots of a results table, by its fields; what is wrong is added to `problems` and left out.

    Without a column of items every row is an item of its own, and a caution says so.
    """
    excluded: dict[str, int] = {}
    cautions = list(table.cautions)
    if "item_id" not in fields:
        table, fields = _with_own_items(table, fields, cautions)
    kept = np.ones(table.n_rows, np.bool_)
    for field in ("query_id", "item_id"):
        kept &= filled(table, fields[field], problems)
    kept &= _no_sentinels(table, fields["item_id"], spec, problems, excluded)
    by_score = "rank" not in fields
    if by_score:
        rank, good = np.zeros(table.n_rows, np.int64), np.ones(table.n_rows, np.bool_)
    else:
        rank, good = _ranks(table, fields["rank"], problems)
    score = _scores(table, fields["score"], kept, problems) if "score" in fields else None
    rows = np.flatnonzero(kept & good)
    query, item = table.columns[fields["query_id"]], table.columns[fields["item_id"]]
    rows = _without_duplicates(table, query, item, rows, fields["item_id"], problems)
    if by_score and score is not None:
        rank = _rank_by_score(query.codes, score, rows, table.n_rows, fields["score"], cautions)
    if len(rows):
        if not by_score and rank[rows].min() == 0:
            rank = rank + 1
            n = len(np.unique(query.codes[rows]))
            message = f"Ranks are counted from 0 in the file, and from 1 here (queries: {n:,})."
            cautions.append(Caution(code="ranks-from-0", message=message, count=n))
        rows = _in_order(query.codes, rank, rows)
        rows = _without_shared_ranks(table, query, rank, rows, fields.get("rank", ""), problems)
        rank = _gaps(query.codes, rank, rows, spec, cautions)
    if score is not None and not by_score:
        _check_score_order(query.codes[rows], score[rows], cautions)
    return Slots(
        table=table.take(rows),
        query=query.take(rows),
        item=item.take(rows),
        rank=rank[rows].astype(np.int32),
        score=None if score is None else score[rows],
        excluded=excluded,
        cautions=cautions,
    )


def _with_own_items(table: Table, fields: Mapping[str, str], cautions: list[Caution]) -> tuple[Table, dict[str, str]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    names = pc.binary_join_element_wise("row", pa.array(table.row_numbers).cast(pa.string()), " ")
    column = Column(np.arange(table.n_rows, dtype=np.int32), names)
    cautions.append(
        Caution(
            code="items-without-ids",
            message="There is no column of items: every row counts as an item of its own, so an item that comes again is not "
            "recognised.",
            count=table.n_rows,
        )
    )
    name = "(row)"
    made = Table(
        table.file,
        table.title,
        table.names,
        {**table.columns, name: column},
        table.row_numbers,
        table.fields,
        table.cautions,
    )
    return made, {**fields, "item_id": name}


def filled(table: Table, column: str, problems: Problems) -> NDArray[np.bool_]:
    """Rows in which a needed cell is not empty; the others are problems."""
    there = np.asarray(table.columns[column].codes != MISSING)
    problems.add_rows(
        np.flatnonzero(~there),
        lambda row: InputError(
            "The cell is empty",
            file=table.file,
            row=table.row(row),
            column=column,
            fix="Fill it, or leave the row out.",
        ),
    )
    return there


def one_row_each(table: Table, column: str, what: str, problems: Problems) -> NDArray[np.int64]:
    """First row of every id in a table that should name each once; further rows are problems."""
    codes = table.columns[column].codes
    first = np.full(len(table.columns[column].values), -1, np.int64)
    there = np.flatnonzero(codes != MISSING)
    first[codes[there[::-1]]] = there[::-1]
    rows = first[table.columns[column].used]
    again = np.setdiff1d(there, rows, assume_unique=True)
    problems.add_rows(
        again,
        lambda row: InputError(
            f"The {what} stands here a second time, after row {table.row(first[codes[row]])}",
            file=table.file,
            row=table.row(row),
            column=column,
            value=table.columns[column].text(row),
            fix="Keep one of the rows.",
        ),
    )
    return rows


def _no_sentinels(
    table: Table, column: str, spec: ParitySpec, problems: Problems, excluded: dict[str, int]
) -> NDArray[np.bool_]:
    """Rows whose item is not -1, the label of indexes such as FAISS for "no result"."""
    import pyarrow.compute as pc

    cells = table.columns[column]
    code = pc.index(cells.texts, "-1").as_py()
    if code < 0:
        return np.ones(table.n_rows, np.bool_)
    there = np.asarray(cells.codes == code)
    if "-1" in spec.sentinels:
        excluded["no result (item -1)"] = int(there.sum())
    else:
        problems.add_rows(
            np.flatnonzero(there),
            lambda row: InputError(
                "The item -1 may stand for no result, as in FAISS",
                file=table.file,
                row=table.row(row),
                column=column,
                value="-1",
                fix=f"If it does, add -1 to {named('sentinels')}; else give the item another id.",
            ),
        )
    return ~there


def _ranks(table: Table, column: str, problems: Problems) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    numbers, is_number = table.columns[column].numbers()
    whole = is_number & np.isfinite(numbers)
    whole[whole] = (
        (numbers[whole] == np.trunc(numbers[whole])) & (numbers[whole] >= 0) & (numbers[whole] <= _LARGEST_RANK)
    )

    def bad(row: int) -> InputError:
        text = table.columns[column].text(row)
        if not text:
            problem, fix = "The rank is missing", "Fill it, or leave the row out."
        elif is_number[row] and numbers[row] < 0:
            problem, fix = (
                "The rank is negative, which may stand for no result",
                "Leave such rows out; ranks count from 0 or 1.",
            )
        else:
            problem, fix = "The rank is no whole number, or too large", "Write whole numbers from 1 on."
        return InputError(problem, file=table.file, row=table.row(row), column=column, value=text or None, fix=fix)

    problems.add_rows(np.flatnonzero(~whole), bad)
    return np.where(whole, numbers, 0).astype(np.int64), whole


def _scores(table: Table, column: str, kept: NDArray[np.bool_], problems: Problems) -> NDArray[np.float64] | None:
    """Scores of all rows; None if no row has one, as when a search engine sorted by something else."""
    cells = table.columns[column]
    if not np.any(cells.codes != MISSING):
        return None
    numbers, is_number = cells.numbers()

    def bad(row: int) -> InputError:
        text = cells.text(row)
        if not text:
            problem = "The score is missing"
        else:
            problem = "The score is not finite" if is_number[row] else "The score is no number"
        fix = "Give every result a finite score with a decimal point, or leave the column out."
        return InputError(problem, file=table.file, row=table.row(row), column=column, value=text or None, fix=fix)

    problems.add_rows(np.flatnonzero(kept & ~(is_number & np.isfinite(numbers))), bad)
    return numbers


def _without_duplicates(
    table: Table, query: Column, item: Column, rows: NDArray[np.int64], column: str, problems: Problems
) -> NDArray[np.int64]:
    key = query.codes[rows].astype(np.int64) * max(len(item.values), 1) + item.codes[rows]
    order = np.argsort(key, kind="stable")
    same = np.flatnonzero(key[order[1:]] == key[order[:-1]]) + 1
    if not len(same):
        return rows
    again, before = (
        rows[order[same]],
        dict(zip(rows[order[same]].tolist(), rows[order[same - 1]].tolist(), strict=True)),
    )
    problems.add_rows(
        np.sort(again),
        lambda row: InputError(
            f"Query {query.text(row)[:80]!r} has this item a second time, after row {table.row(before[row])}",
            file=table.file,
            row=table.row(row),
            column=column,
            value=item.text(row),
            fix="Keep one of the two rows.",
        ),
    )
    return np.setdiff1d(rows, again, assume_unique=True)


def _in_order(query: NDArray[np.int32], rank: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows by query and rank; equal ranks in the order of the file."""
    key = (query[rows].astype(np.int64) << 32) + rank[rows]
    if np.all(key[1:] > key[:-1]):
        return rows
    return rows[np.argsort(key, kind="stable")]


def _without_shared_ranks(
    table: Table, query: Column, rank: NDArray[np.int64], rows: NDArray[np.int64], column: str, problems: Problems
) -> NDArray[np.int64]:
    if len(rows) < 2:
        return rows
    codes = query.codes[rows]
    shared = np.flatnonzero((codes[1:] == codes[:-1]) & (rank[rows[1:]] == rank[rows[:-1]])) + 1
    if not len(shared):
        return rows
    before = dict(zip(rows[shared].tolist(), rows[shared - 1].tolist(), strict=True))
    problems.add_rows(
        rows[shared],
        lambda row: InputError(
            f"Query {query.text(row)[:80]!r} has this rank a second time, after row {table.row(before[row])}",
            file=table.file,
            row=table.row(row),
            column=column,
            value=table.columns[column].text(row),
            fix="Give every result of a query a rank of its own.",
        ),
    )
    return np.delete(rows, shared)


def _rank_by_score(
    query: NDArray[np.int32],
    score: NDArray[np.float64],
    rows: NDArray[np.int64],
    n_rows: int,
    column: str,
    cautions: list[Caution],
) -> NDArray[np.int64]:
    """Ranks from scores, largest first; from distances smallest first. Ties keep the order of the file."""
    is_distance = "dist" in column.lower()
    value = score[rows] if is_distance else -score[rows]
    order = rows[np.lexsort((value, query[rows]))]
    rank = np.zeros(n_rows, np.int64)
    rank[order] = _places(query[order])
    first = "smallest" if is_distance else "largest"
    message = f"There is no column of ranks: results were ranked by {column!r}, the {first} first, ties in the order of the file."
    cautions.append(Caution(code="ranks-from-scores", message=message, count=len(rows)))
    return rank


def _places(codes: NDArray[np.int32]) -> NDArray[np.int64]:
    """1, 2, 3 ... within each run of equal codes."""
    n = len(codes)
    begins = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]]) if n else np.zeros(0, np.int64)
    sizes = np.diff(np.r_[begins, n])
    return np.arange(n, dtype=np.int64) - np.repeat(begins, sizes) + 1


def _gaps(
    query: NDArray[np.int32],
    rank: NDArray[np.int64],
    rows: NDArray[np.int64],
    spec: ParitySpec,
    cautions: list[Caution],
) -> NDArray[np.int64]:
    """Ranks after the declared rule for gaps."""
    place = _places(query[rows])
    gap = rank[rows] != place
    if not gap.any():
        return rank
    n_queries = len(np.unique(query[rows[gap]]))
    last = np.flatnonzero(np.r_[query[rows[1:]] != query[rows[:-1]], True])
    n_missing = int((rank[rows[last]] - place[last]).sum())
    closes = spec.rank_gaps == "re-rank"
    rule = "ranks were closed up, as asked" if closes else "ranks were kept, so missing results still count towards K"
    message = f"Queries with gaps in their ranks: {n_queries:,}, missing results: {n_missing:,}; {rule}."
    cautions.append(Caution(code="rank-gaps", message=message, count=n_queries))
    if not closes:
        return rank
    closed = rank.copy()
    closed[rows] = place
    return closed


def _check_score_order(query: NDArray[np.int32], score: NDArray[np.float64], cautions: list[Caution]) -> None:
    """Warn of queries whose scores neither fall nor rise along the ranks."""
    step = np.diff(score)
    within = query[1:] == query[:-1]
    rises, falls = np.unique(query[1:][within & (step > 0)]), np.unique(query[1:][within & (step < 0)])
    both = len(np.intersect1d(rises, falls, assume_unique=True))
    if both:
        message = f"Queries whose scores neither fall nor rise along the ranks: {both:,}; the ranks were taken."
        cautions.append(Caution(code="ranks-against-scores", message=message, count=both))
