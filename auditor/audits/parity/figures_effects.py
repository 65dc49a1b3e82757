"""Pictures of what was tested: shares by group and level, the null distribution, effects with the margin."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from auditor.audits import Picture
from auditor.audits.look import Theme, blank, diverging, heading, ink_on, named, panel, shortened, style
from auditor.audits.parity.findings import EffectInfo, NullTestInfo, ParityFindings
from auditor.audits.parity.verdict import amount, number, p_words

#: Cells beyond these are not drawn; effects of a panel too. What is left out is said and stands in the tables.
_MOST_LEVELS, _MOST_GROUPS, _MOST_EFFECTS = 16, 16, 10
#: Up to this number of levels an interval fits into its cell on one line.
_ROOMY = 6
#: Deviations below this never get the full colour, so that nothing looks large that is not (ours).
_FULL_COLOUR = 0.05
_AXES = {
    "degrees": "degrees ITA",
    "share": "percentage points",
    "mid-rank": "mean mid-rank, from −1 to 1",
    "levels": "levels",
    "": "from 0 to 1",
}
#: A signed value nearer to 0 than this share of the axis has its words outside the two lines (ours).
_NEAR_MIRROR = 0.6
_DISTANCES = ("total variation", "Wasserstein-1", "Cramer's V")


def cells_picture(findings: ParityFindings, cells: Path, look: Theme) -> Picture | None:
    """Deviation of each group's share of each level from what is expected, with intervals; None without expected shares."""
    data = pq.read_table(cells)
    rows = [row for row in data.to_pylist() if row["attribute"] == findings.attribute and row["k"] == findings.k]
    if not rows:
        return None
    reach: dict[str, float] = {}
    for row in rows:
        reach[row["level"]] = max(reach.get(row["level"], 0.0), abs(row["deviation"]))
    shown = set(sorted(reach, key=lambda level: -reach[level])[:_MOST_LEVELS])
    levels = [level for level in findings.scale.levels if level in shown]
    groups = list(dict.fromkeys(row["group"] for row in rows))
    kept = groups[:_MOST_GROUPS]
    values = {(row["group"], row["level"]): row for row in rows}
    most = max([_FULL_COLOUR, *(abs(values[g, c]["deviation"]) for g in kept for c in levels)])
    figure, axes = panel(look, 1.25 + 0.58 * len(kept))
    colours = diverging(look)
    for y, group in enumerate(kept):
        for x, level in enumerate(levels):
            _cell(axes, x, y, values[group, level], colours(0.5 + 0.5 * values[group, level]["deviation"] / most), look,
                  roomy=len(levels) <= _ROOMY)  # fmt: skip
    axes.set_xlim(-0.5, len(levels) - 0.5)
    axes.set_ylim(len(kept) - 0.5, -0.5)
    axes.set_xticks(range(len(levels)), [shortened(level, 60 // len(levels) + 6) for level in levels])
    if len(levels) > _ROOMY and max(map(len, levels)) > 4:
        axes.tick_params(axis="x", rotation=30)
    axes.set_yticks(range(len(kept)), [shortened(group, 22) for group in kept])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0)
    named(axes, look, x=f"{shortened(findings.attribute, 40)} of the results")
    furthest = sorted(rows, key=lambda row: -abs(row["deviation"]))[:3]
    told = "; ".join(f"{row['group']}, {row['level']}: {_points(row)}" for row in furthest)
    against = "their targets" if findings.primary_effect.b == "target" else "what shuffled labels would give"
    words = (
        f"Share of each level in the results of each group less {against}, in percentage points, with "
        f"{100 * findings.confidence:g}% intervals (each by itself). Framed where the interval does not hold 0. "
        f"Furthest off: {told}.{_left_out(len(reach) - len(levels), 'levels')}{_left_out(len(groups) - len(kept), 'groups')}"
    )
    title = "Shares by query group and level" if len(groups) > 1 else "Shares by level"
    return Picture("cells", title, words, figure, data)


def _cell(
    axes: Axes,
    x: int,
    y: int,
    row: Mapping[str, Any],
    colour: tuple[float, float, float, float],
    look: Theme,
    *,
    roomy: bool,
) -> None:
    low, high, deviation = row["low"], row["high"], row["deviation"]
    clear = low is not None and high is not None and (low > 0 or high < 0)
    corner, size = (x - 0.47, y - 0.46), (0.94, 0.92)
    edge = look.ink if clear else look.faint
    axes.add_patch(Rectangle(corner, *size, facecolor=colour, edgecolor=edge, linewidth=1.6 if clear else 0.5))
    ink = ink_on(look, colour)
    weight = "bold" if clear else "normal"
    axes.text(x, y - 0.13, _signed(deviation), ha="center", va="center", fontsize=9, color=ink, fontweight=weight)
    if low is None or high is None:
        return
    words = f"{_signed(low)} to {_signed(high)}" if roomy else f"{_signed(low)}\n{_signed(high)}"
    axes.text(x, y + 0.22, words, ha="center", va="center", fontsize=6.5 if roomy else 6, color=ink, linespacing=1.05)


def _signed(share: float) -> str:
    text = number(share, "share")
    return text if text.startswith("−") or float(text) == 0 else f"+{text}"


def _points(row: Mapping[str, Any]) -> str:
    if row["low"] is None:
        return _signed(row["deviation"])
    return f"{_signed(row['deviation'])} ({_signed(row['low'])} to {_signed(row['high'])})"


def _left_out(count: int, what: str) -> str:
    return f" {count:,} more {what} stand in the table." if count > 0 else ""


def null_picture(findings: ParityFindings, null: Path, look: Theme) -> Picture | None:
    """The statistic under the null hypothesis, with the observed value; None where there are no values of it."""
    data = pq.read_table(null)
    values = data["value"].to_numpy()
    values = values[np.isfinite(values)]
    test = findings.primary
    if not len(values) or not np.isfinite(test.statistic):
        return None
    figure, axes = panel(look, 2.7)
    signed = bool(values.min() < 0)
    observed = f"{test.statistic if abs(test.statistic) > 1e-9 * np.abs(values).max() else 0:.4g}".replace("-", "−")
    ends = [*values[[values.argmin(), values.argmax()]], test.statistic, *([-test.statistic] if signed else [])]
    low, high = min(ends), max(ends)
    room = (high - low) * 0.03 or 0.5
    edges = np.linspace(low - room, high + room, 71)
    counts, _ = np.histogram(values, bins=edges)
    # Ties count as reaching it, as in the test.
    reached = (np.abs(values) if signed else values) >= abs(test.statistic) - 1e-9 * max(1.0, abs(test.statistic))
    beyond, _ = np.histogram(values[reached], bins=edges)
    axes.bar(edges[:-1], counts, np.diff(edges), align="edge", color=look.quiet)
    axes.bar(edges[:-1], beyond, np.diff(edges), align="edge", color=look.accent)
    axes.axvline(test.statistic, color=look.accent, linewidth=1.8)
    if signed:
        axes.axvline(-test.statistic, color=look.accent, linewidth=1, linestyle="--")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, counts.max() * 1.18)
    right = _words_go_left(test.statistic, low, high, signed=signed)
    axes.annotate(
        f"observed {observed}\n{p_words(test.p_value, findings.alpha)}",
        (test.statistic, counts.max() * 1.15),
        (-6 if right else 6, 0),
        textcoords="offset points",
        ha="right" if right else "left",
        va="top",
        fontsize=8.5,
        color=look.accent,
    )
    under = (
        "the exact distribution"
        if test.is_closed_form
        else "all relabellings"
        if test.is_exact
        else "random relabellings"
    )
    named(axes, look, x=f"{test.statistic_name} under {under}", y="Draws" if test.is_closed_form else "Relabellings")
    inside = np.quantile(values, [0.025, 0.975])
    words = (
        f"{len(values):,} values of the statistic ({test.statistic_name}) under {under}, 95% of them between "
        f"{inside[0]:.4g} and {inside[1]:.4g}, and the observed value {observed}. {_reached(findings)}"
    )
    return Picture("null", _null_title(test), words, figure, data)


def _null_title(test: NullTestInfo) -> str:
    if test.is_closed_form:
        return "The exact null distribution"
    return f"{'All ' if test.is_exact else ''}{test.n_permutations:,} {'' if test.is_exact else 'random '}relabellings"


def _reached(findings: ParityFindings) -> str:
    """How p came about, as a sentence: from a known distribution, from all arrangements, or from those that were drawn."""
    test = findings.primary
    p = p_words(test.p_value, findings.alpha)
    if test.is_closed_form:
        return f"The exact distribution gives {p}; the values are drawn from it for this picture only."
    reach = f"{test.n_exceeding:,} of {test.n_permutations:,} relabellings reach it: {p}"
    if test.is_exact:
        return f"{reach}, exact, since these are all that there are."
    return f"{reach} (Monte Carlo 99% interval {test.p_low:.2g} to {test.p_high:.2g})."


def _words_go_left(observed: float, low: float, high: float, *, signed: bool) -> bool:
    """Whether the words stand to the left of the observed value: where there is room, and not across its mirror line."""
    if signed and abs(observed) < _NEAR_MIRROR * max(abs(low), abs(high)):
        return observed < 0
    return observed > (low + high) / 2


def forest_picture(findings: ParityFindings, look: Theme) -> Picture:
    """Effects with intervals, those of the primary kind first with the margin behind them."""
    panels = _panels(findings)
    heights = [0.55 + 0.27 * len(effects) for _, effects in panels]
    figure = blank(look, sum(heights) + 0.2)
    grid = figure.add_gridspec(len(panels), 1, height_ratios=heights)
    for place, (title, effects) in enumerate(panels):
        axes = figure.add_subplot(grid[place])
        style(axes, look)
        who = _compared(effects)
        _effects(axes, effects, findings, look, who, margin=findings.margin if place == 0 else None)
        heading(axes, f"{title}: {who}" if who else title, look, 88)
    first = findings.primary_effect
    margin = "" if findings.margin is None else f" The band is the margin of ±{amount(findings.margin, first.unit)}."
    told = sum(len(effects) for _, effects in panels)
    words = (
        f"Effects with {100 * findings.confidence:g}% intervals. Primary effect (diamond): {first.title}, "
        f"{_with_interval(first)}.{margin} Distances (total variation, Wasserstein, Cramér's V) are never below 0; their "
        f"intervals are conservative.{_left_out(len(findings.effects) - told, 'effects')}"
    )
    return Picture("effects", "Effects with their intervals", words, figure, _effect_table(findings.effects))


def _panels(findings: ParityFindings) -> list[tuple[str, list[EffectInfo]]]:
    """Effects by what they measure; the panel of the primary effect first."""
    first = findings.primary_effect
    made: dict[tuple[str, bool], list[EffectInfo]] = {(first.unit, False): []}
    for effect in findings.effects:
        made.setdefault((effect.unit, effect.name in _DISTANCES), []).append(effect)
    panels = []
    for (unit, distance), effects in made.items():
        ordered = [one for one in effects if one is first]
        ordered += sorted((one for one in effects if one is not first), key=lambda one: -abs(one.value))
        kind = "Distances" if distance else "Differences"
        panels.append((f"{kind}, {_AXES.get(unit, unit)}", ordered[:_MOST_EFFECTS]))
    return panels


def _compared(effects: Sequence[EffectInfo]) -> str:
    """What all of several effects compare; empty if they compare different things."""
    found = {effect.title.partition(": ")[2] for effect in effects}
    return found.pop() if len(found) == 1 else ""


def _effects(
    axes: Axes, effects: Sequence[EffectInfo], findings: ParityFindings, look: Theme, who: str, *, margin: float | None
) -> None:
    scale = 100 if effects[0].unit == "share" else 1
    if margin is not None:
        axes.axvspan(-margin * scale, margin * scale, color=look.quiet, alpha=0.55, linewidth=0)
    axes.axvline(0, color=look.ink, linewidth=0.8, linestyle=":")
    for place, effect in enumerate(effects):
        first = effect is findings.effects[0]
        colour = look.accent if first else look.bar
        if effect.low is not None and effect.high is not None:
            ends = [effect.low * scale, effect.high * scale]
            axes.plot(ends, [place, place], color=colour, linewidth=2.4, solid_capstyle="butt")
        axes.plot([effect.value * scale], [place], "D" if first else "o", color=colour, markersize=6 if first else 4.5)
        axes.annotate(
            _interval_words(effect),
            (1.01, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=7.5,
            color=look.ink,
            annotation_clip=False,
        )
    axes.set_yticks(range(len(effects)), [shortened(_label(effect, findings, who), 44) for effect in effects])
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.set_ylim(len(effects) - 0.4, -0.6)
    axes.spines["left"].set_visible(False)
    axes.margins(x=0.06)


def _label(effect: EffectInfo, findings: ParityFindings, who: str) -> str:
    title = effect.title.removesuffix(f": {who}") if who else effect.title
    if effect.attribute != findings.attribute:
        return f"{effect.attribute}: {title}"
    if effect.k == findings.k:
        return title
    return f"{'all results' if effect.k is None else f'K = {effect.k}'}, {title}"


def _interval_words(effect: EffectInfo) -> str:
    value = number(effect.value, effect.unit)
    if effect.low is None or effect.high is None:
        return f"{value} (no interval)"
    return f"{value} ({number(effect.low, effect.unit)} to {number(effect.high, effect.unit)})"


def _with_interval(effect: EffectInfo) -> str:
    if effect.low is None or effect.high is None:
        return f"{amount(effect.value, effect.unit)}, without an interval ({effect.no_interval})"
    low, high = number(effect.low, effect.unit), number(effect.high, effect.unit)
    return f"{amount(effect.value, effect.unit)} ({low} to {high})"


def _effect_table(effects: Sequence[EffectInfo]) -> pa.Table:
    return pa.table(
        {
            "attribute": [effect.attribute for effect in effects],
            "k": pa.array([effect.k for effect in effects], pa.int64()),
            "effect": [effect.title for effect in effects],
            "unit": [effect.unit for effect in effects],
            "value": [effect.value for effect in effects],
            "low": pa.array([effect.low for effect in effects], pa.float64()),
            "high": pa.array([effect.high for effect in effects], pa.float64()),
            "method": [effect.method for effect in effects],
        }
    )
