"""What came out of evaluating a model: every example with its figures, and the metrics made of them."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from auditor.audits.unlearning.metrics.metric import Metric
from auditor.audits.unlearning.words import cut_words

#: Measures, beside those named after it, that are made of ROUGE among others.
_OF_ROUGE = ("model_utility",)


class EvaluationSettings(BaseModel):
    """What figures depend on beside the model, the examples and the template."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_new_tokens: int = Field(
        default=200, ge=0, le=4096, description="Tokens after which a generated answer is cut; 0: nothing is generated."
    )
    max_tokens: int | None = Field(
        default=None,
        ge=2,
        description="Plain texts are read in pieces of at most so many tokens; the model's own if None.",
    )
    stops: tuple[str, ...] = Field(default=(), description="Spellings that end a generated answer.")
    ends_answers: bool = Field(
        default=True,
        description="Whether the token that ends a text is read as the last one of an answer. It counts for losses and "
        "TOFU's probability, and not for the probability of the answer alone, memorisation and min-k.",
    )
    min_k: float = Field(default=0.4, gt=0, le=1, description="Share of the tokens that min-k and min-k++ look at.")


class Scored(BaseModel):
    """One example and what the model makes of it; figures that it has not are None."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    set: str = Field(description="forget, retain, holdout, real_authors or world_facts.")
    id: str
    row: int
    question: str | None
    answer: str
    n_tokens: int = Field(description="Tokens of the answer that were read.")
    loss: float = Field(description="Mean loss over them, nats a token.")
    probability: float = Field(
        description="exp(-loss), TOFU's: with the token that ends the answer, where that is read."
    )
    answer_probability: float = Field(
        description="The same over the answer's own tokens alone: a model that gives an answer and does not end there knows it."
    )
    probability_among: float | None = Field(
        default=None, description="Probability over the sum of those of the answer and of the wrong answers."
    )
    truth_ratio: float | None = Field(default=None, description="R; see `metrics.truth_ratio`.")
    exact_memorisation: float | None = None
    extraction_strength: float | None = None
    prompt: str | None = Field(
        default=None, description="What was continued, if that is not the question as it was put."
    )
    wanted: str | None = Field(default=None, description="What the generated text is compared with.")
    generation: str | None = None
    rouge_recall: float | None = None
    rouge_f1: float | None = None
    scores: dict[str, float] = Field(default_factory=dict, description="Membership scores by attack.")

    @property
    def key(self) -> str:
        """What tells the example in an evaluation of another model: question and answer, whatever blanks they have."""
        return f"{spaced(self.question or '')}\n{spaced(self.answer)}"


class Evaluation(BaseModel):
    """Metrics of a model on sets of examples."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metrics: dict[str, Metric]
    examples: tuple[Scored, ...]
    settings: EvaluationSettings
    seed: int

    def of(self, name: str) -> list[Scored]:
        """Examples of a set, in the order of their file."""
        return [one for one in self.examples if one.set == name]


def told_of_cuts(metrics: Mapping[str, Metric], settings: EvaluationSettings) -> dict[str, Metric]:
    """Measures with the length of generated answers noted at every ROUGE, where it is not that of published figures."""
    told = cut_words(settings.max_new_tokens)
    noted = {name: found for name, found in metrics.items() if "rouge" in name or name in _OF_ROUGE}
    return dict(metrics) | {
        name: found.model_copy(update={"note": " ".join(filter(None, (told, found.note)))})
        for name, found in noted.items()
        if found.value is not None
    }


def spaced(text: str) -> str:
    """A text with one blank between words."""
    return " ".join(text.split())
