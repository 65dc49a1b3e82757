"""Rows of the tables of an unlearning run."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from auditor.audits.unlearning.findings import ExportInfo
from auditor.audits.unlearning.measuring import PROBES, Measured
from auditor.audits.unlearning.metrics.metric import Metric, unavailable
from auditor.audits.unlearning.overlap import Overlap
from auditor.audits.unlearning.training import StepRow
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
