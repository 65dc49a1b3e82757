"""What the runs of a case say together, through the audit's optional doors `over_time` and `beside_runs`."""

from auditor import audits
from auditor.audits import FinishedRun, FollowedOverTime
from auditor.case import Case
from auditor.runs.directory import RunDirectory


def finished(case: Case, audit: str) -> list[FinishedRun]:
    """The sealed runs of an audit in a case, in order of time."""
    found = []
    for summary in reversed(case.runs()):
        if summary.audit == audit and summary.sealed:
            run = RunDirectory(summary.path)
            found.append(
                FinishedRun(summary.id, summary.created, run.findings(), run.table_files(), inputs=summary.inputs)
            )
    return found


def over_time(case: Case, run: RunDirectory, theme: str) -> FollowedOverTime | None:
    """The audit's answer; None where it has no such door or the case holds one run of it only.

    Raises
    ------
    InputError
        If the runs cannot be followed.
    """
    audit = run.spec().audit
    door = getattr(audits.get(audit), "over_time", None)
    if door is None:
        return None
    runs = finished(case, audit)
    if len(runs) < 2:
        return None
    found = door(runs, theme)
    assert isinstance(found, FollowedOverTime)
    return found


def beside_runs(case: Case, run: RunDirectory, theme: str) -> FollowedOverTime | None:
    """A run beside the others of its audit; None where the audit has no such door or the case holds no other run."""
    audit = run.spec().audit
    door = getattr(audits.get(audit), "beside_runs", None)
    runs = {each.run: each for each in finished(case, audit)} if door else {}
    if door is None or run.path.name not in runs or len(runs) < 2:
        return None
    found = door(runs.pop(run.path.name), list(runs.values()), theme)
    assert isinstance(found, FollowedOverTime)
    return found
