"""How many results of every list have each level, for many labellings of a large catalog (mode A).

A level is a field of bits in a number of 64 bits, and a result adds 1 to the field of its level: one addition counts all levels
of a list at once. Eight labellings are looked at together, their labels the bytes of one number for each item: one fetch
serves all eight, and fetching from all over the catalog is what counting waits for.
"""

import numpy as np
from numpy.typing import NDArray

#: Labellings looked at together.
TOGETHER = 8
#: Bits of a field: fewer would cut lists into too many parts, more would not hold enough levels.
_LEAST_BITS = 4
#: Most places over the results themselves: lists are brought to one length.
_MOST_PADDED = 1.5


class LevelCounts:
    """Counts levels in the lists of a frozen retrieval graph; made by `of`.

    Attributes
    ----------
    n_queries, n_levels : int
    """

    def __init__(self, units: NDArray[np.intp], n_units: int, n_queries: int, n_levels: int) -> None:
        self.n_queries, self.n_levels = n_queries, n_levels
        self._units, self._n_units = units, n_units
        self._bits = _bits(n_levels)

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
        longest, bits = int(sizes.max()), _bits(n_levels)
        parts = -(-longest // max((1 << bits) - 1, 1))
        length = -(-longest // parts)
        places = length * parts * len(sizes)
        if bits < _LEAST_BITS or longest >= 1 << 2 * bits or places > _MOST_PADDED * len(query):
            return None
        # Items in their order: what is fetched for the n-th place of all lists lies close together.
        order = np.lexsort((unit, query))
        place = np.arange(len(query)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        part, row = np.divmod(place, length)
        units = np.full((length, parts * len(sizes)), n_units)
        units[row, part * len(sizes) + query[order]] = unit[order]
        return cls(units, n_units, len(sizes), n_levels)

    def __call__(self, codes: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Counts (n_levels, n_queries, `TOGETHER`) from levels (`TOGETHER`, n_units)."""
        shifts = np.empty((self._n_units + 1, TOGETHER), np.uint8)
        np.multiply(codes.T, np.uint8(self._bits), out=shifts[:-1])
        shifts[-1] = self.n_levels * self._bits
        packed = shifts.view(np.uint64)[:, 0]
        total = np.zeros((self._units.shape[1], TOGETHER), np.uint64)
        # Memory is taken once for all places: fresh memory for every one would take longer than the counting.
        fetched, one = np.empty(len(total), np.uint64), np.empty_like(total)
        for units in self._units:
            packed.take(units, out=fetched, mode="clip")
            one[...] = fetched.view(np.uint8).reshape(one.shape)
            np.left_shift(np.uint64(1), one, out=one)
            total += one
        return self._unpacked(total.reshape(-1, self.n_queries, TOGETHER))

    def _unpacked(self, total: NDArray[np.uint64]) -> NDArray[np.float64]:
        """Counts of whole lists from the fields of their parts."""
        # Every other field at a time leaves room for the sum over parts.
        wide = 2 * self._bits
        field = (1 << wide) - 1
        counts = np.empty((self.n_levels, *total.shape[1:]))
        for first in (0, 1):
            levels = range(first, self.n_levels, 2)
            kept = sum(((1 << self._bits) - 1) << wide * place for place in range(len(levels)))
            fields = ((total >> np.uint64(first * self._bits)) & np.uint64(kept)).sum(axis=0)
            for place, level in enumerate(levels):
                counts[level] = (fields >> np.uint64(wide * place)) & np.uint64(field)
        return counts


def _bits(n_levels: int) -> int:
    """Bits of a field. The one above the last level takes what fills lists up; it may run over, to nowhere."""
    return 63 // n_levels
