"""What a judge gave on one axis, as arrays; read from the table of ratings."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SHARES = tuple(f"p{score}" for score in range(1, 6))


@dataclass(frozen=True)
class Judged:
    """One axis of a run: arrays of equal length n, rows ascending.

    Attributes
    ----------
    rows : ndarray of shape (n,)
        Rows of the conversations.
    ids, groups : tuple of str
        Ids; and the clusters of a bootstrap: the conversation's group, or the conversation itself.
    p : ndarray of shape (n, 5)
        Probability of 1 to 5.
    expected, mode : ndarray of shape (n,)
        Expected and most probable score.
    confidence : ndarray of shape (n,)
        Probability of the most probable score; after a calibration, what that says instead.
    length : ndarray of shape (n,) or None
        Characters of what was rated; None in runs that did not record it.
    """

    rows: NDArray[np.int64]
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    p: NDArray[np.float64]
    expected: NDArray[np.float64]
    mode: NDArray[np.int64]
    confidence: NDArray[np.float64]
    length: NDArray[np.float64] | None

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, chosen: NDArray[np.intp]) -> "Judged":
        """Some of the conversations, by place."""
        return Judged(
            self.rows[chosen],
            tuple(self.ids[place] for place in chosen),
            tuple(self.groups[place] for place in chosen),
            self.p[chosen],
            self.expected[chosen],
            self.mode[chosen],
            self.confidence[chosen],
            None if self.length is None else self.length[chosen],
        )


def axes_of(ratings: Path) -> tuple[str, ...]:
    """Names of the axes that a table of ratings holds, in its order."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    return tuple(pc.unique(pq.read_table(ratings, columns=["axis"])["axis"]).to_pylist())


def read_axis(ratings: Path, axis: str, rows: NDArray[np.int64] | None = None) -> Judged:
    """Read one axis of a table of ratings.

    Parameters
    ----------
    ratings : Path
        The Parquet file.
    rows : ndarray, optional
        Read these rows only; rows that the run did not rate on this axis are left out.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    has_length = "length" in pq.read_schema(ratings).names
    columns = ["id", "row", "group", "expected", "mode", *SHARES, *(["length"] if has_length else [])]
    chosen = pc.field("axis") == axis
    if rows is not None:
        chosen &= pc.field("row").isin(pa.array(rows))
    table = pq.read_table(ratings, columns=columns, filters=chosen)
    table = table.take(pc.sort_indices(table, sort_keys=[("row", "ascending")]))
    found = table["row"].to_numpy()
    groups = tuple(
        f"row {row}" if group is None else f"group {group}"
        for row, group in zip(found.tolist(), table["group"].to_pylist(), strict=True)
    )
    p = np.column_stack([table[name].to_numpy() for name in SHARES]).reshape(-1, 5)
    return Judged(
        rows=found,
        ids=tuple(table["id"].to_pylist()),
        groups=groups,
        p=p,
        expected=table["expected"].to_numpy(),
        mode=table["mode"].to_numpy().astype(np.int64),
        confidence=p[np.arange(len(p)), table["mode"].to_numpy() - 1],
        length=table["length"].to_numpy().astype(np.float64) if has_length else None,
    )
