"""Make a language model forget some of what it knows and keep the rest, and measure what it still knows.

In a notebook::

    from pathlib import Path
    from auditor.audits import InputFile, unlearning
    from auditor.audits.memory import MemoryContext
    from auditor.files import sha256_of
    from auditor.models.library import Library

    files = {role: Path(f"{role}.jsonl") for role in ("forget", "retain")}
    inputs = {role: InputFile(path, path.name, sha256_of(path)) for role, path in files.items()}
    spec = unlearning.Spec(method="pdu", epochs=10)
    findings = unlearning.run(spec, inputs, MemoryContext({"model": Library().get("my-model")}, seed=0))
    print(findings.verdict.sentence)

References
----------
Entesari, T. et al. (2025). Constrained Entropic Unlearning: A Primal-Dual Framework for Large Language Models. arXiv:2506.05314.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.audits import (
    Context,
    FinishedRun,
    FollowedOverTime,
    InputFile,
    InputRole,
    ModelRole,
    Picture,
    Preview,
)
from auditor.audits.unlearning.spec import UnlearningSpec as Spec

if TYPE_CHECKING:
    from auditor.audits.unlearning.findings import UnlearningFindings

__all__ = [
    "Spec",
    "beside_runs",
    "headline_words",
    "input_roles",
    "methods",
    "model_roles",
    "name",
    "pictures",
    "preview",
    "purpose",
    "run",
    "title",
    "unit",
    "units",
]

name = "unlearning"
title = "Unlearn"
purpose = (
    "Unlearning evidence report. Can a language model be made to forget some of what it knows while it keeps the rest within a "
    "stated bound, and what does it still know afterwards, however it is asked? What is measured here is evidence; it is no "
    "certificate that anything was deleted."
)
_TABLES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".txt")
input_roles = (
    InputRole(
        name="forget",
        title="Forget",
        description="What is to be forgotten: questions with answers, or plain texts. TOFU, LUME and MUSE files are read as they "
        "are. Paraphrased questions and wrong answers beside them are used to measure.",
        endings=_TABLES,
    ),
    InputRole(
        name="retain",
        title="Retain",
        description="What is to be kept, in the same form and as near to what is forgotten as possible.",
        endings=_TABLES,
    ),
    InputRole(
        name="holdout",
        title="Holdout",
        description="Examples of the kind that is forgotten which the model has never learnt, to infer membership against.",
        endings=_TABLES,
        required=False,
    ),
    InputRole(
        name="probes",
        title="Probes",
        description="Questions about what is forgotten, in words of your own, with their answers. They are never trained on.",
        endings=_TABLES,
        required=False,
    ),
    InputRole(
        name="reference",
        title="Reference log",
        description="Figures of a model that was trained without what is to be forgotten, in place of that model: a log of "
        "`auditor evaluate --log` on the same files, of TOFU (eval_log_forget.json) or of open-unlearning (TOFU_EVAL.json). "
        "Forget quality and privleak are compared with it.",
        endings=(".json",),
        required=False,
    ),
)
model_roles = (ModelRole(name="model", title="Start model", spec_field="model"),)


def run(spec: Spec, inputs: Mapping[str, InputFile], context: Context) -> "UnlearningFindings":
    """Carry out an unlearning run; see `auditor.audits.unlearning.audit`."""
    from auditor.audits.unlearning.audit import run as carry_out

    return carry_out(spec, inputs, context)


def preview(role: str, file: InputFile, options: Mapping[str, Any]) -> Preview:
    """Read a file as a run would; `options` is a spec's fields."""
    from auditor.audits.unlearning import inputs

    return inputs.preview(role, file, options)


def unit(file: InputFile, options: Mapping[str, Any], row: int) -> list[tuple[str, str]]:
    """One example to forget, to look at: (heading, text) pairs.

    Raises
    ------
    InputError
        If the file has no such row.
    """
    from auditor.audits.unlearning import inputs

    return inputs.unit(file, options, row)


def units(
    file: InputFile, options: Mapping[str, Any], rows: AbstractSet[int]
) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """Several examples."""
    from auditor.audits.unlearning import inputs

    return inputs.units(file, options, rows)


def pictures(findings: "UnlearningFindings", tables: Mapping[str, Path], theme: str) -> Iterator[Picture]:
    """Draw the findings; see `auditor.audits.unlearning.figures`."""
    from auditor.audits.unlearning.figures import pictures as draw

    return draw(findings, tables, theme)


def methods(findings: "UnlearningFindings") -> list[tuple[str, str]]:
    """What the report says of the method."""
    from auditor.audits.unlearning.method_text import methods as describe

    return describe(findings)


def headline_words(findings: "UnlearningFindings") -> list[tuple[str, str]]:
    """The headline in words and with units."""
    from auditor.audits.unlearning.headline import headline_words as tell

    return tell(findings)


def beside_runs(run: FinishedRun, others: Sequence[FinishedRun], theme: str) -> FollowedOverTime | None:
    """A run beside the others of its case; see `auditor.audits.unlearning.side_by_side`."""
    from auditor.audits.unlearning.side_by_side import beside_runs as stand

    return stand(run, others, theme)


def __getattr__(attribute: str) -> Any:
    # What needs numpy, which the window's start must not wait for.
    if attribute == "FindingsType":
        from auditor.audits.unlearning.findings import UnlearningFindings

        return UnlearningFindings
    raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")
