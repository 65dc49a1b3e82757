"""How prompts are cut into batches: measured once per model and machine, kept, and recorded in every run.

Scores depend on it a little, since kernels add up in another order; so a run keeps the plan it began with.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from auditor.files import read_json, sha256_of_json, write_json
from auditor.models.file import ModelFile
from auditor.processor import usable_cores

#: Prompts that may stand in the cache at once.
MAX_LEAVES = 60
#: The same while prompts are continued with sentences, which take room too.
TALKING_LEAVES = 24
#: Another plan than the first must be this much faster to be taken: less is noise (ours).
_WORTH_CHANGING = 1.05


class BatchPlan(BaseModel):
    """How prompts are cut into batches."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    capacity: int = Field(ge=32, description="New tokens of a batch of prompts.")
    n_ubatch: int = Field(ge=32, description="Tokens that llama.cpp computes at once.")
    flash_attention: bool = Field(description="Whether attention is computed without its whole matrix.")
    n_threads: int = Field(ge=1, description="Threads of the processor.")


class Measured(BaseModel):
    """A plan and what it was chosen from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: BatchPlan
    tokens_per_s: dict[str, float] = Field(
        default_factory=dict, description="Median speed of every plan that was tried; empty if none was."
    )


def candidates(*, on_gpu: bool) -> tuple[BatchPlan, ...]:
    """Plans that are worth trying, the one that does well nearly everywhere first."""
    n = usable_cores()
    if on_gpu:
        return (
            BatchPlan(capacity=4096, n_ubatch=2048, flash_attention=True, n_threads=n),
            BatchPlan(capacity=2048, n_ubatch=512, flash_attention=True, n_threads=n),
        )
    return (
        BatchPlan(capacity=1024, n_ubatch=512, flash_attention=True, n_threads=n),
        BatchPlan(capacity=512, n_ubatch=512, flash_attention=False, n_threads=n),
        BatchPlan(capacity=256, n_ubatch=256, flash_attention=True, n_threads=n),
    )


def choose(plans: Sequence[BatchPlan], speed: Callable[[BatchPlan], float], *, rounds: int = 3) -> Measured:
    """Try plans in turn, `rounds` times over, and take the fastest by its median.

    Parameters
    ----------
    plans : sequence of BatchPlan
        The first one is kept unless another is at least 5% faster.
    speed : callable
        Tokens per second under a plan.
    """
    found: dict[int, list[float]] = {place: [] for place in range(len(plans))}
    for _ in range(rounds):
        for place, plan in enumerate(plans):
            found[place].append(speed(plan))
    speeds = [median(values) for values in found.values()]
    best = max(range(len(plans)), key=lambda place: speeds[place])
    chosen = best if speeds[best] >= _WORTH_CHANGING * speeds[0] else 0
    return Measured(plan=plans[chosen], tokens_per_s={_title(p): s for p, s in zip(plans, speeds, strict=True)})


def _title(plan: BatchPlan) -> str:
    attention = "flash attention" if plan.flash_attention else "plain attention"
    return f"{plan.capacity}/{plan.n_ubatch}, {attention}, {plan.n_threads} threads"


class PlanStore:
    """Plans that were measured on this machine.

    Parameters
    ----------
    folder : Path
        Where ``plans.json`` lies.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "plans.json"

    def get(self, model: ModelFile, engine: str) -> Measured | None:
        """The plan measured for a model with an engine on this processor, or None."""
        found = self._read().get(_key(model, engine))
        try:
            return Measured.model_validate(found) if found is not None else None
        except ValidationError:
            return None

    def put(self, model: ModelFile, engine: str, measured: Measured) -> None:
        """Keep a plan."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._file.with_suffix(".lock"), timeout=30):
            kept = self._read()
            kept[_key(model, engine)] = measured.model_dump(mode="json")
            write_json(self._file, kept)

    def _read(self) -> dict[str, object]:
        # Nothing is lost with a damaged file but a few seconds of measuring.
        try:
            found = read_json(self._file)
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def _key(model: ModelFile, engine: str) -> str:
    return sha256_of_json([model.sha256, engine, os.cpu_count(), usable_cores()])


def cells(n_ctx: int, capacity: int, *, leaves: int = MAX_LEAVES, talk: int = 0) -> int:
    """Positions of the cache: the prefix and what was handed on; a batch, or a single prompt larger than one; talk."""
    return n_ctx + max(n_ctx, capacity) + leaves * talk
