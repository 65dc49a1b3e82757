"""What the runs of a case say together, through the audit's optional doors `over_time` and `beside_runs`."""

from auditor import audits
from auditor.audits import FinishedRun, FollowedOverTime
from auditor.case import Case
from auditor.runs.directory import RunDirectory


def finished(case: Case, audit: str) -> list[FinishedRun]:
    """The sealed runs of an audit in a case, in order of time."""
    return [
        as_finished(RunDirectory(summary.path))
        for summary in reversed(case.runs())
        if summary.audit == audit and summary.sealed
    ]


def as_finished(run: RunDirectory) -> FinishedRun:
    """A run with findings, as its audit sees it beside others.

    Raises
    ------
    RunError
        If it has none.
    """
    asked = run.spec()
    inputs = {role: file.sha256 for role, file in asked.inputs.items()}
    tables = run.table_files()
    return FinishedRun(run.path.name, asked.created, run.findings(), tables, inputs, spec=asked.spec, seed=asked.seed)


def n_on_same_input(case: Case, run: RunDirectory, role: str) -> int:
    """How many finished runs of a run's audit were made on its file of a role, itself among them if it is finished.

    Seeds and settings may differ, and with them which records of the file a run used for what.
    """
    asked = run.spec()
    wanted = asked.inputs[role].sha256
    return sum(
        summary.audit == asked.audit and summary.sealed and summary.inputs.get(role) == wanted
        for summary in case.runs()
    )


def over_time(case: Case, run: RunDirectory, theme: str) -> FollowedOverTime | None:
    """What a run's question has come to over the runs of its audit; None where the audit has no such door or no other run.

    Raises
    ------
    InputError
        If the runs cannot be followed.
    """
    return _together(case, run, "over_time", theme)


def beside_runs(case: Case, run: RunDirectory, theme: str) -> FollowedOverTime | None:
    """A run beside the others of its audit; None where the audit has no such door or no other can stand beside it."""
    return _together(case, run, "beside_runs", theme)


def _together(case: Case, run: RunDirectory, name: str, theme: str) -> FollowedOverTime | None:
    audit = run.spec().audit
    door = getattr(audits.get(audit), name, None)
    runs = {each.run: each for each in finished(case, audit)} if door else {}
    if door is None or run.path.name not in runs or len(runs) < 2:
        return None
    found = door(runs.pop(run.path.name), list(runs.values()), theme)
    assert found is None or isinstance(found, FollowedOverTime)
    return found
