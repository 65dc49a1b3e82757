"""Certified auto-accept end to end: disjoint parts, a guarantee that holds, and a queue that loses nothing."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from auditor.audits import InputFile
from auditor.audits.rating import agreement
from auditor.audits.rating.assess import assess
from auditor.audits.rating.autoaccept import CERTIFY, FIT, REPORT, certify_axes, exact_interval, split_contexts
from auditor.audits.rating.calibrate import Calibration, Calibrator
from auditor.audits.rating.certificate import AxisCertificate, coefficient, percent, short
from auditor.audits.rating.figures_agreement import certificate_picture
from auditor.audits.rating.labels import HumanRating, PeopleScale
from auditor.audits.rating.people_text import people_methods
from auditor.audits.rating.review import BELOW, LABELLED, UNCERTIFIED, labels_table, review_queue
from auditor.audits.rating.spec import RatingSpec
from auditor.errors import InputError
from auditor.stats.acceptance import fewest_contexts
from numpy.typing import NDArray
from scipy.stats import binomtest
from tests.ratings import peaked, write_ratings

TITLES = {"naturalness": "Naturalness", "on_topic": "On topic"}


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "N_RESAMPLES", 20)


def judged(n: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A judge that is often wrong where it is unsure, and the label of every unit."""
    draw = np.random.default_rng(seed)
    label = draw.integers(1, 6, n).astype(np.float64)
    unsure = draw.uniform(size=n) < 0.3
    centre = np.where(unsure, draw.uniform(1, 5, n), label)
    return peaked(centre, np.where(unsure, 1.2, 0.45)), label


def said(label: NDArray[np.float64], axis: str = "naturalness", first: int = 1) -> list[HumanRating]:
    return [HumanRating(row, axis, "Ada", score) for row, score in enumerate(label.tolist(), start=first)]


def certify(path: Path, humans: list[HumanRating], **asked: object) -> AxisCertificate:
    settings: dict[str, object] = {"epsilon": 0.1, "delta": 0.1, "seed": 0, **asked}
    (found,) = certify_axes(path, humans, PeopleScale(), titles=TITLES, **settings)  # type: ignore[arg-type]
    return found


def test_a_context_stands_in_one_part_whatever_the_order() -> None:
    groups = [f"context {number % 97}" for number in range(500)]
    parts = split_contexts(groups, seed=3)
    assert parts == split_contexts(reversed(groups), seed=3)
    assert parts != split_contexts(groups, seed=4)
    assert Counter(parts.values()) == {FIT: 24, CERTIFY: 49, REPORT: 24}
    assert split_contexts(["a"], 0) == {"a": CERTIFY}


def test_axes_share_the_split(tmp_path: Path) -> None:
    p, label = judged(400, 0)
    path = write_ratings(tmp_path / "r.parquet", {"naturalness": p, "on_topic": p})
    found = certify_axes(
        path,
        said(label) + said(label[:200], "on_topic"),
        PeopleScale(),
        titles=TITLES,
        epsilon=0.1,
        delta=0.1,
        seed=0,
    )
    assert [certificate.name for certificate in found] == ["naturalness", "on_topic"]
    assert found[0].units == found[0].contexts == (100, 200, 100)
    assert sum(found[1].units) == 200


@pytest.mark.parametrize("calibration", ["none", "temperature", "isotonic"])
def test_a_good_judge_is_certified_and_the_certificate_says_it_all(tmp_path: Path, calibration: Calibration) -> None:
    p, label = judged(1200, 1)
    path = write_ratings(tmp_path / "r.parquet", {"naturalness": p})
    found = certify(path, said(label[:800]), calibration=calibration)
    assert found.certified
    assert found.threshold is not None
    assert found.method == "binomial"
    assert found.n_wrong / found.n_accepted < 0.1
    assert found.upper is not None
    assert found.upper <= 0.1
    assert found.run_n == 1200
    after = Calibrator.from_dict(found.calibration_fit)
    assert (found.calibration_fit is None) == (calibration == "none")
    assert after.to_dict() == found.calibration_fit
    assert found.report_agreement is not None
    assert found.report_agreement.n == found.units[REPORT] == 200
    assert 0 < found.report_accepted <= 200
    assert found.report_disagreement.value == found.report_wrong / found.report_accepted
    assert found.sentence.startswith(f"Ratings of naturalness with confidence of at least {short(found.threshold)} ")
    assert "disagree with people by more than 1 point in at most 10% of cases, with probability 90%:" in found.sentence
    assert AxisCertificate.model_validate_json(found.model_dump_json()) == found
    picture = certificate_picture([found], "dark")
    assert (picture is None) == (calibration == "none")
    if picture is not None:
        picture.figure.canvas.draw()


def test_calibration_mends_an_overconfident_judge_and_leaves_its_scores(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    honest = peaked(draw.uniform(1, 5, 1200), draw.uniform(0.4, 1.5, 1200))
    label = np.array([draw.choice(5, p=p) + 1.0 for p in honest])
    sharp = honest**3 / (honest**3).sum(axis=1, keepdims=True)
    path = write_ratings(tmp_path / "r.parquet", {"naturalness": sharp})
    plain = certify(path, said(label))
    for calibration in ("temperature", "isotonic"):
        found = certify(path, said(label), calibration=calibration)
        assert found.report_agreement is not None
        assert plain.report_agreement is not None
        assert found.ece_before == plain.report_agreement.ece
        assert found.report_agreement.ece is not None
        assert found.ece_before is not None
        assert found.report_agreement.ece < found.ece_before / 2
        assert found.report_agreement.confusion == plain.report_agreement.confusion


def test_a_bad_judge_is_not_certified_and_hears_why(tmp_path: Path) -> None:
    p, label = judged(800, 2)
    path = write_ratings(tmp_path / "r.parquet", {"naturalness": p})
    found = certify(path, said(np.random.default_rng(0).permutation(label)))
    assert (found.certified, found.threshold, found.run_accepted, found.needed) == (False, None, 0, None)
    assert "more than 10%; more labels would hardly help" in found.why
    assert found.sentence.startswith("No rating of naturalness is accepted unseen: ")


def test_too_few_labels_say_how_many_would_do(tmp_path: Path) -> None:
    p, label = judged(600, 3)
    path = write_ratings(tmp_path / "r.parquet", {"naturalness": p})
    few = certify(path, said(label[:40]), epsilon=0.05)
    assert not few.certified
    assert few.needed is not None
    assert 40 < few.needed < 300
    assert f"about {few.needed:,} labelled units" in few.why
    assert certify(path, said(label[: 2 * few.needed]), epsilon=0.05).certified


@pytest.mark.parametrize("n", [1, 2, 3])
def test_contexts_that_cannot_be_split(tmp_path: Path, n: int) -> None:
    p, label = judged(20, 4)
    path = write_ratings(tmp_path / "r.parquet", {"naturalness": p})
    found = certify(path, said(label[:n]), calibration="isotonic")
    assert not found.certified
    assert found.why


def test_another_scale_is_refused_and_a_mapped_one_is_not(tmp_path: Path) -> None:
    p, label = judged(400, 5)
    path = write_ratings(tmp_path / "r.parquet", {"naturalness": p})
    coarse = [HumanRating(r.row, r.axis, r.rater, round((r.score - 1) / 2)) for r in said(label)]
    for mapping, words in (("none", "no mapping onto 1 to 5 was declared"), ("linear", "")):
        scale = PeopleScale(0, 2, mapping)  # type: ignore[arg-type]
        (found,) = certify_axes(path, coarse, scale, titles=TITLES, epsilon=0.2, delta=0.1, seed=0)
        assert found.certified == (mapping == "linear")
        assert words in found.why


def test_contexts_of_several_replies_bet_by_context(tmp_path: Path) -> None:
    p, label = judged(1200, 6)
    groups = [str(place // 4) for place in range(1200)]
    path = write_ratings(tmp_path / "r.parquet", {"naturalness": p}, groups=groups)
    found = certify(path, said(label))
    assert found.method == "betting by context"
    assert found.contexts == (75, 150, 75)
    assert found.units == (300, 600, 300)
    assert found.certified
    assert found.upper is None
    assert any("contexts hold several" in note for note in found.notes)


def test_too_few_contexts_say_how_many_contexts_would_do(tmp_path: Path) -> None:
    p, label = judged(2400, 6)
    groups = [str(place // 4) for place in range(2400)]
    path = write_ratings(tmp_path / "r.parquet", {"naturalness": p}, groups=groups)
    few = certify(path, said(label[:160]), epsilon=0.1)
    assert few.contexts == (10, 20, 10)
    assert (few.method, few.certified) == ("betting by context", False)
    assert few.needed is not None
    assert few.needed >= 2 * fewest_contexts(0.1, 0.1, binomial=False)
    assert f"about {few.needed:,} labelled contexts instead of 40" in few.why
    assert certify(path, said(label[: 4 * 2 * few.needed]), epsilon=0.1).certified
    right = certify(path, said((p.argmax(axis=1) + 1.0)[:16]), epsilon=0.1)
    assert (right.certified, right.n_wrong) == (False, 0)
    assert "too few contexts to prove 10%" in right.why or "it takes at least" in right.why
    assert " labelled contexts" in right.why


@pytest.mark.slow
@pytest.mark.parametrize("clustered", [False, True])
def test_the_guarantee_holds_end_to_end_on_the_boundary(tmp_path: Path, clustered: bool) -> None:
    """A judge that is wrong in exactly epsilon of cases at every confidence, or all at once in a context."""
    epsilon, delta, draws, n = 0.1, 0.1, 150, 300
    # Just above epsilon, so that every certificate is a violation.
    share = epsilon + 1e-6
    violations = 0
    for seed in range(draws):
        draw = np.random.default_rng(seed)
        size = 3 if clustered else 1
        wrong = np.repeat(draw.uniform(size=n // size) < share, size)
        p = peaked(np.full(n, 1.0), draw.uniform(0.3, 1.5, n))
        path = write_ratings(tmp_path / "r.parquet", {"naturalness": p}, groups=[str(i // size) for i in range(n)])
        label = np.where(wrong, 5.0, 1.0)
        violations += certify(path, said(label), epsilon=epsilon, delta=delta, seed=seed).certified
    # 26 is the 99.9% point of the number of violations if each happens with probability delta.
    assert binomtest(violations, draws, delta, alternative="greater").pvalue > 0.001, violations


def test_the_queue_holds_every_rating_that_is_not_accepted_worst_first(tmp_path: Path) -> None:
    p, label = judged(900, 7)
    path = write_ratings(tmp_path / "r.parquet", {"naturalness": p, "on_topic": p[::-1]})
    humans = said(label[:600])
    found = certify(path, humans, calibration="temperature")
    queue = review_queue(path, humans, PeopleScale(), [found])
    rows = queue.to_pylist()
    assert len(rows) == (900 - found.run_accepted) + 900
    assert Counter(row["reason"] for row in rows) == {BELOW: 900 - found.run_accepted, UNCERTIFIED: 900}
    measured = [abs(row["difference"]) for row in rows if row["difference"] is not None]
    assert measured == sorted(measured, reverse=True)
    rest = [row["confidence"] for row in rows[len(measured) :]]
    assert rest == sorted(rest)
    assert all(row["label"] is None for row in rows[len(measured) :])
    assert all(row["confidence"] < (found.threshold or 0) for row in rows if row["reason"] == BELOW)
    only = review_queue(path, humans, PeopleScale(), None).to_pylist()
    assert {row["reason"] for row in only} == {LABELLED}
    assert len(only) == 600


def test_labels_beside_the_judge(tmp_path: Path) -> None:
    p, label = judged(50, 8)
    path = write_ratings(tmp_path / "r.parquet", {"naturalness": p, "on_topic": p})
    humans = [*said(label[:20]), HumanRating(1, "naturalness", "Bo", 5.0)]
    rows = labels_table(path, humans, PeopleScale()).to_pylist()
    assert len(rows) == 20
    assert rows[0]["raters"] == 2
    assert rows[0]["label"] == (label[0] + 5) / 2
    assert rows[5]["difference"] == pytest.approx(rows[5]["expected"] - label[5])
    binary = labels_table(path, [HumanRating(1, "on_topic", "Bo", 1.0)], PeopleScale(0, 1)).to_pylist()
    assert (binary[0]["label"], binary[0]["whole"], binary[0]["difference"]) == (1.0, None, None)


def test_assess_from_a_file(tmp_path: Path) -> None:
    p, label = judged(400, 9)
    path = write_ratings(tmp_path / "r.parquet", {"naturalness": p, "on_topic": p})
    file = tmp_path / "humans.csv"
    lines = [f"c{row},naturalness,Ada,{score:g}" for row, score in enumerate(label.tolist(), start=1)]
    file.write_text("conversation_id,axis,rater,score\n" + "\n".join([*lines, "gone,naturalness,Ada,3"]))
    humans = InputFile(file, "humans.csv", "")
    found = assess(path, humans, RatingSpec(epsilon=0.1), titles=TITLES, seed=0)
    assert [axis.name for axis in found.agreement] == ["naturalness"]
    assert found.certificates[0].certified
    assert {"humans_unknown_conversation"} <= {caution.code for caution in found.cautions}
    assert found.sentence.startswith("rank correlation with one person: naturalness .")
    assert "auto-accept certified for naturalness from ." in found.sentence
    for info, table in found.tables():
        assert info.rows == table.num_rows > 0
        assert [column.name for column in info.columns] == table.column_names
        pq.write_table(table, tmp_path / f"{info.name}.parquet")
    without = assess(path, humans, RatingSpec(), titles=TITLES, seed=0)
    assert without.certificates == []
    assert set(without.queue["reason"].to_pylist()) == {LABELLED}
    with pytest.raises(InputError, match="--human-scale"):
        assess(path, humans, RatingSpec(people_scale=("1-3",)), titles=TITLES, seed=0)


def test_the_report_says_what_is_certified_and_on_what_terms(tmp_path: Path) -> None:
    p, label = judged(800, 1)
    path = write_ratings(tmp_path / "r.parquet", {"naturalness": p, "on_topic": p})
    humans = said(label) + said(label[:20], "on_topic")
    certificates = certify_axes(path, humans, PeopleScale(), titles=TITLES, epsilon=0.1, delta=0.1, seed=3)
    found = agreement.agree(path, humans, PeopleScale(), titles=TITLES, confidence=0.95, seed=3)
    words = dict(people_methods(found, certificates))
    assert words["Auto-accept"].splitlines() == [certificate.sentence for certificate in certificates]
    terms = words["Auto-accept, how it was certified"]
    assert "Naturalness: 200 units to fit, 400 to certify, 200 to report; seed 3; calibration: none" in terms
    assert f"{certificates[0].n_wrong:,} of {certificates[0].n_accepted:,} accepted ones disagreed" in terms
    assert "rounded half up" in words["People, label"]
    assert people_methods([], []) == []


def test_words_and_intervals() -> None:
    assert [short(share) for share in (0.71, 0.70999, 1.0, 0.0)] == [".71", ".71", "1", "0"]
    # What is printed is never below the threshold, nor 1 where that is lower.
    near = (0.99996, 0.999949, 0.99994, 0.1 + 0.2, 1e-7, 1 - 2**-53)
    assert [short(share) for share in near] == [".99996", ".99995", ".99994", ".3001", ".0001", ".9999999999999999"]
    drawn = np.random.default_rng(0).uniform(0.99, 1, 1000)
    assert all(share <= float(short(share)) < 1 for share in drawn)
    assert [percent(share) for share in (0.1, 0.025, 0.9, 0.999, 1.0)] == ["10%", "2.5%", "90%", "99.9%", "100%"]
    assert [coefficient(value) for value in (0.5, -0.5, 1.0, -1.0, 0.996)] == [".50", "−.50", "1.00", "−1.00", "1.00"]
    theirs = binomtest(3, 40).proportion_ci(0.9, method="exact")
    ours = exact_interval(3, 40, 0.9)
    assert (ours.low, ours.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))
    assert exact_interval(0, 0, 0.9).value is None
