"""`auditor compare`: finished runs of one audit beside each other. Reads a case, changes nothing."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor import cli_rating, console
from auditor.case import Case
from auditor.cli_rating import (
    CaseArgument,
    ConfidenceOption,
    HumansOption,
    JsonOption,
    MapOption,
    ScaleOption,
    SeedOption,
)
from auditor.errors import InputError
from auditor.report.over_time import as_finished, n_on_same_input

if TYPE_CHECKING:
    from auditor.audits.guard.compare import Comparison, Measured, PairComparison
    from auditor.audits.unlearning.compare import Comparison as UnlearningComparison
    from auditor.audits.unlearning.compare import PairComparison as UnlearningPair


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
    """Compare runs unit by unit, with intervals: judges and who is nearer to people; guards; how runs forget and keep."""
    with Case.open(case, write=False) as opened:
        audits = {opened.run(run).spec().audit for run in runs}
    if audits in ({"guard"}, {"unlearning"}):
        if humans is not None or human_scale or map_linear:
            raise InputError(
                "People's ratings belong to rating runs", column="--humans", fix="Leave it out for other runs."
            )
        (_guard if audits == {"guard"} else _unlearning)(case, runs, confidence, seed, as_json=as_json)
    else:
        cli_rating.compare(case, runs, humans, human_scale, map_linear, confidence, seed, as_json)


def _guard(path: Path, runs: Sequence[str], confidence: float | None, seed: int | None, *, as_json: bool) -> None:
    from auditor.audits.guard import compare as side_by_side
    from auditor.audits.guard.side_by_side import tables_of

    with Case.open(path, write=False) as case:
        directories = [case.run(run) for run in runs]
        tables = [tables_of(as_finished(directory)) for directory in directories]
        found = side_by_side.compare(
            tables,
            confidence=confidence or tables[0].findings["confidence"],
            seed=directories[0].spec().seed if seed is None else seed,
            n_runs=max(len(runs), n_on_same_input(case, directories[0], "queries")),
        )
        models = {table.name: table.findings["model_name"] for table in tables}
        warnings = [caution.message for caution in found.cautions]
        if as_json:
            told = {
                "case": str(case.path),
                "models": models,
                "warnings": warnings,
                "head": case.head(),
                "pairs": [_plain(pair) for pair in found.pairs],
            }
            console.out(json.dumps(told, ensure_ascii=False, allow_nan=False))
            return
    console.out(_words(found, models))
    for warning in warnings:
        console.out(f"Warning: {warning}")


def _plain(pair: "PairComparison") -> dict[str, Any]:
    """Every figure with its interval beside it."""
    return {**_flat(pair.model_dump(mode="json")), "sentence": pair.sentence}


def _flat(fields: dict[str, Any]) -> dict[str, Any]:
    for measured in fields["measures"]:
        for name in ("a", "b", "difference"):
            estimate = measured[name]
            measured[name] = estimate["value"]
            measured[f"{name}_ci"] = None if estimate["low"] is None else [estimate["low"], estimate["high"]]
    return fields


def _words(found: "Comparison", models: Mapping[str, str]) -> str:
    from auditor.audits.guard.compare_text import thresholds

    lines: list[str] = []
    for pair in found.pairs:
        a, b = thresholds(pair)
        in_groups = f", in {pair.groups:,} groups" if pair.groups < pair.n else ""
        lines += [
            f"A  {pair.a} ({models[pair.a]}, lambda {a})",
            f"B  {pair.b} ({models[pair.b]}, lambda {b})",
            f"{pair.n:,} queries that test in both{in_groups}; {100 * found.confidence:g}% intervals",
            "",
        ]
        rows: list[tuple[str, ...]] = [("%", "A", "B", "A less B", "A right alone", "B right alone", "McNemar p")]
        lines += [*cli_rating.aligned([*rows, *(_row(measured) for measured in pair.measures)]), "", pair.sentence, ""]
    return "\n".join(lines).rstrip()


def _row(measured: "Measured") -> tuple[str, ...]:
    from auditor.audits.guard.words import points

    difference = measured.difference
    bounds = (
        ""
        if difference.low is None or difference.high is None
        else (f" ({points(difference.low)} to {points(difference.high)})")
    )
    return (
        measured.title[:1].upper() + measured.title[1:],
        points(measured.a.value, signed=measured.name == "risk"),
        points(measured.b.value, signed=measured.name == "risk"),
        f"{points(difference.value)}{bounds}",
        "" if measured.only_a is None else f"{measured.only_a:,}",
        "" if measured.only_b is None else f"{measured.only_b:,}",
        "" if measured.mcnemar_p is None else f"{measured.mcnemar_p:.3g}",
    )


def _unlearning(path: Path, runs: Sequence[str], confidence: float | None, seed: int | None, *, as_json: bool) -> None:
    from auditor.audits.unlearning import compare as side_by_side
    from auditor.audits.unlearning.metrics.metric import CONFIDENCE
    from auditor.tasks_compare_unlearning import tables_of

    with Case.open(path, write=False) as case:
        tables = [tables_of(case.run(run)) for run in runs]
        found = side_by_side.compare(
            tables, confidence=confidence or CONFIDENCE, seed=tables[0].seed if seed is None else seed
        )
        warnings = [caution.message for caution in found.cautions]
        if as_json:
            told = {
                "case": str(case.path),
                "methods": {table.name: table.findings["method"] for table in tables},
                "confidence": found.confidence,
                "seed": found.seed,
                "warnings": warnings,
                "head": case.head(),
                "pairs": [_plain_unlearning(pair, found) for pair in found.pairs],
            }
            console.out(json.dumps(told, ensure_ascii=False, allow_nan=False))
            return
    console.out("\n".join(line for pair in found.pairs for line in _unlearning_lines(pair, found)).rstrip())
    console.out("")
    for warning in warnings:
        console.out(f"Warning: {warning}")


def _plain_unlearning(pair: "UnlearningPair", found: "UnlearningComparison") -> dict[str, Any]:
    from auditor.audits.unlearning import compare_text as text

    fields = _flat(pair.model_dump(mode="json"))
    sentence = f"{text.headline(pair)} {text.clear(pair)} {text.ground(pair, found)}"
    return {**fields, "differs": list(pair.differs), "sentence": sentence}


def _unlearning_lines(pair: "UnlearningPair", found: "UnlearningComparison") -> list[str]:
    from auditor.audits.unlearning import compare_text as text

    figures = [made(pair, found.confidence) for made in (text.forgotten, text.kept, text.told_apart)]
    lines = [f"A  {pair.a} ({pair.outcomes[0].method})", f"B  {pair.b} ({pair.outcomes[1].method})", ""]
    for table in (*figures, text.outcomes(pair)):
        if table is not None:
            heads = tuple(" ".join(title.split()) for title, _about in table.columns)
            lines += [table.title, *cli_rating.aligned([heads, *table.rows]), ""]
    return [*lines, text.headline(pair), text.ground(pair, found), ""]
