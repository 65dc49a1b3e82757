"""Rows of the tables of an unlearning run."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from auditor.audits.unlearning.findings import ExportInfo, FileFigures, Relearning
from auditor.audits.unlearning.measuring import PROBES, Measured
from auditor.audits.unlearning.metrics.metric import Metric, unavailable
from auditor.audits.unlearning.overlap import Overlap
from auditor.audits.unlearning.training import StepRow
from auditor.audits.unlearning.verdict import ASKED, file_state, in_ways, worst_way
from auditor.audits.unlearning.words import measure_words

Row = dict[str, Any]
#: In the order of the table: what is forgotten first.
_KINDS = ("forget", PROBES, "retain", "holdout")
#: Overlaps that are kept in their table (ours).
_MOST_OVERLAPS = 5_000


def metric_rows(before: Mapping[str, Metric], after: Mapping[str, Metric]) -> Iterator[Row]:
    """Every measure before and after; those without a figure say why."""
    for name, new in after.items():
        old = before.get(name) or unavailable("It was not measured before.")
        yield {
            "measure": measure_words(name),
            "metric": name,
            "before": old.value,
            "before_low": old.low,
            "before_high": old.high,
            "after": new.value,
            "after_low": new.low,
            "after_high": new.high,
            "n": new.n,
            "unavailable": new.unavailable or old.unavailable or new.note or None,
        }


def training_rows(steps: Sequence[StepRow], epsilon: float | None) -> Iterator[Row]:
    """One row a step."""
    for step in steps:
        yield {
            **step.model_dump(exclude={"state"}),
            "lambda": step.state.get("lambda"),
            "epsilon": epsilon,
        }


def example_rows(before: Measured, after: Measured) -> list[Row]:
    """Every example before and after: what is forgotten first, what is most probable after first."""
    made: list[Row] = [
        {
            "kind": new.set,
            "row": new.row,
            "id": new.id,
            "question": new.question,
            "answer": new.answer,
            "generated_before": old.generation,
            "generated_after": new.generation,
            "probability_before": old.answer_probability,
            "probability_after": new.answer_probability,
            "rouge_before": old.rouge_recall,
            "rouge_after": new.rouge_recall,
        }
        for old, new in zip(before.examples, after.examples, strict=True)
    ]
    made.sort(key=lambda row: (_KINDS.index(row["kind"]), -row["probability_after"]))
    return [{"place": place, **row} for place, row in enumerate(made, 1)]


def other_way_rows(before: Measured, after: Measured) -> list[Row]:
    """What is forgotten asked for in other ways, before and after; most probable after first."""
    made: list[Row] = [
        {
            "kind": new.kind,
            "row": new.row,
            "id": new.id,
            "prompt": new.prompt,
            "answer": new.wanted,
            "generated_before": old.generation,
            "generated_after": new.generation,
            "probability_before": old.probability,
            "probability_after": new.probability,
            "rouge_before": old.rouge_recall,
            "rouge_after": new.rouge_recall,
        }
        for old, new in zip(before.other_ways, after.other_ways, strict=True)
    ]
    made.sort(key=lambda row: -row["probability_after"])
    return [{"place": place, **row} for place, row in enumerate(made, 1)]


def overlap_rows(found: Sequence[Overlap]) -> Iterator[Row]:
    """What other files share with what is forgotten, worst first."""
    for pair in found[:_MOST_OVERLAPS]:
        yield {
            "kind": pair.kind,
            "role": pair.role,
            "other_row": pair.other.row,
            "other_text": pair.other.text,
            "forget_row": pair.forget.row,
            "forget_text": pair.forget.text,
            "share": pair.share,
        }


def export_rows(exports: Sequence[ExportInfo]) -> Iterator[Row]:
    """Files made of the model."""
    for made in exports:
        yield made.model_dump()


def file_rows(files: Sequence[FileFigures], most_probability: float, asked: Sequence[str]) -> Iterator[Row]:
    """Every file with what it still says; `asked` are the ways in which the model was asked."""
    for file in files:
        ways = in_ways(file)
        way = worst_way(file) if ways else None
        yield {
            "name": file.name,
            "kind": file.kind,
            "state": file_state(file, most_probability, asked),
            "forget_probability": file.forget.value,
            "forget_low": file.forget.low,
            "forget_high": file.forget.high,
            "worst_probability": ways[way].value if way else None,
            "worst_high": ways[way].high if way else None,
            "worst_way": ASKED[way] if way else None,
            "survivors": file.survivors if way else None,
            "n_asked": file.n_asked,
            "n_forget": file.forget.n,
            "retain_probability": file.retain.value,
            "retain_low": file.retain.low,
            "retain_high": file.retain.high,
            "n_retain": file.retain.n,
            "size_bytes": file.size_bytes,
            "engine": file.engine,
            "sha256": file.sha256,
            "unavailable": file.forget.unavailable or None,
        }


def relearning_rows(curves: Sequence[Relearning]) -> Iterator[Row]:
    """Every point of every curve."""
    for curve in curves:
        for point in curve.points:
            yield {
                "model": curve.model,
                "data": curve.data,
                "step": point.step,
                "forget_probability": point.forget.value,
                "low": point.forget.low,
                "high": point.forget.high,
                "n": point.forget.n,
                "loss": point.loss,
            }
