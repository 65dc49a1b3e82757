"""Self-distillation with adjusted logits: the start model teaches, its logit of each forget token lowered. Worker processes only.

gamma mean CE(softmax(z0 - beta onehot(token)), z) + alpha NLL(retain), z0 the start model's logits [1]_. The mean is over
answer tokens; open-unlearning averages over all positions, padding too.

References
----------
.. [1] Dong, Y. R. et al. (2024). UNDIAL: Self-Distillation with Adjusted Logits for Robust Unlearning in Large Language Models.
   arXiv:2402.10052.
"""

from auditor.audits.unlearning.batches import Batch
from auditor.audits.unlearning.objective_settings import UndialSettings
from auditor.audits.unlearning.objective_terms import Stateless, mean_distillation, retain_term
from auditor.audits.unlearning.objectives import Learner, StepLosses


class Undial(Stateless):
    """The method.

    Parameters
    ----------
    settings : UndialSettings
    """

    name = "undial"
    needs_reference = True

    def __init__(self, settings: UndialSettings) -> None:
        self.settings = settings

    def backward(self, learner: Learner, forget: Batch, retain: Batch | None, share: float) -> StepLosses:
        """Add the gradients of both terms."""
        loss = mean_distillation(learner, forget, self.settings.beta)
        (share * self.settings.gamma * loss).backward()
        return StepLosses(float(loss.detach()), retain_term(learner, retain, share * self.settings.alpha))
