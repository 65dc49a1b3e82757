"""One changed byte anywhere, a removed run, a reordered chain: the command names it and exits 5."""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from auditor.case import verify


def command(case: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "auditor", "verify", str(case), *more], capture_output=True, text=True, check=False
    )


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0x01
    path.chmod(0o644)
    path.write_bytes(data)


def test_an_untouched_case_verifies(finished_case: Path) -> None:
    done = command(finished_case)
    assert done.returncode == 0
    assert "Verified: 5 links, 1 run, 1 input" in done.stdout


def test_a_flipped_bit_in_any_file_of_a_sealed_run_is_named(finished_case: Path, finished_run: Path) -> None:
    generator = random.Random(1)
    files = [path for path in sorted(finished_run.rglob("*")) if path.is_file()]
    assert {path.name for path in files} >= {
        "spec.json",
        "events.jsonl",
        "findings.json",
        "seal.json",
        "ratings.parquet",
    }
    for path in files:
        original = path.read_bytes()
        for place in {0, len(original) - 1, generator.randrange(len(original))}:
            flip(path, place)
            problems = verify(finished_case).problems
            assert any(path.name in problem or "seal" in problem for problem in problems), (path, place)
            path.write_bytes(original)
    assert verify(finished_case).ok


def test_a_flipped_bit_in_an_input_the_chain_or_a_human_rating_is_named(finished_case: Path) -> None:
    (stored,) = (finished_case / "inputs").iterdir()
    flip(stored, 100)
    done = command(finished_case)
    assert done.returncode == 5
    assert f"Input {stored.name} has changed" in done.stdout
    flip(stored, 100)
    chain = finished_case / "chain.jsonl"
    place = chain.read_bytes().index(b'"score":5') + 8
    flip(chain, place)
    done = command(finished_case)
    assert done.returncode == 5
    assert "the link has changed" in done.stdout


def test_a_rating_changed_in_the_index_is_named(finished_case: Path) -> None:
    import sqlite3

    database = sqlite3.connect(finished_case / "case.sqlite")
    with database:
        database.execute("UPDATE records SET body = replace(body, '\"score\": 5', '\"score\": 1')")
    database.close()
    assert any("says something else of this human rating" in problem for problem in verify(finished_case).problems)


@pytest.mark.parametrize(
    "change",
    [
        "verdict = 'all is well'",
        "inputs = '{}'",
        "audit = 'other'",
        "sealed_link = 1",
        "created = '2030-01-01T00:00:00Z'",
    ],
)
def test_what_the_index_says_of_a_run_is_checked(finished_case: Path, change: str) -> None:
    import sqlite3

    database = sqlite3.connect(finished_case / "case.sqlite")
    with database:
        database.execute(f"UPDATE runs SET {change}")
    database.close()
    assert any("the index says something else" in problem for problem in verify(finished_case).problems)


def test_a_changed_time_of_a_sign_off_is_named(finished_case: Path) -> None:
    import sqlite3

    database = sqlite3.connect(finished_case / "case.sqlite")
    with database:
        database.execute("UPDATE records SET time = '2020-01-01T00:00:00.000Z' WHERE kind = 'sign-off'")
    database.close()
    assert any("something else of this sign-off" in problem for problem in verify(finished_case).problems)


def test_a_removed_run_is_named(finished_case: Path, finished_run: Path) -> None:
    shutil.rmtree(finished_run)
    done = command(finished_case)
    assert done.returncode == 5
    assert f"Run {finished_run.name} was removed" in done.stdout


def test_a_file_that_was_added_or_removed_is_named(finished_case: Path, finished_run: Path) -> None:
    (finished_run / "tables" / "more.parquet").write_bytes(b"x")
    (finished_run / "tables" / "ratings.parquet").unlink()
    said = command(finished_case).stdout
    assert "tables/more.parquet was added after sealing" in said
    assert "tables/ratings.parquet is missing" in said


def test_a_reordered_a_removed_and_an_inserted_link_are_named(finished_case: Path) -> None:
    chain = finished_case / "chain.jsonl"
    lines = chain.read_text().splitlines(keepends=True)
    attempts = {"reordered": [0, 2, 1, 3, 4], "removed": [0, 1, 3, 4], "twice": [0, 1, 1, 2, 3, 4]}
    for order in attempts.values():
        chain.write_text("".join(lines[i] for i in order))
        done = command(finished_case)
        assert done.returncode == 5
        assert "removed, inserted or reordered" in done.stdout


def test_links_removed_from_the_end_show_against_a_head_kept_elsewhere(finished_case: Path) -> None:
    chain = finished_case / "chain.jsonl"
    lines = chain.read_text().splitlines(keepends=True)
    head = json.loads(lines[-1])["hash"]
    assert command(finished_case, "--head", head).returncode == 0
    chain.write_text("".join(lines[:-1]))
    done = command(finished_case, "--head", head)
    assert done.returncode == 5
    assert "is not in the chain" in done.stdout


def test_a_link_made_anew_with_a_fitting_hash_breaks_the_next(finished_case: Path) -> None:
    """Who recomputes a link's hash must recompute every later one, and then the head differs."""
    from auditor.files import canonical_json, sha256_of_json

    chain = finished_case / "chain.jsonl"
    links = [json.loads(line) for line in chain.read_text().splitlines()]
    del links[3]["hash"]
    links[3]["body"]["score"] = 1
    links[3]["hash"] = sha256_of_json(links[3])
    chain.write_bytes(b"".join(canonical_json(link) + b"\n" for link in links))
    assert any("removed, inserted or reordered" in problem for problem in verify(finished_case).problems)


def test_a_run_added_by_hand_is_named(finished_case: Path, finished_run: Path) -> None:
    shutil.copytree(finished_run, finished_run.with_name("20260101-000000-rating-00000000"))
    assert any("added by hand" in problem for problem in verify(finished_case).problems)


def test_no_case_is_bad_input(tmp_path: Path) -> None:
    done = command(tmp_path)
    assert done.returncode == 2
    assert "There is no case" in done.stderr


@pytest.mark.parametrize("name", ["chain.jsonl", "case.sqlite"])
def test_a_lost_chain_or_index_is_named(finished_case: Path, name: str) -> None:
    (finished_case / name).unlink()
    assert command(finished_case).returncode in (2, 5)
