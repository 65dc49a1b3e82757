"""Reading the files of a parity run: tables, and beside them TREC runs, numpy matrices and the answers of search engines."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.audits import InputFile
from auditor.audits.parity import matrices, presets
from auditor.audits.reading import delimited, readers
from auditor.audits.reading.columnar import Problems, Table, check_lengths, table_of
from auditor.audits.reading.delimited import Wanted
from auditor.audits.reading.text import is_utf8, lines
from auditor.errors import InputError

#: Longer cells are no ids and no labels (ours).
LONGEST_CELL = 1_000

_TREC = ("qid", "Q0", "docid", "rank", "score", "tag")
_TREC_FIELDS = {"query_id": "qid", "item_id": "docid", "rank": "rank", "score": "score"}
_OTHER_FORMATS = ", a TREC run, or the JSON of a search engine"


def load(file: InputFile, preset: str, wanted: Wanted, problems: Problems) -> Table:
    """Read the columns of a file that are wanted.

    Parameters
    ----------
    preset : str
        "auto", or the format that the person declared for results; a file of another format is refused.
    problems : Problems
        Takes every row that cannot be read.

    Raises
    ------
    InputError
        If the file as a whole cannot be read.
    """
    with readers.refusing(file):
        table = _load(file, preset, wanted, problems)
    check_lengths(table, LONGEST_CELL, problems)
    return table


def _load(file: InputFile, preset: str, wanted: Wanted, problems: Problems) -> Table:
    found = readers.beginning(file)
    if found.kind == "numpy" or (found.kind == "archive" and found.ending == "npz"):
        _expect(file, preset, ("auto", "milvus", "faiss"), "a numpy matrix")
        return matrices.numpy_matrix(file, problems)
    if found.kind == "Parquet":
        _expect(file, preset, ("auto", "long"), "Parquet")
    if found.kind == "text":
        if preset == "trec" or (preset == "auto" and _is_trec(found.text)):
            return _trec(file, found.text, wanted, problems)
        _expect(file, preset, ("auto", "long"), "a table")
    return readers.load(file, wanted, problems, nested=presets.Answers(preset), other_formats=_OTHER_FORMATS)


def _expect(file: InputFile, preset: str, fitting: tuple[str, ...], what: str) -> None:
    if preset not in fitting:
        raise InputError(
            f"The file is {what}, but “Format” was set to {preset}",
            file=file.name,
            fix="Set “Format” to auto, or give another file.",
        )


def _is_trec(text: str) -> bool:
    cells = text.lstrip("\r\n").splitlines()[0].split()
    return len(cells) == 6 and cells[1].upper() == "Q0"


def _trec(file: InputFile, text: str, wanted: Wanted, problems: Problems) -> Table:
    first = text.lstrip("\r\n").splitlines()[0]
    delimiter = "\t" if first.count("\t") == 5 else " "
    used = [number for number, name in enumerate(_TREC) if name in {*wanted(_TREC), *_TREC_FIELDS.values()}]
    arrays: dict[str, Any] = {}
    rows = np.zeros(0, np.int64)
    found = Problems()
    if first.count(delimiter) == 5:
        arrays, rows = delimited.columns(file, _TREC, used, delimiter, 0, False, found)
    if found.count or not arrays or not is_utf8(file):  # several blanks between cells: split line by line
        arrays, rows = _trec_lines(file, used, problems)
    return table_of(file.name, "TREC run", arrays, rows, problems, names=_TREC, fields=_TREC_FIELDS)


def _trec_lines(file: InputFile, used: Sequence[int], problems: Problems) -> tuple[dict[str, Any], NDArray[np.int64]]:
    import pyarrow as pa

    cells: list[list[bytes]] = [[] for _ in used]
    rows = []
    for row, line in enumerate(lines(file), start=1):
        found = line.split()
        if len(found) == 6:
            rows.append(row)
            for column, number in zip(cells, used, strict=True):
                column.append(found[number])
        elif found:
            problems.add(
                InputError(
                    f"The line has {len(found)} cells, a TREC run 6",
                    file=file.name,
                    row=row,
                    value=line[:80].decode(errors="replace"),
                    fix="Write: query Q0 document rank score tag.",
                )
            )
    if not rows and problems.count:
        raise InputError(
            "No line is one of a TREC run: query Q0 document rank score tag",
            file=file.name,
            row=1,
            value=next(lines(file))[:80].decode(errors="replace").strip(),
            fix="Set “Format” to auto, or give another file.",
        )
    arrays = {_TREC[number]: pa.array(column, pa.binary()) for column, number in zip(cells, used, strict=True)}
    return arrays, np.array(rows, np.int64)
