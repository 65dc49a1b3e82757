"""Pictures of power, before any data and for the data at hand, and of evidence that is gathered over time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from auditor.audits import Picture
from auditor.audits.look import THEMES, Theme, heading, legend, named, panel, panel_grid
from auditor.audits.parity.findings import ParityFindings
from auditor.audits.parity.monitor import Evidence
from auditor.audits.parity.power import X_TITLES, PowerAnswer

_SHORT = {
    "n_items": "Items of the catalog, each a query",
    "n_queries": "Queries",
    "k": "Results per query",
    "q": "Share of the first group",
    "pi": "Share of the attribute",
    "icc": "Intra-list correlation",
    "beta": "Bias",
}
_LOGARITHMIC = ("n_items", "n_queries", "k")
_SHARES = ("q", "pi", "beta")


def power_pictures(answer: PowerAnswer, theme: str) -> Iterator[Picture]:
    """Curves of a planned audit; `theme` is "light" or "dark"."""
    design = answer.design
    at = {"n_items": design.n_queries, "n_queries": design.n_queries, "k": design.k, "q": design.q, "pi": design.pi,
          "icc": design.icc, "beta": answer.detectable_bias}  # fmt: skip
    rows = [asdict(row) for row in answer.rows]
    if picture := _curves(rows, at, design.power, answer.sentence, "one-sided", THEMES[theme]):
        yield picture


def power_rows_picture(findings: ParityFindings, power: Path, look: Theme) -> Picture | None:
    """Curves for the data at hand; None where none were computed."""
    info = findings.power
    if info is None:
        return None
    at = {"n_queries": info.n_queries, "k": info.k, "q": info.q, "pi": info.pi, "icc": info.icc,
          "beta": info.detectable_bias}  # fmt: skip
    rows = pq.read_table(power).to_pylist()
    target = next((row["power"] for row in rows if row["x_name"] != "beta"), 0.8)
    return _curves(rows, at, target, " ".join((info.sentence, *info.notes)), "two-sided", look)


def _curves(
    rows: Sequence[Mapping[str, Any]],
    at: Mapping[str, float | None],
    target: float,
    sentence: str,
    sides: str,
    look: Theme,
) -> Picture | None:
    names = [name for name in X_TITLES if any(row["x_name"] == name for row in rows)]
    if not names:
        return None
    figure, made = panel_grid(len(names), look, height=2.5 if len(names) < 3 else 2.15)
    for axes, name in zip(made, names, strict=True):
        y = "power" if name == "beta" else "detectable"
        chosen = [row for row in rows if row["x_name"] == name and row[y] is not None]
        _curve(axes, chosen, name, y, at.get(name), sides, look)
        if name == "beta":
            axes.axhline(target, color=look.ink, linewidth=0.8, linestyle=":")
            axes.set_ylim(0, 1.03)
        heading(axes, "Power at each bias" if name == "beta" else "Detectable bias", look)
        named(axes, look, x=_SHORT[name])
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g}%")
    # Not every curve has every kind of line.
    legend(figure, max(made, key=lambda axes: len(axes.get_legend_handles_labels()[1])), look)
    data = pa.table(
        {
            "varied": [X_TITLES[row["x_name"]] for row in rows],
            "value": pa.array([row["x"] for row in rows], pa.float64()),
            "detectable_bias": pa.array([row["detectable"] for row in rows], pa.float64()),
            "power": pa.array([row["power"] for row in rows], pa.float64()),
            "kind": [row["kind"] for row in rows],
        }
    )
    words = (
        f"{sentence} The curves are those of the {sides} test. The bias is the share of results that are filled from the "
        f"query's own group; the dashed line marks this design, the dotted one a power of {target:.0%}."
    )
    return Picture("power", "What could be detected", words, figure, data)


def _curve(
    axes: Axes, rows: Sequence[Mapping[str, Any]], name: str, y: str, at: float | None, sides: str, look: Theme
) -> None:
    formula = sorted((row["x"], row[y]) for row in rows if row["kind"] == "formula")
    simulated = sorted((row["x"], row[y]) for row in rows if row["kind"] == "simulation")
    if at is not None:
        axes.axvline(at, color=look.accent, linewidth=1.1, linestyle="--", label="this design")
    if formula:
        axes.plot(*zip(*formula, strict=True), color=look.bar, linewidth=1.6, label=f"formula, {sides} test")
    if simulated:
        axes.plot(
            *zip(*simulated, strict=True), "o", color=look.accent, markersize=4, label=f"simulation, {sides} test"
        )
    if name in _LOGARITHMIC and formula and formula[0][0] > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(numticks=4))
        axes.xaxis.set_major_formatter(lambda value, _: _rounded(value))
        axes.xaxis.set_minor_formatter(lambda _value, _: "")
    if name in _SHARES:
        axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g}%")
    if y == "detectable":
        axes.set_ylim(bottom=0)
    axes.grid(color=look.faint, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(which="minor", length=0)


def _rounded(n: float) -> str:
    """A number of things in few characters: 200, 5,000, 20k, 3M."""
    if n >= 1e6:
        return f"{n / 1e6:,.3g}M"
    return f"{n / 1e3:.3g}k" if n >= 1e4 else f"{n:,.0f}"


def monitor_pictures(evidence: Evidence, theme: str, *, name: str = "evidence") -> Iterator[Picture]:
    """The running evidence, with the line at which the alarm is raised; `theme` is "light" or "dark"."""
    look = THEMES[theme]
    figure, axes = panel(look, 2.9)
    # Before the first observation the evidence is 1.
    path = np.concatenate([[0.0], np.asarray(evidence.log_e, np.float64)]) / np.log(10)
    axes.step(np.arange(len(path)), path, where="post", color=look.bar, linewidth=1.6, label="evidence")
    line = float(np.log10(evidence.threshold))
    axes.axhline(line, color=look.accent, linewidth=1.2, linestyle="--", label=f"alarm at {evidence.threshold:g}")
    axes.axhline(0, color=look.ink, linewidth=0.8, linestyle=":")
    reached = np.flatnonzero(path >= line)
    if len(reached):
        axes.plot([reached[0]], [path[reached[0]]], "D", color=look.accent, markersize=6)
    ends = dict(zip(evidence.batch_n, evidence.batch_dates, strict=True))
    step = max(1, -(-len(ends) // 6))
    shown = list(ends.items())[::-1][::step][::-1]
    for n in ends:
        axes.axvline(n, color=look.faint, linewidth=0.7)
    axes.set_xticks([n for n, _ in shown], [f"{date[:10]}\n{n:,}" for n, date in shown])
    low, high = min(path.min(), -0.3), max(path.max(), line) + 0.3
    axes.set_ylim(low, high)
    whole = np.arange(np.ceil(low), np.floor(high) + 1)
    whole = whole[:: max(1, len(whole) // 6)]
    axes.set_yticks(whole, [_power_of_ten(int(exponent)) for exponent in whole])
    unit = "sets of fresh queries, one of each group" if evidence.against == "groups" else "fresh queries"
    named(axes, look, x=f"Observations so far: {unit}", y="Evidence (e-value)")
    legend(figure, axes, look)
    rows = evidence.rows()
    data = pa.table({
        "date": [str(row["date"]) for row in rows],
        "n": pa.array([row["n"] for row in rows], pa.int64()),
        "e_value": pa.array([row["e_value"] for row in rows], pa.float64()),
        "largest_e_value": pa.array([row["largest_e_value"] for row in rows], pa.float64()),
    })  # fmt: skip
    words = (
        f"{evidence.sentence} The evidence may be looked at any day: if there is no disparity it ever reaches "
        f"{evidence.threshold:g} with probability at most {evidence.alpha:g}. Vertical lines end the audits."
    )
    yield Picture(name, "Evidence over time", words, figure, data)


def _power_of_ten(exponent: int) -> str:
    return f"{10**exponent:,}" if 0 <= exponent <= 6 else f"1e{exponent}".replace("-", "−")
