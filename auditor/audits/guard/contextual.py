"""Contextual calibration: what a prompt without content makes of the labels is taken back, layer by layer.

A model prefers some labels whatever the text says, and its early layers do so most. The preference is seen in prompts
whose query says nothing ("N/A", "[MASK]", ""): Zhao, Wallace, Feng, Klein, Singh, "Calibrate before use: improving
few-shot performance of language models" (ICML 2021), read at every layer as in arXiv:2510.02480.
"""

import numpy as np
from numpy.typing import NDArray

#: Queries without content, after Zhao et al.
CONTENT_FREE = ("N/A", "[MASK]", "")
#: No label is taken as less probable than this: one prompt in which a label all but vanishes must not rule the mean (ours).
_LEAST = 1e-4


def weights(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weight of every label at every exit: the mean of 1 / p over prompts without content, smoothed over three layers.

    Parameters
    ----------
    p : ndarray of shape (n_prompts, n_exits, n_labels)
        Probabilities of the labels for prompts whose query says nothing.

    Returns
    -------
    ndarray of shape (n_exits, n_labels)
        Diagonals of the matrices W of the method, scaled so that the weights of an exit have a mean of 1.
    """
    inverse = (1 / np.maximum(p, _LEAST)).mean(axis=0)
    padded = np.concatenate([inverse[:1], inverse, inverse[-1:]])
    # At both ends there are two layers only; the row repeated by the padding is taken out again.
    sums = padded[:-2] + padded[1:-1] + padded[2:]
    counts = np.full((len(inverse), 1), 3.0)
    sums[0] -= padded[0]
    sums[-1] -= padded[-1]
    counts[0] -= 1
    counts[-1] -= 1
    smooth = sums / counts
    found: NDArray[np.float64] = smooth / smooth.mean(axis=-1, keepdims=True)
    return found


def calibrated(p: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """W p, normalised to sum to 1: probabilities stay as they are where no label was preferred.

    The softmax of W p, which published code takes, would hold two labels below .88 and three below .91 however sure the model
    is; the order of the labels is the same.

    Parameters
    ----------
    p : ndarray of shape (..., n_exits, n_labels)
    weight : ndarray of shape (n_exits, n_labels)
    """
    weighted = p * weight
    q: NDArray[np.float64] = weighted / weighted.sum(axis=-1, keepdims=True)
    return q
