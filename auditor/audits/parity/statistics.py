"""Statistics of parity: how far query groups, or results and their target, lie apart in an attribute.

Every query weighs 1: what is added up over the queries of a group are shares (or mean degrees), never slots, so that a
long list counts no more than a short one. The functions take any number of tables at once, one for each permutation.

Tables of groups, M of shape (..., G, C), hold such sums of shares; a row adds up to the size n_g of its group, a column to
the column total, and E = n_g total_c / N. Strata are taken out of a table before (`within_strata`), so that what is left
compares groups within strata only. A statistic is "signed" if its sign tells the direction: it is 0 on average under
the null, and its absolute value is tested; all tests are two-sided.

References
----------
[1] W. H. Kruskal, W. A. Wallis, Journal of the American Statistical Association 47 (1952) 583-621.
[2] A. R. Jonckheere, Biometrika 41 (1954) 133-145; T. J. Terpstra, Indagationes Mathematicae 14 (1952) 327-333.
[3] J. Kiefer, "K-sample analogues of the Kolmogorov-Smirnov and Cramer-v. Mises tests", Annals of Mathematical Statistics
    30 (1959) 420-447.
[4] I. D. J. Bross, "How to use ridit analysis", Biometrics 14 (1958) 18-38.
[5] G. J. Szekely, M. L. Rizzo, "Energy statistics", Journal of Statistical Planning and Inference 143 (2013) 1249-1272.
[6] N. Mantel, W. Haenszel, Journal of the National Cancer Institute 22 (1959) 719-748: sums of M - E over strata.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from auditor.audits.parity.data import ScaleKind
from auditor.errors import InputError

StatisticName = Literal[
    "chi-square",
    "mid-rank mean difference",
    "Jonckheere",
    "Kruskal-Wallis",
    "Cramer-von Mises",
    "mean difference",
    "variance between groups",
    "energy distance",
]
#: What a statistic is made from: shares of levels, mean degrees, or shares at or below each point of a grid.
Columns = Literal["levels", "value", "cumulative"]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Statistic:
    """A statistic of a declared name.

    Attributes
    ----------
    columns : str
        What its tables are made from. Cumulative shares come times the square root of the distance to the next point of
        the grid, so that sums of squares are integrals.
    between : callable
        (tables (..., G, C), sizes (..., G)) -> (...): groups of queries compared.
    axes : callable
        Shares of all results or of the target, (C,) -> (C, D): deviations from them, times these, are what the statistic
        adds up: the deviation itself if it is signed, else the squares (of groups: each over its n_g).
    contrast : callable or None
        Sizes of groups (G,) -> (G,): how a signed statistic weighs its groups; None if it has no sign.
    """

    name: StatisticName
    columns: Columns
    between: Callable[[Array, Array], Array]
    axes: Callable[[Array], Array]
    contrast: Callable[[Array], Array] | None = None

    @property
    def signed(self) -> bool:
        """Whether its sign tells the direction; then its absolute value is tested."""
        return self.contrast is not None

    def against(self, deviations: Array, shares: Array) -> Array:
        """Results compared with a target: mean deviations (..., C) and the target's shares (C,) -> (...)."""
        along = deviations @ self.axes(shares)
        result: Array = along[..., 0] if self.signed else np.square(along).sum(axis=-1)
        return result


def names(scale: ScaleKind, n_groups: int, *, ordered_groups: bool) -> tuple[StatisticName, ...]:
    """Statistics that compare query groups on a scale; the first is the default, the others may be declared instead.

    Parameters
    ----------
    n_groups : int
        2 or more.
    ordered_groups : bool
        Whether the groups stand in an order of their own.
    """
    if scale == "nominal":
        return ("chi-square",)
    if scale == "ita":
        return ("mean difference" if n_groups == 2 else "variance between groups", "energy distance", "chi-square")
    if n_groups == 2:
        return ("mid-rank mean difference", "Cramer-von Mises", "chi-square")
    first: tuple[StatisticName, ...] = ("Jonckheere",) if ordered_groups else ()
    return (*first, "Kruskal-Wallis", "Cramer-von Mises", "chi-square")


def names_against_target(scale: ScaleKind) -> tuple[StatisticName, ...]:
    """Statistics that compare results with a target's distribution; the first is the default."""
    if scale == "nominal":
        return ("chi-square",)
    if scale == "ordinal":
        return ("mid-rank mean difference", "Cramer-von Mises", "chi-square")
    return ("mean difference", "energy distance", "chi-square")


def choose(name: StatisticName | None, fitting: tuple[StatisticName, ...]) -> Statistic:
    """Look up a declared statistic, or the default.

    Raises
    ------
    InputError
        If it does not fit the scale and the groups.
    """
    if name is not None and name not in fitting:
        raise InputError(
            "this statistic does not fit the scale and the number of groups",
            column="statistic",
            value=name,
            fix=f"Leave it empty, or declare one of: {', '.join(fitting)}.",
        )
    return STATISTICS[name or fitting[0]]


def within_strata(tables: Array, sizes: Array) -> tuple[Array, Array]:
    """Take strata out of tables, after Mantel and Haenszel [6].

    The sum over strata of M - E is put upon the table that the margins alone would give: the result has the margins of
    the pooled table, and differs from independence exactly by what groups differ within strata (ours).

    Parameters
    ----------
    tables : ndarray of shape (..., S, G, C)
    sizes : ndarray of shape (..., S, G)

    Returns
    -------
    ndarray of shape (..., G, C), ndarray of shape (..., G)
    """
    total = tables.sum(axis=-2)
    count = np.maximum(sizes.sum(axis=-1), 1.0)
    expected = (sizes[..., None] * (total / count[..., None])[..., None, :]).sum(axis=-3)
    pooled, pooled_sizes = tables.sum(axis=-3), sizes.sum(axis=-2)
    return pooled - expected + _expected(pooled, pooled_sizes), pooled_sizes


def ridits(totals: Array) -> Array:
    """Mid-ranks of the levels as shares of everything, (..., C) from column totals (..., C) [4]; their mean is 1/2."""
    share = totals / np.maximum(totals.sum(axis=-1, keepdims=True), _TINY)
    result: Array = np.cumsum(share, axis=-1) - share / 2
    return result


def root_steps(grid: Array) -> Array:
    """Square roots of the distances to the next point of a grid, 0 for the last: squares then add up to integrals."""
    steps: Array = np.sqrt(np.diff(grid, append=grid[-1:]))
    return steps


def chi_square(tables: Array, sizes: Array) -> Array:
    """Sum over groups and levels of (M - E)^2 / E; a level that nobody got adds nothing. Never referred to chi-squared."""
    expected = _expected(tables, sizes)
    cells = np.divide(np.square(tables - expected), expected, out=np.zeros_like(expected), where=expected > _TINY)
    result: Array = cells.sum(axis=(-2, -1))
    return result


def mid_rank_mean_difference(tables: Array, sizes: Array) -> Array:
    """Mean ridit of the first of two groups less that of the second, from -1 to 1."""
    means = _mean_ridits(tables, sizes)
    result: Array = means[..., 0] - means[..., 1]
    return result


def jonckheere(tables: Array, sizes: Array) -> Array:
    """Over all pairs of groups a < b: how often b's result lies above a's less how often below, from -1 to 1 [2].

    Taken from the table, so that a pair of queries counts by its shares. With two groups it is twice the mid-rank
    mean difference with its sign turned round.
    """
    # Weight above, less weight below, of each level of every later group: later groups are added up from the end.
    later = np.flip(np.cumsum(np.flip(tables, -2), axis=-2), -2) - tables
    above = later.sum(axis=-1, keepdims=True) - np.cumsum(later, axis=-1)
    below = np.cumsum(later, axis=-1) - later
    pairs = (np.square(sizes.sum(axis=-1)) - np.square(sizes).sum(axis=-1)) / 2
    result: Array = (tables * (above - below)).sum(axis=(-2, -1)) / np.maximum(pairs, 1.0)
    return result


def kruskal_wallis(tables: Array, sizes: Array) -> Array:
    """Variance between the groups' mean ridits over that of the ridits, times N - 1 [1]."""
    totals = tables.sum(axis=-2)
    spread = (totals * np.square(ridits(totals) - 0.5)).sum(axis=-1)
    between = (sizes * np.square(_mean_ridits(tables, sizes) - 0.5)).sum(axis=-1)
    result: Array = (sizes.sum(axis=-1) - 1) * between / np.maximum(spread, _TINY)
    return result


def cramer_von_mises(tables: Array, sizes: Array) -> Array:
    """Sum over groups of n_g times the mean of (F_g - F)^2 over all results [3]."""
    totals = tables.sum(axis=-2)
    apart = np.cumsum(tables - _expected(tables, sizes), axis=-1) / np.maximum(sizes, 1.0)[..., None]
    weight = totals / np.maximum(sizes.sum(axis=-1), 1.0)[..., None]
    result: Array = (sizes * (np.square(apart) * weight[..., None, :]).sum(axis=-1)).sum(axis=-1)
    return result


def mean_difference(tables: Array, sizes: Array) -> Array:
    """Mean degrees of the first of two groups less those of the second; tables have one column of degrees."""
    apart = (tables - _expected(tables, sizes))[..., 0] / np.maximum(sizes, 1.0)
    result: Array = apart[..., 0] - apart[..., 1]
    return result


def variance_between_groups(tables: Array, sizes: Array) -> Array:
    """Mean over queries of the squared distance of their group's mean from that of all, square degrees."""
    apart = (tables - _expected(tables, sizes))[..., 0]
    total = np.maximum(sizes.sum(axis=-1), 1.0)
    result: Array = (np.square(apart) / np.maximum(sizes, 1.0)).sum(axis=-1) / total
    return result


def energy_distance(tables: Array, sizes: Array) -> Array:
    """2 times the integral of (F_a - F_b)^2, degrees, averaged over pairs of groups by n_a n_b [5].

    Tables hold cumulative shares, times the root of the steps. With two groups it is the energy distance itself, the square
    of what scipy.stats.energy_distance returns.
    """
    total = sizes.sum(axis=-1)
    pairs = (np.square(total) - np.square(sizes).sum(axis=-1)) / 2
    apart = np.square(tables - _expected(tables, sizes)).sum(axis=-1) / np.maximum(sizes, 1.0)
    result: Array = 2 * total * apart.sum(axis=-1) / np.maximum(pairs, 1.0)
    return result


def _by_share(shares: Array) -> Array:
    # A level that the target leaves out counts as if its share were one in a thousand, so that it is seen (ours).
    return np.diag(1 / np.sqrt(np.where(shares > _TINY, shares, 1e-3)))


def _by_ridit(shares: Array) -> Array:
    return ridits(shares)[:, None]


def _by_cumulative_share(shares: Array) -> Array:
    axes: Array = np.triu(np.ones((len(shares), len(shares)))) * np.sqrt(shares)
    return axes


def _as_it_is(shares: Array) -> Array:
    return np.eye(len(shares))


def _twice(shares: Array) -> Array:
    axes: Array = np.sqrt(2) * np.eye(len(shares))
    return axes


def _first_less_second(sizes: Array) -> Array:
    return np.array([1 / sizes[0], -1 / sizes[1]])


def _before_less_after(sizes: Array) -> Array:
    """What each group's deviation in mean ridit adds to Jonckheere's statistic, to first order."""
    before = np.cumsum(sizes) - sizes
    pairs = (np.square(sizes.sum()) - np.square(sizes).sum()) / 2
    contrast: Array = 2 * (before - (sizes.sum() - before - sizes)) / max(pairs, 1.0)
    return contrast


STATISTICS: dict[StatisticName, Statistic] = {
    one.name: one
    for one in (
        Statistic("chi-square", "levels", chi_square, _by_share),
        Statistic("mid-rank mean difference", "levels", mid_rank_mean_difference, _by_ridit, _first_less_second),
        Statistic("Jonckheere", "levels", jonckheere, _by_ridit, _before_less_after),
        Statistic("Kruskal-Wallis", "levels", kruskal_wallis, _by_ridit),
        Statistic("Cramer-von Mises", "levels", cramer_von_mises, _by_cumulative_share),
        Statistic("mean difference", "value", mean_difference, _as_it_is, _first_less_second),
        Statistic("variance between groups", "value", variance_between_groups, _as_it_is),
        Statistic("energy distance", "cumulative", energy_distance, _twice),
    )
}

_TINY = 1e-12


def _expected(tables: Array, sizes: Array) -> Array:
    count = np.maximum(sizes.sum(axis=-1), 1.0)
    expected: Array = sizes[..., None] * (tables.sum(axis=-2) / count[..., None])[..., None, :]
    return expected


def _mean_ridits(tables: Array, sizes: Array) -> Array:
    """Mean ridit of every group, (..., G); 1/2 for a group without queries."""
    score = ridits(tables.sum(axis=-2))
    apart = (tables - _expected(tables, sizes)) @ score[..., None]
    result: Array = 0.5 + apart[..., 0] / np.maximum(sizes, 1.0)
    return result
