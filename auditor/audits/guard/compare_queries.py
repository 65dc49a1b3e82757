"""The table of queries of a guard run, as far as it is compared: the test queries and their answers by condition."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auditor.audits.guard.conditions import ZERO_SHOT
from auditor.errors import InputError

Labels = NDArray[np.object_]
_READ = ("row", "query_id", "group", "label", "pool", "condition", "zero_shot", "unguarded", "guarded")


@dataclass(frozen=True, eq=False)
class Under:
    """Labels that were answered under one condition, each of shape (n,)."""

    zero_shot: Labels
    unguarded: Labels
    guarded: Labels


@dataclass(frozen=True, eq=False)
class Tested:
    """Test queries of a run.

    Attributes
    ----------
    name : str
        Of the run.
    ids, groups : tuple of n str
        A query without a group is its own.
    rows : tuple of n int
    labels : ndarray of str, shape (n,)
        The right ones.
    under : Mapping of str to Under
        By condition, in the order of the table.
    """

    name: str
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    rows: tuple[int, ...]
    labels: Labels
    under: Mapping[str, Under]

    def right(self, answers: Labels) -> NDArray[np.float64]:
        """1 where an answer is right, else 0."""
        found: NDArray[np.float64] = (answers == self.labels).astype(np.float64)
        return found

    def take(self, places: NDArray[np.intp]) -> "Tested":
        """Some of the queries, in this order."""
        chosen = places.tolist()
        return Tested(
            name=self.name,
            ids=tuple(self.ids[place] for place in chosen),
            groups=tuple(self.groups[place] for place in chosen),
            rows=tuple(self.rows[place] for place in chosen),
            labels=self.labels[places],
            under={
                name: Under(one.zero_shot[places], one.unguarded[places], one.guarded[places])
                for name, one in self.under.items()
            },
        )


def read_tested(name: str, queries: Path) -> Tested:
    """Read the test queries of a run.

    Parameters
    ----------
    name : str
        Of the run, for messages.
    queries : Path
        Its table of queries.

    Raises
    ------
    InputError
        If no query tests, or a condition lacks some of the queries.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(queries, columns=list(_READ))
    table = table.filter(pc.equal(table["pool"], "test"))
    if not table.num_rows:
        raise InputError(f"The run {name} has no test queries")
    columns = {column: np.array(table[column].to_pylist(), dtype=object) for column in _READ}
    conditions = dict.fromkeys(columns["condition"].tolist())
    ids: tuple[str, ...] = ()
    under: dict[str, Under] = {}
    first: NDArray[np.intp] = np.array([], dtype=np.intp)
    for condition in conditions:
        places = np.flatnonzero(columns["condition"] == condition)
        places = places[np.argsort(columns["query_id"][places].astype(str), kind="stable")]
        found = tuple(columns["query_id"][places].tolist())
        if under and found != ids:
            raise InputError(f"The table of queries of run {name} is damaged: {condition} lacks some of the queries")
        ids, first = found, places
        under[condition] = Under(*(columns[what][places] for what in ("zero_shot", "unguarded", "guarded")))
    groups = [group or f"\x00{own}" for group, own in zip(columns["group"][first].tolist(), ids, strict=True)]
    return Tested(name, ids, tuple(groups), tuple(columns["row"][first].tolist()), columns["label"][first], under)


def both(a: Tested, b: Tested) -> tuple[Tested, Tested]:
    """The queries that test in both runs, in the same order.

    Raises
    ------
    InputError
        If there are none, or one has another right label in the other run.
    """
    place_of = {own: place for place, own in enumerate(b.ids)}
    shared = [place for place, own in enumerate(a.ids) if own in place_of]
    if not shared:
        raise InputError(
            f"No query tests in both {a.name} and {b.name}",
            fix="Runs of the same queries with the same seed and share of calibration test the same ones.",
        )
    first = a.take(np.array(shared, dtype=np.intp))
    second = b.take(np.array([place_of[own] for own in first.ids], dtype=np.intp))
    apart = np.flatnonzero(first.labels != second.labels)
    if len(apart):
        own = first.ids[apart[0]]
        raise InputError(
            f"The query {own} has the label {first.labels[apart[0]]} in {a.name} and {second.labels[apart[0]]} in {b.name}",
            fix="Compare runs of the same queries.",
        )
    return first, second


def common_conditions(a: Tested, b: Tested) -> tuple[str, ...]:
    """Conditions with demonstrations that both runs asked, in the order of A.

    Raises
    ------
    InputError
        If there are none.
    """
    found = tuple(condition for condition in a.under if condition in b.under and condition != ZERO_SHOT)
    if not found:
        raise InputError(f"{a.name} and {b.name} have no condition in common")
    return found
