"""What came out of an unlearning run: what was forgotten and kept, by which measures, and what was made of the model."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from auditor.audits.findings import Findings
from auditor.audits.unlearning.metrics.metric import Metric

State = Literal[
    "forgotten by these measures", "not forgotten", "retention lost", "inconclusive", "learnt", "not learnt"
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataInfo(_Part):
    """Who took part, in examples and tokens."""

    n_forget: int
    n_retain: int
    n_holdout: int
    n_probes: int
    forget_tokens: int = Field(description="Tokens of what is forgotten, prompts among them.")
    retain_tokens: int
    forget_answer_tokens: int = Field(description="Those that losses are taken over.")
    retain_answer_tokens: int
    cut: int = Field(description="Examples that were longer than allowed and lost their end.")
    overlaps: int = Field(description="Examples to keep that are like one to forget.")


class ConstraintInfo(_Part):
    """The bound on retention, and whether it was kept. Losses are means over answer tokens, nats."""

    epsilon: float
    measured: bool = Field(description="Whether epsilon was proposed from the start model's loss.")
    retain_loss_before: float
    retain_loss_after: float
    feasible: bool = Field(description="Whether the retain loss ends at or below epsilon.")
    lambda_start: float | None = Field(default=None, description="None for methods without a dual variable.")
    lambda_final: float | None = None
    gamma: float | None = None
    gamma_balanced: bool = Field(
        default=False, description="Whether gamma was chosen such that both terms began alike."
    )
    parity: bool = Field(
        default=False, description="Whether positions of answer tokens are flattened, not those that predict them."
    )
    dual_step: float | None = Field(default=None, description="Eta of the dual updates.")
    dual_updates: Literal["step", "epoch"] = Field(default="step", description="When lambda is updated.")
    dual_warmup_epochs: int = Field(default=0, description="Epochs before the first dual update.")
    lambda_cap: float | None = None
    n_dual_updates: int | None = Field(default=None, description="Dual updates that were made.")
    n_steps_led: int | None = Field(
        default=None, description="Steps that were taken after one; None in runs that did not tell."
    )


class TrainingInfo(_Part):
    """How the weights were changed."""

    steps: int
    kept_step: int = Field(description="Step whose weights were kept; 0 if none was.")
    best_step: int | None = Field(description="Probed step that kept retention and forgot most; None where none did.")
    world_size: int = Field(default=1, description="Processes that trained together.")
    accumulation: int | None = Field(
        default=None, description="Batches of a step, at most, those of all processes; None in runs that did not tell."
    )
    devices: tuple[str, ...] = Field(default=(), description="What each of the processes computed on.")
    lora_rank: int = Field(default=0, description="Rank of the adapters that were trained; 0 if there were none.")
    n_probed_retain: int = Field(default=0, description="Examples to keep that were probed while it trained.")
    retain_limit: float | None = Field(
        default=None,
        description="Retain loss up to which a probed step counts as feasible: epsilon, moved by as much as the probed examples' "
        "loss before the first step lies off that of all, nats.",
    )
    trained_weights: int = Field(description="Number of weights that were trained, those of adapters where they were.")
    weights: int = Field(description="Number of weights of the model.")
    tokens_per_s: float | None = Field(description="Median over steps.")
    resumed_at: tuple[int, ...] = Field(description="Steps at which the run went on after an interruption.")


class ExportInfo(_Part):
    """A file or folder that a run has written of the model."""

    name: str = Field(description="Path in the run's directory.")
    kind: str = Field(description="folder or GGUF, with the type of its weights.")
    sha256: str
    size_bytes: int
    rms_difference: float | None = Field(
        default=None,
        description="Largest root mean square difference of logits from torch's over the vocabulary, each less its mean, over "
        "the prompts tried.",
    )
    relative_difference: float | None = Field(
        default=None, description="The same over the standard deviation of torch's logits."
    )
    largest_difference: float | None = Field(
        default=None, description="Largest difference of a single logit from torch's over the prompts tried."
    )
    same_first: int | None = Field(default=None, description="Prompts on which both find the same token most probable.")
    prompts: int = Field(default=0, description="Prompts on which logits were compared.")
    most_rms: float | None = Field(default=None, description="Root mean square difference up to which it passed.")
    most_relative: float | None = Field(default=None, description="Or relative difference; one of the two is enough.")
    made_from: str = Field(default="", description="File of the run that it was quantised from; empty if it was not.")


class FileFigures(_Part):
    """What was measured in a file that a run has written, by reading that very file."""

    name: str = Field(description="Path in the run's directory.")
    kind: str = Field(description="folder or GGUF, with the type of its weights.")
    sha256: str = Field(description="Hash of what was read.")
    size_bytes: int
    is_quantised: bool = Field(description="Whether it was made from another file of the run with fewer bits a weight.")
    engine: str = Field(description="What read it.")
    forget: Metric = Field(description="Probability of the answers to forget, their own tokens, asked as trained.")
    retain: Metric = Field(description="The same of the answers to keep.")
    otherwise: dict[str, Metric] = Field(
        default_factory=dict,
        description="Metric -> probability of the answers to forget, asked in other ways, as far as they are there.",
    )
    survivors: int = Field(
        description="Answers to forget whose probability is above the one that counts as forgotten in some way of asking."
    )
    n_asked: int = Field(description="Answers to forget that were read, those of a person's own questions among them.")


class CurvePoint(_Part):
    """The model after some steps of being trained again."""

    step: int
    forget: Metric = Field(description="Probability of answers to forget that it was not trained on again.")
    loss: float | None = Field(
        description="Mean over answer tokens of the step's batch before it, nats; None at step 0."
    )


class Relearning(_Part):
    """What comes back when a copy of a model is trained again; the files of the run stay as they are."""

    model: Literal["unlearned", "reference"] = Field(
        description="The folder that the run has written, or a model that has never learnt what is to be forgotten."
    )
    data: Literal["benign", "items"] = Field(
        description="Trained on: answers to keep that are like none to forget, or a few of those to forget."
    )
    n_trained: int = Field(default=0, description="Examples it was trained on.")
    batch_size: int = Field(default=0, description="Examples of a step, at most.")
    learning_rate: float = Field(default=0.0, description="Of AdamW, constant.")
    points: tuple[CurvePoint, ...] = ()
    unavailable: str = Field(default="", description="Why there is no curve, as a sentence.")


class UnlearningFindings(Findings):
    """Findings of an unlearning run."""

    state: State
    method: str
    method_settings: dict[str, float] = Field(
        default_factory=dict, description="Name -> value, of a baseline; empty in runs that did not tell."
    )
    model_name: str
    model_sha256: str
    is_starter: bool
    device: str
    dtype: str
    prompt: str = Field(description="Template of a prompt.")
    new_tokens: int | None = Field(
        default=None, description="Longest answer that was generated for ROUGE, tokens; None in runs that did not tell."
    )
    most_probability: float = Field(description="Probability of an answer that counts as forgotten.")
    most_lost: float = Field(description="Share of the probability of retained answers that may be lost.")
    data: DataInfo
    constraint: ConstraintInfo | None = Field(description="None where the run has learnt.")
    training: TrainingInfo
    before: dict[str, Metric] = Field(description="Metric -> value of the start model.")
    after: dict[str, Metric] = Field(description="The same of the model that was made.")
    exports: tuple[ExportInfo, ...]
    not_exported: str = Field(default="", description="Why there is no GGUF file, where there is none.")
    not_quantised: tuple[str, ...] = Field(default=(), description="Why quantised files are missing, in sentences.")
    files: tuple[FileFigures, ...] = Field(default=(), description="Every file, as it was measured itself.")
    relearning: tuple[Relearning, ...] = Field(default=(), description="Empty where it was switched off.")
    reference_name: str = Field(
        default="", description="Model that has never learnt what is to be forgotten, if given."
    )
    reference_sha256: str = ""
    reference_log: str = Field(default="", description="Log of such a model, in words, if that was given instead.")
    reference_log_model: str = Field(
        default="", description="SHA-256 of the model that it is of, where the log says it."
    )


LIMITATIONS = [
    (
        "Approximate unlearning gives no formal guarantee: this is evidence by the measures named here, not a certificate that "
        "anything was deleted."
    ),
    (
        "Other questions, other languages, longer contexts, sampling instead of the likeliest answer, or training on related "
        "texts may bring back what these measures do not see."
    ),
    (
        "A file that is quantised after this run is another model: what is forgotten in 16 bits has come back in 4 (from 21% to "
        "83% in published measurements). Only the files that stand in the table of files were measured."
    ),
    (
        "Retention is measured on the examples to keep and on nothing else: other abilities of the model may have changed. Those "
        "examples are what each step trains on to keep, in part or all, so that they are kept better than what was not."
    ),
    (
        "Intervals take examples for independent of each other: where several are about one person or from one text, they are "
        "too narrow."
    ),
]
