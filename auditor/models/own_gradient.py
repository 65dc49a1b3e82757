"""Functions of tensors whose gradient is written by hand. Worker processes only."""

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd.function import once_differentiable


def with_gradient(forward: Callable[..., Any], backward: Callable[..., Any]) -> Any:
    """A function with a gradient of its own, which has no gradient in turn.

    Parameters
    ----------
    forward, backward : callable
        As `torch.autograd.Function` has them; the first argument of both is the context.

    Returns
    -------
    class
        Its `apply` is the function.
    """
    members = {"forward": staticmethod(forward), "backward": staticmethod(once_differentiable(backward))}
    return type(forward.__name__, (torch.autograd.Function,), members)
