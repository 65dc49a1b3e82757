"""Reading a table by columns, whatever its format: recognised by content and ending, every damaged row named.

Nothing is guessed from values: cells stay texts until a check asks for numbers. No reader here unpickles or evaluates.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from auditor.audits import InputFile
from auditor.audits.reading import delimited, json_tables
from auditor.audits.reading.columnar import Problems, Table
from auditor.audits.reading.delimited import Wanted
from auditor.audits.reading.json_tables import Nested
from auditor.audits.reading.parquet import parquet
from auditor.errors import InputError

HEAD_BYTES = 64 * 1024
_TABLE_ENDINGS = ("csv", "tsv", "tab", "txt")
_FORMATS = "CSV, TSV, JSON, JSON Lines or Parquet with a matching ending"


def every(names: tuple[str, ...]) -> Collection[str]:
    """Wants every column."""
    return names


@dataclass(frozen=True)
class Beginning:
    """What a file begins with.

    Attributes
    ----------
    kind : str
        What it looks like by its first bytes: "Parquet", "archive" (zip), "numpy", "JSON" or "text".
    text : str
        The first bytes as text.
    ending : str
        Of its name, in lower case and without the point.
    """

    kind: Literal["Parquet", "archive", "numpy", "JSON", "text"]
    text: str
    ending: str


def beginning(file: InputFile) -> Beginning:
    """Look at a file's first bytes.

    Raises
    ------
    InputError
        If it is empty, UTF-16 or UTF-32, or cannot be read.
    """
    with refusing(file), file.path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    _check_encoding(file, head)
    ending = file.name.lower().rpartition(".")[2]
    text = head.removeprefix(b"\xef\xbb\xbf").decode(errors="replace")
    if head[:4] == b"PAR1":
        return Beginning("Parquet", text, ending)
    if head[:6] == b"\x93NUMPY":
        return Beginning("numpy", text, ending)
    if head[:4] == b"PK\x03\x04":
        return Beginning("archive", text, ending)
    first = text.lstrip()[:1]
    if not first:
        raise InputError("The file is empty" if not head else "The file begins with blanks only", file=file.name)
    return Beginning("JSON" if first in "[{" and ending not in ("csv", "tsv", "tab") else "text", text, ending)


def _check_encoding(file: InputFile, head: bytes) -> None:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or head[:4] == b"\x00\x00\xfe\xff":
        raise InputError("The file is UTF-16 or UTF-32", file=file.name, fix="Save it as UTF-8.")
    if len(head) >= 8 and head[1:8:2] == b"\0\0\0\0" and head[:6] != b"\x93NUMPY":
        raise InputError("The file looks like UTF-16", file=file.name, fix="Save it as UTF-8.")


def load(
    file: InputFile, wanted: Wanted, problems: Problems, *, nested: Nested | None = None, other_formats: str = ""
) -> Table:
    """Read the columns of a file that are wanted.

    Parameters
    ----------
    wanted : callable
        Chooses the columns to read from the names of those that there are.
    problems : Problems
        Takes every row that cannot be read.
    nested : Nested, optional
        How records of a JSON file are read that hold several rows each.
    other_formats : str
        What the caller reads beside these formats, for the sentence that refuses all others.

    Raises
    ------
    InputError
        If the file as a whole cannot be read.
    """
    found = beginning(file)
    with refusing(file):
        if found.kind == "Parquet":
            return parquet(file, wanted, problems)
        if found.kind == "archive":
            fix = "Save the sheet as CSV (UTF-8)."
            raise InputError("The file is a spreadsheet or an archive", file=file.name, fix=fix)
        if found.kind == "JSON":
            return json_tables.load(file, found.text.lstrip()[:1], wanted, problems, nested=nested)
        if found.ending in _TABLE_ENDINGS and found.kind == "text":
            return delimited.table(file, found.text, found.ending, wanted, problems)
    raise InputError(
        "The format is not recognised",
        file=file.name,
        row=1,
        value=found.text.lstrip()[:40],
        fix=f"Use {_FORMATS}{other_formats}.",
    )


@contextmanager
def refusing(file: InputFile) -> Iterator[None]:
    """Tell failures of the disk and of memory as what is wrong with a file.

    Raises
    ------
    InputError
        In their place.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"The file cannot be read: {error.strerror or error}", file=file.name) from error
    except MemoryError:
        raise InputError("The file does not fit into memory", file=file.name) from None
