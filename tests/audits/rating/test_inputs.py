import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from auditor.audits import InputFile
from auditor.audits.rating import inputs
from auditor.audits.rating.conversation import BadRow, Conversation
from auditor.errors import InputError


def file_of(path: Path) -> InputFile:
    return InputFile(path, path.name, "")


def read(path: Path, mapping: dict[str, str] | None = None) -> tuple[list[Conversation], list[BadRow]]:
    bad: list[BadRow] = []
    return list(inputs.conversations(file_of(path), mapping or {}, on_bad=bad.append)), bad


def turns(conversation: Conversation) -> list[tuple[str, str]]:
    return [(turn.role, turn.text) for turn in conversation.turns]


EXPECTED = [("user", "Hi?"), ("assistant", "Hello.")]


def written(path: Path, form: str) -> Path:
    openai = {"messages": [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Hello."}]}
    sharegpt = {"conversations": [{"from": "human", "value": "Hi?"}, {"from": "gpt", "value": "Hello."}]}
    parts = {
        "messages": [openai["messages"][0], {"role": "assistant", "content": [{"type": "text", "text": "Hello."}]}]
    }
    hh = {"chosen": "\n\nHuman: Hi?\n\nAssistant: Hello."}
    texts = {
        "openai.jsonl": json.dumps(openai),
        "parts.jsonl": json.dumps(parts),
        "sharegpt.jsonl": json.dumps(sharegpt),
        "sharegpt.json": json.dumps([sharegpt], indent=2),
        "openai.json": json.dumps([openai]),
        "hh.jsonl": json.dumps(hh),
        "wide.csv": "prompt,response\nHi?,Hello.\n",
        "semicolon.csv": "\ufeffprompt;response\r\nHi?;Hello.\r\n",
        "wide.tsv": "prompt\tresponse\nHi?\tHello.\n",
        "long.csv": "id,role,text\n1,user,Hi?\n1,assistant,Hello.\n",
        "plain.txt": "User: Hi?\nAssistant: Hello.\n",
    }
    target = path / form
    if form.endswith(".parquet"):
        pq.write_table(pa.table({"prompt": ["Hi?"], "response": ["Hello."]}), target)
    else:
        target.write_text(texts[form], encoding="utf-8", newline="")
    return target


FORMS = [
    "openai.jsonl",
    "parts.jsonl",
    "sharegpt.jsonl",
    "sharegpt.json",
    "openai.json",
    "hh.jsonl",
    "wide.csv",
    "semicolon.csv",
    "wide.tsv",
    "long.csv",
    "plain.txt",
    "wide.parquet",
]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_conversation(tmp_path: Path, form: str) -> None:
    found, bad = read(written(tmp_path, form))
    assert bad == []
    assert [turns(conversation) for conversation in found] == [EXPECTED]


@pytest.mark.parametrize("form", FORMS)
def test_preview_names_the_form_and_counts_everything(tmp_path: Path, form: str) -> None:
    shown = inputs.preview(file_of(written(tmp_path, form)), {})
    assert shown.format
    assert (shown.n_rows, shown.n_problems) == (1, 0)
    assert shown.rows[0]["last reply"] == "Hello."


def test_bad_rows_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    good = '{"messages": [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Hello."}]}'
    lines = [
        good,
        "{broken",
        '{"messages": [{"role": "wizard", "content": "x"}]}',
        '{"messages": []}',
        '{"messages": [{"role": "assistant", "content": "a\\u0000b"}]}',
        '{"messages": [{"role": "assistant", "content": "\\ud800"}]}',
        '{"messages": [{"role": "user", "content": "nobody answers"}]}',
        good,
    ]
    path = tmp_path / "mixed.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found, bad = read(path)
    assert [conversation.row for conversation in found] == [1, 8]
    assert [row.row for row in bad] == [2, 3, 4, 5, 6, 7]
    said = [row.sentence("mixed.jsonl") for row in bad]
    for sentence, words in zip(said, ["JSON", "wizard", "no turns", "NUL", "surrogate", "no reply"], strict=True):
        assert sentence.startswith("mixed.jsonl, row ")
        assert words in sentence


def test_a_line_of_fifty_mebibytes_is_one_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    with path.open("wb") as file:
        file.write(b'{"messages": [{"role": "assistant", "content": "' + b"x" * (50 * 1024**2) + b'"}]}\n')
        file.write(b'{"messages": [{"role": "assistant", "content": "short"}]}\n')
    found, bad = read(path)
    assert [conversation.row for conversation in found] == [2]
    assert "16 MiB" in bad[0].sentence("long.jsonl")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        ("ｘ".encode("utf-16"), "UTF-16"),
        (b"just some words without any speaker", "not recognised"),
        (b"\n \n", "blanks"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_reason(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        read(path)


def test_a_table_whose_columns_say_nothing_asks_for_a_mapping(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("question_de,reply_de\nHi?,Hello.\n", encoding="utf-8")
    with pytest.raises(InputError, match="Map response"):
        read(path)
    found, _ = read(path, {"prompt": "question_de", "response": "reply_de"})
    assert turns(found[0]) == EXPECTED


def test_a_mapping_to_a_column_that_is_not_there_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'nowhere'"):
        read(written(tmp_path, "wide.csv"), {"response": "nowhere"})


def test_limit_and_row_lookup(tmp_path: Path) -> None:
    path = tmp_path / "many.jsonl"
    lines = [json.dumps({"messages": [{"role": "assistant", "content": f"reply {i}"}]}) for i in range(20)]
    path.write_text("\n".join(lines), encoding="utf-8")
    assert inputs.count(file_of(path), {}) == 20
    assert inputs.count(file_of(path), {}, limit=5) == 5
    assert turns(inputs.conversation_at(file_of(path), {}, 7)) == [("assistant", "reply 6")]
    with pytest.raises(InputError, match="row 21"):
        inputs.conversation_at(file_of(path), {}, 21)
