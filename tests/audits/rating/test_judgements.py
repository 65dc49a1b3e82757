"""People beside a run, as screen and report print it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from auditor.audits import rating
from auditor.audits.findings import Provenance, Verdict
from auditor.audits.rating import judgements, rubric
from auditor.audits.rating.agreement import agree
from auditor.audits.rating.findings import RatingFindings, summarise
from auditor.audits.rating.labels import HumanRating, PeopleScale
from auditor.errors import InputError
from auditor.models import ModelFile
from tests.ratings import peaked, write_ratings

N = 40


@dataclass(frozen=True)
class Said:
    """A record as a case keeps it."""

    body: Mapping[str, Any]


def said(row: int, axis: str, rater: str, score: float, **more: Any) -> Said:
    return Said({"unit": str(row), "axis": axis, "rater": rater, "score": score, "note": "", **more})


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(5)
    axes = {axis: peaked(rng.uniform(1, 5, N), 0.6) for axis in ("naturalness", "on_topic")}
    return write_ratings(tmp_path / "ratings.parquet", axes, lengths=list(range(10, 10 + N)))


@pytest.fixture
def findings(starter_model: ModelFile) -> RatingFindings:
    used = rubric.load()
    p = peaked(np.linspace(1, 5, N))
    axes = [
        summarise(axis.name, axis.title, p, None, confidence=0.9, seed=3)
        for axis in used.axes
        if axis.name in ("naturalness", "on_topic")
    ]
    return RatingFindings(
        audit="rating",
        verdict=Verdict(state="rated", sentence="Rated."),
        n=N,
        provenance=Provenance(seed=3),
        axes=axes,
        confidence=0.9,
        scope="last_response",
        order="rubric, conversation, axis",
        rubric=used,
        rubric_sha256=used.sha256,
        model_name="starter",
        model_sha256=starter_model.sha256,
        model_quantisation="Q4_1",
        is_starter=True,
        n_skipped=0,
        n_truncated=0,
    )


def of_two(axis: str) -> list[Said]:
    return [
        said(row, axis, rater, 1 + (row * 7 + place) % 5) for row in range(1, N) for place, rater in enumerate("AB")
    ]


def test_the_printed_numbers_are_those_of_the_agreement(findings: RatingFindings, table: Path) -> None:
    records = of_two("naturalness")
    found = rating.beside_people(findings, {"ratings": table}, records, "light")
    humans = [HumanRating(int(r.body["unit"]), "naturalness", r.body["rater"], r.body["score"]) for r in records]
    (axis,) = agree(table, humans, PeopleScale(), titles={}, confidence=0.9, seed=3)
    ((caption, rows),) = found.tables.items()
    assert caption.startswith(f"Naturalness: {N - 1} conversations, {2 * (N - 1)} ratings, 90% intervals")
    cells = {row[0]: row[1:] for row in rows}
    assert axis.qwk.value is not None
    assert cells["Quadratic-weighted kappa"][0].startswith(f"{axis.qwk.value:.2f}".replace("0.", ".", 1))
    assert axis.baseline is not None
    assert cells["Exact"][2] == f"{axis.baseline.exact:.0%}"
    assert cells["Spearman"][2] == "not defined"
    assert found.sentences[0].startswith(f"Agreement of starter with 2 people on {N - 1} conversations: naturalness")
    assert {picture.name for picture in found.pictures} >= {"agreement", "confusion", "reliability", "disagreement"}


def test_the_queue_names_places_of_the_table_worst_first(findings: RatingFindings, table: Path) -> None:
    import pyarrow.parquet as pq

    found = rating.beside_people(findings, {"ratings": table}, of_two("on_topic"), "dark")
    rows = pq.read_table(table).to_pylist()
    for unit in found.queue:
        at = rows[unit["place"]]
        assert (at["row"], at["axis"], at["expected"]) == (unit["row"], unit["axis"], unit["expected"])
    distances = [abs(unit["difference"]) for unit in found.queue]
    assert len(distances) == N - 1
    assert distances == sorted(distances, reverse=True)


def test_a_long_queue_is_cut_and_says_so(
    findings: RatingFindings, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judgements, "MOST_QUEUED", 5)
    found = rating.beside_people(findings, {"ratings": table}, of_two("on_topic"), "light")
    assert len(found.queue) == 5
    assert f"The queue shows the first 5 of {N - 1} rated units." in found.notes


def test_another_scale_gives_ranks_only_and_says_why(findings: RatingFindings, table: Path) -> None:
    records = [said(row, "on_topic", "Ada", row % 2, scale=[0, 1], mapping="none") for row in range(1, N)]
    found = rating.beside_people(findings, {"ratings": table}, records, "light")
    ((_, rows),) = found.tables.items()
    cells = {row[0]: row[1:] for row in rows}
    assert cells["Spearman"][0] != "not defined"
    assert cells["Within 1"] == ("not defined", "not defined", "–")
    assert any("no mapping was declared" in note for note in found.notes)
    assert "no human ceiling" in found.sentences[0]


def test_an_axis_on_two_scales_is_refused(findings: RatingFindings, table: Path) -> None:
    records = [said(1, "on_topic", "Ada", 3), said(2, "on_topic", "Ben", 1, scale=[0, 1], mapping="none")]
    with pytest.raises(InputError, match="several scales"):
        rating.beside_people(findings, {"ratings": table}, records, "light")


def test_ratings_of_what_the_run_lacks_are_counted(findings: RatingFindings, table: Path) -> None:
    found = rating.beside_people(findings, {"ratings": table}, [said(N + 5, "on_topic", "Ada", 3)], "light")
    assert found.tables == {}
    assert found.sentences == ("Nobody has rated what this run rated.",)
    assert "1 ratings given in the case concern" in found.notes[0]
