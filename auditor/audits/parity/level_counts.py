"""How many results of every list have each level, for many labellings of a large catalog (mode A).

A level is a bit in a small number, one number for each item and labelling; the numbers of several labellings lie side by side,
so that one fetch serves all of them: fetching from all over the catalog is what counting waits for. Bits of equal weight are
added three at a time by logic alone: they make a sum and a carry of twice the weight, as in carry-save adders [1]. One
operation on whole words does so for every level, labelling and list at once.

References
----------
[1] W. Mula, N. Kurz, D. Lemire, "Faster population counts using AVX2 instructions", The Computer Journal 61 (2018) 111-120:
    the method of Harley and Seal.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Bytes that may be fetched for one result: all its labellings. Wide fetches make few operations of many, so that threads
#: seldom wait for each other.
_FETCHED = (128, 64, 32)
#: Most places over the results themselves: lists are brought to one length.
_MOST_PADDED = 1.5
#: Kinds of numbers by their bits.
_KINDS: dict[int, type[np.unsignedinteger[Any]]] = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}


class LevelCounts:
    """Counts levels in the lists of a frozen retrieval graph; made by `of`.

    Attributes
    ----------
    n_queries, n_levels : int
    """

    def __init__(self, units: NDArray[np.intp], n_units: int, n_levels: int) -> None:
        length, self.n_queries = units.shape
        self.n_levels = n_levels
        self._units, self._n_units = units, n_units
        self._n_planes = length.bit_length()
        # A count has to find room where a level was a bit.
        self._field = _least_bits(self._n_planes)
        self._bits = _least_bits(max(n_levels, self._field))

    @classmethod
    def of(cls, query: NDArray[np.intp], unit: NDArray[np.intp], n_units: int, n_levels: int) -> "LevelCounts | None":
        """Bring lists to one length; None if there are too many levels, or lists differ too much in length.

        Parameters
        ----------
        query, unit : ndarray of int, shape (n_slots,)
            Query and item of every result; every query has at least one.
        n_units, n_levels : int
        """
        sizes = np.bincount(query)
        longest = int(sizes.max())
        if n_levels > max(_KINDS) or longest * len(sizes) > _MOST_PADDED * len(query):
            return None
        # Items in their order: what is fetched for the n-th place of all lists lies close together.
        order = np.lexsort((unit, query))
        place = np.arange(len(query)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        units = np.full((longest, len(sizes)), n_units)
        units[place, query[order]] = unit[order]
        return cls(units, n_units, n_levels)

    def together(self, n_labellings: int) -> int:
        """How many of so many labellings are best looked at together: what they fill, one time after the other."""
        widths = [fetched * 8 // self._bits for fetched in _FETCHED]
        return next((width for width in widths if n_labellings % width == 0), widths[-1])

    def space(self, together: int) -> "CountingSpace":
        """Memory for one call after the other with up to so many labellings; two at once need two."""
        kind, shape = _KINDS[self._bits], (together, self.n_queries)
        return CountingSpace(
            # One more item, with no bit set, fills lists up.
            bits=np.zeros((self._n_units + 1, together), kind),
            sums=_Sums(self.n_queries * together * self._bits // 64),
            planes=np.empty((self._n_planes, *shape), kind),
            fields=np.empty((2, *shape), kind),
            counts=np.empty((together, self.n_levels, self.n_queries), _KINDS[self._field]),
        )

    def __call__(self, codes: NDArray[np.uint8], space: "CountingSpace") -> NDArray[np.unsignedinteger[Any]]:
        """Counts (n, n_levels, n_queries) from levels (n_units, n), until the space is used again."""
        kind, n = _KINDS[self._bits], codes.shape[1]
        space.bits[:, n:] = 0
        np.left_shift(kind(1), codes, out=space.bits[:-1, :n], dtype=kind)
        items = space.bits.view(f"V{space.bits.shape[1] * space.bits.itemsize}")[:, 0]
        space.sums.clear()
        for units in self._units:
            fetched = space.sums.memory()
            items.take(units, out=fetched.view(items.dtype), mode="clip")
            space.sums.add(fetched)
        # Query after query within each labelling, which is how they are looked at from here on.
        for plane, bits in zip(space.sums.planes(), space.planes, strict=False):
            bits[...] = plane.view(kind).reshape(self.n_queries, -1).T
        return self._counts(space)[:n]

    def _counts(self, space: "CountingSpace") -> NDArray[np.unsignedinteger[Any]]:
        """Counts as numbers: every plane gives each of them one bit."""
        kind, field, planes, counts = _KINDS[self._bits], self._field, space.planes, space.counts
        # Levels that lie a field apart are brought together into the fields of one number.
        lowest = sum(1 << start for start in range(0, self._bits, field))
        together, one = space.fields
        for first in range(min(field, self.n_levels)):
            together[...] = 0
            for place, plane in enumerate(planes):
                if first >= place:
                    np.right_shift(plane, kind(first - place), out=one)
                else:
                    np.left_shift(plane, kind(place - first), out=one)
                np.bitwise_and(one, kind(lowest << place), out=one)
                np.bitwise_or(together, one, out=together)
            for level in range(first, self.n_levels, field):
                counts[:, level] = together >> kind(level - first)  # and no more than a field is kept
        return counts


@dataclass(frozen=True)
class CountingSpace:
    """Memory for counting: fresh memory for every labelling would take longer than the counting."""

    bits: NDArray[np.unsignedinteger[Any]]
    sums: "_Sums"
    planes: NDArray[np.unsignedinteger[Any]]
    fields: NDArray[np.unsignedinteger[Any]]
    counts: NDArray[np.unsignedinteger[Any]]


class _Sums:
    """How many of the words added so far have each bit set: plane p holds bit p of all these numbers.

    Parameters
    ----------
    n_words : int
        Words of 64 bits in one array; bits are counted place by place.
    """

    def __init__(self, n_words: int) -> None:
        self._planes: list[NDArray[np.uint64]] = []
        # Of every weight one more array may wait for a third.
        self._waiting: list[NDArray[np.uint64] | None] = []
        # Memory goes round: fresh memory for every array would take longer than the adding.
        self._free: list[NDArray[np.uint64]] = []
        self._space = np.empty(n_words, np.uint64)

    def clear(self) -> None:
        """Forget what was added."""
        self._free += self._planes
        self._free += [words for words in self._waiting if words is not None]
        self._planes, self._waiting = [], []

    def memory(self) -> NDArray[np.uint64]:
        """An array to be filled, and added."""
        return self._free.pop() if self._free else np.empty_like(self._space)

    def add(self, words: NDArray[np.uint64], place: int = 0) -> None:
        """Add an array, which is given away, with the weight of bit `place`."""
        while place < len(self._planes):
            other = self._waiting[place]
            self._waiting[place] = words if other is None else None
            if other is None:
                return
            words = self._carry(place, other, words)
            place += 1
        self._planes.append(words)
        self._waiting.append(None)

    def planes(self) -> list[NDArray[np.uint64]]:
        """Bits of the numbers, the lowest first; nothing is added afterwards."""
        place = 0
        while place < len(self._planes):
            if self._waiting[place] is not None:
                nothing = self.memory()
                nothing[...] = 0
                self.add(nothing, place)
            place += 1
        return self._planes

    def _carry(self, place: int, b: NDArray[np.uint64], c: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Add two arrays to a plane, and give back what is carried: a full adder."""
        a, odd = self._planes[place], self._space
        np.bitwise_xor(a, b, out=odd)
        np.bitwise_and(a, b, out=a)
        np.bitwise_and(odd, c, out=b)
        np.bitwise_or(a, b, out=a)
        np.bitwise_xor(odd, c, out=c)
        self._planes[place] = c
        self._free.append(b)
        return a


def _least_bits(n: int) -> int:
    """Bits of the smallest numbers that have n of them."""
    return next(bits for bits in _KINDS if bits >= n)
