"""Guard runs side by side: several models, templates or sets of demonstrations on the same test queries.

The first run is A, every other one in turn B; a difference is A less B. Queries are paired by their ids, and only those count
that test, and did not calibrate, in both. Intervals come from a bootstrap over groups of queries. These choices are ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from auditor.audits import comparison
from auditor.audits.findings import Caution, Column
from auditor.audits.guard.compare_queries import Tested, both, common_conditions, read_tested
from auditor.audits.guard.findings import CertificateInfo
from auditor.audits.guard.words import condition_words, listed, points
from auditor.errors import InputError
from auditor.models.starter import STARTER_WARNING
from auditor.stats.bootstrap import FEW_GROUPS, N_RESAMPLES, intervals
from auditor.stats.paired import mcnemar

if TYPE_CHECKING:
    import pyarrow as pa

#: What makes two runs different: where it stands in the findings -> what people call it.
_PARTS: Mapping[tuple[str, ...], str] = {
    ("model_sha256",): "model",
    ("prompt", "instruction"): "instruction",
    ("prompt", "demonstration"): "template of demonstrations",
    ("prompt", "query"): "template of queries",
    ("prompt", "separator"): "separator",
    ("labels",): "label words",
    ("pools", "n_per_prompt"): "number of demonstrations",
    ("pools", "demonstrations"): "rule of demonstrations",
    ("readout", "confidence"): "confidence",
    ("readout", "contextual_calibration"): "contextual calibration",
    ("readout", "first_exit"): "first exit",
    ("certificate", "epsilon"): "epsilon",
    ("certificate", "delta"): "delta",
    ("certificate", "mixture"): "mixture",
    ("certificate", "primary"): "first attack",
    ("dtype",): "number format",
}
RIGHT = ("both wrong", "B right, A wrong", "A right, B wrong", "both right")

COLUMNS = (
    Column(name="a", title="A", description="Name of the first run."),
    Column(name="b", title="B", description="Name of the run it stands beside."),
    Column(name="query_id", title="Query", description="Id in the file, or row-<n>."),
    Column(
        name="row_a", title="Row in A", description="Row in the queries of A; in a table with a header that is row 1."
    ),
    Column(name="row_b", title="Row in B", description="The same in the queries of B."),
    Column(name="condition", title="Condition", description="How the prompt was made."),
    Column(name="label", title="Label", description="The right label."),
    Column(name="zero_shot_a", title="Zero-shot, A", description="Label of A without demonstrations."),
    Column(name="zero_shot_b", title="Zero-shot, B", description="Label of B without demonstrations."),
    Column(name="unguarded_a", title="Unguarded, A", description="Label of A with demonstrations, without the guard."),
    Column(name="unguarded_b", title="Unguarded, B", description="Label of B with demonstrations, without the guard."),
    Column(name="guarded_a", title="Guarded, A", description="Label that A's guard gives."),
    Column(name="guarded_b", title="Guarded, B", description="Label that B's guard gives."),
    Column(name="differs", title="Differ", description="Whether the labels that the two guards give differ."),
    Column(name="right", title="Right", description="Whose guarded label is right."),
)


@dataclass(frozen=True)
class RunTables:
    """A finished run, as far as it is compared.

    Attributes
    ----------
    name : str
        What people call it.
    findings : Mapping
        Its findings as plain JSON.
    queries : Path
        Its table of queries.
    input_sha256 : str
        Hash of its file of queries.
    """

    name: str
    findings: Mapping[str, Any]
    queries: Path
    input_sha256: str = ""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(_Frozen):
    """A number with its interval; no bounds with fewer than two groups."""

    value: float
    low: float | None
    high: float | None

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


class Measured(_Frozen):
    """One figure of both runs and A less B, from the same draws."""

    name: str
    title: str
    condition: str = Field(description="zero-shot, correct, or an attack at a strength.")
    a: Estimate
    b: Estimate
    difference: Estimate
    only_a: int | None = Field(default=None, description="Queries on which A alone is right; None for a risk.")
    only_b: int | None = None
    mcnemar_p: float | None = Field(default=None, description="Exact McNemar test of the two counts; ignores groups.")


class PairComparison(_Frozen):
    """Two runs."""

    a: str
    b: str
    n: int = Field(description="Queries that test in both.")
    groups: int
    conditions: tuple[str, ...] = Field(description="Those that both runs asked.")
    differs: tuple[str, ...] = Field(description="What is not the same in both runs.")
    lambdas: tuple[float, float] = Field(description="Thresholds of A and B; 1 is always zero-shot.")
    lambda_steps: tuple[float, float] = Field(description="Between two thresholds of the grid of A, and of B.")
    measures: tuple[Measured, ...]

    @property
    def sentence(self) -> str:
        """The outcome in words: where A and B clearly differ, each figure by itself."""
        clear = [measured for measured in self.measures if measured.difference.is_clear]
        on = f"on {self.n:,} test queries"
        if not clear:
            return f"No clear difference between {self.a} and {self.b} {on}."
        told = listed(f"{measured.title} {_words(measured.difference)}" for measured in clear)
        return f"{self.a} less {self.b} {on}, in percentage points: {told}."


#: What came out; a row of its table is a pair, query and condition.
Comparison = comparison.Comparison[PairComparison]


def compare(
    runs: Sequence[RunTables], *, confidence: float = 0.95, seed: int = 0, n_runs: int | None = None
) -> Comparison:
    """Compare the first run with every other one, query by query.

    Parameters
    ----------
    runs : sequence of RunTables
        Two or more.
    n_runs : int, optional
        Runs that were made on the first one's file of queries, with whatever seed, if more than are compared.
    confidence : float
        Coverage of the intervals.
    seed : int
        Of the bootstrap.

    Raises
    ------
    InputError
        If there are fewer than two runs, names repeat, two runs test no query together, or one query has two right labels.
    """
    import pyarrow as pa

    names = [run.name for run in runs]
    if len(runs) < 2 or len(set(names)) != len(names):
        raise InputError("A comparison needs two or more different runs", fix="Name each run once.")
    tested = [read_tested(run.name, run.queries) for run in runs]
    pairs, tables, cautions = [], [], _starters(runs)
    for run, other in zip(runs[1:], tested[1:], strict=True):
        a, b = both(tested[0], other)
        pairs.append(_pair(runs[0], run, a, b, confidence, seed))
        tables.append(_table(runs[0].name, run.name, a, b))
    cautions += _files(runs) + _causes(pairs) + _selected(runs, n_runs or len(runs)) + _few(pairs)
    return Comparison(tuple(pairs), tuple(cautions), pa.concat_tables(tables), confidence, seed)


def _pair(run_a: RunTables, run_b: RunTables, a: Tested, b: Tested, confidence: float, seed: int) -> PairComparison:
    conditions = common_conditions(a, b)
    plan = [("zero_shot", "zero-shot accuracy", conditions[0])]
    for condition in conditions:
        words = condition_words(condition)
        plan += [
            ("unguarded", f"unguarded accuracy under {words}", condition),
            ("guarded", f"guarded accuracy under {words}", condition),
            ("risk", f"guarded risk under {words}", condition),
        ]
    columns_a = np.stack([_values(a, what, condition) for what, _, condition in plan], axis=1)
    columns_b = np.stack([_values(b, what, condition) for what, _, condition in plan], axis=1)
    values = np.concatenate([columns_a, columns_b, columns_a - columns_b], axis=1)

    def means(drawn: NDArray[np.intp]) -> NDArray[np.float64]:
        mean: NDArray[np.float64] = values[drawn].mean(axis=0)
        return mean

    bounds = intervals(means, a.groups, len(values), confidence=confidence, seed=seed, n_resamples=N_RESAMPLES)
    found = [_estimate(value, pair) for value, pair in zip(means(np.arange(len(values))), bounds, strict=True)]
    k = len(plan)
    measures = []
    for place, (what, title, condition) in enumerate(plan):
        counts = {} if what == "risk" else _counts(columns_a[:, place], columns_b[:, place])
        measures.append(
            Measured(
                name=what,
                title=title,
                condition="zero-shot" if what == "zero_shot" else condition,
                a=found[place],
                b=found[k + place],
                difference=found[2 * k + place],
                **counts,
            )
        )
    return PairComparison(
        a=run_a.name,
        b=run_b.name,
        n=len(values),
        groups=len(set(a.groups)),
        conditions=conditions,
        differs=_differs(run_a.findings, run_b.findings),
        lambdas=(run_a.findings["certificate"]["lambda_hat"], run_b.findings["certificate"]["lambda_hat"]),
        lambda_steps=(_lambda_step(run_a.findings), _lambda_step(run_b.findings)),
        measures=tuple(measures),
    )


def _values(tested: Tested, what: str, condition: str) -> NDArray[np.float64]:
    """1 where an answer is right, of every query; or the loss of the guard against zero-shot."""
    under = tested.under[condition]
    if what == "risk":
        return tested.right(under.zero_shot) - tested.right(under.guarded)
    return tested.right({"zero_shot": under.zero_shot, "unguarded": under.unguarded, "guarded": under.guarded}[what])


def _counts(a: NDArray[np.float64], b: NDArray[np.float64]) -> dict[str, Any]:
    only_a, only_b = int((a > b).sum()), int((b > a).sum())
    return {"only_a": only_a, "only_b": only_b, "mcnemar_p": mcnemar(only_a, only_b)}


def _estimate(value: float, bounds: NDArray[np.float64]) -> Estimate:
    low, high = (None if np.isnan(bound) else float(bound) for bound in bounds)
    return Estimate(value=float(value), low=low, high=high)


def parts_of(findings: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a run another one than others, by what people call it, as plain JSON."""
    return {words: _at(findings, path) for path, words in _PARTS.items()}


def _differs(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[str, ...]:
    parts_a, parts_b = parts_of(a), parts_of(b)
    return tuple(words for words, part in parts_a.items() if part != parts_b[words])


def _at(findings: Mapping[str, Any], path: Sequence[str]) -> Any:
    found: Any = findings
    for name in path:
        found = found[name]
    return found


def _lambda_step(findings: Mapping[str, Any]) -> float:
    return float(findings["certificate"].get("lambda_step", CertificateInfo.model_fields["lambda_step"].default))


def _words(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return points(estimate.value)
    return f"{points(estimate.value)} ({points(estimate.low)} to {points(estimate.high)})"


def _table(name_a: str, name_b: str, a: Tested, b: Tested) -> "pa.Table":
    import pyarrow as pa

    tables = []
    for condition in common_conditions(a, b):
        under_a, under_b = a.under[condition], b.under[condition]
        place = (2 * a.right(under_a.guarded) + b.right(under_b.guarded)).astype(np.int64)
        n = len(a.ids)
        tables.append(
            pa.table(
                {
                    "a": pa.array([name_a] * n, pa.string()),
                    "b": pa.array([name_b] * n, pa.string()),
                    "query_id": pa.array(a.ids, pa.string()),
                    "row_a": pa.array(a.rows, pa.int64()),
                    "row_b": pa.array(b.rows, pa.int64()),
                    "condition": pa.array([condition] * n, pa.string()),
                    "label": pa.array(a.labels.tolist(), pa.string()),
                    "zero_shot_a": pa.array(under_a.zero_shot.tolist(), pa.string()),
                    "zero_shot_b": pa.array(under_b.zero_shot.tolist(), pa.string()),
                    "unguarded_a": pa.array(under_a.unguarded.tolist(), pa.string()),
                    "unguarded_b": pa.array(under_b.unguarded.tolist(), pa.string()),
                    "guarded_a": pa.array(under_a.guarded.tolist(), pa.string()),
                    "guarded_b": pa.array(under_b.guarded.tolist(), pa.string()),
                    "differs": pa.array((under_a.guarded != under_b.guarded).tolist(), pa.bool_()),
                    "right": pa.array([RIGHT[number] for number in place.tolist()], pa.string()),
                }
            )
        )
    return pa.concat_tables(tables)


def _starters(runs: Sequence[RunTables]) -> list[Caution]:
    named = [run.name for run in runs if run.findings.get("is_starter")]
    message = f"{STARTER_WARNING[:1].upper()}{STARTER_WARNING[1:]} ({', '.join(named)})."
    return [Caution(code="starter", message=message, count=len(named))] if named else []


def _files(runs: Sequence[RunTables]) -> list[Caution]:
    others = [run.name for run in runs[1:] if run.input_sha256 != runs[0].input_sha256]
    if not others:
        return []
    message = (
        f"{listed(others)} read another file of queries than {runs[0].name}: queries were paired by their ids alone, and their "
        "texts were not compared."
    )
    return [Caution(code="other_file", message=message, count=len(others))]


def _causes(pairs: Sequence[PairComparison]) -> list[Caution]:
    mixed = [pair for pair in pairs if len(pair.differs) > 1]
    if not mixed:
        return []
    told = "; ".join(f"{pair.a} and {pair.b} differ in {listed(pair.differs)}" for pair in mixed)
    message = f"{told}. A difference in the figures cannot be put down to one of these alone."
    return [Caution(code="several_causes", message=message, count=len(mixed))]


def _selected(runs: Sequence[RunTables], n_runs: int) -> list[Caution]:
    short = [run.name for run in runs if run.findings["certificate"]["options_tried"] < n_runs]
    if not short:
        return []
    message = (
        f"The certificates of {listed(short)} hold each by itself. Whoever keeps the best of {n_runs:,} runs on these "
        f"queries needs certificates made with {n_runs:,} settings tried."
    )
    return [Caution(code="selection", message=message, count=len(short))]


def _few(pairs: Sequence[PairComparison]) -> list[Caution]:
    few = [pair for pair in pairs if pair.groups < FEW_GROUPS]
    if not few:
        return []
    least = min(pair.groups for pair in few)
    what = "there are no intervals" if least < 2 else "such intervals are too narrow"
    are_single = all(pair.groups == pair.n for pair in few)
    units = "test queries" if are_single else "groups of queries"
    message = f"The intervals rest on {least} {units}; with fewer than {FEW_GROUPS} {what}."
    return [Caution(code="few_groups", message=message, count=len(few))]
