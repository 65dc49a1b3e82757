"""A question that a command has answered in a process of its own; see `auditor.tasks`."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

import typer

from auditor import console
from auditor.errors import AuditorError, ModelError

_PATIENCE_SECONDS = 10.0
#: Between two lines of progress that say the same.
_LINE_SECONDS = 10.0


def ask(task: str, asked: Mapping[str, Any]) -> Any:
    """Have a question answered, with its progress on standard error.

    Ctrl+C stops the process and ends the command with the code of what was cancelled.

    Raises
    ------
    ModelError
        With the sentence of what went wrong there.
    AuditorError
        If the process ended before it answered.
    """
    command = [sys.executable, "-m", "auditor.tasks", task]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdin is not None
    assert process.stdout is not None
    told, said = "", 0.0
    try:
        with process.stdin as question:
            question.write(json.dumps(asked).encode())
        for line in process.stdout:
            message = json.loads(line)
            if message.get("ok"):
                return message["result"]
            if "ok" in message:
                raise ModelError(message["error"])
            step, now = message["progress"], time.monotonic()
            if step["message"] != told:
                console.say(step["message"])
            elif now - said > _LINE_SECONDS and step["total"]:
                console.say(f"{told}: {step['done']:,} of {step['total']:,} ({step['done'] / step['total']:.0%})")
            else:
                continue
            told, said = step["message"], now
    except KeyboardInterrupt:
        console.say("Stopping …")
        process.send_signal(signal.SIGINT)
        raise typer.Exit(console.CANCELLED) from None
    finally:
        _ended(process)
    raise AuditorError(
        f"The process that was asked for {task} ended with code {process.returncode} before it answered."
    )


def _ended(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
