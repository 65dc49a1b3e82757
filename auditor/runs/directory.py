"""A run directory: where its files lie, and how they are read by whoever comes later."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from auditor.audits import InputFile
from auditor.errors import RunError
from auditor.files import read_json, sha256_of, write_json
from auditor.runs.contract import RunSpec, RunState, Seal

#: Last lines of events.jsonl that are searched for the newest progress and state.
_TAIL_BYTES = 256 * 1024
#: The kind of an event, which stands before whatever an audit writes.
_KIND = re.compile(rb'"kind":"([a-z]+)"')
_HEAD_BYTES = 120


@dataclass(frozen=True)
class RunDirectory:
    """The files of one run.

    Attributes
    ----------
    path : Path
        ``runs/<id>`` of a case, or a folder of its own on another machine.
    """

    path: Path

    @property
    def spec_file(self) -> Path:
        """What is asked."""
        return self.path / "spec.json"

    @property
    def events_file(self) -> Path:
        """What happened, one JSON object a line."""
        return self.path / "events.jsonl"

    @property
    def findings_file(self) -> Path:
        """What came out."""
        return self.path / "findings.json"

    @property
    def seal_file(self) -> Path:
        """Hashes of everything above."""
        return self.path / "seal.json"

    @property
    def tables(self) -> Path:
        """Folder of Parquet tables."""
        return self.path / "tables"

    @property
    def artefacts(self) -> Path:
        """Folder of other results."""
        return self.path / "artefacts"

    @property
    def checkpoints(self) -> Path:
        """Folder from which an interrupted computation goes on."""
        return self.path / "checkpoints"

    @property
    def cache(self) -> Path:
        """Folder for what can be computed again: beside ``runs`` in a case, so that all its runs share it."""
        return self.path.parents[1] / "cache" if self.path.parent.name == "runs" else self.live / "cache"

    @property
    def live(self) -> Path:
        """Folder of the working processes: heartbeat, requests, standard error. Gone when the run is sealed."""
        return self.path / "live"

    @classmethod
    def create(cls, path: Path, spec: RunSpec) -> "RunDirectory":
        """Make a run directory with its spec.

        Raises
        ------
        RunError
            If the directory exists.
        """
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            raise RunError(f"The run directory {path} exists already.") from None
        directory = cls(path)
        for folder in (directory.tables, directory.artefacts, directory.checkpoints):
            folder.mkdir()
        write_json(directory.spec_file, spec.model_dump(mode="json"))
        return directory

    def spec(self) -> RunSpec:
        """Read spec.json.

        Raises
        ------
        RunError
            If it is missing or damaged.
        """
        try:
            return RunSpec.model_validate(read_json(self.spec_file))
        except (OSError, ValueError, ValidationError) as error:
            raise RunError(
                f"The run in {self.path} cannot be read: its spec.json is missing or damaged ({error})."
            ) from error

    def input_file(self, role: str) -> InputFile:
        """Where an input of the run was put, whether or not it is still there."""
        record = self.spec().inputs[role]
        return InputFile(path=(self.path / record.path).resolve(), name=record.name, sha256=record.sha256)

    def inputs(self, *, check: bool = True) -> dict[str, InputFile]:
        """The run's inputs by role.

        Parameters
        ----------
        check : bool
            Recompute the hash of every input first.

        Raises
        ------
        RunError
            If an input is gone (erased, moved) or its bytes are not those the run was asked about.
        """
        found = {}
        for role, record in self.spec().inputs.items():
            path = (self.path / record.path).resolve()
            if not path.is_file():
                raise RunError(f"The input {record.name} ({role}) is gone: it was erased or the case is incomplete.")
            if check and sha256_of(path) != record.sha256:
                raise RunError(f"The input {record.name} ({role}) has changed since the run was asked for.")
            found[role] = InputFile(path=path, name=record.name, sha256=record.sha256)
        return found

    def findings(self) -> dict[str, Any]:
        """Read findings.json as plain JSON.

        Raises
        ------
        RunError
            If the run has none, or they are damaged.
        """
        try:
            loaded = read_json(self.findings_file)
        except FileNotFoundError:
            raise RunError(f"The run {self.path.name} has no findings yet.") from None
        except (OSError, ValueError) as error:
            raise RunError(f"The findings of run {self.path.name} cannot be read: {error}.") from error
        if not isinstance(loaded, dict):
            raise RunError(f"The findings of run {self.path.name} are damaged: not an object.")
        return loaded

    def table_files(self) -> dict[str, Path]:
        """Finished tables, name -> Parquet file."""
        return {file.stem: file for file in sorted(self.tables.glob("*.parquet"))}

    def seal(self) -> Seal | None:
        """The seal, or None while the run is not sealed.

        Raises
        ------
        RunError
            If there is one and it is damaged.
        """
        try:
            return Seal.model_validate(read_json(self.seal_file))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, ValidationError) as error:
            raise RunError(f"The seal of run {self.path.name} is damaged: {error}.") from error

    def events(self) -> Iterator[dict[str, Any]]:
        """Every whole event so far, oldest first; a torn last line is left out.

        Raises
        ------
        RunError
            If a line before the last is damaged.
        """
        try:
            file = self.events_file.open("rb")
        except FileNotFoundError:
            return
        with file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return
                yield parse_event(line, self.path.name, number)

    def last_events(self) -> dict[str, dict[str, Any]]:
        """The newest whole event of each kind within the last 256 KiB, by kind; for status lines."""
        try:
            with self.events_file.open("rb") as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - _TAIL_BYTES))
                tail = file.read()
        except FileNotFoundError:
            return {}
        lines = tail.split(b"\n")[:-1]
        if size > _TAIL_BYTES:
            lines = lines[1:]
        newest: dict[str, dict[str, Any]] = {}
        for line in reversed(lines):
            # Cheap look before parsing: of each kind only the newest is wanted, and rows may be long.
            named = _KIND.search(line, 0, _HEAD_BYTES)
            if named is not None and named[1].decode() in newest:
                continue
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and isinstance(event.get("kind"), str):
                newest.setdefault(event["kind"], event)
        return newest

    def written_state(self, last: Mapping[str, dict[str, Any]] | None = None) -> RunState:
        """The last state that was written; `LocalExecutor.status` also looks whether the worker lives.

        Parameters
        ----------
        last : mapping of str to dict, optional
            What `last_events` found, where it was asked already.
        """
        state = (self.last_events() if last is None else last).get("state")
        if state is None:
            # A long run may have pushed its one "running" line out of the tail.
            return (
                RunState.RUNNING
                if self.events_file.exists() and self.events_file.stat().st_size > _TAIL_BYTES
                else RunState.CREATED
            )
        return RunState(state["state"])


def parse_event(line: bytes, run: str, number: int) -> dict[str, Any]:
    """One line of events.jsonl as an object.

    Raises
    ------
    RunError
        If the line is no JSON object.
    """
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        raise RunError(f"Line {number} of events.jsonl of run {run} is damaged.")
    return event


def made_with_people(runs: Iterable[RunDirectory]) -> list[tuple[InputFile, Mapping[str, Any]]]:
    """The files of human ratings that runs were made with, each with its run's spec."""
    return [(run.input_file("humans"), run.spec().spec) for run in runs if "humans" in run.spec().inputs]
