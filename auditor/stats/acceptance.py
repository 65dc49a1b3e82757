"""Certified auto-accept: above which confidence a judge's ratings may stand without a person looking.

For every threshold t stands the hypothesis H_t: "among ratings with confidence t or more, the share that is wrong
exceeds epsilon". Thresholds are tested from a strict one downward, each at level delta, up to the first that fails
(fixed sequence [1]); the last that passed is used. That needs no confidence that means anything: a curve of errors that
goes up and down costs power, never the guarantee.

Where every rating is its own context, the number of wrong ones is binomial given the number accepted, and the tail is an
exact p-value. Where a context holds several ratings, their errors come together and the tail is far too small. There the
unit is the context, with z = sum over its accepted ratings of (wrong - epsilon): H_t says E[z] > 0. With m the largest
number of ratings in a context, y = epsilon + z / m lies between 0 and 1, and H_t says E[y] > epsilon, which a betting
p-value [2] tests without any assumption on how the errors of a context hang together (the reduction is ours).

References
----------
[1] P. Bauer, "Multiple testing in clinical trials", Statistics in Medicine 10 (1991) 871-890; as risk control:
    A. Angelopoulos et al., "Learn then test" (2021), arXiv:2110.01052, section 3.
[2] I. Waudby-Smith, A. Ramdas, "Estimating means of bounded random variables by betting", Journal of the Royal
    Statistical Society B 86 (2024) 1-27.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.stats.bootstrap import group_numbers
from auditor.stats.multiplicity import fixed_sequence
from auditor.stats.p_values import binomial_p_value, clopper_pearson_upper, wsr_p_value

BINOMIAL = "binomial"
BETTING = "betting by context"

#: Share of the largest possible bet that is never exceeded: one context that is wrong throughout then leaves a twentieth
#: of the capital instead of nothing (ours; about as strong as betting all, and better where errors come together).
_MOST_AT_STAKE = 0.95
#: Steps of acceptance between the thresholds that are tested, and rehearsals that choose the first of them (ours).
_STEPS, _REHEARSALS = 40, 200
_MOST_DRAWN = 200_000  # contexts in all rehearsals; with very many fewer rehearsals tell as much


@dataclass(frozen=True)
class Acceptance:
    """Which ratings may be accepted unseen, and how it was found.

    Attributes
    ----------
    certified : bool
        Whether a threshold passed.
    threshold : float or None
        Ratings with this confidence or more may be accepted; None if no threshold passed.
    n_accepted, n_wrong : int
        Ratings of the certify part at that threshold or above, and how many of them were wrong; 0 without a threshold.
    n, contexts : int
        Ratings and contexts of the certify part.
    tested : tuple of float
        Thresholds in the order in which they were tested, up to the first that failed and with it.
    accepted, wrong : tuple of int
        Ratings accepted at each of them, and wrong ones among those.
    p_values : tuple of float
        For H_t at each of them.
    method : {"binomial", "betting by context"}
        Where the p-values come from.
    epsilon, delta : float
        As asked for.
    upper : float or None
        Exact (Clopper-Pearson) upper bound, at level 1 - delta, of the share wrong at the threshold taken for itself.
        It describes the last step; what is guaranteed after the choice among thresholds is epsilon. None without a
        threshold, and for betting by context, where no exact bound exists.
    """

    certified: bool
    threshold: float | None
    n_accepted: int
    n_wrong: int
    n: int
    contexts: int
    tested: tuple[float, ...]
    accepted: tuple[int, ...]
    wrong: tuple[int, ...]
    p_values: tuple[float, ...]
    method: str
    epsilon: float
    delta: float
    upper: float | None


def certify_acceptance(
    confidence: ArrayLike,
    wrong: ArrayLike,
    groups: Sequence[Hashable] | None,
    thresholds: Sequence[float],
    *,
    epsilon: float,
    delta: float,
    seed: int,
    largest_context: int | None = None,
) -> Acceptance:
    """The lowest threshold, going down from the first, whose accepted ratings are wrong at most epsilon of the time.

    What is guaranteed: over repeated draws of the certify part, with probability at least 1 - delta, either no threshold
    is returned, or among all future ratings with that confidence or more the share that is wrong is at most epsilon.
    Future ratings are those of contexts drawn like the ones here (independently, from the same source), judged by the
    same judge with the same rubric, people and calibration. Nothing is promised for a subset of them, for other sources,
    or for several certificates at once: k of them hold together with probability 1 - k delta.

    Parameters
    ----------
    confidence : array_like of shape (n,)
        Of the ratings of the certify part. Nothing in it may have been fitted on this part.
    wrong : array_like of shape (n,), bool
        Whether people disagree with the rating.
    groups : sequence of n hashables or None
        Context of each rating; every rating is its own context if None.
    thresholds : sequence of float
        Descending, fixed without a look at this part: see `start_threshold`.
    epsilon, delta : float
        Share wrong that is allowed, and the probability that it is exceeded after all; between 0 and 1.
    seed : int
        Order in which contexts are bet on. It must not be chosen by the outcome.
    largest_context : int, optional
        Most ratings that a context can hold, anywhere: the guarantee for contexts rests on that bound. The largest context
        here if not given, which in simulation erred on the safe side even where sizes have no bound. One context that is
        much larger than the rest makes every bet small.

    Raises
    ------
    ValueError
        If lengths differ, a confidence is not a number, thresholds do not descend, epsilon or delta is not between
        0 and 1, or a context is larger than said.
    """
    sure, amiss = _ratings(confidence, wrong)
    grid = np.asarray(thresholds, dtype=np.float64)
    if grid.ndim != 1 or not (np.diff(grid) < 0).all():
        raise ValueError("thresholds descend: each is lower than the one before")
    if not (0 < epsilon < 1 and 0 < delta < 1):
        raise ValueError("epsilon and delta lie between 0 and 1")
    index = _contexts(groups, sure.size)
    accepted, failed = _by_context(sure, amiss, index, grid)
    sizes = np.bincount(index)
    m = int(sizes.max(initial=1)) if largest_context is None else largest_context
    if sizes.max(initial=0) > m:
        raise ValueError(f"a context holds {sizes.max()} ratings, more than largest_context = {m}")
    order = np.random.default_rng(seed).permutation(sizes.size)
    p = _p_values(accepted[:, order], failed[:, order], m, epsilon, delta)
    passes = fixed_sequence(p, delta)
    tested = slice(0, passes + 1)
    n_accepted, n_wrong = accepted.sum(axis=1), failed.sum(axis=1)
    chosen = (int(n_accepted[passes - 1]), int(n_wrong[passes - 1])) if passes else (0, 0)
    method = BINOMIAL if m == 1 else BETTING
    return Acceptance(
        certified=passes > 0,
        threshold=float(grid[passes - 1]) if passes else None,
        n_accepted=chosen[0],
        n_wrong=chosen[1],
        n=sure.size,
        contexts=sizes.size,
        tested=tuple(grid[tested].tolist()),
        accepted=tuple(n_accepted[tested].tolist()),
        wrong=tuple(n_wrong[tested].tolist()),
        p_values=tuple(p[tested].tolist()),
        method=method,
        epsilon=epsilon,
        delta=delta,
        upper=clopper_pearson_upper(chosen[1], chosen[0], delta) if passes and method == BINOMIAL else None,
    )


def start_threshold(
    confidence_fit: ArrayLike,
    groups_fit: Sequence[Hashable] | None,
    *,
    epsilon: float,
    delta: float,
    n_certify: int,
    wrong_fit: ArrayLike | None = None,
    largest_context: int | None = None,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Thresholds to test, from the fit part alone: the first is the start, the rest descend from it.

    A start that is too strict accepts too few to prove anything, and the sequence ends at once; one that is too lenient
    accepts ratings that are too often wrong. So the certification is rehearsed (ours): contexts of the fit part are drawn
    with replacement, as many as the certify part will have, together with half a wrong rating that nobody saw, since no
    error in a few ratings does not mean no errors. The start is the threshold that passes most rehearsals, the strictest
    of several; if none ever passes, the one with the smallest mean p-value. Whatever is chosen, the guarantee holds: the
    choice does not look at the certify part.

    Parameters
    ----------
    confidence_fit : array_like of shape (n,)
        Of the ratings of the fit part, at least one.
    groups_fit : sequence of n hashables or None
        Their contexts; every rating is its own if None.
    epsilon, delta : float
        As for `certify_acceptance`.
    n_certify : int
        Number of ratings in the certify part.
    wrong_fit : array_like of shape (n,), bool, optional
        Whether people disagree with each; without it no rating is taken as wrong.
    largest_context : int, optional
        As for `certify_acceptance`; the largest context of the fit part if not given.
    seed : int
        Seed of the rehearsals.

    Returns
    -------
    ndarray of shape (m,), m at least 1
        Confidences of the fit part, 2.5% of its ratings apart, descending to its smallest.

    Raises
    ------
    ValueError
        If there are no ratings, lengths differ, or a confidence is not a number.
    """
    amiss_fit = np.zeros(np.shape(confidence_fit), np.bool_) if wrong_fit is None else wrong_fit
    sure, amiss = _ratings(confidence_fit, amiss_fit)
    if sure.size == 0:
        raise ValueError("a start is chosen from at least one rating")
    index = _contexts(groups_fit, sure.size)
    grid = np.unique(np.quantile(sure, np.linspace(0, 1, _STEPS + 1), method="lower"))[::-1]
    accepted, failed = _by_context(sure, amiss, index, grid)
    sizes = np.bincount(index)
    m = max(int(sizes.max()), largest_context or 1)
    unseen = np.ones((grid.size, 1), dtype=np.int64)  # a context of one rating, accepted and wrong, drawn half as often
    accepted, failed = np.hstack([accepted, unseen]), np.hstack([failed, unseen])
    chances = np.append(np.ones(sizes.size), 0.5)
    contexts = max(1, round(n_certify * sizes.size / sure.size))
    rehearsals = int(np.clip(_MOST_DRAWN // contexts, 20, _REHEARSALS))
    generator = np.random.default_rng(seed)
    drawn = generator.choice(chances.size, size=(rehearsals, contexts), p=chances / chances.sum())
    passes, means = np.empty(grid.size), np.empty(grid.size)
    for i in range(grid.size):
        p = _p_values(accepted[i][drawn], failed[i][drawn], m, epsilon, delta)
        passes[i], means[i] = (p <= delta).mean(), p.mean()
    start = int(passes.argmax() if passes.any() else means.argmin())
    return grid[start:]


def fewest_contexts(epsilon: float, delta: float, *, accepted: float = 1.0, binomial: bool) -> int:
    """How many contexts it takes to certify anything, if nothing that is accepted is wrong.

    Parameters
    ----------
    epsilon, delta : float
        As for `certify_acceptance`.
    accepted : float
        Mean number of accepted ratings in a context over the largest number of ratings in one, above 0, at most 1.
    binomial : bool
        Whether every rating is its own context.
    """
    if not 0 < accepted <= 1:
        raise ValueError("the share accepted is above 0 and at most 1")
    if binomial:
        return int(np.ceil(np.log(delta) / np.log1p(-epsilon) / accepted))

    def passes(n: int) -> bool:
        return bool(_betting(np.full((1, n), epsilon * (1 - accepted)), epsilon, delta)[0] <= delta)

    few, many = 0, 1
    while not passes(many):
        few, many = many, 2 * many
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if passes(middle) else (middle, many)
    return many


def _p_values(
    accepted: NDArray[np.int64], wrong: NDArray[np.int64], m: int, epsilon: float, delta: float
) -> NDArray[np.float64]:
    """For H_t, from the ratings accepted and wrong in each context, contexts along the last axis."""
    if m == 1:
        return binomial_p_value(wrong.sum(axis=-1), accepted.sum(axis=-1), epsilon)
    return _betting(epsilon + (wrong - epsilon * accepted) / m, epsilon, delta)


def _betting(y: NDArray[np.float64], epsilon: float, delta: float) -> NDArray[np.float64]:
    # Clipped, since epsilon - epsilon may come out a rounding error below 0.
    return wsr_p_value(np.clip(y, 0.0, 1.0), epsilon, delta, most=_MOST_AT_STAKE / (1 - epsilon))


def _by_context(
    sure: NDArray[np.float64], amiss: NDArray[np.bool_], index: NDArray[np.intp], grid: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ratings accepted at each threshold, and wrong ones among them: two tables of thresholds by contexts."""
    contexts = int(index.max(initial=-1)) + 1
    accepted = np.zeros((grid.size, contexts), dtype=np.int64)
    wrong = np.zeros_like(accepted)
    for i, threshold in enumerate(grid):
        taken = sure >= threshold
        accepted[i] = np.bincount(index[taken], minlength=contexts)
        wrong[i] = np.bincount(index[taken & amiss], minlength=contexts)
    return accepted, wrong


def _contexts(groups: Sequence[Hashable] | None, n: int) -> NDArray[np.intp]:
    if groups is None:
        return np.arange(n)
    if len(groups) != n:
        raise ValueError("groups and ratings differ in length")
    return group_numbers(groups)


def _ratings(confidence: ArrayLike, wrong: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    sure, amiss = np.asarray(confidence, dtype=np.float64), np.asarray(wrong)
    if sure.ndim != 1 or sure.shape != amiss.shape:
        raise ValueError("confidence and wrong are lists of one length")
    if np.isnan(sure).any():
        raise ValueError("every confidence is a number")
    return sure, amiss.astype(np.bool_)
