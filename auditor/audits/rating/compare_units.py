"""The long table of a comparison: a row for each pair of runs, axis and conversation, with flags to filter by."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor.audits.findings import Column
from auditor.audits.rating.judged import Judged
from auditor.audits.rating.labels import Labels, PeopleScale, rounded

if TYPE_CHECKING:
    import pyarrow as pa

HIGHER = ("B higher", "equal", "A higher")
RIGHT = ("both wrong", "B right, A wrong", "A right, B wrong", "both right")

COLUMNS = (
    Column(name="a", title="A", description="Name of the first run."),
    Column(name="b", title="B", description="Name of the run it is compared with."),
    Column(name="id", title="Conversation", description="Id in the file, or row-<n>."),
    Column(name="row_a", title="Row in A", description="Record number in the input of A, from 1."),
    Column(name="row_b", title="Row in B", description="Record number in the input of B, from 1."),
    Column(name="axis", title="Axis", description="Axis of the rubric."),
    Column(name="expected_a", title="Expected, A", description="Expected score of A, from 1 to 5."),
    Column(name="expected_b", title="Expected, B", description="Expected score of B, from 1 to 5."),
    Column(name="mode_a", title="Most probable, A", description="Score with A's highest probability."),
    Column(name="mode_b", title="Most probable, B", description="Score with B's highest probability."),
    Column(name="difference", title="A less B", description="Expected score of A less that of B.", unit="points"),
    Column(name="label", title="People", description="Mean of the people's scores, on their scale unless mapped."),
    Column(name="higher", title="Higher", description="Who has the higher most probable score: A, B, or equal."),
    Column(
        name="right",
        title="Right",
        description="Whose most probable score is the people's mean rounded half up; empty without people.",
    ),
)


def right_place(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Place in `RIGHT`."""
    return 2 * a.astype(np.int64) + b


def units_table(
    name_a: str, name_b: str, axis: str, a: Judged, b: Judged, labels: Labels, scale: PeopleScale
) -> "pa.Table":
    """One axis of a pair, columns of `COLUMNS`; `a` and `b` hold the same conversations in the same order."""
    import pyarrow as pa

    n = len(a)
    label = np.full(n, np.nan)
    label[np.searchsorted(a.rows, labels.rows)] = labels.mean
    known = ~np.isnan(label)
    right = np.full(n, "", dtype=object)
    if scale.is_comparable and known.any():
        whole = rounded(label[known])
        right[known] = np.array(RIGHT, dtype=object)[right_place(a.mode[known] == whole, b.mode[known] == whole)]
    higher = np.array(HIGHER, dtype=object)[np.sign(a.mode - b.mode) + 1]
    return pa.table(
        {
            "a": pa.array([name_a] * n, pa.string()),
            "b": pa.array([name_b] * n, pa.string()),
            "id": pa.array(a.ids, pa.string()),
            "row_a": a.rows,
            "row_b": b.rows,
            "axis": pa.array([axis] * n, pa.string()),
            "expected_a": a.expected,
            "expected_b": b.expected,
            "mode_a": pa.array(a.mode, pa.int8()),
            "mode_b": pa.array(b.mode, pa.int8()),
            "difference": a.expected - b.expected,
            "label": pa.array(label, mask=~known),
            "higher": pa.array(higher, pa.string()),
            "right": pa.array(right, pa.string()),
        }
    )
