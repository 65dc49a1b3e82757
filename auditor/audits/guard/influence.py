"""Which demonstrations hurt: each is left out in turn, and the right label's probability is compared.

The influence of a demonstration is the mean, over some test queries, of log p(right label | all demonstrations) less log
p(right label | all but this one), at the full model as it stands: below 0 where it hurts. It is about one set of
demonstrations under the first attack; where sets are drawn for each query, about one that was drawn for nobody.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from auditor.audits.guard.early_exit import softmax
from auditor.audits.guard.prompts import Prompts
from auditor.audits.guard.task import Demonstration, Example
from auditor.audits.stages import Stages
from auditor.models.exits import Prompt, Scorer
from auditor.stats.bootstrap import mean_interval

#: No query of a file has such an id.
_NOBODY = "\x00influence"


class _Asked(BaseModel):
    """The right label's log-probability, and whether it was the answer, for every query."""

    model_config = ConfigDict(frozen=True)

    log_p: tuple[float, ...]
    right: tuple[bool, ...]


@dataclass(frozen=True)
class Influence:
    """Leaves one demonstration out after the other.

    Attributes
    ----------
    scorer : Scorer
    prompts : Prompts
    queries : sequence of Example
        That are asked each time.
    groups : sequence of int
        Of these queries; drawn together in the bootstrap.
    labels : sequence of sequence of int
        Tokens by which each label is scored.
    condition : str
        The attack.
    """

    scorer: Scorer
    prompts: Prompts
    queries: Sequence[Example]
    groups: Sequence[int]
    labels: Sequence[Sequence[int]]
    condition: str

    def demonstrations(self) -> tuple[Demonstration, ...]:
        """The set that is looked at."""
        return self.prompts.demonstrations(self.condition, _NOBODY)

    def rows(self, stages: Stages, tell: Callable[[int], None], *, confidence: float) -> list[dict[str, Any]]:
        """Rows of the table of influence, the one that hurts most first.

        Parameters
        ----------
        stages : Stages
            Each set of prompts is a stage, so that an interrupted run goes on behind it.
        tell : callable
            Called with the number of prompts after each of them.
        confidence : float
            Of the bootstrap intervals.
        """
        shown = self.demonstrations()
        whole = self._stage("influence of none", shown, stages, tell)
        made: list[dict[str, Any]] = []
        for number, left_out in enumerate(shown):
            others = shown[:number] + shown[number + 1 :]
            without = self._stage(f"influence {number}", others, stages, tell)
            change = np.array(whole.log_p) - np.array(without.log_p)
            found = mean_interval(change, self.groups, confidence=confidence, seed=self.prompts.seed)
            right = np.array(whole.right, np.float64).mean() - np.array(without.right, np.float64).mean()
            made.append(
                {
                    "demonstration": left_out.source,
                    "text": left_out.text,
                    "word": left_out.word,
                    "source": self.condition if left_out.corrupted else "correct",
                    "corrupted": left_out.corrupted,
                    "influence": found.mean,
                    "low": found.low,
                    "high": found.high,
                    "accuracy_change": float(right),
                    "n": len(self.queries),
                }
            )
        made.sort(key=lambda row: row["influence"])
        return [{"place": place, **row} for place, row in enumerate(made, 1)]

    def _stage(self, name: str, shown: Sequence[Demonstration], stages: Stages, tell: Callable[[int], None]) -> _Asked:
        asked = stages.once(name, _Asked, lambda: self._ask(shown))
        tell(len(self.queries))
        return asked

    def _ask(self, shown: Sequence[Demonstration]) -> _Asked:
        made = [self.prompts.with_demonstrations(shown, query.text) for query in self.queries]
        self.scorer.release()
        self.scorer.hold(made[0].prefix)  # whatever was asked before, so that a resumed run gives the same bits
        scores = self.scorer.scores([Prompt(one.prefix, one.query) for one in made], self.labels)
        q = softmax(scores[:, -1])
        truth = np.array([self.prompts.task.number(query.label) for query in self.queries])
        p = np.maximum(q[np.arange(len(truth)), truth], np.finfo(np.float64).tiny)
        return _Asked(log_p=tuple(np.log(p).tolist()), right=tuple((q.argmax(axis=-1) == truth).tolist()))


def n_prompts(n_demonstrations: int, n_queries: int) -> int:
    """How many prompts are asked."""
    return (n_demonstrations + 1) * n_queries if n_queries else 0
