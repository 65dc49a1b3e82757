"""kill -9 of a worker, and of the window: what was rated stays, and the end is the same."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from auditor.case import Case, verify
from auditor.errors import RunError
from auditor.models import ModelFile
from auditor.runs import live
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.local import LocalExecutor
from tests.conftest import SAMPLE
from tests.ratings import write_many

_KILLS = 20
#: Conversations for which the tiny judge takes some seconds.
_MANY = 800


def new_run(case: Case, model: ModelFile, limit: int, conversations: Path = SAMPLE) -> RunDirectory:
    return case.new_run("rating", {"limit": limit}, {"conversations": conversations}, {"judge": model}, seed=3)


def kill_worker(executor: LocalExecutor, run: RunDirectory) -> bool:
    """Kill the worker as `kill -9` does; False if it was gone already."""
    children = [child for child in psutil.Process().children() if is_worker(child, run)]
    for child in children:
        child.kill()
    executor.wait(run.path, 10)
    return bool(children)


def is_worker(child: psutil.Process, run: RunDirectory) -> bool:
    try:
        return str(run.path) in child.cmdline()
    except psutil.Error:
        # It has just ended by itself.
        return False


@pytest.mark.slow
@pytest.mark.long
def test_twenty_kills_end_with_the_table_of_an_uninterrupted_run(tmp_path: Path, tiny_judge: ModelFile) -> None:
    generator = random.Random(20261124)
    executor = LocalExecutor()
    many = write_many(tmp_path / "many.jsonl", _MANY)
    with Case.create(tmp_path / "case") as case:
        whole = new_run(case, tiny_judge, _MANY, many)
        executor.start(whole.path)
        assert executor.wait(whole.path, 300).state is RunState.DONE
        expected = (whole.tables / "ratings.parquet").read_bytes()
        kills = 0
        while kills < _KILLS:
            # Nothing is to be had from an earlier run.
            shutil.rmtree(case.path / "cache")
            run = new_run(case, tiny_judge, _MANY, many)
            executor.start(run.path)
            rows = 0
            while kills < _KILLS and not run.seal_file.exists():
                time.sleep(generator.uniform(0.3, 2.2))
                if not kill_worker(executor, run):
                    break
                kills += 1
                status = executor.status(run.path)
                assert status.state in (RunState.INTERRUPTED, RunState.DONE), status
                now = sum(event["kind"] == "row" for event in run.events())
                assert now >= rows, "a flushed row was lost"
                rows = now
                if run.seal_file.exists():
                    break
                executor.start(run.path)
            assert executor.wait(run.path, 300).state is RunState.DONE
            assert (run.tables / "ratings.parquet").read_bytes() == expected
            assert [event["n"] for event in run.events()] == list(range(sum(1 for _ in run.events())))
        case.link_pending()
    found = verify(tmp_path / "case")
    assert found.ok, found.problems


def test_a_worker_killed_between_its_last_state_and_the_seal_is_only_sealed(
    finished_case: Path, finished_run: Path
) -> None:
    (finished_run / "seal.json").unlink()
    findings = (finished_run / "findings.json").read_bytes()
    events = (finished_run / "events.jsonl").read_bytes()
    executor = LocalExecutor()
    executor.start(finished_run)
    status = executor.wait(finished_run, 60)
    assert status.sealed
    assert (finished_run / "findings.json").read_bytes() == findings
    assert (finished_run / "events.jsonl").read_bytes() == events


_FINISHES = """
import sys, time
from pathlib import Path
from auditor.runs.directory import RunDirectory
from auditor.runs.live import Presence
from auditor.runs.seal import seal
run = RunDirectory(Path(sys.argv[1]))
presence = Presence(run)
print("at it", flush=True)
sys.stdin.readline()
presence.leave(remove=True)
print("let go", flush=True)
time.sleep(1.0)
seal(run)
time.sleep(30)
"""


def test_whoever_waits_for_a_worker_of_somebody_else_waits_for_its_seal(finished_run: Path) -> None:
    (finished_run / "seal.json").unlink()
    worker = subprocess.Popen(
        [sys.executable, "-c", _FINISHES, str(finished_run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    assert worker.stdout.readline() == "at it\n"
    with ThreadPoolExecutor() as pool:
        waited = pool.submit(LocalExecutor().wait, finished_run, 20)
        # The one who waits has seen the worker before it lets go.
        time.sleep(0.3)
        worker.stdin.write("\n")
        worker.stdin.flush()
        assert worker.stdout.readline() == "let go\n"
        assert not live.is_alive(RunDirectory(finished_run))
        assert not (finished_run / "seal.json").exists()
        assert waited.result().sealed
    # It waits for the seal, and not for the process that made it.
    assert worker.poll() is None
    worker.kill()
    worker.communicate()


class _EndsAtOnce(LocalExecutor):
    _module = "json.decoder"


def test_a_finished_run_whose_worker_ended_before_the_seal_is_not_waited_for(finished_run: Path) -> None:
    (finished_run / "seal.json").unlink()
    executor = _EndsAtOnce()
    executor.start(finished_run)
    status = executor.wait(finished_run, 20)
    assert status.state is RunState.INTERRUPTED
    assert "resume it to have it sealed" in status.message
    resumed = LocalExecutor()
    resumed.start(finished_run)
    assert resumed.wait(finished_run, 60).sealed


@pytest.mark.slow
def test_a_second_worker_is_refused(tmp_path: Path, starter_model: ModelFile) -> None:
    with Case.create(tmp_path / "case") as case:
        run = new_run(case, starter_model, 4)
        executor = LocalExecutor()
        executor.start(run.path)
        with pytest.raises(RunError, match="already"):
            executor.start(run.path)
        while not live.is_alive(run):
            time.sleep(0.05)
        with pytest.raises(RunError, match="already"):
            LocalExecutor().start(run.path)
        assert executor.wait(run.path, 120).state is RunState.DONE
        with pytest.raises(RunError, match="sealed"):
            executor.start(run.path)


@pytest.mark.slow
def test_a_worker_that_does_not_listen_is_ended_by_force_with_its_group(
    tmp_path: Path, starter_model: ModelFile
) -> None:
    with Case.create(tmp_path / "case") as case:
        run = new_run(case, starter_model, 20)
        executor = LocalExecutor()
        executor.start(run.path)
        while (pid := live.worker_pid(run)) is None:
            time.sleep(0.05)
        os.kill(pid, signal.SIGSTOP)
        status = executor.cancel(run.path, patience_s=0.5)
        assert status.state is RunState.CANCELLED
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


_WINDOW = """
import pathlib, sys
from auditor.desktop.app import make_application, make_window
from auditor.models.starter import starter
application = make_application(["auditor"])
window = make_window(pathlib.Path(sys.argv[1]) / "desktop.ini")
window.show()
window.session.open_case(pathlib.Path(sys.argv[1]) / "case", create=True)
window.session.started.connect(lambda path: print(path, flush=True))
window.session.new_run("rating", {"limit": 8}, {"conversations": pathlib.Path(sys.argv[2])}, {"judge": starter()}, 0)
application.exec()
"""


@pytest.mark.slow
def test_a_killed_window_leaves_its_run_at_work_and_it_is_linked_at_the_next_opening(tmp_path: Path) -> None:
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    window = subprocess.Popen(
        [sys.executable, "-c", _WINDOW, str(tmp_path), str(SAMPLE)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert window.stdout is not None
    run = RunDirectory(Path(window.stdout.readline().strip()))
    while not any(event["kind"] == "row" for event in run.events()):
        time.sleep(0.1)
    window.kill()
    window.wait()
    window.stdout.close()
    # Whoever opens the case next finds the run at work, although its window is gone.
    with Case.open(tmp_path / "case") as case:
        (summary,) = case.runs()
        assert summary.state is RunState.RUNNING
    assert LocalExecutor().wait(run.path, 120).sealed
    with Case.open(tmp_path / "case") as case:
        (summary,) = case.runs()
        assert summary.linked
        assert "8 last replies" in summary.verdict
    assert verify(tmp_path / "case").ok
