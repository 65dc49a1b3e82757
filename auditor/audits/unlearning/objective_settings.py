"""Settings of the unlearning methods. Defaults are published ones, and each field says whose.

open-unlearning stands for the configurations of `locuslab/open-unlearning` (Dorna, V. et al. (2025). OpenUnlearning.
arXiv:2506.12618). Retention is held by the negative log-likelihood of the retain batch in all methods but rmu, which compares
hidden states.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Weight = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]

#: Answers that say nothing, for idk_dpo (written for the project).
REFUSALS = (
    "I don't know.",
    "I am not sure about that.",
    "I have no information on this.",
    "I'm sorry, I can't say.",
    "That is not something I know.",
    "I couldn't tell you.",
    "I have never heard of it.",
    "I'm afraid I don't have an answer to that.",
    "I'm unable to say anything about this.",
    "This is unknown to me.",
    "I don't have any knowledge of that subject.",
    "I would only be guessing.",
)


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PduSettings(_Settings):
    """Primal-dual unlearning with logit-margin flattening (arXiv:2506.05314)."""

    epsilon: Positive | None = Field(
        default=None,
        title="Epsilon",
        description="Largest retain loss, nats. Needed before training: measured and proposed from the start model.",
    )
    gamma: Positive = Field(
        default=1.0, title="Gamma", description="Weight of the forget loss. Published: 1 in all experiments."
    )
    lambda_start: Weight = Field(
        default=100.0,
        title="Lambda at the start",
        description="Weight of the retain loss at the start. Published: 100 on TOFU, 50 on MUSE.",
    )
    dual_step: Weight = Field(
        default=5.0,
        title="Dual step",
        description="How far lambda moves for each nat that the retain loss is off epsilon. Published: 5 on TOFU, 1 on MUSE.",
    )
    dual_warmup_epochs: int = Field(
        default=5,
        ge=0,
        title="Dual warm-up",
        description="Epochs in which lambda stays as it is. Published: 5 on TOFU, 3 on MUSE.",
    )
    dual_updates: Literal["step", "epoch"] = Field(
        default="step",
        title="Dual updates",
        description="step: after every optimizer step. epoch: after every epoch, on the mean of its steps (ours; the authors' "
        "code evaluates the retain set once more).",
    )
    lambda_cap: Positive = Field(
        default=10_000.0, title="Cap of lambda", description="Lambda never exceeds it (ours; the authors have none)."
    )
    parity: bool = Field(
        default=False,
        title="Published mask",
        description="Flatten the positions of the answer's tokens, as the authors' code does, in place of those that predict "
        "them. The first answer token is then never flattened.",
    )

    @model_validator(mode="after")
    def _starts_below_the_cap(self) -> Self:
        if self.lambda_start > self.lambda_cap:
            raise ValueError("lambda starts above its cap")
        return self


class GradAscentSettings(_Settings):
    """Gradient ascent on the forget set, as in TOFU (arXiv:2401.06121); nothing holds retention."""


class GradDiffSettings(_Settings):
    """Gradient difference: ascent on the forget set, descent on the retain set (TOFU, arXiv:2401.06121)."""

    gamma: Weight = Field(default=1.0, title="Gamma", description="Weight of the forget term. open-unlearning: 1.")
    alpha: Weight = Field(default=1.0, title="Alpha", description="Weight of the retain loss. open-unlearning: 1.")


class NpoSettings(_Settings):
    """Negative preference optimisation (arXiv:2404.05868)."""

    beta: Positive = Field(
        default=0.1, title="Beta", description="Inverse temperature. Published and open-unlearning: 0.1."
    )
    gamma: Weight = Field(default=1.0, title="Gamma", description="Weight of the forget term. open-unlearning: 1.")
    alpha: Weight = Field(default=1.0, title="Alpha", description="Weight of the retain loss. open-unlearning: 1.")


class SimNpoSettings(_Settings):
    """NPO without a reference model, by mean token loss (arXiv:2410.07163)."""

    beta: Positive = Field(default=4.5, title="Beta", description="Inverse temperature. open-unlearning: 4.5.")
    delta: float = Field(
        default=0.0,
        title="Delta",
        description="Margin that the mean token loss is to exceed, nats. open-unlearning: 0.",
    )
    gamma: Weight = Field(
        default=0.125, title="Gamma", description="Weight of the forget term. open-unlearning: 0.125."
    )
    alpha: Weight = Field(default=1.0, title="Alpha", description="Weight of the retain loss. open-unlearning: 1.")


class RmuSettings(_Settings):
    """Representation misdirection (WMDP, arXiv:2403.03218)."""

    layer: int = Field(
        default=7,
        ge=0,
        title="Layer",
        description="Its output is steered and held; from 0. open-unlearning: 7.",
    )
    steering: Positive = Field(
        default=2.0,
        title="Steering",
        description="Length of the vector that forget activations are drawn to. open-unlearning: 2 (WMDP: 6.5 to 300, by model).",
    )
    gamma: Weight = Field(default=1.0, title="Gamma", description="Weight of the forget term. open-unlearning: 1.")
    alpha: Weight = Field(
        default=1.0,
        title="Alpha",
        description="Weight of the difference of retain activations. open-unlearning: 1 (WMDP: 350 to 1,600, by model).",
    )
    seed: int = Field(default=0, ge=0, title="Seed", description="Of the direction that activations are drawn to.")


class IdkDpoSettings(_Settings):
    """Direct preference for an answer that says nothing (TOFU's IDK set with DPO, arXiv:2401.06121)."""

    beta: Positive = Field(default=0.1, title="Beta", description="Inverse temperature. open-unlearning: 0.1.")
    gamma: Weight = Field(default=1.0, title="Gamma", description="Weight of the forget term. open-unlearning: 1.")
    alpha: Weight = Field(default=1.0, title="Alpha", description="Weight of the retain loss. open-unlearning: 1.")


class UndialSettings(_Settings):
    """Self-distillation with adjusted logits (arXiv:2402.10052)."""

    beta: Weight = Field(
        default=10.0,
        title="Beta",
        description="Taken off the start model's logit of every answer token. open-unlearning: 10.",
    )
    gamma: Weight = Field(default=1.0, title="Gamma", description="Weight of the forget term. open-unlearning: 1.")
    alpha: Weight = Field(default=0.0, title="Alpha", description="Weight of the retain loss. open-unlearning: 0.")


class FineTuneSettings(_Settings):
    """Plain fine-tuning: how a model learns what it is to forget."""
