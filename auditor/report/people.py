"""What people's judgements in a case say about a run, through the audit's optional door `beside_people`."""

from auditor import audits
from auditor.audits import PeopleFound
from auditor.case import Case
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
