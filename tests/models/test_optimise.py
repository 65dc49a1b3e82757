"""Optimise for this machine, with the starter model: what is kept, what is not, and what is left after a stop."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from auditor.audits.rating import rubric
from auditor.audits.rating.optimise_sample import prepare
from auditor.errors import Cancelled, ModelError
from auditor.models import ModelFile, optimise, starter
from auditor.models.fit import estimate
from auditor.models.inspect import inspect
from auditor.models.library import Library
from auditor.models.native_step import run_step
from auditor.models.optimise_outcome import PreparedPrompts, agreement
from auditor.models.tolerance import Tolerance
from auditor.models.vocabulary import Vocabulary
from tests.conftest import SAMPLE

ANYTHING = Tolerance(least_agreement=0, most_difference=4)
NOTHING = Tolerance(least_agreement=1, near_tie=0, most_difference=0)


@pytest.fixture(scope="module")
def prompts(starter_model: ModelFile) -> PreparedPrompts:
    with Vocabulary(starter_model) as vocabulary:
        return prepare(vocabulary, starter_model, rubric.load(None), None, most=3)


@pytest.fixture
def one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """One measurement, and any speed is fast enough: which file is faster is the machine's business."""
    monkeypatch.setattr(optimise, "ROUNDS", 1)
    monkeypatch.setattr(optimise, "WORTH_KEEPING", 0.0)


def files(home: Path) -> list[str]:
    found = (path for path in (home / "models").iterdir() if path.is_file())
    return sorted(path.suffix for path in found if path.suffix not in (".lock", ".json"))


def test_prompts_are_those_of_a_run_and_name_the_sample(prompts: PreparedPrompts) -> None:
    assert prompts.is_bundled
    assert prompts.sample == "3 of 24 conversations of the bundled sample, rubric default"
    assert prompts.axes == ("naturalness", "comprehensiveness", "on_topic")
    assert all(len(unit.suffixes) == 3 for unit in prompts.units)
    assert len(set(prompts.labels)) == 5


@pytest.mark.slow
@pytest.mark.usefixtures("one_round")
def test_what_is_kept_is_a_copy_with_provenance_and_still_no_evidence(
    starter_model: ModelFile, prompts: PreparedPrompts, tmp_path: Path, home: Path
) -> None:
    told: list[tuple[int, int, str]] = []
    found = optimise.optimise(
        starter_model, prompts, tolerance=ANYTHING, kinds=("Q8_0",), progress=lambda *step: told.append(step)
    )
    kept = found.kept
    assert kept == Library().check("starter-optimised")
    assert kept.is_starter
    assert (kept.held, kept.quantisation, kept.made_from) == ("copy", "Q8_0", starter.SHA256)
    assert kept.requantised is not None
    assert kept.requantised.ratings == 9
    assert (kept.requantised.least_agreement, kept.requantised.most_difference) == (0, 4)
    (candidate,) = found.candidates
    assert candidate.sha256 == kept.sha256
    assert candidate.agreement is not None
    assert candidate.agreement.n == 9
    assert [axis.axis for axis in candidate.by_axis] == list(prompts.axes)
    assert "never better than the file it was made from" in found.cautions[0]
    assert any(caution.startswith("Starter model: for trying the program, not evidence") for caution in found.cautions)
    assert any("bundled sample" in caution for caution in found.cautions)
    assert found.sentence.startswith("Kept as starter-optimised (Q8_0)")
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert told[-1][0] <= told[-1][1]
    assert files(home) == [".gguf"]
    # Provenance travels with the file.
    elsewhere = inspect(Path(shutil.copy(kept.path, tmp_path / "moved.gguf")))
    assert elsewhere.made_from == starter.SHA256
    assert elsewhere.is_starter
    # It is preferred to nothing that counts as evidence.
    assert Library().default() == starter_model
    with pytest.raises(ModelError, match="was requantised itself"):
        optimise.optimise(kept, prompts)
    with pytest.raises(ModelError, match="choose another name"):
        optimise.optimise(starter_model, prompts)
    Library().remove("starter-optimised")
    assert files(home) == []


@pytest.mark.slow
@pytest.mark.usefixtures("one_round")
def test_nothing_is_kept_beyond_the_tolerance_and_that_is_said(
    starter_model: ModelFile, prompts: PreparedPrompts, home: Path
) -> None:
    found = optimise.optimise(starter_model, prompts, tolerance=NOTHING, kinds=("Q4_0",))
    assert found.kept is None
    assert found.sentence.startswith("Nothing was kept: no candidate was")
    (candidate,) = found.candidates
    assert candidate.state == "measured"
    assert not candidate.is_within
    assert candidate.size_bytes <= optimise.expected_bytes(starter_model, "Q4_0") <= 1.4 * candidate.size_bytes
    assert files(home) == []
    assert Library().list() == [starter_model]


def test_a_stop_leaves_nothing(starter_model: ModelFile, prompts: PreparedPrompts, home: Path) -> None:
    with pytest.raises(Cancelled):
        optimise.optimise(starter_model, prompts, cancelled=lambda: any((home / "models").glob("*.part")))
    assert files(home) == []
    assert not [child for child in psutil.Process().children() if "optimise_child" in " ".join(child.cmdline())]


@pytest.mark.slow
def test_after_a_kill_the_writer_is_gone_and_the_half_written_file_is_swept(home: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "auditor.tasks", "models_optimise"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps({"name": "starter"}).encode())
    process.stdin.close()
    until = time.monotonic() + 120
    while not list((home / "models").glob("*.part")):
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.02)
    with pytest.raises(ModelError, match="being optimised already"), Library().optimising():
        pass
    Library().sweep()
    assert files(home), "what somebody is writing stays"
    children = psutil.Process(process.pid).children()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not psutil.wait_procs(children, timeout=20)[1]
    assert files(home)
    Library().sweep()
    assert files(home) == []


def test_what_does_not_fit_is_left_out_and_said(
    starter_model: ModelFile, prompts: PreparedPrompts, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = optimise.expected_bytes(starter_model, "Q4_0") + optimise.expected_bytes(starter_model, "Q8_0") - 1
    free = SimpleNamespace(free=optimise.DISK_RESERVE_BYTES + room)
    monkeypatch.setattr(optimise.shutil, "disk_usage", lambda _folder: free)
    planned = {one.kind: one for one in optimise.planned(starter_model, optimise.KINDS, Path(), 2048)}
    assert planned["Q4_0"].state == "waiting"
    assert planned["Q8_0"].state == planned["BF16"].state == "left out"
    assert "on the disk" in planned["BF16"].reason
    free.free = optimise.DISK_RESERVE_BYTES
    found = optimise.optimise(starter_model, prompts)
    assert found.sentence == "Nothing was kept: no other quantisation could be made and measured."
    same = starter_model.model_copy(update={"quantisation": "BF16"})
    assert [one.reason for one in optimise.planned(same, ("BF16",), Path(), 2048)] == [
        "The original has this quantisation."
    ]


def test_a_candidate_too_large_for_memory_is_left_out(
    starter_model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        optimise, "estimate", lambda model, **settings: estimate(model, **settings, free_bytes=700 * 1024**2)
    )
    (found,) = optimise.planned(starter_model, ("BF16",), Path(), 8192)
    assert found.state == "left out"
    assert "needs about" in found.reason


def test_a_file_that_llama_cpp_refuses_and_a_killed_process_are_sentences(
    starter_model: ModelFile, tmp_path: Path
) -> None:
    broken = Path(shutil.copy(starter_model.path, tmp_path / "broken.gguf"))
    with broken.open("r+b") as file:
        file.truncate(2_000_000)
    model = starter_model.model_copy(update={"path": broken}).model_dump(mode="json")
    job = {"step": "quantise", "model": model, "target": str(tmp_path / "out.part"), "kind": "Q8_0"}
    with pytest.raises(ModelError, match=r"llama\.cpp could not write Q8_0"):
        run_step(job, cancelled=lambda: False)
    assert not (tmp_path / "out.part").exists()

    def kill() -> None:
        for child in psutil.Process().children():
            if "auditor.models.optimise_child" in child.cmdline():
                child.kill()

    with pytest.raises(ModelError, match="often because memory ran out"):
        run_step(
            {"step": "prefill", "model": starter_model.model_dump(mode="json")}, cancelled=lambda: False, watch=kill
        )


def test_a_changed_original_is_refused(starter_model: ModelFile, prompts: PreparedPrompts, tmp_path: Path) -> None:
    changed = Path(shutil.copy(starter_model.path, tmp_path / "changed.gguf"))
    with changed.open("r+b") as file:
        file.seek(90_000_000)
        file.write(b"\x00\x01\x02\x03")
    model = starter_model.model_copy(update={"path": changed, "name": "mine"})
    with pytest.raises(ModelError, match="has changed"):
        optimise.optimise(model, prompts)


def test_agreement_counts_modes_near_ties_and_expected_scores() -> None:
    original = np.log([[0.5, 0.3, 0.2], [0.4, 0.38, 0.22], [0.1, 0.2, 0.7]])
    other = np.log([[0.5, 0.3, 0.2], [0.38, 0.4, 0.22], [0.6, 0.3, 0.1]])
    found = agreement("axis", original, other, near_tie=0.04)
    assert (found.axis, found.n) == ("axis", 3)
    assert found.same_mode == pytest.approx(1 / 3)
    assert found.same_or_near == pytest.approx(2 / 3)
    assert found.difference == pytest.approx((0 + 0.02 + 1.1) / 3)
    assert agreement("", original, other, near_tie=0).same_or_near == pytest.approx(1 / 3)


def test_the_command_prints_one_json_object(tiny_judge: ModelFile, tmp_path: Path, home: Path) -> None:
    Library().add(tiny_judge.path, name="tiny")
    few = tmp_path / "few.jsonl"
    few.write_text("".join(SAMPLE.read_text(encoding="utf-8").splitlines(keepends=True)[:2]), encoding="utf-8")
    command = [sys.executable, "-m", "auditor", "models", "optimise", "tiny", "--conversations", str(few), "--json"]
    done = subprocess.run(
        [*command, "--agreement", "1", "--near-tie", "0", "--difference", "0"],
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["sample"] == "2 conversations of few.jsonl, rubric default"
    assert told["kept"] is None
    assert [one["kind"] for one in told["candidates"]] == ["Q4_0", "Q8_0", "BF16"]
    assert all(one["state"] == "measured" for one in told["candidates"]), told["candidates"]
    assert len(told["original_speed"]["rounds"]) == 3
    assert any("Only 6 ratings were compared" in caution for caution in told["cautions"])
    assert "round 3 of 3" in done.stderr
    assert files(home) == []


def test_the_command_names_an_unknown_model() -> None:
    command = [sys.executable, "-m", "auditor", "models", "optimise", "nobody"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "There is no model named 'nobody'" in done.stderr
