"""A statistic against its null distribution: what every mode of the parity test hands back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.stats.permutation import Arrangements, Blocks, Exceedances, PValue, null_distribution, reaches

#: Most values of a null distribution that are kept, for its picture.
_KEPT = 9999


@dataclass(frozen=True)
class SoFar:
    """The answer after some of the permutations.

    Attributes
    ----------
    done, total : int
        Permutations; `done` is 0 for the first answer, from the closed form.
    p_value, p_low, p_high : float
        As in `NullTest`; both bounds are the p-value itself for the closed form.
    """

    done: int
    total: int
    p_value: float
    p_low: float
    p_high: float


#: Called again and again while a test runs, in the thread that asked for it. What it raises ends the test.
Progress = Callable[[SoFar], None]


@dataclass(frozen=True)
class NullTest:
    """Result of a permutation test. Two-sided.

    Attributes
    ----------
    statistic_name : str
    statistic : float
        Observed; with its sign, if it has one (`signed`).
    p_value : float
        (1 + n_exceeding) / (1 + n_permutations), or exact where all arrangements were taken.
    p_low, p_high : float
        Clopper-Pearson 99% Monte Carlo interval of the p-value that all arrangements would give. Not an interval of an
        effect.
    n_permutations, n_exceeding : int
        Permutations looked at, and those of them that reach the observed statistic. 0 permutations: the p-value is a
        closed form, exact.
    stopped_early : bool
        Whether sequential stopping ended it.
    seed : int
    null : ndarray of float64, shape (at most 9,999,)
        Statistics of permutations, with their signs; for the picture.
    closed_form_p : float or None
        Approximate p-value from the statistic's mean and variance under the null in closed form: a first answer, at once.
    method : str
        What was done, as a sentence.
    signed : bool
        Whether absolute values were compared.
    least_p : float
        Smallest p-value that the test can give, whatever the results; 0 for a closed form, where it was not looked at.
    """

    statistic_name: str
    statistic: float
    p_value: float
    p_low: float
    p_high: float
    n_permutations: int
    n_exceeding: int
    stopped_early: bool
    seed: int
    null: NDArray[np.float64]
    closed_form_p: float | None
    method: str
    signed: bool = False
    least_p: float = 0.0


@dataclass(frozen=True)
class Plan:
    """How many permutations, from which seed, told to whom, kept where."""

    n_permutations: int
    seed: int
    sequential: bool = False
    progress: Progress | None = None
    n_threads: int | None = None
    blocks: Blocks | None = None


def run(
    name: str,
    observed: float,
    arrangements: Arrangements,
    evaluate: Callable[[NDArray[Any]], NDArray[np.float64]],
    plan: Plan,
    *,
    signed: bool,
    closed_form_p: float | None,
    method: str,
) -> NullTest:
    """Compare the observed statistic with those of permutations.

    Parameters
    ----------
    evaluate : callable
        Arrangements (rows, n) -> statistics (rows,), with their signs.
    method : str
        What is permuted, as the start of a sentence.
    """
    n_all = arrangements.n_arrangements
    # Sequential stopping needs a random order: where all arrangements are taken, all are.
    sequential = plan.sequential and (n_all is None or n_all > plan.n_permutations)
    count = Exceedances(abs(observed) if signed else observed, sequential=sequential)
    if plan.progress is not None and closed_form_p is not None:
        plan.progress(SoFar(0, plan.n_permutations, closed_form_p, closed_form_p, closed_form_p))

    def on_block(block: NDArray[np.float64]) -> bool:
        go_on = count.add(np.abs(block[:, 0]) if signed else block[:, 0])
        if plan.progress is not None:
            p = count.p()
            plan.progress(SoFar(count.n, plan.n_permutations, p.p, p.low, p.high))
        return go_on

    null = null_distribution(
        arrangements,
        lambda block: evaluate(block)[:, None],
        plan.n_permutations,
        seed=plan.seed,
        n_threads=plan.n_threads,
        on_block=on_block,
        blocks=plan.blocks,
    )
    p = count.p(exhaustive=null.exhaustive)
    return told(name, observed, p, null.values[:, 0], plan, null.exhaustive, signed, closed_form_p, method)


def told(
    name: str,
    observed: float,
    p: PValue,
    null: NDArray[np.float64],
    plan: Plan,
    exhaustive: bool,
    signed: bool,
    closed_form_p: float | None,
    method: str,
) -> NullTest:
    """Put together the result with its sentence."""
    if exhaustive:
        how = f"all {p.n:,} arrangements: the p-value is exact."
    elif p.stopped_early:
        how = f"stopped after {p.n:,} random arrangements (Besag-Clifford), seed {plan.seed}."
    else:
        how = f"{p.n:,} random arrangements, seed {plan.seed}."
    return NullTest(
        statistic_name=name,
        statistic=observed,
        p_value=p.p,
        p_low=p.low,
        p_high=p.high,
        n_permutations=p.n,
        n_exceeding=p.n_exceeding,
        stopped_early=p.stopped_early,
        seed=plan.seed,
        null=null[: min(p.n, _KEPT)],
        closed_form_p=closed_form_p,
        method=f"{method}; {how}",
        signed=signed,
        least_p=_least_p(null, exhaustive, signed, plan),
    )


def _least_p(null: NDArray[np.float64], exhaustive: bool, signed: bool, plan: Plan) -> float:
    """Share of the arrangements that lie furthest out; 1 / (B + 1) where arrangements are drawn."""
    if not exhaustive:
        return 1 / (plan.n_permutations + 1)
    values = np.abs(null) if signed else null
    return float(np.mean(reaches(values, values.max())))


def exactly(
    name: str, observed: float, p: float, null: NDArray[np.float64], plan: Plan, signed: bool, method: str
) -> NullTest:
    """Result of an exact closed form; `null` holds draws from it."""
    return NullTest(name, observed, p, p, p, 0, 0, False, plan.seed, null[:_KEPT], p, method, signed)
