"""Do intervals that hold at once hold at once where a level is rare, and is parity then said too often?

Lists of ten with an intra-list correlation of .2, so that a rare level fills some lists and misses nearly all. One rare level
once made every interval reach from -100 to 100 points; `python -m tests.validity.test_parity_rare` measures with 2,000
simulations each.
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass

import numpy as np
import pytest
from auditor.audits.parity.data import Attribute, Scale, lists
from auditor.audits.parity.effects import Effect, effects_groups, effects_target
from auditor.audits.parity.verdict import verdict
from scipy import stats
from tests.validity.test_parity_coverage import results_of

_LEVELS = ("u", "v", "w", "z")


@dataclass(frozen=True)
class World:
    """Shares of the levels in both groups, and how the queries divide; one group is compared with its own shares."""

    first: tuple[float, ...]
    second: tuple[float, ...] | None
    n_queries: int = 100
    smaller: float = 0.5
    concentration: float = 4.0

    @property
    def truth(self) -> dict[str, float]:
        """Difference of every level."""
        other = self.first if self.second is None else self.second
        return {name: a - b for name, a, b in zip(_LEVELS, self.first, other, strict=False)}

    def audit(self, generator: np.random.Generator, seed: int) -> list[Effect]:
        """Differences of one simulated audit."""
        n, m = self.n_queries, len(self.first)
        group = (np.arange(n) >= round(n * self.smaller)).astype(np.int16)
        second = self.first if self.second is None else self.second
        weights = generator.gamma(self.concentration * np.where(group[:, None] == 0, self.first, second))
        own = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
        query = np.repeat(np.arange(n), 10)
        level = np.minimum((generator.random(10 * n)[:, None] > own[query]).sum(axis=1), m - 1).astype(np.int16)
        attribute = Attribute("x", Scale("nominal", _LEVELS[:m]), level)
        found = lists(results_of(query, group), attribute, k=None, rank_aware=False)
        if self.second is None:
            target = np.array(self.first)
            return effects_target(found, attribute, target, None, confidence=0.95, seed=seed, primary_only=True)
        none = np.zeros(n, np.int32)
        return effects_groups(found, attribute, group, ("a", "b"), none, confidence=0.95, seed=seed, primary_only=True)


_COMMON = (0.5, 0.3, 0.197, 0.003)
WORLDS = {
    "a rare level in two groups": World(_COMMON, _COMMON),
    "a rare level in one of two groups": World((0.5, 0.3, 0.18, 0.02), (0.5, 0.3, 0.2, 0.0)),
    "a rare level against a target": World(_COMMON, None),
    "a level on the way to being rare, twenty queries against 180": World(
        (0.5, 0.3, 0.17, 0.03), (0.5, 0.3, 0.17, 0.03), 200, 0.1
    ),
    "one of two levels rare": World((0.98, 0.02), (0.98, 0.02)),
    "one of two levels missing in one group": World((0.95, 0.05), (1.0, 0.0)),
}


def measured(world: World, *, trials: int, seed: int) -> dict[str, float]:
    """Shares of simulated audits whose intervals all hold, and whose interval of the first level holds by itself."""
    generator, hits = np.random.default_rng(seed), {"all": 0, "one": 0, "bounded": 0}
    for trial in range(trials):
        found = world.audit(generator, trial)
        held = {one.level: _holds(one, world.truth[one.level or ""]) for one in found}
        hits["all"] += all(held.values())
        hits["one"] += held["u"]
        hits["bounded"] += any(one.bounded for one in found)
    return {name: count / trials for name, count in hits.items()}


def _holds(one: Effect, truth: float) -> bool:
    # No interval, because nothing of the level was seen, claims nothing.
    return one.low is None or one.high is None or one.low <= truth <= one.high


def parities(world: World, margin: float, *, trials: int, seed: int) -> int:
    """How many simulated audits say parity within a margin."""
    generator, said = np.random.default_rng(seed), 0
    scale = Scale("nominal", _LEVELS[: len(world.first)])
    for trial in range(trials):
        found = world.audit(generator, trial)
        answer = verdict(found[0], 1.0, alpha=0.05, margin=margin, scale=scale, attribute="x", differences=found)
        said += answer.state == "parity within margin"
    return said


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=2000)
    asked = parser.parse_args(argv)
    for name, world in WORLDS.items():
        told = {"world": name, **asdict(world), "trials": asked.trials, **measured(world, trials=asked.trials, seed=1)}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
    for name, world, margin in AT_THE_MARGIN:
        said = parities(world, margin, trials=asked.trials, seed=2)
        sys.stdout.write(json.dumps({"at the margin": name, "margin": margin, "parity": said / asked.trials}) + "\n")
        sys.stdout.flush()


#: Worlds whose largest difference is the margin: parity is wrong.
AT_THE_MARGIN = [
    ("a common level", World((0.6, 0.3, 0.097, 0.003), (0.4, 0.5, 0.097, 0.003), 200), 0.2),
    ("a level that one group lacks", World((0.9, 0.1), (1.0, 0.0), 100), 0.1),
    ("a rare level", World((0.5, 0.3, 0.15, 0.05), (0.5, 0.3, 0.2, 0.0), 400), 0.05),
]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a rare level in two groups", "a rare level against a target"])
def test_intervals_hold_at_once_where_a_level_is_rare(name: str) -> None:
    """Bound: if the probability that all hold were .93, or .97, fewer (or more) than stated have one below 1 in 1,000."""
    trials = 80
    found = measured(WORLDS[name], trials=trials, seed=2026)
    assert stats.binom.ppf(0.001, trials, 0.93) <= found["all"] * trials, found
    assert found["one"] * trials <= stats.binom.ppf(0.9999, trials, 0.985), found
    assert found["bounded"] > 0.6, "the level is rare"


@pytest.mark.slow
def test_parity_at_the_margin_is_seldom_said_where_a_level_is_rare_and_said_where_it_holds() -> None:
    """Bound: if the probability of that error were .05, more errors than stated have probability below 1 in 1,000."""
    trials = 60
    name, world, margin = AT_THE_MARGIN[1]
    said = parities(world, margin, trials=trials, seed=7)
    assert said <= stats.binom.ppf(0.999, trials, 0.05), (name, said / trials)
    assert parities(World(_COMMON, _COMMON, 200), 0.2, trials=20, seed=3) >= 18


if __name__ == "__main__":
    main()
