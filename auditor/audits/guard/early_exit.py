"""The guard itself: an answer from the first layer that is sure enough, or the zero-shot answer.

Wynn et al., "Controlling the risk of corrupted contexts for language models via early-exiting" (arXiv:2510.02480): a model
shown bad demonstrations tends to be misled in its late layers. So the layers are read one after another through the
model's own final norm and head (the logit lens), the labels' scores become probabilities, and the first exit whose confidence
exceeds a threshold lambda answers. If none does, the demonstrations are dropped and the full model's zero-shot answer
stands. lambda = 1 is therefore exactly zero-shot, and the loss against zero-shot is 0 there.

Everything here is numpy on scores that were computed once, of shape (n, n_exits, n_labels). Exit e, from 0, is read after
layer e + 1; the last exit is the full model. The embedding is no exit. A query that falls back has exit n_exits.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Measure = Literal["max", "gap", "entropy"]


def softmax(scores: ArrayLike) -> NDArray[np.float64]:
    """Probabilities over the last axis, in double precision: float32 scores of a sure model would all give 1.

    Parameters
    ----------
    scores : array_like of shape (..., n_labels)
        Logits.
    """
    logits = np.asarray(scores, dtype=np.float64)
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    q: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return q


def confidence(q: NDArray[np.float64], measure: Measure) -> NDArray[np.float64]:
    """How sure an exit is, from 0 to 1.

    Parameters
    ----------
    q : ndarray of shape (..., n_labels)
        Probabilities.
    measure : {"max", "gap", "entropy"}
        The largest probability; the largest less the second; 1 less the entropy over that of a uniform guess.

    Returns
    -------
    ndarray of shape (...)
    """
    if measure == "max":
        largest: NDArray[np.float64] = q.max(axis=-1)
        return largest
    if measure == "gap":
        two = np.partition(q, -2, axis=-1)[..., -2:]
        gap: NDArray[np.float64] = two[..., 1] - two[..., 0]
        return gap
    if measure != "entropy":
        raise ValueError(f'the measure is "max", "gap" or "entropy", not "{measure}"')
    logs = np.log(q, out=np.zeros_like(q), where=q > 0)
    sure: NDArray[np.float64] = np.clip(1 + (q * logs).sum(axis=-1) / np.log(q.shape[-1]), 0.0, 1.0)
    return sure


def lambda_grid(step: float) -> NDArray[np.float64]:
    """Thresholds from 1 down to 0, fixed before anything is measured.

    Parameters
    ----------
    step : float
        Between two thresholds, above 0 and at most 1.
    """
    if not 0 < step <= 1:
        raise ValueError("the step is above 0 and at most 1")
    grid: NDArray[np.float64] = np.round(1 - step * np.arange(int(np.floor(1 / step + 1e-9)) + 1), 10)
    return np.maximum(grid, 0.0)


def first_exit(share: float, n_exits: int) -> int:
    """The first exit that may answer: the first after this share of the layers, and never none at all.

    Parameters
    ----------
    share : float
        Of the depth, from 0 to 1; at .5 of 30 layers, exit 15, which is read after layer 16.
    """
    return min(int(np.ceil(share * n_exits - 1e-9)), n_exits - 1)


@dataclass(frozen=True, eq=False)
class Predictions:
    """What the guard answers at every threshold.

    Attributes
    ----------
    labels : ndarray of intp, shape (n_lambdas, n)
    exits : ndarray of intp, shape (n_lambdas, n)
        The exit that answered, from 0; n_exits where the guard fell back on zero-shot.
    """

    labels: NDArray[np.intp]
    exits: NDArray[np.intp]


def predictions(
    q: NDArray[np.float64],
    sure: NDArray[np.float64],
    zero_shot: NDArray[np.intp],
    lambdas: NDArray[np.float64],
    *,
    first: int,
) -> Predictions:
    """Answer at the first exit whose confidence exceeds lambda, strictly; else with the zero-shot label.

    Of labels that are equally probable the one that stands first in the task is taken.

    Parameters
    ----------
    q : ndarray of shape (n, n_exits, n_labels)
        Probabilities of the labels at every exit, with the demonstrations in the prompt.
    sure : ndarray of shape (n, n_exits)
        Confidence.
    zero_shot : ndarray of shape (n,)
        The full model's label without demonstrations.
    lambdas : ndarray of shape (n_lambdas,)
    first : int
        First exit that may answer.
    """
    n, n_exits, _ = q.shape
    answers = np.concatenate([q.argmax(axis=-1), zero_shot[:, None]], axis=1)  # the last column is the fall-back
    # Confidence at its highest so far: an exit is passed over as long as none up to it has been sure enough.
    highest = np.maximum.accumulate(sure[:, first:], axis=1)
    exits = np.empty((len(lambdas), n), dtype=np.intp)
    for i, threshold in enumerate(lambdas):
        exits[i] = first + (highest <= threshold).sum(axis=1)
    exits[lambdas >= 1] = n_exits  # by definition, whatever rounding makes of a probability
    return Predictions(labels=answers[np.arange(n), exits], exits=exits)


def losses(labels: NDArray[np.intp], truth: NDArray[np.intp], zero_shot: NDArray[np.intp]) -> NDArray[np.float64]:
    """1[guarded is wrong] - 1[zero-shot is wrong]: 1 where the guard harmed, -1 where it helped, else 0.

    Parameters
    ----------
    labels : ndarray of shape (..., n)
    truth, zero_shot : ndarray of shape (n,)
    """
    found: NDArray[np.float64] = (labels != truth).astype(np.float64) - (zero_shot != truth)
    return found


def layer_passes(exits: NDArray[np.intp], lambdas: NDArray[np.float64], n_exits: int) -> NDArray[np.int64]:
    """Layers that are run for every query, with those of the zero-shot pass where the guard fell back.

    At lambda = 1 nobody would show the demonstrations to the model at all: one zero-shot pass.

    Parameters
    ----------
    exits : ndarray of shape (n_lambdas, n)
    lambdas : ndarray of shape (n_lambdas,)
    """
    passes = np.where(exits == n_exits, 2 * n_exits, exits + 1).astype(np.int64)
    passes[lambdas >= 1] = n_exits
    return passes
