"""`auditor rate`: conversations rated by one judge model or several, and set beside people."""

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from auditor import console
from auditor.audits.rating import Spec
from auditor.audits.rating.rubric_store import find as find_rubric
from auditor.case.case import default_folder
from auditor.errors import InputError
from auditor.models import ModelFile
from auditor.runs.executor import LOCAL

#: Option whose name is not that of the spec's field.
_OPTIONS = {"more_models": "--model", "variants": "--variant", "people_scale": "--human-scale"}


def _field(name: str) -> str:
    return Spec.model_fields[name].description or ""


def _default(name: str) -> Any:
    return Spec.model_fields[name].default


def rate(
    file: Annotated[Path, typer.Argument(help="Conversations: JSON Lines, JSON array, CSV, TSV, Parquet or text.")],
    model: Annotated[list[str] | None, typer.Option(help=_field("model") + " Repeatable: an ensemble.")] = None,
    on: Annotated[str, typer.Option("--on", help=console.ON)] = LOCAL,
    case: Annotated[Path | None, typer.Option(help="Case folder, made if missing. Default: ./auditor-case.")] = None,
    axes: Annotated[str, typer.Option(help=_field("axes"))] = "",
    limit: Annotated[int | None, typer.Option(help=_field("limit"))] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of bootstrap and splits.")] = 0,
    scope: Annotated[str, typer.Option(help=_field("scope") + " One of: last_response, conversation.")] = _default(
        "scope"
    ),
    rubric: Annotated[
        str, typer.Option(help="A rubric file (TOML) or a saved rubric instead of the one that ships.")
    ] = "",
    variant: Annotated[list[str] | None, typer.Option(help=_field("variants") + " Repeatable.")] = None,
    merge: Annotated[str, typer.Option(help=_field("merge") + " One of: mean, median, majority.")] = _default("merge"),
    paraphrase: Annotated[bool, typer.Option("--paraphrase", help=_field("paraphrase"))] = False,
    order_probe: Annotated[int, typer.Option(help=_field("order_probe"))] = _default("order_probe"),
    explain: Annotated[str, typer.Option(help=_field("explain") + " One of: none, all.")] = _default("explain"),
    humans: Annotated[
        Path | None, typer.Option(help="Human ratings: CSV with conversation_id, axis, rater, score.")
    ] = None,
    human_scale: Annotated[list[str] | None, typer.Option(help=_field("people_scale") + " Repeatable.")] = None,
    map_linear: Annotated[bool, typer.Option("--map-linear", help=_field("people_mapping"))] = False,
    calibration: Annotated[
        str, typer.Option(help=_field("calibration") + " One of: none, temperature, isotonic.")
    ] = _default("calibration"),
    epsilon: Annotated[float | None, typer.Option(help=_field("epsilon"))] = None,
    delta: Annotated[float, typer.Option(help=_field("delta"))] = _default("delta"),
    within: Annotated[int, typer.Option(help=_field("within"))] = _default("within"),
    n_ctx: Annotated[int, typer.Option(help=_field("n_ctx"))] = _default("n_ctx"),
    confidence: Annotated[float, typer.Option(help=_field("confidence"))] = _default("confidence"),
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            help="FIELD=COLUMN, repeatable; fields: id, group, role, text, prompt, …; of JSON id, group (and text).",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Rate conversations with a judge model, or with several."""
    asked = {
        "axes": [name.strip() for name in axes.split(",") if name.strip()],
        "limit": limit,
        "scope": scope,
        "variants": variant or _default("variants"),
        "merge": merge,
        "paraphrase": paraphrase,
        "order_probe": order_probe,
        "explain": explain,
        "people_scale": human_scale or _default("people_scale"),
        "people_mapping": "linear" if map_linear else "none",
        "calibration": calibration,
        "epsilon": epsilon,
        "delta": delta,
        "within": within,
        "n_ctx": n_ctx,
        "confidence": confidence,
        "mapping": _mapping(column or []),
    }
    inputs = {"conversations": file}
    inputs |= {"rubric": find_rubric(rubric)} if rubric else {}
    inputs |= {"humans": humans} if humans else {}
    raise typer.Exit(carry_out(inputs, asked, model or [], case or default_folder(), seed, on=on, as_json=as_json))


def _mapping(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        field, sign, column = pair.partition("=")
        if not sign or not field or not column:
            raise InputError("A mapping is written FIELD=COLUMN", column="--map", value=pair)
        found[field.strip()] = column.strip()
    return found


def carry_out(
    inputs: dict[str, Path],
    asked: dict[str, Any],
    models: list[str],
    case_path: Path,
    seed: int,
    *,
    on: str = LOCAL,
    as_json: bool,
) -> int:
    """Make the run, carry it out and print what came out; returns the exit code."""
    console.require_executor(on)
    from auditor.audits.rating.judge import refuse_twins

    judges = _judges(models)
    spec = _spec({"model": judges[0].name, "more_models": [judge.name for judge in judges[1:]], **asked})
    spec = spec.model_copy(update={"mapping": _checked(inputs, spec)})
    refuse_twins(judges)
    if any(judge.is_starter for judge in judges):
        from auditor.models.starter import STARTER_WARNING

        console.say(STARTER_WARNING[:1].upper() + STARTER_WARNING[1:] + ".")
    roles = ["judge", *(f"judge-{number}" for number in range(2, len(judges) + 1))]
    with console.open_or_create(case_path) as case:
        chosen = dict(zip(roles, judges, strict=True))
        run = case.new_run("rating", spec.model_dump(mode="json"), inputs, chosen, seed=seed, executor=on)
        code = console.carry_out(case, run)
        if code == console.DONE:
            console.print_outcome(case, run, as_json=as_json)
        return code


def _judges(names: list[str]) -> list[ModelFile]:
    from auditor.models.library import Library

    library = Library()
    return [library.get(name) for name in names] or [library.default()]


def _spec(fields: dict[str, Any]) -> Spec:
    try:
        return Spec(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        option = _OPTIONS.get(field, "--" + field.replace("_", "-"))
        raise InputError(first["msg"], column=option, value=first["input"]) from None


def _checked(inputs: dict[str, Path], spec: Spec) -> dict[str, str]:
    """Say what is wrong before a case or a run is made; returns which columns are read, so that the run keeps them."""
    from auditor.audits import InputFile
    from auditor.audits.rating import inputs as files
    from auditor.audits.rating import people, rubric
    from auditor.audits.rating.labels import declared_scales
    from auditor.audits.rating.variants import examples, variant

    loaded = rubric.load(inputs.get("rubric"))
    for axis in spec.axes:
        loaded.axis(axis)
    path = inputs["conversations"]
    form = files.recognise(InputFile(path, path.name, ""), spec.mapping)
    if any(variant(name).has_examples for name in spec.variants):
        examples(loaded)
    axes = spec.axes or tuple(axis.name for axis in loaded.axes)
    scales = declared_scales(spec.people_scale, axes, linear=spec.people_mapping == "linear")
    if spec.epsilon is not None and "humans" not in inputs:
        raise InputError("A certificate needs human ratings", column="--epsilon", fix="Add them with --humans FILE.")
    if (humans := inputs.get("humans")) is not None:
        if not humans.is_file():
            raise InputError("There is no such file", file=str(humans), column="--humans")
        people.check(humans, humans.name, axes, scales)
    if form.unread_words:
        console.say(form.unread_words)
    return dict(form.mapping or {})
