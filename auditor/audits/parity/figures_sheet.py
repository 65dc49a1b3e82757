"""Contact sheet of the queries that are furthest off: a swatch, or the image, of every result by rank."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from PIL import Image

from auditor.audits import Picture
from auditor.audits.look import WIDTH, Theme, blank, ink_on, rgb, shortened
from auditor.audits.parity.colour import swatch_of_ita
from auditor.audits.parity.figures_lists import unit_of_queries
from auditor.audits.parity.findings import ParityFindings
from auditor.audits.parity.images import thumbnail_png
from auditor.audits.parity.sheet import sheet
from auditor.audits.parity.tones import scale_of, swatch
from auditor.audits.parity.verdict import number
from auditor.errors import InputError

#: Pixels of an image's longer side (ours).
_SIDE = 96
_LEFT_OUT = "the images themselves were left out, as the run did not ask for pictures in the report"
_Pixels = np.ndarray[Any, np.dtype[np.uint8]]
#: Room for the queries' names, in boxes.
_LABELS = 4.6


def sheet_picture(findings: ParityFindings, queries: Path, slots: Path, look: Theme) -> Picture | None:
    """The furthest queries with the tones of their first results; None where no results were kept."""
    shown = sheet(queries, slots)
    data = shown.slots
    if not data.num_rows:
        return None
    found = {(row["query_id"], row["rank"]): row for row in data.to_pylist()}
    ranks = sorted({rank for _, rank in found})
    rows = [row for row in shown.queries if any((row["query_id"], rank) in found for rank in ranks)]
    # Boxes are of one size, but not larger than where eight ranks are shown.
    right = max(ranks[-1], ranks[0] + 7) + 0.55
    figure = blank(look, 0.4 + 1.18 * len(rows) * WIDTH / (right - ranks[0] + _LABELS))
    axes = figure.add_subplot()
    axes.set_facecolor(look.paper)
    axes.set_aspect("equal")
    for y, query in enumerate(rows):
        for rank in ranks:
            if slot := found.get((query["query_id"], rank)):
                pixels = _image(slot["image"]) if findings.pictures else None
                _slot(axes, rank, y * 1.18, slot, pixels, findings, look)
        label = f"{shortened(query['query_id'], 24)}\n{shortened(query['group'], 16)}, {_signed(query['deviation'], findings)}"
        axes.text(ranks[0] - 0.65, y * 1.18, label, ha="right", va="center", fontsize=7.5, color=look.ink)
    axes.set_xlim(ranks[0] - _LABELS, right)
    axes.set_ylim((len(rows) - 1) * 1.18 + 0.72, -0.62)
    axes.set_xticks(ranks, [str(rank) for rank in ranks])
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=8, colors=look.ink)
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    n_images = sum(row["image"] is not None for row in found.values())
    seen = "the tone as a swatch"
    if n_images:
        seen = "the image where it can be opened, with its tone below" if findings.pictures else f"{seen}; {_LEFT_OUT}"
    words = (
        f"First results, by rank, of the {len(rows)} queries that deviate furthest upwards and downwards "
        f"(of {shown.n_queries:,}): {seen}. A crossed box has no known {findings.attribute}."
    )
    kept = data if findings.pictures else data.drop_columns(["image"])
    return Picture("contact_sheet", "Results of the furthest queries", words, figure, kept)


def _slot(
    axes: Axes,
    x: float,
    y: float,
    slot: Mapping[str, Any],
    pixels: _Pixels | None,
    findings: ParityFindings,
    look: Theme,
) -> None:
    colour = _colour(slot, findings, look)
    left, top, size = x - 0.46, y - 0.5, 0.92
    if pixels is not None:
        height, width = pixels.shape[:2]
        fit = size / max(height, width)
        across, up = width * fit / 2, height * fit / 2
        axes.imshow(pixels, extent=(x - across, x + across, y + up - 0.04, y - up - 0.04), interpolation="antialiased")
    else:
        face = look.paper if colour is None else colour
        axes.add_patch(Rectangle((left, top), size, size, facecolor=face, edgecolor=look.faint, linewidth=0.8))
        if colour is None:
            axes.plot([left, left + size], [top, top + size], color=look.faint, linewidth=0.8)
            axes.plot([left, left + size], [top + size, top], color=look.faint, linewidth=0.8)
    words = _tone(slot)
    if pixels is None and colour is not None:
        axes.text(
            x,
            y - 0.04,
            words,
            ha="center",
            va="center",
            fontsize=6.5 if len(words) < 6 else 5.5,
            color=_ink(look, colour),
        )
    elif pixels is not None and colour is not None:
        axes.add_patch(Rectangle((left, y + 0.44), size, 0.16, facecolor=colour, edgecolor=look.faint, linewidth=0.5))


def _ink(look: Theme, colour: str) -> str:
    return ink_on(look, rgb(colour))


def _colour(slot: Mapping[str, Any], findings: ParityFindings, look: Theme) -> str | None:
    """Colour of a result's tone; of names without a colour one of the theme, None where nothing is known."""
    if slot["value"] is not None:
        return swatch_of_ita(slot["value"])
    level, levels = slot["level"], findings.scale.levels
    if level is None:
        return None
    if (scale := scale_of(levels)) is not None:
        return swatch(scale, level)
    return look.groups[levels.index(level) % len(look.groups)] if level in levels else look.quiet


def _tone(slot: Mapping[str, Any]) -> str:
    if slot["value"] is not None:
        return f"{number(round(slot['value']), '').split('.')[0]}°"
    return shortened(slot["level"] or "", 9)


def _signed(deviation: float, findings: ParityFindings) -> str:
    unit = unit_of_queries(findings)
    sign = {"degrees": "°", "levels": " levels"}.get(unit, " pp")
    text = number(deviation, unit)
    return f"{text if text.startswith('−') else '+' + text}{sign}"


def _image(path: str | None) -> _Pixels | None:
    """Pixels of a small image; None where there is none, or it is refused."""
    if path is None:
        return None
    try:
        small = thumbnail_png(Path(path), side=_SIDE)
    except (InputError, OSError):
        return None
    return np.asarray(Image.open(io.BytesIO(small)).convert("RGB"))
