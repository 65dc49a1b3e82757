"""Runs on this machine, each in a process group of its own that outlives whoever started it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from auditor.errors import SIGNALS, RunError
from auditor.runs import live
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.events import EventLog
from auditor.runs.executor import RunStatus

POLL_SECONDS = 0.05
_TERMINATE_SECONDS = 3.0
#: Giving back a model's memory takes a worker a moment after its last word, seconds on a busy machine.
_LEAVE_SECONDS = 30.0
_UNSEALED = "The run is finished, but its worker ended before it was sealed: resume it to have it sealed."
_GONE = "The worker is gone: it was killed, or the machine was switched off. What was flushed is kept."


class LocalExecutor:
    """Starts workers as child processes; watches and stops any worker of this machine. Fills `Executor`."""

    name = "local"
    #: What is started for a run.
    _module = "auditor.runs.worker"
    #: What is said of a run that nobody is at, where nobody knows why.
    _gone = _GONE

    def __init__(self) -> None:
        self._children: dict[Path, subprocess.Popen[bytes]] = {}
        self._sizes: dict[Path, int] = {}

    def start(self, run_dir: Path) -> None:
        """Start, or resume, a run; see `Executor.start`."""
        run = RunDirectory(run_dir.resolve())
        if run.seal_file.exists():
            raise RunError(f"The run {run.path.name} is sealed: it is finished and cannot be run again.")
        if self._has_ended(run):
            self._see_off(run)
        if self._is_at_it(run.path):
            raise RunError(f"A worker is already at the run {run.path.name}.")
        run.live.mkdir(exist_ok=True)
        self._sizes[run.path] = _size(run.events_file)
        with live.stderr_file(run).open("wb") as errors:
            self._children[run.path] = subprocess.Popen(
                [sys.executable, "-m", self._module, str(run.path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                cwd=run.path,
                start_new_session=os.name != "nt",
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )

    def status(self, run_dir: Path) -> RunStatus:
        """Where the run stands; see `Executor.status`."""
        run = RunDirectory(run_dir.resolve())
        # Whether somebody is at it is asked first: a worker that ends in between has then written its last state.
        alive = live.is_alive(run)
        child = self._children.get(run.path)
        code = child.poll() if child is not None else None
        starting = child is not None and code is None
        last = run.last_events()
        progress = last.get("progress", {})
        state = run.written_state(last)
        message = str(progress.get("message", "")) if state.is_live else str(last.get("state", {}).get("message", ""))
        told = live.told(run)
        if told is not None and told.ended is not None and not alive and not starting:
            state, message = told.ended, told.message
        elif not alive and (state.is_live or state is RunState.CREATED):
            if starting:
                state, message = RunState.STARTING, "Starting"
            elif state.is_live or code:
                state, message = RunState.INTERRUPTED, how_it_ended(run, code) if code else self._gone
        elif alive and not state.is_live and state is not RunState.DONE:
            state, message = RunState.STARTING, "Starting"
        elif not alive and starting and _size(run.events_file) == self._sizes.get(run.path):
            # A resumed run whose worker has not said anything yet: what stands there is how it ended before.
            state, message = RunState.STARTING, "Starting"
        if told is not None and alive and told.ended is None:
            message = told.message
        sealed = run.seal_file.exists()
        if state is RunState.DONE and not (sealed or alive or starting):
            state, message = RunState.INTERRUPTED, _UNSEALED
        return RunStatus(
            state=state,
            done=int(progress.get("done", 0)),
            total=progress.get("total"),
            message=message,
            sealed=sealed,
        )

    def wait(self, run_dir: Path, timeout_s: float | None = None) -> RunStatus:
        """Block until no worker is at the run; one that has finished it seals it first.

        Raises
        ------
        TimeoutError
            If it takes longer.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        run = RunDirectory(run_dir.resolve())
        while self._is_at_it(run.path):
            if until is not None and time.monotonic() > until:
                raise TimeoutError(f"the run {run_dir.name} has not ended within {timeout_s} s")
            time.sleep(POLL_SECONDS)
        return self.status(run_dir)

    def pause(self, run_dir: Path) -> None:
        """Ask a worker of this machine to stop after what it is at; see `Executor.pause`."""
        run = RunDirectory(run_dir.resolve())
        if not self._is_at_it(run.path):
            raise RunError(f"No worker is at the run {run.path.name}.")
        live.request_pause(run)

    def cancel(self, run_dir: Path, patience_s: float = 10.0) -> RunStatus:
        """Ask, then terminate, then kill the whole process group; see `Executor.cancel`."""
        run = RunDirectory(run_dir.resolve())
        if not self._is_at_it(run.path):
            return self.status(run.path)
        group = live.worker_pid(run) or self._child_pid(run.path)
        if run.written_state() is not RunState.DONE:
            live.request_cancel(run)
        force = getattr(signal, "SIGKILL", signal.SIGTERM)
        for sign, patience in ((None, patience_s), (signal.SIGTERM, _TERMINATE_SECONDS), (force, _TERMINATE_SECONDS)):
            if sign is not None:
                if run.written_state() is RunState.DONE:
                    # What is left to it is the seal, which is not cut short.
                    return self.status(run.path)
                signal_group(group, sign)
            if self._leaves(run, group, patience):
                break
        if group is not None:
            # Helpers of a worker that left on its own must not stay behind.
            signal_group(group, force)
        status = self.status(run.path)
        if status.state is RunState.INTERRUPTED and run.written_state() is not RunState.DONE:
            with EventLog(run.events_file) as log:
                log.append(
                    "state", state=RunState.CANCELLED, message="Stopped by force; what was flushed is kept.", code=4
                )
            status = self.status(run.path)
        return status

    def let_go(self) -> None:
        """Nothing here waits for another machine."""

    def close(self) -> None:
        """Collect the ends of workers that are finishing; those at work go on without this process."""
        for path, child in self._children.items():
            if (path / "seal.json").exists():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(_TERMINATE_SECONDS)
            child.poll()

    def _has_ended(self, run: RunDirectory) -> bool:
        """Whether our worker has written its last state and let go; its process may still be clearing up."""
        said_something = _size(run.events_file) != self._sizes.get(run.path)
        return said_something and not live.is_alive(run) and not run.written_state().is_live

    def _see_off(self, run: RunDirectory) -> None:
        """Wait for the process of a worker that has ended: whoever resumes at once must not be told that it works."""
        child = self._children.get(run.path)
        if child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_LEAVE_SECONDS)

    def _leaves(self, run: RunDirectory, pid: int | None, patience_s: float) -> bool:
        """Whether the worker `pid` goes within the patience; another that resumes the run meanwhile is not meant."""
        until = time.monotonic() + patience_s
        while self._works(run, pid):
            if time.monotonic() > until:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def _works(self, run: RunDirectory, pid: int | None) -> bool:
        child = self._children.get(run.path)
        if child is not None and child.pid == pid:
            return child.poll() is None
        # A worker of somebody else; on another machine it has no process number here.
        return live.is_alive(run) and live.worker_pid(run) == pid

    def _is_at_it(self, run_dir: Path) -> bool:
        child = self._children.get(run_dir)
        return (child is not None and child.poll() is None) or live.is_alive(RunDirectory(run_dir))

    def _child_pid(self, run_dir: Path) -> int | None:
        child = self._children.get(run_dir)
        return child.pid if child is not None and child.poll() is None else None


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def signal_group(leader: int | None, sign: int) -> None:
    """Send a signal to a process group, if there is one."""
    if leader is None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.name == "nt":
            os.kill(leader, sign)
        else:
            os.killpg(leader, sign)


def how_it_ended(run: RunDirectory, code: int) -> str:
    """How a worker ended that left no final state, as a sentence."""
    if not code:
        return _GONE
    if code < 0:
        name = signal.Signals(-code).name
        return f"The worker ended: {SIGNALS.get(name, f'it got the signal {name}')}. What was flushed is kept."
    try:
        said = live.stderr_file(run).read_bytes()[-4000:].decode(errors="replace").strip().splitlines()
    except OSError:
        said = []
    detail = f": {said[-1][:300]}" if said else ""
    return f"The worker ended with code {code}{detail}"
