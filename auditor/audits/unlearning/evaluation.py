"""Evaluating a model on what it was to forget and on what it was to keep.

::

    answer_losses(learner, tokens) -> ndarray (n,)                     # mean loss a token; exp(-loss) is the probability
    evaluate(learner, sets, *, template, seed, settings=EvaluationSettings(), reference=None, tell=None) -> Evaluation
    evaluation_steps(sets, settings) -> int                            # the total that `tell` counts to
    side_by_side(before, after) -> list of rows                        # generations and figures, example by example

`learner` is an `auditor.models.readable.Readable`: a `Trainable` as it is now, or ``readable(load(model))``. `sets` maps "forget"
and "retain", and where there are such "holdout", "real_authors" and "world_facts", to examples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditor.audits.unlearning.asking import Asking, Steps, Tell, n_steps
from auditor.audits.unlearning.compare_reference import forget_quality, membership_metrics
from auditor.audits.unlearning.examples import Example
from auditor.audits.unlearning.metrics.metric import Metric, mean, unavailable
from auditor.audits.unlearning.metrics.truth_ratio import indistinct, truthful
from auditor.audits.unlearning.metrics.utility import PARTS, model_utility
from auditor.audits.unlearning.reference import Reference
from auditor.audits.unlearning.scored import Evaluation, EvaluationSettings, Scored, told_of_cuts
from auditor.audits.unlearning.template import Template

if TYPE_CHECKING:
    from auditor.audits.unlearning.batches import Tokens
    from auditor.models.readable import Readable

SETS = ("forget", "retain", "holdout", "real_authors", "world_facts")
#: Sets whose questions have given choices: the right answer's probability is a share of that of all choices.
CHOICES = ("real_authors", "world_facts")
#: Sets whose answers are also measured without the token that ends them.
OWN_TOKENS = ("forget", "retain")
_NO_SET = "There are no such examples."
_NOT_GENERATED = "No answers were generated, or none of the wanted ones has a word of Latin letters or digits."
_NO_WRONG = "The examples have no wrong answers to compare with."


def answer_losses(learner: "Readable", tokens: "Sequence[Tokens]") -> NDArray[np.float64]:
    """Mean negative log-likelihood of each answer's tokens, nats, shape (n,).

    Raises
    ------
    ValueError
        If an answer has no token that can be read.
    """
    from auditor.models.token_statistics import token_statistics

    return np.array([one.loss for one in token_statistics(learner, [(t.ids, t.answer_from) for t in tokens])])


def evaluation_steps(sets: Mapping[str, Sequence[Example]], settings: EvaluationSettings) -> int:
    """Texts that are read and answers that are generated: the total that progress counts to."""
    return sum(n_steps(rows, generated=_generates(name, settings)) for name, rows in _needed(sets).items())


def _needed(sets: Mapping[str, Sequence[Example]]) -> dict[str, Sequence[Example]]:
    """The sets; what is held out is only read, without its wrong answers."""
    return {
        name: [replace(one, perturbed_answers=()) for one in rows] if name == "holdout" else rows
        for name, rows in sets.items()
    }


def _generates(name: str, settings: EvaluationSettings) -> bool:
    return name != "holdout" and settings.max_new_tokens > 0


def evaluate(
    learner: "Readable",
    sets: Mapping[str, Sequence[Example]],
    *,
    template: Template,
    seed: int,
    settings: EvaluationSettings | None = None,
    reference: Reference | None = None,
    tell: Tell | None = None,
) -> Evaluation:
    """Every metric of a model; those that cannot be computed say why.

    Parameters
    ----------
    learner : Readable
    sets : mapping of str to sequence of Example
        By name (`SETS`).
    template : Template
        How questions are put.
    seed : int
        Of the bootstrap. Nothing else is random.
    settings : EvaluationSettings, optional
    reference : Reference, optional
        Figures of a model that has never seen the forget set.
    tell : callable, optional
        Called with what is done, of how much, and what is being done; may raise to stop.

    Raises
    ------
    InputError
        If an example cannot be read by the model.
    ModelError
        If the model fails.
    """
    if unknown := set(sets) - set(SETS):
        raise ValueError(f"there are no sets {sorted(unknown)}")
    settings = settings or EvaluationSettings()
    sets = _needed(sets)
    asking = Asking(learner, template, settings, Steps(tell, evaluation_steps(sets, settings)))
    attacked = bool(sets.get("forget")) and bool(sets.get("holdout"))
    scored = [
        one
        for name in SETS
        if sets.get(name)
        for one in asking.scored(
            name,
            sets[name],
            membership_scores=attacked and name in ("forget", "holdout"),
            generated=_generates(name, settings),
        )
    ]
    return Evaluation(
        metrics=told_of_cuts(metrics_of(scored, seed=seed, reference=reference), settings),
        examples=tuple(scored),
        settings=settings,
        seed=seed,
    )


def metrics_of(scored: Sequence[Scored], *, seed: int, reference: Reference | None = None) -> dict[str, Metric]:
    """Every metric from figures of examples; see `evaluate`."""
    by_set = {name: [one for one in scored if one.set == name] for name in SETS}
    forget, holdout = by_set["forget"], by_set["holdout"]
    found: dict[str, Metric] = {}
    for name in ("forget", "retain", *(name for name in CHOICES if by_set[name])):
        found |= _of_set(name, by_set[name], seed)
    for name in OWN_TOKENS:
        values = _values(by_set[name], "answer_probability")
        found[f"{name}_answer_probability"] = mean(values, seed=seed, empty=_NO_SET)
    for metric in ("exact_memorisation", "extraction_strength"):
        found[metric] = mean(_values(forget, metric), seed=seed, empty=_NO_SET)
    found["forget_quality"] = forget_quality(forget, reference)
    found["model_utility"] = _utility(by_set, seed)
    return found | membership_metrics(forget, holdout, reference, seed=seed)


def _of_set(name: str, rows: Sequence[Scored], seed: int) -> dict[str, Metric]:
    empty = {"probability": _NO_WRONG, "truth_ratio": _NO_WRONG}
    figures = {"probability": _probability(name, rows), "truth_ratio": _truth(name, rows)}
    figures |= {metric: _values(rows, metric) for metric in ("rouge_recall", "rouge_f1")}
    return {
        f"{name}_{metric}": mean(values, seed=seed, empty=empty.get(metric, _NOT_GENERATED) if rows else _NO_SET)
        for metric, values in figures.items()
    }


def _values(rows: Sequence[Scored], name: str) -> NDArray[np.float64]:
    """A figure of every example, nan where it has none."""
    return np.array([np.nan if getattr(one, name) is None else getattr(one, name) for one in rows], np.float64)


def _probability(name: str, rows: Sequence[Scored]) -> NDArray[np.float64]:
    return _values(rows, "probability_among" if name in CHOICES else "probability")


def _truth(name: str, rows: Sequence[Scored]) -> NDArray[np.float64]:
    ratios = _values(rows, "truth_ratio")
    return indistinct(ratios) if name == "forget" else truthful(ratios)


def _utility(by_set: Mapping[str, Sequence[Scored]], seed: int) -> Metric:
    """Harmonic mean of the nine figures of TOFU."""
    tables = []
    for name in ("retain", *CHOICES):
        rows = by_set[name]
        if not rows:
            words = name.replace("_", " ")
            return unavailable(
                f"It takes {PARTS} figures, three of them on {words}, and there are no examples of those."
            )
        table = np.stack([_probability(name, rows), _values(rows, "rouge_recall"), _truth(name, rows)], axis=-1)
        if np.isnan(table).all(axis=0).any():
            words = name.replace("_", " ")
            return unavailable(
                f"It takes probability, ROUGE and truth ratio on {words}, and one of them is not available."
            )
        tables.append(table)
    return model_utility(tables, seed=seed)


def side_by_side(before: Evaluation, after: Evaluation) -> list[dict[str, Any]]:
    """What a model said of every example before and after, as rows of a table.

    Raises
    ------
    ValueError
        If they are not of the same examples.
    """
    rows = []
    for old, new in zip(before.examples, after.examples, strict=True):
        if (old.set, old.id, old.answer) != (new.set, new.id, new.answer):
            raise ValueError("the evaluations are of different examples")
        if old.generation is None and new.generation is None:
            continue
        rows.append(
            {
                "set": old.set,
                "row": old.row,
                "id": old.id,
                "prompt": old.prompt,
                "wanted": old.wanted,
                "before": old.generation,
                "after": new.generation,
                "rouge_recall_before": old.rouge_recall,
                "rouge_recall_after": new.rouge_recall,
                "probability_before": old.answer_probability,
                "probability_after": new.answer_probability,
                "extraction_strength_before": old.extraction_strength,
                "extraction_strength_after": new.extraction_strength,
            }
        )
    return rows
