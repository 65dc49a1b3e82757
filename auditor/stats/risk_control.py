"""Risk control: the boldest setting whose risk is at most epsilon, with probability at least 1 - delta.

Every setting stands for the hypothesis "its risk exceeds epsilon"; settings whose hypothesis is rejected, with the
probability of any false rejection at most delta, may be used ("learn then test" [1]). It needs no model of the losses
and no risk that rises or falls with the setting.

References
----------
[1] A. Angelopoulos, S. Bates, E. J. Candes, M. I. Jordan, L. Lei, "Learn then test: calibrating predictive algorithms
    to achieve risk control" (2021), arXiv:2110.01052.
[2] R. L. Berger, "Multiparameter hypothesis testing and acceptance sampling", Technometrics 24 (1982) 295-300.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.stats.acceptance import Acceptance, certify_acceptance, fewest_contexts, start_threshold
from auditor.stats.losses import PValue, Transform, loss_p_values
from auditor.stats.minimum_n import fewest_queries
from auditor.stats.multiplicity import bonferroni, fixed_sequence, holm
from auditor.stats.p_values import binomial_p_value, clopper_pearson_upper, hoeffding_bentkus_p_value, wsr_p_value

__all__ = [
    "Acceptance",
    "Certificate",
    "PValue",
    "Select",
    "Transform",
    "binomial_p_value",
    "bonferroni",
    "certify",
    "certify_acceptance",
    "certify_every",
    "clopper_pearson_upper",
    "fewest_contexts",
    "fewest_queries",
    "fixed_sequence",
    "hoeffding_bentkus_p_value",
    "holm",
    "start_threshold",
    "wsr_p_value",
]

Select = Literal["fixed", "holm", "bonferroni", "uncorrected"]


@dataclass(frozen=True, eq=False)
class Certificate:
    """What risk control allows.

    Attributes
    ----------
    certified : bool
        Whether a lambda below 1 passed.
    index : int
        Its row; 0, that is lambda = 1, if none passed.
    lambda_hat : float
        The smallest lambda that may be used; 1 if none passed.
    p_values : ndarray of shape (n_lambdas,)
        For "the risk at this lambda exceeds epsilon"; nan at lambda = 1, which is never tested.
    passed : ndarray of shape (n_lambdas,), bool
        Which lambdas may be used; lambda = 1 always may.
    risks : ndarray of shape (n_lambdas,)
        Mean losses as given, before any transform.
    n : int
        Number of losses behind each.
    epsilon, delta : float
        Risk allowed, and probability that the risk at lambda_hat exceeds it after all.
    transform, p_value, select : str
        As asked for.
    guaranteed : bool
        False for "uncorrected", which is here for comparison only.
    covers : str
        What the guarantee covers, in a sentence.
    """

    certified: bool
    index: int
    lambda_hat: float
    p_values: NDArray[np.float64]
    passed: NDArray[np.bool_]
    risks: NDArray[np.float64]
    n: int
    epsilon: float
    delta: float
    transform: Transform
    p_value: PValue
    select: Select
    guaranteed: bool
    covers: str


def certify(
    losses: ArrayLike,
    lambdas: Sequence[float],
    *,
    epsilon: float,
    delta: float,
    transform: Transform = "scale",
    p_value: PValue = "wsr",
    select: Select = "fixed",
) -> Certificate:
    """The smallest lambda whose risk is at most epsilon, with probability at least 1 - delta over the losses drawn.

    lambda = 1 is the safe setting: its loss is 0 by construction, so it may always be used and is never tested; testing
    it would waste the first step of a fixed sequence.

    Parameters
    ----------
    losses : array_like of shape (n_lambdas, n)
        Loss of query j at lambda i, between -1 and 1; below 0 where the setting helped. Queries are drawn
        independently and stand in an order that does not depend on their losses.
    lambdas : sequence of n_lambdas numbers
        Descending from 1, fixed before the losses were seen.
    epsilon : float
        Mean loss allowed, at least 0 and less than 1.
    delta : float
        Probability of a risk above epsilon that is accepted, between 0 and 1.
    transform : {"scale", "clip"}
        "scale" tests (l + 1) / 2 against (epsilon + 1) / 2, so gains offset harm; "clip" tests max(l, 0) against
        epsilon and forgets the gains, which is conservative.
    p_value : {"wsr", "hb", "binomial"}
        Betting, Hoeffding-Bentkus, or the exact binomial tail, which is valid for losses of 0 and 1 only.
    select : {"fixed", "holm", "bonferroni", "uncorrected"}
        "fixed" tests from the first lambda below 1 downward and stops at the first that fails. "uncorrected" takes the
        smallest lambda with p <= delta, as published code does: it breaks the guarantee and is for comparison only.

    Raises
    ------
    ValueError
        If shapes do not fit, lambdas do not descend from 1, a loss lies outside -1 to 1, or the binomial tail is asked
        for where it is not valid.
    """
    return certify_every(
        [losses],
        lambdas,
        epsilon=epsilon,
        delta=delta,
        transform=transform,
        p_value=p_value,
        select=select,
    )


def certify_every(
    losses: Sequence[ArrayLike],
    lambdas: Sequence[float],
    *,
    epsilon: float,
    delta: float,
    transform: Transform = "scale",
    p_value: PValue = "wsr",
    select: Select = "fixed",
) -> Certificate:
    """The smallest lambda whose risk is at most epsilon under every one of several conditions.

    The hypothesis of a lambda is "the risk exceeds epsilon under at least one condition"; it is rejected where that of every
    condition is (intersection-union test [2]), so its p-value is the largest of theirs and needs no correction for their
    number, however they depend on each other.

    Parameters
    ----------
    losses : sequence of array_like of shape (n_lambdas, n)
        One table a condition, at least one; see `certify`, which is the case of one.
    lambdas, epsilon, delta, transform, p_value, select
        As for `certify`.

    Returns
    -------
    Certificate
        Its risks are the largest of the conditions', its n the smallest.

    Raises
    ------
    ValueError
        As for `certify`.
    """
    tables = [np.asarray(table, dtype=np.float64) for table in losses]
    grid = np.asarray(lambdas, dtype=np.float64)
    _check(tables, grid, delta)
    p = np.full(grid.size, np.nan)
    p[1:] = np.max([loss_p_values(table[1:], epsilon, delta, transform, p_value) for table in tables], axis=0)
    passed = _passed(p[1:], delta, select)
    index = 1 + int(np.flatnonzero(passed)[-1]) if passed.any() else 0
    return Certificate(
        certified=index > 0,
        index=index,
        lambda_hat=float(grid[index]),
        p_values=p,
        passed=np.concatenate([[True], passed]),
        risks=np.max([table.mean(axis=1) for table in tables], axis=0),
        n=min(table.shape[1] for table in tables),
        epsilon=epsilon,
        delta=delta,
        transform=transform,
        p_value=p_value,
        select=select,
        guaranteed=select != "uncorrected",
        covers=_covers(epsilon, delta, select, n_conditions=len(tables)),
    )


def _check(tables: Sequence[NDArray[np.float64]], grid: NDArray[np.float64], delta: float) -> None:
    if grid.ndim != 1 or grid.size == 0 or grid[0] != 1 or (np.diff(grid) >= 0).any():
        raise ValueError("lambdas descend from 1: the first is 1, each next is smaller")
    if not tables:
        raise ValueError("there is no condition: give at least one table of losses")
    for table in tables:
        if table.ndim != 2 or table.shape[0] != grid.size or table.shape[1] == 0:
            raise ValueError(f"losses have one row for each of the {grid.size} lambdas and at least one column")
        if not (table.min() >= -1 and table.max() <= 1):
            raise ValueError("losses lie between -1 and 1")
    if not 0 < delta < 1:
        raise ValueError("delta lies between 0 and 1")


def _covers(epsilon: float, delta: float, select: Select, *, n_conditions: int) -> str:
    if select == "uncorrected":
        return "Nothing: the smallest lambda with p <= delta is taken without correction for the others tried."
    under = "" if n_conditions == 1 else f" under at least one of the {n_conditions} conditions"
    return (
        "Over repeated draws of the calibration queries, the mean loss on queries drawn like them exceeds "
        f"{epsilon:g}{under} with probability at most {delta:g}. Other settings tried on the same queries are not covered."
    )


def _passed(p_values: NDArray[np.float64], delta: float, select: Select) -> NDArray[np.bool_]:
    if select == "fixed":
        return np.arange(p_values.size) < fixed_sequence(p_values, delta)
    if select == "holm":
        return holm(p_values, delta)
    if select == "bonferroni":
        return bonferroni(p_values, delta)
    if select == "uncorrected":
        return p_values <= delta
    raise ValueError(f'select is "fixed", "holm", "bonferroni" or "uncorrected", not "{select}"')
