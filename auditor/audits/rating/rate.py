"""Carry out a rating run: rows flush as they are rated, tables and findings are made of the flushed rows.

Records are read in the file's order and every record's ratings depend on nothing but the record, so a run that
was interrupted goes on after the last flushed row and ends with the same table.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from auditor.audits import Context, InputFile
from auditor.audits.findings import Column, Provenance, TableInfo
from auditor.audits.rating import findings as made
from auditor.audits.rating import inputs as files
from auditor.audits.rating.conversation import BadRow, Conversation
from auditor.audits.rating.findings import AxisSummary, RatingFindings
from auditor.audits.rating.prompt import ORDER
from auditor.audits.rating.rubric import load as load_rubric
from auditor.audits.rating.spec import RatingSpec
from auditor.errors import Cancelled, InputError
from auditor.models.starter import STARTER_WARNING

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 10_000


def run(spec: RatingSpec, inputs: Mapping[str, InputFile], context: Context) -> RatingFindings:
    """Rate the conversations of an input with a judge model.

    Parameters
    ----------
    inputs : mapping
        Role "conversations" -> file, and "rubric" -> TOML file if not the one that ships.
    context : Context
        Its model of role "judge" rates.

    Raises
    ------
    InputError
        If the file or the rubric cannot be used, or holds nothing to rate.
    ModelError
        If the model cannot be used.
    Cancelled
        If a person asked for it; what was rated stays.
    """
    from auditor.audits.rating.judge import Judge

    file = inputs["conversations"]
    model = context.model("judge")
    rubric = load_rubric(inputs["rubric"].path if "rubric" in inputs else None)
    axes = spec.axes or tuple(axis.name for axis in rubric.axes)
    if model.is_starter:
        context.warning("starter", STARTER_WARNING)
    total = _count(file, spec, context)
    n_ctx = min(spec.n_ctx, model.context_length or spec.n_ctx)
    context.progress(0, total, f"Checking and loading {model.name}")
    with Judge(model, rubric, axes, scope=spec.scope, n_ctx=n_ctx, explain=spec.explain) as judge:
        pace = _rate_all(judge, spec, file, axes, total, context)
        provenance = Provenance(
            device=judge.device, seed=context.seed, settings={**judge.settings, "explanations": spec.explain}
        )
    context.progress(total, total, "Making tables and findings")
    collected = _collect(context, axes)
    summaries = [
        made.summarise(
            name,
            rubric.axis(name).title,
            collected.p[name],
            collected.groups if collected.has_groups else None,
            confidence=spec.confidence,
            seed=context.seed,
        )
        for name in axes
    ]
    tables = _save_tables(context, summaries)
    return RatingFindings(
        audit="rating",
        verdict=made.verdict(summaries, collected.n, model, scope=spec.scope, confidence=spec.confidence),
        n=collected.n,
        headline=_headline(summaries, collected, pace),
        warnings=made.cautions(
            summaries, model, n_skipped=collected.n_skipped, n_truncated=collected.n_truncated, n_ctx=n_ctx
        ),
        limitations=list(made.LIMITATIONS),
        tables=tables,
        provenance=provenance,
        axes=summaries,
        confidence=spec.confidence,
        scope=spec.scope,
        order=ORDER,
        rubric=rubric,
        rubric_sha256=rubric.sha256,
        model_name=model.name,
        model_sha256=model.sha256,
        model_quantisation=model.quantisation,
        is_starter=model.is_starter,
        n_skipped=collected.n_skipped,
        n_truncated=collected.n_truncated,
    )


def _count(file: InputFile, spec: RatingSpec, context: Context) -> int:
    context.progress(0, None, "Reading the conversations")
    total = files.count(file, spec.mapping, limit=spec.limit)
    if total == 0:
        raise InputError(
            "The file holds no conversation that can be rated",
            file=file.name,
            fix="The preview lists what is wrong with each record.",
        )
    return total


@dataclass(frozen=True)
class _Flushed:
    """Where the rows end that an earlier process flushed."""

    row: int = 0
    axes: frozenset[str] = frozenset()
    conversations: int = 0
    bad_row: int = 0


def _flushed(context: Context) -> _Flushed:
    last, axes, count = 0, set[str](), 0
    for row in context.rows("ratings"):
        if row["row"] != last:
            last, axes, count = row["row"], set(), count + 1
        axes.add(row["axis"])
    bad = 0
    for row in context.rows("skipped"):
        bad = row["row"]
    return _Flushed(last, frozenset(axes), count, bad)


def _rate_all(
    judge: Any, spec: RatingSpec, file: InputFile, axes: tuple[str, ...], total: int, context: Context
) -> float | None:
    """Rate what is not flushed yet; returns ratings per second of this process, None if it rated nothing."""
    before = _flushed(context)

    def skip(bad: BadRow) -> None:
        if bad.row > before.bad_row:
            context.row("skipped", {"row": bad.row, "problem": bad.sentence(file.name)})

    rated = 0
    done = 0
    begun = time.perf_counter()
    for conversation in files.conversations(file, spec.mapping, on_bad=skip, limit=spec.limit):
        if context.cancelled():
            raise Cancelled(f"Stopped after {done:,} of {total:,} conversations; what was rated is kept.")
        done += 1
        if conversation.row < before.row or (conversation.row == before.row and before.axes == set(axes)):
            continue
        held = before.axes if conversation.row == before.row else frozenset()
        rated += _rate_one(judge, conversation, held, spec.explain, context)
        context.progress(done, total, "Rating")
    return rated / (time.perf_counter() - begun) if rated else None


def _rate_one(judge: Any, conversation: Conversation, held: frozenset[str], explain: bool, context: Context) -> int:
    rated = 0
    for rating in judge.rate(conversation):
        if rating.axis in held:
            continue
        explanation = judge.explain(conversation, rating) if explain else None
        shares = {f"p{score}": share for score, share in enumerate(rating.p, start=1)}
        context.row(
            "ratings",
            {
                "id": conversation.id,
                "row": conversation.row,
                "group": conversation.group,
                "axis": rating.axis,
                **shares,
                "expected": rating.expected,
                "mode": rating.mode,
                "entropy": rating.entropy,
                "truncated_turns": rating.truncated_turns,
                "explanation": explanation,
            },
        )
        rated += 1
    return rated


@dataclass
class _Collected:
    p: dict[str, np.ndarray[Any, np.dtype[np.float64]]]
    groups: list[str]
    has_groups: bool
    n: int
    n_truncated: int
    n_skipped: int


def _collect(context: Context, axes: tuple[str, ...]) -> _Collected:
    shares: dict[str, list[tuple[float, ...]]] = {axis: [] for axis in axes}
    groups: list[str] = []
    has_groups = False
    truncated = 0
    for row in context.rows("ratings"):
        shares[row["axis"]].append(tuple(row[f"p{score}"] for score in range(1, 6)))
        if row["axis"] == axes[0]:
            has_groups = has_groups or row["group"] is not None
            # A conversation without a group is one by itself.
            groups.append(f"group {row['group']}" if row["group"] is not None else f"row {row['row']}")
            truncated += row["truncated_turns"] > 0
    skipped = sum(1 for _ in context.rows("skipped"))
    p = {axis: np.array(found, dtype=np.float64).reshape(-1, 5) for axis, found in shares.items()}
    return _Collected(p, groups, has_groups, len(groups), truncated, skipped)


def _headline(axes: list[AxisSummary], collected: _Collected, pace: float | None) -> dict[str, Any]:
    return {
        "n": collected.n,
        "ratings": sum(axis.n for axis in axes),
        # Wall-clock of the process that finished the run; None if it had nothing left to rate.
        "ratings_per_s": pace,
        "units_per_s": pace / len(axes) if pace else None,
        "skipped": collected.n_skipped,
        "truncated": collected.n_truncated,
        "axes": {
            axis.name: {
                "mean": axis.mean,
                "low": axis.low,
                "high": axis.high,
                "median": axis.median,
                "sd": axis.sd,
                "entropy": axis.entropy,
                "modes": list(axis.modes),
            }
            for axis in axes
        },
    }


def _save_tables(context: Context, axes: list[AxisSummary]) -> list[TableInfo]:
    import pyarrow as pa

    kinds = {
        "row": pa.int64(),
        "mode": pa.int8(),
        "score": pa.int8(),
        "count": pa.int64(),
        "truncated_turns": pa.int32(),
    }
    texts = {"id", "group", "axis", "explanation", "problem"}

    def schema(columns: tuple[Column, ...]) -> Any:
        return pa.schema(
            [(c.name, pa.string() if c.name in texts else kinds.get(c.name, pa.float64())) for c in columns]
        )

    distributions = [
        {"axis": axis.name, "score": score, "count": axis.modes[score - 1], "mean_p": axis.p[score - 1]}
        for axis in axes
        for score in range(1, 6)
    ]
    plan: list[tuple[str, str, tuple[Column, ...], Callable[[], Iterator[Mapping[str, Any]]]]] = [
        ("ratings", "Ratings", made.RATINGS_COLUMNS, lambda: context.rows("ratings")),
        ("distributions", "Distribution of scores", made.DISTRIBUTION_COLUMNS, lambda: iter(distributions)),
        ("skipped", "Skipped records", made.SKIPPED_COLUMNS, lambda: context.rows("skipped")),
    ]
    saved = []
    for name, title, columns, rows in plan:
        layout = schema(columns)
        info = TableInfo(name=name, title=title, rows=sum(1 for _ in rows()), columns=columns)
        context.save_table(info, _batches(rows(), layout), layout)
        saved.append(info)
    return saved


def _batches(rows: Iterator[Mapping[str, Any]], schema: "pa.Schema") -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    held: list[Mapping[str, Any]] = []
    for row in rows:
        held.append(row)
        if len(held) == _BATCH_ROWS:
            yield pa.RecordBatch.from_pylist(held, schema=schema)
            held = []
    if held:
        yield pa.RecordBatch.from_pylist(held, schema=schema)
