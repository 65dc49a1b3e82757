"""The modes of the parity test against plain code, scipy and closed forms."""

from typing import Any

import numpy as np
import pytest
from auditor.audits.parity import permutation
from auditor.audits.parity.data import MISSING, lists, slot_weights
from auditor.audits.parity.statistics import STATISTICS, names, ridits, within_strata
from auditor.stats.permutation import null_distribution
from auditor.stats.shuffling import LabelShuffler
from numpy.typing import NDArray
from scipy import sparse, stats
from tests.audits.parity.worlds import ITEMS, QUERIES, attribute, in_groups, results, world

# --- the fast path and a plain one, on the same permutations ---------------------------------------------------------


def _plain_chi_square(table: list[list[float]], sizes: list[float]) -> float:
    total = sum(sizes)
    value = 0.0
    for row, size in zip(table, sizes, strict=True):
        for level, cell in enumerate(row):
            expected = size * sum(other[level] for other in table) / total
            value += (cell - expected) ** 2 / expected if expected > 0 else 0.0
    return value


def _plain_jonckheere(table: list[list[float]], sizes: list[float]) -> float:
    value = pairs = 0.0
    for a in range(len(table)):
        for b in range(a + 1, len(table)):
            pairs += sizes[a] * sizes[b]
            for low, weight in enumerate(table[a]):
                value += weight * (sum(table[b][low + 1 :]) - sum(table[b][:low]))
    return value / pairs


_PLAIN = {"chi-square": _plain_chi_square, "Jonckheere": _plain_jonckheere}


def _plain(name: str, group: NDArray[Any], stratum: NDArray[Any], shares: NDArray[np.float64], n_groups: int) -> float:
    """Statistic of one permutation, stratum by stratum: pooled expectation plus what differs within strata."""
    n, n_levels = shares.shape
    table = np.zeros((n_groups, n_levels))
    sizes = np.zeros(n_groups)
    for q in range(n):
        sizes[group[q]] += 1
    for one in set(stratum.tolist()):
        members = [q for q in range(n) if stratum[q] == one]
        mean = sum(shares[q] for q in members) / len(members)
        for q in members:
            table[group[q]] += shares[q] - mean
    table += np.outer(sizes, shares.mean(axis=0))
    return _PLAIN[name](table.tolist(), sizes.tolist())


@pytest.mark.parametrize("name", ["chi-square", "Jonckheere"])
def test_groups_of_queries_fast_and_plain(name: Any) -> None:
    found, one = world("ordinal")
    top = lists(found, one, k=10, rank_aware=True)
    group, stratum = found.query_group[top.queries], found.query_stratum[top.queries]
    test = in_groups(found, one, statistic=name, ordered_groups=True, seed=5)

    def plain(block: NDArray[Any]) -> NDArray[np.float64]:
        return np.array([[_plain(name, row, stratum, top.shares, 3)] for row in block])

    null = null_distribution(LabelShuffler(group, stratum), plain, 300, seed=5).values[:, 0]
    assert test.null == pytest.approx(null, rel=1e-9, abs=1e-12)
    assert test.statistic == pytest.approx(_plain(name, group, stratum, top.shares, 3))


@pytest.mark.parametrize("name", ["chi-square", "Jonckheere"])
@pytest.mark.parametrize("rank_aware", [False, True])
def test_catalog_items_fast_and_plain(name: Any, rank_aware: bool) -> None:
    """Labels of query items and result items change together; everything is counted slot by slot."""
    found, one = world("ordinal", seed=3)
    test = permutation.test_catalog_queries(
        found, one, k=10, rank_aware=rank_aware, statistic=name, n_permutations=60, seed=2
    )
    known = np.flatnonzero(one.level != MISSING)
    weights = slot_weights(found, 10, rank_aware=rank_aware)

    own = found.query_item[found.query]
    takes_part = (own >= 0) & np.isin(own, known) & (found.item != own) & (weights > 0)
    results_known = found.item[takes_part & np.isin(found.item, known)]
    asked = own[takes_part & np.isin(found.item, known)]
    occurs = np.isin(known, np.concatenate([results_known, asked]))

    def statistic(levels: NDArray[Any]) -> float:
        label = dict(zip(known[occurs].tolist(), levels.tolist(), strict=True))
        group, stratum, shares = [], [], []
        for q in range(QUERIES):
            row = np.zeros(4)
            for slot in np.flatnonzero(found.query == q):
                if found.item[slot] in label and found.item[slot] != found.query_item[q]:
                    row[label[int(found.item[slot])]] += weights[slot]
            own = int(found.query_item[q])
            if own in label and row.sum() > 0:
                group.append(label[own])
                stratum.append(found.item_stratum[own])
                shares.append(row / row.sum())
        return _plain(name, np.array(group), np.array(stratum), np.array(shares), 4)

    shuffler = LabelShuffler(one.level[known], found.item_stratum[known], occurs)
    null = null_distribution(shuffler, lambda block: np.array([[statistic(row)] for row in block]), 60, seed=2).values
    assert test.statistic == pytest.approx(statistic(one.level[known][occurs]))
    assert test.null == pytest.approx(null[:, 0], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("rank_aware", [False, True])
@pytest.mark.parametrize("strata", [1, 2])
def test_large_catalogs_agree_with_a_product_of_sparse_matrices(rank_aware: bool, strata: int) -> None:
    """Many slots take another way through memory; the plain one is (labels of queries)' W (labels of items)."""
    generator = np.random.default_rng(12)
    n_items, n_queries, k = 3000, 500, 30
    level = generator.integers(0, 5, n_items)
    one = attribute("nominal", level)
    own = generator.choice(n_items, n_queries, replace=False)
    found = results(
        ((own[:, None] + generator.integers(1, n_items, (n_queries, k))) % n_items).tolist(),  # never the own item
        one,
        item_stratum=np.arange(n_items) % strata,
        query_item=own,
    )
    test = permutation.test_catalog_queries(found, one, k=k, rank_aware=rank_aware, n_permutations=61, seed=4)
    weight = slot_weights(found, k, rank_aware=rank_aware)
    graph = sparse.csr_array((weight, (found.query, found.item)), shape=(n_queries, n_items))
    graph /= weight[:k].sum()
    stratum = np.arange(n_items)[own] % strata
    occurs = np.isin(np.arange(n_items), np.concatenate([found.item, own]))

    def plain(block: NDArray[Any]) -> NDArray[np.float64]:
        found = []
        for row in block:
            labels = np.zeros((n_items, 5))
            labels[occurs] = np.eye(5)[row]
            seen = graph @ labels
            tables = np.stack([labels[own].T @ (seen * (stratum == s)[:, None]) for s in range(strata)])
            sizes = np.stack([labels[own][stratum == s].sum(axis=0) for s in range(strata)])
            found.append(STATISTICS["chi-square"].between(*within_strata(tables, sizes)))
        return np.array(found)[:, None]

    shuffler = LabelShuffler(level, np.arange(n_items) % strata, occurs)
    assert test.null == pytest.approx(null_distribution(shuffler, plain, 61, seed=4).values[:, 0], rel=1e-9)
    assert test.statistic == pytest.approx(plain(level[occurs][None])[0, 0])


def test_catalog_against_results_fast_and_plain() -> None:
    found, one = world("nominal", seed=4)
    test = permutation.test_catalog(found, one, k=10, rank_aware=True, n_permutations=60, seed=2)
    known = np.flatnonzero(one.level != MISSING)
    weights = np.where(one.level[found.item] == MISSING, 0, slot_weights(found, 10, rank_aware=True))
    exposure = np.zeros(ITEMS)
    for slot, item in enumerate(found.item):
        exposure[item] += weights[slot] / weights[found.query == found.query[slot]].sum() / QUERIES
    stratum = found.item_stratum[known]
    expected = sum(
        exposure[known][stratum == s].sum()
        * np.bincount(one.level[known][stratum == s], minlength=4)
        / sum(stratum == s)
        for s in range(3)
    )

    occurs = exposure[known] > 0

    def statistic(levels: NDArray[Any]) -> float:
        seen = np.bincount(levels, weights=exposure[known][occurs], minlength=4)
        return float((np.square(seen - expected) / expected).sum())

    shuffler = LabelShuffler(one.level[known], stratum, occurs)
    null = null_distribution(shuffler, lambda block: np.array([[statistic(row)] for row in block]), 60, seed=2).values
    assert test.statistic == pytest.approx(statistic(one.level[known][occurs]))
    assert test.null == pytest.approx(null[:, 0], rel=1e-9, abs=1e-12)
    assert exposure.sum() == pytest.approx(1)


# --- scipy ------------------------------------------------------------------------------------------------------------


def _of_values(values: NDArray[np.float64], group: NDArray[Any], **more: Any) -> permutation.NullTest:
    """Mode B on degrees, one result for every query."""
    one = attribute("ita", values)
    found = results(np.arange(len(values))[:, None].tolist(), one, group=group)
    top = lists(found, one, k=None, rank_aware=False)
    return permutation.test_groups(top, one, found.query_group, found.query_stratum, **more)


def test_a_tiny_comparison_is_exact_and_that_of_scipy() -> None:
    values, group = np.array([3.0, 8.0, 9.5, 20.0, 14.0, 30.0, 31.0, 22.0]), np.array([0, 0, 0, 1, 0, 1, 1, 1])
    ours = _of_values(values, group)
    theirs = stats.permutation_test(
        (values[group == 0], values[group == 1]),
        lambda a, b, axis: np.abs(a.mean(axis=axis) - b.mean(axis=axis)),
        vectorized=True,
        alternative="greater",
    )
    assert ours.p_value == ours.p_low == ours.p_high == theirs.pvalue
    assert ours.n_permutations == 70
    assert "exact" in ours.method


def test_p_values_of_scipy_lie_in_the_monte_carlo_interval() -> None:
    generator = np.random.default_rng(1)
    values, group = generator.normal(20, 10, 60), np.arange(60) % 2
    values[group == 1] += 4
    ours = _of_values(values, group, n_permutations=9999)
    theirs = stats.permutation_test(
        (values[group == 0], values[group == 1]),
        lambda a, b, axis: np.abs(a.mean(axis=axis) - b.mean(axis=axis)),
        vectorized=True,
        alternative="greater",
        n_resamples=99_999,
        batch=5000,
        rng=3,
    )
    assert ours.p_low <= theirs.pvalue <= ours.p_high
    assert ours.statistic == pytest.approx(values[group == 0].mean() - values[group == 1].mean())
    assert ours.closed_form_p == pytest.approx(ours.p_value, abs=0.02)


@pytest.mark.parametrize(("name", "peer"), [("chi-square", "chi"), ("Kruskal-Wallis", "kw")])
def test_one_result_for_every_query_gives_the_textbook_statistic(name: Any, peer: str) -> None:
    generator = np.random.default_rng(2)
    level, group = generator.integers(0, 4, 90), generator.integers(0, 3, 90)
    one = attribute("ordinal", level)
    found = results(np.arange(90)[:, None].tolist(), one, group=group)
    top = lists(found, one, k=1, rank_aware=False)
    ours = permutation.test_groups(top, one, found.query_group, found.query_stratum, statistic=name, n_permutations=99)
    table = np.zeros((3, 4))
    np.add.at(table, (group, level), 1)
    if peer == "chi":
        expected = stats.chi2_contingency(table, correction=False).statistic
    else:
        expected = stats.kruskal(*(level[group == g] for g in range(3))).statistic
    assert ours.statistic == pytest.approx(expected)


def test_energy_distance_is_that_of_scipy() -> None:
    generator = np.random.default_rng(3)
    values, group = generator.normal(20, 10, 50), (np.arange(50) % 3 == 0).astype(int)
    ours = _of_values(values, group, statistic="energy distance", n_permutations=9)
    theirs = stats.energy_distance(values[group == 0], values[group == 1])
    assert ours.statistic == pytest.approx(theirs**2)


def test_jonckheere_of_two_groups_is_twice_the_difference_of_mid_ranks() -> None:
    generator = np.random.default_rng(4)
    tables = generator.random((5, 2, 6)) * 10
    sizes = tables.sum(axis=-1)
    mid = STATISTICS["mid-rank mean difference"].between(tables, sizes)
    assert STATISTICS["Jonckheere"].between(tables, sizes) == pytest.approx(-2 * mid)
    score = ridits(tables.sum(axis=-2))
    assert mid == pytest.approx(
        (tables[:, 0] * score).sum(-1) / sizes[:, 0] - (tables[:, 1] * score).sum(-1) / sizes[:, 1]
    )


@pytest.mark.parametrize("n_drawn", [8, 20, 61])
def test_one_list_against_its_catalog_is_hypergeometric(n_drawn: int) -> None:
    generator = np.random.default_rng(n_drawn)
    level = np.repeat([0, 1], [90, 30])
    shown = generator.permutation(120)[:n_drawn]
    for kind in ("nominal", "ordinal"):
        one = attribute(kind, level)
        found = results([shown], one)
        ours = permutation.test_catalog(found, one, k=None)
        far = abs(level[shown].sum() - n_drawn / 4) - 1e-9
        tail = sum(stats.hypergeom.pmf(x, 120, 30, n_drawn) for x in range(n_drawn + 1) if abs(x - n_drawn / 4) >= far)
        assert ours.p_value == pytest.approx(min(1, tail), rel=1e-9)
        assert ours.n_permutations == 0
        drawn = permutation.test_catalog(found, one, k=None, statistic="chi-square", rank_aware=True)
        assert drawn.n_permutations > 0  # ranks weigh: no longer hypergeometric
        # The picture's draws and the p-value are the same distribution.
        as_drawn = (np.abs(ours.null) >= abs(ours.statistic) - 1e-9).mean()
        assert as_drawn == pytest.approx(ours.p_value, abs=0.02)


# --- closed forms -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["nominal", "ordinal", "ita"])
@pytest.mark.parametrize("groups", [2, 4])
def test_the_first_answer_is_close_for_every_statistic(kind: Any, groups: int) -> None:
    found, one = world(kind, seed=7, groups=groups)
    for name in names(kind, groups, ordered_groups=True):
        test = in_groups(found, one, statistic=name, ordered_groups=True, n_permutations=1999)
        assert test.closed_form_p == pytest.approx(test.p_value, abs=0.05), name


def test_signed_statistics_are_zero_on_average_within_strata() -> None:
    for kind, groups in (("ordinal", 2), ("ordinal", 4), ("ita", 2)):
        found, one = world(kind, seed=8, groups=groups)
        test = in_groups(found, one, ordered_groups=True, n_permutations=1999)
        assert test.signed
        assert abs(test.null.mean()) < 4 * test.null.std() / np.sqrt(1999)


def test_a_table_without_strata_stays_as_it_is() -> None:
    generator = np.random.default_rng(5)
    table, sizes = generator.random((7, 1, 3, 4)), generator.random((7, 1, 3)) + 1
    table *= sizes[..., None] / table.sum(axis=-1, keepdims=True)
    adjusted, pooled = within_strata(table, sizes)
    assert adjusted == pytest.approx(table[:, 0])
    assert pooled == pytest.approx(sizes[:, 0])
