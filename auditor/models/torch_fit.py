"""Whether a model fits into memory when torch runs it, estimated before anything is loaded. Imports no torch."""

from auditor.models.file import ModelFile
from auditor.models.fit import RESERVE_BYTES, Fit, estimate

#: Libraries, and what the allocator keeps (measured with the starter model).
_LIBRARIES_BYTES = 350 * 1024**2
#: Matrices as wide as the feed-forward layer and as the residual stream that live at once.
_WIDE, _NARROW = 3, 8
#: Keys and values of prefixes that are kept, but for the two latest, which always are.
HELD_BYTES = 256 * 1024**2
_PREFIX_TOKENS, _MANY = 2048, 16


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
    parts = f"{_gib(total)} {place} (weights {_gib(weights)}, prompts {_gib(kv + compute)})"
    sentence = (
        f"{model.name} needs about {parts}; {_gib(free_bytes)} are free."
        if fits
        else f"{model.name} needs about {parts}, but only {_gib(free_bytes)} are free and 0.5 GiB stay reserved: close "
        "other programs, choose bfloat16, or choose the llama.cpp backend, which runs the file as it is quantised and "
        "reads its last layer only."
    )
    return Fit(weights, kv, compute, total, free_bytes, fits, sentence)


def usual_fit(model: ModelFile) -> Fit:
    """Memory as lists of models show it: a GGUF file run by llama.cpp, a folder run by torch in float32."""
    if model.format == "gguf":
        return estimate(model, n_ctx=_PREFIX_TOKENS)
    import psutil

    free = int(psutil.virtual_memory().available)
    return estimate_torch(model, dtype_bytes=4, n_tokens=1024, free_bytes=free, place="in memory")


def _gib(size: int) -> str:
    return f"{size / 1024**3:.2f} GiB"
