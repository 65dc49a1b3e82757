"""What people's ratings in a case say about a run: sentences, a table, pictures and a queue for a second look.

Screen and report are made from the same answer.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from auditor.audits import PeopleFound
from auditor.audits.rating.agreement import AxisAgreement, Estimate, agree
from auditor.audits.rating.assess import agreement_cautions
from auditor.audits.rating.certificate import coefficient, percent
from auditor.audits.rating.labels import HumanRating, Scales, UnitIndex
from auditor.audits.rating.people_of_runs import CaseRecord, people_of_case
from auditor.audits.rating.review import review_queue

if TYPE_CHECKING:
    from auditor.audits.rating.findings import RatingFindings

#: Units of the queue that are shown; the worst come first.
MOST_QUEUED = 1000
HEADERS = ("Measure", "Judge and people", "Among people", "Constant answer")
_NONE = "–"
_HOW = (
    "The human label of a conversation is the mean of its raters, rounded half up where a whole score is needed. The judge's "
    "whole score is its most probable one; Spearman and the mean absolute error take its expected score. Intervals come from "
    "a bootstrap over contexts: replies to one context are drawn together. Among people: one rater against the mean of the "
    "others; for alpha, all raters. The constant answer is the one whole score that does best on within 1, then on exact: a "
    "judge that is no better tells nothing that a fixed answer would not."
)


def beside_people(
    findings: "RatingFindings", tables: Mapping[str, Path], records: Sequence[CaseRecord], theme: str
) -> PeopleFound:
    """Set a run's ratings beside the human ratings of its case.

    Parameters
    ----------
    findings : RatingFindings
    tables : Mapping[str, Path]
        Table name -> Parquet file.
    records : sequence of CaseRecord
        Human ratings of the run that hold.
    theme : str
        "light" or "dark".

    Raises
    ------
    InputError
        If an axis was rated on several scales and one of them has no declared mapping.
    """
    from auditor.audits.rating.figures_agreement import agreement_pictures

    titles = {axis.name: axis.title for axis in findings.axes}
    ratings = tables["ratings"]
    said = people_of_case(records, UnitIndex.from_ratings(ratings), tuple(titles))
    cautions = tuple(caution.message for caution in said.cautions)
    if not said.ratings:
        return PeopleFound(("Nobody has rated what this run rated.",), HEADERS, {}, cautions, (), ())
    seed = findings.provenance.seed or 0
    found = agree(ratings, said.ratings, said.scales, titles=titles, confidence=findings.confidence, seed=seed)
    queue, queue_notes = _queue(ratings, said.ratings, said.scales)
    return PeopleFound(
        sentences=tuple(_sentences(findings.model_name, found)),
        headers=HEADERS,
        tables={_caption(axis): _rows(axis) for axis in found},
        notes=(*cautions, *_constant_notes(found), *_blind_notes(records), *_axis_notes(found), *queue_notes, _HOW),
        queue=queue,
        pictures=tuple(agreement_pictures(found, ratings, said.ratings, said.scales, theme)),
    )


def _queue(
    ratings: Path, humans: Sequence[HumanRating], scales: Scales
) -> tuple[tuple[Mapping[str, Any], ...], list[str]]:
    """The units that people rated, the largest distance first, with their places in the table of ratings."""
    import pyarrow.parquet as pq

    queue = review_queue(ratings, humans, scales, None)
    notes = (
        [f"The queue shows the first {MOST_QUEUED:,} of {len(queue):,} rated units."]
        if len(queue) > MOST_QUEUED
        else []
    )
    shown = queue.slice(0, MOST_QUEUED).to_pylist()
    wanted = {unit["row"] for unit in shown}
    table = pq.read_table(ratings, columns=["row", "axis"])
    near = np.flatnonzero(np.isin(table["row"].to_numpy(), list(wanted)))
    found = table.take(near)
    places = {
        (row, axis): place
        for place, row, axis in zip(near.tolist(), found["row"].to_pylist(), found["axis"].to_pylist(), strict=True)
    }
    return tuple({**unit, "place": places[unit["row"], unit["axis"]]} for unit in shown), notes


def _sentences(model: str, found: Sequence[AxisAgreement]) -> list[str]:
    raters = {rater for axis in found for rater in axis.raters}
    n = max(axis.n for axis in found)
    who = f"{len(raters):,} people" if len(raters) != 1 else "1 person"
    units = f"{n:,} conversations" if n != 1 else "1 conversation"
    parts = "; ".join(_axis_words(axis) for axis in found)
    return [f"Agreement of {model} with {who} on {units}: {parts}."]


def _axis_words(axis: AxisAgreement) -> str:
    if axis.spearman.value is None:
        words = f"{axis.title.lower()} Spearman not defined"
    else:
        words = f"{axis.title.lower()} Spearman {coefficient(axis.spearman.value)}{_interval(axis)}"
    if axis.human_ceiling.value is None:
        return f"{words}, no human ceiling"
    return f"{words}, one person against the others {coefficient(axis.human_ceiling.value)}"


def _interval(axis: AxisAgreement) -> str:
    low, high = axis.spearman.low, axis.spearman.high
    if low is None or high is None:
        return " (no interval)"
    return f" ({percent(axis.confidence)} CI {coefficient(low)} to {coefficient(high)})"


def _caption(axis: AxisAgreement) -> str:
    best = f"; constant answer {axis.baseline.score}" if axis.baseline else ""
    counts = (
        f"{axis.n:,} conversations, {axis.ratings:,} ratings"
        if axis.n != 1
        else f"1 conversation, {axis.ratings:,} ratings"
    )
    return f"{axis.title}: {counts}, {percent(axis.confidence)} intervals{best}"


def _rows(axis: AxisAgreement) -> tuple[tuple[str, ...], ...]:
    constant = axis.baseline
    exact, within1, mae = (
        (_share(constant.exact), _share(constant.within1), _points(constant.mae)) if constant else (_NONE, _NONE, _NONE)
    )
    return (
        ("Spearman", _shown(axis.spearman), _shown(axis.human_ceiling), "not defined"),
        ("Quadratic-weighted kappa", _shown(axis.qwk), _NONE, ".00" if constant else _NONE),
        ("Ordinal Krippendorff alpha", _shown(axis.alpha), _shown(axis.alpha_people), _NONE),
        ("Exact", _shown(axis.exact, _share), _NONE, exact),
        ("Within 1", _shown(axis.within1, _share), _shown(axis.human_within1, _share), within1),
        ("Mean absolute error", _shown(axis.mae, _points), _NONE, mae),
        ("Spearman with length", _shown(axis.length_correlation), _shown(axis.length_correlation_people), _NONE),
    )


def _share(value: float) -> str:
    return f"{value:.0%}"


def _points(value: float) -> str:
    return f"{value:.2f}"


def _shown(estimate: Estimate, form: Callable[[float], str] = coefficient) -> str:
    if estimate.value is None:
        return "not defined"
    if estimate.low is None or estimate.high is None:
        return f"{form(estimate.value)}"
    return f"{form(estimate.value)} ({form(estimate.low)} to {form(estimate.high)})"


def _constant_notes(found: Sequence[AxisAgreement]) -> list[str]:
    return [caution.message for caution in agreement_cautions(found) if caution.code == "no_better_than_constant"]


def _blind_notes(records: Sequence[CaseRecord]) -> list[str]:
    seen = sum(record.body.get("blind") is False for record in records)
    if not seen:
        return []
    return [
        f"{seen:,} of {len(records):,} ratings were given with the judge's scores in view, and may lean towards them."
    ]


def _axis_notes(found: Sequence[AxisAgreement]) -> list[str]:
    notes: dict[str, list[str]] = {}
    for axis in found:
        for note in axis.notes:
            notes.setdefault(note, []).append(axis.title)
    everywhere = len(found)
    return [note if len(titles) == everywhere else f"{', '.join(titles)}: {note}" for note, titles in notes.items()]
