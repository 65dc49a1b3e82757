"""Is parity said of distributions that differ by as much as the margin?

Two groups of equal size, lists of 20 with an intra-list correlation of .2. The margin is set to the true distance of the two
distributions, so that every answer of parity is an error. Bound: if the probability of that error were .05, more errors than
stated have probability below 1 in 1,000.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from auditor.audits.parity.data import ITA_CLASSES, ITA_CUTOFFS, Attribute, Scale, ScaleKind, lists
from auditor.audits.parity.effects import Effect, effects_groups
from auditor.audits.parity.verdict import verdict
from numpy.typing import NDArray
from scipy import stats
from tests.validity.test_parity_coverage import results_of

_CUTS = stats.norm.ppf(np.cumsum([0.05, 0.1, 0.2, 0.3, 0.2]))
_LEVELS = ("I", "II", "III", "IV", "V", "VI")


@dataclass(frozen=True)
class Change:
    """What the first group's normal values are: moved, and spread, in standard deviations of the other's."""

    move: float
    spread: float

    def distance(self, kind: ScaleKind) -> float:
        """True Wasserstein-1 distance between groups of equal size: in degrees, or in mid-ranks from -1 to 1."""
        if kind == "ita":
            x = np.linspace(-12, 12, 100_001)
            return 20 * float(
                np.trapezoid(np.abs(stats.norm.cdf((x - self.move) / self.spread) - stats.norm.cdf(x)), x)
            )
        a, b = self._shares((_CUTS - self.move) / self.spread), self._shares(_CUTS)
        both = (a + b) / 2
        return float((np.abs(np.cumsum(a - b)[:-1]) * (both[:-1] + both[1:])).sum())

    def _shares(self, cuts: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.diff(stats.norm.cdf(cuts), prepend=0, append=1)


def seen(kind: ScaleKind, change: Change, per_group: int, generator: np.random.Generator, seed: int) -> list[Effect]:
    """The difference and the distance of one simulated audit."""
    n = 2 * per_group
    group, query = np.repeat([0, 1], per_group).astype(np.int16), np.repeat(np.arange(n), 20)
    value = np.sqrt(0.2) * generator.normal(size=n)[query] + np.sqrt(0.8) * generator.normal(size=len(query))
    value = np.where(group[query] == 0, change.move + change.spread * value, value)
    if kind == "ita":
        degrees = 25 + 20 * value
        level = np.searchsorted(ITA_CUTOFFS, degrees).astype(np.int16)
        attribute = Attribute("x", Scale(kind, ITA_CLASSES), level, degrees)
    else:
        attribute = Attribute("x", Scale(kind, _LEVELS), np.searchsorted(_CUTS, value).astype(np.int16))
    found = lists(results_of(query, group), attribute, k=None, rank_aware=False)
    none = np.zeros(n, np.int32)
    return effects_groups(found, attribute, group, ("a", "b"), none, confidence=0.95, seed=seed, primary_only=True)


def parities(kind: ScaleKind, change: Change, per_group: int, margin: float, trials: int) -> int:
    """How many of some audits say parity."""
    generator, said = np.random.default_rng(20261126), 0
    for trial in range(trials):
        difference, *distances = seen(kind, change, per_group, generator, trial)
        scale = Scale(kind, ITA_CLASSES if kind == "ita" else _LEVELS)
        answer = verdict(difference, 1.0, alpha=0.05, margin=margin, scale=scale, attribute="x", distances=distances)
        assert [one.name for one in distances] == ["Wasserstein-1"]
        said += answer.state == "parity within margin"
    return said


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "trials"), [("ordinal", 400), ("ita", 150)])
def test_a_shift_as_large_as_the_margin_is_seldom_called_parity(kind: ScaleKind, trials: int) -> None:
    """Where only the place differs the distance is that of the means, and its limit leaves nothing to spare."""
    change = Change(0.3, 1.0)
    said = parities(kind, change, 60, change.distance(kind), trials)
    assert said <= stats.binom.ppf(0.999, trials, 0.05), said / trials


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "trials"), [("ordinal", 150), ("ita", 50)])
@pytest.mark.parametrize("change", [Change(0.0, 1.6), Change(0.2, 1.3)])
def test_a_change_of_scale_as_large_as_the_margin_is_never_called_parity(
    kind: ScaleKind, change: Change, trials: int
) -> None:
    """Their means lie within that margin: by them alone a change of scale was called parity in up to 94% of the audits."""
    assert parities(kind, change, 60, change.distance(kind), trials) == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ordinal", "ita"])
def test_like_distributions_are_called_parity_where_there_are_queries_enough(kind: ScaleKind) -> None:
    """The bound is not bought with silence: 150 queries in each group, a margin of .3 standard deviations."""
    said = parities(kind, Change(0.0, 1.0), 150, Change(0.3, 1.0).distance(kind), 30)
    assert said >= 24, said
