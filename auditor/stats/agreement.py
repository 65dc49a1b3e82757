"""Agreement between two raters, or among many: kappa, alpha, rank correlation, distances, calibration of a confidence.

Every function takes finished numbers and returns a number; nan where it is undefined (a constant rater has no rank
correlation). Missing ratings are nan where a function allows them.

References
----------
[1] J. Cohen, "Weighted kappa: nominal scale agreement with provision for scaled disagreement or partial credit",
    Psychological Bulletin 70 (1968) 213-220.
[2] K. Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), University of Pennsylvania.
[3] C. Spearman, "The proof and measurement of association between two things", American Journal of Psychology 15
    (1904) 72-101; ties by midranks: M. G. Kendall, Rank Correlation Methods (1948), chapter 3.
[4] M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning",
    AAAI (2015); C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural networks", ICML (2017).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Differences smaller than this are rounding errors of means and mapped scales, not differences.
ROUNDING = 1e-9
#: How far two values of Krippendorff's alpha lie apart: by the ranks between them, or only whether they differ.
AlphaDifference = Literal["ordinal", "nominal"]


def quadratic_weighted_kappa(a: ArrayLike, b: ArrayLike, levels: Sequence[float]) -> float:
    """Cohen's kappa with squared distances as weights [1].

    kappa = 1 - sum_ij (v_i - v_j)^2 O_ij / sum_ij (v_i - v_j)^2 E_ij, with O the confusion matrix, E its expectation
    if the two rated independently with their own margins, and v the levels' values. (scikit-learn squares the distance
    of the levels' positions: the same for evenly spaced levels only.)

    Parameters
    ----------
    a, b : array_like of shape (n,)
        Ratings; each is one of the levels.
    levels : sequence of k numbers
        The scale, in rising order. Levels that nobody used change nothing.

    Returns
    -------
    float
        At most 1; 0 is what chance gives. nan if both are constant at one and the same level, or n = 0.

    Raises
    ------
    ValueError
        If the lengths differ or a rating is none of the levels.
    """
    observed = confusion(a, b, levels).astype(np.float64)
    n = observed.sum()
    values = np.asarray(levels, dtype=np.float64)
    weights = np.square(values[:, None] - values[None, :])
    # E_ij = (row margin)(column margin) / n; both sides are multiplied by n, so that n = 0 needs no case of its own.
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0))
    chance = float((weights * expected).sum())
    return 1 - float(n * (weights * observed).sum()) / chance if chance > 0 else float("nan")


def confusion(a: ArrayLike, b: ArrayLike, levels: Sequence[float]) -> NDArray[np.int64]:
    """How often the first rated level i and the second level j.

    Parameters
    ----------
    a, b : array_like of shape (n,)
        Ratings; each is one of the levels. Rows of the result belong to a, columns to b.
    levels : sequence of k numbers
        The scale, in rising order.

    Returns
    -------
    ndarray of shape (k, k)

    Raises
    ------
    ValueError
        If the lengths differ, the levels do not rise, or a rating is none of them.
    """
    first, second = _pair(a, b)
    values = np.asarray(levels, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or (np.diff(values) <= 0).any():
        raise ValueError("levels are distinct numbers in rising order")
    k = values.size
    cells = _positions(first, values) * k + _positions(second, values)
    return np.bincount(cells, minlength=k * k).reshape(k, k).astype(np.int64)


def ordinal_alpha(ratings: NDArray[np.float64]) -> float:
    """Krippendorff's alpha with his ordinal difference function [2].

    alpha = 1 - (n - 1) sum_ck o_ck d_ck / sum_ck n_c n_k d_ck, with coincidences o_ck (pairs of values within a unit,
    each unit weighted by 1 / (its ratings - 1)), n_c = sum_k o_ck, n = sum_c n_c, and the ordinal difference
    d_ck = (sum_{g=c..k} n_g - (n_c + n_k) / 2)^2: how many pairable values lie between two ranks.

    Parameters
    ----------
    ratings : ndarray of shape (n_coders, n_units)
        nan where a coder did not rate a unit. Units with fewer than two ratings do not count. Memory grows with the
        square of the number of distinct values: meant for scales.

    Returns
    -------
    float
        At most 1; 0 is what chance gives. nan if all pairable values are the same, or there are none.

    Raises
    ------
    ValueError
        If the ratings are not a table.
    """
    return drawn_alpha(ratings, "ordinal")(None)


def nominal_alpha(ratings: NDArray[np.float64]) -> float:
    """Krippendorff's alpha with his nominal difference function [2]: d_ck = 1 for two values that differ, else 0.

    Parameters, result and errors are those of `ordinal_alpha`; the order of the values means nothing.
    """
    return drawn_alpha(ratings, "nominal")(None)


def drawn_alpha(
    ratings: NDArray[np.float64], difference: AlphaDifference
) -> Callable[[NDArray[np.intp] | None], float]:
    """Krippendorff's alpha of drawn units, for a bootstrap: values are counted once, not in every draw.

    Parameters
    ----------
    ratings : ndarray of shape (n_coders, n_units)
        As for `ordinal_alpha`.
    difference : {"ordinal", "nominal"}

    Returns
    -------
    callable
        Takes numbers of units, shape (m,), or None for each unit once, and returns alpha of these units; a unit that
        is drawn twice counts twice.
    """
    ratings = np.asarray(ratings, dtype=np.float64)
    if ratings.ndim != 2:
        raise ValueError("ratings are a table of coders by units")
    n_units = ratings.shape[1]
    _, unit = np.nonzero(~np.isnan(ratings))
    values, value = np.unique(ratings[~np.isnan(ratings)], return_inverse=True)
    k = values.size
    counts = np.bincount(unit * k + value, minlength=n_units * k).reshape(n_units, k).astype(np.float64)
    others = counts.sum(axis=1, keepdims=True) - 1
    weighted = np.where(others > 0, counts / np.maximum(others, 1), 0.0)

    def alpha(drawn: NDArray[np.intp] | None) -> float:
        times = 1.0 if drawn is None else np.bincount(drawn, minlength=n_units)[:, None].astype(np.float64)
        pairs = weighted * times
        return _alpha(pairs.T @ counts - np.diag(pairs.sum(axis=0)), difference)

    return alpha


def _alpha(coincidences: NDArray[np.float64], kind: AlphaDifference) -> float:
    margins = coincidences.sum(axis=1)
    # With S_c = n_1 + ... + n_c the sum over g = c..k less half of both ends is (S_k - n_k / 2) - (S_c - n_c / 2).
    midranks = np.cumsum(margins) - margins / 2
    ordinal = np.square(midranks[:, None] - midranks[None, :])
    difference = ordinal if kind == "ordinal" else 1.0 - np.eye(margins.size)
    chance = float((np.outer(margins, margins) * difference).sum())
    if not chance > 0:
        return float("nan")
    return 1 - float((margins.sum() - 1) * (coincidences * difference).sum()) / chance


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's rank correlation: Pearson's of the midranks [3].

    Parameters
    ----------
    a, b : array_like of shape (n,)
        Finite numbers.

    Returns
    -------
    float
        Between -1 and 1; nan if either is constant or n < 2.

    Raises
    ------
    ValueError
        If the lengths differ or a number is not finite.
    """
    first, second = _pair(a, b)
    return drawn_spearman(first, second)(np.arange(first.size))


def drawn_spearman(a: ArrayLike, b: ArrayLike) -> Callable[[NDArray[np.intp]], float]:
    """Spearman's rank correlation of drawn rows, for a bootstrap: the numbers are sorted once, not in every draw.

    Parameters
    ----------
    a, b : array_like of shape (n,)
        Finite numbers.

    Returns
    -------
    callable
        Takes row numbers of shape (m,) and returns what `spearman` gives for these rows.

    Raises
    ------
    ValueError
        If the lengths differ or a number is not finite.
    """
    places = [np.unique(values, return_inverse=True)[1] for values in _pair(a, b)]

    def correlation(drawn: NDArray[np.intp]) -> float:
        if drawn.size < 2:
            return float("nan")
        middle = (drawn.size + 1) / 2  # the mean of midranks, whatever the ties
        x, y = (_midranks(place[drawn]) - middle for place in places)
        scale = float(np.sqrt((x @ x) * (y @ y)))
        return float(np.clip((x @ y) / scale, -1.0, 1.0)) if scale > 0 else float("nan")

    return correlation


def within(a: ArrayLike, b: ArrayLike, distance: float) -> float:
    """Share of pairs that lie at most a distance apart; distance 0 is exact agreement.

    A difference that exceeds the distance by rounding only (under 1e-9) is within it.

    Parameters
    ----------
    a, b : array_like of shape (n,)
        Finite numbers on one scale.

    Returns
    -------
    float
        Between 0 and 1; nan if n = 0.

    Raises
    ------
    ValueError
        If the lengths differ or a number is not finite.
    """
    first, second = _pair(a, b)
    return float((np.abs(first - second) <= distance + ROUNDING).mean()) if first.size else float("nan")


def mean_absolute_error(a: ArrayLike, b: ArrayLike) -> float:
    """Mean of abs(a - b), in points of the scale.

    Parameters
    ----------
    a, b : array_like of shape (n,)
        Finite numbers on one scale.

    Returns
    -------
    float
        nan if n = 0.

    Raises
    ------
    ValueError
        If the lengths differ or a number is not finite.
    """
    first, second = _pair(a, b)
    return float(np.abs(first - second).mean()) if first.size else float("nan")


def human_ceiling(ratings: NDArray[np.float64]) -> float:
    """How well one rater predicts the others: what a judge can be expected to reach at best.

    Mean over the raters of the Spearman correlation of a rater with the mean of the other raters, each over the units
    that the rater and at least one other rated, and weighted by their number, so that who rated two units counts as two
    units do (ours). Raters for whom it is undefined are left out of the mean.

    Parameters
    ----------
    ratings : ndarray of shape (n_units, n_raters)
        nan where a rater did not rate a unit.

    Returns
    -------
    float
        Between -1 and 1; nan if it is undefined for every rater.

    Raises
    ------
    ValueError
        If the ratings are not a table.
    """
    ratings = np.asarray(ratings, dtype=np.float64)
    if ratings.ndim != 2:
        raise ValueError("ratings are a table of units by raters")
    rated = ~np.isnan(ratings)
    correlations, counts = [], []
    for rater in range(ratings.shape[1]):
        others = np.delete(ratings, rater, axis=1)
        both = rated[:, rater] & ~np.isnan(others).all(axis=1)
        # Rounded, since 1/3 + 2/3 + 4/3 depends on the order of adding, and a tie broken by that is no order.
        means = np.round(np.nanmean(others[both], axis=1), 9) if both.any() else np.empty(0)
        correlation = spearman(ratings[both, rater], means)
        if not np.isnan(correlation):
            correlations.append(correlation)
            counts.append(np.count_nonzero(both))
    return float(np.average(correlations, weights=counts)) if correlations else float("nan")


@dataclass(frozen=True)
class ReliabilityBin:
    """Ratings whose confidence lies in one bin, low < confidence <= high (the first bin holds 0 too).

    Attributes
    ----------
    low, high : float
        Edges of the bin.
    confidence : float
        Mean confidence.
    accuracy : float
        Share that was right.
    n : int
        Number of ratings, at least 1: empty bins are left out.
    """

    low: float
    high: float
    confidence: float
    accuracy: float
    n: int


def expected_calibration_error(
    confidence: ArrayLike, correct: ArrayLike, bins: int = 10
) -> tuple[list[ReliabilityBin], float]:
    """Reliability by equally wide bins of confidence, and the expected calibration error [4].

    The error is the mean over bins of abs(accuracy - confidence), weighted by the number of ratings in the bin.

    Parameters
    ----------
    confidence : array_like of shape (n,)
        Between 0 and 1.
    correct : array_like of shape (n,)
        Whether the rating was right: bool, or 0 and 1.
    bins : int
        Number of bins.

    Returns
    -------
    table : list of ReliabilityBin
        Bins that hold ratings, from low to high confidence.
    ece : float
        Between 0 and 1; nan if n = 0.

    Raises
    ------
    ValueError
        If the lengths differ, a confidence lies outside 0 to 1, or there is no bin.
    """
    sure, right = _pair(confidence, correct)
    if bins < 1:
        raise ValueError("at least one bin")
    if sure.size and (sure.min() < 0 or sure.max() > 1):
        raise ValueError("confidence lies between 0 and 1")
    edges = np.linspace(0, 1, bins + 1)
    place = np.searchsorted(edges[1:-1], sure, side="left")
    table = []
    for i in np.unique(place):
        held = place == i
        mean, accuracy = float(sure[held].mean()), float(right[held].mean())
        table.append(ReliabilityBin(float(edges[i]), float(edges[i + 1]), mean, accuracy, int(held.sum())))
    if not table:
        return [], float("nan")
    return table, sum(row.n * abs(row.accuracy - row.confidence) for row in table) / sure.size


def _pair(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"two lists of one length are compared, not shapes {first.shape} and {second.shape}")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("only finite numbers are compared; leave out pairs with a missing rating")
    return first, second


def _positions(ratings: NDArray[np.float64], levels: NDArray[np.float64]) -> NDArray[np.intp]:
    found = np.minimum(np.searchsorted(levels, ratings), levels.size - 1)
    wrong = levels[found] != ratings
    if wrong.any():
        raise ValueError(f"{ratings[wrong][0]:g} is none of the levels {', '.join(f'{level:g}' for level in levels)}")
    return found


def _midranks(places: NDArray[np.intp]) -> NDArray[np.float64]:
    """Midranks of values, from their places among the distinct values in rising order; not every place must occur."""
    counts = np.bincount(places)
    last = np.cumsum(counts)
    # Values that tie share the mean of the ranks that they take together: last - counts + 1, ..., last.
    midranks: NDArray[np.float64] = (last - (counts - 1) / 2)[places]
    return midranks
