"""Where a model's weights lie for torch: the folder that was given, or a GGUF file dequantised once and kept.

Imported by worker processes only. What is kept lies in the library's folder under the hash of the GGUF file and the
version of this conversion. It is written under another name and renamed when it is whole, and its hash is checked
whenever it is used.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from auditor.errors import ModelError
from auditor.files import read_json, sync_folder, write_json
from auditor.models.file import ModelFile
from auditor.models.folder import folder_sha256
from auditor.models.identity import require_unchanged
from auditor.models.library import home
from auditor.sizes import size_words

#: Raised whenever the conversion changes, so that nothing of an older one is used.
VERSION = 1
_RECORD = "auditor.json"
_F32_BYTES = 4
#: Room on the disk that is left to others.
_SPARE_BYTES = 1024**3
_PATIENCE_SECONDS = 1800


class Agreement(BaseModel):
    """How far next-token probabilities are from llama.cpp's on the same file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: str = Field(description="What it was compared with.")
    dtype: str = Field(description="Precision in which torch computed.")
    total_variation: float = Field(description="Largest total variation distance over the texts tried.")


class Record(BaseModel):
    """What stands beside dequantised weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    made_from: str = Field(description="SHA-256 of the GGUF file.")
    version: int = Field(description="Version of the conversion.")
    sha256: str = Field(description="Hash over the files of the folder, as of any folder of weights.")
    agreement: Agreement | None = Field(default=None, description="How its numbers compare with llama.cpp's.")


def weights_folder(model: ModelFile) -> Path:
    """The folder of a model's configuration and safetensors; a GGUF file is dequantised if it was not before.

    Raises
    ------
    ModelError
        If the model is gone or has changed, cannot be carried over, or the disk has no room.
    """
    require_unchanged(model)
    if model.format == "folder":
        return model.path
    target = _target(model)
    with _alone(target):
        if not _is_sound(target, model):
            _make(model, target)
    return target


def record_of(model: ModelFile) -> Record | None:
    """What is known of a GGUF file's dequantised weights, None if there are none."""
    try:
        return Record.model_validate(read_json(_target(model) / _RECORD))
    except (OSError, ValueError, ValidationError):
        return None


def note_agreement(model: ModelFile, agreement: Agreement) -> None:
    """Keep how the dequantised weights compare with llama.cpp."""
    if (record := record_of(model)) is not None:
        kept = record.model_copy(update={"agreement": agreement})
        write_json(_target(model) / _RECORD, kept.model_dump(mode="json"))


def _target(model: ModelFile) -> Path:
    return home() / "models" / "torch" / f"{model.sha256}-{VERSION}"


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """One at a time makes or checks a folder, and what somebody left half-written is deleted first."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{target}.lock", timeout=_PATIENCE_SECONDS):
            for part in target.parent.glob(f"{target.name}*.part"):
                shutil.rmtree(part, ignore_errors=True)
            yield
    except Timeout:
        raise ModelError(
            "The weights of this model are being dequantised by another run: wait until it is done."
        ) from (None)


def _is_sound(target: Path, model: ModelFile) -> bool:
    """Whether the weights are there and their hash is the one they had when they were written."""
    record = record_of(model)
    if record is None or record.made_from != model.sha256:
        return False
    try:
        return folder_sha256(target) == record.sha256
    except (ModelError, OSError):
        return False


def _make(model: ModelFile, target: Path) -> None:
    from auditor.models.gguf_weights import write

    needed = model.parameters * _F32_BYTES
    free = shutil.disk_usage(target.parent).free
    if needed + _SPARE_BYTES > free:
        raise ModelError(
            f"{model.name} takes {size_words(needed, 1)} on the disk once it is dequantised, but only "
            f"{size_words(free, 1)} are free in {target.parent}: make room, or choose the llama.cpp backend."
        )
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        part.mkdir()
        write(model, part)
        for file in part.iterdir():
            _sync(file)
        record = Record(made_from=model.sha256, version=VERSION, sha256=folder_sha256(part))
        write_json(part / _RECORD, record.model_dump(mode="json"))
        shutil.rmtree(target, ignore_errors=True)
        part.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise ModelError(f"{model.name} could not be dequantised: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _sync(file: Path) -> None:
    with file.open("r+b") as written:
        os.fsync(written.fileno())
