"""Peak memory of a loaded model: `python -m tests.models.peak MODEL_JSON N_CTX TOKENS PLAN` prints bytes.

A process of its own. The peak is the highest resident size since its start (VmHWM) less what it was before the model
was loaded; mapped pages of the file count as they are touched, as they do for whoever watches the machine. The prompts
are the longest that the context takes; PLAN is the place of a batch plan among the candidates, from 0.
"""

import sys
from pathlib import Path

import numpy as np
from auditor.models import ModelFile
from auditor.models.batch_plan import candidates
from auditor.models.llama import LabelScorer
from auditor.models.tree import Unit, batches

_PREFIX, _SUFFIX = 256, 24


def high_water() -> int:
    """Highest resident size of this process so far, bytes (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("the system does not tell the highest resident size")


def main(model: ModelFile, n_ctx: int, tokens: int, place: int) -> int:
    """Load, hold a prefix, score prompts of about so many tokens together; returns the peak above the baseline."""
    plan = candidates(on_gpu=False)[place]
    draw = np.random.default_rng(0)

    def some(n: int) -> np.ndarray:
        return draw.integers(300, model.vocabulary, n).astype(np.int32)

    before = high_water()
    with LabelScorer(model, n_ctx=n_ctx, plan=plan, check=False) as scorer:
        scorer.hold(some(_PREFIX).tolist())
        body = n_ctx - _PREFIX - _SUFFIX
        units = [Unit(some(body), tuple(some(_SUFFIX) for _ in range(3))) for _ in range(max(1, tokens // body))]
        for _ in scorer.scores(batches(units, capacity=plan.capacity, max_leaves=scorer.max_leaves), [1, 2]):
            pass
        return high_water() - before


if __name__ == "__main__":
    asked = ModelFile.model_validate_json(sys.argv[1])
    sys.stdout.write(f"{main(asked, *map(int, sys.argv[2:5]))}\n")
