"""Hue beside tone: skin of one individual typology angle still varies from red to yellow, which the angle does not show.

Hue is told where degrees were read from colours, by group and by query; it describes, and is never tested. It is an angle,
so means are those of directions, and quantiles those of the differences from the mean.

References
----------
[1] W. Thong, P. Joniak, A. Xiang, "Beyond skin tone: a multidimensional measure of apparent skin color", ICCV 2023.
[2] K. V. Mardia, P. E. Jupp, Directional Statistics (2000), section 2.2: the mean direction.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.audits.parity.data import Results, slot_weights
from auditor.audits.parity.subject import Subject

#: Chroma below which a colour is grey and has no hue (ours).
GREY = 1.0
#: Quantiles between which the hues of a group are told (ours).
_LOW, _HIGH = 0.1, 0.9
#: A mean of directions that is shorter has none.
_NO_DIRECTION = 1e-12


def hue_of(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hue angle of CIELAB colours, degrees, shape (..., 3) -> (...); nan for greys and where nothing is known."""
    from auditor.audits.parity.colour import chroma, hue_angle

    return np.where(chroma(lab) >= GREY, hue_angle(lab), np.nan)


def mean_hue(hue: NDArray[np.float64], weight: ArrayLike = 1.0) -> float | None:
    """Mean direction of angles [2], degrees from 0 to 360; None where they have none.

    Parameters
    ----------
    hue : ndarray of float64, shape (n,)
        Degrees, none of them nan.
    weight : array_like of shape (n,)
    """
    turn = np.radians(hue)
    sine, cosine = float(np.sum(weight * np.sin(turn))), float(np.sum(weight * np.cos(turn)))
    if np.hypot(sine, cosine) <= _NO_DIRECTION * len(hue):
        return None
    return float(np.degrees(np.arctan2(sine, cosine)) % 360)


def of_queries(results: Results, subject: Subject) -> list[float | None] | None:
    """Mean hue of each list that takes part, in the order of `subject.lists`; None where degrees are no colours."""
    found = _of_slots(results, subject)
    if found is None:
        return None
    row, hue, weight, _ = found
    sine, cosine = (
        np.bincount(row, weights=weight * side, minlength=len(subject.lists.queries))
        for side in (np.sin(np.radians(hue)), np.cos(np.radians(hue)))
    )
    has_one = np.hypot(sine, cosine) > _NO_DIRECTION
    mean = np.degrees(np.arctan2(sine, cosine)) % 360
    return [angle if there else None for angle, there in zip(mean.tolist(), has_one.tolist(), strict=True)]


def hue_rows(results: Results, subject: Subject) -> list[dict[str, Any]]:
    """Hue of the results of each query group, every query weighing the same; no rows where degrees are no colours."""
    found = _of_slots(results, subject)
    if found is None:
        return []
    row, hue, weight, degrees = found
    group = subject.group[row]
    rows = []
    for number, name in enumerate(subject.group_names):
        own = group == number
        middle = mean_hue(hue[own], weight[own])
        if middle is None:
            continue
        off = np.mod(hue[own] - middle + 180, 360) - 180
        low, high = np.quantile(off, [_LOW, _HIGH], weights=weight[own], method="inverted_cdf").tolist()
        mean = float(np.average(degrees[own], weights=weight[own]))
        told = {"hue": middle, "hue_low": (middle + low) % 360, "hue_high": (middle + high) % 360}
        rows.append({"group": name, "n": int(own.sum()), "value": mean, **told})
    return rows


def _of_slots(
    results: Results, subject: Subject
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]] | None:
    """Row of the lists, hue, weight and degrees of every slot that counts and has a hue."""
    hue, degrees = subject.attribute.hue, subject.attribute.value
    if hue is None or degrees is None:
        return None
    lists = subject.lists
    row_of = np.full(results.n_queries, -1, dtype=np.intp)
    row_of[lists.queries] = np.arange(len(lists.queries))
    weight = slot_weights(results, lists.k, rank_aware=lists.rank_aware)
    row = row_of[results.query]
    kept = (weight > 0) & (row >= 0) & np.isfinite(hue[results.item]) & np.isfinite(degrees[results.item])
    row, item, weight = row[kept], results.item[kept], weight[kept]
    total = np.bincount(row, weights=weight, minlength=len(lists.queries))
    return row, hue[item], weight / total[row], degrees[item]
