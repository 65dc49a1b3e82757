"""AdamW over float32 weights, with everything it holds open to be saved. Worker processes only.

Loshchilov and Hutter, "Decoupled Weight Decay Regularization", arXiv:1711.05101, as torch computes it. A model that
computes in a half precision is stepped on copies of its weights in float32: an update of 1e-5 of a weight is less than
bfloat16 can tell from nothing, and would be lost in every single step.

Of processes that train together each steps some rows of every weight and holds what belongs to them alone, whether the
weight itself is spread over them or lies whole on each of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Any

import torch

from auditor.errors import ModelError
from auditor.models.shards import is_spread, rows_here
from auditor.models.training_state import WEIGHT
from auditor.models.world import ALONE, World

#: Kinds of tensors in `Optimiser.tensors` beside `WEIGHT`, each with the name of a weight behind it.
_MOMENTS, _STEPS = ("exp_avg", "exp_avg_sq"), "step"
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
    world : World
        The processes that train together; each of them makes one of these and calls the same methods.
    """

    def __init__(self, named: Mapping[str, Any], settings: AdamSettings, world: World = ALONE) -> None:
        self._named, self._world = dict(named), world
        self._stepped = {name: self._to_step(weight) for name, weight in self._named.items()}
        # Of small weights some processes have no row.
        here = [weight for weight in self._stepped.values() if weight.numel()]
        decaying = [weight for weight in here if weight.ndim >= _DECAYING_DIMENSIONS]
        others = [weight for weight in here if weight.ndim < _DECAYING_DIMENSIONS]
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

    def _to_step(self, weight: Any) -> Any:
        """What is stepped of a weight: itself, or a copy in float32; of processes that train together, own rows of it."""
        if self._world.is_alone:
            return weight if weight.dtype == torch.float32 else torch.nn.Parameter(weight.detach().float())
        return torch.nn.Parameter(self._own(weight).float())

    def _own(self, weight: Any) -> Any:
        return rows_here(weight) if is_spread(weight) else self._world.own(weight.detach())

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
                stepped.grad, weight.grad = self._gradient(weight), None
        norm = self._norm()
        if not isfinite(norm):
            raise ModelError(
                "The gradient is no number any more: the training has run away. Use a lower learning rate, or clip "
                "gradients."
            )
        if most_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(self._stepped.values(), most_norm, torch.tensor(norm))
        for group in self._adam.param_groups:
            group["lr"] = learning_rate
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)
        self._hand_back()
        return norm

    def _gradient(self, weight: Any) -> Any:
        """The gradient of what is stepped, in float32; those of spread weights have been summed on their way here."""
        if self._world.is_alone:
            return weight.grad.float()
        if is_spread(weight):
            return rows_here(weight.grad).float()
        return self._world.own(self._world.summed(weight.grad)).clone()

    def _norm(self) -> float:
        """Norm of all gradients together."""
        own = [weight.grad for weight in self._stepped.values() if weight.grad is not None]
        norm = float(torch.nn.utils.get_total_norm(own))
        return norm if self._world.is_alone else sqrt(self._world.totals([norm * norm])[0])

    def _hand_back(self) -> None:
        """Give the model what was stepped, rounded to its precision."""
        with torch.no_grad():
            for name, weight in self._named.items():
                stepped = self._stepped[name]
                if stepped is weight:
                    continue
                if not is_spread(weight):
                    weight.copy_(self._world.whole(stepped.to(weight.dtype), weight.shape))
                elif weight.dtype != stepped.dtype:
                    rows_here(weight).copy_(stepped)

    def weights(self) -> dict[str, Any]:
        """The trained weights in float32, by name.

        They are those that train on, not copies. Of processes that train together the first one gets copies in main memory,
        and the others nothing.
        """
        return self._gathered({name: weight.detach() for name, weight in self._stepped.items()})

    def _gathered(self, parts: Mapping[str, Any]) -> dict[str, Any]:
        """Whole tensors of the shapes of the weights, by the names of weights."""
        if self._world.is_alone:
            return dict(parts)
        found = {}
        for name, part in parts.items():
            whole = self._world.whole(part, self._named[name].shape)
            if self._world.is_first:
                found[name] = whole.to("cpu", copy=True)
        return found

    def load_weights(self, weights: Mapping[str, Any]) -> None:
        """Put saved weights into the model.

        Parameters
        ----------
        weights : mapping of str to torch.Tensor
            Of processes that train together, those of the first one count.

        Raises
        ------
        ValueError
            If they are of another model.
        """
        if self._world.is_first:
            self._require_fit(weights)
        with torch.no_grad():
            for name, weight in self._stepped.items():
                weight.copy_(self._world.own(self._world.dealt(weights.get(name), self._named[name].shape)))
        self._hand_back()

    def _require_fit(self, weights: Mapping[str, Any]) -> None:
        if weights.keys() != self._named.keys():
            raise ValueError("the weights are of another model")
        for name, weight in self._named.items():
            if weight.shape != weights[name].shape:
                raise ValueError(f"the weights are of another model: {name} has another shape")

    def tensors(self) -> dict[str, Any]:
        """Weights and moments, by kind and name; of processes that train together as `weights` gives them."""
        found = {WEIGHT + name: weight for name, weight in self.weights().items()}
        # A weight that no gradient has reached yet has no moments. Of each the first process has rows.
        state = self._adam.state
        reached = self._world.told([name for name, weight in self._stepped.items() if state.get(weight)])
        for kind in _MOMENTS:
            parts = {name: self._moment(self._stepped[name], kind) for name in reached}
            found |= {f"{kind}/{name}": moment for name, moment in self._gathered(parts).items()}
        found |= {f"{_STEPS}/{name}": state[self._stepped[name]][_STEPS] for name in reached if self._world.is_first}
        return found

    def _moment(self, weight: Any, kind: str) -> Any:
        return self._adam.state[weight][kind] if weight.numel() else weight.detach()

    def load(self, tensors: Mapping[str, Any]) -> None:
        """Go on from what `tensors` gave.

        Parameters
        ----------
        tensors : mapping of str to torch.Tensor
            Of processes that train together, those of the first one count.

        Raises
        ------
        ValueError
            If it is of another model.
        """
        self.load_weights(
            {name.removeprefix(WEIGHT): found for name, found in tensors.items() if name.startswith(WEIGHT)}
        )
        reached = {name: float(tensors[key]) for name in self._stepped if (key := f"{_STEPS}/{name}") in tensors}
        for name, steps in self._world.told(reached).items():
            weight, shape = self._stepped[name], self._named[name].shape
            state = {_STEPS: torch.tensor(steps, device=weight.device)}
            for kind in _MOMENTS:
                moment = self._world.own(self._world.dealt(tensors.get(f"{kind}/{name}"), shape))
                state[kind] = moment.to(weight.device, copy=True)
            if weight.numel():
                self._adam.state[weight] = state
