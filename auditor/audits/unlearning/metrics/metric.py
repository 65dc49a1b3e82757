"""A metric with its interval, or the reason why there is none."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from auditor.stats.bootstrap import FEW_GROUPS, mean_interval

#: Coverage of every interval.
CONFIDENCE = 0.95


class Metric(BaseModel):
    """One figure of a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float | None = None
    low: float | None = Field(default=None, description="Bounds of a 95% bootstrap interval over examples.")
    high: float | None = None
    n: int = Field(default=0, ge=0, description="Examples behind it.")
    unavailable: str = Field(default="", description="Why there is no value, as a sentence.")
    note: str = Field(default="", description="What to know when reading it, as a sentence.")

    @model_validator(mode="after")
    def _value_or_reason(self) -> "Metric":
        if (self.value is None) != bool(self.unavailable):
            raise ValueError("a metric has a value, or a reason why it has none")
        return self


def unavailable(why: str) -> Metric:
    """A metric that cannot be computed, with the reason as a sentence."""
    return Metric(unavailable=why)


def mean(
    values: Sequence[float] | NDArray[np.float64],
    *,
    seed: int,
    empty: str,
    groups: Sequence[str] | None = None,
) -> Metric:
    """Mean over examples; those without the figure are nan and are left out.

    Parameters
    ----------
    values : sequence of float
    seed : int
        Of the bootstrap.
    empty : str
        Why there is no value, if there is none.
    groups : sequence of str, optional
        Values of one group are of one example: they are drawn together and counted once. Each is its own if not given.
    """
    given = np.asarray(values, np.float64)
    there = np.flatnonzero(~np.isnan(given)).tolist()
    if not there:
        return unavailable(empty)
    kept = [groups[place] for place in there] if groups is not None else None
    found = mean_interval(given[there], kept, confidence=CONFIDENCE, seed=seed)
    note = _caveat(found.low, found.high, found.clusters)
    return Metric(value=found.mean, low=found.low, high=found.high, n=found.clusters, note=note)


def of_draws(value: float, draws: NDArray[np.float64], n: int, *, fewest: int, note: str = "") -> Metric:
    """A figure with the percentiles of its bootstrap draws; no interval where most draws have no value.

    Parameters
    ----------
    fewest : int
        Examples of the smallest set that was drawn from.
    """
    known = draws[np.isfinite(draws)]
    if 2 * known.size < draws.size or not known.size:
        return Metric(value=value, n=n, note=note)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    told = " ".join(filter(None, (note, _caveat(low, high, fewest))))
    return Metric(value=value, low=float(low), high=float(high), n=n, note=told)


def _caveat(low: float | None, high: float | None, n: int) -> str:
    """What an interval does not say."""
    if low is not None and low == high:
        return "No draw differs from another: the interval says nothing about other examples."
    return f"With fewer than {FEW_GROUPS} examples the interval is too narrow." if n < FEW_GROUPS else ""
