"""A case: one folder that holds everything an audit rests on."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from auditor.case.chain import Chain
from auditor.case.inputs import InputStore
from auditor.case.lock import CaseLock
from auditor.case.records import SIGN_OFF, Records, text_of
from auditor.case.store import RunRow, Store
from auditor.errors import CaseError, RunError
from auditor.files import sha256_of
from auditor.models import ModelFile
from auditor.runs.ask import new_spec
from auditor.runs.contract import InputRecord, RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.dispatch import Dispatch
from auditor.runs.executor import LOCAL, RunStatus

ERASED = "input erased"


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
    executor: str = LOCAL


class Case(Records):
    """A case folder, open for one writer or for reading; what people said in it is `Records`.

    Attributes
    ----------
    path : Path
        The folder.
    title : str
        As given when the case was made.
    writable : bool
        Whether this process holds the lock.
    """

    def __init__(self, path: Path, *, write: bool) -> None:
        self.path = path
        self._executors = Dispatch()
        self._lock = CaseLock(path) if write else None
        try:
            store = Store(path / "case.sqlite", write=write)
            super().__init__(store, Chain(path / "chain.jsonl", repair=write), name=path.name, write=write)
            self._inputs = InputStore(path / "inputs")
        except BaseException:
            if self._lock:
                self._lock.release()
            raise
        self.title = str(self._chain.links[0].body["title"]) if self._chain.links else path.name

    @classmethod
    def create(cls, path: Path, title: str | None = None) -> Self:
        """Make a case folder and open it for writing.

        Raises
        ------
        CaseError
            If the folder is there and not empty, or cannot be made.
        """
        path = path.absolute()
        try:
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise CaseError(f"The folder {path} is not empty: a new case needs a folder of its own.")
            for name in ("inputs", "runs"):
                (path / name).mkdir()
        except OSError as error:
            raise CaseError(f"The case {path} cannot be made: {error.strerror}.") from error
        case = cls(path, write=True)
        case._chain.append("case created", {"title": title or path.name})
        case.title = title or path.name
        return case

    @classmethod
    def open(cls, path: Path, *, write: bool = True) -> Self:
        """Open a case; when writing, link what waits to be linked.

        Raises
        ------
        CaseLocked
            If somebody else writes; names whom.
        CaseError
            If there is no case, or its chain or index is damaged.
        """
        path = path.absolute()
        if not cls.is_case(path):
            raise CaseError(f"There is no case in {path}.")
        case = cls(path, write=write)
        if write:
            try:
                case._tidy()
                case.link_pending()
            except BaseException:
                case.close()
                raise
        return case

    @staticmethod
    def is_case(path: Path) -> bool:
        """Whether a folder is a case."""
        return (path / "case.sqlite").is_file() and (path / "chain.jsonl").is_file()

    def runs(self) -> list[RunSummary]:
        """All runs, newest first."""
        return [self._summary(row) for row in reversed(self._store.runs())]

    def _summary(self, row: RunRow) -> RunSummary:
        path = self.path / "runs" / row.id
        # What was sealed and linked stays as it is: only of other runs the events are read.
        is_done = row.sealed_link is not None and RunDirectory(path).seal_file.exists()
        status = RunStatus(RunState.DONE, sealed=True) if is_done else self._executors.status(path)
        return RunSummary(
            id=row.id,
            audit=row.audit,
            created=row.created,
            state=status.state,
            sealed=status.sealed,
            linked=row.sealed_link is not None,
            inputs=row.inputs,
            verdict=row.verdict or (status.message if status.state is not RunState.DONE else ""),
            path=path,
            executor=self._executors.name_of(path),
        )

    def run(self, run_id: str) -> RunDirectory:
        """One run's directory.

        Raises
        ------
        CaseError
            If the case has no such run.
        """
        known = [row.id for row in self._store.runs()]
        if run_id not in known:
            raise CaseError(f"The case {self.path.name} has no run {run_id!r}. It has: {', '.join(known) or 'none'}.")
        return RunDirectory(self.path / "runs" / run_id)

    def new_run(
        self,
        audit: str,
        spec: Mapping[str, Any],
        inputs: Mapping[str, Path],
        models: Mapping[str, ModelFile],
        *,
        seed: int,
        device: str = "auto",
        executor: str = LOCAL,
    ) -> RunDirectory:
        """Copy inputs by SHA-256, write the run directory, link its creation into the chain.

        Parameters
        ----------
        executor : str
            Who is to run it: "local", or the name of a backend.

        Raises
        ------
        InputError, CaseError
            If an input cannot be read or copied, or the case is open for reading only. No run is left behind.
        """
        self._need_write()
        records = {}
        # Inputs may be large: nobody who reads or writes anything else waits until they are copied.
        for role, path in inputs.items():
            sha256, size = self._inputs.add(path)
            records[role] = InputRecord(name=path.name, sha256=sha256, bytes=size, path=f"../../inputs/{sha256}")
        with self._guard:
            for given in records.values():
                if self._inputs.is_erased(given.sha256):
                    raise CaseError(f"{given.name} was erased from this case while the run was being made.")
            asked = new_spec(audit, spec, records, models, seed=seed, device=device, executor=executor)
            path = self.path / "runs" / asked.run
            partial = self._partial(asked.run)
            try:
                spec_sha256 = sha256_of(RunDirectory.create(partial, asked).spec_file)
            except OSError as error:
                shutil.rmtree(partial, ignore_errors=True)
                raise CaseError(f"The run could not be written: {error.strerror or error}.") from error
            hashes = {role: record.sha256 for role, record in records.items()}
            row = RunRow(asked.run, audit, asked.created, hashes, "", None)
            body = {"run": asked.run, "audit": audit, "inputs": hashes, "spec_sha256": spec_sha256}
            record = self._store.add_run(row, body)
            # The run exists once the index knows it; the rename is made good at the next opening.
            partial.rename(path)
            self._link([record])
            return RunDirectory(path)

    def _partial(self, run: str) -> Path:
        return self.path / "runs" / f".{run}.part"

    def _tidy(self) -> None:
        """Finish or take away what a crash left half-made."""
        known = {row.id for row in self._store.runs()}
        for partial in (self.path / "runs").glob(".*.part"):
            run = partial.name.removeprefix(".").removesuffix(".part")
            if run in known:
                partial.rename(self.path / "runs" / run)
            else:
                shutil.rmtree(partial)
        for partial in (self.path / "inputs").glob(".*.part"):
            partial.unlink()
        self._inputs.finish_erasing()

    def link_pending(self) -> list[str]:
        """Link every record and seal that is not in the chain yet; returns what was linked, in words."""
        with self._guard:
            self._need_write()
            # A crash after the chain was extended and before the index learnt of it.
            held = {link.body.get("record"): link.n for link in self._chain.links}
            linked = []
            for record in self._store.records():
                if record.link is None and record.id in held:
                    self._store.set_links({record.id: held[record.id]})
                elif record.link is None:
                    self._link([record])
                    linked.append(record.kind)
            seals = {link.body["run"]: link for link in self._chain.links if link.kind == "run sealed"}
            for row in self._store.runs():
                run = RunDirectory(self.path / "runs" / row.id)
                if row.sealed_link is None and run.seal_file.exists():
                    self._link_seal(run, seals.get(row.id))
                    linked.append(f"seal of run {row.id}")
            return linked

    def _link_seal(self, run: RunDirectory, held: Any) -> None:
        verdict = _verdict(run)
        if held is None:
            body = {"run": run.path.name, "seal_sha256": sha256_of(run.seal_file), "verdict": verdict}
            held = self._chain.append("run sealed", body)
        self._store.set_sealed(run.path.name, link=held.n, verdict=verdict)

    def head(self) -> str:
        """Hash of the newest link of the chain."""
        return self._chain.head

    def earlier_runs(self, run_id: str) -> list[RunSummary]:
        """Runs asked for before this one that share an input with it, oldest first."""
        rows = self._store.runs()
        places = [row.id for row in rows]
        if run_id not in places:
            raise CaseError(f"The case {self.path.name} has no run {run_id!r}.")
        place = places.index(run_id)
        inputs = set(rows[place].inputs.values())
        return [self._summary(row) for row in rows[:place] if inputs & set(row.inputs.values())]

    def sign_off(self, run: str, *, name: str, statement: str) -> None:
        """Commit a sign-off and link it.

        Raises
        ------
        CaseError
            If the run is not sealed: nobody can sign what may still change.
        """
        directory = self.run(run)
        if not directory.seal_file.exists():
            raise CaseError(f"The run {run} is not sealed yet: only a finished run can be signed off.")
        self.link_pending()
        body = {
            "name": text_of(name, "name"),
            "statement": text_of(statement, "statement"),
            "seal_sha256": sha256_of(directory.seal_file),
        }
        self._say(SIGN_OFF, body, run)

    def erase_input(self, sha256: str, *, reason: str, by: str) -> None:
        """Delete an input's bytes; its hash and a tombstone stay, and the case still verifies.

        Results are kept, and may quote it: those of an unlearning run its examples, those of a guard run queries and
        demonstrations, every list of skipped records up to 80 characters.

        Raises
        ------
        CaseError
            If the case has no such input.
        """
        with self._guard:
            self._need_write()
            if not self._inputs.path(sha256).exists():
                raise CaseError(f"The case {self.path.name} has no input {sha256}.")
            body = {"sha256": sha256, "reason": text_of(reason, "reason"), "by": text_of(by, "name")}
            record = self._store.add_record(ERASED, body)
            self._inputs.erase(sha256, {**body, "record": record.id, "time": record.time})
            self._link([record])

    def close(self) -> None:
        """Close the index and release the lock."""
        self._store.close()
        if self._lock:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def default_folder() -> Path:
    """Where a case goes when nobody names a folder: ``auditor-case`` in the working folder."""
    return Path.cwd() / "auditor-case"


def _verdict(run: RunDirectory) -> str:
    try:
        return str(run.findings()["verdict"]["sentence"])
    except (RunError, KeyError, TypeError):
        return ""
