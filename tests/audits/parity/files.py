"""Small files for tests: written to a folder, read and previewed as a run and the window would."""

from pathlib import Path
from typing import Any

from auditor.audits import Preview
from auditor.audits.parity import inputs
from auditor.audits.parity.data import Results
from auditor.audits.parity.spec import ParitySpec
from tests.audits.files import written

RESULTS = """query_id,item_id,rank,query_group,skin_tone
q1,a,1,dark,4
q1,b,2,dark,5
q2,a,1,light,4
q2,c,2,light,10
"""
CATALOG = "item_id,skin_tone,brand\na,MST 4,x\nb,5,x\nc,10,y\n"


def read(folder: Path, results: str | bytes = RESULTS, name: str = "results.csv", **asked: Any) -> Results:
    """Results of files given as role=content; everything else is a setting."""
    files = {"results": written(folder, name, results)}
    for role in ("catalog", "queries", "shares", "annotations"):
        if role in asked:
            files[role] = written(folder, f"{role}.csv", asked.pop(role))
    return inputs.read(files, ParitySpec(**{"scale": "ordinal", **asked}))


def preview(
    folder: Path, content: str | bytes, name: str = "results.csv", role: str = "results", **asked: Any
) -> Preview:
    return inputs.preview(role, written(folder, name, content), {"scale": "ordinal", **asked})


def codes(results: Results) -> dict[str, int]:
    """Warnings by their short name."""
    return {caution.code: caution.count for caution in results.cautions}
