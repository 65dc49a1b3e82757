"""From flushed rows to tables and arrays; and the plan of a run's judges, which is flushed too.

What findings are made of is held at the end: 56 bytes for each conversation and axis, and the groups' names.
"""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditor.audits import Context
from auditor.audits.findings import Column, TableInfo
from auditor.audits.rating import findings as made
from auditor.audits.rating.ensemble import merge_rows
from auditor.audits.rating.findings import AxisSummary
from auditor.audits.rating.pairs import PAIRS
from auditor.audits.rating.rating_pass import Member, rows_of
from auditor.audits.rating.variants import MergeRule
from auditor.models.batch_plan import Measured

if TYPE_CHECKING:
    import pyarrow as pa

    from auditor.models.llama import LabelScorer

_BATCH_ROWS = 10_000
_PLANS = "plans"
_KINDS = {"row": "int64", "count": "int64", "mode": "int8", "score": "int8", "scale": "int8", "length": "int32"}
_KINDS |= {"truncated_turns": "int32", "pair": "int64", "row_a": "int64", "row_b": "int64"}
_TEXTS = {"id", "group", "axis", "explanation", "problem", "judge", "variant", "prompt"}


def plan_of(scorer: "LabelScorer", place: int, context: Context) -> Measured:
    """The batch plan that a run began with, for the judge at a place; measured and flushed at the first start.

    The scorer uses it from here on.
    """
    from auditor.models.measure import measured_plan, take

    for row in context.rows(_PLANS):
        if row["judge"] == place:
            found = Measured.model_validate(row["measured"])
            take(scorer, found.plan)
            return found
    context.log(f"Looking for the fastest way to decode with {scorer.file.name} on this machine.")
    found = measured_plan(scorer)
    context.row(_PLANS, {"judge": place, "measured": found.model_dump(mode="json")})
    return found


@dataclass(frozen=True)
class Scores:
    """A member's scores on one axis, in the order of the file; a score of a shorter scale counts as in `Variant`."""

    expected: NDArray[np.float64]
    mode: NDArray[np.int64]


def scores_of(context: Context, member: Member, axes: Sequence[str]) -> dict[str, Scores]:
    """A member's scores by axis."""
    found: dict[str, list[tuple[float, int]]] = {axis: [] for axis in axes}
    for row in rows_of(context, member, axes):
        found[row["axis"]].append((row["expected"], row["mode"]))
    return {
        axis: Scores(np.array([e for e, _ in pairs]), np.array([m for _, m in pairs])) for axis, pairs in found.items()
    }


def member_means(context: Context, members: Sequence[Member], axes: Sequence[str]) -> list[dict[str, float]]:
    """For each member, axis -> mean expected score."""
    sums = [dict.fromkeys(axes, 0.0) for _ in members]
    counts = [dict.fromkeys(axes, 0) for _ in members]
    for row in context.rows(members[0].table):
        sums[row["member"]][row["axis"]] += row["expected"]
        counts[row["member"]][row["axis"]] += 1
    return [{axis: total[axis] / n[axis] for axis in axes if n[axis]} for total, n in zip(sums, counts, strict=True)]


@dataclass(frozen=True)
class Collected:
    """What the findings are made of; arrays by axis, in the order of the file.

    Attributes
    ----------
    p : dict of ndarray of shape (n, 5)
    expected, mode : dict of ndarray of shape (n,)
    spread : dict of float or None
        Mean spread of the judges.
    groups : list of str or None
        Clusters of the bootstrap, in which a conversation without a group is one by itself; None if none has one.
    """

    p: dict[str, NDArray[np.float64]]
    expected: dict[str, NDArray[np.float64]]
    mode: dict[str, NDArray[np.int64]]
    spread: dict[str, float | None]
    groups: list[str] | None
    n: int
    n_truncated: int
    n_skipped: int


def rating_rows(
    context: Context, members: Sequence[Member], axes: Sequence[str], rule: MergeRule
) -> Iterator[dict[str, Any]]:
    """Rows of the table of ratings, in the order of the file."""
    return merge_rows([rows_of(context, member, axes) for member in members], rule)


def collect(context: Context, members: Sequence[Member], axes: Sequence[str], rule: MergeRule) -> Collected:
    """Read back what was flushed."""
    shares, expected, spreads = ({axis: array("d") for axis in axes} for _ in range(3))
    modes = {axis: array("b") for axis in axes}
    groups = _Groups()
    truncated = 0
    for row in rating_rows(context, members, axes, rule):
        axis = row["axis"]
        shares[axis].extend(row[f"p{score}"] for score in range(1, 6))
        expected[axis].append(row["expected"])
        modes[axis].append(row["mode"])
        if row["spread"] is not None:
            spreads[axis].append(row["spread"])
        if axis == axes[0]:
            groups.add(row["row"], row["group"])
            truncated += row["truncated_turns"] > 0
    return Collected(
        p={axis: np.frombuffer(found, np.float64).reshape(-1, 5) for axis, found in shares.items()},
        expected={axis: np.frombuffer(found, np.float64) for axis, found in expected.items()},
        mode={axis: np.frombuffer(found, np.int8).astype(np.int64) for axis, found in modes.items()},
        spread={axis: float(np.mean(found)) if found else None for axis, found in spreads.items()},
        groups=groups.names() if groups.are_there else None,
        n=len(groups),
        n_truncated=truncated,
        n_skipped=sum(1 for _ in context.rows("skipped")),
    )


class _Groups:
    """Groups of conversations as they come; names are made where there is a group at all."""

    def __init__(self) -> None:
        self._codes = array("q")
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._codes)

    def add(self, row: int, group: str | None) -> None:
        """A conversation; without a group it is one by itself."""
        self._codes.append(row if group is None else ~self._numbers.setdefault(group, len(self._numbers)))

    @property
    def are_there(self) -> bool:
        """Whether a conversation has a group."""
        return bool(self._numbers)

    def names(self) -> list[str]:
        """The group of each conversation."""
        known = [f"group {group}" for group in self._numbers]
        return [known[~code] if code < 0 else f"row {code}" for code in self._codes]


def save_tables(
    context: Context, summaries: Sequence[AxisSummary], members: Sequence[Member], axes: Sequence[str], rule: MergeRule
) -> list[TableInfo]:
    """Save what was rated, how the scores are distributed, and what could not be rated."""
    distributions = [
        {"axis": axis.name, "score": score, "count": axis.modes[score - 1], "mean_p": axis.p[score - 1]}
        for axis in summaries
        for score in range(1, 6)
    ]

    def judgements() -> Iterator[dict[str, Any]]:
        for member in members:
            yield from rows_of(context, member, axes)

    plan: list[tuple[str, str, tuple[Column, ...], Callable[[], Iterator[Mapping[str, Any]]]]] = [
        ("ratings", "Ratings", made.RATINGS_COLUMNS, lambda: rating_rows(context, members, axes, rule)),
        ("distributions", "Distribution of scores", made.DISTRIBUTION_COLUMNS, lambda: iter(distributions)),
        ("skipped", "Skipped records", made.SKIPPED_COLUMNS, lambda: context.rows("skipped")),
    ]
    if len(members) > 1:
        plan.append(("judgements", "Every judge and prompt", made.JUDGEMENTS_COLUMNS, judgements))
    if any(True for _ in context.rows(PAIRS)):
        plan.append((PAIRS, "Pairs of the order probe", made.PAIR_COLUMNS, lambda: context.rows(PAIRS)))
    saved = []
    for name, title, columns, rows in plan:
        layout = _schema(columns)
        info = TableInfo(name=name, title=title, rows=sum(1 for _ in rows()), columns=columns)
        context.save_table(info, _batches(rows(), layout), layout)
        saved.append(info)
    return saved


def _schema(columns: Sequence[Column]) -> "pa.Schema":
    import pyarrow as pa

    return pa.schema(
        [
            (
                column.name,
                pa.string() if column.name in _TEXTS else pa.type_for_alias(_KINDS.get(column.name, "double")),
            )
            for column in columns
        ]
    )


def _batches(rows: Iterator[Mapping[str, Any]], schema: "pa.Schema") -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    held: list[Mapping[str, Any]] = []
    for row in rows:
        held.append(row)
        if len(held) == _BATCH_ROWS:
            yield pa.RecordBatch.from_pylist(held, schema=schema)
            held = []
    if held:
        yield pa.RecordBatch.from_pylist(held, schema=schema)
