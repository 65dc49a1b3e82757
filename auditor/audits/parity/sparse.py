"""Bounds where so few queries show anything that resampling would miss them.

A resample of n queries of which k differ from all the others holds none of them with probability (1 - k / n)^n, and then says
that nothing is uncertain. Where that is likely, the part that a group adds to an effect is bounded instead by betting [1] on
the mean of its queries' numbers. That holds for every number of queries, whatever the lists look like: one list may be full of
what no list at hand shows. From n queries of which none shows a level its share is bounded by about log(2 / a) / n.

References
----------
[1] I. Waudby-Smith, A. Ramdas, "Estimating means of bounded random variables by betting", Journal of the Royal Statistical
    Society B 86 (2024) 1-27, section 4.
"""

import numpy as np
from numpy.typing import NDArray

from auditor.audits.parity.contrasts import Contrast, Design
from auditor.audits.parity.data import Lists
from auditor.stats.intervals import betting_interval

_TINY = 1e-9
#: Numbers of queries that differ by no more than this are alike.
_DIGITS = 9


def missed(contrast: Contrast, lists: Lists, design: Design) -> NDArray[np.float64]:
    """Probability that a resample of a group holds none of its queries that differ from most of them, shape (G,).

    Groups are those that have queries, in their order; 0 for those that weigh nothing in the effect.
    """
    scores, weighty = _scores(contrast), _weighty(contrast)
    if scores is None:
        assert lists.values is not None, "degrees are only there on an ITA scale"
        seen = lists.values
    else:
        # Where a list stands between the least and the most that it could be: targets differ from query to query.
        low, high = scores.min(axis=1), scores.max(axis=1)
        width = np.where(high > low, high - low, 1.0)
        seen = ((lists.shares * scores).sum(axis=1) - low) / width
    seen = np.round(seen, _DIGITS)
    found = []
    for g in np.unique(design.group):
        own = seen[weighty & (design.group == g)]
        n = len(own)
        _, counts = np.unique(own, return_counts=True)
        found.append(0.0 if n == 0 else float((counts.max() / n) ** n))
    return np.array(found)


def bounds(
    contrast: Contrast, lists: Lists, design: Design, chosen: NDArray[np.bool_], *, confidence: float, seed: int
) -> NDArray[np.float64]:
    """How far below, and above, what is estimated the parts of some groups may be, shape (2, G).

    Parameters
    ----------
    contrast : Contrast
    lists : Lists
    design : Design
    chosen : ndarray of bool, shape (G,)
        Groups that are bounded; the others are nan, and so are all where numbers have no bounds (degrees).
    confidence : float
        Of each part's interval.
    seed : int
        Bets are placed in an order that has nothing to do with the numbers.
    """
    groups = np.unique(design.group)
    found = np.full((2, len(groups)), np.nan)
    scores = _scores(contrast)
    if scores is None or not chosen.any():
        return found
    weighty, numbers = _weighty(contrast), (lists.shares * scores).sum(axis=1)
    scores = np.broadcast_to(scores, lists.shares.shape)
    for place in np.flatnonzero(chosen):
        squares = np.zeros(2)
        for sign in (1.0, -1.0):
            rows = np.flatnonzero(weighty & (design.group == groups[place]) & (sign * contrast.weights > 0))
            if len(rows):
                limits = scores[rows].min(), scores[rows].max()
                lengths = _lengths(contrast.weights[rows], numbers[rows], limits, confidence, seed)
                squares += np.square(lengths if sign > 0 else lengths[::-1])
        found[:, place] = np.sqrt(squares)
    return found


def _lengths(
    weights: NDArray[np.float64],
    numbers: NDArray[np.float64],
    limits: tuple[float, float],
    confidence: float,
    seed: int,
) -> NDArray[np.float64]:
    """Of the interval of a weighted mean below and above it, times the sum of the weights, shape (2,)."""
    least, most = limits
    if most - least <= _TINY:
        return np.zeros(2)
    order = np.random.default_rng(np.random.SeedSequence(seed)).permutation(len(numbers))
    weights, numbers = np.abs(weights[order]), np.clip(numbers[order], least, most)
    sizes = weights / weights.min()
    mean = weights @ numbers / weights.sum()
    low, high = betting_interval(numbers * sizes, confidence, least=least, most=most, sizes=sizes)
    lengths: NDArray[np.float64] = weights.sum() * np.maximum([mean - low, high - mean], 0.0)
    return lengths


def _weighty(contrast: Contrast) -> NDArray[np.bool_]:
    size = np.abs(contrast.weights)
    found: NDArray[np.bool_] = size > _TINY * size.max(initial=0.0)
    return found


def _scores(contrast: Contrast) -> NDArray[np.float64] | None:
    """What a slot of each level counts in each query, (n, n_levels) or (1, n_levels); None for degrees.

    Scores that are estimated from the queries themselves (mid-ranks) move with every query; to first order what it adds to the
    effect is linear in its shares all the same. Between two groups that are all there is, mid-ranks among both become those
    among the other group.
    """
    if contrast.scores is None or contrast.moving is None or contrast.movers is None:
        return contrast.scores
    weighty = _weighty(contrast)
    moved = np.where(contrast.movers & weighty, 1 / np.where(weighty, contrast.weights, 1.0), 0.0)
    return contrast.scores + (moved / max(int(contrast.movers.sum()), 1))[:, None] * contrast.moving
