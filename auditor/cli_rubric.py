"""`auditor rubric`: list, show, import, export and preview rubrics."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from auditor import console
from auditor.audits.rating import Spec, rubric_store
from auditor.audits.rating.rubric import checked, load, to_toml
from auditor.errors import AuditorError, InputError
from auditor.files import write_atomic

rubric_app = typer.Typer(
    help="Rubrics: what a judge is asked, one text per score per axis.", no_args_is_help=True, rich_markup_mode=None
)

_HEADINGS = {"prefix": "Before every conversation", "conversation": "Conversation", "question": "Question"}

RubricArgument = Annotated[str, typer.Argument(help="Its name, NAME-<12 digits of its hash>, or a TOML file.")]


def _field(name: str) -> str:
    return Spec.model_fields[name].description or ""


@rubric_app.command("list")
def list_rubrics() -> None:
    """List the rubric that ships and every saved version, the newest first."""
    found, problems = rubric_store.versions()
    for version in found:
        when = version.saved.astimezone().strftime("%Y-%m-%d %H:%M") if version.saved else "ships with Auditor"
        name = f"{version.name}-{version.sha256[:12]}" if version.saved else version.name
        console.out(f"{name}  {when}  {', '.join(version.axes)}")
    for problem in problems:
        console.say(problem)


@rubric_app.command("show")
def show_rubric(name: RubricArgument) -> None:
    """Print a rubric as TOML."""
    sys.stdout.write(to_toml(load(rubric_store.find(name))))


@rubric_app.command("import")
def import_rubric(
    file: Annotated[Path, typer.Argument(help="A rubric in TOML.")],
    name: Annotated[str | None, typer.Option(help="Another name for it than the one in the file.")] = None,
) -> None:
    """Check a rubric file and keep it as a version."""
    rubric = load(file)
    if name is not None:
        rubric = checked({**rubric.model_dump(mode="json"), "name": name})
    version = rubric_store.save(rubric)
    console.out(f"{version.path.stem if version.saved else version.name}  SHA-256 {version.sha256}")


@rubric_app.command("export")
def export_rubric(name: RubricArgument, file: Annotated[Path, typer.Argument(help="File to write.")]) -> None:
    """Write a rubric to a TOML file that does not exist yet."""
    text = to_toml(load(rubric_store.find(name)))
    if file.exists():
        raise InputError("The file exists already", file=file.name, fix="Name another one, or remove it first.")
    try:
        write_atomic(file, text)
    except OSError as error:
        raise InputError(f"The file cannot be written: {error.strerror}", file=file.name) from error
    console.out(str(file))


@rubric_app.command("preview")
def preview_rubric(
    name: RubricArgument,
    model: Annotated[str, typer.Option(help=_field("model"))] = "",
    scope: Annotated[
        str, typer.Option(help=_field("scope") + " One of: last_response, conversation.")
    ] = "last_response",
    n_ctx: Annotated[int, typer.Option(help=_field("n_ctx"))] = 2048,
    variant: Annotated[str, typer.Option(help="How it is asked: 5, 4, 5-examples or 4-examples.")] = "5",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Print the exact prompt that a judge reads, for a sample conversation, with token counts."""
    from auditor.models.library import Library

    spec = _checked(scope=scope, n_ctx=n_ctx, variants=(variant,))
    rubric = load(rubric_store.find(name))
    asked = {
        "rubric": rubric.model_dump(mode="json"),
        "model": model or Library().default().name,
        "scope": spec.scope,
        "n_ctx": spec.n_ctx,
        "variant": spec.variants[0],
    }
    found = _ask("rubric_preview", asked)
    if as_json:
        console.out(json.dumps(found, ensure_ascii=False))
        return
    for piece in found["pieces"]:
        axis = f", {piece['axis']}" if piece["axis"] else ""
        console.out(f"--- {_HEADINGS[piece['kind']]}{axis}: {piece['tokens']:,} tokens")
        console.out(_for_terminal(piece["text"]))
    console.out(f"--- {found['room']:,} of {found['n_ctx']:,} tokens are left for a conversation; {found['layout']}.")


def _for_terminal(text: str) -> str:
    """Control characters as escapes: a rubric may come from a stranger, and terminals obey."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def _checked(**fields: Any) -> Spec:
    from pydantic import ValidationError

    try:
        return Spec(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = "--" + str(first["loc"][0]).replace("_", "-")
        raise InputError(first["msg"], column=name, value=first["input"]) from None


def _ask(task: str, asked: Mapping[str, Any]) -> Any:
    """Have a question answered in a process of its own, since native code may take its process along."""
    command = [sys.executable, "-m", "auditor.tasks", task]
    done = subprocess.run(command, input=json.dumps(asked).encode(), capture_output=True, check=False)
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("ok") is False:
            raise InputError(message["error"])
        if message.get("ok"):
            return message["result"]
    raise AuditorError(f"The process that was asked for {task} ended with code {done.returncode} before it answered.")
