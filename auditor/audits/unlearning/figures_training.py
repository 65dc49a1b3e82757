"""Pictures of how training went: losses against epsilon, lambda, and probabilities while it ran."""

from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from auditor.audits import Picture
from auditor.audits.look import Theme, blank, legend, named, panel, style
from auditor.audits.unlearning.findings import UnlearningFindings
from auditor.audits.unlearning.words import nats, percent

_FEW_STEPS = 60


def losses_picture(findings: UnlearningFindings, data: pa.Table, look: Theme) -> Picture | None:
    """The forget term, the retain loss against epsilon, and lambda where there is one, step by step."""
    steps = _column(data, "step")
    retain, weight = _column(data, "retain_loss"), _column(data, "lambda")
    has_retain, has_lambda = np.isfinite(retain).any(), np.isfinite(weight).any()
    n_panels = 1 + int(has_retain) + int(has_lambda)
    figure = blank(look, 1.2 + 1.35 * n_panels)
    panels = list(np.atleast_1d(figure.subplots(n_panels, 1, sharex=True)))
    for axes in panels:
        style(axes, look)
    _line(panels[0], steps, _column(data, "forget_loss"), look.groups[1], "forget loss")
    named(panels[0], look, y="Loss" if findings.constraint is None else "Forget loss")
    if has_retain:
        _line(panels[1], steps, retain, look.groups[0], "retain loss of the step's batch")
        if findings.constraint is not None:
            epsilon = findings.constraint.epsilon
            panels[1].axhline(epsilon, color=look.accent, linewidth=1.3, linestyle="--", label="epsilon")
        named(panels[1], look, y="Retain loss, nats")
        legend(figure, panels[1], look)
    if has_lambda:
        _line(panels[-1], steps, weight, look.ink, "lambda")
        named(panels[-1], look, y="Lambda")
    if findings.training.kept_step != findings.training.steps:
        for axes in panels:
            axes.axvline(findings.training.kept_step, color=look.bar, linewidth=1, linestyle=":")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    named(panels[-1], look, x="Step", y=str(panels[-1].get_ylabel()))
    return Picture("losses", "Losses and lambda by step", _losses_words(findings, retain, weight), figure, data)


def _losses_words(findings: UnlearningFindings, retain: NDArray[np.float64], weight: NDArray[np.float64]) -> str:
    told = f"{findings.training.steps:,} steps."
    if findings.constraint is not None and np.isfinite(retain).any():
        epsilon = findings.constraint.epsilon
        above = int((retain > epsilon).sum())
        told += (
            f" The retain loss of the step's batch lay above epsilon, {nats(epsilon)}, in {above:,} of {len(retain):,} steps; "
            f"over all answers to keep it ends at {nats(findings.constraint.retain_loss_after)}."
        )
    if np.isfinite(weight).any():
        told += f" Lambda ran from {np.nanmin(weight):.4g} to {np.nanmax(weight):.4g}."
    if findings.training.kept_step != findings.training.steps:
        told += f" The dotted line is step {findings.training.kept_step:,}, whose weights were kept."
    return told


def trace_picture(findings: UnlearningFindings, data: pa.Table, look: Theme) -> Picture:
    """Probability of the probed answers to forget and to keep, while the model was trained."""
    figure, axes = panel(look, 2.9)
    steps = _column(data, "step")
    forget, retain = _column(data, "forget_probability"), _column(data, "retain_probability")
    _line(axes, steps, retain, look.groups[0], "to keep", marker="o")
    _line(axes, steps, forget, look.groups[1], "to forget", marker="s", dashed=True)
    bound = findings.most_probability
    axes.axhline(bound, color=look.ink, linewidth=0.9, linestyle=":", label=f"forgotten below {percent(bound)}")
    axes.set_ylim(-0.02, 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    named(axes, look, x="Step", y="Probability a token")
    legend(figure, axes, look)
    words = (
        f"Mean probability a token of at most {int(max(_column(data, 'n'))):,} answers of each kind: to forget "
        f"{percent(float(forget[0]))} at step {int(steps[0]):,} and {percent(float(forget[-1]))} at step {int(steps[-1]):,}; "
        f"to keep {percent(float(retain[0]))} and {percent(float(retain[-1]))}."
    )
    return Picture("trace", "Probabilities while it trained", words, figure, data)


def _column(data: pa.Table, name: str) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else float(value) for value in data[name].to_pylist()])


def _line(
    axes: Axes,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    colour: str,
    label: str,
    *,
    marker: str = "o",
    dashed: bool = False,
) -> None:
    drawn: dict[str, Any] = {"marker": marker, "markersize": 3.5} if len(x) <= _FEW_STEPS else {}
    axes.plot(x, y, color=colour, linewidth=1.6, linestyle="--" if dashed else "-", label=label, **drawn)
