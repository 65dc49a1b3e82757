"""Methods that treat forget answers as dispreferred: NPO, SimNPO, DPO towards "I don't know". Worker processes only.

With s(x) = log(1 / (1 + exp(-x))), and texts without an answer left out of the means:

- npo [1]_: -2 / beta mean s(beta (NLL - NLL of the start model)), NLL summed over the answer;
- simnpo [2]_: -2 / beta mean s(beta (NLL / length - delta));
- idk_dpo [3]_: -2 / beta mean s(beta (log ratio of the refusal - log ratio of the answer)), ratios to the start model.

References
----------
.. [1] Zhang, R. et al. (2024). Negative Preference Optimization: From Catastrophic Collapse to Effective Unlearning.
   arXiv:2404.05868.
.. [2] Fan, C. et al. (2024). Simplicity Prevails: Rethinking Negative Preference Optimization for LLM Unlearning.
   arXiv:2410.07163.
.. [3] Maini, P. et al. (2024). TOFU: A Task of Fictitious Unlearning for LLMs. arXiv:2401.06121.
"""

from abc import ABC, abstractmethod
from typing import Any

from torch.nn.functional import logsigmoid

from auditor.audits.unlearning.batches import Batch
from auditor.audits.unlearning.objective_settings import IdkDpoSettings, NpoSettings, SimNpoSettings
from auditor.audits.unlearning.objective_terms import (
    Stateless,
    answer_lengths,
    mean_over_texts,
    reference_nll,
    retain_term,
    text_nll,
)
from auditor.audits.unlearning.objectives import Learner, StepLosses


class _Preference(Stateless, ABC):
    """-2 / beta mean s(beta x) on the forget batch, and the likelihood of the retain batch."""

    def __init__(self, settings: NpoSettings | SimNpoSettings | IdkDpoSettings) -> None:
        self.settings = settings

    @abstractmethod
    def _advantage(self, learner: Learner, forget: Batch) -> Any:
        """X of each text, shape (n,)."""

    def backward(self, learner: Learner, forget: Batch, retain: Batch | None, share: float) -> StepLosses:
        """Add the gradients of both terms."""
        beta = self.settings.beta
        loss = -2 / beta * mean_over_texts(logsigmoid(beta * self._advantage(learner, forget)), forget)
        (share * self.settings.gamma * loss).backward()
        return StepLosses(float(loss.detach()), retain_term(learner, retain, share * self.settings.alpha))


class Npo(_Preference):
    """Answers less likely than the start model finds them."""

    name = "npo"
    needs_reference = True

    def _advantage(self, learner: Learner, forget: Batch) -> Any:
        reference = reference_nll(learner, forget)
        return text_nll(learner, forget) - reference


class SimNpo(_Preference):
    """Answers unlikely, by mean token loss."""

    name = "simnpo"

    def __init__(self, settings: SimNpoSettings) -> None:
        super().__init__(settings)
        self._delta = settings.delta

    def _advantage(self, learner: Learner, forget: Batch) -> Any:
        return text_nll(learner, forget) / answer_lengths(forget).clamp_min(1) - self._delta


class IdkDpo(_Preference):
    """Refusals preferred to answers."""

    name = "idk_dpo"
    needs_reference = True

    def _advantage(self, learner: Learner, forget: Batch) -> Any:
        if forget.alternative is None:
            raise ValueError("idk_dpo needs an alternative to every answer: see batches.with_refusals")
        kept, given_up = reference_nll(learner, forget.alternative), reference_nll(learner, forget)
        preferred = kept - text_nll(learner, forget.alternative)
        return preferred - (given_up - text_nll(learner, forget))
