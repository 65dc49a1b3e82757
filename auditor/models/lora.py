"""Low-rank adapters on a model's linear layers, through PEFT. Worker processes only.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", arXiv:2106.09685. The adapters are put into the model
itself, so that it keeps its class and the names of its weights.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from transformers.pytorch_utils import Conv1D

from auditor.errors import ModelError

#: Adapters are scaled by this many times the rank over the rank (ours: a usual choice).
_ALPHA_PER_RANK = 2


def put_in(module: Any, rank: int, *, seed: int, name: str) -> None:
    """Put adapters on every linear layer but the head; what the model computes stays the same until they are trained.

    Parameters
    ----------
    module : transformers model
    rank : int
        Rank of the adapters.
    seed : int
        Seed of the first matrix of each; the second is zero.
    name : str
        Of the model, for errors.

    Raises
    ------
    ModelError
        If the model has no layer that takes adapters.
    """
    settings = LoraConfig(
        r=rank,
        lora_alpha=_ALPHA_PER_RANK * rank,
        lora_dropout=0.0,
        target_modules="all-linear",
        # Layers of the GPT-2 family hold their weights the other way round.
        fan_in_fan_out=any(isinstance(part, Conv1D) for part in module.modules()),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            inject_adapter_in_model(settings, module)
        except ValueError as error:
            raise ModelError(f"{name} takes no adapters: {str(error)[:300]} Train it fully instead.") from error
    for layer in layers(module):
        dtype = layer.get_base_layer().weight.dtype
        for parameter in _own(layer):
            # In another precision every layer would keep a copy of its input in it; steps are taken in float32 anyway.
            parameter.data = parameter.data.to(dtype)
            parameter.requires_grad_(True)


def layers(module: Any) -> list[Any]:
    """The layers of a model that carry adapters."""
    return [layer for layer in module.modules() if isinstance(layer, LoraLayer)]


def _own(layer: Any) -> Iterator[Any]:
    for adapters in (layer.lora_A, layer.lora_B, layer.lora_embedding_A, layer.lora_embedding_B):
        yield from adapters.parameters()


def are_untrained(module: Any) -> bool:
    """Whether the adapters change nothing yet."""
    return not any(bool(weight.any()) for layer in layers(module) for weight in layer.lora_B.parameters())


@contextmanager
def switched_off(module: Any) -> Iterator[None]:
    """Run the model without its adapters."""
    found = layers(module)
    for layer in found:
        layer.enable_adapters(enabled=False)
    try:
        yield
    finally:
        for layer in found:
            layer.enable_adapters(enabled=True)


def merged(module: Any) -> Any:
    """A copy of the model in which the adapters have become part of the weights, as `merge` does it."""
    whole = copy.deepcopy(module)
    merge(whole)
    return whole


def merge(module: Any) -> None:
    """Make the adapters of a model part of its weights, one layer at a time.

    The product of the adapters is added in their own precision, and the sum rounded to the weights'.

    Raises
    ------
    ModelError
        If the sum is not finite.
    """
    for path, layer in [(path, part) for path, part in module.named_modules() if isinstance(part, LoraLayer)]:
        base = layer.get_base_layer()
        with torch.no_grad():
            for adapter in layer.active_adapters:
                added = layer.get_delta_weight(adapter)
                base.weight.copy_((base.weight.to(added.dtype) + added).to(base.weight.dtype))
        if not bool(torch.isfinite(base.weight).all()):
            raise ModelError(f"The trained weights of {path} are no numbers: train with a lower learning rate.")
        parent, _, own = path.rpartition(".")
        setattr(module.get_submodule(parent), own, base)
    # What PEFT remembers of adapters that are no longer there would make transformers save nothing but them.
    if hasattr(module, "peft_config"):
        del module.peft_config
