"""Pictures of an unlearning run; the same for screen, report and export."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from auditor.audits import Picture
from auditor.audits.look import THEMES
from auditor.audits.unlearning.figures_asked import generations_picture, probabilities_picture
from auditor.audits.unlearning.figures_evidence import files_picture, relearning_picture
from auditor.audits.unlearning.figures_training import losses_picture, trace_picture
from auditor.audits.unlearning.findings import UnlearningFindings

__all__ = ["pictures"]


def pictures(findings: UnlearningFindings, tables: Mapping[str, Path], theme: str) -> Iterator[Picture]:
    """What was forgotten and kept, however it is asked for and in every file; how training went; what is said before and after.

    Parameters
    ----------
    findings : UnlearningFindings
    tables : mapping of str to Path
        Name of a table -> its Parquet file. A picture is left out where its table is missing or empty.
    theme : str
        "light" or "dark".
    """
    look = THEMES[theme]
    draw = (
        ("metrics", probabilities_picture),
        ("files", files_picture),
        ("relearning", relearning_picture),
        ("training", losses_picture),
        ("trace", trace_picture),
        ("examples", generations_picture),
    )
    for name, of_table in draw:
        data = _table(tables, name)
        if data is not None and (picture := of_table(findings, data, look)):
            yield picture


def _table(tables: Mapping[str, Path], name: str) -> pa.Table | None:
    """A table with rows; None without."""
    if name not in tables:
        return None
    found = pq.read_table(tables[name])
    return found if found.num_rows else None
