import subprocess
import sys
from pathlib import Path

import pytest
from auditor.case import Case, CaseLocked, verify
from auditor.errors import CaseError, InputError
from tests.conftest import SAMPLE


def new_run(case: Case) -> str:
    return case.new_run("rating", {}, {"conversations": SAMPLE}, {}, seed=0).path.name


def test_what_was_said_is_there_at_the_next_opening_and_verifies(tmp_path: Path) -> None:
    with Case.create(tmp_path / "case", "My case") as case:
        run = new_run(case)
        case.add_note("look at row 3", author="Ada", run=run)
        case.add_human_rating(run, "basil-full", "naturalness", 4, rater="Ada")
    with Case.open(tmp_path / "case") as case:
        assert case.title == "My case"
        assert [record.body["text"] for record in case.records("note")] == ["look at row 3"]
        assert [record.body["score"] for record in case.records("human rating", run)] == [4]
        assert [summary.id for summary in case.runs()] == [run]
    assert verify(tmp_path / "case").ok


def test_a_second_writer_learns_who_writes_and_a_reader_comes_in(tmp_path: Path) -> None:
    with Case.create(tmp_path / "case"):
        with pytest.raises(CaseLocked, match=r"open for writing by .* on .* \(process \d+"):
            Case.open(tmp_path / "case")
        with Case.open(tmp_path / "case", write=False) as reader:
            assert reader.runs() == []
            with pytest.raises(CaseError, match="reading only"):
                reader.add_note("x", author="y")
    Case.open(tmp_path / "case").close()


def test_the_lock_of_a_dead_process_does_not_stay(tmp_path: Path) -> None:
    Case.create(tmp_path / "case").close()
    code = (
        "import os; from pathlib import Path; from auditor.case import Case; "
        f"Case.open(Path({str(tmp_path / 'case')!r})); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    Case.open(tmp_path / "case").close()


def test_a_record_whose_link_was_never_written_is_linked_at_the_next_opening(tmp_path: Path) -> None:
    with Case.create(tmp_path / "case") as case:
        case.add_note("first", author="Ada")
        # The crash between the commit and the link.
        case._store.add_record("note", {"text": "second", "author": "Ada"})
    assert any("waits for its link" in note for note in verify(tmp_path / "case").notes)
    with Case.open(tmp_path / "case") as case:
        assert [record.link is not None for record in case.records("note")] == [True, True]
    found = verify(tmp_path / "case")
    assert (found.ok, found.notes) == (True, [])


def test_a_link_that_the_index_has_not_learnt_of_is_not_written_twice(tmp_path: Path) -> None:
    with Case.create(tmp_path / "case") as case:
        record = case._store.add_record("note", {"text": "once", "author": "Ada"})
        # The crash between the link and the index.
        case._chain.append("note", record.linked_body())
    with Case.open(tmp_path / "case") as case:
        links = [link for link in case._chain.links if link.kind == "note"]
        assert len(links) == 1
        assert case.records("note")[0].link == links[0].n


def test_a_torn_last_link_is_cut_and_the_case_opens(tmp_path: Path) -> None:
    with Case.create(tmp_path / "case") as case:
        case.add_note("first", author="Ada")
        head = case.head()
    with (tmp_path / "case" / "chain.jsonl").open("ab") as file:
        file.write(b'{"v":1,"n":2,"ti')
    with Case.open(tmp_path / "case") as case:
        assert case.head() == head
        case.add_note("second", author="Ada")
    assert verify(tmp_path / "case").ok


def test_erasing_an_input_leaves_hash_and_tombstone_and_verifies(tmp_path: Path) -> None:
    source = tmp_path / "private.jsonl"
    source.write_bytes(SAMPLE.read_bytes())
    with Case.create(tmp_path / "case") as case:
        run = case.new_run("rating", {}, {"conversations": source}, {}, seed=0)
        sha256 = run.spec().inputs["conversations"].sha256
        case.erase_input(sha256, reason="asked by the person", by="Ada")
        assert not (tmp_path / "case" / "inputs" / sha256).exists()
        with pytest.raises(CaseError, match="was erased"):
            case.new_run("rating", {}, {"conversations": source}, {}, seed=0)
    assert verify(tmp_path / "case").ok
    (tmp_path / "case" / "inputs" / f"{sha256}.erased.json").unlink()
    assert "tombstone is missing" in verify(tmp_path / "case").problems[0]


def test_earlier_runs_on_the_same_input_are_named(tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text("{}\n")
    with Case.create(tmp_path / "case") as case:
        first, second = new_run(case), new_run(case)
        case.new_run("rating", {}, {"conversations": other}, {}, seed=0)
        third = new_run(case)
        assert [run.id for run in case.earlier_runs(third)] == [first, second]
        assert case.earlier_runs(first) == []


def test_an_input_that_cannot_be_read_leaves_nothing_behind(tmp_path: Path) -> None:
    with Case.create(tmp_path / "case") as case:
        with pytest.raises(InputError, match=r"nothere\.jsonl"):
            case.new_run("rating", {}, {"conversations": tmp_path / "nothere.jsonl"}, {}, seed=0)
        assert case.runs() == []
        assert list((tmp_path / "case" / "runs").iterdir()) == []
        assert list((tmp_path / "case" / "inputs").iterdir()) == []


@pytest.mark.parametrize("score", [0, 6, 2.5, True, "3"])
def test_only_whole_scores_from_one_to_five_are_ratings(tmp_path: Path, score: int) -> None:
    with Case.create(tmp_path / "case") as case:
        run = new_run(case)
        with pytest.raises(CaseError, match="from 1 to 5"):
            case.add_human_rating(run, "a", "naturalness", score, rater="Ada")


def test_an_unsealed_run_cannot_be_signed_off(tmp_path: Path) -> None:
    with Case.create(tmp_path / "case") as case, pytest.raises(CaseError, match="not sealed"):
        case.sign_off(new_run(case), name="Ada", statement="fine")


def test_a_folder_with_other_things_is_no_place_for_a_case(tmp_path: Path) -> None:
    (tmp_path / "thing").write_text("mine")
    with pytest.raises(CaseError, match="not empty"):
        Case.create(tmp_path)
    with pytest.raises(CaseError, match="no case"):
        Case.open(tmp_path)
    assert (tmp_path / "thing").read_text() == "mine"


def test_a_case_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    import sqlite3

    Case.create(tmp_path / "case").close()
    database = sqlite3.connect(tmp_path / "case" / "case.sqlite")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(CaseError, match="newer version"):
        Case.open(tmp_path / "case")


def test_a_crash_while_a_run_is_made_leaves_a_whole_run_or_none(tmp_path: Path) -> None:
    with Case.create(tmp_path / "case") as case:
        run = new_run(case)
    runs, inputs = tmp_path / "case" / "runs", tmp_path / "case" / "inputs"
    (runs / run).rename(runs / f".{run}.part")  # killed before the rename
    (runs / ".20260101-000000-rating-00000000.part").mkdir()  # killed before the index knew
    (inputs / ".0123.part").write_bytes(b"half")
    assert not any("by hand" in problem for problem in verify(tmp_path / "case").problems)
    with Case.open(tmp_path / "case") as case:
        assert [summary.id for summary in case.runs()] == [run]
    assert [entry.name for entry in runs.iterdir()] == [run]
    assert not list(inputs.glob(".*"))
    assert verify(tmp_path / "case").ok
