"""`auditor evaluate`: a model on a benchmark of unlearning, with intervals, and with the reason where there is no figure."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from auditor import console
from auditor.audits.unlearning.spec import wrong_in_prompt
from auditor.errors import InputError
from auditor.task_process import ask

#: Benchmark -> the files of which at least one must be given, and all its files; see `auditor.audits.unlearning.benchmarks`.
_FILES: Mapping[str, tuple[str, ...]] = {
    "tofu": ("forget", "retain", "real_authors", "world_facts", "holdout"),
    "muse": ("verbmem", "knowmem_forget", "knowmem_retain", "shots_forget", "shots_retain", "forget", "holdout"),
    "own": ("forget", "retain", "holdout"),
}
#: Figures that a note names.
_NAMED = 3
_DEVICES, _DTYPES = ("auto", "cpu", "cuda", "mps"), ("auto", "float32", "bfloat16")


def evaluate(
    model: Annotated[
        str, typer.Option(help="Name in the model library, or a GGUF file or folder of a causal language model.")
    ],
    benchmark: Annotated[
        str,
        typer.Option(
            help="tofu: probability, ROUGE-L recall, truth ratio, model utility, forget quality. muse: VerbMem, KnowMem, "
            "PrivLeak. own: your own files in TOFU's way."
        ),
    ] = "tofu",
    forget: Annotated[
        Path | None,
        typer.Option(
            help="What was to be forgotten: question and answer, or texts; for truth ratios with perturbed answers."
        ),
    ] = None,
    retain: Annotated[Path | None, typer.Option(help="What was to be kept.")] = None,
    holdout: Annotated[
        Path | None, typer.Option(help="The like of what was to be forgotten that the model never saw.")
    ] = None,
    real_authors: Annotated[Path | None, typer.Option(help="TOFU: real authors, with wrong answers.")] = None,
    world_facts: Annotated[Path | None, typer.Option(help="TOFU: world facts, with wrong answers.")] = None,
    verbmem: Annotated[Path | None, typer.Option(help="MUSE: texts to go on with, prompt and gt.")] = None,
    knowmem_forget: Annotated[Path | None, typer.Option(help="MUSE: questions on what was to be forgotten.")] = None,
    knowmem_retain: Annotated[Path | None, typer.Option(help="MUSE: questions on what was to be kept.")] = None,
    shots_forget: Annotated[
        Path | None, typer.Option(help="MUSE: answered questions that stand before those of --knowmem-forget.")
    ] = None,
    shots_retain: Annotated[Path | None, typer.Option(help="MUSE: the same for --knowmem-retain.")] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="Log of a model that was trained without what is to be forgotten: of --log, of TOFU or of open-unlearning."
        ),
    ] = None,
    reference_model: Annotated[str, typer.Option(help="That model itself, instead of a log.")] = "",
    prompt: Annotated[
        str, typer.Option(help="How a question is put, with {question} in it; \\n is a line break. MUSE has its own.")
    ] = "Question: {question}\\nAnswer:",
    max_new_tokens: Annotated[
        int | None,
        typer.Option(min=0, max=4096, help="Instead of the benchmark's own length of answers; 0 generates none."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take the first so many examples of each file.")] = None,
    probes: Annotated[
        bool,
        typer.Option("--probes", help="Also ask in other words, after prefixes, in a chat, and with the answer begun."),
    ] = False,
    log: Annotated[
        Path | None,
        typer.Option(
            help="Write every example with its figures to a new file; a later run can take it as --reference."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="One of: " + ", ".join(_DEVICES) + ".")] = "auto",
    dtype: Annotated[str, typer.Option(help="Number format. One of: " + ", ".join(_DTYPES) + ".")] = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Measure what a model knows of what it was to forget and of what it was to keep."""
    given = {
        "forget": forget,
        "retain": retain,
        "holdout": holdout,
        "real_authors": real_authors,
        "world_facts": world_facts,
        "verbmem": verbmem,
        "knowmem_forget": knowmem_forget,
        "knowmem_retain": knowmem_retain,
        "shots_forget": shots_forget,
        "shots_retain": shots_retain,
    }
    files = {role: path for role, path in given.items() if path is not None}
    _check(benchmark, files, prompt, probes=probes)
    _check_choice("--device", device, _DEVICES)
    _check_choice("--dtype", dtype, _DTYPES)
    if reference is not None and reference_model:
        raise InputError("Both a log and a model are given as reference", fix="Give --reference or --reference-model.")
    console.require_files([*files.values(), *([reference] if reference else [])])
    found = ask(
        "evaluate",
        {
            "model": model,
            "benchmark": benchmark,
            "files": {role: str(path.absolute()) for role, path in files.items()},
            "reference": str(reference.absolute()) if reference else None,
            "reference_model": reference_model,
            "prompt": prompt.replace("\\n", "\n").replace("\\t", "\t"),
            "max_new_tokens": max_new_tokens,
            "limit": limit,
            "probes": probes,
            "log": str(log.absolute()) if log else None,
            "device": device,
            "dtype": dtype,
            "seed": seed,
        },
    )
    if as_json:
        console.out(json.dumps(found, ensure_ascii=False, allow_nan=False))
        return
    for line in _table(found):
        console.out(line)


def _check(benchmark: str, files: Mapping[str, Path], prompt: str, *, probes: bool) -> None:
    _check_choice("--benchmark", benchmark, tuple(_FILES))
    takes = _FILES[benchmark]
    for role in files:
        if role not in takes:
            fix = f"Its files: {', '.join(map(_option, takes))}."
            raise InputError(f"The benchmark {benchmark} has no file {_option(role)}", fix=fix)
    needed = [role for role in takes if role not in ("holdout", "shots_forget", "shots_retain")]
    if not any(role in files for role in needed):
        raise InputError("There is no file to evaluate on", fix=f"Give one of {', '.join(map(_option, needed))}.")
    if wrong := wrong_in_prompt(prompt):
        raise InputError(f"--prompt: {wrong}", value=prompt)
    if probes and ("forget" not in files or benchmark == "muse"):
        raise InputError("--probes ask for what was to be forgotten", fix="Give --forget, with tofu or own.")


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"{option} is one of {', '.join(choices)}", value=value)


def _option(role: str) -> str:
    return "--" + role.replace("_", "-")


def _table(found: Mapping[str, Any]) -> list[str]:
    n = ", ".join(f"{role.replace('_', ' ')} {count:,}" for role, count in found["n"].items())
    lines = [
        f"{found['model']}, SHA-256 {found['sha256']}",
        f"{found['benchmark']}: {n}. {found['device']}, {found['dtype']}",
    ]
    notes: dict[str, list[str]] = {}
    for name, metric in found["metrics"].items():
        words = name.replace("_", " ")
        if metric["value"] is None:
            lines.append(f"{words:32}{'not available':>14}  {metric['unavailable']}")
            continue
        interval = f"{metric['low']:.4f} to {metric['high']:.4f}" if metric["low"] is not None else ""
        lines.append(f"{words:32}{metric['value']:>14.4f}  {interval:22} n = {metric['n']:,}")
        if metric["note"]:
            notes.setdefault(metric["note"], []).append(words)
    lines += [f"Note on {_some(names)}: {note}" for note, names in notes.items()]
    return [*lines, *(f"Warning: {warning}" for warning in found["warnings"])]


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"
