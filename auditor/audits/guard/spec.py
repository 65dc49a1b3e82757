"""What is asked of a guard run."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from auditor.audits.guard.conditions import expanded

#: More labels than these are no set of classes to choose from (ours).
MOST_LABELS = 20
#: Fields that a column can be mapped to.
MAPPED = ("id", "text", "label", "group")

Level = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Backend = Literal["auto", "torch", "llama.cpp"]
Confidence = Literal["max", "gap", "entropy"]
DemonstrationRule = Literal["resampled", "fixed"]
Cover = Literal["mixture", "every attack"]


class GuardSpec(BaseModel):
    """Settings of a guard run. Form, command line and report are made from these fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(
        default="",
        title="Model",
        description="Name in the model library, or a GGUF file or folder of a causal language model. Empty: the first model of "
        "the library.",
    )
    labels: tuple[str, ...] = Field(
        default=(),
        max_length=MOST_LABELS,
        title="Labels",
        description="As they stand in the label column, separated by commas; wrong labels go round in this order. Empty: those "
        "that occur, in alphabetical order.",
    )
    label_words: dict[str, str] = Field(
        default_factory=dict,
        title="Words for labels",
        description="Label to the word that the model sees and is scored for. Needed where a label is not one token of the "
        "model, or is a number that says nothing; another label stands for itself.",
    )
    mapping: dict[str, str] = Field(
        default_factory=dict,
        title="Column mapping",
        description=f"Field ({', '.join(MAPPED)}) to column.",
        json_schema_extra={"fields": list(MAPPED)},
    )
    instruction: str = Field(
        default="Answer with one of: {labels}.",
        max_length=10_000,
        title="Instruction",
        description="Begins every prompt, with demonstrations and without. {labels} becomes the words of the labels. May be "
        "empty.",
    )
    demonstration: str = Field(
        default="Text: {text}\nLabel: {label}",
        max_length=2_000,
        title="Demonstration",
        description="How a demonstration is written, with {text} and {label}.",
    )
    query: str = Field(
        default="Text: {text}\nLabel:",
        max_length=2_000,
        title="Query",
        description="How the query is written, with {text}. It ends where the label would begin, without a blank.",
    )
    separator: str = Field(
        default="\n\n",
        max_length=100,
        title="Separator",
        description="Stands between instruction, demonstrations and query; \\n is a line break.",
    )
    demonstrations: DemonstrationRule = Field(
        default="resampled",
        title="Demonstrations of a query",
        description="resampled: drawn from the file for each query. fixed: the first of the file, in its order, for every query; "
        "the guarantee then is about this one set.",
    )
    n_demonstrations: int = Field(
        default=16,
        ge=1,
        le=500,
        title="Demonstrations in a prompt",
        description="The file needs at least so many, and for resampling better several times as many.",
    )
    attacks: tuple[str, ...] = Field(
        default=("cyclic",),
        min_length=1,
        max_length=100,
        title="Attacks",
        description="NAME, NAME:STRENGTH or NAME:all, separated by commas; + carries out one after the other, as in "
        "cyclic:0.5+last. The first one is what the guarantee is about. Names: cyclic, random, targeted, abstract, last, "
        "repeated, irrelevant, injection, own.",
    )
    target: str = Field(
        default="",
        max_length=200,
        title="Target label",
        description="Label that the attacks targeted and injection ask for. Empty: the first label.",
    )
    mixture: float = Field(
        default=0.5,
        ge=0,
        le=1,
        title="Corrupted queries",
        description="Share of the queries whose demonstrations the first attack has corrupted, in the calibration that the "
        "guarantee rests on. The guarantee holds for this mixture.",
    )
    more_mixtures: tuple[Share, ...] = Field(
        default=(0.05, 0.1, 0.25, 0.5, 1.0),
        max_length=20,
        title="Further mixtures",
        description="Shares of corrupted queries for which the risk is shown beside the guarantee, separated by commas.",
    )
    cover: Cover = Field(
        default="mixture",
        title="What the guarantee covers",
        description="mixture: queries with correct and corrupted demonstrations in the declared share. every attack: each of the "
        "attacks and correct demonstrations alone, all of them at once.",
    )
    epsilon: Level = Field(
        default=0.05,
        title="Epsilon",
        description="Most that demonstrations may lower the accuracy below zero-shot, as a share of the queries.",
    )
    more_epsilons: tuple[Level, ...] = Field(
        default=(0.01, 0.02, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5),
        max_length=50,
        title="Further epsilons",
        description="Of the curve of test risk against epsilon, separated by commas. They are shown, not certified.",
    )
    delta: float = Field(
        default=0.1,
        ge=0.001,
        le=0.5,
        title="Delta",
        description="Probability, over the draw of the calibration queries, that the risk exceeds epsilon after all.",
    )
    transform: Literal["scale", "clip"] = Field(
        default="scale",
        title="Losses",
        description="scale: what demonstrations gain offsets the harm. clip: harm alone counts, which is conservative.",
    )
    p_value: Literal["wsr", "hb", "binomial"] = Field(
        default="wsr",
        title="P-value",
        description="wsr: betting (Waudby-Smith and Ramdas). hb: Hoeffding-Bentkus. binomial: exact, for clipped losses only.",
        validate_default=True,
    )
    select: Literal["fixed", "holm", "bonferroni", "uncorrected"] = Field(
        default="fixed",
        title="Choice of the threshold",
        description="fixed: fixed-sequence testing from the safest threshold down. holm, bonferroni: all thresholds at once. "
        "uncorrected: as published code does it; it guarantees nothing and is for comparison.",
    )
    lambda_step: float = Field(
        default=0.01,
        ge=0.001,
        le=0.5,
        title="Step of the thresholds",
        description="Thresholds run from 1 down in steps of this.",
    )
    largest_group: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        title="Largest group",
        description="Where queries come in groups: no group has more queries than this, here or in service. The guarantee rests "
        "on it, so say it beforehand. Empty: the largest group of the file, and the guarantee is for groups up to that size.",
        json_schema_extra={"unit": "queries"},
    )
    options_tried: int = Field(
        default=1,
        ge=1,
        le=1000,
        title="Settings tried",
        description="How many settings, such as epsilons, confidences, templates, models or seeds, are tried on these "
        "calibration queries, this one included. Delta is divided by it (Bonferroni), so that the best of them may be kept.",
    )
    confidence_measure: Confidence = Field(
        default="max",
        title="Confidence",
        description="max: probability of the likeliest label. gap: its distance to the second. entropy: 1 - normalised entropy.",
    )
    contextual_calibration: bool = Field(
        default=True,
        title="Contextual calibration",
        description="At every layer, divide label probabilities by those after prompts without content, averaged over three "
        "neighbouring layers.",
    )
    first_exit: float = Field(
        default=0.5,
        ge=0,
        le=1,
        title="First exit",
        description="Part of the layers that is always computed; the model may answer early behind it.",
    )
    calibration_share: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        title="Calibration queries",
        description="Share of the queries on which the threshold is certified. The others test it.",
    )
    splits: int = Field(
        default=50,
        ge=0,
        le=1000,
        title="Splits",
        description="How often calibration and test queries are split anew for the curve of test risk. 0: none.",
    )
    limit: int | None = Field(
        default=None,
        ge=2,
        le=10_000_000,
        title="Limit",
        description="Take the first so many queries of the file. Empty: all.",
        json_schema_extra={"unit": "queries"},
    )
    influence_queries: int = Field(
        default=20,
        ge=0,
        le=10_000,
        title="Queries for influence",
        description="Queries asked again without each demonstration in turn, to rank the demonstrations that hurt. 0: none.",
        json_schema_extra={"unit": "queries"},
    )
    attention_queries: int = Field(
        default=20,
        ge=0,
        le=10_000,
        title="Queries for attention",
        description="Queries whose attention to the demonstrations' labels is averaged by layer and head. 0: none.",
        json_schema_extra={"unit": "queries"},
    )
    timing_queries: int = Field(
        default=20,
        ge=0,
        le=10_000,
        title="Queries for timing",
        description="Queries answered once more with a true early exit and a clock. 0: none.",
        json_schema_extra={"unit": "queries"},
    )
    backend: Backend = Field(
        default="auto",
        title="Backend",
        description="torch: every layer can answer. llama.cpp: GGUF files as they are, with one exit. auto: torch where it "
        "can run the model.",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto",
        title="Device",
        description="auto: a graphics processor where there is one that holds the model.",
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        title="Number format",
        description="auto: bfloat16 where a short measurement shows that it is faster, else float32.",
    )

    @field_validator("labels", "attacks", "more_mixtures", "more_epsilons")
    @classmethod
    def _each_once(cls, names: tuple[object, ...]) -> tuple[object, ...]:
        if len(set(names)) != len(names):
            raise ValueError("an entry stands twice")
        return names

    @field_validator("attacks")
    @classmethod
    def _known_attacks(cls, attacks: tuple[str, ...]) -> tuple[str, ...]:
        expanded(attacks)
        return attacks

    @field_validator("mapping")
    @classmethod
    def _known_fields(cls, mapping: dict[str, str]) -> dict[str, str]:
        for name in mapping:
            if name not in MAPPED:
                raise ValueError(f"there is no field {name!r}; fields are {', '.join(MAPPED)}")
        return mapping

    @field_validator("label_words")
    @classmethod
    def _filled_words(cls, words: dict[str, str]) -> dict[str, str]:
        for label, word in words.items():
            if not word.strip():
                raise ValueError(f"the label {label!r} has no word")
        return {label: word.strip() for label, word in words.items()}

    @field_validator("demonstration")
    @classmethod
    def _whole_demonstration(cls, written: str) -> str:
        return _with_fields(written, ("{text}", "{label}"))

    @field_validator("query")
    @classmethod
    def _whole_query(cls, written: str) -> str:
        if written != written.rstrip(" "):
            raise ValueError("it ends in a blank, but the label's own token begins with one")
        return _with_fields(written, ("{text}",))

    # Rules between fields are told at one of the fields, so that a form can show them there.

    @field_validator("p_value")
    @classmethod
    def _proven(cls, p_value: str, asked: ValidationInfo) -> str:
        if p_value == "binomial" and asked.data.get("transform") == "scale":
            raise ValueError("binomial is exact for clipped losses only: choose Losses clip, or wsr or hb")
        return p_value

    @field_validator("target")
    @classmethod
    def _known_target(cls, target: str, asked: ValidationInfo) -> str:
        labels = asked.data.get("labels")
        if target and labels and target not in labels:
            raise ValueError(f"the target {target!r} is none of the labels")
        return target

    @property
    def conditions(self) -> tuple[str, ...]:
        """Attacks in their full spelling, each once; the first is what the guarantee is about."""
        return expanded(self.attacks)


def _with_fields(written: str, names: tuple[str, ...]) -> str:
    for name in names:
        if written.count(name) != 1:
            raise ValueError(f"{name} must stand in it once")
    return written
