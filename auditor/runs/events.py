"""The event log of a run: append-only, one JSON object a line, numbered without gaps."""

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from auditor.runs.clock import utc_now
from auditor.runs.contract import CONTRACT_VERSION
from auditor.runs.directory import parse_event

#: A killed process loses nothing that was written; a power cut loses at most this long.
_SYNC_SECONDS = 1.0


class EventLog:
    """Appends events. Every event is handed to the system at once, so that kill -9 loses none.

    Parameters
    ----------
    path : Path
        ``events.jsonl``. A torn last line, left by a crash of the machine or a full disk, is cut off.

    Attributes
    ----------
    cut : int
        Bytes of a torn line that were cut off on opening.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        self._lock = threading.Lock()
        self._size, self._next, self.cut = self._whole_lines()
        os.ftruncate(self._file, self._size)
        os.lseek(self._file, self._size, os.SEEK_SET)
        self._synced = time.monotonic()

    def _whole_lines(self) -> tuple[int, int, int]:
        size = lines = whole = 0
        while chunk := os.read(self._file, 1 << 20):
            found = chunk.rfind(b"\n")
            if found >= 0:
                whole = size + found + 1
                lines += chunk.count(b"\n")
            size += len(chunk)
        return whole, lines, size - whole

    def append(self, kind: str, **fields: Any) -> None:
        """Write one event.

        Raises
        ------
        OSError
            If the disk refuses; nothing of the event stays behind.
        ValueError
            If a number is no number.
        """
        with self._lock:
            event = {"v": CONTRACT_VERSION, "n": self._next, "t": utc_now(), "kind": kind, **fields}
            line = json.dumps(event, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"
            try:
                written = 0
                while written < len(line):
                    written += os.write(self._file, line[written:])
            except OSError:
                os.ftruncate(self._file, self._size)
                os.lseek(self._file, self._size, os.SEEK_SET)
                raise
            self._size += len(line)
            self._next += 1
            if time.monotonic() - self._synced > _SYNC_SECONDS:
                self.sync()

    def sync(self) -> None:
        """Have the system write everything to the disk."""
        os.fsync(self._file)
        self._synced = time.monotonic()

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """Rows of a table flushed so far, in order."""
        with self._path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                # Cheap look before parsing: most lines of other kinds are passed over.
                if b'"kind":"row"' in line:
                    event = parse_event(line, self._path.parent.name, number)
                    if event["kind"] == "row" and event["table"] == table:
                        yield event["row"]

    def close(self) -> None:
        """Write everything to the disk and close."""
        self.sync()
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
