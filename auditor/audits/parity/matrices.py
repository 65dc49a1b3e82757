"""Matrices of ids that an index search gave, saved by numpy: FAISS, and Milvus after export."""

import tokenize
import zipfile
from typing import Any

import numpy as np

from auditor.audits import InputFile
from auditor.audits.parity.presets import FIELDS, numbered
from auditor.audits.reading.columnar import MOST_ROWS, Problems, Table, table_of
from auditor.errors import InputError, printable

_MOST_UNPACKED_BYTES = 2 * 1024**3


def numpy_matrix(file: InputFile, problems: Problems) -> Table:
    """Slots from an .npy matrix of ids, or an .npz with ``ids`` and, if wanted, ``distances`` and ``query_ids``.

    The names that FAISS gives in its examples, ``I`` and ``D``, stand for ids and distances.

    Arrays of objects are never loaded: they could run code.

    Raises
    ------
    InputError
        If the file is damaged or holds something else.
    """
    import pyarrow as pa

    ids, distances, names = _arrays(file)
    n, k = ids.shape
    if n * k > MOST_ROWS:
        raise InputError(
            f"The matrix has {n * k:,} cells", file=file.name, fix="Save fewer queries, or fewer results of each."
        )
    there = ids.ravel() != -1
    query = np.repeat(np.arange(n), k)
    for number in np.flatnonzero(~(ids != -1).any(axis=1)):
        problems.add(
            InputError("The query has no results", file=file.name, row=int(number) + 1, fix="Leave the query out.")
        )
    named = query if names is None else names[query]
    arrays = {"query_id": named[there], "id": ids.ravel()[there], "_rank": np.tile(np.arange(1, k + 1), n)[there]}
    if distances is not None:
        arrays["distance"] = distances.ravel()[there].astype(np.float64)
    fields = {key: column for key, column in FIELDS["matrix"].items() if column in arrays}
    return table_of(
        file.name,
        "numpy matrix of ids",
        {name: pa.array(array) for name, array in arrays.items()},
        query[there] + 1,
        problems,
        fields=fields,
        cautions=tuple(numbered(n if names is None else 0)),
    )


def _arrays(file: InputFile) -> tuple[Any, Any, Any]:
    bad: str | None = None
    ids: Any = None
    distances: Any = None
    names: Any = None
    try:
        if file.name.lower().endswith("npz"):
            with zipfile.ZipFile(file.path) as archive:
                if sum(entry.file_size for entry in archive.infolist()) > _MOST_UNPACKED_BYTES:
                    fix = "Save fewer queries, or fewer results of each."
                    raise InputError("The archive unpacks to more than 2 GiB", file=file.name, fix=fix)
            # Opened here, so that it is closed even where numpy gives up.
            with file.path.open("rb") as stream, np.load(stream, allow_pickle=False) as loaded:
                key = next((key for key in ("ids", "I") if key in loaded), None)
                if key is None:
                    raise InputError(
                        "The archive has no array 'ids'",
                        file=file.name,
                        value=", ".join(loaded.files[:10]),
                        fix="Save it with numpy.savez(FILE, ids=I, distances=D), with I and D of the index search, and with "
                        "query_ids= where queries have names.",
                    )
                ids = loaded[key]
                distances = loaded.get("distances", loaded.get("D"))
                names = loaded.get("query_ids")
        else:
            ids = np.load(file.path, allow_pickle=False, mmap_mode="r")
    except (
        ValueError,
        OSError,
        EOFError,
        KeyError,
        SyntaxError,
        tokenize.TokenError,
        RecursionError,
        TypeError,
        OverflowError,
        zipfile.BadZipFile,
    ) as error:
        fix = "Save it again with numpy.save or numpy.savez: whole numbers, no objects."
        problem = f"The numpy file is damaged: {printable(str(error), 160)[1:-1]}"
        raise InputError(problem, file=file.name, fix=fix) from error
    ids = np.asarray(ids)
    if ids.ndim == 1:
        ids = ids[None, :]
    if ids.ndim != 2 or ids.dtype.kind not in "iu" or not ids.size:
        bad = f"'ids' is {ids.dtype} of shape {ids.shape} instead of whole numbers of shape (queries, k)"
    elif distances is not None and (distances.shape != ids.shape or distances.dtype.kind not in "fiu"):
        bad = f"'distances' is {distances.dtype} of shape {distances.shape} instead of numbers of shape {ids.shape}"
    elif names is not None and (names.shape != ids.shape[:1] or names.dtype.kind not in "iuU"):
        bad = f"'query_ids' is {names.dtype} of shape {names.shape} instead of ids of shape {ids.shape[:1]}"
    if bad is not None:
        fix = (
            "Save what the index search gave: labels as whole numbers, distances of the same shape, one query id a row."
        )
        raise InputError(bad, file=file.name, fix=fix)
    return ids, distances, names
