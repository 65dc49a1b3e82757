"""Sealing a run: the hash of every file, written last; and checking it."""

from auditor.errors import RunError
from auditor.files import sha256_of, write_json
from auditor.runs import live
from auditor.runs.clock import utc_now
from auditor.runs.contract import Seal, SealedFile
from auditor.runs.directory import RunDirectory

_SEAL = "seal.json"


def files_of(run: RunDirectory) -> list[str]:
    """Every file of a run but its seal and its live folder; paths relative to it, sorted."""
    found = []
    for path in sorted(run.path.rglob("*")):
        name = path.relative_to(run.path).as_posix()
        if (path.is_file() or path.is_symlink()) and name != _SEAL and not name.startswith("live/"):
            found.append(name)
    return found


def seal(run: RunDirectory) -> Seal:
    """Write seal.json, the run's last file.

    Raises
    ------
    RunError
        If the run is sealed already.
    """
    if run.seal_file.exists():
        raise RunError(f"The run {run.path.name} is sealed already.")
    files = {
        name: SealedFile(sha256=sha256_of(run.path / name), bytes=(run.path / name).stat().st_size)
        for name in files_of(run)
    }
    sealed = Seal(run=run.path.name, sealed=utc_now(), files=files)
    write_json(run.seal_file, sealed.model_dump(mode="json"))
    return sealed


def problems(run: RunDirectory) -> list[str]:
    """What differs between a sealed run and its seal, one sentence each; empty if nothing does."""
    try:
        sealed = run.seal()
    except RunError as error:
        return [str(error)]
    if sealed is None:
        return [f"Run {run.path.name}: there is no seal."]
    found = []
    if sealed.run != run.path.name:
        found.append(f"Run {run.path.name}: its seal was made for {sealed.run}.")
    present = set(files_of(run))
    for name, record in sorted(sealed.files.items()):
        if name not in present:
            found.append(f"Run {run.path.name}: {name} is missing.")
        elif sha256_of(run.path / name) != record.sha256:
            found.append(f"Run {run.path.name}: {name} has changed since it was sealed.")
    present |= set(live.strangers(run))
    found += [f"Run {run.path.name}: {name} was added after sealing." for name in sorted(present - set(sealed.files))]
    return found
