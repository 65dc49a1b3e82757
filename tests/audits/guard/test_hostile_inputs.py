"""Whatever a file holds, reading it gives texts that can stand in a prompt, or a sentence that names the file."""

import json
from pathlib import Path
from typing import Any

import pytest
from auditor.audits.guard import inputs
from auditor.audits.guard.spec import GuardSpec
from auditor.errors import InputError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.audits.files import written
from tests.audits.guard.files import DEMONSTRATIONS, QUERIES, preview, read

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
records = st.dictionaries(st.sampled_from(["text", "label", "id", "group", "more"]), json_values, max_size=5)
relaxed = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def attempt(folder: Path, name: str, content: bytes) -> inputs.GuardInputs | None:
    """Inputs, or None if they were refused in a sentence with the file's name."""
    files = {
        "queries": written(folder, name, content),
        "demonstrations": written(folder, "shown.csv", DEMONSTRATIONS),
    }
    try:
        return inputs.read(files, GuardSpec(n_demonstrations=2))
    except InputError as error:
        said = str(error)
    assert name in said or "shown.csv" in said
    assert said.isprintable()
    return None


@relaxed
@given(st.lists(st.tuples(st.integers(0, len(QUERIES) - 1), st.binary(min_size=1, max_size=3)), max_size=6))
def test_damaged_tables(tmp_path: Path, damage: list[tuple[int, bytes]]) -> None:
    content = bytearray(QUERIES.encode())
    for place, what in damage:
        content[place : place + len(what)] = what
    found = attempt(tmp_path, "queries.csv", bytes(content))
    if found is not None:
        assert all(query.text == " ".join(query.text.split()) for query in found.queries)
        assert all(query.text and query.label in found.task.labels for query in found.queries)


@relaxed
@given(st.lists(records, max_size=6), st.booleans())
def test_records_of_any_values(tmp_path: Path, rows: list[dict[str, Any]], as_lines: bool) -> None:
    text = "\n".join(map(json.dumps, rows)) if as_lines else json.dumps(rows)
    attempt(tmp_path, "queries.jsonl" if as_lines else "queries.json", text.encode())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('"a\x00b"', "NUL characters"),
        ("x" * 20_001, "more than 20,000 characters"),
        ("\u00a0\u2003", "The text is empty"),
    ],
)
def test_a_text_that_cannot_stand_in_a_prompt_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=f"row 3.*{says}|{says}.*row 3"):
        read(tmp_path, QUERIES.replace("Cold soup.", text))


def test_a_text_of_half_a_character_is_named(tmp_path: Path) -> None:
    lines = '{"text": "a", "label": "x"}\n{"text": "\\ud800", "label": "y"}\n'
    found = preview(tmp_path, lines, "queries.jsonl")
    assert found.n_problems >= 1
    assert "row 2, column 'text'" in found.problems[0]
    assert "surrogate" in found.problems[0]


def test_formulas_and_markup_stay_texts(tmp_path: Path) -> None:
    found = read(tmp_path, QUERIES.replace("Cold soup.", '"=HYPERLINK(""http://x"")<b>{label}</b>"'))
    assert found.queries[1].text == '=HYPERLINK("http://x")<b>{label}</b>'


def test_several_columns_named_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Two columns have this name"):
        read(tmp_path, "text,text,label\na,b,good\nc,d,bad\n")
