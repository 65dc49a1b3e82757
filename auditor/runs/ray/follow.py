"""Follows a run that a cluster carries out: ``python -m auditor.runs.ray.follow RUN_DIR``.

It stands where a worker of this machine would stand: it holds the run, beats, and may be asked to stop, so that whoever
watches the run need not know where it runs. It hands the job over, or finds the one that it handed over before, and brings
back what happens. Events are only ever written as the cluster sent them, since the seal covers them; what there is to say
beside them stands in the run's live folder.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from auditor import __version__
from auditor.errors import AuditorError, BackendError, RunError
from auditor.files import read_json, write_json
from auditor.runs import live
from auditor.runs.clock import minute, utc_now
from auditor.runs.contract import RunSpec, RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.ray import package, store
from auditor.runs.ray.arrive import Arrival, put_seal
from auditor.runs.ray.endings import explained, left_there
from auditor.runs.ray.jobs_api import Job, JobsApi, Refused, Unreachable, shown
from auditor.runs.ray.parts import FOLDER, MOST_HEADER_BYTES, MOST_PART_BYTES, EndPart, name_of, pattern_near
from auditor.runs.ray.several import WORKER_GPU_SHARE

T = TypeVar("T")

DONE, FAILED, CANCELLED = 0, 3, 4
_ENTRY = "exec python -m auditor.runs.ray.job"
#: Seconds that Ray gives a job which it has asked to end; the job itself needs fewer.
_STOP_SECONDS = 60
#: Seconds after which a stop that was asked for counts as not confirmed; a job without a place yet is not waited for as long.
_CONFIRM_SECONDS, _CONFIRM_PENDING_SECONDS = 100.0, 15.0
_PACE_SECONDS = 0.7
_WAITS = (1.0, 2.0, 4.0, 8.0)
#: Seconds without an answer after which the run is left to be resumed.
_PATIENCE_SECONDS = 120.0
_PATIENCE_VARIABLE = "AUDITOR_RAY_PATIENCE_S"
#: The same where somebody waits for a stop, or nothing more can come.
_SHORT_PATIENCE_SECONDS = 10.0
_MOST_ATTEMPTS = 50
_TRIES = 3


@dataclass(frozen=True)
class _End:
    state: RunState
    message: str = ""
    #: Whether the events say it already.
    is_written: bool = False
    seal: bytes = b""


class _Position(BaseModel):
    """live/ray.json: which job carries the run out, and which of its parts is the next."""

    model_config = ConfigDict(extra="forbid")

    job: str = ""
    attempt: int = 0
    next: int = 1
    over: bool = True


def main(arguments: list[str]) -> int:
    """Follow a run to its end; returns 0 done, 3 failed or interrupted, 4 cancelled."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m auditor.runs.ray.follow RUN_DIR\n")
        return FAILED
    try:
        return follow(RunDirectory(Path(arguments[0]).resolve()))
    except AuditorError as error:
        sys.stderr.write(f"{error}\n")
        return FAILED


def follow(run: RunDirectory) -> int:
    """Have a run carried out elsewhere, or go on following it.

    Raises
    ------
    RunError
        If the run is sealed, or somebody follows it already.
    """
    if run.seal_file.exists():
        raise RunError(f"The run {run.path.name} is sealed: it cannot be run again.")
    presence = live.Presence(run)
    try:
        end = _ended(run, presence)
        if end.state is not RunState.DONE and not end.is_written:
            live.tell(run, end.message, ended=end.state)
        elif end.state is not RunState.DONE:
            live.untell(run)
        else:
            presence.tidy()
            put_seal(run, end.seal)
    except BaseException:
        presence.leave(remove=False)
        raise
    presence.leave(remove=end.state is RunState.DONE)
    if end.state is RunState.DONE:
        return DONE
    return CANCELLED if end.state is RunState.CANCELLED else FAILED


def _ended(run: RunDirectory, presence: live.Presence) -> _End:
    try:
        return _Following(run, presence).to_the_end()
    except AuditorError as error:
        return _End(RunState.INTERRUPTED, str(error))
    except OSError as error:
        why = f"{error.strerror or error} ({error.filename or 'no name'})"
        return _End(
            RunState.INTERRUPTED,
            f"What the cluster sent could not be written here: {why}. Put that right, then resume.",
        )
    except Exception as error:  # noqa: BLE001 (the last net: whatever it was, the run must say it)
        told = f"{type(error).__name__}: {error}"
        return _End(
            RunState.INTERRUPTED, f"Following the run failed in a way nobody foresaw ({told}). What arrived is kept."
        )


class _Following:
    def __init__(self, run: RunDirectory, presence: live.Presence) -> None:
        self._run, self._presence = run, presence
        self._spec: RunSpec = run.spec()
        self._backend = store.backend(self._spec.executor)
        self._api = JobsApi(self._backend)
        self._arrival = Arrival(run, package.most_file_bytes())
        self._file = run.live / "ray.json"
        self._position = self._read()
        self._stop_asked: float | None = None
        self._said = ""

    def to_the_end(self) -> _End:
        """Hand the job over if nobody did, and bring back what happens until it is over."""
        if self._run.written_state() is RunState.DONE:
            # This process was killed between the run's last event and its seal. Where that is lost too, the cluster has it:
            # handed over again, a run that is sealed there sends what is missing here.
            with contextlib.suppress(BackendError):
                return _End(RunState.DONE, seal=self._arrival.seal_bytes())
        known = self._position
        if known.over or self._patiently(lambda: self._api.job(known.job)) is None:
            self._submit()
        try:
            return self._streamed()
        except (Unreachable, Refused):
            raise
        except BackendError:
            # What this job hands over cannot be used: whoever resumes has it handed over by another.
            self._close()
            with contextlib.suppress(BackendError):
                self._api.stop(self._position.job)
            raise

    # ---- handing over

    def _submit(self) -> None:
        self._say(f"Sending the run to {self._backend.name}")
        self._api.version()
        self._arrival.begin_anew()
        for _ in range(_MOST_ATTEMPTS):
            attempt = self._position.attempt + 1
            job = f"auditor-{self._spec.run}-{attempt}"
            asked = package.request(self._run, self._spec, self._backend, job)
            uri = self._sent(asked)
            # Written before it is handed over: whoever comes after a crash looks for this job first.
            self._position = _Position(job=job, attempt=attempt, over=False)
            self._save()
            if self._is_taken(self._job(job, uri)):
                return
        raise BackendError(
            f"The cluster {self._backend.name} knows too many jobs of this run already: start a new one."
        )

    def _is_taken(self, job: dict[str, object]) -> bool:
        """Whether the cluster takes a job; not if it knows another of that id, whose record here was lost."""
        sent = 0

        def submit() -> None:
            nonlocal sent
            sent += 1
            self._api.submit(job)

        try:
            self._patiently(submit)
        except Unreachable:
            raise
        except BackendError as error:
            exists = "already exists" in str(error)
            if exists and sent > 1:
                # It had got there, only the answer had not come back.
                return True
            self._close()
            if not exists:
                raise
            return False
        return True

    def _sent(self, asked: package.Request) -> str:
        archive = self._run.live / "package.zip"
        try:
            name = package.write(archive, self._run, self._spec, asked)
            if not self._api.has_package(name):
                self._api.send_package(name, archive.read_bytes())
        finally:
            archive.unlink(missing_ok=True)
        return f"gcs://{name}"

    def _job(self, job: str, uri: str) -> dict[str, object]:
        return {
            "entrypoint": _ENTRY,
            "submission_id": job,
            "runtime_env": {
                "working_dir": uri,
                "env_vars": {"RAY_USAGE_STATS_ENABLED": "0", "RAY_JOB_STOP_WAIT_TIME_S": str(_STOP_SECONDS)},
            },
            "metadata": {"job_name": f"Auditor {__version__}: {self._spec.audit}"},
            "entrypoint_num_cpus": 1,
            "entrypoint_num_gpus": self._gpus(),
        }

    def _gpus(self) -> float:
        """One graphics processor, where the run has a model, may use one, and the cluster has any.

        Where several train together they ask for theirs themselves, and the worker shares one with them.
        """
        device = str(self._spec.spec.get("device", self._spec.device))
        if not self._spec.models or device == "cpu":
            return 0
        wanted = 1 if self._spec.spec.get("devices", 1) == 1 else WORKER_GPU_SHARE
        return wanted if any(_number(node, "GPU") > 0 for node in self._api.nodes()) else 0

    # ---- bringing back

    def _streamed(self) -> _End:
        """Fetch part after part, looking first whether the job is over: what it has written by then is all there will be."""
        job_id = self._position.job
        while True:
            self._stop_if_asked()
            job = self._patiently(lambda: self._api.job(job_id))
            if job is None:
                self._close()
                return _End(
                    RunState.INTERRUPTED,
                    f"The cluster {self._backend.name} does not know the job of this run any more: it was restarted. What "
                    "arrived is kept; resume the run to hand it over again.",
                )
            try:
                end = self._fetched(job)
            except Unreachable:
                if not job.is_over:
                    raise
                # The node that held the rest went with the job.
                end = None
            if end is not None:
                return self._told(end)
            if job.is_over:
                self._close()
                if job.status == "STOPPED" and self._stop_asked is not None:
                    return _End(RunState.CANCELLED, "Stopped by force; what arrived is kept.")
                return _End(RunState.INTERRUPTED, explained(job, self._backend.name))
            if (unconfirmed := self._unconfirmed(job)) is not None:
                return unconfirmed
            if self._stop_asked is None:
                # Once it runs, its own events say what it does.
                self._say(f"Waiting for a place on {self._backend.name}" if job.status == "PENDING" else "")
            time.sleep(_PACE_SECONDS)

    def _fetched(self, job: Job) -> EndPart | None:
        """Every part that is there; the last word if that is among them."""
        if job.node is None:
            return None
        node, folder = job.node, f"{FOLDER}/{self._position.job}"
        names: set[str] = set()
        while True:
            n = self._position.next
            name = f"{folder}/{name_of(n)}"
            if name not in names:
                pattern = f"{folder}/{pattern_near(n)}"
                names = self._patiently(partial(self._api.log_names, node, pattern), job)
                if name not in names:
                    return None
            end = self._part(node, name, n, job)
            self._position.next = n + 1
            self._save()
            if end is not None:
                return end

    def _part(self, node: str, name: str, n: int, job: Job) -> EndPart | None:
        tries = 0
        while True:
            data = self._patiently(lambda: self._api.log_file(node, name, MOST_HEADER_BYTES + MOST_PART_BYTES), job)
            try:
                return self._arrival.take(data, n)
            except BackendError:
                # On the way it may have been damaged; what the cluster holds never changes.
                tries += 1
                if tries == _TRIES:
                    raise
                time.sleep(_WAITS[0])

    def _patiently(self, ask: Callable[[], T], job: Job | None = None) -> T:
        """An answer, waited for while the cluster does not answer; where somebody waits, not for long."""
        since, began, tries, before = utc_now(), time.monotonic(), 0, self._said
        while True:
            try:
                found = ask()
            except Unreachable as error:
                patience = _patience()
                if self._presence.cancel_requested() or (job is not None and job.is_over):
                    patience = min(patience, _SHORT_PATIENCE_SECONDS)
                waited = time.monotonic() - began
                if waited > patience:
                    raise Unreachable(self._given_up(error, waited)) from error
                self._say(f"{self._backend.name} has not answered since {minute(since)}: trying again")
                time.sleep(min(_WAITS[min(tries, len(_WAITS) - 1)], max(patience - waited, 0.2)))
                tries += 1
            else:
                if tries:
                    self._say(before)
                return found

    def _given_up(self, error: Unreachable, waited: float) -> str:
        sentence = f"{self._backend.name} did not answer for {waited:.0f} s. {error}"
        if self._presence.cancel_requested():
            return (
                f"{sentence} So the run could not be stopped there: its job {self._position.job} may still be at work. Stop it "
                f"on the cluster (ray job stop {self._position.job}), or resume the run and cancel it again."
            )
        return f"{sentence} What arrived is kept: resume the run to go on where it stopped."

    # ---- stopping

    def _stop_if_asked(self) -> None:
        if self._stop_asked is None and self._presence.cancel_requested():
            self._say(f"Stopping the run on {self._backend.name}")
            self._patiently(lambda: self._api.stop(self._position.job))
            self._stop_asked = time.monotonic()

    def _unconfirmed(self, job: Job) -> _End | None:
        if self._stop_asked is None:
            return None
        waited, is_pending = time.monotonic() - self._stop_asked, job.status == "PENDING"
        if waited < (_CONFIRM_PENDING_SECONDS if is_pending else _CONFIRM_SECONDS):
            return None
        if is_pending:
            self._close()
            return _End(
                RunState.CANCELLED,
                f"The run was stopped before it began: {self._backend.name} had no place for it and drops it when it gets there.",
            )
        return _End(
            RunState.INTERRUPTED,
            f"{self._backend.name} was asked to stop the job {self._position.job} and has not confirmed it within {waited:.0f} "
            f"s. See there: ray job status {self._position.job}",
        )

    # ---- the end

    def _told(self, end: EndPart) -> _End:
        self._close()
        if end.state == "done":
            return _End(RunState.DONE, seal=self._arrival.seal_bytes())
        state = RunState(end.state)
        if state is not RunState.INTERRUPTED:
            if self._run.written_state() is not state:
                raise BackendError("The cluster says that the run has ended, but its events do not say so.")
            return _End(state, is_written=True)
        if end.left:
            return _End(state, left_there(end, self._backend.name))
        return _End(state, f"On {self._backend.name}: {shown(end.message, 2000)}")

    # ---- what is kept and said beside the events

    def _say(self, message: str) -> None:
        """What whoever watches the run reads in place of its own last message; nothing if empty."""
        if message == self._said:
            return
        self._said = message
        if message:
            live.tell(self._run, message)
        else:
            live.untell(self._run)

    def _close(self) -> None:
        self._position.over = True
        self._save()

    def _read(self) -> _Position:
        try:
            return _Position.model_validate(read_json(self._file))
        except (OSError, ValueError, ValidationError):
            return _Position()

    def _save(self) -> None:
        write_json(self._file, self._position.model_dump(mode="json"))


def _number(node: dict[str, object], resource: str) -> float:
    total = node.get("resources_total")
    found = total.get(resource) if isinstance(total, dict) else None
    return float(found) if isinstance(found, (int, float)) else 0.0


def _patience() -> float:
    try:
        return max(0.0, float(os.environ.get(_PATIENCE_VARIABLE, "")))
    except ValueError:
        return _PATIENCE_SECONDS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
