"""Pictures by layer: accuracy, where the guard answered, and what it cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from auditor.audits import Picture
from auditor.audits.guard.conditions import CORRECT, ZERO_SHOT
from auditor.audits.guard.findings import GuardFindings
from auditor.audits.guard.words import MIXTURE, condition_words, listed, percent, points, threshold
from auditor.audits.look import DASHES, MARKS, Theme, blank, heading, legend, named, panel, panel_grid, style

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Stroke:
    """How the curve of a condition is drawn, the same in every picture."""

    colour: str
    dash: Any
    mark: str


def stroke(condition: str, look: Theme) -> Stroke:
    """Zero-shot in ink, correct demonstrations in blue, the mixture in green, corrupted ones in orange."""
    place = {ZERO_SHOT: 3, CORRECT: 0, MIXTURE: 2}.get(condition, 1)
    colour = look.ink if condition == ZERO_SHOT else look.groups[place]
    return Stroke(colour, DASHES[place], MARKS[place])


def by_condition(data: pa.Table, wanted: Sequence[str]) -> dict[str, list[Row]]:
    """Rows of some conditions that the table has, in that order."""
    rows = data.to_pylist()
    made = {name: [row for row in rows if row["condition"] == name] for name in dict.fromkeys(wanted)}
    return {name: found for name, found in made.items() if found}


def layers_picture(findings: GuardFindings, data: pa.Table, look: Theme) -> Picture | None:
    """Accuracy when read at each layer, with intervals; None for a model that shows no inner layers."""
    curves = by_condition(data, ("zero-shot", "correct", findings.certificate.primary))
    if not curves or findings.readout.n_exits < 2:
        return None
    figure, axes = panel(look, 3.4)
    first = findings.readout.first_exit
    if first > 1:
        axes.axvspan(0.5, first - 0.5, color=look.quiet, alpha=0.3, linewidth=0)
        axes.annotate("no exits here", (0.7, 0.02), xycoords=("data", "axes fraction"), fontsize=7.5, color=look.ink)
    for condition, rows in curves.items():
        ordered = sorted(rows, key=lambda row: row["exit"])
        x = np.array([row["exit"] for row in ordered])
        line = stroke(condition, look)
        low, high = _percents(ordered, "low"), _percents(ordered, "high")
        axes.fill_between(x, low, high, color=line.colour, alpha=0.13, linewidth=0)
        axes.plot(
            x,
            _percents(ordered, "accuracy"),
            color=line.colour,
            linewidth=1.6,
            linestyle=line.dash,
            marker=line.mark,
            markersize=3.2,
            label=condition_words(condition),
        )
    critical = critical_layer(curves.get("correct", ()), curves.get(findings.certificate.primary, ()))
    if critical is not None:
        axes.axvline(critical, color=look.ink, linewidth=1, linestyle=":")
        right = critical > 0.7 * findings.readout.n_exits
        axes.annotate(
            "critical layer",
            (critical, 0.98),
            (-4 if right else 4, 0),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="right" if right else "left",
            va="top",
            fontsize=8,
            color=look.ink,
        )
    axes.set_xlim(0.5, findings.readout.n_exits + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(y=0.1)
    named(axes, look, x="Layer after which the answer is read", y="Accuracy, %")
    legend(figure, axes, look)
    kept = data.filter(pa.array([name in curves for name in data["condition"].to_pylist()]))
    words = _layer_words(findings, curves, critical)
    return Picture("layers", "Accuracy by layer", words, figure, kept)


def _percents(rows: Sequence[Row], name: str) -> NDArray[np.float64]:
    return np.array([np.nan if row[name] is None else 100 * row[name] for row in rows])


def critical_layer(correct: Sequence[Row], corrupted: Sequence[Row]) -> int | None:
    """The layer from which on corrupted demonstrations are behind correct ones by at least half their final gap.

    The term is that of Halawi, Denain and Steinhardt, "Overthinking the truth" (arXiv:2307.09476), who see both go together
    in early layers and part sharply; half the gap is our rule. None where the final intervals overlap.
    """
    if not correct or not corrupted:
        return None
    right, wrong = ({row["exit"]: row for row in rows} for rows in (correct, corrupted))
    exits = sorted(set(right) & set(wrong))
    if not exits or not right[exits[-1]]["low"] > wrong[exits[-1]]["high"]:
        return None
    gaps = np.array([right[at]["accuracy"] - wrong[at]["accuracy"] for at in exits])
    short = np.flatnonzero(gaps < gaps[-1] / 2)
    return int(exits[short[-1] + 1 if len(short) else 0])


def _layer_words(findings: GuardFindings, curves: Mapping[str, Sequence[Row]], critical: int | None) -> str:
    told = []
    for condition, rows in curves.items():
        last, best = max(rows, key=lambda row: row["exit"]), max(rows, key=lambda row: row["accuracy"])
        told.append(
            f"{condition_words(condition)} {percent(last['accuracy'])} at the last layer "
            f"({percent(best['accuracy'])} at layer {best['exit']:,}, its best)"
        )
    parts = (
        ""
        if critical is None
        else f" From layer {critical:,} on corrupted demonstrations fall behind correct ones by at least half of the final gap."
    )
    n = next(iter(curves.values()))[0]["n"]
    how = " as the guard reads it, with contextual calibration" if findings.readout.contextual_calibration else ""
    return (
        f"Share of {n:,} test queries that are right when the answer is read after each layer{how}, with "
        f"{percent(findings.confidence)} intervals: {'; '.join(told)}.{parts} The guard may answer from layer "
        f"{findings.readout.first_exit:,} on."
    )


def exits_picture(findings: GuardFindings, data: pa.Table, look: Theme) -> Picture | None:
    """Where the guard answered: a bar for each exit, and one for zero-shot; None where no condition is known."""
    found = by_condition(data, ("correct", findings.certificate.primary, "mixture"))
    if not found:
        return None
    first, last = findings.readout.first_exit, findings.readout.n_exits
    figure, made = panel_grid(len(found), look, height=2.6)
    most = max(row["share"] for rows in found.values() for row in rows)
    place_of_zero = last + max(2, round((last - first) * 0.3))
    told = []
    for axes, (condition, rows) in zip(made, found.items(), strict=True):
        early = [row for row in rows if row["exit"] is not None]
        fell = sum(row["share"] for row in rows if row["exit"] is None)
        axes.bar([row["exit"] for row in early], [100 * row["share"] for row in early], 0.8, color=look.bar)
        width = max(0.8, (place_of_zero - first) * 0.06)
        axes.bar(
            [place_of_zero], [100 * fell], width, color=look.accent, hatch="////", edgecolor=look.paper, linewidth=0
        )
        axes.annotate(
            percent(fell),
            (place_of_zero, 100 * fell),
            (0, 2),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=look.ink,
        )
        axes.set_xlim(first - 1, place_of_zero + max(1.2, width))
        axes.set_ylim(0, 112 * most)
        ticks = [int(at) for at in MaxNLocator(4, integer=True).tick_values(first, last) if first <= at < last]
        axes.set_xticks(
            [*_apart(ticks, last, place_of_zero - first), place_of_zero],
            [*(f"{at}" for at in _apart(ticks, last, place_of_zero - first)), "zero-\nshot"],
        )
        words = condition_words(condition)
        heading(axes, words[:1].upper() + words[1:], look, 34)
        axes.title.set_fontsize(8.8)
        named(axes, look, x="Layer of the answer")
        full = sum(row["share"] for row in early if row["exit"] == last)
        told.append(f"{words}: {percent(1 - fell - full)} early, {percent(full)} in full, {percent(fell)} zero-shot")
    named(made[0], look, x="Layer of the answer", y="Queries, %")
    kept = data.filter(pa.array([name in found for name in data["condition"].to_pylist()]))
    shown_at = threshold(findings.certificate.lambda_hat, findings.certificate.lambda_step)
    listing = "; ".join(told)
    description = (
        f"Layer after which the guard answered at lambda {shown_at}; hatched: it was never confident enough and fell "
        f"back on the zero-shot answer. {listing[:1].upper()}{listing[1:]}."
    )
    return Picture("exits", "Where the guard answered", description, figure, kept)


def _apart(ticks: Sequence[int], last: int, span: float) -> list[int]:
    """Ticks with the last layer, less those so near to it that their numbers would touch."""
    return [*(at for at in ticks if last - at > 0.12 * span), last]


def cost_picture(findings: GuardFindings, data: pa.Table, timing: pa.Table | None, look: Theme) -> Picture:
    """Layer passes by threshold, and the measured time of a true exit by depth where it was measured."""
    found = findings.certificate
    curves = by_condition(data, ("correct", found.primary, "mixture"))
    figure = blank(look, 3.2)
    made = figure.subplots(1, 1 if timing is None else 2, squeeze=False)[0]
    axes = made[0]
    style(axes, look)
    axes.axhline(1, color=look.ink, linewidth=1, linestyle=(0, (1, 2)), label="one full prompt")
    if found.certified:
        axes.axvspan(found.lambda_hat, 1, color=look.bar, alpha=0.13, linewidth=0)
        axes.axvline(found.lambda_hat, color=look.bar, linewidth=1.2)
    for condition, rows in curves.items():
        ordered = sorted(rows, key=lambda row: row["lambda"])
        line = stroke(condition, look)
        x, y = ([row[name] for row in ordered] for name in ("lambda", "layer_passes"))
        label = condition_words(condition)
        axes.plot(x, y, color=line.colour, linewidth=1.7, linestyle=line.dash, label=label)
    axes.set_ylim(bottom=0)
    named(axes, look, x="Confidence threshold λ", y="Layer passes ÷ one full prompt")
    if timing is not None:
        _timing(made[1], timing, look)
    entries = [entry for one in made for entry in zip(*one.get_legend_handles_labels(), strict=True)]
    handles, labels = zip(*entries, strict=True)
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8, labelcolor=look.ink)
    words = _cost_words(findings, curves, timing)
    return Picture("cost", "What the guard costs", words, figure, data)


def _timing(axes: Axes, timing: pa.Table, look: Theme) -> None:
    style(axes, look)
    depth, ratio = timing["depth"].to_numpy(), timing["ratio"].to_numpy()
    order = np.argsort(depth)
    axes.plot([0, 1], [0, 1], color=look.ink, linewidth=1, linestyle=":", label="time in proportion to depth")
    axes.plot(depth[order], ratio[order], "-D", color=look.bar, markersize=4.5, linewidth=1.4, label="measured time")
    axes.set_xlim(0, 1.04)
    axes.set_ylim(0, max(1.08, float(ratio.max()) * 1.06))
    named(axes, look, x="Depth of the exit ÷ all layers", y="Time ÷ all layers")


def _cost_words(findings: GuardFindings, curves: Mapping[str, Sequence[Row]], timing: pa.Table | None) -> str:
    lambda_hat = findings.certificate.lambda_hat
    told = []
    for condition, rows in curves.items():
        at = min(rows, key=lambda row: abs(row["lambda"] - lambda_hat))
        told.append(
            f"{condition_words(condition)} {at['layer_passes']:.2f} times one full prompt "
            f"(accuracy {percent(at['accuracy'])}, risk {points(at['risk'])} points)"
        )
    words = (
        "Layers that the guard runs, with the zero-shot pass where it falls back, as a share of those of one full prompt. "
        f"At lambda {threshold(lambda_hat, findings.certificate.lambda_step)}: {'; '.join(told)}."
    )
    if timing is None:
        return f"{words} Layer passes count prompts as equal; a zero-shot prompt is shorter."
    exits = sorted(timing.to_pylist(), key=lambda row: row["depth"])
    measured = [f"{row['ratio']:.2f} at {percent(row['depth'])} depth" for row in exits if row["depth"] < 1]
    return f"{words} Measured time of a true exit as a share of all layers: {listed(measured)}."
