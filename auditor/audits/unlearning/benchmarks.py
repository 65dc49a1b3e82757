"""Models as the published benchmarks of unlearning measure them: TOFU, MUSE, and a person's own files in TOFU's way.

TOFU [1]_: answers of up to 200 tokens, ROUGE-L recall, truth ratios, model utility of nine figures, forget quality against a
model that was trained on what is kept alone. The files are those with perturbed answers (``forget10_perturbed.json``,
``retain_perturbed.json``, ``real_authors_perturbed.json``, ``world_facts_perturbed.json``).

MUSE [2]_: VerbMem goes on with a text for 128 tokens, KnowMem answers questions after some answered ones in 32 tokens; both are
ROUGE-L F1. PrivLeak compares texts to forget with texts held out, by the 40% least likely tokens.

References
----------
.. [1] Maini, P. et al. (2024). TOFU: A Task of Fictitious Unlearning for LLMs. arXiv:2401.06121.
.. [2] Shi, W. et al. (2024). MUSE: Machine Unlearning Six-Way Evaluation for Language Models. arXiv:2407.06460.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from auditor.audits.unlearning.asking import Asking, Steps, Tell, n_steps
from auditor.audits.unlearning.compare_reference import membership_metrics
from auditor.audits.unlearning.evaluation import evaluate
from auditor.audits.unlearning.examples import Example
from auditor.audits.unlearning.metrics.metric import Metric, mean
from auditor.audits.unlearning.reference import Reference
from auditor.audits.unlearning.scored import Evaluation, EvaluationSettings, Scored
from auditor.audits.unlearning.template import QUESTION, Template

if TYPE_CHECKING:
    from auditor.models.readable import Readable

Benchmark = Literal["tofu", "muse", "own"]
#: Benchmark -> its files, those that it cannot do without first.
FILES: Mapping[Benchmark, tuple[str, ...]] = {
    "tofu": ("forget", "retain", "real_authors", "world_facts", "holdout"),
    "muse": ("verbmem", "knowmem_forget", "knowmem_retain", "shots_forget", "shots_retain", "forget", "holdout"),
    "own": ("forget", "retain", "holdout"),
}
_MUSE_STOPS = ("\n\n", "\nQuestion", "Question:")
_MUSE_ASKED = "Question: {question}\nAnswer: "
#: Set of MUSE -> file of answered questions that stand before each of its own.
_SHOTS = {"knowmem_forget": "shots_forget", "knowmem_retain": "shots_retain"}
_NO_FILE = "There is no such file."
_NO_WORDS = "No wanted answer has a word of Latin letters or digits."


def run(
    benchmark: Benchmark,
    learner: "Readable",
    files: Mapping[str, Sequence[Example]],
    *,
    template: Template,
    seed: int,
    max_new_tokens: int | None = None,
    reference: Reference | None = None,
    tell: Tell | None = None,
) -> Evaluation:
    """Every metric of a benchmark.

    Parameters
    ----------
    benchmark : str
    learner : Readable
    files : mapping of str to sequence of Example
        By role (`FILES`).
    template : Template
        How questions are put; MUSE has its own.
    seed : int
        Of the bootstrap.
    max_new_tokens : int, optional
        Instead of the benchmark's own; 0 generates nothing.
    reference : Reference, optional
        A model that was trained without what is to be forgotten.
    tell : callable, optional
        As for `evaluate`.

    Raises
    ------
    InputError, ModelError
        As `evaluate`.
    """
    if benchmark == "muse":
        return _muse(learner, files, seed=seed, max_new_tokens=max_new_tokens, reference=reference, tell=tell)
    settings = EvaluationSettings(max_new_tokens=200 if max_new_tokens is None else max_new_tokens)
    return evaluate(learner, files, template=template, seed=seed, settings=settings, reference=reference, tell=tell)


@dataclass(frozen=True)
class _Way:
    """How the examples of a set are put."""

    template: Template
    settings: EvaluationSettings
    said_after: Template | None = None


def few_shots(shots: Sequence[Example]) -> Template:
    """MUSE's prompt of a question, after answered ones."""
    before = "".join(f"Question: {one.question or ''}\nAnswer: {one.answer}\n\n" for one in shots)
    # Only the last place is the question's: an answered one may have the same letters.
    return Template(before.replace(QUESTION, "{ question }") + _MUSE_ASKED)


def _muse(
    learner: "Readable",
    files: Mapping[str, Sequence[Example]],
    *,
    seed: int,
    max_new_tokens: int | None,
    reference: Reference | None,
    tell: Tell | None,
) -> Evaluation:
    def settings(own: int, stops: tuple[str, ...] = ()) -> EvaluationSettings:
        new = own if max_new_tokens is None else max_new_tokens
        return EvaluationSettings(max_new_tokens=new, stops=stops, ends_answers=False)

    own = {"verbmem": settings(128), "forget": settings(0), "holdout": settings(0)}
    ways = {name: _Way(Template(QUESTION), found) for name, found in own.items()}
    for name, shots in _SHOTS.items():
        asked_after = few_shots(files.get(shots, ()))
        # Losses take the answer with its blank in front; MUSE generates after a prompt that ends in one.
        ways[name] = _Way(Template(asked_after.prompt.rstrip(" ")), settings(32, _MUSE_STOPS), asked_after)
    attacked = bool(files.get("forget")) and bool(files.get("holdout"))
    asked = [name for name in ("verbmem", *_SHOTS) if files.get(name)] + (["forget", "holdout"] if attacked else [])
    total = sum(n_steps(files[name], generated=ways[name].settings.max_new_tokens > 0) for name in asked)
    steps = Steps(tell, total)
    scored: list[Scored] = []
    for name in asked:
        way = ways[name]
        asking = Asking(learner, way.template, way.settings, steps, way.said_after)
        rows = [_first_tokens(learner, one, way.settings) for one in files[name]] if name == "verbmem" else files[name]
        attacks = name in ("forget", "holdout")
        scored += asking.scored(name, rows, membership_scores=attacks, generated=not attacks)
    return Evaluation(
        metrics=_muse_metrics(scored, files, seed, reference),
        examples=tuple(scored),
        settings=own["verbmem"],
        seed=seed,
    )


def _first_tokens(learner: "Readable", example: Example, settings: EvaluationSettings) -> Example:
    """A text to go on to, as long as what is generated."""
    words = learner.model.words
    most = settings.max_new_tokens or None
    return replace(example, answer=words.text(words.tokenize(example.answer, begin=False)[:most]).strip())


def _muse_metrics(
    scored: Sequence[Scored], files: Mapping[str, Sequence[Example]], seed: int, reference: Reference | None
) -> dict[str, Metric]:
    by_set = {name: [one for one in scored if one.set == name] for name in FILES["muse"]}
    found: dict[str, Metric] = {}
    for name in ("verbmem", *_SHOTS):
        values = [np.nan if one.rouge_f1 is None else one.rouge_f1 for one in by_set[name]]
        found[f"{name}_rouge_f1"] = mean(values, seed=seed, empty=_NO_WORDS if files.get(name) else _NO_FILE)
    for metric in ("exact_memorisation", "extraction_strength"):
        values = [np.nan if (value := getattr(one, metric)) is None else value for one in by_set["verbmem"]]
        found[metric] = mean(values, seed=seed, empty=_NO_FILE)
    return found | membership_metrics(by_set["forget"], by_set["holdout"], reference, seed=seed)
