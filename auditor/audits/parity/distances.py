"""Distances between the distributions of results, with conservative intervals.

A distance is never below zero and is overestimated where there is none: read it with its interval, or beside the primary
effect.

References
----------
[1] L. N. Vaserstein, "Markov processes over denumerable products of spaces", Problems of Information Transmission 5 (1969)
    64-72: for numbers the distance is the area between two distribution functions.
[2] H. Cramer, Mathematical Methods of Statistics (1946), section 21.9.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from auditor.audits.parity.contrasts import Pair
from auditor.audits.parity.estimates import Distance, Sample


def _half_sum(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    norms: NDArray[np.float64] = np.abs(differences).sum(axis=-1) / 2
    return norms


def between_groups(sample: Sample, pair: Pair, names: Sequence[str], widening: float) -> Iterator[Distance]:
    """Wasserstein-1 (on a scale in degrees) and total variation between the mean distributions of two groups."""
    a, b, weights = pair
    lists, design = sample.lists, sample.design
    sizes = design.compared(pair)
    n, fewest = sum(sizes), min(sizes)
    which = f"{names[a]} and {names[b]}"

    def parts(y: NDArray[np.float64]) -> NDArray[np.float64]:
        influences: NDArray[np.float64] = (weights * design.scale)[:, None] * (y - design.fitted(y))
        return influences

    if lists.cumulative is not None and lists.grid is not None:
        widths = np.append(np.diff(lists.grid), 0.0)

        def area(differences: NDArray[np.float64]) -> NDArray[np.float64]:
            areas: NDArray[np.float64] = np.abs(differences) @ widths
            return areas

        yield Distance(
            "Wasserstein-1",
            f"Wasserstein-1 distance: {which}",
            "degrees",
            names[a],
            names[b],
            float(area(weights @ lists.cumulative)),
            parts(lists.cumulative),
            area,
            None,
            n,
            fewest,
            widening,
        )
    yield Distance(
        "total variation",
        f"Total variation: {which}",
        "share",
        names[a],
        names[b],
        float(_half_sum(weights @ lists.shares)),
        parts(lists.shares),
        _half_sum,
        1.0,
        n,
        fewest,
        widening,
    )


def cramers_v(sample: Sample, widening: float) -> Distance:
    """Cramer's V of the table of mean shares: sqrt of sum (M - E)^2 / E over n and the smaller dimension less 1."""
    lists, design = sample.lists, sample.design
    groups = np.flatnonzero(design.sizes)
    expected = design.expected(lists.shares)[groups]
    shown = expected.max(axis=0) > 0
    share_of_group = design.sizes[groups] / design.sizes.sum()
    smaller = max(min(len(groups), int(shown.sum())) - 1, 1)
    weights = np.where(expected > 0, share_of_group[:, None] / np.where(expected > 0, expected, 1.0), 0.0) / smaller
    y = lists.shares - design.fitted(lists.shares)
    coefficients = [design.deviation(int(g)) for g in groups]
    deviations = np.stack([c @ lists.shares for c in coefficients])
    parts = np.concatenate([(c * design.scale)[:, None] * y for c in coefficients], axis=1)

    def norm(differences: NDArray[np.float64]) -> NDArray[np.float64]:
        norms: NDArray[np.float64] = np.sqrt(np.square(differences) @ weights.ravel())
        return norms

    sizes = np.bincount(design.group[design.partnered], minlength=design.n_groups)[groups]
    return Distance(
        "Cramer's V",
        "Cramér's V: groups and levels",
        "",
        "groups",
        "levels",
        float(norm(deviations.ravel())),
        parts,
        norm,
        1.0,
        int(sizes.sum()),
        int(sizes.min()),
        widening,
    )


def from_target(sample: Sample, target: NDArray[np.float64], widening: float) -> Distance:
    """Total variation between the mean shares of the results and of their targets."""
    off = sample.lists.shares - target
    n = len(off)
    parts = (off - off.mean(axis=0)) / n * sample.design.scale[:, None]
    return Distance(
        "total variation",
        "Total variation: mean shares of results and target",
        "share",
        "results",
        "target",
        float(_half_sum(off.mean(axis=0))),
        parts,
        _half_sum,
        1.0,
        n,
        n,
        widening,
    )
