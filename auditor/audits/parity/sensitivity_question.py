"""What sensitivity analyses ask about: the primary effect as a weighted sum over queries, and over items.

An effect of the audit is linear in the lists: each query's mean score (of a level, a mid-rank, degrees) counts with a weight,
and each item of a list contributes its share of that mean. So what one label, or one query, adds to the effect is known in
closed form; only p-values and verdicts need the whole test again.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.audits.parity.contrasts import Contrast, Design, numbers, order_of, rank_deviations
from auditor.audits.parity.data import ITA_CUTOFFS, MISSING, Attribute, Lists, Results, slot_weights
from auditor.audits.parity.subject import Subject
from auditor.errors import InputError

#: Verdict of a rerun in which nothing is left to test.
NOT_TESTABLE = "not testable"
_HALVES = np.diff(ITA_CUTOFFS) / 2
#: A degree inside every class of an ITA scale: its middle; the outer ones go as far as half the class beside them.
INSIDE_CLASSES = np.array([ITA_CUTOFFS[0] - _HALVES[0], *(ITA_CUTOFFS[:-1] + _HALVES), ITA_CUTOFFS[-1] + _HALVES[-1]])


class Answer(NamedTuple):
    """What the test says of changed results: effect, its interval, p-value and the verdict's state."""

    effect: float
    low: float | None
    high: float | None
    p_value: float
    state: str


Rerun = Callable[[Results], Answer]


class Row(NamedTuple):
    """The answer under one changed condition; a row of the table "sensitivity"."""

    kind: str
    name: str
    effect: float | None
    p_value: float | None
    verdict: str
    detail: str


@dataclass(frozen=True)
class Question:
    """The primary effect, and how to look at it again when labels or queries change.

    Attributes
    ----------
    results : Results
    attribute : str
        Name of the attribute.
    subject_of : callable
        From results to the lists that take part (`subject.subject` with the settings of the run).
    effect : str
        "risk difference", "mid-rank difference" or "mean difference".
    a, b : str
        Groups that are compared, first less second; "results" and "target" against a target.
    level : str or None
        Level whose shares are compared, for a risk difference.
    moving_groups : bool
        Whether labels of items decide the groups of queries (mode A).
    moving_target : bool
        Whether labels of items decide the target (mode C1).
    """

    results: Results
    attribute: str
    subject_of: Callable[[Results], Subject]
    effect: str
    a: str
    b: str
    level: str | None = None
    moving_groups: bool = False
    moving_target: bool = False

    @property
    def labels(self) -> Attribute:
        """The attribute as it stands."""
        return self.results.attributes[self.attribute]

    @property
    def against_target(self) -> bool:
        """Whether lists are compared with a target instead of each other."""
        return self.b == "target" and self.a == "results"


@dataclass(frozen=True)
class Looked:
    """The primary effect as a contrast.

    Attributes
    ----------
    subject : Subject
    design : Design
    contrast : Contrast
    offset : ndarray of float64, shape (n,), or float
        Subtracted from the queries' numbers (their targets in degrees).
    """

    subject: Subject
    design: Design
    contrast: Contrast
    offset: NDArray[np.float64] | float

    @property
    def lists(self) -> Lists:
        """The subject's lists; where there is a target in degrees, their degrees less their own targets."""
        found = self.subject.lists
        return found if found.values is None else replace(found, values=found.values - self.offset)

    @property
    def numbers(self) -> NDArray[np.float64]:
        """What each query's number is, shape (n,)."""
        return numbers(self.contrast, self.lists)

    @property
    def value(self) -> float:
        """The effect."""
        return float(self.contrast.weights @ self.numbers)


def look(question: Question, results: Results | None = None) -> Looked:
    """The primary effect of results, those of the question if not given.

    Raises
    ------
    InputError
        If what is compared is not there (any more).
    """
    subject = question.subject_of(question.results if results is None else results)
    shares, levels = subject.lists.shares, subject.attribute.scale.levels
    n, n_levels = shares.shape
    if question.against_target:
        design = Design(np.zeros(n, np.int16), 1, np.zeros(n, np.int32))
        return Looked(
            subject, design, Contrast(np.full(n, 1 / n), _target_scores(question, subject)), _offset(question, subject)
        )
    names = subject.group_names
    if question.a not in names or question.b not in names:
        raise InputError(f"one of the groups {question.a} and {question.b} has no queries left")
    design = Design(subject.group, len(names), subject.stratum)
    a, b = names.index(question.a), names.index(question.b)
    weights = design.difference(a, b)
    if weights is None:
        raise InputError(f"no stratum holds queries of {question.a} and {question.b}")
    if question.effect == "mean difference":
        return Looked(subject, design, Contrast(weights, None), 0.0)
    if question.effect == "risk difference":
        one = np.array([[name == question.level for name in levels]], dtype=np.float64)
        return Looked(subject, design, Contrast(weights, one), 0.0)
    both = (subject.group == a) | (subject.group == b)
    order = order_of(n_levels)
    scores = (order @ shares[both].mean(axis=0))[None, :]
    return Looked(subject, design, Contrast(weights, scores, (weights @ shares) @ order, both), 0.0)


def contributions(
    question: Question, looked: Looked, results: Results, counted: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """What an item adds to the effect if its label is each of the levels, or for one degree.

    Up to a constant for each item: it is differences between levels that are meant. For mid-ranks, which are themselves
    estimated, to first order. In mode C1 the item's label counts in the catalog's share as well.

    Parameters
    ----------
    question : Question
    looked : Looked
        Its lists say which queries take part.
    results : Results
    counted : ndarray of bool, shape (n_items,)
        Items that count as known.

    Returns
    -------
    ndarray of shape (n_items, n_levels), or (n_items, 1) for degrees
    """
    lists, contrast = looked.subject.lists, looked.contrast
    row_of = np.full(results.n_queries, -1, dtype=np.intp)
    row_of[lists.queries] = np.arange(len(lists.queries))
    weight = slot_weights(results, lists.k, rank_aware=lists.rank_aware)
    row = row_of[results.query]
    kept = (weight > 0) & (row >= 0) & counted[results.item]
    row, item, weight = row[kept], results.item[kept], weight[kept]
    total = np.bincount(row, weights=weight, minlength=len(lists.queries))
    part = contrast.weights[row] * weight / total[row]
    if contrast.scores is None:
        found = np.bincount(item, weights=part, minlength=results.n_items).astype(np.float64)[:, None]
        return found - _expected(results, found[:, 0], counted)[:, None] if question.moving_target else found
    scores = np.broadcast_to(contrast.scores, lists.shares.shape)
    columns = [np.bincount(item, weights=part * column[row], minlength=results.n_items) for column in scores.T]
    found = np.stack(columns, axis=1)
    if contrast.moving is not None and contrast.movers is not None:
        # A label also moves the mean shares from which the mid-ranks are taken.
        mean = np.bincount(item, weights=contrast.movers[row] * weight / total[row], minlength=results.n_items)
        found = found + mean[:, None] / contrast.movers.sum() * contrast.moving
    if question.moving_target:
        shown = np.bincount(item, weights=part, minlength=results.n_items).astype(np.float64)
        found = found + _expected(results, shown, counted)[:, None] * _of_target(question, looked)
    return found


def _expected(results: Results, shown: NDArray[np.float64], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weight of each item of the catalog in the target: that of its stratum in the lists, shared among its items."""
    inside = results.in_catalog & counted
    n_strata = int(results.item_stratum.max()) + 1
    exposure = np.bincount(results.item_stratum, weights=shown, minlength=n_strata)
    items = np.bincount(results.item_stratum[inside], minlength=n_strata)
    weights: NDArray[np.float64] = np.where(inside, (exposure / np.maximum(items, 1))[results.item_stratum], 0.0)
    return weights


def _of_target(question: Question, looked: Looked) -> NDArray[np.float64]:
    """What the effect changes by per unit of each level's share in the target, shape (n_levels,)."""
    levels, shares = looked.subject.attribute.scale.levels, looked.subject.lists.shares
    if question.effect == "risk difference":
        return -np.array([name == question.level for name in levels], dtype=np.float64)
    change: NDArray[np.float64] = shares.mean(axis=0) @ order_of(len(levels))
    return change


def relabelled(
    results: Results, name: str, level: NDArray[np.int16], value: NDArray[np.float64] | None = None
) -> Results:
    """Results in which an attribute has other labels; in degrees the classes follow the values."""
    before = results.attributes[name]
    if value is not None:
        level = np.where(np.isnan(value), MISSING, np.searchsorted(ITA_CUTOFFS, value, side="left")).astype(np.int16)
    after = replace(before, level=level, value=value)
    return replace(results, attributes={**results.attributes, name: after})


def without_queries(results: Results, dropped: NDArray[np.bool_]) -> Results:
    """Results without some queries; items keep their numbers.

    Parameters
    ----------
    results : Results
    dropped : ndarray of bool, shape (Q,)
    """
    kept = ~dropped
    number = np.cumsum(kept, dtype=np.int32) - 1
    slots = kept[results.query]
    return replace(
        results,
        query_ids=tuple(name for name, stays in zip(results.query_ids, kept.tolist(), strict=True) if stays),
        query=number[results.query[slots]].astype(np.int32),
        item=results.item[slots],
        rank=results.rank[slots],
        score=None if results.score is None else results.score[slots],
        query_group=results.query_group[kept],
        query_stratum=results.query_stratum[kept],
        query_item=results.query_item[kept],
        shares=None if results.shares is None else results.shares[kept],
    )


def answered(rerun: Rerun, results: Results) -> Answer:
    """The answer of a rerun; `NOT_TESTABLE` where the change left nothing to test."""
    try:
        return rerun(results)
    except InputError:
        return Answer(float("nan"), None, None, float("nan"), NOT_TESTABLE)


def _target_scores(question: Question, subject: Subject) -> NDArray[np.float64] | None:
    if question.effect == "mean difference":
        return None
    if subject.target is None:
        raise InputError("there are no target shares")
    levels = subject.attribute.scale.levels
    target = np.broadcast_to(subject.target, subject.lists.shares.shape)
    if question.effect == "risk difference":
        place = levels.index(question.level or "")
        one: NDArray[np.float64] = (np.arange(len(levels)) == place) - target[:, [place]]
        return one
    return rank_deviations(subject.lists.shares, target, subject.ranked_among)


def _offset(question: Question, subject: Subject) -> NDArray[np.float64] | float:
    if question.effect != "mean difference":
        return 0.0
    if subject.target_degrees is None:
        raise InputError("there is no target in degrees")
    return subject.target_degrees
