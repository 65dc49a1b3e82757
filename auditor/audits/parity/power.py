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
from auditor.audits.parity.power_simulation import (
    Simulated,
    bias_at,
    simulate_around,
    simulate_detectable_bias,
    simulate_power,
)
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
    "hardest",
    "power_analysis",
    "power_at",
    "power_at_hand",
    "power_under_bias",
    "queries_needed",
    "refined_bias",
    "simulate_power",
]

#: All curves, in the order in which they are drawn.
CURVES: tuple[XName, ...] = ("n_items", "n_queries", "k", "q", "pi", "icc", "beta")

#: With more queries than this a point of a curve is not simulated: it would take longer than it tells (ours).
MOST_SIMULATED_QUERIES = 3_000
#: Under this many queries in a group normal approximations are rough; power may differ by this much unremarked (ours).
_FEW_QUERIES, _ASTRAY = 10, 0.05
#: Simulated data sets at each bias for the data at hand, fewest and most, and lists in all of them; relabellings that a
#: p-value of alpha rests on, and most relabellings of a test (ours): a few seconds on one core.
_FEWEST_SETS, _MOST_SETS, _LISTS_IN_ALL, _EXCEEDING, _MOST_PERMUTATIONS = 100, 400, 200_000, 15, 1_499


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
        Power at the detectable bias, by simulation: of the one-sided test at `detectable_bias`, or of the two-sided one at
        `detectable_bias_two_sided` where the analysis is two-sided.
    rows : tuple of PowerRow
        The curves.
    sentence : str
    notes : tuple of str
        What a reader must know.
    simulated_bias : float or None
        The detectable bias of this design by simulation, for the data at hand.
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
    simulated_bias: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and texts for JSON."""
        return asdict(self)


def power_analysis(
    design: Design,
    *,
    curves: Sequence[XName] = CURVES,
    n_simulations: int = 0,
    n_permutations: int = 499,
    most_points: int | None = None,
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
    most_points : int, optional
        Points of each curve that are simulated, spread evenly over it; all of them unless given.
    two_sided : bool
        Whether curves, simulation and notes are those of the two-sided test, as the audit's own.
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
    here = found_two_sided if two_sided else found
    rows = [row for name in curves for row in curve(design, name, two_sided=two_sided)]
    simulated = None
    if n_simulations:
        options: dict[str, Any] = {
            "n_simulations": n_simulations,
            "n_permutations": n_permutations,
            "cancelled": cancelled,
            "two_sided": two_sided,
        }
        if here is not None and design.n_queries <= MOST_SIMULATED_QUERIES:
            simulated = simulate_power(**_numbers(design), beta=here, seed=seed, **options)
        possible = [[row for row in rows if row.x_name == name and _simulated_here(design, row)] for name in curves]
        asked = [row for of_curve in possible for row in _spread(of_curve, most_points)]
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
        sentence=_sentence(design, found, found_two_sided, simulated, two_sided=two_sided),
        notes=_notes(design, here, simulated, two_sided=two_sided),
    )


def power_at_hand(design: Design, *, seed: int = 0, cancelled: Callable[[], bool] | None = None) -> PowerAnswer:
    """What data at hand could have shown, two-sided as the audit tests: all curves by formula, this design by simulation too.

    Simulating every point of every curve takes minutes, and what a reader asks is whether the formula holds here. So five
    biases around the detectable one are simulated, which give points of the power curve, the power at that bias, and
    the bias with the power asked for; the last one stands in every curve that goes through this design.

    Parameters
    ----------
    design : Design
        From `design_of`.
    seed : int
        Seed of all simulations.
    cancelled : callable, optional
        Asked between blocks of permutations.

    Raises
    ------
    Cancelled
        If `cancelled` says so.
    """
    answer = power_analysis(design, two_sided=True)
    here = answer.detectable_bias_two_sided
    if here is None:
        return answer
    # As many as make (B + 1) alpha a whole number, so that the simulated tests keep their level.
    n_permutations = max(1, round(_EXCEEDING / design.alpha) - 1)
    if design.n_queries > MOST_SIMULATED_QUERIES or n_permutations > _MOST_PERMUTATIONS:
        note = (
            f"Nothing was simulated: it takes long with more than {MOST_SIMULATED_QUERIES:,} queries, or an alpha below "
            f"{_EXCEEDING / (_MOST_PERMUTATIONS + 1):.4g}. The formula is the closer, the more queries there are."
        )
        return replace(answer, notes=(note, *answer.notes))
    points = simulate_around(
        near=here,
        **_numbers(design),
        two_sided=True,
        n_simulations=min(_MOST_SETS, max(_FEWEST_SETS, _LISTS_IN_ALL // design.n_queries)),
        n_permutations=n_permutations,
        seed=seed,
        cancelled=cancelled,
    )
    simulated = dict(points)[here]
    bias = bias_at(points, design.power)
    rows = [PowerRow("beta", beta, None, "simulation", at.power) for beta, at in points]
    if bias is not None:
        at_design: dict[XName, float] = {"n_queries": design.n_queries, "k": design.k, "q": design.q, "pi": design.pi,
                                         "icc": design.icc}  # fmt: skip
        rows += [PowerRow(name, float(x), bias, "simulation", design.power) for name, x in at_design.items()]
    return replace(
        answer,
        simulated=simulated,
        simulated_bias=bias,
        rows=(*answer.rows, *rows),
        sentence=_sentence(design, answer.detectable_bias, answer.detectable_bias_two_sided, simulated, two_sided=True),
        notes=(_simulation_words(design, simulated, bias), *_notes(design, here, simulated, two_sided=True)),
    )


def _simulation_words(design: Design, simulated: Simulated, bias: float | None) -> str:
    """What was simulated for the data at hand, and which bias it finds."""
    k = max(1, round(design.k))
    found = "" if bias is None else f" By simulation a bias of {bias:.1%} has power {design.power:g}."
    return (
        f"Simulated: {simulated.n_simulations:,} data sets at each of five biases, with {design.n_queries:,} lists of "
        f"{k:,} results in two groups of the same shares, drawn from the injection model with the same intra-list correlation "
        f"(beta-binomial); each was tested two-sided with {simulated.n_permutations:,} relabellings of whole lists, as in mode "
        f"B.{found}"
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
    if np.count_nonzero(sizes) < 2:
        raise InputError("power needs two query groups", fix="Give the query group.")
    smallest, level = hardest(lists, group)
    pi = float(lists.shares[grouped].mean(axis=0)[level])
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
        q=float(sizes[smallest] / sizes.sum()),
        pi=pi,
        icc=min(max(icc or 0.0, 0.0), 1.0),
        alpha=alpha,
        power=power,
    )


def hardest(lists: Lists, group: NDArray[np.int16]) -> tuple[int, int]:
    """Numbers of the group with the fewest queries, and of the level whose share is closest to one half: see `design_of`.

    Parameters
    ----------
    lists : Lists
    group : ndarray of int16, shape (n,)
        Negative for none.
    """
    grouped = group >= 0
    numbers, sizes = np.unique(group[grouped], return_counts=True)
    shares = lists.shares[grouped].mean(axis=0)
    return int(numbers[np.argmin(sizes)]), int(np.argmin(np.abs(shares - 0.5)))


def _numbers(design: Design) -> dict[str, Any]:
    return {
        "n_queries": design.n_queries,
        "k": design.k,
        "q": design.q,
        "pi": design.pi,
        "icc": design.icc,
        "alpha": design.alpha,
    }


def _spread(rows: Sequence[PowerRow], most: int | None) -> Sequence[PowerRow]:
    """Rows, or some of them from one end to the other."""
    if most is None or len(rows) <= most:
        return rows
    return [rows[place] for place in np.linspace(0, len(rows) - 1, most).round().astype(int).tolist()]


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


def _sentence(
    design: Design, one: float | None, two: float | None, simulated: Simulated | None, *, two_sided: bool
) -> str:
    """The answer: the bias of the test that is meant first, then that of the other one."""
    found, other = (two, one) if two_sided else (one, two)
    name, of_other = ("two-sided", "one-sided") if two_sided else ("one-sided", "two-sided")
    shape = (
        f"With {design.n_queries:,} queries of {design.k:.4g} results, {design.q:.0%} of the queries in the first group, an "
        f"attribute share of {design.pi:.0%}, intra-list correlation {design.icc:.2g} and alpha {design.alpha:g}, "
    )
    if found is None:
        by = " by a two-sided test" if two_sided else ""
        return shape + f"no bias of the injection model is detected with probability {design.power:g}{by}."
    said = (
        shape + f"a bias that fills {found:.1%} of slots from the query's own group is detected with probability "
        f"{design.power:g} by a {name} test"
    )
    if simulated is not None:
        said += f" (simulated: {simulated.power:.2f}, 95% interval {simulated.low:.2f} to {simulated.high:.2f})"
    said += f"; a {of_other} test needs {other:.1%}" if other is not None else f"; a {of_other} test detects none"
    return said + "."


def _notes(design: Design, found: float | None, simulated: Simulated | None, *, two_sided: bool) -> tuple[str, ...]:
    notes = []
    fewest = design.n_queries * min(design.q, 1 - design.q)
    if fewest < _FEW_QUERIES:
        notes.append(
            f"The smaller group has {fewest:.3g} queries: formulas are rough under {_FEW_QUERIES}; go by simulation."
        )
    there = None if found is None else power_under_bias(design, found, two_sided=two_sided)
    if there is not None and abs(there - design.power) > _ASTRAY:
        refined = refined_bias(design, two_sided=two_sided)
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
