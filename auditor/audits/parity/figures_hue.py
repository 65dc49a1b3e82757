"""Picture of hue beside tone: results by their individual typology angle and their hue, by group of the query."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from auditor.audits import Picture
from auditor.audits.look import MARKS, Theme, legend, named, panel, shortened
from auditor.audits.parity.verdict import number

#: Results that are drawn, spread evenly over the table of tones; groups with a colour of their own (ours).
_MOST_POINTS, _MOST_GROUPS = 2_000, 6


def hue_picture(tones: Path, hues: Path, look: Theme) -> Picture | None:
    """Hue above tone of the results; None where degrees were not read from colours."""
    told = pq.read_table(hues)
    if not told.num_rows:
        return None
    data = pq.read_table(tones)
    data = data.filter(data["hue"].is_valid())
    spread = np.unique(np.linspace(0, data.num_rows - 1, min(data.num_rows, _MOST_POINTS)).round().astype(int))
    drawn = data.take(spread)
    group, value = np.array(drawn["group"].to_pylist(), dtype=object), drawn["value"].to_numpy()
    # From -90 to 270, so that reds on either side of 0 stand beside each other.
    hue = np.mod(drawn["hue"].to_numpy() + 90, 360) - 90
    figure, axes = panel(look, 3.0)
    rows = told.to_pylist()
    for place, row in enumerate(rows[:_MOST_GROUPS]):
        own = group == row["group"]
        axes.plot(value[own], hue[own], MARKS[place], color=look.groups[place], markersize=2.6, alpha=0.45, linewidth=0,
                  label=shortened(row["group"], 28))  # fmt: skip
        axes.plot([row["value"]], [(row["hue"] + 90) % 360 - 90], MARKS[place], color=look.groups[place], markersize=9,
                  markeredgecolor=look.ink, markeredgewidth=1.2)  # fmt: skip
    named(axes, look, x="ITA of the results, degrees (lighter to the right)", y="Hue, degrees (0 red, 90 yellow)")
    axes.grid(color=look.faint, linewidth=0.5)
    axes.set_axisbelow(True)
    if len(rows) > 1:
        legend(figure, axes, look, min(len(rows), 4))
    means = "; ".join(
        f"{row['group']} {number(row['hue'], 'degrees')} ({number(row['hue_low'], 'degrees')} to "
        f"{number(row['hue_high'], 'degrees')})"
        for row in rows
    )
    fewer = f" Drawn are {drawn.num_rows:,} of {data.num_rows:,} results." if drawn.num_rows < data.num_rows else ""
    more = f" {len(rows) - _MOST_GROUPS:,} more groups stand in the table." if len(rows) > _MOST_GROUPS else ""
    words = (
        "Hue of the results beside their individual typology angle, by group of the query; large marks are the means. Skin of "
        "one tone varies in hue, from red (0 degrees) to yellow (90), which the angle does not show; hue is described, not "
        f"tested. Mean hue, with the degrees between which four fifths of the results lie: {means}.{fewer}{more}"
    )
    return Picture("hue", "Hue beside tone", words, figure, drawn)
