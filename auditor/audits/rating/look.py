"""How every figure of the rating audit looks: two themes, panels and axes drawn the same way."""

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

#: More points than this are counted in cells instead of being drawn one by one.
MAX_POINTS = 2000
_CELLS = 40


@dataclass(frozen=True)
class Theme:
    """Colours of a figure, as #rrggbb."""

    paper: str
    ink: str
    faint: str
    bar: str
    accent: str


# Blue and orange of Okabe and Ito (2008): told apart with every common colour vision.
THEMES = {
    "light": Theme(paper="#ffffff", ink="#1f2933", faint="#d5dbe1", bar="#0072b2", accent="#d55e00"),
    "dark": Theme(paper="#1e2227", ink="#e6e9ec", faint="#454c54", bar="#56b4e9", accent="#e69f00"),
}


def panel_grid(count: int, look: Theme, *, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels, up to three side by side, each row `height` inches high."""
    columns = min(3, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(7.2, height * rows), layout="constrained", facecolor=look.paper)
    made = [figure.add_subplot(rows, columns, place + 1) for place in range(count)]
    for panel in made:
        style(panel, look)
    return figure, made


def style(panel: Axes, look: Theme) -> None:
    """Paper, ink and two thin spines."""
    panel.set_facecolor(look.paper)
    panel.tick_params(colors=look.ink, labelsize=8.5, length=3)
    for name, spine in panel.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color(look.faint)


def heading(panel: Axes, title: str, look: Theme) -> None:
    """The title of a panel; a long one is shortened."""
    panel.set_title(textwrap.shorten(title, 30, placeholder=" …"), fontsize=10, color=look.ink, loc="left")


def named(panel: Axes, look: Theme, *, x: str = "", y: str = "") -> None:
    """Names of the axes."""
    panel.set_xlabel(x, fontsize=8.5, color=look.ink)
    panel.set_ylabel(y, fontsize=8.5, color=look.ink)


def legend(figure: Figure, panel: Axes, look: Theme, columns: int) -> None:
    """One legend below all panels."""
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=8, labelcolor=look.ink
    )


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


def rising(look: Theme) -> LinearSegmentedColormap:
    """Colours for counts: from the paper to the bar colour."""
    return LinearSegmentedColormap.from_list("rising", [look.paper, look.bar])


def diverging(look: Theme) -> LinearSegmentedColormap:
    """Colours for -1 to 1: accent, paper, bar colour."""
    return LinearSegmentedColormap.from_list("diverging", [look.accent, look.paper, look.bar])


def ink_on(look: Theme, colour: tuple[float, float, float, float]) -> str:
    """Whichever of ink and paper reads better on a colour (by relative luminance, WCAG 2)."""
    return max((look.ink, look.paper), key=lambda text: _contrast(_luminance(_rgb(text)), _luminance(colour)))


def _rgb(text: str) -> tuple[float, ...]:
    return tuple(int(text[place : place + 2], 16) / 255 for place in (1, 3, 5))


def _luminance(colour: tuple[float, ...]) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)
