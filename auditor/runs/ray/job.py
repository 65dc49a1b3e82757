"""What runs on the cluster: a run's directory is made from the job's package, and the worker carries it out there.

Started by Ray as ``python -m auditor.runs.ray.job`` in the unpacked package. It imports no Ray either: the folder of the
session, in which it works, is all it needs of it. Worker and job are one process group, so that a supervisor of Ray that ends
takes both along; a stop that Ray asks for is handed to the worker as a person's wish, and force comes after that.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType

import psutil

from auditor.audits.devices import launched_by
from auditor.errors import AuditorError
from auditor.files import write_json
from auditor.processor import usable_cores
from auditor.runs import live
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.events import EventLog
from auditor.runs.local import how_it_ended
from auditor.runs.ray.package import REQUEST, Request, checked_request, job_of
from auditor.runs.ray.parts import LeftFile
from auditor.runs.ray.place import models_of, settle
from auditor.runs.ray.publish import Publisher, log_folder
from auditor.runs.seal import files_of

#: Given to the worker to stop by itself, within what Ray gives the job.
_PATIENCE_SECONDS = 40.0
#: Between two looks at the events: at first often, in a run of hours seldom, so that the parts do not become too many.
_LEAST_SECONDS, _MOST_SECONDS, _OF_ELAPSED = 0.4, 5.0, 0.01


def main() -> int:
    """Carry out the job; returns the worker's exit code, 3 if there was none."""
    package = Path.cwd()
    stop = threading.Event()

    def asked(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, asked)
    signal.signal(signal.SIGINT, asked)
    data = (package / REQUEST).read_bytes()
    publisher = None
    try:
        # The id is needed to say anything at all.
        logs = log_folder(package)
        publisher = Publisher(logs, job_of(data))
        request = checked_request(data)
        publisher.begin_at(request.events_bytes)
        run = settle(request, package)
        return _Carried(run, request, publisher, stop).out()
    except AuditorError as error:
        sys.stderr.write(f"{error}\n")
        if publisher is not None:
            publisher.end("interrupted", str(error))
        return 3
    except OSError as error:
        why = f"{error.strerror or error} ({error.filename or 'no name'})"
        sentence = f"A file on the cluster could not be read or written: {why}."
        sys.stderr.write(f"{sentence}\n")
        if publisher is not None:
            with contextlib.suppress(OSError):
                publisher.end("interrupted", sentence)
        return 3


class _Carried:
    """One run, from the start of its worker to the last word."""

    def __init__(self, run: RunDirectory, request: Request, publisher: Publisher, stop: threading.Event) -> None:
        self._run, self._request, self._publisher, self._stop = run, request, publisher, stop

    def out(self) -> int:
        """Have the run worked at, publish what happens and what comes out; returns the worker's exit code."""
        run, publisher = self._run, self._publisher
        before = _size(run.events_file)
        code = 0 if run.seal_file.exists() else self._work()
        publisher.events(run)
        state = run.written_state()
        if run.seal_file.exists():
            self._results()
        elif state in (RunState.FAILED, RunState.CANCELLED) and _size(run.events_file) > before:
            # Without a word of this worker it would be how an earlier one ended.
            publisher.end(state.value)
        elif self._stop.is_set():
            with EventLog(run.events_file) as log:
                log.append(
                    "state", state=RunState.CANCELLED, message="Stopped by force; what was flushed is kept.", code=4
                )
            publisher.events(run)
            publisher.end("cancelled")
        else:
            publisher.end("interrupted", how_it_ended(run, code))
        return code if code >= 0 else 3

    def _work(self) -> int:
        worker = _started(self._run, self._request)
        began, due, patience = time.monotonic(), 0.0, None
        try:
            while worker.poll() is None:
                now = time.monotonic()
                if now >= due:
                    self._publisher.events(self._run)
                    due = now + min(max((now - began) * _OF_ELAPSED, _LEAST_SECONDS), _MOST_SECONDS)
                if self._stop.is_set():
                    # Again and again: a worker that is only starting clears wishes of before.
                    live.request_cancel(self._run)
                    patience = patience or now + _PATIENCE_SECONDS
                    if now > patience:
                        break
                with contextlib.suppress(subprocess.TimeoutExpired):
                    worker.wait(_LEAST_SECONDS)
        finally:
            _end(worker)
        return worker.returncode

    def _results(self) -> None:
        """Publish the files under the seal, then the seal, then the event that says that the run is done."""
        run, request = self._run, self._request
        sealed = run.seal()
        assert sealed is not None
        known = {run.events_file.name, run.spec_file.name}
        wanted = [
            name
            for name in files_of(run)
            if name in sealed.files and name not in known and request.have.get(name) != sealed.files[name].sha256
        ]
        wanted.sort(key=lambda name: (sealed.files[name].bytes, name))
        large = [name for name in wanted if sealed.files[name].bytes > request.most_file_bytes]
        for name in wanted:
            if name not in large:
                self._publisher.file(run, name)
        if large:
            left = [LeftFile(path=name, bytes=sealed.files[name].bytes, place=str(run.path / name)) for name in large]
            self._publisher.end("interrupted", "", left)
            return
        self._publisher.file(run, run.seal_file.name)
        self._publisher.events(run, last=True)
        self._publisher.end("done")


def _started(run: RunDirectory, request: Request) -> "subprocess.Popen[bytes]":
    """Start the worker. SIGTERM is held off from it: Ray sends that to every process of a job, and a stop is asked for gently."""
    run.live.mkdir(exist_ok=True)
    write_json(run.live / live.MODELS, models_of(run.spec(), request, Path.cwd()))
    # Ray knows where the cluster has devices that are free, on this node or on others.
    environment = os.environ | launched_by("auditor.runs.ray.several")
    if environment.get("OMP_NUM_THREADS") == "1" and usable_cores() > 1:
        # Set by Ray for a job that asked for one processor; nobody else would choose it on a machine with more.
        del environment["OMP_NUM_THREADS"]
    held = {signal.SIGTERM, signal.SIGINT}
    with live.stderr_file(run).open("wb") as errors:
        # Held-off signals are passed on to a child; one that comes in between waits for this process.
        signal.pthread_sigmask(signal.SIG_BLOCK, held)
        try:
            return subprocess.Popen(
                [sys.executable, "-m", "auditor.runs.worker", str(run.path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                cwd=run.path,
                env=environment,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, held)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _end(worker: "subprocess.Popen[bytes]") -> None:
    """Kill what is left of a worker and of what it started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(worker.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
    if worker.poll() is None:
        worker.kill()
    worker.wait()


if __name__ == "__main__":
    sys.exit(main())
