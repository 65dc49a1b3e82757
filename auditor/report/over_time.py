"""What the runs of a case say together, through the audit's optional door `over_time`."""

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
            found.append(FinishedRun(summary.id, summary.created, run.findings(), run.table_files()))
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
