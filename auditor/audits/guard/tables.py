"""The tables of a guard run: what each column holds, and how rows become Parquet.

A condition is one way of making the prompt of a query: ``zero-shot``, ``correct``, an attack at a strength
(``cyclic:0.5``), or ``mixture``: every query under correct or corrupted demonstrations, as drawn for it.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from auditor.audits import Context
from auditor.audits.findings import Column, TableInfo
from auditor.audits.saving import save_rows

if TYPE_CHECKING:
    import pyarrow as pa

_WHOLE = {
    *("place", "row", "exit", "first_exit", "layer", "head", "split", "n", "n_calibration", "n_test", "n_labels", "k"),
}
_FLAGS = {"passed", "certified", "corrupted"}
_NUMBERS = {
    *("strength", "depth", "lambda", "epsilon", "value", "low", "high", "share", "mass", "p_value", "confidence"),
    "n_corrupted",
    *("accuracy", "accuracy_zero_shot", "accuracy_unguarded", "accuracy_guarded"),
    *("unguarded_low", "unguarded_high", "guarded_low", "guarded_high"),
    *("risk", "risk_unguarded", "risk_guarded", "risk_low", "risk_high", "risk_test"),
    *("harm", "benefit", "harm_unguarded", "harm_guarded", "harm_low", "harm_high", "lost_benefit"),
    *("mean_exit", "fallback", "layer_passes", "token_passes", "seconds", "ratio"),
    *("p_zero_shot", "p_unguarded", "p_guarded", "drop", "influence", "accuracy_change"),
}


def _column(name: str, title: str, description: str, unit: str | None = None, *, detail: bool = False) -> Column:
    return Column(name=name, title=title, description=description, unit=unit, detail=detail)


_CONDITION = _column(
    "condition", "Condition", "How the prompt was made: zero-shot, correct, ATTACK:STRENGTH, or mixture."
)
_N = _column("n", "Queries", "Queries behind the row.")
_LAMBDA = _column("lambda", "Lambda", "Confidence above which the guard answers; 1 is zero-shot.")
_EXIT = _column("exit", "Exit", "Layer after which the answer was read, from 1; the last is the full model.", "layer")
_TEXT = _column("text", "Text", "Text of the query.")
_LABEL = _column("label", "Label", "The right label, as the file has it.")
_QUERY = _column("query_id", "Query", "Id in the file, or row-<n>.")
_ROW = _column("row", "Row", "Row in the file of queries; in a table with a header that is row 1.", detail=True)
_PLACE = _column("place", "Place", "Rank in this table, worst first, from 1.")
_PASSES = _column(
    "layer_passes",
    "Layer passes",
    "Layers run by the guard, with the zero-shot pass where it fell back, as a share of those of one full prompt; every pass "
    "counts the same, however short its prompt.",
)
_TOKEN_PASSES = _column(
    "token_passes",
    "Layers × tokens",
    "The same with each pass counted by the mean length of its prompt: a zero-shot prompt is shorter.",
    detail=True,
)
_FALLBACK = _column("fallback", "Fell back", "Share of queries answered with the zero-shot label.")
_ZERO_SHOT = _column("zero_shot", "Zero-shot", "Label that the full model gives without demonstrations.")
_UNGUARDED = _column("unguarded", "Unguarded", "Label that the full model gives with the demonstrations.")
_GUARDED = _column("guarded", "Guarded", "Label that the guard gives at the lambda it was set to.")

COLUMNS: Mapping[str, tuple[str, tuple[Column, ...]]] = {
    "conditions": (
        "Attacks and their strengths",
        (
            _CONDITION,
            _column("kind", "Kind", "zero-shot, correct, attack or mixture.", detail=True),
            _column("attack", "Attack", "Name of the attack; empty where there is none.", detail=True),
            _column(
                "strength",
                "Strength",
                "Share of the demonstrations that the attack is asked to touch; whole ones are, and at least one.",
                detail=True,
            ),
            _column(
                "n_corrupted",
                "Corrupted",
                "Demonstrations of a prompt that are corrupted, mean over these queries: what the strength came to. An attack "
                "may find fewer to touch than it was asked for.",
            ),
            # The same in every row, and said with the pools: a report has room for eight columns.
            _N.model_copy(update={"detail": True}),
            _column("accuracy_zero_shot", "Zero-shot", "Share of these queries that are right without demonstrations."),
            _column("accuracy_unguarded", "Unguarded", "Share that is right with demonstrations and no guard."),
            _column(
                "unguarded_low",
                "Unguarded, low",
                "Lower bound, exact (Clopper-Pearson; by betting for mixtures).",
                detail=True,
            ),
            _column(
                "unguarded_high",
                "Unguarded, high",
                "Upper bound, exact (Clopper-Pearson; by betting for mixtures).",
                detail=True,
            ),
            _column("accuracy_guarded", "Guarded", "Share that is right with the guard."),
            _column(
                "guarded_low",
                "Guarded, low",
                "Lower bound, exact (Clopper-Pearson; by betting for mixtures).",
                detail=True,
            ),
            _column(
                "guarded_high",
                "Guarded, high",
                "Upper bound, exact (Clopper-Pearson; by betting for mixtures).",
                detail=True,
            ),
            _column("risk_unguarded", "Risk unguarded", "Zero-shot accuracy less unguarded accuracy.", detail=True),
            _column("risk_guarded", "Risk guarded", "Zero-shot accuracy less guarded accuracy, the mean loss."),
            _column(
                "risk_low",
                "Risk, low",
                "Lower bound of the guarded risk, by betting (Waudby-Smith and Ramdas).",
                detail=True,
            ),
            _column(
                "risk_high",
                "Risk, high",
                "Upper bound of the guarded risk, by betting (Waudby-Smith and Ramdas).",
                detail=True,
            ),
            _column("harm_unguarded", "Harm unguarded", "Share right zero-shot and wrong with demonstrations."),
            _column("harm_guarded", "Harm guarded", "Share right zero-shot and wrong with the guard."),
            _column(
                "harm_low",
                "Harm, low",
                "Lower bound of the guarded harm, exact (Clopper-Pearson; by betting for mixtures).",
                detail=True,
            ),
            _column(
                "harm_high",
                "Harm, high",
                "Upper bound of the guarded harm, exact (Clopper-Pearson; by betting for mixtures).",
                detail=True,
            ),
            _column(
                "lost_benefit",
                "Lost benefit",
                "Share wrong zero-shot that demonstrations put right and the guard did not.",
                detail=True,
            ),
            _column(
                "mean_exit",
                "Mean exit",
                "Mean layer of the answers that were read early or in full.",
                "layer",
                detail=True,
            ),
            _FALLBACK.model_copy(update={"detail": True}),
            _PASSES.model_copy(update={"detail": True}),
            _TOKEN_PASSES,
        ),
    ),
    "layers": (
        "Accuracy by layer",
        (
            _CONDITION,
            _EXIT,
            _column("depth", "Depth", "The exit as a share of all layers."),
            _column(
                "accuracy",
                "Accuracy",
                "Share of the queries that are right when this layer is read as the guard reads it.",
            ),
            _column("low", "Low", "Lower bound, exact (Clopper-Pearson; by betting for mixtures)."),
            _column("high", "High", "Upper bound, exact (Clopper-Pearson; by betting for mixtures)."),
            _column(
                "confidence", "Confidence", "Mean confidence at this layer, as the guard measures it.", detail=True
            ),
            _N,
        ),
    ),
    "risk_curve": (
        "Risk by threshold",
        (
            _CONDITION,
            _LAMBDA,
            _column("risk", "Risk", "Mean loss on the calibration queries: zero-shot accuracy less guarded accuracy."),
            _column("low", "Low", "Lower bound of the risk, by betting (Waudby-Smith and Ramdas)."),
            _column("high", "High", "Upper bound of the risk, by betting (Waudby-Smith and Ramdas)."),
            _column("harm", "Harm", "Share right zero-shot and wrong with the guard."),
            _column("benefit", "Benefit", "Share wrong zero-shot and right with the guard."),
            _column(
                "p_value", "p", "For the hypothesis that the risk exceeds epsilon; empty at 1, which is not tested."
            ),
            _column("passed", "Passed", "Whether this threshold may be used, by the rule of selection."),
            _column("risk_test", "Risk, test", "The same mean loss on the test queries.", detail=True),
            _N,
        ),
    ),
    "exits": (
        "Where the guard answered",
        (
            _CONDITION,
            _column(
                "exit", "Exit", "Layer after which the answer was read; empty where it fell back on zero-shot.", "layer"
            ),
            _N,
            _column("share", "Share", "Of the queries of this condition."),
        ),
    ),
    "splits": (
        "New splits of the queries",
        (
            _column("split", "Split", "Number of the split, from 1."),
            _column("epsilon", "Epsilon", "Risk allowed."),
            _column("lambda", "Lambda", "Threshold that was chosen; 1 where none passed."),
            _column("certified", "Certified", "Whether a threshold below 1 passed."),
            _column("risk_test", "Test risk", "Mean loss on the other queries at that threshold."),
            _column("accuracy_guarded", "Guarded", "Share of the other queries that is right with the guard."),
            _column(
                "accuracy_zero_shot", "Zero-shot", "Share of the other queries that is right without demonstrations."
            ),
            _PASSES,
            _column("n_calibration", "Calibration", "Queries the threshold was chosen on."),
            _column("n_test", "Test", "Queries the risk was measured on."),
        ),
    ),
    "flipped": (
        "Queries whose answer flipped",
        (
            _PLACE.model_copy(update={"detail": True}),
            _ROW,
            _QUERY.model_copy(update={"detail": True}),
            _TEXT,
            _LABEL,
            _CONDITION,
            _ZERO_SHOT,
            _UNGUARDED,
            _GUARDED,
            _column(
                "change", "Change", "harmed (was right), helped (is right), or other; unguarded against zero-shot."
            ),
            _column(
                "exit", "Exit", "Layer after which the guard answered; empty where it fell back.", "layer", detail=True
            ),
            _column(
                "p_zero_shot", "p, zero-shot", "Probability of the right label without demonstrations.", detail=True
            ),
            _column("p_unguarded", "p, unguarded", "Probability of the right label with demonstrations.", detail=True),
            _column("drop", "Drop", "What the right label lost: the former probability less the latter."),
        ),
    ),
    "influence": (
        "Influence of the demonstrations",
        (
            _PLACE,
            _column("demonstration", "Demonstration", "Id in the file, or row-<n>.", detail=True),
            _TEXT.model_copy(update={"description": "Text of the demonstration."}),
            _column("word", "Label shown", "The label word in the prompt."),
            _column("source", "Source", "File or attack it comes from.", detail=True),
            _column("corrupted", "Corrupted", "Whether an attack changed it or the file says so."),
            _column(
                "influence",
                "Influence",
                "Mean change of the right label's log-probability when it stands in the prompt; negative where it hurts.",
                "nats",
            ),
            _column("low", "Low", "Lower bound, by a bootstrap over queries."),
            _column("high", "High", "Upper bound, by a bootstrap over queries."),
            _column("accuracy_change", "Accuracy", "Change of accuracy when it stands in the prompt."),
            _N.model_copy(update={"detail": True}),
        ),
    ),
    "attention": (
        "Attention to demonstration labels",
        (
            _CONDITION,
            _column("layer", "Layer", "From 1.", "layer"),
            _column("head", "Head", "From 1."),
            _column("span", "Of", "correct: label words of right demonstrations; corrupted: those of corrupted ones."),
            _column(
                "mass", "Mass", "Attention of the answer position on these tokens, mean over queries, from 0 to 1."
            ),
            _column("n_labels", "Labels", "Label words that the mass is shared by, on average, rounded.", detail=True),
            _N,
        ),
    ),
    "cost": (
        "What the guard costs",
        (
            _CONDITION,
            _LAMBDA,
            _PASSES,
            _TOKEN_PASSES,
            _column("accuracy", "Accuracy", "Share of the test queries that is right with the guard."),
            _column("risk", "Risk", "Zero-shot accuracy less that."),
            _FALLBACK,
            _column("mean_exit", "Mean exit", "Mean layer of the answers that did not fall back.", "layer"),
            _N,
        ),
    ),
    "timing": (
        "Measured time of a true early exit",
        (
            _column("exit", "Exit", "Layers that were run.", "layer"),
            _column("depth", "Depth", "The exit as a share of all layers."),
            _column("seconds", "Median", "Median time of a prompt.", "s"),
            _column("low", "Least", "Shortest round.", "s"),
            _column("high", "Most", "Longest round.", "s"),
            _column("ratio", "Ratio", "Median over rounds of this time and that of all layers."),
            _column("n", "Rounds", "Rounds that were timed."),
        ),
    ),
    "queries": (
        "Every query under every condition",
        (
            _ROW,
            _QUERY,
            _column("group", "Group", "Group of the query; queries of one group are never split."),
            _LABEL,
            _column("pool", "Pool", "calibration or test."),
            _CONDITION,
            _ZERO_SHOT,
            _UNGUARDED,
            _GUARDED,
            _column("exit", "Exit", "Layer after which the guard answered; empty where it fell back.", "layer"),
            _column("p_zero_shot", "p, zero-shot", "Probability of the right label without demonstrations."),
            _column("p_unguarded", "p, unguarded", "Probability of the right label with demonstrations."),
            _PASSES.model_copy(
                update={"description": "Layers the guard ran for this query as a share of one full prompt."}
            ),
        ),
    ),
}

#: Rows that a report prints of tables that stand worst first.
LEADING: Mapping[str, int] = {"flipped": 15, "influence": 15}


def save(context: Context, name: str, rows: Sequence[Mapping[str, Any]]) -> TableInfo:
    """Save one of `COLUMNS`' tables; rows lack nothing but what is null."""
    import pyarrow as pa

    title, columns = COLUMNS[name]
    schema = pa.schema([(column.name, _type(column.name)) for column in columns])
    info = TableInfo(name=name, title=title, rows=len(rows), columns=columns, leading=LEADING.get(name, 0))
    save_rows(context, info, rows, schema)
    return info


def _type(name: str) -> "pa.DataType":
    import pyarrow as pa

    if name in _WHOLE:
        return pa.int64()
    if name in _FLAGS:
        return pa.bool_()
    return pa.float64() if name in _NUMBERS else pa.string()
