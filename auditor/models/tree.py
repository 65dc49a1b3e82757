"""Many prompts as one tree of tokens: what prompts share from their beginning on is decoded once.

Knows no model. The prompts of one unit (a conversation) share its body and end in different suffixes; units that begin
alike share that beginning too. Laid out depth first, every token stands behind all tokens it may look at, so the tree
can be decoded in batches of any size; a batch that ends inside a shared part hands that part on to the next (`carry`).
Batches that hand nothing on bound a segment: what is computed in a segment depends on nothing outside it, so that an
interrupted run which begins a segment anew ends with the same numbers.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.int32]

#: Longest segment, in batches: what an interruption may cost, against tokens that are shared across its bound (ours).
SEGMENT_BATCHES = 8
#: Fewer shared tokens than these are decoded again rather than handed on (ours).
_WORTH_CARRYING = 16


@dataclass(frozen=True)
class Unit:
    """Prompts that share a body.

    Attributes
    ----------
    body : ndarray of int32, shape (n,)
        Tokens after the prefix that all units share.
    suffixes : tuple of ndarrays of int32
        What ends each prompt; not empty.
    """

    body: Tokens
    suffixes: tuple[Tokens, ...]


@dataclass(frozen=True)
class Batch:
    """What is decoded together.

    Attributes
    ----------
    leaves : tuple of (int, int)
        (index of the unit, index of its suffix) of each prompt that ends here; a prompt's place is its sequence.
    tokens, positions : ndarray of int32, shape (n_tokens,)
        Tokens, and their positions counted from the end of the prefix.
    first, last : ndarray of int32, shape (n_tokens,)
        A token belongs to the sequences first to last, both included.
    ends : ndarray of int32, shape (n_leaves,)
        Place in `tokens` of each prompt's last token.
    carry : ndarray of int32, shape (n_leaves,)
        How many of each prompt's tokens are those of the last prompt of the batch before, and not decoded again.
    """

    leaves: tuple[tuple[int, int], ...]
    tokens: Tokens
    positions: Tokens
    first: Tokens
    last: Tokens
    ends: Tokens
    carry: Tokens

    @property
    def begins_segment(self) -> bool:
        """Whether nothing is needed from the batch before."""
        return not self.carry.any()


def order(units: Sequence[Unit]) -> list[int]:
    """Indices of the units such that those which begin alike stand together; equals keep their order."""
    # Big-endian bytes compare as the numbers do.
    return sorted(range(len(units)), key=lambda i: (units[i].body.astype(">u4").tobytes(), i))


def batches(
    units: Sequence[Unit], *, capacity: int, max_leaves: int, segment: int = SEGMENT_BATCHES
) -> Iterator[Batch]:
    """Lay out units as a tree, cut into batches.

    Parameters
    ----------
    units : sequence of Unit
        In the order in which they are decoded; see `order`.
    capacity : int
        A batch ends before the unit that would bring its new tokens above this; a single unit may be larger.
    max_leaves : int
        Sequences there are; at least as many as a unit has suffixes.
    segment : int
        After so many batches the next one takes nothing over.

    Raises
    ------
    ValueError
        If a unit has more suffixes than there are sequences, or an empty one.
    """
    held: list[_Leaf] = []
    previous: Tokens = _NONE
    in_segment = 0
    for number, unit in enumerate(units):
        if len(unit.suffixes) > max_leaves or any(not len(suffix) for suffix in unit.suffixes):
            raise ValueError("a unit has too many suffixes, or an empty one")
        added = _leaves(number, unit, previous)
        if held and (_size(held) + _size(added) > capacity or len(held) + len(added) > max_leaves):
            yield _batch(held)
            held = []
            in_segment += 1
            if in_segment >= segment or added[0].common < _WORTH_CARRYING:
                added, in_segment = _leaves(number, unit, _NONE), 0
        held += added
        previous = added[-1].tokens
    if held:
        yield _batch(held)


def segments(all_batches: Iterable[Batch]) -> Iterator[list[Batch]]:
    """The same batches, gathered into segments."""
    held: list[Batch] = []
    for batch in all_batches:
        if held and batch.begins_segment:
            yield held
            held = []
        held.append(batch)
    if held:
        yield held


def unique_tokens(units: Sequence[Unit]) -> int:
    """Tokens in the tree of all prompts, without the prefix: what must be decoded at least."""
    total, previous = 0, _NONE
    for place in order(units):
        leaves = _leaves(place, units[place], previous)
        total += _size(leaves)
        previous = leaves[-1].tokens
    return total


@dataclass(frozen=True)
class _Leaf:
    unit: int
    suffix: int
    tokens: Tokens
    common: int  # tokens shared with the leaf before

    @property
    def new(self) -> int:
        return len(self.tokens) - self.common


def _leaves(number: int, unit: Unit, previous: Tokens) -> list[_Leaf]:
    found = []
    for place, suffix in enumerate(unit.suffixes):
        tokens = np.concatenate([unit.body, suffix])
        # The last token is always decoded: its logits are wanted.
        found.append(_Leaf(number, place, tokens, min(_common(previous, tokens), len(tokens) - 1)))
        previous = tokens
    return found


def _size(leaves: Sequence[_Leaf]) -> int:
    return sum(leaf.new for leaf in leaves)


_NONE: Tokens = np.empty(0, np.int32)


def _common(a: Tokens, b: Tokens) -> int:
    n = min(len(a), len(b))
    differ = np.flatnonzero(a[:n] != b[:n])
    return int(differ[0]) if len(differ) else n


def _batch(held: Sequence[_Leaf]) -> Batch:
    n = len(held)
    shared = np.array([leaf.common for leaf in held], np.int32)
    # What a prompt has from the batch before is what every prompt up to it shares with the one before it.
    carry = np.minimum.accumulate(shared)
    tokens, positions, first, last = [], [], [], []
    ends = np.empty(n, np.int32)
    count = 0
    for place, leaf in enumerate(held):
        depths = np.arange(leaf.common, len(leaf.tokens), dtype=np.int32)
        tokens.append(leaf.tokens[leaf.common :])
        positions.append(depths)
        first.append(np.full(len(depths), place, np.int32))
        last.append(_reach(shared, place, depths))
        count += len(depths)
        ends[place] = count - 1
    return Batch(
        leaves=tuple((leaf.unit, leaf.suffix) for leaf in held),
        tokens=np.concatenate(tokens),
        positions=np.concatenate(positions),
        first=np.concatenate(first),
        last=np.concatenate(last),
        ends=ends,
        carry=carry.astype(np.int32),
    )


def _reach(shared: Tokens, leaf: int, depths: Tokens) -> Tokens:
    """Last prompt that has the token of `leaf` at each depth: as long as prompts share more than that depth."""
    following = np.minimum.accumulate(shared[leaf + 1 :]) if leaf + 1 < len(shared) else np.empty(0, np.int32)
    # `following` falls; the number of prompts that share more than a depth is a place in its reverse.
    more = len(following) - np.searchsorted(following[::-1], depths, side="right")
    return (leaf + more).astype(np.int32)
