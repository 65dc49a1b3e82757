"""Columns of a table that may have a million rows, and the order in which its rows are shown.

The order is an index permutation, made by numpy in a thread; numpy is imported there, never when the window opens.
"""

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

_EQUALS = re.compile(r"^\s*(\w+)\s+is\s+(.+?)\s*$", re.IGNORECASE | re.DOTALL)
_CONDITION = re.compile(r"^\s*(\w+)\s*(<=|>=|!=|=|<|>)\s*(-?\d+(?:\.\d+)?)\s*$")


class Column(Protocol):
    """One column."""

    name: str
    title: str
    help: str

    def __len__(self) -> int: ...

    def text(self, row: int) -> str:
        """What a cell shows."""

    @property
    def is_number(self) -> bool:
        """Whether cells stand to the right."""


@dataclass
class Numbers:
    """Numbers; NaN is an empty cell, and what is not whole has so many decimals."""

    name: str
    title: str
    help: str
    values: "array[float]" = field(default_factory=lambda: array("d"))
    whole: bool = False
    decimals: int = 3

    is_number = True

    def __len__(self) -> int:
        return len(self.values)

    def text(self, row: int) -> str:
        """Whole numbers with separators, others with their decimals; a real minus, as in sentences and pictures."""
        value = self.values[row]
        if value != value:
            return "–"
        text = f"{value:,.0f}" if self.whole else f"{value:.{self.decimals}f}"
        return text.replace("-", "−")

    def append(self, value: object) -> None:
        """Add a cell."""
        self.values.append(float(value) if isinstance(value, (int, float)) else float("nan"))

    def keys(self, n: int) -> Any:
        """Sort keys of the first n rows, ndarray of float64."""
        import numpy as np

        return np.array(self.values[:n])


@dataclass
class Texts:
    """Text as UTF-8 bytes one after the other, with where each begins."""

    name: str
    title: str
    help: str
    data: bytearray = field(default_factory=bytearray)
    offsets: "array[int]" = field(default_factory=lambda: array("q", [0]))
    ranks: "array[float] | None" = None

    is_number = False

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def text(self, row: int) -> str:
        """The text on one line."""
        return " ".join(self.whole_text(row).split())

    def whole_text(self, row: int) -> str:
        """The text as it is."""
        return self.data[self.offsets[row] : self.offsets[row + 1]].decode()

    def append(self, value: object) -> None:
        """Add a cell."""
        self.data += str(value).encode() if value is not None else b""
        self.offsets.append(len(self.data))
        self.ranks = None

    def keys(self, n: int) -> Any:
        """Sort keys of the first n rows: ranks that were made with the file, else the ranks of the texts."""
        import numpy as np

        if self.ranks is not None:
            return np.array(self.ranks[:n])
        texts = [self.whole_text(row) for row in range(n)]
        place = {text: rank for rank, text in enumerate(sorted(set(texts)))}
        return np.fromiter((place[text] for text in texts), dtype=np.float64, count=n)

    def equal(self, text: str, n: int) -> Any:
        """Which of the first n cells are this text, ndarray of bool."""
        import numpy as np

        for row in self._rows_with(text, n):
            if self.whole_text(row) == text:
                keys = self.keys(n)
                return keys == keys[row]
        return np.zeros(n, dtype=bool)

    def rows_with(self, needle: str, n: int) -> list[int]:
        """Rows whose text holds the needle, whatever the case of its ASCII letters."""
        return list(self._rows_with(needle, n))

    def _rows_with(self, needle: str, n: int) -> Iterator[int]:
        # Bytes are lowered on both sides alike, so that what is outside ASCII is found as it was typed.
        data, wanted = bytes(self.data).lower(), needle.encode().lower()
        position = data.find(wanted)
        while position >= 0:
            row = bisect_right(self.offsets, position) - 1
            end = self.offsets[row + 1]
            if row >= n:
                break
            if position + len(wanted) <= end:
                yield row
                position = data.find(wanted, end)
            else:
                position = data.find(wanted, position + 1)


def read_columns(folder: Path, infos: Sequence[dict[str, Any]]) -> list[Numbers | Texts]:
    """Columns from the files that the task `table` wrote."""
    made: list[Numbers | Texts] = []
    for number, info in enumerate(infos):
        unit = f", {info['unit']}" if info.get("unit") else ""
        words = (info["name"], info["title"] + unit, info["description"])
        stem = folder / str(number)
        if info["kind"] == "number":
            made.append(Numbers(*words, _array("d", stem.with_suffix(".f8")), bool(info["whole"])))
        else:
            data = bytearray(stem.with_suffix(".utf8").read_bytes())
            offsets = _array("q", stem.with_suffix(".offsets"))
            made.append(Texts(*words, data, offsets, _array("d", stem.with_suffix(".rank"))))
    return made


def _array(code: str, file: Path) -> Any:
    found: Any = array(code)
    found.frombytes(file.read_bytes())
    return found


def arrange(
    columns: Sequence[Numbers | Texts], n: int, sort_by: int | None, descending: bool, wanted: str
) -> "array[int] | None":
    """Which rows are shown, in which order; None for all of them as they stand.

    Parameters
    ----------
    n : int
        Rows there are.
    sort_by : int or None
        Column; equal cells keep their order, empty ones go to the end.
    wanted : str
        Parts separated by ``;``, all of which must hold: ``column < number`` (also <=, >, >=, =, !=), ``column is text``
        for cells that are exactly this text, or text that some text column holds.
    """
    if sort_by is None and not wanted.strip():
        return None
    import numpy as np

    keep = np.ones(n, dtype=bool)
    for part in wanted.split(";"):
        if part.strip():
            keep &= _holds(columns, n, part.strip())
    rows = np.flatnonzero(keep)
    if sort_by is not None:
        keys = columns[sort_by].keys(n)[rows]
        empty = np.isnan(keys)
        order = np.argsort(-keys if descending else keys, kind="stable")
        # NaN sorts last either way; the mask only documents that it must.
        assert not empty.any() or bool(empty[order[-int(empty.sum()) :]].all())
        rows = rows[order]
    found = array("q")
    found.frombytes(rows.astype(np.int64).tobytes())
    return found


def _holds(columns: Sequence[Numbers | Texts], n: int, part: str) -> Any:
    import numpy as np

    # A number may be typed, or copied from a cell with the real minus that it shows.
    condition = _CONDITION.match(part.replace("−", "-"))
    if condition:
        for column in columns:
            if isinstance(column, Numbers) and condition[1].lower() in (column.name.lower(), column.title.lower()):
                values, number = column.keys(n), float(condition[3])
                tests = {
                    "<": values < number,
                    ">": values > number,
                    "<=": values <= number,
                    ">=": values >= number,
                    "=": values == number,
                    "!=": values != number,
                }
                return tests[condition[2]]
    same = _EQUALS.match(part)
    if same:
        for column in columns:
            if isinstance(column, Texts) and same[1].lower() in (column.name.lower(), column.title.lower()):
                return column.equal(same[2], n)
    keep = np.zeros(n, dtype=bool)
    for column in columns:
        if isinstance(column, Texts):
            keep[column.rows_with(part, n)] = True
    return keep
