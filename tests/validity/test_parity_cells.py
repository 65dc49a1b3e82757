"""Does the table of shares by group and level show a false cell at most as often as it says?

Worlds in which no cell deviates: few items in all lists, rare levels, small groups, lists with an intra-list correlation of .2.
At a level of .05, more false tables than stated have probability below 1 in 1,000. Normal p-values from each cell's own error
showed a false cell in 8 to 93% of such tables.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from auditor.audits.parity.cells import cell_rows
from auditor.audits.parity.data import Results
from auditor.audits.parity.findings import Mode
from auditor.audits.parity.spec import ParitySpec
from auditor.audits.parity.subject import subject
from numpy.typing import NDArray
from scipy import stats
from tests.audits.parity.worlds import attribute, results

_TRIALS = 300
_SKEWED = np.array([0.02, 0.03, 0.05, 0.1, 0.15, 0.2, 0.2, 0.15, 0.07, 0.03])
_EVEN = np.full(10, 0.1)
_THREE = np.array([0.5, 0.3, 0.2])
_World = Callable[[np.random.Generator], Results]


def _few_items(n_items: int, hub: float, shares: NDArray[np.float64]) -> _World:
    """100 lists of ten from a pool of items whose labels are drawn; some are shown more often."""
    popularity = 1 / np.arange(1, n_items + 1) ** hub

    def made(generator: np.random.Generator) -> Results:
        one = attribute("nominal", generator.choice(len(shares), n_items, p=shares), len(shares))
        races = -np.log(generator.random((100, n_items))) / popularity
        return results(np.argpartition(races, 10, axis=1)[:, :10], one)

    return made


def _like_lists(n_queries: int, shares: NDArray[np.float64], small_group: int = 0) -> _World:
    """Lists of ten items of their own with an intra-list correlation of .2; the first queries are a small group."""

    def made(generator: np.random.Generator) -> Results:
        own = np.cumsum(generator.dirichlet(4 * shares, n_queries), axis=1)
        level = (generator.random((n_queries, 10))[..., None] > own[:, None]).sum(axis=-1)
        one = attribute("nominal", np.minimum(level, len(shares) - 1).ravel(), len(shares))
        group = (np.arange(n_queries) >= small_group).astype(int) if small_group else None
        return results(np.arange(10 * n_queries).reshape(n_queries, 10), one, group=group)

    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("world", "shares", "mode"),
    [
        (_few_items(30, 0.0, _THREE), _THREE, "C2"),
        (_few_items(60, 0.0, _EVEN), _EVEN, "C2"),
        (_few_items(150, 0.7, _SKEWED), _SKEWED, "C2"),
        (_like_lists(20, _SKEWED), _SKEWED, "C2"),
        (_like_lists(60, _THREE), _THREE, "C2"),
        (_like_lists(100, _SKEWED, small_group=10), _SKEWED, "B"),
        (_like_lists(60, _THREE, small_group=30), _THREE, "B"),
    ],
)
def test_false_cells(world: _World, shares: NDArray[np.float64], mode: Mode) -> None:
    generator, false, shown = np.random.default_rng(20261126), 0, 0
    for _ in range(_TRIALS):
        found = world(generator)
        found = replace(found, shares=np.tile(shares, (found.n_queries, 1)) if mode == "C2" else None)
        (one,) = found.attributes.values()
        made = subject(ParitySpec(mode=mode, scale="nominal"), found, mode, one, None)
        adjusted = [row["adjusted_p"] for row in cell_rows(found, made, mode, confidence=0.95) if "adjusted_p" in row]
        shown += len(adjusted)
        false += min(adjusted, default=1.0) <= 0.05
    assert false <= stats.binom.ppf(0.999, _TRIALS, 0.05), f"{false} of {_TRIALS} tables with a false cell"
    assert shown >= _TRIALS, "cells have p-values"
