"""What figures of the rating audit draw beside what all audits draw: clouds of points and shaded matrices."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from auditor.audits.look import Theme

#: More points than this are counted in cells instead of being drawn one by one.
MAX_POINTS = 2000
_CELLS = 40


def cloud(panel: Axes, x: Any, y: Any, look: Theme) -> None:
    """Points; more than 2,000 are counted in cells, the area of a mark growing with the count."""
    if len(x) <= MAX_POINTS:
        panel.plot(x, y, "o", color=look.bar, markersize=3.2, alpha=0.55, markeredgewidth=0)
        return
    counts, x_edges, y_edges = np.histogram2d(x, y, bins=_CELLS)
    filled = np.argwhere(counts > 0)
    centres = (
        (x_edges[filled[:, 0]] + x_edges[filled[:, 0] + 1]) / 2,
        (y_edges[filled[:, 1]] + y_edges[filled[:, 1] + 1]) / 2,
    )
    size = counts[counts > 0] / counts.max() * 36
    panel.scatter(*centres, s=size + 1, marker="s", color=look.bar, linewidths=0)


def shaded(panel: Axes, values: Any, colours: LinearSegmentedColormap, low: float, high: float) -> None:
    """Squares of a matrix, shape (rows, columns), as shapes and not as pixels; the first row stands on top."""
    rows, columns = values.shape
    panel.pcolormesh(range(columns), range(rows), values, cmap=colours, vmin=low, vmax=high, shading="nearest")
    panel.set_aspect("equal")
    panel.invert_yaxis()
