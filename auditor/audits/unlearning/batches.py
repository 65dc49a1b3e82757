"""Texts as tokens, put together for a step of training.

A label stands where a token is to be predicted from those before it; -100 elsewhere. Padding is told from lengths, never from
the token, since many models pad with the token that ends a text.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Label of a position that no loss is read at.
IGNORED = -100


@dataclass(frozen=True)
class Tokens:
    """A text, and where its answer begins.

    Attributes
    ----------
    ids : tuple of int
        Question and answer, or plain text.
    answer_from : int
        Place of the first token that counts: 0 for plain text, whose first token nothing predicts.
    alternative : Tokens, optional
        The same question with the answer that is preferred, for idk_dpo.
    """

    ids: tuple[int, ...]
    answer_from: int
    alternative: "Tokens | None" = None

    def __post_init__(self) -> None:
        """Check that there is a text and that its answer begins within it, or right behind it."""
        if not self.ids or not 0 <= self.answer_from <= len(self.ids):
            raise ValueError("a text has tokens, and its answer begins among them")


@dataclass(frozen=True, eq=False)
class Batch:
    """Texts of a step, padded at the end.

    Attributes
    ----------
    ids, labels : int64 tensors of shape (n, t)
        labels are ids where a token is to be predicted, else -100.
    lengths : int64 tensor of shape (n,)
        Tokens of each text without padding.
    alternative : Batch, optional
        The same questions with the answers that are preferred.
    """

    ids: Any
    lengths: Any
    labels: Any
    alternative: "Batch | None" = None

    @property
    def attention_mask(self) -> Any:
        """1 at tokens and 0 at padding, int64 of shape (n, t)."""
        import torch

        places = torch.arange(self.ids.shape[1], device=self.ids.device)
        return (places < self.lengths[:, None]).long()

    @property
    def n_tokens(self) -> int:
        """Tokens without padding."""
        return int(self.lengths.sum())

    def to(self, device: Any) -> "Batch":
        """The same on a device."""
        other = None if self.alternative is None else self.alternative.to(device)
        return Batch(self.ids.to(device), self.lengths.to(device), self.labels.to(device), other)


def collate(tokens: Sequence[Tokens], pad: int) -> Batch:
    """Put texts of different lengths together.

    Parameters
    ----------
    tokens : sequence of Tokens
        At least one.
    pad : int
        Token that fills up short texts; any will do.

    Returns
    -------
    Batch
        With the alternatives, if every text has one.
    """
    import torch

    lengths = np.array([len(text.ids) for text in tokens], dtype=np.int64)
    ids = np.full((len(tokens), lengths.max()), pad, dtype=np.int64)
    labels = np.full_like(ids, IGNORED)
    for row, text in enumerate(tokens):
        ids[row, : len(text.ids)] = text.ids
        labels[row, text.answer_from : len(text.ids)] = text.ids[text.answer_from :]
    others = [text.alternative for text in tokens if text.alternative is not None]
    return Batch(
        torch.from_numpy(ids),
        torch.from_numpy(lengths),
        torch.from_numpy(labels),
        collate(others, pad) if len(others) == len(tokens) else None,
    )


def shifted(batch: Batch) -> Any:
    """The label of each position: the token that comes next, int64 of shape (n, t); the last position has none."""
    import torch

    return torch.nn.functional.pad(batch.labels[:, 1:], (0, 1), value=IGNORED)


def order(n: int, epoch: int, seed: int) -> NDArray[np.intp]:
    """Order of the data in an epoch, a function of seed and epoch alone: whoever resumes finds it again.

    Returns
    -------
    ndarray of intp, shape (n,)
        A permutation.
    """
    found: NDArray[np.intp] = np.random.default_rng((seed, epoch)).permutation(n)
    return found


def with_refusals(tokens: Sequence[Tokens], refusals: Sequence[Sequence[int]], seed: int) -> list[Tokens]:
    """Give every text an alternative: its question, answered with a refusal drawn for it.

    Parameters
    ----------
    tokens : sequence of Tokens
    refusals : sequence of sequences of int
        Tokens of answers that say nothing.
    seed : int

    Raises
    ------
    ValueError
        If there are no refusals.
    """
    if not refusals:
        raise ValueError("there are no refusals to draw from")
    drawn = np.random.default_rng(seed).integers(len(refusals), size=len(tokens))
    return [
        replace(text, alternative=Tokens((*text.ids[: text.answer_from], *refusals[place]), text.answer_from))
        for text, place in zip(tokens, drawn.tolist(), strict=True)
    ]
