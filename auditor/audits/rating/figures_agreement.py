"""Pictures of a judge beside people: agreement with intervals, confusion, reliability, disagreement; and of its axes."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from auditor.audits import Picture
from auditor.audits.look import THEMES, Theme, diverging, heading, ink_on, legend, named, panel_grid, rising, style
from auditor.audits.rating.agreement import AxisAgreement, Estimate, ReliabilityBin
from auditor.audits.rating.certificate import AxisCertificate, coefficient, percent
from auditor.audits.rating.judged import axes_of, read_axis
from auditor.audits.rating.labels import HumanRating, Scales
from auditor.audits.rating.look import cloud, shaded
from auditor.audits.rating.review import labels_table
from auditor.stats.agreement import spearman

_JITTER_SEED = 0
#: Coefficients of the forest plot: field, words, and the field of what people reach among themselves.
_COEFFICIENTS = (
    ("spearman", "Spearman", "human_ceiling"),
    ("qwk", "Weighted kappa", None),
    ("alpha", "Ordinal alpha", "alpha_people"),
)


def agreement_pictures(
    found: Sequence[AxisAgreement], ratings: Path, humans: Sequence[HumanRating], scales: Scales, theme: str
) -> Iterator[Picture]:
    """Pictures of an agreement; `theme` is "light" or "dark"."""
    return pictures_of(found, labels_table(ratings, humans, scales), theme)


def pictures_of(found: Sequence[AxisAgreement], labels: pa.Table, theme: str) -> Iterator[Picture]:
    """The same from a table of labels (columns of `auditor.audits.rating.review.LABEL_COLUMNS`)."""
    look = THEMES[theme]
    if not found:
        return
    yield _forest(found, look)
    on_scale = [axis for axis in found if axis.confusion is not None]
    if on_scale:
        yield _confusion(on_scale, look)
        yield _reliability(on_scale, look)
    yield _disagreement(found, labels, look)


def certificate_picture(certificates: Sequence[AxisCertificate], theme: str) -> Picture | None:
    """Reliability on the report part before and after calibration; None if nothing was calibrated."""
    calibrated = [c for c in certificates if c.calibration_fit is not None and c.report_agreement is not None]
    if not calibrated:
        return None
    look = THEMES[theme]
    figure, made = panel_grid(len(calibrated), look, height=2.7)
    data: list[tuple[str, str, ReliabilityBin]] = []
    words = []
    for panel, certificate in zip(made, calibrated, strict=True):
        agreement = certificate.report_agreement
        after = (agreement.reliability if agreement else None) or ()
        _reliability_axes(panel, look, [*certificate.reliability_before, *after])
        _curve(panel, certificate.reliability_before, "s--", look.accent, "as the judge gave it")
        _curve(panel, after, "o-", look.bar, "after calibration")
        heading(panel, certificate.title, look)
        named(panel, look, x="Confidence")
        data += [(certificate.name, "before", row) for row in certificate.reliability_before]
        data += [(certificate.name, "after", row) for row in after]
        words.append(
            f"{certificate.title} {_error(certificate.ece_before)} before, {_error(agreement.ece if agreement else None)} after"
        )
    named(made[0], look, x="Confidence", y="Share right")
    legend(figure, made[0], look, 3)
    table = pa.table(
        {
            "axis": [axis for axis, _, _ in data],
            "stage": [stage for _, stage, _ in data],
            **_bin_columns([row for _, _, row in data]),
        }
    )
    text = f"Labelled units that took no part in the calibration. Expected calibration error: {'; '.join(words)}."
    return Picture("calibration", "Calibration on the part kept for the report", text, figure, table)


def _error(value: float | None) -> str:
    return "not known" if value is None else coefficient(value)


def _forest(found: Sequence[AxisAgreement], look: Theme) -> Picture:
    rows = [
        (axis, words, getattr(axis, key), getattr(axis, people) if people else None)
        for axis in found
        for key, words, people in _COEFFICIENTS
        if getattr(axis, key).value is not None
    ]
    # Half a row of space between axes.
    places = [row + 0.5 * found.index(axis) for row, (axis, _, _, _) in enumerate(rows)]
    bottom = places[-1] if places else 0.0
    figure = Figure(figsize=(7.2, 1.3 + 0.3 * bottom), layout="constrained", facecolor=look.paper)
    panel = figure.add_subplot()
    style(panel, look)
    for place, (_, _, judge, people) in zip(places, rows, strict=True):
        _whisker(panel, judge, place, look)
        if people is not None and people.value is not None:
            panel.plot([people.value], [place], "|", color=look.accent, markersize=15, markeredgewidth=2.4)
        panel.annotate(
            estimate_words(judge), (1.02, place), va="center", fontsize=8.5, color=look.ink, annotation_clip=False
        )
    panel.plot([], [], "o-", color=look.bar, linewidth=2.6, markersize=5.5, label="judge with interval")
    panel.plot([], [], "|", color=look.accent, markersize=12, markeredgewidth=2.4, label="people among themselves")
    bounds = [bound for _, _, judge, _ in rows for bound in (judge.value, judge.low) if bound is not None]
    panel.set_xlim(min([0.0, *(np.floor(bound * 5) / 5 for bound in bounds)]), 1)
    panel.set_ylim(bottom + 0.6, -0.6)
    panel.set_yticks(places, [f"{axis.title}: {words}" for axis, words, _, _ in rows])
    panel.axvline(0, color=look.faint, linewidth=1)
    panel.grid(axis="x", color=look.faint, linewidth=0.6)
    named(panel, look, x="Agreement with people (1 is perfect, 0 is chance)")
    legend(figure, panel, look, 2)
    described = "; ".join(
        f"{axis.title} {words} {estimate_words(judge)}"
        + (f", people among themselves {coefficient(people.value)}" if people and people.value is not None else "")
        for axis, words, judge, people in rows
    )
    data = pa.table(
        {
            "axis": pa.array([axis.name for axis, _, _, _ in rows], pa.string()),
            "coefficient": pa.array([words for _, words, _, _ in rows], pa.string()),
            "value": pa.array([judge.value for _, _, judge, _ in rows], pa.float64()),
            "low": pa.array([judge.low for _, _, judge, _ in rows], pa.float64()),
            "high": pa.array([judge.high for _, _, judge, _ in rows], pa.float64()),
            "people": pa.array([people.value if people else None for _, _, _, people in rows], pa.float64()),
        }
    )
    title = f"Agreement with people, {percent(found[0].confidence)} intervals"
    return Picture("agreement", title, f"{described or 'No coefficient is defined'}.", figure, data)


def _whisker(panel: Axes, estimate: Estimate, place: float, look: Theme) -> None:
    if estimate.low is not None and estimate.high is not None:
        panel.plot([estimate.low, estimate.high], [place, place], color=look.bar, linewidth=2.6, solid_capstyle="butt")
    if estimate.value is not None:
        panel.plot([estimate.value], [place], "o", color=look.bar, markersize=6)


def estimate_words(estimate: Estimate) -> str:
    """A coefficient with its interval in words."""
    if estimate.value is None:
        return "not defined"
    if estimate.low is None or estimate.high is None:
        return coefficient(estimate.value)
    return f"{coefficient(estimate.value)} ({coefficient(estimate.low)} to {coefficient(estimate.high)})"


def _confusion(found: Sequence[AxisAgreement], look: Theme) -> Picture:
    figure, made = panel_grid(len(found), look, height=2.75)
    for panel, axis in zip(made, found, strict=True):
        counts = np.array(axis.confusion)
        shares = counts / counts.max()
        colours = rising(look)
        shaded(panel, shares, colours, 0, 1)
        for (row, column), count in np.ndenumerate(counts):
            if count:
                ink = ink_on(look, colours(shares[row, column]))
                panel.text(column, row, f"{count:,}", ha="center", va="center", fontsize=8, color=ink)
        for score in range(5):
            corner = (score - 0.5, score - 0.5)
            panel.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=look.accent, linewidth=1.1))
        panel.set_xticks(range(5), [str(score) for score in range(1, 6)])
        panel.set_yticks(range(5), [str(score) for score in range(1, 6)])
        heading(panel, axis.title, look)
        named(panel, look, x="Judge")
    named(made[0], look, x="Judge", y="People, rounded")
    words = "; ".join(
        f"{axis.title}: {axis.exact.value:.0%} equal, {axis.within1.value:.0%} within 1" for axis in found
    )
    cells = [(axis, row, column) for axis in found for row in range(5) for column in range(5)]
    data = pa.table(
        {
            "axis": [axis.name for axis, _, _ in cells],
            "people": [row + 1 for _, row, _ in cells],
            "judge": [column + 1 for _, _, column in cells],
            "count": [axis.confusion[row][column] if axis.confusion else 0 for axis, row, column in cells],
        }
    )
    text = (
        f"How often people's label (row) met the judge's most probable score (column); outlined where equal. {words}."
    )
    return Picture("confusion", "Judge's score against people's", text, figure, data)


def _reliability(found: Sequence[AxisAgreement], look: Theme) -> Picture:
    figure, made = panel_grid(len(found), look, height=2.7)
    for panel, axis in zip(made, found, strict=True):
        _reliability_axes(panel, look, axis.reliability or ())
        _curve(panel, axis.reliability or (), "o-", look.bar, "ratings in ten bins, area by number")
        heading(panel, axis.title, look)
        named(panel, look, x="Confidence")
    named(made[0], look, x="Confidence", y="Share right")
    legend(figure, made[0], look, 2)
    rows = [(axis.name, row) for axis in found for row in axis.reliability or ()]
    data = pa.table({"axis": [name for name, _ in rows], **_bin_columns([row for _, row in rows])})
    words = "; ".join(f"{axis.title} {_error(axis.ece)}" for axis in found)
    text = (
        "Probability of the judge's most probable score against how often it is people's label. "
        f"Below the dashed line the judge is too sure. Expected calibration error: {words}."
    )
    return Picture("reliability", "What the judge's confidence is worth", text, figure, data)


def _reliability_axes(panel: Axes, look: Theme, rows: Sequence[ReliabilityBin]) -> None:
    panel.plot([0, 1], [0, 1], "--", color=look.ink, linewidth=1, alpha=0.6, label="as sure as right")
    # Of five scores the most probable has at least .2, before calibration; afterwards it may have less.
    panel.set_xlim(min([0.15, *(row.confidence - 0.03 for row in rows)]), 1.03)
    panel.set_ylim(-0.03, 1.03)
    panel.set_xticks([0.2, 0.4, 0.6, 0.8, 1.0], [".2", ".4", ".6", ".8", "1"])
    panel.set_yticks([0, 0.5, 1], ["0%", "50%", "100%"])


def _curve(panel: Axes, rows: Sequence[ReliabilityBin], mark: str, colour: str, label: str) -> None:
    x, y = [row.confidence for row in rows], [row.accuracy for row in rows]
    most = max((row.n for row in rows), default=1)
    panel.plot(x, y, mark, color=colour, linewidth=1.1, markersize=3, label=label)
    panel.scatter(
        x, y, s=[12 + 90 * row.n / most for row in rows], marker=mark[0], color=colour, alpha=0.75, linewidths=0
    )


def _bin_columns(rows: Sequence[ReliabilityBin]) -> Mapping[str, pa.Array]:
    return {
        "confidence": pa.array([row.confidence for row in rows], pa.float64()),
        "accuracy": pa.array([row.accuracy for row in rows], pa.float64()),
        "n": pa.array([row.n for row in rows], pa.int64()),
    }


def _disagreement(found: Sequence[AxisAgreement], labels: pa.Table, look: Theme) -> Picture:
    figure, made = panel_grid(len(found), look, height=2.6)
    shaken = np.random.default_rng(_JITTER_SEED)
    for panel, axis in zip(made, found, strict=True):
        chosen = labels.filter(pc.equal(labels["axis"], axis.name))
        people, judge = chosen["label"].to_numpy(), chosen["expected"].to_numpy()
        low, high = (1.0, 5.0) if axis.confusion is not None else (axis.scale_low, axis.scale_high)
        room = (high - low) / 20
        cloud(panel, people + shaken.uniform(-room / 1.5, room / 1.5, len(people)), judge, look)
        if axis.confusion is not None:
            panel.plot([1, 5], [1, 5], "--", color=look.accent, linewidth=1.1)
        panel.set_xlim(low - room, high + room)
        panel.set_ylim(0.8, 5.2)
        panel.set_yticks(range(1, 6))
        panel.set_xticks(np.arange(np.ceil(low), high + 0.01) if high - low <= 10 else [low, high])
        heading(panel, axis.title, look)
        named(panel, look, x="People, mean")
    named(made[0], look, x="People, mean", y="Judge, expected")
    words = "; ".join(f"{axis.title} Spearman {estimate_words(axis.spearman)}" for axis in found)
    text = (
        "Each point is a rated conversation, moved a little to the side so that equal labels do not cover each other. "
        f"On the dashed line judge and people agree. {words}."
    )
    return Picture("disagreement", "Judge against people, conversation by conversation", text, figure, labels)


def correlation_picture(ratings: Path, titles: Mapping[str, str], theme: str) -> Picture | None:
    """How far the judge's axes go together; None with a single axis."""
    axes = [axis for axis in axes_of(ratings) if axis in titles]
    if len(axes) < 2:
        return None
    look = THEMES[theme]
    judged = {axis: read_axis(ratings, axis) for axis in axes}
    shared = judged[axes[0]].rows
    for axis in axes[1:]:
        shared = np.intersect1d(shared, judged[axis].rows)
    scores = [judged[axis].expected[np.isin(judged[axis].rows, shared)] for axis in axes]
    values = np.array([[spearman(one, other) for other in scores] for one in scores])
    colours = diverging(look)
    size = 1.9 + 0.62 * len(axes)
    figure = Figure(figsize=(min(7.2, size + 1.6), min(7.2, size)), layout="constrained", facecolor=look.paper)
    panel = figure.add_subplot()
    style(panel, look)
    shaded(panel, np.nan_to_num(values), colours, -1, 1)
    for (row, column), value in np.ndenumerate(values):
        ink = ink_on(look, colours((np.nan_to_num(value) + 1) / 2))
        words = "–" if np.isnan(value) else coefficient(value)
        panel.text(column, row, words, ha="center", va="center", fontsize=9, color=ink)
    names = [titles[axis] for axis in axes]
    panel.set_xticks(range(len(axes)), names, rotation=30, ha="right", rotation_mode="anchor")
    panel.set_yticks(range(len(axes)), names)
    pairs = [(i, j) for i in range(len(axes)) for j in range(i)]
    described = "; ".join(
        f"{names[j]} and {names[i]} {'not defined' if np.isnan(values[i, j]) else coefficient(values[i, j])}"
        for i, j in pairs
    )
    data = pa.table(
        {
            "axis": [axes[i] for i, _ in pairs],
            "other": [axes[j] for _, j in pairs],
            "spearman": pa.array([values[i, j] for i, j in pairs], pa.float64()),
        }
    )
    text = (
        f"Spearman correlation of the judge's expected scores over {len(shared):,} conversations: {described}. "
        "Axes that go together closely may tell one thing twice."
    )
    return Picture("axis_correlation", "How far the axes go together", text, figure, data)
