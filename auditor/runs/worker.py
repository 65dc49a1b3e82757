"""The worker: carries out one run in its own process. ``python -m auditor.runs.worker RUN_DIR``.

Whatever happens, the run directory says it: a final state, or none, which means "interrupted". Sealing is the last act.
"""

import os
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from auditor import audits
from auditor.errors import AuditorError, Cancelled, InputError, RunError
from auditor.files import is_disk_full, write_json
from auditor.runs.ask import machine, versions
from auditor.runs.context import RunContext
from auditor.runs.contract import RunSpec, RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.events import EventLog
from auditor.runs.live import PAUSED, Presence
from auditor.runs.seal import seal

DONE, BAD_INPUT, FAILED, CANCELLED = 0, 2, 3, 4


@dataclass(frozen=True)
class _End:
    state: RunState
    code: int
    message: str = ""
    error: str | None = None
    trace: str | None = None
    is_disk_full: bool = False


def main(arguments: list[str]) -> int:
    """Run the worker; returns its exit code (0 done, 2 bad input, 3 failed, 4 cancelled)."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m auditor.runs.worker RUN_DIR\n")
        return BAD_INPUT
    try:
        return carry_out(RunDirectory(Path(arguments[0]).resolve()))
    except AuditorError as error:
        sys.stderr.write(f"{error}\n")
        return FAILED


def carry_out(run: RunDirectory) -> int:
    """Carry out or resume a run and seal it.

    Raises
    ------
    RunError
        If the run is sealed, another worker is at it, or its spec cannot be read.
    """
    if run.seal_file.exists():
        raise RunError(f"The run {run.path.name} is sealed: it cannot be run again.")
    spec = run.spec()
    presence = Presence(run)
    # Files that a killed worker was just writing.
    for partial in run.path.rglob(".*.part"):
        partial.unlink()
    # An earlier worker may have been killed between its last state and the seal.
    is_finished = run.written_state() is RunState.DONE and run.findings_file.exists()
    try:
        end = _End(RunState.DONE, DONE) if is_finished else _logged(run, spec, presence)
        if end.state is RunState.DONE:
            presence.tidy()
            seal(run)
    except BaseException:
        presence.leave(remove=False)
        raise
    presence.leave(remove=end.state is RunState.DONE)
    return end.code


def _logged(run: RunDirectory, spec: RunSpec, presence: Presence) -> _End:
    try:
        log = EventLog(run.events_file)
    except OSError as error:
        raise RunError(_disk_sentence(error)) from error
    end = _attempt(run, spec, log, presence)
    if end.is_disk_full:
        presence.give_room()
    if end.trace:
        log.append("log", message=end.trace[-4000:])
    log.append("state", state=end.state, message=end.message, error=end.error, code=end.code)
    log.close()
    return end


def _attempt(run: RunDirectory, spec: RunSpec, log: EventLog, presence: Presence) -> _End:
    try:
        _audit(run, spec, log, presence)
    except Cancelled as stop:
        message = PAUSED if presence.pause_requested() else str(stop)
        return _End(RunState.CANCELLED, CANCELLED, message=message)
    except InputError as error:
        return _failed(str(error), code=BAD_INPUT)
    except AuditorError as error:
        return _failed(str(error))
    except MemoryError:
        return _failed("The memory of this machine was used up: close other programs or choose a smaller model.")
    except OSError as error:
        return _failed(_disk_sentence(error), trace=traceback.format_exc(), is_disk_full=is_disk_full(error))
    except Exception as error:  # noqa: BLE001 (the last net: whatever it was, the run directory must say it)
        sentence = (
            f"The run failed in a way nobody foresaw ({type(error).__name__}: {error}). What was flushed is kept."
        )
        return _failed(sentence, trace=traceback.format_exc())
    return _End(RunState.DONE, DONE)


def _failed(sentence: str, *, code: int = FAILED, trace: str | None = None, is_disk_full: bool = False) -> _End:
    return _End(RunState.FAILED, code, message=sentence, error=sentence, trace=trace, is_disk_full=is_disk_full)


def _disk_sentence(error: OSError) -> str:
    if is_disk_full(error):
        return "The disk is full. What was flushed is kept: free some space, then resume the run."
    return f"A file could not be read or written: {error.strerror or error} ({error.filename or 'no name'})."


def _audit(run: RunDirectory, spec: RunSpec, log: EventLog, presence: Presence) -> None:
    resumed = run.events_file.stat().st_size > 0
    log.append("state", state=RunState.STARTING, message="Resuming" if resumed else "Starting")
    if log.cut:
        log.append(
            "log", message=f"{log.cut} bytes of an event that was being written when the run stopped were cut off."
        )
    audit = audits.get(spec.audit)
    try:
        asked = audit.Spec.model_validate(spec.spec)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"The setting {where} is not possible: {first['msg']}", value=first["input"]) from error
    inputs = run.inputs()
    log.append("state", state=RunState.RUNNING, message="")
    context = RunContext(run, spec, log, presence)
    findings = audit.run(asked, inputs, context).model_dump(mode="json")
    # It may have been asked for on another machine, or resumed with other software.
    findings["provenance"] |= {"machine": machine().model_dump(mode="json"), "versions": versions()}
    write_json(run.findings_file, findings)


if __name__ == "__main__":
    # Native libraries write to standard output; the contract is the run directory alone.
    os.dup2(2, 1)
    sys.exit(main(sys.argv[1:]))
