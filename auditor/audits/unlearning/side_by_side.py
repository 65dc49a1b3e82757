"""An unlearning run beside the other runs of its case that had the same task, in one table, for the report."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from auditor.audits import FinishedRun, FollowedOverTime
from auditor.audits.unlearning.compare_settings import differing, parts_of, setting_words
from auditor.audits.unlearning.figures_beside import beside_picture
from auditor.audits.unlearning.findings import UnlearningFindings
from auditor.audits.unlearning.metrics.metric import Metric
from auditor.audits.unlearning.verdict import ASKED, FORGOTTEN, RETAINED, asked_in
from auditor.audits.unlearning.words import counted, nats_apart, percent

#: The newest of the others, as a table and a picture have no room for all.
_MOST = 5
#: Files that make the task.
_TASK = ("forget", "retain")
_HEADERS = (
    *("Run", "Method", "To forget, a token", "Highest mean, way asked", "To keep, a token"),
    *("Retain loss, of epsilon", "Verdict"),
)
_HOW = (
    "Each row is what a run says of the model that it made, with 95% intervals. Whether two runs differ is not read from these: "
    "`auditor compare` and the Compare panel pair their examples. What another seed would change is in neither."
)


def beside_runs(run: FinishedRun, others: Sequence[FinishedRun], theme: str) -> FollowedOverTime | None:
    """Put a run beside the newest of the others that began with the same model and had the same files to forget and to keep.

    Parameters
    ----------
    run : FinishedRun
        A.
    others : sequence of FinishedRun
        In order of time.
    theme : str
        "light" or "dark".

    Returns
    -------
    FollowedOverTime or None
        None where the run has only learnt, or no other had the same task.
    """
    if not _has_task(run):
        return None
    alike = [other for other in others[::-1] if _has_task(other) and _task(other) == _task(run)]
    shown, notes = [("A", run, UnlearningFindings.model_validate(run.findings))], []
    for other in alike[:_MOST]:
        try:
            findings = UnlearningFindings.model_validate(other.findings)
        except ValidationError:
            notes.append(f"{other.run} is not shown: its findings are damaged, or of another version.")
        else:
            shown.append((f"B {len(shown)}", other, findings))
    if len(shown) == 1 and not notes:
        return None
    if len(alike) > _MOST:
        notes.append(f"{counted(len(alike) - _MOST, 'older run is', 'older runs are')} not shown here.")
    n_others = counted(len(shown) - 1, "other run", "other runs")
    first = f"A is this run. {n_others} of this case began with the same model and had the same files to forget and to keep."
    return FollowedOverTime(
        sentences=(first, *(_apart(letter, run, other) for letter, other, _ in shown[1:]), _HOW),
        headers=_HEADERS,
        rows=tuple(_row(letter, other, findings) for letter, other, findings in shown),
        notes=tuple(notes),
        pictures=(beside_picture([(letter, findings) for letter, _, findings in shown], theme),),
    )


def _has_task(run: FinishedRun) -> bool:
    """Whether it has unlearnt anything."""
    return run.findings.get("constraint") is not None


def _task(run: FinishedRun) -> tuple[Any, ...]:
    return (run.findings.get("model_sha256"), *(run.inputs.get(role) for role in _TASK))


def _apart(letter: str, run: FinishedRun, other: FinishedRun) -> str:
    """What was not set alike; values are those of the other run, then of this one."""
    found = differing(_parts(other), _parts(run))
    told = ", ".join(
        f"{words} {setting_words(theirs)} (A: {setting_words(ours)})" for words, (theirs, ours) in found.items()
    )
    return f"{letter} is {other.run}: {told or 'nothing was set otherwise'}."


def _parts(run: FinishedRun) -> Mapping[str, Any]:
    return parts_of(run.findings, run.spec, run.seed)


def _row(letter: str, run: FinishedRun, findings: UnlearningFindings) -> tuple[str, ...]:
    constraint = findings.constraint
    assert constraint is not None
    loss, epsilon = nats_apart(constraint.retain_loss_after, constraint.epsilon)
    return (
        f"{letter}: {run.run}",
        findings.method,
        _value(findings.after.get(FORGOTTEN)),
        _worst(findings),
        _value(findings.after.get(RETAINED)),
        f"{loss} of {epsilon} nats",
        findings.state,
    )


def _worst(findings: UnlearningFindings) -> str:
    """The way of asking in which the answers to forget are most probable."""
    names = asked_in(findings.after)
    if not names:
        return "–"
    name = max(names, key=lambda asked: findings.after[asked].value or 0.0)
    return f"{ASKED[name]}: {_value(findings.after[name])}"


def _value(metric: Metric | None) -> str:
    if metric is None or metric.value is None:
        return "–"
    if metric.low is None or metric.high is None:
        return percent(metric.value)
    return f"{percent(metric.value)} ({percent(metric.low)} to {percent(metric.high)})"
