"""What is measured before, while and after a model is trained: answers read and generated, and mean losses of token lists.

Worker processes only: torch is imported where a model is there already.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from auditor.audits.unlearning.asking import Asking, Steps, Tell, n_steps
from auditor.audits.unlearning.batches import IGNORED, Tokens, collate
from auditor.audits.unlearning.examples import Example
from auditor.audits.unlearning.metrics.metric import Metric, mean
from auditor.audits.unlearning.probes import ProbeRow, probe
from auditor.audits.unlearning.reference import Reference
from auditor.audits.unlearning.scored import EvaluationSettings, Scored, told_of_cuts
from auditor.audits.unlearning.template import Template

if TYPE_CHECKING:
    from auditor.models.trainable import Trainable

PROBES = "probes"
_PAD = 0


class Measured(BaseModel):
    """What was measured of a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metrics: dict[str, Metric]
    device: str = Field(description="What computed them, in words.")
    dtype: str = Field(description="Precision they were computed in.")
    examples: tuple[Scored, ...] = Field(description="Of the sets forget, retain, holdout and probes.")
    other_ways: tuple[ProbeRow, ...] = Field(description="What is forgotten, asked for in other ways.")


@dataclass(frozen=True)
class Losses:
    """Losses of texts.

    Attributes
    ----------
    sums : ndarray of shape (n,)
        Over the answer tokens of each, nats.
    counts : ndarray of int64, shape (n,)
        Answer tokens of each.
    """

    sums: NDArray[np.float64]
    counts: NDArray[np.int64]

    @property
    def mean(self) -> float:
        """Mean over all answer tokens, nats: what epsilon bounds."""
        return float(self.sums.sum() / max(1, self.counts.sum()))

    @property
    def probability(self) -> float:
        """Mean over texts of the probability a token, exp(-mean loss)."""
        has = self.counts > 0
        return float(np.exp(-self.sums[has] / self.counts[has]).mean()) if has.any() else float("nan")


def measure(
    learner: "Trainable",
    sets: Mapping[str, Sequence[Example]],
    *,
    template: Template,
    settings: EvaluationSettings,
    seed: int,
    tell: Tell,
    other_ways: bool = True,
    reference: Reference | None = None,
) -> Measured:
    """Read and generate the answers of every set.

    Parameters
    ----------
    sets : mapping of str to sequence of Example
        "forget" and "retain", "holdout" and "probes" where they are there.
    template : Template
    settings : EvaluationSettings
    seed : int
        Of the intervals.
    tell : callable
        Called with what is done, of how much, and what is being done; may raise to stop.
    other_ways : bool
        Whether what is forgotten is asked for in other ways too.
    reference : Reference, optional
        Figures of a model that has never learnt what is to be forgotten.
    """
    from auditor.audits.unlearning.evaluation import evaluate

    own = {name: sets[name] for name in ("forget", "retain", "holdout") if sets.get(name)}
    found = evaluate(learner, own, template=template, seed=seed, settings=settings, reference=reference, tell=tell)
    asked_otherwise = sets["forget"] if other_ways else ()
    ways = probe(learner, asked_otherwise, template=template, seed=seed, settings=settings, tell=tell)
    asked = sets.get(PROBES, ())
    asking = Asking(learner, template, settings, Steps(tell, n_steps(asked, generated=settings.max_new_tokens > 0)))
    scored = asking.scored(PROBES, asked, membership_scores=False, generated=True) if asked else []
    return Measured(
        metrics={**found.metrics, **ways.metrics, **told_of_cuts(_of_probes(scored, seed), settings)},
        device=learner.model.device_name,
        dtype=learner.model.precision.dtype,
        examples=(*found.examples, *scored),
        other_ways=ways.rows,
    )


def _of_probes(scored: Sequence[Scored], seed: int) -> dict[str, Metric]:
    """Figures of a person's own probes."""
    why = "No file of probes was given."
    recalls = [np.nan if one.rouge_recall is None else one.rouge_recall for one in scored]
    return {
        "probes_probability": mean([one.answer_probability for one in scored], seed=seed, empty=why),
        "probes_rouge_recall": mean(recalls, seed=seed, empty="Nothing was generated." if scored else why),
    }


def losses(learner: "Trainable", texts: Sequence[Tokens], batch_size: int) -> Losses:
    """Losses of token lists, with the model as it is now."""
    import torch

    from auditor.audits.unlearning.objective_terms import answer_lengths, text_nll

    sums, counts = list[float](), list[int]()
    with torch.no_grad():
        for start in range(0, len(texts), batch_size):
            batch = collate(texts[start : start + batch_size], _PAD).to(learner.device)
            sums += text_nll(learner, batch).double().tolist()
            counts += answer_lengths(batch).tolist()
    return Losses(np.array(sums, np.float64), np.array(counts, np.int64))


def margin(learner: "Trainable", texts: Sequence[Tokens], batch_size: int, *, parity: bool) -> float:
    """Mean squared margin of the logits of what is to be forgotten: the forget loss of pdu."""
    import torch

    from auditor.audits.unlearning.objective_terms import answer_lengths, mean_margin

    total, n = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(texts), batch_size):
            batch = collate(texts[start : start + batch_size], _PAD).to(learner.device)
            # Unshifted labels have the first answer token too where nothing stands before it.
            count = int((batch.labels != IGNORED).sum()) if parity else int(answer_lengths(batch).sum())
            total += count * float(mean_margin(learner, batch, parity=parity))
            n += count
    return total / max(1, n)
