"""Which runs are sealed in some cases: elsewhere, what is left of them is not needed any more."""

from collections.abc import Iterable
from pathlib import Path

from auditor.case.case import Case
from auditor.runs.directory import RunDirectory


def sealed_runs(cases: Iterable[Path]) -> dict[str, RunDirectory]:
    """The sealed runs of some cases, by id.

    Raises
    ------
    CaseError
        If a folder is no case, or it cannot be read.
    """
    found: dict[str, RunDirectory] = {}
    for path in cases:
        with Case.open(path, write=False) as case:
            found |= {run.id: RunDirectory(run.path) for run in case.runs() if run.sealed}
    return found
