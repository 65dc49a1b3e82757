"""Human ratings as arrays: one person's rating, the people's scale, and the label of every unit.

The label of a unit is the mean of its raters' scores; where a whole score is needed it is that mean rounded half up.
Both are our choice.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from auditor.errors import InputError

_SCALE = re.compile(r"(-?\d+(?:\.\d+)?)\s*-\s*(-?\d+(?:\.\d+)?)", re.ASCII)

#: Of more raters than this the columns of `Labels.scores` are no longer raters.
MAX_RATERS = 100

MappingRule = Literal["none", "linear"]


@dataclass(frozen=True)
class HumanRating:
    """One person's rating of one conversation on one axis, on the people's scale.

    Attributes
    ----------
    row : int
        The conversation's row in the run.
    note : str
        What the rater wrote beside the score.
    """

    row: int
    axis: str
    rater: str
    score: float
    note: str = ""


@dataclass(frozen=True)
class PeopleScale:
    """The scale that people used.

    Attributes
    ----------
    low, high : float
        Lowest and highest score.
    mapping : str
        "linear" where somebody declared that the scale maps onto 1 to 5 by a straight line; with "none" another scale
        than 1 to 5 allows rank statistics only.
    """

    low: float = 1.0
    high: float = 5.0
    mapping: MappingRule = "none"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InputError(
                "The people's scale must run from a lower to a higher number",
                value=f"{self.low:g}-{self.high:g}",
                fix="Write it as LOW-HIGH, for example 1-5.",
            )

    @classmethod
    def parse(cls, text: str, *, linear: bool = False) -> "PeopleScale":
        """A scale from text such as "1-5".

        Raises
        ------
        InputError
            If the text is no scale.
        """
        found = _SCALE.fullmatch(text.strip())
        if found is None:
            raise InputError("A scale is written LOW-HIGH", value=text, fix="For example 1-5.")
        return cls(float(found[1]), float(found[2]), "linear" if linear else "none")

    @property
    def is_five(self) -> bool:
        """Whether people used 1 to 5, as the judge does."""
        return self.low == 1 and self.high == 5

    @property
    def is_comparable(self) -> bool:
        """Whether scores can be set against the judge's 1 to 5, and not ranks alone."""
        return self.is_five or self.mapping == "linear"

    def to_five(self, score: float) -> float:
        """A score on 1 to 5 by the straight line 1 + (score - low) 4 / (high - low)."""
        return score if self.is_five else 1 + (score - self.low) * 4 / (self.high - self.low)

    def words(self) -> str:
        """The scale as people write it."""
        return f"{self.low:g} to {self.high:g}"


#: What the judge uses.
FIVE = PeopleScale()

#: One scale for all axes, or one for each by name (axes that are not named were rated from 1 to 5).
Scales = PeopleScale | Mapping[str, PeopleScale]


def scale_of(scales: Scales, axis: str) -> PeopleScale:
    """The scale of an axis."""
    return scales if isinstance(scales, PeopleScale) else scales.get(axis, PeopleScale())


def declared_scales(texts: Sequence[str], axes: Sequence[str], *, linear: bool) -> dict[str, PeopleScale]:
    """A scale for each axis from texts such as "1-5" (every axis) and "naturalness=1-3" (that one).

    Raises
    ------
    InputError
        If a text is no scale, or names an axis that was not rated.
    """
    everywhere = PeopleScale.parse("1-5", linear=linear)
    named = {}
    for text in texts:
        axis, sign, scale = text.rpartition("=")
        if not sign:
            everywhere = PeopleScale.parse(text, linear=linear)
        elif axis not in axes:
            fix = f"The run rated {', '.join(axes)}."
            raise InputError("The run has no such axis", column="people's scale", value=axis, fix=fix)
        else:
            named[axis] = PeopleScale.parse(scale, linear=linear)
    return {axis: named.get(axis, everywhere) for axis in axes}


@dataclass(frozen=True)
class UnitIndex:
    """Which rows of a run a conversation's id stands for.

    Attributes
    ----------
    rows : frozenset of int
        Rows that the run rated.
    by_id : Mapping[str, list of int]
        Id -> its rows, in the run's order.
    """

    rows: frozenset[int]
    by_id: Mapping[str, list[int]]

    @classmethod
    def from_ratings(cls, ratings: Path) -> "UnitIndex":
        """The index of a table of ratings (Parquet with the columns id and row)."""
        import pyarrow.parquet as pq

        table = pq.read_table(ratings, columns=["id", "row"])
        rows, first = np.unique(table["row"].to_numpy(), return_index=True)
        by_id: dict[str, list[int]] = {}
        for row, identity in zip(rows.tolist(), table["id"].take(first).to_pylist(), strict=True):
            by_id.setdefault(identity, []).append(row)
        return cls(frozenset(rows.tolist()), by_id)

    def find(self, identity: str) -> tuple[int, ...]:
        """Rows of an id; ``row-<n>`` stands for row n where no conversation has it as its id."""
        if identity in self.by_id:
            return tuple(self.by_id[identity])
        number = identity.removeprefix("row-")
        if identity.startswith("row-") and number.isascii() and number.isdigit() and int(number) in self.rows:
            return (int(number),)
        return ()


@dataclass(frozen=True)
class Labels:
    """What people said of one axis.

    Attributes
    ----------
    rows : ndarray of shape (n,)
        Rows of the rated units, ascending.
    raters : tuple of str
        Names, sorted.
    scores : ndarray of shape (n, n_columns)
        On 1 to 5 where the scale is 1 to 5 or mapped, else on the people's own; nan where nothing was rated. A column
        is a rater. Of more than `MAX_RATERS` raters it is the first, second, ... rating of each unit by the raters'
        names, so that a crowd does not need a column for everybody.
    """

    rows: NDArray[np.int64]
    raters: tuple[str, ...]
    scores: NDArray[np.float64]

    @property
    def is_crowd(self) -> bool:
        """Whether columns are no raters."""
        return len(self.raters) > MAX_RATERS

    @classmethod
    def of(cls, humans: Iterable[HumanRating], axis: str, scale: PeopleScale) -> "Labels":
        """Labels of an axis from ratings of any axes."""
        said = sorted((rating for rating in humans if rating.axis == axis), key=lambda rating: rating.rater)
        raters = tuple(dict.fromkeys(rating.rater for rating in said))
        rows = np.array(sorted({rating.row for rating in said}), dtype=np.int64)
        if len(raters) > MAX_RATERS:
            given = Counter[int]()
            columns = []
            for rating in said:
                columns.append(given[rating.row])
                given[rating.row] += 1
        else:
            number = {rater: column for column, rater in enumerate(raters)}
            columns = [number[rating.rater] for rating in said]
        scores = np.full((len(rows), max(columns, default=-1) + 1), np.nan)
        values = [scale.to_five(rating.score) if scale.is_comparable else rating.score for rating in said]
        scores[np.searchsorted(rows, [rating.row for rating in said]), columns] = values
        return cls(rows, raters, scores)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of each unit's raters, shape (n,)."""
        rated = ~np.isnan(self.scores)
        mean = np.where(rated, self.scores, 0.0).sum(axis=1) / rated.sum(axis=1)
        # 1/3 + 2/3 + 4/3 depends on the order of adding, and a tie broken by that is no order.
        found: NDArray[np.float64] = np.round(mean, 12)
        return found

    @property
    def whole(self) -> NDArray[np.int64]:
        """The mean rounded half up, shape (n,)."""
        return rounded(self.mean)

    def take(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> "Labels":
        """Labels of some of the units."""
        return Labels(self.rows[chosen], self.raters, self.scores[chosen])


def rounded(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole scores, halves upward; what a mean lost to rounding (under 1e-9) does not change the side."""
    return np.floor(scores + 0.5 + 1e-9).astype(np.int64)
