"""kill -9 of a worker, and of the window: what was rated stays, and the end is the same."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
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


#: A worker that takes its time over the seal, as one does whose run made gigabytes.
_SEALS_SLOWLY = """
import sys, time
from pathlib import Path
from auditor.runs import seal
from auditor.runs.directory import RunDirectory
from auditor.runs.worker import carry_out
hashed = seal.sha256_of
def slowly(path):
    print("hashing", flush=True)
    time.sleep(float(sys.argv[2]))
    return hashed(path)
seal.sha256_of = slowly
sys.exit(carry_out(RunDirectory(Path(sys.argv[1]))))
"""


def sealing_worker(run: Path, pace_s: float) -> "subprocess.Popen[str]":
    """A worker, started by somebody else, that has begun to seal a finished run."""
    (run / "seal.json").unlink()
    worker = subprocess.Popen(
        [sys.executable, "-c", _SEALS_SLOWLY, str(run), str(pace_s)], stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "hashing\n"
    return worker


def test_a_run_that_is_being_sealed_is_waited_for_and_cannot_be_stopped_any_more(
    finished_case: Path, finished_run: Path
) -> None:
    worker = sealing_worker(finished_run, 0.3)
    executor = LocalExecutor()
    status = executor.status(finished_run)
    assert (status.state, status.sealed) == (RunState.DONE, False)
    with pytest.raises(RunError, match="already"):
        executor.start(finished_run)
    assert executor.cancel(finished_run, patience_s=0.1).state is RunState.DONE
    assert executor.wait(finished_run, 60).sealed
    worker.communicate()
    assert worker.returncode == 0
    assert not (finished_run / "live").exists()
    assert RunDirectory(finished_run).written_state() is RunState.DONE
    assert verify(finished_case).problems == [
        f"Run {finished_run.name}: seal.json is not the one in the chain."  # made again, at another time
    ]


def test_whoever_opens_a_finished_run_that_was_never_sealed_is_told_to_resume_it(
    finished_case: Path, finished_run: Path
) -> None:
    worker = sealing_worker(finished_run, 60)
    worker.kill()
    worker.communicate()
    executor = LocalExecutor()
    for status in (executor.status(finished_run), executor.wait(finished_run, 20)):
        assert status.state is RunState.INTERRUPTED
        assert "resume it to have it sealed" in status.message
    findings = (finished_run / "findings.json").read_bytes()
    executor.start(finished_run)
    assert executor.wait(finished_run, 60).sealed
    assert (finished_run / "findings.json").read_bytes() == findings
    # A worker that is killed in the moment between the seal and its leave has added nothing.
    (finished_run / "live").mkdir()
    (finished_run / "live" / "worker.json").write_text("{}")
    assert len(verify(finished_case).problems) == 1
    (finished_run / "live" / "heartbeat").mkdir()
    assert f"Run {finished_run.name}: live/heartbeat was added after sealing." in verify(finished_case).problems
    (finished_run / "live" / "more.json").write_text("{}")
    assert f"Run {finished_run.name}: live/more.json was added after sealing." in verify(finished_case).problems


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
