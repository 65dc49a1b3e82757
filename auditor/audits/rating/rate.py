"""Carry out a rating run: judges one after another, then tables and findings from the flushed rows.

Rows flush as they are rated (see `auditor.audits.rating.rating_pass`), so a run that was interrupted goes on from
there and ends with the same tables.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from auditor.audits import Context, InputFile
from auditor.audits.findings import Provenance, TableInfo
from auditor.audits.rating import findings as made
from auditor.audits.rating import inputs as files
from auditor.audits.rating import output, pairs, summary
from auditor.audits.rating.assess import Assessment, assess
from auditor.audits.rating.conversation import BadRow, Conversation
from auditor.audits.rating.findings import AxisSummary, JudgeInfo, PairOrder, RatingFindings
from auditor.audits.rating.judge import TALK_TOKENS, Judge, load_scorer, refuse_twins
from auditor.audits.rating.labels import declared_scales
from auditor.audits.rating.people import mentioned, read_humans
from auditor.audits.rating.prompt import ORDER
from auditor.audits.rating.rating_pass import Member, Progress, RatingPass
from auditor.audits.rating.ready import counted, require_usable
from auditor.audits.rating.rubric import Rubric
from auditor.audits.rating.rubric import load as load_rubric
from auditor.audits.rating.score_cache import ScoreCache
from auditor.audits.rating.spec import RatingSpec
from auditor.audits.rating.variants import PARAPHRASED, variant
from auditor.errors import InputError
from auditor.models import ModelFile
from auditor.models.starter import STARTER_WARNING

#: Tables of events: the rows of a single judge, and those of several.
SINGLE, SEVERAL = "ratings", "judgements"


@dataclass(frozen=True)
class _Task:
    """What is asked, with everything that was read to answer it."""

    spec: RatingSpec
    file: InputFile
    rubric: Rubric
    axes: tuple[str, ...]
    models: tuple[ModelFile, ...]
    members: tuple[Member, ...]
    n_ctx: int


@dataclass
class _Made:
    """What the judges said of themselves while they were loaded."""

    judges: list[JudgeInfo] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)


def run(spec: RatingSpec, inputs: Mapping[str, InputFile], context: Context) -> RatingFindings:
    """Rate the conversations of an input with one judge model or several.

    Parameters
    ----------
    inputs : mapping
        Role "conversations" -> file; "rubric" -> TOML file if not the one that ships; "humans" -> CSV of human
        ratings, if there are any.
    context : Context
        Its models of the roles "judge", "judge-2", ... rate.

    Raises
    ------
    InputError
        If a file or the rubric cannot be used, or there is nothing to rate.
    ModelError
        If a model cannot be used.
    Cancelled
        If a person asked for it; what was rated stays.
    """
    task = _task(spec, inputs, context)
    total = _count(task, inputs, context)
    require_usable(task.models, task.rubric, task.axes, spec, n_ctx=task.n_ctx)
    if any(model.is_starter for model in task.models):
        context.warning("starter", STARTER_WARNING)
    progress = Progress(total=total * len(task.axes) * len(task.members))
    begun = time.perf_counter()
    told = _rate_all(task, context, progress)
    pace = progress.computed / (time.perf_counter() - begun) if progress.computed else None
    context.progress(progress.total, progress.total, "Making tables and findings")
    reused = sum(row["reused"] for row in context.rows(task.members[0].table))
    collected = output.collect(context, task.members[: _merged(task)], task.axes, spec.merge)
    summaries = _summaries(task, collected, context)
    tables = output.save_tables(context, summaries, task.members[: _merged(task)], task.axes, spec.merge)
    people = _assess(task, inputs, context)
    if people is not None:
        tables += _save(people, context)
    headline = summary.headline(progress, pace, collected, reused)
    return _findings(task, context, summaries, collected, told, people, tables, headline)


def _task(spec: RatingSpec, inputs: Mapping[str, InputFile], context: Context) -> _Task:
    rubric = load_rubric(inputs["rubric"].path if "rubric" in inputs else None)
    axes = spec.axes or tuple(axis.name for axis in rubric.axes)
    roles = ["judge", *(f"judge-{number}" for number in range(2, len(spec.more_models) + 2))]
    models = tuple(context.model(role) for role in roles)
    if spec.epsilon is not None and "humans" not in inputs:
        raise InputError(
            "A certificate needs human ratings", column="epsilon", fix="Add a file of human ratings, or leave it empty."
        )
    refuse_twins(models)
    if spec.paraphrase and "5" not in spec.variants:
        # Beside a prompt with examples it would measure what these do.
        raise InputError(
            "The paraphrase asks for scores from 1 to 5, without examples", column="paraphrase", fix="Add the prompt 5."
        )
    asked: list[tuple[int, str]] = [(place, name) for place in range(len(models)) for name in spec.variants]
    # The probe comes last, so that the members before it are those whose scores are merged.
    asked += [(0, PARAPHRASED)] if spec.paraphrase else []
    table = SINGLE if len(asked) == 1 else SEVERAL
    members = tuple(
        Member(number, place, models[place].name, name, table) for number, (place, name) in enumerate(asked)
    )
    shortest = min((model.context_length for model in models if model.context_length), default=spec.n_ctx)
    return _Task(spec, inputs["conversations"], rubric, axes, models, members, min(spec.n_ctx, shortest))


def _merged(task: _Task) -> int:
    """How many members are merged: all but the probe."""
    return len(task.models) * len(task.spec.variants)


def _count(task: _Task, inputs: Mapping[str, InputFile], context: Context) -> int:
    """How many conversations there are to rate; what human ratings say of others is found out at the same time."""
    context.progress(0, None, "Reading the conversations")
    humans = inputs.get("humans")
    total, units = counted(_readable(task), mentioned(humans.path, humans.name) if humans else frozenset())
    if humans is not None and total:
        scales = declared_scales(task.spec.people_scale, task.axes, linear=task.spec.people_mapping == "linear")
        read_humans(humans.path, humans.name, units, task.axes, scales)
    if total == 0:
        raise InputError(
            "The file holds no conversation that can be rated",
            file=task.file.name,
            fix="On the desktop the preview of the file says what is wrong with each record.",
        )
    return total


def _rate_all(task: _Task, context: Context, progress: Progress) -> _Made:
    told = _Made()
    try:
        cache = ScoreCache(context.cache)
    except (OSError, sqlite3.Error) as error:
        raise InputError(f"The folder of known scores cannot be used: {error}", file=str(context.cache)) from error
    with cache:
        for place, model in enumerate(task.models):
            context.progress(progress.done, progress.total, f"Checking and loading {model.name}")
            _rate_with(place, model, task, context, progress, cache, told)
    return told


def _rate_with(
    place: int,
    model: ModelFile,
    task: _Task,
    context: Context,
    progress: Progress,
    cache: ScoreCache,
    told: _Made,
) -> None:
    """All passes of one judge, while its model is loaded."""
    explain = task.spec.explain == "all"
    # What a sentence takes comes on top, so that a score does not depend on whether one was asked for.
    talk = TALK_TOKENS if explain else 0
    own = [member for member in task.members if member.place == place]
    with load_scorer(model, n_ctx=task.n_ctx + talk, explain=explain) as scorer:
        measured = output.plan_of(scorer, place, context)
        before = scorer.decoded
        for member in own:
            judge = Judge(
                scorer,
                task.rubric,
                task.axes,
                scope=task.spec.scope,
                n_ctx=task.n_ctx + talk,
                form=variant(member.variant),
                explain=explain,
            )
            told.settings |= {**judge.settings, "room": judge.prompt.room} if not told.settings else {}
            skip = _skipper(task, context) if member.number == 0 else _ignore
            RatingPass(judge, member, context, cache, progress, explain=explain).rate(_readable(task, skip))
        if place == 0 and task.spec.order_probe:
            drawn = pairs.drawn_pairs(lambda: _readable(task), task.spec.order_probe, context.seed)
            pairs.OrderProbe(scorer, context, cache, n_ctx=task.n_ctx + talk, reserve=talk).ask(drawn, progress)
        progress.tokens += scorer.decoded - before
        told.settings |= {**scorer.settings, "n_ctx": task.n_ctx} if place == 0 else {}
        told.judges.append(
            JudgeInfo(
                name=model.name,
                sha256=model.sha256,
                quantisation=model.quantisation,
                is_starter=model.is_starter,
                plan=measured.plan.model_dump(),
                plan_tokens_per_s=measured.tokens_per_s,
                device=scorer.device,
                means={},
            )
        )


def _skipper(task: _Task, context: Context) -> Any:
    """Flush a record that cannot be rated, unless an earlier process did."""
    last = max((row["row"] for row in context.rows("skipped")), default=0)

    def skip(bad: BadRow) -> None:
        if bad.row > last:
            context.row("skipped", {"row": bad.row, "problem": bad.sentence(task.file.name)})

    return skip


def _ignore(_bad: BadRow) -> None:
    """The first pass flushes it."""


def _readable(task: _Task, on_bad: Callable[[BadRow], None] = _ignore) -> Iterator[Conversation]:
    spec = task.spec
    return files.conversations(task.file, spec.mapping, on_bad=on_bad, limit=spec.limit, scope=spec.scope)


def _summaries(task: _Task, collected: output.Collected, context: Context) -> list[AxisSummary]:
    return [
        made.summarise(
            name,
            task.rubric.axis(name).title,
            collected.p[name],
            collected.groups,
            confidence=task.spec.confidence,
            seed=context.seed,
            expected=collected.expected[name],
            mode=collected.mode[name],
            spread=collected.spread[name],
        )
        for name in task.axes
    ]


def _assess(task: _Task, inputs: Mapping[str, InputFile], context: Context) -> Assessment | None:
    if "humans" not in inputs:
        return None
    titles = {name: task.rubric.axis(name).title for name in task.axes}
    return assess(context.table("ratings"), inputs["humans"], task.spec, titles=titles, seed=context.seed)


def _save(people: Assessment, context: Context) -> list[TableInfo]:
    saved = []
    for info, table in people.tables():
        context.save_table(info, iter(table.to_batches()), table.schema)
        saved.append(info)
    return saved


def _findings(
    task: _Task,
    context: Context,
    summaries: list[AxisSummary],
    collected: output.Collected,
    told: _Made,
    people: Assessment | None,
    tables: list[TableInfo],
    headline: dict[str, Any],
) -> RatingFindings:
    spec, models = task.spec, task.models
    paraphrase = summary.paraphrase(context, task.members, task.axes) if spec.paraphrase else []
    order = _order(task, context)
    means = output.member_means(context, task.members, task.axes)
    judges = [
        judge.model_copy(update={"means": {m.variant: means[m.number] for m in task.members if m.place == place}})
        for place, judge in enumerate(told.judges)
    ]
    cautions = made.cautions(
        summaries, models, n_skipped=collected.n_skipped, n_truncated=collected.n_truncated, n_ctx=task.n_ctx
    )
    return RatingFindings(
        audit="rating",
        verdict=made.verdict(
            summaries,
            collected.n,
            models,
            scope=spec.scope,
            confidence=spec.confidence,
            people=people.sentence if people else None,
        ),
        n=collected.n,
        headline={**headline, **summary.figures(summaries, people), **summary.of_members(judges, paraphrase, order)},
        warnings=[
            *cautions,
            *(pairs.cautions(order) if order else ()),
            *(people.cautions if people else ()),
        ],
        limitations=made.limitations(compared=people is not None),
        tables=tables,
        provenance=Provenance(
            device=told.judges[0].device,
            seed=context.seed,
            settings={**told.settings, "explanations": spec.explain, "variants": list(spec.variants)},
        ),
        axes=summaries,
        confidence=spec.confidence,
        scope=spec.scope,
        order=ORDER,
        rubric=task.rubric,
        rubric_sha256=task.rubric.sha256,
        model_name=" + ".join(model.name for model in models),
        model_sha256=models[0].sha256,
        model_quantisation=" + ".join(model.quantisation for model in models),
        is_starter=any(model.is_starter for model in models),
        n_skipped=collected.n_skipped,
        n_truncated=collected.n_truncated,
        judges=judges,
        variants=list(spec.variants),
        merge=spec.merge,
        paraphrase=paraphrase,
        order_probe=order,
        agreement=people.agreement if people else [],
        certificates=people.certificates if people else [],
    )


def _order(task: _Task, context: Context) -> PairOrder | None:
    if not task.spec.order_probe:
        return None
    return pairs.summarise_pairs(context.rows(pairs.PAIRS), confidence=task.spec.confidence)
