"""Runs side by side: known differences come out, and what is not comparable is refused or said."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from auditor.audits.rating import agreement
from auditor.audits.rating.compare import COLUMNS, RunTables, compare, mcnemar
from auditor.audits.rating.figures_compare import compare_pictures
from auditor.audits.rating.labels import HumanRating, PeopleScale
from auditor.errors import InputError
from auditor.stats.bootstrap import joined
from numpy.typing import NDArray
from scipy import stats
from tests.ratings import SCORES, write_ratings

N = 120
FINDINGS: dict[str, Any] = {
    "axes": [{"name": "naturalness", "title": "Naturalness"}, {"name": "on_topic", "title": "On topic"}],
    "rubric_sha256": "r",
    "order": "axis last",
    "scope": "last_response",
    "is_starter": False,
}


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "N_RESAMPLES", 200)


def certain(scores: NDArray[np.float64], doubt: float = 0.02) -> NDArray[np.float64]:
    """Probabilities that put nearly everything on a whole score."""
    p = np.full((len(scores), 5), doubt)
    p[np.arange(len(scores)), scores.astype(int) - 1] = 1 - 4 * doubt
    return p


def run(
    folder: Path, name: str, scores: NDArray[np.float64], *, sha256: str = "same", more: Any = None, **options: Any
) -> RunTables:
    folder.mkdir(exist_ok=True)
    p = certain(scores)
    path = write_ratings(folder / f"{name}.parquet", {"naturalness": p, "on_topic": p[::-1]}, **options)
    return RunTables(name, {**FINDINGS, **(more or {})}, path, sha256)


def labelled(labels: NDArray[np.float64], axis: str = "naturalness") -> list[HumanRating]:
    return [HumanRating(row, axis, "Ada", score) for row, score in enumerate(labels.tolist(), start=1)]


@pytest.fixture
def scores() -> tuple[NDArray[np.float64], ...]:
    """A is right in 80 of 120, B in 60; both miss by one; B is otherwise one lower than A in 20 more."""
    label = np.random.default_rng(0).integers(2, 5, N).astype(np.float64)
    a, b = label.copy(), label.copy()
    a[:40] += 1
    b[20:80] -= 1
    return label, a, b


def test_known_differences(tmp_path: Path, scores: tuple[NDArray[np.float64], ...]) -> None:
    label, a, b = scores
    groups = [str(place // 3) for place in range(N)]
    runs = [run(tmp_path, "first", a, groups=groups), run(tmp_path, "second", b, groups=groups)]
    found = compare(runs, labelled(label), confidence=0.95, seed=0)
    (pair,) = found.pairs
    assert (pair.a, pair.b, pair.matched_by, pair.n, pair.differs) == ("first", "second", "row", N, ())
    axis = pair.axes[0]
    step = float(np.diff(certain(np.array([1.0, 2.0])) @ SCORES)[0])
    # A is higher by one in 20 + 40 of the units, and by two where both err.
    assert (axis.wins, axis.ties, axis.losses) == (int((a > b).sum()), int((a == b).sum()), 0) == (80, 40, 0)
    assert axis.difference.value == pytest.approx((a - b).mean() * step)
    assert axis.difference.low is not None
    assert axis.difference.high is not None
    assert 0 < axis.difference.low < (a - b).mean() * step < axis.difference.high
    assert axis.spearman.value == pytest.approx(stats.spearmanr(a, b).statistic)
    assert axis.same.value == pytest.approx(40 / N)
    people = axis.people
    assert people is not None
    assert (people.both_right, people.a_right, people.b_right, people.both_wrong) == (40, 40, 20, 20)
    assert people.mcnemar_p == pytest.approx(stats.binomtest(40, 60, 0.5).pvalue)
    assert people.exact.a.value == pytest.approx(80 / N)
    assert people.exact.difference.value == pytest.approx(20 / N)
    assert people.within1.a.value == people.within1.b.value == 1
    assert people.mae.a.value == pytest.approx(np.abs(certain(a) @ SCORES - label).mean())
    assert people.mae.difference.value == pytest.approx(people.mae.a.value - people.mae.b.value)
    assert people.spearman.b.value == pytest.approx(stats.spearmanr(b, label).statistic)
    assert pair.axes[1].people is None
    assert "naturalness +" in pair.sentence
    assert found.cautions == ()


def test_the_table_has_every_unit_with_flags_to_filter_by(
    tmp_path: Path, scores: tuple[NDArray[np.float64], ...]
) -> None:
    label, a, b = scores
    found = compare([run(tmp_path, "A", a), run(tmp_path, "B", b)], labelled(label), confidence=0.95, seed=0)
    assert found.table.column_names == [column.name for column in COLUMNS]
    rows = [row for row in found.table.to_pylist() if row["axis"] == "naturalness"]
    assert [row["row_a"] for row in rows] == list(range(1, N + 1))
    assert rows[0] | {"expected_a": 0, "expected_b": 0, "difference": 0} == {
        "a": "A",
        "b": "B",
        "id": "c1",
        "row_a": 1,
        "row_b": 1,
        "axis": "naturalness",
        "expected_a": 0,
        "expected_b": 0,
        "mode_a": a[0],
        "mode_b": b[0],
        "difference": 0,
        "label": label[0],
        "higher": "A higher",
        "right": "B right, A wrong",
    }
    assert [rows[place]["right"] for place in (30, 50, 100)] == ["both wrong", "A right, B wrong", "both right"]
    assert rows[100]["higher"] == "equal"
    others = [row for row in found.table.to_pylist() if row["axis"] == "on_topic"]
    assert {(row["label"], row["right"]) for row in others} == {(None, "")}


def test_equal_runs_do_not_differ(tmp_path: Path, scores: tuple[NDArray[np.float64], ...]) -> None:
    label, a, _ = scores
    found = compare([run(tmp_path, "A", a), run(tmp_path, "B", a)], labelled(label), confidence=0.95, seed=0)
    axis = found.pairs[0].axes[0]
    assert (axis.difference.value, axis.difference.low, axis.difference.high) == (0, 0, 0)
    assert axis.people is not None
    assert axis.people.mcnemar_p == 1 == mcnemar(0, 0)


def test_more_than_two_runs_are_compared_with_the_first(
    tmp_path: Path, scores: tuple[NDArray[np.float64], ...]
) -> None:
    label, a, b = scores
    runs = [run(tmp_path, name, values) for name, values in (("one", a), ("two", b), ("three", label))]
    found = compare(runs, [], confidence=0.9, seed=0)
    assert [(pair.a, pair.b) for pair in found.pairs] == [("one", "two"), ("one", "three")]
    assert found.table.num_rows == 2 * 2 * N


def test_other_files_are_matched_by_id_and_said(tmp_path: Path, scores: tuple[NDArray[np.float64], ...]) -> None:
    label, a, _ = scores
    ids = [f"c{place}" for place in range(N)]
    first = run(tmp_path, "A", a, ids=ids)
    # The other file is turned round, holds ten conversations more, and one id twice.
    other = run(tmp_path, "B", a[::-1], ids=[*ids[::-1][:-1], ids[-1]], sha256="other")
    found = compare([first, other], labelled(label), confidence=0.95, seed=0)
    (pair,) = found.pairs
    assert pair.matched_by == "conversation"
    assert pair.n == N - 2
    assert pair.axes[0].ties == N - 2
    codes = {caution.code: caution.count for caution in found.cautions}
    assert codes == {"matched_by_id": N - 2, "unmatched": 4, "repeated_ids": 1}


def test_the_same_file_read_in_another_way_is_not_matched_by_row(
    tmp_path: Path, scores: tuple[NDArray[np.float64], ...]
) -> None:
    _, a, b = scores
    first, other = run(tmp_path, "A", a), run(tmp_path, "B", b)
    rejected = RunTables(other.name, other.findings, other.ratings, other.input_sha256, {"text": "rejected"})
    assert compare([first, rejected], [], confidence=0.95, seed=0).pairs[0].matched_by == "conversation"


def test_made_up_ids_say_nothing_between_files(tmp_path: Path, scores: tuple[NDArray[np.float64], ...]) -> None:
    _, a, b = scores
    # The last ten have ids of their own; one is called row-1 by its file, which the other file's first record is not.
    ids = [*(f"row-{row}" for row in range(1, N - 9)), *(f"c{place}" for place in range(9))]
    first = run(tmp_path, "A", a, ids=[*ids, "own"])
    other = run(tmp_path, "B", b, ids=[*ids, "row-1"], sha256="other")
    found = compare([first, other], [], confidence=0.95, seed=0)
    assert found.pairs[0].n == 9
    counts = {caution.code: caution.count for caution in found.cautions}
    assert counts == {"matched_by_id": 9, "unmatched": 2 * (N - 9), "no_ids": 2 * (N - 10)}
    assert any("220 conversations of the two files have no id of their own" in c.message for c in found.cautions)
    nameless = [f"row-{row}" for row in range(1, N + 1)]
    runs = [run(tmp_path, name, a, ids=nameless, sha256=name) for name in ("C", "D")]
    with pytest.raises(InputError, match="no id of their own"):
        compare(runs, [], confidence=0.95, seed=0)
    # Two readings of one file count the same records.
    again = RunTables("E", runs[0].findings, runs[0].ratings, "C", {"text": "rejected"})
    assert compare([runs[0], again], [], confidence=0.95, seed=0).pairs[0].n == N


def test_nonsense_is_refused(tmp_path: Path, scores: tuple[NDArray[np.float64], ...]) -> None:
    _, a, b = scores
    first = run(tmp_path, "A", a)
    with pytest.raises(InputError, match="at least two"):
        compare([first], [], confidence=0.95, seed=0)
    with pytest.raises(InputError, match="stands twice"):
        compare([first, first], [], confidence=0.95, seed=0)
    elsewhere = run(tmp_path, "B", b, ids=[f"x{place}" for place in range(N)], sha256="other")
    with pytest.raises(InputError, match="no conversation in common"):
        compare([first, elsewhere], [], confidence=0.95, seed=0)
    repeated = run(tmp_path, "C", b, ids=["c1"] * N, sha256="other")
    with pytest.raises(InputError, match="stand for several conversations"):
        compare([first, repeated], [], confidence=0.95, seed=0)
    path = write_ratings(tmp_path / "d.parquet", {"kindness": certain(a)})
    with pytest.raises(InputError, match="no axis in common"):
        compare([first, RunTables("D", FINDINGS, path, "same")], [], confidence=0.95, seed=0)


def test_another_instrument_and_a_starter_model_are_said(
    tmp_path: Path, scores: tuple[NDArray[np.float64], ...]
) -> None:
    _, a, b = scores
    runs = [
        run(tmp_path, "A", a, more={"is_starter": True}),
        run(tmp_path, "B", b, more={"rubric_sha256": "x", "order": "axis first"}),
    ]
    found = compare(runs, [], confidence=0.95, seed=0)
    assert found.pairs[0].differs == ("rubric", "order of the prompt")
    assert [caution.code for caution in found.cautions] == ["starter", "not_same_instrument"]
    assert "differ in rubric, order of the prompt" in found.cautions[1].message


def test_other_prompts_and_another_merge_are_another_instrument(
    tmp_path: Path, scores: tuple[NDArray[np.float64], ...]
) -> None:
    _, a, b = scores
    earlier = run(tmp_path, "earlier", a)
    now = run(tmp_path, "now", b, more={"variants": ["5"], "merge": "mean"})
    other = run(tmp_path, "other", b, more={"variants": ["5", "4"], "merge": "median"})
    found = compare([earlier, now, other], [], confidence=0.95, seed=0)
    assert [pair.differs for pair in found.pairs] == [(), ("prompts", "rule of merging")]
    assert [(caution.code, caution.count) for caution in found.cautions] == [("not_same_instrument", 1)]


def test_another_room_is_another_instrument_where_something_was_left_out(
    tmp_path: Path, scores: tuple[NDArray[np.float64], ...]
) -> None:
    _, a, b = scores

    def room(name: str, n_ctx: int, n_truncated: int, **settings: Any) -> RunTables:
        more = {"n_truncated": n_truncated, "provenance": {"settings": {"n_ctx": n_ctx, **settings}}}
        return run(tmp_path, name, b, more=more)

    unknown = run(tmp_path, "unknown", a, more={"n_truncated": 3})
    runs = [room("first", 2048, 0), room("whole", 4096, 0), room("cut", 1024, 3), room("same", 2048, 3), unknown]
    # Earlier versions cut otherwise, and otherwise again with explanations.
    runs += [room("later", 2048, 3, room=1600), room("said", 2048, 3, explanations="all")]
    found = compare(runs, [], confidence=0.95, seed=0)
    other = ("tokens that a conversation may take",)
    assert [pair.differs for pair in found.pairs] == [(), other, (), (), other, other]
    assert "first and cut differ in tokens" in found.cautions[-1].message


def test_contexts_that_one_run_alone_knows_count(tmp_path: Path, scores: tuple[NDArray[np.float64], ...]) -> None:
    """A file may have been read without its groups first, and with them later."""
    _, a, b = scores
    contexts = [f"c{row // 6}" for row in range(N)]
    plain, grouped = run(tmp_path, "plain", a, sha256="one"), run(tmp_path, "grouped", b, groups=contexts)
    for runs in ([plain, grouped], [grouped, plain]):
        found = compare(runs, labelled(a), confidence=0.95, seed=0).pairs[0].axes[0]
        assert found.groups == N / 6
        assert found.people is not None
        assert found.people.groups == N / 6
    assert joined("aabbcd", "xyyzzw") == ("a", "a", "a", "a", "a", "d")


def test_people_on_another_scale_give_ranks_only(tmp_path: Path, scores: tuple[NDArray[np.float64], ...]) -> None:
    label, a, b = scores
    humans = labelled((label > 3).astype(np.float64))
    found = compare(
        [run(tmp_path, "A", a), run(tmp_path, "B", b)], humans, confidence=0.95, seed=0, scale=PeopleScale(0, 1)
    )
    people = found.pairs[0].axes[0].people
    assert people is not None
    assert people.spearman.difference.value is not None
    assert (people.mae.a.value, people.exact.b.value, people.a_right, people.mcnemar_p) == (None,) * 4
    assert set(found.table["right"].to_pylist()) == {""}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_of_a_comparison(tmp_path: Path, theme: str, scores: tuple[NDArray[np.float64], ...]) -> None:
    label, a, b = scores
    found = compare([run(tmp_path, "A", a), run(tmp_path, "B", b)], labelled(label), confidence=0.95, seed=0)
    drawn = list(compare_pictures(found, theme))
    assert [picture.name for picture in drawn] == ["compare_scores_1", "compare_differences_1"]
    for picture in drawn:
        picture.figure.canvas.draw()
    counted = [row["count"] for row in drawn[1].data.to_pylist() if row["axis"] == "naturalness"]
    assert sum(counted) == N
