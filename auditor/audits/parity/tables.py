"""The tables of a parity run: what each column holds, and how rows become Parquet."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from auditor.audits import Context
from auditor.audits.findings import Column, TableInfo

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 10_000
_WHOLE = {"k", "rank", "n", "n_slots", "n_known", "n_permutations", "place"}
_NUMBERS = {
    *("statistic", "p_value", "p_low", "p_high", "adjusted_p", "value", "low", "high", "observed", "expected"),
    *("deviation", "share", "weight", "x", "power", "detectable", "effect"),
}


def _column(name: str, title: str, description: str, unit: str | None = None, *, detail: bool = False) -> Column:
    return Column(name=name, title=title, description=description, unit=unit, detail=detail)


_ATTRIBUTE = _column("attribute", "Attribute", "Name of the attribute.")
_K = _column("k", "K", "Results of each query that count; empty for all.")
_GROUP = _column("group", "Query group", "Group of the queries.")
_LEVEL = _column("level", "Level", "Level of the attribute; empty where degrees are meant.")
_LOW = _column("low", "Low", "Lower bound of the interval; empty where there is none.")
_HIGH = _column("high", "High", "Upper bound of the interval.")
_QUERY = _column("query_id", "Query", "Id in the file.")
_METHOD = _column("method", "Method", "How it was computed.", detail=True)

COLUMNS: Mapping[str, tuple[str, tuple[Column, ...]]] = {
    "tests": (
        "Tests",
        (
            _ATTRIBUTE,
            _K,
            _column(
                "family",
                "Family",
                "primary: declared before looking; omnibus: whether distributions differ in shape; secondary: the others.",
            ),
            _column("statistic_name", "Statistic", "Name of the statistic."),
            _column("statistic", "Value", "Observed value of the statistic.", detail=True),
            _column("p_value", "p", "(1 + relabellings that reach the observed value) / (B + 1)."),
            _column("p_low", "p, low", "Lower bound of the Clopper-Pearson 99% interval of p."),
            _column("p_high", "p, high", "Upper bound of the Clopper-Pearson 99% interval of p."),
            _column("adjusted_p", "Adjusted p", "By max-T over the family of hypotheses."),
            _column("n_permutations", "Relabellings", "B, or fewer where the test stopped early.", detail=True),
            _METHOD,
        ),
    ),
    "effects": (
        "Effects",
        (
            _ATTRIBUTE,
            _K,
            _column("name", "Name", "Stable name of the effect.", detail=True),
            _column("title", "Effect", "What is compared."),
            _column("a", "A", "First group, or the results.", detail=True),
            _column("b", "B", "Second group, or the target.", detail=True),
            _column("value", "Value", "A less B."),
            _LOW,
            _HIGH,
            _column("unit", "Unit", "Unit of value and interval."),
            _METHOD,
        ),
    ),
    "cells": (
        "Shares by group and level",
        (
            _ATTRIBUTE.model_copy(update={"detail": True}),
            _K.model_copy(update={"detail": True}),
            _GROUP,
            _LEVEL,
            _column("observed", "Observed", "Mean share of the level in the lists of the group."),
            _column("expected", "Expected", "Mean share under the null hypothesis."),
            _column("deviation", "Deviation", "Observed less expected."),
            _LOW,
            _HIGH,
            _column("p_value", "p", "Normal approximation; for looking closer, not a test of the run.", detail=True),
            _column("adjusted_p", "Adjusted p", "False discovery rate over these cells, after Benjamini and Hochberg."),
        ),
    ),
    "null": (
        "Null distribution",
        (_column("value", "Statistic", "Value of the statistic under a random relabelling; the first 9,999."),),
    ),
    "rank_profile": (
        "Profile over ranks",
        (
            _GROUP,
            _column("rank", "Rank", "Place in the list, from 1."),
            _LEVEL,
            _column("share", "Share", "Share of the level at this rank; empty for degrees."),
            _column("value", "Mean", "Mean degrees at this rank.", "degrees"),
            _LOW,
            _HIGH,
            _column("n", "Results", "Results at this rank with a known attribute."),
        ),
    ),
    "ita": (
        "Tones by query group",
        (
            _GROUP,
            _column("value", "ITA", "Individual typology angle of a result.", "degrees"),
            _column("weight", "Weight", "Weight of the result."),
        ),
    ),
    "power": (
        "Power",
        (
            _column("x_name", "Varied", "n_queries, or beta: the share of slots filled from the query's own group."),
            _column("x", "Value", "Value of what is varied."),
            _column(
                "detectable", "Detectable bias", "Least bias that the two-sided test sees with the power asked for."
            ),
            _column("kind", "Kind", "formula or simulation."),
            _column("power", "Power", "Probability of p <= alpha."),
        ),
    ),
    "sensitivity": (
        "Sensitivity",
        (
            _column("kind", "Question", "What was changed."),
            _column("name", "Condition", "The changed condition."),
            _column(
                "effect",
                "Effect",
                "The primary effect under it: as in the table of effects, the first group less the second.",
            ),
            _column("p_value", "p", "p-value under it, where one was computed."),
            _column("verdict", "Verdict", "State of the verdict under it."),
            _column("detail", "Detail", "In words; in a report under Method.", detail=True),
        ),
    ),
    "descriptive": (
        "Descriptive measures",
        (
            _GROUP,
            _column("measure", "Measure", "skew@k, NDKL or AWRF; not tested."),
            _LEVEL,
            _column("value", "Value", "Value of the measure."),
            _column("smoothing", "Smoothing", "Rule that was applied to the counts."),
        ),
    ),
    "slots": (
        "Results of the tested lists",
        (
            _QUERY,
            _GROUP,
            _column("rank", "Rank", "Place in the list, from 1."),
            _column("item_id", "Item", "Id in the file."),
            _column("level", "Level", "Level of the attribute; empty where it is missing."),
            _column("value", "ITA", "Individual typology angle, on that scale.", "degrees"),
            _column("image", "Image", "Where the image lies, if there is one."),
        ),
    ),
}


def query_columns(levels: Sequence[str], unit: str, *, has_target: bool) -> tuple[Column, ...]:
    """Columns of the table of queries; the shares are titled by the levels' names."""
    targets = [
        _column(f"target_{number}", f"{level}, target", f"Expected share of {level}.")
        for number, level in enumerate(levels, 1)
        if has_target
    ]
    return (
        _QUERY,
        _GROUP,
        _column("stratum", "Stratum", "Within which labels are permuted."),
        _column("n_slots", "Results", "Results within K."),
        _column("n_known", "Known", "Results whose attribute is known."),
        _column("value", "Value", f"Weighted mean of the list: {unit}."),
        _column("deviation", "Deviation", "From the mean over all queries, or from the target."),
        _column("place", "Place", "By absolute deviation; 1 is the furthest."),
        *(
            _column(f"level_{number}", level, f"Weighted share of {level} among the results whose attribute is known.")
            for number, level in enumerate(levels, 1)
        ),
        *targets,
    )


def save(context: Context, name: str, rows: Sequence[Mapping[str, Any]]) -> TableInfo:
    """Save one of `COLUMNS`' tables; rows lack nothing but what is null."""
    title, columns = COLUMNS[name]
    return save_as(context, name, title, columns, rows)


def save_as(
    context: Context, name: str, title: str, columns: tuple[Column, ...], rows: Sequence[Mapping[str, Any]]
) -> TableInfo:
    """Save rows as a table whose columns are given."""
    import pyarrow as pa

    schema = pa.schema([(column.name, _type(column.name)) for column in columns])
    info = TableInfo(name=name, title=title, rows=len(rows), columns=columns)
    context.save_table(info, _batches(rows, schema), schema)
    return info


def _type(name: str) -> "pa.DataType":
    import pyarrow as pa

    if name in _WHOLE:
        return pa.int64()
    return pa.float64() if name in _NUMBERS or name.startswith(("level_", "target_")) else pa.string()


def _batches(rows: Sequence[Mapping[str, Any]], schema: "pa.Schema") -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    for start in range(0, len(rows), _BATCH_ROWS):
        yield pa.RecordBatch.from_pylist(list(rows[start : start + _BATCH_ROWS]), schema=schema)
