"""One of the processes that train together: ``python -m auditor.audits.unlearning.ranks TASK``, started by torchrun.

It joins the others, loads the model, and trains its share (see `auditor.audits.unlearning.trainer`). The first of them
speaks for all, to the worker that has started them: rows, figures, progress; it writes the checkpoints, too. Each holds a
connection to the worker on which nothing is said unless it fails, and ends when that breaks, whatever it is waiting for.
"""

import json
import os
import socket
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from auditor.audits.memory import MemoryContext
from auditor.audits.unlearning.objectives import METHODS, objective
from auditor.audits.unlearning.probing import Prober
from auditor.audits.unlearning.together import ADDRESS, TOKEN, Task
from auditor.audits.unlearning.trainer import train
from auditor.audits.unlearning.training import Trained
from auditor.errors import AuditorError, Cancelled
from auditor.models.make_trainable import trainable
from auditor.models.world import joined

_ENDED, _FAILED = 0, 3


class Line:
    """A connection to the worker, on which JSON goes line by line.

    Parameters
    ----------
    rank : int
    purpose : str
        "life": it breaks when either end is gone. "words": what the first one has to say. "launch": whoever has started them.
    """

    def __init__(self, rank: int, purpose: str) -> None:
        host, _, port = os.environ[ADDRESS].rpartition(":")
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = self._socket.makefile("rb")
        self.tell({"token": os.environ[TOKEN], "rank": rank, "purpose": purpose})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say how it ended, so that nobody takes it for killed."""
        if kind is None:
            self.tell({"left": True})
        else:
            lines = "".join(traceback.format_exception(kind, error, trace))
            self.tell({"failed": kind.__name__, "message": str(error), "trace": lines})

    def tell(self, message: Mapping[str, Any]) -> None:
        """Say something that is not answered."""
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    def ask(self, message: Mapping[str, Any]) -> Any:
        """Say something, and wait until the worker has taken it in.

        Raises
        ------
        ConnectionError
            If the worker is gone.
        """
        self.tell(message)
        if not (answer := self._read.readline()):
            raise ConnectionError("the worker is gone")
        return json.loads(answer)

    def end_with_it(self) -> None:
        """End this process as soon as the worker is gone: nobody would take what it computes."""

        def wait() -> None:
            with suppress(OSError):
                self._read.read()
            os._exit(_FAILED)

        threading.Thread(target=wait, name="life", daemon=True).start()


class _ToldContext(MemoryContext):
    """The context of the first process: everything is the worker's to write."""

    def __init__(self, line: Line, seed: int, folder: Path) -> None:
        super().__init__(seed=seed, folder=folder)
        self._line = line

    def progress(self, done: int, total: int | None, message: str = "") -> None:
        self._line.ask({"do": "progress", "with": [done, total, message]})

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        self._line.ask({"do": "metric", "with": [name, value, step]})

    def row(self, table: str, row: Mapping[str, Any]) -> None:
        self._line.ask({"do": "row", "with": [table, dict(row)]})

    def warning(self, code: str, message: str, count: int = 1) -> None:
        self._line.ask({"do": "warning", "with": [code, message, count]})

    def log(self, message: str) -> None:
        self._line.ask({"do": "log", "with": [message]})

    def cancelled(self) -> bool:
        return bool(self._line.ask({"do": "cancelled", "with": []}))


def carry_out(file: Path) -> int:
    """Train one's share, as the environment of torchrun and a task say; returns the exit code."""
    rank = int(os.environ["RANK"])
    try:
        with Line(rank, "life") as life:
            life.end_with_it()
            _train(Task.model_validate_json(file.read_bytes()), rank)
    except Cancelled:
        return _ENDED
    except AuditorError:
        return _FAILED
    return _ENDED


def _train(task: Task, rank: int) -> None:
    world = joined(task.device)
    if world.is_first:
        line = Line(rank, "words")
        context: MemoryContext = _ToldContext(line, task.seed, task.folder)
    else:
        context = MemoryContext(seed=task.seed, folder=task.folder)
    learner = trainable(
        task.model,
        lora_rank=task.lora_rank,
        dtype=task.dtype,
        device=str(world.device),
        gradient_checkpointing=task.gradient_checkpointing,
        threads=task.threads,
        seed=task.seed,
        workload=task.workload,
    )
    probe = None
    if task.probe_forget is not None:
        probe = Prober(learner, task.probe_forget, task.probe_retain, task.settings.batch_size, context, world)
    method = objective(task.method, METHODS[task.method].model_validate(task.method_settings))
    try:
        trained = train(
            learner, method, task.forget, task.retain, task.settings, context, probe, stage=task.stage, world=world
        )
    except Cancelled:
        # All of them stop at the same step.
        world.meet()
        raise
    if world.is_first:
        line.ask({"do": "end", "with": [_told(trained)]})
    learner.close()
    world.meet()


def _told(trained: Trained) -> dict[str, Any]:
    """Everything but the rows, which the worker has."""
    return asdict(replace(trained, rows=()))


if __name__ == "__main__":
    code = carry_out(Path(sys.argv[1]))
    sys.stderr.flush()
    # Everything has been said and written. Threads of gloo may be at work still, and end a process that ends in good order.
    os._exit(code)
