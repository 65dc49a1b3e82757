"""How a run is shown in a terminal: progress and sentences on standard error, results on standard output."""

import json
import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from auditor.case import Case
from auditor.errors import AuditorError, BackendError, CaseError, InputError, ModelError
from auditor.files import write_atomic
from auditor.runs.clock import duration
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.dispatch import Dispatch
from auditor.runs.executor import LOCAL, RunStatus

DONE, BAD_INPUT, FAILED, CANCELLED, NOT_VERIFIED = 0, 2, 3, 4, 5
#: What --on means, for every command that makes a run.
ON = "Where it runs: local, or the name of a backend; `auditor backends list` shows them."
_POLL_SECONDS = 0.2
#: Control characters but tabs and line ends.
_COMMANDS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
#: Between progress lines where the terminal cannot rewrite one, for example in a log of CI.
_LINE_SECONDS = 10.0


def say(text: str) -> None:
    """A line on standard error."""
    sys.stderr.write(f"{_shown(text)}\n")
    sys.stderr.flush()


def out(text: str) -> None:
    """A line on standard output."""
    sys.stdout.write(f"{_shown(text)}\n")
    sys.stdout.flush()


def _shown(text: str) -> str:
    """A text without what a terminal takes for commands: files and other machines have their say in some. JSON stays JSON."""
    return _COMMANDS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def exit_code(error: AuditorError) -> int:
    """2 for what the person can put right before anything runs, 3 for the rest."""
    return BAD_INPUT if isinstance(error, (BackendError, InputError, ModelError, CaseError)) else FAILED


def open_or_create(path: Path) -> Case:
    """The case of a folder, made if there is none."""
    return Case.open(path) if Case.is_case(path) else Case.create(path)


def require_files(paths: Iterable[Path]) -> None:
    """Say which file is not there, before a case or a run is made.

    Raises
    ------
    InputError
        For the first path that is a folder or nothing at all.
    """
    for path in paths:
        if path.is_dir():
            raise InputError("This is a folder, not a file", file=str(path), fix="Name the file in it.")
        if not path.is_file():
            raise InputError("The file cannot be read: there is no such file", file=str(path))


def require_executor(name: str) -> None:
    """Say that there is no such backend before a case or a run is made.

    Raises
    ------
    BackendError
        If it is neither this machine nor a backend that is known here.
    """
    if name != LOCAL:
        from auditor.runs.ray import store

        store.backend(name)


class Meter:
    """One progress line, rewritten in a terminal, repeated now and then elsewhere."""

    def __init__(self) -> None:
        self._rewrites = sys.stderr.isatty()
        self._begun = self._said = time.monotonic()
        self._first: tuple[float, int] | None = None
        self._shown = ""

    def show(self, status: RunStatus) -> None:
        """Show where the run stands and how long it may still take."""
        now = time.monotonic()
        # A state without a word of its own says nothing new.
        text = status.message or self._shown or status.state.value.capitalize()
        if status.message and status.total:
            text += f": {status.done:,} of {status.total:,} ({status.done / status.total:.0%}){self._left(status, now)}"
        if self._rewrites and text != self._shown:
            sys.stderr.write(f"\r\x1b[K{_shown(text)}")
            sys.stderr.flush()
        elif not self._rewrites and (
            now - self._said > _LINE_SECONDS or text.split(":")[0] != self._shown.split(":")[0]
        ):
            say(text)
            self._said = now
        self._shown = text

    def _left(self, status: RunStatus, now: float) -> str:
        if self._first is None or status.done < self._first[1]:
            self._first = (now, status.done)
        begun, done = self._first
        if status.done <= done or status.total is None or now - begun < 1:
            return ""
        seconds = (status.total - status.done) * (now - begun) / (status.done - done)
        return f", about {duration(seconds)} left"

    def end(self) -> None:
        """Leave the line."""
        if self._rewrites and self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def carry_out(case: Case, run: RunDirectory) -> int:
    """Start or resume a run, show its progress, link its seal; returns the exit code.

    Ctrl+C cancels the run; what was flushed stays and can be resumed.
    """
    executor = Dispatch()
    executor.start(run.path)
    meter = Meter()
    try:
        while True:
            status = executor.status(run.path)
            if status.sealed or not (status.state.is_live or status.state in (RunState.CREATED, RunState.DONE)):
                break
            meter.show(status)
            time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        say("\nStopping …")
        status = executor.cancel(run.path)
    meter.end()
    status = executor.wait(run.path)
    case.link_pending()
    return _told(case, run, status)


def _told(case: Case, run: RunDirectory, status: RunStatus) -> int:
    if status.state is RunState.DONE and status.sealed:
        return DONE
    say(status.message or f"The run is {status.state.value}.")
    last = run.last_events().get("state", {})
    if status.state is not RunState.INTERRUPTED and last.get("code") == BAD_INPUT:
        return BAD_INPUT
    say(f"To go on: auditor resume {case.path} {run.path.name}")
    return CANCELLED if status.state is RunState.CANCELLED else FAILED


def outcome(case: Case, run: RunDirectory) -> dict[str, Any]:
    """What --json prints: the headline with the run, the verdict and the warnings."""
    findings = run.findings()
    return {
        "run": run.path.name,
        "case": str(case.path),
        "audit": findings["audit"],
        "verdict": findings["verdict"]["sentence"],
        "state": findings["verdict"]["state"],
        "warnings": [caution["message"] for caution in findings["warnings"]],
        "head": case.head(),
        **findings["headline"],
    }


def print_outcome(case: Case, run: RunDirectory, *, as_json: bool) -> None:
    """Print the findings' headline, as words or as one JSON object."""
    told = outcome(case, run)
    if as_json:
        out(json.dumps(told, ensure_ascii=False, allow_nan=False))
        return
    out(told["verdict"])
    for warning in told["warnings"]:
        out(f"Warning: {warning}")
    out(f"Run {run.path.name} in {case.path}")


def write_report(case: Case, run: RunDirectory, html_file: Path | None, pdf_file: Path | None) -> list[Path]:
    """Write the report of a run; returns the files written.

    Raises
    ------
    CaseError
        If a file cannot be written.
    """
    from auditor.report.content import collect
    from auditor.report.html import html
    from auditor.report.pdf import pdf

    content = collect(case, run)
    written = []
    for file, make in ((html_file, html), (pdf_file, pdf)):
        if file is None:
            continue
        try:
            write_atomic(file, make(content))
        except OSError as error:
            raise CaseError(f"The report {file} cannot be written: {error.strerror}.") from error
        written.append(file)
    return written


def default_report(case: Case, run: RunDirectory) -> Path:
    """Where a report goes when nobody names a file."""
    return case.path / "reports" / run.path.name / "report.html"
