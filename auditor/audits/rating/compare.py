"""Runs side by side: how far judges differ, unit by unit, and who of them is nearer to people.

The first run is A, every other one in turn B; a difference is A less B. Who is higher is told by the most probable
scores, equal ones being a tie; a judge is right where its most probable score is the human label rounded half up.
These choices are ours.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from auditor.audits import comparison
from auditor.audits.findings import Caution
from auditor.audits.rating.agreement import MANY_UNITS, Estimate, resamples_for
from auditor.audits.rating.compare_units import COLUMNS, RIGHT, right_place, units_table
from auditor.audits.rating.judged import Judged, axes_of, read_axis
from auditor.audits.rating.labels import FIVE, HumanRating, Labels, Scales, scale_of
from auditor.audits.rating.matching import Matched, match
from auditor.errors import InputError
from auditor.models.starter import STARTER_WARNING
from auditor.stats import agreement as stats
from auditor.stats.bootstrap import FEW_GROUPS, N_RESAMPLES, intervals, joined
from auditor.stats.paired import mcnemar

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "COLUMNS",
    "AgainstPeople",
    "AxisComparison",
    "Comparison",
    "Measured",
    "PairComparison",
    "RunTables",
    "compare",
    "mcnemar",
]

#: Parts of the instrument that must be the same if a difference is to be the judges': field of the findings -> word,
#: and what a run used whose findings do not have the field yet.
_INSTRUMENT: Mapping[str, tuple[str, Any]] = {
    "rubric_sha256": ("rubric", None),
    "order": ("order of the prompt", None),
    "scope": ("what is rated", None),
    "variants": ("prompts", ["5"]),
    "merge": ("rule of merging", "mean"),
}
_MEASURES = ("mae", "exact", "within1", "spearman")


@dataclass(frozen=True)
class RunTables:
    """A finished run, as far as it is compared.

    Attributes
    ----------
    name : str
        What people call it.
    findings : Mapping
        Its findings as plain JSON.
    ratings : Path
        Its table of ratings.
    input_sha256 : str
        Hash of its file of conversations. Runs of one file are matched by row, others by the conversations' ids.
    mapping : Mapping[str, str]
        Which columns or fields of that file were read.
    """

    name: str
    findings: Mapping[str, Any]
    ratings: Path
    input_sha256: str = ""
    mapping: Mapping[str, str] = field(default_factory=dict)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Measured(_Frozen):
    """A figure of agreement for both judges, and A less B, from the same draws."""

    a: Estimate
    b: Estimate
    difference: Estimate


class AgainstPeople(_Frozen):
    """Both judges against the labels that people gave."""

    n: int
    groups: int
    mae: Measured = Field(description="Mean absolute difference of expected score and label.")
    exact: Measured = Field(description="Share whose most probable score is the label.")
    within1: Measured = Field(description="Share whose most probable score is within 1 of the label.")
    spearman: Measured = Field(description="Rank correlation of expected score and label.")
    both_right: int | None
    a_right: int | None = Field(description="Units on which A is right and B wrong.")
    b_right: int | None = Field(description="Units on which B is right and A wrong.")
    both_wrong: int | None
    mcnemar_p: float | None = Field(description="Exact McNemar test of a_right against b_right; ignores contexts.")


class AxisComparison(_Frozen):
    """One axis, A and B on the same units."""

    name: str
    title: str
    n: int
    groups: int
    resamples: int
    mean_a: float = Field(description="Mean expected score of A.")
    mean_b: float
    difference: Estimate = Field(description="Mean expected score, A less B.")
    wins: int = Field(description="Units whose most probable score is higher with A.")
    ties: int
    losses: int = Field(description="Units whose most probable score is higher with B.")
    spearman: Estimate = Field(description="Rank correlation of the two expected scores.")
    same: Estimate = Field(description="Share of units with the same most probable score.")
    people: AgainstPeople | None = None
    notes: tuple[str, ...] = ()


class PairComparison(_Frozen):
    """Two runs."""

    a: str
    b: str
    matched_by: str = Field(description="'row' (the same file of conversations) or 'conversation' (by id).")
    n: int = Field(description="Conversations that both rated.")
    differs: tuple[str, ...] = Field(description="Parts of the instrument that are not the same.")
    axes: tuple[AxisComparison, ...]

    @property
    def sentence(self) -> str:
        """The outcome in words."""
        parts = ", ".join(f"{axis.title.lower()} {_signed(axis.difference)}" for axis in self.axes)
        return f"{self.a} less {self.b} on {self.n:,} conversations: {parts}."


#: What came out; a row of its table is a pair, axis and unit; `compare_units.COLUMNS` says what they hold.
Comparison = comparison.Comparison[PairComparison]


def compare(
    runs: Sequence[RunTables],
    humans: Sequence[HumanRating],
    *,
    confidence: float,
    seed: int,
    scale: Scales = FIVE,
) -> Comparison:
    """Compare the first run with every other one.

    Parameters
    ----------
    runs : sequence of RunTables
        At least two.
    humans : sequence of HumanRating
        By rows of the first run; may be empty.
    confidence : float
        Nominal coverage of the intervals.
    seed : int
        Seed of the bootstrap over contexts. Conversations go together that one of the two runs puts into one context.
    scale : PeopleScale or mapping of axis to PeopleScale
        The scale that people used.

    Raises
    ------
    InputError
        If there is one run only, or two runs share no unit.
    """
    import pyarrow as pa

    if len(runs) < 2:
        raise InputError("A comparison takes at least two runs")
    if len({run.name for run in runs}) != len(runs):
        raise InputError("A run stands twice in the comparison", fix="Name each run once.")
    first, *others = runs
    titles = {axis["name"]: axis["title"] for axis in first.findings.get("axes", ())}
    settings = _Settings(titles, tuple(humans), scale, confidence, seed)
    pairs, tables, cautions = [], [], [*_starters(runs)]
    for other in others:
        matched = match(first, other)
        cautions += matched.cautions
        compared, rows = _pair(first, other, matched, settings)
        pairs.append(compared)
        tables += rows
    cautions += _instrument(pairs)
    return Comparison(tuple(pairs), tuple(cautions), pa.concat_tables(tables), confidence, seed)


@dataclass(frozen=True)
class _Settings:
    titles: Mapping[str, str]
    humans: Sequence[HumanRating]
    scale: Scales
    confidence: float
    seed: int


def _pair(
    first: RunTables, other: RunTables, matched: Matched, settings: _Settings
) -> tuple[PairComparison, list["pa.Table"]]:
    theirs = axes_of(other.ratings)
    axes, tables = [], []
    for axis in (name for name in axes_of(first.ratings) if name in theirs):
        a, b = matched.on_both(read_axis(first.ratings, axis), read_axis(other.ratings, axis))
        if len(a) == 0:
            continue
        # One of the two may have been read without its groups: independent replies would make intervals too narrow.
        a = replace(a, groups=joined(a.groups, b.groups))
        labels = Labels.of(settings.humans, axis, scale_of(settings.scale, axis))
        labels = labels.take(np.isin(labels.rows, a.rows))
        compared = _axis(axis, a, b, labels, settings)
        axes.append(compared)
        tables.append(units_table(first.name, other.name, axis, a, b, labels, scale_of(settings.scale, axis)))
    if not axes:
        raise InputError(
            f"The runs {first.name} and {other.name} have no axis in common on the conversations that both rated",
            fix="Compare runs with at least one axis of the same name.",
        )
    pair = PairComparison(
        a=first.name,
        b=other.name,
        matched_by=matched.by,
        n=len(matched.rows_a),
        differs=_differs(first.findings, other.findings),
        axes=tuple(axes),
    )
    return pair, tables


def _differs(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[str, ...]:
    """Parts of the instrument that two runs' findings do not share."""
    differs = [word for key, (word, earlier) in _INSTRUMENT.items() if a.get(key, earlier) != b.get(key, earlier)]
    # The room decides what is left out of long conversations; where everything fitted it changes nothing.
    rooms = {_room(found) for found in (a, b)} - {None}
    if len(rooms) > 1 and any(found.get("n_truncated") for found in (a, b)):
        differs.append("tokens that a conversation may take")
    return tuple(differs)


def _room(found: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """What decides which tokens of a long conversation a judge sees; None if a run did not record it."""
    settings = found.get("provenance", {}).get("settings", {})
    if "n_ctx" not in settings:
        return None
    # Runs of earlier versions took the room for explanations from the conversations, and cut turns without their role.
    took = (settings.get("explanations") == "all",) if "room" not in settings else ()
    return (settings["n_ctx"], *took)


def _axis(axis: str, a: Judged, b: Judged, labels: Labels, settings: _Settings) -> AxisComparison:
    apart, equal = a.expected - b.expected, a.mode == b.mode
    correlation = stats.drawn_spearman(a.expected, b.expected)

    def statistics(drawn: NDArray[np.intp]) -> NDArray[np.float64]:
        return np.array([apart[drawn].mean(), correlation(drawn), equal[drawn].mean()])

    groups = len(set(a.groups))
    difference, spearman, same = _estimates(statistics, a.groups, settings)
    notes = []
    if groups < 2:
        notes.append("All units belong to one context: there are no intervals.")
    elif groups < FEW_GROUPS:
        notes.append(f"The intervals rest on {groups} contexts; with fewer than {FEW_GROUPS} they are too narrow.")
    resamples = resamples_for(len(a))
    if len(a) > MANY_UNITS:
        notes.append(f"With {len(a):,} units the intervals rest on {resamples:,} draws instead of {N_RESAMPLES:,}.")
    return AxisComparison(
        name=axis,
        title=settings.titles.get(axis, axis),
        n=len(a),
        groups=groups,
        resamples=resamples,
        mean_a=float(a.expected.mean()),
        mean_b=float(b.expected.mean()),
        difference=difference,
        wins=int((a.mode > b.mode).sum()),
        ties=int((a.mode == b.mode).sum()),
        losses=int((a.mode < b.mode).sum()),
        spearman=spearman,
        same=same,
        people=_against_people(axis, a, b, labels, settings) if len(labels.rows) else None,
        notes=tuple(notes),
    )


def _estimates(
    statistics: Callable[[NDArray[np.intp]], NDArray[np.float64]], groups: Sequence[str], settings: _Settings
) -> list[Estimate]:
    n = len(groups)
    bounds = intervals(
        statistics, groups, n, confidence=settings.confidence, seed=settings.seed, n_resamples=resamples_for(n)
    )
    return [Estimate.of(float(v), pair) for v, pair in zip(statistics(np.arange(n)), bounds, strict=True)]


def _against_people(axis: str, a: Judged, b: Judged, labels: Labels, settings: _Settings) -> AgainstPeople:
    places = np.searchsorted(a.rows, labels.rows)
    a, b = a.take(places), b.take(places)
    label, whole = labels.mean, labels.whole
    comparable = scale_of(settings.scale, axis).is_comparable
    correlation_a, correlation_b = (stats.drawn_spearman(judge.expected, label) for judge in (a, b))

    def measures(judge: Judged, correlation: float, drawn: NDArray[np.intp]) -> list[float]:
        if not comparable:
            return [np.nan, np.nan, np.nan, correlation]
        return [
            stats.mean_absolute_error(judge.expected[drawn], label[drawn]),
            stats.within(judge.mode[drawn], whole[drawn], 0),
            stats.within(judge.mode[drawn], whole[drawn], 1),
            correlation,
        ]

    def statistics(drawn: NDArray[np.intp]) -> NDArray[np.float64]:
        of_a = np.array(measures(a, correlation_a(drawn), drawn))
        of_b = np.array(measures(b, correlation_b(drawn), drawn))
        return np.concatenate([of_a, of_b, of_a - of_b])

    found = _estimates(statistics, a.groups, settings)
    k = len(_MEASURES)
    measured = {
        name: Measured(a=found[i], b=found[k + i], difference=found[2 * k + i]) for i, name in enumerate(_MEASURES)
    }
    counts = _right_counts(a.mode == whole, b.mode == whole) if comparable else (None,) * 4
    both_wrong, b_right, a_right, both_right = counts
    return AgainstPeople(
        n=len(a),
        groups=len(set(a.groups)),
        **measured,
        both_right=both_right,
        a_right=a_right,
        b_right=b_right,
        both_wrong=both_wrong,
        mcnemar_p=None if a_right is None or b_right is None else mcnemar(a_right, b_right),
    )


def _right_counts(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(count) for count in np.bincount(right_place(a, b), minlength=len(RIGHT)))


def _starters(runs: Sequence[RunTables]) -> list[Caution]:
    named = [run.name for run in runs if run.findings.get("is_starter")]
    message = f"{STARTER_WARNING[:1].upper()}{STARTER_WARNING[1:]} ({', '.join(named)})."
    return [Caution(code="starter", message=message, count=len(named))] if named else []


def _instrument(pairs: Sequence[PairComparison]) -> list[Caution]:
    different = [pair for pair in pairs if pair.differs]
    if not different:
        return []
    listed = "; ".join(f"{pair.a} and {pair.b} differ in {', '.join(pair.differs)}" for pair in different)
    message = f"Not the same instrument: {listed}. A difference between them is not the judges' alone."
    return [Caution(code="not_same_instrument", message=message, count=len(different))]


def _signed(estimate: Estimate) -> str:
    if estimate.value is None:
        return "not defined"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:+.2f} (no interval)"
    return f"{estimate.value:+.2f} ({estimate.low:+.2f} to {estimate.high:+.2f})"
