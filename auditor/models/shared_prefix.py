"""Prompts that begin alike share the keys and values of their beginning. Worker processes only.

Two ways. *Attention in two parts*: the queries of a batch, folded into one long list, attend to the prefix, of which
there is one copy; each prompt attends to its own tokens; the two softmaxes are joined by their normalisers [1]_. Nothing
is copied per prompt. It holds for plain attention only. *A filled cache*: the prefix is handed to every prompt of the
batch as the cache of transformers; for windows, soft caps and the like. Which of them a model takes is found out when
it is loaded, by comparing with the same prompt computed whole.

References
----------
.. [1] Juravsky, J. et al. (2024). Hydragen: High-Throughput LLM Inference with Shared Prefixes. arXiv:2402.05099.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

#: Name under which transformers knows this attention.
NAME = "auditor_shared_prefix"
#: Arguments of other kinds of attention; a model that passes one takes the filled cache.
_FOREIGN = ("softcap", "sliding_window", "s_aux", "position_bias")


class NotPlain(Exception):
    """Attention with a window, a soft cap, sinks or a bias."""


@dataclass(frozen=True)
class Held:
    """Keys and values of a prefix.

    Attributes
    ----------
    tokens : tuple of int
        The prefix.
    keys, values : list of tensors of shape (1, n_kv_heads, n_tokens, head_dim), one a layer
    """

    tokens: tuple[int, ...]
    keys: list[Any]
    values: list[Any]

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return sum(2 * keys.numel() * keys.element_size() for keys in self.keys)

    def filled(self, batch: int) -> Any:
        """A cache of transformers that begins with the prefix in every row; nothing is copied until a layer runs."""
        cache = DynamicCache()
        for keys, values in zip(self.keys, self.values, strict=True):
            layer = DynamicLayer()
            layer.lazy_initialization(keys, values)
            layer.keys, layer.values = keys.expand(batch, -1, -1, -1), values.expand(batch, -1, -1, -1)
            cache.layers.append(layer)
        return cache


_HELD: ContextVar[Held | None] = ContextVar("held_prefix", default=None)


@contextmanager
def behind(held: Held | None) -> Iterator[None]:
    """What is computed within goes on after a prefix."""
    token = _HELD.set(held)
    try:
        yield
    finally:
        _HELD.reset(token)


def of_cache(tokens: tuple[int, ...], cache: Any, n_layers: int) -> Held | None:
    """What a cache of transformers holds after a prefix was computed; None if it is no plain list of layers."""
    layers = list(cache.layers)
    if len(layers) != n_layers or any(type(layer) is not DynamicLayer for layer in layers):
        return None
    if any(layer.get_seq_length() != len(tokens) for layer in layers):
        return None
    return Held(tokens, [layer.keys.contiguous() for layer in layers], [layer.values.contiguous() for layer in layers])


def attention(
    module: Any, query: Any, key: Any, value: Any, attention_mask: Any, scaling: float | None = None, **kwargs: Any
) -> tuple[Any, None]:
    """Causal attention behind the held prefix; an attention function of transformers.

    Parameters
    ----------
    query : tensor of shape (batch, n_heads, length, head_dim)
    key, value : tensors of shape (batch, n_kv_heads, length, head_dim)
        Of the prompt's own tokens; shorter prompts are padded at the end.

    Returns
    -------
    tensor of shape (batch, length, n_heads, head_dim), and None for the weights
    """
    if any(kwargs.get(name) is not None for name in _FOREIGN) or attention_mask is not None:
        raise NotPlain
    held = _HELD.get()
    if held is None:
        output, _ = sdpa_attention_forward(module, query, key, value, None, scaling=scaling, is_causal=True)
        return output, None
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    place = module.layer_idx
    before, weight_before = _to_prefix(query, held.keys[place], held.values[place], scale)
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    own, weight_own = _attend(query, key, value, scale, causal=True)
    share = torch.sigmoid(weight_before - weight_own).unsqueeze(-1).to(own.dtype)
    return torch.lerp(own, before, share).transpose(1, 2).contiguous(), None


def _to_prefix(query: Any, keys: Any, values: Any, scale: float) -> tuple[Any, Any]:
    """Every query of the batch to the one copy of the prefix: heads that share keys and prompts make one long list."""
    batch, heads, length, width = query.shape
    kv_heads = keys.shape[1]
    groups = heads // kv_heads
    folded = query.view(batch, kv_heads, groups, length, width).permute(1, 0, 2, 3, 4).reshape(1, kv_heads, -1, width)
    output, weight = _attend(folded, keys, values, scale, causal=False)
    output = output.view(kv_heads, batch, groups, length, width).permute(1, 0, 2, 3, 4)
    weight = weight.view(kv_heads, batch, groups, length).permute(1, 0, 2, 3)
    return output.reshape(batch, heads, length, width), weight.reshape(batch, heads, length)


def _attend(query: Any, key: Any, value: Any, scale: float, *, causal: bool) -> tuple[Any, Any]:
    """Attention and the logarithm of its normaliser, shapes (..., length, head_dim) and (..., length)."""
    if query.device.type == "cpu":
        output, weight = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(  # the kernel behind sdpa
            query, key, value, 0.0, causal, attn_mask=None, scale=scale
        )
        return output, weight
    scores = (query @ key.transpose(-1, -2)).float() * scale
    if causal:
        length = query.shape[-2]
        above = torch.ones(length, length, dtype=torch.bool, device=query.device).triu(1)
        scores = scores.masked_fill(above, float("-inf"))
    weight = torch.logsumexp(scores, -1)
    return torch.exp(scores - weight.unsqueeze(-1)).to(value.dtype) @ value, weight


ALL_ATTENTION_FUNCTIONS.register(NAME, attention)
