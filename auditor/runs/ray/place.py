"""Where a run lies on the cluster: made from the job's package, or what an earlier job of the same run has left."""

import hashlib
import secrets
import shutil
from pathlib import Path

from auditor.errors import BackendError
from auditor.files import sha256_of, write_atomic
from auditor.models import ModelFile
from auditor.models.file import STARTER_SHA256
from auditor.models.library import home
from auditor.models.starter import starter
from auditor.runs.contract import RunSpec
from auditor.runs.directory import RunDirectory
from auditor.runs.ray.package import SPEC, PlacedModel, Request


def settle(request: Request, package: Path) -> RunDirectory:
    """The run's directory on this machine, with its inputs beside it.

    Parameters
    ----------
    request : Request
    package : Path
        The unpacked package.

    Raises
    ------
    BackendError
        If events have arrived before, and what an earlier job left is not here any more or is another run's: rows
        without the checkpoints and files that belong to them would make wrong results.
    """
    room = home() / "ray"
    run = RunDirectory(room / "runs" / request.run)
    spec = (package / SPEC).read_bytes()
    for given in sorted((package / "inputs").glob("*")):
        _put_input(given, room / "inputs" / given.name)
    if run.spec_file.is_file() and run.spec_file.read_bytes() == spec and _goes_on(run, request):
        return run
    if request.events_bytes:
        raise BackendError(
            f"The folder from which this run would go on is not on this machine of {request.backend} any more ({run.path}): it "
            "was cleared, or the job came to another machine. Start a new run."
        )
    shutil.rmtree(run.path, ignore_errors=True)
    for folder in (run.tables, run.artefacts, run.checkpoints):
        folder.mkdir(parents=True)
    write_atomic(run.spec_file, spec)
    return run


def _goes_on(run: RunDirectory, request: Request) -> bool:
    """Whether the events here begin with those that have arrived."""
    if not request.events_bytes:
        return True
    try:
        with run.events_file.open("rb") as file:
            known = file.read(request.events_bytes)
    except FileNotFoundError:
        return False
    return len(known) == request.events_bytes and hashlib.sha256(known).hexdigest() == request.events_sha256


def _put_input(given: Path, target: Path) -> None:
    if sha256_of(given) != given.name:
        raise BackendError(f"The input {given.name} did not arrive as it was sent.")
    if target.is_file() and sha256_of(target) == target.name:
        # Whoever clears up leaves inputs that were asked for a short while ago.
        target.touch()
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # Two jobs may bring the same input at once.
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    shutil.copyfile(given, partial)
    partial.replace(target)


def models_of(spec: RunSpec, request: Request, package: Path) -> dict[str, str]:
    """Where each model of a run lies on this machine; its hash is checked when it is loaded, as everywhere.

    Raises
    ------
    BackendError
        If one is nowhere.
    """
    return {
        role: str(_found(model, request.models[role], request.backend, package)) for role, model in spec.models.items()
    }


def _found(model: ModelFile, placed: PlacedModel, backend: str, package: Path) -> Path:
    if placed.shared:
        return _there(model, model.path, f"in the folder that {backend} shares with it")
    if placed.cache and _is_there(model, kept := _in_cache(model, placed.cache)):
        return kept
    if placed.travels:
        return package / placed.travels
    installed = starter() if model.sha256 == STARTER_SHA256 else None
    if installed is not None:
        return installed.path
    if placed.cache:
        return _there(model, _in_cache(model, placed.cache), "in the folder of models")
    raise BackendError(
        f"The model {model.name} is not on {backend}: install it there, or give the backend a shared folder or one "
        "of models."
    )


def _in_cache(model: ModelFile, cache: str) -> Path:
    return Path(cache) / (f"{model.sha256}.gguf" if model.format == "gguf" else model.sha256)


def _is_there(model: ModelFile, path: Path) -> bool:
    return path.is_file() if model.format == "gguf" else path.is_dir()


def _there(model: ModelFile, path: Path, where: str) -> Path:
    if _is_there(model, path):
        return path
    raise BackendError(f"The model {model.name} is not {where}: put its {_kind(model)} on the cluster as {path}.")


def _kind(model: ModelFile) -> str:
    return "file" if model.format == "gguf" else "folder"
