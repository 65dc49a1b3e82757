"""Tables of a run: cells that repeated items do not fool, results without a label by group of the query."""

from dataclasses import replace

import numpy as np
import pytest
from auditor.audits.parity.cells import cell_rows
from auditor.audits.parity.data import MISSING, Results
from auditor.audits.parity.findings import Mode
from auditor.audits.parity.output import missing_by_group, score
from auditor.audits.parity.spec import ParitySpec
from auditor.audits.parity.subject import Subject, subject
from scipy import stats
from tests.audits.parity.worlds import attribute, results


def hub_world(seed: int, *, mode: Mode) -> tuple[Results, Subject]:
    """Labels that have nothing to do with lists in which a few items stand again and again."""
    draw = np.random.default_rng(seed)
    n_items, n_queries = 300, 60
    chances = draw.pareto(2, n_items) + 0.01
    shown = [draw.choice(n_items, 10, replace=False, p=chances / chances.sum()) for _ in range(n_queries)]
    one = attribute("nominal", draw.choice(3, n_items), 3)
    world = results(shown, one, group=np.arange(n_queries) % 2 if mode == "B" else None)
    shares = np.full((n_queries, 3), 1 / 3) if mode == "C2" else None
    world = replace(world, in_catalog=np.ones(n_items, np.bool_), shares=shares)
    spec = ParitySpec(mode=mode, scale="nominal")
    return world, subject(spec, world, mode, one, None)


@pytest.mark.parametrize("mode", ["B", "C2"])
def test_hubs_do_not_make_cells_stand_out(mode: Mode) -> None:
    # At a level of .05, 14 or more alarms in 100 worlds have probability .0005. By query alone there are about 80 in C2.
    alarms = 0
    for seed in range(100):
        rows = cell_rows(*hub_world(seed, mode=mode), mode, confidence=0.95)
        alarms += min(row["adjusted_p"] for row in rows) <= 0.05
    assert alarms <= 13


def test_a_level_of_which_few_results_are_expected_has_no_p_value() -> None:
    # 40 lists of ten, all different: of the rare level four results are expected.
    draw = np.random.default_rng(2)
    share = np.array([0.01, 0.49, 0.5])
    one = attribute("nominal", draw.choice(3, 400, p=share), 3)
    world = results(np.arange(400).reshape(40, 10), one)
    world = replace(world, shares=np.tile(share, (40, 1)))
    rows = cell_rows(
        world, subject(ParitySpec(mode="C2", scale="nominal"), world, "C2", one, None), "C2", confidence=0.95
    )
    assert [row["p_value"] is None for row in rows] == [True, False, False]
    assert ["adjusted_p" in row for row in rows] == [False, True, True]
    assert all(row["low"] < row["deviation"] < row["high"] for row in rows)


def test_cells_of_groups_are_measured_by_what_shuffled_groups_would_show() -> None:
    """A level that one small group never shows has no spread of its own there; its error is that under the null."""
    draw = np.random.default_rng(1)
    level = (draw.random((100, 10)) < np.where(np.arange(100) < 10, 0, draw.beta(0.2, 3.8, 100))[:, None]).astype(int)
    one = attribute("nominal", level.ravel(), 2)
    group = (np.arange(100) >= 10).astype(int)
    world = results(np.arange(1000).reshape(100, 10), one, group=group)
    made = subject(ParitySpec(mode="B", scale="nominal"), world, "B", one, None)
    rare = next(row for row in cell_rows(world, made, "B", confidence=0.95) if row["group"] == "group 0")
    share = made.lists.shares[:, 0]
    shuffled = np.array([draw.permutation(share)[:10].mean() for _ in range(4000)])
    error = (rare["high"] - rare["deviation"]) / stats.t.ppf(0.975, 9)
    assert error == pytest.approx(shuffled.std(), rel=0.05)
    assert rare["p_value"] == pytest.approx(2 * stats.t.sf(abs(rare["deviation"]) / error, 9))


def test_where_items_are_exchanged_cells_have_intervals_and_no_p_values() -> None:
    rows = cell_rows(*hub_world(1, mode="C1"), "C1", confidence=0.95)
    assert all(row["p_value"] is None and row.get("adjusted_p") is None for row in rows)
    assert all(row["low"] < row["deviation"] < row["high"] for row in rows)


def test_repeated_items_widen_the_intervals_of_cells() -> None:
    wide = cell_rows(*hub_world(1, mode="C1"), "C1", confidence=0.95)
    _, primary = hub_world(1, mode="C1")
    assert primary.target is not None
    off = primary.lists.shares - primary.target
    one_way = off.std(axis=0, ddof=1) / np.sqrt(len(off))
    reached = [(row["high"] - row["low"]) / 2 / 2.01 for row in wide]
    assert (np.array(reached) > 1.5 * one_way).all()


def test_results_without_a_label_count_by_group_of_every_query() -> None:
    # Each query shows two items of its own; in half of the second group's lists no item has a label.
    level = np.tile([0, 1], 40)
    level[[item for query in range(21, 40, 2) if query % 4 == 1 for item in (2 * query, 2 * query + 1)]] = MISSING
    one = attribute("nominal", level, 2)
    world = results(np.arange(80).reshape(40, 2), one, group=np.arange(40) % 2)
    primary = subject(ParitySpec(mode="B", scale="nominal"), world, "B", one, None)
    assert missing_by_group(world, primary, "B") == {"group 0": (0, 40), "group 1": (10, 40)}


def test_degrees_against_shares_of_their_classes_deviate_in_classes() -> None:
    """The target says nothing of degrees: against the mean of all queries, deviations would add up to nothing."""
    draw = np.random.default_rng(3)
    one = attribute("ita", draw.uniform(20, 70, 200))
    world = results(np.arange(200).reshape(40, 5), one)
    target = np.tile([0.3, 0.2, 0.2, 0.1, 0.1, 0.1], (40, 1))
    world = replace(world, shares=target)
    made = subject(ParitySpec(mode="C2", scale="ita"), world, "C2", one, None)
    found = score(made, None)
    assert (found.what, found.unit) == ("mean level, from 1", "levels")
    levels = 1 + np.searchsorted((-30, 10, 28, 41, 55), one.value).reshape(40, 5).mean(axis=1)
    assert found.deviation == pytest.approx(levels - (0.3 + 0.4 + 0.6 + 0.4 + 0.5 + 0.6))
    assert found.deviation.mean() > 1
