"""Stress-test the demonstrations of a prompt, and bound the harm that they can do below zero-shot, with early exits.

In a notebook::

    from pathlib import Path
    from auditor.audits import InputFile, guard
    from auditor.audits.memory import MemoryContext
    from auditor.files import sha256_of
    from auditor.models.library import Library

    files = {role: Path(f"{role}.csv") for role in ("queries", "demonstrations")}
    inputs = {role: InputFile(path, path.name, sha256_of(path)) for role, path in files.items()}
    spec = guard.Spec(attacks=("cyclic:all", "injection"), epsilon=0.05)
    findings = guard.run(spec, inputs, MemoryContext({"model": Library().default()}, seed=0))
    print(findings.verdict.sentence)

References
----------
"Controlling the Risk of Corrupted Contexts for Language Models via Early-Exiting", arXiv:2510.02480.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.audits import Context, FinishedRun, FollowedOverTime, InputFile, InputRole, ModelRole, Picture, Preview
from auditor.audits.guard.spec import GuardSpec as Spec

if TYPE_CHECKING:
    from auditor.audits.guard.findings import GuardFindings
    from auditor.audits.guard.service import GuardPredictor
    from auditor.models import ModelFile

__all__ = [
    "Spec",
    "beside_runs",
    "headline_words",
    "input_roles",
    "methods",
    "model_roles",
    "name",
    "pictures",
    "predictor",
    "preview",
    "purpose",
    "run",
    "title",
    "unit",
    "units",
]

name = "guard"
title = "Guard"
purpose = (
    "How far can bad demonstrations in a prompt pull a language model below what it does without any? And from which "
    "confidence on may it use them, so that the harm stays within a bound that is proven to hold with high probability? "
    "The guarantee is relative to zero-shot; how accurate the model is stands beside it."
)
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
input_roles = (
    InputRole(
        name="queries",
        title="Queries",
        description="A table of labelled texts that the model is asked about: the columns text and label, and if there are any "
        "id and group. Half of them certify the threshold, the others test it.",
        endings=_TABLES,
    ),
    InputRole(
        name="demonstrations",
        title="Demonstrations",
        description="A table of correctly labelled texts, with the same columns, to draw the demonstrations of a prompt from, or "
        "to take the first ones as they stand.",
        endings=_TABLES,
    ),
    InputRole(
        name="corrupted",
        title="Corrupted demonstrations",
        description="For the attack own: a table of texts with the labels that an attacker would show.",
        endings=_TABLES,
        required=False,
    ),
)
model_roles = (ModelRole(name="model", title="Model", spec_field="model"),)


def run(spec: Spec, inputs: Mapping[str, InputFile], context: Context) -> "GuardFindings":
    """Carry out a guard audit; see `auditor.audits.guard.audit`."""
    from auditor.audits.guard.audit import run as carry_out

    return carry_out(spec, inputs, context)


def preview(role: str, file: InputFile, options: Mapping[str, Any]) -> Preview:
    """Read a file as a run would; `options` is a spec's fields."""
    from auditor.audits.guard import inputs

    return inputs.preview(role, file, options)


def unit(file: InputFile, options: Mapping[str, Any], row: int) -> list[tuple[str, str]]:
    """One query, to look at: (heading, text) pairs.

    Raises
    ------
    InputError
        If the file has no such row.
    """
    from auditor.audits.guard import inputs

    return inputs.unit(file, options, row)


def units(
    file: InputFile, options: Mapping[str, Any], rows: AbstractSet[int]
) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """Several queries."""
    from auditor.audits.guard import inputs

    return inputs.units(file, options, rows)


def pictures(findings: "GuardFindings", tables: Mapping[str, Path], theme: str) -> Iterator[Picture]:
    """Draw the findings; see `auditor.audits.guard.figures`."""
    from auditor.audits.guard.figures import pictures as draw

    return draw(findings, tables, theme)


def methods(findings: "GuardFindings") -> list[tuple[str, str]]:
    """What the report says of the method."""
    from auditor.audits.guard.method_text import methods as describe

    return describe(findings)


def headline_words(findings: "GuardFindings") -> list[tuple[str, str]]:
    """The headline in words and with units."""
    from auditor.audits.guard.headline import headline_words as tell

    return tell(findings)


def beside_runs(run: FinishedRun, others: Sequence[FinishedRun], theme: str) -> FollowedOverTime:
    """A run beside the others of its case; see `auditor.audits.guard.side_by_side`."""
    from auditor.audits.guard.side_by_side import beside_runs as stand

    return stand(run, others, theme)


def predictor(folder: Path, *, model: "ModelFile | None" = None) -> "GuardPredictor":
    """The guard that a run has certified, for a service of one's own; see `auditor.audits.guard.service`.

    Parameters
    ----------
    folder : Path
        A run's directory, or a folder that `GuardPredictor.save` has written.
    model : ModelFile, optional
        The model, if it is not in the library of this machine under the same hash.

    Raises
    ------
    InputError
        If the folder cannot be read.
    ModelError
        If there is no model with the right hash, or it cannot be loaded.
    """
    from auditor.audits.guard.service import load

    return load(folder, model=model)


def __getattr__(attribute: str) -> Any:
    # What needs numpy, which the window's start must not wait for.
    if attribute == "FindingsType":
        from auditor.audits.guard.findings import GuardFindings

        return GuardFindings
    raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")
