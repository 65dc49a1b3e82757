"""Layers that keep less for the way back: the same values, the same gradients, and less that is kept."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from auditor.models.folder import inspect_folder
from auditor.models.lean_layers import lean, rms_norm, silu_product
from auditor.models.make_trainable import trainable
from tests.models import small, tiny
from transformers import AutoModelForCausalLM
from transformers.models.llama.modeling_llama import LlamaRMSNorm

IDS = torch.randint(0, 258, (2, 40), generator=torch.Generator().manual_seed(1))


def _model(folder: Path, architecture: str, **changes: Any) -> Any:
    return AutoModelForCausalLM.from_pretrained(tiny.write(folder, architecture, **changes))


def _gradients(module: Any, how: Any) -> tuple[Any, dict[str, Any]]:
    module.zero_grad()
    with how:
        logits = module(input_ids=IDS, use_cache=False).logits
        logits.pow(3).mean().backward()
    return logits.detach(), {n: w.grad.clone() for n, w in module.named_parameters() if w.grad is not None}


@pytest.mark.parametrize("again", [True, False])
@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3", "mistral", "mixtral", "gemma2", "cohere", "gpt2"])
def test_values_and_gradients_stay_the_same(tmp_path: Path, architecture: str, again: bool) -> None:
    module = _model(tmp_path / "model", architecture)
    own, before = _gradients(module, nullcontext())
    ours, after = _gradients(module, lean(module, again=again))
    assert torch.equal(ours, own)
    assert after.keys() == before.keys()
    for name, gradient in before.items():
        assert torch.linalg.vector_norm(after[name] - gradient) <= 2e-6 * torch.linalg.vector_norm(gradient), name


@pytest.mark.parametrize("rank", [None, 4])
def test_half_as_much_is_kept(tmp_path: Path, rank: int | None) -> None:
    """Counted in what autograd saves between two layers, weights apart."""
    learner = trainable(inspect_folder(small.write(tmp_path / "model")), device="cpu", dtype="float32", lora_rank=rank)
    weights = {weight.data_ptr() for weight in learner.module.parameters()}

    def kept(how: Any) -> int:
        seen: dict[int, int] = {}
        learner.module.train()
        with how, torch.autograd.graph.saved_tensors_hooks(lambda t: _seen(t, seen, weights), lambda t: t):
            hidden = learner.module.get_decoder()(input_ids=IDS, use_cache=False).last_hidden_state
        del hidden
        return sum(seen.values())

    # Hooks inside the layers are the inner ones: what they have made again never reaches those that count.
    assert kept(lean(learner.module)) < (0.62 if rank is None else 0.72) * kept(nullcontext())
    learner.close()


def _seen(tensor: Any, seen: dict[int, int], weights: set[int]) -> Any:
    storage = tensor.untyped_storage()
    if storage.data_ptr() not in weights:
        seen[storage.data_ptr()] = storage.nbytes()
    return tensor


def test_another_architecture_with_the_same_parts_is_trained_by_its_own_code(tmp_path: Path) -> None:
    """Granite's layers have the names of Llama's, but what they add is scaled."""
    folder = tiny.write(tmp_path / "granite", "granite", residual_multiplier=0.22)
    learner = trainable(inspect_folder(folder), device="cpu", dtype="float32", threads=1)
    try:
        with torch.no_grad():
            own = learner.hidden(IDS, torch.ones_like(IDS))
            with learner.training():
                trained = learner.hidden(IDS, torch.ones_like(IDS))
    finally:
        learner.close()
    assert torch.equal(trained, own)


@pytest.mark.parametrize(
    ("architecture", "rank", "rows"),
    [("llama", None, 7), ("llama", 4, 7), ("qwen3", None, 7), ("mixtral", None, 7), ("gemma2", None, 80)],
)
def test_the_last_layer_computes_places_that_are_asked_for(
    tmp_path: Path, architecture: str, rank: int | None, rows: int
) -> None:
    """Values and gradients are those of all places, most of which nobody looks at; other kinds compute them all."""
    folder = tiny.write(tmp_path / "model", architecture)
    learner = trainable(inspect_folder(folder), device="cpu", dtype="float32", threads=1, lora_rank=rank)
    places, mask = torch.tensor([0, 3, 21, 39, 40, 41, 79]), torch.ones_like(IDS)
    seen: list[int] = []
    mlp = learner.module.get_decoder().layers[-1].mlp
    mlp.register_forward_hook(lambda part, given, found: seen.append(given[0].shape[:-1].numel()))

    def gradients(hidden: Any) -> list[Any]:
        hidden.pow(3).mean().backward()
        found = [weight.grad.clone() for weight in learner.parameters if weight.grad is not None]
        for weight in learner.parameters:
            weight.grad = None
        return [hidden.detach(), *found]

    own = gradients(learner.hidden(IDS, mask).flatten(0, 1)[places])
    seen.clear()
    with learner.training():
        ours = gradients(learner.hidden_at(IDS, mask, places))
    assert seen[-1] == rows
    assert len(ours) == len(own) > 1
    for found, wanted in zip(ours, own, strict=True):
        assert torch.linalg.vector_norm(found - wanted) <= 2e-6 * torch.linalg.vector_norm(wanted)
    learner.close()


def test_an_architecture_whose_parts_answer_in_another_way_is_trained_by_its_own_code(tmp_path: Path) -> None:
    """Layers of gpt-oss have the four parts of a Llama layer, but their experts return a pair."""
    folder = small.write(tmp_path / "model", "gpt_oss", num_local_experts=2, num_experts_per_tok=1, head_dim=16)
    learner = trainable(inspect_folder(folder), device="cpu", dtype="float32")
    try:
        ids = torch.tensor([[5, 6, 7, 8]])
        learner.hidden(ids, torch.ones_like(ids)).sum().backward()
        assert all(weight.grad is not None for name, weight in learner.named.items() if "self_attn" in name)
    finally:
        learner.close()


def test_nothing_is_left_of_it_afterwards(tmp_path: Path) -> None:
    module = _model(tmp_path / "model", "llama")
    with lean(module):
        assert any("forward" in vars(part) for part in module.modules())
    assert not any("forward" in vars(part) for part in module.modules())


@pytest.mark.parametrize(
    "function", [lambda a, b: rms_norm(a, b[0], 1e-5), silu_product], ids=["rms_norm", "silu_product"]
)
def test_gradients_are_those_of_finite_differences(function: Callable[..., Any]) -> None:
    draw = torch.Generator().manual_seed(2)
    pair = [torch.randn(3, 7, dtype=torch.float64, generator=draw).requires_grad_() for _ in range(2)]
    assert torch.autograd.gradcheck(function, pair, atol=1e-7)


def test_a_norm_in_half_precision_is_rounded_as_transformers_rounds_it() -> None:
    norm = LlamaRMSNorm(64, eps=1e-6).bfloat16()
    norm.weight.data.normal_(generator=torch.Generator().manual_seed(3))
    hidden = torch.randn(5, 64, generator=torch.Generator().manual_seed(4)).bfloat16()
    assert torch.equal(rms_norm(hidden, norm.weight, 1e-6), norm(hidden))
