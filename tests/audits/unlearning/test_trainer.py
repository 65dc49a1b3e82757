"""The loop: what a step is made of, what is told, and that a training that was killed ends with the same bits."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from auditor.audits.memory import MemoryContext
from auditor.audits.unlearning.batches import Tokens
from auditor.audits.unlearning.objective_settings import PduSettings
from auditor.audits.unlearning.objectives import objective
from auditor.audits.unlearning.trainer import train
from auditor.audits.unlearning.training import Probe, TrainingSettings
from auditor.errors import Cancelled, ModelError, RunError
from auditor.models.folder import inspect_folder
from auditor.models.make_trainable import trainable
from auditor.models.trainable import Trainable
from safetensors.torch import load_file
from tests.audits.unlearning.training_child import Job, texts
from tests.models import small


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.write(tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with dropout, so that random numbers matter."""
    return small.write(tmp_path_factory.mktemp("models") / "gpt2", "gpt2", resid_pdrop=0.3, embd_pdrop=0.3)


class _Learners:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: list[Trainable] = []

    def __call__(self, **asked: Any) -> Trainable:
        asked = {"device": "cpu", "dtype": "float32", "threads": 1} | asked
        self._made.append(trainable(inspect_folder(self._folder), **asked))
        return self._made[-1]

    def close(self) -> None:
        for learner in self._made:
            learner.close()


@pytest.fixture
def learner(llama: Path) -> Iterator[_Learners]:
    made = _Learners(llama)
    yield made
    made.close()


def _weights(learner: Trainable) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in learner.named.items()}


def _same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def _settings(**changes: Any) -> TrainingSettings:
    usual = {"epochs": 2, "batch_size": 2, "learning_rate": 1e-3, "warmup_epochs": 0.5}
    return TrainingSettings(**(usual | changes))


def _answer_loss(learner: Trainable, tokens: list[Tokens]) -> float:
    losses = []
    for text in tokens:
        ids = torch.tensor([text.ids])
        with torch.no_grad():
            logits = learner.module(input_ids=ids, use_cache=False).logits[0, :-1]
        labels = ids[0, 1:].clone()
        labels[: max(0, text.answer_from - 1)] = -100
        losses.append(float(torch.nn.functional.cross_entropy(logits, labels, ignore_index=-100)))
    return float(np.mean(losses))


# ---- settings


def test_the_learning_rate_rises_and_falls() -> None:
    settings = _settings(epochs=4, warmup_epochs=1, learning_rate=1.0)
    rates = [settings.rate(step, 2) for step in range(8)]
    assert rates == pytest.approx([0.5, 1.0, 1.0, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])
    constant = settings.model_copy(update={"schedule": "constant"})
    assert [constant.rate(step, 2) for step in range(8)] == [0.5] + [1.0] * 7
    cosine = settings.model_copy(update={"schedule": "cosine"})
    assert cosine.rate(2, 2) == pytest.approx(1.0)
    assert cosine.rate(5, 2) == pytest.approx(0.5)
    assert _settings(warmup_epochs=0).rate(0, 5) == pytest.approx(1e-3)
    assert _settings(batch_size=4, accumulation=2).steps_per_epoch(17) == 3


# ---- what is trained


def test_learning_lowers_the_loss_of_what_is_learnt(learner: _Learners) -> None:
    model, data = learner(), texts(6, 1)
    context = MemoryContext(seed=4)
    before = _answer_loss(model, data)
    trained = train(model, objective("fine_tune"), data, [], _settings(epochs=8), context)
    assert _answer_loss(model, data) < before - 1
    assert [row.step for row in trained.rows] == list(range(1, 25))
    assert {row.retain_loss for row in trained.rows} == {None}
    assert trained.rows[-1].epoch == 8
    assert all(row.tokens_per_s > 0 and row.gradient_norm > 0 for row in trained.rows)


def test_unlearning_tells_lambda_and_keeps_what_is_kept(learner: _Learners) -> None:
    model, forget, retain = learner(), texts(4, 1), texts(4, 2)
    learning = _settings(epochs=25, batch_size=4)
    train(model, objective("fine_tune"), [*forget, *retain], [], learning, MemoryContext(), stage="learn")
    start_forget, start_retain = _answer_loss(model, forget), _answer_loss(model, retain)
    assert start_forget < 1
    settings = PduSettings(epsilon=start_retain + 0.3, gamma=1.0, lambda_start=2.0, dual_step=1.0, dual_warmup_epochs=0)
    trained = train(
        model, objective("pdu", settings), forget, retain, _settings(epochs=30, batch_size=4), MemoryContext()
    )
    assert _answer_loss(model, forget) > start_forget + 2
    assert _answer_loss(model, retain) < start_retain + 1
    lambdas = [row.state["lambda"] for row in trained.rows]
    assert len(set(lambdas)) > 5
    assert trained.state["lambda"] == lambdas[-1]


def test_accumulated_batches_step_like_one_large_batch(learner: _Learners) -> None:
    """Texts of one length, so that the mean of means is the mean."""
    data = [Tokens(tuple(range(start, start + 8)), 2) for start in range(10, 50, 10)]
    whole, parts = learner(), learner()
    train(whole, objective("fine_tune"), data, [], _settings(batch_size=4, epochs=1), MemoryContext(seed=1))
    train(
        parts,
        objective("fine_tune"),
        data,
        [],
        _settings(batch_size=1, accumulation=4, epochs=1),
        MemoryContext(seed=1),
    )
    for name, weight in _weights(whole).items():
        assert torch.allclose(weight, parts.named[name], atol=1e-5), name


def test_every_text_goes_by_in_every_epoch(learner: _Learners) -> None:
    """What the objective is given: all to forget once an epoch; all to keep before any comes again."""
    seen: dict[str, list[int]] = {"forget": [], "retain": []}
    method = objective("grad_diff")
    backward = method.backward

    class Watching:
        name, needs_reference, settings = method.name, False, method.settings
        after_step, state, load, warnings = method.after_step, method.state, method.load, method.warnings

        def backward(self, learner: Any, forget: Any, retain: Any, share: float) -> Any:
            seen["forget"] += forget.ids[:, 0].tolist()
            seen["retain"] += retain.ids[:, 0].tolist()
            return backward(learner, forget, retain, share)

    forget = [Tokens((place, 5, 6, 7), 1) for place in range(10, 15)]
    retain = [Tokens((place, 8, 9), 1) for place in range(20, 27)]
    train(learner(), Watching(), forget, retain, _settings(epochs=3, learning_rate=1e-5), MemoryContext(seed=2))
    epochs = [seen["forget"][start : start + 5] for start in range(0, 15, 5)]
    assert all(sorted(epoch) == list(range(10, 15)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    rounds = [seen["retain"][start : start + 7] for start in range(0, len(seen["retain"]) - 6, 7)]
    assert len(rounds) == 2
    assert all(sorted(found) == list(range(20, 27)) for found in rounds)
    assert rounds[0] != rounds[1]


def test_the_same_seed_gives_the_same_bits_and_another_one_others(learner: _Learners) -> None:
    found = []
    for seed in (1, 1, 2):
        model = learner()
        train(model, objective("grad_diff"), texts(5, 1), texts(5, 2), _settings(), MemoryContext(seed=seed))
        found.append(_weights(model))
    assert _same(found[0], found[1])
    assert not _same(found[0], found[2])


def test_a_training_that_runs_away_is_stopped(learner: _Learners) -> None:
    with pytest.raises(ModelError, match=r"no number any more.*lower learning rate"):
        train(
            learner(),
            objective("grad_ascent"),
            texts(6, 1),
            [],
            _settings(epochs=50, learning_rate=1e18),
            MemoryContext(),
        )


def test_weights_that_no_gradient_reaches_are_named(learner: _Learners) -> None:
    unlabelled = [Tokens((5, 6, 7), 3)]
    with pytest.raises(ModelError, match="No gradient reaches the trained weights"):
        train(learner(), objective("fine_tune"), unlabelled, [], _settings(), MemoryContext())


# ---- the best step


def test_the_best_feasible_step_is_kept(learner: _Learners) -> None:
    found = {1: Probe(0.5, 1.0), 2: Probe(0.1, 9.0), 3: Probe(0.2, 1.9), 4: Probe(0.3, 1.0)}
    weights: dict[int, Any] = {}
    model = learner()

    def probe(step: int) -> Probe:
        weights[step] = _weights(model)
        return found[step]

    settings = _settings(epochs=2, batch_size=2, probe_every=1, retain_limit=2.0, keep="best")
    context = MemoryContext()
    trained = train(model, objective("grad_diff"), texts(4, 1), texts(4, 2), settings, context, probe)
    assert (trained.best_step, trained.best, trained.kept_step, trained.steps) == (3, found[3], 3, 4)
    assert _same(_weights(model), weights[3])
    assert not _same(_weights(model), weights[4])
    last = learner()
    kept = train(
        last, objective("grad_diff"), texts(4, 1), texts(4, 2), _settings(), MemoryContext(), lambda _step: None
    )
    assert (kept.best_step, kept.kept_step) == (None, 4)
    assert _same(_weights(last), weights[4])
    assert sorted(found.name for found in (context.checkpoints / "training").iterdir()) == [
        "best-000000003",
        "step-000000004",
    ]


# ---- stopping and going on


class _StoppedAt(MemoryContext):
    """A person who cancels after some steps."""

    def __init__(self, step: int, folder: Path) -> None:
        super().__init__(seed=7, folder=folder)
        self._step = step

    def cancelled(self) -> bool:
        return len(self.flushed.get("training", ())) >= self._step


def test_a_cancelled_training_goes_on_where_it_was(learner: _Learners, tmp_path: Path) -> None:
    data = (texts(6, 1), texts(5, 2), _settings(epochs=3))
    settings = PduSettings(epsilon=6.0, dual_warmup_epochs=0)
    unbroken = learner()
    train(unbroken, objective("pdu", settings), *data, MemoryContext(seed=7))
    stopped = _StoppedAt(4, tmp_path)
    with pytest.raises(Cancelled):
        train(learner(), objective("pdu", settings), *data, stopped)
    resumed, context = learner(), MemoryContext(seed=7, folder=tmp_path)
    context.flushed = stopped.flushed
    trained = train(resumed, objective("pdu", settings), *data, context)
    assert trained.resumed_at == (4,)
    assert [row.step for row in trained.rows] == list(range(1, 10))
    assert _same(_weights(resumed), _weights(unbroken))
    again, context = learner(), MemoryContext(seed=7, folder=tmp_path)
    train(again, objective("pdu", settings), *data, context)
    assert not context.flushed
    assert _same(_weights(again), _weights(unbroken))


def test_other_surroundings_are_remembered_to_the_end(learner: _Learners, tmp_path: Path) -> None:
    """Findings tell it, whatever processes come after the one that met them."""
    data = (objective("grad_diff"), texts(6, 1), texts(5, 2), _settings(epochs=3))
    flushed: dict[str, list[dict[str, Any]]] = {}
    for threads, stop in ((1, 2), (2, 4)):
        stopped = _StoppedAt(stop, tmp_path)
        stopped.flushed = flushed
        with pytest.raises(Cancelled):
            train(learner(threads=threads), *data, stopped)
    context = MemoryContext(seed=7, folder=tmp_path)
    context.flushed = flushed
    trained = train(learner(threads=2), *data, context)
    assert trained.resumed_at == (2, 4)
    (told,) = trained.elsewhere
    assert "threads 1 before, 2 now" in told
    assert not context.warnings


def test_dropout_goes_on_where_it_was(gpt2: Path, tmp_path: Path) -> None:
    """A model with dropout draws random numbers in every step; a probe that draws some too changes nothing."""
    learner, found = _Learners(gpt2), []
    data = (texts(6, 1), texts(5, 2), _settings(epochs=3, probe_every=1))

    def probe(_step: int) -> None:
        torch.rand(7)

    try:
        for name, asks in (("unbroken", None), ("stopped", probe)):
            model, context = learner(), _StoppedAt(4, tmp_path / name)
            if asks is not None:
                with pytest.raises(Cancelled):
                    train(model, objective("grad_diff"), *data, context, asks)
                model = learner()
            train(model, objective("grad_diff"), *data, MemoryContext(seed=7, folder=tmp_path / name), asks)
            found.append(_weights(model))
    finally:
        learner.close()
    assert _same(*found)


def test_checkpoints_of_another_training_are_refused(learner: _Learners, tmp_path: Path) -> None:
    train(learner(), objective("grad_diff"), texts(4, 1), texts(4, 2), _settings(), MemoryContext(folder=tmp_path))
    context = MemoryContext(folder=tmp_path)
    for data, settings, method in (
        (texts(4, 3), _settings(), "grad_diff"),
        (texts(4, 1), _settings(learning_rate=2e-3), "grad_diff"),
        (texts(4, 1), _settings(), "npo"),
    ):
        with pytest.raises(RunError, match="of another training"):
            train(learner(), objective(method), data, texts(4, 2), settings, context)
    moved = learner()
    with torch.no_grad():
        moved.parameters[0].add_(1e-3)
    with pytest.raises(RunError, match="of another training"):
        train(moved, objective("grad_diff"), texts(4, 1), texts(4, 2), _settings(), context)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("kind", ["full", "adapters", "bfloat16"])
def test_a_training_killed_ten_times_ends_with_the_same_bits(
    tmp_path: Path, llama: Path, gpt2: Path, kind: str
) -> None:
    """Signal 9 at random moments of a real process; everything a step depends on must come back."""
    settings = _settings(epochs=20, batch_size=2, checkpoint_every=2, retain_limit=2.0, probe_every=1)
    changes: dict[str, Any] = {
        "full": {"model": gpt2, "method": "npo"},
        "adapters": {"model": llama, "method": "pdu", "lora_rank": 4, "gradient_checkpointing": True},
        "bfloat16": {"model": llama, "method": "pdu", "dtype": "bfloat16"},
    }[kind]
    found = []
    for name, kills in (("unbroken", 0), ("killed", 10)):
        folder = tmp_path / name
        job = Job(folder=folder, settings=settings, kills=kills, **changes)
        command = [sys.executable, "-m", "tests.audits.unlearning.training_child", job.model_dump_json()]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
        assert ran.returncode == 0, ran.stderr
        assert json.loads(ran.stdout) == {"killed": kills}, ran.stderr
        found.append((load_file(folder / "weights.safetensors"), json.loads((folder / "trained.json").read_text())))
    (unbroken, told), (killed, told_again) = found
    assert _same(unbroken, killed)
    assert told["state"] == told_again["state"]
    assert told["best_step"] == told_again["best_step"] == 80
    assert told["resumed_at"] == []
    assert told_again["resumed_at"]
