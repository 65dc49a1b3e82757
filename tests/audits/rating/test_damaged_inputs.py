"""500 damaged conversation files: each gives conversations, named bad rows, or one sentence; never anything else."""

import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from auditor.audits import InputFile, Preview
from auditor.audits.rating import inputs
from auditor.errors import InputError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

_OPENAI = json.dumps(
    {"id": "a", "messages": [{"role": "user", "content": "Hi é?"}, {"role": "assistant", "content": "Hello."}]},
    ensure_ascii=False,
)
_SHAREGPT = json.dumps({"conversations": [{"from": "human", "value": "Hi?"}, {"from": "gpt", "value": "Hello."}]})


def _parquet() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"prompt": ["Hi?"] * 20, "response": ["Hello."] * 20}), sink)
    return bytes(sink.getvalue())


_SOURCES: dict[str, bytes] = {
    "a.jsonl": f"{_OPENAI}\n{_OPENAI}\n{_SHAREGPT}\n".encode(),
    "a.json": f"[{_OPENAI}, {_SHAREGPT}]".encode(),
    "a.csv": b'id,prompt,response\n1,"Hi, you?",Hello.\n2,Hi?,"multi\nline"\n',
    "a.tsv": b"id\trole\ttext\n1\tuser\tHi?\n1\tassistant\tHello.\n",
    "a.txt": b"User: Hi?\nAssistant: Hello.\n---\nUser: And?\nAssistant: So.\n",
    "a.parquet": _parquet(),
}


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    name = draw(st.sampled_from(sorted(_SOURCES)))
    data = bytearray(_SOURCES[name])
    kind = draw(st.sampled_from(["cut", "flip", "insert", "encode", "nest", "role", "repeat", "nul", "blank", "none"]))
    place = draw(st.integers(0, len(data)))
    match kind:
        case "cut":
            data = data[:place]
        case "flip":
            for position in draw(st.lists(st.integers(0, len(data) - 1), min_size=1, max_size=8)):
                data[position] ^= 1 << draw(st.integers(0, 7))
        case "insert":
            data[place:place] = draw(st.binary(min_size=1, max_size=40))
        case "encode":
            encoding = draw(st.sampled_from(["utf-16", "utf-16-le", "utf-32", "latin-1", "cp037"]))
            data = bytearray(data.decode("utf-8", "replace").encode(encoding, "replace"))
        case "nest":
            depth = draw(st.sampled_from([50, 2_000, 200_000]))
            data[place:place] = draw(st.sampled_from([b"[", b'{"a":', b"(", b'"'])) * depth
        case "role":
            data = bytearray(
                bytes(data).replace(b"assistant", draw(st.sampled_from([b"wizard", b"", b"user", b"\\ud800"])))
            )
        case "repeat":
            data = data * draw(st.integers(2, 30))
        case "nul":
            data[place:place] = b"\x00" * draw(st.integers(1, 20))
        case "blank":
            data = bytearray(
                draw(st.sampled_from([b"", b" ", b"\n\n", b"\xef\xbb\xbf", b"[]", b"{}", b"PAR1", b"null"]))
            )
    return name, bytes(data)


@pytest.mark.slow
@settings(max_examples=500, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(damaged())
def test_damage_is_always_named(case: tuple[str, bytes]) -> None:
    name, content = case
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        shown, refused = read(path)
    if shown is None:
        assert refused.endswith(".")
        assert refused.isprintable()
        return
    assert shown.n_rows + shown.n_problems > 0
    for problem in shown.problems:
        assert problem.startswith((f"{name}, row ", f"{name}: It is not clear which columns"))
        assert problem.isprintable()
    for row in shown.rows:
        assert json.dumps(row, ensure_ascii=False).encode()


def read(path: Path) -> tuple[Preview | None, str]:
    try:
        return inputs.preview(InputFile(path, path.name, ""), {}), ""
    except InputError as error:
        return None, str(error)


@pytest.mark.parametrize("opening", ['{"a":', "["])
def test_an_array_that_is_nested_too_deeply_ends_in_a_named_row(tmp_path: Path, opening: str) -> None:
    path = tmp_path / "deep.json"
    path.write_text(f"[{_OPENAI}, {opening * 20_000}", encoding="utf-8")
    found = inputs.preview(InputFile(path, path.name, ""), {})
    assert (found.n_rows, found.n_problems) == (1, 1)
    assert "row 2" in found.problems[0]
    assert "nested more than 100 levels" in found.problems[0]
