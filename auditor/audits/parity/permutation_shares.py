"""Mode C2: the lists of independent queries against target shares that are known from elsewhere."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from auditor.audits.parity.data import Attribute, Lists
from auditor.audits.parity.null_test import NullTest, Plan, Progress, run
from auditor.audits.parity.statistics import STATISTICS, Array, StatisticName, choose, names_against_target, ridits
from auditor.errors import InputError
from auditor.stats.permutation import Blocks, normal_p, quadratic_p
from auditor.stats.shuffling import RowResampler, SignFlipper


def test_shares(
    lists: Lists,
    attribute: Attribute,
    shares: NDArray[np.float64] | None,
    target_mean: float | None = None,
    *,
    method: Literal["sign-flip", "bootstrap-t"] = "sign-flip",
    statistic: StatisticName | None = None,
    n_permutations: int = 9999,
    seed: int = 0,
    sequential: bool = False,
    progress: Progress | None = None,
    n_threads: int | None = None,
    blocks: Blocks | None = None,
) -> NullTest:
    """Mode C2: test whether the results match target shares, which may differ from query to query.

    The null hypothesis: queries are independent, and the deviation of a list from its own target is 0 on average. The
    statistic is made from the mean deviation over queries; a query is one unit, so nothing is assumed about how its results
    hang together.

    - "sign-flip": whole deviation vectors change sign together. Exact if deviations are symmetric about 0; for skewed ones
      approximate in the way of a two-sided t-test, to which it comes close (the sum of squared deviations does not change
      with the signs, so that studentising would change no p-value).
    - "bootstrap-t": deviations about their mean are drawn with replacement, and the statistic is divided by its own standard
      error in every draw (a sum of squares by the sum of their variances). Approximate for any shape.

    Parameters
    ----------
    lists : Lists
        Of n queries.
    shares : ndarray of shape (n, C) or None
        Target share of every level for each row of `lists`.
    target_mean : float or None
        Target mean in degrees, on an ITA scale.
    statistic, n_permutations, seed, sequential, progress, n_threads, blocks
        As for `permutation.test_groups`; statistics of `statistics.names_against_target`.

    Raises
    ------
    InputError
        If there is no target for the statistic, or there are fewer than two queries.
    """
    fitting = names_against_target(attribute.scale.kind)
    # A distribution of degrees is never given, only their mean, or shares of the classes.
    given: dict[str, bool] = {"value": target_mean is not None, "levels": shares is not None}
    fitting = tuple(name for name in fitting if given.get(STATISTICS[name].columns, False))
    if not fitting:
        raise InputError(
            "there is no target for this attribute", fix="Give target shares, or a target mean in degrees."
        )
    chosen = choose(statistic, fitting)
    if chosen.columns == "value":
        assert lists.values is not None
        assert target_mean is not None
        deviations, target = lists.values[:, None] - target_mean, np.ones(1)
    else:
        assert shares is not None
        deviations, target = lists.shares - shares, shares.mean(axis=0)
    n = len(deviations)
    if n < 2:
        raise InputError("a test against target shares needs at least two queries with annotated results")
    along = deviations @ chosen.axes(target)
    if chosen.name == "mid-rank mean difference" and shares is not None:
        # A query's results are ranked among its own target, as in the effect: where all have one target this is the same.
        along = (deviations * ridits(shares)).sum(axis=1, keepdims=True)
    mean = along.mean(axis=0)
    plan = Plan(n_permutations, seed, sequential, progress, n_threads, blocks)
    observed = float(mean[0]) if chosen.signed else float(np.square(mean).sum())
    covariance = (along - mean).T @ (along - mean) / (n * (n - 1))
    expected = float(np.trace(covariance))
    if expected < 1e-24:  # all queries deviate alike, and nothing is known of chance
        closed = None
    elif chosen.signed:
        closed = normal_p(observed / np.sqrt(expected))
    else:
        closed = quadratic_p(observed, expected, 2 * float(np.square(covariance).sum()))

    def flipped(signs: NDArray[Any]) -> Array:
        means = signs.astype(np.float64) @ along / n
        result: Array = means[:, 0] if chosen.signed else np.square(means).sum(axis=1)
        return result

    if method == "sign-flip":
        return run(
            chosen.name,
            observed,
            SignFlipper(n),
            flipped,
            plan,
            signed=chosen.signed,
            closed_form_p=closed,
            method=f"{chosen.name} of the mean deviation of {n:,} queries from their targets, signs of whole lists flipped",
        )
    return _bootstrap_t(along, chosen.name, plan, signed=chosen.signed, closed_form_p=closed)


def _bootstrap_t(along: Array, name: str, plan: Plan, *, signed: bool, closed_form_p: float | None) -> NullTest:
    """Bootstrap-t of the mean of independent rows (n, D) against 0; values of the null are in the statistic's units."""
    n = len(along)
    mean = along.mean(axis=0)
    centred = along - mean
    both = np.hstack([centred, np.square(centred).sum(axis=1, keepdims=True)])
    spread = max(float(np.square(centred).sum()) / n, 1e-300)

    def resampled(rows: NDArray[Any]) -> Array:
        offsets = np.arange(len(rows))[:, None] * n
        counts = np.bincount((rows + offsets).ravel(), minlength=len(rows) * n).reshape(len(rows), n)
        moments = counts @ both / n
        means, squares = moments[:, :-1], np.square(moments[:, :-1]).sum(axis=1)
        # A draw of one row again and again has no spread, and lies far out.
        scale = spread / np.maximum(moments[:, -1] - squares, 1e-12 * spread)
        result: Array = means[:, 0] * np.sqrt(scale) if signed else squares * scale
        return result

    observed = float(mean[0]) if signed else float(np.square(mean).sum())
    return run(
        name,
        observed,
        RowResampler(n),
        resampled,
        plan,
        signed=signed,
        closed_form_p=closed_form_p,
        method=f"{name} of the mean deviation of {n:,} queries from their targets, bootstrap-t over queries",
    )
