"""The answers of search engines as slots: Elasticsearch, Vespa, and the id + distance matrices of Milvus and FAISS.

References
----------
.. [1] Elasticsearch, Search API: ``hits.hits[]`` with ``_id``, ``_score``, ``_source``; a multi-search gives ``responses``.
.. [2] Vespa, Default JSON Result Format: ``root.children[]`` with ``id``, ``relevance``, ``fields``; groups are no hits.
.. [3] FAISS, ``Index.search``: distances and labels of shape (n_queries, k); the label -1 stands for no result.
.. [4] Milvus, ``search``: a list of hits with ``id``, ``distance``, ``entity`` for every query.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auditor.audits.findings import Caution
from auditor.audits.parity.settings import named
from auditor.audits.reading.columnar import Problems, Table
from auditor.errors import InputError

if TYPE_CHECKING:
    from auditor.audits.reading.json_rows import Rows

_TITLES = {"elasticsearch": "Elasticsearch answers", "vespa": "Vespa answers", "matrix": "Milvus or FAISS matrices"}
_PRESETS = {"elasticsearch": ("elasticsearch",), "vespa": ("vespa",), "matrix": ("milvus", "faiss")}
#: Column names of what an answer says of a hit itself; fields of the item keep their own names.
FIELDS = {
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
    ids, data = record.get("ids", record.get("I")), record.get("data")
    if isinstance(ids, list) or (isinstance(data, list) and all(isinstance(hit, dict | list) for hit in data)):
        return "matrix"
    return None


@dataclass(frozen=True)
class Answers:
    """Reads the answers of search engines from JSON; see `auditor.audits.reading.json_tables.Nested`.

    Attributes
    ----------
    preset : str
        "auto", or the format that the person declared; answers of another form are refused.
    """

    preset: str

    def form_of(self, record: Any) -> str | None:
        """What a record is; see `form_of`."""
        return form_of(record)

    def unpacked(self, document: Mapping[str, Any]) -> Iterator[Record]:
        """The answers in one JSON object: the answer itself, or an object of query id -> answer."""
        if form_of(document) is None and document and all(isinstance(answer, dict) for answer in document.values()):
            for row, (name, answer) in enumerate(document.items(), start=1):
                yield row, {"query_id": name, **answer}
        else:
            yield 1, dict(document)

    def may_be_plain(self, file: str) -> None:
        """Refuse a plain table where answers were declared.

        Raises
        ------
        InputError
            If they were.
        """
        if self.preset not in ("auto", "long"):
            fix = f"Set {named('preset')} to auto."
            raise InputError(f"The file holds no answers of {self.preset}", file=file, fix=fix)

    def table(
        self, file: str, form: str, title: str, records: Iterator[Record], rows: "Rows", problems: Problems
    ) -> Table:
        """A table with one row a hit.

        Raises
        ------
        InputError
            If the answers are of another form than the declared one.
        """
        if self.preset != "auto" and self.preset not in _PRESETS[form]:
            raise InputError(
                f"The file holds {_TITLES[form]}, but {named('preset')} was set to {self.preset}",
                file=file,
                fix=f"Set {named('preset')} to auto.",
            )
        return slots(file, form, title, records, rows, problems)


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
    cautions = [*numbered(unnamed), *_partial(partial)]
    if position == empty and not problems.count:
        raise InputError("The file holds no answers", file=file)
    return rows.table(f"{_TITLES[form]}, {title}", fields=FIELDS[form], cautions=tuple(cautions))


def numbered(count: int) -> Iterator[Caution]:
    """That some answers name no query; nothing where all do."""
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
    record = _as_milvus(record)
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
                    fix="Give every list of ids one of the others, in the same order.",
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


def _as_milvus(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """A record with the keys of FAISS, I and D as its search gives them, under those of Milvus."""
    if "ids" in record or not isinstance(record.get("I"), list):
        return record
    names = {"I": "ids", "D": "distances"}
    return {names.get(key, key): value for key, value in record.items()}


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
                "Ids and distances of a query are not lists of one length",
                file=file,
                row=row,
                column="distances",
                fix="Give every id one distance, or leave the distances out.",
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
