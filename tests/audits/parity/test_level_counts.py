import numpy as np
import pytest
from auditor.audits.parity.level_counts import LevelCounts


@pytest.mark.parametrize(
    ("n_levels", "shortest", "longest"),
    # Numbers of 8, 16, 32 and 64 bits; lists of one length and of many; counts that fill their bits, and one more.
    [
        (2, 5, 5),
        (2, 1, 1),
        (5, 40, 60),
        (7, 1, 2),
        (8, 255, 255),
        (8, 256, 256),
        (9, 63, 63),
        (10, 90, 100),
        (10, 300, 400),
        (16, 200, 255),
        (17, 5, 6),
        (40, 20, 30),
        (64, 300, 300),
    ],
)
@pytest.mark.parametrize("n_labellings", [4, 32, 64, 128])
def test_counts_are_those_of_plain_code(n_levels: int, shortest: int, longest: int, n_labellings: int) -> None:
    random = np.random.default_rng(n_levels + longest)
    n_queries, n_units = 40, 500
    sizes = random.integers(shortest, longest + 1, n_queries)
    query = random.permutation(np.repeat(np.arange(n_queries), sizes))
    unit = random.integers(0, n_units, len(query))
    counts = LevelCounts.of(query, unit, n_units, n_levels)
    assert counts is not None
    together = counts.together(n_labellings)
    codes = random.integers(0, n_levels, (n_units, together)).astype(np.uint8)
    codes[:, 0] = n_levels - 1  # all results of a list count for one level
    codes[:, 1] = 0
    expected = np.zeros((together, n_levels, n_queries))
    for number, row in enumerate(codes.T):
        np.add.at(expected[number], (row[unit], query), 1)
    space = counts.space(together)
    assert (counts(codes, space) == expected).all()
    assert (counts(codes[:, :3], space) == expected[:3]).all(), "fewer labellings than fit"
    assert (counts(codes, space) == expected).all(), "what was counted before is forgotten"


@pytest.mark.parametrize(("n_levels", "sizes"), [(65, (5, 5)), (5, (1, 1, 1, 100))])
def test_what_does_not_fit_is_said(n_levels: int, sizes: tuple[int, ...]) -> None:
    query = np.repeat(np.arange(len(sizes)), sizes)
    assert LevelCounts.of(query, np.zeros_like(query), 3, n_levels) is None
