"""What epsilon bounds and what gamma balances, against the logits of transformers; and what is drawn of large files."""

from collections.abc import Iterator

import pytest
import torch
from auditor.audits.unlearning.batches import Tokens
from auditor.audits.unlearning.examples import Example
from auditor.audits.unlearning.material import drawn
from auditor.audits.unlearning.measuring import losses, margin
from auditor.models.folder import inspect_folder
from auditor.models.make_trainable import trainable
from auditor.models.trainable import Trainable
from tests.models import small

TEXTS = [Tokens((5, 9, 30, 7, 11), 2), Tokens((4, 8, 15, 16, 23, 42, 99), 5), Tokens((3, 3), 0), Tokens((8, 9, 10), 3)]


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainable]:
    model = inspect_folder(small.write(tmp_path_factory.mktemp("models") / "llama"))
    found = trainable(model, device="cpu", dtype="float32", threads=1)
    yield found
    found.close()


def answer_logits(learner: Trainable, text: Tokens) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits at the positions that predict an answer's tokens, and those tokens."""
    ids = torch.tensor([text.ids])
    with torch.no_grad():
        logits = learner.module(input_ids=ids, use_cache=False).logits[0].double()
    begin = max(1, text.answer_from)
    return logits[begin - 1 : -1], ids[0, begin:]


@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_the_bounded_loss_is_the_mean_over_answer_tokens(learner: Trainable, batch_size: int) -> None:
    parts = [
        torch.nn.functional.cross_entropy(*answer_logits(learner, text), reduction="none")
        for text in TEXTS
        if text.answer_from < len(text.ids)
    ]
    found = losses(learner, TEXTS, batch_size)
    assert found.counts.tolist() == [3, 2, 1, 0]
    assert found.mean == pytest.approx(float(torch.cat(parts).mean()), rel=1e-5)
    assert found.probability == pytest.approx(sum(float(torch.exp(-part.mean())) for part in parts) / 3, rel=1e-4)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_margin_is_the_mean_squared_distance_of_largest_and_mean_logit(learner: Trainable, batch_size: int) -> None:
    logits = torch.cat([answer_logits(learner, text)[0] for text in TEXTS[:3]])
    expected = float(((logits.max(-1).values - logits.mean(-1)) ** 2).mean())
    assert margin(learner, TEXTS, batch_size, parity=False) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_the_published_margin_does_not_hang_on_how_texts_are_batched(learner: Trainable, batch_size: int) -> None:
    whole = margin(learner, TEXTS, len(TEXTS), parity=True)
    assert margin(learner, TEXTS, batch_size, parity=True) == pytest.approx(whole, rel=1e-4)


def test_what_is_measured_of_a_large_file_is_drawn_by_the_seed_in_its_order() -> None:
    rows = [Example(str(row), "?", "!", row) for row in range(50)]
    first = drawn(rows, 10, "retain", 1)
    assert [one.row for one in first] == sorted({one.row for one in first})
    assert len(first) == 10
    assert first == drawn(rows, 10, "retain", 1)
    assert first != drawn(rows, 10, "retain", 2)
    assert drawn(rows, 50, "retain", 1) == tuple(rows)
