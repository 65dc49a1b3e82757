"""`auditor models`: the library of model files, and optimising one for this machine."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from auditor import console
from auditor.models.tolerance import Tolerance
from auditor.task_process import ask

models_app = typer.Typer(help="The library of model files.", no_args_is_help=True, rich_markup_mode=None)


def _tolerance(field: str) -> str:
    return Tolerance.model_fields[field].description or ""


@models_app.command("list")
def models_list() -> None:
    """List the library, and whether each model fits into this machine's memory."""
    from auditor.models.library import Library
    from auditor.models.starter import HOW_TO_GET
    from auditor.models.torch_fit import usual_fit

    library = Library()
    library.sweep()
    found = library.list()
    for model in found:
        console.out(
            f"{model.name}  {model.architecture} {model.quantisation}  {model.size_bytes:,} bytes  {model.path}"
        )
        console.out(f"    {usual_fit(model).sentence}")
    if not found:
        console.out(HOW_TO_GET)


@models_app.command("add")
def models_add(
    file: Annotated[Path, typer.Argument(help="A GGUF file, or a folder of config, tokenizer and safetensors.")],
    name: Annotated[str | None, typer.Option(help="Name in the library; the file's own if not given.")] = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the file into the library.")] = False,
) -> None:
    """Inspect a model file or folder, record its hash and add it to the library."""
    from auditor.models.library import Library

    model = Library().add(file, name=name, copy=copy)
    console.out(f"{model.name}  {model.architecture} {model.quantisation}  SHA-256 {model.sha256}")


@models_app.command("check")
def models_check(name: Annotated[str, typer.Argument(help="Name in the library.")]) -> None:
    """Hash a model again and compare."""
    from auditor.models.library import Library

    model = Library().check(name)
    console.out(f"{model.name} is unchanged: SHA-256 {model.sha256}")


@models_app.command("remove")
def models_remove(name: Annotated[str, typer.Argument(help="Name in the library.")]) -> None:
    """Forget a model; a copied file is deleted, a referenced one stays."""
    from auditor.models.library import Library

    Library().remove(name)


@models_app.command("optimise")
def models_optimise(
    name: Annotated[str, typer.Argument(help="Name in the library, or a GGUF file.")],
    conversations: Annotated[
        Path | None,
        typer.Option(help="Your conversations, on which scores are compared. The bundled sample if not given."),
    ] = None,
    agreement: Annotated[
        float, typer.Option(min=0, max=1, help="Tolerance: " + _tolerance("least_agreement"))
    ] = Tolerance().least_agreement,
    near_tie: Annotated[
        float, typer.Option(min=0, max=1, help="Tolerance: " + _tolerance("near_tie"))
    ] = Tolerance().near_tie,
    difference: Annotated[
        float, typer.Option(min=0, max=4, help="Tolerance: " + _tolerance("most_difference"))
    ] = Tolerance().most_difference,
    kept_name: Annotated[
        str, typer.Option("--name", help="Name in the library for what is kept; NAME-optimised if not given.")
    ] = "",
    rubric: Annotated[Path | None, typer.Option(help="A rubric file (TOML) instead of the one that ships.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Requantise a model, measure it on this machine, and keep the fastest file that agrees with the original.

    Candidates are Q4_0, Q8_0 and BF16 as they fit. A requantised file is never better than its original, only faster.
    """
    asked = {
        "name": name,
        "conversations": str(conversations.absolute()) if conversations else None,
        "least_agreement": agreement,
        "near_tie": near_tie,
        "most_difference": difference,
        "kept_name": kept_name,
        "rubric": str(rubric.absolute()) if rubric else None,
    }
    from auditor.models.library import Library

    try:
        found = ask("models_optimise", asked)
    finally:
        Library().sweep()
    if as_json:
        console.out(json.dumps(found, ensure_ascii=False))
        return
    for line in _table(found):
        console.out(line)
    console.out(found["sentence"])
    for caution in found["cautions"]:
        console.out(f"Note: {caution}")


def _table(found: Mapping[str, Any]) -> list[str]:
    original = found["original_speed"]
    lines = [
        f"{found['original_name']}, SHA-256 {found['original_sha256']}",
        f"Compared on {found['sample']}. {found['device']}",
        f"{'':8}{'tokens/s':>10}  {'range':<17}{'faster':>7}  {'agreement':<38}  SHA-256",
    ]
    if original:
        lines.append(f"{found['original_quantisation'][:7]:8}{original['median']:>10,.0f}  {_range(original):<17}")
    for one in found["candidates"]:
        if one["state"] != "measured":
            lines.append(f"{one['kind']:8}{one['state']}: {one['reason']}")
            continue
        speed = one["speed"]
        lines.append(
            f"{one['kind']:8}{speed['median']:>10,.0f}  {_range(speed):<17}{one['ratio']:>6.2f}x  "
            f"{_agreement(one['agreement']):<38}  {one['sha256'][:12]}"
            + ("" if one["is_within"] else "  not within the tolerance")
        )
        lines += [f"{'':8}{axis['axis']}: {_agreement(axis)}, n = {axis['n']}" for axis in one["by_axis"]]
    return lines


def _agreement(found: Mapping[str, Any]) -> str:
    return f"same {found['same_mode']:.1%}, or near {found['same_or_near']:.1%}, off by {found['difference']:.3f}"


def _range(speed: Mapping[str, float]) -> str:
    return f"{speed['low']:,.0f} to {speed['high']:,.0f}"
