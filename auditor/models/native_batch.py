"""A batch of llama.cpp on numpy's memory, without a Python loop over its tokens."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import llama_cpp
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Tokens:
    """Tokens to decode, and where they stand.

    Attributes
    ----------
    ids, positions : ndarray of int, shape (n,)
        Token ids and their positions in the context.
    first, last : ndarray of int, shape (n,)
        A token belongs to the sequences first to last, both included.
    wanted : ndarray of bool, shape (n,)
        Where logits are computed.
    """

    ids: NDArray[Any]
    positions: NDArray[Any]
    first: NDArray[Any]
    last: NDArray[Any]
    wanted: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, begin: int, end: int) -> "Tokens":
        """The tokens from begin to end."""
        chosen = slice(begin, end)
        return Tokens(
            self.ids[chosen], self.positions[chosen], self.first[chosen], self.last[chosen], self.wanted[chosen]
        )


def in_sequence(ids: Any, begin: int, sequence: int, *, last_is_wanted: bool) -> Tokens:
    """Tokens that follow each other in one sequence from a position on."""
    n = len(ids)
    where = np.full(n, sequence)
    wanted = np.zeros(n, bool)
    if last_is_wanted:
        wanted[-1] = True
    return Tokens(np.asarray(ids, np.int32), np.arange(begin, begin + n), where, where, wanted)


def joined(parts: Sequence[Tokens]) -> Tokens:
    """Tokens of several parts, one after another."""
    return Tokens(
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.positions for part in parts]),
        np.concatenate([part.first for part in parts]),
        np.concatenate([part.last for part in parts]),
        np.concatenate([part.wanted for part in parts]),
    )


def native(tokens: Tokens) -> tuple[llama_cpp.llama_batch, list[NDArray[Any]]]:
    """The batch, and the arrays that must live as long as it is used."""
    counts = (tokens.last - tokens.first + 1).astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    sequences = (np.arange(counts.sum()) - np.repeat(starts - tokens.first, counts)).astype(np.int32)
    arrays = [
        np.ascontiguousarray(tokens.ids, np.int32),
        np.ascontiguousarray(tokens.positions, np.int32),
        counts,
        sequences.ctypes.data + starts.astype(np.uint64) * sequences.itemsize,
        np.ascontiguousarray(tokens.wanted, np.int8),
        sequences,
    ]
    batch = llama_cpp.llama_batch()
    batch.n_tokens = len(tokens)
    kinds = dict(llama_cpp.llama_batch._fields_)
    for name, array in zip(("token", "pos", "n_seq_id", "seq_id", "logits"), arrays, strict=False):
        setattr(batch, name, ctypes.cast(array.ctypes.data, kinds[name]))
    return batch, arrays
