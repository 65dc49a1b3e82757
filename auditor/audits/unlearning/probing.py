"""What is measured of a few answers while a model is trained: how it forgets, and how it keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from auditor.audits import Context
from auditor.audits.unlearning.batches import Tokens
from auditor.audits.unlearning.measuring import Losses, losses
from auditor.audits.unlearning.training import Probe

if TYPE_CHECKING:
    from auditor.models.trainable import Trainable
    from auditor.models.world import World

#: Rows of this name are flushed by probes.
TRACE = "trace"


@dataclass(frozen=True)
class Prober:
    """Measures a few answers with the model as it is when it is called.

    Attributes
    ----------
    learner : Trainable
    forget, retain : sequence of Tokens
    batch_size : int
    context : Context
        Told what was found.
    world : World, optional
        The processes that train together: each measures some of the batches.
    """

    learner: "Trainable"
    forget: Sequence[Tokens]
    retain: Sequence[Tokens]
    batch_size: int
    context: Context
    world: "World | None" = None

    def __call__(self, step: int) -> Probe:
        """Measure them after a step, and tell it."""
        found = self.losses()
        forget, retain = found["forget"], found["retain"]
        row: dict[str, Any] = {
            "step": step,
            "forget_probability": forget.probability,
            "retain_probability": retain.probability,
            "retain_loss": retain.mean,
            "n": max(len(one.counts) for one in found.values()),
        }
        # A model that has run away has no such figures; the next step says so.
        if all(isfinite(value) for value in row.values()):
            for name in ("forget_probability", "retain_probability"):
                self.context.metric(name, float(row[name]), step)
            self.context.row(TRACE, row)
        return Probe(forget=forget.probability, retain=retain.mean)

    def losses(self) -> Mapping[str, Losses]:
        """Losses of both kinds."""
        return {"forget": self._losses(self.forget), "retain": self._losses(self.retain)}

    def _losses(self, texts: Sequence[Tokens]) -> Losses:
        if self.world is None or self.world.is_alone:
            return losses(self.learner, texts, self.batch_size)
        return shared_losses(self.learner, texts, self.batch_size, self.world)


def shared_losses(learner: "Trainable", texts: Sequence[Tokens], batch_size: int, world: "World") -> Losses:
    """Losses of token lists, each batch measured by one of the processes that train together, and told to all."""
    from auditor.audits.unlearning.turns import turns

    sums, counts = np.zeros(len(texts)), np.zeros(len(texts))
    places = range(0, len(texts), batch_size)
    for place in turns(places, world.rank, world.size):
        here = slice(place or 0, (place or 0) + batch_size)
        found = losses(learner, texts[here], batch_size)
        if place is not None:
            sums[here], counts[here] = found.sums, found.counts
    # Each has zeros where another has measured, so that nothing is rounded.
    told = np.array(world.totals([*sums, *counts])).reshape(2, -1)
    return Losses(told[0], told[1].astype(np.int64))
