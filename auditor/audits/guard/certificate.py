"""Which threshold is certified, on which queries, and under which demonstrations.

Under the mixture a query counts with both its prompts, the correct and the corrupted one, in the declared shares: that has
the same mean as drawing one of them and less noise. The binomial tail needs losses of 0 and 1, so there one is drawn.

Queries of one group stand or fall together. Then the unit is the group, with l = epsilon + sum over its queries of
(loss - epsilon) / m and m the largest group there can be: l lies between -1 and 1, and its mean exceeds epsilon exactly where
the mean loss of a query does. No data can tell m, since a rare large group may be missing among them: it is declared, or
else the guarantee is for queries that come in groups of at most the size of the largest one here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.audits.guard.answers import Answers
from auditor.audits.guard.attacks import generator
from auditor.audits.guard.conditions import CORRECT
from auditor.audits.guard.pools import mixed
from auditor.audits.guard.spec import GuardSpec
from auditor.errors import InputError
from auditor.stats.losses import Transform
from auditor.stats.risk_control import Certificate, Select, certify_every

MIXTURE = "mixture"
#: Shares of a query's prompts: condition -> ndarray of shape (n,); over the conditions they sum to 1.
Shares = Mapping[str, NDArray[np.float64]]


def shares(spec: GuardSpec, query_ids: Sequence[str], share: float, *, seed: int) -> Shares:
    """How much a query's correct and corrupted prompts count in a mixture.

    Parameters
    ----------
    share : float
        Of queries whose demonstrations are corrupted.
    """
    if spec.p_value == "binomial":
        corrupted = mixed(query_ids, share, seed=seed).astype(np.float64)
    else:
        corrupted = np.full(len(query_ids), share)
    return {CORRECT: 1 - corrupted, spec.conditions[0]: corrupted}


def unit_losses(
    losses: NDArray[np.float64], unit: NDArray[np.int64], epsilon: float, *, largest: int
) -> NDArray[np.float64]:
    """Losses of groups from those of their queries; the same losses where every query is its own group.

    Parameters
    ----------
    losses : ndarray of shape (n_lambdas, n)
    unit : ndarray of int64, shape (n,)
        Number of the group of each query, any numbers.
    epsilon : float
        Risk allowed.
    largest : int
        Queries in the largest group there can be.

    Returns
    -------
    ndarray of shape (n_lambdas, n_units)
        In the order in which the groups first stand.
    """
    if largest == 1:
        return losses
    _, first, inverse = np.unique(unit, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    member = np.zeros((len(unit), len(first)))
    member[np.arange(len(unit)), order[inverse]] = 1
    found: NDArray[np.float64] = epsilon + (losses - epsilon) @ member / largest
    return np.clip(found, -1.0, 1.0)


@dataclass(frozen=True, eq=False)
class Certifier:
    """Certifies thresholds on any part of the queries.

    Attributes
    ----------
    spec : GuardSpec
    answers : Answers
    unit : ndarray of int64, shape (n,)
        Group of each query.
    mix : Shares
        The mixture that the guarantee is about.
    seed : int
        Of the order in which bets are placed.
    """

    spec: GuardSpec
    answers: Answers
    unit: NDArray[np.int64]
    mix: Shares
    seed: int

    @property
    def delta(self) -> float:
        """Level of one certificate: delta over the number of settings tried."""
        return self.spec.delta / self.spec.options_tried

    @property
    def largest(self) -> int:
        """Queries in the largest group there can be, as far as the guarantee goes."""
        return self.spec.largest_group or self.largest_here

    @property
    def largest_here(self) -> int:
        """Queries in the largest group of the file."""
        return int(np.bincount(self.unit).max())

    @property
    def covered(self) -> tuple[str, ...]:
        """Conditions that the guarantee is about: the mixture, or each one by itself."""
        return (MIXTURE,) if self.spec.cover == "mixture" else tuple(self.answers.by_condition)

    def losses(self, condition: str, transform: Transform = "scale") -> NDArray[np.float64]:
        """Losses of every query at every threshold, shape (n_lambdas, n); without the gains where they are clipped."""
        found = {name: under.losses for name, under in self.answers.by_condition.items()}
        if transform == "clip":
            found = {name: np.maximum(losses, 0.0) for name, losses in found.items()}
        if condition != MIXTURE:
            return found[condition]
        mixture: NDArray[np.float64] = sum(
            (share * found[name] for name, share in self.mix.items()), np.zeros_like(found[CORRECT])
        )
        return mixture

    def check(self) -> None:
        """Refuse what no theorem covers.

        Raises
        ------
        InputError
            If a group is larger than was declared, or the binomial tail is asked for and queries come in groups.
        """
        if self.largest_here > self.largest:
            raise InputError(
                f"A group has {self.largest_here:,} queries, more than “Largest group” allows",
                value=self.largest,
                fix="Give a bound that holds for every group, here and in service, or split the group.",
            )
        if self.spec.p_value == "binomial" and self.largest > 1:
            raise InputError(
                "Queries of one group are not independent, and the binomial tail needs that they are",
                column="p_value",
                value="binomial",
                fix="Choose wsr or hb, which take each group as one.",
            )

    def certify(
        self,
        places: NDArray[np.int64],
        *,
        epsilon: float | None = None,
        select: Select | None = None,
        conditions: Sequence[str] | None = None,
    ) -> Certificate:
        """Certify on some queries.

        Parameters
        ----------
        places : ndarray of int64, shape (m,)
            Of the queries.
        epsilon, select : optional
            Other ones than the spec's.
        conditions : sequence of str, optional
            Other ones than those covered.
        """
        spec, level = self.spec, self.spec.epsilon if epsilon is None else epsilon
        tables = []
        for condition in conditions or self.covered:
            of_queries = self.losses(condition, spec.transform)[:, places]
            of_units = unit_losses(of_queries, self.unit[places], level, largest=self.largest)
            # Larger groups stand earlier as a rule, and may be worse: the order of betting is drawn anew.
            order = generator(self.seed, "order of betting").permutation(of_units.shape[1])
            tables.append(of_units[:, order])
        return certify_every(
            tables,
            self.answers.lambdas.tolist(),
            epsilon=level,
            delta=self.delta,
            transform=spec.transform,
            p_value=spec.p_value,
            select=select or spec.select,
        )
