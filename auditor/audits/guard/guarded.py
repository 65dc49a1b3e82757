"""One guarded answer with a true early exit: layers that are not needed are not run."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.audits.guard.answers import Reading
from auditor.audits.guard.early_exit import confidence, softmax
from auditor.audits.guard.template import Encoded
from auditor.models.exits import Prompt, Scorer


@dataclass(frozen=True)
class GuardedAnswer:
    """What the guard says.

    Attributes
    ----------
    label : int
        Number of the label.
    exit : int
        The exit that answered, from 0; n_exits if the guard fell back on zero-shot.
    confidence : float
        At that exit, or of the zero-shot answer.
    """

    label: int
    exit: int
    confidence: float


def answer(
    scorer: Scorer,
    prompt: Encoded,
    zero_shot: Encoded,
    labels: Sequence[Sequence[int]],
    reading: Reading,
    threshold: float,
) -> GuardedAnswer:
    """Answer at the first exit whose confidence exceeds the threshold, else without the demonstrations.

    Parameters
    ----------
    prompt, zero_shot : Encoded
        With the demonstrations and without.
    labels : sequence of sequence of int
        Tokens by which each label is scored.
    reading : Reading
    threshold : float
        lambda; at 1 the demonstrations are not looked at.
    """

    def is_sure(exit_: int, scores: NDArray[np.float32]) -> bool:
        return reading.at(exit_, scores)[1] > threshold

    if threshold < 1:
        reached, scores = scorer.answer(Prompt(prompt.prefix, prompt.query), labels, is_sure, first_exit=reading.first)
        label, sure = reading.at(reached, scores)
        if sure > threshold:
            return GuardedAnswer(label, reached, sure)
    _, scores = full(scorer, zero_shot, labels)
    p = softmax(scores)  # the model's own answer, as without a guard
    return GuardedAnswer(int(p.argmax()), scorer.n_exits, float(confidence(p, reading.measure)))


def full(
    scorer: Scorer, prompt: Encoded, labels: Sequence[Sequence[int]], *, up_to: int | None = None
) -> tuple[int, NDArray[np.float32]]:
    """Run all layers, or those up to an exit, whatever they say."""
    exit_ = scorer.n_exits - 1 if up_to is None else up_to
    return scorer.answer(Prompt(prompt.prefix, prompt.query), labels, lambda _exit, _scores: True, first_exit=exit_)
