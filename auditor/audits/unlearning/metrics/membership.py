"""Membership inference: telling what was to be forgotten from texts that the model never saw.

Each attack gives every text a score that is low for texts a model has learnt; the area under the curve (AUC) is the
probability that a text of the forget set scores below one of the holdout set, ties counting half. About .5 means that
they cannot be told apart; near 1, that the texts are still known; near 0, that the model avoids them, which tells them
just as well.

- loss: mean loss a token.
- min-k: mean loss of the least likely 40% of the tokens [1]_.
- min-k++: the same of losses standardised by what the model expects at each place [2]_.
- zlib: mean loss over the bytes of the compressed text [3]_.
- reference: mean loss less that of a reference model [3]_.

References
----------
.. [1] Shi, W. et al. (2024). Detecting Pretraining Data from Large Language Models. arXiv:2310.16789.
.. [2] Zhang, J. et al. (2025). Min-K%++: Improved Baseline for Detecting Pre-Training Data from LLMs. arXiv:2404.02936.
.. [3] Carlini, N. et al. (2021). Extracting Training Data from Large Language Models. arXiv:2012.07805.
"""

import zlib

import numpy as np
from numpy.typing import NDArray

#: Share of the tokens that min-k looks at.
K = 0.4
#: Variances below this are taken for it.
_LEAST_VARIANCE = 1e-6
ATTACKS = ("loss", "min_k", "min_k_plus_plus", "zlib", "reference")


def loss_score(log_p: NDArray[np.float64]) -> float:
    """Mean loss a token.

    Parameters
    ----------
    log_p : ndarray of shape (n_tokens,)
        Log-probabilities of the tokens of a text.
    """
    return float(-np.mean(log_p))


def min_k(log_p: NDArray[np.float64], k: float = K) -> float:
    """Mean loss of the least likely share `k` of the tokens, of one token at least."""
    return float(-np.mean(np.sort(log_p)[: max(1, int(len(log_p) * k))]))


def min_k_plus_plus(
    log_p: NDArray[np.float64], mean: NDArray[np.float64], variance: NDArray[np.float64], k: float = K
) -> float:
    """The same of standardised log-probabilities.

    Parameters
    ----------
    mean, variance : ndarrays of shape (n_tokens,)
        Of the log-probability of a token drawn from the model at each place.
    """
    return min_k((log_p - mean) / np.sqrt(np.maximum(variance, _LEAST_VARIANCE)), k)


def zlib_score(log_p: NDArray[np.float64], text: str) -> float:
    """Mean loss a token over the bytes of the compressed text."""
    return loss_score(log_p) / len(zlib.compress(text.encode()))


def privleak(auc: float, auc_retrained: float) -> float:
    """100 ((1 - AUC) - (1 - AUC_r)) / (1 - AUC_r), in percent; nan where 1 - AUC_r is 0.

    Parameters
    ----------
    auc, auc_retrained : float
        Of min-k on the unlearned model, and on one that was trained without the forget set.
    """
    rest = 1 - auc_retrained
    return 100 * ((1 - auc) - rest) / rest if rest > 0 else float("nan")
