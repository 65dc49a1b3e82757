"""What is asked of an unlearning run."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from auditor.audits.unlearning import objective_settings as published

#: Fields that a column can be mapped to.
MAPPED = (
    *("id", "question", "answer", "text", "task"),
    *("paraphrased_question", "paraphrased_answer", "perturbed_answers"),
)

Method = Literal["pdu", "grad_ascent", "grad_diff", "npo", "simnpo", "rmu", "idk_dpo", "undial", "learn"]
#: Settings of each method but pdu, whose settings are fields of their own, and learn, which has none.
BASELINES: Mapping[str, type[BaseModel]] = {
    "grad_ascent": published.GradAscentSettings,
    "grad_diff": published.GradDiffSettings,
    "npo": published.NpoSettings,
    "simnpo": published.SimNpoSettings,
    "rmu": published.RmuSettings,
    "idk_dpo": published.IdkDpoSettings,
    "undial": published.UndialSettings,
}
_PDU = published.PduSettings.model_fields
#: Settings that no other method has.
OF_PDU = ("gamma", "lambda_start", "dual_step", "lambda_cap", "dual_updates", "dual_warmup_epochs", "parity")
#: Told where settings are printed: those of another method are left out.
_FOR_PDU: dict[str, Any] = {"applies_to": {"method": ["pdu"]}}


def wrong_in_prompt(prompt: str) -> str:
    """Why a template cannot stand before an answer; empty if it can."""
    if prompt.count("{question}") != 1:
        return "{question} must stand in it once"
    if prompt != prompt.rstrip(" "):
        return "it ends in a blank, but the answer's own token begins with one"
    return ""


class UnlearningSpec(BaseModel):
    """Settings of an unlearning run. Form, command line and report are made from these fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(
        default="",
        title="Model",
        description="Name in the model library, or a GGUF file or folder of a causal language model. Empty: the first model of "
        "the library.",
    )
    mapping: dict[str, str] = Field(
        default_factory=dict,
        title="Column mapping",
        description=f"Field ({', '.join(MAPPED)}) to column, in every file.",
        json_schema_extra={"fields": list(MAPPED)},
    )
    prompt: str = Field(
        default="Question: {question}\nAnswer:",
        max_length=10_000,
        title="Prompt",
        description="How a question is put, with {question}. It ends where the answer begins, without a blank. {question} alone: "
        "the answer goes on from the question.",
    )
    max_tokens: int = Field(
        default=512,
        ge=8,
        le=32_768,
        title="Longest example",
        description="Longer answers are cut, which is counted; longer plain texts are learnt and forgotten in pieces.",
        json_schema_extra={"unit": "tokens"},
    )
    method: Method = Field(
        default="pdu",
        title="Method",
        description="pdu: constrained, primal-dual. grad_ascent, grad_diff, npo, simnpo, rmu, idk_dpo, undial: baselines. learn: "
        "no unlearning; the model is fine-tuned on both files, so that there is something to forget.",
    )
    settings: dict[str, float] = Field(
        default_factory=dict,
        title="Settings of the method",
        description="Name to number, for the baselines, such as beta, alpha and gamma; published ones where none is named.",
        json_schema_extra={"applies_to": {"method": list(BASELINES)}},
    )
    epsilon: float | None = Field(
        default=None,
        gt=0,
        le=100,
        title="Epsilon",
        description="Most that the retain loss may be, mean over answer tokens. Empty: the start model's plus a tenth of it, and "
        "at least .05.",
        json_schema_extra={"unit": "nats"},
    )
    below_start: bool = Field(
        default=False,
        title="Epsilon below the start",
        description="Allow an epsilon that the start model does not keep itself: it then has to be trained until it does.",
    )
    gamma: float | None = Field(
        default=None,
        gt=0,
        le=1e6,
        title="Gamma",
        description="Weight of the forget loss. Published: 1. Empty: such that both terms begin in the same order (ours), since "
        "the squared margin of logits is in the hundreds for some models.",
        json_schema_extra=_FOR_PDU,
    )
    lambda_start: float = Field(
        default=_PDU["lambda_start"].default,
        ge=0,
        le=1e6,
        title="First lambda",
        description="Weight of the retain loss before the first dual step; 0 only with a gamma. Published: 100 on TOFU, 50 on "
        "MUSE.",
        json_schema_extra=_FOR_PDU,
    )
    dual_step: float = Field(
        default=_PDU["dual_step"].default,
        ge=0,
        le=1e6,
        title="Dual step",
        description="lambda grows by this times the retain loss's excess over epsilon, and never falls below 0. Published: 5 on "
        "TOFU, 1 on MUSE.",
        json_schema_extra=_FOR_PDU,
    )
    lambda_cap: float = Field(
        default=_PDU["lambda_cap"].default,
        gt=0,
        le=1e9,
        title="Highest lambda",
        description="lambda never rises above it; a warning says where it does lie there.",
        json_schema_extra=_FOR_PDU,
    )
    dual_updates: Literal["step", "epoch"] = Field(
        default="step",
        title="Dual updates",
        description="step: after every optimizer step. epoch: after every epoch, on its mean retain loss.",
        json_schema_extra=_FOR_PDU,
    )
    dual_warmup_epochs: int = Field(
        default=_PDU["dual_warmup_epochs"].default,
        ge=0,
        le=1000,
        title="Epochs before dual updates",
        description="lambda keeps its first value for so many epochs. Published: 5 on TOFU, 3 on MUSE.",
        json_schema_extra={"unit": "epochs", **_FOR_PDU},
    )
    parity: bool = Field(
        default=False,
        title="Published mask",
        description="Mask the margin loss as published code does, not shifted: the position that predicts the first answer token "
        "is then never flattened. For comparison only.",
        json_schema_extra=_FOR_PDU,
    )
    epochs: int = Field(
        default=10,
        ge=1,
        le=10_000,
        title="Epochs",
        description="Passes over the examples to forget; each is paired with one to keep.",
        json_schema_extra={"unit": "epochs"},
    )
    batch_size: int = Field(
        default=4,
        ge=1,
        le=1024,
        title="Batch",
        description="Examples to forget in a batch, and as many to keep.",
        json_schema_extra={"unit": "examples"},
    )
    accumulation: int = Field(
        default=1,
        ge=1,
        le=1024,
        title="Accumulation",
        description="Batches of an optimizer step. It changes results as a larger batch does.",
        json_schema_extra={"unit": "batches"},
    )
    devices: int = Field(
        default=1,
        ge=1,
        le=1024,
        title="Devices",
        description="Graphics processors that train together, each computing a part of the accumulated batches and holding a "
        "part of the layers (FSDP); on a processor, processes. The accumulation must be a multiple of them.",
        json_schema_extra={"unit": "devices"},
    )
    learning_rate: float = Field(
        default=1e-5, gt=0, le=1, title="Learning rate", description="Of AdamW, at its highest."
    )
    weight_decay: float = Field(default=0.01, ge=0, le=1, title="Weight decay", description="Of AdamW, decoupled.")
    warmup_epochs: float = Field(
        default=1.0,
        ge=0,
        le=1000,
        title="Warm-up",
        description="The learning rate rises linearly for so long.",
        json_schema_extra={"unit": "epochs"},
    )
    schedule: Literal["linear", "cosine", "constant"] = Field(
        default="linear",
        title="Schedule",
        description="How the learning rate goes on after the warm-up: falling to 0 at the last step, or constant.",
    )
    clip: float = Field(
        default=0.0, ge=0, le=1e6, title="Gradient clipping", description="Largest norm of the gradient. 0: none."
    )
    lora_rank: int = Field(
        default=0,
        ge=0,
        le=4096,
        title="LoRA rank",
        description="Train low-rank adapters of this rank, merged into the weights afterwards. 0: train all weights.",
    )
    gradient_checkpointing: bool = Field(
        default=False,
        title="Gradient checkpointing",
        description="Compute activations twice instead of keeping them: slower, with less memory.",
    )
    checkpoint_steps: int = Field(
        default=0,
        ge=0,
        le=100_000,
        title="Checkpoint every",
        description="An interrupted run goes on from its last checkpoint, on a processor bit for bit. 0: one every two minutes, "
        "more seldom where writing one would take over a twentieth of the time.",
        json_schema_extra={"unit": "steps"},
    )
    probe_steps: int = Field(
        default=0,
        ge=0,
        le=100_000,
        title="Probe every",
        description="How often the probability of answers is measured while it trains; the best probed step that keeps retention "
        "is kept. 0: at the end of each epoch.",
        json_schema_extra={"unit": "steps"},
    )
    probe_examples: int = Field(
        default=64,
        ge=1,
        le=100_000,
        title="Probed examples",
        description="Examples of each kind that are measured then, at most, spread evenly over the file.",
        json_schema_extra={"unit": "examples"},
    )
    evaluated: int = Field(
        default=400,
        ge=2,
        le=1_000_000,
        title="Evaluated examples",
        description="At most so many examples of each file are measured before and after, drawn by the seed.",
        json_schema_extra={"unit": "examples"},
    )
    new_tokens: int = Field(
        default=64,
        ge=1,
        le=2048,
        title="Generated tokens",
        description="Longest answer that the model generates for a question, greedily.",
        json_schema_extra={"unit": "tokens"},
    )
    most_probability: float = Field(
        default=0.05,
        gt=0,
        lt=1,
        title="Forgotten below",
        description="Probability of an answer, per token, up to which it counts as forgotten: on average and one by one (ours).",
    )
    most_lost: float = Field(
        default=0.05,
        gt=0,
        lt=1,
        title="Retained within",
        description="Share of the probability of retained answers that may be lost (ours).",
    )
    gguf: bool = Field(
        default=True,
        title="GGUF",
        description="Write the unlearned model as GGUF too, where its architecture can be (llama, qwen2).",
    )
    quantised: tuple[Literal["Q8_0", "Q4_0"], ...] = Field(
        default=("Q8_0", "Q4_0"),
        title="Quantised files",
        description="Made from the GGUF file and measured one by one, since what is forgotten in 16 bits can come back in 4. "
        "Any of Q8_0, Q4_0; empty: none.",
    )
    relearn_steps: int = Field(
        default=20,
        ge=0,
        le=10_000,
        title="Relearning steps",
        description="A copy of the unlearned model is trained again, on answers to keep and on a few to forget, to see how fast "
        "the others come back (steps, number and rate are ours). 0: it is not.",
        json_schema_extra={"unit": "steps"},
    )
    relearn_items: int = Field(
        default=5,
        ge=1,
        le=10_000,
        title="Relearnt examples",
        description="Examples to forget that the copy is trained on again, drawn by the seed; at most half of them.",
        json_schema_extra={"unit": "examples"},
    )
    relearn_rate: float | None = Field(
        default=None,
        gt=0,
        le=1,
        title="Relearning rate",
        description="Learning rate of it, constant. Empty: the run's own.",
    )
    reference_model: str = Field(
        default="",
        title="Reference model",
        description="A model that was trained without what is to be forgotten, by name or path: forget quality, privleak and the "
        "relearning curve are compared with it. Empty: none.",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto",
        title="Device",
        description="auto: a graphics processor where there is one that holds the model.",
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        title="Number format",
        description="auto: the faster one, measured once on each machine; bfloat16 rounds losses by some hundredths of a nat. "
        "float32: without that.",
    )

    @field_validator("mapping")
    @classmethod
    def _known_fields(cls, mapping: dict[str, str]) -> dict[str, str]:
        for name in mapping:
            if name not in MAPPED:
                raise ValueError(f"there is no field {name!r}; fields are {', '.join(MAPPED)}")
        return mapping

    @field_validator("prompt")
    @classmethod
    def _whole_prompt(cls, prompt: str) -> str:
        if wrong := wrong_in_prompt(prompt):
            raise ValueError(wrong)
        return prompt

    @field_validator("quantised")
    @classmethod
    def _each_once(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(kinds)) < len(kinds):
            raise ValueError("a kind stands in it twice")
        return kinds

    # Rules between fields are told at one of the fields, so that a form can show them there.

    @field_validator("lambda_start")
    @classmethod
    def _balances(cls, first: float, asked: ValidationInfo) -> float:
        if first == 0 and asked.data.get("method") == "pdu" and asked.data.get("gamma") is None:
            raise ValueError("with 0 no gamma can be chosen that balances both terms: set a gamma, or a lambda above 0")
        return first

    @field_validator("lambda_cap")
    @classmethod
    def _above_the_first(cls, cap: float, asked: ValidationInfo) -> float:
        first = asked.data.get("lambda_start")
        if first is not None and cap < first:
            raise ValueError(f"it lies below the first lambda, {first:g}")
        return cap

    @field_validator("devices")
    @classmethod
    def _share_the_batches(cls, devices: int, asked: ValidationInfo) -> int:
        batches = asked.data.get("accumulation")
        if batches is not None and batches % devices:
            raise ValueError(
                f"{devices:,} devices cannot share the {batches:,} accumulated batches of a step evenly: set the accumulation to "
                f"{devices:,} or a multiple of it"
            )
        return devices

    @field_validator("settings")
    @classmethod
    def _known_settings(cls, given: dict[str, float], asked: ValidationInfo) -> dict[str, float]:
        method = str(asked.data.get("method"))
        if given and method in ("pdu", "learn"):
            raise ValueError(f"they are for the baselines; {method} has fields of its own")
        if method in BASELINES:
            _checked(BASELINES[method], given)
        return given

    @property
    def baseline_settings(self) -> Any:
        """Settings of a baseline, published ones where none were named.

        Raises
        ------
        KeyError
            If the method is no baseline.
        """
        return _checked(BASELINES[self.method], self.settings)

    @property
    def unlearns(self) -> bool:
        """Whether anything is to be forgotten at all."""
        return self.method != "learn"


def _checked(kind: type[BaseModel], given: Mapping[str, float]) -> BaseModel:
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
    if name not in kind.model_fields:
        known = ", ".join(kind.model_fields) or "none"
        raise ValueError(f"there is no setting {name!r}; there are: {known}")
    raise ValueError(f"{name}: {first['msg']}")
