"""Runs through a real Ray head: the same findings, and every way in which one can end."""

import json
import os
import platform
import re
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from auditor import __version__
from auditor.audits.unlearning import Spec as UnlearningSpec
from auditor.case import Case, verify
from auditor.errors import BackendError
from auditor.models import ModelFile
from auditor.models.inspect import inspect
from auditor.runs import live, seal
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.dispatch import Dispatch
from auditor.runs.executor import RunStatus
from auditor.runs.ray import connection, store
from auditor.runs.ray.jobs_api import JobsApi, Refused
from tests.audits.unlearning.files import facts, jsonl
from tests.command import auditor
from tests.models import small
from tests.runs.ray.cluster import Head

# All of them begin early and one after the other, with one head.
pytestmark = [pytest.mark.slow, pytest.mark.long]
#: A machine that does much else needs a minute to start a job.
_SECONDS = 180.0


class Runs:
    """A case whose runs are carried out here or there."""

    def __init__(self, case: Case) -> None:
        self.case, self.executor = case, Dispatch()

    def new(
        self,
        spec: Mapping[str, Any],
        inputs: Mapping[str, Path],
        *,
        audit: str = "counting",
        models: Mapping[str, ModelFile] | None = None,
        on: str = "there",
    ) -> RunDirectory:
        run = self.case.new_run(audit, spec, inputs, models or {}, seed=3, executor=on)
        self.executor.start(run.path)
        return run

    def ended(self, run: RunDirectory) -> RunStatus:
        return self.executor.wait(run.path, _SECONDS)

    def resumed(self, run: RunDirectory) -> RunStatus:
        self.executor.start(run.path)
        return self.ended(run)

    def until(self, run: RunDirectory, is_so: Callable[[RunStatus], bool]) -> RunStatus:
        end = time.monotonic() + _SECONDS
        while not is_so(status := self.executor.status(run.path)):
            assert time.monotonic() < end, status
            time.sleep(0.05)
        return status


@pytest.fixture
def runs(tmp_path: Path, announced: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("PYTHONPATH", str(announced))
    with Case.create(tmp_path / "case") as case:
        yield Runs(case)
    found = verify(tmp_path / "case")
    assert found.ok, found.problems


def counted(run: RunDirectory) -> list[int]:
    return [event["row"]["i"] for event in run.events() if event["kind"] == "row"]


def told(run: RunDirectory) -> dict[str, Any]:
    return {**run.findings(), "n_events": sum(1 for event in run.events() if event["kind"] == "row")}


def test_a_run_there_gives_the_same_files_as_here_and_is_sealed(there: Head, runs: Runs, words: Path) -> None:
    spec = {"n": 40, "artefact_bytes": 9_000_000}
    here, elsewhere = (runs.new(spec, {"words": words}, on=on) for on in ("local", "there"))
    for run in (here, elsewhere):
        status = runs.ended(run)
        assert (status.state, status.sealed) == (RunState.DONE, True), status
        assert seal.problems(run) == []
        assert not run.live.exists()
    assert told(here) == told(elsewhere)
    for name in ("tables/counts.parquet", "artefacts/model/weights.bin", "artefacts/empty.txt"):
        assert (here.path / name).read_bytes() == (elsewhere.path / name).read_bytes()
    assert sorted(runs.case.link_pending()) == sorted(f"seal of run {run.path.name}" for run in (here, elsewhere))
    # The token stands in nothing that lasts or is shown.
    for path in elsewhere.path.rglob("*"):
        assert path.is_dir() or there.token.encode() not in path.read_bytes()


@pytest.mark.parametrize("devices", [1, 2])
def test_unlearning_there_gives_the_same_findings_and_the_same_weights(
    there: Head, runs: Runs, tmp_path: Path, devices: int
) -> None:
    """Several devices are processes of torchrun here, and of Ray Train there."""
    files = {
        "forget": jsonl(tmp_path / "forget.jsonl", facts(3)).path,
        "retain": jsonl(tmp_path / "retain.jsonl", facts(6, first=3)).path,
    }
    model = inspect(small.write(tmp_path / "model"))
    spec = UnlearningSpec(
        model=model.name,
        epochs=2,
        batch_size=2,
        accumulation=2,
        devices=devices,
        learning_rate=1e-3,
        new_tokens=2,
        device="cpu",
        dtype="float32",
        gguf=False,
        quantised=(),
        relearn_steps=0,
    ).model_dump(mode="json")
    found = []
    for on in ("local", "there"):
        run = runs.new(spec, files, audit="unlearning", models={"model": model}, on=on)
        status = runs.ended(run)
        assert status.state is RunState.DONE, status
        found.append(run)
    here, elsewhere = (without_paces(run.findings()) for run in found)
    assert here == elsewhere
    assert here["training"]["world_size"] == devices
    weights = [sorted((run.artefacts / "model").glob("*.safetensors")) for run in found]
    assert [path.read_bytes() for path in weights[0]] == [path.read_bytes() for path in weights[1]]
    assert weights[0]


def without_paces(findings: Any) -> Any:
    """Findings without what a clock has measured."""
    if isinstance(findings, dict):
        return {key: without_paces(value) for key, value in findings.items() if not key.endswith("_per_s")}
    return [without_paces(value) for value in findings] if isinstance(findings, list) else findings


def test_whoever_follows_may_be_killed_and_goes_on_at_the_byte(there: Head, runs: Runs, words: Path) -> None:
    """As when the machine in front of the person is switched off; the cluster goes on meanwhile."""
    run = runs.new({"n": 40, "pause_s": 0.1}, {"words": words})
    runs.until(run, lambda status: status.done >= 3)
    follower = live.worker_pid(run)
    assert follower is not None
    os.kill(follower, signal.SIGKILL)
    runs.executor.wait(run.path, 10)
    before = run.events_file.read_bytes()
    stopped = Dispatch().status(run.path)
    assert stopped.state is RunState.INTERRUPTED
    assert "may still be at work on there" in stopped.message
    status = runs.resumed(run)
    assert (status.state, status.sealed) == (RunState.DONE, True), status
    assert run.events_file.read_bytes().startswith(before)
    assert counted(run) == list(range(40))
    # It was the same job all along: the worker was never started anew.
    assert sum(1 for event in run.events() if event.get("state") == "starting") == 1


def test_a_cancelled_run_leaves_nothing_at_work_and_can_be_resumed(there: Head, runs: Runs, words: Path) -> None:
    run = runs.new({"n": 30, "pause_s": 0.1}, {"words": words})
    runs.until(run, lambda status: status.done >= 2)
    status = runs.executor.cancel(run.path)
    assert status.state is RunState.CANCELLED, status
    assert "what was computed is kept" in status.message
    assert not [p for p in psutil.process_iter(["cmdline"]) if run.path.name in " ".join(p.info["cmdline"] or ())]
    kept = counted(run)
    assert 2 <= len(kept) < 30
    assert runs.resumed(run).state is RunState.DONE
    assert counted(run) == list(range(30))


def test_a_worker_whose_memory_ran_out_says_so_and_too_large_a_file_is_fetched_when_it_may(
    there: Head, runs: Runs, words: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs.new({"n": 12, "pause_s": 0.2, "dies_at": 2, "artefact_bytes": 300_000}, {"words": words})
    status = runs.ended(run)
    assert status.state is RunState.INTERRUPTED
    assert "it was killed, often because memory ran out" in status.message
    assert "On there" in status.message
    assert counted(run) == [0, 1, 2]
    runs.executor.start(run.path)
    runs.until(run, lambda status: status.done >= 5)
    the_kernel_kills("auditor.runs.ray.job", run)
    status = runs.ended(run)
    assert status.state is RunState.INTERRUPTED
    assert (
        "The job on there ended: it was killed, often because memory ran out. What arrived is kept." in status.message
    )
    assert counted(run) == list(range(len(counted(run)))), "what arrived is whole"
    monkeypatch.setenv("AUDITOR_RAY_MOST_BYTES", "100000")
    status = runs.resumed(run)
    assert counted(run) == list(range(12))
    assert (status.state, status.sealed) == (RunState.INTERRUPTED, False)
    place = there.home / "ray" / "runs" / run.path.name / "artefacts" / "model" / "weights.bin"
    assert str(place) in status.message
    assert "300,000 bytes" in status.message
    assert place.is_file()
    assert run.findings_file.exists()
    monkeypatch.delenv("AUDITOR_RAY_MOST_BYTES")
    status = runs.resumed(run)
    assert (status.state, status.sealed) == (RunState.DONE, True), status


def the_kernel_kills(module: str, run: RunDirectory) -> None:
    """Kill what carries the run out besides its worker, as the kernel may choose to, and see that the worker ends too."""
    (job,) = (p for p in psutil.process_iter(["cmdline"]) if (p.info["cmdline"] or [])[1:] == ["-m", module])
    os.kill(job.pid, signal.SIGKILL)
    until = time.monotonic() + 30
    while [p for p in psutil.process_iter(["cmdline"]) if is_worker(p.info["cmdline"], run)]:
        assert time.monotonic() < until, "a worker without its job goes on"
        time.sleep(0.1)


def is_worker(command: list[str] | None, run: RunDirectory) -> bool:
    told = " ".join(command or ())
    return "auditor.runs.worker" in told and run.path.name in told


def test_a_wrong_token_is_a_sentence_and_so_is_what_fails_there(head: Head, runs: Runs, words: Path) -> None:
    store.add(head.backend(token="wrong"))
    with pytest.raises(Refused, match="does not accept the token"):
        connection.test(store.backend("there"))
    run = runs.new({"fails": True}, {"words": words})
    status = runs.ended(run)
    assert status.state is RunState.INTERRUPTED
    assert "does not accept the token" in status.message
    assert "wrong" not in status.message
    assert not run.events_file.exists()
    store.add(head.backend(), replace=True)
    status = runs.resumed(run)
    assert (status.state, status.message) == (RunState.FAILED, "words.txt: There are no such words.")
    assert run.last_events()["state"]["code"] == 2


def test_a_connection_is_tested_and_shows_what_the_cluster_has(there: Head) -> None:
    done = auditor("backends", "test", "there", "--json")
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert (seen["address"], seen["nodes"], seen["cpus"], seen["gpus"]) == (there.address, 1, 4.0, 0.0)
    assert seen["ray_version"].startswith("2.")
    assert (seen["python_version"], seen["auditor_version"]) == (platform.python_version(), __version__)
    assert seen["memory_bytes"] > 1e9
    assert there.token not in done.stdout + done.stderr


def test_a_model_that_is_nowhere_is_a_sentence(there: Head, runs: Runs, words: Path, tmp_path: Path) -> None:
    gone = ModelFile(name="gone", path=tmp_path / "gone.gguf", sha256="0" * 64, size_bytes=9_000_000_000)
    status = runs.ended(runs.new({}, {"words": words}, models={"model": gone}))
    assert "is too large to travel with a job" in status.message
    store.add(there.backend(cache="/nowhere"), replace=True)
    status = runs.ended(runs.new({}, {"words": words}, models={"model": gone}))
    assert status.state is RunState.INTERRUPTED
    assert f"put its file on the cluster as /nowhere/{'0' * 64}.gguf" in status.message


def test_the_command_runs_there_and_refuses_a_name_that_nobody_knows(there: Head, tmp_path: Path) -> None:
    samples = Path(__file__).parents[3] / "resources" / "samples" / "parity"
    command = ("parity", samples / "results-fair.csv", "--catalog", samples / "catalog.csv", "--attribute", "monk")
    more = ("--permutations", 99, "--no-sensitivity", "--case", tmp_path / "case", "--json")
    refused = auditor(*command, *more, "--on", "nowhere")
    assert refused.returncode == 2
    assert "There is no backend named 'nowhere'. Known: there." in refused.stderr
    assert not (tmp_path / "case").exists()
    here, elsewhere = (auditor(*command, *more, "--on", on) for on in ("local", "there"))
    assert elsewhere.returncode == 0, elsewhere.stderr
    first, second = (json.loads(done.stdout) for done in (here, elsewhere))
    for key in ("run", "head"):
        del first[key], second[key]
    assert first == second
    assert auditor("verify", tmp_path / "case").returncode == 0
    clears_up(there, tmp_path / "case")


def clears_up(there: Head, case: Path) -> None:
    """What is sealed in a case goes from the cluster, what is not stays there."""
    with Case.open(case, write=False) as opened:
        (sealed,) = (run.id for run in opened.runs() if run.executor == "there")
    clean = ("backends", "clean", "there", "--case", case)
    listed = auditor(*clean)
    assert re.search(rf"{sealed}  \d+ KiB  0\.0 days old  may go: it is sealed here", listed.stdout), listed.stderr
    assert "add --yes" in listed.stdout
    lying = {path.name for path in (there.home / "ray" / "runs").iterdir()}
    young = json.loads(auditor(*clean, "--older", 1, "--yes", "--json").stdout)
    assert {run["run"] for run in young["runs"]} == lying
    assert {run["removed"] for run in young["runs"]} == {False}
    done = auditor(*clean, "--yes")
    assert f"Removed: 1 of {len(lying)} runs" in done.stdout, done.stderr
    assert {path.name for path in (there.home / "ray" / "runs").iterdir()} == lying - {sealed}


def test_jobs_of_no_run_are_no_jobs(there: Head) -> None:
    api = JobsApi(store.backend("there"))
    assert api.job("auditor-nothing-1") is None
    with pytest.raises(BackendError, match="could not"):
        api.log_file("0" * 56, "../../../etc/passwd", 1000)


def test_a_head_that_is_killed_is_a_sentence_and_a_new_one_goes_on(
    there: Head, runs: Runs, words: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything on its machine goes with it; the one that is started afterwards knows no job of before."""
    monkeypatch.setenv("AUDITOR_RAY_PATIENCE_S", "1")
    run = runs.new({"n": 30, "pause_s": 0.1}, {"words": words})
    runs.until(run, lambda status: status.done >= 3)
    there.kill()
    runs.until(run, lambda status: "has not answered since" in status.message or not status.state.is_live)
    status = runs.ended(run)
    assert status.state is RunState.INTERRUPTED
    assert "did not answer for" in status.message
    kept = run.events_file.read_bytes()
    there.start()
    status = runs.resumed(run)
    assert (status.state, status.sealed) == (RunState.DONE, True), status
    assert run.events_file.read_bytes().startswith(kept)
    assert counted(run) == list(range(30))
