"""What a report says of the method of a rating run, in plain text."""

from collections.abc import Iterator

from auditor.audits.rating.certificate import percent
from auditor.audits.rating.findings import PairOrder, RatingFindings
from auditor.audits.rating.people_text import people_methods
from auditor.audits.rating.rubric import Axis
from auditor.stats.bootstrap import N_RESAMPLES

_READING = (
    "One forward pass for each axis, nothing is sampled. The logits of the digit tokens after 'Rating:' ({digits}) give the "
    "probability of each score by a softmax over these. The expected score is the sum of i p(i); the most probable score is "
    "the i with the highest p(i); entropy is -sum p log p in nats. A model whose vocabulary lacks distinct single tokens "
    "for the digits is refused. The axes are those of arXiv:2511.02044; wording of prompt and rubric is Auditor's own."
)
_COMPUTED = (
    "The prompts of many conversations are decoded as one tree: the rubric once, a conversation once for all axes, a "
    "context once for all replies to it. How the tree is cut into batches stands in the settings and changes a score a "
    "little, since kernels add up in another order; a run keeps the plan it began with. Scores that were "
    "computed before in this case for the same model file and the same prompt tokens are taken from there: {reused:,} "
    "of {ratings:,} here."
)
_MERGED = (
    "{judges} asked {variants}. Their scores are merged by the {merge}, as in arXiv:2511.02044, where the mean is the choice. "
    "Ours: mean and median are taken of the expected scores, the majority of the most probable scores rounded to whole "
    "numbers, the one nearest to the mean among equals. The distribution shown is the mean of the members', for the "
    "majority the share of votes; the most probable score is the distribution's."
)
_MAPPED = (
    "Asked on a scale from 1 to 4, with the rubric's five levels without the middle one. Ours: a score s counts as "
    "1 + (s - 1) 4/3; in the table of ratings the probability of a score that falls between two whole ones is divided "
    "between them so that the expected score stays."
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
        f"{percent(findings.confidence)} percentile bootstrap of the mean expected score: {N_RESAMPLES:,} draws of whole "
        f"groups with replacement (conversations without a group stand alone), seed {findings.provenance.seed}."
    )
    long = (
        "When a conversation exceeds the context, turns after the assistant's last one are left out first, then the "
        f"earliest, in whose place a mark stands, and the conversation is counted: {findings.n_truncated:,} here."
    )
    rubric = findings.rubric
    return [
        ("How a score is read", _READING.format(digits=_digits(findings))),
        ("What is rated", _SCOPES[findings.scope]),
        ("Order of the prompt", f"{findings.order}. The order is part of the instrument and never changes with speed."),
        *_judges(findings),
        ("Intervals", intervals),
        ("Long conversations", long),
        *people_methods(findings.agreement, findings.certificates),
        *((f"Rubric, {rubric.axis(axis.name).title}", _axis_text(rubric.axis(axis.name))) for axis in findings.axes),
        ("Rubric, source", f"{rubric.title} ({rubric.name}), SHA-256 {findings.rubric_sha256}."),
    ]


def _digits(findings: RatingFindings) -> str:
    scales = sorted({name[0] for name in findings.variants}, reverse=True)
    return " or ".join(f"1 to {highest}" for highest in scales)


def _judges(findings: RatingFindings) -> Iterator[tuple[str, str]]:
    reused, ratings = findings.headline.get("reused", 0), findings.headline.get("ratings", findings.n)
    yield "How it is computed", _COMPUTED.format(reused=reused, ratings=ratings)
    if len(findings.judges) * len(findings.variants) > 1:
        names = [judge.name for judge in findings.judges]
        who = f"{names[0]} was" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} were"
        variants = f"the prompts {', '.join(findings.variants)}"
        yield "Several judges and prompts", _MERGED.format(judges=who, variants=variants, merge=findings.merge)
    if any(name.startswith("4") for name in findings.variants):
        yield "Scale from 1 to 4", _MAPPED
    if findings.paraphrase:
        yield "Probe: paraphrased prompt", _PARAPHRASED
    if findings.order_probe is not None:
        yield "Probe: order of pairs", _order(findings.order_probe, findings.confidence)


def _order(probe: PairOrder, confidence: float) -> str:
    flipped, share = probe.flipped, ""
    if flipped.value is not None and flipped.low is not None and flipped.high is not None:
        interval = f"{percent(confidence)} CI {percent(flipped.low, 1)} to {percent(flipped.high, 1)}"
        share = f" ({percent(flipped.value, 1)}, {interval})"
    first = "none" if probe.first_chosen is None else percent(probe.first_chosen, 1)
    return _ORDER.format(
        flipped=probe.n_flipped, n=probe.n, share=share, first=first, skipped=probe.skipped, groups=probe.groups
    )


def _axis_text(axis: Axis) -> str:
    return "\n".join([axis.question, *(f"{score}: {text}" for score, text in enumerate(axis.levels, start=1))])
