"""What travels with a job: the spec, the inputs, and models that are small; packed as Ray's own client packs a folder."""

import hashlib
import json
import os
import platform
import re
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO, Literal

from pydantic import BaseModel, ConfigDict, Field

from auditor import __version__
from auditor.errors import BackendError, RunError
from auditor.files import sha256_of
from auditor.models import ModelFile
from auditor.models.file import STARTER_SHA256
from auditor.models.folder import files_of
from auditor.runs.contract import RunId, RunSpec, Sha256
from auditor.runs.directory import RunDirectory
from auditor.runs.ray.backend import Backend

#: Ray's dashboard takes 100 MiB in one request.
MOST_PACKAGE_BYTES = 95 * 1024 * 1024
#: Models up to this size travel with the job where neither a shared folder nor the cluster's own holds them.
MOST_MODEL_BYTES = 64 * 1024 * 1024
#: Larger files of a result stay on the cluster, unless the variable says otherwise.
_MOST_FILE_BYTES = 8 * 1024**3
_MOST_FILE_VARIABLE = "AUDITOR_RAY_MOST_BYTES"
_CHUNK = 1 << 20
_JOB = re.compile(r"[0-9a-z-]{5,100}")
_INPUT = re.compile(r"\.\./\.\./inputs/[0-9a-f]{64}")

REQUEST = "request.json"
SPEC = "spec.json"


class PlacedModel(BaseModel):
    """Where the cluster looks for a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    travels: str = Field(default="", description="Path within the package; empty if it does not travel.")
    shared: bool = Field(default=False, description="Whether it lies at the path of the spec there too.")
    cache: str = Field(default="", description="Folder on the cluster that may hold it under its hash.")


class Request(BaseModel):
    """request.json of a package: what the job on the cluster is to do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    v: Literal[1] = 1
    auditor: str = Field(description="Version that asks; the cluster's must be the same.")
    python: str = Field(description="Version of Python that asks, as major.minor.")
    job: str = Field(pattern=r"^[0-9a-z-]{5,100}$")
    run: RunId
    backend: str = Field(description="Name of the backend, for sentences.")
    events_bytes: int = Field(ge=0, description="Bytes of events.jsonl that have arrived before.")
    events_sha256: Sha256 = Field(description="Hash of those bytes.")
    have: dict[str, Sha256] = Field(default={}, description="Files that have arrived before.")
    models: dict[str, PlacedModel] = {}
    most_file_bytes: int = Field(ge=0, description="Larger files stay on the cluster.")


def python_version() -> str:
    """Version of this Python as major.minor: what two machines must have in common."""
    return ".".join(platform.python_version_tuple()[:2])


def most_file_bytes() -> int:
    """Size of a file above which it stays on the cluster.

    Raises
    ------
    BackendError
        If the variable that sets it holds no number of bytes.
    """
    given = os.environ.get(_MOST_FILE_VARIABLE, "").strip()
    if not given:
        return _MOST_FILE_BYTES
    if not given.isdigit():
        raise BackendError(f"{_MOST_FILE_VARIABLE} is a number of bytes, not {given!r}.")
    return int(given)


def request(run: RunDirectory, spec: RunSpec, backend: Backend, job: str) -> Request:
    """What a job is to do for a run, given what of it has arrived before.

    Raises
    ------
    BackendError
        If a model is neither within reach of the cluster nor small enough to travel.
    """
    events = _bytes_of(run.events_file)
    return Request(
        auditor=__version__,
        python=python_version(),
        job=job,
        run=spec.run,
        backend=backend.name,
        events_bytes=len(events),
        events_sha256=hashlib.sha256(events).hexdigest(),
        have={
            path.relative_to(run.path).as_posix(): sha256_of(path)
            for room in (run.tables, run.artefacts, run.checkpoints)
            for path in sorted(room.rglob("*"))
            if path.is_file()
        },
        models={role: _placed(role, model, backend) for role, model in spec.models.items()},
        most_file_bytes=most_file_bytes(),
    )


def write(target: Path, run: RunDirectory, spec: RunSpec, asked: Request) -> str:
    """Write the package; returns its name, which holds its hash.

    Raises
    ------
    BackendError
        If it is larger than a Ray job carries.
    RunError
        If an input is gone or has changed.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        _add_bytes(archive, REQUEST, asked.model_dump_json(indent=1).encode())
        _add_bytes(archive, SPEC, run.spec_file.read_bytes())
        for role, given in run.inputs().items():
            record = spec.inputs[role]
            if not _INPUT.fullmatch(record.path):
                raise RunError(f"The input {record.name} ({role}) lies outside a case: it cannot be sent to a cluster.")
            _add_file(archive, f"inputs/{given.sha256}", given.path, f"the input {record.name}")
        for role, placed in asked.models.items():
            if placed.travels:
                _add_model(archive, placed.travels, spec.models[role])
    return f"_ray_pkg_{sha256_of(target)[:40]}.zip"


def _placed(role: str, model: ModelFile, backend: Backend) -> PlacedModel:
    if backend.shared and model.path.resolve().is_relative_to(Path(backend.shared).resolve()):
        return PlacedModel(shared=True)
    if model.size_bytes <= MOST_MODEL_BYTES:
        return PlacedModel(travels=_inside(role, model), cache=backend.cache or "")
    if backend.cache or model.sha256 == STARTER_SHA256:
        # Whether it is there only the cluster knows.
        return PlacedModel(cache=backend.cache or "")
    raise BackendError(
        f"The model {model.name} ({model.size_bytes:,} bytes) is too large to travel with a job, and the backend {backend.name} "
        "has neither a shared folder that holds it nor a folder of models: name one with --shared or --cache."
    )


def _inside(role: str, model: ModelFile) -> str:
    # A role is a word of an audit, never of a person.
    return f"models/{role}.gguf" if model.format == "gguf" else f"models/{role}"


def _add_model(archive: zipfile.ZipFile, name: str, model: ModelFile) -> None:
    if model.format == "gguf":
        _add_file(archive, name, model.path, f"the model {model.name}")
        return
    for file in files_of(model.path):
        _add_file(archive, str(PurePosixPath(name, file)), model.path / file, f"the model {model.name}")


def _add_bytes(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    with archive.open(_entry(name), "w") as entry:
        entry.write(data)


def _add_file(archive: zipfile.ZipFile, name: str, path: Path, what: str) -> None:
    if name in archive.namelist():
        return
    with path.open("rb") as source, archive.open(_entry(name), "w", force_zip64=True) as entry:
        while chunk := source.read(_CHUNK):
            entry.write(chunk)
            _refuse_large(archive.fp, what)


def _refuse_large(archive: IO[bytes] | None, what: str) -> None:
    if archive is not None and archive.tell() > MOST_PACKAGE_BYTES:
        raise BackendError(
            f"With {what} the job carries more than {MOST_PACKAGE_BYTES // 1024**2} MiB, which Ray does not take: run it on this "
            "machine, or use a smaller sample."
        )


def _entry(name: str) -> zipfile.ZipInfo:
    """An entry that is the same whenever it is written."""
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o600 << 16
    return entry


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def job_of(data: bytes) -> str:
    """Id of the job in a request, whichever version wrote it.

    Raises
    ------
    BackendError
        If there is none.
    """
    try:
        job = str(json.loads(data)["job"])
    except (ValueError, KeyError, TypeError):
        job = ""
    if not _JOB.fullmatch(job):
        raise BackendError(f"The package of this job holds no {REQUEST} that can be read.")
    return job


def checked_request(data: bytes) -> Request:
    """A request as the cluster reads it.

    Raises
    ------
    BackendError
        If it was made by another version of the program or of Python.
    """
    told = json.loads(data)
    asked = (str(told.get("auditor")), str(told.get("python")))
    found = (__version__, python_version())
    if asked != found:
        raise BackendError(
            f"The cluster has Auditor {found[0]} on Python {found[1]}, this machine has {asked[0]} on {asked[1]}: install the "
            "same on both, since results may depend on it."
        )
    return Request.model_validate(told)
