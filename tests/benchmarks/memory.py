"""Memory of a loaded model: predicted before it is loaded, against the peak. ``python -m tests.benchmarks.memory``

The starter, and files of random weights of 7B shape (Mistral-7B's) in Q4_0 and Q8_0, written to the folder named by
AUDITOR_BENCHMARK_FOLDER, else the temporary one, and deleted; those that do not fit on the disk or into memory are left
out and named. Further GGUF files can be named. --quick: the starter and a small file, with a context of 512.
Ratio ``predicted_vs_peak_NAME`` is to be within 0.9 and 1.1. A round is a process of its own that loads the file, holds
a prefix of 256 tokens and scores prompts as long as the context under one of the batch plans; the peak is its highest
resident size less that before loading.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
from auditor.models import ModelFile
from auditor.models.batch_plan import candidates
from auditor.models.fit import RESERVE_BYTES, estimate
from auditor.models.inspect import inspect
from auditor.models.starter import starter
from gguf import GGMLQuantizationType
from tests.benchmarks.harness import is_quick, ratio, report, summary
from tests.models.random_gguf import MISTRAL_7B, SMALL, Shape, write

N_CTX = 2048
_BITS = {GGMLQuantizationType.Q4_0: 4.5, GGMLQuantizationType.Q8_0: 8.5}
_MIB = 1024**2
#: What is added to a file's name for each of the batch plans.
_PLANS = ("", "_plain", "_small")


def peak(model: ModelFile, n_ctx: int, tokens: int, place: int) -> int:
    """Peak of a process that loads the model, less its baseline, bytes."""
    command = [sys.executable, "-m", "tests.models.peak", model.model_dump_json(), str(n_ctx), str(tokens), str(place)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def made(folder: Path, left_out: list[str]) -> Iterator[ModelFile]:
    """Models one after another; a file of random weights is deleted before the next one is written."""
    first = starter()
    assert first is not None, "the starter model is not installed"
    yield first
    for argument in sys.argv[1:]:
        if not argument.startswith("--"):
            yield inspect(Path(argument))
    shapes: list[tuple[str, Shape, GGMLQuantizationType]] = [("small-Q4_0", SMALL, GGMLQuantizationType.Q4_0)]
    if not is_quick():
        shapes = [(f"7b-shape-{kind.name}", MISTRAL_7B, kind) for kind in _BITS]
    for name, shape, kind in shapes:
        size = int(shape.parameters * _BITS[kind] / 8)
        copies = 2 if kind is GGMLQuantizationType.Q4_0 else 1
        if size > shutil.disk_usage(folder).free // 2:
            left_out.append(f"{name}: no room on the disk")
        elif copies * size + 2 * RESERVE_BYTES > psutil.virtual_memory().available:
            left_out.append(f"{name}: no room in memory")
        else:
            path = folder / f"{name}.gguf"
            yield inspect(write(path, shape, kind))
            path.unlink()


def main() -> None:
    """Measure."""
    rounds, tokens, n_ctx = (1, 400, 512) if is_quick() else (2, 1000, N_CTX)
    figures, ratios, left_out = {}, {}, list[str]()
    with tempfile.TemporaryDirectory(dir=os.environ.get("AUDITOR_BENCHMARK_FOLDER")) as folder:
        for model in made(Path(folder), left_out):
            for place, plan in enumerate(candidates(on_gpu=False)):
                fit = estimate(model, n_ctx=n_ctx, plan=plan)
                name = f"{model.name}{_PLANS[place]}"
                if not fit.fits:
                    left_out.append(f"{name}: no room in memory")
                    continue
                found = [peak(model, n_ctx, tokens, place) / _MIB for _ in range(rounds)]
                predicted = [fit.memory_bytes / _MIB] * rounds
                figures[f"peak_{name}"] = summary(found, "MiB")
                figures[f"predicted_{name}"] = summary(predicted, "MiB")
                ratios[f"predicted_vs_peak_{name}"] = ratio(predicted, found)
    report({"n_ctx": n_ctx, "tokens": tokens, "rounds": rounds, "left_out": left_out}, figures, ratios)


if __name__ == "__main__":
    main()
