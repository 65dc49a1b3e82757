"""Ask prompts whose query says nothing: what contextual calibration is made from."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from auditor.audits.guard.conditions import CORRECT, ZERO_SHOT
from auditor.audits.guard.contextual import CONTENT_FREE, weights
from auditor.audits.guard.early_exit import softmax
from auditor.audits.guard.prompts import Prompts
from auditor.models.exits import Prompt, Scorer

#: Sets of demonstrations drawn for each text where they are drawn for each query (ours; published code takes 250).
_DRAWS = 8
#: No query of a file has such an id, so these draws are nobody's.
_NOBODY = "\x00content-free "


def n_prompts(prompts: Prompts) -> int:
    """How many prompts are asked."""
    return len(CONTENT_FREE) * (1 + 2 * _draws(prompts))


def label_weights(
    scorer: Scorer, prompts: Prompts, attack: str, labels: Sequence[Sequence[int]]
) -> NDArray[np.float64]:
    """Weights of contextual calibration, shape (n_exits, n_labels).

    Zero-shot prompts, those with correct and those with corrupted demonstrations count the same.

    Parameters
    ----------
    attack : str
        Condition of the corrupted demonstrations.
    labels : sequence of sequence of int
        Tokens by which each label is scored.
    """
    draws = [f"{_NOBODY}{number}" for number in range(_draws(prompts))]
    plan = [(ZERO_SHOT, draws[:1])] + [(condition, draws) for condition in (CORRECT, attack)]
    means = []
    for condition, names in plan:
        made = [
            prompts.with_demonstrations(prompts.demonstrations(condition, name), text)
            for name in names
            for text in CONTENT_FREE
        ]
        p = softmax(scorer.scores([Prompt(one.prefix, one.query) for one in made], labels))
        means.append(np.repeat(p, len(draws) // len(names), axis=0))
    return weights(np.concatenate(means))


def _draws(prompts: Prompts) -> int:
    return 1 if prompts.draw.is_fixed else _DRAWS
