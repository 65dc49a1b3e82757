"""Answers read token by token equal the model's own logits, computed densely, one text at a time."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from auditor.errors import ModelError
from auditor.models import token_statistics as module
from auditor.models.folder import inspect_folder
from auditor.models.readable import Reading, readable
from auditor.models.token_statistics import TokenStatistics, token_statistics
from auditor.models.torch_model import load
from tests.models.tiny import write
from torch.utils._python_dispatch import TorchDispatchMode

#: (token ids, where the answer begins): ragged, one answer of one token, one text that is all answer.
ANSWERS = [
    (tuple(range(40, 60)), 12),
    ((70, 71, 72), 2),
    (tuple(range(100, 133)), 0),
    ((5, 5, 5, 9, 9, 9, 200), 3),
]
Opened = Callable[..., Reading]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """Opens small models of random weights, and closes them."""
    made: list[Reading] = []

    def open_one(architecture: str, **changes: Any) -> Reading:
        file = inspect_folder(write(tmp_path / f"{architecture}{len(made)}", architecture, **changes))
        made.append(readable(load(file, device="cpu", dtype="float32", threads=1)))
        return made[-1]

    yield open_one
    for reader in made:
        reader.model.words.close()


def dense(reader: Reading, ids: tuple[int, ...], answer_from: int) -> TokenStatistics:
    """The same from all logits of one text, in double precision."""
    with torch.no_grad():
        logits = reader.module(input_ids=torch.tensor([ids]), use_cache=False).logits[0].double().numpy()
    log_p = logits - logits.max(-1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(-1, keepdims=True))
    places = np.arange(max(answer_from, 1), len(ids))
    own = log_p[places - 1]
    mean = (np.exp(own) * own).sum(-1)
    return TokenStatistics(
        own[np.arange(len(places)), np.array(ids)[places]],
        own.argmax(-1) == np.array(ids)[places],
        mean,
        (np.exp(own) * (own - mean[:, None]) ** 2).sum(-1),
    )


@pytest.mark.parametrize("architecture", ["llama", "gemma2", "cohere", "granite", "gpt2", "opt", "bloom", "mamba"])
def test_equals_the_dense_computation(opened: Opened, architecture: str) -> None:
    reader = opened(architecture)
    found = token_statistics(reader, ANSWERS, moments=True)
    for one, (ids, answer_from) in zip(found, ANSWERS, strict=True):
        wanted = dense(reader, ids, answer_from)
        np.testing.assert_allclose(one.log_p, wanted.log_p, atol=1e-5)
        np.testing.assert_allclose(one.mean, wanted.mean, atol=1e-5)
        np.testing.assert_allclose(one.variance, wanted.variance, atol=1e-5)
        assert one.hit.tolist() == wanted.hit.tolist()
        assert one.loss == pytest.approx(-wanted.log_p.mean(), abs=1e-5)


def test_moments_are_left_out_unless_asked_for(opened: Opened) -> None:
    (found,) = token_statistics(opened("llama"), ANSWERS[:1])
    assert found.mean.size == found.variance.size == 0
    assert found.log_p.size == 8


class Largest(TorchDispatchMode):
    """Notes the largest tensor that any operation gives."""

    numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for one in found if isinstance(found, (tuple, list)) else (found,):
            if isinstance(one, torch.Tensor):
                self.numel = max(self.numel, one.numel())
        return found


def test_logits_of_a_batch_are_never_held(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = opened("llama", vocab_size=20_000)
    whole = token_statistics(reader, ANSWERS, moments=True)
    monkeypatch.setattr(module, "_LOGITS", 60_000)
    with Largest() as seen:
        parts = token_statistics(reader, ANSWERS, moments=True)
    n_read = sum(len(one.log_p) for one in whole)
    assert seen.numel <= max(60_000, reader.head_weight.numel())
    assert seen.numel < n_read * 20_000
    for one, other in zip(parts, whole, strict=True):
        np.testing.assert_allclose(one.log_p, other.log_p, atol=1e-5)


def test_a_model_in_training_is_read_without_dropout_and_left_as_it_was(opened: Opened) -> None:
    reader = opened("gpt2")
    calm = token_statistics(reader, ANSWERS)
    reader.module.train()
    found = token_statistics(reader, ANSWERS)
    assert reader.module.training
    assert [one.loss for one in found] == [one.loss for one in calm]


def test_a_model_that_gives_no_numbers_is_an_error(opened: Opened) -> None:
    reader = opened("llama")
    reader.model.parts.layers[1].mlp.down_proj.weight.data.fill_(float("nan"))
    with pytest.raises(ModelError, match="no numbers"):
        token_statistics(reader, ANSWERS)


def test_a_text_longer_than_the_context_is_refused(opened: Opened) -> None:
    with pytest.raises(ModelError, match="600 tokens is longer than the 512"):
        token_statistics(opened("llama"), [((7,) * 600, 10)])


def test_an_answer_without_a_token_is_refused(opened: Opened) -> None:
    with pytest.raises(ValueError, match="needs a token"):
        token_statistics(opened("llama"), [((7, 8), 2)])


def test_tells_how_far_it_is_and_can_be_stopped(opened: Opened) -> None:
    reader, told = opened("llama"), list[int]()
    token_statistics(reader, ANSWERS * 40, tell=told.append)
    assert told == sorted(told)
    assert told[-1] == 160
    assert len(told) > 1

    def stop(_done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        token_statistics(reader, ANSWERS, tell=stop)
