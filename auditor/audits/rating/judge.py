"""The judge: a model that rates a conversation on every axis of a rubric.

A score is read, not generated: the logits of the five digit tokens after "Rating:" give p(1..5) by a softmax over
these five; the expected score is the sum of i p(i); the entropy of p, in nats, tells how unsure the judge is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from auditor.audits.rating.conversation import Conversation
from auditor.audits.rating.prompt import ORDER, Prompt, Scope
from auditor.audits.rating.rubric import Rubric
from auditor.models import ModelFile
from auditor.models.fit import estimate, require

EXPLANATION_TOKENS = 80
#: One sentence on one line; ours.
_SENTENCE = 'root ::= " "? [A-Z] [^\\n.!?]+ [.!?]'
_ASK_WHY = "\nReason, in one sentence:"


@dataclass(frozen=True)
class Rating:
    """A judge's rating of one conversation on one axis.

    Attributes
    ----------
    p : tuple of 5 floats
        Probability of 1, 2, 3, 4, 5 among these five.
    expected : float
        Sum of i p(i), 1 to 5.
    mode : int
        Most probable score; the lower one when two are equal.
    entropy : float
        Entropy of p in nats, 0 to log 5.
    truncated_turns : int
        Turns that were left out or cut because the context is too short.
    """

    axis: str
    p: tuple[float, ...]
    expected: float
    mode: int
    entropy: float
    truncated_turns: int


def read_scores(axis: str, logits: NDArray[np.float32], truncated_turns: int = 0) -> Rating:
    """A rating from the five digit logits, shape (5,)."""
    shifted = logits.astype(np.float64) - float(logits.max())
    p = np.exp(shifted) / np.exp(shifted).sum()
    scores = np.arange(1, 6)
    positive = p[p > 0]
    return Rating(
        axis=axis,
        p=tuple(float(x) for x in p),
        expected=float(p @ scores),
        mode=int(scores[int(p.argmax())]),
        entropy=max(0.0, float(-(positive * np.log(positive)).sum())),
        truncated_turns=truncated_turns,
    )


class Judge:
    """Rates conversations with one model and one rubric.

    Parameters
    ----------
    model : ModelFile
        The judge's file; hashed before it is loaded.
    rubric : Rubric
        Where the axes are described.
    axes : sequence of str
        Names of the axes to rate, in this order.
    scope : str
        Whole conversation or last reply.
    n_ctx : int
        Positions of the context, tokens.
    explain : bool
        Keep room for explanations.

    Raises
    ------
    ModelError
        If the model does not fit into memory, has changed, or cannot be used for rating.
    InputError
        If the rubric lacks an axis.
    """

    def __init__(
        self, model: ModelFile, rubric: Rubric, axes: Sequence[str], *, scope: Scope, n_ctx: int, explain: bool = False
    ) -> None:
        from auditor.models.llama import LabelScorer

        chosen = [rubric.axis(name) for name in axes]
        require(estimate(model, n_ctx=n_ctx))
        self._axes = tuple(axes)
        self._scorer = LabelScorer(model, n_ctx=n_ctx)
        try:
            reserve = EXPLANATION_TOKENS + 16 if explain else 0
            self._prompt = Prompt(self._scorer, chosen, scope=scope, n_ctx=n_ctx, reserve=reserve)
        except BaseException:
            self._scorer.close()
            raise

    def rate(self, conversation: Conversation) -> list[Rating]:
        """Rate a conversation on every axis, in their order."""
        body, truncated = self._prompt.body(conversation)
        logits = self._scorer.scores(self._prompt.prefix, body, self._prompt.suffixes, self._prompt.labels.ids)
        return [read_scores(axis, row, truncated) for axis, row in zip(self._axes, logits, strict=True)]

    def explain(self, conversation: Conversation, rating: Rating) -> str:
        """One sentence by the model after its most probable score: the model's words, not a proved reason."""
        body, _ = self._prompt.body(conversation)
        suffix = self._prompt.suffixes[self._axes.index(rating.axis)]
        score = self._prompt.labels.ids[rating.mode - 1]
        why = self._scorer.tokenize(_ASK_WHY, special=False)
        return self._scorer.generate(
            self._prompt.prefix, [*body, *suffix, score, *why], grammar=_SENTENCE, max_tokens=EXPLANATION_TOKENS
        )

    @property
    def device(self) -> str:
        """What computes, as the backend reports it."""
        return self._scorer.device

    @property
    def settings(self) -> dict[str, Any]:
        """Everything a score depends on beside the conversation, for the provenance."""
        return {
            **self._scorer.settings,
            "order": ORDER,
            "frame": self._prompt.frame.layout,
            "prompt_sha256": self._prompt.sha256,
            "label_spelling": self._prompt.labels.spelling,
            "label_tokens": list(self._prompt.labels.ids),
        }

    def close(self) -> None:
        """Free the model."""
        self._scorer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
