"""The library of models: where each file or folder lies, its hash when it was added, what is known of it."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from auditor.errors import ModelError
from auditor.files import read_json, sha256_of, sync_folder, write_json
from auditor.models import starter
from auditor.models.file import ModelFile
from auditor.models.folder import files_of, folder_sha256
from auditor.models.identity import require_unchanged
from auditor.models.inspect import inspect

#: Beginning of the names of files that are being requantised.
OPTIMISING = "optimising-"


class _Index(BaseModel):
    model_config = ConfigDict(extra="forbid")

    v: int = 1
    models: list[ModelFile] = []


def home() -> Path:
    """Folder for what the program keeps between cases: AUDITOR_HOME, else the platform's data folder."""
    if given := os.environ.get("AUDITOR_HOME"):
        return Path(given)
    from platformdirs import user_data_dir

    return Path(user_data_dir("auditor", appauthor=False))


class Library:
    """Model files by name.

    Parameters
    ----------
    folder : Path, optional
        Where the index and copied files lie; ``models`` in `home` if not given.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or home() / "models"
        self._file = self._folder / "models.json"
        self._optimising = self._folder / "optimising.lock"

    def list(self) -> list[ModelFile]:
        """Every model, the installed starter first. Reads no model file."""
        found = starter.starter()
        return ([found] if found else []) + self._read().models

    def add(
        self, path: Path, name: str | None = None, copy: bool = False, progress: Callable[[int], None] | None = None
    ) -> ModelFile:
        """Inspect, hash and remember a model file or folder.

        Parameters
        ----------
        copy : bool
            Copy it into the library; otherwise it is used where it lies.

        Raises
        ------
        ModelError
            If it is no usable model, or the name or the content is in the library already.
        """
        model = inspect(path, name=name, progress=progress)
        self._refuse_name(model.name)
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._lock():
            index = self._read()
            self._refuse_known(index, model, path.name)
            if copy:
                model = self._copied(model)
            index.models.append(model)
            self._write(index)
        return model

    def get(self, name_or_path: str) -> ModelFile:
        """A model by its name in the library, or a GGUF file or folder by path, inspected on the spot.

        Raises
        ------
        ModelError
            If there is neither.
        """
        for model in self.list():
            if model.name == name_or_path:
                return model
        if name_or_path.endswith(".gguf") or Path(name_or_path).exists():
            return inspect(Path(name_or_path))
        if name_or_path == starter.NAME:
            raise ModelError(starter.HOW_TO_GET)
        known = ", ".join(model.name for model in self.list()) or "none"
        raise ModelError(f"There is no model named {name_or_path!r}. In the library: {known}.")

    def check(self, name: str) -> ModelFile:
        """Hash a model again.

        Raises
        ------
        ModelError
            If it is unknown, missing, or has changed since it was added.
        """
        model = self.get(name)
        require_unchanged(model)
        return model

    def remove(self, name: str) -> None:
        """Forget a model; a copied file and what was dequantised of it are deleted, a referenced one stays.

        Raises
        ------
        ModelError
            If the library has none of that name.
        """
        if name == starter.NAME:
            raise ModelError(f"The starter model goes with its distribution: pip uninstall {starter.DISTRIBUTION}.")
        with self._lock():
            index = self._read()
            kept = [model for model in index.models if model.name != name]
            if len(kept) == len(index.models):
                raise ModelError(f"There is no model named {name!r} in the library.")
            gone = next(model for model in index.models if model.name == name)
            self._write(_Index(models=kept))
        if gone.held == "copy":
            _delete(gone.path)
        for dequantised in (self._folder / "torch").glob(f"{gone.sha256}-*"):
            _delete(dequantised)

    @contextlib.contextmanager
    def optimising(self) -> Iterator[Path]:
        """The folder in which requantised files are written as ``*.part``; what is left of them goes at the end.

        Raises
        ------
        ModelError
            If somebody else is at it: two at a time would measure each other.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self.sweep()
        try:
            with FileLock(self._optimising, timeout=0):
                try:
                    yield self._folder
                finally:
                    for part in self._folder.glob(f"{OPTIMISING}*.part"):
                        part.unlink(missing_ok=True)
        except Timeout:
            raise ModelError("A model is being optimised already: wait until that has ended.") from None

    def adopt(self, part: Path, model: ModelFile) -> ModelFile:
        """Take a finished ``.part`` file into the library as a copy, under the name of its record.

        Raises
        ------
        ModelError
            If the name or the content is in the library already.
        """
        self._refuse_name(model.name)
        with self._lock():
            index = self._read()
            self._refuse_known(index, model, part.name)
            kept = model.model_copy(update={"path": self._folder / f"{model.sha256}.gguf", "held": "copy"})
            part.replace(kept.path)
            sync_folder(self._folder)
            index.models.append(kept)
            self._write(index)
        return kept

    def refuse_name(self, name: str) -> None:
        """Refuse a name for a new model.

        Raises
        ------
        ModelError
            If it is no plain word, or taken.
        """
        self._refuse_name(name)
        if any(model.name == name for model in self.list()):
            raise ModelError(f"The library has a model named {name} already: choose another name, or remove it first.")

    def sweep(self) -> None:
        """Delete half-written files of a process that was killed; nothing if somebody may still be writing."""
        if not any(self._folder.glob("*.part")):
            return
        with (
            contextlib.suppress(Timeout),
            FileLock(self._optimising, timeout=0),
            FileLock(self._folder / "models.lock", timeout=0),
        ):
            for part in self._folder.glob("*.part"):
                _delete(part)

    def default(self, *, folders: bool = False) -> ModelFile:
        """The model used when none is named: the first added one, else the starter.

        Parameters
        ----------
        folders : bool
            Whether a folder of weights will do. llama.cpp runs GGUF files only.

        Raises
        ------
        ModelError
            If there is none; says how to get one.
        """
        models = [model for model in self.list() if folders or model.format == "gguf"]
        for model in models:
            if not model.is_starter:
                return model
        if models:
            return models[0]
        raise ModelError(starter.HOW_TO_GET)

    def _copied(self, model: ModelFile) -> ModelFile:
        target = self._folder / (f"{model.sha256}.gguf" if model.format == "gguf" else model.sha256)
        partial = target.with_suffix(".part")
        try:
            if model.format == "gguf":
                shutil.copyfile(model.path, partial)
            else:
                _delete(partial)
                partial.mkdir()
                for file in files_of(model.path):
                    shutil.copyfile(model.path / file, partial / file)
            copied = sha256_of(partial) if model.format == "gguf" else folder_sha256(partial)
            if copied != model.sha256:
                raise ModelError(f"{model.path.name} changed while it was copied: try again.")
            partial.replace(target)
        except OSError as error:
            raise ModelError(f"{model.path.name} could not be copied into the library: {error.strerror}.") from error
        finally:
            _delete(partial)
        return model.model_copy(update={"path": target, "held": "copy"})

    @staticmethod
    def _refuse_name(name: str) -> None:
        if name == starter.NAME or not name.strip() or not name.isprintable() or "/" in name:
            raise ModelError(f"{name!r} cannot be a model's name: use a plain word other than {starter.NAME!r}.")

    @staticmethod
    def _refuse_known(index: _Index, model: ModelFile, file: str) -> None:
        for other in index.models:
            if other.name == model.name:
                raise ModelError(f"The library has a model named {model.name} already: choose another name.")
            if other.sha256 == model.sha256:
                raise ModelError(f"{file} is in the library already, as {other.name}.")

    def _lock(self) -> FileLock:
        self._folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self._folder / "models.lock", timeout=30)

    def _read(self) -> _Index:
        try:
            return _Index.model_validate(read_json(self._file))
        except FileNotFoundError:
            return _Index()
        except (OSError, ValueError, ValidationError) as error:
            raise ModelError(
                f"The list of models {self._file} is damaged: {error}. Move it away and add anew."
            ) from error

    def _write(self, index: _Index) -> None:
        write_json(self._file, index.model_dump(mode="json"))


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
