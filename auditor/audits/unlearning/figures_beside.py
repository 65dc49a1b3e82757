"""Picture of unlearning runs of one task: how far each forgets, against what it keeps."""

from collections.abc import Sequence

import pyarrow as pa

from auditor.audits import Picture
from auditor.audits.look import MARKS, THEMES, legend, named, panel
from auditor.audits.unlearning.figures_compare import whiskers
from auditor.audits.unlearning.findings import UnlearningFindings
from auditor.audits.unlearning.metrics.metric import Metric
from auditor.audits.unlearning.verdict import FORGOTTEN, RETAINED
from auditor.audits.unlearning.words import percent


def beside_picture(runs: Sequence[tuple[str, UnlearningFindings]], theme: str) -> Picture:
    """Mean probability of answers to forget and to keep, of the start model and after every run.

    Parameters
    ----------
    runs : sequence of (letter, findings)
        At most six, of one start model, the first of them this report's.
    theme : str
        "light" or "dark".
    """
    look = THEMES[theme]
    figure, axes = panel(look, 3.6)
    first = runs[0][1]
    start = _point(first.before)
    for (letter, findings), colour, mark in zip(runs, look.groups, MARKS, strict=False):
        x, y = findings.after.get(FORGOTTEN), findings.after.get(RETAINED)
        if x is None or y is None or x.value is None or y.value is None:
            continue
        if (own := _point(findings.before)) is not None:
            axes.plot([own[0], x.value], [own[1], y.value], color=colour, linewidth=1, linestyle=":")
        whiskers(axes, x, y, colour)
        label = f"{letter}: {findings.method}"
        axes.plot([x.value], [y.value], mark, color=colour, markersize=7, label=label, linestyle="none")
    if start is not None:
        axes.plot([start[0]], [start[1]], "X", color=look.ink, markersize=7, label="A's start", linestyle="none")
        limit = (1 - first.most_lost) * start[1]
        axes.axhline(limit, color=look.ink, linewidth=0.9, linestyle="--", label=f"A's limit, kept: {percent(limit)}")
    bound = first.most_probability
    axes.axvline(bound, color=look.ink, linewidth=0.9, linestyle=":", label=f"A's limit, forgotten: {percent(bound)}")
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    named(axes, look, x="Probability of answers to forget, a token", y="Probability of answers to keep, a token")
    legend(figure, axes, look, columns=4)
    text = (
        "Mean probability a token of answers to forget and to keep, asked as trained, of the start model and after each run of "
        "the table, with 95% intervals; dotted lines begin where a run measured the start model. Further left is more forgotten, "
        "further up better kept. Lines are this run's limits."
    )
    return Picture("beside_runs", "Forgetting against retention, run by run", text, figure, _data(runs))


def _point(metrics: dict[str, Metric]) -> tuple[float, float] | None:
    x, y = metrics.get(FORGOTTEN), metrics.get(RETAINED)
    if x is None or y is None or x.value is None or y.value is None:
        return None
    return x.value, y.value


def _data(runs: Sequence[tuple[str, UnlearningFindings]]) -> pa.Table:
    def column(name: str, part: str, when: str) -> pa.Array:
        found = [getattr(findings, when).get(name) for _, findings in runs]
        return pa.array([None if one is None else getattr(one, part) for one in found], pa.float64())

    return pa.table(
        {
            "run": [letter for letter, _ in runs],
            "method": [findings.method for _, findings in runs],
            **{
                f"{short}_{when}{end}": column(name, part, when)
                for short, name in (("forget", FORGOTTEN), ("retain", RETAINED))
                for when in ("before", "after")
                for end, part in (("", "value"), ("_low", "low"), ("_high", "high"))
            },
        }
    )
