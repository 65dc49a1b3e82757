"""What a training is asked for and what came of it, without torch: settings, one row a step, the best step."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, cos, pi
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Schedule = Literal["linear", "cosine", "constant"]


class TrainingSettings(BaseModel):
    """How weights are trained, whatever the objective."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=10, ge=1, title="Epochs", description="Times that every example to forget is seen.")
    batch_size: int = Field(
        default=4, ge=1, title="Batch size", description="Examples to forget, and as many to keep, computed at once."
    )
    accumulation: int = Field(
        default=1, ge=1, title="Accumulation", description="Batches whose gradients make one step together."
    )
    learning_rate: float = Field(
        default=1e-5, gt=0, title="Learning rate", description="Of AdamW, at the end of the warm-up."
    )
    schedule: Schedule = Field(
        default="linear",
        title="Schedule",
        description="How the learning rate goes on after the warm-up: falling to 0 at the last step, or constant.",
    )
    warmup_epochs: float = Field(
        default=1.0, ge=0, title="Warm-up", description="Epochs in which the learning rate rises to its full height."
    )
    weight_decay: float = Field(default=0.01, ge=0, title="Weight decay", description="Of AdamW; matrices only.")
    max_gradient_norm: float | None = Field(
        default=None, gt=0, title="Largest gradient", description="Gradients of a larger norm are scaled down to it."
    )
    probe_every: int = Field(
        default=0,
        ge=0,
        title="Probe every",
        description="Steps between two probes; 0 for one at the end of each epoch.",
    )
    checkpoint_every: int = Field(
        default=0,
        ge=0,
        title="Checkpoint every",
        description="Steps between two checkpoints; 0 for one every two minutes, or as seldom as writing one is worth.",
    )
    retain_limit: float | None = Field(
        default=None,
        title="Limit of the retain loss",
        description="A probed step is feasible if the mean token loss of what is kept is not above it, nats.",
    )
    keep: Literal["last", "best"] = Field(
        default="last",
        title="Weights to keep",
        description="Those of the last step, or of the probed step that is feasible and forgets most, if there is one.",
    )

    def steps_per_epoch(self, n_forget: int) -> int:
        """Steps of the optimizer in which every example to forget is seen once."""
        return ceil(ceil(n_forget / self.batch_size) / self.accumulation)

    def rate(self, step: int, steps_per_epoch: int) -> float:
        """Learning rate of a step.

        It rises in equal parts, the first of which is not 0, and falls so that the step after the last would have 0.

        Parameters
        ----------
        step : int
            From 0.
        steps_per_epoch : int
        """
        warm = round(self.warmup_epochs * steps_per_epoch)
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        left = 1 - (step - warm) / max(1, self.epochs * steps_per_epoch - warm)
        if self.schedule == "linear":
            return self.learning_rate * left
        return self.learning_rate * (1 - cos(pi * left)) / 2 if self.schedule == "cosine" else self.learning_rate


class StepRow(BaseModel):
    """One step of the optimizer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int = Field(ge=1, description="From 1.")
    epoch: int = Field(ge=1, description="From 1.")
    forget_loss: float = Field(description="The objective's forget term before the step, mean over its batches.")
    retain_loss: float | None = Field(description="Its retain term, nats a token; none where nothing is kept.")
    state: dict[str, float] = Field(
        description="What the objective carries from step to step, such as lambda, after it."
    )
    learning_rate: float
    gradient_norm: float = Field(description="Of all trained weights together, before it was scaled.")
    tokens_per_s: float = Field(description="Tokens trained on over the seconds that the step took.")


@dataclass(frozen=True)
class Probe:
    """What a probe found on the weights after a step.

    Attributes
    ----------
    forget : float
        What shall be low: the mean probability of the answers to forget.
    retain : float
        What is bounded: the mean token loss of the answers to keep, nats.
    """

    forget: float
    retain: float


@dataclass(frozen=True)
class Trained:
    """A training that came to its end.

    Attributes
    ----------
    steps : int
        Steps taken, those of resumed processes among them.
    rows : tuple of StepRow
        One a step, in order.
    best_step : int or None
        The probed step that is feasible and forgets most; None if no probe was, or there was no probe or no limit.
    best : Probe or None
        What the probe found there.
    kept_step : int
        The step whose weights the model has now.
    state : dict of str to float
        What the objective carries, after the last step.
    resumed_at : tuple of int
        Steps at which processes took over from an earlier one.
    warnings : tuple of str
        What a person should know of how the objective went, in sentences.
    elsewhere : tuple of str
        Where a process went on in other surroundings than the one before it, in sentences.
    devices : tuple of str
        What each of the processes that trained together computed on, in words.
    """

    steps: int
    rows: tuple[StepRow, ...]
    best_step: int | None
    best: Probe | None
    kept_step: int
    state: dict[str, float]
    resumed_at: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()


def step_rows(rows: Iterable[Mapping[str, Any]]) -> tuple[StepRow, ...]:
    """One row a step, in order: steps that were taken again after a kill have several, of which the last one counts.

    Parameters
    ----------
    rows : iterable of mapping
        As they were flushed.
    """
    found = {int(row["step"]): row for row in rows}
    return tuple(StepRow.model_validate(found[step]) for step in sorted(found))
