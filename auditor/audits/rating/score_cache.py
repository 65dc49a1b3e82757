"""Scores that were computed before in this case, by the hash of model and prompt tokens.

Not evidence: the folder may be deleted at any time, and a damaged file is put aside. What was taken from it is counted
in the findings.
"""

import hashlib
import json
import sqlite3
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_FILE = "scores-1.sqlite"
_TABLE = """CREATE TABLE IF NOT EXISTS scores (
    key BLOB PRIMARY KEY, logits BLOB NOT NULL, explanation TEXT, checksum BLOB NOT NULL
) STRICT, WITHOUT ROWID"""
_BUSY_SECONDS = 30
_AT_ONCE = 500


@dataclass(frozen=True)
class Entry:
    """Logits of the score tokens, float32, and the explanation if one was generated."""

    logits: tuple[float, ...]
    explanation: str | None


class ScoreCache:
    """A SQLite file of scores.

    Parameters
    ----------
    folder : Path
        Shared by the runs of a case.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / _FILE
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._database = self._open()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            self._put_aside()

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._file, timeout=_BUSY_SECONDS)
        try:
            database.execute(_TABLE)
        except BaseException:
            database.close()
            raise
        return database

    def _put_aside(self) -> None:
        """Begin anew: what a damaged file held is computed again."""
        self._file.replace(self._file.with_suffix(".damaged"))
        self._database = self._open()

    def get(self, keys: Iterable[str]) -> dict[str, Entry]:
        """Entries of those keys that are known; an entry whose checksum is wrong counts as unknown."""
        try:
            return self._get(list(dict.fromkeys(keys)))
        except sqlite3.OperationalError:
            # Somebody else holds it, or the disk fails: nothing is known then.
            return {}
        except sqlite3.DatabaseError:
            self._database.close()
            self._put_aside()
            return {}

    def _get(self, wanted: list[str]) -> dict[str, Entry]:
        found = {}
        for begin in range(0, len(wanted), _AT_ONCE):
            part = [bytes.fromhex(key) for key in wanted[begin : begin + _AT_ONCE]]
            marks = ",".join("?" * len(part))
            query = f"SELECT key, logits, explanation, checksum FROM scores WHERE key IN ({marks})"  # noqa: S608 (question marks alone)
            for key, logits, explanation, checksum in self._database.execute(query, part):
                if checksum == _checksum(key, logits, explanation):
                    values = struct.unpack(f"<{len(logits) // 4}f", logits)
                    found[key.hex()] = Entry(values, explanation)
        return found

    def put(self, entries: Mapping[str, Entry]) -> None:
        """Keep entries, all or none; an explanation that is there already is not lost.

        Where the file cannot be written they are not kept, and are computed again when they are wanted.
        """
        try:
            self._put(entries)
        except sqlite3.OperationalError:
            pass
        except sqlite3.DatabaseError:
            self._database.close()
            self._put_aside()

    def _put(self, entries: Mapping[str, Entry]) -> None:
        rows = []
        for key, entry in entries.items():
            logits = struct.pack(f"<{len(entry.logits)}f", *entry.logits)
            name = bytes.fromhex(key)
            rows.append((name, logits, entry.explanation, _checksum(name, logits, entry.explanation)))
        with self._database:
            self._database.executemany(
                "INSERT INTO scores VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
                "logits = excluded.logits, explanation = excluded.explanation, checksum = excluded.checksum "
                "WHERE excluded.explanation IS NOT NULL",
                rows,
            )

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _checksum(key: bytes, logits: bytes, explanation: str | None) -> bytes:
    return hashlib.sha256(key + logits + json.dumps(explanation).encode()).digest()[:8]
