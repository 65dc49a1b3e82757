"""Pictures of a parity run; the same for screen, report and export."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from auditor.audits import Picture
from auditor.audits.look import THEMES
from auditor.audits.parity.figures_effects import cells_picture, forest_picture, null_picture
from auditor.audits.parity.figures_hue import hue_picture
from auditor.audits.parity.figures_lists import profile_picture, queries_picture, tones_picture
from auditor.audits.parity.figures_power import monitor_pictures, power_pictures, power_rows_picture
from auditor.audits.parity.figures_sheet import sheet_picture
from auditor.audits.parity.findings import ParityFindings

__all__ = ["monitor_pictures", "pictures", "power_pictures"]


def pictures(findings: ParityFindings, tables: Mapping[str, Path], theme: str) -> Iterator[Picture]:
    """What the verdict rests on first, then how the results look, query by query, and what could have been seen.

    Parameters
    ----------
    findings : ParityFindings
    tables : mapping of str to Path
        Name of a table -> its Parquet file.
    theme : str
        "light" or "dark".
    """
    look = THEMES[theme]
    if findings.scale.kind == "ita" and (tones := tones_picture(findings, tables["ita"], tables["queries"], look)):
        yield tones
    if "hue" in tables and (hue := hue_picture(tables["ita"], tables["hue"], look)):
        yield hue
    if cells := cells_picture(findings, tables["cells"], look):
        yield cells
    if null := null_picture(findings, tables["null"], look):
        yield null
    yield forest_picture(findings, look)
    yield queries_picture(findings, tables["queries"], look)
    if profile := profile_picture(findings, tables["rank_profile"], tables["queries"], look):
        yield profile
    if sheet := sheet_picture(findings, tables["queries"], tables["slots"], look):
        yield sheet
    if findings.power is not None and (curves := power_rows_picture(findings, tables["power"], look)):
        yield curves
