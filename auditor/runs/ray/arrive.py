"""What comes back of a run is checked and put into its directory here. Nothing that the cluster sends is believed unseen."""

import hashlib
import os
import shutil
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from auditor.errors import BackendError, printable
from auditor.files import sha256_of, write_atomic
from auditor.runs.contract import Event, RunState, Seal, StateEvent
from auditor.runs.directory import RunDirectory
from auditor.runs.ray.parts import EndPart, EventsPart, FilePart, is_file_of_a_run, unpacked
from auditor.runs.seal import files_of

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)
_MOST_EVENTS_BYTES = 4 * 1024**3
#: Of a single event, which is held in memory until it is whole.
_MOST_EVENT_BYTES = 512 * 1024**2
_MOST_SEAL_BYTES = 32 * 1024**2
#: Left free on this machine's disk for everybody else.
_SPARE_BYTES = 256 * 1024**2


class Arrival:
    """The local side of a run that is carried out elsewhere.

    Parameters
    ----------
    run : RunDirectory
    most_file_bytes : int
        No larger file is taken.

    Raises
    ------
    BackendError
        If something that arrived is not what a run may hold. What arrived before stays.
    """

    def __init__(self, run: RunDirectory, most_file_bytes: int) -> None:
        self._run, self._most = run, most_file_bytes
        self._incoming = run.live / "incoming"
        self._seal_file = self._incoming / "seal.json"
        self._size, self._n_events = _whole_lines(run.events_file)

    def begin_anew(self) -> None:
        """Forget pieces of files of an earlier job."""
        shutil.rmtree(self._incoming, ignore_errors=True)

    def take(self, data: bytes, n: int) -> EndPart | None:
        """Take part `n` as it was fetched; returns the job's last word when that is it."""
        part, payload = unpacked(data, n)
        if isinstance(part, EndPart):
            return part
        if isinstance(part, EventsPart):
            self._take_events(part, payload)
        else:
            self._take_piece(part, payload)
        return None

    # ---- events

    def _take_events(self, part: EventsPart, payload: bytes) -> None:
        begun = self._begun()
        have = self._size + len(begun)
        if part.offset > have:
            raise BackendError(f"Events of the run are missing between byte {have:,} and {part.offset:,}.")
        known = min(have - part.offset, len(payload))
        if known and self._arrived(part.offset, known, begun) != payload[:known]:
            raise BackendError("Events arrived that differ from those which arrived before.")
        if new := payload[known:]:
            self._add(begun, new)

    def _add(self, begun: bytes, new: bytes) -> None:
        """Write whole lines into the events; what there is of a line that is not whole waits beside them."""
        end = new.rfind(b"\n") + 1
        lines, rest = (begun + new[:end], new[end:]) if end else (b"", begun + new)
        if len(rest) > _MOST_EVENT_BYTES or self._size + len(lines) > _MOST_EVENTS_BYTES:
            raise BackendError("The cluster sent more events than a run has, or one that does not end.")
        tail = self._tail_file()
        if lines:
            if self._check_lines(lines):
                self._check_seal(lines)
            with self._run.events_file.open("ab") as file:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
            self._size += len(lines)
            self._n_events += lines.count(b"\n")
            tail.unlink(missing_ok=True)
        if rest:
            self._incoming.mkdir(parents=True, exist_ok=True)
            # Its piece is fetched once more where this process is killed before it is written.
            with self._tail_file().open("ab") as file:
                file.write(rest if lines else new)

    def _tail_file(self) -> Path:
        """Holds the beginning of a line. Named by where that line stands, so that one of before is not taken for it."""
        return self._incoming / f"event-{self._size}.part"

    def _begun(self) -> bytes:
        try:
            return self._tail_file().read_bytes()
        except FileNotFoundError:
            return b""

    def _arrived(self, offset: int, length: int, begun: bytes) -> bytes:
        """Bytes that arrived before, in the events or behind them."""
        written = self._written(offset, min(length, max(self._size - offset, 0)))
        first = max(offset - self._size, 0)
        return written + begun[first : first + length - len(written)]

    def _written(self, offset: int, length: int) -> bytes:
        if not length:
            return b""
        with self._run.events_file.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def _check_lines(self, lines: bytes) -> bool:
        """Check that every line is an event of the contract; returns whether the last one says that the run is done."""
        is_done = False
        for place, line in enumerate(lines.split(b"\n")[:-1]):
            number = self._n_events + place
            try:
                event = _EVENT.validate_json(line)
            except ValidationError:
                raise BackendError(
                    f"Line {number + 1} of the run's events, as the cluster sent it, is no event."
                ) from None
            if event.n != number or is_done:
                raise BackendError(f"Line {number + 1} of the run's events, as the cluster sent it, is out of order.")
            is_done = isinstance(event, StateEvent) and event.state is RunState.DONE
        return is_done

    # ---- files

    def _take_piece(self, part: FilePart, payload: bytes) -> None:
        if not is_file_of_a_run(part.path):
            raise BackendError(
                f"The cluster sent a file named {printable(part.path)}, which no run holds: it was not written."
            )
        most = _MOST_SEAL_BYTES if part.path == "seal.json" else self._most
        if part.total > most or part.offset + len(payload) > part.total:
            raise BackendError(f"The cluster sent more of {part.path} than the {most:,} bytes that are taken.")
        target = self._seal_file if part.path == "seal.json" else self._run.path / part.path
        partial = self._incoming / f"{hashlib.sha256(part.path.encode()).hexdigest()}.part"
        self._incoming.mkdir(parents=True, exist_ok=True)
        if part.offset == 0:
            self._require_room(part)
            partial.unlink(missing_ok=True)
        elif not partial.is_file() and target.is_file() and target.stat().st_size == part.total:
            return  # The last piece of it, fetched once more after this process was killed.
        with partial.open("ab") as file:
            if file.tell() < part.offset:
                raise BackendError(f"Pieces of {part.path} are missing: start the run's transfer again by resuming it.")
            file.truncate(part.offset)
            file.write(payload)
            if part.offset + len(payload) == part.total:
                file.flush()
                os.fsync(file.fileno())
        if part.offset + len(payload) == part.total:
            target.parent.mkdir(parents=True, exist_ok=True)
            partial.replace(target)

    def _require_room(self, part: FilePart) -> None:
        free = shutil.disk_usage(self._incoming).free
        if part.total + _SPARE_BYTES > free:
            raise BackendError(
                f"{part.path} has {part.total:,} bytes, and this disk has {free:,} free: make room, then resume the run to fetch "
                "the rest."
            )

    # ---- the end

    def _check_seal(self, last_lines: bytes) -> None:
        """Check that everything arrived as it was sealed, before the run is told to be done."""
        sealed = self._seal()
        if sealed is None:
            raise BackendError("The cluster says that the run is done, but no seal of it arrived.")
        if sealed.run != self._run.path.name:
            raise BackendError(f"The seal that arrived was made for the run {printable(sealed.run)}.")
        present = {*files_of(self._run), self._run.events_file.name}
        for name in sorted(present | set(sealed.files)):
            record = sealed.files.get(name)
            if record is None:
                raise BackendError(f"{name} of this run is not under the seal that the cluster made.")
            if name == self._run.events_file.name:
                digest = hashlib.sha256(self._written(0, self._size) + last_lines).hexdigest()
            elif name not in present:
                raise BackendError(f"{printable(name)} is under the seal that the cluster made, but did not arrive.")
            else:
                digest = sha256_of(self._run.path / name)
            if digest != record.sha256:
                raise BackendError(f"{name} did not arrive as the cluster sealed it: its SHA-256 is another.")

    def _seal(self) -> Seal | None:
        try:
            return Seal.model_validate_json(self._seal_file.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError:
            raise BackendError("The seal that the cluster made is damaged.") from None

    def seal_bytes(self) -> bytes:
        """The seal of a run that is done, checked again: what is written when nobody is at the run any more.

        Raises
        ------
        BackendError
            If the run is not what it says.
        """
        self._check_seal(b"")
        return self._seal_file.read_bytes()


def put_seal(run: RunDirectory, seal: bytes) -> None:
    """Write the seal, the last act."""
    write_atomic(run.seal_file, seal)


def _whole_lines(path: Path) -> tuple[int, int]:
    """Bytes and lines of a log of events; a torn last line, left by a crash of this machine, is cut off."""
    try:
        with path.open("r+b") as file:
            lines = whole = size = 0
            while chunk := file.read(1 << 20):
                found = chunk.rfind(b"\n")
                whole = size + found + 1 if found >= 0 else whole
                lines += chunk.count(b"\n")
                size += len(chunk)
            file.truncate(whole)
            return whole, lines
    except FileNotFoundError:
        return 0, 0
