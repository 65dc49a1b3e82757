"""What a monitor says: evidence over time, versions of known queries, several attributes at once.

References
----------
[1] R. Wang, A. Ramdas, "False discovery rate control with e-values", Journal of the Royal Statistical Society B 84 (2022)
    822-852: e-BH.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.stats.e_process import anytime_p_value
from auditor.stats.multiplicity import e_bh

#: Logarithm above which an e-value is shown as its largest printable value.
_MOST_LOG = 700.0


@dataclass(frozen=True)
class Version:
    """A query that was audited again.

    Attributes
    ----------
    query_id : str
    date, previous : str
        Dates of this audit and the one before.
    change : float
        Half the sum of the absolute changes of the shares (total variation, 0 to 1); on an ITA scale the change in
        degrees, signed.
    """

    query_id: str
    date: str
    previous: str
    change: float


@dataclass(frozen=True)
class Evidence:
    """Where the monitor stands.

    Attributes
    ----------
    against : {"groups", "target"}
        What lists are compared with.
    alpha : float
        Probability of a false alarm over the whole time.
    dates : tuple of n str
        Date of each observation: a set of one fresh query of every group, or one fresh query against its target.
    log_e : ndarray of float64, shape (n,)
        Logarithm of the e-value after each.
    batch_dates : tuple of str
        Every batch.
    batch_n : tuple of int
        Observations up to and with each batch.
    alarm_date : str or None
        When 1 / alpha was first reached; an alarm stays.
    n_fresh, n_unpaired, n_without_group : int
        Fresh queries; those among them that found no partner; those without a group.
    versions : tuple of Version
    question : str
        What the evidence is about, in words; empty where nobody said.
    """

    against: str
    alpha: float
    dates: tuple[str, ...]
    log_e: NDArray[np.float64]
    batch_dates: tuple[str, ...]
    batch_n: tuple[int, ...]
    alarm_date: str | None
    n_fresh: int
    n_unpaired: int
    n_without_group: int
    versions: tuple[Version, ...]
    question: str = ""

    @property
    def n(self) -> int:
        """Observations."""
        return len(self.dates)

    @property
    def e_value(self) -> float:
        """Evidence now; 1 before the first observation."""
        return _e(self.log_e[-1]) if self.n else 1.0

    @property
    def threshold(self) -> float:
        """1 / alpha, where the alarm is raised."""
        return 1 / self.alpha

    @property
    def p_value(self) -> float:
        """Anytime-valid: 1 over the largest evidence so far, at most 1."""
        return float(anytime_p_value(self.log_e)[-1]) if self.n else 1.0

    @property
    def e_values(self) -> NDArray[np.float64]:
        """Evidence after each observation, shape (n,)."""
        return np.exp(np.minimum(self.log_e, _MOST_LOG))

    def rows(self) -> list[dict[str, object]]:
        """A row for each batch: date, observations so far, evidence at its end and its largest value so far."""
        highest = np.maximum.accumulate(self.log_e) if self.n else self.log_e
        return [
            {
                "date": date,
                "n": n,
                "e_value": _e(self.log_e[n - 1]) if n else 1.0,
                "largest_e_value": _e(max(highest[n - 1], 0.0)) if n else 1.0,
            }
            for date, n in zip(self.batch_dates, self.batch_n, strict=True)
        ]

    @property
    def sentence(self) -> str:
        """The state in words."""
        unit = "sets of fresh queries" if self.against == "groups" else "fresh queries"
        said = f"{self.question}: after" if self.question else "After"
        said += f" {self.n:,} {unit} the evidence against parity is {self.e_value:.3g}; "
        if self.alarm_date is not None:
            said += f"it first reached the alarm at {self.threshold:.4g} on {self.alarm_date}: disparity detected."
        else:
            said += f"an alarm needs {self.threshold:.4g}. Little evidence against parity is not evidence for it."
        if self.versions:
            changed = sum(abs(version.change) > 1e-9 for version in self.versions)
            said += f" {len(self.versions):,} audits of known queries are versions, not evidence; {changed:,} of them changed."
        return said


def several_attributes(evidence: Mapping[str, Evidence], *, alpha: float) -> dict[str, bool]:
    """For which attributes disparity is found, with false discovery rate at most alpha at any time one looks (e-BH [1]).

    Other questions may take the place of attributes. Works on the evidence as it stands now; its largest value so far is no
    e-value.
    """
    names = list(evidence)
    found = e_bh(np.array([evidence[name].e_value for name in names]), alpha)
    return {name: bool(rejected) for name, rejected in zip(names, found, strict=True)}


def _e(log_e: float) -> float:
    return math.exp(min(float(log_e), _MOST_LOG))
