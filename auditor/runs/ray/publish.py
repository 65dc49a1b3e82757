"""Publishing a run from the cluster: part after part into the log folder of Ray's session, where the dashboard shows them."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from auditor.errors import BackendError
from auditor.runs.directory import RunDirectory
from auditor.runs.ray.parts import FOLDER, EndPart, EventsPart, FilePart, LeftFile, Part, name_of, packed

_CHUNK = 4 * 1024 * 1024
#: Parts of jobs that ended long ago only fill the disk.
_KEPT_SECONDS = 7 * 24 * 3600.0


def log_folder(working_folder: Path) -> Path:
    """The log folder of the session of Ray in whose folder a job works.

    Raises
    ------
    BackendError
        If the job does not work within one.
    """
    for folder in working_folder.parents:
        if folder.name.startswith("session_") and (folder / "logs").is_dir():
            return folder / "logs"
    raise BackendError(
        "This job does not run in the folder of a Ray session, so its results cannot be shown to anybody."
    )


class Publisher:
    """Writes the parts of one job.

    Parameters
    ----------
    logs : Path
        Log folder of the session.
    job : str
        Id of the job, which names its folder.
    """

    def __init__(self, logs: Path, job: str) -> None:
        self._folder = logs / FOLDER / job
        _sweep(logs / FOLDER)
        self._folder.mkdir(parents=True)
        self._n = self._offset = 0

    def begin_at(self, events_bytes: int) -> None:
        """Leave out what has arrived of the events before."""
        self._offset = events_bytes

    def events(self, run: RunDirectory, *, last: bool = False) -> None:
        """Publish whole lines that were not published yet; one that is longer than a part, piece by piece.

        Parameters
        ----------
        last : bool
            Also the line that says that the run is done. It waits until all files are out, so that nobody sees a run
            as done whose results have not arrived.
        """
        while lines := self._lines(run):
            is_held = not last and _is_done(lines)
            if is_held:
                # The line before which to stop is the last one: nothing is written after it.
                lines = lines[: lines.rfind(b"\n", 0, -1) + 1]
            if lines:
                self._write(EventsPart, lines, offset=self._offset)
                self._offset += len(lines)
            if is_held:
                return

    def _lines(self, run: RunDirectory) -> bytes:
        try:
            with run.events_file.open("rb") as file:
                file.seek(self._offset)
                data = file.read(_CHUNK)
                whole = data[: data.rfind(b"\n") + 1]
                if whole or len(data) < _CHUNK or not _has_line_end(file):
                    return whole
        except FileNotFoundError:
            return b""
        # All that was measured of a model is one event, which may have as many bytes as its texts.
        return data

    def file(self, run: RunDirectory, path: str) -> None:
        """Publish a file that will not change any more."""
        total, offset = (run.path / path).stat().st_size, 0
        with (run.path / path).open("rb") as file:
            while True:
                piece = file.read(_CHUNK)
                if not piece and offset:
                    return
                self._write(FilePart, piece, path=path, offset=offset, total=total)
                offset += len(piece)
                if offset >= total:
                    return

    def end(self, state: str, message: str = "", left: Sequence[LeftFile] = ()) -> None:
        """Publish the last word."""
        self._write(EndPart, b"", state=state, message=message[:8000], left=list(left))

    def _write(self, kind: type[Part], payload: bytes, **told: Any) -> None:
        self._n += 1
        digest = hashlib.sha256(payload).hexdigest()
        part = kind(n=self._n, bytes=len(payload), sha256=digest, **told)
        partial = self._folder / f".{name_of(self._n)}"
        with partial.open("wb") as file:
            file.write(packed(part, payload))
            file.flush()
            os.fsync(file.fileno())
        partial.rename(self._folder / name_of(self._n))


def _has_line_end(file: IO[bytes]) -> bool:
    """Whether a line ends somewhere in what is left of a file: a torn one would begin anew after a kill."""
    while piece := file.read(_CHUNK):
        if b"\n" in piece:
            return True
    return False


def _is_done(lines: bytes) -> bool:
    line = lines[lines.rfind(b"\n", 0, -1) + 1 :]
    if b'"kind":"state"' not in line:
        return False
    try:
        event = json.loads(line)
    except ValueError:
        return False
    return isinstance(event, dict) and event.get("kind") == "state" and event.get("state") == "done"


def _sweep(folder: Path) -> None:
    """Delete the parts of jobs that ended long ago."""
    try:
        old = [path for path in folder.iterdir() if time.time() - path.stat().st_mtime > _KEPT_SECONDS]
    except OSError:
        return
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
