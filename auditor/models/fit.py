"""Whether a model fits into memory, estimated before anything is loaded."""

from dataclasses import dataclass

from auditor.errors import ModelError
from auditor.models.file import ModelFile

_F16_BYTES = 2
_F32_BYTES = 4
#: Left to the rest of the system when the estimate is compared with what is free.
RESERVE_BYTES = 512 * 1024**2


@dataclass(frozen=True)
class Fit:
    """Memory a model needs, in bytes, and whether it is there.

    Attributes
    ----------
    weights, kv, compute : int
        Weights as stored, keys and values of every position in float16, compute buffers.
    memory_bytes : int
        Their sum.
    free_bytes : int
        Memory available when the estimate was made.
    fits : bool
        Whether the sum and a reserve of 512 MiB fit into what is free.
    sentence : str
        The same for people.
    """

    weights: int
    kv: int
    compute: int
    memory_bytes: int
    free_bytes: int
    fits: bool
    sentence: str


def estimate(model: ModelFile, *, n_ctx: int, n_batch: int = 512, free_bytes: int | None = None) -> Fit:
    """Estimate the memory of a loaded model (ours: a formula, not a measurement).

    weights = file size; KV = 2 x layers x n_ctx x kv_heads x head_dim x 2 bytes;
    compute = n_batch x (vocabulary + 12 x embedding + heads x n_ctx) x 4 bytes.

    Parameters
    ----------
    n_ctx : int
        Positions of the context, tokens.
    n_batch : int
        Tokens decoded at once.
    free_bytes : int, optional
        Memory available; asked of the system if not given. Graphics memory is known to the worker alone.
    """
    if free_bytes is None:
        import psutil

        free_bytes = int(psutil.virtual_memory().available)
    kv = 2 * model.layers * n_ctx * model.kv_heads * model.head_dim * _F16_BYTES
    compute = n_batch * (model.vocabulary + 12 * model.embedding + model.heads * n_ctx) * _F32_BYTES
    total = model.size_bytes + kv + compute
    fits = total + RESERVE_BYTES <= free_bytes
    parts = f"{_gib(total)} (weights {_gib(model.size_bytes)}, context of {n_ctx:,} tokens {_gib(kv + compute)})"
    sentence = (
        f"{model.name} needs about {parts}; {_gib(free_bytes)} are free."
        if fits
        else f"{model.name} needs about {parts}, but only {_gib(free_bytes)} are free and 0.5 GiB stay reserved: "
        "close other programs, choose a smaller quantisation, or lower the context length."
    )
    return Fit(model.size_bytes, kv, compute, total, free_bytes, fits, sentence)


def require(fit: Fit) -> None:
    """Refuse a model that does not fit.

    Raises
    ------
    ModelError
        With the sentence of the estimate.
    """
    if not fit.fits:
        raise ModelError(fit.sentence)


def _gib(size: int) -> str:
    return f"{size / 1024**3:.2f} GiB"
