import numpy as np
import pytest
from auditor.audits.parity.level_counts import TOGETHER, LevelCounts


@pytest.mark.parametrize(
    ("n_levels", "shortest", "longest"),
    # One part and several; lists of one length and of many; a list that fills its fields to the last bit.
    [(2, 5, 5), (5, 40, 60), (10, 63, 63), (10, 64, 64), (10, 90, 100), (10, 300, 400), (15, 200, 255), (7, 1, 2)],
)
def test_counts_are_those_of_plain_code(n_levels: int, shortest: int, longest: int) -> None:
    random = np.random.default_rng(n_levels + longest)
    n_queries, n_units = 40, 500
    sizes = random.integers(shortest, longest + 1, n_queries)
    query = random.permutation(np.repeat(np.arange(n_queries), sizes))
    unit = random.integers(0, n_units, len(query))
    codes = random.integers(0, n_levels, (TOGETHER, n_units)).astype(np.uint8)
    codes[0] = n_levels - 1  # all results of a list in one field
    codes[1] = 0
    counts = LevelCounts.of(query, unit, n_units, n_levels)
    assert counts is not None
    expected = np.zeros((n_levels, n_queries, TOGETHER))
    for number, row in enumerate(codes):
        np.add.at(expected[:, :, number], (row[unit], query), 1)
    assert (counts(codes) == expected).all()


@pytest.mark.parametrize(("n_levels", "sizes"), [(16, (5, 5)), (5, (1, 1, 1, 100)), (15, (256, 256))])
def test_what_does_not_fit_is_said(n_levels: int, sizes: tuple[int, ...]) -> None:
    query = np.repeat(np.arange(len(sizes)), sizes)
    assert LevelCounts.of(query, np.zeros_like(query), 3, n_levels) is None
