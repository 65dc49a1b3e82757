"""`auditor agree` and `auditor compare`: a judge beside people, and judges beside each other. Reads a case, changes nothing."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor import console
from auditor.case import Case
from auditor.errors import InputError, RunError
from auditor.models.starter import STARTER_WARNING
from auditor.runs.directory import RunDirectory, made_with_people

if TYPE_CHECKING:
    from auditor.audits.findings import Caution
    from auditor.audits.rating.agreement import AxisAgreement, Estimate
    from auditor.audits.rating.compare import Comparison, Measured, PairComparison
    from auditor.audits.rating.people_of_runs import People

CaseArgument = Annotated[Path, typer.Argument(help="The case folder.")]
HumansOption = Annotated[
    Path | None,
    typer.Option(
        help="CSV with the columns conversation_id, axis, rater, score. Without it: the ratings given in the case."
    ),
]
ScaleOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Scale that people used in the file, LOW-HIGH, or AXIS=LOW-HIGH for one axis; repeatable. Default: 1-5. "
        "Another scale than 1-5 gives rank statistics only, unless it is mapped."
    ),
]
MapOption = Annotated[
    bool, typer.Option("--map-linear", help="Declare that the people's scale maps onto 1 to 5 by a straight line.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
SeedOption = Annotated[int | None, typer.Option(min=0, help="Seed of the bootstrap. Default: the run's.")]
ConfidenceOption = Annotated[
    float | None, typer.Option(min=0.5, max=0.999, help="Coverage of the intervals. Default: the run's.")
]


def agree(
    case: CaseArgument,
    run: Annotated[str, typer.Argument(help="The run's id, as `auditor runs CASE` lists it.")],
    humans: HumansOption = None,
    human_scale: ScaleOption = None,
    map_linear: MapOption = False,
    confidence: ConfidenceOption = None,
    seed: SeedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a run's ratings with people's: agreement with intervals, what people reach among themselves, a baseline."""
    from auditor.audits.rating import agreement
    from auditor.audits.rating.assess import agreement_cautions

    with Case.open(case, write=False) as opened:
        rated = _Rated.of(opened, run)
        people = _people(opened, [rated], humans, human_scale or [], map_linear=map_linear)
        found = agreement.agree(
            rated.ratings,
            people.ratings,
            people.scales,
            titles=rated.titles,
            confidence=confidence or rated.findings["confidence"],
            seed=rated.directory.spec().seed if seed is None else seed,
        )
        cautions = [*people.cautions, *agreement_cautions(found)]
        starter = [STARTER_WARNING] if rated.findings["is_starter"] else []
        if as_json:
            told = {
                "run": run,
                "case": str(opened.path),
                "judge": rated.findings["model_name"],
                "warnings": [*starter, *_messages(cautions)],
                "head": opened.head(),
                "axes": {axis.name: _plain(axis) for axis in found},
            }
            console.out(json.dumps(told, ensure_ascii=False, allow_nan=False))
            return
    console.out(_agreement_words(rated.findings["model_name"], found))
    # Few contexts stand among the notes already.
    for warning in (*starter, *_messages(c for c in cautions if c.code != "few_labelled_groups")):
        console.out(f"Warning: {warning}")
    for axis in found:
        for note in axis.notes:
            console.out(f"Note: {axis.title}: {note}")


def compare(
    case: CaseArgument,
    runs: Annotated[list[str], typer.Argument(help="Ids of two or more runs; the others are compared with the first.")],
    humans: HumansOption = None,
    human_scale: ScaleOption = None,
    map_linear: MapOption = False,
    confidence: ConfidenceOption = None,
    seed: SeedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare rating runs unit by unit: differences with intervals, who is higher, and who is nearer to people."""
    from auditor.audits.rating import compare as side_by_side

    with Case.open(case, write=False) as opened:
        rated = [_Rated.of(opened, run) for run in runs]
        first = rated[0]
        people = _people(opened, rated, humans, human_scale or [], map_linear=map_linear, required=humans is not None)
        tables = [
            side_by_side.RunTables(
                each.directory.path.name,
                each.findings,
                each.ratings,
                input_sha256=_reads(each)[0],
                mapping=_reads(each)[1],
            )
            for each in rated
        ]
        found = side_by_side.compare(
            tables,
            people.ratings,
            confidence=confidence or first.findings["confidence"],
            seed=first.directory.spec().seed if seed is None else seed,
            scale=people.scales,
        )
        judges = {each.directory.path.name: each.findings["model_name"] for each in rated}
        warnings = _messages([*people.cautions, *found.cautions])
        if as_json:
            told = {
                "case": str(opened.path),
                "judges": judges,
                "warnings": warnings,
                "head": opened.head(),
                "pairs": [_plain_pair(pair) for pair in found.pairs],
            }
            console.out(json.dumps(told, ensure_ascii=False, allow_nan=False))
            return
    console.out(_comparison_words(found, judges))
    for warning in warnings:
        console.out(f"Warning: {warning}")


@dataclass(frozen=True)
class _Rated:
    """A finished rating run."""

    directory: RunDirectory
    findings: Mapping[str, Any]
    ratings: Path

    @classmethod
    def of(cls, case: Case, run: str) -> "_Rated":
        """Raises InputError for a run of another audit, RunError for one without results."""
        directory = case.run(run)
        audit = directory.spec().audit
        if audit != "rating":
            raise InputError(f"The run {run} is no rating run but one of the audit {audit}")
        findings = directory.findings()
        file = directory.table_files().get("ratings")
        if file is None:
            raise RunError(f"The run {run} has lost its table of ratings. `auditor verify` names what changed.")
        return cls(directory, findings, file)

    @property
    def titles(self) -> dict[str, str]:
        """Axis -> what people read."""
        return {axis["name"]: axis["title"] for axis in self.findings["axes"]}


def _people(
    case: Case,
    rated: Sequence[_Rated],
    humans: Path | None,
    scales: Sequence[str],
    *,
    map_linear: bool,
    required: bool = True,
) -> "People":
    """Ratings of the first run's conversations: from the file, else those given in the case, else those of a run's own."""
    from auditor.audits.rating.labels import declared_scales
    from auditor.audits.rating.people import UnitIndex, read_humans
    from auditor.audits.rating.people_of_runs import People, people_of_case, people_of_files

    first = rated[0]
    units, axes = UnitIndex.from_ratings(first.ratings), tuple(first.titles)
    if humans is not None:
        declared = declared_scales(scales, axes, linear=map_linear)
        ratings, cautions = read_humans(humans, humans.name, units, axes, declared)
        return People(ratings, declared, cautions)
    if scales or map_linear:
        raise InputError("A scale is declared for a file", column="--human-scale", fix="Name the file with --humans.")
    same = [each.directory for each in rated if _reads(each) == _reads(first)]
    found = people_of_case(case.human_ratings_of([run.path.name for run in same]), units, axes)
    if not found.ratings:
        found = people_of_files(made_with_people(same), units, axes) or found
    if required and not found.ratings:
        raise InputError(
            f"Nobody has rated the conversations of run {first.directory.path.name} in this case",
            fix="Rate some in the window, or name a file with --humans.",
        )
    return found


def _reads(rated: _Rated) -> tuple[str, Mapping[str, str]]:
    from auditor.audits.rating import read_by

    return read_by(rated.directory.input_file("conversations"), rated.directory.spec().spec)


def _messages(cautions: "Iterable[Caution]") -> list[str]:
    return [caution.message for caution in cautions]


def _plain(axis: "AxisAgreement") -> dict[str, Any]:
    """Every estimate as a number with its interval beside it; undefined ones are null."""
    return _flat(axis.model_dump(mode="json", exclude={"name"}))


def _flat(fields: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, dict) and set(value) == {"value", "low", "high"}:
            plain[name] = value["value"]
            plain[f"{name}_ci"] = None if value["low"] is None else [value["low"], value["high"]]
        elif isinstance(value, dict):
            plain[name] = _flat(value)
        else:
            plain[name] = value
    return plain


def _plain_pair(pair: "PairComparison") -> dict[str, Any]:
    fields = pair.model_dump(mode="json")
    return {**fields, "axes": {axis["name"]: _flat(axis) for axis in fields["axes"]}}


def _agreement_words(judge: str, found: "Sequence[AxisAgreement]") -> str:
    from auditor.audits.rating.certificate import percent

    lines = [f"{judge} beside people, {percent(found[0].confidence)} intervals from a bootstrap over contexts"]
    for axis in found:
        raters = f"{len(axis.raters):,} raters" if len(axis.raters) != 1 else "1 rater"
        lines += [
            "",
            f"{axis.title}: {axis.n:,} conversations in {axis.groups:,} contexts, {axis.ratings:,} ratings by {raters}",
        ]
        constant = axis.baseline
        always = f"always {constant.score}" if constant else ""
        rows = [
            ("Spearman", axis.spearman, _number(axis.human_ceiling), ""),
            ("Quadratic-weighted kappa", axis.qwk, "", ".00" if constant else ""),
            ("Ordinal alpha", axis.alpha, _number(axis.alpha_people), ""),
            ("Exact", axis.exact, "", _share(constant.exact) if constant else ""),
            ("Within 1", axis.within1, _number(axis.human_within1), _share(constant.within1) if constant else ""),
            ("Mean absolute error", axis.mae, "", f"{constant.mae:.2f}" if constant else ""),
            ("Spearman with length", axis.length_correlation, _number(axis.length_correlation_people), ""),
        ]
        table = [("", "judge", "people", always), *((name, _interval(e), p, c) for name, e, p, c in rows)]
        lines += aligned(table)
    return "\n".join(lines)


def _comparison_words(found: "Comparison", judges: Mapping[str, str]) -> str:
    from auditor.audits.rating.certificate import percent

    lines: list[str] = []
    for pair in found.pairs:
        lines += [f"A  {pair.a} ({judges[pair.a]})", f"B  {pair.b} ({judges[pair.b]})"]
        lines += [f"{pair.n:,} conversations matched by {pair.matched_by}, {percent(found.confidence)} intervals"]
        rows: list[tuple[str, ...]] = [
            ("", "mean A", "mean B", "A less B", "A higher", "equal", "B higher", "Spearman")
        ]
        rows += [
            (
                axis.title,
                f"{axis.mean_a:.2f}",
                f"{axis.mean_b:.2f}",
                _interval(axis.difference, signed=True),
                f"{axis.wins:,}",
                f"{axis.ties:,}",
                f"{axis.losses:,}",
                _interval(axis.spearman),
            )
            for axis in pair.axes
        ]
        lines += ["", *aligned(rows), ""]
        for axis in pair.axes:
            if axis.people is None:
                continue
            people = axis.people
            measures = (
                ("Spearman", people.spearman),
                ("Exact", people.exact),
                ("Within 1", people.within1),
                ("Mean absolute error", people.mae),
            )
            lines += [f"{axis.title}, against people on {people.n:,} conversations"]
            lines += aligned([("", "A", "B", "A less B"), *(_measured(name, each) for name, each in measures)])
            if people.mcnemar_p is not None:
                counts = f"A right, B wrong {people.a_right:,}; B right, A wrong {people.b_right:,}"
                lines += [f"{counts}; McNemar p = {people.mcnemar_p:.3g}"]
            lines += [""]
    return "\n".join(lines).rstrip()


def _measured(name: str, measured: "Measured") -> tuple[str, ...]:
    return name, _interval(measured.a), _interval(measured.b), _interval(measured.difference, signed=True)


def _interval(estimate: "Estimate", *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    if estimate.value is None:
        return "–"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:{sign}.2f}"
    return f"{estimate.value:{sign}.2f} ({estimate.low:{sign}.2f} to {estimate.high:{sign}.2f})"


def _number(estimate: "Estimate") -> str:
    return "–" if estimate.value is None else f"{estimate.value:.2f}"


def _share(value: float) -> str:
    return f"{value:.2f}"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines: the first column to the left, the others to the right, two blanks between them."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
