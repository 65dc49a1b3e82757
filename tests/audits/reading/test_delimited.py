"""Rows of delimited files are named as people see them, whatever stands before them."""

from pathlib import Path

import pytest
from auditor.audits.reading import readers, text
from auditor.audits.reading.columnar import Problems, Table
from auditor.errors import InputError
from tests.audits.files import written

HEADER = b"query_id,item_id,rank\n"


def load(folder: Path, content: bytes) -> tuple[Table, Problems]:
    problems = Problems()
    return readers.load(written(folder, "results.csv", content), readers.every, problems), problems


@pytest.mark.parametrize("before", [b"", b"\n", b"\r\n", b"\n\r\n\n"])
@pytest.mark.parametrize("first", [b"q1,a,1\n", b'q1,"a\n2",1\n', b'"q\r\n1","a\n\n2",1\r\n', b'"q ""1""",a,1\n'])
def test_a_row_with_too_few_cells_is_named_where_it_stands(tmp_path: Path, before: bytes, first: bytes) -> None:
    table, problems = load(tmp_path, before + HEADER + first + b"q1,b\nq1,c,3\nq1,d,4,x\nq1,e,5\n")
    blank_lines = before.count(b"\n")
    assert [error.row for error in problems.errors] == [blank_lines + 3, blank_lines + 5]
    assert [str(error.value) for error in problems.errors] == ["q1,b", "q1,d,4,x"]
    assert table.row_numbers.tolist() == [blank_lines + row for row in (2, 4, 6)]
    assert [table.columns["item_id"].text(row) for row in (1, 2)] == ["c", "e"]


@pytest.mark.parametrize("header", [b'query_id,"item\nid",rank\n', b'"query_id","item_id","rank"\r\n'])
def test_a_header_with_quotes_is_one_row(tmp_path: Path, header: bytes) -> None:
    table, problems = load(tmp_path, b"\n" + header + b'q1,"a\nb",1\nq1,b\nq1,c,3\n')
    assert [error.row for error in problems.errors] == [4]
    assert table.row_numbers.tolist() == [3, 5]


def test_rows_that_quotes_tear_apart_are_named(tmp_path: Path) -> None:
    torn = b'\n"q;1";"i ""1""";1;a;4\r\n2";1;b;5\r\nq2;"i\n'
    table, problems = load(tmp_path, torn)
    assert [(error.row, str(error.value)) for error in problems.errors] == [(3, '2";1;b;5'), (4, 'q2;"i')]
    assert table.n_rows == 0
    with pytest.raises(InputError, match="row 4: A quoted cell that begins here is never closed"):
        load(tmp_path, torn + b'"\n')


def test_rows_are_named_right_behind_the_first_block(tmp_path: Path) -> None:
    rows = b"".join(b'q%d,"a\n%s",1\n' % (number, b"x" * 900) for number in range(20_000))
    assert len(rows) > text.MOST_ROW_BYTES
    table, problems = load(tmp_path, b"\n\n" + HEADER + rows + b"q,b\nq,c,3\n")
    assert [error.row for error in problems.errors] == [20_004]
    assert table.row_numbers[-2:].tolist() == [20_003, 20_005]


def test_two_columns_of_one_name_are_named_in_the_row_of_the_header(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="row 3, column 'rank': Two columns have this name"):
        load(tmp_path, b"\n\nquery_id,item_id,rank,rank\nq1,a,1,1\n")
