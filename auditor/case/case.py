"""A case: one folder that holds everything an audit rests on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from auditor.models import ModelFile
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory


@dataclass(frozen=True)
class RunSummary:
    """One line of a case's list of runs."""

    id: str
    audit: str
    created: str
    state: RunState
    sealed: bool
    linked: bool
    inputs: Mapping[str, str]  # role -> sha256
    verdict: str
    path: Path


class Case:
    """A case folder, open for one writer or for reading. Signatures first; the bodies follow."""

    path: Path
    title: str
    writable: bool

    @classmethod
    def create(cls, path: Path, title: str | None = None) -> Self:
        """Make a case folder and open it for writing. CaseError if there is one."""
        raise NotImplementedError

    @classmethod
    def open(cls, path: Path, *, write: bool = True) -> Self:
        """Open; with write=True takes the lock (CaseLocked names its owner) and links what waits to be linked."""
        raise NotImplementedError

    def runs(self) -> list[RunSummary]:
        """All runs, newest first."""
        raise NotImplementedError

    def run(self, run_id: str) -> RunDirectory:
        """One run's directory; CaseError if unknown."""
        raise NotImplementedError

    def new_run(
        self,
        audit: str,
        spec: Mapping[str, Any],
        inputs: Mapping[str, Path],
        models: Mapping[str, ModelFile],
        *,
        seed: int,
        device: str = "auto",
    ) -> RunDirectory:
        """Copy inputs by SHA-256, write the run directory, link its creation into the chain."""
        raise NotImplementedError

    def link_pending(self) -> list[str]:
        """Link every seal and record that is not in the chain yet; returns what was linked, in words."""
        raise NotImplementedError

    def head(self) -> str:
        """Hash of the newest link of the chain."""
        raise NotImplementedError

    def earlier_runs(self, run_id: str) -> list[RunSummary]:
        """Runs created before this one that share an input with it, oldest first."""
        raise NotImplementedError

    def add_note(self, text: str, *, author: str, run: str | None = None) -> None:
        """Commit a note and link it."""
        raise NotImplementedError

    def add_human_rating(self, run: str, unit: str, axis: str, score: int, *, rater: str, note: str = "") -> None:
        """Commit a person's rating and link it."""
        raise NotImplementedError

    def sign_off(self, run: str, *, name: str, statement: str) -> None:
        """Commit a sign-off and link it."""
        raise NotImplementedError

    def erase_input(self, sha256: str, *, reason: str, by: str) -> None:
        """Delete an input's bytes; its hash and a tombstone stay."""
        raise NotImplementedError

    def close(self) -> None:
        """Release the lock."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
