"""What people's judgements in a case say about a run, through the audit's optional door `beside_people`."""

from typing import Any

from auditor import audits
from auditor.audits import PeopleFound
from auditor.case import Case
from auditor.runs.contract import RunSpec
from auditor.runs.directory import RunDirectory


def people_found(case: Case, run: RunDirectory, theme: str) -> PeopleFound | None:
    """The audit's answer; None where it has no such door or nobody judged the run.

    Raises
    ------
    RunError
        If the run has no findings.
    InputError
        If the judgements cannot be set beside the results.
    """
    audit = audits.get(run.spec().audit)
    records = case.human_ratings(run.path.name)
    door = getattr(audit, "beside_people", None)
    if door is None or not records:
        return None
    found = door(audit.FindingsType.model_validate(run.findings()), run.table_files(), records, theme)
    assert isinstance(found, PeopleFound)
    return found


def people_in_run(asked: RunSpec, findings: Any) -> str:
    """The file of people's ratings that a run was itself set beside, as a sentence; empty where there was none."""
    agreement = getattr(findings, "agreement", ())
    if "humans" not in asked.inputs or not agreement:
        return ""
    n, raters = sum(axis.ratings for axis in agreement), {rater for axis in agreement for rater in axis.raters}
    ratings = f"{n:,} ratings" if n != 1 else "1 rating"
    who = f"{len(raters):,} people" if len(raters) != 1 else "1 person"
    return f"The run itself was set beside {asked.inputs['humans'].name}: {ratings} by {who} (see Results)."
