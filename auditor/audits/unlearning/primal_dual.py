"""The dual side of constrained unlearning: how much the constraint on retention weighs, and what it may be.

Minimise the forget loss L_f(theta) subject to L_r(theta) <= epsilon. The Lagrangian of a step is gamma L_f + lambda (L_r -
epsilon); after it, lambda <- max(0, lambda + eta (L_r - epsilon)) [1]_. The update is made once per optimizer step, on the mean
over all its texts; the authors' code makes it once per micro-batch and process.

References
----------
.. [1] Entesari, T. et al. (2025). Constrained Entropic Unlearning: A Primal-Dual Framework for Large Language Models.
   arXiv:2506.05314.
"""

import math
from collections.abc import Mapping

from auditor.audits.unlearning.objective_settings import PduSettings
from auditor.audits.unlearning.words import counted
from auditor.errors import InputError

#: Slack of the proposed epsilon: this share of the start model's loss, or so many nats if that is more. A share alone would leave
#: .003 nats at a retain probability of .97.
_RELATIVE, _ABSOLUTE_NATS = 0.10, 0.05
#: Epsilon is far above the start model's loss if it lets the retain probability halve (ours).
_FAR_NATS = math.log(2)


class DualVariable:
    """Lambda, the weight of the constraint on retention.

    Parameters
    ----------
    settings : PduSettings
        With `epsilon`.

    Raises
    ------
    ValueError
        If epsilon is not set.
    """

    def __init__(self, settings: PduSettings) -> None:
        if settings.epsilon is None:
            raise ValueError("epsilon is not set: measure the start model's retain loss and propose one")
        self.epsilon = settings.epsilon
        self.value = settings.lambda_start
        self._settings = settings
        self._sum, self._n = 0.0, 0
        self._steps = self._at_zero = self._at_cap = self._led = 0

    def after_step(self, retain_loss: float, epoch: int, last_of_epoch: bool) -> None:
        """Update it.

        Parameters
        ----------
        retain_loss : float
            Mean over all texts of the optimizer step, on all processes.
        epoch : int
            From 0. In the first `dual_warmup_epochs` of them lambda stays as it is.
        last_of_epoch : bool
            Whether the step was the last of its epoch: updates "epoch" are then made, on the mean of its steps.

        Raises
        ------
        ValueError
            If the loss is no finite number.
        """
        if not math.isfinite(retain_loss):
            raise ValueError("the retain loss is no finite number")
        self._led += self._steps > 0
        if self._settings.dual_updates == "step":
            self._update(retain_loss, epoch)
            return
        self._sum, self._n = self._sum + retain_loss, self._n + 1
        if last_of_epoch:
            # Made between two epochs: what it changes is the weight in the next one.
            self._update(self._sum / self._n, epoch + 1)
            self._sum, self._n = 0.0, 0

    def _update(self, retain_loss: float, epoch: int) -> None:
        if epoch < self._settings.dual_warmup_epochs:
            return
        wanted = self.value + self._settings.dual_step * (retain_loss - self.epsilon)
        self.value = min(max(wanted, 0.0), self._settings.lambda_cap)
        self._steps += 1
        self._at_zero += self.value == 0
        self._at_cap += self.value == self._settings.lambda_cap

    def warnings(self) -> tuple[str, ...]:
        """What a person should know of how lambda went, in sentences."""
        found = []
        if not self._led or not self._settings.dual_step:
            why = (
                "its dual step is 0"
                if not self._settings.dual_step
                else "the training ended before an update could count, with a dual warm-up of "
                f"{counted(self._settings.dual_warmup_epochs, 'epoch', 'epochs')}"
            )
            held = f"held by a fixed weight of {self._settings.lambda_start:g}, not by a constraint"
            found.append(
                f"No step was taken with an updated lambda: {why}. Retention was "
                f"{held if self._settings.lambda_start else 'held by nothing, lambda being 0'}."
            )
        if self._at_zero:
            found.append(
                f"Lambda was 0 after {self._at_zero} of {self._steps} dual updates: nothing held retention back there. A smaller "
                "epsilon, a smaller dual step or a larger gamma would keep the constraint in play."
            )
        if self._at_cap:
            found.append(
                f"Lambda was at its cap of {self._settings.lambda_cap:g} after {self._at_cap} of {self._steps} dual updates: the "
                "constraint on retention was not reached there. Raise the cap or epsilon, or lower gamma or the learning rate."
            )
        return tuple(found)

    def state(self) -> dict[str, float]:
        """What a checkpoint keeps."""
        return {
            "lambda": self.value,
            "epoch_sum": self._sum,
            "epoch_steps": float(self._n),
            "dual_updates": float(self._steps),
            "steps_led": float(self._led),
            "updates_at_zero": float(self._at_zero),
            "updates_at_cap": float(self._at_cap),
        }

    def load(self, state: Mapping[str, float]) -> None:
        """Go on from a checkpoint."""
        self.value = state["lambda"]
        self._sum, self._n = state["epoch_sum"], int(state["epoch_steps"])
        self._steps, self._led = int(state["dual_updates"]), int(state["steps_led"])
        self._at_zero, self._at_cap = int(state["updates_at_zero"]), int(state["updates_at_cap"])


def propose_epsilon(start_loss: float) -> float:
    """Largest retain loss to allow: the start model's, and 10% of it or .05 nats, whichever is more (ours).

    Parameters
    ----------
    start_loss : float
        Mean negative log-likelihood of the start model on the retain set, nats.

    Raises
    ------
    ValueError
        If it is no finite number from 0.
    """
    _require_loss(start_loss)
    return start_loss + max(_RELATIVE * start_loss, _ABSOLUTE_NATS)


def check_epsilon(
    epsilon: float, start_loss: float, *, allow_below: bool = False, enforced: bool = True
) -> tuple[str, ...]:
    """Refuse an epsilon that the start model does not meet, and say where one enforces little.

    Parameters
    ----------
    epsilon, start_loss : float
        Nats.
    allow_below : bool
        Whether a person wants an epsilon below the start model's loss all the same.
    enforced : bool
        Whether the method is held to it; others are only judged by it.

    Returns
    -------
    tuple of str
        Warnings.

    Raises
    ------
    InputError
        If epsilon is below the start model's loss and that is not allowed.
    """
    _require_loss(start_loss)
    told = f"the start model's retain loss is {start_loss:.3f} nats"
    if epsilon < start_loss:
        if not allow_below:
            raise InputError(
                f"Epsilon is {epsilon:g}, but {told}: the model would break the constraint before anything is forgotten",
                fix=f"Take {propose_epsilon(start_loss):.3f} or more, or allow an epsilon below the start.",
            )
        follows = (
            "The retain set is trained on until it is met." if enforced else "Nothing in the method works towards it."
        )
        return (f"Epsilon is {epsilon:g}, below the start: {told}. {follows}",)
    if epsilon - start_loss > _FAR_NATS:
        lost = 1 - math.exp(start_loss - epsilon)
        before = "anything holds that back" if enforced else "it counts as too much"
        warning = (
            f"Epsilon is {epsilon:g}, far above the start: {told}. Retain tokens may lose {lost:.0%} of their probability before "
            f"{before}; {propose_epsilon(start_loss):.3f} is proposed."
        )
        return (warning,)
    return ()


def balanced_gamma(forget_loss: float, epsilon: float, lambda_start: float) -> float:
    """Weight of the forget loss with which both terms of the Lagrangian begin in the same order: lambda epsilon / L_f (ours).

    Parameters
    ----------
    forget_loss : float
        The start model's, above 0.
    epsilon : float
        Nats.
    lambda_start : float
    """
    _require_loss(forget_loss)
    if forget_loss == 0:
        raise ValueError("a forget loss of 0 has nothing to balance")
    return lambda_start * epsilon / forget_loss


def _require_loss(loss: float) -> None:
    if not (math.isfinite(loss) and loss >= 0):
        raise ValueError("a loss is a finite number from 0")
