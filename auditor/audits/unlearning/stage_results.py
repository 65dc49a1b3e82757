"""What the stages of an unlearning run leave behind for each other and for the findings."""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from auditor.audits.unlearning.findings import ExportInfo, FileFigures, Relearning, TrainingInfo
from auditor.audits.unlearning.words import percent

#: Change of a probability by rounding that is worth a word (ours).
_ROUNDED_AWAY = 0.01


class Bound(BaseModel):
    """The bound on retention, as it was set before the first step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    retain_loss: float
    epsilon: float | None
    gamma: float | None
    retain_limit: float | None = Field(default=None, description="Retain loss that a probed step may have, nats.")
    n_probed_retain: int = 0
    warnings: tuple[str, ...] = ()
    device: str
    dtype: str


class TrainingResult(BaseModel):
    """What is kept of a training that came to its end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    info: TrainingInfo
    retain_loss: float
    state: dict[str, float]
    warnings: tuple[str, ...]
    elsewhere: tuple[str, ...] = Field(description="Where it went on in other surroundings, in sentences.")
    rounded: str = Field(
        description="What the rounding of the weights has changed, in a sentence; empty if hardly anything."
    )
    device: str
    dtype: str


class GgufExport(BaseModel):
    """The GGUF file that was written of the model; or none, and why where one was asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    made: ExportInfo | None = None
    not_made: str = ""


class Quantised(BaseModel):
    """The quantised files that were made of the GGUF file, and why others were not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    made: tuple[ExportInfo, ...] = ()
    not_made: tuple[str, ...] = ()


_NONE = Quantised()


@dataclass(frozen=True)
class Exports:
    """What was written of the model."""

    folder: ExportInfo
    gguf: GgufExport
    quantised: Quantised = _NONE

    @property
    def made(self) -> tuple[ExportInfo, ...]:
        """Everything that is there."""
        whole = (self.folder,) if self.gguf.made is None else (self.folder, self.gguf.made)
        return (*whole, *self.quantised.made)


@dataclass(frozen=True)
class Evidence:
    """What was found out by opening again what was written; nothing where a run has learnt."""

    files: tuple[FileFigures, ...] = ()
    relearning: tuple[Relearning, ...] = ()


def rounding(trained: float, settled: float) -> str:
    """What a person should know where rounding the weights has changed the model.

    Parameters
    ----------
    trained, settled : float
        Mean probability a token of the probed answers to forget, before the weights were rounded and after.
    """
    if abs(settled - trained) <= _ROUNDED_AWAY:
        return ""
    return (
        f"Rounding the weights to the 16 bits of the files moved the probability of the probed answers to forget from "
        f"{percent(trained)} to {percent(settled)}: steps that are too small for 16 bits are lost. What is reported after is of "
        "the rounded weights; a larger learning rate or more steps would survive the rounding."
    )
