"""How large a bias a test of this size would detect, by formula.

In the injection model (see `power_simulation`) the risk difference between the two query groups is beta, and the mean
share of a list varies by pi (1 - pi) deff / K with deff = 1 + (K - 1) ICC [1]. Hence, one-sided,

    beta* = (z_{1-alpha} + z_power) sqrt(deff pi (1 - pi) / (Q K q (1 - q))),

and with z_{1-alpha/2} in place of z_{1-alpha} for a two-sided test, which is what the audit reports beside its p-values.
If every item of a catalog of N is a query, then Q = N and q = pi, and with ICC = 0 this is (z + z) / sqrt(N K): the
trade-off of detectable bias against catalog size (after the question of Khaziev et al. [2]; the formula is ours).

The formula takes variances as they are without bias, which holds for small biases, hence for many queries.
`power_under_bias` takes them as they are with it.

References
----------
[1] L. Kish, Survey Sampling (1965), section 5.4: the design effect.
[2] V. Khaziev, E. Casavant, P. Washabaugh, A. Winecoff, M. Graham, "Recommendation or discrimination?: quantifying
    distribution parity in information retrieval systems" (2019), arXiv:1909.06429 (abstract).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal

import numpy as np

from auditor.audits.parity.power_simulation import slot_probabilities
from auditor.errors import InputError

XName = Literal["n_items", "n_queries", "k", "q", "pi", "icc", "beta"]
#: What each curve varies, in words.
X_TITLES: dict[XName, str] = {
    "n_items": "Items of the catalog, every one a query",
    "n_queries": "Queries",
    "k": "Results per query",
    "q": "Share of queries in the first group",
    "pi": "Share of the attribute among items",
    "icc": "Intra-list correlation",
    "beta": "Bias: share of slots filled from the query's own group",
}


@dataclass(frozen=True)
class Design:
    """A planned audit with two query groups.

    Attributes
    ----------
    n_queries : int
        Q, at least 2.
    k : float
        Results of each query that count, at least 1; the harmonic mean where lists differ.
    q : float
        Share of queries in the first group, between 0 and 1.
    pi : float
        Share of the first group's attribute among items, between 0 and 1.
    icc : float
        Intra-list correlation of the attribute, 0 to 1: how far results of one query resemble each other beyond chance.
    alpha : float
        Level of the test.
    power : float
        Probability with which the bias is to be detected.
    """

    n_queries: int
    k: float
    q: float = 0.5
    pi: float = 0.5
    icc: float = 0.0
    alpha: float = 0.05
    power: float = 0.8

    def __post_init__(self) -> None:
        def bounded(name: str, value: float, says: str, holds: bool) -> None:
            if not holds:
                raise InputError(f"{says}", column=name, value=value, fix="Give another value.")

        bounded("n_queries", self.n_queries, "the number of queries is at least 2", self.n_queries >= 2)
        bounded("k", self.k, "the number of results per query is at least 1", 1 <= self.k < math.inf)
        bounded("q", self.q, "the share of the first group lies between 0 and 1", 0 < self.q < 1)
        bounded("pi", self.pi, "the share of the attribute lies between 0 and 1", 0 < self.pi < 1)
        bounded("icc", self.icc, "the intra-list correlation is at least 0 and at most 1", 0 <= self.icc <= 1)
        bounded("alpha", self.alpha, "alpha lies between 0 and 0.5", 0 < self.alpha <= 0.5)
        bounded("power", self.power, "the power lies between alpha and 1", self.alpha < self.power < 1)

    @property
    def design_effect(self) -> float:
        """1 + (K - 1) ICC: how many slots of a list tell as much as one on its own."""
        return 1 + (self.k - 1) * self.icc

    @property
    def standard_error(self) -> float:
        """Of the risk difference between the two groups, if there is no bias."""
        return math.sqrt(
            self.design_effect * self.pi * (1 - self.pi) / (self.n_queries * self.k * self.q * (1 - self.q))
        )


@dataclass(frozen=True)
class PowerRow:
    """A point of a curve; None where it is not defined.

    Attributes
    ----------
    x_name : str
        What varies, a key of `X_TITLES`.
    x : float
    detectable : float or None
        Bias that is detected with the power in `power`; None along "beta", or where even a bias of 1 would be missed.
    kind : {"formula", "simulation"}
    power : float
        Power asked for; along "beta" the power at that bias.
    """

    x_name: XName
    x: float
    detectable: float | None
    kind: Literal["formula", "simulation"]
    power: float


def detectable_bias(
    *,
    n_queries: int,
    k: float,
    q: float = 0.5,
    pi: float = 0.5,
    icc: float = 0.0,
    alpha: float = 0.05,
    power: float = 0.8,
    two_sided: bool = False,
) -> float:
    """The bias beta* that a test detects with the power asked for, by the formula above.

    Parameters
    ----------
    n_queries, k, q, pi, icc, alpha, power
        As in `Design`.
    two_sided : bool
        Whether the test is two-sided, as the audit's own.

    Returns
    -------
    float
        A share of slots. Above 1 no bias is detected with that power.

    Raises
    ------
    InputError
        If a number is out of its bounds.
    """
    return detectable(Design(n_queries, k, q, pi, icc, alpha, power), two_sided=two_sided)


def power_at(design: Design, beta: float, *, two_sided: bool = False) -> float:
    """Power at a bias beta, by the formula: Phi(beta / se - z)."""
    z = critical(design, two_sided=two_sided)
    return NormalDist().cdf(beta / design.standard_error - z)


def power_under_bias(design: Design, beta: float, *, two_sided: bool = False) -> float:
    """Power at a bias beta with variances as they are under that bias (ours; normal approximation).

    With v_g the variance of a list's share in group g, the permutations spread by
    s_0^2 = (q v_1 + (1 - q) v_2 + q (1 - q) beta^2) / ((Q - 1) q (1 - q)), since they mix the two groups, and the observed
    difference by s_1^2 = v_1 / (q Q) + v_2 / ((1 - q) Q): power is Phi((beta - z s_0) / s_1).
    """
    v_1, v_2 = (p * (1 - p) * design.design_effect / design.k for p in slot_probabilities(design.pi, beta))
    q, n = design.q, design.n_queries
    s_0 = math.sqrt((q * v_1 + (1 - q) * v_2 + q * (1 - q) * beta**2) / ((n - 1) * q * (1 - q)))
    s_1 = math.sqrt(v_1 / (q * n) + v_2 / ((1 - q) * n))
    distance = beta - critical(design, two_sided=two_sided) * s_0
    return NormalDist().cdf(distance / s_1) if s_1 > 0 else float(distance > 0)


def refined_bias(design: Design, *, two_sided: bool = False) -> float | None:
    """The bias at which `power_under_bias` is as asked for, found by halving; None if a bias of 1 is not enough."""
    low, high = 0.0, 1.0
    if power_under_bias(design, high, two_sided=two_sided) < design.power:
        return None
    while high - low > 1e-9:
        middle = (low + high) / 2
        enough = power_under_bias(design, middle, two_sided=two_sided) >= design.power
        low, high = (low, middle) if enough else (middle, high)
    return high


def queries_needed(design: Design, beta: float, *, two_sided: bool = False) -> int:
    """Queries with which a bias beta is detected, by the formula; all else as in the design.

    Raises
    ------
    InputError
        If beta does not lie between 0 and 1.
    """
    if not 0 < beta <= 1:
        raise InputError("the bias is above 0 and at most 1", column="beta", value=beta, fix="Give another value.")
    one = detectable(design, two_sided=two_sided) * math.sqrt(design.n_queries)
    return max(2, math.ceil((one / beta) ** 2 - 1e-9))


def curve(
    design: Design, x_name: XName, xs: Sequence[float] | None = None, *, two_sided: bool = False
) -> list[PowerRow]:
    """Detectable bias (formula) while one number of the design varies; along "beta" the power.

    Parameters
    ----------
    design : Design
        What stays as it is.
    x_name : str
        Key of `X_TITLES`. "n_items": a catalog in which every item is a query, so that Q = N and q = pi.
    xs : sequence of float, optional
        Where to compute; a sensible range around the design if not given.
    two_sided : bool
        Whether the test is, as the audit's own; else one-sided.
    """
    points = default_range(design, x_name, two_sided=two_sided) if xs is None else xs
    rows = []
    for x in points:
        if x_name == "beta":
            rows.append(PowerRow(x_name, float(x), None, "formula", power_at(design, x, two_sided=two_sided)))
        else:
            found = within_one(detectable(varied(design, x_name, x), two_sided=two_sided))
            rows.append(PowerRow(x_name, float(x), found, "formula", design.power))
    return rows


def varied(design: Design, x_name: XName, x: float) -> Design:
    """The design with one number changed."""
    if x_name == "n_items":
        return replace(design, n_queries=round(x), q=design.pi)
    if x_name == "n_queries":
        return replace(design, n_queries=round(x))
    if x_name == "k":
        return replace(design, k=x)
    if x_name == "q":
        return replace(design, q=x)
    if x_name == "pi":
        return replace(design, pi=x)
    if x_name == "icc":
        return replace(design, icc=x)
    raise InputError("no such number of a design", column="x_name", value=x_name, fix=f"One of {', '.join(X_TITLES)}.")


def default_range(design: Design, x_name: XName, *, two_sided: bool = False) -> list[float]:
    """Values of x for a curve: ratios of 2 around counts, the whole range for shares."""
    if x_name == "n_items":
        return [100.0, 300.0, 1_000.0, 3_000.0, 10_000.0, 30_000.0, 100_000.0, 1_000_000.0]
    if x_name == "n_queries":
        return sorted({float(max(4, round(design.n_queries * 2.0**i))) for i in range(-3, 5)})
    if x_name == "k":
        return [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0]
    if x_name in {"q", "pi"}:
        return [0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98]
    if x_name == "icc":
        return [0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5]
    top = min(1.0, 2 * detectable(design, two_sided=two_sided))
    return [float(beta) for beta in np.linspace(0, top, 21)]


def detectable(design: Design, *, two_sided: bool) -> float:
    """As `detectable_bias`, of a design."""
    return (critical(design, two_sided=two_sided) + NormalDist().inv_cdf(design.power)) * design.standard_error


def critical(design: Design, *, two_sided: bool) -> float:
    """Normal quantile beyond which the test rejects."""
    return NormalDist().inv_cdf(1 - (design.alpha / 2 if two_sided else design.alpha))


def within_one(beta: float) -> float | None:
    """The bias, or None where even a bias of 1 would be missed."""
    return beta if beta <= 1 else None
