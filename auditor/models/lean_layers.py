"""Layers that keep less for the way back. Worker processes only.

A decoder layer of the Llama family usually keeps eleven matrices for its backward pass that can be had again from others
by a few cheap operations per element: what a norm returned, what the gate became, and the product with what it lets
through. For the duration of a training such layers are computed by the functions below, which keep a norm's input and its
root mean square, and the two inputs of the product, and compute the rest again when a matrix product asks for it. The
values going forward are those of transformers, and it takes no second pass through a layer as gradient checkpointing does.

What follows attention in the last layer is computed for those tokens only that a loss is read at, since no other token
looks at it.

On a graphics processor of NVIDIA, the norm and the product are one kernel each where Liger's are installed (optional) [1]_.

References
----------
.. [1] Hsu, P.-L. et al. (2024). Liger Kernel: Efficient Triton Kernels for LLM Training. arXiv:2410.10989.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, partial
from types import MethodType
from typing import Any

import torch

from auditor.models.own_gradient import with_gradient

#: What a layer consists of that norms before attention and before its feed-forward part, adds both, and does no more.
_LAYER = {"self_attn", "mlp", "input_layernorm", "post_attention_layernorm"}
_FEED_FORWARD = {"gate_proj", "up_proj", "down_proj", "act_fn"}


def rms_norm(hidden: Any, weight: Any, epsilon: float) -> Any:
    """Rows over their root mean square, times a weight per column.

    Parameters
    ----------
    hidden : tensor of shape (..., width)
    weight : tensor of shape (width,)
    epsilon : float
        Added to the mean square.

    Returns
    -------
    tensor of shape (..., width)
        In the precision of `hidden`, from a root mean square in float32 at least.
    """
    if (kernels := fused_kernels(hidden)) is not None:
        return kernels.norm(hidden, weight, epsilon)
    return _RmsNorm.apply(hidden, weight, _scale(hidden, epsilon))


def silu_product(gate: Any, up: Any) -> Any:
    """silu(gate) x up, for tensors of one shape."""
    if (kernels := fused_kernels(gate)) is not None:
        return kernels.product(gate, up)
    return _SiluProduct.apply(gate, up, _Silu())


def _scale(hidden: Any, epsilon: float) -> Any:
    """One over the root mean square of each row; the gradient that flows through it is a part of the norm's."""
    with torch.no_grad():
        return torch.rsqrt(hidden.to(_exact(hidden.dtype)).pow(2).mean(-1, keepdim=True) + epsilon)


def _scaled(hidden: Any, weight: Any, scale: Any) -> Any:
    return weight * (hidden.to(scale.dtype) * scale).to(hidden.dtype)


def _norm_forward(ctx: Any, hidden: Any, weight: Any, scale: Any) -> Any:
    ctx.save_for_backward(hidden, weight, scale)
    return _scaled(hidden, weight, scale)


def _norm_backward(ctx: Any, upstream: Any) -> Any:
    hidden, weight, scale = ctx.saved_tensors
    unit = hidden.to(scale.dtype) * scale
    upstream = upstream.to(scale.dtype)
    product = upstream * unit
    for_weight = for_hidden = None
    if ctx.needs_input_grad[1]:
        for_weight = product.flatten(0, -2).sum(0).to(weight.dtype)
    if ctx.needs_input_grad[0]:
        along = (product @ weight.to(product.dtype)).unsqueeze(-1) / hidden.shape[-1]
        for_hidden = (upstream * weight).addcmul_(unit, along, value=-1).mul_(scale).to(hidden.dtype)
    return for_hidden, for_weight, None


class _Silu:
    """silu(gate), computed once for the two that need it on the way back, one right after the other."""

    def __init__(self) -> None:
        self._made: Any = None

    def keep(self, gate: Any) -> Any:
        self._made = torch.nn.functional.silu(gate)
        return self._made

    def take(self, gate: Any) -> Any:
        made, self._made = self._made, None
        return torch.nn.functional.silu(gate) if made is None else made


def _product_forward(ctx: Any, gate: Any, up: Any, silu: _Silu) -> Any:
    ctx.save_for_backward(gate, up)
    ctx.silu = silu
    return torch.nn.functional.silu(gate).mul_(up)


def _product_backward(ctx: Any, upstream: Any) -> Any:
    gate, up = ctx.saved_tensors
    for_gate = torch.ops.aten.silu_backward(upstream * up, gate)
    return for_gate, ctx.silu.take(gate).mul_(upstream), None


_RmsNorm = with_gradient(_norm_forward, _norm_backward)
_SiluProduct = with_gradient(_product_forward, _product_backward)


def _exact(dtype: Any) -> Any:
    return torch.promote_types(dtype, torch.float32)


@dataclass(frozen=True)
class _Kernels:
    norm: Callable[[Any, Any, float], Any]
    product: Callable[[Any, Any], Any]


def fused_kernels(tensor: Any) -> _Kernels | None:
    """Fused kernels for a tensor, where they are installed and run."""
    return _liger() if tensor.is_cuda else None


@cache
def _liger() -> _Kernels | None:
    try:
        from liger_kernel.ops.rms_norm import LigerRMSNormFunction
        from liger_kernel.ops.swiglu import LigerSiLUMulFunction
    except ImportError:
        return None

    def norm(hidden: Any, weight: Any, epsilon: float) -> Any:
        # Offset 0, roots in float32 as Llama computes them, and nobody's gradient is overwritten.
        return LigerRMSNormFunction.apply(hidden, weight, epsilon, 0.0, "llama", False)

    return _Kernels(norm, LigerSiLUMulFunction.apply)


def kernels_used(device: Any) -> str:
    """Which kernels norms and products of layers are computed by on a device, in a word."""
    return "liger" if device.type == "cuda" and _liger() is not None else "torch"


class Lean:
    """What lean layers can be asked while a model has them.

    Parameters
    ----------
    picks : bool
        Whether the last layer is one of them.
    """

    def __init__(self, *, picks: bool = False) -> None:
        self.picks = picks
        #: Places to compute, of all texts one after the other, int64 of shape (n,); None for all.
        self.places: Any = None

    @contextmanager
    def at(self, places: Any) -> Iterator[None]:
        """Within it the model gives hidden states of some places only, shape (1, n, width)."""
        self.places = places
        try:
            yield
        finally:
            self.places = None


@contextmanager
def lean(module: Any, *, again: bool = True, last: Any = None) -> Iterator[Lean]:
    """Compute the layers of a model so that they keep less, where they are of a kind that is known.

    Parameters
    ----------
    module : transformers model
        Also with adapters. Parts of other kinds stay as they are.
    again : bool
        Compute what matrix products need again, in place of keeping it; without it only what the functions here do not
        keep is saved. Not with gradient checkpointing, which transformers does where a layer's own code is called, and
        which keeps nothing of a layer anyway.
    last : torch.nn.Module, optional
        The layer after which only a norm and the head follow.

    Yields
    ------
    Lean
    """
    asked = Lean()
    replaced = []
    for part in module.modules():
        if (forward := _lean_forward(part, again=again)) is not None:
            if part is last and forward is _layer:
                forward, asked.picks = partial(_layer, asked=asked), True
            part.forward = MethodType(forward, part)
            replaced.append(part)
    try:
        yield asked
    finally:
        for part in replaced:
            del part.forward


def _lean_forward(part: Any, *, again: bool) -> Callable[..., Any] | None:
    children = dict(part.named_children())
    if _is_norm(part):
        return _norm
    if children.keys() == _FEED_FORWARD and type(part.act_fn).__name__ in ("SiLU", "SiLUActivation"):
        return partial(_feed_forward, again=again)
    if children.keys() == _LAYER and again:
        return _layer
    return None


def _is_norm(part: Any) -> bool:
    return type(part).__name__.endswith("RMSNorm") and hasattr(part, "variance_epsilon") and not list(part.children())


def _norm(part: Any, hidden_states: Any) -> Any:
    return rms_norm(hidden_states, part.weight, part.variance_epsilon)


def _feed_forward(part: Any, x: Any, *, again: bool) -> Any:
    gate, up = part.gate_proj(x), part.up_proj(x)
    if not again or fused_kernels(gate) is not None:
        product = silu_product(gate, up)
        with _not_kept(product, lambda: silu_product(gate, up)) if again else nullcontext():
            return part.down_proj(product)
    silu = _Silu()
    product = _SiluProduct.apply(gate, up, silu)
    with _not_kept(product, lambda: silu.keep(gate) * up):
        return part.down_proj(product)


def _layer(part: Any, hidden_states: Any, *, asked: Lean | None = None, **more: Any) -> Any:
    normed, again = _normed(part.input_layernorm, hidden_states)
    with _not_kept(normed, again):
        attended = part.self_attn(hidden_states=normed, **more)[0]
    between = hidden_states + attended
    if asked is not None and asked.places is not None:
        between = between.flatten(0, 1).index_select(0, asked.places)[None]
    normed, again = _normed(part.post_attention_layernorm, between)
    with _not_kept(normed, again):
        return between + part.mlp(normed)


def _normed(norm: Any, hidden: Any) -> tuple[Any, Callable[[], Any]]:
    """What a norm returns, and how to have it again: from the root mean square, where that is kept anyway."""
    if not _is_norm(norm) or fused_kernels(hidden) is not None:
        return norm(hidden), lambda: norm(hidden)
    scale = _scale(hidden, norm.variance_epsilon)
    return _RmsNorm.apply(hidden, norm.weight, scale), lambda: _scaled(hidden, norm.weight, scale)


def _not_kept(made: Any, make: Callable[[], Any]) -> AbstractContextManager[Any]:
    """Have operations inside not keep the tensor `made` but make it again, without gradient, when they need it."""
    return _Remade(made, make).hooks() if torch.is_grad_enabled() else nullcontext()


class _Remade:
    """A tensor that several operations need on the way back, made once for all of them and then let go."""

    def __init__(self, made: Any, make: Callable[[], Any]) -> None:
        self._place, self._like, self._make = made.data_ptr(), (made.dtype, made.numel()), make
        self._uses = self._left = 0
        self._found: Any = None

    def hooks(self) -> AbstractContextManager[Any]:
        found: AbstractContextManager[Any] = torch.autograd.graph.saved_tensors_hooks(self._pack, self._unpack)
        return found

    def _pack(self, kept: Any) -> Any:
        is_it = kept.data_ptr() == self._place and (kept.dtype, kept.numel()) == self._like and kept.is_contiguous()
        if not is_it:
            return kept
        self._uses += 1
        return kept.shape

    def _unpack(self, kept: Any) -> Any:
        if not isinstance(kept, torch.Size):
            return kept
        if self._found is None:
            with torch.no_grad():
                self._found, self._left = self._make(), self._uses
        found = self._found.view(kept)
        self._left -= 1
        if self._left == 0:
            self._found = None
        return found
