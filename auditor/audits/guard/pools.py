"""Which queries certify the threshold, which test it, and which demonstrations stand before each.

Every draw depends on the run's seed and on ids alone, so that it is the same whatever the order of the files and of asking.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.audits.guard.attacks import generator
from auditor.audits.guard.spec import GuardSpec
from auditor.audits.guard.task import Demonstration, Example, plain

#: Stands for all queries where they share their demonstrations.
_ALL = "*"


@dataclass(frozen=True, eq=False)
class Pools:
    """Queries in two pools that share no group and no text.

    Attributes
    ----------
    calibration, test : ndarray of int64
        Places among the queries, in random order: betting p-values ask that the order tells nothing of the losses.
    """

    calibration: NDArray[np.int64]
    test: NDArray[np.int64]


def split(queries: Sequence[Example], share: float, *, seed: int, number: int = 0) -> Pools:
    """Split queries at random, whole groups to one side.

    Queries without a group are their own; equal texts are one group whatever they are said to be.

    Parameters
    ----------
    queries : sequence of Example
        At least two groups of them.
    share : float
        Of the groups that calibrate, and so on average of the queries; no pool stays empty.
    seed : int
        Of the run.
    number : int
        Split 0 is the run's own; others are for splitting anew.

    Raises
    ------
    ValueError
        If all queries are of one group.
    """
    unit = units(queries)
    sizes = np.bincount(unit)
    if len(sizes) < 2:
        raise ValueError("queries of a single group cannot be split")
    draw = generator(seed, "split", str(number))
    # Numbered by the least id in them, so that the order of the file does not count.
    names = np.array(_names(queries, unit))
    order = np.argsort(names, kind="stable")[draw.permutation(len(sizes))]
    # So many groups whatever their sizes: where the sizes that were drawn decided, groups would not be drawn independently.
    n_units = max(1, round(share * len(sizes)))
    calibrates = np.zeros(len(sizes), np.bool_)
    calibrates[order[: min(n_units, len(sizes) - 1)]] = True
    shuffled = np.argsort(np.array([query.id for query in queries]), kind="stable")[draw.permutation(len(queries))]
    inside = calibrates[unit[shuffled]]
    return Pools(shuffled[inside].astype(np.int64), shuffled[~inside].astype(np.int64))


def units(queries: Sequence[Example]) -> NDArray[np.int64]:
    """Number of the unit of each query: queries of one group, or of one text, belong together.

    Returns
    -------
    ndarray of int64, shape (n_queries,)
        From 0, in order of first occurrence.
    """
    parent = list(range(len(queries)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    first: dict[tuple[str, str], int] = {}
    for place, query in enumerate(queries):
        for key in (("text", plain(query.text)), ("group", query.group)):
            if key[1]:
                one, other = sorted((root(first.setdefault(key, place)), root(place)))
                parent[other] = one
    numbers: dict[int, int] = {}
    return np.array([numbers.setdefault(root(place), len(numbers)) for place in range(len(queries))], np.int64)


def _names(queries: Sequence[Example], unit: NDArray[np.int64]) -> list[str]:
    names: dict[int, str] = {}
    for query, number in zip(queries, unit.tolist(), strict=True):
        names[number] = min(names.get(number, query.id), query.id)
    return [names[number] for number in range(len(names))]


class Draw:
    """Draws the demonstrations of each query.

    Parameters
    ----------
    pool : sequence of Demonstration
        All that there are.
    spec : GuardSpec
        Its rule, and how many stand in a prompt.
    seed : int
        Of the run.
    """

    def __init__(self, pool: Sequence[Demonstration], spec: GuardSpec, seed: int) -> None:
        self._n, self._seed = spec.n_demonstrations, seed
        self.is_fixed = spec.demonstrations == "fixed"
        by_source = sorted(pool, key=lambda shown: shown.source)
        self._pool = tuple(pool) if self.is_fixed else tuple(by_source)

    def demonstrations(self, query_id: str) -> tuple[Demonstration, ...]:
        """Demonstrations of a query: the first ones of the file, or drawn without replacement for this query."""
        if self.is_fixed:
            return self._pool[: self._n]
        order = generator(self._seed, "demonstrations", query_id).permutation(len(self._pool))
        return tuple(self._pool[number] for number in order[: self._n].tolist())

    def key(self, query_id: str) -> str:
        """What attacks draw by: the query, or one name for all where demonstrations are fixed and so is their corruption."""
        return _ALL if self.is_fixed else query_id


def mixed(query_ids: Sequence[str], share: float, *, seed: int) -> NDArray[np.bool_]:
    """Which queries have corrupted demonstrations in a mixture.

    A query is drawn by itself with this probability, so that queries stay independent; a larger share holds a smaller one.

    Returns
    -------
    ndarray of bool, shape (n_queries,)
    """
    return np.array([generator(seed, "mixture", query_id).random() < share for query_id in query_ids], np.bool_)
