"""Do the intervals of the parity audit hold the truth as often as they say?

`python -m tests.validity.test_parity_coverage` measures every situation with 2,000 simulations and prints the table that
`auditor.audits.parity.intervals.MEASURED_COVERAGE` holds.
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass, replace

import numpy as np
import pytest
from auditor.audits.parity.data import ITA_CLASSES, ITA_CUTOFFS, Attribute, Lists, Results, Scale, lists
from auditor.audits.parity.effects import Effect, effects_groups, effects_target
from auditor.audits.parity.intervals import MEASURED_COVERAGE, measured_coverage
from numpy.typing import NDArray
from scipy import stats

_RARE = "risk difference of a rare level"
SITUATIONS = ("risk difference", "mid-rank difference", "mean difference", "deviation from target")
_ICC = 0.2
#: Ordinal levels are cut from a normal variable at these shares.
_CUTS = stats.norm.ppf(np.cumsum([0.05, 0.1, 0.2, 0.3, 0.2]))


@dataclass(frozen=True)
class Layout:
    """How many queries, how they divide into two groups, and how long their lists are."""

    n_queries: int
    first_share: float
    unequal: bool

    def groups(self) -> NDArray[np.int16]:
        return (np.arange(self.n_queries) >= round(self.n_queries * self.first_share)).astype(np.int16)

    def lengths(self, generator: np.random.Generator) -> NDArray[np.intp]:
        if not self.unequal:
            return np.full(self.n_queries, 20)
        return np.where(generator.random(self.n_queries) < 0.5, 5, 40)


def results_of(item_query: NDArray[np.intp], group: NDArray[np.int16]) -> Results:
    """Results in which every slot has an item of its own."""
    n, q = len(item_query), len(group)
    first = np.searchsorted(item_query, item_query)
    return Results(
        query_ids=tuple(map(str, range(q))),
        item_ids=tuple(map(str, range(n))),
        query=item_query.astype(np.int32),
        item=np.arange(n, dtype=np.int32),
        rank=(np.arange(n) - first + 1).astype(np.int32),
        score=None,
        group_names=("a", "b"),
        query_group=group,
        query_stratum=np.zeros(q, np.int32),
        item_stratum=np.zeros(n, np.int32),
        stratum_names=(),
        query_item=np.full(q, -1, np.int32),
        in_catalog=np.zeros(n, np.bool_),
        attributes={},
    )


def _binary(generator: np.random.Generator, p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of each query: beta with intra-list correlation .2."""
    size = 1 / _ICC - 1
    return generator.beta(p * size, (1 - p) * size)


def drawn(situation: str, layout: Layout, generator: np.random.Generator) -> tuple[Lists, Attribute, NDArray[np.int16]]:
    """Lists of two groups that differ by what `truth` says."""
    group, lengths = layout.groups(), layout.lengths(generator)
    query = np.repeat(np.arange(layout.n_queries), lengths)
    if situation in (_RARE, "risk difference", "deviation from target"):
        of_groups = {_RARE: np.full(len(group), 0.05), "risk difference": np.where(group == 0, 0.3, 0.2)}
        share = _binary(generator, of_groups.get(situation, _targets(group)))
        level = (generator.random(len(query)) >= share[query]).astype(np.int16)
        attribute = Attribute("x", Scale("nominal", ("dark", "light")), level)
    else:
        latent = np.sqrt(_ICC) * generator.normal(size=layout.n_queries) + 0.3 * (group == 0)
        value = latent[query] + np.sqrt(1 - _ICC) * generator.normal(size=len(query))
        if situation == "mid-rank difference":
            level = np.searchsorted(_CUTS, value).astype(np.int16)
            attribute = Attribute("x", Scale("ordinal", ("I", "II", "III", "IV", "V", "VI")), level)
        else:
            degrees = 25 + 20 * value
            level = np.searchsorted(ITA_CUTOFFS, degrees).astype(np.int16)
            attribute = Attribute("x", Scale("ita", ITA_CLASSES), level, degrees)
    return lists(results_of(query, group), attribute, k=None, rank_aware=False), attribute, group


def _targets(group: NDArray[np.int16]) -> NDArray[np.float64]:
    """Targets that differ from query to query, .1 to .5."""
    return 0.1 + 0.4 * np.linspace(0, 1, len(group))


def truth(situation: str) -> float:
    """The difference that the draws have in the long run."""
    if situation == "risk difference":
        return 0.1
    if situation == "mean difference":
        return 6.0
    if situation in (_RARE, "deviation from target"):
        return 0.0
    shares = [np.diff(stats.norm.cdf(np.concatenate([[-np.inf], _CUTS, [np.inf]]) - move)) for move in (0.3, 0.0)]
    order = np.sign(np.arange(6)[:, None] - np.arange(6)[None, :])
    return float(shares[0] @ order @ shares[1])


def estimate(situation: str, layout: Layout, generator: np.random.Generator, seed: int) -> Effect:
    """The primary effect of one simulated audit."""
    found, attribute, group = drawn(situation, layout, generator)
    if situation == "deviation from target":
        target = np.stack([_targets(group), 1 - _targets(group)], axis=1)
        return effects_target(found, attribute, target, None, confidence=0.95, seed=seed, primary_only=True)[0]
    none = np.zeros(len(group), np.int32)
    return effects_groups(found, attribute, group, ("a", "b"), none, confidence=0.95, seed=seed, primary_only=True)[0]


def coverage(situation: str, layout: Layout, *, trials: int, seed: int) -> float:
    """Share of simulated audits whose interval holds the truth."""
    generator = np.random.default_rng(seed)
    wanted, hits = truth(situation), 0
    for trial in range(trials):
        effect = estimate(situation, layout, generator, trial)
        assert effect.low is not None, effect.no_interval
        assert effect.high is not None
        hits += effect.low <= wanted <= effect.high
    return hits / trials


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--queries", type=int, nargs="*", default=[20, 40, 60, 100, 200])
    parser.add_argument("--situations", nargs="*", default=SITUATIONS)
    asked = parser.parse_args(argv)
    for situation in asked.situations:
        for n in asked.queries:
            for layout in layouts(situation, n):
                found = coverage(situation, layout, trials=asked.trials, seed=n)
                told = {"situation": situation, **asdict(layout), "trials": asked.trials, "coverage": round(found, 4)}
                sys.stdout.write(json.dumps(told) + "\n")
                sys.stdout.flush()


def layouts(situation: str, n: int) -> list[Layout]:
    """The layouts in which a situation is measured: those in which both groups have ten queries.

    Coverage depends on the smaller group, so for twenty queries ten against 490 are measured as well.
    """
    if situation == "deviation from target":
        return [Layout(n, 0.5, unequal) for unequal in (False, True)]
    kept = [(n, share) for share in (0.5, 0.7) if round(n * (1 - share)) >= 10]
    kept += [(500, 0.02)] if n == 20 else []
    return [Layout(size, share, unequal) for size, share in kept for unequal in (False, True)]


@pytest.mark.slow
@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("hard", [False, True])
def test_coverage_at_a_hundred_queries(situation: str, hard: bool) -> None:
    """Equal groups and lists, or the hardest layout, with intra-list correlation .2.

    Bound: if the true coverage were .93, or .97, fewer (or more) hits than stated have probability below 1 in 1,000.
    """
    trials = 500
    found = coverage(situation, layouts(situation, 100)[-1 if hard else 0], trials=trials, seed=2026)
    least, most = stats.binom.ppf(0.001, trials, 0.93), stats.binom.ppf(0.999, trials, 0.97)
    assert least <= found * trials <= most, f"coverage {found:.3f}"


@pytest.mark.slow
@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_table_of_measured_coverage_is_true(situation: str) -> None:
    """At the fewest queries that were measured; 300 fresh simulations against the table, within 4 standard errors."""
    n, stated = next(iter(MEASURED_COVERAGE[situation].items()))
    trials = 300
    found = min(coverage(situation, layout, trials=trials, seed=5) for layout in layouts(situation, n))
    assert abs(found - stated) < 4 * np.sqrt(stated * (1 - stated) / trials), (
        f"coverage {found:.3f}, stated {stated:.3f}"
    )
    assert measured_coverage(situation, n) == (n, stated)


@pytest.mark.slow
@pytest.mark.parametrize("larger", [200, 490])
def test_a_rare_level_in_a_small_group(larger: int) -> None:
    """A share of .05 in ten queries against 200: bootstrap-t of the difference itself held the truth in 81 to 86%.

    Bound: if the true coverage were .93, fewer hits than stated have probability below 1 in 1,000.
    """
    trials = 150
    n = 10 + larger
    found = coverage(_RARE, Layout(n, 10 / n, unequal=False), trials=trials, seed=5)
    assert found * trials >= stats.binom.ppf(0.001, trials, 0.93), f"coverage {found:.3f}"


def test_results_taken_for_independent_would_fall_far_short() -> None:
    """The check above can fail: Wald intervals over results, as if they were independent, cover far less than 95%."""
    generator = np.random.default_rng(3)
    hits, trials, layout = 0, 200, Layout(100, 0.5, unequal=False)
    for _ in range(trials):
        found, _, group = drawn("risk difference", layout, generator)
        a, b = (found.shares[group == g, 0].mean() for g in (0, 1))
        reach = 1.96 * np.sqrt((a * (1 - a) + b * (1 - b)) / (50 * 20))
        hits += abs(a - b - truth("risk difference")) <= reach
    assert hits / trials < 0.8


@pytest.mark.slow
def test_simultaneous_intervals_hold_all_at_once() -> None:
    """Three levels in two groups of 60; all three differences are 0.

    Bound: if the probability that all hold were .92, fewer hits than stated have probability below 1 in 1,000.
    """
    generator = np.random.default_rng(6)
    group, trials, hits = (np.arange(120) % 2).astype(np.int16), 300, 0
    query = np.repeat(np.arange(120), 15)
    for trial in range(trials):
        shares = generator.dirichlet(4 * np.array([0.5, 0.3, 0.2]), 120)
        level = (generator.random(len(query))[:, None] > np.cumsum(shares, axis=1)[query]).sum(axis=1).astype(np.int16)
        attribute = Attribute("x", Scale("nominal", ("u", "v", "w")), level)
        found = lists(results_of(query, group), attribute, k=None, rank_aware=False)
        made = effects_groups(
            found, attribute, group, ("a", "b"), np.zeros(120, np.int32), confidence=0.95, seed=trial, primary_only=True
        )
        assert len(made) == 3
        hits += all(one.low is not None and one.high is not None and one.low <= 0 <= one.high for one in made)
    assert stats.binom.ppf(0.001, trials, 0.92) <= hits <= stats.binom.ppf(0.999, trials, 0.98), hits / trials


@pytest.mark.slow
def test_two_way_intervals_where_items_repeat() -> None:
    """100 lists of 10 out of 60 items against a target: it is the items that are few, and queries alone do not show it.

    Bound: if the true coverage of the two-way interval were .90, fewer hits than stated have probability below 1 in 1,000.
    """
    generator = np.random.default_rng(9)
    trials, hits = 200, {"two-way": 0, "one-way": 0}
    query, group = np.repeat(np.arange(100), 10), np.zeros(100, np.int16)
    for trial in range(trials):
        tone = (generator.random(60) >= 0.4).astype(np.int16)
        item = np.concatenate([generator.permutation(60)[:10] for _ in range(100)]).astype(np.int32)
        attribute = Attribute("x", Scale("nominal", ("dark", "light")), tone)
        results = replace(results_of(query, group), item=item, item_ids=tuple(map(str, range(60))))
        found = lists(results, attribute, k=None, rank_aware=False)
        for name, given in (("two-way", results), ("one-way", None)):
            (effect, *_) = effects_target(
                found,
                attribute,
                np.array([0.4, 0.6]),
                None,
                confidence=0.95,
                seed=trial,
                two_way=given,
                primary_only=True,
            )
            hits[name] += effect.low is not None and effect.high is not None and effect.low <= 0 <= effect.high
    assert hits["two-way"] >= stats.binom.ppf(0.001, trials, 0.90), hits
    assert hits["one-way"] / trials < 0.6, hits


@pytest.mark.slow
def test_intervals_of_distances_are_conservative() -> None:
    """Total variation of two groups that do not differ: the interval must hold 0 at least 95% of the time, up to chance."""
    generator = np.random.default_rng(12)
    trials, hits = 200, 0
    group = (np.arange(100) % 2).astype(np.int16)
    query = np.repeat(np.arange(100), 10)
    for trial in range(trials):
        shares = generator.dirichlet(4 * np.full(5, 0.2), 100)
        level = (generator.random(len(query))[:, None] > np.cumsum(shares, axis=1)[query]).sum(axis=1).astype(np.int16)
        attribute = Attribute("x", Scale("nominal", tuple("uvwxy")), level)
        found = lists(results_of(query, group), attribute, k=None, rank_aware=False)
        made = effects_groups(found, attribute, group, ("a", "b"), np.zeros(100, np.int32), confidence=0.95, seed=trial)
        hits += next(one for one in made if one.name == "total variation").low == 0
    assert hits >= stats.binom.ppf(0.001, trials, 0.95), hits / trials


if __name__ == "__main__":
    main()
