"""What is asked of a rating run."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from auditor.audits.rating.prompt import Scope

AxisName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class RatingSpec(BaseModel):
    """Settings of a rating run. Form, command line and report are made from these fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(
        default="",
        title="Judge model",
        description="Name in the model library, or a GGUF file. Empty: the first model of the library.",
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
    explain: bool = Field(
        default=False,
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

    @field_validator("axes")
    @classmethod
    def _each_once(cls, axes: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(axes)) != len(axes):
            raise ValueError("an axis stands twice")
        return axes
