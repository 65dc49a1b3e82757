"""How the figures of the audits look: two themes, panels and axes drawn the same way."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font

#: Inches; the width of a column of the report.
WIDTH = 7.2
#: Groups are told apart by colour and by mark, so that colour never carries the meaning alone.
MARKS = ("o", "s", "^", "D", "v", "P")
#: Stands in a picture for a character that its font does not have.
_NO_GLYPH = "□"
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (3, 1)))


@dataclass(frozen=True)
class Theme:
    """Colours of a figure, as #rrggbb.

    Attributes
    ----------
    paper, ink, faint : str
        Ground, text, and lines that guide the eye.
    bar, accent : str
        What is shown, and what it is compared with.
    quiet : str
        Large areas behind the message.
    groups : tuple of str
        One for each of at most six groups.
    """

    paper: str
    ink: str
    faint: str
    bar: str
    accent: str
    quiet: str
    groups: tuple[str, ...]


# Colours of Okabe and Ito (2008), told apart with every common colour vision; their yellow is too faint on white.
THEMES = {
    "light": Theme(
        paper="#ffffff",
        ink="#1f2933",
        faint="#d5dbe1",
        bar="#0072b2",
        accent="#d55e00",
        quiet="#c9d3de",
        groups=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"),
    ),
    "dark": Theme(
        paper="#1e2227",
        ink="#e6e9ec",
        faint="#454c54",
        bar="#56b4e9",
        accent="#e69f00",
        quiet="#4a5561",
        groups=("#56b4e9", "#e69f00", "#2fbf93", "#e59bc4", "#f0e442", "#8aa4ff"),
    ),
}


def blank(look: Theme, height: float) -> Figure:
    """An empty figure of the report's width."""
    return Figure(figsize=(WIDTH, height), layout="constrained", facecolor=look.paper)


def panel(look: Theme, height: float) -> tuple[Figure, Axes]:
    """A figure of one panel."""
    figure = blank(look, height)
    made = figure.add_subplot()
    style(made, look)
    return figure, made


def panel_grid(count: int, look: Theme, *, height: float, columns: int = 3) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels, a few side by side, each row `height` inches high."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = blank(look, height * rows)
    made = [figure.add_subplot(rows, columns, place + 1) for place in range(count)]
    for one in made:
        style(one, look)
    return figure, made


def style(axes: Axes, look: Theme) -> None:
    """Paper, ink and two thin spines."""
    axes.set_facecolor(look.paper)
    axes.tick_params(colors=look.ink, labelsize=8.5, length=3)
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color(look.faint)


def heading(axes: Axes, title: str, look: Theme, most: int = 34) -> None:
    """The title of a panel; a long one is shortened."""
    axes.set_title(shortened(title, most), fontsize=10, color=look.ink, loc="left")


def named(axes: Axes, look: Theme, *, x: str = "", y: str = "") -> None:
    """Names of the axes."""
    axes.set_xlabel(x, fontsize=8.5, color=look.ink)
    axes.set_ylabel(y, fontsize=8.5, color=look.ink)


def legend(figure: Figure, axes: Axes, look: Theme, columns: int = 3) -> None:
    """One legend below all panels."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=8, labelcolor=look.ink
    )


def shortened(text: str, most: int) -> str:
    """A text of at most so many characters that can be drawn; what stands in files is never more than text."""
    known = _drawn()
    plain = "".join((c if ord(c) in known else _NO_GLYPH) if c.isprintable() else " " for c in text)
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


@cache
def _drawn() -> frozenset[int]:
    """Characters that the font of pictures has."""
    return frozenset(FT2Font(font_manager.findfont("DejaVu Sans")).get_charmap())


def diverging(look: Theme) -> LinearSegmentedColormap:
    """Colours for -1 to 1: accent, paper, bar colour."""
    return LinearSegmentedColormap.from_list("diverging", [look.accent, look.paper, look.bar])


def rising(look: Theme) -> LinearSegmentedColormap:
    """Colours for 0 to 1: from the paper to the bar colour."""
    return LinearSegmentedColormap.from_list("rising", [look.paper, look.bar])


def ink_on(look: Theme, colour: Sequence[float]) -> str:
    """Whichever of ink and paper reads better on a colour (by relative luminance, WCAG 2)."""
    return max((look.ink, look.paper), key=lambda text: _contrast(_luminance(rgb(text)), _luminance(colour)))


def rgb(text: str) -> tuple[float, float, float]:
    """Red, green and blue of "#rrggbb", from 0 to 1."""
    red, green, blue = (int(text[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return red, green, blue


def _luminance(colour: Sequence[float]) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)
