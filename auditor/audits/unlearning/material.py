"""What a run trains on: examples as tokens of the model, the method with its settings, and how it is trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from auditor.audits.unlearning.batches import Tokens, with_refusals
from auditor.audits.unlearning.examples import Example
from auditor.audits.unlearning.findings import DataInfo
from auditor.audits.unlearning.inputs import UnlearningInputs
from auditor.audits.unlearning.objective_settings import REFUSALS, PduSettings
from auditor.audits.unlearning.spec import UnlearningSpec
from auditor.audits.unlearning.template import Template, Tokenizer, pieces
from auditor.audits.unlearning.training import TrainingSettings
from auditor.errors import InputError
from auditor.models.file import ModelFile
from auditor.models.torch_fit import Workload

if TYPE_CHECKING:
    from auditor.audits.unlearning.objectives import Objective

T = TypeVar("T")
#: Methods that compare answers with those of the start model.
_WITH_REFERENCE = ("npo", "idk_dpo", "undial", "rmu")
#: Seeds of what is drawn for an evaluation, so that no two files are drawn alike.
_DRAWS = {"forget": 1, "retain": 2, "holdout": 3, "probes": 4, "items": 5, "benign": 6}


@dataclass(frozen=True)
class Material:
    """Tokens of a run.

    Attributes
    ----------
    forget, retain : tuple of Tokens
        What is trained on; long plain texts in pieces.
    n_cut : int
        Questions whose answers lost their end.
    """

    forget: tuple[Tokens, ...]
    retain: tuple[Tokens, ...]
    n_cut: int

    @property
    def longest(self) -> int:
        """Tokens of the longest text."""
        return max(len(text.ids) for text in (*self.forget, *self.retain))

    def info(self, given: UnlearningInputs) -> DataInfo:
        """Counts, for the findings."""
        return DataInfo(
            n_forget=len(given.forget),
            n_retain=len(given.retain),
            n_holdout=len(given.holdout),
            n_probes=len(given.probes),
            forget_tokens=sum(len(text.ids) for text in self.forget),
            retain_tokens=sum(len(text.ids) for text in self.retain),
            forget_answer_tokens=sum(map(_n_answer, self.forget)),
            retain_answer_tokens=sum(map(_n_answer, self.retain)),
            cut=self.n_cut,
            overlaps=sum(pair.role == "retain" for pair in given.overlaps),
        )


def _n_answer(text: Tokens) -> int:
    return len(text.ids) - max(1, text.answer_from)


def material(
    words: Tokenizer, given: UnlearningInputs, spec: UnlearningSpec, *, end: int | None, context_length: int
) -> Material:
    """Examples to tokens.

    Parameters
    ----------
    words : Tokenizer
    given : UnlearningInputs
    spec : UnlearningSpec
    end : int or None
        Token behind an answer.
    context_length : int
        Tokens that the model was trained to attend to; 0 if not known.

    Raises
    ------
    InputError
        If a question leaves no room for its answer.
    """
    most = min(spec.max_tokens, context_length or spec.max_tokens)
    template = Template(spec.prompt)
    made: dict[str, tuple[Tokens, ...]] = {}
    n_cut = 0
    for role, examples in (("forget", given.forget), ("retain", given.retain)):
        texts = list[Tokens]()
        for example in examples:
            whole = pieces(words, example, template, end=end, most=most + 1)
            n_cut += example.question is not None and len(whole[0].ids) > most
            parts = pieces(words, example, template, end=end, most=most)
            _require_answer(parts[0], example, role, most)
            texts += parts
        made[role] = tuple(texts)
    return Material(made["forget"], made["retain"], n_cut)


def _require_answer(text: Tokens, example: Example, role: str, most: int) -> None:
    if text.answer_from >= len(text.ids) or len(text.ids) < 2:
        raise InputError(
            f"Nothing of the answer is left within {most:,} tokens",
            file=role,
            row=example.row,
            value=example.question or example.answer,
            fix="Allow longer examples, shorten the question, or write a longer text.",
        )


def with_alternatives(
    texts: Sequence[Tokens], words: Tokenizer, spec: UnlearningSpec, *, end: int | None, seed: int
) -> Sequence[Tokens]:
    """What is to be forgotten, for idk_dpo with an answer each that says nothing."""
    if spec.method != "idk_dpo":
        return texts
    ending = [] if end is None else [end]
    refusals = [[*words.tokenize(f" {refusal}", begin=False), *ending] for refusal in REFUSALS]
    return with_refusals(texts, refusals, seed)


def longest(texts: Material, words: Tokenizer, spec: UnlearningSpec, seed: int) -> int:
    """Tokens of the longest text that is computed, counted before the model is loaded, when no token ends a text yet."""
    forget = with_alternatives(texts.forget, words, spec, end=None, seed=seed)
    others = (len(text.alternative.ids) for text in forget if text.alternative is not None)
    return max(texts.longest, *others, 0) + 1


def workload_of(spec: UnlearningSpec, length: int) -> Workload:
    """What a step computes at once, for the estimate of memory.

    Parameters
    ----------
    length : int
        Tokens of the longest text.
    """
    return Workload(
        # idk_dpo goes back through answers and their alternatives at once.
        sequences=spec.batch_size * (2 if spec.method == "idk_dpo" else 1),
        length=length,
        reference=needs_reference(spec),
        written_bytes=2 if spec.unlearns else 4,
        devices=spec.devices,
    )


def check_method(spec: UnlearningSpec, given: UnlearningInputs, model: ModelFile) -> None:
    """Refuse a method that cannot work on these examples or this model, and a log of the start model as reference.

    Raises
    ------
    InputError
    """
    if spec.method == "idk_dpo" and any(example.question is None for example in given.forget):
        raise InputError(
            "The method idk_dpo puts answers in place of others, and plain texts have none",
            value=spec.method,
            fix="Choose another method, or give questions with answers.",
        )
    if spec.method == "rmu" and model.layers and spec.baseline_settings.layer >= model.layers:
        layer = spec.baseline_settings.layer
        raise InputError(
            f"The method rmu steers layer {layer}, but {model.name} has {model.layers:,} layers, counted from 0",
            value=layer,
            fix="Set layer to a lower one in “Settings of the method”.",
        )
    if given.reference is not None and given.reference.sha256 == model.sha256:
        raise InputError(
            f"The reference, {given.reference.source}, is of the start model: it has learnt what is to be forgotten",
            value=model.name,
            fix="Give a log of a model that was trained without it, or none.",
        )


def needs_reference(spec: UnlearningSpec) -> bool:
    """Whether the start model stays in memory beside the one that is trained."""
    return spec.method in _WITH_REFERENCE


def method_of(spec: UnlearningSpec, epsilon: float | None, gamma: float | None) -> "Objective":
    """The method with its settings.

    Parameters
    ----------
    epsilon, gamma : float or None
        As measured; for pdu.
    """
    from auditor.audits.unlearning.objectives import objective

    if spec.method == "learn":
        return objective("fine_tune")
    if spec.method != "pdu":
        return objective(spec.method, spec.baseline_settings)
    assert gamma is not None
    settings = PduSettings(
        epsilon=epsilon,
        gamma=gamma,
        lambda_start=spec.lambda_start,
        dual_step=spec.dual_step,
        dual_warmup_epochs=spec.dual_warmup_epochs,
        dual_updates=spec.dual_updates,
        lambda_cap=spec.lambda_cap,
        parity=spec.parity,
    )
    return objective("pdu", settings)


def training_settings(spec: UnlearningSpec, epsilon: float | None) -> TrainingSettings:
    """How the weights are trained; when unlearning, the best feasible step is kept."""
    return TrainingSettings(
        epochs=spec.epochs,
        batch_size=spec.batch_size,
        accumulation=spec.accumulation,
        learning_rate=spec.learning_rate,
        schedule=spec.schedule,
        warmup_epochs=spec.warmup_epochs,
        weight_decay=spec.weight_decay,
        max_gradient_norm=spec.clip or None,
        probe_every=spec.probe_steps,
        checkpoint_every=spec.checkpoint_steps,
        retain_limit=epsilon,
        keep="best" if spec.unlearns else "last",
    )


def drawn(examples: Sequence[Example], most: int, role: str, seed: int) -> tuple[Example, ...]:
    """At most so many examples of a file, in its order, drawn by the seed."""
    if len(examples) <= most:
        return tuple(examples)
    generator = np.random.default_rng((seed, _DRAWS[role]))
    places = np.sort(generator.choice(len(examples), most, replace=False))
    return tuple(examples[place] for place in places.tolist())


def spread(rows: Sequence[T], most: int) -> tuple[T, ...]:
    """At most so many of them, evenly spread over the file."""
    if len(rows) <= most:
        return tuple(rows)
    return tuple(rows[place * len(rows) // most] for place in range(most))
