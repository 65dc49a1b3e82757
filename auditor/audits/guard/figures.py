"""Pictures of a guard run; the same for screen, report and export."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from auditor.audits import Picture
from auditor.audits.guard.figures_attacks import attacks_picture
from auditor.audits.guard.figures_demonstrations import attention_picture, influence_picture
from auditor.audits.guard.figures_layers import cost_picture, exits_picture, layers_picture
from auditor.audits.guard.figures_risk import risk_picture, splits_picture
from auditor.audits.guard.findings import GuardFindings
from auditor.audits.look import THEMES

__all__ = ["pictures"]


def pictures(findings: GuardFindings, tables: Mapping[str, Path], theme: str) -> Iterator[Picture]:
    """What the certificate rests on, what attacks do with and without it, where answers come from, and what it costs.

    Parameters
    ----------
    findings : GuardFindings
    tables : mapping of str to Path
        Name of a table -> its Parquet file. A picture is left out where its table is missing or empty.
    theme : str
        "light" or "dark".
    """
    look = THEMES[theme]
    draw = (
        ("risk_curve", risk_picture),
        ("conditions", attacks_picture),
        ("layers", layers_picture),
        ("exits", exits_picture),
        ("splits", splits_picture),
        ("influence", influence_picture),
        ("attention", attention_picture),
    )
    for name, of_table in draw:
        data = _table(tables, name)
        if data is not None and (picture := of_table(findings, data, look)):
            yield picture
    cost = _table(tables, "cost")
    if cost is not None:
        yield cost_picture(findings, cost, _table(tables, "timing"), look)


def _table(tables: Mapping[str, Path], name: str) -> pa.Table | None:
    """A table with rows; None without."""
    if name not in tables:
        return None
    found = pq.read_table(tables[name])
    return found if found.num_rows else None
