"""Following a run's events from another process, also one that somebody else started."""

from pathlib import Path
from typing import Any

from auditor.runs.directory import RunDirectory, parse_event

_CHUNK = 1 << 20


class Follower:
    """Reads new events of a run, in bounded pieces.

    Parameters
    ----------
    run_dir : Path
        The run directory. Its events may not exist yet.
    """

    def __init__(self, run_dir: Path) -> None:
        self._run = RunDirectory(run_dir)
        self._offset = 0
        self._line = 0

    def poll(self, limit: int = 2000) -> list[dict[str, Any]]:
        """At most `limit` whole events that were not given yet, oldest first.

        Raises
        ------
        RunError
            If a line is damaged.
        """
        try:
            with self._run.events_file.open("rb") as file:
                file.seek(self._offset)
                data = file.read(_CHUNK)
                if b"\n" not in data and len(data) == _CHUNK:
                    data += file.readline()
        except FileNotFoundError:
            return []
        found = []
        for line in data.split(b"\n")[:-1][:limit]:
            self._line += 1
            self._offset += len(line) + 1
            found.append(parse_event(line, self._run.path.name, self._line))
        return found
