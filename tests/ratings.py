"""Tables of ratings made for a purpose, without a model: what a run would have written; and what a run may rate."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from auditor.resources import resource
from numpy.typing import NDArray

SCORES = np.arange(1, 6)


def write_many(path: Path, n: int) -> Path:
    """Write as many conversations as asked: the sample's again and again, each time with another reply."""
    lines = resource("samples", "conversations.jsonl").read_text(encoding="utf-8").splitlines()
    with path.open("w", encoding="utf-8") as file:
        for number in range(n):
            record = json.loads(lines[number % len(lines)])
            record["messages"][-1]["content"] += f" ({number})"
            file.write(json.dumps(record | {"id": str(number)}) + "\n")
    return path


def peaked(centre: NDArray[np.float64], width: float | NDArray[np.float64] = 0.7) -> NDArray[np.float64]:
    """Probabilities of 1 to 5, shape (n, 5), highest near a centre and wider with the width."""
    weight = np.exp(-(np.square(SCORES - np.asarray(centre)[:, None])) / (2 * np.square(np.reshape(width, (-1, 1)))))
    p: NDArray[np.float64] = weight / weight.sum(axis=1, keepdims=True)
    return p


def write_ratings(
    path: Path,
    axes: Mapping[str, NDArray[np.float64]],
    *,
    ids: Sequence[str] | None = None,
    groups: Sequence[str | None] | None = None,
    lengths: Sequence[int] | None = None,
) -> Path:
    """Write tables/ratings.parquet from probabilities by axis, each of shape (n, 5); rows count from 1."""
    n = len(next(iter(axes.values())))
    rows: list[dict[str, Any]] = []
    for place in range(n):
        for axis, p in axes.items():
            share = p[place]
            rows.append(
                {
                    "id": ids[place] if ids else f"c{place + 1}",
                    "row": place + 1,
                    "group": groups[place] if groups else None,
                    "axis": axis,
                    "expected": float(share @ SCORES),
                    "mode": int(share.argmax()) + 1,
                    "entropy": float(-(share * np.log(np.maximum(share, 1e-300))).sum()),
                    **{f"p{score}": float(share[score - 1]) for score in SCORES},
                    "spread": None,
                    **({"length": int(lengths[place])} if lengths is not None else {}),
                    "truncated_turns": 0,
                    "prompt": "0" * 64,
                    "explanation": None,
                }
            )
    kinds = {"row": pa.int64(), "mode": pa.int8(), "length": pa.int32(), "truncated_turns": pa.int32()}
    texts = {"id", "group", "axis", "prompt", "explanation"}
    schema = pa.schema([(name, pa.string() if name in texts else kinds.get(name, pa.float64())) for name in rows[0]])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    return path
