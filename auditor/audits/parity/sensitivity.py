"""How far the answer holds: worst cases for missing labels, other raters, changed labels, each query left out.

References
----------
[1] C. F. Manski, "Anatomy of the selection problem", Journal of Human Resources 24 (1989) 343-360; J. L. Horowitz,
    C. F. Manski, "Nonparametric analysis of randomized experiments with missing covariate and outcome data", Journal of
    the American Statistical Association 95 (2000) 77-84: bounds without assumptions on what is missing.
[2] R. D. Cook, S. Weisberg, Residuals and Influence in Regression (1982), section 2.2: a fit without one observation.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.audits.parity.contrasts import Contrast, influence
from auditor.audits.parity.data import MISSING, Results, slot_weights
from auditor.audits.parity.sensitivity_labels import (
    Resampled,
    TippingPoint,
    confusion_between,
    confusion_resampling,
    tipping_point,
)
from auditor.audits.parity.sensitivity_question import (
    INSIDE_CLASSES,
    Answer,
    Looked,
    Question,
    Rerun,
    Row,
    answered,
    contributions,
    look,
    relabelled,
    without_queries,
)
from auditor.audits.parity.subject import own_group
from auditor.errors import Cancelled

__all__ = [
    "Answer",
    "LeftOut",
    "MissingBounds",
    "Question",
    "Rerun",
    "Resampled",
    "Row",
    "TippingPoint",
    "confusion_between",
    "confusion_resampling",
    "leave_one_query_out",
    "missing_bounds",
    "sensitivity",
    "tipping_point",
]

#: Degrees assumed at the ends for missing ones unless told: all that the individual typology angle can be.
ITA_BOUNDS = (-90.0, 90.0)
#: Queries on each side whose leaving out is answered by a rerun (ours).
MOST_INFLUENTIAL = 3
_TILT = 1e-9
_FOUND = (
    ", to first order, since mid-ranks are themselves estimated; all of one level was tried as well: these are the extremes "
    "that were found, not bounds, and other labels may go beyond them"
)


@dataclass(frozen=True)
class MissingBounds:
    """The effect if missing labels were whatever makes it smallest, or largest [1].

    Attributes
    ----------
    low, high : float
        Bounds of the effect.
    exact : bool
        Whether no assignment of labels goes beyond them. Otherwise they are the extremes of the assignments that were tried,
        each of them reached by one, and others may go beyond.
    low_answer, high_answer : Answer
        What the test says there.
    n_items, n_slots : int
        Items of missing label within K, and slots that show them.
    n_catalog : int
        Further such items of the catalog that decide the target, in mode C1.
    method : str
        In a sentence.
    """

    low: float
    high: float
    exact: bool
    low_answer: Answer
    high_answer: Answer
    n_items: int
    n_slots: int
    n_catalog: int
    method: str


@dataclass(frozen=True)
class LeftOut:
    """The answer without each query in turn.

    Attributes
    ----------
    effect_low, effect_high : float
        Range of the effect over all queries left out, from the closed form.
    exact : bool
        Whether the closed form is; else to first order (mid-ranks move a little with every query).
    effects : ndarray of float64, shape (n,)
        Effect without each query of the lists.
    queries : ndarray of int32, shape (n,)
        Their numbers.
    answers : tuple of (str, Answer)
        Ids of the most influential queries, those whose leaving out lowers the effect most first, with what the test says.
    p_low, p_high : float
        Range of p over those reruns.
    states : tuple of str
        Verdicts that occur among them.
    """

    effect_low: float
    effect_high: float
    exact: bool
    effects: NDArray[np.float64]
    queries: NDArray[np.int32]
    answers: tuple[tuple[str, Answer], ...]
    p_low: float
    p_high: float
    states: tuple[str, ...]


def missing_bounds(
    question: Question, rerun: Rerun, *, bounds: tuple[float, float] = ITA_BOUNDS
) -> MissingBounds | None:
    """Worst cases for missing labels; None if none is missing within K, nor in the catalog where it decides the target.

    The effect is a sum over items, so the worst label of each missing item is found on its own: the one with the largest,
    or smallest, contribution. An item keeps one label in all lists. That is exact for shares and degrees. Mid-ranks are
    themselves estimated, so there the labels are the worst to first order only; that all missing items are of one level is
    tried as well, for each level, and what is given are the extremes of all that was tried. Queries without a single known
    label join with what is assumed of theirs. In mode A queries whose own label is missing stay out, since they have no
    group; in mode C1 a label counts in the catalog's share as well.

    Parameters
    ----------
    question : Question
    rerun : callable
        From results to their `Answer`.
    bounds : pair of float
        On an ITA scale, least and largest degrees that are assumed.
    """
    question = _with_known_groups(question)
    results, labels = question.results, question.labels
    missing = labels.level == MISSING
    bearing = _bears(question, missing)
    if not bearing.any():
        return None
    # Lists of all queries, as they are once every label is known: any label will do for finding them.
    every = look(question, _filled(question, np.zeros(results.n_items, dtype=np.intp), bounds))
    lists = every.subject.lists
    within = slot_weights(results, lists.k, rank_aware=False) > 0
    slots = missing[results.item] & within & np.isin(results.query, lists.queries)
    within_k = np.isin(np.arange(results.n_items), results.item[slots])
    n_catalog = int((bearing & ~within_k).sum()) if question.moving_target else 0
    if not slots.any() and not n_catalog:
        return None
    if question.effect == "mid-rank difference" and not question.against_target:
        every = Looked(every.subject, every.design, _with_scores(every, look(question)), every.offset)
    shown = contributions(question, every, results, np.ones(results.n_items, dtype=np.bool_))
    if labels.value is not None and question.effect == "mean difference":
        shown = shown * np.array(bounds)[None, :]
    fixed_scores = question.against_target and not question.moving_target
    exact = question.effect != "mid-rank difference" or fixed_scores
    picks = [shown.argmin(axis=1), shown.argmax(axis=1)]
    if not exact:
        picks += [np.full(results.n_items, level, dtype=np.intp) for level in range(len(labels.scale.levels))]
    tried = [_filled(question, pick, bounds) for pick in picks]
    effects = [look(question, each).value for each in tried]
    least, largest = tried[int(np.argmin(effects))], tried[int(np.argmax(effects))]
    return MissingBounds(
        low=min(effects),
        high=max(effects),
        exact=exact,
        low_answer=answered(rerun, least),
        high_answer=answered(rerun, largest),
        n_items=int(within_k.sum()),
        n_slots=int(slots.sum()),
        n_catalog=n_catalog,
        method="Every missing item takes the label that makes the effect smallest, then largest"
        + ("" if exact else _FOUND)
        + ".",
    )


def leave_one_query_out(
    question: Question, rerun: Rerun, *, most: int = MOST_INFLUENTIAL, cancelled: Callable[[], bool] | None = None
) -> LeftOut:
    """Range of the effect without each query, in closed form [2]; the most influential ones are answered by reruns.

    Parameters
    ----------
    question : Question
    rerun : callable
        From results to their `Answer`.
    most : int
        Queries that are rerun without, on each side.
    cancelled : callable, optional
        Asked between reruns.

    Raises
    ------
    Cancelled
        If `cancelled` says so.
    """
    looked = look(question)
    lists, y = looked.subject.lists, looked.numbers
    n = len(y)
    exact = looked.contrast.movers is None and not question.moving_target
    if question.against_target:
        effects = (y.sum() - y) / max(n - 1, 1)
    else:
        # The least-squares effect without query i differs by weight_i error_i / (1 - leverage_i) [2].
        effects = looked.value - influence(looked.contrast, lists, looked.design) * looked.design.scale
    order = np.argsort(effects, kind="stable")
    ends = list(dict.fromkeys([*order[:most].tolist(), *order[::-1][:most].tolist()]))
    answers = []
    for place in ends:
        if cancelled is not None and cancelled():
            raise Cancelled("The reruns were cancelled.")
        query = int(lists.queries[place])
        dropped = np.arange(question.results.n_queries) == query
        answers.append((question.results.query_ids[query], answered(rerun, without_queries(question.results, dropped))))
    p = [answer.p_value for _, answer in answers if np.isfinite(answer.p_value)]
    return LeftOut(
        effect_low=float(effects.min()),
        effect_high=float(effects.max()),
        exact=exact,
        effects=effects,
        queries=lists.queries,
        answers=tuple(answers),
        p_low=min(p, default=float("nan")),
        p_high=max(p, default=float("nan")),
        states=tuple(sorted({answer.state for _, answer in answers})),
    )


def sensitivity(
    question: Question,
    rerun: Rerun,
    state: str,
    *,
    ratings: ArrayLike | None = None,
    confusion: ArrayLike | None = None,
    sd_degrees: float | None = None,
    n_reruns: int = 100,
    seed: int = 0,
    cancelled: Callable[[], bool] | None = None,
) -> list[Row]:
    """All analyses that the data allow, as rows for people.

    Parameters
    ----------
    question : Question
    rerun : callable
        From results to their `Answer`; fewer permutations than in the main test keep this quick.
    state : str
        The verdict as it stands, from the same number of permutations as in `rerun`.
    ratings : array_like of whole numbers, shape (n_items, n_raters), optional
        Levels that raters gave, `MISSING` where none: labels are drawn again from the confusions between raters.
    confusion : array_like of shape (n_levels, n_levels), optional
        Declared confusions instead.
    sd_degrees : float, optional
        Declared standard deviation of a measurement, on an ITA scale.
    n_reruns, seed, cancelled
        As in `confusion_resampling`.

    Raises
    ------
    Cancelled
        If `cancelled` says so.
    """
    rows = _missing_rows(missing_bounds(question, rerun))
    source = "declared"
    if ratings is not None and confusion is None and question.labels.value is None:
        given = np.asarray(ratings)
        if ((given != MISSING).sum(axis=1) > 1).any():
            confusion, source = confusion_between(given, len(question.labels.scale.levels)), "between the raters"
    if confusion is not None or sd_degrees is not None:
        found = confusion_resampling(
            question,
            rerun,
            confusion=confusion,
            sd_degrees=sd_degrees,
            source=source,
            n_reruns=n_reruns,
            seed=seed,
            cancelled=cancelled,
        )
        rows += _resampled_rows(found)
    rows.append(_tipping_row(tipping_point(question, rerun, state, cancelled=cancelled)))
    return [*rows, *_left_out_rows(leave_one_query_out(question, rerun, cancelled=cancelled))]


def _with_known_groups(question: Question) -> Question:
    if not question.moving_groups:
        return question
    groupless = own_group(question.results, "A", question.labels) == MISSING
    return replace(question, results=without_queries(question.results, groupless)) if groupless.any() else question


def _bears(question: Question, missing: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Items of missing label that may bear on the effect, shape (n_items,): those shown, and in mode C1 the catalog's."""
    shown = np.zeros(question.results.n_items, dtype=np.bool_)
    shown[question.results.item] = True
    if question.moving_target:
        # A stratum of which nothing is shown is in no list's target.
        strata = np.unique(question.results.item_stratum[shown])
        shown |= question.results.in_catalog & np.isin(question.results.item_stratum, strata)
    return missing & shown


def _filled(question: Question, pick: NDArray[np.intp], bounds: tuple[float, float]) -> Results:
    """Results in which every missing label is the one picked: a level (in degrees one inside it), or one of the bounds."""
    labels = question.labels
    missing = labels.level == MISSING
    if labels.value is not None:
        ends = np.array(bounds) if question.effect == "mean difference" else INSIDE_CLASSES
        value = np.where(missing, ends[pick], labels.value)
        return relabelled(question.results, question.attribute, labels.level, value)
    level = np.where(missing, pick, labels.level).astype(np.int16)
    return relabelled(question.results, question.attribute, level)


def _with_scores(every: Looked, known: Looked) -> Contrast:
    """Weights of all queries, scores from the labels that are known; where those tie, a higher level counts as higher."""
    assert known.contrast.scores is not None, "mid-ranks are scores of levels"
    tilt = _TILT * np.arange(known.contrast.scores.shape[1])
    return Contrast(every.contrast.weights, known.contrast.scores + tilt, known.contrast.moving, every.contrast.movers)


def _missing_rows(found: MissingBounds | None) -> list[Row]:
    if found is None:
        return []
    about = f"Items without a label: {found.n_items:,}, in {found.n_slots:,} slots"
    if found.n_catalog:
        about += f", and {found.n_catalog:,} more of the catalog, which decide the target"
    about += f". {found.method}"
    return [
        Row("missing labels", name, effect, _number(answer.p_value), answer.state, about)
        for name, effect, answer in (
            ("smallest effect", found.low, found.low_answer),
            ("largest effect", found.high, found.high_answer),
        )
    ]


def _resampled_rows(found: Resampled) -> list[Row]:
    states = ", ".join(f"{state} {share:.0%}" for state, share in found.states.items())
    about = (
        f"Labels were drawn again {found.n_reruns:,} times from confusions {found.source}, which changed "
        f"{found.changed:.0%} of them; verdicts: {states}."
    )
    names = ("2.5% of the effects", "median", "97.5% of the effects")
    most = next(iter(found.states), "")
    return [
        Row("raters", name, _number(effect), _number(found.p_quantiles[1]) if name == "median" else None, most, about)
        for name, effect in zip(names, found.effect_quantiles, strict=True)
    ]


def _tipping_row(found: TippingPoint) -> Row:
    if found.n_flips is None or found.answer is None:
        about = (
            f"No change of labels {found.direction} that was tried turns the verdict; the test may rest on more differences "
            "than the primary one."
        )
        return Row("tipping point", "none found", None, None, found.before, about)
    labels = "1 changed label turns" if found.n_flips == 1 else f"{found.n_flips:,} changed labels turn"
    bound = "" if found.exact else " This is an upper bound: labels were chosen one by one by their influence."
    first = ", ".join(
        f"{item} from {old} to {new}" for item, (old, new) in list(zip(found.item_ids, found.from_to, strict=True))[:5]
    )
    more = f" and {found.n_flips - 5:,} more" if found.n_flips > 5 else ""
    return Row(
        "tipping point",
        f"{labels} the verdict",
        _number(found.answer.effect),
        _number(found.answer.p_value),
        found.after,
        f"Changed {found.direction}, of {found.n_labels:,} known labels: {first}{more}.{bound}",
    )


def _left_out_rows(found: LeftOut) -> list[Row]:
    about = (
        f"Over all {len(found.effects):,} queries left out in turn the effect lies between {found.effect_low:.4g} and "
        f"{found.effect_high:.4g}{'' if found.exact else ' to first order'}; without the most influential ones p lies between "
        f"{found.p_low:.3g} and {found.p_high:.3g}."
    )
    return [
        Row("query left out", name, _number(answer.effect), _number(answer.p_value), answer.state, about)
        for name, answer in found.answers
    ]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
