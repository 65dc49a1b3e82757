"""What came out of a rating run: a summary per axis, and the verdict made of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from auditor.audits.findings import Caution, Column, Findings, Verdict
from auditor.audits.rating.rubric import Rubric
from auditor.models import ModelFile
from auditor.models.starter import STARTER_WARNING
from auditor.stats.bootstrap import mean_interval

#: Above this share of one and the same most probable score, a judge tells nothing apart (our choice).
CONSTANT_SHARE = 0.95
#: Below this number of groups the bootstrap interval is too narrow to be quoted without a word (our choice).
FEW_GROUPS = 20


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


def summarise(
    name: str,
    title: str,
    p: NDArray[np.float64],
    groups: Sequence[str] | None,
    *,
    confidence: float,
    seed: int,
) -> AxisSummary:
    """Summary of an axis.

    Parameters
    ----------
    p : ndarray of shape (n, 5)
        Probability of each score, a row a conversation.
    """
    expected = p @ np.arange(1, 6)
    interval = mean_interval(expected, groups, confidence=confidence, seed=seed)
    modes = np.bincount(p.argmax(axis=1), minlength=5)
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
    )


def verdict(axes: Sequence[AxisSummary], n: int, model: ModelFile, *, scope: str, confidence: float) -> Verdict:
    """The outcome in one sentence."""
    what = "last replies" if scope == "last_response" else "conversations"
    if n == 1:
        what = what.removesuffix("s") if scope == "conversation" else "last reply"
    parts = ", ".join(f"{axis.title.lower()} {axis.mean:.2f}{_bounds(axis, confidence)}" for axis in axes)
    sentence = f"{n:,} {what} rated by {model.name} from 1 to 5: {parts}; no human ratings were compared"
    sentence += f" ({STARTER_WARNING})." if model.is_starter else "."
    return Verdict(state="rated by the starter model" if model.is_starter else "rated", sentence=sentence)


def _bounds(axis: AxisSummary, confidence: float) -> str:
    if axis.low is None or axis.high is None:
        return " (no interval: a single group)"
    return f" ({confidence:.0%} CI {axis.low:.2f} to {axis.high:.2f})"


def cautions(
    axes: Sequence[AxisSummary], model: ModelFile, *, n_skipped: int, n_truncated: int, n_ctx: int
) -> list[Caution]:
    """Everything a reader of the numbers must know, counted."""
    found = []
    if model.is_starter:
        found.append(Caution(code="starter", message=STARTER_WARNING, count=sum(axis.n for axis in axes)))
    if n_skipped:
        message = f"{n_skipped:,} records could not be rated and are listed in the table of skipped records."
        found.append(Caution(code="skipped", message=message, count=n_skipped))
    if n_truncated:
        message = (
            f"Of {n_truncated:,} conversations the earliest turns did not fit into {n_ctx:,} tokens and were left out: "
            "their ratings rest on what was left."
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


LIMITATIONS = [
    "The scores are the judge model's, not people's; they were not compared with human ratings in this run.",
    "The probabilities are not calibrated: a sure judge can be wrong.",
    "Judges are known to favour longer and more fluent answers.",
    "Judges react to wording and order of the prompt: compare only runs with the same order, rubric and model file.",
    "The intervals show what another sample of conversations would change, not the judge's own error.",
]

RATINGS_COLUMNS = (
    Column(name="id", title="Conversation", description="Id in the file, or row-<n>."),
    Column(name="row", title="Row", description="Record number in the input, from 1."),
    Column(
        name="group", title="Group", description="Conversations that belong together; drawn together for intervals."
    ),
    Column(name="axis", title="Axis", description="Axis of the rubric."),
    Column(name="expected", title="Expected", description="Sum of i p(i), from 1 to 5."),
    Column(name="mode", title="Most probable", description="Score with the highest p; the lower one of equals."),
    Column(name="entropy", title="Entropy", description="-sum p log p; 0 is sure, 1.609 is clueless.", unit="nats"),
    *(
        Column(
            name=f"p{score}",
            title=f"p({score})",
            description=f"Softmax over the logits of the tokens 1 to 5 after 'Rating:', probability of {score}.",
        )
        for score in range(1, 6)
    ),
    Column(
        name="truncated_turns", title="Turns left out", description="Earliest turns that did not fit into the context."
    ),
    Column(name="explanation", title="Explanation", description="The judge's sentence after its score, if asked for."),
)
DISTRIBUTION_COLUMNS = (
    Column(name="axis", title="Axis", description="Axis of the rubric."),
    Column(name="score", title="Score", description="1 to 5."),
    Column(name="count", title="Most probable in", description="Conversations in which this score has the highest p."),
    Column(name="mean_p", title="Mean p", description="Mean probability of this score over all conversations."),
)
SKIPPED_COLUMNS = (
    Column(name="row", title="Row", description="Record number in the input, from 1."),
    Column(name="problem", title="Problem", description="Why the record could not be rated, and what would help."),
)
