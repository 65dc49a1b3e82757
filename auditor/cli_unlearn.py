"""`auditor unlearn`: a model forgets some of what it knows within a bound on the rest, and is measured before and after."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from auditor import console
from auditor.audits.unlearning import Spec, sample
from auditor.audits.unlearning.spec import BASELINES, OF_PDU
from auditor.case import Case
from auditor.case.case import default_folder
from auditor.errors import InputError
from auditor.models import ModelFile
from auditor.runs.directory import RunDirectory
from auditor.runs.executor import LOCAL

#: Option whose name is not that of the spec's field.
_OPTIONS = {"mapping": "--map", "settings": "--set", "lora_rank": "--lora", "new_tokens": "--generated-tokens"}
#: How the value of an option is written, where a message names one.
_FORMS = {"mapping": " FIELD=COLUMN", "settings": " NAME=VALUE"}


def _field(name: str) -> str:
    return Spec.model_fields[name].description or ""


def _default(name: str) -> Any:
    return Spec.model_fields[name].default


def unlearn(
    forget: Annotated[
        Path, typer.Option(help="What to forget: question and answer, or text, as JSONL, CSV or Parquet.")
    ],
    retain: Annotated[Path, typer.Option(help="What to keep, in the same form.")],
    model: Annotated[str, typer.Option(help=_field("model"))] = "",
    holdout: Annotated[Path | None, typer.Option(help="Examples of the kind to forget that were never learnt.")] = None,
    probes: Annotated[
        Path | None, typer.Option(help="Questions about what to forget that are never trained on.")
    ] = None,
    method: Annotated[str, typer.Option(help=_field("method"))] = _default("method"),
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE, repeatable. " + _field("settings"))
    ] = None,
    epsilon: Annotated[str, typer.Option(help="auto, or nats. " + _field("epsilon"))] = "auto",
    below_start: Annotated[bool, typer.Option(help=_field("below_start"))] = _default("below_start"),
    gamma: Annotated[float | None, typer.Option(help=_field("gamma"))] = _default("gamma"),
    lambda_start: Annotated[float, typer.Option(help=_field("lambda_start"))] = _default("lambda_start"),
    dual_step: Annotated[float, typer.Option(help=_field("dual_step"))] = _default("dual_step"),
    lambda_cap: Annotated[float, typer.Option(help=_field("lambda_cap"))] = _default("lambda_cap"),
    dual_updates: Annotated[str, typer.Option(help=_field("dual_updates"))] = _default("dual_updates"),
    dual_warmup_epochs: Annotated[int, typer.Option(help=_field("dual_warmup_epochs"))] = _default(
        "dual_warmup_epochs"
    ),
    parity: Annotated[bool, typer.Option(help=_field("parity"))] = _default("parity"),
    epochs: Annotated[int, typer.Option(help=_field("epochs"))] = _default("epochs"),
    batch_size: Annotated[int, typer.Option(help=_field("batch_size"))] = _default("batch_size"),
    accumulation: Annotated[int, typer.Option(help=_field("accumulation"))] = _default("accumulation"),
    devices: Annotated[int, typer.Option(help=_field("devices"))] = _default("devices"),
    learning_rate: Annotated[float, typer.Option(help=_field("learning_rate"))] = _default("learning_rate"),
    weight_decay: Annotated[float, typer.Option(help=_field("weight_decay"))] = _default("weight_decay"),
    warmup_epochs: Annotated[float, typer.Option(help=_field("warmup_epochs"))] = _default("warmup_epochs"),
    schedule: Annotated[str, typer.Option(help=_field("schedule"))] = _default("schedule"),
    clip: Annotated[float, typer.Option(help=_field("clip"))] = _default("clip"),
    lora: Annotated[int, typer.Option(help=_field("lora_rank"))] = _default("lora_rank"),
    gradient_checkpointing: Annotated[bool, typer.Option(help=_field("gradient_checkpointing"))] = _default(
        "gradient_checkpointing"
    ),
    checkpoint_steps: Annotated[int, typer.Option(help=_field("checkpoint_steps"))] = _default("checkpoint_steps"),
    probe_steps: Annotated[int, typer.Option(help=_field("probe_steps"))] = _default("probe_steps"),
    probe_examples: Annotated[int, typer.Option(help=_field("probe_examples"))] = _default("probe_examples"),
    evaluated: Annotated[int, typer.Option(help=_field("evaluated"))] = _default("evaluated"),
    generated_tokens: Annotated[int, typer.Option(help=_field("new_tokens"))] = _default("new_tokens"),
    max_tokens: Annotated[int, typer.Option(help=_field("max_tokens"))] = _default("max_tokens"),
    prompt: Annotated[str, typer.Option(help=_field("prompt") + " \\n is a line break.")] = _default("prompt"),
    most_probability: Annotated[float, typer.Option(help=_field("most_probability"))] = _default("most_probability"),
    most_lost: Annotated[float, typer.Option(help=_field("most_lost"))] = _default("most_lost"),
    gguf: Annotated[bool, typer.Option(help=_field("gguf"))] = _default("gguf"),
    quantised: Annotated[
        str, typer.Option(help="With commas between them, or the word none. " + _field("quantised"))
    ] = ",".join(_default("quantised")),
    relearn_steps: Annotated[int, typer.Option(help=_field("relearn_steps"))] = _default("relearn_steps"),
    relearn_items: Annotated[int, typer.Option(help=_field("relearn_items"))] = _default("relearn_items"),
    relearn_rate: Annotated[float | None, typer.Option(help=_field("relearn_rate"))] = _default("relearn_rate"),
    reference: Annotated[
        Path | None,
        typer.Option(
            help="Log of a model that was trained without what is to be forgotten: of `auditor evaluate --log` on the same "
            "files, of TOFU or of open-unlearning. Forget quality and privleak are compared with it."
        ),
    ] = None,
    reference_model: Annotated[str, typer.Option(help=_field("reference_model"))] = _default("reference_model"),
    device: Annotated[str, typer.Option(help=_field("device") + " One of: auto, cpu, cuda, mps.")] = _default("device"),
    dtype: Annotated[str, typer.Option(help=_field("dtype") + " One of: auto, float32, bfloat16.")] = _default("dtype"),
    column: Annotated[
        list[str] | None, typer.Option("--map", help="FIELD=COLUMN, repeatable. " + _field("mapping"))
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the data's order, of adapters and of intervals.")] = 0,
    on: Annotated[str, typer.Option("--on", help=console.ON)] = LOCAL,
    case: Annotated[Path | None, typer.Option(help="Case folder, made if missing. Default: ./auditor-case.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Make a model forget within a bound on what it keeps, and measure what it still knows (arXiv:2506.05314)."""
    asked = {
        "method": method,
        "settings": _pairs(setting, "--set", "NAME=VALUE"),
        "epsilon": None if epsilon == "auto" else epsilon,
        "below_start": below_start,
        "gamma": gamma,
        "lambda_start": lambda_start,
        "dual_step": dual_step,
        "lambda_cap": lambda_cap,
        "dual_updates": dual_updates,
        "dual_warmup_epochs": dual_warmup_epochs,
        "parity": parity,
        "epochs": epochs,
        "batch_size": batch_size,
        "accumulation": accumulation,
        "devices": devices,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "warmup_epochs": warmup_epochs,
        "schedule": schedule,
        "clip": clip,
        "lora_rank": lora,
        "gradient_checkpointing": gradient_checkpointing,
        "checkpoint_steps": checkpoint_steps,
        "probe_steps": probe_steps,
        "probe_examples": probe_examples,
        "evaluated": evaluated,
        "new_tokens": generated_tokens,
        "max_tokens": max_tokens,
        "prompt": prompt.replace("\\n", "\n"),
        "most_probability": most_probability,
        "most_lost": most_lost,
        "gguf": gguf,
        "quantised": () if quantised == "none" else tuple(kind.strip() for kind in quantised.split(",")),
        "relearn_steps": relearn_steps,
        "relearn_items": relearn_items,
        "relearn_rate": relearn_rate,
        "reference_model": reference_model,
        "device": device,
        "dtype": dtype,
        "mapping": _pairs(column, "--map", "FIELD=COLUMN"),
    }
    _require_part(asked)
    given = {"forget": forget, "retain": retain, "holdout": holdout, "probes": probes, "reference": reference}
    inputs = {role: path for role, path in given.items() if path is not None}
    raise typer.Exit(carry_out(inputs, asked, _model(model), case or default_folder(), seed, on=on, as_json=as_json))


def _require_part(asked: Mapping[str, Any]) -> None:
    """Refuse settings that have no part in the method, which would be passed over in silence."""
    for name in OF_PDU:
        if asked[name] != _default(name) and asked["method"] != "pdu":
            own = "; one of its own is set by --set NAME=VALUE" if asked["method"] in BASELINES else ""
            raise InputError(
                f"{_option(name)} has no part in {asked['method']}",
                value=asked[name],
                fix=f"Leave it out{own}.",
            )


def _pairs(given: list[str] | None, option: str, form: str) -> dict[str, str]:
    found = {}
    for pair in given or []:
        name, sign, value = pair.partition("=")
        if not sign or not name.strip() or not value.strip():
            raise InputError(f"{option} is written {form}", value=pair)
        found[name.strip()] = value.strip()
    return found


def carry_out(
    inputs: dict[str, Path],
    asked: dict[str, Any],
    model: ModelFile,
    case_path: Path,
    seed: int,
    *,
    on: str = LOCAL,
    as_json: bool,
) -> int:
    """Make the run, carry it out and print what came out; returns the exit code."""
    console.require_executor(on)
    spec = _checked({"model": model.name, **asked})
    _check_inputs(inputs, spec, model)
    models = {"model": model} | _reference(spec, model)
    if model.is_starter:
        from auditor.models.starter import STARTER_WARNING

        console.say(STARTER_WARNING[:1].upper() + STARTER_WARNING[1:] + ".")
    with console.open_or_create(case_path) as case:
        run = case.new_run("unlearning", spec.model_dump(mode="json"), inputs, models, seed=seed, executor=on)
        code = console.carry_out(case, run)
        if code == console.DONE:
            console.print_outcome(case, run, as_json=as_json)
        return code


def _reference(spec: Spec, model: ModelFile) -> dict[str, ModelFile]:
    """The reference model in its role, where one was named and something is forgotten."""
    from auditor.audits.unlearning.referring import check_reference

    if not (spec.reference_model and spec.unlearns):
        return {}
    found = _model(spec.reference_model)
    check_reference(found, model)
    return {"reference": found}


def demonstrate(case_path: Path) -> int:
    """Have the starter model learn the sample's facts, which is a run of its own, and then forget a part of them."""
    console.say("The starter model first learns twenty invented facts.")
    code = carry_out(sample.files(learning=True), dict(sample.LEARN), _model("starter"), case_path, 0, as_json=False)
    if code != console.DONE:
        return code
    console.say("Now it forgets five of them.")
    return carry_out(sample.files(), dict(sample.UNLEARN), _learnt(case_path), case_path, 0, as_json=False)


def _learnt(case_path: Path) -> ModelFile:
    """The model that the newest finished run of a case has learnt: a folder in the run's artefacts."""
    from auditor.audits.unlearning.work import FOLDER
    from auditor.models.inspect import inspect

    with Case.open(case_path, write=False) as case:
        run = next(
            RunDirectory(summary.path) for summary in case.runs() if summary.sealed and summary.audit == "unlearning"
        )
    return inspect(run.artefacts / FOLDER, name="sample-learnt")


def _model(name: str) -> ModelFile:
    from auditor.models.library import Library

    library = Library()
    return library.get(name) if name else library.default(folders=True)


def _checked(fields: dict[str, Any]) -> Spec:
    try:
        return Spec.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
    value = first["input"]
    if isinstance(value, dict):
        value = [f"{name}={part}" for name, part in value.items()]
    shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
    message = str(first["msg"]).removeprefix("Value error, ")
    raise InputError(f"{_option(str(first['loc'][0]))}: {message}", value=shown if shown != "" else None)


def _option(field: str) -> str:
    return _OPTIONS.get(field, "--" + field.replace("_", "-"))


def _check_inputs(inputs: dict[str, Path], spec: Spec, model: ModelFile) -> None:
    """Say what is wrong before a case or a run is made: everything is read once, as the run will read it."""
    from auditor.audits import InputFile
    from auditor.audits.reading.told import told
    from auditor.audits.unlearning.inputs import read
    from auditor.audits.unlearning.material import check_method

    console.require_files(inputs.values())
    try:
        found = read({role: InputFile(path, path.name, "") for role, path in inputs.items()}, spec)
        check_method(spec, found, model)
    except InputError as error:
        raise told(error, Spec, lambda field: _option(field) + _FORMS.get(field, "")) from None
