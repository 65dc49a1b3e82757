"""Pictures of findings: rendered the same every time, with the data behind them."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor import audits
from auditor.audits import Picture
from auditor.errors import InputError, RunError
from auditor.files import write_atomic
from auditor.runs.directory import RunDirectory

if TYPE_CHECKING:
    import pyarrow as pa

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
#: The outline of a space; some readers complain of a path without any.
_NO_OUTLINE = re.compile(r'<path( id="[^"]*")?( transform="[^"]*")?/>')
_ID = re.compile(r'(\bid="|\bhref="#|url\(#)')


@dataclass(frozen=True)
class Rendered:
    """A picture as SVG text, with title and description in words."""

    name: str
    title: str
    description: str
    svg: str


def pictures(run: RunDirectory, theme: str) -> Iterator[Picture]:
    """The audit's pictures of a finished run.

    Raises
    ------
    RunError
        If it has no findings.
    """
    audit = audits.get(run.spec().audit)
    findings = audit.FindingsType.model_validate(run.findings())
    return audit.pictures(findings, run.table_files(), theme)


def render(run: RunDirectory, theme: str) -> list[Rendered]:
    """All pictures of a run as SVG; `theme` is "light" or "dark"."""
    return [rendered(picture) for picture in pictures(run, theme)]


def rendered(picture: Picture) -> Rendered:
    """A picture as SVG with its words; its data, often a line for each unit, are read again when they are exported."""
    return Rendered(picture.name, picture.title, picture.description, svg(picture))


def export(run: RunDirectory, theme: str, name: str, path: Path) -> None:
    """Save a picture of a run, or its data; see `save`."""
    save(pictures(run, theme), name, path)


def save(found: Iterable[Picture], name: str, path: Path) -> None:
    """Save one of some pictures, or its data, by the ending: .svg, .png (300 dots an inch), .pdf or .csv.

    Raises
    ------
    InputError
        If the ending is another one.
    RunError
        If there is no such picture.
    """
    for picture in found:
        if picture.name == name:
            write_atomic(path, _encoded(picture, path))
            return
    raise RunError(f"The run has no picture named {name!r}.")


def _encoded(picture: Picture, path: Path) -> bytes:
    match path.suffix.lower():
        case ".svg":
            return svg(picture).encode()
        case ".csv":
            return data_csv(picture.data).encode()
        case ".png":
            return _saved(picture, "png", {"Software": None}, dpi=300)
        case ".pdf":
            return _saved(picture, "pdf", {"CreationDate": None, "Producer": None, "Creator": None})
    raise InputError("The ending tells the format", file=path.name, fix="Use .svg, .png, .pdf or .csv.")


def _saved(picture: Picture, form: str, metadata: dict[str, Any], **options: Any) -> bytes:
    import matplotlib as mpl
    from matplotlib.text import Text

    buffer = io.BytesIO()
    # Text becomes outlines and ids get a fixed salt: the same picture is the same bytes on every machine.
    with mpl.rc_context(
        {"svg.hashsalt": "auditor", "svg.fonttype": "path", "font.family": "DejaVu Sans", "text.parse_math": False}
    ):
        # Text is never markup: dollars are dollars, in what was made before and in what is made while saving.
        for text in picture.figure.findobj(Text):
            text.set_parse_math(False)
        picture.figure.savefig(buffer, format=form, metadata=metadata, **options)
    return buffer.getvalue()


def svg(picture: Picture) -> str:
    """SVG text without an XML header, its ids prefixed by the picture's name so that several fit on a page."""
    text = _saved(picture, "svg", {"Date": None, "Creator": None}).decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = _NO_OUTLINE.sub(r'<path\1\2 d="M0 0z"/>', text)
    return _ID.sub(lambda match: f"{match[1]}{picture.name}-", text)


def data_csv(table: "pa.Table") -> str:
    """A table as CSV in which no cell is taken for a formula by a spreadsheet."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([neutral(name) for name in table.column_names])
    for batch in table.to_batches(max_chunksize=10_000):
        for record in batch.to_pylist():
            writer.writerow([neutral(value) for value in record.values()])
    return buffer.getvalue()


def neutral(value: object) -> object:
    """A cell value; text that a spreadsheet would run as a formula gets an apostrophe in front."""
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return "" if value is None else value
