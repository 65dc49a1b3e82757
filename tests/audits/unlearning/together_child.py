"""`torchrun -m tests.audits.unlearning.together_child FOLDER JOBS_JSON`: several small trainings, by processes together.

Each job leaves its checkpoints, and what came of it, in a folder of its own.

`python -m tests.audits.unlearning.together_child FOLDER MODEL`: a worker that has two processes train, and is killed.
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from auditor.audits.memory import MemoryContext
from auditor.audits.unlearning.batches import with_refusals
from auditor.audits.unlearning.objective_settings import PduSettings, RmuSettings
from auditor.audits.unlearning.objectives import Objective, objective
from auditor.audits.unlearning.probing import Prober
from auditor.audits.unlearning.together import Task, train_together
from auditor.audits.unlearning.trainer import train
from auditor.audits.unlearning.training import TrainingSettings
from auditor.models.folder import inspect_folder
from auditor.models.make_trainable import trainable
from auditor.models.torch_fit import Workload
from auditor.models.world import World, joined
from pydantic import BaseModel
from tests.audits.unlearning.training_child import texts


class Job(BaseModel):
    """A training of two epochs and four steps; the last step of an epoch has one batch, for two processes."""

    name: str
    model: Path
    method: str
    lora_rank: int | None = None
    gradient_checkpointing: bool = False
    dtype: str = "float32"


def _method(name: str) -> Objective:
    settings: dict[str, BaseModel] = {
        "pdu": PduSettings(epsilon=5.0, dual_warmup_epochs=0, gamma=0.01, dual_step=0.5),
        "rmu": RmuSettings(layer=0),
    }
    return objective(name, settings.get(name))


def carry_out(folder: Path, jobs: Sequence[Job], world: World) -> None:
    """Train all of them."""
    for job in jobs:
        context = MemoryContext(seed=7, folder=folder / job.name)
        learner = trainable(
            inspect_folder(job.model),
            device="cpu",
            dtype=job.dtype,
            threads=1,
            lora_rank=job.lora_rank,
            gradient_checkpointing=job.gradient_checkpointing,
        )
        settings = TrainingSettings(
            epochs=2, batch_size=2, accumulation=2, learning_rate=1e-4, warmup_epochs=0, max_gradient_norm=1.0
        )
        forget, retain = with_refusals(texts(5, 1), [[5, 6, 7]], 1), texts(5, 2)
        probe = Prober(learner, forget, retain, 2, context, world)
        trained = train(learner, _method(job.method), forget, retain, settings, context, probe, world=world)
        learner.close()
        if world.is_first:
            told: dict[str, Any] = json.loads(json.dumps(asdict(trained), default=lambda row: row.model_dump()))
            (folder / job.name / "trained.json").write_text(json.dumps(told | {"trace": context.flushed["trace"]}))


def task(folder: Path, model: Path) -> Task:
    """Twenty steps, with a checkpoint after each."""
    settings = TrainingSettings(
        epochs=10, batch_size=2, accumulation=2, learning_rate=1e-3, warmup_epochs=0, checkpoint_every=1
    )
    return Task(
        model=inspect_folder(model),
        lora_rank=None,
        dtype="float32",
        device="cpu",
        gradient_checkpointing=False,
        threads=1,
        workload=Workload(sequences=2, length=16, devices=2),
        method="pdu",
        method_settings=_method("pdu").settings.model_dump(mode="json"),
        forget=tuple(texts(5, 1)),
        retain=tuple(texts(5, 2)),
        settings=settings,
        probe_forget=None,
        probe_retain=(),
        seed=7,
        stage="training",
        folder=folder,
    )


def main() -> None:
    """Be one of several processes that train together, or their worker."""
    folder = Path(sys.argv[1])
    if "RANK" not in os.environ:
        train_together(task(folder, Path(sys.argv[2])), 2, MemoryContext(seed=7, folder=folder))
        return
    world = joined("cpu")
    carry_out(folder, [Job.model_validate(job) for job in json.loads(sys.argv[2])], world)
    world.meet()


if __name__ == "__main__":
    main()
    sys.stderr.flush()
    # As `auditor.audits.unlearning.ranks` ends.
    os._exit(0)
