"""The parts in which a run comes back: one line of JSON that says what follows, and the bytes themselves.

A part never changes once it can be seen under its name, so that it can be fetched again as often as a connection breaks.
"""

import hashlib
import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from auditor.errors import BackendError
from auditor.runs.contract import Sha256

#: Folder of all runs within the log folder of a session of Ray.
FOLDER = "auditor"
MOST_PART_BYTES = 8 * 1024 * 1024
MOST_HEADER_BYTES = 64 * 1024
#: Most levels of folders, and most characters of a path, in a run directory.
_MOST_LEVELS, _MOST_PATH = 8, 240
_ROOMS = ("tables", "artefacts", "checkpoints")
_FINDINGS = "findings.json"
_SEAL = "seal.json"
#: Names that mean something else on another system are not taken from it.
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,+=@ -]{0,119}")
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")


class LeftFile(BaseModel):
    """A file that stays on the cluster because it is larger than what is fetched."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(max_length=_MOST_PATH)
    bytes: int = Field(ge=0)
    place: str = Field(max_length=4096, description="Where it lies on the cluster.")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    v: Literal[1] = 1
    n: int = Field(ge=1, description="Number of the part within its job, from 1, without gaps.")
    bytes: int = Field(ge=0, le=MOST_PART_BYTES, description="Bytes that follow the line.")
    sha256: Sha256


class EventsPart(_Part):
    """Whole lines of events.jsonl, or a piece of one that is longer than a part."""

    kind: Literal["events"] = "events"
    offset: int = Field(ge=0, description="Where in the file they stand.")


class FilePart(_Part):
    """A piece of another file of the run."""

    kind: Literal["file"] = "file"
    path: str = Field(max_length=_MOST_PATH, description="Relative to the run directory, with '/'.")
    offset: int = Field(ge=0)
    total: int = Field(ge=0, description="Bytes of the whole file.")


class EndPart(_Part):
    """The job's last word."""

    kind: Literal["end"] = "end"
    state: Literal["done", "failed", "cancelled", "interrupted"]
    message: str = Field(default="", max_length=8000)
    left: list[LeftFile] = Field(default=[], max_length=1000)


Part = EventsPart | FilePart | EndPart


class _Any(BaseModel):
    part: Annotated[Part, Field(discriminator="kind")]


def name_of(n: int) -> str:
    """File name of a part."""
    return f"{n:08d}.part"


def pattern_near(n: int) -> str:
    """Which names are looked for when part `n` is the next: some that may follow are seen by the same look."""
    return f"{n // 100:06d}[0-9][0-9].part"


def packed(part: Part, payload: bytes) -> bytes:
    """A part as it is written."""
    return part.model_dump_json().encode() + b"\n" + payload


def unpacked(data: bytes, n: int) -> tuple[Part, bytes]:
    """A part as it was fetched, checked.

    Raises
    ------
    BackendError
        If it is damaged, or not the one that was asked for.
    """
    end = data.find(b"\n", 0, MOST_HEADER_BYTES)
    try:
        part = _Any.model_validate_json(b'{"part":' + data[: max(end, 0)] + b"}").part
    except ValidationError:
        raise BackendError(f"Part {n} of the run is damaged: what the cluster sent does not say what it is.") from None
    payload = data[end + 1 :]
    if part.n != n or part.bytes != len(payload) or part.sha256 != hashlib.sha256(payload).hexdigest():
        raise BackendError(f"Part {n} of the run arrived damaged: its length, number or SHA-256 is another.")
    return part, payload


def is_file_of_a_run(path: str) -> bool:
    """Whether a path names a file that a run directory may hold, safely on any system."""
    if path in (_FINDINGS, _SEAL):
        return True
    names = path.split("/")
    if names[0] not in _ROOMS or not 2 <= len(names) <= _MOST_LEVELS or len(path) > _MOST_PATH:
        return False
    return all(_PLAIN.fullmatch(name) and not _DEVICES.fullmatch(name) and name[-1] not in ". " for name in names)
