"""Pictures of what was opened again: what every file still says, and what comes back when a copy is trained again."""

from typing import Any

import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from auditor.audits import Picture
from auditor.audits.look import Theme, legend, named, panel, panel_grid, shortened
from auditor.audits.unlearning.findings import UnlearningFindings
from auditor.audits.unlearning.words import counted, percent, span

_SETS = (("forget", "to forget", -0.12, "o"), ("retain", "to keep", 0.12, "s"))
_TITLES = {"benign": "Trained again on answers to keep", "items": "Trained again on a few to forget"}
_MODELS = {"unlearned": "unlearned", "reference": "reference, which never learnt them"}


def files_picture(findings: UnlearningFindings, data: pa.Table, look: Theme) -> Picture | None:
    """Probability of answers to forget and to keep in every file, with intervals."""
    rows = [row for row in data.to_pylist() if row["forget_probability"] is not None]
    if not rows:
        return None
    figure, axes = panel(look, 1.1 + 0.42 * len(rows))
    for place, row in enumerate(rows):
        for (name, label, offset, marker), colour in zip(_SETS, look.groups[1::-1], strict=True):
            _dot(axes, place + offset, row, name, colour, marker, label if place == 0 else None)
        _ring(axes, place + _SETS[0][2], row, look, is_first=place == 0)
    axes.set_yticks(range(len(rows)), [shortened(row["kind"], 30) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(-0.02, 1.02)
    _bound(axes, findings, look, is_across=False)
    named(axes, look, x="Probability a token, mean over answers")
    legend(figure, axes, look)
    told = "; ".join(
        f"{row['name']}: to forget {percent(row['forget_probability'])}{span(row['forget_low'], row['forget_high'])}, "
        f"{percent(row['worst_probability'])} asked {row['worst_way']}, which brings most back, {row['survivors']:,} of "
        f"{counted(row['n_asked'], 'answer', 'answers')} above the bound in some way, to keep {_kept(row)}"
        for row in rows
    )
    words = (
        f"Each file was read itself. To forget, as trained, and to keep are drawn with 95% bootstrap intervals: {told}."
    )
    return Picture("files", "What every file still says", words, figure, data)


def _dot(axes: Axes, y: float, row: dict[str, Any], name: str, colour: str, marker: str, label: str | None) -> None:
    value, low, high = row[f"{name}_probability"], row[f"{name}_low"], row[f"{name}_high"]
    if value is None:
        return
    if low is not None and high is not None:
        axes.plot([low, high], [y, y], color=colour, linewidth=2, alpha=0.6)
    axes.plot([value], [y], marker, color=colour, markersize=5.5, label=label, linestyle="none")


def _ring(axes: Axes, y: float, row: dict[str, Any], look: Theme, *, is_first: bool) -> None:
    """The way of asking that brings most back."""
    label = "to forget, in the way that brings most back" if is_first else None
    colour = look.groups[1]
    axes.plot([row["worst_probability"]], [y], "o", color=colour, markersize=8, fillstyle="none", label=label)


def _kept(row: dict[str, Any]) -> str:
    value = row["retain_probability"]
    return "not measured" if value is None else percent(value)


def _bound(axes: Axes, findings: UnlearningFindings, look: Theme, *, is_across: bool) -> None:
    draw = axes.axhline if is_across else axes.axvline
    bound = findings.most_probability
    draw(bound, color=look.ink, linewidth=0.9, linestyle=":", label=f"forgotten below {percent(bound)}")


def relearning_picture(findings: UnlearningFindings, data: pa.Table, look: Theme) -> Picture | None:
    """Probability of what is forgotten while copies are trained again, with intervals; a panel for what they are trained on."""
    rows = data.to_pylist()
    kinds = [kind for kind in _TITLES if any(row["data"] == kind for row in rows)]
    if not kinds:
        return None
    figure, panels = panel_grid(len(kinds), look, height=2.9, columns=2)
    told = []
    for kind, axes in zip(kinds, panels, strict=True):
        for place, model in enumerate(_MODELS):
            points = [row for row in rows if (row["data"], row["model"]) == (kind, model)]
            if points:
                _curve(axes, points, look, place)
                told.append(_told(kind, points))
        axes.set_title(_TITLES[kind], fontsize=9.5, color=look.ink, loc="left")
        axes.set_ylim(-0.02, 1.02)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _bound(axes, findings, look, is_across=True)
        named(axes, look, x="Step", y="Probability a token" if kind == kinds[0] else "")
    # Both panels draw the same lines, or the first lacks what the second has.
    legend(figure, max(panels, key=lambda axes: len(axes.get_legend_handles_labels()[1])), look)
    words = (
        f"Answers to forget that the copy was not trained on again, with 95% bootstrap intervals: {'; '.join(told)}."
    )
    return Picture("relearning", "What comes back when a copy is trained again", words, figure, data)


def _curve(axes: Axes, points: list[dict[str, Any]], look: Theme, place: int) -> None:
    colour, dash, marker = look.groups[1 - place], ("-", "--")[place], ("o", "s")[place]
    steps = [row["step"] for row in points]
    if all(row["low"] is not None and row["high"] is not None for row in points):
        low, high = ([row[end] for row in points] for end in ("low", "high"))
        axes.fill_between(steps, low, high, color=colour, alpha=0.18, linewidth=0)
    values = [row["forget_probability"] for row in points]
    label = list(_MODELS.values())[place]
    axes.plot(steps, values, marker=marker, markersize=4, linestyle=dash, color=colour, linewidth=1.5, label=label)


def _told(kind: str, points: list[dict[str, Any]]) -> str:
    first, last = points[0], points[-1]
    highest = max(points, key=lambda row: row["forget_probability"])
    most = (
        "" if highest is last else f", {percent(highest['forget_probability'])} at most, after step {highest['step']:,}"
    )
    return (
        f"{points[0]['model']} model, {_TITLES[kind].lower()}: {percent(first['forget_probability'])} at step 0, "
        f"{percent(last['forget_probability'])} after {counted(last['step'], 'step', 'steps')}{most} (n = {last['n']:,})"
    )
