"""Test ranked results for dependence on a protected attribute: distribution parity, after Khaziev et al.

In a notebook::

    import pandas as pd
    from auditor.audits import parity

    result = parity.test(pd.read_csv("results.csv"), attribute="tone", query_group="group", scale="ordinal", k=20)
    print(result.verdict)
    result.figure("null")

References
----------
Khaziev, Casavant, Washabaugh, Winecoff, Graham, "Recommendation or Discrimination?: Quantifying Distribution Parity in
Information Retrieval Systems", arXiv:1909.06429. Only its abstract could be read; the design is ours.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.audits import Context, FinishedRun, FollowedOverTime, InputFile, InputRole, ModelRole, Picture, Preview
from auditor.audits.parity.spec import ParitySpec as Spec

if TYPE_CHECKING:
    from auditor.audits.parity.api import parity_test as test
    from auditor.audits.parity.findings import ParityFindings

__all__ = [
    "Spec",
    "headline_words",
    "input_roles",
    "methods",
    "model_roles",
    "name",
    "over_time",
    "pictures",
    "preview",
    "purpose",
    "run",
    "test",
    "title",
    "unit",
    "units",
]

name = "parity"
title = "Parity"
purpose = (
    "Do the results of a search or recommendation system depend on a protected attribute, such as the skin tone of the "
    "people shown? The answer is a permutation test of distribution parity (after Khaziev et al.) on the first K results "
    "of each query, with the size of the difference, its uncertainty and the least difference that could have been seen."
)
_TABLES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet")
input_roles = (
    InputRole(
        name="results",
        title="Search results",
        description="A long table with the columns query_id, item_id, rank (and score, query_group, the attribute), a TREC run, "
        "or the answers of Elasticsearch, Milvus, FAISS or Vespa.",
        endings=(*_TABLES, ".txt", ".run", ".trec", ".npz", ".npy"),
    ),
    InputRole(
        name="catalog",
        title="Catalog",
        description="A table with a row for each item: item_id, the attribute, strata, and the path of its image, if any.",
        endings=_TABLES,
        required=False,
    ),
    InputRole(
        name="queries",
        title="Queries",
        description="A table with a row for each query: query_id and any of query_group, query_item and strata, for formats "
        "of results that have no such columns.",
        endings=_TABLES,
        required=False,
    ),
    InputRole(
        name="shares",
        title="Target shares",
        description="A table of the share that each level should have, in columns or as level and share, for all queries or for "
        "each query_id; in degrees a column target_mean.",
        endings=_TABLES,
        required=False,
    ),
    InputRole(
        name="annotations",
        title="Annotations",
        description="A table with the columns item_id, rater and label, a row for each judgement; ita_degrees, where a rater "
        "confirmed what was measured from the image, for a test in degrees.",
        endings=_TABLES,
        required=False,
    ),
)
model_roles: tuple[ModelRole, ...] = ()


def run(spec: Spec, inputs: Mapping[str, InputFile], context: Context) -> "ParityFindings":
    """Carry out a parity audit; see `auditor.audits.parity.audit`."""
    from auditor.audits.parity.audit import run as carry_out

    return carry_out(spec, inputs, context)


def preview(role: str, file: InputFile, options: Mapping[str, Any]) -> Preview:
    """Read a file as a run would; `options` is a spec's fields."""
    from auditor.audits.parity import inputs

    return inputs.preview(role, file, options)


def unit(file: InputFile, options: Mapping[str, Any], row: int) -> list[tuple[str, str]]:
    """One row of the results, to look at: (column, text) pairs.

    Raises
    ------
    InputError
        If the file has no such row.
    """
    from auditor.audits.parity import inputs

    return inputs.unit(file, options, row)


def units(
    file: InputFile, options: Mapping[str, Any], rows: AbstractSet[int]
) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """Several rows of the results."""
    from auditor.audits.parity import inputs

    return inputs.units(file, options, rows)


def pictures(findings: "ParityFindings", tables: Mapping[str, Path], theme: str) -> Iterator[Picture]:
    """Draw the findings; see `auditor.audits.parity.figures`."""
    from auditor.audits.parity.figures import pictures as draw

    return draw(findings, tables, theme)


def methods(findings: "ParityFindings") -> list[tuple[str, str]]:
    """What the report says of the method."""
    from auditor.audits.parity.method_text import methods as describe

    return describe(findings)


def headline_words(findings: "ParityFindings") -> list[tuple[str, str]]:
    """The headline in words and with units."""
    from auditor.audits.parity.headline import headline_words as tell

    return tell(findings)


def over_time(run: FinishedRun, others: Sequence[FinishedRun], theme: str) -> FollowedOverTime:
    """Evidence on a run's question over the runs of its case; see `auditor.audits.parity.monitor_runs`."""
    from auditor.audits.parity.monitor_runs import over_time as follow

    return follow(run, others, theme)


def __getattr__(attribute: str) -> Any:
    # What needs numpy, which the window's start must not wait for.
    if attribute == "FindingsType":
        from auditor.audits.parity.findings import ParityFindings

        return ParityFindings
    if attribute == "test":
        from auditor.audits.parity.api import parity_test

        return parity_test
    raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")
