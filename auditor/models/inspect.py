"""What a GGUF file says of itself, read so that a damaged file costs a sentence and never the process.

Two steps. First a bounded walk over the header in plain Python, which names the common kinds of damage.
Then the ``gguf`` package reads the metadata in a child process with a memory and a time limit, since a file
that passes the first step may still make a parser loop, eat memory or die.
"""

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from auditor.errors import ModelError, printable
from auditor.files import sha256_of
from auditor.models.file import ModelFile
from auditor.models.folder import CONFIG, inspect_folder

CHILD_TIMEOUT_S = 300
CHILD_MEMORY_BYTES = 8 * 1024**3

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_MAX_TENSORS = 1_000_000
_MAX_KEYS = 100_000
_MAX_KEY_BYTES = 65_535
_MAX_DIMENSIONS = 4
#: GGUF value types with a fixed width -> bytes (uint8 … float64; 8 is a string, 9 an array).
_WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9


class _Header:
    """A reader that never asks for more bytes than the file has left."""

    def __init__(self, file: BinaryIO, size: int, name: str) -> None:
        self._file, self._size, self._name = file, size, name

    def fail(self, problem: str) -> ModelError:
        return ModelError(f"{self._name} is not a usable GGUF file: {problem}. Fetch it again from its source.")

    @property
    def left(self) -> int:
        return self._size - self._file.tell()

    def bytes(self, count: int, what: str) -> bytes:
        if count > self.left:
            raise self.fail(f"it ends inside {what} ({count:,} bytes announced, {self.left:,} left)")
        return self._file.read(count)

    def number(self, form: str, what: str) -> int:
        (value,) = struct.unpack(form, self.bytes(struct.calcsize(form), what))
        return int(value)

    def skip(self, count: int, what: str) -> None:
        if count > self.left:
            raise self.fail(f"it ends inside {what} ({count:,} bytes announced, {self.left:,} left)")
        self._file.seek(count, os.SEEK_CUR)

    def text(self, what: str, limit: int | None = None) -> None:
        length = self.number("<Q", f"the length of {what}")
        if limit is not None and length > limit:
            raise self.fail(f"{what} claims {length:,} bytes")
        self.skip(length, what)


def check_header(path: Path) -> None:
    """Walk over the header of a GGUF file without believing any count in it.

    Raises
    ------
    ModelError
        One sentence that says what is wrong and where.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            _walk(_Header(file, size, path.name))
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error


def _walk(header: _Header) -> None:
    if header.left == 0:
        raise header.fail("it is empty")
    magic = header.bytes(min(4, header.left), "its first bytes")
    if magic != _MAGIC:
        raise header.fail(f"it begins with {printable(magic)} instead of GGUF")
    version = header.number("<I", "the version")
    if version not in _VERSIONS:
        raise header.fail(f"its version is {version}; versions 2 and 3 can be read")
    tensors = header.number("<Q", "the number of tensors")
    keys = header.number("<Q", "the number of metadata keys")
    if tensors == 0 or tensors > _MAX_TENSORS:
        raise header.fail(f"it claims {tensors:,} tensors")
    if keys > _MAX_KEYS:
        raise header.fail(f"it claims {keys:,} metadata keys")
    for number in range(keys):
        what = f"metadata key {number + 1} of {keys}"
        header.text(what, _MAX_KEY_BYTES)
        _skip_value(header, header.number("<I", what), what, depth=0)
    for number in range(tensors):
        what = f"the description of tensor {number + 1} of {tensors}"
        header.text(what, _MAX_KEY_BYTES)
        dimensions = header.number("<I", what)
        if dimensions > _MAX_DIMENSIONS:
            raise header.fail(f"{what} claims {dimensions} dimensions")
        header.skip(8 * dimensions + 4 + 8, what)
    if header.left == 0:
        raise header.fail("it ends before the weights begin")


def _skip_value(header: _Header, kind: int, what: str, depth: int) -> None:
    if kind == _STRING:
        header.text(what)
    elif kind == _ARRAY:
        if depth >= 2:
            raise header.fail(f"{what} nests arrays too deeply")
        element = header.number("<I", what)
        count = header.number("<Q", what)
        if count > header.left:
            raise header.fail(f"{what} claims {count:,} elements, more than the file has bytes")
        if element in _WIDTHS:
            header.skip(count * _WIDTHS[element], what)
        else:
            for _ in range(count):
                _skip_value(header, element, what, depth + 1)
    elif kind in _WIDTHS:
        header.skip(_WIDTHS[kind], what)
    else:
        raise header.fail(f"{what} has an unknown type ({kind})")


def inspect(path: Path, *, name: str | None = None, progress: Callable[[int], None] | None = None) -> ModelFile:
    """Read what a GGUF file, or a folder of safetensors, says of itself, and hash it.

    Parameters
    ----------
    path : Path
        The file or folder.
    name : str, optional
        Name in the library; the file's name without its ending if not given.
    progress : callable, optional
        Called with the bytes hashed so far.

    Raises
    ------
    ModelError
        If the file is missing, is no GGUF file, is damaged, or is no language model; for a folder, as
        `auditor.models.folder.inspect_folder` says.
    """
    path = path.expanduser().resolve()
    if path.is_dir():
        if not (path / CONFIG).is_file() and any(path.glob("*.gguf")):
            raise ModelError(f"{path} is a folder: name the .gguf file in it.")
        return inspect_folder(path, name=name, progress=progress)
    if not path.is_file():
        raise ModelError(f"There is no file {path}.")
    check_header(path)
    metadata = _read_in_child(path)
    return ModelFile(
        name=name or path.stem,
        path=path,
        sha256=sha256_of(path, progress),
        size_bytes=path.stat().st_size,
        **metadata,
    )


def _read_in_child(path: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "auditor.models.inspect_child", str(path), str(CHILD_MEMORY_BYTES)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=CHILD_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise ModelError(
            f"{path.name} could not be read within {CHILD_TIMEOUT_S} s: it is damaged, or this machine is "
            "very busy. Try once more, then fetch it again."
        ) from None
    if done.returncode != 0:
        raise ModelError(f"{path.name} cannot be read as a GGUF file: the reader {_death(done)}. Fetch it again.")
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise ModelError(f"{path.name} cannot be used: {answer['error']}")
    metadata = answer["metadata"]
    if not isinstance(metadata, dict):
        raise ModelError(f"{path.name} cannot be used: its reader gave no metadata.")
    return metadata


def _death(done: "subprocess.CompletedProcess[bytes]") -> str:
    last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
    reason = f" ({printable(last[0], 200)})" if last else ""
    return f"was killed by signal {-done.returncode}{reason}" if done.returncode < 0 else f"stopped{reason}"
