"""Evidence over the parity runs of a case: what each run's table of queries adds, in order of time.

Only runs that ask the same question belong together: the same attribute on the same scale, the same groups, the
same K, weights, strata and target. The first run declares the question; a run that asks another one is named and left out.

Only modes B and C2 are followed, where queries are what is drawn. In modes A and C1 chance deals out the labels of items, and
lists that share items, or find each other's queries, say the same thing again: in a simulation at alpha .05, small clusters
of near-duplicates raised 72 alarms in 400 null sequences of mode A, and shared items one in all of 200 of mode C1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from auditor.audits import FinishedRun, FollowedOverTime
from auditor.audits.parity.data import Scale
from auditor.audits.parity.findings import ParityFindings
from auditor.audits.parity.monitor import Batch, Evidence, Monitor
from auditor.audits.parity.subject import ALL
from auditor.errors import InputError

_VALIDITY = (
    "The evidence is an e-process on fresh queries: if results do not depend on the attribute, the probability that it ever "
    "reaches 1 / alpha is at most alpha, however often it is looked at. Queries that were audited before are versions, not "
    "evidence. The price of looking at any time is that an e-value is weaker than a p-value: 1 / e is a p-value, but the p-value "
    "of a test that is carried out once is usually much smaller."
)
_FOLLOWED = ("B", "C2")
_SHARED = (
    "Runs of mode {mode} cannot be followed over time: items shared by lists are not fresh evidence, so that chance in their "
    "labels would be counted again and again. Each run's own test stays valid"
)
_HEADERS = ("Asked for", "Observations so far", "Evidence (e-value)", "Largest so far")
#: Decimals to which targets are the same.
_DECIMALS = 6


@dataclass(frozen=True)
class _Run:
    """A finished run, read."""

    run: str
    date: str
    findings: ParityFindings
    columns: dict[str, list[Any]]

    @classmethod
    def of(cls, run: FinishedRun) -> Self:
        findings = ParityFindings.model_validate(run.findings)
        return cls(run.run, run.created, findings, _columns(run.tables["queries"]))

    @property
    def has_shares(self) -> bool:
        """Whether target shares stand beside the shares of every query."""
        return "target_1" in self.columns

    @property
    def scale(self) -> Scale:
        """What is monitored: the classes in their order where degrees are compared with shares of the classes."""
        kind, levels = self.findings.scale.kind, self.findings.scale.levels
        return Scale("ordinal" if kind == "ita" and self.has_shares else kind, levels)

    @property
    def target_mean(self) -> float | None:
        """The declared target in degrees, from which every value deviates; in mode C2 without target shares."""
        if self.findings.mode != "C2" or self.has_shares:
            return None
        return round(float(self.columns["value"][0] - self.columns["deviation"][0]), _DECIMALS)

    @property
    def target(self) -> str:
        """The declared target in words: what two runs must share."""
        if not self.has_shares:
            return f"{self.target_mean}"
        every = zip(*(self.columns[f"target_{n + 1}"] for n in range(len(self.scale.levels))), strict=True)
        different = {tuple(round(share, _DECIMALS) for share in shares) for shares in every}
        return f"{different.pop()}" if len(different) == 1 else "shares of each query"


@dataclass(frozen=True)
class Monitored:
    """Evidence over several runs.

    Attributes
    ----------
    evidence : Evidence
    runs : tuple of str
        Ids of the runs that belong together, in order of time.
    left_out : tuple of (str, str)
        Ids of the others, with the reason.
    """

    evidence: Evidence
    runs: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and texts for JSON and for the findings."""
        found = self.evidence
        return {
            "sentence": found.sentence,
            "against": found.against,
            "alpha": found.alpha,
            "threshold": found.threshold,
            "e_value": found.e_value,
            "p_value": found.p_value,
            "alarm_date": found.alarm_date,
            "n": found.n,
            "n_fresh": found.n_fresh,
            "n_unpaired": found.n_unpaired,
            "n_without_group": found.n_without_group,
            "n_versions": len(found.versions),
            "runs": list(self.runs),
            "left_out": [{"run": run, "reason": reason} for run, reason in self.left_out],
            "batches": found.rows(),
        }


def over_time(runs: Sequence[FinishedRun], theme: str) -> FollowedOverTime:
    """The same as words, a table and a picture.

    Raises
    ------
    InputError
        If there is no run.
    """
    from auditor.audits.parity.figures import monitor_pictures

    modes = {str(run.findings["mode"]) for run in runs}
    if runs and modes.isdisjoint(_FOLLOWED):
        return FollowedOverTime((f"{_SHARED.format(mode=' and '.join(sorted(modes)))}.",), _HEADERS, (), (), ())
    found = over_runs(runs)
    return FollowedOverTime(
        sentences=(found.evidence.sentence, _VALIDITY),
        headers=_HEADERS,
        rows=tuple(
            (str(row["date"]), f"{row['n']:,}", f"{row['e_value']:.4g}", f"{row['largest_e_value']:.4g}")
            for row in found.evidence.rows()
        ),
        notes=tuple(f"Run {run} was left out: {reason}." for run, reason in found.left_out),
        pictures=tuple(monitor_pictures(found.evidence, theme)),
    )


def over_runs(runs: Sequence[FinishedRun]) -> Monitored:
    """Feed the fresh queries of runs to a monitor, in order of time.

    Raises
    ------
    InputError
        If there is no run, or none of a mode that can be followed.
    """
    ordered = sorted(map(_Run.of, runs), key=lambda run: (run.date, run.run))
    if not ordered:
        raise InputError(
            "There is no finished parity run", fix="Run the audit at least once; each run adds its queries."
        )
    first = next((run for run in ordered if run.findings.mode in _FOLLOWED), None)
    if first is None:
        raise InputError(
            _SHARED.format(mode=ordered[0].findings.mode),
            column="mode",
            value=ordered[0].findings.mode,
            fix="Compare groups of queries (mode B) or give target shares (mode C2).",
        )
    monitor = Monitor(
        first.scale,
        () if first.findings.mode == "C2" else first.findings.group_names,
        alpha=first.findings.alpha,
        target_mean=first.target_mean,
    )
    taken, left_out = [], []
    for run in ordered:
        reason = _differs(first, run)
        if reason:
            left_out.append((run.run, reason))
            continue
        monitor.add(_batch(run))
        taken.append(run.run)
    return Monitored(monitor.evidence(), tuple(taken), tuple(left_out))


def _differs(first: _Run, other: _Run) -> str:
    """Why a run does not belong to the first that can be followed; empty if it does."""
    if other.findings.mode not in _FOLLOWED:
        return (
            f"runs of mode {other.findings.mode} are not followed, since items shared by lists are not fresh evidence"
        )
    for title, name in (
        ("attribute", "attribute"),
        ("scale", "scale"),
        ("mode", "mode"),
        ("query groups", "group_names"),
        ("K", "k"),
        ("weights", "weights"),
        ("strata", "strata"),
    ):
        if getattr(first.findings, name) != getattr(other.findings, name):
            return f"other {title}" if title in ("query groups", "weights", "strata") else f"another {title}"
    # The catalog may grow from run to run: partners come from one run, and targets are compared.
    return "" if first.target == other.target else "another target"


def _columns(queries: Path) -> dict[str, list[Any]]:
    import pyarrow.parquet as pq

    table = pq.read_table(queries)
    return {name: table.column(name).to_pylist() for name in table.column_names}


def _batch(run: _Run) -> Batch:
    columns, levels = run.columns, range(1, len(run.scale.levels) + 1)
    shares = np.array([columns[f"level_{level}"] for level in levels], dtype=np.float64).T
    target = [columns.get(f"target_{level}") for level in levels]
    strata = tuple(columns["stratum"])
    return Batch(
        date=run.date,
        query_ids=tuple(columns["query_id"]),
        groups=tuple(None if group == ALL else group for group in columns["group"]),
        shares=shares,
        values=np.array(columns["value"], dtype=np.float64) if run.scale.kind == "ita" else None,
        strata=strata if len(set(strata)) > 1 else (),
        target=None if None in target else np.array(target, dtype=np.float64).T,
    )
