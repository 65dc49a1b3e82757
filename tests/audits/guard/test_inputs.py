"""Queries and demonstrations: read alike in every format, and refused with row, column, value and the fix."""

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from auditor.audits import guard
from auditor.audits.guard import inputs
from auditor.audits.guard.spec import GuardSpec
from auditor.audits.reading.columnar import Several
from auditor.errors import InputError
from tests.audits.files import written
from tests.audits.guard.files import DEMONSTRATIONS, QUERIES, preview, read

ROWS = [dict(zip(("id", "text", "label"), line.split(","), strict=True)) for line in QUERIES.splitlines()[1:]]


def refused(folder: Path, *files: str, **asked: Any) -> str:
    with pytest.raises(InputError) as error:
        read(folder, *files, **asked)
    return str(error.value)


def codes(found: inputs.GuardInputs) -> dict[str, int]:
    return {caution.code: caution.count for caution in found.cautions}


def parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


FORMS = {
    "queries.csv": QUERIES,
    "queries.tsv": QUERIES.replace(",", "\t"),
    "queries.jsonl": "\n".join(map(json.dumps, ROWS)),
    "queries.json": json.dumps(ROWS),
    "queries.parquet": parquet(ROWS),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_format_gives_the_same_queries(tmp_path: Path, name: str) -> None:
    files = {
        "queries": written(tmp_path, name, FORMS[name]),
        "demonstrations": written(tmp_path, "demonstrations.csv", DEMONSTRATIONS),
    }
    found = inputs.read(files, GuardSpec(n_demonstrations=2))
    assert [(query.id, query.text, query.label) for query in found.queries] == [tuple(row.values()) for row in ROWS]
    assert found.task.labels == found.task.words == ("bad", "good")
    assert [shown.source for shown in found.demonstrations] == ["d1", "d2"]
    assert not any(shown.corrupted for shown in found.demonstrations)


def test_labels_keep_their_declared_order_and_have_words(tmp_path: Path) -> None:
    numbers = QUERIES.replace("good", "1").replace("bad", "0")
    found = read(
        tmp_path,
        numbers,
        DEMONSTRATIONS.replace("good", "1").replace("bad", "0"),
        labels=("1", "0"),
        label_words={"1": "great", "0": "terrible"},
    )
    assert found.task.labels == ("1", "0")
    assert found.task.words == ("great", "terrible")
    assert [shown.word for shown in found.demonstrations] == ["great", "terrible"]


def test_numbers_of_parquet_and_json_are_labels_too(tmp_path: Path) -> None:
    rows = [{"sentence": f"text {n}", "label": n % 2} for n in range(4)]
    for name, content in (("q.parquet", parquet(rows)), ("q.jsonl", "\n".join(map(json.dumps, rows)))):
        files = {
            "queries": written(tmp_path, name, content),
            "demonstrations": written(tmp_path, "d.csv", "text,label\na,0\nb,1\n"),
        }
        found = inputs.read(files, GuardSpec(n_demonstrations=2))
        assert found.task.labels == ("0", "1")
        assert [query.id for query in found.queries] == ["1", "2", "3", "4"]


def test_columns_are_found_by_their_usual_names_or_as_they_were_mapped(tmp_path: Path) -> None:
    found = read(tmp_path, "Sentence,Sentiment,author\na,x,1\nb,y,2\n", "sentence,sentiment\nc,x\nd,y\n")
    assert [query.group for query in found.queries] == ["1", "2"]
    mapped = {"text": "body", "label": "verdict"}
    found = read(tmp_path, "body,text,verdict\na,1,x\nb,2,y\n", "body,verdict\nc,x\nd,y\n", mapping=mapped)
    assert [query.text for query in found.queries] == ["a", "b"]


@pytest.mark.parametrize(
    ("queries", "says"),
    [
        (
            "id,txet,label\nq1,a,good\n",
            "The column for text is missing. Add it, or name another column in “Column mapping”. The file has: 'id', 'txet', ",
        ),
        ("text,comment,label\n", "The file has no rows"),
        (
            "review,comment,label\na,b,good\n",
            "Several columns could be text. Say which one it is in “Column mapping”: ",
        ),
        (
            QUERIES.replace("Cold soup.", ""),
            "row 3, column 'text': The text is empty. Write a text, or delete the row.",
        ),
        (QUERIES.replace("q2", "q1"), "row 3, column 'id': The id stands in row 2 already (found 'q1')"),
        (QUERIES.replace("q2", ""), "row 3, column 'id': The id is missing"),
        ("text,label\na,good\nb,\nc,bad\n", "row 3, column 'label': The label is missing. Allowed: 'bad', 'good'."),
        (
            "text,label\na,good\nb,good\n",
            "column 'label': There are fewer than 2 labels: good. Name all labels in “Labels”",
        ),
    ],
)
def test_a_damaged_file_of_queries_is_refused_with_the_place_and_the_fix(
    tmp_path: Path, queries: str, says: str
) -> None:
    assert says in refused(tmp_path, queries)


def test_an_unknown_label_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    said = refused(tmp_path, QUERIES.replace("Cold soup.,bad", "Cold soup.,badd"), labels=("good", "bad"))
    assert (
        "row 3, column 'label': The label is unknown (found 'badd'). Allowed: 'good', 'bad'. Did you mean 'bad'?"
        in said
    )
    said = refused(tmp_path, QUERIES, DEMONSTRATIONS.replace("milk.,bad", "milk.,Bad"))
    assert "demonstrations.csv, row 3, column 'label': The label is unknown (found 'Bad')" in said
    assert "Did you mean 'bad'?" in said


def test_several_problems_are_counted(tmp_path: Path) -> None:
    said = refused(tmp_path, QUERIES.replace("Kind staff.", "").replace("Cold soup.", ""))
    assert "row 2" in said
    assert "There are 2 problems in all" in said


def test_a_run_counts_what_the_preview_lists(tmp_path: Path) -> None:
    """Problems of rows and of labels at once: an empty text, an id twice, and a label that is missing."""
    queries = "id,text,label\nq1,,good\nq2,Cold soup.,\nq3,Warm bread.,good\nq3,Stale cake.,bad\nq5,Fresh fish.,bad\n"
    shown = preview(tmp_path, queries)
    assert shown.n_problems == 3
    with pytest.raises(InputError) as error:
        read(tmp_path, queries)
    assert isinstance(error.value, Several)
    assert error.value.count == 3
    assert [str(one) for one in error.value.errors] == list(shown.problems)


def test_labels_of_demonstrations_are_not_blamed_for_rows_of_queries(tmp_path: Path) -> None:
    """The only query with the label bad has no text: what the labels are is not known yet."""
    queries = "id,text,label\nq1,,bad\nq2,Cold soup.,good\nq3,Warm bread.,fine\n"
    said = refused(tmp_path, queries)
    assert said.startswith("queries.csv, row 2, column 'text': The text is empty")
    assert "problems in all" not in said
    declared = refused(tmp_path, queries, labels=("good", "fine", "bad"))
    assert "problems in all" not in declared


def test_more_labels_than_a_model_can_choose_from_are_no_label_column(tmp_path: Path) -> None:
    many = "text,label\n" + "".join(f"text {n},label {n}\n" for n in range(21))
    assert "There are 21 labels; a model is asked to choose among at most 20" in refused(tmp_path, many)


@pytest.mark.parametrize("words", [{"good": "Bad"}, {"good": " bad "}])
def test_labels_with_one_word_are_refused_with_both_names(tmp_path: Path, words: dict[str, str]) -> None:
    said = refused(tmp_path, label_words=words)
    assert "The labels 'bad' and 'good' are written with the same word" in said
    assert "“Words for labels”" in said
    found = preview(tmp_path, QUERIES, label_words=words)
    assert found.n_problems == 1


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"label_words": {"goood": "great"}}, "“Words for labels” names a label that does not occur (found 'goood')"),
        (
            {"target": "worst"},
            "“Target label” names a label that does not occur (found 'worst'). Labels: 'bad', 'good'.",
        ),
        ({"attacks": ("cyclic+own",)}, "The attack own needs a file of corrupted demonstrations"),
        ({"n_demonstrations": 3}, "There are 2 demonstrations, and 3 were asked for in a prompt. Add some, or set "),
    ],
)
def test_a_setting_that_does_not_fit_the_files_is_refused(tmp_path: Path, asked: dict[str, Any], says: str) -> None:
    assert says in refused(tmp_path, **asked)


def test_a_text_that_is_a_query_is_no_demonstration(tmp_path: Path) -> None:
    said = refused(tmp_path, QUERIES, DEMONSTRATIONS.replace("Fine wine.", "  cold   SOUP. "))
    assert "demonstrations.csv, row 2, column 'text': The text is a query too, in row 3 of queries.csv" in said
    own = "text,label\nKind staff.,bad\n"
    assert "corrupted.csv, row 2" in refused(tmp_path, attacks=("own",), corrupted=own)


def test_a_group_stands_in_one_of_the_files(tmp_path: Path) -> None:
    queries = "text,label,group\na,good,1\nb,bad,2\n"
    said = refused(tmp_path, queries, "text,label,group\nc,good,3\nd,bad,2\n")
    assert "row 3, column 'group': The group has queries too, as in row 3 of queries.csv (found '2')" in said


def test_queries_of_one_group_cannot_be_split(tmp_path: Path) -> None:
    said = refused(tmp_path, "text,label,group\na,good,1\nb,bad,1\n")
    assert "too few queries to calibrate on some and test on others: 2 of 1 groups" in said
    assert "too few queries" in refused(tmp_path, "text,label\na,good\n", labels=("good", "bad"))


def test_own_demonstrations_show_what_their_file_says(tmp_path: Path) -> None:
    own = "text,label\nSunny terrace.,bad\nQuick service.,river\n"
    found = read(tmp_path, attacks=("own",), corrupted=own, label_words={"bad": "poor"})
    assert [(shown.word, shown.label, shown.corrupted) for shown in found.corrupted] == [
        ("poor", "", True),
        ("river", "", True),
    ]


def test_texts_are_written_in_one_line_and_that_is_counted(tmp_path: Path) -> None:
    found = read(tmp_path, QUERIES.replace("Kind staff.", '"Kind\n\n staff.\nLabel: good"'))
    assert found.queries[0].text == "Kind staff. Label: good"
    assert codes(found)["line-breaks"] == 1


def test_repeated_texts_and_their_contradictions_are_counted(tmp_path: Path) -> None:
    found = read(tmp_path, QUERIES.replace("Warm bread.", "Kind staff.").replace("Stale cake.", "Kind staff."))
    assert codes(found)["repeated-texts"] == 1
    assert codes(found)["contradictory-labels"] == 2
    assert [query.text for query in found.queries].count("Kind staff.") == 2


def test_what_weakens_an_answer_is_said(tmp_path: Path) -> None:
    assert codes(read(tmp_path))["small-pool"] == 2
    assert "small-pool" not in codes(read(tmp_path, n_demonstrations=1))
    numbers = {"queries": QUERIES.replace("good", "1"), "demonstrations": DEMONSTRATIONS.replace("good", "1")}
    assert codes(read(tmp_path, **numbers))["numeric-labels"] == 1
    assert "numeric-labels" not in codes(read(tmp_path, **numbers, label_words={"1": "good"}))
    assert "Labels that the model sees as numbers: 1" in preview(tmp_path, numbers["queries"]).format
    found = read(tmp_path, labels=("good", "bad", "fine"))
    assert codes(found)["absent-labels-queries"] == 1
    assert codes(found)["absent-labels-demonstrations"] == 1


def test_the_limit_takes_the_first_queries(tmp_path: Path) -> None:
    assert [query.id for query in read(tmp_path, limit=3).queries] == ["q1", "q2", "q3"]
    # What lies behind the limit takes no part: its text may be a demonstration.
    assert len(read(tmp_path, QUERIES, DEMONSTRATIONS.replace("Fine wine.", "Stale cake."), limit=3).queries) == 3


def test_a_preview_shows_rows_counts_and_every_problem(tmp_path: Path) -> None:
    found = preview(tmp_path, QUERIES + "q5,,good\nq1,Late bus.,bad\n")
    assert found.n_rows == 6
    assert found.mapping == {"text": "text", "label": "label", "id": "id"}
    assert found.rows[0] == {"row": "2", "id": "q1", "text": "Kind staff.", "label": "good"}
    assert "4 queries: bad 2, good 2" in found.format
    assert found.n_problems == 2
    assert "row 6" in found.problems[0]


def test_a_preview_of_demonstrations_checks_declared_labels(tmp_path: Path) -> None:
    assert preview(tmp_path, DEMONSTRATIONS, role="demonstrations").n_problems == 0
    found = preview(tmp_path, DEMONSTRATIONS, role="demonstrations", labels=("good", "awful"))
    assert found.n_problems == 1
    with pytest.raises(InputError, match="no such kind of file"):
        preview(tmp_path, DEMONSTRATIONS, role="labels")
    with pytest.raises(InputError, match="“Epsilon” is wrong"):
        preview(tmp_path, DEMONSTRATIONS, epsilon=2)


def test_a_preview_of_a_file_without_labels_lists_what_is_missing(tmp_path: Path) -> None:
    found = preview(tmp_path, "text,mood\na,good\n")
    assert found.rows == ()
    assert found.n_problems == 1
    assert "The column for label is missing" in found.problems[0]


def test_single_queries_are_shown(tmp_path: Path) -> None:
    file = written(tmp_path, "queries.csv", QUERIES)
    assert guard.unit(file, {}, 3) == [("Text", "Cold soup."), ("Label", "bad"), ("Id", "q2")]
    assert [row for row, _ in guard.units(file, {}, {2, 5, 9})] == [2, 5]
    with pytest.raises(InputError, match="no query in this row"):
        guard.unit(file, {}, 1)


@pytest.mark.parametrize("missing", ["queries", "demonstrations"])
def test_both_files_are_needed(tmp_path: Path, missing: str) -> None:
    files = {"queries": QUERIES, "demonstrations": DEMONSTRATIONS}
    del files[missing]
    given = {role: written(tmp_path, f"{role}.csv", content) for role, content in files.items()}
    with pytest.raises(InputError, match=f"There is no file of {missing}"):
        inputs.read(given, GuardSpec())


@pytest.mark.parametrize("name", ["queries.csv", "queries.jsonl", "queries.parquet", "queries.bin"])
@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfea\0b\0", b"PAR1 and no more", b"\x93NUMPY\1\0", b"PK\3\4", b"[1, 2"]
)
def test_files_that_are_no_tables_are_refused_by_name(tmp_path: Path, name: str, content: bytes) -> None:
    file = written(tmp_path, name, content)
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        inputs.read({"queries": file, "demonstrations": file}, GuardSpec())
