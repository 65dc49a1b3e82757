"""Rate conversations with a judge model.

In a notebook::

    from pathlib import Path
    from auditor.audits import InputFile, rating
    from auditor.audits.memory import MemoryContext
    from auditor.files import sha256_of
    from auditor.models.library import Library

    file = Path("conversations.jsonl")
    context = MemoryContext({"judge": Library().default()}, seed=0)
    findings = rating.run(rating.Spec(), {"conversations": InputFile(file, file.name, sha256_of(file))}, context)
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.audits import Context, InputFile, InputRole, ModelRole, PeopleFound, Picture, Preview
from auditor.audits.rating.spec import RatingSpec as Spec

if TYPE_CHECKING:
    from auditor.audits.rating.findings import RatingFindings

__all__ = [
    "Spec",
    "beside_people",
    "input_roles",
    "methods",
    "model_roles",
    "name",
    "pictures",
    "preview",
    "purpose",
    "read_by",
    "run",
    "title",
    "unit",
    "units",
]

name = "rating"
title = "Rate"
purpose = (
    "How natural, how comprehensive and how on topic are an assistant's replies, as a judge model rates them from 1 to 5 "
    "by a written rubric? The answer describes the replies through the eyes of that judge; what people think of them "
    "takes people."
)
input_roles = (
    InputRole(
        name="conversations",
        title="Conversations",
        description="OpenAI chat or ShareGPT as JSON Lines or a JSON array, HH-RLHF strings, CSV, TSV or Parquet with a "
        "column mapping, or plain text with 'User:' and 'Assistant:' lines.",
        endings=(".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".txt"),
    ),
    InputRole(
        name="rubric",
        title="Rubric",
        description="A TOML file with one text per score level per axis; the rubric that ships if none is given.",
        endings=(".toml",),
        required=False,
    ),
    InputRole(
        name="humans",
        title="Human ratings",
        description="A CSV with the columns conversation_id, axis, rater, score (and note, if there is one).",
        endings=(".csv",),
        required=False,
    ),
)
model_roles = (ModelRole(name="judge", title="Judge model", spec_field="model"),)


def run(spec: Spec, inputs: Mapping[str, InputFile], context: Context) -> "RatingFindings":
    """Rate every conversation; see `auditor.audits.rating.rate`."""
    from auditor.audits.rating.rate import run as carry_out

    return carry_out(spec, inputs, context)


def preview(role: str, file: InputFile, options: Mapping[str, Any]) -> Preview:
    """Read a file as a run would; `options` is a spec's fields, of which mapping and scope count."""
    from auditor.audits.rating import inputs, rubric

    if role == "rubric":
        return rubric.preview(file.path)
    scope = options.get("scope") or Spec.model_fields["scope"].default
    return inputs.preview(file, options.get("mapping") or {}, scope)


def read_by(file: InputFile, options: Mapping[str, Any]) -> tuple[str, Mapping[str, str]]:
    """What makes the rows of two runs the same conversations: hash of the file, and which of its columns were read.

    Columns that a run took for a field by their names count as if somebody had mapped them.
    """
    from auditor.audits.rating import inputs

    return file.sha256, inputs.mapping_of(file, options.get("mapping") or {})


def unit(file: InputFile, options: Mapping[str, Any], row: int) -> list[tuple[str, str]]:
    """The turns of one conversation: (role, text) pairs."""
    from auditor.audits.rating import inputs

    found = inputs.conversation_at(file, options.get("mapping") or {}, row)
    return [(turn.role, turn.text) for turn in found.turns]


def units(
    file: InputFile, options: Mapping[str, Any], rows: AbstractSet[int]
) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """The turns of several conversations."""
    from auditor.audits.rating import inputs

    for found in inputs.conversations_at(file, options.get("mapping") or {}, rows):
        yield found.row, [(turn.role, turn.text) for turn in found.turns]


def pictures(findings: "RatingFindings", tables: Mapping[str, Path], theme: str) -> Iterator[Picture]:
    """Draw the findings; see `auditor.audits.rating.figures`."""
    from auditor.audits.rating.figures import pictures as draw

    return draw(findings, tables, theme)


def beside_people(
    findings: "RatingFindings", tables: Mapping[str, Path], records: Sequence[Any], theme: str
) -> PeopleFound:
    """How the run's ratings stand beside those of people; see `auditor.audits.rating.judgements`."""
    from auditor.audits.rating.judgements import beside_people as compare

    return compare(findings, tables, records, theme)


def methods(findings: "RatingFindings") -> list[tuple[str, str]]:
    """What the report says of the method."""
    from auditor.audits.rating.method_text import methods as describe

    return describe(findings)


def __getattr__(attribute: str) -> Any:
    # The findings need numpy, which the window's start must not wait for.
    if attribute == "FindingsType":
        from auditor.audits.rating.findings import RatingFindings

        return RatingFindings
    raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")
