"""What is asked of a rating run."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from auditor.audits.rating.prompt import Scope
from auditor.audits.rating.variants import MergeRule, VariantName

#: More judges than these are no ensemble but a mistake (ours).
MOST_JUDGES = 8

AxisName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class RatingSpec(BaseModel):
    """Settings of a rating run. Form, command line and report are made from these fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(
        default="",
        title="Judge model",
        description="Name in the model library, or a GGUF file. Empty: the first model of the library.",
    )
    more_models: tuple[str, ...] = Field(
        default=(),
        max_length=MOST_JUDGES - 1,
        title="Further judges",
        description="Names of more models of the library, separated by commas. Judges run one after another, so that memory "
        "holds one; their scores are merged.",
    )
    variants: tuple[VariantName, ...] = Field(
        default=("5",),
        min_length=1,
        title="Prompts",
        description="Each judge is asked each of these, separated by commas: 5 or 4 (scale from 1 to 5 or to 4), 5-examples or "
        "4-examples (with rated examples).",
    )
    merge: MergeRule = Field(
        default="mean",
        title="Merge by",
        description="How the scores of several judges or prompts become one. The paper's choice is the mean.",
    )
    paraphrase: bool = Field(
        default=False,
        title="Probe with a paraphrased prompt",
        description="Ask the first judge once more in other words and report how many scores change. Takes as long as a "
        "further judge.",
    )
    order_probe: int = Field(
        default=0,
        ge=0,
        le=1000,
        title="Pairs for the order probe",
        description="Ask the first judge about so many pairs of replies to one context which is better, in both orders, and "
        "report how often its choice changes. 0: none. Needs groups.",
        json_schema_extra={"unit": "pairs"},
    )
    axes: tuple[AxisName, ...] = Field(
        default=(),
        title="Axes",
        description="Names of the rubric's axes to rate, separated by commas. Empty: all of them.",
    )
    # The paper rates responses; earlier turns are the context of the response (our reading of it).
    scope: Scope = Field(
        default="last_response",
        title="What is rated",
        description="The assistant's last reply with what came before as context, or the assistant over the whole conversation.",
    )
    limit: int | None = Field(
        default=None,
        ge=1,
        le=100_000_000,
        title="Limit",
        description="Rate the first so many conversations of the file. Empty: all.",
        json_schema_extra={"unit": "conversations"},
    )
    explain: Literal["none", "all"] = Field(
        default="none",
        title="Explanations",
        description="Let the judge write one sentence after each score. Several times slower; the sentence is the model's "
        "wording, not a proof of why it chose the score.",
    )
    n_ctx: int = Field(
        default=2048,
        ge=512,
        le=32_768,
        title="Context length",
        description="Tokens the judge sees at once; of longer conversations the earliest turns are left out, and counted.",
        json_schema_extra={"unit": "tokens"},
    )
    confidence: float = Field(
        default=0.95,
        ge=0.5,
        le=0.999,
        title="Confidence",
        description="Nominal coverage of the intervals around the means.",
    )
    mapping: dict[str, str] = Field(
        default_factory=dict,
        title="Column mapping",
        description="For tables: field (id, group, role, text, prompt, response, context) to column.",
        json_schema_extra={"fields": ["id", "group", "role", "text", "prompt", "response", "context"]},
    )

    people_scale: tuple[str, ...] = Field(
        default=("1-5",),
        title="People's scale",
        description="Scale that people used in the file of human ratings: LOW-HIGH, or AXIS=LOW-HIGH for one axis, separated "
        "by commas. On another scale than 1-5 only ranks are compared, unless it is mapped.",
    )
    people_mapping: Literal["none", "linear"] = Field(
        default="none",
        title="Map people's scale",
        description="linear: a score s of theirs counts as 1 + (s - low) 4 / (high - low), so that agreement in points can be "
        "computed. A declared rule, not a measurement.",
    )
    calibration: Literal["none", "temperature", "isotonic"] = Field(
        default="temperature",
        title="Calibration",
        description="Fitted on a quarter of the contexts that people rated, before a confidence is believed.",
    )
    epsilon: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        title="Accept at most this disagreement",
        description="Certify a confidence from which on at most this share of ratings disagrees with people. Empty: no "
        "certificate. Needs human ratings.",
    )
    delta: float = Field(
        default=0.1,
        ge=0.001,
        le=0.5,
        title="Probability that a certificate is wrong",
        description="The certified share may be exceeded with at most this probability over the draw of the rated contexts.",
    )
    within: int = Field(
        default=1,
        ge=0,
        le=3,
        title="Points that count as agreement",
        description="A rating disagrees when it is further than this from the rounded mean of people's scores. Ours.",
        json_schema_extra={"unit": "points"},
    )

    @field_validator("axes", "variants", "more_models")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) != len(names):
            raise ValueError("a name stands twice")
        return names

    @field_validator("explain", mode="before")
    @classmethod
    def _as_it_was(cls, value: object) -> object:
        # Runs of earlier versions asked with yes or no.
        return {True: "all", False: "none"}.get(value, value) if isinstance(value, bool) else value
