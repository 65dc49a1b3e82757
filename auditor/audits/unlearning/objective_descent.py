"""Methods that follow the likelihood: fine-tuning, gradient ascent, gradient difference. Worker processes only."""

from auditor.audits.unlearning.batches import Batch
from auditor.audits.unlearning.objective_settings import FineTuneSettings, GradAscentSettings, GradDiffSettings
from auditor.audits.unlearning.objective_terms import Stateless, mean_nll, retain_term
from auditor.audits.unlearning.objectives import Learner, StepLosses


class FineTune(Stateless):
    """Learn the texts that are given as `forget`: the model that is to forget them later comes from here."""

    name = "fine_tune"

    def __init__(self, settings: FineTuneSettings) -> None:
        self.settings = settings

    def backward(self, learner: Learner, forget: Batch, retain: Batch | None, share: float) -> StepLosses:
        """Add the gradients of the mean negative log-likelihood."""
        loss = mean_nll(learner, forget)
        (share * loss).backward()
        return StepLosses(float(loss.detach()), retain_term(learner, retain, 0.0))


class GradAscent(Stateless):
    """-NLL(forget)."""

    name = "grad_ascent"

    def __init__(self, settings: GradAscentSettings) -> None:
        self.settings = settings

    def backward(self, learner: Learner, forget: Batch, retain: Batch | None, share: float) -> StepLosses:
        """Add the gradients of the negative of the likelihood's loss."""
        loss = mean_nll(learner, forget)
        (-share * loss).backward()
        return StepLosses(-float(loss.detach()), retain_term(learner, retain, 0.0))


class GradDiff(Stateless):
    """-gamma NLL(forget) + alpha NLL(retain)."""

    name = "grad_diff"

    def __init__(self, settings: GradDiffSettings) -> None:
        self.settings = settings

    def backward(self, learner: Learner, forget: Batch, retain: Batch | None, share: float) -> StepLosses:
        """Add the gradients of both terms."""
        loss = mean_nll(learner, forget)
        (-share * self.settings.gamma * loss).backward()
        return StepLosses(-float(loss.detach()), retain_term(learner, retain, share * self.settings.alpha))
