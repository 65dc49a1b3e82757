"""Human ratings: read line by line, every fault named, nothing dropped silently."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from auditor.audits import InputFile
from auditor.audits.rating.labels import MAX_RATERS, Labels, rounded
from auditor.audits.rating.people import (
    HumanRating,
    PeopleScale,
    UnitIndex,
    check,
    preview,
    read_humans,
)
from auditor.audits.rating.people_of_runs import from_case, people_of_case
from auditor.errors import InputError
from tests.ratings import peaked, write_ratings

AXES = ("naturalness", "on_topic")
FIVE = PeopleScale()
HEAD = "conversation_id,axis,rater,score\n"


@pytest.fixture
def units(tmp_path: Path) -> UnitIndex:
    """Rows 1 to 5 with the ids a, b, c, twin, twin."""
    p = peaked(np.linspace(1, 5, 5))
    path = write_ratings(tmp_path / "r.parquet", {"naturalness": p, "on_topic": p}, ids=["a", "b", "c", "twin", "twin"])
    return UnitIndex.from_ratings(path)


def read(tmp_path: Path, data: str | bytes, units: UnitIndex, scale: Any = FIVE) -> Any:
    path = tmp_path / "humans.csv"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_humans(path, "humans.csv", units, AXES, scale)


@pytest.mark.parametrize(
    "data",
    [
        HEAD + "a,naturalness,Ada,4\nrow-2,on_topic,Bo,2.5\n",
        "\ufeff" + HEAD + "a,naturalness,Ada,4\nrow-2,on_topic,Bo,2.5\n",
        (HEAD + "a,naturalness,Ada,4\nrow-2,on_topic,Bo,2.5\n").replace("\n", "\r\n"),
        (HEAD + "a,naturalness,Ada,4\nrow-2,on_topic,Bo,2.5\n").replace(",", ";"),
        (HEAD + "a,naturalness,Ada,4\nrow-2,on_topic,Bo,2.5\n").replace(",", "\t"),
        '"Conversation_ID", Axis ,rater,score\n"a","naturalness","Ada","4"\n\nrow-2,on_topic, Bo ,2.5',
        'score,rater,axis,conversation_id,note\n4,Ada,naturalness,a,"good, really"\n2.5,Bo,on_topic,b,\n',
    ],
    ids=["plain", "byte order mark", "CRLF", "semicolon", "tab", "quotes and blanks", "other order, notes"],
)
def test_the_same_ratings_in_every_shape(tmp_path: Path, units: UnitIndex, data: str) -> None:
    ratings, cautions = read(tmp_path, data, units)
    note = "good, really" if "good" in data else ""
    assert ratings == [HumanRating(1, "naturalness", "Ada", 4.0, note), HumanRating(2, "on_topic", "Bo", 2.5)]
    assert cautions == []


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("", "humans.csv: The file is empty"),
        (HEAD, "holds no rating"),
        ("id,axis,rater,score\na,naturalness,Ada,4\n", "column 'conversation_id': The column is missing"),
        ("conversation_id,axis,rater,score,score\n", "column 'score': The column stands twice"),
        (HEAD + "a,naturalness,Ada\n", "row 1: The row has 3 cells, the header 4"),
        (HEAD + "a,naturalness,Ada,4\nb,naturalness,,4\n", "row 2, column 'rater': The cell is empty"),
        (HEAD + "a,naturalness,Ada,four\n", "column 'score': The score is not a number (found 'four')"),
        (HEAD + "a,naturalness,Ada,nan\n", "The score is not a number"),
        (HEAD + "a,naturalness,Ada,1e400\n", "The score is not a number"),
        (HEAD + "a,naturalness,Ada,٣\n", "The score is not a number"),
        (HEAD + 'a,naturalness,Ada,"3,5"\n', "with a point before decimals"),
        (HEAD + "a,naturalness,Ada,7\n", "not on the scale from 1 to 5 (found '7'). Correct it, or declare"),
        (HEAD + "a,naturalness,Ada,0\n", "--human-scale LOW-HIGH"),
        (HEAD + "a,naturalness,Ada,4\nrow-1,naturalness,Ada,4\n", "row 2, column 'conversation_id': 'Ada' rates"),
        (HEAD + "zz,naturalness,Ada,4\nzz,naturalness,Ada,4\n", "a second time, after row 1"),
        (HEAD + "twin,naturalness,Ada,4\n", "stands for 2 conversations of the run, rows 4, 5"),
        (HEAD + "zz,naturalness,Ada,4\n", "None of the rated conversations is in the run (found 'zz')"),
        (HEAD + "a,kindness,Ada,4\n", "None of the axes is in the run (found 'kindness')"),
        (HEAD + 'a,naturalness,"Ada,4\n', "row 1: The table is damaged here"),
        ((HEAD + "a,naturalness,Ad\xe9,4\n").encode("latin-1"), "row 1, column 'rater': The text is not UTF-8"),
        ((HEAD + "a,naturalness,Ada,4\n").encode("utf-16"), "The file is UTF-16"),
        (HEAD + "a,naturalness,A\x00da,4\n", "NUL"),
    ],
)
def test_a_fault_is_named_with_its_place(tmp_path: Path, units: UnitIndex, data: str | bytes, words: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, data, units)
    assert words in str(caught.value)


def test_what_the_run_lacks_is_counted_and_named(tmp_path: Path, units: UnitIndex) -> None:
    lost = "".join(f"x{number},naturalness,Ada,4\n" for number in range(5))
    data = HEAD.replace("score", "score,minute") + "".join(
        f"{line},9\n" for line in ("a,naturalness,Ada,4", "a,kindness,Ada,4", *lost.splitlines())
    )
    ratings, cautions = read(tmp_path, data, units)
    assert len(ratings) == 1
    assert {caution.code: caution.count for caution in cautions} == {
        "humans_unknown_conversation": 5,
        "humans_unknown_axis": 1,
        "humans_unused_column": 1,
    }
    assert "'x0', 'x1', 'x2' and 2 more" in cautions[0].message
    assert "'kindness'" in cautions[1].message


def test_every_axis_may_have_its_own_scale(tmp_path: Path, units: UnitIndex) -> None:
    scales = {"naturalness": PeopleScale(0, 1), "on_topic": PeopleScale(1, 3, "linear")}
    ratings, _ = read(tmp_path, HEAD + "a,naturalness,Ada,0\na,on_topic,Ada,3\n", units, scales)
    assert [rating.score for rating in ratings] == [0, 3]
    with pytest.raises(InputError, match="scale from 0 to 1"):
        read(tmp_path, HEAD + "a,naturalness,Ada,3\n", units, scales)


def test_many_scores_far_below_the_top_of_the_scale_are_a_caution(tmp_path: Path) -> None:
    """People who used 1 to 3 and did not say so would be counted in points that nobody declared."""
    ids = [f"c{number}" for number in range(30)]
    index = UnitIndex(frozenset(range(30)), {name: [row] for row, name in enumerate(ids)})
    three = HEAD + "".join(f"{name},naturalness,Ada,{1 + row % 3}\n" for row, name in enumerate(ids))
    (caution,) = read(tmp_path, three, index)[1]
    assert caution.message.startswith(
        "naturalness: of 30 human ratings none is above 3, though the scale is taken to go"
    )
    assert read(tmp_path, three, index, {"naturalness": PeopleScale(1, 3)})[1] == []
    assert read(tmp_path, three + "row-0,on_topic,Ada,2\n" + "row-1,naturalness,Bo,5\n", index)[1] == []
    given = [record(str(row), "naturalness", "Ada", 1 + row % 3) for row in range(30)]
    assert people_of_case(given, index, AXES).cautions == [caution]


def test_a_file_is_checked_before_there_is_a_run(tmp_path: Path) -> None:
    path = tmp_path / "humans.csv"
    for data, words in (("a,naturalness,Ada,9\n", "not on the scale"), ("a,kindness,Ada,3\n", "None of the axes")):
        path.write_text(HEAD + data, encoding="utf-8")
        with pytest.raises(InputError, match=words):
            check(path, "humans.csv", AXES, FIVE)
    path.write_text(HEAD + "a,naturalness,Ada,3\n", encoding="utf-8")
    check(path, "humans.csv", AXES, FIVE)


@pytest.mark.parametrize("text", ["5", "5-1", "1-1", "1 to 5", "a-b", "", "1-5-9", "1-inf"])
def test_no_scale_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        PeopleScale.parse(text)


def test_scales() -> None:
    assert PeopleScale.parse("1-5") == PeopleScale()
    assert PeopleScale.parse(" -2 - 2 ", linear=True).to_five(0) == 3
    assert PeopleScale.parse("0-1").is_comparable is False
    assert PeopleScale.parse("1-3", linear=True).to_five(2) == 3


def test_a_hundred_thousand_ratings_are_read_in_seconds(tmp_path: Path) -> None:
    n = 20_000
    ids = [f"conversation {number}" for number in range(n)]
    index = UnitIndex(frozenset(range(1, n + 1)), {name: [row] for row, name in enumerate(ids, start=1)})
    lines = "".join(f"{name},naturalness,rater {k},{k + 1}\n" for name in ids for k in range(5))
    begun = time.perf_counter()
    ratings, _ = read(tmp_path, HEAD + lines, index)
    assert len(ratings) == 100_000
    labels = Labels.of(ratings, "naturalness", PeopleScale())
    assert (labels.mean == 3).all()
    assert time.perf_counter() - begun < 10


def test_an_index_of_ids_that_all_repeat_is_made_in_no_time(tmp_path: Path) -> None:
    p = peaked(np.full(20_000, 3.0))
    path = write_ratings(tmp_path / "r.parquet", {"naturalness": p}, ids=["same"] * len(p))
    assert len(UnitIndex.from_ratings(path).find("same")) == 20_000


def test_preview_lists_every_problem(tmp_path: Path) -> None:
    path = tmp_path / "h.csv"
    path.write_text(HEAD + "a,naturalness,Ada,4\na,naturalness,Ada,5\nb,naturalness,Ada,9\nc,on_topic,Bo,x\nd,e,f\n")
    found = preview(InputFile(path, "h.csv", ""), PeopleScale())
    assert (found.n_rows, found.n_problems) == (1, 4)
    assert ["row 2" in found.problems[0], "row 3" in found.problems[1], "row 5" in found.problems[3]] == [True] * 3
    assert found.rows[0] == {
        "row": "1",
        "conversation_id": "a",
        "axis": "naturalness",
        "rater": "Ada",
        "score": "4",
    }
    assert preview(InputFile(tmp_path / "gone.csv", "gone.csv", ""), PeopleScale()).n_problems == 1


@dataclass
class Record:
    """A human rating as a case keeps it."""

    body: dict[str, Any]


def record(unit: str, axis: str, rater: str, score: float, **more: Any) -> Record:
    return Record({"unit": unit, "axis": axis, "rater": rater, "score": score, "note": "", **more})


def people(records: Sequence[Record], units: UnitIndex) -> Any:
    return people_of_case(records, units, AXES)


def test_ratings_of_a_case_the_newest_of_a_rater_counts(units: UnitIndex) -> None:
    records = [
        record("1", "naturalness", "Ada", 2),
        record("1", "naturalness", "Ada", 4),
        record("2", "on_topic", "Bo", 5),
    ]
    assert from_case(records) == [HumanRating(1, "naturalness", "Ada", 4), HumanRating(2, "on_topic", "Bo", 5)]
    found = people([*records, record("9", "naturalness", "Ada", 1), record("basil", "naturalness", "Ada", 1)], units)
    assert found.ratings == from_case(records)
    assert [caution.count for caution in found.cautions] == [2]


def test_several_scales_in_a_case_are_mapped_if_all_can_be(units: UnitIndex) -> None:
    mapped = record("1", "naturalness", "Bo", 3, scale=[1, 3], mapping="linear")
    found = people([record("1", "naturalness", "Ada", 2), mapped], units)
    assert {rating.rater: rating.score for rating in found.ratings} == {"Ada": 2, "Bo": 5}
    assert found.scales == {"naturalness": PeopleScale()}
    alone = people([mapped], units)
    assert (alone.ratings[0].score, alone.scales["naturalness"]) == (3, PeopleScale(1, 3, "linear"))
    with pytest.raises(InputError, match="from 0 to 1"):
        people([record("1", "naturalness", "Ada", 2), record("2", "naturalness", "Bo", 1, scale=[0, 1])], units)


def test_labels_are_means_and_halves_round_up() -> None:
    said = [(1, "x", 1), (1, "y", 2), (2, "x", 4), (2, "y", 5), (2, "z", 5), (7, "z", 3)]
    labels = Labels.of([HumanRating(row, "a", rater, score) for row, rater, score in said], "a", PeopleScale())
    assert labels.rows.tolist() == [1, 2, 7]
    assert labels.raters == ("x", "y", "z")
    assert labels.mean.tolist() == pytest.approx([1.5, 14 / 3, 3])
    assert labels.whole.tolist() == [2, 5, 3]
    assert rounded(np.array([2.5, 2.4999, 2.5 - 1e-15, 1.0])).tolist() == [3, 2, 3, 1]


def test_a_crowd_takes_no_column_for_everybody() -> None:
    ratings = [HumanRating(row, "a", f"{row}-{k}", 1 + k) for row in range(500) for k in range(3)]
    labels = Labels.of(ratings, "a", PeopleScale())
    assert len(labels.raters) == 1500 > MAX_RATERS
    assert labels.is_crowd
    assert labels.scores.shape == (500, 3)
    assert (labels.mean == 2).all()
