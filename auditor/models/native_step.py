"""Native steps in processes of their own: started, watched, cancelled; how one ended becomes a sentence."""

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

from auditor.errors import SIGNALS, Cancelled, ModelError, printable

_POLL_SECONDS = 0.1


def run_step(job: Mapping[str, Any], *, cancelled: Callable[[], bool], watch: Callable[[], None] = lambda: None) -> Any:
    """Have `auditor.models.optimise_child` do one step.

    Parameters
    ----------
    job : mapping
        See `auditor.models.optimise_child.Job`; JSON.
    cancelled : callable
        Asked ten times a second whether a person asked to stop.
    watch : callable
        Called as often.

    Raises
    ------
    ModelError
        If the step failed or the process died; one sentence.
    Cancelled
        If a person asked for it; the process is gone then.
    """
    # Standard error goes to a file: a pipe that nobody empties would stop the process.
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as answers:
        process = subprocess.Popen(
            [sys.executable, "-m", "auditor.models.optimise_child"],
            stdin=subprocess.PIPE,
            stdout=answers,
            stderr=errors,
        )
        assert process.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError):  # it died at its start: its end says why
                process.stdin.write(json.dumps(job).encode() + b"\n")
                process.stdin.flush()
            while process.poll() is None:
                if cancelled():
                    raise Cancelled("Stopped; nothing was kept.")
                watch()
                time.sleep(_POLL_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        answers.seek(0)
        said = answers.read()
        errors.seek(0)
        trace = errors.read()
    if not said:
        raise ModelError(f"The process that worked on the model ended: {_why(process.returncode, trace)}.")
    told = json.loads(said)
    if not told["ok"]:
        raise ModelError(told["error"])
    return told["result"]


def _why(code: int, trace: bytes) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        return SIGNALS.get(name, f"it got the signal {name}")
    last = trace.decode(errors="replace").strip().splitlines()[-1:]
    return f"code {code}" + (f", {printable(last[0], 200)}" if last else "")
