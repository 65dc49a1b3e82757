"""The answers of search engines as slots: Elasticsearch, Vespa, and the id + distance matrices of Milvus and FAISS.

References
----------
.. [1] Elasticsearch, Search API: ``hits.hits[]`` with ``_id``, ``_score``, ``_source``; a multi-search gives ``responses``.
.. [2] Vespa, Default JSON Result Format: ``root.children[]`` with ``id``, ``relevance``, ``fields``; groups are no hits.
.. [3] FAISS, ``Index.search``: distances and labels of shape (n_queries, k); the label -1 stands for no result.
.. [4] Milvus, ``search``: a list of hits with ``id``, ``distance``, ``entity`` for every query.
"""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from auditor.audits import InputFile
from auditor.audits.findings import Caution
from auditor.audits.parity.columnar import MOST_ROWS, Problems, Table, table_of
from auditor.errors import InputError, printable

if TYPE_CHECKING:
    from auditor.audits.parity.json_tables import Rows

_TITLES = {"elasticsearch": "Elasticsearch answers", "vespa": "Vespa answers", "matrix": "Milvus or FAISS matrices"}
_PRESETS = {"elasticsearch": ("elasticsearch",), "vespa": ("vespa",), "matrix": ("milvus", "faiss")}
#: Column names of what an answer says of a hit itself; fields of the item keep their own names.
_FIELDS = {
    "elasticsearch": {"query_id": "query_id", "item_id": "_id", "score": "_score", "rank": "_rank"},
    "vespa": {"query_id": "query_id", "item_id": "id", "score": "relevance", "rank": "_rank"},
    "matrix": {"query_id": "query_id", "item_id": "id", "score": "distance", "rank": "_rank"},
}
#: Keys of an answer that hold its hits or say how it was computed: no columns.
_NOT_COLUMNS = {
    "hits",
    "root",
    "ids",
    "distances",
    "data",
    "responses",
    "took",
    "timed_out",
    "status",
    "_shards",
    "error",
    "errors",
}
_NO_RESULT = ("-1", -1)
_MOST_UNPACKED_BYTES = 2 * 1024**3

Record = tuple[int, Any]


def form_of(record: Any) -> str | None:
    """Whether a record is the answer of a search engine: elasticsearch, vespa or matrix, else None."""
    if not isinstance(record, dict):
        return None
    hits = record.get("hits")
    if (isinstance(hits, dict) and isinstance(hits.get("hits"), list)) or isinstance(record.get("responses"), list):
        return "elasticsearch"
    if isinstance(record.get("root"), dict):
        return "vespa"
    ids, data = record.get("ids"), record.get("data")
    if isinstance(ids, list) or (isinstance(data, list) and all(isinstance(hit, dict | list) for hit in data)):
        return "matrix"
    return None


def expect(file: str, form: str, preset: str) -> None:
    """Refuse a file that is of another form than the declared one.

    Raises
    ------
    InputError
        If it is.
    """
    if preset != "auto" and preset not in _PRESETS[form]:
        raise InputError(
            f"The file holds {_TITLES[form]}, but the format was set to {preset}", file=file, fix="Set Format to auto."
        )


def unpacked(document: Mapping[str, Any]) -> Iterator[Record]:
    """The answers in one JSON object: the answer itself, or an object of query id -> answer."""
    if form_of(document) is None and document and all(isinstance(answer, dict) for answer in document.values()):
        for row, (name, answer) in enumerate(document.items(), start=1):
            yield row, {"query_id": name, **answer}
    else:
        yield 1, dict(document)


def slots(file: str, form: str, title: str, records: Iterator[Record], rows: "Rows", problems: Problems) -> Table:
    """A table with one row a hit, from answers of one form."""
    unnamed = partial = empty = position = 0
    for row, record in records:
        if form_of(record) != form:
            problems.add(InputError(f"The record is none of {_TITLES[form]}", file=file, row=row))
            continue
        for answer in _answers(form, record, row, file, problems):
            if "query_id" not in answer:
                unnamed += 1
                answer = {**answer, "query_id": position}
            position += 1
            partial += _is_partial(answer)
            about = {key: value for key, value in answer.items() if key not in _NOT_COLUMNS}
            n_hits = 0
            for hit in _HITS[form](answer, row, file, problems):
                n_hits += 1
                rows.add(row, {**about, **hit})
            if not n_hits:
                empty += 1
                problems.add(
                    InputError(
                        "The query has no results",
                        file=file,
                        row=row,
                        column="query_id",
                        value=str(answer["query_id"])[:80],
                        fix="Leave the query out, or look why nothing was found.",
                    )
                )
    cautions = [*_unnamed(unnamed), *_partial(partial)]
    if position == empty and not problems.count:
        raise InputError("The file holds no answers", file=file)
    return rows.table(f"{_TITLES[form]}, {title}", fields=_FIELDS[form], cautions=tuple(cautions))


def _unnamed(count: int) -> Iterator[Caution]:
    if count:
        message = f"Answers that name no query: {count:,}. Queries are numbered from 0 in the order of the file."
        yield Caution(code="queries-numbered", message=message, count=count)


def _partial(count: int) -> Iterator[Caution]:
    if count:
        message = f"Answers that timed out or whose shards failed: {count:,}. Their results may be incomplete."
        yield Caution(code="partial-answers", message=message, count=count)


def _is_partial(answer: Mapping[str, Any]) -> bool:
    shards = answer.get("_shards")
    failed = isinstance(shards, dict) and shards.get("failed") not in (None, 0)
    root = answer.get("root")
    return failed or answer.get("timed_out") is True or (isinstance(root, dict) and bool(root.get("errors")))


def _answers(form: str, record: Mapping[str, Any], row: int, file: str, problems: Problems) -> Iterator[dict[str, Any]]:
    """One answer a query: a multi-search and matrices hold several."""
    if form == "elasticsearch" and isinstance(record.get("responses"), list):
        for answer in record["responses"]:
            if form_of(answer) == form:
                yield answer
            else:
                problems.add(InputError("One of the responses holds no hits", file=file, row=row, column="responses"))
    elif form == "matrix":
        yield from _matrix_rows(record, row, file, problems)
    else:
        yield dict(record)


def _matrix_rows(record: Mapping[str, Any], row: int, file: str, problems: Problems) -> Iterator[dict[str, Any]]:
    name = "ids" if isinstance(record.get("ids"), list) else "data"
    ids, distances, names = record[name], record.get("distances"), record.get("query_ids")
    about = {key: value for key, value in record.items() if key not in _NOT_COLUMNS and key != "query_ids"}
    if not any(isinstance(one, list) for one in ids):  # a single query
        ids, distances = [ids], None if distances is None else [distances]
    for column, other in (("distances", distances), ("query_ids", names)):
        if other is not None and (not isinstance(other, list) or len(other) != len(ids)):
            found = len(other) if isinstance(other, list) else type(other).__name__
            problems.add(
                InputError(
                    f"There are {len(ids)} lists of ids, but not of {column}",
                    file=file,
                    row=row,
                    column=column,
                    value=found,
                )
            )
            return
    if "query_id" in about and len(ids) > 1:
        problems.add(
            InputError(
                "One query_id stands for several lists of ids",
                file=file,
                row=row,
                column="query_id",
                fix="Write query_ids.",
            )
        )
        return
    for number, one in enumerate(ids):
        answer = {**about, name: one, "distances": None if distances is None else distances[number]}
        if names is not None:
            answer["query_id"] = names[number]
        yield answer


def _elastic_hits(answer: Mapping[str, Any], row: int, file: str, problems: Problems) -> Iterator[dict[str, Any]]:
    for place, hit in enumerate(answer["hits"]["hits"], start=1):
        if not isinstance(hit, dict):
            problems.add(_no_hit(file, row, place))
            continue
        source, fields = hit.get("_source"), hit.get("fields")
        found = _renamed(source) if isinstance(source, dict) else {}
        if isinstance(fields, dict):  # fields come as lists, mostly of one value
            one = {
                key: value[0] if isinstance(value, list) and len(value) == 1 else value for key, value in fields.items()
            }
            found |= _renamed(one)
        yield {**found, "_id": hit.get("_id"), "_score": hit.get("_score"), "_rank": place}


def _vespa_hits(answer: Mapping[str, Any], row: int, file: str, problems: Problems) -> Iterator[dict[str, Any]]:
    children = answer["root"].get("children")
    place = 0
    for hit in children if isinstance(children, list) else ():
        if not isinstance(hit, dict):
            problems.add(_no_hit(file, row, place + 1))
        elif not str(hit.get("id", ""))[:20].startswith("group:"):
            place += 1
            fields = hit.get("fields")
            found = _renamed(fields) if isinstance(fields, dict) else {}
            yield {**found, "id": hit.get("id"), "relevance": hit.get("relevance"), "_rank": place}


def _renamed(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of an item; those named as the answer's own columns are, are set apart."""
    own = {"query_id", "_id", "_score", "_rank", "id", "relevance"}
    return {f"field.{key}" if key in own else key: value for key, value in fields.items()}


def _matrix_hits(answer: Mapping[str, Any], row: int, file: str, problems: Problems) -> Iterator[dict[str, Any]]:
    ids: Sequence[Any] = answer.get("ids") or answer.get("data") or []
    distances = answer.get("distances")
    if not isinstance(ids, list) or (
        distances is not None and (not isinstance(distances, list) or len(distances) != len(ids))
    ):
        problems.add(
            InputError(
                "Ids and distances of a query are not lists of one length", file=file, row=row, column="distances"
            )
        )
        return
    for place, hit in enumerate(ids):
        distance = None if distances is None else distances[place]
        if isinstance(hit, dict):
            entity = hit.get("entity")
            found = _renamed(entity) if isinstance(entity, dict) else {}
            own = {"id": hit.get("id"), "distance": hit.get("distance", hit.get("score"))}
            yield {**found, **own, "_rank": place + 1}
        elif hit not in _NO_RESULT:
            yield {"id": hit, "distance": distance, "_rank": place + 1}


def _no_hit(file: str, row: int, place: int) -> InputError:
    return InputError(f"Hit {place} is no object", file=file, row=row, column="hits")


_HITS = {"elasticsearch": _elastic_hits, "vespa": _vespa_hits, "matrix": _matrix_hits}


def numpy_matrix(file: InputFile, problems: Problems) -> Table:
    """Slots from an .npy matrix of ids, or an .npz with ``ids`` and, if wanted, ``distances`` and ``query_ids``.

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
        raise InputError(f"The matrix has {n * k:,} cells", file=file.name)
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
    fields = {key: column for key, column in _FIELDS["matrix"].items() if column in arrays}
    return table_of(
        file.name,
        "numpy matrix of ids",
        {name: pa.array(array) for name, array in arrays.items()},
        query[there] + 1,
        problems,
        fields=fields,
        cautions=tuple(_unnamed(n if names is None else 0)),
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
                    raise InputError("The archive unpacks to more than 2 GiB", file=file.name)
            # Opened here, so that it is closed even where numpy gives up.
            with file.path.open("rb") as stream, np.load(stream, allow_pickle=False) as loaded:
                if "ids" not in loaded:
                    raise InputError(
                        "The archive has no array 'ids'", file=file.name, value=", ".join(loaded.files[:10])
                    )
                ids = loaded["ids"]
                distances = loaded.get("distances")
                names = loaded.get("query_ids")
        else:
            ids = np.load(file.path, allow_pickle=False, mmap_mode="r")
    except (
        ValueError,
        OSError,
        EOFError,
        KeyError,
        SyntaxError,
        TypeError,
        OverflowError,
        zipfile.BadZipFile,
    ) as error:
        raise InputError(f"The numpy file is damaged: {printable(str(error), 160)}", file=file.name) from error
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
        raise InputError(bad, file=file.name, fix="Save the labels that the index search gave, as integers.")
    return ids, distances, names
