"""Terms that objectives are made of, read at answer tokens only. Worker processes only.

The head is applied to the rows of hidden states at which a token is to be predicted, and to no others. A batch without such
rows gives 0, and gradients of 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from auditor.audits.unlearning.batches import IGNORED, Batch, shifted
from auditor.audits.unlearning.objectives import Learner, StepLosses
from auditor.models.linear_losses import Head, Teacher, cross_entropy, squared_margin, token_nll


@dataclass(frozen=True)
class Rows:
    """Rows of hidden states at which a token is to be predicted.

    Attributes
    ----------
    hidden : tensor of shape (n, width)
    targets : int64 tensor of shape (n,)
        The token that comes next.
    texts : int64 tensor of shape (n,)
        Row of the batch that each is from.
    """

    hidden: Any
    targets: Any
    texts: Any


def head_of(learner: Learner) -> Head:
    """The head of a learner as it is now."""
    return Head(learner.head_weight, learner.head_bias, learner.logit_scale, learner.soft_cap)


def rows_at(learner: Learner, batch: Batch, labels: Any) -> Rows:
    """Hidden states of a batch at the positions with a label.

    Parameters
    ----------
    labels : int64 tensor of shape (n, t)
    """
    texts, _ = places = torch.nonzero(labels != IGNORED, as_tuple=True)
    hidden = learner.hidden_at(batch.ids, batch.attention_mask, texts * labels.shape[1] + places[1])
    return Rows(hidden, labels[places], texts)


def answer_rows(learner: Learner, batch: Batch) -> Rows:
    """Hidden states of a batch at the positions that predict its answers."""
    return rows_at(learner, batch, shifted(batch))


def mean_nll(learner: Learner, batch: Batch, weight: float = 1.0) -> Any:
    """`weight` times the mean negative log-likelihood of the answer tokens of a batch, nats; 0 without answers."""
    rows = answer_rows(learner, batch)
    return cross_entropy(rows.hidden, rows.targets, weight * _equal(rows.targets), head_of(learner))


def text_nll(learner: Learner, batch: Batch) -> Any:
    """Negative log-likelihood of each answer of a batch, nats, shape (n,); 0 for a text without an answer."""
    rows = answer_rows(learner, batch)
    losses = token_nll(rows.hidden, rows.targets, head_of(learner))
    # A product in place of an indexed sum, which has no fixed order on graphics processors.
    texts = torch.arange(len(batch.ids), device=losses.device)
    return (rows.texts == texts[:, None]).to(losses.dtype) @ losses


def reference_nll(learner: Learner, batch: Batch) -> Any:
    """The same of the model that training began with."""
    with torch.no_grad(), learner.reference():
        return text_nll(learner, batch)


def answer_lengths(batch: Batch) -> Any:
    """Answer tokens of each text that are predicted, int64 of shape (n,)."""
    return (shifted(batch) != IGNORED).sum(-1)


def mean_margin(learner: Learner, batch: Batch, *, parity: bool) -> Any:
    """Mean squared distance of the largest logit from the mean logit; 0 without answers.

    Parameters
    ----------
    parity : bool
        Over the positions of the answer's tokens, as published, in place of those that predict them.
    """
    rows = rows_at(learner, batch, batch.labels if parity else shifted(batch))
    return squared_margin(rows.hidden, _equal(rows.targets), head_of(learner))


def mean_distillation(learner: Learner, batch: Batch, strength: float) -> Any:
    """Mean cross-entropy of answer tokens to the start model's distribution with `strength` off the logit of the token."""
    with torch.no_grad(), learner.reference():
        taught = answer_rows(learner, batch).hidden
        teacher = Teacher(taught, head_of(learner), strength)
    rows = answer_rows(learner, batch)
    return cross_entropy(rows.hidden, rows.targets, _equal(rows.targets), head_of(learner), teacher=teacher)


def mean_over_texts(values: Any, batch: Batch) -> Any:
    """Mean over the texts of a batch that have an answer; 0 if none has."""
    counts = (answer_lengths(batch) > 0).to(values.dtype)
    return (counts @ values) / counts.sum().clamp_min(1)


def _equal(targets: Any) -> float:
    return 1 / max(1, len(targets))


class Stateless:
    """What methods share that keep nothing from one step to the next."""

    needs_reference = False

    def after_step(self, losses: StepLosses, epoch: int, last_of_epoch: bool) -> None:
        """Nothing follows."""

    def state(self) -> dict[str, float]:
        """Nothing is kept."""
        return {}

    def load(self, state: Mapping[str, float]) -> None:
        """Nothing was kept."""

    def warnings(self) -> tuple[str, ...]:
        """Nothing to say."""
        return ()


def retain_term(learner: Learner, retain: Batch | None, weight: float) -> float | None:
    """Add the gradients of `weight` times the retain loss, or read it only where it weighs nothing.

    Returns
    -------
    float or None
        The loss without its weight, nats; None without a batch.
    """
    if retain is None:
        return None
    if weight == 0:
        with torch.no_grad():
            return float(mean_nll(learner, retain))
    loss = mean_nll(learner, retain, weight)
    loss.backward()
    return float(loss.detach()) / weight
