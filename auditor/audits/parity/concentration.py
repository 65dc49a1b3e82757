"""How alike the results of one query are, and how few items fill the lists.

Modes A and C1 permute labels over the items of the catalog, as if a tone could fall on any item of a stratum. Where the
results of one query are alike in tone (one brand, one photographer, near-duplicates) that is not so: with an intra-list
correlation of .2 such a test rejected 40% of true hypotheses at alpha .05 in simulation. Mode B permutes whole lists and
does not mind.

References
----------
[1] A. Donner, "A review of inference procedures for the intraclass correlation coefficient in the one-way random effects
    model", International Statistical Review 54 (1986) 67-82: ANOVA estimator for groups of unequal size, and its F test.
[2] E. H. Simpson, "Measurement of diversity", Nature 163 (1949) 688; M. O. Hill, Ecology 54 (1973) 427-432: 1 / sum of
    squared shares is the number of equally frequent items that would be as concentrated.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.audits.findings import Caution
from auditor.audits.parity.data import MISSING, Attribute, Results, slot_weights

#: Design effect from which a clustering that is beyond chance is worth a warning (ours): intervals are then 12% too narrow.
NOTABLE_DESIGN_EFFECT = 1.25


@dataclass(frozen=True)
class ListCorrelation:
    """Intra-list correlation of an attribute.

    Attributes
    ----------
    icc : float
        (MSB - MSW) / (MSB + (n0 - 1) MSW) [1]; may lie a little below 0 where there is none.
    low : float
        Lower bound of its 95% interval (one-sided, from the F distribution; exact for normal data, a guide otherwise).
    mean_length : float
        n0, the mean length of the lists corrected for unequal ones.
    """

    icc: float
    low: float
    mean_length: float

    @property
    def design_effect(self) -> float:
        """1 + (n0 - 1) ICC, at least 1: how many times larger the variance of a share is than with independent results."""
        return max(1.0, 1 + (self.mean_length - 1) * self.icc)


@dataclass(frozen=True)
class Exposure:
    """How the slots are spread over items.

    Attributes
    ----------
    n_items : int
        Items that are shown at all.
    effective_items : float
        Inverse Simpson index of the items' shares of exposure [2].
    repeated_share : float
        Share of slots whose item stands in more than one list.
    largest_share : float
        Share of exposure of the item that is shown most.
    """

    n_items: int
    effective_items: float
    repeated_share: float
    largest_share: float


def icc(
    results: Results, attribute: Attribute, *, k: int | None, group: NDArray[np.int16] | None = None
) -> ListCorrelation | None:
    """Intra-list correlation by analysis of variance, net of differences between query groups.

    Two levels are counted as 0 and 1, ordered levels by their mid-ranks, degrees as they are; for several names the sums of
    squares of all levels are added.

    Parameters
    ----------
    results : Results
    attribute : Attribute
    k : int or None
        Cut-off.
    group : ndarray of int16, shape (n_queries,), optional
        Differences between groups are what is tested, and do not count as clustering.

    Returns
    -------
    ListCorrelation or None
        None if no list has two known results, there are too few lists, or all results are alike.
    """
    level = attribute.level[results.item]
    kept = level != MISSING
    if k is not None:
        kept &= results.rank <= k
    y = _numbers(attribute, results.item[kept], level[kept])
    _, query = np.unique(results.query[kept], return_inverse=True)
    lengths = np.bincount(query).astype(np.float64)
    of_group = np.zeros(len(lengths), np.intp)
    if group is not None:
        of_group = np.unique(group[np.unique(results.query[kept])], return_inverse=True)[1]
    n_groups = int(of_group.max()) + 1 if len(lengths) else 0
    between_df, within_df = len(lengths) - n_groups, lengths.sum() - len(lengths)
    if between_df < 1 or within_df < 1:
        return None
    sums = _sums(query, y, len(lengths))
    means = sums / lengths[:, None]
    of_groups = _sums(of_group, sums, n_groups) / np.bincount(of_group, weights=lengths)[:, None]
    between = float((lengths[:, None] * np.square(means - of_groups[of_group])).sum()) / between_df
    within = float(np.square(y - means[query]).sum()) / within_df
    if between + within <= 0:
        return None
    squares = np.bincount(of_group, weights=np.square(lengths)) / np.bincount(of_group, weights=lengths)
    n0 = float((lengths.sum() - squares.sum()) / between_df)
    return ListCorrelation(_ratio(between, within, n0), _lower(between, within, n0, between_df, within_df), n0)


def hubs(results: Results, *, k: int | None, rank_aware: bool = False) -> Exposure:
    """How far a few items fill the lists; every query gives out the same exposure.

    Parameters
    ----------
    results : Results
    k : int or None
        Cut-off.
    rank_aware : bool
        Whether exposure is 1 / log2(1 + rank) instead of 1.
    """
    weight = slot_weights(results, k, rank_aware=rank_aware)
    kept = weight > 0
    query, item, weight = results.query[kept], results.item[kept], weight[kept]
    if not len(item):
        return Exposure(0, 0.0, 0.0, 0.0)
    total = np.bincount(query, weights=weight, minlength=results.n_queries)
    exposure = np.bincount(item, weights=weight / total[query], minlength=results.n_items)
    shares = exposure / exposure.sum()
    pairs = np.unique(item.astype(np.int64) * results.n_queries + query)
    in_lists = np.bincount(pairs // results.n_queries, minlength=results.n_items)
    return Exposure(
        n_items=int(np.count_nonzero(exposure)),
        effective_items=float(1 / np.square(shares).sum()),
        repeated_share=float((in_lists[item] > 1).mean()),
        largest_share=float(shares.max()),
    )


def caution_of_clusters(mode: str, found: ListCorrelation | None) -> Caution | None:
    """Warning that a test which permutes items rejects too often; None in modes B and C2, and without clustering."""
    if mode not in ("A", "C1") or found is None or found.low <= 0 or found.design_effect < NOTABLE_DESIGN_EFFECT:
        return None
    message = (
        f"Results of one query are alike (intra-list correlation {found.icc:.2f}, design effect {found.design_effect:.1f}). "
        f"Mode {mode} takes tones as exchangeable over the items of a stratum and rejects too often where lists cluster by "
        "something that goes with tone: read its p-value with care, use strata, or prefer mode B, which needs query groups."
    )
    return Caution(code="clustered-lists", message=message)


def _numbers(attribute: Attribute, item: NDArray[np.int32], level: NDArray[np.int16]) -> NDArray[np.float64]:
    """What is correlated, shape (n_slots, m)."""
    if attribute.value is not None:
        return attribute.value[item][:, None]
    n_levels = len(attribute.scale.levels)
    if attribute.scale.kind == "ordinal":
        counts = np.bincount(level, minlength=n_levels)
        ridits = (np.cumsum(counts) - counts / 2) / max(counts.sum(), 1)
        return np.asarray(ridits[level], np.float64)[:, None]
    indicators: NDArray[np.float64] = (level[:, None] == np.arange(n_levels)).astype(np.float64)
    return indicators


def _sums(of: NDArray[np.intp], y: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    return np.stack([np.bincount(of, weights=column, minlength=n) for column in y.T], axis=1)


def _ratio(between: float, within: float, n0: float) -> float:
    return float((between - within) / (between + (n0 - 1) * within))


def _lower(between: float, within: float, n0: float, between_df: float, within_df: float) -> float:
    from scipy.special import fdtri

    return _ratio(between / float(fdtri(between_df, within_df, 0.95)), within, n0)
