"""The contract of a run directory between processes, machines and years: what each file holds.

The JSON schemas in ``resources/schemas`` are generated from these models (`python -m auditor.runs.schemas`)
and a test keeps them equal. Fields are only ever added, with a default; a change that an old reader would
misread raises the version.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from auditor.models import ModelFile

CONTRACT_VERSION: Literal[1] = 1

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
RunId = Annotated[str, Field(pattern=r"^[0-9a-z][0-9a-z-]{5,63}$")]


class RunState(StrEnum):
    """Where a run stands."""

    CREATED = "created"
    STARTING = "starting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    #: Derived, never written: the worker is gone and left no final state.
    INTERRUPTED = "interrupted"

    @property
    def is_live(self) -> bool:
        """Whether a worker is at it."""
        return self in (RunState.STARTING, RunState.RUNNING)

    @property
    def is_resumable(self) -> bool:
        """Whether `resume` would carry on from what was flushed."""
        return self in (RunState.CREATED, RunState.FAILED, RunState.CANCELLED, RunState.INTERRUPTED)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InputRecord(_Record):
    """An input of a run, by hash."""

    name: str = Field(description="Name the person gave the file.")
    sha256: Sha256
    bytes: int = Field(ge=0)
    path: str = Field(description="Where the bytes lie, relative to the run directory.")


class Host(_Record):
    """The machine that wrote the spec."""

    system: str
    machine: str
    processor: str
    cores: int = Field(ge=1)
    memory_bytes: int = Field(ge=0)


class RunSpec(_Record):
    """spec.json: what is asked, of what, with what."""

    v: Literal[1] = CONTRACT_VERSION
    run: RunId
    audit: str
    spec: dict[str, Any] = Field(description="The audit's own spec, validated by the audit.")
    inputs: dict[str, InputRecord] = Field(description="Role -> input.")
    models: dict[str, ModelFile] = Field(default_factory=dict, description="Role -> model, with its hash.")
    seed: int = Field(ge=0, description="Seed of every random draw.")
    created: str = Field(description="UTC time, ISO 8601.")
    versions: dict[str, str] = Field(description="Software that was installed, distribution -> version.")
    host: Host
    device: str = Field(default="auto", description="Device asked for; the one used stands in the findings.")
    executor: str = Field(default="local", description="Who runs it: 'local', or the name of a backend.")


class _Event(_Record):
    v: Literal[1] = CONTRACT_VERSION
    n: int = Field(ge=0, description="Number of the event in this run, from 0, without gaps.")
    t: str = Field(description="UTC time, ISO 8601.")


class StateEvent(_Event):
    """The run changed state."""

    kind: Literal["state"]
    state: RunState
    message: str = ""
    error: str | None = Field(default=None, description="For 'failed': the sentence for people.")
    code: int | None = Field(
        default=None, description="Exit code of the worker: 0 done, 2 bad input, 3 failed, 4 cancelled."
    )


class ProgressEvent(_Event):
    """How far the run is."""

    kind: Literal["progress"]
    done: int = Field(ge=0)
    total: int | None = Field(default=None, ge=0)
    message: str = ""


class MetricEvent(_Event):
    """One number of the running computation."""

    kind: Literal["metric"]
    name: str
    value: float
    step: int | None = None


class RowEvent(_Event):
    """One flushed result row."""

    kind: Literal["row"]
    table: str
    row: dict[str, Any]


class WarningEvent(_Event):
    """Something the person should know."""

    kind: Literal["warning"]
    code: str
    message: str
    count: int = Field(default=1, ge=0)


class LogEvent(_Event):
    """Something for whoever looks into the run afterwards."""

    kind: Literal["log"]
    message: str


Event = Annotated[
    StateEvent | ProgressEvent | MetricEvent | RowEvent | WarningEvent | LogEvent, Field(discriminator="kind")
]


class SealedFile(_Record):
    """A file under a seal."""

    sha256: Sha256
    bytes: int = Field(ge=0)


class Seal(_Record):
    """seal.json: the hash of every file of the run, written by the worker as its last act."""

    v: Literal[1] = CONTRACT_VERSION
    run: RunId
    sealed: str = Field(description="UTC time, ISO 8601.")
    files: dict[str, SealedFile] = Field(description="Path relative to the run directory, with '/' -> hash and size.")
