"""Ask the model every query under every condition, once, and keep the scores of all exits.

Prompts are asked in chunks, and every query's row is flushed when its chunk is done. The same chunk gives the same bits, so a
run that was interrupted asks the chunk it was at once more as a whole, and ends with the same scores.
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.audits import Context
from auditor.audits.guard.answers import Scores
from auditor.audits.guard.attacks import generator
from auditor.audits.guard.conditions import ZERO_SHOT
from auditor.audits.guard.prompts import Prompts
from auditor.audits.guard.task import Example
from auditor.audits.stages import stop_if_asked
from auditor.models.exits import Prompt, Scorer

#: Table of events with a row for each query under each condition.
SCORES = "scores"
#: Prompts that are asked at once. Fixed demonstrations are read once a chunk, so there it holds more; and a graphics
#: processor wants more at a time (ours).
_CHUNK, _CHUNK_FIXED, _TIMES_ON_GPU = 16, 64, 4


@dataclass
class Progress:
    """Prompts asked so far, and all that will be."""

    done: int
    total: int


@dataclass(frozen=True)
class _Chunk:
    """Queries asked at once under one condition, by their places."""

    condition: str
    places: tuple[int, ...]


class Scoring:
    """Asks what has not been flushed yet.

    Parameters
    ----------
    scorer : Scorer
    prompts : Prompts
    queries : sequence of Example
    conditions : sequence of str
        Correct demonstrations first, then the attacks; zero-shot is always asked.
    labels : sequence of sequence of int
        Tokens by which each label is scored.
    context : Context
    progress : Progress
        Of the whole run; counted on.
    """

    def __init__(
        self,
        scorer: Scorer,
        prompts: Prompts,
        queries: Sequence[Example],
        conditions: Sequence[str],
        labels: Sequence[Sequence[int]],
        context: Context,
        progress: Progress,
    ) -> None:
        self._scorer, self._prompts, self._queries, self._labels = scorer, prompts, queries, labels
        self._conditions = (ZERO_SHOT, *conditions)
        self._context, self._progress = context, progress
        shape = (len(queries), scorer.n_exits, len(labels))
        self._scores = {name: np.full(shape, np.nan, dtype=np.float32) for name in self._conditions}
        self._n_right = dict.fromkeys(self._conditions, 0)
        self._n_asked = dict.fromkeys(self._conditions, 0)

    def ask(self) -> Scores:
        """Scores of every query under every condition.

        Raises
        ------
        Cancelled
            If a person asked for it; what was scored stays.
        """
        known = self._flushed()
        for chunk in self._chunks():
            if not all((chunk.condition, place) in known for place in chunk.places):
                stop_if_asked(self._context)
                self._ask(chunk, known)
        return Scores(self._scores[ZERO_SHOT], {name: self._scores[name] for name in self._conditions[1:]})

    def _flushed(self) -> set[tuple[str, int]]:
        known = set()
        for row in self._context.rows(SCORES):
            self._keep(row["condition"], row["place"], unpacked(row["logits"], self._shape))
            known.add((row["condition"], row["place"]))
        self._progress.done += len(known)
        return known

    @property
    def _shape(self) -> tuple[int, int]:
        return self._scorer.n_exits, len(self._labels)

    def _chunks(self) -> Iterator[_Chunk]:
        """All conditions of some queries, then of the next ones: so every curve grows at once, in a random order."""
        size = _CHUNK_FIXED if self._prompts.draw.is_fixed else _CHUNK
        if self._scorer.settings.get("device_kind", "cpu") != "cpu":
            size *= _TIMES_ON_GPU
        order = generator(self._prompts.seed, "order of asking").permutation(len(self._queries)).tolist()
        for start in range(0, len(order), size):
            for condition in self._conditions:
                yield _Chunk(condition, tuple(order[start : start + size]))

    def _ask(self, chunk: _Chunk, known: set[tuple[str, int]]) -> None:
        made = [self._prompts.encoded(chunk.condition, self._queries[place]) for place in chunk.places]
        # A prompt behind a held prefix differs from a whole one by rounding: what is held must not depend on what was asked
        # before, which is something else in a run that was resumed.
        if not self._prompts.draw.is_fixed:
            self._scorer.release()
        if self._prompts.draw.is_fixed or chunk.condition == ZERO_SHOT:
            self._scorer.hold(made[0].prefix)
        scores = self._scorer.scores([Prompt(one.prefix, one.query) for one in made], self._labels)
        for place, of_query in zip(chunk.places, scores, strict=True):
            if (chunk.condition, place) not in known:
                self._flush(chunk.condition, place, of_query)
        name, n = chunk.condition, self._n_asked[chunk.condition]
        self._context.metric(f"accuracy/{name}", self._n_right[name] / n, n)

    def _flush(self, condition: str, place: int, of_query: NDArray[np.float32]) -> None:
        query, task = self._queries[place], self._prompts.task
        self._keep(condition, place, of_query)
        row = {
            "condition": condition,
            "place": place,
            "id": query.id,
            "label": query.label,
            "answer": task.labels[int(of_query[-1].argmax())],
            "logits": packed(of_query),
        }
        self._context.row(SCORES, row)
        self._progress.done += 1
        self._context.progress(self._progress.done, self._progress.total, "Asking the model")

    def _keep(self, condition: str, place: int, of_query: NDArray[np.float32]) -> None:
        self._scores[condition][place] = of_query
        right = self._prompts.task.labels[int(of_query[-1].argmax())] == self._queries[place].label
        self._n_asked[condition] += 1
        self._n_right[condition] += right


def packed(scores: NDArray[np.float32]) -> str:
    """Scores as text: their bytes, float32, little-endian, row by row, in base64."""
    return base64.b64encode(np.ascontiguousarray(scores, dtype="<f4").tobytes()).decode("ascii")


def unpacked(text: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The scores again, bit for bit."""
    return np.frombuffer(base64.b64decode(text), dtype="<f4").reshape(shape).astype(np.float32)
