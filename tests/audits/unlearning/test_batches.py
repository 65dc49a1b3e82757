"""Texts put together: labels, padding, order, refusals."""

import numpy as np
import pytest
import torch
from auditor.audits.unlearning.batches import Tokens, collate, order, shifted, with_refusals


def test_labels_stand_at_answers_and_padding_is_told_from_lengths() -> None:
    # Token 9 ends a text and pads it: the one that belongs to the first text is seen.
    batch = collate([Tokens((5, 6, 9), 2), Tokens((1, 2, 3, 4, 9), 1), Tokens((7,), 1)], pad=9)
    assert batch.ids.tolist() == [[5, 6, 9, 9, 9], [1, 2, 3, 4, 9], [7, 9, 9, 9, 9]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]]
    assert batch.labels.tolist() == [[-100, -100, 9, -100, -100], [-100, 2, 3, 4, 9], [-100] * 5]
    assert shifted(batch).tolist() == [[-100, 9, -100, -100, -100], [2, 3, 4, 9, -100], [-100] * 5]
    assert batch.n_tokens == 9
    assert batch.alternative is None


def test_nothing_predicts_the_first_token_of_plain_text() -> None:
    assert shifted(collate([Tokens((4, 5, 6), 0)], pad=0)).tolist() == [[5, 6, -100]]


def test_a_text_has_tokens_and_its_answer_lies_in_it() -> None:
    for ids, begin in (((), 0), ((1, 2), 3), ((1, 2), -1)):
        with pytest.raises(ValueError, match="its answer begins among them"):
            Tokens(ids, begin)


def test_order_is_a_function_of_seed_and_epoch() -> None:
    first = order(50, epoch=3, seed=7)
    assert sorted(first.tolist()) == list(range(50))
    assert np.array_equal(first, order(50, epoch=3, seed=7))
    assert not np.array_equal(first, order(50, epoch=4, seed=7))
    assert not np.array_equal(first, order(50, epoch=3, seed=8))


def test_refusals_answer_the_same_questions() -> None:
    texts = [Tokens((1, 2, 3 + i, 9), 2) for i in range(20)]
    refusing = with_refusals(texts, [(30, 9), (40, 41, 9)], seed=1)
    assert [text.ids for text in refusing] == [text.ids for text in texts]
    alternatives = [text.alternative for text in refusing]
    assert {other.ids for other in alternatives if other} == {(1, 2, 30, 9), (1, 2, 40, 41, 9)}
    batch = collate(refusing, pad=0)
    assert batch.alternative is not None
    assert set(batch.alternative.labels[:, :2].flatten().tolist()) == {-100}
    assert refusing == with_refusals(texts, [(30, 9), (40, 41, 9)], seed=1)
    with pytest.raises(ValueError, match="no refusals"):
        with_refusals(texts, [], seed=1)


def test_a_batch_moves_with_its_alternative() -> None:
    batch = collate(with_refusals([Tokens((1, 2), 1)], [(3,)], seed=0), pad=0).to(torch.device("meta"))
    assert batch.alternative is not None
    assert {batch.ids.device.type, batch.alternative.labels.device.type} == {"meta"}
