"""Whether the disk has room for a training and for files of the model, estimated before it begins. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.models.file import Kind, ModelFile
from auditor.models.torch_fit import lora_parameters
from auditor.sizes import size_words

#: Bytes of a weight in a GGUF file: in Q8_0 and Q4_0, 32 weights and their scale have 34 and 18 bytes.
_GGUF_BYTES: Mapping[Kind, float] = {"BF16": 2.0, "Q8_0": 34 / 32, "Q4_0": 18 / 32}
#: Its vocabulary, bytes a token (measured 38). The head stays in Q8_0 at most where the rest is Q4_0.
_TOKEN_BYTES = 40
#: What a checkpoint holds of a trained weight: itself and two means of AdamW, in float32; and what the best one is kept as.
_CHECKPOINT_BYTES, _BEST_BYTES = 12, 4
#: Two of each are kept, and the next is whole before the first is deleted.
_WHILE_WRITING, _AT_REST = 3, 2
#: Left on the disk to everybody else, as checkpoints leave it.
_SPARE_BYTES = 512 * 1024**2


@dataclass(frozen=True)
class DiskFit:
    """Room that a run takes on the disk at most, in bytes, and whether it is there.

    Attributes
    ----------
    checkpoints, files : int
        Checkpoints while the next is written; files of the model.
    disk_bytes : int
        The most of them that lies there at once: checkpoints are deleted before files are quantised.
    free_bytes : int
        Free on the disk when the estimate was made, with what the run has written already.
    fits : bool
        Whether that and a reserve of 512 MiB is free.
    sentence : str
        The same for people.
    """

    checkpoints: int
    files: int
    disk_bytes: int
    free_bytes: int
    fits: bool
    sentence: str


def estimate_disk(
    model: ModelFile,
    *,
    lora_rank: int | None,
    keeps_best: bool,
    folder_bytes: int,
    gguf: tuple[Kind, ...],
    free_bytes: int,
) -> DiskFit:
    """Estimate the room that training a model with AdamW and writing it down takes.

    Parameters
    ----------
    lora_rank : int or None
        Rank of adapters; None if all weights are trained.
    keeps_best : bool
        Whether the weights of the best step are kept beside those of the latest.
    folder_bytes : int
        Bytes of a weight in the folder that is written.
    gguf : tuple of str
        Kinds of the GGUF files that are written; empty if none are.
    free_bytes : int
        Free on the disk, with what the run has written already.
    """
    trained = model.parameters if lora_rank is None else lora_parameters(model, lora_rank)
    best = _BEST_BYTES if keeps_best else 0
    checkpoints = _WHILE_WRITING * (_CHECKPOINT_BYTES + best) * trained
    at_rest = (_AT_REST * _CHECKPOINT_BYTES + _WHILE_WRITING * best) * trained
    folder = folder_bytes * model.parameters
    first, others = gguf[:1], gguf[1:]
    whole = folder + sum(_gguf(model, kind) for kind in first)
    files = whole + sum(_gguf(model, kind) for kind in others)
    total = max(checkpoints, at_rest + whole, files)
    fits = total + _SPARE_BYTES <= free_bytes
    begin = (
        f"The run of {model.name} needs up to {size_words(total)} on the disk (checkpoints "
        f"{size_words(checkpoints)}, files of the model {size_words(files)})"
    )
    if fits:
        return DiskFit(checkpoints, files, total, free_bytes, fits, f"{begin}; {size_words(free_bytes)} are free.")
    ways = [
        "make room, or open a case on another disk",
        *(["train low-rank adapters (LoRA), whose checkpoints are small"] if lora_rank is None else []),
        *(["write no GGUF and quantised files"] if gguf else []),
    ]
    sentence = f"{begin}, but only {size_words(free_bytes)} are free and 0.5 GiB stay reserved: {', or '.join(ways)}."
    return DiskFit(checkpoints, files, total, free_bytes, fits, sentence)


def _gguf(model: ModelFile, kind: Kind) -> int:
    head = model.vocabulary * model.embedding if kind == "Q4_0" else 0
    weights = _GGUF_BYTES[kind] * (model.parameters - head) + _GGUF_BYTES["Q8_0"] * head
    return int(weights) + _TOKEN_BYTES * model.vocabulary
