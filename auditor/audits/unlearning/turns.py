"""How the batches of a step are shared out among processes that train together. Worker processes only.

Batches are counted off: the first goes to the first process, the second to the next, and so on. All processes compute as
often, since the layers of the model are put together by all at once; one for which no batch is left computes a batch in
which nothing is to be predicted, whose loss and gradients are 0.
"""

from collections.abc import Sequence
from dataclasses import replace

from auditor.audits.unlearning.batches import IGNORED, Batch


def turns(places: Sequence[int], rank: int, size: int) -> list[int | None]:
    """Places of batches that a process computes one after the other, None where it has none left while others do.

    Parameters
    ----------
    places : sequence of int
        Of all batches of a step.
    rank, size : int
        Number of the process, from 0, and how many there are.
    """
    n = -(-len(places) // size)
    own: list[int | None] = list(places[rank::size])
    return own + [None] * (n - len(own))


def unlabelled(batch: Batch) -> Batch:
    """The same texts, in which nothing is to be predicted."""
    other = None if batch.alternative is None else unlabelled(batch.alternative)
    return replace(batch, labels=batch.labels.new_full(batch.labels.shape, IGNORED), alternative=other)
