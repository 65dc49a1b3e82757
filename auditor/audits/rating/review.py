"""What people should look at next, and what they said: the review queue and the table of labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from auditor.audits.findings import Column
from auditor.audits.rating.autoaccept import accepted_by
from auditor.audits.rating.calibrate import Calibrator
from auditor.audits.rating.certificate import AxisCertificate
from auditor.audits.rating.judged import Judged, axes_of, read_axis
from auditor.audits.rating.labels import HumanRating, Labels, PeopleScale, Scales, scale_of

if TYPE_CHECKING:
    import pyarrow as pa

BELOW, UNCERTIFIED, LABELLED = "below the threshold", "no certificate", "rated by people"

_UNIT = (
    Column(name="id", title="Conversation", description="Id in the file, or row-<n>."),
    Column(name="row", title="Row", description="Record number in the input, from 1."),
    Column(name="axis", title="Axis", description="Axis of the rubric."),
    Column(name="expected", title="Expected", description="The judge's expected score, as it gave it."),
    Column(name="mode", title="Most probable", description="The judge's most probable score."),
    Column(
        name="confidence",
        title="Confidence",
        description="Probability of the most probable score, after calibration where there is one.",
    ),
    Column(name="label", title="People", description="Mean of the people's scores, on their scale unless mapped."),
    Column(
        name="difference",
        title="Judge less people",
        description="Expected score less the people's mean; empty where the scales cannot be compared.",
        unit="points",
    ),
)
QUEUE_COLUMNS = (
    *_UNIT,
    Column(name="reason", title="Why", description=f"{BELOW}, {UNCERTIFIED}, or {LABELLED}."),
)
LABEL_COLUMNS = (
    *_UNIT,
    Column(name="whole", title="People, whole", description="The mean rounded half up, from 1 to 5."),
    Column(name="raters", title="Raters", description="How many people rated it."),
)


def labels_table(ratings: Path, humans: Sequence[HumanRating], scale: Scales) -> "pa.Table":
    """Every unit that people rated, beside the judge's scores; columns of `LABEL_COLUMNS`."""
    import pyarrow as pa

    parts = []
    for axis in axes_of(ratings):
        labels = Labels.of(humans, axis, scale_of(scale, axis))
        judged = read_axis(ratings, axis, labels.rows)
        labels = labels.take(np.isin(labels.rows, judged.rows))
        whole = pa.array(labels.whole, pa.int8(), mask=np.full(len(judged), not scale_of(scale, axis).is_comparable))
        raters = pa.array((~np.isnan(labels.scores)).sum(axis=1), pa.int32())
        unit = _unit_columns(axis, judged, judged, labels, scale_of(scale, axis))
        parts.append(pa.table({**unit, "whole": whole, "raters": raters}))
    return pa.concat_tables(parts)


def review_queue(
    ratings: Path, humans: Sequence[HumanRating], scale: Scales, certificates: Sequence[AxisCertificate] | None
) -> "pa.Table":
    """What people should look at, the largest distance from a human label first, then the least confident rating.

    Parameters
    ----------
    certificates : sequence of AxisCertificate or None
        The queue holds every rating that none of them accepts. None where none was asked for: then the queue holds
        the units that people rated.

    Returns
    -------
    pyarrow.Table
        Columns of `QUEUE_COLUMNS`.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    by_axis = {certificate.name: certificate for certificate in certificates or ()}
    parts = []
    for axis in axes_of(ratings):
        labels = Labels.of(humans, axis, scale_of(scale, axis))
        judged = read_axis(ratings, axis, labels.rows if certificates is None else None)
        certificate = by_axis.get(axis)
        after, reason, waiting = judged, LABELLED, np.ones(len(judged), dtype=np.bool_)
        if certificates is not None:
            threshold = certificate.threshold if certificate else None
            after = Calibrator.from_dict(certificate.calibration_fit if certificate else None).apply(judged)
            reason, waiting = (BELOW if threshold is not None else UNCERTIFIED), ~accepted_by(threshold, after)
        chosen = np.flatnonzero(waiting)
        judged, after = judged.take(chosen), after.take(chosen)
        labels = labels.take(np.isin(labels.rows, judged.rows))
        unit = _unit_columns(axis, judged, after, labels, scale_of(scale, axis))
        parts.append(pa.table({**unit, "reason": pa.array([reason] * len(judged), pa.string())}))
    table = pa.concat_tables(parts)
    # Distances first, largest on top; units without one (null) follow, least confident on top.
    ordered = table.append_column("distance", pc.negate(pc.abs(table["difference"])))
    keys = [("distance", "ascending"), ("confidence", "ascending"), ("row", "ascending")]
    return table.take(pc.sort_indices(ordered, sort_keys=keys))


def _unit_columns(
    axis: str, judged: Judged, after: Judged, labels: Labels, scale: PeopleScale
) -> "Mapping[str, pa.Array]":
    import pyarrow as pa

    label = np.full(len(judged), np.nan)
    label[np.searchsorted(judged.rows, labels.rows)] = labels.mean
    known = ~np.isnan(label)
    distant = known & scale.is_comparable
    return {
        "id": pa.array(judged.ids, pa.string()),
        "row": pa.array(judged.rows, pa.int64()),
        "axis": pa.array([axis] * len(judged), pa.string()),
        "expected": pa.array(judged.expected, pa.float64()),
        "mode": pa.array(judged.mode, pa.int8()),
        "confidence": pa.array(after.confidence, pa.float64()),
        "label": pa.array(label, pa.float64(), mask=~known),
        "difference": pa.array(judged.expected - label, pa.float64(), mask=~distant),
    }
