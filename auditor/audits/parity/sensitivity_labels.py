"""How the answer depends on labels: drawn again from raters' confusions, and changed one by one until the verdict turns.

References
----------
[1] A. P. Dawid, A. M. Skene, "Maximum likelihood estimation of observer error-rates using the EM algorithm", Applied
    Statistics 28 (1979) 20-28: confusion matrices of raters. Here, without a truth, between raters (ours).
[2] T. L. Lash, M. P. Fox, A. K. Fink, Applying Quantitative Bias Analysis to Epidemiologic Data (2009), chapter 8:
    labels drawn again from their errors.
[3] M. Walsh et al., "The statistical significance of randomized controlled trial results is frequently fragile: a case for a
    fragility index", Journal of Clinical Epidemiology 67 (2014) 622-628.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.audits.parity.data import MISSING, Results
from auditor.audits.parity.sensitivity_question import (
    INSIDE_CLASSES,
    Answer,
    Question,
    Rerun,
    answered,
    contributions,
    look,
    relabelled,
)
from auditor.errors import Cancelled, InputError

DETECTED = "disparity detected"
_TINY = 1e-12


@dataclass(frozen=True)
class Resampled:
    """The answer with labels drawn again.

    Attributes
    ----------
    states : mapping of str to float
        Share of reruns in each verdict.
    effect_quantiles, p_quantiles : tuple of float
        At 2.5%, 50% and 97.5% of the reruns that could be tested; nan if none could.
    n_reruns : int
    changed : float
        Mean share of known labels that the drawing changed.
    source : str
        Where the confusions come from.
    """

    states: Mapping[str, float]
    effect_quantiles: tuple[float, float, float]
    p_quantiles: tuple[float, float, float]
    n_reruns: int
    changed: float
    source: str


@dataclass(frozen=True)
class TippingPoint:
    """How many labels it takes to change the verdict.

    Attributes
    ----------
    n_flips : int or None
        The fewest that were found; None if none of the changes tried turns the verdict.
    exact : bool
        Whether fewer cannot do it. Otherwise `n_flips` is an upper bound: labels were changed in the order of their
        influence on the effect, and another choice might need fewer.
    direction : str
        "towards no effect" or "away from no effect".
    before, after : str
        Verdicts.
    answer : Answer or None
        After the changes.
    item_ids : tuple of str
        The items whose labels were changed, the most influential first.
    from_to : tuple of (str, str)
        Their labels before and after.
    n_labels : int
        Known labels that could have been changed.
    """

    n_flips: int | None
    exact: bool
    direction: str
    before: str
    after: str
    answer: Answer | None
    item_ids: tuple[str, ...]
    from_to: tuple[tuple[str, str], ...]
    n_labels: int


def confusion_between(labels: ArrayLike, n_levels: int) -> NDArray[np.float64]:
    """Probability of another rater's label given one rater's, over all ordered pairs of raters.

    Parameters
    ----------
    labels : array_like of whole numbers, shape (n_items, n_raters)
        Levels from 0; `MISSING` where a rater gave none.
    n_levels : int

    Returns
    -------
    ndarray of shape (n_levels, n_levels)
        Rows sum to 1. A level that no two raters judged together stays as it is.
    """
    given = np.asarray(labels, dtype=np.int64)
    known = given != MISSING
    counts = np.zeros((n_levels, n_levels))
    for level in range(n_levels):
        is_level = (given == level) & known
        for other in range(n_levels):
            is_other = (given == other) & known
            pairs = is_level.sum(axis=1) * is_other.sum(axis=1) - (is_level & is_other).sum(axis=1)
            # An item with m labels has m (m - 1) ordered pairs; each of its labels counts once in all.
            counts[level, other] = (pairs / np.maximum(known.sum(axis=1) - 1, 1)).sum()
    return _rows_of_one(counts)


def confusion_resampling(
    question: Question,
    rerun: Rerun,
    *,
    confusion: ArrayLike | None = None,
    sd_degrees: float | None = None,
    source: str = "declared",
    n_reruns: int = 100,
    seed: int = 0,
    cancelled: Callable[[], bool] | None = None,
) -> Resampled:
    """Run the test again on labels drawn as another rater might have given them [2].

    The labels at hand have errors already, and these are added on top: effects shrink on average. The question answered is
    how far the verdict depends on which rater was asked, not what the effect would be without errors.

    Parameters
    ----------
    question : Question
    rerun : callable
        From results to their `Answer`.
    confusion : array_like of shape (n_levels, n_levels), optional
        Probability of each label (columns) given the label at hand (rows); as from `confusion_between`.
    sd_degrees : float, optional
        On an ITA scale instead: standard deviation of one measurement, in degrees, drawn from a normal distribution.
    source : str
        Where these come from, in words.
    n_reruns : int
    seed : int
    cancelled : callable, optional
        Asked between reruns.

    Raises
    ------
    InputError
        If neither or the wrong one is given, or rows are no probabilities.
    Cancelled
        If `cancelled` says so.
    """
    labels = question.labels
    n_levels, known = len(labels.scale.levels), labels.level != MISSING
    if (confusion is None) == (sd_degrees is None) or (sd_degrees is not None and labels.value is None):
        raise InputError(
            "labels are drawn again from a confusion matrix, degrees from a standard deviation", fix="Give one of them."
        )
    if confusion is not None and labels.value is not None:
        raise InputError("degrees are drawn again from a standard deviation", fix="Give sd_degrees.")
    cumulative = None if confusion is None else np.cumsum(_checked(confusion, n_levels), axis=1)
    answers, changed = [], []
    for child in np.random.SeedSequence(seed).spawn(n_reruns):
        if cancelled is not None and cancelled():
            raise Cancelled("The reruns were cancelled.")
        generator = np.random.default_rng(child)
        level, value = labels.level.copy(), None
        if cumulative is not None:
            u = generator.random(int(known.sum()))
            drawn = (u[:, None] > cumulative[labels.level[known]]).sum(axis=1)
            level[known] = np.minimum(drawn, n_levels - 1)
        else:
            assert labels.value is not None
            noise = generator.normal(0, sd_degrees or 0.0, labels.value.shape)
            value = np.clip(labels.value + noise, -90.0, 90.0)
        results = relabelled(question.results, question.attribute, level, value)
        now = results.attributes[question.attribute].level
        changed.append(float((now[known] != labels.level[known]).mean()) if known.any() else 0.0)
        answers.append(answered(rerun, results))
    states = Counter(answer.state for answer in answers)
    return Resampled(
        states={state: n / len(answers) for state, n in states.most_common()},
        effect_quantiles=_quantiles([answer.effect for answer in answers]),
        p_quantiles=_quantiles([answer.p_value for answer in answers]),
        n_reruns=len(answers),
        changed=float(np.mean(changed)) if changed else 0.0,
        source=source,
    )


def tipping_point(
    question: Question, rerun: Rerun, state: str, *, cancelled: Callable[[], bool] | None = None
) -> TippingPoint:
    """The smallest number of changed labels that was found to turn the verdict (a fragility index [3] of labels).

    Labels are changed greedily: the item first whose change to another level moves the effect furthest; in degrees to the
    least or largest value that occurs, or, where shares of their classes are compared, to one inside the new class. A detected
    disparity is moved towards no effect; otherwise both directions are tried and the smaller number counts. The number is
    found by doubling and halving, so that with it the verdict differs and with
    one less it does not. It is an upper bound of the true smallest number, exact if it is 1.

    Parameters
    ----------
    question : Question
    rerun : callable
        From results to their `Answer`.
    state : str
        The verdict as it stands.
    cancelled : callable, optional
        Asked between reruns.

    Raises
    ------
    Cancelled
        If `cancelled` says so.
    """
    looked = look(question)
    sign = 1.0 if looked.value >= 0 else -1.0
    directions = (-sign,) if state == DETECTED else (sign, -sign)
    found = [_tipped(question, rerun, state, direction, sign, cancelled) for direction in directions]
    return min(found, key=lambda point: (point.n_flips is None, point.n_flips or 0))


def _tipped(
    question: Question,
    rerun: Rerun,
    state: str,
    direction: float,
    sign: float,
    cancelled: Callable[[], bool] | None,
) -> TippingPoint:
    labels, looked = question.labels, look(question)
    known = labels.level != MISSING
    shown = contributions(question, looked, question.results, known)
    new_value: NDArray[np.float64] | None
    if labels.value is not None and looked.contrast.scores is None:
        low, high = np.nanmin(labels.value), np.nanmax(labels.value)
        target = np.where(direction * shown[:, 0] > 0, high, low)
        gains = direction * shown[:, 0] * (target - labels.value)
        new_level, new_value = labels.level, target
    else:
        old = np.take_along_axis(shown, np.maximum(labels.level, 0)[:, None].astype(np.intp), axis=1)
        moves = direction * (shown - old)
        # Among levels that move the effect as far, the most common one is taken.
        common = np.bincount(labels.level[known], minlength=len(labels.scale.levels))
        new_level = np.argmax(moves + _TINY * common / max(common.sum(), 1), axis=1).astype(np.int16)
        gains = np.take_along_axis(moves, new_level[:, None].astype(np.intp), axis=1)[:, 0]
        # Classes follow degrees, so that another class takes a degree inside it.
        new_value = None if labels.value is None else INSIDE_CLASSES[new_level]
    gains = np.where(known, gains, 0.0)
    order = np.argsort(-gains, kind="stable")
    order = order[gains[order] > _TINY]
    if direction != sign:
        order = _up_to(order, gains, abs(looked.value))

    def after(n: int) -> Answer:
        if cancelled is not None and cancelled():
            raise Cancelled("The reruns were cancelled.")
        return answered(rerun, _changed(question, order[:n], new_level, new_value))

    n, answer = _fewest(after, len(order), state)
    words = "towards no effect" if direction != sign else "away from no effect"
    if n is None or answer is None:
        return TippingPoint(None, False, words, state, state, None, (), (), int(known.sum()))
    items = order[:n].tolist()
    return TippingPoint(
        n_flips=n,
        exact=n == 1,
        direction=words,
        before=state,
        after=answer.state,
        answer=answer,
        item_ids=tuple(question.results.item_ids[item] for item in items),
        from_to=tuple(_words(question, item, new_level, new_value) for item in items),
        n_labels=int(known.sum()),
    )


def _up_to(order: NDArray[np.intp], gains: NDArray[np.float64], distance: float) -> NDArray[np.intp]:
    """The first items of an order until they cover a distance; the last is the one that comes closest to what is left.

    Past no effect the effect would grow again on the other side.
    """
    crosses = int(np.searchsorted(np.cumsum(gains[order]), distance))
    if crosses >= len(order):
        return order
    rest, left = order[crosses:], distance - gains[order[:crosses]].sum()
    return np.append(order[:crosses], rest[np.argmin(np.abs(gains[rest] - left))])


def _fewest(after: Callable[[int], Answer], most: int, state: str) -> tuple[int | None, Answer | None]:
    """A number n with which the state differs, and with n - 1 not, by doubling and halving."""
    same, n = 0, 1
    while True:
        n = min(n, most)
        if n <= same:
            return None, None
        answer = after(n)
        if answer.state != state:
            break
        same, n = n, 2 * n
    while n - same > 1:
        middle = (same + n) // 2
        there = after(middle)
        if there.state != state:
            n, answer = middle, there
        else:
            same = middle
    return n, answer


def _changed(
    question: Question, items: NDArray[np.intp], level: NDArray[np.int16], value: NDArray[np.float64] | None
) -> Results:
    labels = question.labels
    new_level = labels.level.copy()
    new_level[items] = level[items]
    new_value = None if labels.value is None else labels.value.copy()
    if new_value is not None and value is not None:
        new_value[items] = value[items]
    return relabelled(question.results, question.attribute, new_level, new_value)


def _words(
    question: Question, item: int, level: NDArray[np.int16], value: NDArray[np.float64] | None
) -> tuple[str, str]:
    labels = question.labels
    if labels.value is not None and value is not None:
        return f"{labels.value[item]:.1f}", f"{value[item]:.1f}"
    names = labels.scale.levels
    return names[labels.level[item]], names[level[item]]


def _checked(confusion: ArrayLike, n_levels: int) -> NDArray[np.float64]:
    matrix = np.asarray(confusion, dtype=np.float64)
    if matrix.shape != (n_levels, n_levels) or not (matrix >= 0).all() or not np.allclose(matrix.sum(axis=1), 1):
        raise InputError(
            f"a confusion matrix of {n_levels} levels has as many rows, each of probabilities that sum to 1",
            fix="Rows are the labels at hand, columns those that another rater would give.",
        )
    return matrix


def _rows_of_one(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    total = counts.sum(axis=1, keepdims=True)
    rows: NDArray[np.float64] = np.where(total > 0, counts / np.where(total > 0, total, 1), np.eye(len(counts)))
    return rows


def _quantiles(values: list[float]) -> tuple[float, float, float]:
    defined = [value for value in values if np.isfinite(value)]
    if not defined:
        return float("nan"), float("nan"), float("nan")
    low, middle, high = np.quantile(defined, [0.025, 0.5, 0.975]).tolist()
    return low, middle, high
