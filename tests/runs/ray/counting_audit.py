"""An audit for tests of how runs run: it counts, flushes every number, and may be told to wait or to be killed on the way.

It is announced as another distribution would announce one; see `conftest.announced`.
"""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import pyarrow as pa
from auditor.audits import Context, InputFile, InputRole, Picture, Preview
from auditor.audits.findings import Column, Findings, Provenance, TableInfo, Verdict
from auditor.errors import Cancelled, InputError
from pydantic import BaseModel

name, title, purpose = "counting", "Counting", "Counts."
input_roles = (InputRole("words", "Words", "A text.", (".txt",)),)
model_roles = ()
FindingsType = Findings


class Spec(BaseModel):
    n: int = 5
    pause_s: float = 0.0
    #: Number at which the worker is killed as the system kills one whose memory ran out, the first time it comes there.
    dies_at: int | None = None
    artefact_bytes: int = 10
    fails: bool = False


def run(spec: Spec, inputs: Mapping[str, InputFile], context: Context) -> Findings:
    words = inputs["words"].path.read_text(encoding="utf-8").split()
    if spec.fails:
        raise InputError("There are no such words", file=inputs["words"].name)
    died = context.checkpoints / "died"
    for i in range(len(list(context.rows("counts"))), spec.n):
        if context.cancelled():
            raise Cancelled("The run was cancelled; what was computed is kept.")
        context.row("counts", {"i": i, "value": (context.seed + 1) * i})
        context.progress(i + 1, spec.n, "Counting")
        if i == spec.dies_at and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(spec.pause_s)
    values = [row["value"] for row in context.rows("counts")]
    info = TableInfo(
        name="counts", title="Counts", rows=len(values), columns=(Column(name="value", title="Value", description=""),)
    )
    table = pa.table({"value": values})
    context.save_table(info, table.to_batches(), table.schema)
    (context.artefacts / "model").mkdir(exist_ok=True)
    (context.artefacts / "model" / "weights.bin").write_bytes(bytes(i % 251 for i in range(spec.artefact_bytes)))
    (context.artefacts / "empty.txt").touch()
    sentence = f"{len(values)} numbers and {len(words)} words add up to {sum(values)}."
    return Findings(
        audit=name,
        verdict=Verdict(state="counted", sentence=sentence),
        n=len(values),
        headline={"sum": sum(values)},
        tables=[info],
        provenance=Provenance(seed=context.seed),
    )


def preview(role: str, file: InputFile, options: Mapping[str, Any]) -> Preview:
    return Preview("text", (), {}, (), (), 0, 0)


def unit(file: InputFile, options: Mapping[str, Any], row: int) -> list[tuple[str, str]]:
    return []


def units(
    file: InputFile, options: Mapping[str, Any], rows: AbstractSet[int]
) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    yield from ()


def pictures(findings: Any, tables: Mapping[str, Path], theme: str) -> Iterator[Picture]:
    yield from ()


def methods(findings: Any) -> list[tuple[str, str]]:
    return []
