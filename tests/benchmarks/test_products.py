"""The operations that a benchmark sets against the matrix rate, as torch counts them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.benchmarks import unlearning_gpu
from tests.models import tiny
from torch.utils.flop_counter import FlopCounterMode


def test_a_step_needs_the_products_that_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["unlearning_gpu", "--quick"])
    asked: dict[str, Any] = {"rank": 0, "vocabulary": 300, "length": 16, "answers": 0.5}
    loaded = unlearning_gpu.model(torch.device("cpu"), 300, tiny.write(tmp_path / "tiny", "llama"))
    learner = unlearning_gpu.learner_of("ours", loaded, 0)
    try:
        forget, retain = unlearning_gpu.batches(learner, 4, 16, 0.5)
        with FlopCounterMode(display=False) as counter:
            unlearning_gpu.ours(learner)(forget, retain)
    finally:
        learner.close()
    counted = counter.get_flop_counts()["Global"]
    # Attention is no plain product; what is assumed of it stands in the benchmark.
    attention = 2 * 2 * 64 * 16 / 2 * 6 * (2 * 4 * 16)
    assert counted[torch.ops.aten.mm] == unlearning_gpu.products(asked, unlearning_gpu._SMALL) - attention
