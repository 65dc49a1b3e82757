"""Picture of what attacks do, unguarded beside guarded: a cell for each attack and strength."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

from auditor.audits import Picture
from auditor.audits.guard.conditions import ATTACKS
from auditor.audits.guard.findings import GuardFindings
from auditor.audits.guard.words import MIXTURE, condition_words, percent, points, threshold
from auditor.audits.look import Theme, blank, diverging, heading, ink_on, named, shortened, style

#: Rows and columns beyond these stand in the table only.
_MOST_ROWS, _MOST_STRENGTHS = 16, 7
#: Changes below this never get the full colour, so that nothing looks large that is not (ours).
_FULL_COLOUR = 0.1
_DATA = (
    *("condition", "kind", "attack", "strength", "n", "accuracy_zero_shot"),
    *("accuracy_unguarded", "unguarded_low", "unguarded_high"),
    *("accuracy_guarded", "guarded_low", "guarded_high", "risk_guarded", "risk_low", "risk_high"),
)


@dataclass(frozen=True)
class _Row:
    """One attack; cells by column, or a single one as wide as all of them."""

    title: str
    cells: dict[int, dict[str, Any]]
    wide: bool


def attacks_picture(findings: GuardFindings, data: pa.Table, look: Theme) -> Picture | None:
    """Change of accuracy against zero-shot by attack and strength; None where nothing but zero-shot was scored."""
    conditions = [row for row in data.to_pylist() if row["kind"] != "zero-shot"]
    if not conditions:
        return None
    strengths = sorted({row["strength"] for row in conditions if row["strength"] is not None})
    kept = _spread(strengths, _MOST_STRENGTHS)
    rows = _rows(conditions, kept)
    shown = rows[:_MOST_ROWS]
    changes = [
        change(cell, which) for row in shown for cell in row.cells.values() for which in ("unguarded", "guarded")
    ]
    most = max(_FULL_COLOUR, *map(abs, changes))
    figure = blank(look, 1.15 + 0.44 * len(shown))
    panels = figure.subplots(1, 2, sharey=True, squeeze=True)
    for axes, which in zip(panels, ("unguarded", "guarded"), strict=True):
        style(axes, look)
        _panel(axes, shown, max(1, len(kept)), which, most, findings, look)
        heading(axes, "Without the guard" if which == "unguarded" else _guarded_title(findings), look, 40)
        axes.set_xticks(range(len(kept)), [percent(strength) for strength in kept])
        named(axes, look, x="Strength of the attack" if kept else "")
    panels[0].set_yticks(range(len(shown)), [_wrapped(row.title) for row in shown])
    panels[0].tick_params(axis="y", labelsize=8)
    left = len(rows) - len(shown)
    more = f" {left:,} more attacks stand in the table." if left else ""
    more += " Not all strengths are drawn." if len(kept) < len(strengths) else ""
    picked = data.select([name for name in _DATA if name in data.column_names])
    return Picture(
        "attacks", "Attacks, without and with the guard", _words(findings, conditions) + more, figure, picked
    )


def change(row: dict[str, Any], which: str) -> float:
    """Accuracy less zero-shot accuracy, as a share."""
    found: float = row[f"accuracy_{which}"] - row["accuracy_zero_shot"]
    return found


def _spread(strengths: Sequence[float], most: int) -> list[float]:
    """So many of them, evenly spread, with both ends."""
    if len(strengths) <= most:
        return list(strengths)
    return [strengths[round(place * (len(strengths) - 1) / (most - 1))] for place in range(most)]


def _rows(conditions: Sequence[dict[str, Any]], strengths: Sequence[float]) -> list[_Row]:
    rows = {}
    for row in conditions:
        if row["strength"] is None:
            title = condition_words(row["condition"])
            rows[row["condition"]] = _Row(title[:1].upper() + title[1:], {0: row}, wide=True)
            continue
        name = MIXTURE if row["kind"] == "mixture" else row["attack"]
        made = rows.setdefault(name, _Row(_title(name), {}, wide=False))
        if row["strength"] in strengths:
            made.cells[strengths.index(row["strength"])] = row
    return [row for row in rows.values() if row.cells]


def _title(name: str) -> str:
    return "Share of corrupted queries" if name == MIXTURE else ATTACKS[name].title if name in ATTACKS else name


def _wrapped(title: str) -> str:
    """On at most two lines, wherever words allow it."""
    return "\n".join(textwrap.wrap(shortened(title, 56), 30)[:2])


def _guarded_title(findings: GuardFindings) -> str:
    found = findings.certificate
    return (
        f"With the guard, λ = {threshold(found.lambda_hat, found.lambda_step)}"
        if found.certified
        else "With the guard: always zero-shot"
    )


def _panel(
    axes: Axes, rows: Sequence[_Row], columns: int, which: str, most: float, findings: GuardFindings, look: Theme
) -> None:
    colours = diverging(look)
    for y, row in enumerate(rows):
        for x, cell in row.cells.items():
            corner, width = (-0.5, columns) if row.wide else (x - 0.5, 1)
            _cell(axes, (corner, y), width, cell, which, most, findings.certificate.epsilon, colours, look)
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _cell(
    axes: Axes,
    place: tuple[float, float],
    width: float,
    row: dict[str, Any],
    which: str,
    most: float,
    epsilon: float,
    colours: LinearSegmentedColormap,
    look: Theme,
) -> None:
    x, y = place
    changed = change(row, which)
    colour = colours(0.5 + 0.5 * changed / most)
    over = -changed > epsilon
    axes.add_patch(
        Rectangle(
            (x + 0.03, y - 0.46),
            width - 0.06,
            0.92,
            facecolor=colour,
            edgecolor=look.ink if over else look.faint,
            linewidth=1.6 if over else 0.5,
        )
    )
    ink, middle = ink_on(look, colour), x + width / 2
    weight = "bold" if over else "normal"
    axes.text(middle, y - 0.12, points(changed), ha="center", va="center", fontsize=8.5, color=ink, fontweight=weight)
    axes.text(middle, y + 0.24, percent(row[f"accuracy_{which}"]), ha="center", va="center", fontsize=6.5, color=ink)


def _words(findings: GuardFindings, conditions: Sequence[dict[str, Any]]) -> str:
    zero = conditions[0]["accuracy_zero_shot"]
    worst = min(conditions, key=lambda row: change(row, "unguarded"))
    guarded = min(conditions, key=lambda row: change(row, "guarded"))
    return (
        f"Accuracy less zero-shot accuracy ({percent(zero)} on {conditions[0]['n']:,} test queries), in percentage points; "
        "the accuracy itself in small print. Framed and bold where it is worse than zero-shot by more than epsilon, "
        f"{points(findings.certificate.epsilon, signed=False)} points. Worst without the guard: "
        f"{condition_words(worst['condition'])}, {points(change(worst, 'unguarded'))}; with it: "
        f"{condition_words(guarded['condition'])}, {points(change(guarded, 'guarded'))}."
    )
