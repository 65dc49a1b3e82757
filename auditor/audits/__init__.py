"""The audits: what each must offer, what a run offers to it, and how they are found.

An audit is a module (or object) with the attributes of `Audit`, announced under the entry-point group
``auditor.audits``; another distribution can add one without touching this package.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pydantic import BaseModel

from auditor.audits.findings import Findings, TableInfo
from auditor.errors import AuditorError
from auditor.models import ModelFile

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.figure import Figure

ENTRY_POINT_GROUP = "auditor.audits"


@dataclass(frozen=True)
class InputFile:
    """An input as a run sees it.

    Attributes
    ----------
    path : Path
        Where the bytes lie (inside a case: ``inputs/<sha256>``, without an ending).
    name : str
        The name the person gave; its ending tells the format.
    sha256 : str
        Hash of the bytes.
    """

    path: Path
    name: str
    sha256: str


@dataclass(frozen=True)
class InputRole:
    """A file that an audit asks for."""

    name: str
    title: str
    description: str
    endings: tuple[str, ...]
    required: bool = True


@dataclass(frozen=True)
class ModelRole:
    """A model that an audit asks for, and the spec field that names it."""

    name: str
    title: str
    spec_field: str


@dataclass(frozen=True)
class Preview:
    """What a dropped file turned out to be; nothing is guessed silently.

    Attributes
    ----------
    format : str
        Recognised format, in words.
    columns : tuple of str
        Columns that can be mapped (empty for formats without columns).
    mapping : Mapping[str, str]
        Field of the audit -> column that would be used.
    rows : tuple of Mapping[str, str]
        The first rows as they would be read, printable.
    problems : tuple of str
        Every problem found, each naming row, column, value and fix; the first 1,000.
    n_rows, n_problems : int
        Counts over the whole file.
    fields : tuple of str
        Fields of the audit that can be mapped in this form; empty where all can.
    unread : str
        Which columns nothing is read from, in words; empty if there are none.
    """

    format: str
    columns: tuple[str, ...]
    mapping: Mapping[str, str]
    rows: tuple[Mapping[str, str], ...]
    problems: tuple[str, ...]
    n_rows: int
    n_problems: int
    fields: tuple[str, ...] = ()
    unread: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure with the words and the data behind it."""

    name: str
    title: str
    description: str
    figure: "Figure"
    data: "pa.Table"


@dataclass(frozen=True)
class PeopleFound:
    """How a run's results stand beside what people said of the same units.

    An audit whose units people judge has one more door, which is optional and looked up by name::

        def beside_people(findings, tables, records, theme) -> PeopleFound

    `records` are the human ratings of the run that hold in its case; the same records, findings and tables give the
    same answer on every machine (random draws start from the run's seed).

    Attributes
    ----------
    sentences : tuple of str
        What came out, in words; the first one says it all.
    headers : tuple of str
        Of every table.
    tables : Mapping of str to tuple of tuple of str
        Caption -> rows, as they are printed on the screen and in the report.
    notes : tuple of str
        What a reader must know: what was left out and why, how it was computed.
    queue : tuple of Mapping
        Units in the order in which they deserve a second look, each with `place`, its row of the results table from 0.
    pictures : tuple of Picture
    """

    sentences: tuple[str, ...]
    headers: tuple[str, ...]
    tables: Mapping[str, tuple[tuple[str, ...], ...]]
    notes: tuple[str, ...]
    queue: tuple[Mapping[str, Any], ...]
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class FinishedRun:
    """A sealed run of a case, as an audit sees it that follows a system over time."""

    run: str
    #: When it was asked for, ISO 8601.
    created: str
    findings: Mapping[str, Any]
    tables: Mapping[str, Path]
    #: Hash of each input by role.
    inputs: Mapping[str, str] = field(default_factory=dict)
    #: What was asked of it.
    spec: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True)
class FollowedOverTime:
    """What several runs of a case say together.

    An audit that can be repeated on fresh data has one more door, and one whose runs can be compared another; they are
    optional and looked up by name::

        def over_time(run, others, theme) -> FollowedOverTime
        def beside_runs(run, others, theme) -> FollowedOverTime or None where no other can stand beside it

    Attributes
    ----------
    sentences : tuple of str
        What came out, in words; the first one says it all.
    headers : tuple of str
    rows : tuple of tuple of str
        As they are printed.
    notes : tuple of str
        What was left out and why.
    pictures : tuple of Picture
    """

    sentences: tuple[str, ...]
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    pictures: tuple[Picture, ...]


class Context(Protocol):
    """What a run offers to an audit. `auditor.runs` implements it; a notebook uses `MemoryContext`."""

    seed: int
    artefacts: Path
    checkpoints: Path
    #: Folder for what can be computed again, shared by the runs of a case; may be emptied at any time.
    cache: Path

    def progress(self, done: int, total: int | None, message: str = "") -> None:
        """Report how far the run is, in the audit's units. Throttled by the implementation."""

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        """Report one number of the running computation."""

    def row(self, table: str, row: Mapping[str, Any]) -> None:
        """Flush one result row; it survives a kill of the process from here on."""

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """Rows of a table flushed so far, in order: by this process or by the one it resumes."""

    def save_table(self, info: TableInfo, batches: "Iterable[pa.RecordBatch]", schema: "pa.Schema") -> None:
        """Write a finished table from its batches, atomically."""

    def table(self, name: str) -> Path:
        """The Parquet file of a table that was saved."""

    def warning(self, code: str, message: str, count: int = 1) -> None:
        """Show a warning while the run goes on. The audit counts it in its findings itself."""

    def log(self, message: str) -> None:
        """Say something for whoever looks into the run afterwards."""

    def cancelled(self) -> bool:
        """Whether a person asked the run to stop. Audits look between units and raise `Cancelled`."""

    def model(self, role: str) -> ModelFile:
        """The model file that plays a role of the audit."""


@runtime_checkable
class Audit(Protocol):
    """The doors of an audit package."""

    name: str
    title: str
    purpose: str
    Spec: type[BaseModel]
    FindingsType: type[Findings]
    input_roles: tuple[InputRole, ...]
    model_roles: tuple[ModelRole, ...]

    def run(self, spec: Any, inputs: Mapping[str, InputFile], context: Context) -> Findings:
        """Carry out the audit; returns findings whose tables went through `context.save_table`."""

    def preview(self, role: str, file: InputFile, options: Mapping[str, Any]) -> Preview:
        """Read a file as the audit would, to show it before anything runs."""

    def unit(self, file: InputFile, options: Mapping[str, Any], row: int) -> list[tuple[str, str]]:
        """One unit of the first input role, to look at: (heading, plain text) pairs; `options` is the spec's fields."""

    def units(
        self, file: InputFile, options: Mapping[str, Any], rows: AbstractSet[int]
    ) -> Iterator[tuple[int, list[tuple[str, str]]]]:
        """Several units, (row, parts) in the order of the file; rows that hold none are left out."""

    def pictures(self, findings: Any, tables: Mapping[str, Path], theme: str) -> Iterator[Picture]:
        """Draw the findings; `theme` is "light" or "dark"; `tables` maps table name -> Parquet path."""

    def methods(self, findings: Any) -> list[tuple[str, str]]:
        """What the report says of the method: (heading, plain text) pairs, e.g. the rubric word for word."""


def names() -> tuple[str, ...]:
    """Names of the installed audits, sorted. Imports none of them."""
    return tuple(sorted({entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)}))


def get(name: str) -> Audit:
    """Load an audit by name.

    Raises
    ------
    AuditorError
        If no installed distribution offers it, or what is offered lacks the doors of an audit.
    """
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        if entry.name == name:
            audit = entry.load()
            if not isinstance(audit, Audit):
                raise AuditorError(f"The audit {name!r} ({entry.value}) lacks some of the doors every audit has.")
            return audit
    raise AuditorError(f"There is no audit named {name!r}. Installed: {', '.join(names()) or 'none'}.")
