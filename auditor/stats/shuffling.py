"""Arrangements drawn at random, each equally likely: labels within strata, signs, rows with replacement."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Labels = NDArray[np.integer[Any]]

#: Strata below this size are shuffled plainly: that is faster there.
_SMALL = 600
#: Share below which a label is rare.
_RARE = 0.02
#: Units that could be looked up in the time that short keys save, for every unit: measured.
_SAVED_BY_SHORT_KEYS = 0.02
#: Most units that may have to be looked up for one draw, as a share of all: shuffling plainly is faster beyond it.
_MOST_LOOKED_UP = 0.25
#: Least number of units that are looked up in one go, for every draw.
_LEAST_TRIES = 8
#: Share of a stratum's units below which labels are picked one by one rather than all shuffled.
_FEW_DRAWN = 0.1
#: Bytes of keys drawn together: few enough for the caches, enough that threads seldom wait for each other: measured.
_KEYS_AT_ONCE = 1 << 20
#: Marks that are counted side by side: enough to make one operation worth its call, and a multiple of 8.
_WIDE = 2048
#: Logarithm of the most arrangements that could be enumerated: some ten million, far above what anybody asks for.
_ENUMERABLE = 16.0


class LabelShuffler:
    """Draws arrangements of labels, each equally likely, within strata.

    Shuffling is what permutation tests spend their time on, so most labels are not shuffled at all: in a large stratum each
    unit gets label g independently, with a probability close to the label's share. Then units are looked up at random: one
    whose label was given out too often gets one of the labels that are missing, themselves in random order, until every label
    is there as often as it should be. Units are treated alike throughout, so that all arrangements of the given labels are
    equally likely, exactly.

    Where only some units are looked at, only these are drawn: how often they hold each label is multivariate hypergeometric,
    and given that, every arrangement of these labels is equally likely.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        Not negative.
    strata : array_like of int, shape (n,), optional
        Units of one stratum exchange labels among themselves only.
    looked_at : array_like of bool, shape (n,), optional
        Units whose labels are drawn; all if not given. The others only hold labels that these might get.
    """

    def __init__(self, labels: ArrayLike, strata: ArrayLike | None = None, looked_at: ArrayLike | None = None) -> None:
        given = np.asarray(labels)
        if given.ndim != 1 or (given.size and given.min() < 0):
            raise ValueError("labels are one row of whole numbers that are not negative")
        few = given.max(initial=0) < 255
        self.labels: Labels = given.astype(np.uint8) if few else given.astype(np.int32)
        groups = np.zeros(given.size, np.intp) if strata is None else np.asarray(strata)
        self._looked_at = np.ones(given.size, np.bool_) if looked_at is None else np.asarray(looked_at, np.bool_)
        if groups.shape != given.shape or self._looked_at.shape != given.shape:
            raise ValueError("labels, strata and looked_at differ in length")
        # Units of one stratum side by side while drawing, those that are looked at first.
        every = np.lexsort((~self._looked_at, groups))
        drawn = self._looked_at[every]
        self._order = (np.cumsum(self._looked_at) - 1)[every[drawn]]
        self._in_order = bool((self._order == np.arange(self._order.size)).all())
        bounds = np.flatnonzero(np.diff(groups[every], prepend=-1, append=np.iinfo(np.int64).max))
        starts = np.concatenate([[0], np.cumsum(drawn)])
        self._pools = [
            _Pool(int(starts[a]), self.labels[every[a:b]], int(starts[b] - starts[a]), few=few)
            for a, b in itertools.pairwise(bounds.tolist())
        ]

    @property
    def n(self) -> int:
        """Number of units that are looked at."""
        return int(self._order.size)

    @property
    def n_arrangements(self) -> int | None:
        """Number of different arrangements of the labels within strata; None if it is too large to enumerate them."""
        logarithm = sum(pool.log_arrangements for pool in self._pools)
        return round(math.exp(logarithm)) if logarithm < _ENUMERABLE else None

    def draw(self, generator: np.random.Generator, rows: int) -> Labels:
        """Arrangements drawn independently of each other, shape (rows, n).

        In memory the labels of one unit stand side by side, those of all arrangements: whoever looks at many of them unit by
        unit finds them together in the transpose.
        """
        # Whole words of eight, so that labels can be counted many at a time.
        columns = -(-rows // 8) * 8
        drawn: Labels = np.empty((self.n, columns), dtype=self.labels.dtype)
        for pool in self._pools:
            pool.draw(generator, drawn, rows)
        return (drawn if self._in_order else self._back(drawn))[:, :rows].T

    def all(self, rows: int) -> Iterator[Labels]:
        """Every arrangement once, in blocks of at most `rows`."""
        parts = [list(_arrangements(pool.labels.tolist())) for pool in self._pools]
        every = itertools.product(*parts)
        while some := list(itertools.islice(every, rows)):
            parts_drawn = [
                [label for pool, part in zip(self._pools, one, strict=True) for label in part[: pool.n_drawn]]
                for one in some
            ]
            block = np.array(parts_drawn, dtype=self.labels.dtype)
            yield self._back(block.reshape(len(some), self.n).T).T

    def _back(self, drawn: Labels) -> Labels:
        """Rows of units (n, rows) in the order that was given."""
        placed = np.empty(drawn.shape, drawn.dtype)
        placed[self._order] = drawn
        return placed


class _Pool:
    """The labels of one stratum, of which the first `n_drawn` units get theirs."""

    def __init__(self, start: int, labels: Labels, n_drawn: int, *, few: bool) -> None:
        self.start, self.labels, self.n_drawn = start, np.sort(labels), n_drawn
        self.counts = np.bincount(labels)
        short, long = (_bounds(self.counts, bits) for bits in (8, 16))
        # Short keys cost less, and hit the shares less well.
        saved = n_drawn * _SAVED_BY_SHORT_KEYS
        is_short = self._looked_up(short, 8) - self._looked_up(long, 16) < saved
        looked_up = self._looked_up(*((short, 8) if is_short else (long, 16)))
        # Where many labels are rare, those that are there too often are hard to find.
        self._independently = few and n_drawn >= _SMALL and looked_up < _MOST_LOOKED_UP * n_drawn
        self._bounds = short if is_short else long
        self._kind: type[np.unsignedinteger[Any]] = np.uint8 if is_short else np.uint16

    @property
    def log_arrangements(self) -> float:
        """Logarithm of the multinomial coefficient."""
        return math.lgamma(self.labels.size + 1) - sum(math.lgamma(count + 1) for count in self.counts.tolist())

    def draw(self, generator: np.random.Generator, drawn: Labels, rows: int) -> None:
        """Fill the pool's units of `drawn`, (units, whole words of columns); the first `rows` columns count."""
        place = drawn[self.start : self.start + self.n_drawn]
        if self._independently:
            self._draw_independently(generator, place)
            return
        if self.n_drawn < _FEW_DRAWN * self.labels.size:
            for column in place.T[:rows]:
                column[:] = generator.choice(self.labels, self.n_drawn, replace=False)
            return
        shuffled = np.tile(self.labels, (rows, 1))
        if self.labels.size > 1:
            generator.permuted(shuffled, axis=1, out=shuffled)
        place[:, :rows] = shuffled[:, : self.n_drawn].T

    def _draw_independently(self, generator: np.random.Generator, place: Labels) -> None:
        """Give out labels independently, then correct how often each one is there."""
        columns = place.shape[1]
        reached = np.zeros((len(self.counts) + 1, columns), np.intp)
        # Whole rows of words side by side, as far as possible.
        at_once = max(_WIDE, _KEYS_AT_ONCE // (columns * np.dtype(self._kind).itemsize) // _WIDE * _WIDE)
        for first in range(0, len(place), at_once):
            reached += self._give_out(generator, place[first : first + at_once])
        too_many = (reached[:-1] - reached[1:]).T - self._counts_drawn(generator, columns)
        missing = np.maximum(-too_many, 0)
        rest = np.repeat(np.tile(np.arange(len(self.counts)), columns), missing.ravel())
        ends = np.cumsum(missing.sum(axis=1))
        starts = ends - missing.sum(axis=1)
        if np.count_nonzero(self.counts) > 2:  # of two labels only one can be missing
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
                generator.shuffle(rest[start:end])
        while (too_many > 0).any():
            self._correct(generator, place, too_many, rest, starts)

    def _counts_drawn(self, generator: np.random.Generator, columns: int) -> NDArray[np.int64]:
        """How often each label is there among the units that are looked at, (columns or 1, labels)."""
        if self.n_drawn == self.labels.size:
            return self.counts[None]
        return generator.multivariate_hypergeometric(self.counts, self.n_drawn, columns, method="marginals")

    def _give_out(self, generator: np.random.Generator, place: Labels) -> NDArray[np.intp]:
        """Draw keys, and with them labels; how many keys of every column reach the bound of each label."""
        n_words = -(-place.size * np.dtype(self._kind).itemsize // 8)
        keys = generator.bit_generator.random_raw(n_words).view(self._kind)[: place.size].reshape(place.shape)
        reached = np.zeros((len(self.counts) + 1, place.shape[1]), np.intp)
        reached[0] = len(place)
        above = np.empty(place.shape, np.bool_)
        place[...] = 0
        for label, bound in enumerate(self._bounds, start=1):
            if bound > np.iinfo(self._kind).max:
                break
            np.greater_equal(keys, self._kind(bound), out=above)
            reached[label] = _true_in_columns(above)
            place += above.view(np.uint8)
        return reached

    def _correct(
        self,
        generator: np.random.Generator,
        place: Labels,
        too_many: NDArray[np.intp],
        rest: NDArray[np.intp],
        starts: NDArray[np.intp],
    ) -> None:
        """Look up units at random, and give those with a label that is there too often the next of the missing ones.

        Parameters
        ----------
        place : ndarray of shape (units, columns)
        too_many : ndarray of shape (columns, labels)
            How often each label is there beyond what it should be; brought up to date.
        rest : ndarray of shape (m,)
            Missing labels, column by column, in random order.
        starts : ndarray of shape (columns,)
            Where the next one of each column lies; brought up to date.
        """
        n_units, n_columns = place.shape
        n_labels = len(self.counts)
        columns = np.flatnonzero((too_many > 0).any(axis=1))
        wanted = np.maximum(too_many[columns], 0)
        # As many as most columns should need; the others come again.
        needed = (wanted * (self.labels.size / np.maximum(self.counts, 1))).max(axis=1)
        n_tries = int(1.5 * np.median(needed)) + _LEAST_TRIES
        where = generator.integers(0, n_units, (n_tries, len(columns)))
        where *= n_columns
        where += columns
        # Of every label in every column the first ones that were found, as many as are wanted.
        kind = (np.arange(len(columns)) * n_labels).astype(np.min_scalar_type(wanted.size)) + place.reshape(-1)[where]
        found = np.bincount(kind.ravel(), minlength=wanted.size)
        taken = np.minimum(found, wanted.ravel())
        order = np.argsort(kind.ravel(), kind="stable")
        first = np.cumsum(found) - found
        chosen = np.repeat(first - np.cumsum(taken) + taken, taken) + np.arange(taken.sum())
        # A unit that was found twice changes its label once.
        changed = np.sort(where.ravel()[order[chosen]])
        changed = changed[np.diff(changed, prepend=-1) > 0]
        column = changed % n_columns
        by_column = np.argsort(column.astype(np.min_scalar_type(n_columns)), kind="stable")
        changed, column = changed[by_column], column[by_column]
        before = column * n_labels + place.reshape(-1)[changed]
        too_many -= np.bincount(before, minlength=too_many.size).reshape(too_many.shape)
        n_changed = np.bincount(column, minlength=n_columns)
        place.reshape(-1)[changed] = rest[
            np.repeat(starts - np.cumsum(n_changed) + n_changed, n_changed) + np.arange(len(changed))
        ]
        starts += n_changed

    def _looked_up(self, bounds: NDArray[np.intp], bits: int) -> float:
        """About how many units have to be looked up for one draw."""
        share = self.counts / max(self.labels.size, 1)
        expected = np.diff(bounds, prepend=0, append=1 << bits) / (1 << bits) * self.n_drawn
        counts = share * self.n_drawn
        too_many = expected - counts + np.sqrt(counts * (1 - share))
        return float((np.maximum(too_many, 0) / np.maximum(share, 1 / max(self.labels.size, 1))).max(initial=0))


def _true_in_columns(marks: NDArray[np.bool_]) -> NDArray[np.intp]:
    """How many values of every column are true; there are whole words of eight columns.

    Words of eight marks are added up as numbers: no byte overflows as long as there are fewer than 256 of them.
    """
    n, columns = marks.shape
    # Rows are put side by side while they are short.
    side_by_side = max(1, _WIDE // columns)
    whole = n // side_by_side
    words = marks[: whole * side_by_side].reshape(whole, -1).view(np.uint64)
    total = np.zeros(side_by_side * columns, np.intp)
    for first in range(0, whole, 255):
        total += np.add.reduce(words[first : first + 255], axis=0).view(np.uint8)
    found: NDArray[np.intp] = np.add.reduce(total.reshape(-1, columns), axis=0)
    if whole * side_by_side < n:
        found += marks[whole * side_by_side :].sum(axis=0)
    return found


def _bounds(counts: NDArray[np.intp], bits: int) -> NDArray[np.intp]:
    """From which key on, of those that so many bits can hold, the labels 1, 2, ... are given out."""
    n, n_keys = max(int(counts.sum()), 1), 1 << bits
    share = counts / n
    keys = share * n_keys
    # A rare label is hard to find where it is there too often: it is given out three standard deviations too seldom.
    rare = (share < _RARE) & (counts < counts.max())
    seldom = np.floor(np.maximum(counts - 3 * np.sqrt(counts * (1 - share)), 0) / n * n_keys)
    keys[rare] = seldom[rare]
    keys[~rare] *= (n_keys - seldom[rare].sum()) / keys[~rare].sum()
    bounds: NDArray[np.intp] = np.rint(np.cumsum(keys)).astype(np.intp)[:-1]
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
