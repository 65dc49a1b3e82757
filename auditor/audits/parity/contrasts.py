"""Linear contrasts of per-query numbers: what every query, and every item, adds to an effect and to its variance.

Every query weighs the same. Its number y (a share of a level, a mid-rank, a mean in degrees) is described by its group and
its stratum, y = stratum + group + error, fitted by least squares. Without strata a contrast is the plain difference of two
means; with strata and two groups it is the average of the differences within strata with weights n1 n2 / (n1 + n2), which
are those of Mantel and Haenszel: the same sum that the permutation test looks at.

References
----------
[1] J. G. MacKinnon, H. White, "Some heteroskedasticity-consistent covariance matrix estimators with improved finite sample
    properties", Journal of Econometrics 29 (1985) 305-325: HC2. Without strata it is Welch's s1^2 / n1 + s2^2 / n2.
[2] A. C. Cameron, J. B. Gelbach, D. L. Miller, "Robust inference with multiway clustering", Journal of Business & Economic
    Statistics 29 (2011) 238-249: variance by query + variance by item - variance by slot.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.audits.parity.data import Attribute, Lists, Results, slot_weights

_TINY = 1e-9
#: Two groups and the weights of their difference, shape (n,).
Pair = tuple[int, int, NDArray[np.float64]]


@dataclass(frozen=True)
class Contrast:
    """A weighted sum over queries of one number of each query.

    Attributes
    ----------
    weights : ndarray of float64, shape (n,)
        Weight of each query's number in the effect.
    scores : ndarray of float64, shape (n, n_levels) or (1, n_levels), or None
        What a slot of each level counts; a query's number is the mean over its slots. None: the slot's degrees.
    moving : ndarray of float64, shape (n_levels,), or None
        Where the scores are themselves estimated from the mean shares of some queries (mid-ranks): the derivative of the
        effect by those mean shares.
    movers : ndarray of bool, shape (n,), or None
        The queries from whose mean shares the scores are estimated.
    """

    weights: NDArray[np.float64]
    scores: NDArray[np.float64] | None
    moving: NDArray[np.float64] | None = None
    movers: NDArray[np.bool_] | None = None


class Design:
    """Groups and strata of the queries, and the least-squares fit of anything on them.

    Parameters
    ----------
    group : ndarray of int16, shape (n,)
        From 0 to n_groups - 1.
    n_groups : int
    stratum : ndarray of int32, shape (n,)
    """

    def __init__(self, group: NDArray[np.int16], n_groups: int, stratum: NDArray[np.int32]) -> None:
        self.group, self.n_groups = group, n_groups
        self.sizes = np.bincount(group, minlength=n_groups)
        _, self._stratum = np.unique(stratum, return_inverse=True)
        self._n_of_stratum = np.bincount(self._stratum).astype(np.float64)
        indicator = (group[:, None] == np.arange(n_groups)).astype(np.float64)
        self._centred = indicator - self._stratum_mean(indicator)
        self._cross = self._centred.T @ self._centred
        self._inverse = np.linalg.pinv(self._cross, rcond=_TINY, hermitian=True)
        leverage = 1 / self._n_of_stratum[self._stratum] + np.einsum(
            "ng,gh,nh->n", self._centred, self._inverse, self._centred
        )
        # A query that is fitted exactly, such as one alone in its stratum, has no error that could be scaled.
        left = 1 - leverage
        self.scale = np.where(left > _TINY, 1 / np.sqrt(np.clip(left, _TINY, None)), 0.0)

    def difference(self, a: int, b: int) -> NDArray[np.float64] | None:
        """Weights of the difference between two groups, shape (n,); None if no strata connect them."""
        wanted = np.zeros(self.n_groups)
        wanted[a], wanted[b] = 1, -1
        if not np.allclose(self._cross @ (self._inverse @ wanted), wanted, atol=1e-6):
            return None
        weights: NDArray[np.float64] = self._centred @ (self._inverse @ wanted)
        return weights

    def compared(self, pair: Pair) -> tuple[int, int]:
        """Queries of each of two groups that have any weight in their difference."""
        a, b, weights = pair
        weighty = np.abs(weights) > _TINY * np.abs(weights).max()
        return int(np.count_nonzero(weighty & (self.group == a))), int(np.count_nonzero(weighty & (self.group == b)))

    @property
    def partnered(self) -> NDArray[np.bool_]:
        """Which queries stand in a stratum that holds another group as well, shape (n,)."""
        found: NDArray[np.bool_] = (np.abs(self._centred) > _TINY).any(axis=1)
        return found

    def deviation(self, group: int) -> NDArray[np.float64]:
        """Weights of a group's mean less what it is expected to be under shuffled labels, shape (n,)."""
        weights: NDArray[np.float64] = self._centred[:, group] / max(self.sizes[group], 1)
        return weights

    def fitted(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Least-squares fit of each column of y, shape (n, m)."""
        fit: NDArray[np.float64] = self._stratum_mean(y) + self._centred @ (self._inverse @ (self._centred.T @ y))
        return fit

    def expected(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean of each column of y for each group if labels are shuffled within strata, shape (n_groups, m)."""
        within = self._stratum_mean(y)
        sums = np.stack([within[self.group == g].sum(axis=0) for g in range(self.n_groups)])
        means: NDArray[np.float64] = sums / np.maximum(self.sizes, 1)[:, None]
        return means

    def _stratum_mean(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        n = len(self._n_of_stratum)
        sums = np.stack([np.bincount(self._stratum, weights=column, minlength=n) for column in y.T], axis=1)
        means: NDArray[np.float64] = (sums / self._n_of_stratum[:, None])[self._stratum]
        return means


def value(contrast: Contrast, lists: Lists) -> float:
    """The effect: the weighted sum of the queries' numbers."""
    return float(contrast.weights @ numbers(contrast, lists))


def numbers(contrast: Contrast, lists: Lists) -> NDArray[np.float64]:
    """The queries' numbers, shape (n,)."""
    if contrast.scores is None:
        assert lists.values is not None, "degrees are only there on an ITA scale"
        return lists.values
    found: NDArray[np.float64] = (lists.shares * contrast.scores).sum(axis=1)
    return found


def influence(contrast: Contrast, lists: Lists, design: Design) -> NDArray[np.float64]:
    """What each query's deviation from its group and stratum adds to the effect, shape (n,).

    Scaled so that the sum of squares is the HC2 variance of the effect [1].
    """
    y = numbers(contrast, lists)
    influences: NDArray[np.float64] = contrast.weights * design.scale * (y - design.fitted(y[:, None])[:, 0])
    if contrast.moving is not None and contrast.movers is not None:
        moved = lists.shares @ contrast.moving
        influences = influences + mover_weights(contrast.movers) * (moved - moved[contrast.movers].mean())
    return influences


def mover_weights(movers: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weight of each query in the mean over some queries, scaled as HC2 scales it: the mean is a fit of its own.

    It has nothing to do with strata: a query that is alone in its stratum moves the mid-ranks like any other.
    """
    n = int(np.count_nonzero(movers))
    weights: NDArray[np.float64] = movers / np.sqrt(n * max(n - 1, 1))
    return weights


def order_of(n_levels: int) -> NDArray[np.float64]:
    """Sign of c - d, shape (n_levels, n_levels): times shares, how often a level stands higher less how often lower."""
    places = np.arange(float(n_levels))
    signs: NDArray[np.float64] = np.sign(places[:, None] - places[None, :])
    return signs


def rank_steps(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far the mid-ranks, from -1 to 1, of one level and the next lie apart among shares, (..., n_levels - 1)."""
    steps: NDArray[np.float64] = shares[..., :-1] + shares[..., 1:]
    return steps


def rank_deviations(
    shares: NDArray[np.float64], target: NDArray[np.float64], ranked_among: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Scores of levels whose mean over a list says how much higher it stands than its target, shape (n, n_levels).

    Parameters
    ----------
    shares, target : ndarray of float64, shape (n, n_levels)
    ranked_among : ndarray of float64, shape (n_levels,), or None
        Shares among which mid-ranks are taken, the mean of the targets; None for those of each list's own target.
    """
    order = order_of(shares.shape[1])
    if ranked_among is None:
        # P[a result stands higher than a draw from the query's target] - P[lower]; of the target itself that is 0.
        own: NDArray[np.float64] = target @ order.T
        return own
    rank = order @ ranked_among
    # Each target also moves the mean among which all are ranked: 0 over all queries, though not for each of them.
    moved = (target - ranked_among) @ (order.T @ (shares - target).mean(axis=0))
    scores: NDArray[np.float64] = rank - (target @ rank - moved)[:, None]
    return scores


@dataclass(frozen=True)
class Slots:
    """The counted slots of the lists.

    Attributes
    ----------
    row : ndarray of intp, shape (n_slots,)
        Row of the slot's query in the lists.
    item : ndarray of intp, shape (n_slots,)
        Numbered from 0 among the items that are shown.
    level : ndarray of int16, shape (n_slots,)
    value : ndarray of float64, shape (n_slots,), or None
        Degrees.
    weight : ndarray of float64, shape (n_slots,)
        Sums to 1 for every query.
    repeated : bool
        Whether any item stands in the lists of two queries.
    """

    row: NDArray[np.intp]
    item: NDArray[np.intp]
    level: NDArray[np.int16]
    value: NDArray[np.float64] | None
    weight: NDArray[np.float64]
    repeated: bool


def counted_slots(results: Results, attribute: Attribute, lists: Lists) -> Slots:
    """The slots that the lists were made of: those within K, of known attribute, of the queries that are in them."""
    weight = slot_weights(results, lists.k, rank_aware=lists.rank_aware)
    row_of = np.full(results.n_queries, -1, dtype=np.intp)
    row_of[lists.queries] = np.arange(len(lists.queries))
    level, row = attribute.level[results.item], row_of[results.query]
    kept = (level >= 0) & (weight > 0) & (row >= 0)
    row, weight = row[kept], weight[kept]
    _, item = np.unique(results.item[kept], return_inverse=True)
    total = np.bincount(row, weights=weight, minlength=len(lists.queries))
    pairs = len(np.unique(item * np.intp(max(len(lists.queries), 1)) + row))
    return Slots(
        row=row,
        item=item.astype(np.intp),
        level=level[kept],
        value=None if attribute.value is None else attribute.value[results.item[kept]],
        weight=weight / total[row],
        repeated=bool(pairs > (int(item.max()) + 1 if item.size else 0)),
    )


def standard_error(contrast: Contrast, lists: Lists, design: Design, slots: Slots | None) -> tuple[float, float]:
    """Standard error of an effect, and by what factor repeated items widen it; 0 where queries are all alike.

    Two-way [2] where slots are given and items repeat, never below that over queries.
    """
    by_query = float(np.square(influence(contrast, lists, design)).sum())
    if by_query <= 1e-24:  # rounding must not make a variance out of queries that are all alike
        return 0.0, 1.0
    added = 0.0
    if slots is not None and slots.repeated:
        added = max(item_variance(contrast, lists, design, slots), 0.0)
    return float(np.sqrt(by_query + added)), float(np.sqrt(1 + added / by_query))


def item_variance(contrast: Contrast, lists: Lists, design: Design, slots: Slots) -> float:
    """Variance by item less variance by slot [2]: what is added to the variance by query where items repeat."""
    y = numbers(contrast, lists)
    fit = design.fitted(y[:, None])[:, 0]
    if contrast.scores is None:
        assert slots.value is not None, "degrees are only there on an ITA scale"
        seen = slots.value
    else:
        scores = np.broadcast_to(contrast.scores, lists.shares.shape)
        seen = scores[slots.row, slots.level]
    parts = (contrast.weights * design.scale)[slots.row] * (seen - fit[slots.row])
    if contrast.moving is not None and contrast.movers is not None:
        mean = (lists.shares @ contrast.moving)[contrast.movers].mean()
        parts = parts + mover_weights(contrast.movers)[slots.row] * (contrast.moving[slots.level] - mean)
    parts = parts * slots.weight
    by_item = np.bincount(slots.item, weights=parts)
    return float(np.square(by_item).sum() - np.square(parts).sum())
