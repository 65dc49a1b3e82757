"""Arrangements drawn at random, each equally likely: labels within strata, signs, rows with replacement."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Labels = NDArray[np.integer[Any]]
Keys = NDArray[np.unsignedinteger[Any]]

#: Strata below this size are shuffled plainly: little would be left to draw independently.
_SMALL = 600
#: Otherwise most places would stay open, and be shuffled plainly after all.
_MOST_OPEN = 0.5
#: Labels drawn together: few enough to stay in the cache of a core.
_AT_ONCE = 1 << 17
#: Logarithm of the most arrangements that could be enumerated: some ten million, far above what anybody asks for.
_ENUMERABLE = 16.0


class LabelShuffler:
    """Draws arrangements of labels, each equally likely, within strata.

    Shuffling is what permutation tests spend their time on, so most labels are not shuffled at all: of a large stratum
    each unit gets label g independently with a probability a little below the label's share, and the rest stays open; then
    the labels that are still missing are shuffled into the open places. Units are treated alike throughout, so that all
    arrangements of the given labels are equally likely, exactly. Should a label have been given out too often (a few in
    a thousand draws), that draw is shuffled plainly instead; whether it is depends on counts only, never on places.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        Not negative.
    strata : array_like of int, shape (n,), optional
        Units of one stratum exchange labels among themselves only.
    """

    def __init__(self, labels: ArrayLike, strata: ArrayLike | None = None) -> None:
        given = np.asarray(labels)
        if given.ndim != 1 or (given.size and given.min() < 0):
            raise ValueError("labels are one row of whole numbers that are not negative")
        few = given.max(initial=0) < 255
        self.labels: Labels = given.astype(np.uint8) if few else given.astype(np.int32)
        groups = np.zeros(given.size, np.intp) if strata is None else np.asarray(strata)
        if groups.shape != given.shape:
            raise ValueError("labels and strata differ in length")
        # Units of one stratum side by side while drawing.
        self._order = np.argsort(groups, kind="stable")
        self._in_order = bool((self._order == np.arange(given.size)).all())
        bounds = np.flatnonzero(np.diff(groups[self._order], prepend=-1, append=np.iinfo(np.int64).max))
        self._pools = [
            _Pool(int(a), self.labels[self._order[a:b]], few=few) for a, b in itertools.pairwise(bounds.tolist())
        ]

    @property
    def n(self) -> int:
        """Number of units."""
        return int(self.labels.size)

    @property
    def n_arrangements(self) -> int | None:
        """Number of different arrangements of the labels within strata; None if it is too large to enumerate them."""
        logarithm = sum(pool.log_arrangements for pool in self._pools)
        return round(math.exp(logarithm)) if logarithm < _ENUMERABLE else None

    def draw(self, generator: np.random.Generator, rows: int) -> Labels:
        """Arrangements drawn independently of each other, shape (rows, n)."""
        drawn: Labels = np.empty((rows, self.n), dtype=self.labels.dtype)
        for pool in self._pools:
            pool.draw(generator, drawn)
        return drawn if self._in_order else self._back(drawn)

    def all(self, rows: int) -> Iterator[Labels]:
        """Every arrangement once, in blocks of at most `rows`."""
        parts = [list(_arrangements(pool.labels.tolist())) for pool in self._pools]
        every = itertools.product(*parts)
        while some := list(itertools.islice(every, rows)):
            block = np.array([list(itertools.chain(*one)) for one in some], dtype=self.labels.dtype)
            yield self._back(block.reshape(len(some), self.n))

    def _back(self, drawn: Labels) -> Labels:
        placed = np.empty_like(drawn)
        placed[:, self._order] = drawn
        return placed


class _Pool:
    """The labels of one stratum."""

    def __init__(self, start: int, labels: Labels, *, few: bool) -> None:
        self.start, self.labels = start, np.sort(labels)
        self.counts = np.bincount(labels)
        bounds = [_bounds(self.counts, kind) for kind in (np.uint8, np.uint16)]
        # Short keys cost half, and leave more open: the better, the fewer labels there are.
        short = self._open_share(bounds[0]) < 1.25 * self._open_share(bounds[1])
        self._bounds = bounds[0] if short else bounds[1]
        self._independently = few and labels.size >= _SMALL and self._open_share(self._bounds) < _MOST_OPEN

    @staticmethod
    def _open_share(bounds: Keys) -> float:
        return 1 - float(bounds[-1]) / (int(np.iinfo(bounds.dtype).max) + 1)

    @property
    def log_arrangements(self) -> float:
        """Logarithm of the multinomial coefficient."""
        return math.lgamma(self.labels.size + 1) - sum(math.lgamma(count + 1) for count in self.counts.tolist())

    def draw(self, generator: np.random.Generator, drawn: Labels) -> None:
        place = drawn[:, self.start : self.start + self.labels.size]
        if self._independently:
            at_once = max(1, _AT_ONCE // self.labels.size)
            for first in range(0, len(place), at_once):
                some = place[first : first + at_once]
                some[...] = self._drawn(generator, len(some))
            return
        place[:] = self.labels
        if self.labels.size > 1:
            generator.permuted(place, axis=1, out=place)

    def _drawn(self, generator: np.random.Generator, rows: int) -> NDArray[np.uint8]:
        """Rows whose labels were given out independently as far as possible; several at once keep the calls few."""
        n, kind = self.labels.size, self._bounds.dtype
        n_words = -(-rows * n * kind.itemsize // 8)
        keys = generator.bit_generator.random_raw(n_words).view(kind)[: rows * n].reshape(rows, n)
        drawn = np.zeros((rows, n), np.uint8)
        above = np.empty((rows, n), np.bool_)
        given = np.empty((rows, self.counts.size + 1), np.intp)
        given[:, 0] = n
        for label, bound in enumerate(self._bounds, start=1):
            np.greater_equal(keys, bound, out=above)
            given[:, label] = [np.count_nonzero(row) for row in above]
            drawn += above.view(np.uint8)
        missing = self.counts - (given[:, :-1] - given[:, 1:])
        rest = []
        for row, numbers in enumerate(missing):
            if (numbers < 0).any():
                drawn[row] = generator.permutation(self.labels)
                above[row] = False
                continue
            rest.append(np.repeat(np.arange(numbers.size, dtype=np.uint8), numbers))
            generator.shuffle(rest[-1])
        if rest:
            drawn.ravel()[np.flatnonzero(above)] = np.concatenate(rest)  # above the last bound: still open
        return drawn


def _bounds(counts: NDArray[np.intp], kind: type[np.unsignedinteger[Any]]) -> Keys:
    """Up to which key, of those that `kind` can hold, each label is given out independently."""
    n, n_keys = int(counts.sum()), int(np.iinfo(kind).max) + 1
    share = counts / max(n, 1)
    # Three standard deviations below: 0.13% of draws give out a label too often.
    lower = np.maximum(counts - 3 * np.sqrt(counts * (1 - share)), 0) / max(n, 1)
    bounds: Keys = np.minimum(np.cumsum(np.floor(lower * n_keys)), n_keys - 1).astype(kind)
    return bounds


def _arrangements(labels: list[int]) -> Iterator[list[int]]:
    """Every different order of the labels, in lexicographic order (Narayana's algorithm)."""
    row = sorted(labels)
    while True:
        yield row.copy()
        falling = next((i for i in range(len(row) - 2, -1, -1) if row[i] < row[i + 1]), None)
        if falling is None:
            return
        larger = next(j for j in range(len(row) - 1, falling, -1) if row[falling] < row[j])
        row[falling], row[larger] = row[larger], row[falling]
        row[falling + 1 :] = reversed(row[falling + 1 :])


class SignFlipper:
    """Draws signs for n units, each + or - with probability 1/2."""

    def __init__(self, n: int) -> None:
        self.n = n

    @property
    def n_arrangements(self) -> int | None:
        """2^n; None if it is too large to enumerate them."""
        return 1 << self.n if self.n < 2 * _ENUMERABLE else None

    def draw(self, generator: np.random.Generator, rows: int) -> NDArray[np.int8]:
        """Signs of shape (rows, n), 1 or -1."""
        n_bytes = -(-self.n // 8)
        bits = generator.bit_generator.random_raw(-(-rows * n_bytes // 8)).view(np.uint8)[: rows * n_bytes]
        return self._signs(bits.reshape(rows, n_bytes))

    def all(self, rows: int) -> Iterator[NDArray[np.int8]]:
        """Every choice of signs once, in blocks of at most `rows`."""
        total = 1 << self.n
        for start in range(0, total, rows):
            numbers = np.arange(start, min(start + rows, total), dtype=np.uint64)
            yield self._signs(numbers.astype("<u8").view(np.uint8).reshape(-1, 8))

    def _signs(self, packed: NDArray[np.uint8]) -> NDArray[np.int8]:
        bits = np.unpackbits(packed, axis=1, count=self.n, bitorder="little")
        signs: NDArray[np.int8] = 1 - 2 * bits.astype(np.int8)
        return signs


class RowResampler:
    """Draws n of n rows with replacement: for a bootstrap, where there is nothing to enumerate."""

    n_arrangements = None

    def __init__(self, n: int) -> None:
        self.n = n

    def draw(self, generator: np.random.Generator, rows: int) -> NDArray[np.int32]:
        """Numbers of the drawn rows, shape (rows, n)."""
        return generator.integers(0, self.n, (rows, self.n), dtype=np.int32)

    def all(self, rows: int) -> Iterator[NDArray[np.int32]]:
        """Nothing."""
        yield from np.empty((0, rows, self.n), np.int32)
