"""Representation misdirection: hidden states of the forget set are drawn to a random vector. Worker processes only.

gamma mean ||h(forget) - c u||^2 / width + alpha mean ||h(retain) - h0(retain)||^2 / width, with h the output of one layer,
h0 that of the start model, and u a direction with entries drawn from 0 to 1 [1]_. Means are over the answer tokens of a
text, then over texts that have some. As in open-unlearning every parameter up to the layer learns; WMDP trains three
matrices.

References
----------
.. [1] Li, N. et al. (2024). The WMDP Benchmark: Measuring and Reducing Malicious Use With Unlearning. arXiv:2403.03218.
"""

from typing import Any

import torch

from auditor.audits.unlearning.batches import IGNORED, Batch
from auditor.audits.unlearning.objective_settings import RmuSettings
from auditor.audits.unlearning.objective_terms import Stateless, retain_term
from auditor.audits.unlearning.objectives import Learner, StepLosses


class Rmu(Stateless):
    """The method.

    Parameters
    ----------
    settings : RmuSettings
    """

    name = "rmu"
    needs_reference = True

    def __init__(self, settings: RmuSettings) -> None:
        self.settings = settings

    def backward(self, learner: Learner, forget: Batch, retain: Batch | None, share: float) -> StepLosses:
        """Add the gradients of both terms.

        Raises
        ------
        ValueError
            If there is no retain batch.
        """
        if retain is None:
            raise ValueError("rmu needs a retain set")
        found = self._output(learner, forget)
        loss = mean_distance(found, steering_vector(found, self.settings), forget)
        (share * self.settings.gamma * loss).backward()
        with torch.no_grad(), learner.reference():
            before = self._output(learner, retain)
        kept = mean_distance(self._output(learner, retain), before, retain)
        (share * self.settings.alpha * kept).backward()
        return StepLosses(float(loss.detach()), retain_term(learner, retain, 0.0))

    def _output(self, learner: Learner, batch: Batch) -> Any:
        return learner.layer_output(batch.ids, batch.attention_mask, self.settings.layer)


def steering_vector(like: Any, settings: RmuSettings) -> Any:
    """The vector that activations are drawn to, shape (width,), a function of the seed and the width.

    Parameters
    ----------
    like : tensor of shape (..., width)
    """
    generator = torch.Generator().manual_seed(settings.seed)
    direction = torch.rand(like.shape[-1], generator=generator, dtype=torch.float64)
    return (settings.steering * direction / direction.norm()).to(like.device, like.dtype)


def mean_distance(found: Any, wanted: Any, batch: Batch) -> Any:
    """Mean squared difference over width, answer tokens, and texts that have some; 0 if none has.

    Parameters
    ----------
    found : tensor of shape (n, t, width)
    wanted : tensor that broadcasts to it
    """
    answers = (batch.labels != IGNORED).to(torch.promote_types(found.dtype, torch.float32))
    lengths = answers.sum(-1)
    each = (found - wanted).to(answers.dtype).square().mean(-1)
    # Positions without a label stay out before the sum: what padding computes may be anything.
    means = each.where(answers > 0, 0.0).sum(-1) / lengths.clamp_min(1)
    return means.sum() / (lengths > 0).sum().clamp_min(1)
