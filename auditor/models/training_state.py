"""Checkpoints of a training, exact to the bit: safetensors and JSON, whole or not there. Worker processes only.

A checkpoint is a folder, named by its step, with the tensors of the optimizer, those of torch's random states, and a
record of everything else. It is written under another name and renamed when it is on the disk, and its hash is checked
before it is used, so that a process that is killed at any moment leaves the one before it whole. The latest two stay.
"""

import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from auditor.errors import ModelError
from auditor.files import read_json, sha256_of, sync_folder, write_json
from auditor.models.world import ALONE, World
from auditor.sizes import size_words

VERSION = 1
_TENSORS, _RECORD = "state.safetensors", "state.json"
_STEP = re.compile(r"step-(\d{9})")
_BEST = re.compile(r"best-(\d{9})")
_RANDOM = "random/"
#: Stands before the name of a weight in what an optimizer gives to be kept.
WEIGHT = "weight/"
KEPT = 2
#: Room on the disk that is left to others.
_SPARE_BYTES = 512 * 1024**2


class _Record(BaseModel):
    """What stands beside the tensors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(description="Version of the format.")
    sha256: str = Field(description="Hash of the file of tensors.")
    facts: dict[str, Any] = Field(description="What is no tensor.")


@dataclass(frozen=True)
class Saved:
    """A checkpoint that was read.

    Attributes
    ----------
    step : int
        Steps that were taken before it was written.
    tensors : Mapping of str to torch.Tensor
        On the processor.
    facts : Mapping of str to Any
        What is no tensor.
    """

    step: int
    tensors: Mapping[str, Any]
    facts: Mapping[str, Any]


class Checkpoints:
    """The checkpoints of one training, in a folder of their own.

    Parameters
    ----------
    folder : Path
        Made if it is not there; what a killed process left half-written in it is deleted.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for part in folder.glob("*.part"):
            shutil.rmtree(part, ignore_errors=True)

    def write(self, step: int, tensors: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Keep a step, and delete all but the latest two.

        Parameters
        ----------
        step : int
            Steps taken so far.
        tensors : Mapping of str to torch.Tensor
            On any device; written as they are.
        facts : Mapping of str to Any
            JSON; numbers come back as the same numbers.

        Raises
        ------
        ModelError
            If the disk has no room or refuses; the checkpoints that were there stay.
        """
        self._write(f"step-{step:09d}", tensors, facts)
        for _, old in self._found(_STEP)[KEPT:]:
            shutil.rmtree(old, ignore_errors=True)

    def latest(self) -> Saved | None:
        """The latest checkpoint that is whole, or None; damaged ones are passed over."""
        for step, folder in self._found(_STEP):
            if (saved := _read(step, folder)) is not None:
                return saved
        return None

    def write_best(self, step: int, tensors: Mapping[str, Any]) -> None:
        """Keep the weights of a step beside those of other steps.

        Raises
        ------
        ModelError
            As `write` does.
        """
        self._write(f"best-{step:09d}", tensors, {})

    def best(self, step: int) -> Mapping[str, Any]:
        """The weights kept of a step.

        Raises
        ------
        ModelError
            If they are gone or damaged.
        """
        saved = _read(step, self._folder / f"best-{step:09d}")
        if saved is None:
            raise ModelError(
                f"The weights of step {step:,}, the best one, are gone or damaged in {self._folder}: start the run anew."
            )
        return saved.tensors

    def weights(self, step: int) -> Iterator[tuple[str, Any]]:
        """The weights kept of a step, or those of its checkpoint, by name, one after the other.

        Raises
        ------
        ModelError
            If they are gone or damaged.
        """
        prefix, folder = "", self._folder / f"best-{step:09d}"
        if not folder.is_dir():
            prefix, folder = WEIGHT, self._folder / f"step-{step:09d}"
        try:
            record = _Record.model_validate(read_json(folder / _RECORD))
            if sha256_of(folder / _TENSORS) != record.sha256:
                raise ValueError("the file has changed")
            with safe_open(folder / _TENSORS, "pt") as tensors:
                for key in sorted(tensors.keys()):
                    if key.startswith(prefix):
                        yield key.removeprefix(prefix), tensors.get_tensor(key)
        except (OSError, ValueError, SafetensorError) as error:
            raise ModelError(
                f"The weights of step {step:,} are gone or damaged in {self._folder}: start the run anew."
            ) from error

    def keep_best(self, steps: set[int]) -> None:
        """Delete the weights kept of all other steps."""
        for step, folder in self._found(_BEST):
            if step not in steps:
                shutil.rmtree(folder, ignore_errors=True)

    def _found(self, pattern: re.Pattern[str]) -> list[tuple[int, Path]]:
        """Folders of a kind, latest first."""
        named = [(pattern.fullmatch(found.name), found) for found in self._folder.iterdir()]
        return sorted(((int(match[1]), found) for match, found in named if match), reverse=True)

    def _write(self, name: str, tensors: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
        free = shutil.disk_usage(self._folder).free
        if size + _SPARE_BYTES > free:
            raise ModelError(
                f"A checkpoint takes {size_words(size, 1)} on the disk, but only {size_words(free, 1)} are free "
                f"in {self._folder}: make room, or train low-rank adapters (LoRA), whose checkpoints are small."
            )
        target = self._folder / name
        part = self._folder / f"{name}.{secrets.token_hex(4)}.part"
        try:
            part.mkdir()
            # On the processor and in one piece each, as the format wants them; values are not changed.
            save_file({key: _plain(tensor) for key, tensor in tensors.items()}, part / _TENSORS)
            with (part / _TENSORS).open("r+b") as written:
                os.fsync(written.fileno())
            record = _Record(version=VERSION, sha256=sha256_of(part / _TENSORS), facts=dict(facts))
            write_json(part / _RECORD, record.model_dump(mode="json"))
            shutil.rmtree(target, ignore_errors=True)
            part.replace(target)
            sync_folder(self._folder)
        except (OSError, SafetensorError) as error:
            raise ModelError(f"A checkpoint could not be written to {self._folder}: {error}.") from error
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _plain(tensor: Any) -> Any:
    return tensor.detach().to("cpu").contiguous()


def _read(step: int, folder: Path) -> Saved | None:
    try:
        record = _Record.model_validate(read_json(folder / _RECORD))
        if record.version != VERSION or sha256_of(folder / _TENSORS) != record.sha256:
            return None
        return Saved(step, load_file(folder / _TENSORS), record.facts)
    except (OSError, ValueError, ValidationError, SafetensorError):
        return None


def random_states(device: Any, world: World = ALONE) -> dict[str, Any]:
    """States of torch's random numbers on the processor and a device, as tensors of bytes.

    Of processes that train together the first one gets those of all.
    """
    own = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        own["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        own["mps"] = torch.mps.get_rng_state()
    states = {_RANDOM + name: state for name, state in own.items()}
    if not world.is_alone:
        every = world.heard({name: state.tolist() for name, state in own.items()})
        for rank in range(1, world.size if world.is_first else 1):
            states |= {
                f"{_RANDOM}{rank}/{name}": torch.tensor(found, dtype=torch.uint8) for name, found in every[rank].items()
            }
    return states


def restore_random(states: Mapping[str, Any], device: Any, world: World = ALONE) -> None:
    """Go on with random numbers from states that `random_states` gave; of devices that are not there, nothing.

    Parameters
    ----------
    states : mapping of str to torch.Tensor
        Of processes that train together, those of the first one count. One that has no state there keeps its own.
    """
    if not world.is_alone:
        told = {key: state.tolist() for key, state in states.items() if key.startswith(_RANDOM)}
        prefix = _RANDOM if world.is_first else f"{_RANDOM}{world.rank}/"
        found = {key: value for key, value in world.told(told).items() if key.startswith(prefix)}
        states = {_RANDOM + key.removeprefix(prefix): torch.tensor(v, dtype=torch.uint8) for key, v in found.items()}
    if f"{_RANDOM}cpu" in states:
        torch.set_rng_state(states[f"{_RANDOM}cpu"])
    if device.type == "cuda" and f"{_RANDOM}cuda" in states:
        torch.cuda.set_rng_state(states[f"{_RANDOM}cuda"], device)
    elif device.type == "mps" and f"{_RANDOM}mps" in states:
        torch.mps.set_rng_state(states[f"{_RANDOM}mps"])
