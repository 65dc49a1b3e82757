"""The answer in one sentence: parity within the margin, disparity detected, or inconclusive; always with what could be seen.

Parity takes an interval that lies inside a margin that was declared beforehand (an equivalence test: D. J. Schuirmann,
Journal of Pharmacokinetics and Biopharmaceutics 15 (1987) 657-680; with the whole interval rather than one of level
1 - 2 alpha, which is stricter). A large p-value alone never shows parity.
"""

from dataclasses import dataclass
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
        In the unit of the effect; None where no standard error can be estimated.
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
    """
    detectable = p_value <= alpha
    inside = False
    if margin is not None and effect.low is not None and effect.high is not None:
        inside = -margin < effect.low and effect.high < margin
    smallest = minimum_detectable_effect(effect.se, alpha=alpha, power=power)
    state: State = "parity within margin" if inside else "disparity detected" if detectable else "inconclusive"
    words = (
        f"{what_differs(effect, scale, attribute, confidence)}, {p_words(p_value, alpha)}: "
        f"{_conclusion(state, effect.unit, detectable, margin)}"
    )
    if smallest is None:
        words += "; how small a difference could have been detected cannot be estimated from so few queries"
    else:
        words += f"; the smallest difference detectable with {power:.0%} power is {amount(smallest, effect.unit)}"
    return Answer(state, detectable, words + ".", smallest)


def minimum_detectable_effect(se: float | None, *, alpha: float, power: float = 0.8) -> float | None:
    """(z(1 - alpha / 2) + z(power)) standard errors: what a two-sided test at alpha detects with that power."""
    from scipy.special import ndtri

    return None if se is None else float((ndtri(1 - alpha / 2) + ndtri(power)) * se)


def what_differs(effect: Effect, scale: Scale, attribute: str, confidence: float) -> str:
    """The effect in words, with its direction and its interval."""
    positive = effect.value >= 0
    sign = 1 if positive else -1
    of_target = effect.b == "target"
    size = amount(sign * effect.value, effect.unit)
    interval = "no interval" if effect.low is None or effect.high is None else _interval(effect, sign, confidence)
    who = "Results" if of_target else f"Results for {effect.a} queries"
    than = "than their target" if of_target else f"than those for {effect.b} queries"
    if not number(effect.value, effect.unit).strip("−0."):
        both = "Results and their target" if of_target else f"Results for {effect.a} and for {effect.b} queries"
        what = attribute if effect.level is None else effect.level
        return f"{both} differ in {what} by {size} ({interval})"
    if effect.level is not None:
        more = "more" if positive else "less"
        return f"{who} show {effect.level} {more} often {than}, by {size} ({interval})"
    higher, lower, noun = directions(scale, attribute)
    return f"{who} show {higher if positive else lower} {noun} {than}, by {size} ({interval})"


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


def _conclusion(state: State, unit: str, detectable: bool, margin: float | None) -> str:
    if state == "parity within margin":
        assert margin is not None
        within = f"parity within the margin of {amount(margin, unit)}"
        return f"{within} (detectable, but within the margin)" if detectable else within
    if state == "disparity detected":
        return state
    if margin is None:
        return "inconclusive (without a declared margin parity cannot be concluded)"
    return f"inconclusive (the interval does not lie within the margin of {amount(margin, unit)})"
