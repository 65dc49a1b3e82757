"""What a person rates by hand: in which order, what is rated already, and what can be undone."""

from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from auditor.case.records import GivenRating
from auditor.case.store import Record
from auditor.desktop.widgets.columns import Numbers, Texts

Order = Literal["file", "random", "uncertain"]


@dataclass(frozen=True)
class Places:
    """An order of rows of the ratings table.

    Attributes
    ----------
    sources : array of int
        Rows of the table, from 0, in the order in which they are rated.
    positions : array of int
        For each row of the table where it stands in that order, -1 if it is not asked for.
    """

    sources: "array[int]"
    positions: "array[int]"


def arrange_places(row: Numbers, axis: Texts, entropy: Numbers, only: str, order: Order, seed: int) -> Places:
    """The order in which a person rates; the axes of a conversation stay together. Runs off the window's thread.

    Parameters
    ----------
    row, axis, entropy
        Columns of the ratings table, in the order of the file: a conversation's axes one after the other.
    only : str
        Axis that is rated; empty for all.
    order : {"file", "random", "uncertain"}
        As the file has them; conversations permuted at random, the same for every rater, so that people rate the same
        ones first; or those first of which the judge was least sure on any of the axes.
    seed : int
        Of the random order.
    """
    import numpy as np

    rows = row.keys(len(row))
    places = np.flatnonzero(_is_axis(axis, only)) if only else np.arange(len(row))
    if order != "file" and len(places):
        _, unit = np.unique(rows[places], return_inverse=True)
        n = int(unit.max()) + 1
        if order == "random":
            turn = np.random.default_rng(seed).permutation(n)
        else:
            most = np.full(n, -np.inf)
            np.maximum.at(most, unit, entropy.keys(len(entropy))[places])
            turn = np.empty(n, dtype=np.int64)
            turn[np.argsort(-most, kind="stable")] = np.arange(n)
        places = places[np.argsort(turn[unit], kind="stable")]
    positions = np.full(len(rows), -1)
    positions[places] = np.arange(len(places))
    return Places(_whole(places), _whole(positions))


def _whole(numbers: Any) -> "array[int]":
    found = array("q")
    found.frombytes(numbers.astype("int64").tobytes())
    return found


def _is_axis(axis: Texts, only: str) -> Any:
    import numpy as np

    ranks = axis.keys(len(axis))
    # Equal texts have equal ranks: one look at each text that differs is enough.
    _, firsts, which = np.unique(ranks, return_index=True, return_inverse=True)
    return np.array([axis.whole_text(int(first)) == only for first in firsts], dtype=bool)[which]


@dataclass(frozen=True)
class Own:
    """A rating of the rater at the keyboard that holds."""

    record: str
    given: GivenRating


@dataclass(frozen=True)
class Step:
    """A rating that can be undone, and the one that it took the place of."""

    key: tuple[int, str]
    before: GivenRating | None


class HandQueue:
    """Where a rater stands.

    Attributes
    ----------
    place : int
        Position in the queue of what is in view.
    rater : str
    """

    def __init__(self) -> None:
        self.rater = ""
        self.place = 0
        self.clear()
        self._own: dict[tuple[int, str], Own] = {}
        self._steps: list[Step] = []

    def clear(self) -> None:
        """Hold no run, until another order is taken."""
        self.arrange(Places(array("q"), array("q")), Numbers("row", "Row", ""), Texts("axis", "Axis", ""))

    def arrange(self, places: Places, rows: Numbers, axes: Texts) -> None:
        """Take another order, and begin at its beginning."""
        self._places, self._rows, self._axes = places, rows, axes
        self.place = 0

    def read(self, records: Sequence[Record]) -> None:
        """Take in a run's human ratings; those that were given at a keyboard can be undone, newest first."""
        self._own.clear()
        self._steps.clear()
        for record in records:
            body = record.body
            if body["rater"] == self.rater and str(body["unit"]).isdecimal():
                key = (int(body["unit"]), str(body["axis"]))
                self._own[key] = Own(record.id, GivenRating.of(body))
                if "blind" in body:
                    self._steps.append(Step(key, None))

    def __len__(self) -> int:
        return len(self._places.sources)

    def source(self, place: int) -> int:
        """Row of the ratings table, from 0."""
        return self._places.sources[place]

    def key(self, place: int) -> tuple[int, str]:
        """Row of the input, and axis."""
        source = self.source(place)
        return int(self._rows.values[source]), self._axes.whole_text(source)

    def position(self, key: tuple[int, str]) -> int | None:
        """Where a rating stands in the queue; None if its axis is not asked for."""
        row, axis = key
        source = bisect_left(self._rows.values, row)
        while source < len(self._rows) and self._rows.values[source] == row:
            if self._axes.whole_text(source) == axis:
                place = self._places.positions[source]
                return place if place >= 0 else None
            source += 1
        return None

    def own(self, place: int) -> Own | None:
        """The rater's own rating of a place; None if there is none, or no such place."""
        if place >= len(self):
            return None
        return self._own.get(self.key(place))

    def next_unrated(self, after: int) -> int | None:
        """The first place after this one, then from the beginning, that the rater has not rated; None if all are."""
        n = len(self)
        if self.rated >= n:
            return None
        for step in range(1, n + 1):
            place = (after + step) % n
            if self.own(place) is None:
                return place
        return None

    @property
    def rated(self) -> int:
        """How many places of the queue the rater has rated."""
        return sum(self.position(key) is not None for key in self._own)

    def took(self, key: tuple[int, str], record: str, given: GivenRating, before: GivenRating | None) -> None:
        """Remember a rating that was committed."""
        self._own[key] = Own(record, given)
        self._steps.append(Step(key, before))

    def last_step(self) -> tuple[Step, Own] | None:
        """What an undo would take back, with the rating that holds there now."""
        while self._steps and self._steps[-1].key not in self._own:
            self._steps.pop()
        return (self._steps[-1], self._own[self._steps[-1].key]) if self._steps else None

    def undone(self, step: Step, record: str | None) -> None:
        """Remember that the last rating was withdrawn; `record` is the one given before it, committed anew."""
        self._steps.pop()
        del self._own[step.key]
        if record is not None and step.before is not None:
            self._own[step.key] = Own(record, step.before)


def known_raters(records: Sequence[Record], also: str) -> list[str]:
    """Names of people who rated in this case, in alphabetical order, with the one at this desk."""
    names = {str(record.body["rater"]) for record in records} | ({also} if also else set())
    return sorted(names, key=str.casefold)


def score_words(bodies: Sequence[Mapping[str, Any]]) -> str:
    """Who gave which score, for a line of the detail."""
    return "; ".join(
        f"{body['rater']} {body['score']:g}" + (f" (“{body['note']}”)" if body.get("note") else "") for body in bodies
    )
