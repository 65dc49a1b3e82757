"""A run that is resumed is starting from the first moment, whatever stands in its log from before."""

import time
from pathlib import Path

from auditor.case import Case
from auditor.runs.contract import RunState
from auditor.runs.events import EventLog
from auditor.runs.local import LocalExecutor
from tests.conftest import SAMPLE


def test_a_cancelled_run_that_was_just_resumed_is_not_said_to_be_cancelled(tmp_path: Path) -> None:
    with Case.create(tmp_path / "case") as case:
        run = case.new_run("rating", {}, {"conversations": SAMPLE}, {}, seed=0)
    with EventLog(run.events_file) as log:
        log.append("state", state=RunState.CANCELLED, message="Stopped.", code=4)
    executor = LocalExecutor()
    assert executor.status(run.path).state is RunState.CANCELLED
    executor.start(run.path)
    assert executor.status(run.path).state is RunState.STARTING
    # Without a judge the worker cannot do anything but say so.
    assert executor.wait(run.path, 60).state is RunState.FAILED
    executor.close()


def test_a_run_can_be_resumed_the_moment_it_is_said_to_have_ended(tmp_path: Path) -> None:
    """The process of a worker that has said its last word may still be giving back memory."""
    with Case.create(tmp_path / "case") as case:
        run = case.new_run("rating", {}, {"conversations": SAMPLE}, {}, seed=0)
    executor = LocalExecutor()
    for _ in range(5):
        executor.start(run.path)
        while executor.status(run.path).state is not RunState.FAILED:
            time.sleep(0.001)
    assert executor.wait(run.path, 60).state is RunState.FAILED
    executor.close()
