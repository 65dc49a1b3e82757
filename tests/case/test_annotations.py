"""Annotations of items in a case: one that holds a person, item and scale; everything that was said stays in the chain."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from auditor.case import Case, verify
from auditor.case.records import GivenAnnotation
from auditor.errors import CaseError

SHA = "ab" * 32
GUESS: Any = "guess"


def links(case: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (case / "chain.jsonl").read_text().splitlines()]


def tone(
    item: str, value: str, rater: str = "Ada", scale: str = "monk", attribute: str = "skin tone"
) -> GivenAnnotation:
    return GivenAnnotation(item, attribute, scale, value, rater)


def said(case: Case) -> list[tuple[str, str, str]]:
    return [(record.body["item"], record.body["rater"], record.body["value"]) for record in case.annotations()]


def test_an_annotation_is_committed_at_once_linked_and_verified(tmp_path: Path) -> None:
    with Case.create(tmp_path / "case") as case:
        case.add_annotation(
            GivenAnnotation("i1", "skin tone", "monk", "7", "Ada", "measurement confirmed", False, SHA, -12.5)
        )
        case.add_annotation(tone("i2", "uncertain"))
        with Case.open(tmp_path / "case", write=False) as reader:
            assert said(reader) == [("i1", "Ada", "7"), ("i2", "Ada", "uncertain")]
    body = links(tmp_path / "case")[1]["body"]
    assert isinstance(body, dict)
    assert (body["source"], body["blind"], body["image_sha256"], body["ita_degrees"]) == (
        "measurement confirmed",
        False,
        SHA,
        -12.5,
    )
    assert (body["run"], body["attribute"], body["scale"]) == (None, "skin tone", "monk")
    found = verify(tmp_path / "case")
    assert found.ok
    assert found.links == 3
    with Case.open(tmp_path / "case") as case:
        first, second = case.annotations()
        assert (first.link, second.link) == (1, 2)
        assert not {"blind", "image_sha256", "ita_degrees"} & set(second.body)


def test_of_a_persons_annotations_the_newest_holds_and_the_chain_has_both(tmp_path: Path) -> None:
    with Case.create(tmp_path / "case") as case:
        case.add_annotations([tone("i1", "3"), tone("i1", "4", "Ben"), tone("i1", "III", scale="fitzpatrick")])
        case.add_annotation(tone("i1", "5", attribute="hair"))
        case.add_annotation(tone("i1", "6"))
        assert said(case) == [("i1", "Ben", "4"), ("i1", "Ada", "III"), ("i1", "Ada", "5"), ("i1", "Ada", "6")]
        assert all(record.link is not None for record in case.annotations())
        assert [record.body["value"] for record in case.annotations("skin tone", "monk")] == ["4", "6"]
    with Case.open(tmp_path / "case") as case:
        assert said(case) == [("i1", "Ben", "4"), ("i1", "Ada", "III"), ("i1", "Ada", "5"), ("i1", "Ada", "6")]
    kinds = [link["kind"] for link in links(tmp_path / "case")]
    assert kinds[-2:] == ["annotation withdrawn", "annotation"]
    assert kinds.count("annotation") == 5
    assert verify(tmp_path / "case").ok


def test_one_that_was_withdrawn_no_longer_holds_and_cannot_be_withdrawn_again(tmp_path: Path) -> None:
    with Case.create(tmp_path / "case") as case:
        record = case.add_annotation(tone("i1", "3"))
        case.withdraw_annotation(record, rater="Ada")
        assert case.annotations() == []
        with pytest.raises(CaseError, match="no such annotation"):
            case.withdraw_annotation(record, rater="Ada")
        case.add_annotation(tone("i1", "5"))
        assert said(case) == [("i1", "Ada", "5")]
    assert [link["kind"] for link in links(tmp_path / "case")][1:] == [
        "annotation",
        "annotation withdrawn",
        "annotation",
    ]
    assert verify(tmp_path / "case").ok


@pytest.mark.parametrize(
    "bad",
    [
        tone("i2", "11"),
        tone("i2", "III"),
        tone("i2", ""),
        tone("i2", "4", " "),
        tone(" ", "4"),
        tone("i2", "4", scale="von Luschan"),
        tone("i2", "4", attribute=""),
        GivenAnnotation("i2", "skin tone", "monk", "4", "Ada", image_sha256="abc"),
        GivenAnnotation("i2", "skin tone", "monk", "4", "Ada", ita_degrees=float("nan")),
        GivenAnnotation("i2", "skin tone", "monk", "4", "Ada", GUESS),
        tone("i1", "4"),
    ],
)
def test_one_that_cannot_be_kept_keeps_all_others_out(tmp_path: Path, bad: GivenAnnotation) -> None:
    with Case.create(tmp_path / "case") as case:
        with pytest.raises(CaseError):
            case.add_annotations([tone("i1", "3"), bad])
        assert case.annotations() == []
    assert verify(tmp_path / "case").ok


def test_a_reader_cannot_annotate(tmp_path: Path) -> None:
    Case.create(tmp_path / "case").close()
    with Case.open(tmp_path / "case", write=False) as case, pytest.raises(CaseError, match="reading only"):
        case.add_annotation(tone("i1", "3"))


def test_an_annotation_changed_behind_the_programs_back_is_named(tmp_path: Path) -> None:
    with Case.create(tmp_path / "case") as case:
        case.add_annotation(tone("i1", "3"))
    database = sqlite3.connect(tmp_path / "case" / "case.sqlite")
    database.execute("""UPDATE records SET body = replace(body, '"3"', '"4"')""")
    database.commit()
    database.close()
    assert verify(tmp_path / "case").problems == ["Chain, line 2: the index says something else of this annotation."]


def test_a_crash_between_commit_and_link_is_made_good(tmp_path: Path) -> None:
    with Case.create(tmp_path / "case") as case:
        case._store.add_record("annotation", tone("i1", "3").body())
    with Case.open(tmp_path / "case") as case:
        assert [record.link for record in case.annotations()] == [1]
    assert verify(tmp_path / "case").ok


def test_thousands_of_annotations_are_kept_and_one_more(tmp_path: Path) -> None:
    with Case.create(tmp_path / "case") as case:
        case.add_annotations([tone(f"i{number}", str(1 + number % 10)) for number in range(3_000)])
        case.add_annotation(tone("i2999", "1"))
        assert len(case.annotations()) == 3_000
        assert said(case)[-1] == ("i2999", "Ada", "1")
