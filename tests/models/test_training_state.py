"""Checkpoints: exact, whole or not there; and the optimizer whose state they hold."""

from pathlib import Path

import pytest
import torch
from auditor.errors import ModelError
from auditor.models import training_state
from auditor.models.optimiser import AdamSettings, Optimiser
from auditor.models.training_state import Checkpoints, random_states, restore_random

CPU = torch.device("cpu")


def _named() -> dict[str, torch.nn.Parameter]:
    torch.manual_seed(3)
    return {"matrix": torch.nn.Parameter(torch.randn(4, 3)), "bias": torch.nn.Parameter(torch.randn(3))}


def _gradients(named: dict[str, torch.nn.Parameter], seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    for weight in named.values():
        weight.grad = torch.randn(weight.shape, generator=draw).to(weight.dtype)


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    tensors = {
        "a": torch.randn(3, 2),
        "b": torch.arange(5, dtype=torch.uint8),
        "c": torch.tensor(7.5, dtype=torch.bfloat16),
    }
    facts = {"lambda": 0.1 + 0.2, "steps": [1, 2], "best": None}
    checkpoints = Checkpoints(tmp_path / "training")
    assert checkpoints.latest() is None
    checkpoints.write(3, tensors, facts)
    saved = Checkpoints(tmp_path / "training").latest()
    assert saved is not None
    assert (saved.step, saved.facts) == (3, facts)
    assert all(torch.equal(saved.tensors[name], tensor) for name, tensor in tensors.items())


def test_the_latest_two_stay_and_a_damaged_one_is_passed_over(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2, 3):
        checkpoints.write(step, {"a": torch.full((8,), float(step))}, {})
    assert sorted(found.name for found in tmp_path.iterdir()) == ["step-000000002", "step-000000003"]
    file = tmp_path / "step-000000003" / "state.safetensors"
    whole = bytearray(file.read_bytes())
    whole[-1] ^= 1
    file.write_bytes(whole)
    saved = checkpoints.latest()
    assert saved is not None
    assert saved.step == 2
    file.unlink()
    (tmp_path / "step-000000002" / "state.json").write_text("{")
    assert checkpoints.latest() is None


def test_what_a_killed_process_left_is_deleted(tmp_path: Path) -> None:
    Checkpoints(tmp_path).write(1, {"a": torch.ones(2)}, {})
    left = tmp_path / "step-000000002.abcd.part"
    left.mkdir()
    (left / "state.safetensors").write_bytes(b"half")
    saved = Checkpoints(tmp_path).latest()
    assert saved is not None
    assert saved.step == 1
    assert not left.exists()


def test_a_full_disk_is_named_and_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.write(1, {"a": torch.ones(2)}, {})
    monkeypatch.setattr(training_state, "_SPARE_BYTES", 2**60)
    with pytest.raises(ModelError, match=r"A checkpoint takes .* make room, or train low-rank adapters"):
        checkpoints.write(2, {"a": torch.ones(2)}, {})
    saved = checkpoints.latest()
    assert saved is not None
    assert saved.step == 1


def test_random_numbers_go_on(tmp_path: Path) -> None:
    torch.manual_seed(5)
    torch.rand(3)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.write(1, random_states(CPU), {})
    wanted = torch.rand(4)
    saved = checkpoints.latest()
    assert saved is not None
    restore_random(saved.tensors, CPU)
    assert torch.equal(torch.rand(4), wanted)


def test_steps_are_those_of_adamw() -> None:
    """Against the formula, written out: matrices decay, vectors do not."""
    named = _named()
    expected = {name: weight.detach().double() for name, weight in named.items()}
    means = {name: (torch.zeros_like(weight), torch.zeros_like(weight)) for name, weight in expected.items()}
    optimiser = Optimiser(named, AdamSettings(weight_decay=0.1))
    for step in (1, 2, 3):
        _gradients(named, step)
        for name, weight in named.items():
            gradient = weight.grad.double()
            first, second = means[name]
            first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
            means[name] = (first, second)
            decayed = expected[name] * (1 - 0.01 * (0.1 if name == "matrix" else 0.0))
            expected[name] = decayed - 0.01 * (first / (1 - 0.9**step)) / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
        optimiser.step(0.01)
    for name, weight in named.items():
        assert torch.allclose(weight.detach().double(), expected[name], atol=1e-6), name


def test_gradients_are_scaled_down_to_the_largest_norm() -> None:
    free, held = _named(), _named()
    for named in (free, held):
        _gradients(named, 1)
    norm = Optimiser(free, AdamSettings()).step(0.0)
    again = torch.Generator().manual_seed(1)
    whole = torch.cat([torch.randn(weight.shape, generator=again).flatten() for weight in free.values()])
    assert norm == pytest.approx(float(whole.norm()), rel=1e-5)
    optimiser = Optimiser(held, AdamSettings())
    assert optimiser.step(0.01, most_norm=norm / 2) == pytest.approx(norm)
    assert optimiser.tensors()["exp_avg/bias"] == pytest.approx(0.1 * whole[-3:] / 2, abs=1e-5)


def test_a_gradient_that_is_no_number_changes_nothing() -> None:
    named = _named()
    before = {name: weight.detach().clone() for name, weight in named.items()}
    _gradients(named, 1)
    named["bias"].grad[0] = float("inf")
    with pytest.raises(ModelError, match="The gradient is no number any more"):
        Optimiser(named, AdamSettings()).step(0.01)
    assert all(torch.equal(weight, before[name]) for name, weight in named.items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_resumed_optimiser_takes_the_same_steps(tmp_path: Path, dtype: torch.dtype) -> None:
    def fresh() -> dict[str, torch.nn.Parameter]:
        return {name: torch.nn.Parameter(weight.detach().to(dtype)) for name, weight in _named().items()}

    def steps(named: dict[str, torch.nn.Parameter], optimiser: Optimiser, which: range) -> None:
        for step in which:
            _gradients(named, step)
            for weight in named.values():
                weight.grad = weight.grad.to(dtype)
            optimiser.step(1e-3)

    unbroken = fresh()
    steps(unbroken, Optimiser(unbroken, AdamSettings(weight_decay=0.01)), range(6))
    broken = fresh()
    first = Optimiser(broken, AdamSettings(weight_decay=0.01))
    steps(broken, first, range(4))
    Checkpoints(tmp_path).write(4, first.tensors(), {})
    saved = Checkpoints(tmp_path).latest()
    assert saved is not None
    resumed = fresh()
    second = Optimiser(resumed, AdamSettings(weight_decay=0.01))
    second.load(saved.tensors)
    steps(resumed, second, range(4, 6))
    for name, weight in unbroken.items():
        assert torch.equal(weight, resumed[name]), name
    with pytest.raises(ValueError, match="of another model"):
        second.load({name: tensor for name, tensor in saved.tensors.items() if "bias" not in name})
