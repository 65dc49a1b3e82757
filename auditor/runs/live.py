"""The live folder of a run: who is at it, a heartbeat, requests, standard error. Gone once the run is sealed.

Whoever is at a run seals it and only then lets go, so that nobody takes a run that is being sealed for one left behind.
"""

import contextlib
import os
import shutil
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from auditor.errors import RunError
from auditor.files import read_json, write_json
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory

#: Where the models of a run lie on this machine, by role, when that is not where its spec says.
MODELS = "models.json"
HEARTBEAT_SECONDS = 1.0
#: Last word of a worker that was asked to pause: whoever reads it knows that somebody means to go on.
PAUSED = "The run was paused; what was computed is kept, and its memory is free again."
_PAUSE = "pause"
_TOLD = "told.json"
#: On another machine only the heartbeat's age can be seen; clocks and network shares are given this much.
_STALE_SECONDS = 30.0
#: Given back when the disk is full, so that there is room to say so.
_RESERVE_BYTES = 64 * 1024
_START_TOLERANCE_SECONDS = 2.0
#: What stays while a run is sealed. A worker that is killed between the seal and its leave leaves these behind.
_WHILE_SEALING = frozenset({"worker.json", "worker.lock", "heartbeat", "cancel", "stderr.log"})


def stderr_file(run: RunDirectory) -> Path:
    """Where the worker's standard error goes."""
    return run.live / "stderr.log"


def request_cancel(run: RunDirectory) -> None:
    """Ask the worker to stop at the next unit; nothing where it has left and its live folder is gone."""
    _request(run, "")


def request_pause(run: RunDirectory) -> None:
    """Ask the same of it, and to say that the run was paused."""
    _request(run, _PAUSE)


def _request(run: RunDirectory, text: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        (run.live / "cancel").write_text(text, encoding="utf-8")


def strangers(run: RunDirectory) -> list[str]:
    """Names in the live folder that do not belong beside a seal, sorted."""
    if not run.live.is_dir():
        return ["live"] if run.live.exists() else []
    own = {entry for entry in run.live.iterdir() if entry.name in _WHILE_SEALING and entry.is_file()}
    return sorted(f"live/{entry.name}" for entry in run.live.iterdir() if entry not in own)


@dataclass(frozen=True)
class Told:
    """What whoever is at a run says of it outside its events.

    Attributes
    ----------
    message : str
    ended : RunState or None
        How the run stands since nobody is at it any more; None while somebody is.
    """

    message: str
    ended: RunState | None = None


def tell(run: RunDirectory, message: str, ended: RunState | None = None) -> None:
    """Say something of a run that does not belong into its events."""
    write_json(run.live / _TOLD, {"message": message, "ended": ended})


def untell(run: RunDirectory) -> None:
    """Say nothing any more."""
    (run.live / _TOLD).unlink(missing_ok=True)


def told(run: RunDirectory) -> Told | None:
    """What was said last, None if nothing."""
    try:
        found = read_json(run.live / _TOLD)
        return Told(str(found["message"]), RunState(found["ended"]) if found["ended"] else None)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_alive(run: RunDirectory) -> bool:
    """Whether a worker is at the run: by its process on this machine, by its heartbeat from another."""
    try:
        worker = read_json(run.live / "worker.json")
        pid, begun, host = int(worker["pid"]), float(worker["create_time"]), worker["host"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if host != socket.gethostname():
        try:
            return time.time() - (run.live / "heartbeat").stat().st_mtime < _STALE_SECONDS
        except OSError:
            return False
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - begun) < _START_TOLERANCE_SECONDS
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def worker_pid(run: RunDirectory) -> int | None:
    """Process number of the living worker on this machine, None if there is none here."""
    if not is_alive(run):
        return None
    worker = read_json(run.live / "worker.json")
    return int(worker["pid"]) if worker["host"] == socket.gethostname() else None


class Presence:
    """A worker's sign of life, from construction to `leave`.

    Raises
    ------
    RunError
        If another worker is at the run.
    """

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        run.live.mkdir(exist_ok=True)
        self._lock = FileLock(run.live / "worker.lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RunError(f"A worker is already at the run {run.path.name}.") from None
        (run.live / "cancel").unlink(missing_ok=True)
        untell(run)
        self._reserve = run.live / "reserve"
        self._reserve.write_bytes(os.urandom(_RESERVE_BYTES))
        write_json(
            run.live / "worker.json",
            {"pid": os.getpid(), "create_time": psutil.Process().create_time(), "host": socket.gethostname()},
        )
        self._gone = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        heartbeat = self._run.live / "heartbeat"
        while not self._gone.wait(HEARTBEAT_SECONDS):
            try:
                heartbeat.touch()
            except OSError:
                # A full disk must not end the run's thread; the run itself will meet it and say so.
                continue

    def cancel_requested(self) -> bool:
        """Whether a person asked the run to stop."""
        return (self._run.live / "cancel").exists()

    def pause_requested(self) -> bool:
        """Whether the stop that was asked for is a pause."""
        try:
            return (self._run.live / "cancel").read_text(encoding="utf-8") == _PAUSE
        except OSError:
            return False

    def give_room(self) -> None:
        """Free the reserve, so that a failure can be written to a full disk."""
        self._reserve.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove what only the work has needed; the run is about to be sealed."""
        for entry in self._run.live.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.name not in _WHILE_SEALING:
                entry.unlink(missing_ok=True)

    def leave(self, *, remove: bool) -> None:
        """Stop the heartbeat and let go; remove the folder when the run is sealed."""
        self._gone.set()
        self._thread.join()
        (self._run.live / "worker.json").unlink(missing_ok=True)
        self._lock.release()
        if remove:
            shutil.rmtree(self._run.live, ignore_errors=True)
