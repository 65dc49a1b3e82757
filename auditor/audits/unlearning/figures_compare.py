"""Pictures of unlearning runs side by side: forgetting against retention, and every answer in one model against the other."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.ticker import StrMethodFormatter

from auditor.audits import Picture
from auditor.audits.look import THEMES, Theme, blank, heading, named, shortened, style
from auditor.audits.unlearning.compare import Comparison, PairComparison
from auditor.audits.unlearning.compare_measures import ComparedMeasure, Estimate
from auditor.audits.unlearning.compare_text import difference_words, value_words
from auditor.audits.unlearning.metrics.metric import Metric
from auditor.audits.unlearning.words import percent

FORGET, RETAIN = "forget_answer_probability", "retain_answer_probability"
#: Answers that are drawn one by one, mark and name.
_KINDS = (("forget", "to forget", "o"), ("retain", "to keep", "^"))
#: Probabilities below this are drawn at it.
_LEAST = 1e-6


def compare_pictures(comparison: Comparison, theme: str, *, first: int = 1) -> Iterator[Picture]:
    """One picture for each pair of runs, numbered from `first`; `theme` is "light" or "dark"."""
    for number, pair in enumerate(comparison.pairs, start=first):
        rows = comparison.table.filter(pc.equal(comparison.table["b"], pair.b))
        yield _pair(pair, rows, comparison.confidence, f"compare_{number}", THEMES[theme])


def _pair(pair: PairComparison, rows: pa.Table, confidence: float, name: str, look: Theme) -> Picture:
    figure = blank(look, 3.7)
    left, right = figure.subplots(1, 2, squeeze=True)
    for axes in (left, right):
        style(axes, look)
    forget, retain = pair.measure(FORGET), pair.measure(RETAIN)
    _means(left, pair, forget, retain, look)
    _answers(right, rows, look)
    for axes in (left, right):
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.19), ncols=2, frameon=False, fontsize=8, labelcolor=look.ink
        )
    text = (
        f"Left: mean probability a token of {forget.n:,} answers to forget and {retain.n:,} to keep, of the start model "
        f"({_of_start(forget)} and {_of_start(retain)}), of A ({_share(forget.a.value)} and {_share(retain.a.value)}) and of B "
        f"({_share(forget.b.value)} and {_share(retain.b.value)}), with {percent(confidence)} intervals by a bootstrap over "
        f"examples. A less B: {difference_words(forget.difference, 'share')} and "
        f"{difference_words(retain.difference, 'share')} percentage points. Lines are A's limits. Right: every answer to forget "
        f"and to keep, in A and in B, on scales by powers of ten; what is below {_LEAST:g} is drawn there."
    )
    return Picture(name, f"{pair.a} and {pair.b}", text, figure, _data(pair))


def _share(value: float) -> str:
    return value_words(value, "share")


def _of_start(measure: ComparedMeasure) -> str:
    return "not measured" if measure.start is None else _share(measure.start)


def _means(axes: Axes, pair: PairComparison, forget: ComparedMeasure, retain: ComparedMeasure, look: Theme) -> None:
    """Forgetting against retention: the start, and where each run has led."""
    start = None if forget.start is None or retain.start is None else (forget.start, retain.start)
    for letter, run, colour, mark in (("a", pair.a, look.bar, "o"), ("b", pair.b, look.accent, "D")):
        x, y = getattr(forget, letter), getattr(retain, letter)
        if start is not None:
            axes.plot([start[0], x.value], [start[1], y.value], color=colour, linewidth=1, linestyle=":")
        whiskers(axes, x, y, colour)
        label = _lettered(letter.upper(), run)
        axes.plot([x.value], [y.value], mark, color=colour, markersize=7, label=label, linestyle="none")
    if start is not None:
        axes.plot([start[0]], [start[1]], "s", color=look.ink, markersize=6.5, label="start", linestyle="none")
        limit = (1 - pair.outcomes[0].most_lost) * start[1]
        axes.axhline(limit, color=look.ink, linewidth=0.9, linestyle="--", label=f"A: kept above {_share(limit)}")
    bound = pair.outcomes[0].forgotten_below
    axes.axvline(bound, color=look.ink, linewidth=0.9, linestyle=":", label=f"A: forgotten below {percent(bound)}")
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    heading(axes, "Forgetting against retention", look)
    named(axes, look, x="Probability of answers to forget", y="Probability of answers to keep")


def whiskers(axes: Axes, x: Estimate | Metric, y: Estimate | Metric, colour: str) -> None:
    """The intervals of a point, where it has them."""
    assert x.value is not None
    assert y.value is not None
    if x.low is not None and x.high is not None:
        axes.plot([x.low, x.high], [y.value, y.value], color=colour, linewidth=2, alpha=0.6)
    if y.low is not None and y.high is not None:
        axes.plot([x.value, x.value], [y.low, y.high], color=colour, linewidth=2, alpha=0.6)


def _lettered(letter: str, name: str) -> str:
    """The letter with the run's name, unless that is the letter itself."""
    return letter if name == letter else f"{letter}: {shortened(name, 34)}"


def _answers(axes: Axes, rows: pa.Table, look: Theme) -> None:
    """Every answer in B against the same in A; above the diagonal it is more probable in B."""
    for (kind, words, mark), colour in zip(_KINDS, (look.groups[3], look.groups[2]), strict=True):
        own = rows.filter(pc.equal(rows["kind"], kind))
        x, y = (np.maximum(own[name].to_numpy(), _LEAST) for name in ("probability_a", "probability_b"))
        axes.plot(x, y, mark, color=colour, markersize=4.5, alpha=0.7, label=words, linestyle="none")
    drawn = [rows[name].to_numpy() for name in ("probability_a", "probability_b")]
    least = max(_LEAST, min(0.1, float(np.min(drawn)))) * 0.6
    axes.plot([least, 1], [least, 1], color=look.faint, linewidth=1)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.minorticks_off()
    for axis in (axes.xaxis, axes.yaxis):
        # Written as numbers: powers would be set as formulas, which pictures never are.
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_xlim(least, 1.6)
    axes.set_ylim(least, 1.6)
    heading(axes, "Every answer to forget and to keep", look)
    named(axes, look, x="Probability in A", y="Probability in B")


def _data(pair: PairComparison) -> pa.Table:
    def column(values: Sequence[Any]) -> pa.Array:
        return pa.array(values, pa.float64())

    measures = pair.measures
    return pa.table(
        {
            "figure": [one.name for one in measures],
            "n": [one.n for one in measures],
            "start": column([one.start for one in measures]),
            **{
                f"{letter}{end}": column([getattr(getattr(one, letter), field) for one in measures])
                for letter in ("a", "b")
                for end, field in (("", "value"), ("_low", "low"), ("_high", "high"))
            },
            "difference": column([one.difference.value for one in measures]),
            "low": column([one.difference.low for one in measures]),
            "high": column([one.difference.high for one in measures]),
        }
    )
