"""Loading a model to train, if the memory is there. Worker processes only."""

import torch

from auditor.models.file import ModelFile
from auditor.models.fit import require
from auditor.models.precision import DTYPES, pick_device, pick_precision
from auditor.models.torch_fit import Workload, estimate_training, estimate_writing
from auditor.models.torch_model import free_bytes, load
from auditor.models.trainable import Trainable

_ONE_SEQUENCE = Workload(sequences=1, length=512)


def trainable(
    model: ModelFile,
    *,
    lora_rank: int | None = None,
    dtype: str = "auto",
    device: str = "auto",
    gradient_checkpointing: bool = False,
    threads: int | None = None,
    seed: int = 0,
    workload: Workload = _ONE_SEQUENCE,
) -> Trainable:
    """Load a model and make it ready to train, if the memory is there.

    Parameters
    ----------
    lora_rank : int, optional
        Rank of adapters on every linear layer; all weights are trained if not given.
    dtype : str
        "auto", "float32" or "bfloat16". Steps are taken in float32 whatever it is.
    device : str
        "auto", "cpu", "cuda" or "mps".
    gradient_checkpointing : bool
        Compute what the layers hold a second time going backward, to save memory.
    threads : int, optional
        Threads of the processor; its cores if not given.
    seed : int
        Seed of the adapters.
    workload : Workload
        What is computed at once, for the estimate of memory.

    Raises
    ------
    ModelError
        If it does not fit, cannot be loaded, or cannot be trained as asked.
    """
    where = pick_device(device)
    precision = pick_precision(model, where, dtype)
    # Processes that compute on a processor share its memory.
    free = free_bytes(where) // (1 if where.type == "cuda" else workload.devices)
    require(
        estimate_training(
            model,
            dtype_bytes=torch.finfo(DTYPES[precision.dtype]).bits // 8,
            lora_rank=lora_rank,
            gradient_checkpointing=gradient_checkpointing,
            workload=workload,
            free_bytes=free,
            place="on the graphics processor" if where.type == "cuda" else "in memory",
            is_cuda=where.type == "cuda",
        )
    )
    if workload.written_bytes:
        # Told before anything is trained, not after hours.
        require(
            estimate_writing(
                model,
                dtype_bytes=torch.finfo(DTYPES[precision.dtype]).bits // 8,
                written_bytes=workload.written_bytes,
                free_bytes=free_bytes(torch.device("cpu")),
            )
        )
    loaded = load(model, device=device, dtype=precision.dtype, threads=threads)
    try:
        return Trainable(loaded, lora_rank=lora_rank, gradient_checkpointing=gradient_checkpointing, seed=seed)
    except BaseException:
        loaded.words.close()
        raise
