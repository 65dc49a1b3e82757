"""Peak memory of training: `python -m tests.models.training_peak ASKED_JSON` prints bytes, measured and estimated.

A process of its own. The peak is the highest resident size since its start (VmHWM) less what it was before the model was
loaded, over two steps of the optimizer with a forget and a retain batch each.
"""

import json
import sys
from pathlib import Path

import torch
from auditor.audits.memory import MemoryContext
from auditor.audits.unlearning.batches import Tokens
from auditor.audits.unlearning.objectives import objective
from auditor.audits.unlearning.trainer import train
from auditor.audits.unlearning.training import TrainingSettings
from auditor.models import ModelFile
from auditor.models.make_trainable import trainable
from auditor.models.torch_fit import Workload, estimate_training
from pydantic import BaseModel
from tests.models.peak import high_water


class Asked(BaseModel):
    """What is trained."""

    model: ModelFile
    folder: Path
    sequences: int
    length: int
    lora_rank: int | None = None
    gradient_checkpointing: bool = False
    dtype: str = "float32"
    method: str = "grad_diff"


def main(asked: Asked) -> dict[str, int]:
    """Train two steps."""
    torch.set_num_threads(1)
    objective(asked.method)  # imports what is not the model's
    before = high_water()
    work = Workload(asked.sequences, asked.length, reference=asked.method == "npo")
    learner = trainable(
        asked.model,
        device="cpu",
        dtype=asked.dtype,
        threads=1,
        lora_rank=asked.lora_rank,
        gradient_checkpointing=asked.gradient_checkpointing,
        workload=work,
    )
    forget, retain = (
        [Tokens(tuple(start + place % 250 for place in range(asked.length)), 1)] * asked.sequences for start in (2, 9)
    )
    settings = TrainingSettings(epochs=2, batch_size=asked.sequences, checkpoint_every=100)
    train(learner, objective(asked.method), forget, retain, settings, MemoryContext(folder=asked.folder))
    estimated = estimate_training(
        asked.model,
        dtype_bytes=2 if asked.dtype == "bfloat16" else 4,
        lora_rank=asked.lora_rank,
        gradient_checkpointing=asked.gradient_checkpointing,
        workload=work,
        free_bytes=0,
        place="in memory",
    )
    return {"measured": high_water() - before, "estimated": estimated.memory_bytes}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Asked.model_validate_json(sys.argv[1]))))
