"""skew@k, NDKL and AWRF against sums done by hand."""

from math import log, log2

import numpy as np
import pytest
from auditor.audits.parity.data import Attribute, Results, Scale
from auditor.audits.parity.descriptive import Measure, describe
from scipy.spatial.distance import jensenshannon

HALF = np.array([0.5, 0.5])


def results(lists: list[list[int]], ranks: list[list[int]] | None = None) -> tuple[Results, Attribute]:
    """One list of levels for each query; every slot has an item of its own."""
    flat = [level for one in lists for level in one]
    query = [q for q, one in enumerate(lists) for _ in one]
    ranks = [[i + 1 for i in range(len(one))] for one in lists] if ranks is None else ranks
    n, q = len(flat), len(lists)
    attribute = Attribute("t", Scale("nominal", ("x", "y")), np.array(flat, np.int16))
    found = Results(
        query_ids=tuple(map(str, range(q))),
        item_ids=tuple(map(str, range(n))),
        query=np.array(query, np.int32),
        item=np.arange(n, dtype=np.int32),
        rank=np.array([r for one in ranks for r in one], np.int32),
        score=None,
        group_names=("a", "b"),
        query_group=(np.arange(q) % 2).astype(np.int16),
        query_stratum=np.zeros(q, np.int32),
        item_stratum=np.zeros(n, np.int32),
        stratum_names=(),
        query_item=np.full(q, -1, np.int32),
        in_catalog=np.zeros(n, np.bool_),
        attributes={"t": attribute},
    )
    return found, attribute


def measure(found: list[Measure], name: str, level: str | None = None, group: str = "all") -> float | None:
    return next(m.value for m in found if (m.measure, m.level, m.group) == (name, level, group))


def described(lists: list[list[int]], *, k: int | None = None, smoothing: float = 0.0, **more: object) -> list[Measure]:
    found, attribute = results(lists)
    return describe(found, attribute, found.query_group, ("a", "b"), HALF, k=k, smoothing=smoothing)


def test_skew_by_hand() -> None:
    found = described([[0, 0, 0, 1]], k=4)
    assert measure(found, "skew@4", "x") == pytest.approx(log(0.75 / 0.5))
    assert measure(found, "skew@4", "y") == pytest.approx(log(0.25 / 0.5))


def test_only_the_first_k_count() -> None:
    assert measure(described([[0, 1, 0, 0]], k=2), "skew@2", "x") == pytest.approx(0)


def test_an_absent_level_has_a_skew_only_with_smoothing() -> None:
    assert measure(described([[0, 0]]), "skew", "y") is None
    found = described([[0, 0]], smoothing=0.5)
    # (0 + .5) / 3 against (1 + .5) / 3
    assert measure(found, "skew", "y") == pytest.approx(log(0.5 / 1.5))
    assert found[0].smoothing == "0.5 added to every observed and expected count"


def test_a_list_like_its_reference_has_no_skew_however_it_is_smoothed() -> None:
    assert measure(described([[0, 1]], smoothing=2.0), "skew", "x") == pytest.approx(0)


def test_ndkl_by_hand() -> None:
    found = described([[0, 1, 0]])
    discounts = [1, 1 / log2(3), 1 / log2(4)]
    thirds = 2 / 3 * log(2 / 3 / 0.5) + 1 / 3 * log(1 / 3 / 0.5)
    by_hand = (discounts[0] * log(2) + discounts[1] * 0 + discounts[2] * thirds) / sum(discounts)
    assert measure(found, "NDKL") == pytest.approx(by_hand)


def test_awrf_by_hand_and_by_scipy() -> None:
    attention = np.array([1 + 1 / log2(4), 1 / log2(3)])
    by_scipy = 1 - jensenshannon(attention / attention.sum(), HALF, base=2) ** 2
    assert measure(described([[0, 1, 0]]), "AWRF") == pytest.approx(by_scipy)
    one_sided = 1 - (log2(1 / 0.75) + 0.5 * log2(0.5 / 0.75) + 0.5 * log2(0.5 / 0.25)) / 2
    assert measure(described([[0, 0]]), "AWRF") == pytest.approx(one_sided)


def test_groups_are_averaged_over_their_queries() -> None:
    found = described([[0, 0, 1, 1], [0, 0, 0, 1], [1, 1, 1, 0]])
    assert measure(found, "skew", "x", "b") == pytest.approx(log(1.5))
    assert measure(found, "skew", "x", "a") == pytest.approx((0 + log(0.5)) / 2)
    assert measure(found, "skew", "x") == pytest.approx((0 + log(1.5) + log(0.5)) / 3)


def test_unknown_results_keep_the_rank_of_those_below() -> None:
    found, attribute = results([[0, -1, 1]])
    got = describe(found, attribute, found.query_group, ("a", "b"), HALF, k=None, smoothing=0)
    attention = np.array([1.0, 1 / log2(4)])
    by_scipy = 1 - jensenshannon(attention / attention.sum(), HALF, base=2) ** 2
    assert measure(got, "AWRF") == pytest.approx(by_scipy)
    assert measure(got, "skew", "x") == pytest.approx(0)


def test_references_of_each_query() -> None:
    found, attribute = results([[0, 0, 0, 1], [1, 1, 1, 0]])
    own = np.array([[0.75, 0.25], [0.25, 0.75]])
    got = describe(found, attribute, found.query_group, ("a", "b"), own, k=None, smoothing=0)
    assert measure(got, "skew", "x") == pytest.approx(0)


def test_nothing_known_is_no_error() -> None:
    assert described([[-1, -1]]) == []
