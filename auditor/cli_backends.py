"""`auditor backends`: other machines on which runs can be carried out, and whether they can be used."""

import getpass
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from auditor import console
from auditor.errors import InputError
from auditor.runs.ray import store
from auditor.runs.ray.backend import Backend

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
    try:
        backend = Backend(
            name=name, address=address, token=token, shared=shared, cache=cache, plain_http_confirmed=plain_http
        )
    except ValidationError as error:
        raise InputError(_sentence(error)) from None
    store.add(backend, replace=replace)
    console.out(f"{backend.name}  {backend.address}")
    console.say(f"To see whether it can be used: auditor backends test {backend.name}")


def _sentence(error: ValidationError) -> str:
    sentence = str(error.errors(include_input=False)[0]["msg"]).removeprefix("Value error, ")
    return f"{sentence} On this command: --plain-http." if sentence.startswith("Plain HTTP") else sentence


@backends_app.command("list")
def backends_list() -> None:
    """List the backends; tokens are never shown."""
    kept = store.backends()
    for backend in kept:
        facts = ["with a token" if backend.token else "without a token"]
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
        return
    python = f"Python {seen.python_version}" if seen.python_version else "no job could be started in time"
    console.out(f"{backend.name} answers: Ray {seen.ray_version}, {python}.")
    gpus = f"{seen.gpus:g} graphics processors"
    gpus += f" ({', '.join(seen.gpu_names)})" if seen.gpu_names else ""
    console.out(
        f"Nodes: {seen.nodes}. Processors: {seen.cpus:g}, {gpus}. Memory: {seen.memory_bytes / 1024**3:.1f} GiB."
    )
    if seen.auditor_version is None and seen.python_version:
        console.out(
            f"Auditor is not installed there: pip install 'auditor[ray]' in the environment that Ray runs in on {name}."
        )
        raise typer.Exit(console.FAILED)
