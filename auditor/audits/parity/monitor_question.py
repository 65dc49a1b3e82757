"""What a finished run asks: the question that runs must share before their queries are evidence together.

The same attribute on the same scale, the same groups, K, weights, strata and target.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from auditor.audits import FinishedRun
from auditor.audits.parity.data import Scale, ScaleKind
from auditor.audits.parity.findings import ParityFindings
from auditor.audits.parity.monitor import Batch
from auditor.audits.parity.subject import ALL
from auditor.errors import printable

#: Modes in which queries are what is drawn, so that fresh ones are fresh evidence.
FOLLOWED = ("B", "C2")
#: Decimals to which targets are the same.
_DECIMALS = 6
#: Names that are listed in a question's words; more are counted.
_MOST_NAMES = 6


@dataclass(frozen=True)
class Question:
    """What runs that are followed together have in common.

    Attributes
    ----------
    kind, levels
        Of the scale that is followed.
    groups : tuple of str
        The query groups that are compared; empty against a target.
    target : tuple of float
        Shares of the levels, or the mean in degrees; empty between groups, and where each query has shares of its own.
    """

    attribute: str
    kind: ScaleKind
    levels: tuple[str, ...]
    mode: str
    groups: tuple[str, ...]
    k: int | None
    weights: str
    strata: tuple[str, ...]
    target: tuple[float, ...]

    @property
    def title(self) -> str:
        """The question in words, on one line."""
        scale = "degrees" if self.kind == "ita" else f"{self.kind}: {_listed(self.levels, 'levels')}"
        parts = [f"{_shown(self.attribute)} ({scale})", self._compared]
        parts.append("all results" if self.k is None else f"first {self.k:,} result{'s' * (self.k > 1)}")
        parts += ["weighted by rank"] if self.weights == "rank" else []
        parts += [f"within strata of {_listed(self.strata, 'columns')}"] if self.strata else []
        return ", ".join(parts)

    @property
    def _compared(self) -> str:
        if self.groups:
            return f"between {_listed(self.groups, 'groups')}"
        if self.kind == "ita":
            return f"against a mean of {self.target[0]:g} degrees"
        if not self.target:
            return "against the shares of each query"
        shares = [
            f"{_shown(level)} {100 * share:.4g}%"
            for level, share in zip(self.levels, self.target, strict=True)
            if share
        ]
        return f"against shares of {', '.join(shares)}"

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and texts."""
        return {
            "attribute": self.attribute,
            "scale": self.kind,
            "levels": list(self.levels),
            "mode": self.mode,
            "groups": list(self.groups),
            "k": self.k,
            "weights": self.weights,
            "strata": list(self.strata),
            "target": list(self.target),
        }


@dataclass(frozen=True)
class AskedRun:
    """A finished run, read."""

    run: str
    date: str
    findings: ParityFindings
    queries: Path

    @classmethod
    def of(cls, run: FinishedRun) -> Self:
        """Read a run's findings; its table of queries is read when it is needed."""
        return cls(run.run, run.created, ParityFindings.model_validate(run.findings), run.tables["queries"])

    @property
    def is_followed(self) -> bool:
        """Whether it is of a mode that can be followed over time."""
        return self.findings.mode in FOLLOWED

    @cached_property
    def question(self) -> Question:
        """What it asks, of a run that is followed."""
        found, scale = self.findings, self.scale
        return Question(
            attribute=found.attribute,
            kind=scale.kind,
            levels=scale.levels,
            mode=found.mode,
            groups=() if found.mode == "C2" else found.group_names,
            k=found.k,
            weights=found.weights,
            strata=found.strata,
            target=self._target,
        )

    @cached_property
    def scale(self) -> Scale:
        """What is followed: the classes in their order where degrees are compared with shares of the classes."""
        kind, levels = self.findings.scale.kind, self.findings.scale.levels
        return Scale("ordinal" if kind == "ita" and self._has_shares else kind, levels)

    @property
    def target_mean(self) -> float | None:
        """The declared target in degrees, from which every value deviates; in mode C2 without target shares."""
        if self.findings.mode != "C2" or self._has_shares:
            return None
        return round(float(self._columns["value"][0] - self._columns["deviation"][0]), _DECIMALS)

    @property
    def batch(self) -> Batch:
        """Its queries, as a monitor takes them."""
        columns, levels = self._columns, range(1, len(self.scale.levels) + 1)
        target = [columns.get(f"target_{level}") for level in levels]
        strata = tuple(columns["stratum"])
        return Batch(
            date=self.date,
            query_ids=tuple(columns["query_id"]),
            groups=tuple(None if group == ALL else group for group in columns["group"]),
            shares=np.array([columns[f"level_{level}"] for level in levels], dtype=np.float64).T,
            values=np.array(columns["value"], dtype=np.float64) if self.scale.kind == "ita" else None,
            strata=strata if len(set(strata)) > 1 else (),
            target=None if None in target else np.array(target, dtype=np.float64).T,
        )

    @property
    def _target(self) -> tuple[float, ...]:
        if not self._has_shares:
            return () if self.target_mean is None else (self.target_mean,)
        every = zip(*(self._columns[f"target_{n + 1}"] for n in range(len(self.scale.levels))), strict=True)
        different = {tuple(round(share, _DECIMALS) for share in shares) for shares in every}
        return different.pop() if len(different) == 1 else ()

    @property
    def _has_shares(self) -> bool:
        """Whether target shares stand beside the shares of every query."""
        return "target_1" in self._columns

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        import pyarrow.parquet as pq

        table = pq.read_table(self.queries)
        return {name: table.column(name).to_pylist() for name in table.column_names}


def _listed(names: Sequence[str], what: str) -> str:
    if len(names) > _MOST_NAMES:
        return f"{len(names):,} {what}"
    shown = [_shown(name) for name in names]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _shown(name: str) -> str:
    return printable(name, 60)[1:-1]
