"""Every method against a few lines that compute it with all logits at once."""

import math
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from auditor.audits.unlearning.batches import Batch, Tokens, collate
from auditor.audits.unlearning.objective_margin import PrimalDual
from auditor.audits.unlearning.objective_rmu import steering_vector
from auditor.audits.unlearning.objective_settings import (
    GradDiffSettings,
    IdkDpoSettings,
    NpoSettings,
    PduSettings,
    RmuSettings,
    SimNpoSettings,
    UndialSettings,
)
from auditor.audits.unlearning.objectives import METHODS, StepLosses, objective
from auditor.errors import ModelError
from auditor.models.folder import inspect_folder
from auditor.models.make_trainable import trainable
from tests.audits.unlearning.small_learner import HEADS, SmallLearner
from tests.models.tiny import write
from torch.nn.functional import cross_entropy, logsigmoid

_LAST, _SHARE = 9, 0.25


def _text(length: int, answer_from: int, seed: int, *, refusal: int = 0) -> Tokens:
    ids = torch.randint(10, 61, (length,), generator=torch.Generator().manual_seed(seed)).tolist()
    other = Tokens((*ids[:answer_from], *range(20, 20 + refusal), _LAST), answer_from) if refusal else None
    return Tokens((*ids[:-1], _LAST), answer_from, other)


@pytest.fixture
def forget() -> Batch:
    """Ragged, with a text that has no answer; what ends a text also pads it."""
    return collate([_text(7, 3, 1, refusal=2), _text(12, 5, 2, refusal=4), _text(4, 4, 3, refusal=1)], pad=_LAST)


@pytest.fixture
def retain() -> Batch:
    return collate([_text(9, 2, 4), _text(5, 1, 5), _text(6, 6, 6), _text(10, 4, 7)], pad=_LAST)


@pytest.fixture(params=["tied", "untied", "biased", "scaled"])
def learner(request: pytest.FixtureRequest) -> SmallLearner:
    return SmallLearner(request.param)


def _logits(model: Any, batch: Batch) -> Any:
    return model(input_ids=batch.ids, attention_mask=batch.attention_mask, use_cache=False).logits


def _nll(model: Any, batch: Batch) -> Any:
    """Mean over answer tokens, as transformers computes it."""
    logits, targets = _logits(model, batch)[:, :-1], batch.labels[:, 1:]
    return cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)


def _text_nll(model: Any, batch: Batch) -> Any:
    logits, targets = _logits(model, batch)[:, :-1], batch.labels[:, 1:]
    return cross_entropy(logits.transpose(1, 2), targets, ignore_index=-100, reduction="none").sum(-1)


def _answered(batch: Batch) -> Any:
    return (batch.labels[:, 1:] != -100).any(-1)


def _margin(model: Any, batch: Batch) -> Any:
    logits = _logits(model, batch)[:, :-1]
    margins = logits.max(-1).values - logits.mean(-1)
    mask = batch.labels[:, 1:] != -100
    return (margins.square() * mask).sum() / mask.sum()


def _published_margin(model: Any, batch: Batch) -> Any:
    """The formula as it was published: labels are not shifted."""
    logits = _logits(model, batch).flatten(0, 1)
    mask = (batch.labels != -100).flatten()
    return ((logits.max(-1).values - logits.mean(-1)) ** 2 * mask).sum() / mask.sum()


def _npo(at: SmallLearner, forget: Batch) -> Any:
    gained = _text_nll(at.module, forget) - _text_nll(at.start, forget)
    return -2 / 0.3 * logsigmoid(0.3 * gained)[_answered(forget)].mean()


def _simnpo(at: SmallLearner, forget: Batch) -> Any:
    mean = _text_nll(at.module, forget) / (forget.labels[:, 1:] != -100).sum(-1)
    return -2 / 4.5 * logsigmoid(4.5 * (mean - 0.2))[_answered(forget)].mean()


def _idk_dpo(at: SmallLearner, forget: Batch) -> Any:
    assert forget.alternative is not None
    win = _text_nll(at.start, forget.alternative) - _text_nll(at.module, forget.alternative)
    lose = _text_nll(at.start, forget) - _text_nll(at.module, forget)
    return -2 / 0.1 * logsigmoid(0.1 * (win - lose))[_answered(forget)].mean()


def _undial(at: SmallLearner, forget: Batch) -> Any:
    taught, targets = _logits(at.start, forget)[:, :-1].clone(), forget.labels[:, 1:]
    rows = targets != -100
    taught[rows, targets[rows]] -= 3.0
    return cross_entropy(_logits(at.module, forget)[:, :-1][rows], taught[rows].softmax(-1))


def _rmu_distance(found: Any, wanted: Any, batch: Batch) -> Any:
    means = [
        (found[row, mask] - wanted[row, mask]).square().mean()
        for row, mask in enumerate(batch.labels != -100)
        if mask.any()
    ]
    return torch.stack(means).mean()


def _layer(model: Any, batch: Batch, layer: int) -> Any:
    asked = {"input_ids": batch.ids, "attention_mask": batch.attention_mask, "output_hidden_states": True}
    return model(**asked).hidden_states[layer + 1]


def _rmu_forget(at: SmallLearner, forget: Batch) -> Any:
    found = _layer(at.module, forget, 1)
    return _rmu_distance(found, steering_vector(found, RmuSettings(layer=1, steering=5)).expand_as(found), forget)


def _rmu_retain(at: SmallLearner, retain: Batch) -> Any:
    return _rmu_distance(_layer(at.module, retain, 1), _layer(at.start, retain, 1), retain)


@dataclass(frozen=True)
class Case:
    """A method, its settings, and its two terms written out: forget and retain, each with its weight."""

    name: str
    settings: Any
    forget: Callable[[SmallLearner, Batch], Any]
    gamma: float
    alpha: float
    retain: Callable[[SmallLearner, Batch], Any] = lambda at, batch: _nll(at.module, batch)


_PDU = {"epsilon": 0.4, "gamma": 0.02, "lambda_start": 3.0}
CASES = {
    "pdu": Case("pdu", PduSettings(**_PDU), lambda at, b: _margin(at.module, b), 0.02, 3.0),
    "pdu, published mask": Case(
        "pdu", PduSettings(**_PDU, parity=True), lambda at, b: _published_margin(at.module, b), 0.02, 3.0
    ),
    "grad_ascent": Case("grad_ascent", None, lambda at, b: -_nll(at.module, b), 1, 0),
    "grad_diff": Case("grad_diff", GradDiffSettings(gamma=0.5, alpha=2), lambda at, b: -_nll(at.module, b), 0.5, 2),
    "npo": Case("npo", NpoSettings(beta=0.3, gamma=1.5, alpha=0.7), _npo, 1.5, 0.7),
    "simnpo": Case("simnpo", SimNpoSettings(delta=0.2), _simnpo, 0.125, 1),
    "idk_dpo": Case("idk_dpo", IdkDpoSettings(), _idk_dpo, 1, 1),
    "undial": Case("undial", UndialSettings(beta=3.0, alpha=0.5), _undial, 1, 0.5),
    "rmu": Case("rmu", RmuSettings(layer=1, steering=5, alpha=1.7), _rmu_forget, 1, 1.7, _rmu_retain),
    "fine_tune": Case("fine_tune", None, lambda at, b: _nll(at.module, b), 1, 0),
}


def _assert_same(found: Mapping[str, Any], wanted: Mapping[str, Any], tolerance: float) -> None:
    largest = max(float(gradient.abs().max()) for gradient in wanted.values())
    assert largest > 0
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=tolerance, atol=tolerance * largest, msg=name)


@pytest.mark.parametrize("name", CASES)
def test_losses_and_gradients_are_those_written_out(
    name: str, learner: SmallLearner, forget: Batch, retain: Batch
) -> None:
    case = CASES[name]
    lost, kept = case.forget(learner, forget), case.retain(learner, retain)
    (_SHARE * (case.gamma * lost + case.alpha * kept)).backward()
    wanted = learner.gradients()
    losses = objective(case.name, case.settings).backward(learner, forget, retain, _SHARE)
    assert losses.forget == pytest.approx(float(lost.detach()), rel=1e-6, abs=1e-6)
    assert losses.retain == pytest.approx(float(_nll(learner.module, retain).detach()), rel=1e-6)
    _assert_same(learner.gradients(), wanted, 1e-6)


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].name != "pdu"])
def test_capped_logits_are_followed_too(name: str, forget: Batch, retain: Batch) -> None:
    test_losses_and_gradients_are_those_written_out(name, SmallLearner("capped"), forget, retain)


def test_flattening_refuses_capped_logits(forget: Batch, retain: Batch) -> None:
    method = objective("pdu", PduSettings(epsilon=0.4))
    with pytest.raises(ModelError, match="caps its logits at 4"):
        method.backward(SmallLearner("capped"), forget, retain, 1.0)


def test_published_mask_leaves_the_first_answer_token(learner: SmallLearner) -> None:
    """An answer of one token: as published, only what follows the token is flattened; ours flattens what predicts it."""
    one = collate([Tokens((11, 12, 13), 2)], pad=0)
    touched = {}
    for parity in (False, True):
        method = objective("pdu", PduSettings(epsilon=0.4, parity=parity))
        hidden = _watched(learner)
        method.backward(learner, one, one, 1.0)
        touched[parity] = [bool(row.any()) for row in hidden[0].grad[0]]
    assert touched == {False: [False, True, False], True: [False, False, True]}


def _watched(learner: SmallLearner) -> list[Any]:
    """Hidden states that are computed from here on, with their gradients."""
    seen: list[Any] = []
    compute = SmallLearner.hidden

    def hidden(ids: Any, mask: Any) -> Any:
        found = compute(learner, ids, mask)
        if found.requires_grad:
            found.retain_grad()
        seen.append(found)
        return found

    learner.hidden = hidden
    return seen


@pytest.mark.parametrize("name", CASES)
def test_texts_without_answers_add_nothing(name: str, learner: SmallLearner) -> None:
    empty = collate([_text(5, 5, 1, refusal=1), _text(3, 3, 2, refusal=1)], pad=_LAST)
    if empty.alternative is not None:
        empty = Batch(empty.ids, empty.lengths, empty.labels, empty)
    losses = objective(CASES[name].name, CASES[name].settings).backward(learner, empty, empty, 1.0)
    assert (losses.forget, losses.retain) == (0, 0)
    for gradient in learner.gradients().values():
        assert not gradient.any()


@pytest.mark.parametrize("name", CASES)
def test_padding_changes_nothing(name: str, forget: Batch, retain: Batch) -> None:
    learner = SmallLearner("tied")
    method = objective(CASES[name].name, CASES[name].settings)
    once = method.backward(learner, forget, retain, 1.0)
    wanted = learner.gradients()
    wider = [_padded(batch, 4) for batch in (forget, retain)]
    again = method.backward(learner, wider[0], wider[1], 1.0)
    assert (again.forget, again.retain) == pytest.approx((once.forget, once.retain), rel=1e-6)
    _assert_same(learner.gradients(), wanted, 1e-5)


def _padded(batch: Batch, more: int) -> Batch:
    def pad(table: Any, value: int) -> Any:
        return torch.nn.functional.pad(table, (0, more), value=value)

    other = None if batch.alternative is None else _padded(batch.alternative, more)
    return Batch(pad(batch.ids, 33), batch.lengths, pad(batch.labels, -100), other)


def test_lambda_weighs_the_retain_term_and_moves_after_the_step(forget: Batch, retain: Batch) -> None:
    learner = SmallLearner("untied")
    method = objective("pdu", PduSettings(**_PDU, dual_step=2.0, dual_warmup_epochs=0))
    assert isinstance(method, PrimalDual)
    losses = method.backward(learner, forget, retain, 1.0)
    learner.gradients()
    method.after_step(losses, 0, False)
    assert losses.retain is not None
    moved = 3 + 2 * (losses.retain - 0.4)
    assert method.state()["lambda"] == pytest.approx(moved)
    (0.02 * _margin(learner.module, forget) + moved * _nll(learner.module, retain)).backward()
    wanted = learner.gradients()
    method.backward(learner, forget, retain, 1.0)
    _assert_same(learner.gradients(), wanted, 1e-6)
    resumed = objective("pdu", method.settings)
    resumed.load(method.state())
    assert resumed.state() == method.state()


def test_at_lambda_zero_the_retain_loss_is_read_without_gradients(forget: Batch, retain: Batch) -> None:
    learner = SmallLearner("untied")
    method = objective("pdu", PduSettings(epsilon=0.4, gamma=0.02, lambda_start=0.0))
    losses = method.backward(learner, forget, retain, 1.0)
    found = learner.gradients()
    (0.02 * _margin(learner.module, forget)).backward()
    _assert_same(found, learner.gradients(), 1e-6)
    assert losses.retain == pytest.approx(float(_nll(learner.module, retain).detach()))


def test_what_a_method_lacks_is_said(forget: Batch, retain: Batch) -> None:
    learner = SmallLearner("untied")
    for name, settings in (("pdu", PduSettings(epsilon=0.4)), ("rmu", RmuSettings(layer=1))):
        with pytest.raises(ValueError, match=f"{name} needs a retain set"):
            objective(name, settings).backward(learner, forget, None, 1.0)
    with pytest.raises(ValueError, match="an alternative to every answer"):
        objective("idk_dpo").backward(learner, retain, retain, 1.0)
    with pytest.raises(ValueError, match="there is no method magic"):
        objective("magic")
    with pytest.raises(ValueError, match="npo takes NpoSettings"):
        objective("npo", PduSettings(epsilon=0.4))


def test_without_a_retain_set_its_loss_is_not_made_up(forget: Batch) -> None:
    losses = objective("fine_tune").backward(SmallLearner("tied"), forget, None, 1.0)
    assert losses.retain is None


def test_those_with_no_memory_say_so() -> None:
    for name in METHODS:
        if name != "pdu":
            method = objective(name)
            method.after_step(StepLosses(0.1, 0.2), 0, True)
            assert (method.state(), method.warnings(), method.name) == ({}, (), name)


def test_names_and_settings_are_known_without_torch() -> None:
    code = "import sys, auditor.audits.unlearning.objectives; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_kind_of_head_was_tried() -> None:
    assert SmallLearner("biased").head_bias is not None
    assert SmallLearner("capped").soft_cap == 4
    assert SmallLearner("scaled").logit_scale == 0.5
    tied = {head: SmallLearner(head).module.config.tie_word_embeddings for head in HEADS}
    assert tied == {"tied": True, "untied": False, "biased": False, "scaled": True, "capped": True}


@pytest.mark.parametrize("lora_rank", [None, 4])
def test_every_method_trains_a_loaded_model(
    lora_rank: int | None, tmp_path: Path, forget: Batch, retain: Batch
) -> None:
    file = inspect_folder(write(tmp_path / "tiny", "llama"))
    loaded = trainable(file, lora_rank=lora_rank, dtype="float32", device="cpu", threads=1)
    loaded.hold_reference()
    for case in CASES.values():
        losses = objective(case.name, case.settings).backward(loaded, forget, retain, 1.0)
        assert math.isfinite(losses.forget), case
        gradients = [weight.grad for weight in loaded.parameters if weight.grad is not None]
        assert all(bool(gradient.isfinite().all()) for gradient in gradients), case
        assert any(bool(gradient.any()) for gradient in gradients), case
        loaded.module.zero_grad()
    loaded.close()
