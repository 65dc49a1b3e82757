"""Tones that people gave to items: reading them, one tone an item from several raters, how far raters agree.

"uncertain" is something a rater can say. It never counts as a tone, and it is counted.

References
----------
[1] K. Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), University of Pennsylvania.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from auditor.audits.findings import Caution
from auditor.audits.parity.data import ITA_CLASSES, MISSING, Attribute, Scale
from auditor.audits.parity.settings import named
from auditor.audits.reading.names import did_you_mean
from auditor.errors import InputError, printable
from auditor.stats.agreement import drawn_alpha
from auditor.stats.bootstrap import intervals

#: What a rater said of an item who could not tell. (`MISSING` stands where a rater said nothing of it.)
UNSURE = -2
#: Below this number of items an interval from a bootstrap over items would be a guess (ours).
FEWEST_ITEMS = 10
#: Raters that a message lists; more are counted.
_MOST_NAMES = 20

Rule = Literal["median", "majority", "expert"]


@dataclass(frozen=True)
class Annotations:
    """What several raters said of items.

    Attributes
    ----------
    raters, item_ids : tuple of str
        In the order in which they first stand in the file.
    scale : Scale
        Nominal or ordinal.
    said : ndarray of int16, shape (n_raters, n_items)
        Number of the level; `UNSURE` for "uncertain", `MISSING` where a rater said nothing.
    cautions : tuple of Caution
        What was noticed while reading, counted.
    degrees : ndarray of float64, shape (n_raters, n_items), or None
        Individual typology angles, measured from images and confirmed by the rater; nan elsewhere. None where the run is
        about tones.
    """

    raters: tuple[str, ...]
    item_ids: tuple[str, ...]
    scale: Scale
    said: NDArray[np.int16]
    cautions: tuple[Caution, ...] = field(default=())
    degrees: NDArray[np.float64] | None = None

    @property
    def n_uncertain(self) -> int:
        """Judgements that are "uncertain"."""
        return int((self.said == UNSURE).sum())

    @property
    def ratings(self) -> NDArray[np.float64]:
        """Numbers of the levels, shape (n_raters, n_items); nan for "uncertain" and where nothing was said."""
        return np.where(self.said >= 0, self.said.astype(np.float64), np.nan)

    def aligned(self, item_ids: Sequence[str]) -> "Annotations":
        """The same for other items in another order; items that nobody annotated are there and unsaid.

        Annotations of items that are not among `item_ids` are left out and counted in a caution.
        """
        place = {item: number for number, item in enumerate(item_ids)}
        target = np.array([place.get(item, MISSING) for item in self.item_ids], dtype=np.int64)
        known = target >= 0
        said = np.full((len(self.raters), len(item_ids)), MISSING, dtype=np.int16)
        said[:, target[known]] = self.said[:, known]
        cautions = list(self.cautions)
        lost = [item for item, is_known in zip(self.item_ids, known, strict=True) if not is_known]
        if lost:
            message = f"Annotations of {len(lost):,} items that are in neither results nor catalog were left out."
            cautions.append(Caution(code="annotations_unknown_item", message=message, count=len(lost)))
        degrees = None
        if self.degrees is not None:
            degrees = np.full(said.shape, np.nan)
            degrees[:, target[known]] = self.degrees[:, known]
        return Annotations(self.raters, tuple(item_ids), self.scale, said, tuple(cautions), degrees)

    def attributes(self, name: str) -> dict[str, Attribute]:
        """The attribute as each rater alone saw it, to run the test again rater by rater: rater -> attribute."""
        if self.degrees is not None:
            return {rater: _in_degrees(name, own) for rater, own in zip(self.raters, self.degrees, strict=True)}
        return {
            rater: Attribute(name, self.scale, np.where(said >= 0, said, MISSING).astype(np.int16))
            for rater, said in zip(self.raters, self.said, strict=True)
        }


def _in_degrees(name: str, degrees: NDArray[np.float64]) -> Attribute:
    from auditor.audits.parity.colour import ita_level

    return Attribute(name, Scale("ita", ITA_CLASSES), ita_level(degrees), degrees)


def degrees_of_items(annotations: Annotations, name: str, rule: Rule, *, expert: str = "") -> Attribute:
    """The attribute in degrees: of each item the median of those that raters confirmed, or the expert's under that rule.

    Parameters
    ----------
    rule, expert
        As for `consensus`; degrees have no majority, and the median stands in for it.
    """
    assert annotations.degrees is not None, "there are degrees on the scale ita"
    found = np.full(annotations.degrees.shape[1], np.nan)
    known = ~np.isnan(annotations.degrees)
    found[known.any(axis=0)] = np.nanmedian(annotations.degrees[:, known.any(axis=0)], axis=0)
    if rule == "expert" and expert in annotations.raters:
        theirs = annotations.degrees[annotations.raters.index(expert)]
        found = np.where(np.isnan(theirs), found, theirs)
    return _in_degrees(name, found)


#: How degrees of several raters become one, in words.
DEGREES_RULE = (
    "The degrees of an item are the median of those that raters confirmed, each measured from its image{expert}; agreement is "
    "that of the tones that they gave."
)


def from_rows(rows: Iterable[tuple[str, str, int]], scale: Scale, *, cautions: Sequence[Caution] = ()) -> Annotations:
    """Annotations from (item, rater, what was said) in the file's order; what was said is a level's number or `UNSURE`."""
    items: dict[str, int] = {}
    raters: dict[str, int] = {}
    places: list[tuple[int, int, int]] = [
        (raters.setdefault(rater, len(raters)), items.setdefault(item, len(items)), said) for item, rater, said in rows
    ]
    table = np.full((len(raters), len(items)), MISSING, dtype=np.int16)
    if places:
        rater, item, value = np.array(places, dtype=np.int64).T
        table[rater, item] = value
    return Annotations(tuple(raters), tuple(items), scale, table, tuple(cautions))


@dataclass(frozen=True)
class Consensus:
    """One tone an item from several raters.

    Attributes
    ----------
    level : ndarray of int16, shape (n_items,)
        `MISSING` where there is none.
    n_uncertain : int
        Items without a tone because raters were uncertain.
    n_tied : int
        Items of which the rule had to decide between two levels (median), or has no tone because no level has a
        majority.
    n_not_by_expert : int
        Under the rule "expert", items that the expert did not judge, and that have the other raters' tone.
    uncertain_given : int
        Judgements that are "uncertain".
    method : str
        The rule in words, for the report.
    """

    level: NDArray[np.int16]
    scale: Scale
    n_uncertain: int
    n_tied: int
    n_not_by_expert: int
    uncertain_given: int
    method: str

    def attribute(self, name: str) -> Attribute:
        """The consensus as an attribute of the items."""
        return Attribute(name, self.scale, self.level)

    def cautions(self) -> list[Caution]:
        """What a reader must know of it, counted."""
        found = [
            Caution(
                code="annotations_uncertain",
                message=f"Raters said “uncertain” {self.uncertain_given:,} times; "
                f"{self.n_uncertain:,} items have no tone for it.",
                count=self.uncertain_given,
            )
        ]
        word = "have no tone because no level has a majority" if "majority" in self.method else "lay between two levels"
        tied = f"{self.n_tied:,} items {word}. {self.method}"
        found.append(Caution(code="annotations_tied", message=tied, count=self.n_tied))
        other = f"{self.n_not_by_expert:,} items were not judged by the expert and have the other raters' tone."
        found.append(Caution(code="annotations_not_by_expert", message=other, count=self.n_not_by_expert))
        return [caution for caution in found if caution.count]


_UNCERTAIN_RULE = "An item that more than half of its raters call “uncertain” has no tone (ours)."
_METHODS = {
    "median": f"The tone of an item is the median of its raters' tones, the lower one of two. {_UNCERTAIN_RULE}",
    "majority": "The tone of an item is the one that more than half of its raters gave; without a majority it has none. "
    f"{_UNCERTAIN_RULE}",
}


def consensus(annotations: Annotations, rule: Rule, *, expert: str = "") -> Consensus:
    """One tone an item.

    Parameters
    ----------
    rule : {"median", "majority", "expert"}
        "median": the median of the tones, the lower one of two; names without an order have none, and "majority" is
        used for them. "majority": the tone of more than half of the raters of the item, those who are uncertain among
        them; none without a majority. "expert": what `expert` said, where that is a tone or "uncertain"; elsewhere the
        median of the others (names without an order: the majority).
    expert : str
        Name of the rater whose tones count under "expert".

    Raises
    ------
    InputError
        If the expert is none of the raters.
    """
    is_ordered = annotations.scale.kind != "nominal"
    base: Literal["median", "majority"] = "median" if is_ordered and rule != "majority" else "majority"
    if rule != "expert":
        return _of_all(annotations, base, _METHODS[base])
    if expert not in annotations.raters:
        raise no_such_expert(annotations, expert)
    place = annotations.raters.index(expert)
    theirs = annotations.said[place]
    others = np.delete(annotations.said, place, axis=0)
    rest = Annotations(
        tuple(name for name in annotations.raters if name != expert),
        annotations.item_ids,
        annotations.scale,
        np.where(theirs[None, :] == MISSING, others, MISSING).astype(np.int16),
    )
    method = f"The tone of an item is what {expert} said. Where {expert} said nothing: {_METHODS[base]}"
    made = _of_all(rest, base, method)
    level = np.where(theirs >= 0, theirs, np.where(theirs == MISSING, made.level, MISSING)).astype(np.int16)
    said = annotations.said != MISSING
    return Consensus(
        level,
        annotations.scale,
        n_uncertain=made.n_uncertain + int((theirs == UNSURE).sum()),
        n_tied=made.n_tied,
        n_not_by_expert=int((said.any(axis=0) & (theirs == MISSING)).sum()),
        uncertain_given=annotations.n_uncertain,
        method=method,
    )


def no_such_expert(
    annotations: Annotations, expert: str, *, file: str | None = None, column: str | None = None
) -> InputError:
    """The problem that the expert is none of the raters; it names them, and the one that may have been meant."""
    listed = ", ".join(printable(name, 40) for name in annotations.raters[:_MOST_NAMES])
    more = len(annotations.raters) - _MOST_NAMES
    listed += f" and {more:,} more" if more > 0 else ""
    return InputError(
        f"{named('expert')}: this is none of the raters",
        file=file,
        column=column,
        value=expert,
        fix=f"Raters are: {listed or 'none'}.{did_you_mean(expert, annotations.raters)}",
    )


def _of_all(annotations: Annotations, rule: Literal["median", "majority"], method: str) -> Consensus:
    counts = _counts(annotations)
    unsure = (annotations.said == UNSURE).sum(axis=0)
    sure = counts.sum(axis=1)
    is_uncertain = 2 * unsure > sure + unsure
    judged = (sure > 0) & ~is_uncertain
    if rule == "median":
        below = 2 * np.cumsum(counts, axis=1)
        level = np.argmax(below >= sure[:, None], axis=1)
        # Half of the tones lie at or below the level, half above it: the median is anywhere between.
        tied = judged & (np.take_along_axis(below, level[:, None], axis=1)[:, 0] == sure)
        has_tone = judged
    else:
        level = np.argmax(counts, axis=1) if counts.shape[1] else np.zeros(len(counts), dtype=np.int64)
        has_tone = judged & (2 * counts.max(axis=1, initial=0) > sure + unsure)
        tied = judged & ~has_tone
    return Consensus(
        np.where(has_tone, level, MISSING).astype(np.int16),
        annotations.scale,
        n_uncertain=int(is_uncertain.sum()),
        n_tied=int(tied.sum()),
        n_not_by_expert=0,
        uncertain_given=annotations.n_uncertain,
        method=method,
    )


def _counts(annotations: Annotations) -> NDArray[np.int64]:
    """How many raters gave each level to each item, shape (n_items, n_levels)."""
    n_items, n_levels = len(annotations.item_ids), len(annotations.scale.levels)
    rater, item = np.nonzero(annotations.said >= 0)
    cells = item * n_levels + annotations.said[rater, item]
    return np.bincount(cells, minlength=n_items * n_levels).reshape(n_items, n_levels).astype(np.int64)


@dataclass(frozen=True)
class Agreement:
    """How far raters agree beyond chance.

    Attributes
    ----------
    alpha : float or None
        Krippendorff's alpha [1], by ranks on an ordinal scale, by names on a nominal one; None if it is undefined
        (one rater, or one tone only). "uncertain" counts as nothing said.
    low, high : float or None
        Percentile interval of a bootstrap over items; None where alpha is undefined and under `FEWEST_ITEMS` items.
    n_raters : int
        Raters who judged an item that another one judged too.
    n_items : int
        Items with tones of at least two raters: what alpha rests on.
    n_uncertain : int
        Judgements that are "uncertain".
    """

    alpha: float | None
    low: float | None
    high: float | None
    confidence: float
    raters: tuple[str, ...]
    n_raters: int
    n_items: int
    n_uncertain: int

    @property
    def sentence(self) -> str:
        """The answer in words."""
        if self.alpha is None:
            reason = "no item has tones of two raters yet" if self.n_items == 0 else "every tone is the same"
            return f"Krippendorff's alpha is not defined: {reason}."
        words = f"Krippendorff's alpha {self.alpha:.2f}"
        if self.low is not None and self.high is not None:
            words += f" ({self.confidence:.0%} CI {self.low:.2f} to {self.high:.2f})"
        items = "1 item" if self.n_items == 1 else f"{self.n_items:,} items"
        return f"{words}, {self.n_raters} raters, {items} with at least two tones."


def agreement(annotations: Annotations, *, confidence: float = 0.95, seed: int, n_resamples: int = 2000) -> Agreement:
    """Krippendorff's alpha over raters with an interval from a bootstrap over items.

    Only items with at least two tones are drawn: the others say nothing of agreement.
    """
    ratings = annotations.ratings
    pairable = (~np.isnan(ratings)).sum(axis=0) >= 2
    paired = ratings[:, pairable]
    n_items = paired.shape[1]
    alpha = drawn_alpha(paired, "nominal" if annotations.scale.kind == "nominal" else "ordinal")
    value = alpha(None)
    low = high = None
    if n_items >= FEWEST_ITEMS and np.isfinite(value):
        bounds = intervals(
            lambda drawn: np.array([alpha(drawn)]),
            None,
            n_items,
            confidence=confidence,
            seed=seed,
            n_resamples=n_resamples,
        )[0]
        low, high = (float(bound) if np.isfinite(bound) else None for bound in bounds)
    return Agreement(
        alpha=float(value) if np.isfinite(value) else None,
        low=low,
        high=high,
        confidence=confidence,
        raters=annotations.raters,
        n_raters=int((~np.isnan(paired)).any(axis=1).sum()) if n_items else 0,
        n_items=n_items,
        n_uncertain=annotations.n_uncertain,
    )
