"""Small files for tests: written to a folder, read and previewed as a run and the window would."""

from pathlib import Path
from typing import Any

from auditor.audits import Preview
from auditor.audits.guard import inputs
from auditor.audits.guard.spec import GuardSpec
from tests.audits.files import written

QUERIES = "id,text,label\nq1,Kind staff.,good\nq2,Cold soup.,bad\nq3,Warm bread.,good\nq4,Stale cake.,bad\n"
DEMONSTRATIONS = "id,text,label\nd1,Fine wine.,good\nd2,Sour milk.,bad\n"


def read(
    folder: Path, queries: str | bytes = QUERIES, demonstrations: str | bytes = DEMONSTRATIONS, **asked: Any
) -> inputs.GuardInputs:
    """Inputs of files given as content; everything else is a setting."""
    files = {"queries": queries, "demonstrations": demonstrations}
    if "corrupted" in asked:
        files["corrupted"] = asked.pop("corrupted")
    given = {role: written(folder, f"{role}.csv", content) for role, content in files.items()}
    return inputs.read(given, GuardSpec(**{"n_demonstrations": 2, **asked}))


def preview(
    folder: Path, content: str | bytes, name: str = "queries.csv", role: str = "queries", **asked: Any
) -> Preview:
    return inputs.preview(role, written(folder, name, content), asked)
