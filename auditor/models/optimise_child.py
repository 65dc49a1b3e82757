"""`python -m auditor.models.optimise_child`: one native step of optimising a model file, in a process of its own.

The first line of standard input is the job as JSON; on standard output comes {"ok": true, "result": …} or {"ok": false,
"error": sentence}. The process ends with whoever started it: when standard input is closed, it is gone at once.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from pydantic import BaseModel

from auditor.errors import AuditorError
from auditor.models.file import Kind, ModelFile
from auditor.models.llama import LabelScorer
from auditor.models.quantise import requantise
from auditor.models.tree import Unit, batches, order

#: Tokens whose speed is measured, after fewer that bring the memory in.
PREFILL_TOKENS, _WARM_TOKENS = 512, 64
#: A fast model is measured up to so many times within so many seconds, and the median of them counts as one.
_MOST_TIMES, _SECONDS = 3, 2.0
_SEED = 0
#: Passed over: bytes and special tokens stand at the beginning of most vocabularies.
_FIRST_WORD = 300


class Job(BaseModel):
    """What is asked of the process."""

    step: str
    model: ModelFile
    target: Path | None = None
    kind: Kind | None = None
    n_ctx: int = 2048
    prefix: list[int] = []
    units: list[tuple[list[int], list[list[int]]]] = []
    labels: list[int] = []


def quantise(job: Job) -> Any:
    """Write the requantised file; returns its size in bytes."""
    assert job.target is not None
    assert job.kind is not None
    requantise(job.model.path, job.target, job.kind, made_from=job.model.sha256)
    return job.target.stat().st_size


def prefill(job: Job) -> Any:
    """Tokens per second of one prompt of 512 tokens, and what computed them."""
    draw = np.random.default_rng(_SEED)
    with LabelScorer(job.model, n_ctx=job.n_ctx, check=False) as scorer:

        def seconds(n: int) -> float:
            first = min(_FIRST_WORD, scorer.n_tokens - 1)
            tokens = draw.integers(first, scorer.n_tokens, n).tolist()
            begun = time.perf_counter()
            scorer.hold(tokens)
            return time.perf_counter() - begun

        seconds(_WARM_TOKENS)
        found = [seconds(PREFILL_TOKENS)]
        while len(found) < _MOST_TIMES and sum(found) < _SECONDS:
            found.append(seconds(PREFILL_TOKENS))
        return {"tokens_per_s": PREFILL_TOKENS / float(np.median(found)), "device": scorer.device}


def score(job: Job) -> Any:
    """Logits of the labels: for each unit a row for each of its suffixes."""
    units = [
        Unit(np.array(body, np.int32), tuple(np.array(s, np.int32) for s in suffixes)) for body, suffixes in job.units
    ]
    sequence = order(units)
    result: list[list[list[float]]] = [[[] for _ in unit.suffixes] for unit in units]
    with LabelScorer(job.model, n_ctx=job.n_ctx, check=False) as scorer:
        scorer.hold(job.prefix)
        ordered = [units[place] for place in sequence]
        cut = batches(ordered, capacity=scorer.plan.capacity, max_leaves=scorer.max_leaves)
        for batch, logits in scorer.scores(cut, job.labels):
            for (unit, suffix), row in zip(batch.leaves, logits, strict=True):
                result[sequence[unit]][suffix] = [float(value) for value in row]
    return result


_STEPS: Mapping[str, Callable[[Job], Any]] = {step.__name__: step for step in (quantise, prefill, score)}


def main(question: IO[bytes], answer: IO[str]) -> int:
    """Do one step."""
    job = Job.model_validate_json(question.readline())
    threading.Thread(target=_end_with_parent, args=(question,), daemon=True).start()
    try:
        told = {"ok": True, "result": _STEPS[job.step](job)}
    except (AuditorError, OSError) as error:
        told = {"ok": False, "error": str(error)}
    answer.write(json.dumps(told) + "\n")
    answer.flush()
    return 0


def _end_with_parent(question: IO[bytes]) -> None:
    question.read()
    # Native code does not look for signals of ours; nothing here is worth an orderly end.
    os._exit(1)


if __name__ == "__main__":
    # Native libraries print to standard output; the answer goes through a copy of it that they do not know.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    code = main(sys.stdin.buffer, answers)
    # The thread still reads; the interpreter would wait for the lock of standard input.
    answers.close()
    os._exit(code)
