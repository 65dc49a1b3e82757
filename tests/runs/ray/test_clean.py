"""Clearing up on the cluster: only what a job of ours made, as it was found, and what no other run needs."""

import os
import time
from pathlib import Path

import pytest
from auditor.files import sha256_of
from auditor.runs import seal
from auditor.runs.directory import RunDirectory
from auditor.runs.ray import package
from auditor.runs.ray.backend import Backend
from auditor.runs.ray.clean import cleaned
from auditor.runs.ray.place import settle
from tests.runs.ray.test_place import unpack


def arrived(folder: Path, text: str) -> RunDirectory:
    """A run as a job makes it, with an input of its own."""
    folder.mkdir()
    words = folder / "words.txt"
    words.write_text(text, encoding="utf-8")
    run, unpacked = unpack(folder, words)
    asked = package.request(run, run.spec(), Backend(name="gpu", address="https://gpu.example"), "auditor-x-1")
    return settle(asked, unpacked)


def test_only_runs_that_are_meant_go_and_inputs_that_nobody_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = tmp_path / "there" / "ray"
    monkeypatch.setenv("AUDITOR_HOME", str(tmp_path / "there"))
    first, second, third = (arrived(tmp_path / name, name) for name in ("first", "second", "third"))
    for run in (first, second):
        (run.artefacts / "weights").write_bytes(b"0" * 1000)
        run.findings_file.write_text("{}")
        seal.seal(run)
    foreign = room / "runs" / "my-own-folder"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("years")
    elsewhere = tmp_path / "elsewhere"
    first.path.rename(elsewhere)
    first.path.symlink_to(elsewhere)
    found = cleaned(room, {})
    assert [(one.run, one.seal is not None, one.at_work) for one in found.runs] == sorted(
        [(second.path.name, True, False), (third.path.name, False, False)]
    )
    wanted = {
        first.path.name: sha256_of(elsewhere / "seal.json"),
        second.path.name: "0" * 64,
        third.path.name: "0" * 64,
        foreign.name: "0" * 64,
    }
    assert cleaned(room, wanted).removed == []
    wanted[second.path.name] = sha256_of(second.seal_file)
    for path in (room / "inputs").iterdir():
        os.utime(path, (time.time() - 2 * 86400,) * 2)
    answer = cleaned(room, wanted)
    assert answer.removed == [second.path.name]
    assert answer.freed_bytes > 1000
    assert not second.path.exists()
    assert (foreign / "thesis.txt").exists()
    assert (elsewhere / "seal.json").exists()
    assert third.inputs(), "the input of a run that stays"
    assert len(list((room / "inputs").iterdir())) == 3, "while a folder is somebody else's, inputs stay"
    (foreign / "thesis.txt").rename(tmp_path / "thesis.txt")
    foreign.rmdir()
    first.path.unlink()
    elsewhere.rename(first.path)
    assert cleaned(room, wanted).removed == [first.path.name]
    assert [path.name for path in (room / "inputs").iterdir()] == [given.sha256 for given in third.inputs().values()]
