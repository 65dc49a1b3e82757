"""Models made ready to train: gradients reach what is trained, and the model as it was can be asked all along."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from auditor.errors import ModelError
from auditor.models.folder import inspect_folder
from auditor.models.lora import layers
from auditor.models.make_trainable import trainable
from auditor.models.optimiser import AdamSettings, Optimiser
from auditor.models.torch_fit import Workload
from auditor.models.trainable import Trainable
from tests.models import small, tiny

Make = Callable[..., Trainable]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Loads small models for training and frees them."""
    made: list[Trainable] = []

    def one(architecture: str = "llama", **asked: Any) -> Trainable:
        folder = tmp_path / f"{architecture}-{len(made)}"
        small.write(folder, architecture)
        made.append(trainable(inspect_folder(folder), device="cpu", threads=1, **{"dtype": "float32"} | asked))
        return made[-1]

    yield one
    for learner in made:
        learner.close()


IDS = torch.tensor([[5, 9, 200, 17, 80, 33], [7, 8, 100, 0, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])


def _loss(learner: Trainable) -> Any:
    hidden = learner.hidden(IDS, MASK)
    logits = torch.nn.functional.linear(hidden, learner.head_weight, learner.head_bias).float()
    labels = IDS.masked_fill(MASK == 0, -100)
    return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)


def _train(learner: Trainable, steps: int, rate: float = 1e-2) -> Optimiser:
    optimiser = Optimiser(learner.named, AdamSettings())
    for _ in range(steps):
        with learner.training():
            _loss(learner).backward()
        optimiser.step(rate)
    return optimiser


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt2", "gemma2", "cohere", "granite", "opt", "bloom"])
def test_hidden_states_and_head_are_the_models_own_logits(tmp_path: Path, architecture: str) -> None:
    folder = tiny.write(tmp_path / architecture, architecture)
    learner = trainable(inspect_folder(folder), device="cpu", dtype="float32", threads=1)
    try:
        with torch.no_grad():
            products = torch.nn.functional.linear(learner.hidden(IDS, MASK), learner.head_weight, learner.head_bias)
            products = products * learner.logit_scale
            cap = learner.soft_cap
            logits = products if cap is None else torch.tanh(products / cap) * cap
            own = learner.module(input_ids=IDS, attention_mask=MASK, use_cache=False).logits
        assert torch.allclose(logits[MASK == 1], own[MASK == 1], atol=1e-5)
    finally:
        learner.close()
    assert (learner.soft_cap is not None) == (architecture == "gemma2")
    assert learner.logit_scale == {"cohere": 0.5, "granite": 1 / 3}.get(architecture, 1.0)


def test_every_weight_is_trained_or_adapters_alone(make: Make) -> None:
    full, adapted = make(), make(lora_rank=4)
    assert len(full.parameters) == len(list(full.module.parameters()))
    assert all("lora_" in name for name in adapted.named)
    assert len(adapted.named) == 2 * 7 * 2
    before = {name: weight.clone() for name, weight in adapted.module.named_parameters()}
    _train(full, 1)
    _train(adapted, 2)
    for name, weight in adapted.module.named_parameters():
        assert torch.equal(weight, before[name]) != ("lora_" in name), name


def test_adapters_learn_where_layers_are_computed_twice(make: Make) -> None:
    """The usual trap: no input asks for a gradient, so none comes back, and nothing is learnt."""
    plain, twice = make(lora_rank=4), make(lora_rank=4, gradient_checkpointing=True)
    for learner in (plain, twice):
        with learner.training():
            _loss(learner).backward()
    gradients = {name: weight.grad.clone() for name, weight in plain.named.items()}
    assert any(bool(found.any()) for name, found in gradients.items() if "lora_B" in name)
    for name, weight in twice.named.items():
        assert torch.allclose(weight.grad, gradients[name], atol=1e-6), name
    _train(twice, 1)
    assert all(bool(weight.any()) for name, weight in twice.named.items() if "lora_B" in name)


def test_layers_are_computed_twice_in_training(make: Make) -> None:
    learner = make(gradient_checkpointing=True)
    ran: list[int] = []
    learner.model.parts.layers[0].self_attn.register_forward_hook(lambda *_: ran.append(1))
    with learner.training():
        _loss(learner).backward()
    assert len(ran) == 2


@pytest.mark.parametrize("rank", [None, 4])
@pytest.mark.parametrize("twice", [False, True])
def test_the_reference_is_the_model_as_it_was(make: Make, rank: int | None, twice: bool) -> None:
    learner = make(lora_rank=rank, gradient_checkpointing=twice)
    with torch.no_grad():
        start, head = learner.hidden(IDS, MASK), learner.head_weight.clone()
        layer = learner.layer_output(IDS, MASK, 0)
    learner.hold_reference()
    _train(learner, 3)
    with learner.training():
        loss = _loss(learner)
        with learner.reference():
            reference = learner.hidden(IDS, MASK)
            assert torch.equal(reference, start)
            assert torch.equal(learner.head_weight, head)
            assert torch.equal(learner.layer_output(IDS, MASK, 0), layer)
        assert not reference.requires_grad
        loss.backward()
        assert learner.module.training
    assert all(weight.grad is not None for weight in learner.parameters)
    with torch.no_grad():
        assert not torch.allclose(learner.hidden(IDS, MASK), start, atol=1e-3)


def test_a_reference_must_be_held_before_anything_is_trained(make: Make) -> None:
    learner = make(lora_rank=4)
    with pytest.raises(ValueError, match="no reference is held"), learner.reference():
        pass
    _train(learner, 1)
    with pytest.raises(ValueError, match="export the merged model"):
        learner.hold_reference()


@pytest.mark.parametrize("twice", [False, True])
def test_a_layers_output_has_its_history(make: Make, twice: bool) -> None:
    learner = make(gradient_checkpointing=twice)
    with torch.no_grad():
        every = learner.module(
            input_ids=IDS, attention_mask=MASK, output_hidden_states=True, use_cache=False
        ).hidden_states
        assert torch.allclose(learner.layer_output(IDS, MASK, 0)[MASK == 1], every[1][MASK == 1], atol=1e-5)
    with learner.training():
        learner.layer_output(IDS, MASK, 0).square().mean().backward()
    reached = {name for name, weight in learner.named.items() if weight.grad is not None}
    assert any(".layers.0." in name for name in reached)
    assert not any(".layers.1." in name for name in reached)
    assert len(learner.module.model.layers) == 2
    with pytest.raises(IndexError):
        learner.layer_output(IDS, MASK, 2)


def test_merged_weights_compute_what_the_adapters_did(make: Make) -> None:
    learner = make(lora_rank=4)
    _train(learner, 3)
    with torch.no_grad():
        adapted = learner.module(input_ids=IDS, attention_mask=MASK, use_cache=False).logits
        whole = learner.merged()
        merged = whole(input_ids=IDS, attention_mask=MASK, use_cache=False).logits
    assert torch.allclose(merged, adapted, atol=1e-4)
    assert not layers(whole)
    assert not [name for name in whole.state_dict() if "lora" in name or "base_layer" in name]
    assert len(layers(learner.module)) == 14


@pytest.mark.parametrize("rank", [None, 4])
def test_a_settled_model_holds_nothing_of_its_training(make: Make, rank: int | None) -> None:
    learner = make(lora_rank=rank)
    learner.hold_reference()
    _train(learner, 3)
    whole = {name: weight.bfloat16().float() for name, weight in learner.merged().state_dict().items()}
    learner.settle("bfloat16")
    assert not learner.named
    assert not layers(learner.module)
    assert not [weight for weight in learner.module.parameters() if weight.requires_grad or weight.grad is not None]
    settled = learner.module.state_dict()
    assert settled.keys() == whole.keys()
    assert all(torch.equal(settled[name], whole[name]) for name in whole)
    assert {weight.dtype for weight in settled.values()} == {torch.float32}
    with pytest.raises(ValueError, match="no reference is held"), learner.reference():
        pass


def test_small_steps_are_not_lost_in_bfloat16(make: Make) -> None:
    """A step of 1e-6 of a weight of 1 is nothing in bfloat16; a thousand of them are."""
    learner = make(dtype="bfloat16")
    name = "model.norm.weight"
    before = learner.named[name].clone()
    optimiser = _train(learner, 1, rate=1e-6)
    assert torch.equal(learner.named[name], before)
    assert not torch.equal(optimiser.weights()[name], before.float())
    for _ in range(9):
        with learner.training():
            _loss(learner).backward()
        optimiser.step(1e-3)
    assert not torch.equal(learner.named[name], before)
    assert learner.named[name].dtype == torch.bfloat16
    assert torch.equal(learner.named[name], optimiser.weights()[name].bfloat16())


def test_small_steps_of_adapters_are_not_lost_in_bfloat16(make: Make) -> None:
    learner = make(lora_rank=4, dtype="bfloat16")
    assert {weight.dtype for weight in learner.parameters} == {torch.bfloat16}
    name = next(name for name in learner.named if "lora_A" in name)
    before = learner.named[name].clone()
    optimiser = _train(learner, 2, rate=1e-7)
    assert torch.equal(learner.named[name], before)
    assert not torch.equal(optimiser.weights()[name], before.float())
    assert learner.merged().dtype == torch.bfloat16


def test_short_texts_of_a_batch_are_read_as_alone(make: Make) -> None:
    learner = make()
    with torch.no_grad():
        together = learner.hidden(IDS, MASK)[1, :3]
        alone = learner.hidden(IDS[1:, :3], MASK[1:, :3])[0]
    assert torch.allclose(together, alone, atol=1e-5)


def test_memory_is_asked_for_before_anything_is_loaded(tmp_path: Path) -> None:
    model = inspect_folder(small.write(tmp_path / "small"))
    large = model.model_copy(update={"parameters": 70 * 10**9})
    with pytest.raises(
        ModelError, match=r"Training small needs about .* low-rank adapters .* gradient checkpointing on"
    ):
        trainable(large, device="cpu", dtype="float32")
    with pytest.raises(ModelError, match=r"a batch of 4,096 x 8,192 tokens .* smaller batches"):
        trainable(model, device="cpu", dtype="float32", lora_rank=2, workload=Workload(4096, 8192))
