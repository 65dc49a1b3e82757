"""Pictures of what the certificate rests on: risk and p-values by threshold, and test risk over new splits."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from numpy.typing import NDArray

from auditor.audits import Picture
from auditor.audits.guard.findings import CertificateInfo, GuardFindings
from auditor.audits.guard.words import condition_words, interval, percent, points, threshold
from auditor.audits.look import DASHES, Theme, blank, legend, named, style

#: What stands at the threshold that was chosen.
_MARKS = {
    "fixed": "certified from",
    "holm": "lowest certified",
    "bonferroni": "lowest certified",
    "uncorrected": "not guaranteed,",
}
#: Conditions with a curve of their own.
_MOST_CURVES = 6
_LEAST_P = 1e-6


def risk_picture(findings: GuardFindings, data: pa.Table, look: Theme) -> Picture:
    """Risk at every threshold with its intervals, the certified region, and the p-values below."""
    found = findings.certificate
    rows = data.to_pylist()
    curves = _curves(rows)
    figure = blank(look, 4.1)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2.3, 1], squeeze=True)
    for axes in (upper, lower):
        style(axes, look)
        if found.certified:
            _shade(axes, rows, found, look)
            axes.axvline(found.lambda_hat, color=look.bar, linewidth=1.2)
    worst = _worst(curves)
    for place, (condition, curve) in enumerate(curves.items()):
        _curve(upper, curve, condition, look, place, with_band=condition == worst)
        _p_values(lower, curve, found, look, place)
    upper.axhline(
        100 * found.epsilon, color=look.accent, linewidth=1.3, linestyle="--", label="epsilon, the risk allowed"
    )
    upper.axhline(0, color=look.ink, linewidth=0.8, linestyle=":")
    lower.axhline(found.delta_spent, color=look.accent, linewidth=1.3, linestyle="--")
    _limits(upper, curves[worst], found)
    _mark(upper, found, look)
    named(upper, look, y="Risk, percentage points")
    named(lower, look, x="Confidence threshold λ  (1: always zero-shot)", y="p-value")
    legend(figure, upper, look)
    return Picture("risk_curve", "Risk by threshold", _risk_words(findings, curves[worst], worst), figure, data)


def _shade(axes: Axes, rows: Sequence[dict[str, Any]], found: CertificateInfo, look: Theme) -> None:
    """Shade the thresholds that are certified: all down to the chosen one in a fixed sequence, else one by one."""
    if not found.guaranteed:
        return
    for value in sorted({row["lambda"] for row in rows if row["passed"]}):
        reach = found.lambda_step / 2
        axes.axvspan(max(0.0, value - reach), min(1.0, value + reach), color=look.bar, alpha=0.13, linewidth=0)


def _mark(axes: Axes, found: CertificateInfo, look: Theme) -> None:
    """Say where the threshold stands, and where the published rule would put it."""
    if not found.certified:
        axes.annotate("not certified: always zero-shot", (0.99, 0.97), xycoords="axes fraction", ha="right", va="top",
                      fontsize=8.5, color=look.accent)  # fmt: skip
        return
    left = found.lambda_hat > 0.5
    axes.annotate(
        f"{_MARKS[found.select]} λ = {threshold(found.lambda_hat, found.lambda_step)}",
        (found.lambda_hat, 1),
        (-5 if left else 5, -4),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="right" if left else "left",
        va="top",
        fontsize=8.5,
        color=look.bar if found.guaranteed else look.accent,
    )
    if found.guaranteed and found.lambda_uncorrected < found.lambda_hat:
        label = "published rule, no guarantee"
        axes.axvline(found.lambda_uncorrected, color=look.accent, linewidth=1, linestyle=":", label=label)


def _curves(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Rows of each condition, by falling lambda."""
    made: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        made.setdefault(row["condition"], []).append(row)
    return {name: sorted(curve, key=lambda row: -row["lambda"]) for name, curve in made.items()}


def _worst(curves: dict[str, list[dict[str, Any]]]) -> str:
    """The condition with the highest risk anywhere; its interval is drawn, and it is drawn last of all to be cut."""
    return max(curves, key=lambda name: max(row["risk"] for row in curves[name]))


def _column(rows: Sequence[dict[str, Any]], name: str, scale: float = 1) -> NDArray[np.float64]:
    return np.array([np.nan if row[name] is None else scale * row[name] for row in rows])


def _curve(
    axes: Axes,
    curve: Sequence[dict[str, Any]],
    condition: str,
    look: Theme,
    place: int,
    *,
    with_band: bool,
) -> None:
    if place >= _MOST_CURVES and not with_band:
        return
    x, colour = _column(curve, "lambda"), look.groups[place % len(look.groups)]
    if with_band:
        low, high = _column(curve, "low", 100), _column(curve, "high", 100)
        axes.fill_between(
            x, low, high, color=look.quiet, alpha=0.6, linewidth=0, step=None, label="interval of the risk"
        )
        tested = _column(curve, "risk_test", 100)
        if np.isfinite(tested).any():
            axes.plot(x, tested, color=look.ink, linewidth=1, linestyle=":", label="risk on the test queries")
    words = condition_words(condition)
    label = "risk on the calibration queries" if condition == "mixture" else f"risk, {words}"
    axes.plot(
        x, _column(curve, "risk", 100), color=colour, linewidth=1.8, linestyle=DASHES[place % len(DASHES)], label=label
    )


def _limits(axes: Axes, worst: Sequence[dict[str, Any]], found: CertificateInfo) -> None:
    """Room for the curve, its interval and epsilon, and for the words above."""
    low = min(0.0, *(row["risk"] if row["low"] is None else row["low"] for row in worst))
    high = max(found.epsilon, *(row["risk"] if row["high"] is None else row["high"] for row in worst))
    room = high - low
    axes.set_ylim(100 * (low - 0.05 * room), 100 * (high + 0.22 * room))
    least = min(row["lambda"] for row in worst)
    axes.set_xlim(least - 0.01 * (1 - least), 1 + 0.01 * (1 - least))


def _p_values(axes: Axes, curve: Sequence[dict[str, Any]], found: CertificateInfo, look: Theme, place: int) -> None:
    if place >= _MOST_CURVES:
        return
    x, p = _column(curve, "lambda"), np.maximum(_column(curve, "p_value"), _LEAST_P)
    passed = np.array([bool(row["passed"]) for row in curve])
    tested = np.isfinite(p)
    colour = look.groups[place % len(look.groups)]
    for chosen, filled in ((tested & passed, True), (tested & ~passed, False)):
        axes.plot(
            x[chosen],
            p[chosen],
            "o",
            color=colour,
            markersize=2.6,
            markerfacecolor=colour if filled else look.paper,
            markeredgewidth=0.7,
        )
    axes.set_yscale("log")
    least = float(np.nanmin(p)) if tested.any() else found.delta_spent
    lowest = min(least, found.delta_spent / 10) / 2
    axes.set_ylim(lowest, 1.6)
    powers = [10.0**-power for power in range(7) if 10.0**-power >= lowest]
    powers = powers[:: 1 + (len(powers) - 1) // 4]
    # In plain digits: saved pictures show no mathematical markup.
    axes.set_yticks(powers, [f"{power:.6f}".rstrip("0").rstrip(".") for power in powers])
    axes.minorticks_off()


def _risk_words(findings: GuardFindings, curve: Sequence[dict[str, Any]], condition: str) -> str:
    found = findings.certificate
    at = min(curve, key=lambda row: abs(row["lambda"] - found.lambda_hat))
    shown = condition_words(condition)
    told = (
        f"Zero-shot accuracy less guarded accuracy at every threshold, with {percent(findings.confidence)} intervals by "
        f"betting (each by itself), on {found.n:,} calibration queries of {shown}; below, the p-value of the hypothesis "
        f"that the risk exceeds {points(found.epsilon, signed=False)} points: filled where "
        f"{'the threshold may be used' if found.guaranteed else 'it is at or below the level'}, open where not. "
    )
    if not found.certified:
        first = "" if found.p_first is None else f" (p = {found.p_first:.2g} at the first one tested)"
        return f"{told}No threshold below 1 passed at {found.delta_spent:g}{first}: the guard always answers zero-shot."
    p = "" if found.p_at is None else f", p = {found.p_at:.2g}"
    at_hat = threshold(found.lambda_hat, found.lambda_step)
    if not found.guaranteed:
        return (
            f"{told}The smallest threshold with p at or below {found.delta_spent:g} is {at_hat}; it carries no guarantee. There "
            f"the risk is {points(at['risk'])} points{interval(at['low'], at['high'])}{p}."
        )
    certified = f"Certified at {found.delta_spent:g} from lambda {at_hat} to 1 (shaded)."
    if found.select != "fixed":
        certified = (
            f"The lowest threshold that is certified at {found.delta_spent:g} is {at_hat}; shaded: all that are."
        )
    return (
        f"{told}{certified} There the risk is {points(at['risk'])} points{interval(at['low'], at['high'])}{p}. The published "
        f"selection would pick {threshold(found.lambda_uncorrected, found.lambda_step)}, without a guarantee."
    )


def splits_picture(findings: GuardFindings, data: pa.Table, look: Theme) -> Picture:
    """Test risk against the risk allowed, over new splits of the queries: mean, spread, the 1 - delta quantile."""
    found = findings.certificate
    epsilon, risk = data["epsilon"].to_numpy(), data["risk_test"].to_numpy()
    certified = np.array(data["certified"].to_pylist(), dtype=np.bool_)
    grid = np.unique(epsilon)
    n_splits = len(set(data["split"].to_pylist()))
    of = [risk[epsilon == value] for value in grid]
    figure = blank(look, 4.0)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1], squeeze=True)
    for axes in (upper, lower):
        style(axes, look)
    upper.plot(
        100 * epsilon, 100 * risk, "o", color=look.ink, alpha=0.35, markersize=2.6, markeredgewidth=0, label="one split"
    )
    low, high = ([100 * float(np.quantile(values, q)) for values in of] for q in (0.1, 0.9))
    if len(grid) > 1:
        upper.fill_between(100 * grid, low, high, color=look.bar, alpha=0.25, linewidth=0, label="10 to 90% of splits")
    means, tops = _summaries(of, found.delta)
    marker = {"marker": "o", "markersize": 3.5} if len(grid) < 25 else {}
    upper.plot(100 * grid, 100 * means, color=look.bar, linewidth=1.8, label="mean over splits", **marker)
    upper.plot(
        100 * grid,
        100 * tops,
        color=look.ink,
        linewidth=1.2,
        linestyle="-.",
        label=f"{percent(1 - found.delta)} quantile",
    )
    ends = np.array([0.0, 100 * max(float(grid[-1]), found.epsilon)])
    upper.plot(ends, ends, color=look.accent, linewidth=1.3, linestyle="--", label="risk = epsilon")
    upper.axhline(0, color=look.ink, linewidth=0.8, linestyle=":")
    shares = np.array([certified[epsilon == value].mean() for value in grid])
    width = 100 * (float(np.diff(grid).min()) if len(grid) > 1 else 0.05) * 0.75
    lower.bar(100 * grid, 100 * shares, width, color=look.bar)
    lower.set_ylim(0, 100)
    lower.set_yticks([0, 50, 100], ["0%", "50%", "100%"])
    room = ends[1] * 0.02 + width / 2
    lower.set_xlim(min(0.0, 100 * float(grid[0])) - room, ends[1] + room)
    named(upper, look, y="Test risk, percentage points")
    named(lower, look, x="Risk allowed, ε, percentage points", y="Certified")
    legend(figure, upper, look)
    title = f"Test risk over {n_splits:,} splits"
    return Picture("splits", title, _splits_words(findings, grid, of, shares, n_splits), figure, data)


def _summaries(of: Sequence[NDArray[np.float64]], delta: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean, and the quantile that at most a share delta of the splits exceeds, for each epsilon."""
    means = np.array([values.mean() for values in of])
    tops = np.array([np.quantile(values, 1 - delta, method="inverted_cdf") for values in of])
    return means, tops


def _splits_words(
    findings: GuardFindings,
    grid: NDArray[np.float64],
    of: Sequence[NDArray[np.float64]],
    shares: NDArray[np.float64],
    n_splits: int,
) -> str:
    found = findings.certificate
    place = int(np.argmin(np.abs(grid - found.epsilon)))
    values = of[place]
    above = int((values > grid[place] + 1e-12).sum())
    (mean,), (top,) = _summaries([values], found.delta)
    allowed = points(float(grid[place]), signed=False)
    return (
        f"The queries were split anew {n_splits:,} times; at each epsilon a threshold was chosen on one part and its risk "
        f"measured on the other. At epsilon {allowed} points: mean test risk {points(float(mean))}, "
        f"{percent(1 - found.delta)} quantile {points(float(top))}, {above:,} of {n_splits:,} splits above epsilon, "
        f"{percent(float(shares[place]))} certified. The splits share their queries, and a test risk strays from the true "
        "one by chance: this shows how the guard behaves, it does not prove the guarantee."
    )
