"""What runs on a graphics processor of NVIDIA, against the same in float32 or by transformers' own code there."""

from pathlib import Path
from typing import Any

import pytest
import torch
from auditor.audits.memory import MemoryContext
from auditor.audits.unlearning.batches import Tokens
from auditor.audits.unlearning.objective_settings import PduSettings
from auditor.audits.unlearning.objectives import objective
from auditor.audits.unlearning.trainer import train
from auditor.audits.unlearning.training import TrainingSettings
from auditor.models.folder import inspect_folder
from auditor.models.lean_layers import rms_norm, silu_product
from auditor.models.linear_losses import Head, cross_entropy, squared_margin, token_nll
from auditor.models.make_trainable import trainable
from tests.models import tiny
from torch.nn import functional

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no graphics processor of NVIDIA")
_N, _WIDTH, _VOCABULARY = 700, 256, 50_000


def _off(found: Any, wanted: Any) -> float:
    return float(torch.linalg.vector_norm(found.double().cpu() - wanted.cpu()) / torch.linalg.vector_norm(wanted.cpu()))


@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("loss", ["margin", "entropy", "nll"])
def test_losses_of_the_head_are_those_of_all_logits(dtype: Any, most: float, loss: str) -> None:
    draw = torch.Generator().manual_seed(1)
    hidden, weight = (torch.randn(rows, _WIDTH, generator=draw) for rows in (_N, _VOCABULARY))
    # What is compared is the same numbers, as the lower precision holds them.
    hidden, weight = hidden.to(dtype), (weight / 16).to(dtype)
    targets = torch.randint(0, _VOCABULARY, (_N,), generator=draw)
    exact = [hidden.double().requires_grad_(), weight.double().requires_grad_()]
    logits = functional.linear(*exact)
    dense = (
        (logits.max(-1)[0] - logits.mean(-1)).square().mean()
        if loss == "margin"
        else functional.cross_entropy(logits, targets)
    )
    dense.backward()
    ours = [hidden.cuda().requires_grad_(), weight.cuda().requires_grad_()]
    head, aim = Head(ours[1]), targets.cuda()
    found = {
        "margin": lambda: squared_margin(ours[0], 1 / _N, head),
        "entropy": lambda: cross_entropy(ours[0], aim, 1 / _N, head),
        "nll": lambda: token_nll(ours[0], aim, head).mean(),
    }[loss]()
    found.backward()
    assert _off(found.detach(), dense.detach()) <= most
    if (loss, dtype) == ("margin", torch.bfloat16):
        # Which of two logits is the largest is not to be told where they are rounded to the same number.
        rows = [_off(*pair) <= most for pair in zip(ours[0].grad, exact[0].grad, strict=True)]
        assert sum(rows) >= 0.9 * _N
        return
    for mine, theirs in zip(ours, exact, strict=True):
        assert _off(mine.grad, theirs.grad) <= most


@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_norms_and_products_have_the_gradients_of_float64(dtype: Any, most: float) -> None:
    draw = torch.Generator().manual_seed(2)
    rows, other = (torch.randn(_N, 1024, generator=draw).to(dtype) for _ in range(2))
    upstream = torch.randn(_N, 1024, generator=draw).to(dtype)

    def norm(hidden: Any, weight: Any) -> Any:
        scale = torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + 1e-5)
        return weight[0] * hidden * scale

    pairs = [
        (lambda a, b: rms_norm(a, b[0], 1e-5), norm),
        (silu_product, lambda gate, up: functional.silu(gate) * up),
    ]
    for ours, theirs in pairs:
        mine = [rows.cuda().requires_grad_(), other.cuda().requires_grad_()]
        exact = [rows.double().requires_grad_(), other.double().requires_grad_()]
        found, wanted = ours(*mine), theirs(*exact)
        found.backward(upstream.cuda())
        wanted.backward(upstream.double())
        assert _off(found.detach(), wanted.detach()) <= most
        for one, two in zip(mine, exact, strict=True):
            assert _off(one.grad, two.grad) <= most


@pytest.mark.parametrize("rank", [None, 4])
@pytest.mark.parametrize("method", ["pdu", "npo"])
def test_training_there_is_training_on_the_processor(tmp_path: Path, rank: int | None, method: str) -> None:
    found: dict[str, list[float]] = {}
    forget, retain = ([Tokens(tuple(start + place for place in range(24)), 6)] * 4 for start in (2, 90))
    settings = TrainingSettings(epochs=6, batch_size=2, learning_rate=1e-3, warmup_epochs=0)
    for device in ("cpu", "cuda"):
        model = inspect_folder(tiny.write(tmp_path / device, "llama"))
        learner = trainable(model, device=device, dtype="float32", lora_rank=rank)
        how = objective("pdu", PduSettings(epsilon=1.0, gamma=0.01)) if method == "pdu" else objective(method)
        try:
            done = train(learner, how, forget, retain, settings, MemoryContext(folder=tmp_path / f"run-{device}"))
        finally:
            learner.close()
        found[device] = [row.forget_loss for row in done.rows] + [row.retain_loss or 0 for row in done.rows]
    assert found["cuda"] == pytest.approx(found["cpu"], rel=2e-3, abs=2e-4)
    assert len(set(found["cuda"])) > 6
