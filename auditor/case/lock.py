"""One writer at a time; who is kept out learns who writes."""

import getpass
import os
import socket
from pathlib import Path

from filelock import FileLock, Timeout

from auditor.errors import CaseError
from auditor.files import read_json, write_json
from auditor.runs.clock import utc_now


class CaseLocked(CaseError):
    """The case is open for writing elsewhere; the message names by whom."""


class CaseLock:
    """Held while a case is open for writing. The system lets go of it when the process dies.

    Raises
    ------
    CaseLocked
        If somebody else holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._owner_file = folder / "case.lock.json"
        self._lock = FileLock(folder / "case.lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise CaseLocked(
                f"The case {folder.name} is open for writing{self._owner()}: close it there first."
            ) from None
        write_json(
            self._owner_file,
            {"user": getpass.getuser(), "host": socket.gethostname(), "process": os.getpid(), "since": utc_now()},
        )

    def _owner(self) -> str:
        try:
            owner = read_json(self._owner_file)
            return f" by {owner['user']} on {owner['host']} (process {owner['process']}, since {owner['since']})"
        except (OSError, ValueError, KeyError, TypeError):
            return " by somebody who is just opening it"

    def release(self) -> None:
        """Let the next writer in."""
        self._owner_file.unlink(missing_ok=True)
        self._lock.release()
