import hashlib
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from auditor.case import Case, CaseLocked, store, verify
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


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a file that takes as long as one likes is a POSIX pipe")
def test_nobody_waits_while_a_large_input_is_copied(tmp_path: Path) -> None:
    """The window reads a case all the time, and what a person says is kept at once."""
    slow = tmp_path / "slow.jsonl"
    os.mkfifo(slow)
    with Case.create(tmp_path / "case") as case:
        first = new_run(case)
        made: list[str] = []
        asking = threading.Thread(
            target=lambda: made.append(case.new_run("rating", {}, {"conversations": slow}, {}, seed=0).path.name)
        )
        asking.start()
        with slow.open("wb") as writer:  # from here on it is being copied
            assert [run.id for run in case.runs()] == [first]
            case.add_note("meanwhile", author="Ada", run=first)
            assert len(case.records("note")) == 1
            assert not made
            writer.write(SAMPLE.read_bytes())
        asking.join(30)
        assert [run.id for run in case.runs()] == [*made, first]
    assert verify(tmp_path / "case").ok
    assert not (tmp_path / "case" / "case.sqlite-wal").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a file that takes as long as one likes is a POSIX pipe")
def test_bytes_that_were_erased_while_a_run_was_made_do_not_come_back(tmp_path: Path) -> None:
    slow, more = tmp_path / "slow.jsonl", tmp_path / "more.jsonl"
    os.mkfifo(slow)
    more.write_text("{}\n")
    problems: list[Exception] = []
    with Case.create(tmp_path / "case") as case:
        given = {"conversations": more, "others": slow}

        def ask() -> None:
            try:
                case.new_run("rating", {}, given, {}, seed=0)
            except CaseError as error:
                problems.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        with slow.open("wb") as writer:  # the first input is there; the second is being copied
            sha256 = hashlib.sha256(more.read_bytes()).hexdigest()
            kept = tmp_path / "case" / "inputs" / sha256
            case.erase_input(sha256, reason="asked by the person", by="Ada")
            kept.write_bytes(
                more.read_bytes()
            )  # as a copy that was looked for before the erasure, and moved in after it
            writer.write(SAMPLE.read_bytes())
        asking.join(30)
        assert "more.jsonl was erased" in str(problems[0])
        assert case.runs() == []
        assert not kept.exists()
        kept.write_bytes(more.read_bytes())  # killed before that was found out
    with Case.open(tmp_path / "case"):
        assert not kept.exists()
    assert verify(tmp_path / "case").ok


def test_a_reader_of_a_case_that_is_being_closed_is_told_so(tmp_path: Path) -> None:
    case = Case.create(tmp_path / "case")
    run = new_run(case)
    case.add_note("here", author="Ada", run=run)
    began = threading.Event()
    problems: list[Exception] = []

    def read() -> None:
        try:
            while case.records("note"):
                began.set()
        except (CaseError, sqlite3.Error) as error:
            problems.append(error)

    reading = threading.Thread(target=read)
    reading.start()
    assert began.wait(30)
    case.close()
    reading.join(30)
    assert [type(problem) for problem in problems] == [CaseError]
    assert "cannot be read" in str(problems[0])


def test_on_a_network_share_a_case_is_written_and_read_by_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without shared memory there is a rollback journal, where whoever reads keeps others from committing."""
    monkeypatch.setattr(store, "_is_network", lambda _file: True)
    with Case.create(tmp_path / "case") as case:
        run = new_run(case)
        seen: list[int] = []
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                seen.append(len(case.records("note")))

        reading = threading.Thread(target=read)
        reading.start()
        for number in range(50):
            case.add_note(f"note {number}", author="Ada", run=run)
        done.set()
        reading.join(30)
        assert seen == sorted(seen)
        # Another process reads for longer than a commit waits: that is said, and the case goes on afterwards.
        other = sqlite3.connect(tmp_path / "case" / "case.sqlite", isolation_level=None)
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM records").fetchall()
        with pytest.raises(CaseError, match="cannot be written: database is locked"):
            case.add_note("not kept", author="Ada", run=run)
        other.execute("COMMIT")
        other.close()
        case.add_note("kept", author="Ada", run=run)
        assert [record.body["text"] for record in case.records("note")][49:] == ["note 49", "kept"]
    assert not (tmp_path / "case" / "case.sqlite-wal").exists()
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
    Case.create(tmp_path / "case").close()
    database = sqlite3.connect(tmp_path / "case" / "case.sqlite")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(CaseError, match="newer version") as refused:
        Case.open(tmp_path / "case")
    # Whoever keeps the refusal does not keep the file open.
    assert refused.value.__traceback__ is not None
    assert [file.name for file in (tmp_path / "case").glob("case.sqlite*")] == ["case.sqlite"]


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
