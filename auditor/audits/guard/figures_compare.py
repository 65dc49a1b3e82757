"""Pictures of guard runs side by side: accuracies of both, and their difference with its interval."""

from collections.abc import Iterator

import pyarrow as pa
from matplotlib.axes import Axes

from auditor.audits import Picture
from auditor.audits.guard.compare import Comparison, Measured, PairComparison
from auditor.audits.guard.compare_text import drawn
from auditor.audits.guard.words import condition_words, interval, percent, points
from auditor.audits.look import THEMES, Theme, blank, heading, named, shortened, style


def compare_pictures(comparison: Comparison, theme: str, *, first: int = 1) -> Iterator[Picture]:
    """One picture for each pair of runs, numbered from `first`; `theme` is "light" or "dark"."""
    for number, pair in enumerate(comparison.pairs, start=first):
        yield _pair(pair, comparison.confidence, f"compare_{number}", THEMES[theme])


def _pair(pair: PairComparison, confidence: float, name: str, look: Theme) -> Picture:
    shown = [measured for measured in pair.measures if measured.name != "risk"]
    places = list(range(len(shown)))
    figure = blank(look, 1.3 + 0.3 * len(shown))
    left, right = figure.subplots(1, 2, sharey=True, squeeze=True)
    for axes in (left, right):
        style(axes, look)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0, labelsize=8)
    for place, measured in enumerate(shown):
        left.plot([100 * measured.a.value, 100 * measured.b.value], [place, place], color=look.quiet, linewidth=1.5)
        _difference(right, place, measured, look)
    a, b = ([100 * value for value in values] for values in zip(*((m.a.value, m.b.value) for m in shown), strict=True))
    left.plot(a, places, "o", color=look.bar, markersize=5.5, label=_lettered("A", pair.a))
    left.plot(b, places, "D", color=look.accent, markersize=5, label=_lettered("B", pair.b))
    right.axvline(0, color=look.ink, linewidth=0.8, linestyle=":")
    right.margins(x=0.1)
    left.set_yticks(places, [_label(measured) for measured in shown])
    left.set_ylim(len(shown) - 0.5, -0.5)
    heading(left, "Accuracy", look)
    heading(right, "A less B", look)
    named(left, look, x="%")
    named(right, look, x="percentage points")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=8, labelcolor=look.ink)
    told = "; ".join(
        f"{measured.title}: {percent(measured.a.value)} and {percent(measured.b.value)}, "
        f"{points(measured.difference.value)}{interval(measured.difference.low, measured.difference.high)}"
        for measured in shown
    )
    text = (
        f"{pair.n:,} queries that test in both runs. Accuracy of A, of B, and A less B in percentage points with "
        f"{percent(confidence)} intervals by a bootstrap over {drawn(pair)} (each by itself): {told}."
    )
    return Picture(name, f"{pair.a} and {pair.b}", text, figure, _data(pair))


def _lettered(letter: str, name: str) -> str:
    """The letter with the run's name, unless that is the letter itself."""
    return letter if name == letter else f"{letter}: {shortened(name, 34)}"


def _label(measured: Measured) -> str:
    if measured.name == "zero_shot":
        return "Zero-shot"
    return f"{measured.name.capitalize()}: {shortened(condition_words(measured.condition), 36)}"


def _difference(axes: Axes, place: int, measured: Measured, look: Theme) -> None:
    found = measured.difference
    if found.low is not None and found.high is not None:
        axes.plot(
            [100 * found.low, 100 * found.high], [place, place], color=look.bar, linewidth=2.2, solid_capstyle="butt"
        )
    axes.plot([100 * found.value], [place], "o", color=look.bar, markersize=5)


def _data(pair: PairComparison) -> pa.Table:
    return pa.table(
        {
            "figure": [measured.name for measured in pair.measures],
            "condition": [measured.condition for measured in pair.measures],
            "a": [measured.a.value for measured in pair.measures],
            "b": [measured.b.value for measured in pair.measures],
            "difference": [measured.difference.value for measured in pair.measures],
            "low": pa.array([measured.difference.low for measured in pair.measures], pa.float64()),
            "high": pa.array([measured.difference.high for measured in pair.measures], pa.float64()),
            "only_a": pa.array([measured.only_a for measured in pair.measures], pa.int64()),
            "only_b": pa.array([measured.only_b for measured in pair.measures], pa.int64()),
            "mcnemar_p": pa.array([measured.mcnemar_p for measured in pair.measures], pa.float64()),
        }
    )
