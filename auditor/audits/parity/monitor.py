"""Monitoring: the same audit repeated over time, with evidence that may be looked at daily.

Only fresh queries are evidence. In order of arrival, the next fresh query of every group within a batch (and stratum)
forms a set; its differences in the share of each level lie between -1 and 1 and have mean 0, given what came before, if
results do not depend on the group. Against target shares the deviation of each fresh query takes their place. These
differences feed betting e-processes (`auditor.stats.e_process`): the evidence is the average over levels and pairs of
groups, and reaches 1 / alpha, ever, with probability at most alpha.

On an ordinal scale half of the weight lies on the mean level and half on the levels; degrees are taken within declared
bounds, -90 to 90 unless told, as a share of that range: narrower bounds, declared beforehand, see more. Queries left
without a partner at the end of a batch are not carried over unless asked for: partners from different days would take a
change that hits both groups alike, such as a new catalog, for a disparity. These choices are ours.

The same query audited again is a version of it, never new evidence: its list is nearly the same, and counting it again
would raise alarms about chance of the first draw.

References
----------
[1] I. Waudby-Smith, A. Ramdas, Journal of the Royal Statistical Society B 86 (2024) 1-27: betting on bounded means.
[2] G. Shafer, Journal of the Royal Statistical Society A 184 (2021) 407-431: betting scores as evidence.
[3] J. Ville, "Etude critique de la notion de collectif" (1939): the bound at every time.
"""

import math
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from auditor.audits.parity.data import MISSING, Lists, Results, Scale
from auditor.audits.parity.monitor_evidence import Evidence, Version, several_attributes
from auditor.errors import InputError
from auditor.stats.e_process import first_alarm, log_average, log_e_process

__all__ = ["ITA_BOUNDS", "Batch", "Evidence", "Monitor", "Version", "batch_of", "several_attributes"]

#: Degrees that the individual typology angle can take.
ITA_BOUNDS = (-90.0, 90.0)


@dataclass(frozen=True)
class Batch:
    """Queries that were audited on one day, in order of arrival.

    Attributes
    ----------
    date : str
        ISO 8601 date or time.
    query_ids : tuple of n str
    groups : tuple of n str or None
        Group of each query by name; None where it has none.
    shares : ndarray of float64, shape (n, n_levels)
        Share of each level in the query's list; rows sum to 1.
    values : ndarray of float64, shape (n,), or None
        Mean degrees of the list, on an ITA scale.
    strata : tuple of n str
        Stratum of each query; empty where there are none.
    target : ndarray of float64, shape (n, n_levels), or None
        Target shares of each query, where the monitor compares with a target.
    """

    date: str
    query_ids: tuple[str, ...]
    groups: tuple[str | None, ...]
    shares: NDArray[np.float64]
    values: NDArray[np.float64] | None = None
    strata: tuple[str, ...] = ()
    target: NDArray[np.float64] | None = None


@dataclass
class _Known:
    date: str
    shares: NDArray[np.float64]
    value: float | None


class Monitor:
    """Takes batches in order of time and keeps the evidence.

    Parameters
    ----------
    scale : Scale
        Scale of the attribute.
    group_names : sequence of str
        The groups that are compared, at least two; empty to compare with a target.
    alpha : float
        Probability of a false alarm over the whole time.
    bounds : pair of float
        Least and largest mean degrees of a list, declared beforehand; for an ITA scale.
    target_mean : float, optional
        Target in degrees, to compare with a target on an ITA scale.
    carry : bool
        Whether queries without a partner wait for later batches. Only where nothing but the group can change over time.

    Raises
    ------
    InputError
        If the settings do not fit each other.
    """

    def __init__(
        self,
        scale: Scale,
        group_names: Sequence[str] = (),
        *,
        alpha: float = 0.05,
        bounds: tuple[float, float] = ITA_BOUNDS,
        target_mean: float | None = None,
        carry: bool = False,
    ) -> None:
        if len(group_names) == 1 or len(set(group_names)) != len(group_names):
            raise InputError("a monitor compares at least two groups, each named once", value=tuple(group_names))
        if not 0 < alpha < 1:
            raise InputError("alpha lies between 0 and 1", value=alpha, fix="Give another value.")
        if not (math.isfinite(bounds[0]) and math.isfinite(bounds[1]) and bounds[0] < bounds[1]):
            raise InputError("the bounds in degrees ascend", value=bounds, fix="Give the least value first.")
        if scale.kind == "ita" and not group_names and target_mean is None:
            raise InputError("a target in degrees is missing", fix="Give target_mean, or the groups to compare.")
        if target_mean is not None and not bounds[0] <= target_mean <= bounds[1]:
            raise InputError("the target lies outside the bounds", value=target_mean, fix="Give wider bounds.")
        self.scale, self.group_names = scale, tuple(group_names)
        self.alpha, self.bounds, self.target_mean, self.carry = alpha, bounds, target_mean, carry
        self._known: dict[str, _Known] = {}
        self._observations: list[NDArray[np.float64]] = []
        self._dates: list[str] = []
        self._batches: list[tuple[str, int]] = []
        self._versions: list[Version] = []
        self._waiting: dict[str, dict[str, deque[NDArray[np.float64]]]] = defaultdict(self._no_one_waiting)
        self._n_unpaired = self._n_without_group = 0

    def add(self, batch: Batch) -> Evidence:
        """Take a batch, no earlier than the one before, and say where the evidence stands.

        Raises
        ------
        InputError
            If the batch is earlier than the last one, its arrays do not fit, or a value lies outside the declared bounds.
        """
        scores = self._scores(batch)
        now = _instant(batch.date)
        if self._batches and now < _instant(self._batches[-1][0]):
            raise InputError(
                "batches come in order of time", column="date", value=batch.date, fix="Add earlier batches first."
            )
        for i, query_id in enumerate(batch.query_ids):
            value = None if batch.values is None else float(batch.values[i])
            known = self._known.get(query_id)
            self._known[query_id] = _Known(batch.date, batch.shares[i], value)
            if known is not None:
                change = _change(known, self._known[query_id])
                self._versions.append(Version(query_id, batch.date, known.date, change))
            elif not self.group_names:
                self._observe(batch.date, scores[i])
            else:
                self._pair(batch.date, batch.groups[i], batch.strata[i] if batch.strata else "", scores[i])
        if not self.carry:
            self._n_unpaired += self._n_waiting()
            self._waiting.clear()
        self._batches.append((batch.date, len(self._observations)))
        return self.evidence()

    def evidence(self) -> Evidence:
        """Where the evidence stands now; may be asked as often as one likes."""
        log_e = np.zeros(0)
        if self._observations:
            components = np.stack(self._observations, axis=-1)
            log_e = log_average(log_e_process(components), self._weights())
        alarm = first_alarm(log_e, self.alpha)
        return Evidence(
            against="groups" if self.group_names else "target",
            alpha=self.alpha,
            dates=tuple(self._dates),
            log_e=log_e,
            batch_dates=tuple(date for date, _ in self._batches),
            batch_n=tuple(n for _, n in self._batches),
            alarm_date=None if alarm is None else self._dates[alarm],
            n_fresh=len(self._known),
            n_unpaired=self._n_unpaired + self._n_waiting(),
            n_without_group=self._n_without_group,
            versions=tuple(self._versions),
        )

    def _no_one_waiting(self) -> dict[str, deque[NDArray[np.float64]]]:
        return {name: deque() for name in self.group_names}

    def _n_waiting(self) -> int:
        return sum(len(queue) for queues in self._waiting.values() for queue in queues.values())

    def _pair(self, date: str, group: str | None, stratum: str, score: NDArray[np.float64]) -> None:
        if group is None or group not in self.group_names:
            self._n_without_group += 1
            return
        queues = self._waiting[stratum]
        queues[group].append(score)
        if all(queues.values()):
            together = [queues[name].popleft() for name in self.group_names]
            self._observe(date, np.concatenate([a - b for a, b in combinations(together, 2)]))

    def _observe(self, date: str, components: NDArray[np.float64]) -> None:
        self._observations.append(components)
        self._dates.append(date)

    def _scores(self, batch: Batch) -> NDArray[np.float64]:
        """What is compared of each query, shape (n, components): each from 0 to 1, or its deviation from the target."""
        n, n_levels = len(batch.query_ids), len(self.scale.levels)
        fits = batch.shares.shape == (n, n_levels) and len(batch.groups) == n and len(batch.strata) in {0, n}
        if not fits or (batch.values is not None and batch.values.shape != (n,)):
            raise InputError(
                "the parts of a batch differ in length, or its levels from the monitor's", value=batch.date
            )
        if not (
            np.isfinite(batch.shares).all() and np.allclose(batch.shares.sum(axis=1), 1) and (batch.shares >= 0).all()
        ):
            raise InputError("shares of the levels are not negative and sum to 1", value=batch.date)
        if self.scale.kind == "ita":
            return self._degrees(batch)
        scores = self._levels(batch.shares)
        if not self.group_names:
            if batch.target is None or batch.target.shape != (n, n_levels):
                raise InputError("target shares of every query are missing", value=batch.date)
            scores -= self._levels(batch.target)
        return scores

    def _degrees(self, batch: Batch) -> NDArray[np.float64]:
        low, high = self.bounds
        values = batch.values
        if values is None:
            raise InputError("mean degrees of every query are missing", value=batch.date)
        outside = ~((values >= low) & (values <= high))
        if outside.any():
            place = int(np.argmax(outside))
            raise InputError(
                f"the mean of query {batch.query_ids[place]!r} lies outside the declared bounds of {low:g} to {high:g} degrees",
                row=place + 1,
                value=float(values[place]),
                fix="Bounds are declared before the first batch; start a monitor with wider ones.",
            )
        start = low if self.target_mean is None or self.group_names else self.target_mean
        return ((values - start) / (high - low))[:, None]

    def _levels(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        n_levels = shares.shape[1]
        if n_levels == 2:  # the other share is its complement
            return shares[:, 1:].copy()
        if self.scale.kind == "ordinal" and n_levels > 1:
            mean = shares @ (np.arange(n_levels) / (n_levels - 1))
            return np.hstack([mean[:, None], shares])
        return shares.copy()

    def _weights(self) -> NDArray[np.float64]:
        n = len(self._observations[0])
        pairs = math.comb(len(self.group_names), 2) if self.group_names else 1
        of_pair = n // pairs
        one = np.full(of_pair, 1 / of_pair)
        if self.scale.kind == "ordinal" and of_pair > 1:
            one = np.append(0.5, np.full(of_pair - 1, 0.5 / (of_pair - 1)))
        return np.tile(one, pairs) / pairs


def batch_of(date: str, results: Results, lists: Lists, query_group: NDArray[np.int16] | None = None) -> Batch:
    """The batch of an audit's lists.

    Parameters
    ----------
    date : str
        ISO 8601 date or time of the audit.
    results : Results
    lists : Lists
        Of the monitored attribute.
    query_group : ndarray of int16, shape (Q,), optional
        Group of each query; those of the results if not given.
    """
    group = (results.query_group if query_group is None else query_group)[lists.queries]
    stratum = results.query_stratum[lists.queries]
    return Batch(
        date=date,
        query_ids=tuple(results.query_ids[query] for query in lists.queries),
        groups=tuple(results.group_names[g] if g != MISSING else None for g in group),
        shares=lists.shares,
        values=lists.values,
        strata=tuple(results.stratum_names[s] for s in stratum) if len(results.stratum_names) > 1 else (),
        target=None if results.shares is None else results.shares[lists.queries],
    )


def _change(before: _Known, now: _Known) -> float:
    if before.value is not None and now.value is not None:
        return now.value - before.value
    return float(np.abs(now.shares - before.shares).sum() / 2)


def _instant(date: str) -> datetime:
    try:
        found = datetime.fromisoformat(date)
    except ValueError:
        raise InputError(
            "no date that can be read", column="date", value=date, fix="Write it as 2026-11-25 or 2026-11-25T09:00."
        ) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found
