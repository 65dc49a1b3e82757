"""kill -9 of a worker at a guard run: what was scored stays, and the end is the same."""

import random
import time
from pathlib import Path

import psutil
import pytest
from auditor.case import Case, verify
from auditor.models import ModelFile
from auditor.models.folder import inspect_folder
from auditor.resources import resource
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.local import LocalExecutor
from tests.audits.guard.small_model import write

_KILLS = 3
#: Nothing of a clock is asked for: times differ between any two runs.
_SPEC = {
    "limit": 260,
    "n_demonstrations": 2,
    "splits": 2,
    "lambda_step": 0.1,
    "influence_queries": 1,
    "attention_queries": 1,
    "timing_queries": 0,
    "contextual_calibration": False,
}


def _new_run(case: Case, model: ModelFile) -> RunDirectory:
    inputs = {role: resource("samples", "guard", f"{role}.csv") for role in ("queries", "demonstrations")}
    return case.new_run("guard", _SPEC, inputs, {"model": model}, seed=3)


def _rows(run: RunDirectory) -> int:
    return sum(event["kind"] == "row" for event in run.events())


def _kill_after_more_rows(executor: LocalExecutor, run: RunDirectory, wait_s: float) -> None:
    """Kill the worker as `kill -9` does, some time after it has flushed something new."""
    before = _rows(run)
    while _rows(run) == before and executor.status(run.path).state.is_live:
        time.sleep(0.05)
    time.sleep(wait_s)
    for child in psutil.Process().children():
        if str(run.path) in " ".join(child.cmdline()):
            child.kill()
    executor.wait(run.path, 20)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(1800)  # each start loads the model anew, and a busy machine is slow at that
def test_a_guard_run_that_is_killed_ends_with_the_findings_of_an_uninterrupted_one(tmp_path: Path) -> None:
    model = inspect_folder(write(tmp_path / "small"))
    generator = random.Random(20261126)
    executor = LocalExecutor()
    with Case.create(tmp_path / "case") as case:
        whole = _new_run(case, model)
        executor.start(whole.path)
        assert executor.wait(whole.path, 500).state is RunState.DONE
        run = _new_run(case, model)
        flushed = 0
        for _ in range(_KILLS):
            executor.start(run.path)
            _kill_after_more_rows(executor, run, generator.uniform(0, 0.4))
            assert _rows(run) >= flushed, "a flushed row was lost"
            flushed = _rows(run)
            assert not run.seal_file.exists(), "there was no time to kill it"
        executor.start(run.path)
        assert executor.wait(run.path, 500).state is RunState.DONE
        names = sorted(file.relative_to(whole.path) for file in whole.path.rglob("*") if file.is_file())
        compared = [name for name in names if name.parts[0] in ("tables", "artefacts", "findings.json")]
        assert len(compared) > 10
        for name in compared:
            assert (run.path / name).read_bytes() == (whole.path / name).read_bytes(), name
        case.link_pending()
    found = verify(tmp_path / "case")
    assert found.ok, found.problems
