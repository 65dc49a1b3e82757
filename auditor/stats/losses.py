"""Losses between -1 and 1 as bounded numbers, and the p-values for "their mean exceeds epsilon"."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from auditor.stats.p_values import binomial_p_value, hoeffding_bentkus_p_value, wsr_p_value

Transform = Literal["clip", "scale"]
PValue = Literal["wsr", "hb", "binomial"]


def loss_p_values(
    losses: NDArray[np.float64], epsilon: float, delta: float, transform: Transform, p_value: PValue
) -> NDArray[np.float64]:
    """p-values for "the mean loss exceeds epsilon".

    Parameters
    ----------
    losses : ndarray of shape (..., n)
        Between -1 and 1; drawn independently, in an order that does not depend on them.
    epsilon : float
        At least 0 and less than 1.
    delta : float
        Level at which betting aims; every p-value is valid at every level.
    transform : {"scale", "clip"}
        "scale" tests (l + 1) / 2 against (epsilon + 1) / 2; "clip" tests max(l, 0) against epsilon.
    p_value : {"wsr", "hb", "binomial"}
        Betting, Hoeffding-Bentkus, or the exact binomial tail, which is valid for losses of 0 and 1 only.

    Returns
    -------
    ndarray of shape (...)

    Raises
    ------
    ValueError
        If a name is unknown, or the binomial tail is asked for where it is not valid.
    """
    if transform == "clip":
        bounded, level = np.maximum(losses, 0.0), epsilon
    elif transform == "scale":
        bounded, level = (losses + 1) / 2, (epsilon + 1) / 2
    else:
        raise ValueError(f'transform is "clip" or "scale", not "{transform}"')
    n = losses.shape[-1]
    if p_value == "wsr":
        return wsr_p_value(bounded, level, delta)
    if p_value == "hb":
        return hoeffding_bentkus_p_value(bounded.mean(axis=-1), n, level)
    if p_value != "binomial":
        raise ValueError(f'p_value is "wsr", "hb" or "binomial", not "{p_value}"')
    if transform == "scale":
        raise ValueError(
            "the binomial tail is exact for losses of 0 and 1 only; scaled losses have a third value, one half, and no "
            'theorem covers them: use transform="clip", or p_value="wsr" or "hb"'
        )
    if not np.isin(bounded, (0.0, 1.0)).all():
        raise ValueError(
            'the binomial tail is exact for losses of 0 and 1 only, and here are others: use p_value="wsr" or "hb"'
        )
    return binomial_p_value(bounded.sum(axis=-1), n, level)
