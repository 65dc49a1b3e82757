"""Agreement with people: against independent computations, on real ratings, and where nothing is defined."""

from pathlib import Path

import krippendorff
import numpy as np
import pytest
from auditor.audits.rating import agreement
from auditor.audits.rating.agreement import AxisAgreement, agree, resamples_for
from auditor.audits.rating.assess import agreement_cautions
from auditor.audits.rating.figures_agreement import agreement_pictures, correlation_picture
from auditor.audits.rating.labels import MAX_RATERS, HumanRating, Labels, MappingRule, PeopleScale, Scales, UnitIndex
from auditor.audits.rating.people import read_humans
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import accuracy_score, cohen_kappa_score, confusion_matrix, mean_absolute_error
from tests.ratings import SCORES, peaked, write_ratings
from tests.usr import HOLISTIC_AXES, USR_AXES, write_holistic_humans, write_usr_humans

N, CONTEXTS = 240, 60


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals are tested where they are made; here their number only costs time."""
    monkeypatch.setattr(agreement, "N_RESAMPLES", 200)
    monkeypatch.setattr(agreement, "MIN_RESAMPLES", 50)


def synthetic(seed: int, *, low: float = 1, high: float = 5, missing: float = 0.2) -> tuple[NDArray[np.float64], ...]:
    """Judge's probabilities, people's scores (n, 3) with gaps, lengths."""
    draw = np.random.default_rng(seed)
    truth = draw.uniform(1, 5, N)
    p = peaked(np.clip(truth + draw.normal(0, 1, N), 1, 5), draw.uniform(0.4, 1.3, N))
    near = np.clip(np.round(truth[:, None] + draw.normal(0, 0.9, (N, 3))), 1, 5)
    scores = np.round(low + (near - 1) * (high - low) / 4)
    scores[:, 1:][draw.uniform(size=(N, 2)) < missing] = np.nan
    return p, scores, draw.integers(10, 900, N).astype(np.float64)


def said(scores: NDArray[np.float64], axis: str = "naturalness") -> list[HumanRating]:
    return [
        HumanRating(int(place) + 1, axis, f"rater {rater}", float(scores[place, rater]))
        for place, rater in np.argwhere(~np.isnan(scores))
    ]


def measured(
    tmp_path: Path, p: NDArray[np.float64], scores: NDArray[np.float64], scale: Scales, lengths: NDArray[np.float64]
) -> AxisAgreement:
    groups = [str(place % CONTEXTS) for place in range(len(p))]
    ratings = write_ratings(
        tmp_path / "r.parquet", {"naturalness": p, "on_topic": p}, groups=groups, lengths=lengths.astype(int).tolist()
    )
    (found,) = agree(ratings, said(scores), scale, titles={"naturalness": "Naturalness"}, confidence=0.95, seed=1)
    return found


def rank(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(stats.spearmanr(a, b).statistic)


@pytest.mark.parametrize(("low", "high", "mapping"), [(1, 5, "none"), (1, 3, "linear"), (0, 10, "linear")])
def test_equals_independent_computations(tmp_path: Path, low: float, high: float, mapping: MappingRule) -> None:
    p, scores, lengths = synthetic(3, low=low, high=high)
    found = measured(tmp_path, p, scores, PeopleScale(low, high, mapping), lengths)
    people = 1 + (scores - low) * 4 / (high - low)
    label = np.nanmean(people, axis=1)
    whole, mode, expected = np.floor(label + 0.5 + 1e-9).astype(int), p.argmax(axis=1) + 1, p @ SCORES
    assert found.n == N
    assert found.groups == CONTEXTS
    assert found.ratings == (~np.isnan(scores)).sum()
    assert found.spearman.value == pytest.approx(rank(expected, np.round(label, 9)), abs=1e-9)
    assert found.qwk.value == pytest.approx(
        cohen_kappa_score(mode, whole, labels=SCORES, weights="quadratic"), abs=1e-9
    )
    alpha = krippendorff.alpha(np.stack([mode, whole]), level_of_measurement="ordinal")
    assert found.alpha.value == pytest.approx(alpha, abs=1e-9)
    among = krippendorff.alpha(people.T, level_of_measurement="ordinal")
    assert found.alpha_people.value == pytest.approx(among, abs=1e-9)
    assert found.exact.value == pytest.approx(accuracy_score(whole, mode), abs=1e-9)
    assert found.within1.value == pytest.approx((np.abs(whole - mode) <= 1).mean(), abs=1e-9)
    assert found.mae.value == pytest.approx(mean_absolute_error(label, expected), abs=1e-9)
    assert np.array_equal(found.confusion or (), confusion_matrix(whole, mode, labels=SCORES))
    assert found.human_ceiling.value == pytest.approx(ceiling(people), abs=1e-9)
    assert found.length_correlation.value == pytest.approx(rank(expected, lengths), abs=1e-9)
    assert found.length_correlation_people.value == pytest.approx(rank(np.round(label, 9), lengths), abs=1e-9)


def ceiling(people: NDArray[np.float64]) -> float:
    found, counts = [], []
    for rater in range(people.shape[1]):
        rest = np.delete(people, rater, axis=1)
        both = ~np.isnan(people[:, rater]) & ~np.isnan(rest).all(axis=1)
        found.append(rank(people[both, rater], np.round(np.nanmean(rest[both], axis=1), 9)))
        counts.append(both.sum())
    return float(np.dot(found, counts) / np.sum(counts))


def test_people_within_1_of_each_other(tmp_path: Path) -> None:
    p, scores, lengths = synthetic(4)
    shares = []
    for rater in range(3):
        rest = np.delete(scores, rater, axis=1)
        both = ~np.isnan(scores[:, rater]) & ~np.isnan(rest).all(axis=1)
        others = np.floor(np.nanmean(rest[both], axis=1) + 0.5)
        shares += (np.abs(scores[both, rater] - others) <= 1).tolist()
    found = measured(tmp_path, p, scores, PeopleScale(), lengths)
    assert found.human_within1.value == pytest.approx(np.mean(shares), abs=1e-9)


def test_who_rated_two_units_does_not_decide_what_people_agree_on(tmp_path: Path) -> None:
    """A visitor who rates two units the other way round counts as two units, not as a third of all ratings."""
    p, scores, lengths = synthetic(4)
    two = np.column_stack([scores[:, :2], np.full(len(scores), np.nan)])
    extremes = np.argsort(np.nansum(two, axis=1))[[0, -1]]
    visited = two.copy()
    visited[extremes, 2] = [5, 1]
    without, with_visitor = (measured(tmp_path, p, people, PeopleScale(), lengths) for people in (two, visited))
    assert with_visitor.human_ceiling.value == pytest.approx(without.human_ceiling.value, abs=0.1)
    assert with_visitor.human_within1.value == pytest.approx(without.human_within1.value, abs=0.05)


def test_baseline_is_the_best_constant_answer(tmp_path: Path) -> None:
    p, scores, lengths = synthetic(5)
    found = measured(tmp_path, p, scores, PeopleScale(), lengths)
    assert found.baseline is not None
    label = np.nanmean(scores, axis=1)
    whole = np.floor(label + 0.5)
    best = max(range(1, 6), key=lambda score: ((np.abs(whole - score) <= 1).mean(), (whole == score).mean()))
    assert found.baseline.score == best
    assert found.baseline.mae == pytest.approx(np.abs(label - best).mean())


def test_intervals_hold_the_value_and_come_from_contexts(tmp_path: Path) -> None:
    p, scores, lengths = synthetic(6)
    found = measured(tmp_path, p, scores, PeopleScale(), lengths)
    for name in ("spearman", "qwk", "alpha", "alpha_people", "exact", "within1", "mae", "human_ceiling"):
        estimate = getattr(found, name)
        assert estimate.low < estimate.value < estimate.high
    again = measured(tmp_path, p, scores, PeopleScale(), lengths)
    assert again == found


def test_replies_that_repeat_their_context_do_not_narrow_the_interval(tmp_path: Path) -> None:
    p, scores, lengths = synthetic(7, missing=0)
    first = measured(tmp_path, p[:CONTEXTS], scores[:CONTEXTS], PeopleScale(), lengths)
    repeated = (np.tile(part[:CONTEXTS], (4, 1)) for part in (p, scores))
    four = measured(tmp_path, *repeated, PeopleScale(), np.tile(lengths[:CONTEXTS], 4))
    assert four.groups == first.groups == CONTEXTS
    assert four.mae.model_dump() == pytest.approx(first.mae.model_dump())


def test_another_scale_gives_rank_statistics_only(tmp_path: Path) -> None:
    p, scores, lengths = synthetic(8, low=0, high=1)
    found = measured(tmp_path, p, scores, PeopleScale(0, 1), lengths)
    assert found.spearman.value is not None
    assert found.human_ceiling.value is not None
    assert found.alpha_people.value is not None
    undefined = (found.qwk, found.alpha, found.exact, found.within1, found.mae, found.human_within1)
    assert [estimate.value for estimate in undefined] == [None] * 6
    assert (found.baseline, found.confusion, found.reliability, found.ece) == (None,) * 4
    assert "no mapping was declared: rank statistics only" in found.notes[0]


def test_one_rater_and_a_constant_judge_are_said_and_not_invented(tmp_path: Path) -> None:
    _, scores, lengths = synthetic(9)
    alone = np.where(np.arange(3) == 0, scores, np.nan)
    found = measured(tmp_path, peaked(np.full(N, 4.0)), alone, PeopleScale(), lengths)
    assert (found.spearman.value, found.human_ceiling.value, found.alpha_people.value) == (None, None, None)
    assert any("rank correlation is not defined" in note for note in found.notes)
    assert any("No unit has two raters" in note for note in found.notes)
    assert found.qwk.value == pytest.approx(0)
    found.model_dump_json()


def test_one_context_has_no_interval(tmp_path: Path) -> None:
    p, scores, _ = synthetic(10)
    path = write_ratings(tmp_path / "r.parquet", {"naturalness": p[:12]}, groups=["only"] * 12)
    (found,) = agree(path, said(scores[:12]), PeopleScale(), titles={}, confidence=0.95, seed=0)
    assert found.spearman.value is not None
    assert (found.spearman.low, found.spearman.high) == (None, None)
    assert any("one context" in note for note in found.notes)
    assert found.length_correlation.value is None
    assert any("did not record lengths" in note for note in found.notes)
    assert "few_labelled_groups" in {caution.code for caution in agreement_cautions([found])}


def test_a_single_unit_and_nobody(tmp_path: Path) -> None:
    p, scores, lengths = synthetic(11)
    path = write_ratings(tmp_path / "r.parquet", {"naturalness": p}, lengths=lengths.astype(int).tolist())
    (found,) = agree(path, said(scores)[:1], PeopleScale(), titles={}, confidence=0.95, seed=0)
    assert (found.n, found.spearman.value) == (1, None)
    assert found.exact.value in (0, 1)
    assert agree(path, [], PeopleScale(), titles={}, confidence=0.95, seed=0) == []


def test_the_judge_no_better_than_a_constant_is_a_caution(tmp_path: Path) -> None:
    p, scores, lengths = synthetic(12)
    found = measured(tmp_path, p[::-1], scores, PeopleScale(), lengths)
    assert "no_better_than_constant" in {caution.code for caution in agreement_cautions([found])}


def test_reliability_tells_an_overconfident_judge(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    sure = np.full((N, 5), 0.0125)
    sure[np.arange(N), draw.integers(0, 5, N)] = 0.95
    scores = draw.integers(1, 6, (N, 1)).astype(np.float64)
    found = measured(tmp_path, sure, scores, PeopleScale(), np.arange(N, dtype=np.float64) + 1)
    assert found.reliability is not None
    (only,) = found.reliability
    assert (only.confidence, only.n) == (pytest.approx(0.95), N)
    assert found.ece == pytest.approx(0.95 - only.accuracy)
    assert only.accuracy == found.exact.value


def test_many_units_are_resampled_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert [resamples_for(n) for n in (10, 5_000, 10_000, 1_000_000)] == [2000, 2000, 1000, 300]


def test_human_ceilings_of_usr(tmp_path: Path, data_folder: Path) -> None:
    n = 360
    path = tmp_path / "humans.csv"
    assert write_usr_humans(path, data_folder) == n * 9
    draw = np.random.default_rng(0)
    axes = {axis: peaked(draw.uniform(1, 5, n)) for axis, _ in USR_AXES.values()}
    ids = [f"{number}-{place}" for number in range(60) for place in range(6)]
    ratings = write_ratings(tmp_path / "r.parquet", axes, ids=ids, groups=[name.split("-")[0] for name in ids])
    scales = {axis: PeopleScale.parse(scale) for axis, scale in USR_AXES.values()}
    humans, cautions = read_humans(path, path.name, UnitIndex.from_ratings(ratings), tuple(axes), scales)
    assert cautions == []
    found = {axis.name: axis for axis in agree(ratings, humans, scales, titles={}, confidence=0.95, seed=0)}
    assert {axis.n for axis in found.values()} == {n}
    assert {axis.groups for axis in found.values()} == {60}
    assert found["naturalness"].human_ceiling.value == pytest.approx(0.5, abs=0.07)
    assert found["on_topic"].human_ceiling.value == pytest.approx(0.6, abs=0.07)
    assert found["comprehensiveness"].human_ceiling.value == pytest.approx(0.76, abs=0.07)


@pytest.mark.parametrize(("attribute", "expected"), [("fluency", 0.68), ("context", 0.56)])
def test_human_ceilings_of_holistic(tmp_path: Path, data_folder: Path, attribute: str, expected: float) -> None:
    path, axis = tmp_path / "humans.csv", HOLISTIC_AXES[attribute]
    assert write_holistic_humans(path, data_folder, attribute) == 2000
    p = peaked(np.random.default_rng(0).uniform(1, 5, 200))
    ratings = write_ratings(tmp_path / "r.parquet", {axis: p}, ids=[str(row) for row in range(1, 201)])
    humans, _ = read_humans(path, path.name, UnitIndex.from_ratings(ratings), (axis,), PeopleScale())
    (found,) = agree(ratings, humans, PeopleScale(), titles={}, confidence=0.95, seed=0)
    assert len(found.raters) == 10 < MAX_RATERS
    assert found.human_ceiling.value == pytest.approx(expected, abs=0.07)
    assert found.human_ceiling.low is not None
    scores = Labels.of(humans, axis, PeopleScale()).scores
    assert found.alpha_people.value == pytest.approx(krippendorff.alpha(scores.T, level_of_measurement="ordinal"))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("scale", [PeopleScale(), PeopleScale(0, 1), PeopleScale(1, 3, "linear")])
def test_pictures_of_an_agreement(tmp_path: Path, theme: str, scale: PeopleScale) -> None:
    p, scores, lengths = synthetic(13, low=scale.low, high=scale.high)
    measured(tmp_path, p, scores, scale, lengths)
    ratings = tmp_path / "r.parquet"
    found = agree(ratings, said(scores), scale, titles={"naturalness": "N <b>"}, confidence=0.9, seed=0)
    drawn = list(agreement_pictures(found, ratings, said(scores), scale, theme))
    names = ["agreement", "confusion", "reliability", "disagreement"]
    assert [picture.name for picture in drawn] == (names if scale.is_comparable else [names[0], names[3]])
    for picture in drawn:
        picture.figure.canvas.draw()
        assert picture.description.endswith(".")
    assert list(agreement_pictures([], ratings, [], scale, theme)) == []


def test_picture_of_axes_that_go_together(tmp_path: Path) -> None:
    p, _, _ = synthetic(14)
    ratings = write_ratings(tmp_path / "r.parquet", {"a": p, "b": p[::-1], "c": peaked(np.full(N, 3.0))})
    picture = correlation_picture(ratings, {"a": "A", "b": "B", "c": "C"}, "light")
    assert picture is not None
    picture.figure.canvas.draw()
    values = {(row["axis"], row["other"]): row["spearman"] for row in picture.data.to_pylist()}
    assert values["b", "a"] == pytest.approx(rank(p @ SCORES, (p @ SCORES)[::-1]))
    assert "C" in picture.description
    assert correlation_picture(ratings, {"a": "A"}, "light") is None
