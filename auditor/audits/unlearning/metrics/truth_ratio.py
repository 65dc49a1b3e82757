"""Truth ratio: how much likelier wrong answers are than the right one in other words; and how it is summed up.

R = exp(-mean_j loss(wrong_j)) / exp(-loss(right)), with losses per token [1]_. A model that has never seen the facts
cannot tell them apart (R near 1); one that knows them has R near 0; one that was made to avoid the right answer has R
far above 1.

References
----------
.. [1] Maini, P. et al. (2024). TOFU: A Task of Fictitious Unlearning for LLMs. arXiv:2401.06121, section 2.2.2.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: Differences of losses beyond this are taken for it, so that R stays a number.
_MOST = 700.0


def truth_ratio(right_loss: float, wrong_losses: Sequence[float]) -> float:
    """R of one example; nan without wrong answers.

    Parameters
    ----------
    right_loss : float
        Mean loss a token of the right answer, paraphrased where there is a paraphrase; nats.
    wrong_losses : sequence of float
        The same of each wrong answer.
    """
    if not len(wrong_losses):
        return float("nan")
    difference = right_loss - np.mean(np.asarray(wrong_losses, np.float64))
    return float(np.exp(np.clip(difference, -_MOST, _MOST)))


def indistinct(ratios: NDArray[np.float64]) -> NDArray[np.float64]:
    """min(R, 1 / R) of each example: 1 where right and wrong answers are equally likely. For what was to be forgotten."""
    return np.minimum(ratios, 1 / ratios)


def truthful(ratios: NDArray[np.float64]) -> NDArray[np.float64]:
    """max(0, 1 - R) of each example: 1 where the right answer is far likelier. For what was to be kept."""
    return np.maximum(0.0, 1 - ratios)
