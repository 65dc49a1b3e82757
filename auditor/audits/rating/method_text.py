"""What a report says of the method of a rating run, in plain text."""

from collections.abc import Iterator

from auditor.audits.rating.certificate import percent
from auditor.audits.rating.findings import PairOrder, RatingFindings
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
_COMPUTED = (
    "The prompts of many conversations are decoded as one tree: the rubric once, a conversation once for all axes, a "
    "context once for all replies to it. How the tree is cut into batches stands in the settings and changes a score a "
    "little, since kernels add up in another order; a run keeps the plan it began with. Scores that an earlier run of "
    "the case computed for the same model file and the same prompt tokens are taken from there: {reused:,} of "
    "{ratings:,} here."
)
_MERGED = (
    "{judges} asked {variants}. Their scores are merged by the {merge}, as in arXiv:2511.02044, where the mean is the choice. "
    "Ours: a score s from 1 to 4 counts as 1 + (s - 1) 4/3; mean and median are taken of the expected scores, the majority "
    "of the most probable scores rounded to whole numbers; the four levels are the rubric's five without the middle one."
)
_PARAPHRASED = (
    "The first judge was asked once more in other words. A judge whose scores change with the wording measures the wording "
    "too. Not part of any score."
)
_ORDER = (
    "The first judge was shown pairs of replies to one context, drawn by the seed with no group twice before each that has "
    "two replies once, and asked which is better, each pair in both orders. The answer is the larger of the logits of the "
    "tokens A and B after 'Better reply:'; what stands first is called A, so that a liking for the place and one for the "
    "letter are not told apart. In {flipped:,} of {n:,} pairs{share} the choice changed with the order; the reply shown "
    "first was chosen in {first} of the answers. {skipped:,} pairs did not fit into the context. The interval is exact "
    "(Clopper and Pearson) and takes pairs as independent; the pairs come from {groups:,} groups. Wording and drawing are "
    "Auditor's own. Not part of any score."
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
        *_judges(findings),
        ("Intervals", intervals),
        ("Long conversations", long),
        *people_methods(findings.agreement, findings.certificates),
        *((f"Rubric, {rubric.axis(axis.name).title}", _axis_text(rubric.axis(axis.name))) for axis in findings.axes),
        ("Rubric, source", f"{rubric.title} ({rubric.name}), SHA-256 {findings.rubric_sha256}."),
    ]


def _judges(findings: RatingFindings) -> Iterator[tuple[str, str]]:
    reused, ratings = findings.headline.get("reused", 0), findings.headline.get("ratings", findings.n)
    yield "How it is computed", _COMPUTED.format(reused=reused, ratings=ratings)
    if len(findings.judges) * len(findings.variants) > 1:
        names = [judge.name for judge in findings.judges]
        who = f"{names[0]} was" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} were"
        variants = f"the prompts {', '.join(findings.variants)}"
        yield "Several judges and prompts", _MERGED.format(judges=who, variants=variants, merge=findings.merge)
    if findings.paraphrase:
        yield "Probe: paraphrased prompt", _PARAPHRASED
    if findings.order_probe is not None:
        yield "Probe: order of pairs", _order(findings.order_probe, findings.confidence)


def _order(probe: PairOrder, confidence: float) -> str:
    flipped, share = probe.flipped, ""
    if flipped.value is not None and flipped.low is not None and flipped.high is not None:
        interval = f"{confidence:.0%} CI {percent(flipped.low, 1)} to {percent(flipped.high, 1)}"
        share = f" ({percent(flipped.value, 1)}, {interval})"
    first = "none" if probe.first_chosen is None else percent(probe.first_chosen, 1)
    return _ORDER.format(
        flipped=probe.n_flipped, n=probe.n, share=share, first=first, skipped=probe.skipped, groups=probe.groups
    )


def _axis_text(axis: Axis) -> str:
    return "\n".join([axis.question, *(f"{score}: {text}" for score, text in enumerate(axis.levels, start=1))])
