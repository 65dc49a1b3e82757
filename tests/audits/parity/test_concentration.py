"""Intra-list correlation and how few items fill the lists."""

import numpy as np
import pytest
from auditor.audits.parity.concentration import ListCorrelation, caution_of_clusters, hubs, icc
from auditor.audits.parity.data import Attribute, Results, Scale
from numpy.typing import NDArray
from scipy import stats


def results(query: NDArray[np.intp], item: NDArray[np.intp], group: NDArray[np.int16] | None = None) -> Results:
    q, n = int(query.max()) + 1, int(item.max()) + 1
    first = np.searchsorted(query, query)
    return Results(
        query_ids=tuple(map(str, range(q))),
        item_ids=tuple(map(str, range(n))),
        query=query.astype(np.int32),
        item=item.astype(np.int32),
        rank=(np.arange(len(query)) - first + 1).astype(np.int32),
        score=None,
        group_names=(),
        query_group=np.full(q, -1, np.int16) if group is None else group,
        query_stratum=np.zeros(q, np.int32),
        item_stratum=np.zeros(n, np.int32),
        stratum_names=(),
        query_item=np.full(q, -1, np.int32),
        in_catalog=np.zeros(n, np.bool_),
        attributes={},
    )


def binary(levels: list[int] | NDArray[np.int16], lengths: list[int]) -> tuple[Results, Attribute]:
    query = np.repeat(np.arange(len(lengths)), lengths)
    found = results(query, np.arange(len(query)))
    return found, Attribute("t", Scale("nominal", ("x", "y")), np.asarray(levels, np.int16))


def test_icc_by_hand() -> None:
    """Lists (1 1 0), (0 0 1), (1 1 1): SSB = 2/3, SSW = 4/3, so MSB = 3/9, MSW = 2/9, and (3 - 2) / (3 + 2 x 2)."""
    found = icc(*binary([0, 0, 1, 1, 1, 0, 0, 0, 0], [3, 3, 3]), k=None)
    assert found is not None
    assert found.icc == pytest.approx(1 / 7)
    assert found.mean_length == pytest.approx(3)
    assert found.design_effect == pytest.approx(1 + 2 / 7)


def test_lists_that_are_all_one_thing_are_fully_correlated() -> None:
    found = icc(*binary([0, 0, 1, 1, 0, 0], [2, 2, 2]), k=None)
    assert found is not None
    assert found.icc == pytest.approx(1)


@pytest.mark.parametrize("true", [0.0, 0.2])
@pytest.mark.parametrize("kind", ["nominal", "ordinal", "ita"])
def test_icc_is_found_again(kind: str, true: float) -> None:
    """Normal scores with a known correlation; cutting them into levels takes off about a third at most."""
    generator = np.random.default_rng(5)
    lengths = generator.integers(5, 40, 800)
    query = np.repeat(np.arange(800), lengths)
    value = np.sqrt(true) * generator.normal(size=800)[query] + np.sqrt(1 - true) * generator.normal(size=len(query))
    level = np.searchsorted([-1, 0, 1], value).astype(np.int16)
    attribute = Attribute("t", Scale(kind, ("a", "b", "c", "d")), level, value if kind == "ita" else None)
    found = icc(results(query, np.arange(len(query))), attribute, k=None)
    assert found is not None
    low, high = {"nominal": (0.3, 0.8), "ordinal": (0.85, 1.05), "ita": (0.9, 1.1)}[kind]
    assert low * true - 0.005 <= found.icc <= high * true + 0.005


def test_f_test_behind_the_lower_bound() -> None:
    """The bound lies above 0 exactly when one-way analysis of variance finds p below .05."""
    generator = np.random.default_rng(8)
    for _ in range(40):
        value = np.repeat(generator.normal(0, 0.3, 15), 6) + generator.normal(size=90)
        query = np.repeat(np.arange(15), 6)
        attribute = Attribute("t", Scale("ita", ("a",)), np.zeros(90, np.int16), value)
        found = icc(results(query, np.arange(90)), attribute, k=None)
        assert found is not None
        assert (found.low > 0) == (stats.f_oneway(*value.reshape(15, 6)).pvalue < 0.05)


def test_differences_between_groups_are_no_clustering() -> None:
    generator = np.random.default_rng(4)
    group = (np.arange(200) % 2).astype(np.int16)
    query = np.repeat(np.arange(200), 10)
    value = 3.0 * group[query] + generator.normal(size=2000)
    attribute = Attribute("t", Scale("ita", ("a",)), np.zeros(2000, np.int16), value)
    found = results(query, np.arange(2000), group)
    with_groups, without = icc(found, attribute, k=None, group=group), icc(found, attribute, k=None)
    assert with_groups is not None
    assert without is not None
    assert abs(with_groups.icc) < 0.03
    assert without.icc > 0.5


def test_icc_is_not_made_up() -> None:
    assert icc(*binary([0, 1, 0], [1, 1, 1]), k=None) is None
    assert icc(*binary([0, 0, 0, 0], [2, 2]), k=None) is None
    assert icc(*binary([0, 1, 0], [3]), k=None) is None
    assert icc(*binary([-1, -1, 0, 1], [2, 2]), k=None) is None


def test_hubs_by_hand() -> None:
    """Three lists of two: item 0 stands in all of them, items 1, 2, 3 once each. Exposures 3, 1, 1, 1 of 6."""
    query, item = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 0, 2, 0, 3])
    found = hubs(results(query, item), k=None)
    assert found.n_items == 4
    assert found.effective_items == pytest.approx(36 / 12)
    assert found.repeated_share == pytest.approx(0.5)
    assert found.largest_share == pytest.approx(0.5)
    assert hubs(results(query, item), k=1).effective_items == pytest.approx(1)


def test_only_modes_that_permute_items_are_warned_of() -> None:
    clustered = ListCorrelation(0.2, 0.15, 20.0)
    caution = caution_of_clusters("A", clustered)
    assert caution is not None
    assert "prefer mode B" in caution.message
    assert "intra-list correlation 0.20, design effect 4.8" in caution.message
    assert caution_of_clusters("B", clustered) is None
    assert caution_of_clusters("C2", clustered) is None
    assert caution_of_clusters("C1", ListCorrelation(0.02, -0.01, 20.0)) is None
    assert caution_of_clusters("C1", ListCorrelation(0.001, 0.0005, 20.0)) is None
    assert caution_of_clusters("C1", None) is None
