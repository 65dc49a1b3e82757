"""Asking a model every example of a set: its answer read token by token, wrong answers beside it, an answer of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from auditor.audits.unlearning.examples import Example
from auditor.audits.unlearning.metrics import membership, memorisation
from auditor.audits.unlearning.metrics.rouge import rouge_l
from auditor.audits.unlearning.metrics.truth_ratio import truth_ratio
from auditor.audits.unlearning.scored import EvaluationSettings, Scored
from auditor.audits.unlearning.template import Template, pieces, tokens_of
from auditor.errors import InputError

if TYPE_CHECKING:
    from auditor.audits.unlearning.batches import Tokens
    from auditor.models.readable import Readable
    from auditor.models.token_statistics import TokenStatistics

#: Called with what is done, of how much, and what is being done; may raise to stop.
Tell = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Continued:
    """A generated answer beside the wanted one.

    Attributes
    ----------
    prompt : str
        What was continued.
    wanted, generation : str
    rouge_recall, rouge_f1 : float or None
        None where the wanted answer has no word that can be compared.
    """

    prompt: str
    wanted: str
    generation: str
    rouge_recall: float | None
    rouge_f1: float | None


@dataclass
class Steps:
    """Counts texts that are read and answers that are generated, over several passes.

    Attributes
    ----------
    tell : callable, optional
    total : int
    done : int
        Of the passes that have ended.
    """

    tell: Tell | None
    total: int
    done: int = 0

    def of(self, message: str) -> Callable[[int], None]:
        """What a pass calls with how far it is."""

        def say(n: int) -> None:
            if self.tell is not None:
                self.tell(min(self.done + n, self.total), self.total, message)

        return say


@dataclass(frozen=True)
class Asking:
    """A model and how it is asked.

    Attributes
    ----------
    learner : Readable
    template : Template
    settings : EvaluationSettings
    steps : Steps
    said_after : Template, optional
        What answers are generated after, where that is another template.
    """

    learner: "Readable"
    template: Template
    settings: EvaluationSettings = field(default_factory=EvaluationSettings)
    steps: Steps = field(default_factory=lambda: Steps(None, 0))
    said_after: Template | None = None

    def scored(
        self, name: str, examples: Sequence[Example], *, membership_scores: bool, generated: bool
    ) -> list[Scored]:
        """Figures of every example of a set, in its order.

        Parameters
        ----------
        name : str
            Of the set.
        membership_scores : bool
            Also the scores of membership inference.
        generated : bool
            Also an answer of the model's own.

        Raises
        ------
        InputError
            If an example is too long for the model, or too short to be read.
        ModelError
            If the model fails.
        """
        read = self.read(
            [self.tokens(one, name) for one in examples], f"Reading answers, {name}", moments=membership_scores
        )
        others = self._other_answers(examples, name)
        wants = generated and self.settings.max_new_tokens > 0
        said = self.continued(examples, name) if wants else [None] * len(examples)
        return [
            self._scored(name, example, found, other, continued, membership_scores=membership_scores)
            for example, found, other, continued in zip(examples, read, others, said, strict=True)
        ]

    # ---- tokens

    @property
    def _end(self) -> int | None:
        from auditor.models.generation import end_ids

        ends = end_ids(self.learner.model)
        return ends[0] if ends and self.settings.ends_answers else None

    def tokens(self, example: Example, name: str) -> "list[Tokens]":
        """Tokens of an example; of a long plain text in pieces.

        Parameters
        ----------
        example : Example
        name : str
            Of its set, for messages.

        Raises
        ------
        InputError
            If a question with its answer is longer than the model can attend to, or nothing can be read.
        """
        from auditor.models.readable import context_length

        words, most = self.learner.model.words, context_length(self.learner)
        limits = [limit for limit in (most, self.settings.max_tokens) if limit is not None]
        if example.question is None and limits:
            found = pieces(words, example, self.template, most=min(limits))
        else:
            found = [tokens_of(words, example, self.template, end=self._end if self._has_end(example) else None)]
            if most is not None and len(found[0].ids) > most:
                problem = (
                    f"The question with its answer has {len(found[0].ids):,} tokens; the model attends to {most:,}"
                )
                raise InputError(problem, file=name, row=example.row, fix="Shorten it.")
        # What comes first in a text follows nothing, and cannot be read.
        readable = [one for one in found if len(one.ids) > max(one.answer_from, 1)]
        if not readable:
            problem = "The text is one token, and a model can only be asked what follows one"
            fix = "Write a longer text, or delete the row."
            raise InputError(problem, file=name, row=example.row, value=example.answer, fix=fix)
        return readable

    def read(
        self, texts: "Sequence[Sequence[Tokens]]", message: str, *, moments: bool = False
    ) -> "list[TokenStatistics]":
        """Statistics of every token of every text; the pieces of a text are put together."""
        from auditor.models.token_statistics import TokenStatistics, token_statistics

        flat = [(piece.ids, piece.answer_from) for text in texts for piece in text]
        found = iter(token_statistics(self.learner, flat, moments=moments, tell=self.steps.of(message)))
        self.steps.done += len(flat)
        joined = []
        for text in texts:
            parts = [next(found) for _ in text]
            names = ("log_p", "hit", "mean", "variance")
            joined.append(TokenStatistics(*(np.concatenate([getattr(part, name) for part in parts]) for name in names)))
        return joined

    def _other_answers(self, examples: Sequence[Example], name: str) -> list[list[float]]:
        """Losses of the right answer in other words and of each wrong one; empty where there is no wrong one."""
        others = [_answers(example) for example in examples]
        texts = [
            self.tokens(replace(example, answer=answer), name)
            for example, answers in zip(examples, others, strict=True)
            for answer in answers
        ]
        found = iter(self.read(texts, f"Reading wrong answers, {name}"))
        return [[next(found).loss for _ in answers] for answers in others]

    # ---- generation

    def continued(self, examples: Sequence[Example], name: str) -> list[Continued]:
        """The model's own answer to every question of a set, and how it would go on after the first half of a text."""
        words, template = self.learner.model.words, self.said_after or self.template
        prompts, wanted, shown = list[list[int]](), list[str](), list[str]()
        for example in examples:
            if example.question is not None:
                prompts.append(template.prompt_ids(words, example.question))
                wanted.append(example.answer)
                shown.append(template.text(example.question))
            else:
                begun = self.tokens(example, name)[0]
                ids = begun.ids
                half = halfway(ids)
                prompts.append(list(ids[:half]))
                wanted.append(words.text(ids[half : half + self.settings.max_new_tokens]).strip())
                shown.append(words.text(ids[begun.answer_from : half]).strip())
        return self.answered(prompts, wanted, shown, f"Generating answers, {name}")

    def answered(
        self, prompts: Sequence[Sequence[int]], wanted: Sequence[str], shown: Sequence[str], message: str
    ) -> list[Continued]:
        """Continue prompts, and compare with what is wanted.

        Parameters
        ----------
        prompts : sequence of sequences of int
        wanted, shown : sequences of str
            The answers to compare with, and the prompts as texts.
        message : str
            For the progress.
        """
        from auditor.models.generation import cut, generate

        found = generate(
            self.learner, prompts, max_new_tokens=self.settings.max_new_tokens, tell=self.steps.of(message)
        )
        self.steps.done += len(prompts)
        made = []
        for prompt, answer, tokens in zip(shown, wanted, found, strict=True):
            said = cut(self.learner.model.words.text(tokens), self.settings.stops)
            score = rouge_l(answer, said)
            made.append(Continued(prompt, answer, said, score.recall if score else None, score.f1 if score else None))
        return made

    # ---- figures

    def _scored(
        self,
        name: str,
        example: Example,
        read: "TokenStatistics",
        others: Sequence[float],
        said: Continued | None,
        *,
        membership_scores: bool,
    ) -> Scored:
        log_p, hits = read.log_p, read.hit
        own = self.own(example, len(log_p))
        loss = read.loss
        right, *wrong = others or [float("nan")]
        among = memorisation.probability_among(
            memorisation.probability(loss), [memorisation.probability(one) for one in wrong]
        )
        scores = {}
        if membership_scores:
            scores = {
                "loss": loss,
                "min_k": membership.min_k(log_p[own], self.settings.min_k),
                "min_k_plus_plus": membership.min_k_plus_plus(
                    log_p[own], read.mean[own], read.variance[own], self.settings.min_k
                ),
                "zlib": membership.zlib_score(log_p, example.answer),
            }
        return Scored(
            set=name,
            id=example.id,
            row=example.row,
            question=example.question,
            answer=example.answer,
            n_tokens=len(log_p),
            loss=loss,
            probability=memorisation.probability(loss),
            answer_probability=memorisation.probability(float(-log_p[own].mean())),
            probability_among=_or_none(among),
            truth_ratio=_or_none(truth_ratio(right, wrong)),
            exact_memorisation=_or_none(memorisation.exact_memorisation(hits[own])),
            extraction_strength=_or_none(memorisation.extraction_strength(hits[own])),
            prompt=said.prompt if said else None,
            wanted=said.wanted if said else None,
            generation=said.generation if said else None,
            rouge_recall=said.rouge_recall if said else None,
            rouge_f1=said.rouge_f1 if said else None,
            scores=scores,
        )

    def own(self, example: Example, n_tokens: int) -> slice:
        """Which of an answer's tokens are its own: all but the one that ends it."""
        return slice(None, -1) if self._has_end(example) and n_tokens > 1 else slice(None)

    def _has_end(self, example: Example) -> bool:
        return example.question is not None and self._end is not None


def halfway(ids: Sequence[int]) -> int:
    """Tokens of a plain text that are given, so that the model goes on with the rest."""
    return max(1, len(ids) // 2)


def _answers(example: Example) -> list[str]:
    """The right answer, in other words where there are such, and the wrong ones; none without wrong ones."""
    if not example.perturbed_answers:
        return []
    return [example.paraphrased_answer or example.answer, *example.perturbed_answers]


def n_steps(examples: Sequence[Example], *, generated: bool) -> int:
    """Texts that are read and answers that are generated for a set, long texts counted once."""
    return sum(1 + len(_answers(example)) + generated for example in examples)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
