"""The backends that a person has named: one file in the program's home that nobody else can read."""

import json
import os
import secrets
from pathlib import Path

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from auditor.errors import BackendError
from auditor.files import read_json, sync_folder
from auditor.models.library import home
from auditor.runs.ray.backend import Backend


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    v: int = 1
    backends: list[Backend] = []


def backends() -> list[Backend]:
    """Every backend, in the order in which they were added.

    Raises
    ------
    BackendError
        If the file is damaged.
    """
    return _read().backends


def backend(name: str) -> Backend:
    """The backend of a name.

    Raises
    ------
    BackendError
        If there is none.
    """
    kept = backends()
    for found in kept:
        if found.name == name:
            return found
    known = ", ".join(found.name for found in kept) or "none"
    raise BackendError(
        f"There is no backend named {name!r}. Known: {known}. To add one: auditor backends add NAME ADDRESS"
    )


def add(backend: Backend, *, replace: bool = False) -> None:
    """Keep a backend.

    Parameters
    ----------
    replace : bool
        Whether it may take the place of one of the same name.

    Raises
    ------
    BackendError
        If there is one of that name, or the file cannot be written.
    """
    with _lock():
        kept = _read().backends
        places = [place for place, other in enumerate(kept) if other.name == backend.name]
        if places and not replace:
            raise BackendError(f"There is a backend named {backend.name} already: remove it first, or name another.")
        for place in places:
            kept[place] = backend
        _write(kept if places else [*kept, backend])


def remove(name: str) -> None:
    """Forget a backend with its token. Its runs stay in their cases.

    Raises
    ------
    BackendError
        If there is none of that name.
    """
    backend(name)
    with _lock():
        _write([other for other in _read().backends if other.name != name])


def _file() -> Path:
    return home() / "backends.json"


def _lock() -> FileLock:
    _file().parent.mkdir(parents=True, exist_ok=True)
    return FileLock(_file().with_suffix(".lock"), timeout=30)


def _read() -> _Kept:
    try:
        return _Kept.model_validate(read_json(_file()))
    except FileNotFoundError:
        return _Kept()
    except (OSError, ValueError, ValidationError):
        # What is wrong is not quoted: it may be a token.
        raise BackendError(f"The list of backends {_file()} is damaged: move it away and add them anew.") from None


def _write(kept: list[Backend]) -> None:
    """Write the file anew; at no moment can anybody else read it."""
    file = _file()
    partial = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
    text = json.dumps(_Kept(backends=kept).model_dump(mode="json"), indent=2) + "\n"
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(file)
    except OSError as error:
        raise BackendError(f"The list of backends {file} cannot be written: {error.strerror or error}.") from error
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(file.parent)
