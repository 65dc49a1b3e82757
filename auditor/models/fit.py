"""Whether a model fits into memory, estimated before anything is loaded."""

from collections.abc import Iterable
from dataclasses import dataclass

from auditor.errors import ModelError
from auditor.models.batch_plan import MAX_LEAVES, TALKING_LEAVES, BatchPlan, candidates, cells
from auditor.models.file import ModelFile
from auditor.sizes import size_words

_F16_BYTES = 2
_F32_BYTES = 4
#: Left to the rest of the system when the estimate is compared with what is free.
RESERVE_BYTES = 512 * 1024**2
#: What llama.cpp's tables of the vocabulary take for each token: measured 150 without, 320 to 360 with merges.
_BYTES_PER_TOKEN = 250
#: Tokens of the prefix whose keys and values the scorer keeps beside the cache: a usual rubric.
_PREFIX_TOKENS = 512
#: What llama.cpp takes whatever the model: its graph, its plan of it, its tables of sequences (measured 5 to 7 MiB).
_FIXED_BYTES = 8 * 1024**2
#: Matrices as wide as the feed-forward layer (gate, up, their product) and as the residual stream that live at once.
_WIDE, _NARROW = 3, 4
#: What a multiplication takes for its input in the weights' own precision, bytes for each number.
_WORK_BYTES = 1.1


class MemoryShort(ModelError):
    """A model that lacks nothing but memory: with more of it free, the same would succeed."""


@dataclass(frozen=True)
class Fit:
    """Memory a model needs, in bytes, and whether it is there.

    Attributes
    ----------
    weights, kv, compute : int
        Weights as stored, with the copies that are rearranged for the processor; keys and values of every position in
        float16; vocabulary, compute buffers and logits.
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


def estimate(
    model: ModelFile, *, n_ctx: int, talk: int = 0, plan: BatchPlan | None = None, free_bytes: int | None = None
) -> Fit:
    """Estimate the memory that a scorer with a loaded model takes in main memory.

    Ours: a formula after the buffers that llama.cpp 0.3.36 (llama-cpp-python) reports and the pages it touches,
    checked by `python -m tests.benchmarks.memory`. With c cells of the cache, u tokens computed at once, and widths
    and counts of the model:

    weights = file (mapped, and read whole) + matrices that are rearranged for the processor (a second copy);
    KV = 2 x layers x kv_heads x head_dim x 2 bytes for each of the c cells and of a prefix of 512 tokens;
    compute = 8 MiB + 250 bytes x vocabulary + 62 x vocabulary x 4 bytes of logits + u x (3 x feed_forward + 4 x
    embedding) x 4 bytes + 1.1 bytes x u x feed_forward + 2 bytes x u x c; without flash attention, with a as the cells
    that the longest prompt and a batch beside it take, u x a x heads x 6 bytes in place of the feed-forward layer's
    where they are more, and 4 bytes x u x a for the last.

    Parameters
    ----------
    n_ctx : int
        Longest prompt, tokens.
    talk : int
        Tokens that may follow each prompt.
    plan : BatchPlan, optional
        How prompts are cut into batches. If not given, the one that takes most among those that fit: which one is
        chosen shows when they are measured, and none is tried that does not fit (`auditor.models.measure`).
    free_bytes : int, optional
        Memory available; asked of the system if not given. Graphics memory is known to the worker alone.
    """
    free = free_memory() if free_bytes is None else free_bytes
    plans = candidates(on_gpu=False) if plan is None else (plan,)
    found = [_estimate(model, each, n_ctx=n_ctx, talk=talk, free_bytes=free) for each in plans]
    tried = [fit for fit in found if fit.fits]
    if not tried:
        return min(found, key=lambda fit: fit.memory_bytes)
    return max(tried, key=lambda fit: fit.memory_bytes)


def fitting(
    model: ModelFile, plans: Iterable[BatchPlan], *, n_ctx: int, talk: int, free_bytes: int
) -> tuple[BatchPlan, ...]:
    """Those plans with which a model fits into memory, in their order; parameters as in `estimate`."""
    return tuple(plan for plan in plans if _estimate(model, plan, n_ctx=n_ctx, talk=talk, free_bytes=free_bytes).fits)


def free_memory() -> int:
    """Main memory that is available, bytes."""
    import psutil

    return int(psutil.virtual_memory().available)


def _estimate(model: ModelFile, plan: BatchPlan, *, n_ctx: int, talk: int, free_bytes: int) -> Fit:
    leaves = TALKING_LEAVES if talk else MAX_LEAVES
    n_cells = cells(n_ctx, plan.capacity, leaves=leaves, talk=talk)
    weights = model.size_bytes + model.repacked_bytes
    kv = 2 * model.layers * model.kv_heads * model.head_dim * _F16_BYTES * (n_cells + min(_PREFIX_TOKENS, n_ctx))
    # Without flash attention the matrix is as wide as what stands in the cache, not as the cache.
    attended = min(n_cells, n_ctx + plan.capacity + leaves * talk)
    compute = model.vocabulary * (_BYTES_PER_TOKEN + (leaves + 2) * _F32_BYTES) + _FIXED_BYTES
    compute += _graph(model, plan, n_cells if plan.flash_attention else attended)
    total = weights + kv + compute
    fits = total + RESERVE_BYTES <= free_bytes
    parts = (
        f"{size_words(total)} (weights {size_words(weights)}, context of {n_ctx:,} tokens {size_words(kv + compute)})"
    )
    sentence = (
        f"{model.name} needs about {parts}; {size_words(free_bytes)} are free."
        if fits
        else f"{model.name} needs about {parts}, but only {size_words(free_bytes)} are free and 0.5 GiB stay reserved: "
        "close other programs, choose a smaller quantisation, or lower the context length."
    )
    return Fit(weights, kv, compute, total, free_bytes, fits, sentence)


def _graph(model: ModelFile, plan: BatchPlan, n_cells: int) -> int:
    """Bytes of what is computed between the layers' inputs and outputs."""
    # A file of the library that was added before the width was recorded: the usual ratio.
    wide = model.feed_forward or 4 * model.embedding
    layer = wide * (_WIDE * _F32_BYTES + _WORK_BYTES)
    if not plan.flash_attention:
        # The matrix in float32, and once more in float16 as the factor of the values.
        layer = max(layer, n_cells * model.heads * (_F32_BYTES + _F16_BYTES))
    mask = n_cells * (_F16_BYTES if plan.flash_attention else _F32_BYTES)
    return int(plan.n_ubatch * (layer + _NARROW * model.embedding * _F32_BYTES + mask))


def require(fit: Fit) -> None:
    """Refuse a model that does not fit.

    Raises
    ------
    MemoryShort
        With the sentence of the estimate.
    """
    if not fit.fits:
        raise MemoryShort(fit.sentence)
