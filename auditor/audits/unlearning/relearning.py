"""Training a copy of a model again, to see how fast what was forgotten comes back. Worker processes only.

The loop is plain fine-tuning by AdamW at a constant rate. Everything it draws is a function of the seed, so that it can be done
again from the beginning wherever it was stopped; it keeps no checkpoints.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from auditor.audits import Context
from auditor.audits.stages import stop_if_asked
from auditor.audits.unlearning.batches import Tokens, collate, order
from auditor.audits.unlearning.examples import Example, plain
from auditor.audits.unlearning.findings import CurvePoint
from auditor.audits.unlearning.inputs import UnlearningInputs
from auditor.audits.unlearning.material import drawn
from auditor.audits.unlearning.metrics.metric import Metric
from auditor.errors import ModelError

if TYPE_CHECKING:
    from auditor.models.trainable import Trainable

#: Points of a curve behind the first, at most (ours).
_MOST_POINTS = 8
_PAD = 0


def split_items(examples: Sequence[Example], n: int, seed: int) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """A few examples to train on again, drawn by the seed, and the others, on which it is measured what comes back.

    Parameters
    ----------
    examples : sequence of Example
        To forget.
    n : int
        Examples to draw; at most half of all are.
    seed : int

    Returns
    -------
    items, others : tuple of Example
        In the order of the file. Nothing of the others has a question or an answer of the items.
    """
    items = drawn(examples, min(n, len(examples) // 2), "items", seed) if len(examples) > 1 else ()
    rows = {one.row for one in items}
    questions = {plain(one.question) for one in items if one.question is not None}
    told = {plain(one.answer) for one in items}
    others = tuple(
        one
        for one in examples
        if one.row not in rows and plain(one.answer) not in told and plain(one.question or "") not in questions
    )
    return items, others


def benign(given: UnlearningInputs) -> tuple[Example, ...]:
    """Examples to keep that are like none to forget: whoever trains on them asks for nothing of what is forgotten."""
    alike = {pair.other.row for pair in given.overlaps if pair.role == "retain"}
    return tuple(one for one in given.retain if one.row not in alike)


def points(steps: int) -> set[int]:
    """Steps after which it is measured: the first, the last, and a few between."""
    n = min(steps, _MOST_POINTS)
    return {round(place * steps / n) for place in range(n + 1)}


def relearn(
    learner: "Trainable",
    texts: Sequence[Tokens],
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    context: Context,
    measure: Callable[[], Metric],
    message: str,
) -> tuple[CurvePoint, ...]:
    """Train a model, and measure on the way.

    Parameters
    ----------
    learner : Trainable
        Is changed: load another one for whatever comes next.
    texts : sequence of Tokens
        Trained on, in an order drawn anew each time that all were seen.
    steps, batch_size : int
    learning_rate : float
        Of every step.
    context : Context
        Its seed decides the order.
    measure : callable
        The figure of a point, of the model as it is then.
    message : str
        For the progress.

    Raises
    ------
    Cancelled
        If a person asked for it.
    ModelError
        If a loss or a gradient is no number any more.
    """
    import torch

    from auditor.audits.unlearning.objective_terms import mean_nll
    from auditor.models.optimiser import AdamSettings, Optimiser

    torch.manual_seed(context.seed)
    optimiser = Optimiser(learner.named, AdamSettings())
    wanted = points(steps)
    found = [CurvePoint(step=0, forget=measure(), loss=None)]
    for step, batch in enumerate(_batches(texts, steps, batch_size, context.seed), 1):
        stop_if_asked(context)
        context.progress(step, steps, message)
        with learner.training():
            loss = mean_nll(learner, collate(batch, _PAD).to(learner.device))
            loss.backward()
        value = float(loss.detach())
        if not isfinite(value):
            raise ModelError(f"The loss is no number any more at step {step:,}: lower the relearning rate.")
        optimiser.step(learning_rate)
        if step in wanted:
            found.append(CurvePoint(step=step, forget=measure(), loss=value))
    return tuple(found)


def _batches(texts: Sequence[Tokens], steps: int, size: int, seed: int) -> Iterator[list[Tokens]]:
    """Batches of one size, from the endless sequence of all texts again and again."""
    n, size = len(texts), min(size, len(texts))
    orders: Mapping[int, Any] = {time: order(n, time, seed) for time in range(-(-steps * size // n))}
    for step in range(steps):
        places = [divmod(place, n) for place in range(step * size, (step + 1) * size)]
        yield [texts[orders[time][index]] for time, index in places]
