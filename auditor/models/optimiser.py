"""AdamW over float32 weights, with everything it holds open to be saved. Worker processes only.

Loshchilov and Hutter, "Decoupled Weight Decay Regularization", arXiv:1711.05101, as torch computes it. A model that
computes in a half precision is stepped on copies of its weights in float32: an update of 1e-5 of a weight is less than
bfloat16 can tell from nothing, and would be lost in every single step.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from auditor.errors import ModelError

#: Kinds of tensors in `Optimiser.tensors`, each with the name of a weight behind it.
_WEIGHT = "weight/"
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")
#: Weights of fewer dimensions, biases and norms, do not decay: the habit of the field.
_DECAYING_DIMENSIONS = 2
_FUSED = ("cpu", "cuda")


@dataclass(frozen=True)
class AdamSettings:
    """Settings of AdamW but for the learning rate, which is given with every step.

    Attributes
    ----------
    beta1, beta2 : float
        Decay of the means of gradients and of their squares.
    epsilon : float
        Added to the root of the mean square.
    weight_decay : float
        Share of a weight, times the learning rate, that goes with every step; matrices only.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0


class Optimiser:
    """Steps of AdamW.

    Parameters
    ----------
    named : Mapping of str to torch.nn.Parameter
        The trainable weights.
    settings : AdamSettings
    """

    def __init__(self, named: Mapping[str, Any], settings: AdamSettings) -> None:
        self._named = dict(named)
        self._stepped = {
            name: weight if weight.dtype == torch.float32 else torch.nn.Parameter(weight.detach().float())
            for name, weight in self._named.items()
        }
        decaying = [weight for weight in self._stepped.values() if weight.ndim >= _DECAYING_DIMENSIONS]
        others = [weight for weight in self._stepped.values() if weight.ndim < _DECAYING_DIMENSIONS]
        groups = [
            {"params": weights, "weight_decay": decay}
            for weights, decay in ((decaying, settings.weight_decay), (others, 0.0))
            if weights
        ]
        self._adam = torch.optim.AdamW(
            groups,
            lr=0.0,
            betas=(settings.beta1, settings.beta2),
            eps=settings.epsilon,
            fused=all(weight.device.type in _FUSED for weight in self._stepped.values()),
        )

    def step(self, learning_rate: float, most_norm: float | None = None) -> float:
        """Take one step along the gradients, and clear them.

        Parameters
        ----------
        learning_rate : float
        most_norm : float, optional
            Gradients of a larger norm are scaled down to it.

        Returns
        -------
        float
            Norm of all gradients together, before they are scaled.

        Raises
        ------
        ModelError
            If it is no number; no weight is changed then.
        """
        for name, weight in self._named.items():
            stepped = self._stepped[name]
            if stepped is not weight and weight.grad is not None:
                stepped.grad, weight.grad = weight.grad.float(), None
        gradients = [weight.grad for weight in self._stepped.values() if weight.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        if not bool(torch.isfinite(norm)):
            raise ModelError(
                "The gradient is no number any more: the training has run away. Use a lower learning rate, or clip "
                "gradients."
            )
        if most_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(self._stepped.values(), most_norm, norm)
        for group in self._adam.param_groups:
            group["lr"] = learning_rate
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)
        self._hand_back()
        return float(norm)

    def _hand_back(self) -> None:
        """Round the stepped copies to the model's precision."""
        with torch.no_grad():
            for name, weight in self._named.items():
                if self._stepped[name] is not weight:
                    weight.copy_(self._stepped[name])

    def weights(self) -> dict[str, Any]:
        """The trained weights in float32, by name. They are those that train on, not copies."""
        return {name: weight.detach() for name, weight in self._stepped.items()}

    def load_weights(self, weights: Mapping[str, Any]) -> None:
        """Put saved weights into the model.

        Raises
        ------
        ValueError
            If they are of another model.
        """
        if weights.keys() != self._stepped.keys():
            raise ValueError("the weights are of another model")
        with torch.no_grad():
            for name, weight in self._stepped.items():
                if weight.shape != weights[name].shape:
                    raise ValueError(f"the weights are of another model: {name} has another shape")
                weight.copy_(weights[name])
        self._hand_back()

    def tensors(self) -> dict[str, Any]:
        """Weights and moments, by kind and name."""
        found = {_WEIGHT + name: weight for name, weight in self.weights().items()}
        for name, weight in self._stepped.items():
            # A weight that no gradient has reached yet has no moments.
            if state := self._adam.state.get(weight):
                found |= {f"{kind}/{name}": state[kind] for kind in _MOMENTS}
        return found

    def load(self, tensors: Mapping[str, Any]) -> None:
        """Go on from what `tensors` gave.

        Raises
        ------
        ValueError
            If it is of another model.
        """
        self.load_weights(
            {name.removeprefix(_WEIGHT): found for name, found in tensors.items() if name.startswith(_WEIGHT)}
        )
        for name, weight in self._stepped.items():
            if f"{_MOMENTS[0]}/{name}" in tensors:
                self._adam.state[weight] = {
                    kind: tensors[f"{kind}/{name}"].to(weight.device, copy=True) for kind in _MOMENTS
                }
