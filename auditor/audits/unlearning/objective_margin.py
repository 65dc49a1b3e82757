"""Primal-dual unlearning: flatten the logits of the forget set subject to a bound on the retain loss. Worker processes only.

gamma L_f + lambda (L_r - epsilon) with L_f the mean squared distance of the largest logit from the mean logit, and lambda moved
after every step; see `auditor.audits.unlearning.primal_dual`.
"""

from collections.abc import Mapping

from auditor.audits.unlearning.batches import Batch
from auditor.audits.unlearning.objective_settings import PduSettings
from auditor.audits.unlearning.objective_terms import mean_margin, retain_term
from auditor.audits.unlearning.objectives import Learner, StepLosses
from auditor.audits.unlearning.primal_dual import DualVariable


class PrimalDual:
    """The method, with its dual variable.

    Parameters
    ----------
    settings : PduSettings
        With `epsilon`.

    Raises
    ------
    ValueError
        If epsilon is not set.
    """

    name = "pdu"
    needs_reference = False

    def __init__(self, settings: PduSettings) -> None:
        self.settings = settings
        self.dual = DualVariable(settings)

    def backward(self, learner: Learner, forget: Batch, retain: Batch | None, share: float) -> StepLosses:
        """Add the gradients of both terms with the current lambda.

        Raises
        ------
        ValueError
            If there is no retain batch.
        """
        if retain is None:
            raise ValueError("pdu needs a retain set")
        loss = mean_margin(learner, forget, parity=self.settings.parity)
        (share * self.settings.gamma * loss).backward()
        return StepLosses(float(loss.detach()), retain_term(learner, retain, share * self.dual.value))

    def after_step(self, losses: StepLosses, epoch: int, last_of_epoch: bool) -> None:
        """Move lambda."""
        assert losses.retain is not None
        self.dual.after_step(losses.retain, epoch, last_of_epoch)

    def state(self) -> dict[str, float]:
        """Lambda, and what led to it."""
        return self.dual.state()

    def load(self, state: Mapping[str, float]) -> None:
        """Go on with lambda as it was."""
        self.dual.load(state)

    def warnings(self) -> tuple[str, ...]:
        """Whether lambda was at 0 or at its cap."""
        return self.dual.warnings()
