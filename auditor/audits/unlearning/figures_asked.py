"""Pictures of what a model says when it is asked: probabilities before and after, and answers side by side."""

import textwrap
from typing import Any

import pyarrow as pa
from matplotlib.axes import Axes

from auditor.audits import Picture
from auditor.audits.look import Theme, blank, legend, named, panel, shortened
from auditor.audits.unlearning.findings import UnlearningFindings
from auditor.audits.unlearning.verdict import ASKED, RETAINED
from auditor.audits.unlearning.words import percent

#: Examples whose answers are drawn (ours); all of them stand in the table.
_MOST_ANSWERS = 6
_COLUMNS = (("Asked", 0.0), ("Wanted", 0.25), ("Said before", 0.5), ("Says after", 0.75))
_CHARACTERS, _MOST_LINES = 27, 5
_LINE_INCHES, _TEXT_POINTS = 0.135, 7.5


def probabilities_picture(findings: UnlearningFindings, data: pa.Table, look: Theme) -> Picture | None:
    """Probability of answers before and after, as trained and asked for in other ways, with intervals."""
    names = {name: f"to forget, {how}" for name, how in ASKED.items()} | {RETAINED: "to keep"}
    rows = {row["metric"]: row for row in data.to_pylist()}
    shown = [(label, rows[name]) for name, label in names.items() if name in rows and rows[name]["after"] is not None]
    if not shown:
        return None
    figure, axes = panel(look, 1.1 + 0.38 * len(shown))
    for place, (_, row) in enumerate(shown):
        _pair(axes, place, row, look, is_first=place == 0)
    axes.set_yticks(range(len(shown)), [label for label, _ in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(-0.02, 1.02)
    bound = findings.most_probability
    axes.axvline(bound, color=look.ink, linewidth=0.9, linestyle=":", label=f"forgotten below {percent(bound)}")
    named(axes, look, x="Probability a token, mean over answers")
    legend(figure, axes, look)
    told = "; ".join(
        f"{label} {_value(row['before'])} to {percent(row['after'])} (n = {row['n']:,})" for label, row in shown
    )
    words = f"From before to after, with 95% bootstrap intervals: {told}."
    return Picture("probabilities", "Probability of answers before and after", words, figure, data)


def _value(value: float | None) -> str:
    return "not measured" if value is None else percent(value)


def _pair(axes: Axes, place: int, row: dict[str, Any], look: Theme, *, is_first: bool) -> None:
    for which, colour, offset, marker in (("before", look.groups[0], -0.12, "o"), ("after", look.groups[1], 0.12, "s")):
        value, low, high = row[which], row[f"{which}_low"], row[f"{which}_high"]
        if value is None:
            continue
        if low is not None and high is not None:
            axes.plot([low, high], [place + offset] * 2, color=colour, linewidth=2, alpha=0.6)
        label = which if is_first else None
        axes.plot([value], [place + offset], marker, color=colour, markersize=5.5, label=label, linestyle="none")


def generations_picture(findings: UnlearningFindings, data: pa.Table, look: Theme) -> Picture | None:
    """What was to be forgotten, as the model answers it before and after."""
    rows = [
        row
        for row in data.to_pylist()
        if row["kind"] == "forget" and row["question"] and row["generated_after"] is not None
    ]
    if not rows or findings.constraint is None:
        return None
    shown = rows[:_MOST_ANSWERS]
    cells = [
        [_wrapped(row[name]) for name in ("question", "answer", "generated_before", "generated_after")] for row in shown
    ]
    heights = [max(cell.count("\n") + 1 for cell in line) for line in cells]
    total = sum(heights) + 0.8 * len(heights) + 2
    figure = blank(look, total * _LINE_INCHES + 0.1)
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(total, 0)
    for title, x in _COLUMNS:
        axes.text(x, 0.2, title, fontsize=_TEXT_POINTS + 1, color=look.ink, va="top", weight="bold")
    y = 2.0
    for line, height in zip(cells, heights, strict=True):
        axes.plot([0, 1], [y - 0.35] * 2, color=look.faint, linewidth=0.7)
        for (_, x), cell in zip(_COLUMNS, line, strict=True):
            axes.text(x, y, cell, fontsize=_TEXT_POINTS, color=look.ink, va="top", parse_math=False)
        y += height + 0.8
    more = f" {len(rows) - len(shown):,} more stand in the table." if len(rows) > len(shown) else ""
    words = (
        f"The likeliest answers, token by token, to {len(shown):,} of {len(rows):,} questions to forget, the most probable ones "
        f"after first.{more}"
    )
    return Picture("generations", "Answers before and after, side by side", words, figure, data)


def _wrapped(text: str | None) -> str:
    lines = textwrap.wrap(shortened(text or "(nothing)", 400), _CHARACTERS) or ["(nothing)"]
    return "\n".join(
        lines if len(lines) <= _MOST_LINES else [*lines[: _MOST_LINES - 1], f"{lines[_MOST_LINES - 1][:-1]}…"]
    )
