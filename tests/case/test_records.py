"""What people said: many at once, one rating a person, scales, explanations; all of it in the chain."""

import json
from pathlib import Path

import pytest
from auditor.case import Case, verify
from auditor.case.records import GivenRating
from auditor.errors import CaseError
from tests.conftest import SAMPLE


def run_of(case: Case) -> str:
    return case.new_run("rating", {}, {"conversations": SAMPLE}, {}, seed=0).path.name


def links(case: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (case / "chain.jsonl").read_text().splitlines()]


def test_a_thousand_ratings_are_kept_together_and_each_is_linked(tmp_path: Path) -> None:
    with Case.create(tmp_path / "case") as case:
        run = run_of(case)
        given = [GivenRating(str(row), "naturalness", rater, 1 + row % 5) for row in range(500) for rater in ("A", "B")]
        assert len(set(case.add_human_ratings(run, given))) == 1000
        assert [record.link is not None for record in case.human_ratings(run)] == [True] * 1000
    assert sum(link["kind"] == "human rating" for link in links(tmp_path / "case")) == 1000
    assert verify(tmp_path / "case").ok


def test_one_that_cannot_be_kept_keeps_all_others_out(tmp_path: Path) -> None:
    with Case.create(tmp_path / "case") as case:
        run = run_of(case)
        good = GivenRating("1", "naturalness", "Ada", 3)
        for bad in (
            GivenRating("2", "naturalness", "Ada", 6),
            GivenRating("2", "naturalness", "Ada", 2.5),
            GivenRating("2", "naturalness", " ", 3),
            GivenRating("2", "naturalness", "Ada", 4, scale=(1, 3)),
            good,
        ):
            with pytest.raises(CaseError):
                case.add_human_ratings(run, [good, bad])
        assert case.human_ratings(run) == []
    assert verify(tmp_path / "case").ok


def test_of_a_persons_ratings_the_newest_holds_and_the_chain_has_both(tmp_path: Path) -> None:
    with Case.create(tmp_path / "case") as case:
        run = run_of(case)
        case.add_human_rating(run, "1", "naturalness", 2, rater="Ada")
        case.add_human_rating(run, "1", "naturalness", 5, rater="Ben")
        case.add_human_rating(run, "1", "naturalness", 4, rater="Ada", note="read it again")
        assert [(r.body["rater"], r.body["score"]) for r in case.human_ratings(run)] == [("Ben", 5), ("Ada", 4)]
    kinds = [link["kind"] for link in links(tmp_path / "case")]
    assert kinds[-2:] == ["human rating withdrawn", "human rating"]
    assert kinds.count("human rating") == 3
    assert verify(tmp_path / "case").ok


def test_a_rating_says_whether_it_was_blind_and_on_which_scale(tmp_path: Path) -> None:
    with Case.create(tmp_path / "case") as case:
        run = run_of(case)
        case.add_human_ratings(
            run,
            [
                GivenRating("1", "naturalness", "Ada", 3, blind=False),
                GivenRating("2", "naturalness", "Ada", 0, scale=(0, 1), mapping="linear", source="people.csv"),
                GivenRating("3", "naturalness", "Ada", 3),
            ],
        )
        first, second, third = (record.body for record in case.human_ratings(run))
    assert first["blind"] is False
    assert (second["scale"], second["mapping"], second["source"]) == ([0, 1], "linear", "people.csv")
    assert not {"blind", "scale", "mapping", "source"} & set(third)


def test_an_explanation_is_kept_beside_a_sealed_run(finished_case: Path, finished_run: Path) -> None:
    with Case.open(finished_case) as case:
        case.add_explanation(finished_run.name, "1", "naturalness", "It reads well. ", model="starter")
        case.add_explanation(finished_run.name, "1", "naturalness", "It reads very well.", model="starter")
        assert case.explanations(finished_run.name) == {("1", "naturalness"): "It reads very well."}
        with pytest.raises(CaseError, match="explanation is empty"):
            case.add_explanation(finished_run.name, "1", "naturalness", " ", model="starter")
    assert verify(finished_case).ok


def test_a_crash_between_commit_and_links_is_made_good(tmp_path: Path) -> None:
    with Case.create(tmp_path / "case") as case:
        run = run_of(case)
        body = GivenRating("1", "naturalness", "Ada", 3).body()
        case._store.add_records([("human rating", body), ("human rating", {**body, "unit": "2"})], run=run)
    with Case.open(tmp_path / "case") as case:
        assert all(record.link is not None for record in case.human_ratings(run))
    assert verify(tmp_path / "case").ok
