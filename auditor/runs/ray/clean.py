"""What runs on the cluster to clear up: it tells which runs lie there, and removes those that it is asked to.

Started by Ray as ``python -m auditor.runs.ray.clean``. What is to be removed comes in a variable of the environment, what is
there goes to standard output, in one line. Only folders that a job of ours made are looked at: of the name of a run, with the
record of that run in it.
"""

import os
import secrets
import shutil
import sys
import time
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from auditor.files import sha256_of
from auditor.models.library import home
from auditor.runs import live
from auditor.runs.contract import RunId, RunSpec, Sha256
from auditor.runs.directory import RunDirectory

#: Holds what is to be removed: JSON, run -> SHA-256 of its seal.
VARIABLE = "AUDITOR_RAY_CLEAN"
#: Before the answer, in what the job writes.
MARK = "auditor-clean "
_REMOVED = ".removed-"
#: An input that was brought so short a while ago may be a job's that has no folder yet.
_FRESH_SECONDS = 24 * 3600.0
_NAMES: TypeAdapter[dict[RunId, Sha256]] = TypeAdapter(dict[RunId, Sha256])


class Lying(BaseModel):
    """A run that lies on the cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: RunId
    bytes: int = Field(ge=0, description="Size of its folder.")
    age_s: float = Field(ge=0, description="Seconds since anything in it was written.")
    seal: Sha256 | None = Field(description="SHA-256 of its seal; None if it is not sealed.")
    at_work: bool = Field(description="Whether a worker is at it.")


class Answer(BaseModel):
    """What the job tells."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    v: int = 1
    runs: list[Lying] = Field(max_length=100_000, description="Before anything was removed.")
    removed: list[RunId] = Field(max_length=100_000)
    freed_bytes: int = Field(ge=0, description="Runs, and inputs that no other run has.")


def main() -> int:
    """Look, remove what is asked for, and tell."""
    wanted = _NAMES.validate_json(os.environ.get(VARIABLE) or "{}")
    sys.stdout.write(f"\n{MARK}{cleaned(home() / 'ray', wanted).model_dump_json()}\n")
    return 0


def cleaned(room: Path, wanted: dict[str, str]) -> Answer:
    """Remove runs that are still those that are meant, and inputs that nobody needs any more.

    Parameters
    ----------
    room : Path
        Where jobs put runs and inputs.
    wanted : dict of str to str
        Run -> SHA-256 of its seal: another one, or one that is not sealed, stays.
    """
    folder = room / "runs"
    _finish(folder)
    found = [_lying(run) for run in _runs(folder)]
    removed, freed = [], 0
    for one in found:
        if one.seal is not None and wanted.get(one.run) == one.seal and not one.at_work:
            # Under another name first: half of a run must not be taken for one.
            (folder / one.run).rename(folder / f"{_REMOVED}{secrets.token_hex(4)}")
            removed.append(one.run)
            freed += one.bytes
    _finish(folder)
    if removed:
        freed += _remove_inputs(room)
    return Answer(runs=found, removed=removed, freed_bytes=freed)


def _finish(folder: Path) -> None:
    """Delete what was to be removed, also of an earlier job that was killed."""
    for path in folder.glob(f"{_REMOVED}*"):
        shutil.rmtree(path, ignore_errors=True)


def _runs(folder: Path) -> list[RunDirectory]:
    """The folders of runs that jobs of ours have made."""
    named = sorted(folder.iterdir()) if folder.is_dir() else []
    return [RunDirectory(path) for path in named if not path.is_symlink() and path.is_dir() and _spec(path) is not None]


def _spec(path: Path) -> RunSpec | None:
    """The record of a run, if the folder is that run's."""
    try:
        spec = RunSpec.model_validate_json((path / "spec.json").read_bytes())
    except (OSError, ValidationError):
        return None
    return spec if spec.run == path.name else None


def _lying(run: RunDirectory) -> Lying:
    size, latest = 0, run.path.stat().st_mtime
    for path in run.path.rglob("*"):
        if not path.is_symlink() and path.is_file():
            told = path.stat()
            size, latest = size + told.st_size, max(latest, told.st_mtime)
    return Lying(
        run=run.path.name,
        bytes=size,
        age_s=max(0.0, time.time() - latest),
        seal=sha256_of(run.seal_file) if run.seal_file.is_file() else None,
        at_work=live.is_alive(run),
    )


def _remove_inputs(room: Path) -> int:
    """Delete inputs that no run has which is left; returns their bytes."""
    left = [path for path in (room / "runs").iterdir() if path.is_dir()]
    specs = [_spec(path) for path in left]
    if None in specs:
        # Somebody else's folder, or a run that is just being made: which inputs it has cannot be told.
        return 0
    needed = {PurePosixPath(given.path).name for spec in specs if spec for given in spec.inputs.values()}
    freed = 0
    for path in (room / "inputs").iterdir():
        told = path.lstat()
        if path.name not in needed and time.time() - told.st_mtime > _FRESH_SECONDS and path.is_file():
            path.unlink(missing_ok=True)
            freed += told.st_size
    return freed


if __name__ == "__main__":
    sys.exit(main())
