"""What a report says of the method of a rating run, in plain text."""

from auditor.audits.rating.findings import RatingFindings
from auditor.audits.rating.people_text import people_methods
from auditor.audits.rating.rubric import Axis
from auditor.stats.bootstrap import N_RESAMPLES

_READING = (
    "One forward pass for each axis, nothing is sampled. The logits of the tokens 1 to 5 after 'Rating:' give p(1) to "
    "p(5) by a softmax over these five. The expected score is the sum of i p(i); the most probable score is the i "
    "with the highest p(i); entropy is -sum p log p in nats. A model whose vocabulary lacks five distinct single "
    "tokens for the digits is refused. The axes are those of arXiv:2511.02044; wording of prompt and rubric is "
    "Auditor's own."
)
_SCOPES = {
    "last_response": "The judge rates the assistant's last reply; the turns before it are shown as context.",
    "conversation": "The judge rates the assistant over the whole conversation.",
}


def methods(findings: RatingFindings) -> list[tuple[str, str]]:
    """Heading and text pairs; the rubric word for word."""
    intervals = (
        f"{findings.confidence:.0%} percentile bootstrap of the mean expected score: {N_RESAMPLES:,} draws of whole "
        f"groups with replacement (conversations without a group stand alone), seed {findings.provenance.seed}."
    )
    long = (
        "When a conversation exceeds the context, its earliest turns are left out, a mark stands in their place, and "
        f"the conversation is counted: {findings.n_truncated:,} here."
    )
    rubric = findings.rubric
    return [
        ("How a score is read", _READING),
        ("What is rated", _SCOPES[findings.scope]),
        ("Order of the prompt", f"{findings.order}. The order is part of the instrument and never changes with speed."),
        ("Intervals", intervals),
        ("Long conversations", long),
        *people_methods(findings.agreement, findings.certificates),
        *((f"Rubric, {rubric.axis(axis.name).title}", _axis_text(rubric.axis(axis.name))) for axis in findings.axes),
        ("Rubric, source", f"{rubric.title} ({rubric.name}), SHA-256 {findings.rubric_sha256}."),
    ]


def _axis_text(axis: Axis) -> str:
    return "\n".join([axis.question, *(f"{score}: {text}" for score, text in enumerate(axis.levels, start=1))])
