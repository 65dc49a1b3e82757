"""Several judges and prompts as one: their scores of a conversation merged as in arXiv:2511.02044.

The paper takes the mean of all scores; median and majority are its alternatives. Ours: a score from 1 to 4 counts as
1 + (s - 1) 4/3; mean and median are taken of the expected scores, the majority of the most probable scores rounded
to whole numbers, the one nearest to the mean among equals. The merged distribution is the mean of the members'
distributions, in which a score between two whole ones counts whole for the nearest one: 2 and 3 of 4 for 2 and 4 of 5.
To divide it between both would make a sure judge of four scores look unsure, and its most probable score drift to the
ends. For the majority it is the share of votes. The most probable score is that of the merged distribution; the expected
score is the merged one, not the mean of that distribution.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, median, pstdev
from typing import Any

from auditor.audits.rating.variants import MergeRule, Variant, variant


def merged(rows: Sequence[Mapping[str, Any]], rule: MergeRule) -> dict[str, Any]:
    """One row of the table of ratings from the members' rows of the same conversation and axis."""
    forms = [variant(row["variant"]) for row in rows]
    p = [
        fmean(share)
        for share in zip(*(_on_five(row, form) for row, form in zip(rows, forms, strict=True)), strict=True)
    ]
    expected = [row["expected"] for row in rows]
    score = _merge(rows, forms, rule)
    if rule == "majority":
        votes = _votes(rows, forms)
        p = [votes[place] / len(rows) for place in range(1, 6)]
    first = rows[0]
    return {
        **{name: first[name] for name in ("id", "row", "group", "axis", "length")},
        **{f"p{place}": share for place, share in enumerate(p, start=1)},
        "expected": score,
        "mode": int(score) if rule == "majority" else max(range(1, 6), key=lambda s: (p[s - 1], -s)),
        "entropy": -sum(share * math.log(share) for share in p if share > 0),
        "spread": pstdev(expected),
        "truncated_turns": max(row["truncated_turns"] for row in rows),
        "prompt": first["prompt"],
        "explanation": _said(rows),
    }


def _merge(rows: Sequence[Mapping[str, Any]], forms: Sequence[Variant], rule: MergeRule) -> float:
    expected = [float(row["expected"]) for row in rows]
    if rule == "mean":
        return fmean(expected)
    if rule == "median":
        return median(expected)
    votes = _votes(rows, forms)
    most = max(votes.values())
    return float(min((s for s, n in votes.items() if n == most), key=lambda s: (abs(s - fmean(expected)), s)))


def _votes(rows: Sequence[Mapping[str, Any]], forms: Sequence[Variant]) -> Counter[int]:
    return Counter(_whole(form.to_five(row["mode"])) for row, form in zip(rows, forms, strict=True))


def _said(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The first member's sentence, with whose it is and which score it is about; all are in the table of judgements."""
    first = rows[0]
    said: str | None = first["explanation"]
    if said is None:
        return None
    return f"{about(first['judge'], first['variant'], first['mode'])}{said}"


def about(judge: str, name: str, score: int) -> str:
    """Whose sentence follows, and which score it is about: said wherever that is not the score in view."""
    form = variant(name)
    own = f"{score} of {form.scale}" if form.scale != 5 else str(score)
    return f"{judge}, prompt {name}, about its {own}: "


def own_score(name: str, on_five: int) -> int:
    """The score of a variant's own scale that counts for a whole one from 1 to 5.

    Raises
    ------
    ValueError
        If none does: nobody who was asked so can have given it.
    """
    form = variant(name)
    for score in range(1, form.scale + 1):
        if _whole(form.to_five(score)) == on_five:
            return score
    raise ValueError(f"no score of prompt {name} counts for {on_five}")


def _whole(score: float) -> int:
    return math.floor(score + 0.5)


def _on_five(row: Mapping[str, Any], form: Variant) -> list[float]:
    shares = [0.0] * 5
    for score in range(1, form.scale + 1):
        shares[_whole(form.to_five(score)) - 1] += row[f"p{score}"]
    return shares


def merge_rows(members: Sequence[Iterator[dict[str, Any]]], rule: MergeRule) -> Iterator[dict[str, Any]]:
    """Rows of the table of ratings from every member's rows in the same order.

    A single member's rows are taken as they are.

    Raises
    ------
    ValueError
        If the members did not rate the same.
    """
    for rows in zip(*members, strict=True):
        if len({(row["row"], row["axis"]) for row in rows}) != 1:
            raise ValueError("the members of the ensemble did not rate the same conversations")
        if len(rows) == 1 and rows[0]["scale"] == 5:
            yield {**rows[0], "spread": None}
        else:
            yield {**merged(rows, rule), **({"spread": None} if len(rows) == 1 else {})}
