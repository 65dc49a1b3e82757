"""Losses without logits against the same losses with all logits at once, and against finite differences."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from auditor.errors import ModelError
from auditor.models import linear_losses
from auditor.models.linear_losses import Head, Teacher, cross_entropy, squared_margin, token_nll

_N, _WIDTH, _VOCABULARY = 10, 5, 23
Loss = Callable[[Any, Head], Any]


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of four rows, the last one short: sums over chunks are what is tried."""
    monkeypatch.setattr(linear_losses, "_CHUNK", {"cpu": 4 * _VOCABULARY + 3})


def _world(dtype: Any, *, bias: bool = False, scale: float = 1.0, cap: float | None = None) -> tuple[Any, Head]:
    generator = torch.Generator().manual_seed(5)

    def draw(*shape: int) -> Any:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()

    return draw(_N, _WIDTH), Head(draw(_VOCABULARY, _WIDTH), draw(_VOCABULARY) if bias else None, scale, cap)


def _targets() -> Any:
    return torch.randint(0, _VOCABULARY, (_N,), generator=torch.Generator().manual_seed(6))


def _weights() -> Any:
    return torch.rand(_N, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def _teacher(dtype: Any) -> Teacher:
    hidden, head = _world(dtype, bias=True)
    return Teacher(hidden.detach() + 0.3, head, strength=2.5)


def _logits(hidden: Any, head: Head) -> Any:
    logits = torch.nn.functional.linear(hidden, head.weight, head.bias) * head.scale
    return logits if head.soft_cap is None else head.soft_cap * torch.tanh(logits / head.soft_cap)


def _dense_entropy(hidden: Any, head: Head) -> Any:
    losses = torch.nn.functional.cross_entropy(_logits(hidden, head), _targets(), reduction="none")
    return (losses * _weights().to(losses)).sum()


def _dense_distillation(hidden: Any, head: Head) -> Any:
    teacher = _teacher(hidden.dtype)
    lowered = _logits(teacher.hidden, teacher.head).detach()
    lowered[torch.arange(_N), _targets()] -= teacher.strength
    losses = torch.nn.functional.cross_entropy(_logits(hidden, head), lowered.softmax(-1), reduction="none")
    return (losses * _weights().to(losses)).sum()


def _dense_margin(hidden: Any, head: Head) -> Any:
    logits = _logits(hidden, head)
    margins = logits.max(-1).values - logits.mean(-1)
    return (margins.square() * _weights().to(margins)).sum()


def _nonlinear(losses: Any) -> Any:
    return torch.nn.functional.logsigmoid(losses[:6].sum() - losses[6:].mean()) + losses.square().mean()


LOSSES: dict[str, tuple[Loss, Loss]] = {
    "cross entropy": (lambda h, head: cross_entropy(h, _targets(), _weights(), head), _dense_entropy),
    "distillation": (
        lambda h, head: cross_entropy(h, _targets(), _weights(), head, teacher=_teacher(h.dtype)),
        _dense_distillation,
    ),
    "token losses": (
        lambda h, head: _nonlinear(token_nll(h, _targets(), head)),
        lambda h, head: _nonlinear(torch.nn.functional.cross_entropy(_logits(h, head), _targets(), reduction="none")),
    ),
    "margin": (lambda h, head: squared_margin(h, _weights(), head), _dense_margin),
}
SHAPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "bias": {"bias": True},
    "scaled": {"bias": True, "scale": 0.4},
    "capped": {"bias": True, "scale": 1.5, "cap": 3.0},
}
CASES = [(name, shape) for name in LOSSES for shape in SHAPES if (name, shape) != ("margin", "capped")]


def _inputs(hidden: Any, head: Head) -> list[Any]:
    return [hidden, head.weight] + ([] if head.bias is None else [head.bias])


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_gradients_are_those_of_finite_differences(name: str, shape: str) -> None:
    hidden, head = _world(torch.float64, **SHAPES[shape])
    ours, _ = LOSSES[name]

    def loss(h: Any, weight: Any, bias: Any = None) -> Any:
        return ours(h, replace(head, weight=weight, bias=bias))

    assert torch.autograd.gradcheck(loss, _inputs(hidden, head), eps=1e-6, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(("name", "shape"), CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_losses_and_gradients_are_those_of_all_logits(name: str, shape: str, dtype: Any, tolerance: float) -> None:
    hidden, head = _world(dtype, **SHAPES[shape])
    ours, dense = (loss(hidden, head) for loss in LOSSES[name])
    torch.testing.assert_close(ours, dense, rtol=tolerance, atol=tolerance)
    found = torch.autograd.grad(3 * ours, _inputs(hidden, head))
    wanted = torch.autograd.grad(3 * dense, _inputs(hidden, head))
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == dtype
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance * float(other.abs().max()))


@pytest.mark.parametrize("name", LOSSES)
def test_in_half_precision_losses_are_kept_in_float32(name: str) -> None:
    hidden, head = _world(torch.bfloat16, bias=True)
    exact = Head(head.weight.detach().double().requires_grad_(), head.bias.detach().double().requires_grad_())
    ours = LOSSES[name][0](hidden, head)
    dense = LOSSES[name][1](hidden.detach().double().requires_grad_(), exact)
    assert ours.dtype == torch.float32
    assert float(ours.detach()) == pytest.approx(float(dense.detach()), rel=0.03)
    assert all(found.dtype == torch.bfloat16 for found in torch.autograd.grad(ours, _inputs(hidden, head)))


@pytest.mark.parametrize("name", LOSSES)
def test_a_head_that_is_tied_to_what_comes_before_gets_both_gradients(name: str) -> None:
    hidden, head = _world(torch.float64)
    ids = _targets()

    def tied(loss: Loss) -> Any:
        (gradient,) = torch.autograd.grad(loss(hidden + torch.tanh(head.weight[ids]), head), head.weight)
        return gradient

    torch.testing.assert_close(*(tied(loss) for loss in LOSSES[name]), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", LOSSES)
def test_a_frozen_head_gets_none(name: str) -> None:
    hidden, head = _world(torch.float64, bias=True)
    frozen = Head(head.weight.detach(), head.bias.detach())
    (alone,) = torch.autograd.grad(LOSSES[name][0](hidden, frozen), hidden)
    (beside, *_) = torch.autograd.grad(LOSSES[name][0](hidden, head), _inputs(hidden, head))
    torch.testing.assert_close(alone, beside, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_without_gradients_the_loss_is_the_same(name: str) -> None:
    hidden, head = _world(torch.float64, bias=True)
    with torch.no_grad():
        quiet = LOSSES[name][0](hidden, head)
    assert not quiet.requires_grad
    torch.testing.assert_close(quiet, LOSSES[name][0](hidden, head).detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "loss",
    [
        lambda h, head: cross_entropy(h, _targets()[:0], 1.0, head),
        lambda h, head: token_nll(h, _targets()[:0], head).sum(),
        lambda h, head: squared_margin(h, 1.0, head),
    ],
)
def test_no_rows_give_nothing(loss: Loss) -> None:
    hidden, head = _world(torch.float32, bias=True)
    found = loss(hidden[:0], head)
    assert float(found.detach()) == 0
    for gradient in torch.autograd.grad(found, _inputs(hidden, head)):
        assert not gradient.any()


def test_margin_refuses_capped_logits_in_a_sentence() -> None:
    hidden, head = _world(torch.float32, cap=30.0)
    with pytest.raises(ModelError, match=r"caps its logits at 30 .* Choose another method"):
        squared_margin(hidden, 1.0, head)


def test_a_second_derivative_is_refused() -> None:
    hidden, head = _world(torch.float64)
    loss = torch.ones((), dtype=torch.float64, requires_grad=True) * squared_margin(hidden, 1.0, head)
    (gradient,) = torch.autograd.grad(loss, hidden, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_only_a_chunk_of_logits_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden, head = _world(torch.float32)
    rows: list[int] = []
    product = torch.nn.functional.linear

    def watched(x: Any, *others: Any) -> Any:
        rows.append(len(x))
        return product(x, *others)

    monkeypatch.setattr(torch.nn.functional, "linear", watched)
    for name in LOSSES:
        LOSSES[name][0](hidden, head).backward()
    assert max(rows) == 4
