"""From the scores of every exit to answers: zero-shot, unguarded, and guarded at every threshold.

Zero-shot and unguarded answers are the full model's own, as people use it without a guard. Contextual calibration changes the
reading of the guard's exits alone, so that what the guard is compared with does not depend on it (ours).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.audits.guard import early_exit
from auditor.audits.guard.contextual import calibrated
from auditor.audits.guard.early_exit import Measure, Predictions, softmax


@dataclass(frozen=True, eq=False)
class Scores:
    """Logits of the labels at every exit, float32.

    Attributes
    ----------
    zero_shot : ndarray of shape (n, n_exits, n_labels)
    by_condition : mapping of str to ndarray of shape (n, n_exits, n_labels)
        Correct demonstrations first, then the attacks.
    """

    zero_shot: NDArray[np.float32]
    by_condition: Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Reading:
    """How the guard reads scores.

    Attributes
    ----------
    measure : {"max", "gap", "entropy"}
        Of confidence.
    first : int
        First exit that may answer, from 0.
    weight : ndarray of shape (n_exits, n_labels) or None
        Of contextual calibration, if it is asked for.
    """

    measure: Measure
    first: int
    weight: NDArray[np.float64] | None

    def probabilities(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities of the labels, shape (..., n_exits, n_labels)."""
        p = softmax(scores)
        return p if self.weight is None else calibrated(p, self.weight)

    def at(self, exit_: int, scores: NDArray[np.float32]) -> tuple[int, float]:
        """Label and confidence at one exit, from its scores of shape (n_labels,)."""
        q = softmax(scores)
        if self.weight is not None:
            q = calibrated(q, self.weight[exit_])
        return int(q.argmax()), float(early_exit.confidence(q, self.measure))


@dataclass(frozen=True, eq=False)
class UnderCondition:
    """What is answered under one condition.

    Attributes
    ----------
    q : ndarray of shape (n, n_exits, n_labels)
        Probabilities of the labels, as the guard reads them.
    sure : ndarray of shape (n, n_exits)
        Confidence.
    plain : ndarray of shape (n, n_labels)
        Probabilities of the full model, as it gives them.
    unguarded : ndarray of intp, shape (n,)
        Its label.
    guarded : Predictions
        At every threshold.
    losses : ndarray of shape (n_lambdas, n)
        Of the guarded answers against zero-shot.
    passes : ndarray of int64, shape (n_lambdas, n)
        Layers that are run.
    """

    q: NDArray[np.float64]
    sure: NDArray[np.float64]
    plain: NDArray[np.float64]
    unguarded: NDArray[np.intp]
    guarded: Predictions
    losses: NDArray[np.float64]
    passes: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Answers:
    """Everything that was answered.

    Attributes
    ----------
    lambdas : ndarray of shape (n_lambdas,)
    truth, zero_shot : ndarray of intp, shape (n,)
        The right label, and the full model's without demonstrations.
    plain_zero_shot : ndarray of shape (n, n_labels)
        Probabilities of the full model without demonstrations, as it gives them.
    q_zero_shot : ndarray of shape (n, n_exits, n_labels)
        Those at every exit, as the guard reads them.
    by_condition : mapping of str to UnderCondition
    """

    lambdas: NDArray[np.float64]
    truth: NDArray[np.intp]
    zero_shot: NDArray[np.intp]
    plain_zero_shot: NDArray[np.float64]
    q_zero_shot: NDArray[np.float64]
    by_condition: Mapping[str, UnderCondition]

    @property
    def n_exits(self) -> int:
        """Exits of the model."""
        return int(self.q_zero_shot.shape[1])

    @property
    def zero_shot_right(self) -> NDArray[np.bool_]:
        """Which queries are right without demonstrations."""
        right: NDArray[np.bool_] = self.zero_shot == self.truth
        return right


def answered(scores: Scores, truth: Sequence[int], reading: Reading, lambdas: NDArray[np.float64]) -> Answers:
    """Read every score.

    Parameters
    ----------
    scores : Scores
    truth : sequence of n int
        Number of the right label.
    reading : Reading
    lambdas : ndarray of shape (n_lambdas,)
        Descending from 1.
    """
    right = np.asarray(truth, dtype=np.intp)
    plain_zero_shot = softmax(scores.zero_shot[:, -1])
    zero_shot = plain_zero_shot.argmax(axis=-1)
    found = {}
    for condition, given in scores.by_condition.items():
        q = reading.probabilities(given)
        sure, plain = early_exit.confidence(q, reading.measure), softmax(given[:, -1])
        guarded = early_exit.predictions(q, sure, zero_shot, lambdas, first=reading.first)
        found[condition] = UnderCondition(
            q=q,
            sure=sure,
            plain=plain,
            unguarded=plain.argmax(axis=-1),
            guarded=guarded,
            losses=early_exit.losses(guarded.labels, right, zero_shot),
            passes=early_exit.layer_passes(guarded.exits, lambdas, q.shape[1]),
        )
    return Answers(lambdas, right, zero_shot, plain_zero_shot, reading.probabilities(scores.zero_shot), found)
