"""Power: what a design can see, before any data exist and for the data at hand.

The formula and its curves come from `power_formula`, the same by simulation from `power_simulation`.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.audits.parity.data import Lists
from auditor.audits.parity.power_formula import (
    X_TITLES,
    Design,
    PowerRow,
    XName,
    curve,
    detectable,
    detectable_bias,
    power_at,
    power_under_bias,
    queries_needed,
    refined_bias,
    varied,
    within_one,
)
from auditor.audits.parity.power_simulation import Simulated, simulate_detectable_bias, simulate_power
from auditor.errors import InputError

__all__ = [
    "X_TITLES",
    "Design",
    "PowerAnswer",
    "PowerRow",
    "Simulated",
    "XName",
    "curve",
    "design_of",
    "detectable_bias",
    "power_analysis",
    "power_at",
    "power_under_bias",
    "queries_needed",
    "refined_bias",
    "simulate_power",
]

#: With more queries than this a point of a curve is not simulated: it would take longer than it tells (ours).
MOST_SIMULATED_QUERIES = 3_000
#: Under this many queries in a group normal approximations are rough; power may differ by this much unremarked (ours).
_FEW_QUERIES, _ASTRAY = 10, 0.05


@dataclass(frozen=True)
class PowerAnswer:
    """What a design can see.

    Attributes
    ----------
    design : Design
    detectable_bias : float or None
        One-sided, by the formula; None where even a bias of 1 would be missed.
    detectable_bias_two_sided : float or None
        The same for a two-sided test, as the audit's own.
    refined_bias : float or None
        One-sided, with variances as they are under the bias (`power_under_bias`).
    design_effect : float
    simulated : Simulated or None
        Power of the one-sided test at `detectable_bias`, by simulation.
    rows : tuple of PowerRow
        The curves.
    sentence : str
    notes : tuple of str
        What a reader must know.
    """

    design: Design
    detectable_bias: float | None
    detectable_bias_two_sided: float | None
    refined_bias: float | None
    design_effect: float
    simulated: Simulated | None
    rows: tuple[PowerRow, ...]
    sentence: str
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and texts for JSON."""
        return asdict(self)


def power_analysis(
    design: Design,
    *,
    curves: Sequence[XName] = ("n_items", "n_queries", "k", "q", "pi", "icc", "beta"),
    n_simulations: int = 0,
    n_permutations: int = 499,
    two_sided: bool = False,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> PowerAnswer:
    """Detectable bias of a design, its curves, and the same by simulation if asked for.

    Parameters
    ----------
    design : Design
    curves : sequence of str
        Which curves, keys of `X_TITLES`.
    n_simulations : int
        Simulated data sets at each bias; 0 for the formula alone. Points with more than `MOST_SIMULATED_QUERIES` queries
        are left to the formula.
    n_permutations : int
        Permutations of each simulated test.
    two_sided : bool
        Whether the curves are those of the two-sided test, as the audit's own.
    seed : int
        Seed of all simulations.
    progress : callable, optional
        Told (points done, points in all) while simulating.
    cancelled : callable, optional
        Asked between blocks of permutations.

    Raises
    ------
    Cancelled
        If `cancelled` says so.
    """
    found = within_one(detectable(design, two_sided=False))
    found_two_sided = within_one(detectable(design, two_sided=True))
    rows = [row for name in curves for row in curve(design, name, two_sided=two_sided)]
    simulated = None
    if n_simulations:
        options: dict[str, Any] = {
            "n_simulations": n_simulations,
            "n_permutations": n_permutations,
            "cancelled": cancelled,
        }
        if found is not None and design.n_queries <= MOST_SIMULATED_QUERIES:
            simulated = simulate_power(**_numbers(design), beta=found, seed=seed, **options)
        asked = [row for row in rows if _simulated_here(design, row)]
        options["two_sided"] = two_sided
        for i, row in enumerate(asked):
            rows.append(_simulated_row(design, row, seed + 1000 * (i + 1), options))
            if progress is not None:
                progress(i + 1, len(asked))
    return PowerAnswer(
        design=design,
        detectable_bias=found,
        detectable_bias_two_sided=found_two_sided,
        refined_bias=refined_bias(design),
        design_effect=design.design_effect,
        simulated=simulated,
        rows=tuple(rows),
        sentence=_sentence(design, found, found_two_sided, simulated),
        notes=_notes(design, found, simulated),
    )


def design_of(
    lists: Lists, group: NDArray[np.int16], *, icc: float | None, alpha: float = 0.05, power: float = 0.8
) -> Design:
    """The design of the data at hand.

    The formula knows two groups and one level. With more, q and pi are those of the group and the level whose bias is the
    hardest to detect: the group with the smallest share of queries, the level whose share is closest to one half (ours).
    K is the harmonic mean of the known slots of a list, since variances of list means average; slots weighted by rank
    count as (sum w)^2 / sum w^2 (Kish's effective size).

    Parameters
    ----------
    lists : Lists
    group : ndarray of int16, shape (n,)
        Group of the queries of `lists`; negative for none.
    icc : float or None
        Intra-list correlation as estimated; taken as 0 where it is negative or not known.
    alpha, power : float
        As in `Design`.

    Raises
    ------
    InputError
        If fewer than two queries or groups are there, or every result shows the same level.
    """
    grouped = group >= 0
    sizes = np.bincount(group[grouped])
    sizes = sizes[sizes > 0]
    if len(sizes) < 2:
        raise InputError("power needs two query groups", fix="Give the query group.")
    shares = lists.shares[grouped].mean(axis=0)
    pi = float(shares[np.argmin(np.abs(shares - 0.5))])
    if not 1e-12 < pi < 1 - 1e-12:
        raise InputError("every result shows the same level", fix="There is nothing to compare.")
    known = lists.known[grouped].astype(np.float64)
    if lists.rank_aware:
        weights = 1 / np.log2(1.0 + np.arange(1, known.max() + 1))
        effective = np.cumsum(weights) ** 2 / np.cumsum(weights**2)
        known = effective[known.astype(np.intp) - 1]
    return Design(
        n_queries=int(grouped.sum()),
        k=float(len(known) / (1 / known).sum()),
        q=float(sizes.min() / sizes.sum()),
        pi=pi,
        icc=min(max(icc or 0.0, 0.0), 1.0),
        alpha=alpha,
        power=power,
    )


def _numbers(design: Design) -> dict[str, Any]:
    return {
        "n_queries": design.n_queries,
        "k": design.k,
        "q": design.q,
        "pi": design.pi,
        "icc": design.icc,
        "alpha": design.alpha,
    }


def _simulated_here(design: Design, row: PowerRow) -> bool:
    if row.x_name == "beta":
        return design.n_queries <= MOST_SIMULATED_QUERIES
    return row.detectable is not None and varied(design, row.x_name, row.x).n_queries <= MOST_SIMULATED_QUERIES


def _simulated_row(design: Design, row: PowerRow, seed: int, options: dict[str, Any]) -> PowerRow:
    if row.x_name == "beta":
        at = simulate_power(**_numbers(design), beta=row.x, seed=seed, **options)
        return replace(row, kind="simulation", power=at.power)
    assert row.detectable is not None
    changed = varied(design, row.x_name, row.x)
    found = simulate_detectable_bias(**_numbers(changed), near=row.detectable, power=design.power, seed=seed, **options)
    return replace(row, kind="simulation", detectable=found)


def _sentence(design: Design, found: float | None, two_sided: float | None, simulated: Simulated | None) -> str:
    shape = (
        f"With {design.n_queries:,} queries of {design.k:.4g} results, {design.q:.0%} of the queries in the first group, an "
        f"attribute share of {design.pi:.0%}, intra-list correlation {design.icc:.2g} and alpha {design.alpha:g}, "
    )
    if found is None:
        return shape + f"no bias of the injection model is detected with probability {design.power:g}."
    said = (
        shape + f"a bias that fills {found:.1%} of slots from the query's own group is detected with probability "
        f"{design.power:g} by a one-sided test"
    )
    said += f"; a two-sided test needs {two_sided:.1%}" if two_sided is not None else "; a two-sided test detects none"
    if simulated is not None:
        said += (
            f". Simulated power there: {simulated.power:.2f} (95% interval {simulated.low:.2f} to {simulated.high:.2f})"
        )
    return said + "."


def _notes(design: Design, found: float | None, simulated: Simulated | None) -> tuple[str, ...]:
    notes = []
    fewest = design.n_queries * min(design.q, 1 - design.q)
    if fewest < _FEW_QUERIES:
        notes.append(
            f"The smaller group has {fewest:.3g} queries: formulas are rough under {_FEW_QUERIES}; go by simulation."
        )
    there = None if found is None else power_under_bias(design, found)
    if there is not None and abs(there - design.power) > _ASTRAY:
        refined = refined_bias(design)
        notes.append(
            f"The formula takes variances as they are without bias. With those under the bias, power there is {there:.2f}"
            + (f", and {refined:.1%} is what is detected." if refined is not None else ".")
        )
    if design.icc == 0 and design.k > 1:
        notes.append(
            "Intra-list correlation 0 is the best case: results of one query usually resemble each other, and then the "
            "detectable bias is larger."
        )
    if simulated is not None and not simulated.low - _ASTRAY <= design.power <= simulated.high + _ASTRAY:
        notes.append("Formula and simulation disagree by more than .05 here: go by the simulation.")
    return tuple(notes)
