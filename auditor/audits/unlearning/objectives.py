"""What a step of training minimises: one interface for all methods.

``losses = method.backward(learner, forget, retain, share)`` adds gradients to the learner's parameters; after the optimizer's
step ``method.after_step(losses, epoch, last_of_epoch)`` moves what the method moves itself, as pdu its lambda.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel

from auditor.audits.unlearning.batches import Batch
from auditor.audits.unlearning.objective_settings import (
    FineTuneSettings,
    GradAscentSettings,
    GradDiffSettings,
    IdkDpoSettings,
    NpoSettings,
    PduSettings,
    RmuSettings,
    SimNpoSettings,
    UndialSettings,
)


class Learner(Protocol):
    """The model as objectives see it."""

    @property
    def head_weight(self) -> Any:
        """Weight of the head, shape (vocabulary, width)."""
        ...

    @property
    def head_bias(self) -> Any:
        """Bias of the head, shape (vocabulary,), or None."""
        ...

    @property
    def soft_cap(self) -> float | None:
        """Cap of the logits, if there is one."""
        ...

    @property
    def logit_scale(self) -> float:
        """What logits are multiplied by."""
        ...

    def hidden_at(self, ids: Any, attention_mask: Any, places: Any) -> Any:
        """What the head reads at some places of all texts one after the other, shape (n_places, width)."""
        ...

    def layer_output(self, ids: Any, attention_mask: Any, layer: int) -> Any:
        """Output of a layer, from 0, shape (n, t, width)."""
        ...

    def reference(self) -> AbstractContextManager[Any]:
        """Within it the model is the one that training began with."""
        ...


@dataclass(frozen=True)
class StepLosses:
    """Means of a step.

    Attributes
    ----------
    forget : float
        Value of the forget term that is minimised, without its weight: the lower, the more is forgotten by the method's own
        measure. grad_ascent and grad_diff: minus the mean negative log-likelihood, nats; fine_tune: the same without the minus.
    retain : float or None
        Mean negative log-likelihood of the retain batch, nats, whether the method uses it or not; None without such a batch.
    """

    forget: float
    retain: float | None


class Objective(Protocol):
    """A method.

    Attributes
    ----------
    name : str
        One of `METHODS`.
    needs_reference : bool
        Whether it asks the learner for the model that training began with.
    settings : pydantic model
        Of the class that stands in `METHODS`.
    """

    name: str
    needs_reference: bool
    settings: Any

    def backward(self, learner: Learner, forget: Batch, retain: Batch | None, share: float) -> StepLosses:
        """Add the gradients of `share` times the objective, each term back-propagated on its own.

        Parameters
        ----------
        forget, retain : Batch
            On the learner's device.
        share : float
            1 / number of micro-batches of the optimizer step.
        """
        ...

    def after_step(self, losses: StepLosses, epoch: int, last_of_epoch: bool) -> None:
        """What follows an optimizer step.

        Parameters
        ----------
        losses : StepLosses
            Means over the micro-batches and processes of the step.
        epoch : int
            From 0.
        last_of_epoch : bool
        """
        ...

    def state(self) -> dict[str, float]:
        """What a checkpoint keeps."""
        ...

    def load(self, state: Mapping[str, float]) -> None:
        """Go on from a checkpoint."""
        ...

    def warnings(self) -> tuple[str, ...]:
        """What a person should know of how training went."""
        ...


#: Name of a method -> its settings.
METHODS: Mapping[str, type[BaseModel]] = {
    "pdu": PduSettings,
    "grad_ascent": GradAscentSettings,
    "grad_diff": GradDiffSettings,
    "npo": NpoSettings,
    "simnpo": SimNpoSettings,
    "rmu": RmuSettings,
    "idk_dpo": IdkDpoSettings,
    "undial": UndialSettings,
    "fine_tune": FineTuneSettings,
}


def objective(name: str, settings: BaseModel | None = None) -> Objective:
    """A method by name.

    Parameters
    ----------
    name : str
        One of `METHODS`.
    settings : pydantic model, optional
        Of the class that stands there; the published ones if not given.

    Raises
    ------
    ValueError
        If there is no such method, or the settings are those of another.
    """
    if name not in METHODS:
        raise ValueError(f"there is no method {name}: choose one of {', '.join(METHODS)}")
    kind = METHODS[name]
    settings = kind() if settings is None else settings
    if not isinstance(settings, kind):
        raise ValueError(f"{name} takes {kind.__name__}")
    made: Objective = _builders()[name](settings)
    return made


def _builders() -> Mapping[str, Callable[[Any], Objective]]:
    # Here, since they import torch.
    from auditor.audits.unlearning.objective_descent import FineTune, GradAscent, GradDiff
    from auditor.audits.unlearning.objective_margin import PrimalDual
    from auditor.audits.unlearning.objective_preference import IdkDpo, Npo, SimNpo
    from auditor.audits.unlearning.objective_rmu import Rmu
    from auditor.audits.unlearning.objective_undial import Undial

    return {
        "pdu": PrimalDual,
        "grad_ascent": GradAscent,
        "grad_diff": GradDiff,
        "npo": Npo,
        "simnpo": SimNpo,
        "rmu": Rmu,
        "idk_dpo": IdkDpo,
        "undial": Undial,
        "fine_tune": FineTune,
    }
