"""Annotations as a table that people save and a run takes in: a row for each judgement.

Spreadsheets take a cell that begins with one of ``= + - @`` for a formula. What is written here has an apostrophe before
such a cell and before an apostrophe; reading takes it away, so that ids come back as they were.
"""

import csv
import io
from collections.abc import Iterable, Mapping

COLUMNS = ("item_id", "rater", "value", "source", "ita_degrees")
#: Source of a judgement by which a person stands for what was measured from the image.
CONFIRMED = "measurement confirmed"
_ACTING = ("=", "+", "-", "@", "\t", "\r", "'")


def write(rows: Iterable[Mapping[str, object]]) -> str:
    """Annotations as CSV, from mappings with the keys of `COLUMNS`; cells that a spreadsheet would act on are defused.

    Degrees are written of confirmed measurements only.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        cells = {column: row.get(column, "") for column in COLUMNS}
        if row.get("source") != CONFIRMED or cells["ita_degrees"] is None:
            cells["ita_degrees"] = ""  # what was measured stays a proposal until a person confirms it
        # A number below 0 is no formula, and stays one.
        writer.writerow([str(cell) if isinstance(cell, float) else defused(str(cell)) for cell in cells.values()])
    return text.getvalue()


def defused(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula; `as_it_was` undoes it."""
    return f"'{cell}" if cell.startswith(_ACTING) else cell


def as_it_was(cell: str) -> str:
    """A cell without the apostrophe that `defused` put before it."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_ACTING) else cell
