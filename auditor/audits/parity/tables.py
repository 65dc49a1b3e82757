"""The tables of a parity run: what each column holds, and how rows become Parquet."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from auditor.audits import Context
from auditor.audits.findings import Column, TableInfo
from auditor.audits.saving import save_rows

if TYPE_CHECKING:
    import pyarrow as pa

_WHOLE = {"k", "rank", "n", "n_slots", "n_known", "n_permutations", "place"}
_NUMBERS = {
    *("statistic", "p_value", "p_low", "p_high", "adjusted_p", "value", "low", "high", "observed", "expected"),
    *("deviation", "share", "weight", "x", "power", "detectable", "effect"),
    *("ndkl", "awrf", "lowest", "highest"),
    *("hue", "hue_low", "hue_high"),
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
_HUE = _column(
    "hue",
    "Hue",
    "Hue angle of the colour that the degrees were read from: 0 is red, 90 yellow; empty for greys and without a colour.",
    "degrees",
)
_SHARE = "share"
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
            _column(
                "p_value",
                "p",
                "(1 + relabellings that reach the observed value) / (B + 1); exact where all arrangements were taken or the "
                "distribution is known.",
            ),
            _column(
                "p_low", "p, low", "Lower bound of the Clopper-Pearson 99% interval of p; p itself where it is exact."
            ),
            _column(
                "p_high", "p, high", "Upper bound of the Clopper-Pearson 99% interval of p; p itself where it is exact."
            ),
            _column(
                "adjusted_p",
                "Adjusted p",
                "Over the secondary hypotheses: in mode B by max-T, in the other modes after Holm.",
            ),
            _column(
                "n_permutations",
                "Relabellings",
                "B, or fewer where the test stopped early or there are fewer; 0 where none was needed.",
                detail=True,
            ),
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
            _column("observed", "Observed", "Mean share of the level in the lists of the group.", _SHARE),
            _column("expected", "Expected", "Mean share under the null hypothesis.", _SHARE),
            _column("deviation", "Deviation", "Observed less expected.", _SHARE),
            _LOW,
            _HIGH,
            _column(
                "p_value",
                "p",
                "From a t-distribution, with errors no smaller than under the null hypothesis; for looking closer, not a test of "
                "the run. Empty where results are too few.",
                detail=True,
            ),
            _column("adjusted_p", "Adjusted p", "False discovery rate over these cells, after Benjamini and Hochberg."),
        ),
    ),
    "null": (
        "Null distribution",
        (
            _column(
                "value",
                "Statistic",
                "Value of the statistic under the null hypothesis, one a relabelling; the first 9,999.",
            ),
        ),
    ),
    "rank_profile": (
        "Profile over ranks",
        (
            _GROUP,
            _column(
                "rank", "Rank", "Place in the list, from 1 to 100; what stands further down is left out of this table."
            ),
            _LEVEL,
            _column("share", "Share", "Share of the level at this rank; empty for degrees.", _SHARE),
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
            _HUE,
            _column("weight", "Weight", "Weight of the result."),
        ),
    ),
    "hue": (
        "Hue beside tone by query group",
        (
            _GROUP,
            _column("n", "Results", "Results whose colour has a hue: known, and not grey."),
            _column("value", "Mean ITA", "Mean individual typology angle of these results.", "degrees"),
            _column("hue", "Mean hue", "Mean direction of the hue angle: 0 is red, 90 yellow. Not tested.", "degrees"),
            _column("hue_low", "Hue, low", "A tenth of the results lies below, that is nearer to red.", "degrees"),
            _column("hue_high", "Hue, high", "A tenth of the results lies above, that is nearer to yellow.", "degrees"),
        ),
    ),
    "power": (
        "Power",
        (
            _column("varied", "Varied", "What the curve varies."),
            _column("x_name", "Name", "Its short name, for example n_queries or beta.", detail=True),
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
    "ranking": (
        "Descriptive measures of the ranking",
        (
            _GROUP,
            _column(
                "ndkl", "NDKL", "Mean divergence of the first results from the reference, in nats; 0 is best.", "nats"
            ),
            _column("awrf", "AWRF", "Attention-weighted rank fairness, 0 to 1; 1 is best."),
            _column("skew", "Skew", "skew@k with its k, or skew of the whole lists.", detail=True),
            _column("lowest", "Lowest skew", "Least mean ln(share / expected share) of a level.", "ln"),
            _column("lowest_level", "of", "Level with the lowest skew: shown less than expected where it is below 0."),
            _column("highest", "Highest skew", "Largest mean ln(share / expected share) of a level.", "ln"),
            _column(
                "highest_level", "of", "Level with the highest skew: shown more than expected where it is above 0."
            ),
            _column("smoothing", "Smoothing", "Rule that was applied to the counts of skew and NDKL."),
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
            _HUE,
            _column("image", "Image", "Where the image lies, if there is one.", detail=True),
        ),
    ),
}


def query_columns(
    levels: Sequence[str], what: str, unit: str, *, has_target: bool, has_hue: bool = False
) -> tuple[Column, ...]:
    """Columns of the table of queries; the shares are titled by the levels' names.

    Parameters
    ----------
    what : str
        What a query's value is, in words.
    unit : str
        Unit of the value and of its deviation.
    has_target, has_hue : bool
        Whether there are target shares, and colours that degrees were read from.
    """
    hue = (_column("hue", "Hue", "Mean hue of the list's colours: 0 is red, 90 yellow. Not tested.", "degrees"),)
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
        _column("value", "Value", f"Weighted mean of the list: {what}.", unit),
        _column("deviation", "Deviation", "From the mean over all queries, or from the target.", unit),
        _column("place", "Place", "By absolute deviation; 1 is the furthest."),
        *(hue if has_hue else ()),
        *(
            _column(f"level_{number}", level, f"Weighted share of {level} among the results whose attribute is known.")
            for number, level in enumerate(levels, 1)
        ),
        *targets,
    )


def save(
    context: Context, name: str, rows: Sequence[Mapping[str, Any]], units: Mapping[str, str] | None = None
) -> TableInfo:
    """Save one of `COLUMNS`' tables; rows lack nothing but what is null.

    Parameters
    ----------
    units : mapping of str to str, optional
        Column -> its unit, where that is known only with the data.
    """
    title, columns = COLUMNS[name]
    known = units or {}
    told = tuple(
        column.model_copy(update={"unit": known[column.name]}) if column.name in known else column for column in columns
    )
    return save_as(context, name, title, told, rows)


def save_as(
    context: Context, name: str, title: str, columns: tuple[Column, ...], rows: Sequence[Mapping[str, Any]]
) -> TableInfo:
    """Save rows as a table whose columns are given."""
    import pyarrow as pa

    schema = pa.schema([(column.name, _type(column.name)) for column in columns])
    info = TableInfo(name=name, title=title, rows=len(rows), columns=columns)
    save_rows(context, info, rows, schema)
    return info


def _type(name: str) -> "pa.DataType":
    import pyarrow as pa

    if name in _WHOLE:
        return pa.int64()
    return pa.float64() if name in _NUMBERS or name.startswith(("level_", "target_")) else pa.string()
