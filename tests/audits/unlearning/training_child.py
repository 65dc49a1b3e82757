"""`python -m tests.audits.unlearning.training_child JOB_JSON`: trains a small model, and is killed while it does.

The process forks once for every attempt, so that torch is imported once; no thread of torch is alive then, since it
computes with one. Attempts train until they end or are killed with signal 9 at a random moment after a random step. The
last one says what became of it: {"ok": ...} as JSON, with the final weights in a file.
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from auditor.audits.memory import MemoryContext
from auditor.audits.unlearning.batches import Tokens
from auditor.audits.unlearning.objective_settings import PduSettings
from auditor.audits.unlearning.objectives import objective
from auditor.audits.unlearning.trainer import train
from auditor.audits.unlearning.training import Probe, Trained, TrainingSettings
from auditor.models.folder import inspect_folder
from auditor.models.make_trainable import trainable
from pydantic import BaseModel
from safetensors.torch import save_file


class Job(BaseModel):
    """What is trained, and how often it is killed."""

    model: Path
    folder: Path
    method: str
    settings: TrainingSettings
    lora_rank: int | None = None
    gradient_checkpointing: bool = False
    dtype: str = "float32"
    kills: int = 0
    seed: int = 11


class _Steps(MemoryContext):
    """Tells the parent each step that was taken, through a pipe."""

    def __init__(self, folder: Path, seed: int, told: int) -> None:
        super().__init__(seed=seed, folder=folder)
        self._told = told

    def row(self, table: str, row: Mapping[str, Any]) -> None:
        super().row(table, row)
        os.write(self._told, b".")


def texts(n: int, seed: int) -> list[Tokens]:
    """Random texts of different lengths."""
    draw = random.Random(seed)
    lengths = [draw.randrange(6, 14) for _ in range(n)]
    return [Tokens(tuple(draw.randrange(2, 300) for _ in range(length)), draw.randrange(1, 4)) for length in lengths]


def once(job: Job, told: int) -> Trained:
    """Train, or go on."""
    torch.set_num_threads(1)
    learner = trainable(
        inspect_folder(job.model),
        device="cpu",
        dtype=job.dtype,
        threads=1,
        lora_rank=job.lora_rank,
        gradient_checkpointing=job.gradient_checkpointing,
    )
    pdu = PduSettings(epsilon=6.0, dual_warmup_epochs=1, gamma=0.01, dual_step=0.5)
    method = objective(job.method, pdu if job.method == "pdu" else None)
    context = _Steps(job.folder, job.seed, told)

    def probe(step: int) -> Probe:
        torch.rand(3)  # a probe may draw; what is trained must not change
        return Probe(forget=1 / step, retain=1.0)

    trained = train(learner, method, texts(7, 1), texts(5, 2), job.settings, context, probe)
    weights = {name: weight.detach().clone() for name, weight in learner.named.items()}
    save_file(weights, job.folder / "weights.safetensors")
    (job.folder / "trained.json").write_text(
        json.dumps({"state": trained.state, "resumed_at": trained.resumed_at, "best_step": trained.best_step})
    )
    return trained


def main(job: Job) -> int:
    """Attempt after attempt; returns how many were killed."""
    draw, killed = random.Random(job.seed), 0
    while True:
        readable, told = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(readable)
            code = 1
            try:
                once(job, told)
                code = 0
            finally:
                if code:
                    traceback.print_exc()
                os._exit(code)  # it must not go on as a second parent
        os.close(told)
        if killed < job.kills:
            for _ in range(draw.randrange(1, 4)):
                os.read(readable, 1)
            time.sleep(draw.random() * 0.02)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        os.close(readable)
        if os.WIFSIGNALED(status):
            killed += 1
            continue
        if os.WEXITSTATUS(status) != 0:
            return -1
        return killed


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"killed": main(Job.model_validate_json(sys.argv[1]))}))
