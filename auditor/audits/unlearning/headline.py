"""The headline figures of an unlearning run as people read them, with their units."""

from collections.abc import Callable

from auditor.audits.unlearning.findings import UnlearningFindings
from auditor.audits.unlearning.words import nats, percent


def _whether(value: object) -> str:
    return "yes" if value else "no"


_WORDS: dict[str, tuple[str, Callable[..., str]]] = {
    "method": ("Method", str),
    "epsilon": ("Retain loss allowed, epsilon", nats),
    "lambda_final": ("Lambda after the last step", "{:.4g}".format),
    "retain_loss_before": ("Retain loss before", nats),
    "retain_loss_after": ("Retain loss after", nats),
    "feasible": ("Retain loss within epsilon", _whether),
    "forget_probability_before": ("Probability a token of answers to forget, before", percent),
    "forget_probability_after": ("Probability a token of answers to forget, after", percent),
    "retain_probability_before": ("Probability a token of answers to keep, before", percent),
    "retain_probability_after": ("Probability a token of answers to keep, after", percent),
    "extraction_strength": ("Extraction strength of what was to be forgotten", percent),
    "artefacts": ("Files made of the model", ", ".join),
}


def headline_words(findings: UnlearningFindings) -> list[tuple[str, str]]:
    """What and how much, in the order of the headline; figures that were not measured are left out."""
    known = [(name, value) for name, value in findings.headline.items() if name in _WORDS and value is not None]
    return [(_WORDS[name][0], _WORDS[name][1](value)) for name, value in known]
