"""Pictures of two judges side by side: their scores with both distributions, and their differences."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.figure import Figure

from auditor.audits import Picture
from auditor.audits.look import THEMES, Theme, heading, named, panel_grid, style
from auditor.audits.rating.compare import AxisComparison, Comparison, PairComparison
from auditor.audits.rating.look import cloud

_BINS = np.linspace(1, 5, 17)
_DIFFERENCES = np.linspace(-4, 4, 33)


def compare_pictures(comparison: Comparison, theme: str) -> Iterator[Picture]:
    """Two pictures for each pair of runs; `theme` is "light" or "dark"."""
    look = THEMES[theme]
    for number, pair in enumerate(comparison.pairs, start=1):
        table = comparison.table.filter(
            pc.and_(pc.equal(comparison.table["a"], pair.a), pc.equal(comparison.table["b"], pair.b))
        )
        yield _scatter(pair, table, f"compare_scores_{number}", look)
        yield _differences(pair, table, f"compare_differences_{number}", look)


def _of_axis(table: pa.Table, axis: AxisComparison) -> pa.Table:
    return table.filter(pc.equal(table["axis"], axis.name))


def _scatter(pair: PairComparison, table: pa.Table, name: str, look: Theme) -> Picture:
    columns = min(3, len(pair.axes))
    rows = -(-len(pair.axes) // columns)
    figure = Figure(figsize=(7.2, 2.85 * rows), layout="constrained", facecolor=look.paper)
    cells = figure.subfigures(rows, columns, squeeze=False, facecolor=look.paper)
    for place, axis in enumerate(pair.axes):
        chosen = _of_axis(table, axis)
        first = place == 0
        _joint(cells[place // columns][place % columns], axis, chosen, look, y=_lettered("B", pair.b) if first else "B")
    figure.supxlabel(f"Expected score, {_lettered('A', pair.a)}", fontsize=8.5, color=look.ink)
    words = "; ".join(
        f"{axis.title}: A higher {axis.wins:,} times, equal {axis.ties:,}, B higher {axis.losses:,}"
        for axis in pair.axes
    )
    text = (
        f"Each point is a conversation: expected score of {pair.a} (across) and of {pair.b} (up), with the distribution of "
        f"each beside it. On the dashed line both are equal. By most probable score: {words}."
    )
    kept = table.select(["id", "axis", "expected_a", "expected_b"])
    return Picture(name, f"{pair.a} and {pair.b}: scores", text, figure, kept)


def _joint(cell: Any, axis: AxisComparison, chosen: pa.Table, look: Theme, *, y: str) -> None:
    grid = cell.add_gridspec(2, 2, width_ratios=(4, 1), height_ratios=(1, 4), wspace=0.02, hspace=0.02)
    panel = cell.add_subplot(grid[1, 0])
    across, up = cell.add_subplot(grid[0, 0], sharex=panel), cell.add_subplot(grid[1, 1], sharey=panel)
    for part in (panel, across, up):
        style(part, look)
    a, b = chosen["expected_a"].to_numpy(), chosen["expected_b"].to_numpy()
    panel.plot([1, 5], [1, 5], "--", color=look.accent, linewidth=1.1)
    cloud(panel, a, b, look)
    panel.set_xlim(0.85, 5.15)
    panel.set_ylim(0.85, 5.15)
    panel.set_xticks(range(1, 6))
    panel.set_yticks(range(1, 6))
    named(panel, look, y=y)
    across.hist(a, bins=_BINS, color=look.bar)
    up.hist(b, bins=_BINS, color=look.bar, orientation="horizontal")
    for part in (across, up):
        part.tick_params(left=False, bottom=False, labelleft=False, labelbottom=False)
    across.spines["left"].set_visible(False)
    up.spines["bottom"].set_visible(False)
    heading(across, axis.title, look)


def _differences(pair: PairComparison, table: pa.Table, name: str, look: Theme) -> Picture:
    figure, made = panel_grid(len(pair.axes), look, height=2.5)
    counted: list[tuple[str, float, int]] = []
    for panel, axis in zip(made, pair.axes, strict=True):
        difference = _of_axis(table, axis)["difference"].to_numpy()
        counts, edges = np.histogram(difference, bins=_DIFFERENCES)
        panel.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=look.bar)
        panel.axvline(0, color=look.ink, linewidth=1, linestyle=":")
        above = counts.max() * 1.1
        shown = axis.difference
        if shown.low is not None and shown.high is not None:
            panel.plot([shown.low, shown.high], [above, above], "|-", color=look.accent, linewidth=1.6, markersize=9)
        if shown.value is not None:
            panel.plot([shown.value], [above], "D", color=look.accent, markersize=3)
        panel.set_ylim(0, counts.max() * 1.2)
        reach = max(1.0, float(np.ceil(np.abs(difference).max() * 2) / 2))
        panel.set_xlim(-reach, reach)
        heading(panel, axis.title, look)
        named(panel, look, x="A less B, points")
        counted += [(axis.name, float(edge), int(count)) for edge, count in zip(edges, counts, strict=False)]
    named(made[0], look, x="A less B, points", y="Conversations")
    words = "; ".join(f"{axis.title} {_difference_words(axis)}" for axis in pair.axes)
    text = f"Expected score of {pair.a} less that of {pair.b}. Above the bars the mean with its interval: {words}."
    data = pa.table(
        {
            "axis": [axis for axis, _, _ in counted],
            "from": [edge for _, edge, _ in counted],
            "count": [count for _, _, count in counted],
        }
    )
    return Picture(name, f"{pair.a} less {pair.b}: differences", text, figure, data)


def _difference_words(axis: AxisComparison) -> str:
    shown = axis.difference
    if shown.low is None or shown.high is None:
        return f"{shown.value:+.2f}"
    return f"{shown.value:+.2f} ({shown.low:+.2f} to {shown.high:+.2f})"


def _lettered(letter: str, name: str, most: int = 30) -> str:
    """The letter with the run's name, shortened, unless that is the letter itself."""
    if name == letter:
        return letter
    return f"{letter}: {name}" if len(name) <= most else f"{letter}: {name[: most - 1]}…"
