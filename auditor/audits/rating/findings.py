"""What came out of a rating run: a summary per axis, and the verdict made of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from auditor.audits.findings import Caution, Column, Findings, Verdict
from auditor.audits.rating.agreement import AxisAgreement, Estimate
from auditor.audits.rating.certificate import AxisCertificate, percent
from auditor.audits.rating.rubric import Rubric
from auditor.models import ModelFile
from auditor.models.starter import STARTER_WARNING
from auditor.stats.bootstrap import FEW_GROUPS, mean_interval

#: Above this share of one and the same most probable score, a judge tells nothing apart (our choice).
CONSTANT_SHARE = 0.95


class AxisSummary(BaseModel):
    """One axis over all rated conversations. Scores run from 1 to 5."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    n: int = Field(ge=1)
    groups: int = Field(ge=1, description="Clusters of the bootstrap.")
    mean: float = Field(description="Mean expected score.")
    low: float | None = Field(description="Lower bound of the interval; None with a single group.")
    high: float | None
    median: float
    sd: float = Field(description="Standard deviation of expected scores, divisor n.")
    entropy: float = Field(description="Mean entropy of p, nats; 0 is sure, 1.609 is clueless.")
    modes: tuple[int, int, int, int, int] = Field(description="How often 1, 2, 3, 4, 5 was most probable.")
    p: tuple[float, float, float, float, float] = Field(description="Mean probability of 1, 2, 3, 4, 5.")
    spread: float | None = Field(
        default=None, description="Mean standard deviation of the judges' expected scores; None for a single judge."
    )


class JudgeInfo(BaseModel):
    """A judge that took part."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    sha256: str
    quantisation: str
    is_starter: bool
    plan: dict[str, Any] = Field(description="How its prompts were cut into batches.")
    plan_tokens_per_s: dict[str, float] = Field(description="Speed of every plan that was tried on this machine.")
    device: str
    means: dict[str, dict[str, float]] = Field(description="Variant -> axis -> its mean expected score, from 1 to 5.")


class Paraphrase(BaseModel):
    """How the first judge's scores change on an axis when it is asked in other words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    axis: str
    n: int
    same: float = Field(description="Share of conversations whose most probable score stays.")
    mean_difference: float = Field(description="Mean expected score of the paraphrase less that of the prompt.")
    mean_absolute_difference: float


class PairOrder(BaseModel):
    """How often the first judge's choice between two replies changes when they change places."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int = Field(description="Pairs that were asked in both orders.")
    groups: int = Field(description="Groups of these pairs; the interval takes pairs as independent.")
    n_flipped: int = Field(description="Pairs in which another reply is chosen when the order is swapped.")
    flipped: Estimate = Field(description="Their share, Clopper-Pearson interval.")
    first_chosen: float | None = Field(description="Share of all 2n answers that chose the reply shown first.")
    p_first: float | None = Field(description="Mean probability of the reply shown first, over all 2n answers.")
    skipped: int = Field(description="Pairs that did not fit into the context.")


class RatingFindings(Findings):
    """Findings of the rating audit."""

    axes: list[AxisSummary]
    confidence: float
    scope: str
    order: str = Field(description="Order of the prompt; part of the instrument.")
    rubric: Rubric = Field(description="Every word of the rubric that was used.")
    rubric_sha256: str
    model_name: str
    model_sha256: str
    model_quantisation: str
    is_starter: bool
    n_skipped: int = Field(ge=0, description="Records that could not be rated.")
    n_truncated: int = Field(ge=0, description="Conversations of which the earliest turns were left out.")
    judges: list[JudgeInfo] = Field(default_factory=list)
    variants: list[str] = Field(default_factory=lambda: ["5"])
    merge: str = "mean"
    paraphrase: list[Paraphrase] = Field(default_factory=list)
    order_probe: PairOrder | None = Field(default=None, description="Pairs in both orders, if asked for.")
    agreement: list[AxisAgreement] = Field(default_factory=list, description="Beside people, where a file was given.")
    certificates: list[AxisCertificate] = Field(default_factory=list)


def summarise(
    name: str,
    title: str,
    p: NDArray[np.float64],
    groups: Sequence[str] | None,
    *,
    confidence: float,
    seed: int,
    expected: NDArray[np.float64] | None = None,
    mode: NDArray[np.int64] | None = None,
    spread: float | None = None,
) -> AxisSummary:
    """Summary of an axis.

    Parameters
    ----------
    p : ndarray of shape (n, 5)
        Probability of each score, a row a conversation.
    expected : ndarray of shape (n,), optional
        Expected scores where they are not those of `p`: merged by median or majority.
    mode : ndarray of shape (n,), optional
        Most probable scores, 1 to 5, where ties were decided otherwise than for the lower one.
    """
    expected = p @ np.arange(1, 6) if expected is None else expected
    interval = mean_interval(expected, groups, confidence=confidence, seed=seed)
    modes = np.bincount(p.argmax(axis=1) if mode is None else mode - 1, minlength=5)
    logs = np.log(np.where(p > 0, p, 1.0))
    return AxisSummary(
        name=name,
        title=title,
        n=interval.n,
        groups=interval.clusters,
        mean=interval.mean,
        low=interval.low,
        high=interval.high,
        median=float(np.median(expected)),
        sd=float(expected.std()),
        entropy=float(-(p * logs).sum(axis=1).mean()),
        modes=tuple(int(count) for count in modes),
        p=tuple(float(share) for share in p.mean(axis=0)),
        spread=spread,
    )


def verdict(
    axes: Sequence[AxisSummary],
    n: int,
    models: Sequence[ModelFile],
    *,
    scope: str,
    confidence: float,
    people: str | None,
) -> Verdict:
    """The outcome in one sentence; `people` says how it stands beside human ratings, None if there are none."""
    what = "last replies" if scope == "last_response" else "conversations"
    if n == 1:
        what = what.removesuffix("s") if scope == "conversation" else "last reply"
    who = " and ".join(model.name for model in models)
    parts = ", ".join(f"{axis.title.lower()} {axis.mean:.2f}{_bounds(axis, confidence)}" for axis in axes)
    sentence = f"{n:,} {what} rated by {who} from 1 to 5: {parts}; {people or 'no human ratings were compared'}"
    is_starter = any(model.is_starter for model in models)
    sentence += f" ({STARTER_WARNING})." if is_starter else "."
    return Verdict(state="rated by the starter model" if is_starter else "rated", sentence=sentence)


def _bounds(axis: AxisSummary, confidence: float) -> str:
    if axis.low is None or axis.high is None:
        return " (no interval: a single group)"
    return f" ({percent(confidence)} CI {axis.low:.2f} to {axis.high:.2f})"


def cautions(
    axes: Sequence[AxisSummary], models: Sequence[ModelFile], *, n_skipped: int, n_truncated: int, n_ctx: int
) -> list[Caution]:
    """Everything a reader of the numbers must know, counted."""
    found = []
    if any(model.is_starter for model in models):
        found.append(Caution(code="starter", message=STARTER_WARNING, count=sum(axis.n for axis in axes)))
    if n_skipped:
        message = f"{n_skipped:,} records could not be rated and are listed in the table of skipped records."
        found.append(Caution(code="skipped", message=message, count=n_skipped))
    if n_truncated:
        message = (
            f"Of {n_truncated:,} conversations some turns did not fit into {n_ctx:,} tokens and were left out, those after "
            "the assistant's last one first, then the earliest: their ratings rest on what was left."
        )
        found.append(Caution(code="truncated", message=message, count=n_truncated))
    for axis in axes:
        share = max(axis.modes) / axis.n
        if axis.n >= FEW_GROUPS and share > CONSTANT_SHARE:
            score = axis.modes.index(max(axis.modes)) + 1
            message = (
                f"{axis.title}: {share:.0%} of the most probable scores are {score}. A judge that gives the same "
                "answer nearly every time tells nothing apart."
            )
            found.append(Caution(code="constant", message=message, count=max(axis.modes)))
    groups = min(axis.groups for axis in axes)
    if groups < FEW_GROUPS:
        message = f"The intervals rest on {groups} groups; with fewer than {FEW_GROUPS} they are too narrow."
        found.append(Caution(code="few_groups", message=message, count=groups))
    return found


NOT_COMPARED = "The scores are the judge model's, not people's; they were not compared with human ratings in this run."
COMPARED = (
    "The scores are the judge model's, not people's. Agreement is with the people whose ratings were given, on the "
    "conversations they rated; of others it says nothing."
)
LIMITATIONS = [
    "The probabilities are not calibrated: a sure judge can be wrong.",
    "Judges are known to favour longer and more fluent answers.",
    "Judges react to wording and order of the prompt: compare only runs with the same order, rubric and model file.",
    "The intervals show what another sample of conversations would change, not the judge's own error.",
]


def limitations(*, compared: bool) -> list[str]:
    """What the numbers do not show."""
    return [COMPARED if compared else NOT_COMPARED, *LIMITATIONS]


RATINGS_COLUMNS = (
    Column(name="id", title="Conversation", description="Id in the file, or row-<n>."),
    Column(name="row", title="Row", description="Record number in the input, from 1."),
    Column(
        name="group", title="Group", description="Conversations that belong together; drawn together for intervals."
    ),
    Column(name="axis", title="Axis", description="Axis of the rubric."),
    Column(
        name="expected",
        title="Expected",
        description="Sum of i p(i), from 1 to 5; of several judges or prompts as the method says.",
    ),
    Column(name="mode", title="Most probable", description="Score with the highest p; the lower one of equals."),
    Column(name="entropy", title="Entropy", description="-sum p log p; 0 is sure, 1.609 is clueless.", unit="nats"),
    *(
        Column(
            name=f"p{score}",
            title=f"p({score})",
            description=f"Probability of {score}: softmax over the logits of the digit tokens after 'Rating:'; of several "
            "judges, or of a scale from 1 to 4, as the method says.",
        )
        for score in range(1, 6)
    ),
    Column(
        name="spread",
        title="Spread",
        description="Standard deviation of the judges' expected scores; empty for a single judge.",
    ),
    Column(
        name="length",
        title="Length",
        description="Of what is rated: the last reply, or all replies.",
        unit="characters",
    ),
    Column(
        name="truncated_turns", title="Turns left out", description="Earliest turns that did not fit into the context."
    ),
    Column(name="explanation", title="Explanation", description="The judge's sentence after its score, if asked for."),
    Column(
        name="prompt", title="Prompt", description="SHA-256 of the model's hash and the exact tokens of the prompt."
    ),
)
JUDGEMENTS_COLUMNS = (
    Column(name="id", title="Conversation", description="Id in the file, or row-<n>."),
    Column(name="row", title="Row", description="Record number in the input, from 1."),
    Column(name="axis", title="Axis", description="Axis of the rubric."),
    Column(name="judge", title="Judge", description="Name of the model."),
    Column(name="variant", title="Prompt", description="Variant of the prompt."),
    Column(name="scale", title="Scale", description="Highest score of the variant's scale."),
    Column(name="expected", title="Expected", description="Expected score; from 1 to 4 it counts 1 + (s - 1) 4/3."),
    Column(name="mode", title="Most probable", description="Most probable score, on the variant's own scale."),
    Column(name="entropy", title="Entropy", description="-sum p log p.", unit="nats"),
    *(
        Column(name=f"p{score}", title=f"p({score})", description=f"Probability of {score} on the variant's own scale.")
        for score in range(1, 6)
    ),
    Column(name="explanation", title="Explanation", description="The judge's sentence after its score, if asked for."),
)
DISTRIBUTION_COLUMNS = (
    Column(name="axis", title="Axis", description="Axis of the rubric."),
    Column(name="score", title="Score", description="1 to 5."),
    Column(name="count", title="Most probable in", description="Conversations in which this score has the highest p."),
    Column(name="mean_p", title="Mean p", description="Mean probability of this score over all conversations."),
)
PAIR_COLUMNS = (
    Column(name="pair", title="Pair", description="Number of the pair, from 0, in the order in which it was drawn."),
    Column(name="group", title="Group", description="Context that both replies answer."),
    Column(name="row_a", title="First reply", description="Record number of the first reply."),
    Column(name="row_b", title="Second reply", description="Record number of the second reply."),
    Column(
        name="p_a_first",
        title="p(first), shown first",
        description="Probability of choosing the first reply where it stands as A; empty where the pair does not fit.",
    ),
    Column(
        name="p_b_first",
        title="p(second), shown first",
        description="Probability of choosing the second reply where it stands as A; empty where the pair does not fit.",
    ),
)
SKIPPED_COLUMNS = (
    Column(name="row", title="Row", description="Record number in the input, from 1."),
    Column(name="problem", title="Problem", description="Why the record could not be rated, and what would help."),
)
