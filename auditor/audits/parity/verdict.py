"""The answer in one sentence: parity within the margin, disparity detected, or inconclusive; always with what could be seen.

Parity takes an interval that lies inside a margin that was declared beforehand (an equivalence test: D. J. Schuirmann,
Journal of Pharmacokinetics and Biopharmaceutics 15 (1987) 657-680; with the whole interval rather than one of level
1 - 2 alpha, which is stricter), for every difference that was asked about. Distributions that lie at the same place may differ
in shape: their distance, in the unit of the margin, must lie below it as well, by its upper limit (ours). A p-value never shows
parity, nor does it forbid it: a difference that is detectable, but certainly within the margin, was declared not to matter.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from auditor.audits.parity.data import Scale
from auditor.audits.parity.estimates import Effect
from auditor.audits.parity.tones import scale_of

State = Literal["parity within margin", "disparity detected", "inconclusive"]
#: What a value is called, in one and in several; {} stands for the number.
_UNITS = {
    "degrees": "{} degrees ITA",
    "share": "{} percentage points",
    "mid-rank": "{} in mean mid-rank",
    "levels": "{} levels",
    "": "{}",
}
#: Largest difference that there can be, by unit.
_MOST = {"share": 1.0, "mid-rank": 1.0}
#: Most differences that a sentence names.
_NAMED = 3


@dataclass(frozen=True)
class Shape:
    """A test of whether distributions differ in any way, not only in where they lie.

    Attributes
    ----------
    statistic : str
    p_value : float
    declared : bool
        Whether it is the primary test itself.
    """

    statistic: str
    p_value: float
    declared: bool = False


@dataclass(frozen=True)
class Answer:
    """What can be said.

    Attributes
    ----------
    state : str
        "parity within margin", "disparity detected" or "inconclusive".
    detectable : bool
        Whether p <= alpha; with parity within the margin: detectable, but too small to matter.
    sentence : str
        The answer with its numbers.
    minimum_detectable_effect : float or None
        In the unit of the effect; None where no standard error can be estimated, no p-value up to alpha can come out, or it
        would lie beyond every difference that there can be.
    """

    state: State
    detectable: bool
    sentence: str
    minimum_detectable_effect: float | None


def verdict(
    effect: Effect,
    p_value: float,
    *,
    alpha: float,
    margin: float | None,
    scale: Scale,
    attribute: str,
    confidence: float = 0.95,
    power: float = 0.8,
    differences: Sequence[Effect] = (),
    uncompared: Sequence[str] = (),
    distances: Sequence[Effect] = (),
    shape: Shape | None = None,
    least_p: float = 0.0,
) -> Answer:
    """Answer from the primary effect and the p-value of the primary test.

    Parameters
    ----------
    effect : Effect
        The primary one.
    p_value : float
    alpha : float
        Level of the test.
    margin : float or None
        Largest effect that would not matter, in the unit of the effect; None if none was declared.
    scale : Scale
    attribute : str
        Name of the attribute, for scales whose direction has no word of its own.
    confidence : float
        Nominal coverage of the effect's interval.
    power : float
        Probability with which the minimum detectable effect would be detected.
    differences : sequence of Effect
        All differences that the primary effect was chosen from, itself among them; only itself if not given. Parity takes
        an interval inside the margin for every one of them.
    uncompared : sequence of str
        Differences that could not be estimated at all.
    distances : sequence of Effect
        How far distributions lie apart in any way, in the unit of the margin: one for each pair of groups, or of results and
        their target; none between names, whose shares are all there is. Parity takes an upper limit below the margin for
        every one of them.
    shape : Shape, optional
        The test of whether distributions differ in any way; it is told, and decides nothing.
    least_p : float
        Smallest p-value that the primary test can give.
    """
    asked = tuple(differences) or (effect,)
    detectable = p_value <= alpha
    located = margin is not None and not uncompared and all(lies_within(one.low, one.high, margin) for one in asked)
    bounded = margin is not None and all(lies_below(one.high, margin) for one in distances)
    state = state_of(inside=located and bounded, p_value=p_value, alpha=alpha)
    told = f"parity {_within(margin, effect.unit)}" if state == "parity within margin" else state
    if state == "parity within margin" and detectable:
        told += " (detectable, but within the margin)"
    if located and not bounded:
        told += _beyond_the_means(distances, shape, margin, alpha)
    elif shape is not None and shape.p_value <= alpha:
        told += _of_shape(shape, state, alpha)
    if state == "inconclusive" and not located:
        told += f" ({_why_not(effect, asked, uncompared, margin)})"
    words = f"{what_differs(effect, scale, attribute, confidence)}, {p_words(p_value, alpha)}: {told}"
    if least_p > alpha:
        words += (
            f"; no difference could have been detected, as this test cannot give less than {p_words(least_p, alpha)}"
        )
        return Answer(state, detectable, words + ".", None)
    smallest = _smallest(effect, alpha, power)
    if smallest is None and effect.se is not None:
        words += "; not even the largest difference that there can be would be detected with this power"
    elif smallest is None:
        words += "; how small a difference could have been detected cannot be estimated from so few queries"
    else:
        several = len(asked) > 1 or (shape is not None and shape.declared)
        alone = ", for this one difference alone," if several else ""
        words += (
            f"; the smallest difference detectable with {power:.0%} power{alone} is {amount(smallest, effect.unit)}"
        )
        if effect.b == "target" or effect.two_way or effect.bounded:
            words += ", by its interval and not by the test"
            words += ", which is a bound where few queries differ" if effect.bounded else ""
            words += ", as items repeat and the interval is about other items too" if effect.two_way else ""
    return Answer(state, detectable, words + ".", smallest)


def lies_within(low: float | None, high: float | None, margin: float) -> bool:
    """Whether there is an interval, and it lies inside the margin."""
    return low is not None and high is not None and -margin < low and high < margin


def lies_below(high: float | None, margin: float) -> bool:
    """Whether a distance has an upper limit, and it lies below the margin."""
    return high is not None and high < margin


def state_of(*, inside: bool, p_value: float, alpha: float) -> State:
    """Which of the three states it is.

    Parameters
    ----------
    inside : bool
        Whether a margin was declared, every difference has an interval inside it, and every distance an upper limit.
    p_value : float
        Of the primary test.
    alpha : float
    """
    if inside:
        return "parity within margin"
    return "disparity detected" if p_value <= alpha else "inconclusive"


def minimum_detectable_effect(
    se: float | None, *, alpha: float, power: float = 0.8, reach: float | None = None
) -> float | None:
    """(z(1 - alpha / 2) + z(power)) standard errors: what a two-sided test at alpha detects with that power.

    `reach` takes the place of z(1 - alpha / 2) where an interval holds for several differences at once and is wider.
    """
    from scipy.special import ndtri

    if se is None:
        return None
    return (max(float(ndtri(1 - alpha / 2)), reach or 0.0) + float(ndtri(power))) * se


def _smallest(effect: Effect, alpha: float, power: float) -> float | None:
    """The minimum detectable effect; None where there is none, or where it lies beyond every difference that there can be."""
    if effect.se is None:
        return None
    has_interval = effect.low is not None and effect.high is not None
    half = _half(effect) if has_interval and (effect.bounded or effect.simultaneous) else 0.0
    if half is None:
        return None
    if effect.bounded:  # such an interval is no multiple of the standard error
        smallest: float | None = half + NormalDist().inv_cdf(power) * effect.se
    else:
        smallest = minimum_detectable_effect(effect.se, alpha=alpha, power=power, reach=half / effect.se)
    return smallest if smallest is not None and smallest < _MOST.get(effect.unit, math.inf) else None


def _half(effect: Effect) -> float | None:
    """Half an interval, in the unit of the effect: the longer half that is not cut off at the largest difference there can be."""
    if effect.low is None or effect.high is None:
        return None
    most = _MOST.get(effect.unit, math.inf)
    ends = ((effect.high, effect.high - effect.value), (effect.low, effect.value - effect.low))
    return max((half for end, half in ends if abs(end) < most), default=None)


def what_differs(effect: Effect, scale: Scale, attribute: str, confidence: float) -> str:
    """The effect in words, with its interval; with its direction unless the interval holds 0."""
    positive = effect.value >= 0
    sign = 1 if positive else -1
    of_target = effect.b == "target"
    holds_zero = effect.low is not None and effect.high is not None and effect.low <= 0 <= effect.high
    if holds_zero or not number(effect.value, effect.unit).strip("−0."):
        both = "Results and their target" if of_target else f"Results for {_pair(effect)}"
        what = attribute if effect.level is None else effect.level
        interval = "no interval" if effect.low is None else _interval(effect, 1, confidence)
        size = amount(effect.value, effect.unit)
        return f"{both} differ in {what} by {size} ({effect.a} less {effect.b}; {interval})"
    size = amount(sign * effect.value, effect.unit)
    interval = "no interval" if effect.low is None or effect.high is None else _interval(effect, sign, confidence)
    who = "Results" if of_target else f"Results for {_queries(effect.a)}"
    than = "than their target" if of_target else f"than those for {_queries(effect.b)}"
    if effect.level is not None:
        more = "more" if positive else "less"
        return f"{who} show {effect.level} {more} often {than}, by {size} ({interval})"
    higher, lower, noun = directions(scale, attribute)
    return f"{who} show {higher if positive else lower} {noun} {than}, by {size} ({interval})"


def _is_number(name: str) -> bool:
    return name.strip().lstrip("+-").replace(".", "", 1).replace(",", "").isdecimal()


def _queries(group: str) -> str:
    """Queries of a group; its name must not read as a count."""
    return f"queries of group '{group}'" if _is_number(group) else f"{group} queries"


def _pair(effect: Effect) -> str:
    if _is_number(effect.a) or _is_number(effect.b):
        return f"queries of group '{effect.a}' and of group '{effect.b}'"
    return f"{effect.a} and for {effect.b} queries"


def directions(scale: Scale, attribute: str) -> tuple[str, str, str]:
    """Words for a higher and a lower value on a scale, and what has it."""
    if scale.kind == "ita":
        return "lighter", "darker", "skin"
    if scale_of(scale.levels) is not None:  # Monk and Fitzpatrick both run from light to dark
        return "darker", "lighter", "skin"
    return "higher", "lower", f"values of {attribute}"


def p_words(p_value: float, alpha: float | None = None) -> str:
    """A p-value as it is printed: "p = .004", "p < .001"; never 0, and never rounded onto alpha."""
    if p_value < 0.001:
        return "p < .001"
    if p_value >= 1:
        return "p = 1"
    digits = 2 if p_value >= 0.1 else 3
    while digits < 6 and (
        round(p_value, digits) >= 1 or (alpha is not None and round(p_value, digits) == alpha != p_value)
    ):
        digits += 1
    return f"p = {p_value:.{digits}f}".replace("0.", ".", 1)


def amount(value: float, unit: str) -> str:
    """A value with its unit, "6.1 degrees ITA"; shares as percentage points."""
    return _UNITS[unit].format(number(value, unit))


def number(value: float, unit: str) -> str:
    """A value as it is printed in its unit, with a real minus sign."""
    shown = 100 * value if unit == "share" else value
    digits = 1 if unit in ("degrees", "share") else 2
    text = f"{round(shown, digits) + 0.0:.{digits}f}"
    if unit == "mid-rank" and text.lstrip("-").startswith("0"):
        text = text.replace("0.", ".", 1)
    return text.replace("-", "−")


def _interval(effect: Effect, sign: int, confidence: float) -> str:
    assert effect.low is not None
    assert effect.high is not None
    low, high = sorted((sign * effect.low, sign * effect.high))
    kind = "simultaneous CI" if effect.simultaneous else "CI"
    return f"{100 * confidence:g}% {kind} {number(low, effect.unit)} to {number(high, effect.unit)}"


def _within(margin: float | None, unit: str) -> str:
    assert margin is not None, "nothing lies within a margin that was not declared"
    return f"within the margin of {amount(margin, unit)}"


def _why_not(effect: Effect, asked: Sequence[Effect], uncompared: Sequence[str], margin: float | None) -> str:
    """Why parity is not concluded from the intervals."""
    if margin is None:
        return "without a declared margin parity cannot be concluded"
    missing = [*uncompared, *(difference(one) for one in asked if one.low is None or one.high is None)]
    if (len(asked) > 1 and missing) or uncompared:
        return f"not every difference has an interval: {listed(missing)}"
    if missing:
        return f"there is no interval that could lie {_within(margin, effect.unit)}"
    if not lies_within(effect.low, effect.high, margin):
        return f"the interval does not lie {_within(margin, effect.unit)}"
    beyond = [difference(one) for one in asked if not lies_within(one.low, one.high, margin)]
    return f"not every interval lies {_within(margin, effect.unit)}: {listed(beyond)}"


def difference(effect: Effect) -> str:
    """What is compared, in few words."""
    return difference_of(effect.a, effect.b, effect.level)


def difference_of(a: str, b: str, level: str | None) -> str:
    """Two groups, and the level whose shares are compared."""
    return f"{a} less {b}" if level is None else f"{a} less {b} in {level}"


def listed(names: Sequence[str]) -> str:
    """The first few of several names, and how many more there are."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _of_shape(shape: Shape, state: State, alpha: float) -> str:
    """That distributions differ, where nothing else says so."""
    told = f"{shape.statistic}, {p_words(shape.p_value, alpha)}"
    if state == "parity within margin" and not shape.declared:
        return f" (that the distributions differ in shape is detectable, but within the margin: {told})"
    return f" (the distributions differ in shape: {told})" if state == "inconclusive" else ""


def _beyond_the_means(distances: Sequence[Effect], shape: Shape | None, margin: float | None, alpha: float) -> str:
    """Why there is no parity though every difference of means lies within the margin."""
    assert margin is not None, "nothing lies within a margin that was not declared"
    beyond = [one for one in distances if not lies_below(one.high, margin)]
    largest = max(beyond, key=lambda one: math.inf if one.high is None else one.high)
    differ = "the distributions may differ"
    if shape is not None and shape.p_value <= alpha:
        differ = f"the distributions differ in shape ({shape.statistic}, {p_words(shape.p_value, alpha)}) and may do so"
    which = "results and target" if largest.b == "target" else f"{largest.a} and {largest.b}"
    if largest.high is None:
        how = f"by more: there is no upper limit of the distance of {which}"
    else:
        how = (
            f"by up to {amount(largest.high, largest.unit)}, the upper limit of the {largest.name} distance of {which}"
        )
    return f" (the means are {_within(margin, largest.unit)}, but {differ} {how})"
