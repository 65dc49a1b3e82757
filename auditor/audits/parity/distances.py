"""Distances between the distributions of results, with conservative intervals.

A distance is never below zero and is overestimated where there is none: read it with its interval, or beside the primary
effect.

The Wasserstein-1 distance is in the unit of the primary effect, and never below its absolute value: on a scale in degrees it
is the area between two distribution functions [1], and a difference of means is that area with its sign. It is exact; its error
is resampled on the cells of a grid. On an ordinal scale levels have no distances of their own; there the area is taken over
mid-ranks, from -1 to 1, as those of the mid-rank difference (ours). A verdict of parity rests on its upper limit, so that
distributions may differ in shape by no more than the margin.

References
----------
[1] L. N. Vaserstein, "Markov processes over denumerable products of spaces", Problems of Information Transmission 5 (1969)
    64-72: for numbers the distance is the area between two distribution functions.
[2] H. Cramer, Mathematical Methods of Statistics (1946), section 21.9.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.audits.parity.areas import Expected, area_between
from auditor.audits.parity.contrasts import Pair, mover_weights, rank_steps
from auditor.audits.parity.estimates import DISTANCE, Distance, Norm, Sample


def _sum(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    norms: NDArray[np.float64] = np.abs(differences).sum(axis=-1)
    return norms


def _half_sum(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    return _sum(differences) / 2


def between_groups(
    sample: Sample, pair: Pair, names: Sequence[str], widening: float, *, ranked: bool
) -> Iterator[Distance]:
    """Wasserstein-1 (where there are degrees, or an order: `ranked`) and total variation between two groups."""
    shape = wasserstein_between(sample, pair, names, widening, ranked=ranked)
    if shape is not None:
        yield shape
    made = _parts(sample, pair)
    asked = _Named(sample, pair, names, widening)
    shares = sample.lists.shares
    value = float(_half_sum(pair[2] @ shares))
    yield asked.distance("total variation", "Total variation", "share", value, made(shares), _half_sum, 1.0)


def wasserstein_between(
    sample: Sample, pair: Pair, names: Sequence[str], widening: float, *, ranked: bool
) -> Distance | None:
    """Wasserstein-1 between two groups, in degrees or in mid-ranks; None between names."""
    lists, (a, b, weights) = sample.lists, pair
    made, asked = _parts(sample, pair), _Named(sample, pair, names, widening)
    title = "Wasserstein-1 distance"
    if lists.degrees is not None and lists.grid is not None:
        area = area_between(lists.degrees.weighed(lists.queries, weights))
        parts = made(lists.degrees.cells(lists.queries, lists.grid))
        return asked.distance(DISTANCE, title, "degrees", area, parts, _sum, None)
    if not ranked:
        return None
    # The widths are steps between mid-ranks, estimated from the results of both groups as those of the effect.
    both = np.isin(sample.design.group, (a, b))
    steps = rank_steps(lists.shares)
    widths = steps[both].mean(axis=0)
    apart = np.cumsum(weights @ lists.shares)[:-1]
    of_widths = mover_weights(both)[:, None] * (steps - widths)
    parts = np.cumsum(made(lists.shares), axis=1)[:, :-1] * widths + apart * of_widths
    area = float(_sum(apart * widths))
    return asked.distance(DISTANCE, f"{title} of mid-ranks", "mid-rank", area, parts, _sum, 1.0)


def _parts(sample: Sample, pair: Pair) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """From numbers of the queries, (n, m), to the influence of each query on the difference of their means."""
    scaled = (pair[2] * sample.design.scale)[:, None]

    def influence(y: NDArray[np.float64]) -> NDArray[np.float64]:
        influences: NDArray[np.float64] = scaled * (y - sample.design.fitted(y))
        return influences

    return influence


@dataclass(frozen=True)
class _Named:
    """Two groups, for whatever distances between them."""

    sample: Sample
    pair: Pair
    names: Sequence[str]
    widening: float

    def distance(
        self,
        name: str,
        title: str,
        unit: str,
        value: float,
        parts: NDArray[np.float64],
        norm: Norm,
        most: float | None,
    ) -> Distance:
        """A norm of some differences, to which each query adds its parts."""
        a, b = (self.names[group] for group in self.pair[:2])
        sizes = self.sample.design.compared(self.pair)
        return Distance(
            name=name,
            title=f"{title}: {a} and {b}",
            unit=unit,
            a=a,
            b=b,
            value=value,
            parts=parts,
            norm=norm,
            most=most,
            n=sum(sizes),
            fewest=min(sizes),
            widening=self.widening,
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
    words = ("total variation", "Total variation: mean shares of results and target", "share")
    return _of_target(sample, words, off, float(_half_sum(off.mean(axis=0))), _half_sum, 1.0, widening)


def wasserstein_from_target(
    sample: Sample,
    target: NDArray[np.float64] | None,
    ranked_among: NDArray[np.float64] | None,
    expected: Expected | None,
    widening: float,
) -> Distance | None:
    """Wasserstein-1 between the results and their targets: in degrees where the target's distribution of them is known.

    In mid-ranks, what is added up over queries has its sign.

    Parameters
    ----------
    target : ndarray of float64, shape (n, n_levels), or None
        Shares, whose levels stand in order; None for the distance in degrees.
    ranked_among : ndarray of float64, shape (n_levels,), or None
        Shares among which mid-ranks are taken; None for those of each query's own target.
    expected : Expected or None
        Degrees of the target.
    """
    lists, title = sample.lists, "Wasserstein-1 distance"
    if target is not None:
        apart = np.cumsum(lists.shares - target, axis=1)[:, :-1]
        off = apart * rank_steps(target if ranked_among is None else ranked_among)
        if ranked_among is not None:
            off = off + apart.mean(axis=0) * rank_steps(target - ranked_among)
        words = (DISTANCE, f"{title} of mid-ranks: results and target", "mid-rank")
        return _of_target(sample, words, off, float(_sum(off.mean(axis=0))), _sum, 1.0, widening)
    if expected is None or lists.degrees is None or lists.grid is None:
        return None
    n = len(lists.queries)
    area = area_between(lists.degrees.weighed(lists.queries, np.full(n, 1 / n)), expected.weighed())
    off = lists.degrees.cells(lists.queries, lists.grid) - expected.cells(lists.grid)
    return _of_target(sample, (DISTANCE, f"{title}: results and target", "degrees"), off, area, _sum, None, widening)


def _of_target(
    sample: Sample,
    words: tuple[str, str, str],
    off: NDArray[np.float64],
    value: float,
    norm: Norm,
    most: float | None,
    widening: float,
) -> Distance:
    """A norm of the mean of what each query is off."""
    n = len(off)
    return Distance(
        name=words[0],
        title=words[1],
        unit=words[2],
        a="results",
        b="target",
        value=value,
        parts=(off - off.mean(axis=0)) / n * sample.design.scale[:, None],
        norm=norm,
        most=most,
        n=n,
        fewest=n,
        widening=widening,
    )
