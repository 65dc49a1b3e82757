"""How well a model knows an answer word for word: probability, exact memorisation, extraction strength.

As open-unlearning computes them [1]_, but for one thing: where not even the last token of an answer is right, extraction
strength is 0 here and 1 / T there.

References
----------
.. [1] Dorna, V. et al. (2025). OpenUnlearning: Accelerating LLM Unlearning via Unified Benchmarking of Methods and
   Metrics. arXiv:2506.12618.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def probability(loss: float) -> float:
    """exp(-loss) of a mean loss a token: the geometric mean of the probabilities of the tokens."""
    return float(np.exp(-loss))


def probability_among(right: float, wrong: Sequence[float]) -> float:
    """Probability of the right answer as a share, p / (p + sum of the wrong ones' p); nan without wrong answers.

    For questions with given choices.

    Parameters
    ----------
    right : float
        Probability of the right answer, as `probability` gives it.
    wrong : sequence of float
        Of each wrong one.
    """
    total = right + float(np.sum(np.asarray(wrong, np.float64)))
    return right / total if len(wrong) and total > 0 else float("nan")


def exact_memorisation(hits: NDArray[np.bool_]) -> float:
    """Share of an answer's tokens that are the likeliest one after all tokens before them.

    Parameters
    ----------
    hits : ndarray of bool, shape (n_tokens,)
    """
    return float(np.mean(hits)) if hits.size else float("nan")


def extraction_strength(hits: NDArray[np.bool_]) -> float:
    """1 - k / T for the smallest k from which on every token of the answer is the likeliest; 0 if there is none."""
    if not hits.size:
        return float("nan")
    missed = np.flatnonzero(~hits)
    k = int(missed[-1]) + 1 if missed.size else 0
    return 1 - k / hits.size
