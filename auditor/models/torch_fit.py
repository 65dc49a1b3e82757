"""Whether a model fits into memory when torch runs it, estimated before anything is loaded. Imports no torch."""

from dataclasses import dataclass

from auditor.models.file import ModelFile
from auditor.models.fit import RESERVE_BYTES, Fit, estimate
from auditor.sizes import size_words

#: Libraries, and what the allocator keeps (measured with the starter model).
_LIBRARIES_BYTES = 350 * 1024**2
#: Matrices as wide as the feed-forward layer and as the residual stream that live at once.
_WIDE, _NARROW = 3, 8
#: Keys and values of prefixes that are kept, but for the two latest, which always are.
HELD_BYTES = 256 * 1024**2
_PREFIX_TOKENS, _MANY = 2048, 16
#: What a layer keeps for the way back, as matrices that are as wide as the feed-forward layer and as the residual stream.
_KEPT_WIDE, _KEPT_NARROW = 4, 24
#: The same of layers that `auditor.models.lean_layers` knows, and the architectures that have them.
_LEAN_WIDE, _LEAN_NARROW = 2, 12
#: And with adapters, measured.
_ADAPTED_WIDE, _ADAPTED_NARROW = 3, 14
_LEAN = {"llama", "mistral", "qwen2", "qwen3"}
#: AdamW in float32: two means, and a copy of weights that compute in a half precision.
_MEANS_BYTES, _COPY_BYTES = 8, 4
#: Logits that a loss looks at together, twice as many on graphics processors of NVIDIA, and how many matrices of them
#: live at once.
_LOGITS, _LOGITS_CUDA, _LOGIT_MATRICES = 2**25, 2**26, 4
_F32_BYTES = 4


@dataclass(frozen=True)
class Workload:
    """What a step of training computes at once.

    Attributes
    ----------
    sequences : int
        Sequences of one batch; forget and retain batches go one after the other.
    length : int
        Tokens of the longest.
    reference : bool
        Whether the method compares with the model as it was: full training then holds the weights twice.
    written_bytes : int
        Bytes of a weight in the file that is made of the model afterwards; 0 if none is.
    devices : int
        Processes that train together, each of which holds its part of what the optimizer knows.
    """

    sequences: int
    length: int
    reference: bool = False
    written_bytes: int = 0
    devices: int = 1


def read_tokens(device: str) -> int:
    """Tokens that are read at once on a kind of device: enough to keep it busy, few enough to hear a wish to stop."""
    return {"cpu": 1024, "cuda": 16384}.get(device, 4096)


def estimate_torch(model: ModelFile, *, dtype_bytes: int, n_tokens: int, free_bytes: int, place: str) -> Fit:
    """Estimate the memory of a model that torch runs for scoring.

    weights = parameters x bytes; keys and values of the prefixes that are kept; what is computed at once for a batch.

    Parameters
    ----------
    dtype_bytes : int
        Bytes of a weight: 4 in float32, 2 in bfloat16.
    n_tokens : int
        Tokens of a batch.
    free_bytes : int
        Memory available on the device.
    place : str
        Where: "in memory" or "on the graphics processor".
    """
    weights = model.parameters * dtype_bytes
    length = min(_PREFIX_TOKENS, model.context_length or _PREFIX_TOKENS)
    one = 2 * model.layers * model.kv_heads * model.head_dim * dtype_bytes * length
    kv = max(2 * one, min(HELD_BYTES, _MANY * one))
    wide = model.feed_forward or 4 * model.embedding
    compute = n_tokens * (_WIDE * wide + _NARROW * model.embedding) * dtype_bytes + _LIBRARIES_BYTES
    total = weights + kv + compute
    fits = total + RESERVE_BYTES <= free_bytes
    parts = f"{size_words(total)} {place} (weights {size_words(weights)}, prompts {size_words(kv + compute)})"
    sentence = (
        f"{model.name} needs about {parts}; {size_words(free_bytes)} are free."
        if fits
        else f"{model.name} needs about {parts}, but only {size_words(free_bytes)} are free and 0.5 GiB stay reserved: close "
        "other programs, choose bfloat16, or choose the llama.cpp backend, which runs the file as it is quantised and "
        "reads its last layer only."
    )
    return Fit(weights, kv, compute, total, free_bytes, fits, sentence)


def lora_parameters(model: ModelFile, rank: int) -> int:
    """Number of weights of adapters on the linear layers of a model shaped like Llama."""
    wide = model.feed_forward or 4 * model.embedding
    kv, q = model.kv_heads * model.head_dim, model.heads * model.head_dim
    sides = 2 * (model.embedding + q) + 2 * (model.embedding + kv) + 3 * (model.embedding + wide)
    return model.layers * rank * sides


def estimate_training(
    model: ModelFile,
    *,
    dtype_bytes: int,
    lora_rank: int | None,
    gradient_checkpointing: bool,
    workload: Workload,
    free_bytes: int,
    place: str,
    is_cuda: bool = False,
) -> Fit:
    """Estimate the memory that training a model takes with AdamW.

    Ours, for models shaped like Llama: weights, and once more where a full training needs the model as it was;
    gradients in the weights' precision and 8 bytes of means for each trained weight, 4 more for a copy in float32
    where the model computes in a half precision; what layers keep for the way back: 4 matrices as wide as the
    feed-forward layer and 24 as wide as the residual stream for each token, of every layer (2 and 12 where layers keep
    less, 3 and 14 with adapters, and one layer in full), or of one and the residual stream of every other; logits that
    a loss looks at together, and the sum of the head's gradients.
    Checked by `tests/models/test_training_memory.py`.

    Parameters
    ----------
    dtype_bytes : int
        Bytes of a weight: 4 in float32, 2 in bfloat16.
    lora_rank : int or None
        Rank of adapters; None if all weights are trained.
    gradient_checkpointing : bool
        Whether layers are computed a second time going backward.
    workload : Workload
        What is computed at once.
    free_bytes : int
        Memory available on the device.
    place : str
        Where: "in memory" or "on the graphics processor".
    is_cuda : bool
        Whether that is one of NVIDIA, where losses look at more logits together.

    Returns
    -------
    Fit
        `kv` is what training adds to the weights: gradients and the optimizer's means; `compute` what a batch takes.
    """
    trained = model.parameters if lora_rank is None else lora_parameters(model, lora_rank)
    trained_bytes = dtype_bytes if lora_rank is None else _F32_BYTES
    copies = 2 if workload.reference and lora_rank is None else 1
    weights = copies * model.parameters * dtype_bytes + (0 if lora_rank is None else trained * _F32_BYTES)
    # Weights are loaded whole on each of several devices; embeddings, head and adapters, and their gradients, stay whole.
    whole = min(trained, 2 * model.vocabulary * model.embedding) if lora_rank is None else trained
    gradients = (whole + _part(trained - whole, workload.devices)) * trained_bytes
    means = trained * (_MEANS_BYTES + (_COPY_BYTES if trained_bytes < _F32_BYTES else 0))
    optimizer = gradients + _part(means, workload.devices)
    wide = model.feed_forward or 4 * model.embedding
    layer = _KEPT_WIDE * wide + _KEPT_NARROW * model.embedding
    if gradient_checkpointing:
        kept = layer + model.layers * model.embedding
    elif model.architecture in _LEAN:
        own = (_LEAN_WIDE, _LEAN_NARROW) if lora_rank is None else (_ADAPTED_WIDE, _ADAPTED_NARROW)
        kept = layer + model.layers * (own[0] * wide + own[1] * model.embedding)
    else:
        kept = model.layers * layer
    tokens = workload.sequences * workload.length
    together = _LOGITS_CUDA if is_cuda else _LOGITS
    head = _LOGIT_MATRICES * min(together, tokens * model.vocabulary) * _F32_BYTES
    if lora_rank is None:
        head += model.vocabulary * model.embedding * _F32_BYTES
    compute = tokens * kept * dtype_bytes + head + _LIBRARIES_BYTES
    total = weights + optimizer + compute
    fits = total + RESERVE_BYTES <= free_bytes
    parts = (
        f"{size_words(total)} {place} (weights {size_words(weights)}, gradients and optimizer {size_words(optimizer)}, a batch "
        f"of {workload.sequences:,} x {workload.length:,} tokens {size_words(compute)})"
    )
    begin = f"Training {model.name} needs about {parts}"
    if fits:
        return Fit(weights, optimizer, compute, total, free_bytes, fits, f"{begin}; {size_words(free_bytes)} are free.")
    ways = [
        "close other programs",
        *(["train low-rank adapters (LoRA) instead of all weights"] if lora_rank is None else []),
        *([] if gradient_checkpointing else ["switch gradient checkpointing on"]),
        *(["choose bfloat16"] if dtype_bytes == _F32_BYTES else []),
        "take smaller batches or a smaller model",
    ]
    sentence = (
        f"{begin}, but only {size_words(free_bytes)} are free and 0.5 GiB stay reserved: "
        f"{', '.join(ways[:-1])}, or {ways[-1]}."
    )
    return Fit(weights, optimizer, compute, total, free_bytes, fits, sentence)


def estimate_writing(model: ModelFile, *, dtype_bytes: int, written_bytes: int, free_bytes: int) -> Fit:
    """Estimate the main memory that it takes to write a trained model down and to compare what was written.

    The weights, and once more as they stand in the file; what only training needs is freed by then. A GGUF file of
    weights in a half precision is compared in float32, which takes no more.

    Parameters
    ----------
    dtype_bytes : int
        Bytes of a weight in memory.
    written_bytes : int
        Bytes of a weight in the file; those in memory where it has more.
    free_bytes : int
        Main memory available.
    """
    weights = model.parameters * (dtype_bytes + min(written_bytes, dtype_bytes))
    total = weights + _LIBRARIES_BYTES
    fits = total + RESERVE_BYTES <= free_bytes
    begin = f"Writing {model.name} down after training needs about {size_words(total)} of main memory"
    sentence = (
        f"{begin}; {size_words(free_bytes)} are free."
        if fits
        else f"{begin}, but only {size_words(free_bytes)} are free and 0.5 GiB stay reserved: close other programs, choose "
        "bfloat16, or take a smaller model."
    )
    return Fit(weights, 0, _LIBRARIES_BYTES, total, free_bytes, fits, sentence)


def usual_fit(model: ModelFile) -> Fit:
    """Memory as lists of models show it: a GGUF file run by llama.cpp, a folder run by torch in float32."""
    if model.format == "gguf":
        return estimate(model, n_ctx=_PREFIX_TOKENS)
    import psutil

    free = int(psutil.virtual_memory().available)
    return estimate_torch(model, dtype_bytes=4, n_tokens=1024, free_bytes=free, place="in memory")


def _part(size: int, devices: int) -> int:
    return -(-size // devices)
