"""Which conversations of two runs are the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from auditor.audits.findings import Caution
from auditor.audits.rating.judged import Judged
from auditor.audits.rating.labels import UnitIndex
from auditor.errors import InputError


class Run(Protocol):
    """What matching needs of a run."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def ratings(self) -> Path:
        """Its table of ratings."""

    @property
    def input_sha256(self) -> str:
        """Hash of its file of conversations; empty if unknown."""

    @property
    def mapping(self) -> Mapping[str, str]:
        """Which columns or fields of the file were read."""


@dataclass(frozen=True)
class Matched:
    """Rows of two runs that stand for the same conversation.

    Attributes
    ----------
    by : str
        "row" or "conversation".
    rows_a, rows_b : ndarray of shape (n,)
        In the order of A.
    cautions : tuple of Caution
        What could not be matched, counted.
    """

    by: str
    rows_a: NDArray[np.int64]
    rows_b: NDArray[np.int64]
    cautions: tuple[Caution, ...]

    def on_both(self, a: Judged, b: Judged) -> tuple[Judged, Judged]:
        """One axis of both runs, on the conversations that both rated on it, in the same order."""
        rated = np.isin(self.rows_a, a.rows) & np.isin(self.rows_b, b.rows)
        return (
            a.take(np.searchsorted(a.rows, self.rows_a[rated])),
            b.take(np.searchsorted(b.rows, self.rows_b[rated])),
        )


def match(a: Run, b: Run) -> Matched:
    """Match the conversations of two runs: by row if both read the same file the same way, else by id.

    Ids that stand for several conversations of a run are left out, and counted; so are, between different files,
    conversations without an id of their own: what they are called counts the records of one file.

    Raises
    ------
    InputError
        If the runs share no conversation.
    """
    of_a, of_b = UnitIndex.from_ratings(a.ratings), UnitIndex.from_ratings(b.ratings)
    if a.input_sha256 and a.input_sha256 == b.input_sha256 and a.mapping == b.mapping:
        rows = np.array(sorted(of_a.rows & of_b.rows), dtype=np.int64)
        by, pairs, repeated, nameless = "row", (rows, rows), 0, 0
    else:
        # Two readings of one file count the same records.
        is_one_file = a.input_sha256 and a.input_sha256 == b.input_sha256
        unnamed_a, unnamed_b = (set[str](), set[str]()) if is_one_file else (_made_up(of_a), _made_up(of_b))
        nameless = len(unnamed_a) + len(unnamed_b)
        unnamed = unnamed_a | unnamed_b
        shared = [name for name in of_a.by_id if name in of_b.by_id and name not in unnamed]
        once = [name for name in shared if len(of_a.by_id[name]) == len(of_b.by_id[name]) == 1]
        pairs = (_first_rows(of_a, once), _first_rows(of_b, once))
        by, repeated = "conversation", len(shared) - len(once)
    if len(pairs[0]) == 0:
        raise InputError(
            f"The runs {a.name} and {b.name} have no conversation in common"
            + (f": the {repeated:,} ids that both have stand for several conversations each" if repeated else "")
            + (f": {_nameless(nameless)}" if nameless and not repeated else ""),
            fix="Compare runs on the same conversations, or with the same ids.",
        )
    lost = len(of_a.rows) + len(of_b.rows) - 2 * len(pairs[0])
    return Matched(by, *pairs, tuple(_cautions(a.name, b.name, by, len(pairs[0]), lost, repeated, nameless)))


def _first_rows(index: UnitIndex, names: list[str]) -> NDArray[np.int64]:
    return np.array([index.by_id[name][0] for name in names], dtype=np.int64)


def _made_up(index: UnitIndex) -> set[str]:
    """Ids that say only which record of its file a conversation is; see `Conversation.id`."""
    return {name for name, rows in index.by_id.items() if any(name == f"row-{row}" for row in rows)}


def _nameless(count: int) -> str:
    return (
        f"{count:,} conversations of the two files have no id of their own, and row-1, row-2 and so on say nothing "
        "between different files"
    )


def _cautions(a: str, b: str, by: str, n: int, lost: int, repeated: int, nameless: int) -> list[Caution]:
    found = []
    if by == "conversation":
        message = (
            f"{a} and {b} did not read the same file the same way: {n:,} conversations were matched by their ids alone. "
            "Whether their texts are the same was not checked."
        )
        found.append(Caution(code="matched_by_id", message=message, count=n))
    if lost:
        message = (
            f"{lost:,} conversations that only one of {a} and {b} rated, or that could not be matched, were left out."
        )
        found.append(Caution(code="unmatched", message=message, count=lost))
    if nameless:
        message = f"Left out as unmatched: {_nameless(nameless)}."
        found.append(Caution(code="no_ids", message=message, count=nameless))
    if repeated:
        message = f"{repeated:,} ids stand for several conversations of {a} or {b} and were left out."
        found.append(Caution(code="repeated_ids", message=message, count=repeated))
    return found
