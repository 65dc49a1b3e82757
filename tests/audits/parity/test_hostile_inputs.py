"""1,000 damaged files: each gives results, or one sentence that names what is wrong; never anything else."""

import io
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from auditor.audits import InputFile
from auditor.audits.parity import inputs
from auditor.audits.parity.data import MISSING, Results
from auditor.audits.parity.spec import ParitySpec
from auditor.errors import InputError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

_ROWS: list[dict[str, Any]] = [
    {
        "query_id": f"q{query}",
        "item_id": f"i{query}{rank}",
        "rank": rank,
        "score": 1 / rank,
        "query_group": "ab"[query],
        "tone": rank,
    }
    for query in range(2)
    for rank in range(1, 5)
]


def _hit(row: dict[str, Any]) -> dict[str, Any]:
    return {"_id": row["item_id"], "_score": row["score"], "_source": {"tone": row["tone"]}}


_HITS = [
    {
        "query_id": f"q{query}",
        "query_group": "ab"[query],
        "hits": {"hits": [_hit(row) for row in rows]},
        "root": None,
    }
    for query, rows in enumerate((_ROWS[:4], _ROWS[4:]))
]


def _csv(separator: str) -> bytes:
    rows = [list(_ROWS[0]), *(list(map(str, row.values())) for row in _ROWS)]
    return "".join(separator.join(row) + "\n" for row in rows).encode()


def _parquet() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({name: [row[name] for row in _ROWS] for name in _ROWS[0]}), sink)
    return bytes(sink.getvalue())


def _saved(*, packed: bool) -> bytes:
    out = io.BytesIO()
    ids = np.arange(8).reshape(2, 4)
    if packed:
        np.savez(out, ids=ids, distances=ids / 8)
    else:
        np.save(out, ids)
    return out.getvalue()


_CHILDREN = [{"id": row["item_id"], "relevance": 0.5, "fields": {"tone": row["tone"]}} for row in _ROWS]
_VESPA = [{"query_id": hit["query_id"], "root": {"children": _CHILDREN}} for hit in _HITS]
_SOURCES: dict[str, bytes] = {
    "a.csv": _csv(","),
    "b.csv": b'\xef\xbb\xbfquery_id;item_id;rank;query_group;tone\r\n"q;1";"i ""1""";1;a;4\r\nq2;"i\n2";1;b;5\r\n',
    "a.tsv": _csv("\t"),
    "a.json": json.dumps(_ROWS).encode(),
    "a.jsonl": "".join(json.dumps(row) + "\n" for row in _ROWS).encode(),
    "es.json": json.dumps(_HITS, indent=1).encode(),
    "es.jsonl": "".join(json.dumps(hit) + "\n" for hit in _HITS).encode(),
    "vespa.json": json.dumps(_VESPA).encode(),
    "faiss.json": json.dumps({"ids": [[1, 2], [3, -1]], "distances": [[0.1, 0.2], [0.3, 0]]}).encode(),
    "run.txt": "".join(f"{row['query_id']} Q0 {row['item_id']} {row['rank']} 0.5 t\n" for row in _ROWS).encode(),
    "a.parquet": _parquet(),
    "a.npy": _saved(packed=False),
    "a.npz": _saved(packed=True),
}
_CATALOGS = (None, "item_id,tone\n" + "".join(f"{row['item_id']},{row['tone']}\n" for row in _ROWS))
_CELLS = (
    *(
        b"",
        b"-1",
        b"nan",
        b"NaN",
        b"inf",
        b"1e999",
        b"-7",
        b"1.5",
        b"99999999999999999999",
        b"0",
        b"1_000",
        b"\xd9\xa3",
    ),
    *(b"=1+1", b"@SUM(A1)", b"<script>alert(1)</script>", b"\x00", b"\xff\xfe", b'"', b'""', b"'", b"x" * 5_000),
    *(b"{}", b"[]", b"[1, [2]]", b"null", b"true", b"IV", b"#d7bd96", b"\xe2\x80\xae", b"\\ud800", b"q0", b"i01"),
    *(b",", b"\n", b"\r", b'{"a": {"b": 1}}'),
)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    name = draw(st.sampled_from(sorted(_SOURCES)))
    data = bytearray(_SOURCES[name])
    kind = draw(
        st.sampled_from(
            [
                "cell",
                "cell",
                "cell",
                "cut",
                "flip",
                "insert",
                "encode",
                "nest",
                "repeat",
                "lines",
                "blank",
                "rename",
                "none",
            ]
        )
    )
    place = draw(st.integers(0, len(data)))
    match kind:
        case "cell":
            words = [
                b"q0",
                b"i01",
                b"1",
                b"0.5",
                b"a",
                b"tone",
                b"rank",
                b"query_id",
                b"item_id",
                b'"',
                b"4",
                b"Q0",
                b"[",
            ]
            data = bytearray(
                bytes(data).replace(
                    draw(st.sampled_from(words)), draw(st.sampled_from(_CELLS)), draw(st.integers(1, 3))
                )
            )
        case "cut":
            data = data[:place]
        case "flip":
            for position in draw(st.lists(st.integers(0, len(data) - 1), min_size=1, max_size=8)):
                data[position] ^= 1 << draw(st.integers(0, 7))
        case "insert":
            data[place:place] = draw(st.one_of(st.sampled_from(_CELLS), st.binary(min_size=1, max_size=40)))
        case "encode":
            encoding = draw(st.sampled_from(["utf-16", "utf-16-le", "utf-32", "latin-1", "cp037"]))
            data = bytearray(data.decode("utf-8", "replace").encode(encoding, "replace"))
        case "nest":
            data[place:place] = draw(st.sampled_from([b"[", b'{"a":', b"(", b'"'])) * draw(
                st.sampled_from([50, 2_000, 100_000])
            )
        case "repeat":
            data = data * draw(st.integers(2, 30))
        case "lines":
            data = bytearray(b"\n".join(draw(st.permutations(bytes(data).split(b"\n")))))
        case "blank":
            data = bytearray(
                draw(
                    st.sampled_from(
                        [
                            b"",
                            b" ",
                            b"\n\n",
                            b"\xef\xbb\xbf",
                            b"[]",
                            b"{}",
                            b"PAR1",
                            b"null",
                            b"[null]",
                            b"\x93NUMPY",
                            b"PK\x03\x04",
                        ]
                    )
                )
            )
        case "rename":
            name = draw(
                st.sampled_from(["a.csv", "a.tsv", "a.json", "a.jsonl", "a.txt", "a", "a.parquet", "a.npz", "a.xlsx"])
            )
    return name, bytes(data)


@pytest.mark.slow
@settings(max_examples=1_000, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    damaged(),
    st.sampled_from(_CATALOGS),
    st.sampled_from(["nominal", "ordinal", "ita"]),
    st.sampled_from(["auto", "auto", "auto", "long", "trec", "elasticsearch", "faiss", "vespa"]),
)
def test_damage_is_always_named(case: tuple[str, bytes], catalog: str | None, scale: str, preset: str) -> None:
    name, content = case
    options = {"scale": scale, "preset": preset}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        files = {"results": InputFile(path, name, "")}
        if catalog is not None:
            (Path(folder) / "catalog.csv").write_text(catalog, encoding="utf-8")
            files["catalog"] = InputFile(Path(folder) / "catalog.csv", "catalog.csv", "")
        try:
            _check(inputs.read(files, ParitySpec.model_validate(options)))
        except InputError as refused:
            _check_sentence(str(refused))
        try:
            shown = inputs.preview("results", files["results"], options)
        except InputError as refused:
            _check_sentence(str(refused))
            return
    assert shown.n_problems >= len(shown.problems)
    for problem in shown.problems:
        _check_sentence(problem)
    for row in shown.rows:
        assert all(text.isprintable() for text in row.values())
        assert json.dumps(row, ensure_ascii=False).encode()


def _check_sentence(sentence: str) -> None:
    assert sentence.isprintable()
    assert sentence.endswith((".", "?", "..."))
    assert len(sentence) < 2_000


def _check(found: Results) -> None:
    """Results that keep every promise of theirs."""
    n = len(found.item)
    assert n == len(found.query) == len(found.rank) > 0
    assert set(found.query.tolist()) == set(range(found.n_queries))
    assert found.item.min() >= 0
    assert found.item.max() < found.n_items
    assert found.rank.min() >= 1
    key = found.query.astype(np.int64) * 2**32 + found.rank
    assert np.all(np.diff(key) > 0)
    assert len(np.unique(found.query.astype(np.int64) * found.n_items + found.item)) == n
    assert found.score is None or np.isfinite(found.score).all()
    assert len(found.query_group) == found.n_queries
    assert found.query_group.max() < max(len(found.group_names), 1)
    for attribute in found.attributes.values():
        assert len(attribute.level) == found.n_items
        assert attribute.level.max() < len(attribute.scale.levels)
        assert attribute.level.min() >= MISSING
        if attribute.value is not None:
            assert np.array_equal(np.isnan(attribute.value), attribute.level == MISSING)
    for caution in found.cautions:
        assert caution.message.isprintable()


@pytest.mark.parametrize("name", sorted(_SOURCES))
def test_the_undamaged_files_are_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(_SOURCES[name])
    shown = inputs.preview("results", InputFile(path, name, ""), {"scale": "ordinal"})
    assert shown.n_problems == 0, shown.problems
