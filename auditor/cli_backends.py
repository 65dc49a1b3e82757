"""`auditor backends`: other machines on which runs can be carried out, and whether they can be used."""

import getpass
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from auditor import console
from auditor.case.case import Case, default_folder
from auditor.case.sealed import sealed_runs
from auditor.errors import InputError
from auditor.runs.ray import store
from auditor.runs.ray.backend import Backend
from auditor.sizes import size_words

if TYPE_CHECKING:
    from auditor.runs.ray.connection import Seen

backends_app = typer.Typer(
    help="Other machines on which runs can be carried out: Ray clusters, by their address.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Name = Annotated[str, typer.Argument(help="Name of the backend.")]


def _told(field: str) -> str:
    return Backend.model_fields[field].description or ""


@backends_app.command("add")
def backends_add(
    name: Annotated[str, typer.Argument(help=_told("name"))],
    address: Annotated[str, typer.Argument(help=_told("address"))],
    token_file: Annotated[
        Path | None, typer.Option(help="File that holds the cluster's token, as `ray get-auth-token` prints it.")
    ] = None,
    ask_token: Annotated[bool, typer.Option("--ask-token", help="Ask for the token, without showing it.")] = False,
    ca: Annotated[Path | None, typer.Option(help=_told("ca"))] = None,
    shared: Annotated[str | None, typer.Option(help=_told("shared"))] = None,
    cache: Annotated[str | None, typer.Option(help=_told("cache"))] = None,
    plain_http: Annotated[
        bool,
        typer.Option(
            "--plain-http", help="Allow unencrypted HTTP to another machine: the token can be read on the way."
        ),
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of a backend of this name.")] = False,
) -> None:
    """Keep the address of a cluster, with its token, in a file that only you can read."""
    token = None
    if token_file is not None:
        console.require_files([token_file])
        try:
            token = token_file.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise InputError(f"The file cannot be read: {error.strerror}", file=str(token_file)) from error
    elif ask_token:
        token = getpass.getpass("Token: ")
    authority = str(ca.absolute()) if ca else None
    try:
        backend = Backend(
            name=name,
            address=address,
            token=token,
            ca=authority,
            shared=shared,
            cache=cache,
            plain_http_confirmed=plain_http,
        )
    except ValidationError as error:
        raise InputError(_sentence(error)) from None
    if authority:
        from auditor.runs.ray.trust import trust

        trust(authority)
    store.add(backend, replace=replace)
    console.out(f"{backend.name}  {backend.address}")
    console.say(f"To see whether it can be used: auditor backends test {backend.name}")


def _sentence(error: ValidationError) -> str:
    sentence = str(error.errors(include_input=False)[0]["msg"]).removeprefix("Value error, ")
    return f"{sentence} On this command: --plain-http." if sentence.startswith("Plain HTTP") else sentence


@backends_app.command("list")
def backends_list(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """List the backends; tokens are never shown."""
    kept = store.backends()
    if as_json:
        listed = [backend.model_dump(exclude={"token"}) | {"has_token": bool(backend.token)} for backend in kept]
        console.out(json.dumps({"backends": listed}, ensure_ascii=False))
        return
    for backend in kept:
        facts = ["with a token" if backend.token else "without a token"]
        facts += [f"trusts {backend.ca}"] if backend.ca else []
        facts += [f"shared folder {backend.shared}"] if backend.shared else []
        facts += [f"models in {backend.cache}"] if backend.cache else []
        console.out(f"{backend.name}  {backend.address}  {', '.join(facts)}")
    if not kept:
        console.out("No backend is known. To add one: auditor backends add NAME ADDRESS")


@backends_app.command("remove")
def backends_remove(name: Name) -> None:
    """Forget a backend and its token. What it has carried out stays in its cases."""
    store.remove(name)


@backends_app.command("test")
def backends_test(
    name: Name,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Ask a backend what it has, and start a small job on it."""
    from auditor.runs.ray import connection

    backend = store.backend(name)
    seen = connection.test(backend)
    if as_json:
        console.out(json.dumps({"name": backend.name, "address": backend.address, **asdict(seen)}, ensure_ascii=False))
    else:
        _tell(backend, seen)
    if seen.auditor_version is None:
        # Not there, or not known to be: no run has been shown to be possible.
        raise typer.Exit(console.FAILED)


def _tell(backend: Backend, seen: "Seen") -> None:
    """What was seen, in words."""
    python = f"Python {seen.python_version}" if seen.python_version else "no job could be started in time"
    console.out(f"{backend.name} answers: Ray {seen.ray_version}, {python}.")
    gpus = f"{seen.gpus:g} graphics processors"
    gpus += f" ({', '.join(seen.gpu_names)})" if seen.gpu_names else ""
    console.out(f"Nodes: {seen.nodes}. Processors: {seen.cpus:g}, {gpus}. Memory: {size_words(seen.memory_bytes, 1)}.")
    if seen.auditor_version is None and seen.python_version:
        console.out(
            "Auditor is not installed there: pip install 'auditor[ray]' in the environment that Ray runs in on "
            f"{backend.name}."
        )


@backends_app.command("clean")
def backends_clean(
    name: Name,
    case: Annotated[
        list[Path] | None,
        typer.Option(help="Case in which the runs may be sealed, repeatable. Default: ./auditor-case."),
    ] = None,
    older: Annotated[float, typer.Option(min=0, help="Only runs in which nothing was written for so many days.")] = 0.0,
    yes: Annotated[bool, typer.Option("--yes", help="Remove what may go; without it, it is only listed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """List the runs that lie on a backend, and remove there what is fetched, whole and sealed in a case here."""
    from auditor.runs.ray import cleaning

    backend = store.backend(name)
    cases = case or [path for path in [default_folder()] if Case.is_case(path)]
    found = cleaning.find(backend, sealed_runs(cases), older)
    going = [one for one in found if not one.stays]
    removed, freed = cleaning.remove(backend, going) if yes and going else ([], 0)
    if as_json:
        listed = [one.lying.model_dump() | {"stays": one.stays, "removed": one.lying.run in removed} for one in found]
        console.out(json.dumps({"name": name, "runs": listed, "freed_bytes": freed}, ensure_ascii=False))
        return
    for one in found:
        lying = one.lying
        told = (
            f"stays: {one.stays}" if one.stays else "removed" if lying.run in removed else "may go: it is sealed here"
        )
        age = f"{lying.age_s / 86400:.1f} days old"
        console.out(f"{lying.run}  {size_words(lying.bytes)}  {age}  {told}")
    if not found:
        console.out(f"No run lies on {name}.")
    elif yes:
        console.out(f"Removed: {len(removed)} of {len(found)} runs, {size_words(freed)}.")
    elif going:
        size = size_words(sum(one.lying.bytes for one in going))
        console.out(f"Nothing was removed. To remove {len(going)} of {len(found)} runs, {size}, add --yes.")
