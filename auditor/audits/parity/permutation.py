"""Distribution parity, after Khaziev et al. [1]: permutation tests of four questions.

====  ==========================  ==================================================================================
mode  what is known               what is exchangeable under the null
====  ==========================  ==================================================================================
A     queries are catalog items   attribute labels over catalog items, within item strata; the retrieval graph is
                                  frozen, and a query's group moves with its item's label
B     groups of queries           groups over queries, within strata; each list stays as it is
C1    an annotated catalog        attribute labels over catalog items, within item strata; exposure is frozen
C2    target shares               signs of each query's whole deviation from its target (or rows, for bootstrap-t)
====  ==========================  ==================================================================================

B is exact however results of one query depend on each other, and however often items are repeated, as long as queries of
the same stratum are exchangeable. A and C1 assume that labels are exchangeable over catalog items within strata: where lists
are clustered by something that goes with the attribute (a brand, a photographer), items side by side share labels, and the
size is inflated: at an intra-list correlation of .2 it was .81 for A and .22 for C1 instead of .05 where every list stayed in
its cluster (tests/validity/test_parity_size.py). Declare that something as a stratum, or use B.
C2 takes queries for independent draws; signs are exact for deviations that are symmetric about 0, and approximate for skewed
ones, as a t-test is.

References
----------
[1] A. Khaziev, B. Casavant, P. Washabaugh, A. A. Winecoff, M. Graham, "Recommendation or Discrimination?: Quantifying
    Distribution Parity in Information Retrieval Systems", arXiv:1909.06429. Only its abstract was at hand: the statistics
    and the resampling here are ours, in its spirit.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.audits.parity.data import MISSING, Attribute, Lists
from auditor.audits.parity.null_test import NullTest, Plan, Progress, SoFar, run, told
from auditor.audits.parity.permutation_catalog import test_catalog, test_catalog_queries
from auditor.audits.parity.permutation_shares import test_shares
from auditor.audits.parity.statistics import Array, Statistic, StatisticName, choose, names, root_steps
from auditor.errors import InputError
from auditor.stats.permutation import (
    Blocks,
    Exceedances,
    group_sum_covariance,
    max_t,
    normal_p,
    null_distribution,
    quadratic_p,
)
from auditor.stats.shuffling import LabelShuffler

__all__ = [
    "NullTest",
    "Progress",
    "SoFar",
    "test_catalog",
    "test_catalog_queries",
    "test_groups",
    "test_groups_family",
    "test_shares",
]

#: Most numbers in the covariance that the closed form needs.
_CLOSED_FORM_LIMIT = 5_000_000
#: Multiplications of one matrix product: OpenBLAS hands larger ones to threads of its own, while all cores are busy already.
_PRODUCTS_AT_ONCE = 1 << 18


def test_groups(
    lists: Lists,
    attribute: Attribute,
    group: NDArray[np.int16],
    stratum: NDArray[np.int32],
    *,
    ordered_groups: bool = False,
    statistic: StatisticName | None = None,
    n_permutations: int = 9999,
    seed: int = 0,
    sequential: bool = False,
    progress: Progress | None = None,
    n_threads: int | None = None,
    blocks: Blocks | None = None,
) -> NullTest:
    """Mode B: test whether result lists depend on the group of their query.

    The null hypothesis: within a stratum, every assignment of the groups to the queries was as likely as the observed one.
    Each list is one unit, so nothing is assumed about how its results hang together.

    Parameters
    ----------
    lists : Lists
        Of n queries.
    group : ndarray of int16, shape (n,)
        Group of each row of `lists`; rows whose group is `MISSING` take no part.
    stratum : ndarray of int32, shape (n,)
        Groups are permuted within strata only.
    ordered_groups : bool
        Whether the numbers of the groups are an order.
    statistic : str, optional
        Declared before the data were seen; the first of `statistics.names` if not given.
    n_permutations : int
        B.
    sequential : bool
        Whether to stop early, after Besag and Clifford.
    progress : callable, optional
        Given the answer so far: from the closed form at once, then after every block.
    n_threads : int, optional
        Physical cores if not given; changes no number.
    blocks : Blocks, optional
        Finished blocks of permutations, of the same test; further ones are put there.

    Raises
    ------
    InputError
        If fewer than two groups are left, or the statistic does not fit.
    """
    kept = np.flatnonzero(group != MISSING)
    tables = _Groups(group[kept], stratum[kept])
    chosen = choose(statistic, names(attribute.scale.kind, tables.n_groups, ordered_groups=ordered_groups))
    features = features_of(lists, chosen)[kept]
    observed, evaluate = tables.test(features, chosen)
    return run(
        chosen.name,
        observed,
        tables.shuffler,
        evaluate,
        Plan(n_permutations, seed, sequential, progress, n_threads, blocks),
        signed=chosen.signed,
        closed_form_p=tables.closed_form_p(features, chosen, observed),
        method=f"{chosen.name} of {len(kept):,} queries, groups permuted over whole lists{tables.within}",
    )


def test_groups_family(
    members: Sequence[tuple[str, Lists, Attribute]],
    group: NDArray[np.int16],
    stratum: NDArray[np.int32],
    *,
    ordered_groups: bool = False,
    statistics: Sequence[StatisticName | None] | None = None,
    n_permutations: int = 9999,
    seed: int = 0,
    progress: Progress | None = None,
    n_threads: int | None = None,
    blocks: Blocks | None = None,
) -> list[tuple[str, NullTest, float]]:
    """Mode B for several cut-offs K and attributes at once, with max-T adjusted p-values (Westfall and Young).

    All members see the same permutations, so that what they have in common is not paid for twice. Groups are permuted among
    queries that have lists in the same members (ours): a query without a list in one of them is then never exchanged for one
    that has, and whether a list is there may depend on the group. Where lists are missing such a member is tested within finer
    strata than by `test_groups`, which leaves the queries out.

    Parameters
    ----------
    members : sequence of (name, Lists, Attribute)
    group, stratum : ndarray, shape (Q,)
        Of all queries, by their number; queries whose group is `MISSING` take no part.
    statistics : sequence of str or None, optional
        One for each member.
    progress : callable, optional
        Given the unadjusted answer of the first member so far.
    n_threads, blocks
        As for `test_groups`.

    Returns
    -------
    list of (name, NullTest, adjusted p-value)
        In the order of the members.

    Raises
    ------
    InputError
        As for `test_groups`.
    """
    held = np.zeros((len(group), len(members)), np.bool_)
    for place, (_, lists, _) in enumerate(members):
        held[lists.queries, place] = True
    kept = np.flatnonzero(held.any(axis=1) & (group != MISSING))
    tables = _Groups(group[kept], stratum[kept], among=held[kept])
    asked = statistics or [None] * len(members)
    parts: list[tuple[Statistic, Array]] = []
    for (_, lists, attribute), name in zip(members, asked, strict=True):
        chosen = choose(name, names(attribute.scale.kind, tables.n_groups, ordered_groups=ordered_groups))
        parts.append((chosen, _filled(lists, chosen, kept, len(group))))
    evaluate = tables.statistics(parts)
    observed = evaluate(tables.group[None])[0]
    signed = np.array([chosen.signed for chosen, _ in parts])
    plan = Plan(n_permutations, seed, False, progress, n_threads)
    counts = [Exceedances(abs(value) if one else value) for value, one in zip(observed.tolist(), signed, strict=True)]

    def on_block(block: Array) -> bool:
        for count, column in zip(counts, np.where(signed, np.abs(block), block).T, strict=True):
            count.add(column)
        if progress is not None:
            p = counts[0].p()
            progress(SoFar(p.n, n_permutations, p.p, p.low, p.high))
        return True

    null = null_distribution(
        tables.shuffler,
        evaluate,
        n_permutations,
        seed=seed,
        n_threads=n_threads,
        on_block=on_block,
        blocks=blocks,
    )
    adjusted = max_t(
        np.where(signed, np.abs(observed), observed),
        np.where(signed, np.abs(null.values), null.values),
        exhaustive=null.exhaustive,
    )
    found = []
    for place, (chosen, features) in enumerate(parts):
        value = float(observed[place])
        test = told(
            chosen.name,
            value,
            counts[place].p(exhaustive=null.exhaustive),
            null.values[:, place],
            plan,
            null.exhaustive,
            chosen.signed,
            tables.closed_form_p(features, chosen, value),
            f"{chosen.name}, groups permuted over whole lists{tables.within}, the same for {len(parts)} hypotheses",
        )
        found.append((members[place][0], test, float(adjusted[place])))
    return found


def features_of(lists: Lists, statistic: Statistic) -> Array:
    """What a statistic adds up of every list, shape (n, D).

    Raises
    ------
    InputError
        If the lists have no degrees.
    """
    if statistic.columns == "levels":
        return lists.shares
    if lists.values is None or lists.cumulative is None or lists.grid is None:
        raise InputError("this statistic needs degrees", column="statistic", value=statistic.name)
    if statistic.columns == "value":
        return lists.values[:, None]
    return lists.cumulative * root_steps(lists.grid)


class _Groups:
    """Groups of queries in their strata, and what permutations of them give."""

    def __init__(
        self,
        group: NDArray[np.integer[Any]],
        stratum: NDArray[np.integer[Any]],
        among: NDArray[np.bool_] | None = None,
    ) -> None:
        present, self.group = np.unique(group, return_inverse=True)
        self.n_groups = len(present)
        if self.n_groups < 2:
            raise InputError(
                "a comparison needs queries of at least two groups with annotated results",
                fix="Check the column of the query groups and the annotations, or test against target shares.",
            )
        n_declared = len(np.unique(stratum))
        self.within = f" within {n_declared:,} strata" if n_declared > 1 else ""
        if among is not None and not (among == among[0]).all():
            self.within += " among queries with lists for the same hypotheses"
            stratum = np.unique(np.column_stack([stratum, among]), axis=0, return_inverse=True)[1]
        strata, self.stratum = np.unique(stratum, return_inverse=True)
        self.sizes = np.bincount(self.group).astype(np.float64)
        # Expected groups x strata: how many queries of each group a stratum has.
        self._by_stratum = np.zeros((self.n_groups, len(strata)))
        np.add.at(self._by_stratum, (self.group, self.stratum), 1.0)
        self.shuffler = LabelShuffler(self.group, self.stratum)

    def sums(self, groups: NDArray[Any], features: NDArray[np.floating[Any]]) -> Array:
        """Sums of features over the queries of every group, (rows, G, D) from groups (rows, n) and features (n, D)."""
        labels = groups.T  # as they were drawn: those of one query side by side
        total = np.zeros((self.n_groups, features.shape[1], len(groups)))
        # Few queries at a time: memory that stays in the cache is not fetched anew, and products stay in this thread.
        at_once = max(1, _PRODUCTS_AT_ONCE // max(total[0].size, 1))
        space = np.empty((at_once, len(groups)), features.dtype)
        for start in range(0, len(features), at_once):
            some = labels[start : start + at_once]
            members = space[: len(some)]
            for number in range(self.n_groups - 1):
                np.copyto(members, some == number)
                total[number] += features[start : start + at_once].T @ members
        total[-1] = features.sum(axis=0)[:, None] - total[:-1].sum(axis=0)
        return total.transpose(2, 0, 1)

    def stratum_means(self, features: Array) -> Array:
        """Mean features of every stratum, (S, D)."""
        n_strata = self._by_stratum.shape[1]
        sums = np.zeros((n_strata, features.shape[1]))
        np.add.at(sums, self.stratum, features)
        means: Array = sums / self._by_stratum.sum(axis=0)[:, None]
        return means

    def adjustment(self, features: Array) -> Array:
        """What takes strata out of every permuted table, (G, D): see `statistics.within_strata`.

        Within a stratum the number of queries of each group never changes, so neither does what is expected of it.
        """
        pooled = self.sizes[:, None] * features.mean(axis=0)
        change: Array = pooled - self._by_stratum @ self.stratum_means(features)
        return change

    def test(self, features: Array, statistic: Statistic) -> tuple[float, Any]:
        """Observed statistic, and a function from permuted groups (rows, n) to statistics (rows,)."""
        evaluate = self.statistics([(statistic, features)])
        return float(evaluate(self.group[None])[0, 0]), lambda groups: evaluate(groups)[:, 0]

    def statistics(self, parts: Sequence[tuple[Statistic, Array]]) -> Any:
        """A function from permuted groups (rows, n) to one statistic for each part, (rows, H)."""
        features = np.ascontiguousarray(np.hstack([one for _, one in parts]))
        change = self.adjustment(features)
        ends = np.cumsum([one.shape[1] for _, one in parts]).tolist()
        summed, divisor = _whole_numbers(features)

        def evaluate(groups: NDArray[Any]) -> Array:
            tables = self.sums(groups, summed) / divisor + change
            values = np.empty((len(groups), len(parts)))
            for place, (statistic, one) in enumerate(parts):
                columns = slice(ends[place] - one.shape[1], ends[place])
                values[:, place] = statistic.between(tables[..., columns], self.sizes)
            return values

        return evaluate

    def closed_form_p(self, features: Array, statistic: Statistic, observed: float) -> float | None:
        """p-value from the closed-form mean and variance; None where that would take too long."""
        axes = statistic.axes(features.mean(axis=0))
        if (self.n_groups * axes.shape[1]) ** 2 > _CLOSED_FORM_LIMIT:
            return None
        covariance = group_sum_covariance(self.group, features @ axes, self.stratum, self.n_groups)
        if statistic.contrast is not None:
            weights = statistic.contrast(self.sizes)
            variance = float(weights @ covariance[:, :, 0, 0] @ weights)
            return normal_p(observed / np.sqrt(variance)) if variance > 1e-24 else 1.0
        table = self.sums(self.group[None], features)[0] + self.adjustment(features)
        apart = (table - self.sizes[:, None] * features.mean(axis=0)) @ axes
        value = float((np.square(apart).sum(axis=1) / self.sizes).sum())
        share = 1 / self.sizes
        mean = float(np.einsum("g,ggdd->", share, covariance))
        variance = 2 * float(np.einsum("g,h,ghde,ghde->", share, share, covariance, covariance, optimize=True))
        return quadratic_p(value, mean, variance)


def _whole_numbers(features: Array) -> tuple[NDArray[np.floating[Any]], float]:
    """Features as whole numbers over one divisor, in single precision, if that is exact; else as they are, over 1.

    Shares of lists that are all as long are counts over that length. Sums of whole numbers are exact in single precision as long
    as none reaches 2^24, and take half the time.
    """
    divisor = np.rint(1 / features[features > 0].min(initial=1.0))
    whole = np.rint(features * divisor)
    is_exact = (
        divisor >= 1 and features.min(initial=0.0) >= 0 and np.abs(features * divisor - whole).max(initial=0) < 1e-9
    )
    if is_exact and whole.sum(axis=0).max(initial=0) < 1 << 24:
        return whole.astype(np.float32), float(divisor)
    return features, 1.0


def _filled(lists: Lists, statistic: Statistic, kept: NDArray[np.intp], n_queries: int) -> Array:
    """Features of the kept queries; those without a list get the mean of the others.

    Queries without a list are exchanged among themselves only, so that they add nothing to any difference.
    """
    features = features_of(lists, statistic)
    row = np.full(n_queries, -1)
    row[lists.queries] = np.arange(len(lists.queries))
    row = row[kept]
    filled = np.tile(features[row[row >= 0]].mean(axis=0), (len(kept), 1))
    filled[row >= 0] = features[row[row >= 0]]
    return filled
