"""Pictures of the results themselves: tones by query group, the profile over ranks, queries by their deviation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from auditor.audits import Picture
from auditor.audits.look import (
    DASHES,
    MARKS,
    Theme,
    blank,
    heading,
    legend,
    named,
    panel,
    panel_grid,
    rgb,
    shortened,
    style,
)
from auditor.audits.parity.colour import swatch_of_ita
from auditor.audits.parity.data import ITA_CLASSES, ITA_CUTOFFS
from auditor.audits.parity.findings import ParityFindings
from auditor.audits.parity.verdict import number

#: Queries in the dot plot (the furthest ones), groups drawn as curves, levels with a panel of their own.
MOST_QUERIES = 60
_MOST_RIDGES, _MOST_LEVELS = 10, 6
_GRID = 512
#: Half-way points of the classes, where their names are printed.
_CLASS_MIDDLES = (-45.0, -10.0, 19.0, 34.5, 48.0, 62.0)


def tones_picture(findings: ParityFindings, tones: Path, queries: Path, look: Theme) -> Picture | None:
    """Distribution of ITA in the results of each query group above an axis in skin colours; None without tones.

    Curves are those of the table of tones, which is a sample where there are many; means and the target come from the table
    of queries, and so agree with the effects.
    """
    data = pq.read_table(tones)
    if not data.num_rows:
        return None
    of_queries = pq.read_table(queries, columns=["group", "n_known", "value"])
    query_group = np.array(of_queries["group"].to_pylist(), dtype=object)
    query_value = of_queries["value"].to_numpy()
    n_known = int(of_queries["n_known"].to_numpy().sum())
    value, weight = data["value"].to_numpy(), data["weight"].to_numpy()
    group = np.array(data["group"].to_pylist(), dtype=object)
    names = [name for name in findings.group_names if (group == name).any()]
    shown = names[:_MOST_RIDGES]
    low = min(-40.0, float(np.floor(np.quantile(value, 0.002) / 10) * 10))
    high = max(65.0, float(np.ceil(np.quantile(value, 0.998) / 10) * 10))
    grid = np.linspace(low, high, _GRID)
    curves = {name: _density(value[group == name], weight[group == name], grid) for name in shown}
    tallest = max(curve.max() for curve in curves.values()) or 1.0
    figure = blank(look, 1.05 + 0.78 * len(shown))
    upper, strip = figure.subplots(2, 1, sharex=True, height_ratios=[0.78 * len(shown), 0.26], squeeze=True)
    for axes in (upper, strip):
        style(axes, look)
    means = []
    for place, name in enumerate(shown):
        base = len(shown) - 1 - place
        curve = base + 0.92 * curves[name] / tallest
        upper.fill_between(grid, base, curve, color=look.bar, alpha=0.6, linewidth=0)
        upper.plot(grid, curve, color=look.bar, linewidth=1)
        upper.plot([low, high], [base, base], color=look.faint, linewidth=0.8)
        mean = float(np.average(value[group == name], weights=weight[group == name]))
        if unit_of_queries(findings) == "degrees":  # of all results, not of a sample
            mean = float(query_value[query_group == name].mean())
        means.append((name, mean))
        upper.plot([mean, mean], [base, base + 0.92 * np.interp(mean, grid, curves[name]) / tallest], color=look.ink,
                   linewidth=1.6)  # fmt: skip
        upper.text(high, base + 0.12, f"mean {number(mean, 'degrees')}°", ha="right", fontsize=8, color=look.ink)
    target = _target(findings, float(query_value.mean()))
    if target is not None:
        upper.axvline(target, color=look.accent, linewidth=1.2, linestyle="--")
    for cut in ITA_CUTOFFS:
        upper.axvline(cut, color=look.faint, linewidth=0.7, linestyle=":")
    upper.set_yticks([len(shown) - 1 - place + 0.3 for place in range(len(shown))], [shortened(n, 20) for n in shown])
    upper.tick_params(axis="both", length=0, labelbottom=False)
    upper.set_ylim(-0.04, len(shown))
    upper.set_xlim(low, high)
    for spine in upper.spines.values():
        spine.set_visible(False)
    _swatches(strip, low, high, look)
    told = "; ".join(f"{name} {number(mean, 'degrees')}" for name, mean in means)
    aimed = "" if target is None else f" Dashed: the target, {number(target, 'degrees')} degrees."
    more = f" {len(names) - len(shown):,} more groups stand in the table." if len(names) > len(shown) else ""
    if data.num_rows < n_known:
        drawn = f"those of {data.num_rows:,} results drawn from {n_known:,}"
        of_all = unit_of_queries(findings) == "degrees"
        more = f" {f'Curves are {drawn}, means those of all' if of_all else f'Curves and means are {drawn}'}.{more}"
    words = (
        "Distribution of the individual typology angle of the results, by group of the query; every query weighs the same. "
        f"Lighter skin stands to the right; the axis shows a skin colour of each angle. Mean degrees: {told}.{aimed}{more}"
    )
    return Picture("tones", "Tones of the results by query group", words, figure, data)


def _density(value: NDArray[np.float64], weight: NDArray[np.float64], grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussian kernel density at evenly spaced points, bandwidth by Silverman's rule of thumb (1986, equation 3.31)."""
    share = weight / weight.sum()
    mean = float(share @ value)
    n = 1 / float(np.square(share).sum())
    deviation = float(np.sqrt(share @ np.square(value - mean)))
    quartiles = np.quantile(value, [0.25, 0.75])
    spread = min(deviation, float(quartiles[1] - quartiles[0]) / 1.349) or deviation
    width = max(0.9 * spread * n**-0.2, 1.0)
    step = grid[1] - grid[0]
    counts, _ = np.histogram(value, bins=_GRID, range=(grid[0] - step / 2, grid[-1] + step / 2), weights=share)
    distance = np.arange(-_GRID, _GRID + 1) * step
    kernel = np.exp(-0.5 * np.square(distance / width)) / (width * np.sqrt(2 * np.pi))
    density: NDArray[np.float64] = np.convolve(counts, kernel)[_GRID : 2 * _GRID]
    return density


def _swatches(strip: Axes, low: float, high: float, look: Theme) -> None:
    edges = np.linspace(low, high, 106)
    colours = np.array([[rgb(swatch_of_ita(float(middle))) for middle in (edges[:-1] + edges[1:]) / 2]])
    strip.pcolormesh(edges, [0, 1], colours, linewidth=0, rasterized=False)
    strip.set_yticks([])
    strip.set_ylim(0, 1)
    for spine in strip.spines.values():
        spine.set_visible(False)
    inner = [cut for cut in ITA_CUTOFFS if low < cut < high]
    for cut in inner:
        strip.axvline(cut, color=look.paper, linewidth=1.2)
    strip.set_xticks(inner, [f"{cut:g}".replace("-", "−") for cut in inner])
    for name, middle in zip(ITA_CLASSES, _CLASS_MIDDLES, strict=True):
        if low < middle < high:
            colour = "#ffffff" if middle < 25 else "#1f2933"  # read on the swatch, whatever the theme
            # The longest name has the narrowest class.
            words, size = ("inter-\nmediate", 5.2) if name == "intermediate" else (name, 6.5)
            strip.text(middle, 0.5, words, ha="center", va="center", fontsize=size, color=colour, linespacing=0.9)
    named(strip, look, x="ITA of the results, degrees (lighter to the right)")


def _target(findings: ParityFindings, mean: float) -> float | None:
    """Target in degrees, from the mean of the results and their deviation; None where groups are compared."""
    first = findings.primary_effect
    return mean - first.value if first.b == "target" and first.unit == "degrees" else None


def profile_picture(findings: ParityFindings, profile: Path, queries: Path, look: Theme) -> Picture | None:
    """Mean degrees, or the share of each level, at every rank of the table; None where all results stand at one rank."""
    data = pq.read_table(profile)
    if len(pc.unique(data["rank"])) < 2:
        return None
    names = [name for name in findings.group_names if name in set(data["group"].to_pylist())][: len(look.groups)]
    degrees = findings.scale.kind == "ita"
    levels = [None] if degrees else _levels(data)
    columns = 1 if len(levels) == 1 else 2 if len(levels) == 4 else 3
    figure, made = panel_grid(len(levels), look, height=2.9 if columns == 1 else 2.1, columns=columns)
    rows = data.to_pylist()
    for axes, level in zip(made, levels, strict=True):
        for place, name in enumerate(names):
            chosen = [row for row in rows if row["group"] == name and row["level"] == level]
            _line(axes, chosen, "value" if degrees else "share", place, name, look)
        axes.grid(axis="y", color=look.faint, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.margins(x=0.02)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if level is not None:
            heading(axes, level, look, 26)
            axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f}%")
            axes.set_ylim(bottom=0)
        named(axes, look, x="Rank")
    named(made[0], look, x="Rank", y="Mean ITA, degrees" if degrees else "Share of results")
    if len(names) > 1:
        legend(figure, made[0], look, min(len(names), 4))
    more = len(findings.group_names) - len(names)
    last = max(row["rank"] for row in rows)
    drawn = sum(row["n"] for row in rows if row["level"] == rows[0]["level"])
    below = int(pq.read_table(queries, columns=["n_known"])["n_known"].to_numpy().sum()) - drawn
    words = (
        f"{'Mean degrees' if degrees else 'Share of each level'} at every rank{f' up to {last:,}' if below > 0 else ''}, by "
        f"group of the query, with {100 * findings.confidence:g}% intervals (each rank by itself)."
        + (f" {below:,} results further down count in the test and are not drawn." if below > 0 else "")
        + (f" {more:,} more groups stand in the table." if more > 0 else "")
        + ("" if degrees else _which_levels(len(levels), len(findings.scale.levels)))
    )
    return Picture("rank_profile", "Results by rank", words, figure, data)


def _which_levels(shown: int, of: int) -> str:
    if shown == of:
        return ""
    return " The other level is what remains." if of == 2 else " The levels that vary least stand in the table."


def _levels(data: pa.Table) -> list[str | None]:
    """Levels whose share differs most between groups and ranks; of two the first."""
    spread: dict[str, list[float]] = {}
    for row in data.select(["level", "share"]).to_pylist():
        spread.setdefault(row["level"], []).append(row["share"])
    if len(spread) == 2:
        return [next(iter(spread))]
    furthest = sorted(spread, key=lambda level: -float(np.ptp(spread[level])))[:_MOST_LEVELS]
    return [level for level in spread if level in furthest]


def _line(axes: Axes, rows: list[dict[str, Any]], what: str, place: int, name: str, look: Theme) -> None:
    rows = sorted(rows, key=lambda row: row["rank"])
    ranks = [row["rank"] for row in rows]
    colour = look.groups[place]
    bounds = [(row["rank"], row["low"], row["high"]) for row in rows if row["low"] is not None]
    if bounds:
        x, low, high = zip(*bounds, strict=True)
        axes.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0)
    axes.plot(ranks, [row[what] for row in rows], color=colour, linewidth=1.3, linestyle=DASHES[place],
              marker=MARKS[place] if len(ranks) <= 30 else None, markersize=3, label=shortened(name, 28))  # fmt: skip


def queries_picture(findings: ParityFindings, queries: Path, look: Theme) -> Picture:
    """Queries sorted by their deviation; of many the 60 that are furthest off."""
    table = pq.read_table(queries, columns=["query_id", "group", "n_known", "value", "deviation", "place"])
    chosen = table.filter(pc.less_equal(table["place"], MOST_QUERIES)).sort_by([("deviation", "descending")])
    rows = chosen.to_pylist()
    figure, axes = panel(look, 0.9 + 0.135 * max(len(rows), 4))
    scale = 100 if findings.scale.kind == "nominal" else 1
    names = list(findings.group_names)
    for name, place in _places(names).items():
        drawn = [(row["deviation"] * scale, y) for y, row in enumerate(rows) if _key(row["group"], names) == name]
        if not drawn:
            continue
        x, y = zip(*drawn, strict=True)
        axes.hlines(y, 0, x, color=look.groups[place], linewidth=0.9, alpha=0.55)
        axes.plot(x, y, MARKS[place], color=look.groups[place], markersize=4.2, linewidth=0, label=shortened(name, 28))
    axes.axvline(0, color=look.ink, linewidth=0.9)
    axes.set_yticks(range(len(rows)), [shortened(row["query_id"], 34) for row in rows])
    axes.tick_params(axis="y", labelsize=6.5, length=0)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(axis="x", color=look.faint, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    against = "the query's target" if findings.primary_effect.b == "target" else "the mean of all queries"
    named(axes, look, x=f"Deviation from {against}, {_unit(findings)}")
    if len(names) > 1:
        legend(figure, axes, look, 4)
    n = table.num_rows
    which = f"The {len(rows)} of {n:,} queries that are furthest off" if n > len(rows) else f"All {n:,} queries"
    told = ""
    if rows:
        top, bottom = rows[0], rows[-1]
        told = (
            f" Highest: {top['query_id']} ({_deviation(top, findings)} {_unit(findings)}); "
            f"lowest: {bottom['query_id']} ({_deviation(bottom, findings)} {_unit(findings)})."
        )
    words = f"{which}, sorted by their deviation from {against}.{told}"
    return Picture("queries", "Queries by deviation", words, figure, chosen)


def _places(names: list[str]) -> Mapping[str, int]:
    """Colour and mark of each group; beyond six the others share the last one."""
    return {name: place for place, name in enumerate(names[:5])} | (
        {names[5]: 5} if len(names) == 6 else {"others": 5} if len(names) > 6 else {}
    )


def _key(name: str, names: list[str]) -> str:
    return name if len(names) <= 6 or name in names[:5] else "others"


def _unit(findings: ParityFindings) -> str:
    unit = unit_of_queries(findings)
    if unit != "share":
        return {"degrees": "degrees ITA"}.get(unit, unit)
    level = findings.primary_effect.level or findings.scale.levels[0]
    return f"percentage points of {shortened(level, 24)}"


def unit_of_queries(findings: ParityFindings) -> str:
    """Unit of the deviations in the table of queries: degrees compared with shares of their classes are levels there."""
    unit = findings.primary_effect.unit
    return "levels" if unit == "mid-rank" else unit


def _deviation(row: Mapping[str, Any], findings: ParityFindings) -> str:
    text = number(row["deviation"], unit_of_queries(findings))
    return text if text.startswith("−") else f"+{text}"
