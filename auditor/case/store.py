"""The index of a case in SQLite: runs, and what people said (human ratings, notes, sign-offs, erasures).

A record is committed here first and linked into the chain second; `link` is empty in between, so that a crash
between the two is made good at the next opening.
"""

import json
import os
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from auditor.errors import CaseError
from auditor.runs.clock import utc_now

#: Statements that lead from version i to version i + 1 of the layout.
_MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE runs (
            id TEXT PRIMARY KEY, audit TEXT NOT NULL, created TEXT NOT NULL, inputs TEXT NOT NULL,
            verdict TEXT NOT NULL DEFAULT '', sealed_link INTEGER
        ) STRICT""",
        """CREATE TABLE records (
            id TEXT PRIMARY KEY, position INTEGER NOT NULL UNIQUE, time TEXT NOT NULL, kind TEXT NOT NULL,
            run TEXT, body TEXT NOT NULL, link INTEGER
        ) STRICT""",
        "CREATE INDEX records_by_run ON records (run, kind)",
    ),
)
_NETWORK_FILESYSTEMS = {"nfs", "nfs4", "cifs", "smb", "smb3", "smbfs", "afs", "9p", "fuse.sshfs", "webdav", "davfs"}


@dataclass(frozen=True)
class Record:
    """Something a person did, or the creation of a run; `link` is its place in the chain once linked."""

    id: str
    time: str
    kind: str
    run: str | None
    body: dict[str, Any]
    link: int | None

    def linked_body(self) -> dict[str, Any]:
        """What the chain says of it."""
        return {"record": self.id, "said": self.time, "run": self.run, **self.body}


@dataclass(frozen=True)
class RunRow:
    """A run as the index knows it."""

    id: str
    audit: str
    created: str
    inputs: dict[str, str]
    verdict: str
    sealed_link: int | None


class Store:
    """The SQLite file of a case.

    Parameters
    ----------
    file : Path
        ``case.sqlite``.
    write : bool
        Create and migrate it; otherwise it is opened for reading.

    Raises
    ------
    CaseError
        If it is damaged or was written by a newer version.
    """

    def __init__(self, file: Path, *, write: bool) -> None:
        self._name = file.parent.name
        # A finished case on a read-only disk has no WAL, and SQLite could not make one to read it.
        is_settled = not write and not file.with_name(f"{file.name}-wal").exists()
        mode = "mode=rwc" if write else "mode=ro&immutable=1" if is_settled else "mode=ro"
        # The desktop asks from a thread of its own. Who writes is guarded by the case, and who reads never waits for a disk.
        self._reading = threading.Lock()
        self._writing = threading.Lock()
        try:
            self._database = self._reader = _connected(file, mode)
            try:
                if write:
                    self._prepare(file)
                self._migrate(write=write)
            except BaseException:
                self.close()
                raise
        except sqlite3.Error as error:
            raise CaseError(f"The index of the case {self._name} cannot be opened: {error}.") from error

    def _prepare(self, file: Path) -> None:
        """Set up the connection that writes, and who reads beside it."""
        is_wal = _set_journal(self._database, file)
        self._database.execute("PRAGMA synchronous = FULL")
        if is_wal:
            self._reader = _connected(file, "mode=ro")
        else:
            # With a rollback journal who reads keeps who writes from committing: both take turns on one connection.
            self._writing = self._reading

    def _migrate(self, *, write: bool) -> None:
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version > len(_MIGRATIONS):
            raise CaseError(f"The case {self._name} was written by a newer version of Auditor: update the program.")
        if version < len(_MIGRATIONS) and not write:
            raise CaseError(f"The case {self._name} is of an older layout: open it for writing once.")
        for number in range(version, len(_MIGRATIONS)):
            with self._transaction():
                for statement in _MIGRATIONS[number]:
                    self._database.execute(statement)
                self._database.execute(f"PRAGMA user_version = {number + 1}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._writing:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                yield
                self._database.execute("COMMIT")
            except BaseException as error:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                if isinstance(error, sqlite3.OperationalError):
                    raise CaseError(f"The index of the case {self._name} cannot be written: {error}.") from error
                raise

    def add_record(self, kind: str, body: Mapping[str, Any], *, run: str | None = None) -> Record:
        """Commit a record, not linked yet."""
        return self.add_records([(kind, body)], run=run)[0]

    def add_records(self, said: Sequence[tuple[str, Mapping[str, Any]]], *, run: str | None = None) -> list[Record]:
        """Commit records, (kind, body), together, not linked yet."""
        records = [Record(uuid.uuid4().hex, utc_now(), kind, run, dict(body), None) for kind, body in said]
        with self._transaction():
            for record in records:
                self._insert(record)
        return records

    def add_run(self, row: RunRow, body: Mapping[str, Any]) -> Record:
        """Commit a run and the record of its creation together."""
        record = Record(uuid.uuid4().hex, utc_now(), "run created", row.id, dict(body), None)
        with self._transaction():
            self._database.execute(
                "INSERT INTO runs (id, audit, created, inputs) VALUES (?, ?, ?, ?)",
                (row.id, row.audit, row.created, json.dumps(row.inputs, sort_keys=True)),
            )
            self._insert(record)
        return record

    def _insert(self, record: Record) -> None:
        self._database.execute(
            "INSERT INTO records (id, position, time, kind, run, body) "
            "VALUES (?, (SELECT coalesce(max(position), 0) + 1 FROM records), ?, ?, ?, ?)",
            (record.id, record.time, record.kind, record.run, json.dumps(record.body, sort_keys=True)),
        )

    def set_links(self, links: Mapping[str, int]) -> None:
        """Remember where records stand in the chain: record's id -> number of its link."""
        with self._transaction():
            self._database.executemany(
                "UPDATE records SET link = ? WHERE id = ?", [(link, record) for record, link in links.items()]
            )

    def set_sealed(self, run: str, *, link: int, verdict: str) -> None:
        """Remember where a run's seal stands in the chain, and its verdict."""
        with self._transaction():
            self._database.execute("UPDATE runs SET sealed_link = ?, verdict = ? WHERE id = ?", (link, verdict, run))

    def runs(self) -> list[RunRow]:
        """All runs, in the order they were asked for."""
        rows = self._read("SELECT id, audit, created, inputs, verdict, sealed_link FROM runs ORDER BY created, rowid")
        return [RunRow(a, b, c, json.loads(d), e, f) for a, b, c, d, e, f in rows]

    def records(self, *, kind: str | None = None, run: str | None = None) -> list[Record]:
        """Records in order, of a kind and a run if given."""
        rows = self._read(
            "SELECT id, time, kind, run, body, link FROM records "
            "WHERE (?1 IS NULL OR kind = ?1) AND (?2 IS NULL OR run = ?2) ORDER BY position",
            (kind, run),
        )
        return [Record(a, b, c, d, json.loads(e), f) for a, b, c, d, e, f in rows]

    def _read(self, question: str, values: tuple[str | None, ...] = ()) -> list[Any]:
        try:
            with self._reading:
                return self._reader.execute(question, values).fetchall()
        except (sqlite3.OperationalError, sqlite3.ProgrammingError) as error:
            raise CaseError(f"The index of the case {self._name} cannot be read: {error}.") from error

    def damage(self) -> list[str]:
        """What SQLite's own check finds."""
        try:
            found = [str(row[0]) for row in self._database.execute("PRAGMA integrity_check(10)")]
        except sqlite3.Error as error:
            found = [str(error)]
        return [] if found == ["ok"] else found

    def close(self) -> None:
        """Close the file, once nobody reads; who writes goes last and leaves everything in one file."""
        with self._reading:
            self._reader.close()
            self._database.close()


def _connected(file: Path, mode: str) -> sqlite3.Connection:
    address = f"{file.absolute().as_uri()}?{mode}"
    return sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)


def _set_journal(database: sqlite3.Connection, file: Path) -> bool:
    """WAL where it works; a rollback journal on network shares, where its shared memory does not. Returns whether WAL."""
    mode = "DELETE" if _is_network(file) else "WAL"
    (got,) = database.execute(f"PRAGMA journal_mode = {mode}").fetchone()
    if got.upper() != mode:
        (got,) = database.execute("PRAGMA journal_mode = DELETE").fetchone()
    return str(got).upper() == "WAL"


def _is_network(file: Path) -> bool:
    path = os.path.realpath(file.parent)
    if path.startswith("\\\\"):
        return True
    mounts = [part for part in psutil.disk_partitions(all=True) if _is_below(path, part.mountpoint)]
    return bool(mounts) and max(mounts, key=lambda part: len(part.mountpoint)).fstype.lower() in _NETWORK_FILESYSTEMS


def _is_below(path: str, mount: str) -> bool:
    return path == mount or path.startswith(mount.rstrip(os.sep) + os.sep)
