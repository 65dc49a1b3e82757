"""From results and lists to the rows of the tables that pictures and people look at."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.audits.parity import hue
from auditor.audits.parity.data import MISSING, Results, slot_weights
from auditor.audits.parity.findings import Mode
from auditor.audits.parity.power_formula import X_TITLES
from auditor.audits.parity.subject import Subject, own_group

#: Ranks beyond this are not drawn; rows of tones and of slots that are kept (ours).
MOST_RANKS, MOST_TONES, MOST_SLOTS, MOST_QUERIES = 100, 20_000, 200_000, 200
_NULL_ROWS = 9_999
#: What a query's number is, and its unit.
_DEGREES = ("degrees ITA", "degrees ITA")


@dataclass(frozen=True)
class Score:
    """One number of every query, for tables and pictures.

    Attributes
    ----------
    values : ndarray of float64, shape (n,)
    expected : ndarray of float64, shape (n,), or float
        The mean over all queries, or each query's target.
    what, unit : str
        In words.
    """

    values: NDArray[np.float64]
    expected: NDArray[np.float64] | float
    what: str
    unit: str

    @property
    def deviation(self) -> NDArray[np.float64]:
        """Values less what they are expected to be."""
        found: NDArray[np.float64] = self.values - self.expected
        return found


def score(subject: Subject, level: str | None) -> Score:
    """Degrees, the mean level, or the share of one level.

    Where degrees are compared with shares of their classes, these are the levels, as on an ordinal scale.

    Parameters
    ----------
    level : str or None
        Level of the primary effect; counts on a nominal scale, where the first level stands in for none.
    """
    scale, found, target = subject.attribute.scale, subject.lists, subject.target
    in_degrees = scale.kind == "ita" and (target is None or subject.target_degrees is not None)
    if in_degrees:
        assert found.values is not None, "degrees are there on an ITA scale"
        expected = subject.target_degrees
        return Score(found.values, float(found.values.mean()) if expected is None else expected, *_DEGREES)
    if scale.kind != "nominal":
        weights, what, unit = np.arange(1.0, len(scale.levels) + 1), "mean level, from 1", "levels"
    else:
        place = scale.levels.index(level) if level in scale.levels else 0
        weights, what, unit = np.eye(len(scale.levels))[place], f"share of {scale.levels[place]}", "share"
    values = found.shares @ weights
    return Score(values, float(values.mean()) if target is None else target @ weights, what, unit)


def query_rows(results: Results, subject: Subject, of_queries: Score) -> list[dict[str, Any]]:
    """Rows of the table of queries, in the order of the files."""
    found = subject.lists
    deviation = of_queries.deviation
    place = np.empty(len(deviation), dtype=np.int64)
    place[np.argsort(-np.abs(deviation), kind="stable")] = np.arange(1, len(deviation) + 1)
    strata = results.stratum_names
    columns: dict[str, Sequence[Any]] = {
        "query_id": [results.query_ids[query] for query in found.queries],
        "group": [subject.group_names[group] for group in subject.group],
        "stratum": [strata[s] if s < len(strata) else "" for s in subject.stratum],
        "n_slots": found.size.tolist(),
        "n_known": found.known.tolist(),
        "value": of_queries.values.tolist(),
        "deviation": deviation.tolist(),
        "place": place.tolist(),
    }
    if (hues := hue.of_queries(results, subject)) is not None:
        columns["hue"] = hues
    columns |= {f"level_{number}": column.tolist() for number, column in enumerate(found.shares.T, 1)}
    if subject.target is not None:
        columns |= {f"target_{number}": column.tolist() for number, column in enumerate(subject.target.T, 1)}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def null_rows(values: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Values of the statistic under random relabellings."""
    return [{"value": value} for value in values[:_NULL_ROWS].tolist()]


def profile_rows(results: Results, subject: Subject, *, confidence: float) -> list[dict[str, Any]]:
    """Share of each level, or mean degrees, at every rank by group; a query gives one result to a rank."""
    slot = counted(results, subject)
    slot = slot[results.rank[slot] <= MOST_RANKS]
    group, rank = _group_of_slots(results, subject)[slot], results.rank[slot]
    n_groups, n_ranks = len(subject.group_names), MOST_RANKS + 1
    cell = group * np.intp(n_ranks) + rank
    n = np.bincount(cell, minlength=n_groups * n_ranks)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rows: list[dict[str, Any]] = []
    if subject.attribute.value is not None:
        degrees = subject.attribute.value[results.item[slot]]
        sums = np.bincount(cell, weights=degrees, minlength=len(n))
        squares = np.bincount(cell, weights=np.square(degrees), minlength=len(n))
        for at in np.flatnonzero(n).tolist():
            mean = sums[at] / n[at]
            variance = max(0.0, squares[at] / n[at] - mean**2) * n[at] / max(1, n[at] - 1)
            reach = z * math.sqrt(variance / n[at]) if n[at] > 1 else None
            rows.append(
                _profile_row(subject, at, n_ranks, None, None, float(mean), n[at])
                | {"low": None if reach is None else mean - reach, "high": None if reach is None else mean + reach}
            )
        return rows
    level = subject.attribute.level[results.item[slot]]
    for c, name in enumerate(subject.attribute.scale.levels):
        shown = np.bincount(cell[level == c], minlength=len(n))
        for at in np.flatnonzero(n).tolist():
            low, high = wilson(int(shown[at]), int(n[at]), z)
            share = float(shown[at] / n[at])
            rows.append(_profile_row(subject, at, n_ranks, name, share, None, n[at]) | {"low": low, "high": high})
    return rows


def _profile_row(
    subject: Subject, at: int, n_ranks: int, level: str | None, share: float | None, value: float | None, n: int
) -> dict[str, Any]:
    group, rank = subject.group_names[at // n_ranks], int(at % n_ranks)
    return {"group": group, "rank": rank, "level": level, "share": share, "value": value, "n": int(n)}


def wilson(hits: int, n: int, z: float) -> tuple[float, float]:
    """Wilson's interval of a share (E. B. Wilson, Journal of the American Statistical Association 22, 1927)."""
    share, extra = hits / n, z**2 / n
    middle = (share + extra / 2) / (1 + extra)
    reach = z / (1 + extra) * math.sqrt(share * (1 - share) / n + extra / (4 * n))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def tone_rows(results: Results, subject: Subject, *, seed: int) -> list[dict[str, Any]]:
    """Degrees of the results by group, for a picture of their distributions; a sample where there are many."""
    if subject.attribute.value is None:
        return []
    slot = counted(results, subject)
    if len(slot) > MOST_TONES:
        slot = np.sort(np.random.default_rng(np.random.SeedSequence(seed)).choice(slot, MOST_TONES, replace=False))
    weight = slot_weights(results, subject.lists.k, rank_aware=subject.lists.rank_aware)[slot]
    known = np.bincount(results.query[slot], weights=weight, minlength=results.n_queries)
    weight = weight / known[results.query[slot]]
    group, value = _group_of_slots(results, subject)[slot], subject.attribute.value[results.item[slot]]
    hues = [_hue(subject, item) for item in results.item[slot].tolist()]
    return [
        {"group": subject.group_names[g], "value": v, "hue": h, "weight": w}
        for g, v, h, w in zip(group.tolist(), value.tolist(), hues, weight.tolist(), strict=True)
    ]


def _hue(subject: Subject, item: int) -> float | None:
    """Hue of an item; None where there is none."""
    angles = subject.attribute.hue
    return None if angles is None or math.isnan(angles[item]) else float(angles[item])


def ranking_rows(measures: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Descriptive measures, one row a group: NDKL, AWRF, and the levels of lowest and of highest skew."""
    rows = []
    for group in dict.fromkeys(measure["group"] for measure in measures):
        own = [measure for measure in measures if measure["group"] == group]
        whole = {measure["measure"]: measure for measure in own if measure["level"] is None}
        skews = [measure for measure in own if measure["level"] is not None]
        known = sorted((m for m in skews if m["value"] is not None), key=lambda m: float(m["value"]))
        row = {"group": group, "ndkl": whole["NDKL"]["value"], "awrf": whole["AWRF"]["value"]}
        row |= {"skew": skews[0]["measure"], "smoothing": whole["NDKL"]["smoothing"]}
        if known:
            row |= {"lowest": known[0]["value"], "lowest_level": known[0]["level"]}
            row |= {"highest": known[-1]["value"], "highest_level": known[-1]["level"]}
        rows.append(row)
    return rows


def power_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Points of the power curves, with what they vary in words."""
    return [{**row, "varied": X_TITLES[row["x_name"]]} for row in rows]


def slot_rows(results: Results, subject: Subject, deviation: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Results within K, also those whose attribute is missing; of the furthest queries only where there are many."""
    shown = np.zeros(results.n_queries, dtype=np.bool_)
    shown[subject.lists.queries] = True
    inside = slot_weights(results, subject.lists.k, rank_aware=False) > 0
    if np.count_nonzero(inside & shown[results.query]) > MOST_SLOTS:
        furthest = np.argsort(-np.abs(deviation), kind="stable")[:MOST_QUERIES]
        shown[:] = False
        shown[subject.lists.queries[furthest]] = True
    slots = np.flatnonzero(inside & shown[results.query])[:MOST_SLOTS]
    groups, levels = _group_of_slots(results, subject), subject.attribute.scale.levels
    degrees = subject.attribute.value
    rows = []
    for slot in slots.tolist():
        item = int(results.item[slot])
        level = int(subject.attribute.level[item])
        rows.append(
            {
                "query_id": results.query_ids[results.query[slot]],
                "group": subject.group_names[groups[slot]],
                "rank": int(results.rank[slot]),
                "item_id": results.item_ids[item],
                "level": None if level == MISSING else levels[level],
                "value": None if degrees is None or math.isnan(degrees[item]) else float(degrees[item]),
                "hue": _hue(subject, item),
                "image": results.images.get(item),
            }
        )
    return rows


def counted(results: Results, subject: Subject) -> NDArray[np.intp]:
    """Slots that count: within K, of known attribute, of queries that take part."""
    part = np.zeros(results.n_queries, dtype=np.bool_)
    part[subject.lists.queries] = True
    weight = slot_weights(results, subject.lists.k, rank_aware=subject.lists.rank_aware)
    known = subject.attribute.level[results.item] != MISSING
    return np.flatnonzero(part[results.query] & known & (weight > 0))


def _group_of_slots(results: Results, subject: Subject) -> NDArray[np.intp]:
    """Group of every slot's query, shape (n_slots,); 0 for queries that take no part."""
    group = np.zeros(results.n_queries, dtype=np.intp)
    group[subject.lists.queries] = subject.group
    return group[results.query]


def missing_by_group(results: Results, subject: Subject, mode: Mode) -> Mapping[str, tuple[int, int]]:
    """Results within K whose attribute is missing, and all results within K, by group of the query.

    Those of queries without any known result count too, though such a query takes no part.
    """
    names = {"A": subject.attribute.scale.levels, "B": results.group_names}.get(mode, subject.group_names)
    group = own_group(results, mode, subject.attribute)[results.query]
    inside = (slot_weights(results, subject.lists.k, rank_aware=False) > 0) & (group != MISSING)
    missing = inside & (subject.attribute.level[results.item] == MISSING)
    counts, sizes = (np.bincount(group[chosen], minlength=len(names)).tolist() for chosen in (missing, inside))
    return {name: (count, size) for name, count, size in zip(names, counts, sizes, strict=True) if size}
