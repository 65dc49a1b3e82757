import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from auditor.audits import InputFile, rating
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
    assert len(read(path)[0]) == 20
    limited = inputs.conversations(file_of(path), {}, on_bad=lambda _: None, limit=5)
    assert [found.row for found in limited] == [1, 2, 3, 4, 5]
    assert turns(inputs.conversation_at(file_of(path), {}, 7)) == [("assistant", "reply 6")]
    with pytest.raises(InputError, match="row 21"):
        inputs.conversation_at(file_of(path), {}, 21)


def csv_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


CONTEXTS = [
    {"uid": f"u{number}", "ctx": context, "messages": [{"role": "assistant", "content": "Hello."}]}
    for number, context in enumerate("aab")
]


@pytest.mark.parametrize("form", ["contexts.jsonl", "contexts.json"])
def test_id_and_group_of_json_records_are_read_from_the_mapped_fields(tmp_path: Path, form: str) -> None:
    path = tmp_path / form
    is_array = form.endswith(".json")
    path.write_text(json.dumps(CONTEXTS) if is_array else "\n".join(map(json.dumps, CONTEXTS)), encoding="utf-8")
    found, _ = read(path, {"group": "ctx", "id": "uid"})
    assert [(each.id, each.group) for each in found] == [("u0", "a"), ("u1", "a"), ("u2", "b")]
    shown = inputs.preview(file_of(path), {"group": "ctx"})
    assert (shown.fields, shown.columns) == (("id", "group"), ("uid", "ctx"))
    assert [row["group"] for row in shown.rows] == ["a", "a", "b"]
    assert shown.unread == "Fields that are not read: 'uid'."
    with pytest.raises(InputError, match=r"'nosuchkey': None of the first records has the field mapped to id"):
        read(path, {"id": "nosuchkey"})
    with pytest.raises(InputError, match=r"'response': Records of this form do not have this field"):
        read(path, {"response": "ctx"})


def test_what_is_read_without_a_word_is_told(tmp_path: Path) -> None:
    """A run keeps the columns that were taken for a field, and names those that were not read."""
    wide = inputs.recognise(file_of(csv_file(tmp_path, "instruction,input,output\nTranslate,Good morning,Hi\n")), {})
    assert wide.mapping == {"prompt": "instruction", "response": "output"}
    assert wide.unread_words == "Columns that are not read: 'input'."
    chosen = inputs.recognise(file_of(written(tmp_path, "hh.jsonl")), {})
    assert chosen.mapping == {"text": "chosen"}
    assert inputs.mapping_of(file_of(tmp_path / "erased.csv"), {"id": "x"}) == {"id": "x"}


@pytest.mark.parametrize(
    ("header", "mapping", "words"),
    [
        ("prompt,response,response", {}, "'response': The column stands twice"),
        ("id,role,text,answer", {"role": "role", "response": "answer"}, "not both: response and role are mapped"),
        ("id,role,text,prompt", {"prompt": "prompt"}, "'prompt': The field prompt is not used in a table with a turn"),
    ],
)
def test_columns_are_never_lost_silently(tmp_path: Path, header: str, mapping: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(csv_file(tmp_path, f"{header}\n1,2,3,4\n"), mapping)


def test_columns_that_somebody_mapped_come_before_columns_with_usual_names(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "id,who,what,answer\n1,user,Hi?,x\n1,assistant,Hello.,x\n")
    found, _ = read(path, {"role": "who", "text": "what"})
    assert [turns(conversation) for conversation in found] == [EXPECTED]


TURNS = "id,role,text\n"


@pytest.mark.parametrize(
    ("rows", "rated", "told"),
    [
        ("a,user,Q\na,assistant,R\na,user,Q2,oops\na,assistant,R2\nb,user,Q\nb,assistant,R\n", ["b"], ["4 cells"]),
        ("a,user,Q\na,assistant,R\noops\nb,user,Q\nb,assistant,R\nc,assistant,R\n", ["c"], ["1 cells", "Row 3 "]),
        ("oops\na,assistant,R\nb,assistant,R\n", ["b"], ["1 cells", "Row 1 "]),
        ("a,user,Q\nb,user,Q\na,assistant,R\nb,assistant,R\nc,assistant,R\n", ["c"], ["by id"] * 4),
        (",user,Q\n,assistant,R\n,user,Q\n,assistant,R\n", [], ["The id is empty"] * 4),
        ("a,user,Q\n ,assistant,R\nb,user,Q\nb,assistant,R\n", [], ["The id is empty", "Row 2 "]),
    ],
    ids=["damaged within", "damaged between", "damaged first", "not together", "no ids", "an id missing"],
)
def test_no_part_of_a_conversation_is_rated_as_a_whole_one(
    tmp_path: Path, rows: str, rated: list[str], told: list[str]
) -> None:
    found, bad = read(csv_file(tmp_path, TURNS + rows))
    assert [conversation.id for conversation in found] == rated
    sentences = [row.sentence("table.csv") for row in bad]
    assert len(sentences) == len(told)
    assert all(words in sentence for words, sentence in zip(told, sentences, strict=True))
    # A run that was interrupted goes on after the last one.
    assert [row.row for row in bad] == sorted({row.row for row in bad})


def test_a_header_after_empty_lines_is_no_conversation(tmp_path: Path) -> None:
    found, _ = read(csv_file(tmp_path, "\n\nprompt,response\nHi?,Hello.\n"))
    assert [(each.row, turns(each)) for each in found] == [(1, EXPECTED)]


def test_an_empty_last_reply_is_not_rated_but_may_end_a_conversation(tmp_path: Path) -> None:
    path = tmp_path / "tools.jsonl"
    record = {"chosen": "\n\nHuman: hi\n\nAssistant: hello\n\nHuman: more\n\nAssistant:"}
    path.write_text(json.dumps(record), encoding="utf-8")
    bad: list[BadRow] = []
    assert list(inputs.conversations(file_of(path), {}, on_bad=bad.append, scope="last_response")) == []
    assert "The last reply is empty" in bad[0].sentence("tools.jsonl")
    assert len(read(path)[0]) == 1
    assert inputs.preview(file_of(path), {}, "last_response").n_problems == 1


def test_columns_recognised_and_columns_mapped_are_read_the_same_way(tmp_path: Path) -> None:
    """The command line asks with no mapping, the window with what it showed: human ratings of one count for the other."""
    file = InputFile(written(tmp_path, "wide.csv"), "wide.csv", "abc")
    shown = inputs.preview(file, {}).mapping
    assert rating.read_by(file, {}) == rating.read_by(file, {"mapping": shown}) == ("abc", shown)
    assert shown == {"prompt": "prompt", "response": "response"}
