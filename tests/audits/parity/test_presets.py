"""Every format of results gives the same slots, and damage in it is named."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from auditor.audits.parity.data import Results
from auditor.errors import InputError
from tests.audits.parity.files import codes, preview, read

CATALOG = "item_id,skin_tone\n1,4\n2,5\n3,10\n"
#: What every form below says: query "0" finds items 1 and 2, query "1" finds item 3.
LISTS = {"0": [("1", 0.9), ("2", 0.5)], "1": [("3", 0.7)]}


def _long() -> list[dict[str, Any]]:
    return [
        {"query_id": query, "item_id": item, "rank": rank, "score": score}
        for query, hits in LISTS.items()
        for rank, (item, score) in enumerate(hits, start=1)
    ]


def _elastic(query: str | None, hits: list[tuple[str, float]]) -> dict[str, Any]:
    named = {} if query is None else {"query_id": query}
    found = [{"_index": "looks", "_id": item, "_score": score, "_source": {"name": item}} for item, score in hits]
    return {**named, "took": 3, "timed_out": False, "hits": {"total": {"value": len(hits)}, "hits": found}}


def _vespa(query: str, hits: list[tuple[str, float]]) -> dict[str, Any]:
    children = [{"id": item, "relevance": score, "fields": {"name": item}} for item, score in hits]
    group = {"id": "group:root:0", "relevance": 1.0, "children": []}
    return {"query_id": query, "root": {"id": "toplevel", "fields": {"totalCount": 2}, "children": [group, *children]}}


def _csv(separator: str) -> str:
    rows = [list(_long()[0]), *(list(map(str, row.values())) for row in _long())]
    return "".join(separator.join(row) + "\n" for row in rows)


def _parquet() -> bytes:
    sink = pa.BufferOutputStream()
    columns = {name: [row[name] for row in _long()] for name in _long()[0]}
    columns["item_id"] = [int(item) for item in columns["item_id"]]  # numbers as ids
    pq.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue())


def _npy(array: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def _npz(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


IDS, DISTANCES = [[1, 2], [3, -1]], [[0.9, 0.5], [0.7, 0.0]]
ENTITIES = [[{"id": 1, "distance": 0.9, "entity": {}}, {"id": 2, "distance": 0.5}], [{"id": 3, "distance": 0.7}]]
ANSWERS = [_elastic(query, hits) for query, hits in LISTS.items()]
FORMS: dict[str, str | bytes] = {
    "comma.csv": _csv(","),
    "semicolon.csv": "\ufeff" + _csv(";").replace("\n", "\r\n"),
    "tab.tsv": _csv("\t"),
    "blank-rows.csv": _csv(",").replace("\n", "\n\n"),
    "quoted.csv": '"' + _csv(",").replace(",", '","').replace("\n", '"\n"')[:-1],
    "records.json": json.dumps(_long(), indent=1),
    "records.jsonl": "".join(json.dumps(row) + "\n" for row in _long()),
    "mixed.jsonl": "\n".join(json.dumps({**row, "item_id": int(row["item_id"]), "tags": [1]}) for row in _long()),
    "table.parquet": _parquet(),
    "run.trec": "0 Q0 1 1 0.9 t\n0 Q0 2 2 0.5 t\n1 Q0 3 1 0.7 t\n",
    "run.txt": "0\tQ0\t1\t1\t0.9\tt\n0\tQ0\t2\t2\t0.5\tt\n1\tQ0\t3\t1\t0.7\tt\n",
    "aligned.txt": "0 Q0   1  1 0.9 t\n0 Q0 2    2 0.5 t\n1 Q0 3 1 0.7 t\n",
    "elastic.jsonl": "".join(json.dumps(answer) + "\n" for answer in ANSWERS),
    "elastic.json": json.dumps({query: _elastic(None, hits) for query, hits in LISTS.items()}, indent=2),
    "elastic-list.json": json.dumps(ANSWERS),
    "multi-search.json": json.dumps({"took": 4, "responses": [_elastic(None, hits) for hits in LISTS.values()]}),
    "vespa.json": json.dumps([_vespa(query, hits) for query, hits in LISTS.items()]),
    "vespa.jsonl": "\n".join(json.dumps(_vespa(query, hits)) for query, hits in LISTS.items()),
    "milvus.json": json.dumps({"query_ids": ["0", "1"], "ids": [["1", "2"], ["3"]], "distances": [[0.9, 0.5], [0.7]]}),
    "milvus-entities.json": json.dumps({"data": ENTITIES}),
    "faiss.json": json.dumps({"ids": IDS, "distances": DISTANCES}),
    "faiss.jsonl": "".join(
        json.dumps({"query_id": n, "ids": ids, "distances": DISTANCES[n]}) + "\n" for n, ids in enumerate(IDS)
    ),
    "faiss.npy": _npy(np.array(IDS)),
    "faiss-names.json": json.dumps({"I": IDS, "D": DISTANCES}),
    "faiss-names.npz": _npz(I=np.array(IDS), D=np.array(DISTANCES)),
    "faiss.npz": _npz(ids=np.array(IDS), distances=np.array(DISTANCES), query_ids=np.array(["0", "1"])),
}


def _lists(found: Results) -> dict[str, list[tuple[str, int]]]:
    lists: dict[str, list[tuple[str, int]]] = {}
    for query, item, rank in zip(found.query, found.item, found.rank, strict=True):
        lists.setdefault(found.query_ids[query], []).append((found.item_ids[item], int(rank)))
    return lists


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_lists(tmp_path: Path, name: str) -> None:
    found = read(tmp_path, FORMS[name], name, catalog=CATALOG)
    assert _lists(found) == {"0": [("1", 1), ("2", 2)], "1": [("3", 1)]}
    if name != "faiss.npy":
        assert found.score is not None
        assert found.score.tolist() == [0.9, 0.5, 0.7]


@pytest.mark.parametrize("name", FORMS)
def test_preview_names_the_form_and_counts_everything(tmp_path: Path, name: str) -> None:
    shown = preview(tmp_path, FORMS[name], name)
    assert shown.format
    assert (shown.n_rows, shown.n_problems, shown.problems) == (3, 0, ())
    assert shown.rows[0]["query_id"] == "0"
    assert shown.rows[0]["item_id"] == "1"
    assert {"query_id", "item_id", "rank"} <= set(shown.mapping)


def test_fields_of_a_hit_are_attributes_of_the_item(tmp_path: Path) -> None:
    answers = [_elastic("q1", [("a", 2.0)]), _elastic("q2", [("b", 1.0)])]
    for answer, tone in zip(answers, ("IV", "type v"), strict=True):
        answer["query_group"] = answer["query_id"]
        answer["hits"]["hits"][0]["_source"] = {"look": {"skin": tone}, "_id": "not this one"}
    text = "\n".join(json.dumps(answer) for answer in answers)
    found = read(tmp_path, text, "answers.jsonl", attribute="look.skin")
    assert found.attributes["look.skin"].level.tolist() == [3, 4]
    assert found.group_names == ("q1", "q2")
    assert found.item_ids == ("a", "b")


def test_answers_that_timed_out_or_name_no_query_are_counted(tmp_path: Path) -> None:
    answers = [{**_elastic(None, hits), "timed_out": True} for hits in LISTS.values()]
    found = read(tmp_path, json.dumps(answers), "answers.json", catalog=CATALOG)
    assert codes(found)["queries-numbered"] == 2
    assert codes(found)["partial-answers"] == 2


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", json.dumps([_elastic("q", [])]), ["row 1", "no results", "'q'"]),
        ("a.json", json.dumps({"ids": [[1], [-1]]}), ["no results", "'1'"]),
        ("a.json", json.dumps({"ids": [[1], [2]], "distances": [[1]]}), ["'distances'", "2 lists of ids"]),
        ("a.json", json.dumps({"ids": [[1, 2]], "distances": [[1]]}), ["'distances'", "one length"]),
        ("a.jsonl", '{"query_id": 1}\n{"query_id": 1, "query_id": 2}\n', ["row 2", "'query_id'", "twice"]),
        ("a.json", '[{"query_id": 1}, {"query_id": 1, "query_id": 2}]', ["row 2", "'query_id'", "twice"]),
        ("a.jsonl", '{"query_id": 1}\n{broken\n', ["row 2", "not JSON"]),
        ("a.jsonl", '{"query_id": "\\ud800"}\n{"query_id": 1}\n', ["row 1", "surrogate"]),
        ("a.json", "[" * 100_000, ["a.json"]),
        ("a.json", '{"a":' * 100_000, ["a.json"]),
        ("a.json", "[]", ["no record"]),
        ("a.csv", "", ["empty"]),
        ("a.csv", " \n\n", ["blanks"]),
        ("a.csv", "query_id,item_id,rank\n", ["no rows"]),
        ("a.csv", "query_id,rank\n1,1\n".encode("utf-16"), ["UTF-16"]),
        ("a.csv", 'query_id,item_id,rank\n1,2,3\n4,"5,6\n7,8,9\n', ["row 3", "never closed"]),
        ("a.csv", b"query_id,item_id,rank\n1,\xff,3\n", ["row 2", "'item_id'", "UTF-8"]),
        ("a.csv", "query_id,query_id,rank\n1,2,3\n", ["'query_id'", "Two columns"]),
        ("a.xlsx", b"PK\x03\x04rest", ["spreadsheet", "CSV"]),
        ("a.parquet", b"PAR1rest", ["Parquet", "damaged"]),
        ("a.bin", "one two three", ["not recognised"]),
        ("a.npy", _npy(np.array(IDS))[:-9], ["damaged"]),
        ("a.npy", _npy(np.array(IDS)).replace(b"{", b"[" * 50 + b"{").replace(b" " * 50, b"", 1), ["damaged"]),
        ("a.npy", _npy(np.array([[0.5, 1.5]])), ["float64", "whole numbers"]),
        ("a.npz", _npz(labels=np.array(IDS)), ["'ids'", "found 'labels'", "numpy.savez(FILE, ids=I, distances=D)"]),
    ],
)
def test_damage_is_named(tmp_path: Path, name: str, content: str | bytes, words: list[str]) -> None:
    with pytest.raises(InputError) as refused:
        read(tmp_path, content, name, catalog=CATALOG)
    for word in [name, *words]:
        assert word in str(refused.value)


def test_no_array_of_objects_is_ever_loaded(tmp_path: Path) -> None:
    class Boom:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    objects = np.array([[Boom()]], dtype=object)
    out = io.BytesIO()
    np.save(out, objects, allow_pickle=True)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("ids.npy", out.getvalue())
    for name, content in (("a.npy", out.getvalue()), ("a.npz", packed.getvalue())):
        with pytest.raises(InputError, match="damaged"):
            read(tmp_path, content, name)
    assert not (tmp_path / "ran").exists()


def test_a_file_of_another_form_than_the_declared_one_is_refused(tmp_path: Path) -> None:
    for preset, name in (
        ("vespa", "elastic.json"),
        ("trec", "comma.csv"),
        ("long", "faiss.npy"),
        ("faiss", "run.trec"),
    ):
        with pytest.raises(InputError):
            read(tmp_path, FORMS[name], name, catalog=CATALOG, preset=preset)
    assert read(tmp_path, FORMS["elastic.json"], "elastic.json", catalog=CATALOG, preset="elasticsearch").n_queries == 2


def test_json_lines_read_fast_and_slowly_are_the_same(tmp_path: Path) -> None:
    """Lines that pyarrow would change (dates, ids too long for a double, blank lines) are read one by one."""
    rows = [{"query_id": "2024-01-01", "item_id": 2**70 + n, "rank": n, "skin_tone": n} for n in (1, 2, 3)]
    found = read(tmp_path, "\n\n".join(json.dumps(row) for row in rows), "a.jsonl")
    assert found.query_ids == ("2024-01-01",)
    assert found.item_ids == tuple(str(2**70 + n) for n in (1, 2, 3))
    whole = read(tmp_path, "\n".join(json.dumps(row) for row in rows), "a.jsonl")
    assert whole.item_ids == found.item_ids


def test_lines_that_are_no_trec_run_are_one_problem(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No line is one of a TREC run") as refused:
        preview(tmp_path, "query_id,item_id,rank\nq1,a,1\nq1,b,2\n", preset="trec")
    assert "“Format”" in str(refused.value)
