"""Everything of a guard run for which the model is asked; what comes after works on what is kept here."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from auditor.audits import Context
from auditor.audits.findings import Caution
from auditor.audits.guard import content_free, early_exit, timing
from auditor.audits.guard.answers import Answers, Reading, answered
from auditor.audits.guard.attacks import Material
from auditor.audits.guard.attention import attention_rows
from auditor.audits.guard.certificate import Certifier, shares
from auditor.audits.guard.conditions import CORRECT, ZERO_SHOT
from auditor.audits.guard.influence import Influence
from auditor.audits.guard.influence import n_prompts as n_influence_prompts
from auditor.audits.guard.inputs import GuardInputs
from auditor.audits.guard.label_words import label_tokens_of
from auditor.audits.guard.pools import Draw, Pools, split, units
from auditor.audits.guard.prompts import Prompts
from auditor.audits.guard.scoring import Progress, Scoring
from auditor.audits.guard.spec import GuardSpec
from auditor.audits.guard.task import Example
from auditor.audits.guard.template import Encoder, Template
from auditor.audits.guard.timing import Timing
from auditor.audits.stages import Stages
from auditor.errors import InputError, ModelError
from auditor.models.exits import Scorer, open_scorer
from auditor.models.file import ModelFile
from auditor.stats.bootstrap import FEW_GROUPS


class Loaded(BaseModel):
    """How the model was loaded the first time; a resumed run loads it in the same way."""

    model_config = ConfigDict(frozen=True)

    backend: str
    device: str
    settings: dict[str, Any]


class _Weight(BaseModel):
    model_config = ConfigDict(frozen=True)

    weight: list[list[float]]


@contextmanager
def loaded(spec: GuardSpec, model: ModelFile, stages: Stages) -> Iterator[tuple[Scorer, Loaded]]:
    """The model, ready to be asked; freed at the end."""
    opened: list[Scorer] = []

    def first() -> Loaded:
        opened.append(open_scorer(model, backend=spec.backend, device=spec.device, dtype=spec.dtype))
        settings = opened[0].settings
        return Loaded(backend=settings["backend"], device=opened[0].device, settings=settings)

    try:
        told = stages.once("model", Loaded, first)
        if not opened:
            known = told.settings
            opened.append(
                open_scorer(
                    model,
                    backend=known["backend"],
                    device=known.get("device_kind", "auto"),
                    dtype=known.get("dtype", "auto"),
                    threads=known.get("threads"),
                )
            )
        yield opened[0], told
    finally:
        for scorer in opened:
            scorer.close()


@dataclass(frozen=True, eq=False)
class Asked:
    """What the model said, and what it was asked.

    Attributes
    ----------
    spec : GuardSpec
    given : GuardInputs
    prompts : Prompts
    labels : list of tuple of int
        Tokens by which each label is scored.
    spellings : list of tuple of str
        The same as text.
    pools : Pools
    reading : Reading
    certifier : Certifier
        With all answers.
    n_tokens : tuple of float
        Mean number of tokens of prompts with correct demonstrations, and without any.
    """

    spec: GuardSpec
    given: GuardInputs
    prompts: Prompts
    labels: list[tuple[int, ...]]
    spellings: list[tuple[str, ...]]
    pools: Pools
    reading: Reading
    certifier: Certifier
    n_tokens: tuple[float, float]

    @property
    def short(self) -> float:
        """Tokens of a zero-shot prompt over those of one with demonstrations, on average."""
        with_demonstrations, without = self.n_tokens
        return without / with_demonstrations

    @property
    def answers(self) -> Answers:
        """Of all queries."""
        return self.certifier.answers

    def test_queries(self, n: int) -> list[int]:
        """Places of the first n test queries, which stand in random order."""
        return [int(place) for place in self.pools.test[:n]]


class Asking:
    """Asks the model, part by part.

    Parameters
    ----------
    spec : GuardSpec
    given : GuardInputs
    scorer : Scorer
    context : Context
    stages : Stages

    Raises
    ------
    InputError
        If the model cannot tell the labels apart, or the queries cannot be split.
    """

    def __init__(self, spec: GuardSpec, given: GuardInputs, scorer: Scorer, context: Context, stages: Stages) -> None:
        self._spec, self._given, self._scorer = spec, given, scorer
        self._context, self._stages = context, stages
        self._labels = label_tokens_of(given.task, scorer.tokenize, scorer.label_tokens)
        self._unit = units(given.queries)
        try:
            self._pools = split(given.queries, spec.calibration_share, seed=context.seed)
        except ValueError as error:
            raise InputError(
                "All queries are of one group, which cannot be split into calibration and test",
                column="group",
                fix="Give queries of several groups, or leave the column out.",
            ) from error
        self._prompts = Prompts(
            task=given.task,
            template=Template.of(spec),
            encoder=Encoder(scorer.tokenize),
            draw=Draw(given.demonstrations, spec, context.seed),
            material=Material(spec.target, given.corrupted),
            seed=context.seed,
        )
        n = len(given.queries)
        total = n * (2 + len(spec.conditions))
        total += content_free.n_prompts(self._prompts) if spec.contextual_calibration else 0
        n_shown = min(spec.n_demonstrations, len(given.demonstrations))
        total += n_influence_prompts(n_shown, self._n_test(spec.influence_queries))
        total += 2 * self._n_test(spec.attention_queries) + self._n_test(spec.timing_queries)
        self.progress = Progress(0, total)

    def _n_test(self, wanted: int) -> int:
        return min(wanted, len(self._pools.test))

    def _tell(self, n: int, message: str) -> None:
        self.progress.done += n
        self._context.progress(self.progress.done, self.progress.total, message)

    def ask(self) -> Asked:
        """Ask for everything that the certificate and the stress test rest on."""
        spec, given, scorer = self._spec, self._given, self._scorer
        reading = Reading(
            spec.confidence_measure, early_exit.first_exit(spec.first_exit, scorer.n_exits), self._weight()
        )
        conditions = (CORRECT, *spec.conditions)
        asked = Scoring(
            scorer, self._prompts, given.queries, conditions, self._labels, self._context, self.progress
        ).ask()
        truth = [given.task.number(query.label) for query in given.queries]
        answers = answered(asked, truth, reading, early_exit.lambda_grid(spec.lambda_step))
        ids = [query.id for query in given.queries]
        mix = shares(spec, ids, spec.mixture, seed=self._context.seed)
        certifier = Certifier(spec, answers, self._unit, mix, self._context.seed)
        certifier.check()
        return Asked(
            spec=spec,
            given=given,
            prompts=self._prompts,
            labels=self._labels,
            spellings=[tuple(scorer.text([token]) for token in tokens) for tokens in self._labels],
            pools=self._pools,
            reading=reading,
            certifier=certifier,
            n_tokens=(self._mean_tokens(CORRECT), self._mean_tokens(ZERO_SHOT)),
        )

    def _weight(self) -> NDArray[np.float64] | None:
        if not self._spec.contextual_calibration:
            return None
        self._context.progress(self.progress.done, self.progress.total, "Asking prompts without content")

        def make() -> _Weight:
            found = content_free.label_weights(self._scorer, self._prompts, self._spec.conditions[0], self._labels)
            return _Weight(weight=found.tolist())

        found = self._stages.once("contextual calibration", _Weight, make)
        self._tell(content_free.n_prompts(self._prompts), "Asking prompts without content")
        return np.array(found.weight)

    def _mean_tokens(self, condition: str) -> float:
        return float(np.mean([len(self._prompts.encoded(condition, query)) for query in self._given.queries]))

    def influence(self, asked: Asked, *, confidence: float) -> tuple[list[dict[str, Any]], list[Caution]]:
        """Rows of the table of influence, none if it was not asked for; and what weakens them."""
        places = asked.test_queries(self._spec.influence_queries)
        if not places:
            return [], []
        found = Influence(
            scorer=self._scorer,
            prompts=self._prompts,
            queries=self._queries(places),
            groups=self._unit[places].tolist(),
            labels=self._labels,
            condition=self._spec.conditions[0],
        )
        rows = found.rows(self._stages, lambda n: self._tell(n, "Leaving demonstrations out"), confidence=confidence)
        groups = len(np.unique(self._unit[places]))
        if groups >= FEW_GROUPS:
            return rows, []
        told = "there are none" if groups < 2 else f"with fewer than {FEW_GROUPS} they are too narrow"
        message = f"Intervals of the demonstrations' influence rest on {groups:,} groups of queries: {told}."
        return rows, [Caution(code="few_influence_queries", message=message, count=groups)]

    def attention(self, asked: Asked) -> tuple[list[dict[str, Any]], list[Caution]]:
        """Rows of the table of attention, and why there are none."""
        places = asked.test_queries(self._spec.attention_queries)
        try:
            rows = attention_rows(
                self._scorer,
                self._prompts,
                self._queries(places),
                (CORRECT, self._spec.conditions[0]),
                self._stages,
                lambda n: self._tell(n, "Looking at attention"),
            )
        except ModelError as error:
            return [], [Caution(code="no_attention", message=str(error))]
        return rows, []

    def timing(self, asked: Asked, threshold: float, index: int) -> tuple[Timing | None, list[Caution]]:
        """Measured times, and a caution where a true early exit answers otherwise than the scores of all exits say."""
        places = asked.test_queries(self._spec.timing_queries)
        if not places:
            return None, []
        queries = self._queries(places)
        conditions = timing.conditions_of(self._spec, queries, self._context.seed)

        def make() -> Timing:
            return timing.measure(
                self._scorer,
                self._prompts,
                queries,
                conditions,
                self._labels,
                asked.reading,
                threshold,
                lambda: self._tell(1, "Timing the early exit"),
            )

        found = self._stages.once("timing", Timing, make)
        scored = [
            int(asked.answers.by_condition[condition].guarded.labels[index, place])
            for condition, place in zip(conditions, places, strict=True)
        ]
        n_other = sum(one != other for one, other in zip(found.labels, scored, strict=True))
        if not n_other:
            return found, []
        message = (
            f"A true early exit gave another label than the scores of all exits for {n_other:,} of {found.n:,} queries, since "
            "prompts asked together differ from prompts asked alone by rounding."
        )
        return found, [Caution(code="early_exit_differs", message=message, count=n_other)]

    def _queries(self, places: Sequence[int]) -> list[Example]:
        return [self._given.queries[place] for place in places]
