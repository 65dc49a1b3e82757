"""What came out of a guard run: the certificate, what it bought and cost, and what it was made of."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from auditor.audits.findings import Findings
from auditor.stats.risk_control import PValue, Select, Transform


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LabelInfo(_Part):
    """A label and how the model says it."""

    label: str = Field(description="As the files have it.")
    word: str = Field(description="As the prompt has it.")
    spellings: tuple[str, ...] = Field(description="Its single-token spellings, with their leading spaces.")


class PromptInfo(_Part):
    """The prompt, word for word."""

    instruction: str
    demonstration: str = Field(description="Template of one demonstration.")
    query: str = Field(description="Template of the query.")
    separator: str
    example: str = Field(description="The whole prompt of the first query with its demonstrations.")
    example_zero_shot: str = Field(description="The same without demonstrations.")
    tokens: float = Field(description="Mean number of tokens of a prompt with demonstrations.")
    tokens_zero_shot: float


class ReadoutInfo(_Part):
    """How the model's layers are read."""

    n_layers: int
    n_exits: int = Field(description="Equal to the layers; 1 where the model shows no inner layers.")
    first_exit: int = Field(description="First layer after which the guard may answer, from 1.")
    confidence: Literal["max", "gap", "entropy"]
    contextual_calibration: bool
    content_free: tuple[str, ...] = Field(
        description="Texts without content that contextual calibration was made with."
    )


class PoolsInfo(_Part):
    """Who took part in what; the pools are disjoint by query and group."""

    n_calibration: int
    n_test: int
    n_demonstrations: int = Field(description="Demonstrations that prompts are made from.")
    n_per_prompt: int
    demonstrations: Literal["resampled", "fixed"]
    n_groups: int = Field(description="Groups of the queries; the number of queries where none are given.")


class CertificateInfo(_Part):
    """What risk control allowed."""

    certified: bool = Field(description="Whether a threshold below 1 passed; a guarantee only where `guaranteed` is.")
    lambda_hat: float = Field(description="1 where nothing passed: always zero-shot.")
    epsilon: float
    delta: float = Field(description="As asked for.")
    delta_spent: float = Field(description="The level of this certificate: delta over the number of options tried.")
    options_tried: int
    n: int = Field(description="Calibration queries.")
    largest_group: int = Field(
        default=1,
        description="Queries in the largest group there can be, as far as the guarantee goes; 1 without groups.",
    )
    largest_declared: bool = Field(
        default=False, description="Whether that was said beforehand, or is that of the file."
    )
    lambda_step: float = Field(default=0.01, description="Between two thresholds of the grid.")
    n_units: int = Field(
        description="Groups of them, which are the units of the tests; the queries where there are none."
    )
    p_value: PValue
    transform: Transform
    select: Select
    p_at: float | None = Field(description="p-value at lambda_hat; None where nothing passed.")
    p_first: float | None = Field(description="p-value at the first threshold that was tested.")
    guaranteed: bool = Field(description="False for the uncorrected rule.")
    lambda_uncorrected: float = Field(description="What the published rule would pick, without any guarantee.")
    cover: Literal["mixture", "every attack"]
    covered: tuple[str, ...] = Field(description="Conditions the guarantee covers.")
    mixture: float = Field(description="Share of queries whose demonstrations are corrupted, in the mixture.")
    primary: str = Field(description="Condition of the corrupted demonstrations of the mixture.")
    sentence: str = Field(description="What the guarantee covers, and what it does not.")
    fewest_harmless: int | None = Field(
        default=None, description="Queries, or groups of sizes as here, that would certify a loss of 0 everywhere."
    )
    fewest_helpful: int | None = Field(
        default=None, description="Those that would certify helpful demonstrations in 80% of draws."
    )


class SplitsInfo(_Part):
    """Test risk over new splits."""

    n_splits: int
    share: float = Field(description="Share of the queries that calibrates.")
    above: int = Field(description="Splits whose test risk exceeds epsilon, at the epsilon of the run.")
    above_uncorrected: int = Field(description="The same with the published rule, for comparison.")


class GuardFindings(Findings):
    """Findings of the guard audit."""

    state: Literal["certified", "not certified"]
    model_name: str
    model_sha256: str
    is_starter: bool
    backend: str = Field(description="torch or llama.cpp.")
    device: str
    dtype: str
    labels: tuple[LabelInfo, ...]
    prompt: PromptInfo
    readout: ReadoutInfo
    pools: PoolsInfo
    conditions: tuple[str, ...] = Field(description="All that were scored, in the order of their tables.")
    certificate: CertificateInfo
    splits: SplitsInfo | None = None
    confidence: float = Field(default=0.95, description="Coverage of every interval that is shown.")
    n_influence: int = Field(default=0, description="Queries behind the influence of demonstrations.")
    n_attention: int = Field(default=0, description="Queries behind the attention map.")
    n_timing: int = Field(default=0, description="Queries that the early exit was timed on.")


LIMITATIONS = [
    "The guarantee is relative to zero-shot: it says how much worse than no demonstrations at all, not how good the model is.",
    "It is marginal: over queries drawn like the calibration queries and over the drawing of demonstrations, not for each query.",
    "It covers the demonstrations and the corruption that calibration saw, and nothing about a new attacker.",
]
