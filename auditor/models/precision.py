"""Where torch computes, and whether bfloat16 is faster there. Worker processes only.

The choice is measured once per device and shape of model and kept, so that runs on one machine are alike.
"""

import os
import time
from statistics import median
from typing import Any

import torch
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from auditor.errors import ModelError
from auditor.files import read_json, write_json
from auditor.models.file import ModelFile
from auditor.models.library import home
from auditor.processor import usable_cores

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
#: bfloat16 rounds the numbers that are read, so it must be worth it (ours).
_WORTH_ROUNDING = 1.25
_TOKENS, _REPEATS, _ROUNDS = 256, 6, 5


class Precision(BaseModel):
    """The precision of a model on a device."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dtype: str = Field(description="'float32' or 'bfloat16'.")
    milliseconds: dict[str, float] = Field(
        default_factory=dict, description="Median time of a layer's products in each precision; empty if not measured."
    )


def pick_device(asked: str) -> Any:
    """A torch device.

    Raises
    ------
    ModelError
        If there is none of that name.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if asked == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if there[name]))
    kind = asked.split(":", maxsplit=1)[0]
    if not there.get(kind, False):
        known = ", ".join(name for name, found in there.items() if found)
        raise ModelError(f"There is no device {asked} for torch on this machine: choose auto or one of {known}.")
    return torch.device(asked)


def device_name(device: Any) -> str:
    """A device in words."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    if device.type == "mps":
        return f"Apple GPU, torch {torch.__version__}"
    capability = torch.backends.cpu.get_cpu_capability()
    return f"CPU ({capability}), {torch.get_num_threads()} threads, torch {torch.__version__}"


def use_threads(threads: int | None) -> None:
    """Set the threads of the processor; its physical cores if not given."""
    wanted = threads or usable_cores()
    if wanted != torch.get_num_threads():
        torch.set_num_threads(wanted)


def pick_precision(model: ModelFile, device: Any, asked: str) -> Precision:
    """The precision to compute in.

    Raises
    ------
    ModelError
        If there is none of that name.
    """
    if asked in DTYPES:
        return Precision(dtype=asked)
    if asked != "auto":
        raise ModelError(f"There is no precision {asked}: choose auto, float32 or bfloat16.")
    key = f"{device_name(device)}, {os.cpu_count()} cores, {model.embedding} x {model.feed_forward}"
    store = home() / "models" / "precisions.json"
    store.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(store.with_suffix(".lock"), timeout=60):
        kept = _read(store)
        if key not in kept:
            kept[key] = _measured(model, device).model_dump()
            write_json(store, kept)
    try:
        return Precision.model_validate(kept[key])
    except ValidationError:
        return Precision(dtype="float32")


def _read(store: Any) -> dict[str, Any]:
    # Nothing is lost with a damaged file but a second of measuring.
    try:
        found = read_json(store)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _measured(model: ModelFile, device: Any) -> Precision:
    times: dict[str, list[float]] = {name: [] for name in DTYPES}
    for _ in range(_ROUNDS):
        for name, dtype in DTYPES.items():
            try:
                times[name].append(_milliseconds(model, device, dtype))
            except RuntimeError:  # the device has no such precision
                times[name].append(float("inf"))
    medians = {name: median(found) for name, found in times.items()}
    faster = medians["float32"] >= _WORTH_ROUNDING * medians["bfloat16"]
    known = {name: round(value, 3) for name, value in medians.items() if value != float("inf")}
    return Precision(dtype="bfloat16" if faster else "float32", milliseconds=known)


def _milliseconds(model: ModelFile, device: Any, dtype: Any) -> float:
    """Time of a feed-forward layer's two products for a few hundred tokens."""
    width, wide = model.embedding or 576, model.feed_forward or 4 * (model.embedding or 576)
    with torch.inference_mode():
        tokens = torch.ones(_TOKENS, width, dtype=dtype, device=device)
        up = torch.ones(wide, width, dtype=dtype, device=device)
        down = torch.ones(width, wide, dtype=dtype, device=device)
        _products(tokens, up, down, 1)
        begun = time.perf_counter()
        _products(tokens, up, down, _REPEATS)
        return (time.perf_counter() - begun) * 1000 / _REPEATS


def _products(tokens: Any, up: Any, down: Any, repeats: int) -> None:
    for _ in range(repeats):
        found = torch.nn.functional.linear(torch.nn.functional.linear(tokens, up), down)
    float(found[0, 0])  # waits for the device
