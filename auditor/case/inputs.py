"""Inputs of a case, kept by the hash of their bytes; an erased one leaves its hash and a tombstone."""

import hashlib
import secrets
from pathlib import Path
from typing import Any

from auditor.errors import CaseError, InputError
from auditor.files import read_json, sync_folder, write_json

_CHUNK = 4 * 1024**2
_TOMBSTONE = ".erased.json"


class InputStore:
    """The ``inputs`` folder of a case."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha256: str) -> Path:
        """Where the bytes of an input lie."""
        return self.folder / sha256

    def tombstone_path(self, sha256: str) -> Path:
        """Where the tombstone of an erased input lies."""
        return self.folder / f"{sha256}{_TOMBSTONE}"

    def add(self, source: Path) -> tuple[str, int]:
        """Copy a file in; returns its SHA-256 and its size in bytes.

        Raises
        ------
        InputError
            If it cannot be read.
        CaseError
            If the same bytes were erased from this case, or the disk refuses.
        """
        self.folder.mkdir(exist_ok=True)
        partial = self.folder / f".{secrets.token_hex(8)}.part"
        digest = hashlib.sha256()
        size = 0
        try:
            with _opened(source) as reader, partial.open("xb") as writer:
                while chunk := reader.read(_CHUNK):
                    digest.update(chunk)
                    size += writer.write(chunk)
            sha256 = digest.hexdigest()
            if self.tombstone_path(sha256).exists():
                raise CaseError(f"{source.name} was erased from this case and cannot be added again.")
            if not self.path(sha256).exists():
                partial.chmod(0o444)
                partial.replace(self.path(sha256))
                sync_folder(self.folder)
        except OSError as error:
            raise CaseError(f"{source.name} could not be copied into the case: {error.strerror or error}.") from error
        finally:
            partial.unlink(missing_ok=True)
        return sha256, size

    def erase(self, sha256: str, tombstone: dict[str, Any]) -> None:
        """Delete the bytes; the tombstone is written first, so that a crash never leaves neither."""
        write_json(self.tombstone_path(sha256), tombstone)
        self.path(sha256).unlink(missing_ok=True)
        sync_folder(self.folder)

    def is_erased(self, sha256: str) -> bool:
        """Whether an input was erased; a copy of it that was under way meanwhile goes too."""
        if not self.tombstone_path(sha256).exists():
            return False
        self.path(sha256).unlink(missing_ok=True)
        return True

    def finish_erasing(self) -> None:
        """Take away what a crash left of erased inputs."""
        for tombstone in self.folder.glob(f"*{_TOMBSTONE}"):
            self.is_erased(tombstone.name.removesuffix(_TOMBSTONE))

    def tombstone(self, sha256: str) -> dict[str, Any] | None:
        """The tombstone of an erased input, or None."""
        try:
            found = read_json(self.tombstone_path(sha256))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None


def _opened(source: Path) -> Any:
    try:
        return source.open("rb")
    except OSError as error:
        raise InputError(f"The file cannot be read: {error.strerror}", file=source.name) from error
