"""Training on several devices, as the worker sees it: it starts the processes, writes down what they say, and ends with them.

The processes are started by torchrun, in sessions of their own, or by a cluster. They belong to the worker all the same: each
holds a connection to it and ends when that breaks, so that whatever ends the worker ends them too. The first one tells rows
and figures, and is answered when they are written down: a checkpoint never knows of a step that the run does not.
"""

import hmac
import json
import os
import secrets
import selectors
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from auditor import errors
from auditor.audits import Context
from auditor.audits.devices import launcher
from auditor.audits.unlearning.batches import Tokens
from auditor.audits.unlearning.training import Trained, TrainingSettings, step_rows
from auditor.errors import AuditorError, ModelError, RunError
from auditor.files import write_json
from auditor.models.file import ModelFile
from auditor.models.torch_fit import Workload

#: Variables that tell a process where the worker listens, as host:port, and the word that opens it.
ADDRESS, TOKEN = "AUDITOR_RANKS_ADDRESS", "AUDITOR_RANKS_TOKEN"
_LOOPBACK = "127.0.0.1"
_RANKS = "auditor.audits.unlearning.ranks"
#: Between two looks at whether the processes are still there.
_LOOK_SECONDS = 0.2
#: Given to torchrun, or whoever stands for it, to leave when the connections are closed, and again when it was asked to.
_LEAVE_SECONDS = 20.0
#: A caller that has not said who it is within as much is no process of ours.
_MOST_FIRST_BYTES = 1024
#: What the first process may have done for it.
_WORDS = ("progress", "metric", "row", "warning", "log", "cancelled")
_MEMORY = ("MemoryError", "OutOfMemoryError")


class Task(BaseModel):
    """What is trained, as the worker hands it over."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: ModelFile
    lora_rank: int | None
    dtype: str
    device: str = Field(description="cpu, or cuda: each process takes the processor of its own number.")
    gradient_checkpointing: bool
    threads: int = Field(description="Of each process, on the processor.")
    workload: Workload
    method: str
    method_settings: dict[str, Any]
    forget: tuple[Tokens, ...]
    retain: tuple[Tokens, ...]
    settings: TrainingSettings
    probe_forget: tuple[Tokens, ...] | None = Field(description="What is probed; None for no probes.")
    probe_retain: tuple[Tokens, ...]
    seed: int
    stage: str
    folder: Path = Field(description="Of the run: its checkpoints lie there.")


def train_together(task: Task, devices: int, context: Context) -> Trained:
    """Train on several devices of this machine, or go on where earlier processes were stopped.

    The weights that were kept are in the checkpoints of the run.

    Parameters
    ----------
    task : Task
    devices : int
        Processes, each with a device of its own.
    context : Context
        Where rows, figures and progress go.

    Raises
    ------
    Cancelled
        If a person asked for it; a checkpoint was written.
    ModelError
        If the training fails for a reason that a person can do something about, such as memory.
    RunError
        If a process ends without a word.
    """
    folder = context.checkpoints / "together"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "task.json"
    write_json(file, task.model_dump(mode="json"))
    try:
        # Processes on other machines have to reach the worker; whoever does not know the token is not heard.
        with socket.create_server(("" if launcher() else _LOOPBACK, 0)) as server:
            return _Processes(server, task.stage, devices, context).until_the_end(
                lambda variables: _started(file, task, devices, variables)
            )
    finally:
        # It holds what was trained on, and nobody needs it any more.
        shutil.rmtree(folder, ignore_errors=True)


def _started(file: Path, task: Task, devices: int, variables: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    if launcher():
        command = [launcher(), str(devices), task.device, _RANKS, str(file)]
    else:
        there = ("--standalone", f"--local-addr={_LOOPBACK}", f"--nproc-per-node={devices}")
        command = ["torch.distributed.run", *there, "-m", _RANKS, str(file)]
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=os.environ | variables | {"OMP_NUM_THREADS": str(task.threads)},
    )


@dataclass
class _Caller:
    """One connection of a process."""

    socket: socket.socket
    unread: bytearray = field(default_factory=bytearray)
    rank: int | None = None
    has_left: bool = False


class _Processes:
    def __init__(self, server: socket.socket, stage: str, devices: int, context: Context) -> None:
        self._server, self._stage, self._devices, self._context = server, stage, devices, context
        self._token = secrets.token_hex(16)
        self._selector = selectors.DefaultSelector()
        self._trained: Trained | None = None
        #: What went wrong, in the order in which it was heard.
        self._failures: list[AuditorError] = []

    def until_the_end(self, start: Callable[[Mapping[str, str]], "subprocess.Popen[bytes]"]) -> Trained:
        port = self._server.getsockname()[1]
        self._server.setblocking(False)
        self._selector.register(self._server, selectors.EVENT_READ)
        started = start({ADDRESS: f"{_LOOPBACK}:{port}", TOKEN: self._token})
        try:
            while started.poll() is None:
                self._listen(_LOOK_SECONDS)
            while self._listen(0):
                pass
        finally:
            self._hang_up()
            _see_off(started)
        if self._trained is not None:
            return self._trained
        raise self._why(started.returncode)

    def _why(self, code: int) -> AuditorError:
        """What a person is told: a sentence of one of them before what the others made of its end."""
        if self._failures:
            # Of those that say as much the one that was heard first.
            return min(self._failures, key=lambda error: _HOW_LITTLE_THEY_SAY.get(type(error), 0))
        return RunError(f"The processes that train together could not be started (code {code}).")

    # ---- what they say

    def _listen(self, seconds: float) -> bool:
        """Wait for something to be said; whether anything was."""
        found = self._selector.select(seconds)
        for key, _ in found:
            if key.fileobj is self._server:
                caller = _Caller(self._server.accept()[0])
                caller.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._selector.register(caller.socket, selectors.EVENT_READ, caller)
            else:
                self._read(key.data)
        return bool(found)

    def _read(self, caller: _Caller) -> None:
        try:
            data = caller.socket.recv(1 << 16)
        except OSError:
            data = b""
        caller.unread += data
        if not data or (caller.rank is None and not self._is_one_of_them(caller)):
            self._gone(caller)
            return
        while caller.rank is not None and (end := caller.unread.find(b"\n")) >= 0:
            line = bytes(caller.unread[:end])
            del caller.unread[: end + 1]
            self._heard(caller, caller.rank, json.loads(line))

    def _is_one_of_them(self, caller: _Caller) -> bool:
        """Whether a caller may be one of the processes; once its first line is whole, whether it knows the token."""
        line, end, rest = bytes(caller.unread).partition(b"\n")
        if not end:
            return len(line) < _MOST_FIRST_BYTES
        try:
            said = json.loads(line)
            if not hmac.compare_digest(str(said["token"]).encode(), self._token.encode()):
                return False
        except (ValueError, LookupError, TypeError):
            return False
        caller.rank, caller.has_left, caller.unread = int(said["rank"]), said["purpose"] != "life", bytearray(rest)
        return True

    def _heard(self, caller: _Caller, rank: int, said: Mapping[str, Any]) -> None:
        """Do what was said."""
        if "do" in said:
            answer = self._done(str(said["do"]), said["with"])
            with suppress(OSError):
                caller.socket.sendall(json.dumps(answer).encode() + b"\n")
            return
        caller.has_left = True
        if "failed" in said:
            self._failures.append(self._error(rank, said))

    def _done(self, what: str, given: list[Any]) -> Any:
        if what == "end":
            rows = step_rows(self._context.rows(self._stage))
            self._trained = TypeAdapter(Trained).validate_python(given[0] | {"rows": rows})
            return None
        if what not in _WORDS:
            raise RunError(f"A process that trains asked for something unknown: {what}.")
        return getattr(self._context, what)(*given)

    # ---- how they end

    def _error(self, rank: int, said: Mapping[str, Any]) -> AuditorError:
        kind, message = str(said["failed"]), str(said["message"])
        known = getattr(errors, kind, None)
        if isinstance(known, type) and issubclass(known, AuditorError):
            found: AuditorError = known(message)
            return found
        self._context.log(str(said["trace"])[-4000:])
        if kind in _MEMORY:
            return ModelError(
                f"The memory of device {rank + 1} of {self._devices} was used up while it trained: take smaller batches, switch "
                "gradient checkpointing on, or train low-rank adapters (LoRA)."
            )
        # Said of a connection to another process, which is broken since that one has ended.
        is_echo = "gloo" in message or kind.startswith("Dist")
        who = f"Process {rank + 1} of {self._devices}" if rank >= 0 else "Whoever starts the processes"
        return (_EchoError if is_echo else _UnforeseenError)(
            f"{who} that train together failed in a way nobody foresaw ({kind}: {message}). What was flushed is kept."
        )

    def _gone(self, caller: _Caller) -> None:
        """Whoever has neither ended nor failed was ended from outside."""
        self._selector.unregister(caller.socket)
        caller.socket.close()
        if not caller.has_left and caller.rank is not None:
            message = (
                f"Process {caller.rank + 1} of {self._devices} that train together ended without a word: it was killed, often "
                "because memory ran out. What was flushed is kept."
            )
            self._failures.append(_UnforeseenError(message))

    def _hang_up(self) -> None:
        """Close all connections: whoever is still there ends by that."""
        for key in list(self._selector.get_map().values()):
            if key.data is not None:
                key.data.socket.close()
        self._selector.close()


class _UnforeseenError(RunError):
    """An end that no process has explained."""


class _EchoError(RunError):
    """What one process makes of the end of another."""


_HOW_LITTLE_THEY_SAY: Mapping[type[AuditorError], int] = {_UnforeseenError: 1, _EchoError: 2}


def _see_off(started: "subprocess.Popen[bytes]") -> None:
    """Wait for whoever has started the processes to leave, which it does when they have, and make it leave at last."""
    for end in (started.terminate, started.kill):
        with suppress(subprocess.TimeoutExpired):
            started.wait(_LEAVE_SECONDS)
            return
        end()
    started.wait()
