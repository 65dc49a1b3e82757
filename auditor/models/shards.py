"""The layers of a model, spread over processes that train together: FSDP. Worker processes only.

Zhao et al., "PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel", arXiv:2304.11277, as `fully_shard` of torch
does it. A process holds some rows of every matrix of a layer, and the whole of a layer only while it computes it. Embeddings
and head, which losses read between the passes, and adapters, which are small, stay whole on each of them; what the
optimizer holds of those is spread all the same (see `auditor.models.optimiser`).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor

from auditor.models.world import World


def shard(decoder: Any, layers: Sequence[Any], world: World, *, adapters: bool) -> None:
    """Spread the layers of a decoder. Gradients are summed over the processes, not averaged.

    Parameters
    ----------
    decoder : module
        What is called to compute hidden states; the layers are parts of it.
    layers : sequence of modules
    world : World
    adapters : bool
        Whether what is trained in the layers are adapters, which stay whole.

    Raises
    ------
    ValueError
        If layers of this kind cannot be spread.
    """
    mesh = init_device_mesh(world.device.type, (world.size,))
    # Sums in float32, whatever the gradients are in.
    policy = MixedPrecisionPolicy(reduce_dtype=torch.float32)
    for layer in layers:
        whole = {weight for weight in layer.parameters() if weight.requires_grad} if adapters else set()
        fully_shard(layer, mesh=mesh, mp_policy=policy, ignored_params=whole)
        layer.set_gradient_divide_factor(1.0)
        # Without it a factor asks for a kind of sum that only NCCL knows.
        layer.set_force_sum_reduction_for_comms(True)
    inside = {weight for layer in layers for weight in layer.parameters()}
    fully_shard(decoder, mesh=mesh, ignored_params=set(decoder.parameters()) - inside)


def is_spread(weight: Any) -> bool:
    """Whether a process holds only some rows of it."""
    return isinstance(weight, DTensor)


def rows_here(tensor: Any) -> Any:
    """The rows of a spread weight, or of its gradient, that lie here; the same memory."""
    return tensor.detach().to_local()
