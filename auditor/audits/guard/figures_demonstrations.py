"""Pictures of the demonstrations: which of them hurt, and how far the answer looks at their labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from auditor.audits import Picture
from auditor.audits.guard.conditions import CORRECT
from auditor.audits.guard.findings import GuardFindings
from auditor.audits.guard.words import condition_words, percent
from auditor.audits.look import DASHES, MARKS, Theme, blank, heading, legend, named, panel, rising, shortened, style

#: Bars that are drawn: the worst ones and a few of the best (ours).
_WORST, _BEST = 18, 6
#: Maps side by side.
_MOST_MAPS = 3


def influence_picture(findings: GuardFindings, data: pa.Table, look: Theme) -> Picture:
    """What each demonstration does to the right label, worst first."""
    rows = sorted(data.to_pylist(), key=lambda row: row["influence"])
    many = len(rows) > _WORST + _BEST
    shown = [*rows[:_WORST], *rows[-_BEST:]] if many else rows
    gap = _WORST if many else len(shown)
    places = [place + (0.8 if place >= gap else 0) for place in range(len(shown))]
    figure, axes = panel(look, 0.95 + 0.215 * (places[-1] + 1))
    for place, row in zip(places, shown, strict=True):
        colour = look.accent if row["corrupted"] else look.bar
        hatch = "////" if row["corrupted"] else ""
        axes.barh([place], [row["influence"]], 0.74, color=colour, hatch=hatch, edgecolor=look.paper, linewidth=0)
        if row["low"] is not None and row["high"] is not None:
            axes.plot([row["low"], row["high"]], [place, place], color=look.ink, linewidth=1)
    axes.axvline(0, color=look.ink, linewidth=0.8)
    axes.set_yticks(places, [_label(row) for row in shown])
    axes.tick_params(axis="y", length=0, labelsize=7.5)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(places[-1] + 0.6, -0.6)
    axes.margins(x=0.04)
    if many:
        axes.text(0, gap - 0.1, f"  {len(rows) - len(shown):,} more between", va="center", fontsize=7.5, color=look.ink)
    named(axes, look, x="Change of log p(right label), nats")
    return Picture("influence", "Which demonstrations hurt", _influence_words(findings, rows, shown), figure, data)


def _label(row: dict[str, Any]) -> str:
    mark = " (corrupted)" if row["corrupted"] else ""
    return f"{shortened(row['text'], 44)} → {shortened(row['word'], 14)}{mark}"


def _influence_words(findings: GuardFindings, rows: Sequence[dict[str, Any]], shown: Sequence[dict[str, Any]]) -> str:
    worst, n = rows[0], max(row["n"] for row in rows)
    clear = sum(row["high"] is not None and row["high"] < 0 for row in rows)
    bounds = "" if worst["low"] is None else f" ({_nats(worst['low'])} to {_nats(worst['high'])})"
    of = f"All {len(rows):,} demonstrations" if len(rows) > 1 else "The only demonstration"
    if len(shown) < len(rows):
        of = f"The {len(shown):,} of {len(rows):,} demonstrations that hurt or help most"
    worst_words = f"“{shortened(worst['text'], 60)}”, shown as {shortened(worst['word'], 20)}"
    hurting = f"{clear:,} hurt clearly, their intervals" if clear != 1 else "1 hurts clearly, its interval"
    return (
        f"{of}: mean change of the right label's log-probability when the demonstration stands in the prompt "
        f"instead of being left out, over up to {n:,} queries, with {percent(findings.confidence)} intervals by a bootstrap "
        f"over queries. Hatched: corrupted. {hurting} lying below 0. Worst: {worst_words}, "
        f"{_nats(worst['influence'])} nats{bounds}."
    )


def _nats(value: float) -> str:
    return f"{round(value, 3) + 0.0:+.3f}".replace("-", "−")


def attention_picture(findings: GuardFindings, data: pa.Table, look: Theme) -> Picture | None:
    """Attention from the answer position to demonstration labels: a map of layers and heads, and a profile by layer."""
    maps = _maps(data, (CORRECT, findings.certificate.primary))
    if not maps:
        return None
    shown = dict(list(maps.items())[:_MOST_MAPS])
    figure = blank(look, 4.9)
    grid = figure.add_gridspec(2, len(shown), height_ratios=[2.1, 1])
    most = max(float(np.nanmax(values)) for values in shown.values()) or 1.0
    above = [figure.add_subplot(grid[0, place]) for place in range(len(shown))]
    for axes, (key, values) in zip(above, shown.items(), strict=True):
        _map(axes, values, most, look)
        heading(axes, _map_title(key), look, 30)
        named(axes, look, x="Head")
    named(above[0], look, x="Head", y="Layer")
    colours = figure.colorbar(above[-1].collections[0], ax=above, shrink=0.9, aspect=28, pad=0.015)
    colours.ax.tick_params(colors=look.ink, labelsize=8, length=2)
    colours.ax.set_ylabel("Share of attention", fontsize=8.5, color=look.ink)
    colours.outline.set_visible(False)
    profile = figure.add_subplot(grid[1, :])
    style(profile, look)
    for place, (key, values) in enumerate(shown.items()):
        mean = np.nanmean(values, axis=1)
        profile.plot(
            np.arange(1, len(mean) + 1),
            100 * mean,
            color=look.groups[place],
            linestyle=DASHES[place],
            marker=MARKS[place],
            markersize=3,
            linewidth=1.5,
            label=_map_title(key),
        )
    profile.set_ylim(bottom=0)
    named(profile, look, x="Layer", y="Mean of heads, %")
    legend(figure, profile, look)
    return Picture("attention", "Attention to the labels of demonstrations", _words(findings, shown), figure, data)


Key = tuple[str, str]


def _maps(data: pa.Table, conditions: Sequence[str]) -> dict[Key, NDArray[np.float64]]:
    """Mass by (condition, span): shape (layers, heads), nan where the table has none."""
    rows = data.to_pylist()
    layers, heads = max(row["layer"] for row in rows), max(row["head"] for row in rows)
    made: dict[Key, NDArray[np.float64]] = {}
    for condition in dict.fromkeys(conditions):
        for row in rows:
            if row["condition"] == condition and row["span"] in ("correct", "corrupted") and row["mass"] is not None:
                values = made.setdefault((condition, row["span"]), np.full((layers, heads), np.nan))
                values[row["layer"] - 1, row["head"] - 1] = row["mass"]
    return made


def _map(axes: Axes, values: NDArray[np.float64], most: float, look: Theme) -> None:
    style(axes, look)
    layers, heads = values.shape
    x, y = np.arange(0.5, heads + 1), np.arange(0.5, layers + 1)
    axes.pcolormesh(x, y, values, cmap=rising(look), vmin=0, vmax=most, linewidth=0)
    axes.set_xlim(0.5, heads + 0.5)
    axes.set_ylim(0.5, layers + 0.5)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6, integer=True))


def _map_title(key: Key) -> str:
    condition, span = key
    if condition == CORRECT:
        return "Correct demonstrations"
    return "Corrupted demonstrations" if span == "corrupted" else "Sound ones beside corrupted"


def _words(findings: GuardFindings, maps: dict[Key, NDArray[np.float64]]) -> str:
    told = []
    for key, values in maps.items():
        layer, head = np.unravel_index(int(np.nanargmax(values)), values.shape)
        told.append(
            f"{_map_title(key)}: mean {percent(float(np.nanmean(values)))}, most "
            f"{percent(float(np.nanmax(values)))} at layer {layer + 1}, head {head + 1}"
        )
    return (
        f"Share of the attention of the answer position that falls on the label words of demonstrations, mean over "
        f"{findings.n_attention:,} queries, by layer and head, and below as mean over heads; corrupted: "
        f"{condition_words(findings.certificate.primary)}. {'; '.join(told)}. Heads of late "
        "layers that look at wrong labels are a possible cause of the fall in accuracy (arXiv:2307.09476); attention alone "
        "proves no cause."
    )
