"""A step of primal-dual unlearning: ours, the published one, and plain fine-tuning of the same texts as the floor.

``python -m tests.benchmarks.unlearning [--lengths 128,512] [--answers SHARE] [--rounds N] [--quick]``

The starter model in float32 (--quick: a tiny one), all weights trained, 4 texts to forget and 4 to keep, the same AdamW. In
each text a share of the tokens is the answer, at which losses are read: half if not given, as in TOFU (of the positions of
padded batches of 4, .50 are answer tokens); all are with --answers 1. Step times are of one process, in turns; each peak of
memory is of a process of its own. Ratios without a length in their name are of the longest texts: `step_vs_published` is
the published time over ours, `memory_vs_published` our peak above the weights over theirs.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from auditor.models import ModelFile
from auditor.models.folder import inspect_folder
from auditor.models.starter import starter
from tests.benchmarks.harness import is_quick, option, ratio, report, summary
from tests.models.tiny import write

_GIB = 1024**3


def times(file: ModelFile, n: int, length: int, share: float, rounds: int) -> dict[str, list[float]]:
    """Seconds of each way in each round; a round before the first warms up."""
    from tests.benchmarks import unlearning_steps

    model = unlearning_steps.learner(file)
    ways = {name: make(model) for name, make in unlearning_steps.WAYS.items()}
    moments, (forget, retain) = unlearning_steps.optimizer(model), unlearning_steps.batches(model, n, length, share)
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, step in ways.items():
            begun = time.perf_counter()
            step(forget, retain)
            moments.step()
            moments.zero_grad()
            found[name].append(time.perf_counter() - begun)
    model.close()
    return {name: seconds[1:] for name, seconds in found.items()}


def peak(file: ModelFile, way: str, length: int, n: int, share: float) -> float:
    """GiB above the weights."""
    asked = [file.model_dump_json(), way, str(length), str(n), str(share)]
    command = [sys.executable, "-m", "tests.benchmarks.unlearning_steps", *asked]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / _GIB


def measured(
    file: ModelFile, n: int, lengths: list[int], share: float, rounds: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures and ratios."""
    figures, ratios = {}, {}
    for length in lengths:
        name = "" if length == max(lengths) else f"_{length}"
        seconds = times(file, n, length, share, rounds)
        gib = {way: [peak(file, way, length, n, share)] for way in seconds}
        for way in seconds:
            figures[f"step_{way}_{length}"] = summary(seconds[way], "s")
            figures[f"memory_{way}_{length}"] = summary(gib[way], "GiB")
        for other in ("published", "fine_tuning"):
            ratios[f"step_vs_{other}{name}"] = ratio(seconds[other], seconds["ours"])
            ratios[f"memory_vs_{other}{name}"] = ratio(gib["ours"], gib[other])
    return figures, ratios


def model_in(folder: Path) -> ModelFile:
    """The model that is trained."""
    if is_quick():
        return inspect_folder(write(folder / "tiny", "llama"))
    found = starter()
    assert found is not None, "the starter model is not installed"
    return found


def main() -> None:
    """Measure."""
    n, rounds = 4, int(option("--rounds", "1" if is_quick() else "5"))
    lengths = [int(length) for length in option("--lengths", "32" if is_quick() else "128,512").split(",")]
    share = float(option("--answers", "0.5"))
    with tempfile.TemporaryDirectory() as home:
        os.environ["AUDITOR_HOME"] = home
        file = model_in(Path(home))
        figures, ratios = measured(file, n, lengths, share, rounds)
    import torch

    settings = {"model": file.name, "texts": f"{n} + {n}", "lengths": lengths, "answers": share, "rounds": rounds}
    report(settings | {"threads": torch.get_num_threads(), "torch": str(torch.__version__)}, figures, ratios)


if __name__ == "__main__":
    main()
