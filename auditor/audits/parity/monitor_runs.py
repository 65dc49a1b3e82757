"""Evidence over the parity runs of a case: what each run's table of queries adds, in order of time.

Only runs that ask the same question belong together: the same attribute on the same scale, the same groups or a target,
the same K and weights. The first run declares the question; a run that asks another one is named and left out.
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
    "evidence."
)


@dataclass(frozen=True)
class _Run:
    """A finished run, read."""

    run: str
    date: str
    findings: ParityFindings
    queries: Path

    @classmethod
    def of(cls, run: FinishedRun) -> Self:
        findings = ParityFindings.model_validate(run.findings)
        return cls(run.run, run.created, findings, run.tables["queries"])


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

    found = over_runs(runs)
    return FollowedOverTime(
        sentences=(found.evidence.sentence, _VALIDITY),
        headers=("Asked for", "Observations so far", "Evidence (e-value)", "Largest so far"),
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
        If there is no run.
    """
    ordered = sorted(map(_Run.of, runs), key=lambda run: (run.date, run.run))
    if not ordered:
        raise InputError(
            "There is no finished parity run", fix="Run the audit at least once; each run adds its queries."
        )
    first = ordered[0].findings
    against_target = first.mode in ("C1", "C2")
    monitor = Monitor(
        Scale(first.scale.kind, first.scale.levels),
        () if against_target else first.group_names,
        alpha=first.alpha,
        target_mean=_target_mean(ordered[0]) if against_target and first.scale.kind == "ita" else None,
    )
    taken, left_out = [], []
    for run in ordered:
        reason = _differs(first, run.findings)
        if reason:
            left_out.append((run.run, reason))
            continue
        monitor.add(_batch(run))
        taken.append(run.run)
    return Monitored(monitor.evidence(), tuple(taken), tuple(left_out))


def _differs(first: ParityFindings, other: ParityFindings) -> str:
    """Why a run asks another question than the first; empty if it does not."""
    for title, name in (
        ("attribute", "attribute"),
        ("scale", "scale"),
        ("mode", "mode"),
        ("query groups", "group_names"),
        ("K", "k"),
        ("weights", "weights"),
    ):
        if getattr(first, name) != getattr(other, name):
            return f"another {title}" if title != "query groups" else "other query groups"
    return ""


def _columns(run: _Run) -> dict[str, Any]:
    import pyarrow.parquet as pq

    table = pq.read_table(run.queries)
    return {name: table.column(name).to_pylist() for name in table.column_names}


def _batch(run: _Run) -> Batch:
    columns, levels = _columns(run), range(1, len(run.findings.scale.levels) + 1)
    shares = np.array([columns[f"level_{level}"] for level in levels], dtype=np.float64).T
    target = [columns.get(f"target_{level}") for level in levels]
    strata = tuple(columns["stratum"])
    return Batch(
        date=run.date,
        query_ids=tuple(columns["query_id"]),
        groups=tuple(None if group == ALL else group for group in columns["group"]),
        shares=shares,
        values=np.array(columns["value"], dtype=np.float64) if run.findings.scale.kind == "ita" else None,
        strata=strata if len(set(strata)) > 1 else (),
        target=None if None in target else np.array(target, dtype=np.float64).T,
    )


def _target_mean(run: _Run) -> float:
    """The target in degrees is what every value deviates from."""
    columns = _columns(run)
    return float(columns["value"][0] - columns["deviation"][0])
