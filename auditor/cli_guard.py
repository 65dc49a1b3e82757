"""`auditor guard`: in-context demonstrations under attack, and the threshold that provably bounds their harm."""

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from auditor import console
from auditor.audits.guard import Spec, sample
from auditor.case.case import default_folder
from auditor.errors import InputError
from auditor.models import ModelFile
from auditor.runs.executor import LOCAL

#: Option whose name is not that of the spec's field.
_OPTIONS = {
    "attacks": "--attack",
    "label_words": "--word",
    "mapping": "--map",
    "more_mixtures": "--more-mixture",
    "more_epsilons": "--more-epsilon",
    "demonstrations": "--demonstrations",
    "demonstration": "--demonstration-template",
    "query": "--query-template",
    "confidence_measure": "--confidence",
}
#: How the value of an option is written, where a message names one.
_FORMS = {"label_words": " LABEL=WORD", "mapping": " FIELD=COLUMN"}


def _field(name: str) -> str:
    return Spec.model_fields[name].description or ""


def _default(name: str) -> Any:
    return Spec.model_fields[name].default


def guard(
    queries: Annotated[
        Path, typer.Option(help="Labelled queries: text, label (and id, group) as CSV, TSV, JSON or Parquet.")
    ],
    demos: Annotated[Path, typer.Option(help="Demonstrations: text and label, the pool or the fixed set.")],
    model: Annotated[str, typer.Option(help=_field("model"))] = "",
    corrupted: Annotated[
        Path | None, typer.Option(help="Your own corrupted demonstrations, for the attack own: text and label.")
    ] = None,
    labels: Annotated[str, typer.Option(help=_field("labels"))] = "",
    word: Annotated[list[str] | None, typer.Option(help="LABEL=WORD, repeatable. " + _field("label_words"))] = None,
    instruction: Annotated[str, typer.Option(help=_field("instruction"))] = _default("instruction"),
    demonstration_template: Annotated[str, typer.Option(help=_field("demonstration"))] = _default("demonstration"),
    query_template: Annotated[str, typer.Option(help=_field("query"))] = _default("query"),
    separator: Annotated[str, typer.Option(help=_field("separator"))] = _default("separator"),
    demonstrations: Annotated[
        str, typer.Option(help=_field("demonstrations") + " One of: resampled, fixed.")
    ] = _default("demonstrations"),
    n_demonstrations: Annotated[int, typer.Option(help=_field("n_demonstrations"))] = _default("n_demonstrations"),
    attack: Annotated[list[str] | None, typer.Option(help=_field("attacks") + " Repeatable. Default: cyclic.")] = None,
    target: Annotated[str, typer.Option(help=_field("target"))] = "",
    mixture: Annotated[float, typer.Option(help=_field("mixture"))] = _default("mixture"),
    more_mixture: Annotated[
        list[float] | None, typer.Option(help="A further share of corrupted queries; repeatable.")
    ] = None,
    cover: Annotated[str, typer.Option(help=_field("cover") + " One of: mixture, every attack.")] = _default("cover"),
    epsilon: Annotated[float, typer.Option(help=_field("epsilon"))] = _default("epsilon"),
    more_epsilon: Annotated[list[float] | None, typer.Option(help="A further epsilon; repeatable.")] = None,
    delta: Annotated[float, typer.Option(help=_field("delta"))] = _default("delta"),
    transform: Annotated[str, typer.Option(help=_field("transform") + " One of: scale, clip.")] = _default("transform"),
    p_value: Annotated[str, typer.Option(help=_field("p_value") + " One of: wsr, hb, binomial.")] = _default("p_value"),
    select: Annotated[
        str, typer.Option(help=_field("select") + " One of: fixed, holm, bonferroni, uncorrected.")
    ] = _default("select"),
    lambda_step: Annotated[float, typer.Option(help=_field("lambda_step"))] = _default("lambda_step"),
    options_tried: Annotated[int, typer.Option(help=_field("options_tried"))] = _default("options_tried"),
    confidence_measure: Annotated[
        str, typer.Option("--confidence", help=_field("confidence_measure") + " One of: max, gap, entropy.")
    ] = _default("confidence_measure"),
    contextual_calibration: Annotated[bool, typer.Option(help=_field("contextual_calibration"))] = _default(
        "contextual_calibration"
    ),
    first_exit: Annotated[float, typer.Option(help=_field("first_exit"))] = _default("first_exit"),
    calibration_share: Annotated[float, typer.Option(help=_field("calibration_share"))] = _default("calibration_share"),
    largest_group: Annotated[int | None, typer.Option(help=_field("largest_group"))] = None,
    splits: Annotated[int, typer.Option(help=_field("splits"))] = _default("splits"),
    limit: Annotated[int | None, typer.Option(help=_field("limit"))] = None,
    influence_queries: Annotated[int, typer.Option(help=_field("influence_queries"))] = _default("influence_queries"),
    attention_queries: Annotated[int, typer.Option(help=_field("attention_queries"))] = _default("attention_queries"),
    timing_queries: Annotated[int, typer.Option(help=_field("timing_queries"))] = _default("timing_queries"),
    backend: Annotated[str, typer.Option(help=_field("backend") + " One of: auto, torch, llama.cpp.")] = _default(
        "backend"
    ),
    device: Annotated[str, typer.Option(help=_field("device") + " One of: auto, cpu, cuda, mps.")] = _default("device"),
    dtype: Annotated[str, typer.Option(help=_field("dtype") + " One of: auto, float32, bfloat16.")] = _default("dtype"),
    column: Annotated[
        list[str] | None, typer.Option("--map", help="FIELD=COLUMN, repeatable; fields: id, text, label, group.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of demonstrations, attacks and splits.")] = 0,
    on: Annotated[str, typer.Option("--on", help=console.ON)] = LOCAL,
    case: Annotated[Path | None, typer.Option(help="Case folder, made if missing. Default: ./auditor-case.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Stress-test demonstrations, and certify the confidence threshold that bounds their harm (arXiv:2510.02480)."""
    asked = {
        "labels": [name.strip() for name in labels.split(",") if name.strip()],
        "label_words": _pairs(word, "--word", "LABEL=WORD"),
        "instruction": _unescaped(instruction),
        "demonstration": _unescaped(demonstration_template),
        "query": _unescaped(query_template),
        "separator": _unescaped(separator),
        "demonstrations": demonstrations,
        "n_demonstrations": n_demonstrations,
        "attacks": attack or _default("attacks"),
        "target": target,
        "mixture": mixture,
        "more_mixtures": more_mixture or _default("more_mixtures"),
        "cover": cover,
        "epsilon": epsilon,
        "more_epsilons": more_epsilon or _default("more_epsilons"),
        "delta": delta,
        "transform": transform,
        "p_value": p_value,
        "select": select,
        "lambda_step": lambda_step,
        "options_tried": options_tried,
        "confidence_measure": confidence_measure,
        "contextual_calibration": contextual_calibration,
        "first_exit": first_exit,
        "calibration_share": calibration_share,
        "largest_group": largest_group,
        "splits": splits,
        "limit": limit,
        "influence_queries": influence_queries,
        "attention_queries": attention_queries,
        "timing_queries": timing_queries,
        "backend": backend,
        "device": device,
        "dtype": dtype,
        "mapping": _pairs(column, "--map", "FIELD=COLUMN"),
    }
    given = {"queries": queries, "demonstrations": demos, "corrupted": corrupted}
    inputs = {role: path for role, path in given.items() if path is not None}
    raise typer.Exit(carry_out(inputs, asked, model, case or default_folder(), seed, on=on, as_json=as_json))


def _pairs(given: list[str] | None, option: str, form: str) -> dict[str, str]:
    found = {}
    for pair in given or []:
        name, sign, value = pair.partition("=")
        if not sign or not name.strip() or not value.strip():
            raise InputError(f"{option} is written {form}", value=pair)
        found[name.strip()] = value.strip()
    return found


def _unescaped(text: str) -> str:
    r"""Line breaks and tabs as a shell passes them: \n and \t."""
    return text.replace("\\n", "\n").replace("\\t", "\t")


def carry_out(
    inputs: dict[str, Path],
    asked: dict[str, Any],
    model: str,
    case_path: Path,
    seed: int,
    *,
    on: str = LOCAL,
    as_json: bool,
) -> int:
    """Make the run, carry it out and print what came out; returns the exit code."""
    console.require_executor(on)
    chosen = _model(model)
    spec = _checked({"model": chosen.name, **asked})
    _check_inputs(inputs, spec)
    if chosen.is_starter:
        from auditor.models.starter import STARTER_WARNING

        console.say(STARTER_WARNING[:1].upper() + STARTER_WARNING[1:] + ".")
    with console.open_or_create(case_path) as case:
        run = case.new_run("guard", spec.model_dump(mode="json"), inputs, {"model": chosen}, seed=seed, executor=on)
        code = console.carry_out(case, run)
        if code == console.DONE:
            console.print_outcome(case, run, as_json=as_json)
        return code


def demonstrate(case_path: Path) -> int:
    """Audit the sample with the starter model."""
    return carry_out(sample.files(), dict(sample.SETTINGS), "starter", case_path, 0, as_json=False)


def _model(name: str) -> ModelFile:
    from auditor.models.library import Library

    library = Library()
    return library.get(name) if name else library.default()


def _checked(fields: dict[str, Any]) -> Spec:
    try:
        return Spec(**fields)
    except ValidationError as error:
        first = error.errors()[0]
    value = first["input"]
    shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple, dict)) else value
    message = str(first["msg"]).removeprefix("Value error, ")
    raise InputError(f"{_option(str(first['loc'][0]))}: {message}", value=shown if shown != "" else None)


def _option(field: str) -> str:
    return _OPTIONS.get(field, "--" + field.replace("_", "-"))


def _check_inputs(inputs: dict[str, Path], spec: Spec) -> None:
    """Say what is wrong before a case or a run is made: everything is read once, as the run will read it."""
    from auditor.audits import InputFile
    from auditor.audits.guard.inputs import read
    from auditor.audits.reading.told import told

    console.require_files(inputs.values())
    try:
        read({role: InputFile(path, path.name, "") for role, path in inputs.items()}, spec)
    except InputError as error:
        raise told(error, Spec, lambda field: _option(field) + _FORMS.get(field, "")) from None
