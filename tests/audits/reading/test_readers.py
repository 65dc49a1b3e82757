"""Tables of every format without any of the forms that one audit knows: the same cells, and every damage named."""

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from auditor.audits.reading import readers
from auditor.audits.reading.columnar import Problems, Table, check_lengths
from auditor.audits.reading.names import candidates, did_you_mean, match, nearest
from auditor.errors import InputError
from tests.audits.files import written

ROWS: list[dict[str, Any]] = [{"id": "a", "n": 1, "text": "größer"}, {"id": "b", "n": 2, "text": None}]


def load(folder: Path, name: str, content: str | bytes) -> tuple[Table, Problems]:
    problems = Problems()
    return readers.load(written(folder, name, content), readers.every, problems), problems


def cells(table: Table) -> list[list[str]]:
    return [[column.text(row) for column in table.columns.values()] for row in range(table.n_rows)]


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "first_row"),
    [
        ("t.csv", "id,n,text\na,1,größer\nb,2,\n", 2),
        ("t.csv", "\ufeffid;n;text\r\na;1;größer\r\nb;2;\r\n", 2),
        ("t.tsv", "id\tn\ttext\na\t1\tgrößer\nb\t2\t\n", 2),
        ("t.txt", "id\tn\ttext\na\t1\tgrößer\nb\t2\t\n", 2),
        ("t.jsonl", "\n".join(map(json.dumps, ROWS)), 1),
        ("t.json", json.dumps(ROWS), 1),
        ("t.json", json.dumps(ROWS, indent=2), 1),
        ("t.parquet", parquet(), 1),
        ("whatever", parquet(), 1),
    ],
)
def test_every_format_holds_the_same_cells(tmp_path: Path, name: str, content: str | bytes, first_row: int) -> None:
    table, problems = load(tmp_path, name, content)
    assert cells(table) == [["a", "1", "größer"], ["b", "2", ""]]
    assert table.row_numbers.tolist() == [first_row, first_row + 1]
    assert problems.count == 0


def test_one_object_is_one_row_and_its_objects_are_columns(tmp_path: Path) -> None:
    table, problems = load(tmp_path, "t.json", json.dumps({"id": "a", "about": {"n": 1, "hits": {"n": 2}}}, indent=1))
    assert dict(zip(table.columns, cells(table)[0], strict=True)) == {"id": "a", "about.n": "1", "about.hits.n": "2"}
    assert problems.count == 0


def test_columns_that_nobody_wants_may_hold_anything(tmp_path: Path) -> None:
    rows = [{"text": "a", "tokens": [1, 2, 3, 4, 5], "deep": {"a": {"b": {"c": {"d": {"e": 1}}}}}}, {"text": ["b"]}]
    for name, content in (("t.jsonl", "\n".join(map(json.dumps, rows))), ("t.json", json.dumps(rows))):
        problems = Problems()
        table = readers.load(written(tmp_path, name, content), lambda _: {"text"}, problems)
        assert (list(table.columns), table.names[:2]) == (["text"], ("text", "tokens"))
        assert [(error.row, error.column) for error in problems.errors] == [(2, "text")]
    _, problems = load(tmp_path, "t.json", json.dumps(rows))
    assert [(error.row, error.column) for error in problems.errors] == [
        (1, "tokens"),
        (1, "deep.a.b.c.d"),
        (2, "text"),
    ]


def test_answers_of_search_engines_are_no_rows_here(tmp_path: Path) -> None:
    _, problems = load(tmp_path, "t.json", json.dumps({"hits": {"hits": [{"_id": "a"}]}}))
    assert "The field holds a list instead of one value" in str(problems.errors[0])


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.csv", b"", "The file is empty"),
        ("t.csv", b" \n ", "begins with blanks only"),
        ("t.csv", "id,n\n".encode("utf-16"), "UTF-16"),
        ("t.xlsx", b"PK\x03\x04rest", "spreadsheet or an archive"),
        ("t.npz", b"PK\x03\x04rest", "spreadsheet or an archive"),
        ("t.npy", b"\x93NUMPY\x01\0", "The format is not recognised"),
        ("t.bin", b"id,n\n", "Use CSV, TSV, JSON, JSON Lines or Parquet with a matching ending."),
        ("t.parquet", b"PAR1 and no more", "Parquet file is damaged"),
        ("t.json", b'{"a": ', "is not JSON"),
        ("t.json", b"[]", "holds no record"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        load(tmp_path, name, content)


def test_long_cells_are_named_where_an_audit_has_a_limit(tmp_path: Path) -> None:
    table, problems = load(tmp_path, "t.csv", f"id,text\na,{'x' * 1_000}\nb,{'x' * 1_001}\n")
    assert problems.count == 0
    check_lengths(table, 1_000, problems)
    assert [(error.row, error.column) for error in problems.errors] == [(3, "text")]
    assert "more than 1,000 characters" in str(problems.errors[0])


def test_a_name_is_found_however_it_is_written_and_never_one_of_two() -> None:
    assert match(("Text", "label"), " text") == "Text"
    assert match(("Text", "TEXT"), "text") is None
    assert match(("Text", "text"), "text") == "text"
    assert candidates(("Query ID", "qid", "x"), ("query_id", "qid"), ()) == ["Query ID"]
    assert candidates(("a-b", "a b"), ("z", "a_b"), {"a b"}) == ["a-b"]


def test_a_misspelt_name_is_told_the_nearest() -> None:
    assert nearest("postive", ["negative", "positive"]) == ["positive"]
    assert did_you_mean("postive", ["negative", "positive"]) == " Did you mean 'positive'?"
    assert did_you_mean("xyz", ["negative", "positive"]) == ""
