"""Pictures of a rating run; the same for screen, report and export."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from auditor.audits import Picture
from auditor.audits.look import THEMES, Theme, panel_grid, style
from auditor.audits.rating.certificate import percent
from auditor.audits.rating.figures_agreement import certificate_picture, correlation_picture, pictures_of
from auditor.audits.rating.findings import AxisSummary, RatingFindings

#: More points than this are counted in cells instead of being drawn one by one.
_MAX_POINTS = 2000
_MAX_ENTROPY = float(np.log(5))


def pictures(findings: RatingFindings, tables: Mapping[str, Path], theme: str) -> Iterator[Picture]:
    """Distribution of scores, means with intervals, how unsure the judge was, how the axes go together, and people."""
    look = THEMES[theme]
    yield _distributions(findings, look)
    yield _means(findings, look)
    yield _uncertainty(findings, tables["ratings"], look)
    titles = {axis.name: axis.title for axis in findings.axes}
    if correlation := correlation_picture(tables["ratings"], titles, theme):
        yield correlation
    if "labels" in tables:
        yield from pictures_of(findings.agreement, pq.read_table(tables["labels"]), theme)
    if calibration := certificate_picture(findings.certificates, theme):
        yield calibration


def _distributions(findings: RatingFindings, look: Theme) -> Picture:
    figure, panels = panel_grid(len(findings.axes), look, height=2.6)
    scores = np.arange(1, 6)
    for panel, axis in zip(panels, findings.axes, strict=True):
        shares = np.array(axis.modes) / axis.n
        panel.bar(scores, shares, width=0.72, color=look.bar, label="share of conversations, most probable score")
        panel.plot(scores, axis.p, "o", color=look.accent, markersize=5, label="mean probability")
        for score, count in zip(scores, axis.modes, strict=True):
            panel.annotate(
                f"{count:,}",
                (score, max(shares[score - 1], axis.p[score - 1])),
                (0, 6),
                textcoords="offset points",
                ha="center",
                fontsize=7.5,
                color=look.ink,
            )
        panel.set_title(axis.title, fontsize=10, color=look.ink, loc="left")
        panel.set_xticks(scores)
        panel.set_ylim(0, 1.12)
        panel.set_yticks([0, 0.5, 1], ["0%", "50%", "100%"])
        panel.set_xlabel("Score", fontsize=8.5, color=look.ink)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=8, labelcolor=look.ink)
    described = "; ".join(
        f"{axis.title}: " + ", ".join(f"{count} times {score}" for score, count in enumerate(axis.modes, start=1))
        for axis in findings.axes
    )
    data = pa.table(
        {
            "axis": [axis.name for axis in findings.axes for _ in scores],
            "score": [int(score) for _ in findings.axes for score in scores],
            "count": [count for axis in findings.axes for count in axis.modes],
            "mean_p": [share for axis in findings.axes for share in axis.p],
        }
    )
    return Picture(
        "distributions", "How often each score was given", f"Most probable scores. {described}.", figure, data
    )


def _means(findings: RatingFindings, look: Theme) -> Picture:
    figure = Figure(figsize=(7.2, 0.9 + 0.42 * len(findings.axes)), layout="constrained", facecolor=look.paper)
    panel = figure.add_subplot()
    style(panel, look)
    for place, axis in enumerate(findings.axes):
        if axis.low is not None and axis.high is not None:
            panel.plot([axis.low, axis.high], [place, place], color=look.bar, linewidth=3, solid_capstyle="butt")
        panel.plot([axis.mean], [place], "D", color=look.accent, markersize=6)
        panel.annotate(
            _mean_words(axis), (5.05, place), va="center", fontsize=8.5, color=look.ink, annotation_clip=False
        )
    panel.set_yticks(range(len(findings.axes)), [axis.title for axis in findings.axes])
    panel.invert_yaxis()
    panel.set_ylim(len(findings.axes) - 0.4, -0.6)
    panel.set_xlim(1, 5)
    panel.set_xticks(range(1, 6))
    panel.grid(axis="x", color=look.faint, linewidth=0.6)
    panel.set_xlabel("Mean expected score", fontsize=8.5, color=look.ink)
    described = "; ".join(f"{axis.title} {_mean_words(axis)}" for axis in findings.axes)
    data = pa.table(
        {
            "axis": [axis.name for axis in findings.axes],
            "mean": [axis.mean for axis in findings.axes],
            "low": pa.array([axis.low for axis in findings.axes], pa.float64()),
            "high": pa.array([axis.high for axis in findings.axes], pa.float64()),
            "n": [axis.n for axis in findings.axes],
            "groups": [axis.groups for axis in findings.axes],
        }
    )
    title = f"Mean scores with {percent(findings.confidence)} intervals"
    return Picture("means", title, f"Mean expected score by axis: {described}.", figure, data)


def _mean_words(axis: AxisSummary) -> str:
    if axis.low is None or axis.high is None:
        return f"{axis.mean:.2f}"
    return f"{axis.mean:.2f} ({axis.low:.2f} to {axis.high:.2f})"


def _uncertainty(findings: RatingFindings, ratings: Path, look: Theme) -> Picture:
    table = pq.read_table(ratings, columns=["row", "axis", "expected", "entropy"])
    names = np.array(table["axis"].to_pylist())
    expected, entropy = table["expected"].to_numpy(), table["entropy"].to_numpy()
    figure, panels = panel_grid(len(findings.axes), look, height=2.4)
    for panel, axis in zip(panels, findings.axes, strict=True):
        chosen = names == axis.name
        _cloud(panel, expected[chosen], entropy[chosen], look)
        panel.set_title(axis.title, fontsize=10, color=look.ink, loc="left")
        panel.set_xlim(0.9, 5.1)
        panel.set_xticks(range(1, 6))
        panel.set_ylim(0, _MAX_ENTROPY * 1.06)
        panel.axhline(_MAX_ENTROPY, color=look.accent, linewidth=1, linestyle="--")
        panel.set_xlabel("Expected score", fontsize=8.5, color=look.ink)
    panels[0].set_ylabel("Entropy, nats", fontsize=8.5, color=look.ink)
    described = "; ".join(f"{axis.title} {axis.entropy:.2f} nats" for axis in findings.axes)
    description = (
        f"Each point is a conversation: expected score against entropy. Mean entropy: {described}. "
        f"The dashed line at {_MAX_ENTROPY:.2f} nats is a judge that finds all five scores equally probable."
    )
    return Picture("uncertainty", "How unsure the judge was", description, figure, table)


def _cloud(panel: Axes, x: Any, y: Any, look: Theme) -> None:
    if len(x) <= _MAX_POINTS:
        panel.plot(x, y, "o", color=look.bar, markersize=3.2, alpha=0.55, markeredgewidth=0)
        return
    counts, x_edges, y_edges = np.histogram2d(x, y, bins=[40, 20], range=[[1, 5], [0, _MAX_ENTROPY]])
    filled = np.argwhere(counts > 0)
    size = np.sqrt(counts[counts > 0] / counts.max()) * 36
    centres = (x_edges[filled[:, 0]] + 0.05, y_edges[filled[:, 1]] + _MAX_ENTROPY / 40)
    panel.scatter(*centres, s=size + 1, marker="s", color=look.bar, linewidths=0)
