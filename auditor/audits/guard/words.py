"""Numbers and names of a guard run as people read them."""

from collections.abc import Iterable

from auditor.audits.guard.conditions import CORRECT, ZERO_SHOT, described

MIXTURE = "mixture"


def percent(share: float) -> str:
    """A share with one decimal, "54.2%"; whole where it is whole."""
    text = f"{100 * share:.1f}"
    return f"{text.removesuffix('.0')}%"


def points(share: float, *, signed: bool = True) -> str:
    """A difference of shares in percentage points with one decimal and a real minus; "0.0" has no sign."""
    rounded = round(100 * share, 1) + 0.0
    return f"{rounded:+.1f}".replace("-", "−") if signed and rounded else f"{rounded:.1f}".replace("-", "−")


def interval(low: float | None, high: float | None) -> str:
    """An interval in points, " (−3.0 to +4.1)"; empty where there is none."""
    return "" if low is None or high is None else f" ({points(low)} to {points(high)})"


def condition_words(condition: str) -> str:
    """A condition within a sentence or a legend: "Wrong labels in a circle (50%)"."""
    if condition == MIXTURE:
        return "the mixture"
    if condition.startswith(f"{MIXTURE}:"):
        return f"a mixture with {percent(float(condition.partition(':')[2]))} corrupted"
    words = described(condition)
    return words[:1].lower() + words[1:] if condition in (CORRECT, ZERO_SHOT) else words


def listed(items: Iterable[str]) -> str:
    """Some words as a list in a sentence: "a, b and c"."""
    found = list(items)
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}" if found else ""


def threshold(value: float, step: float) -> str:
    """A threshold with as many digits as the grid's step has, and two at least: never another one than it is."""
    digits = len(f"{step:.10f}".rstrip("0").partition(".")[2])
    return f"{value:.{max(2, digits)}f}"
