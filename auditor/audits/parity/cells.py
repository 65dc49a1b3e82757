"""The table of shares by group and level: deviations with intervals, and p-values for looking closer.

A cell often rests on few results: a rare level, a small group, a few items that fill all lists. Its own standard error is then
too small just where the deviation is large, since a share that happens to be low also seems to vary little. In simulations in
which nothing deviated, normal p-values from such errors, adjusted over the cells, showed some false cell in 8 to 93% of the
tables, at a level of 5%. So no error is taken to be smaller than it is expected to be under the null hypothesis:

- groups: the standard deviation of the cell over all permutations of the groups over whole lists, in closed form;
- a target: that of a share as large as the target among as many results as the lists are worth, an effective number which is
  estimated from all levels together (first-order correction after Rao and Scott [1]) and never above that of the items [2].
  Where fewer than five such results of a level are expected, or of all others, there is no p-value.

The reference is a t-distribution with as many degrees of freedom as the group has queries, less one; against a target no more
than effective items. With that at most 5% of the tables showed a false cell (`tests/validity/test_parity_cells.py`).

References
----------
[1] J. N. K. Rao, A. J. Scott, "The analysis of categorical data from complex sample surveys", Journal of the American
    Statistical Association 76 (1981) 221-230.
[2] E. H. Simpson, "Measurement of diversity", Nature 163 (1949) 688.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.audits.parity.contrasts import Contrast, Design, Slots, counted_slots, standard_error
from auditor.audits.parity.data import Results
from auditor.audits.parity.findings import Mode
from auditor.audits.parity.intervals import FEWEST_QUERIES
from auditor.audits.parity.subject import Subject
from auditor.stats.multiplicity import bh_adjusted
from auditor.stats.permutation import group_sum_covariance

#: Fewer results of a level than this, in effect, are no ground for a p-value against a target (ours, measured).
FEWEST_EXPECTED = 5
#: Variances below this are dust of rounding.
_DUST = 1e-20


@dataclass(frozen=True)
class _Cells:
    """Cells of groups and levels; every array has the shape (n_groups, n_levels).

    Attributes
    ----------
    observed, expected : ndarray of float64
    error : ndarray of float64
        Standard error of the deviation; 0 where nothing varies.
    freedom : ndarray of float64
        Degrees of freedom.
    tested : ndarray of bool
        Whether there is enough for a p-value.
    """

    observed: NDArray[np.float64]
    expected: NDArray[np.float64]
    error: NDArray[np.float64]
    freedom: NDArray[np.float64]
    tested: NDArray[np.bool_]


def cell_rows(results: Results, subject: Subject, mode: Mode, *, confidence: float) -> list[dict[str, Any]]:
    """Observed and expected share of each level in each group.

    The p-values are for looking closer (drill-down) and adjusted over all cells after Benjamini and Hochberg. There are none in
    modes A and C1, where it is items that are exchanged: errors over queries would be those of another null hypothesis; none
    for groups of fewer than ten queries, which have no intervals either.
    """
    from scipy.special import stdtr, stdtrit

    n_groups = len(subject.group_names)
    if subject.target is None and n_groups < 2:
        return []  # a target in degrees says nothing of shares
    found = _between_groups(results, subject) if subject.target is None else _against_target(results, subject)
    enough = (np.bincount(subject.group, minlength=n_groups) >= FEWEST_QUERIES)[:, None]
    deviation = np.round(found.observed - found.expected, 12)  # no dust of rounding
    reach = stdtrit(found.freedom, (1 + confidence) / 2) * found.error
    low, high = np.maximum(deviation - reach, -1.0), np.minimum(deviation + reach, 1.0)
    tested = enough & found.tested & (found.error > 0) & (mode not in ("A", "C1"))
    p = 2 * stdtr(found.freedom, -np.abs(deviation) / np.where(found.error > 0, found.error, 1.0))
    adjusted = np.full(p.shape, np.nan)
    adjusted[tested] = bh_adjusted(p[tested])
    rows = []
    for g, name in enumerate(subject.group_names):
        for c, level in enumerate(subject.attribute.scale.levels):
            row = {
                "attribute": subject.attribute.name,
                "k": subject.lists.k,
                "group": name,
                "level": level,
                "observed": float(found.observed[g, c]),
                "expected": float(found.expected[g, c]),
                "deviation": float(deviation[g, c]),
                "low": float(low[g, c]) if enough[g, 0] else None,
                "high": float(high[g, c]) if enough[g, 0] else None,
                "p_value": float(p[g, c]) if tested[g, c] else None,
            }
            rows.append({**row, "adjusted_p": float(adjusted[g, c])} if tested[g, c] else row)
    return rows


def _between_groups(results: Results, subject: Subject) -> _Cells:
    """Groups against what they are expected to show if groups are shuffled within strata."""
    shares, group = subject.lists.shares, subject.group
    n_groups, n_levels = len(subject.group_names), shares.shape[1]
    design = Design(group, n_groups, subject.stratum)
    sizes = design.sizes[:, None]
    sums = np.stack([shares[group == g].sum(axis=0) for g in range(n_groups)])
    # Level by level: the covariance of all levels together would be large.
    by_level = [group_sum_covariance(group, column[:, None], subject.stratum, n_groups) for column in shares.T]
    of_sums = np.stack([np.diagonal(one[:, :, 0, 0]) for one in by_level], axis=1)
    variance = of_sums / np.square(sizes)
    slots = counted_slots(results, subject.attribute, subject.lists)
    own = [[_error(subject, design, slots, design.deviation(g), c) for c in range(n_levels)] for g in range(n_groups)]
    error = np.sqrt(np.maximum(np.square(own), np.where(variance > _DUST, variance, 0.0)))
    freedom = np.broadcast_to(np.maximum(sizes - 1.0, 1.0), error.shape)
    return _Cells(sums / sizes, design.expected(shares), error, freedom, np.ones(error.shape, np.bool_))


def _against_target(results: Results, subject: Subject) -> _Cells:
    """All results against their targets; every query has its own."""
    assert subject.target is not None, "there is a target"
    shares, target = subject.lists.shares, subject.target
    n, n_levels = shares.shape
    design = Design(np.zeros(n, np.int16), 1, np.zeros(n, np.int32))
    slots = counted_slots(results, subject.attribute, subject.lists)
    weights = np.full(n, 1 / n)
    own = np.square([_error(subject, design, slots, weights, c) for c in range(n_levels)])
    observed, expected = shares.mean(axis=0), target.mean(axis=0)
    exposure = np.bincount(slots.item, weights=slots.weight) / n
    effective_items = 1 / np.square(exposure).sum()
    spread = (observed * (1 - observed)).sum()
    effective = min(effective_items, spread / own.sum()) if own.sum() > _DUST else effective_items
    error = np.sqrt(np.maximum(own, (target * (1 - target)).mean(axis=0) / effective))
    freedom = np.full((1, n_levels), max(min(n, effective_items) - 1, 1.0))
    tested = effective * np.minimum(expected, 1 - expected) >= FEWEST_EXPECTED
    return _Cells(observed[None], expected[None], error[None], freedom, tested[None])


def _error(subject: Subject, design: Design, slots: Slots, weights: NDArray[np.float64], level: int) -> float:
    """HC2 standard error of a cell's deviation, over queries x items where items repeat."""
    scores = np.eye(subject.lists.shares.shape[1])[[level]]
    if subject.target is not None:
        scores = scores - subject.target[:, [level]]
    return standard_error(Contrast(weights, scores), subject.lists, design, slots)[0]
