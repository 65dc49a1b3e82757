"""Small worlds for tests of parity: results drawn at random, and real ones."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from auditor.audits.parity import permutation
from auditor.audits.parity.data import ITA_CLASSES, ITA_CUTOFFS, MISSING, Attribute, Results, Scale, ScaleKind, lists
from numpy.typing import ArrayLike, NDArray


def attribute(kind: ScaleKind, given: ArrayLike, n_levels: int | None = None) -> Attribute:
    """An attribute from levels, or from degrees."""
    values = np.asarray(given)
    if kind != "ita":
        count = n_levels or int(values.max()) + 1
        return Attribute("tone", Scale(kind, tuple(f"level {i}" for i in range(count))), values.astype(np.int16))
    degrees = values.astype(np.float64)
    level = np.searchsorted(ITA_CUTOFFS, degrees).astype(np.int16)
    return Attribute("tone", Scale(kind, ITA_CLASSES), np.where(np.isnan(degrees), MISSING, level), degrees)


def results(
    lists: Sequence[ArrayLike],
    one: Attribute,
    *,
    group: ArrayLike | None = None,
    query_stratum: ArrayLike | None = None,
    item_stratum: ArrayLike | None = None,
    query_item: ArrayLike | None = None,
) -> Results:
    """Results from the items of every query's list, best first."""
    items = [np.asarray(row, dtype=np.int32) for row in lists]
    n_queries, n_items = len(items), len(one.level)

    def of(given: ArrayLike | None, n: int, default: int, kind: type) -> NDArray[np.signedinteger]:
        return np.full(n, default, kind) if given is None else np.asarray(given, dtype=kind)

    return Results(
        query_ids=tuple(f"q{i}" for i in range(n_queries)),
        item_ids=tuple(f"i{i}" for i in range(n_items)),
        query=np.repeat(np.arange(n_queries, dtype=np.int32), [len(row) for row in items]),
        item=np.concatenate(items),
        rank=np.concatenate([np.arange(1, len(row) + 1, dtype=np.int32) for row in items]),
        score=None,
        group_names=() if group is None else tuple(f"group {i}" for i in range(int(np.max(group)) + 1)),
        query_group=of(group, n_queries, MISSING, np.int16),
        query_stratum=of(query_stratum, n_queries, 0, np.int32),
        item_stratum=of(item_stratum, n_items, 0, np.int32),
        stratum_names=("all",),
        query_item=of(query_item, n_queries, MISSING, np.int32),
        in_catalog=np.zeros(n_items, np.bool_),
        attributes={one.name: one},
    )


def image_search(data_folder: Path) -> tuple[Results, NDArray[np.float64], NDArray[np.bool_]]:
    """45 occupations searched: results, share of women at work for every query, and whether each image shows a woman."""
    with (data_folder / "image_search_gender" / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    terms = sorted({row["search_term"] for row in rows})
    place = {term: number for number, term in enumerate(terms)}
    rows.sort(key=lambda row: (place[row["search_term"]], row["search_provider"], int(row["order"])))
    level = [{"man": 0, "woman": 1}.get(row["image_gender"], MISSING) for row in rows]
    sizes = np.bincount([place[row["search_term"]] for row in rows])
    lists = np.split(np.arange(len(rows)), np.cumsum(sizes)[:-1])
    at_work = {row["search_term"]: float(row["bls_p_women"]) for row in rows}
    one = attribute("nominal", level, 2)
    return results(lists, one), np.array([at_work[term] for term in terms]), np.array(level) == 1


ITEMS, QUERIES = 200, 60


def world(kind: Any, *, seed: int = 0, strata: int = 3, groups: int = 3, levels: int = 4) -> tuple[Results, Attribute]:
    """Unequal lists with repeated items and missing labels; strata of unequal size."""
    generator = np.random.default_rng(seed)
    given = generator.normal(25, 25, ITEMS) if kind == "ita" else generator.integers(0, levels, ITEMS)
    one = attribute(kind, np.where(generator.random(ITEMS) < 0.05, np.nan if kind == "ita" else MISSING, given), levels)
    rows = [generator.choice(ITEMS, generator.integers(3, 15), replace=False) for _ in range(QUERIES)]
    found = results(
        rows,
        one,
        group=generator.integers(0, groups, QUERIES),
        query_stratum=generator.integers(0, strata, QUERIES),
        item_stratum=generator.integers(0, strata, ITEMS),
        query_item=generator.choice(ITEMS, QUERIES, replace=False),
    )
    return found, one


def in_groups(found: Results, one: Attribute, **more: Any) -> permutation.NullTest:
    top = lists(found, one, k=10, rank_aware=True)
    return permutation.test_groups(
        top, one, found.query_group[top.queries], found.query_stratum[top.queries], **{"n_permutations": 300, **more}
    )
