"""The judge: a model that rates conversations on every axis of a rubric, many at a time.

A score is read, not generated: the logits of the digit tokens after "Rating:" give p by a softmax over these digits;
the expected score is the sum of i p(i); the entropy of p, in nats, tells how unsure the judge is.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditor.audits.rating.conversation import Conversation
from auditor.audits.rating.prompt import ORDER, Prompt, Scope
from auditor.audits.rating.rubric import Rubric
from auditor.audits.rating.variants import Variant, variant
from auditor.errors import InputError
from auditor.models import ModelFile
from auditor.models.tree import Batch, Unit, batches, order, segments

if TYPE_CHECKING:
    from auditor.models.llama import LabelScorer

EXPLANATION_TOKENS = 80
#: What asks for an explanation is part of the tokens that may follow a prompt.
TALK_TOKENS = EXPLANATION_TOKENS + 16
#: One sentence on one line; ours.
SENTENCE = 'root ::= " "? [A-Z] [^\\n.!?]+ [.!?]'
_ASK_WHY = "\nReason, in one sentence:"


@dataclass(frozen=True)
class Rating:
    """A judge's rating of one conversation on one axis.

    Attributes
    ----------
    p : tuple of floats
        Probability of each score of the scale among these.
    expected : float
        Sum of i p(i); of a scale from 1 to 4 it is mapped to 1 to 5 (`Variant.to_five`).
    mode : int
        Most probable score, on its own scale; the lower one when two are equal.
    entropy : float
        Entropy of p in nats, 0 to the logarithm of the number of scores.
    """

    axis: str
    p: tuple[float, ...]
    expected: float
    mode: int
    entropy: float


def read_scores(axis: str, logits: Sequence[float] | NDArray[np.float32], form: Variant | None = None) -> Rating:
    """A rating from the digits' logits, one for each score of the scale (1 to 5 if no variant is given)."""
    form = form or variant("5")
    exact = np.asarray(logits, np.float64)
    shares = np.exp(exact - exact.max())
    p = shares / shares.sum()
    positive = p[p > 0]
    return Rating(
        axis=axis,
        p=tuple(float(x) for x in p),
        expected=form.to_five(float(p @ np.arange(1, form.scale + 1))),
        mode=int(p.argmax()) + 1,
        entropy=max(0.0, float(-(positive * np.log(positive)).sum())),
    )


@dataclass(frozen=True)
class Prepared:
    """A conversation as the judge is asked about it.

    Attributes
    ----------
    unit : Unit
        Its tokens and the question of each axis.
    keys : tuple of str
        For each axis, SHA-256 of the model's hash and the exact tokens of the prompt: what a score depends on.
    truncated_turns : int
        Turns that were left out or cut because the context is too short.
    length : int
        Characters of what is rated: the last reply, or everything that the assistant said.
    """

    unit: Unit
    keys: tuple[str, ...]
    truncated_turns: int
    length: int


@dataclass(frozen=True)
class Scored:
    """What was computed for one prompt.

    Attributes
    ----------
    index, axis : int
        Which of the prepared conversations, and which axis.
    logits : tuple of float
        One for each score of the scale.
    explanation : str or None
        The judge's sentence, if it was asked for one.
    """

    index: int
    axis: int
    logits: tuple[float, ...]
    explanation: str | None


@dataclass(frozen=True)
class Layout:
    """Prompts laid out for decoding.

    Attributes
    ----------
    segments : list of lists of Batch
        What is computed in one does not depend on another.
    units : tuple of (int, tuple of int)
        For each unit of the tree: which of the prepared conversations, and which axes its suffixes are.
    """

    segments: list[list[Batch]]
    units: tuple[tuple[int, tuple[int, ...]], ...]

    def places(self, batch: Batch) -> list[tuple[int, int]]:
        """(conversation, axis) of every prompt of a batch."""
        return [(self.units[unit][0], self.units[unit][1][suffix]) for unit, suffix in batch.leaves]


class Judge:
    """Rates conversations with one model, one rubric and one variant of the prompt.

    Parameters
    ----------
    scorer : LabelScorer
        The loaded model; made with `TALK_TOKENS` to talk if explanations are wanted.
    rubric : Rubric
        Where the axes are described.
    axes : sequence of str
        Names of the axes to rate, in this order.
    scope : str
        Whole conversation or last reply.
    n_ctx : int
        Positions of the context, tokens.
    form : Variant
        Scale, examples and wording.
    explain : bool
        Ask for a sentence after every score.

    Raises
    ------
    ModelError
        If the model cannot be used for rating.
    InputError
        If the rubric lacks an axis, or examples are asked for that do not exist.
    """

    def __init__(
        self,
        scorer: "LabelScorer",
        rubric: Rubric,
        axes: Sequence[str],
        *,
        scope: Scope,
        n_ctx: int,
        form: Variant | None = None,
        explain: bool = False,
    ) -> None:
        from auditor.models.llama import ENGINE

        self.axes = tuple(axes)
        self.form = form or variant("5")
        self._scorer, self._scope, self._explain = scorer, scope, explain
        reserve = TALK_TOKENS if explain else 0
        self.prompt = Prompt(scorer, rubric, axes, scope=scope, n_ctx=n_ctx, reserve=reserve, form=self.form)
        self._suffixes = tuple(np.array(suffix, np.int32) for suffix in self.prompt.suffixes)
        self._why = scorer.tokenize(_ASK_WHY, special=False)
        self._key = hashlib.sha256(f"{scorer.file.sha256} {ENGINE} {self.prompt.labels.ids} ".encode())
        self._key.update(np.array(self.prompt.prefix, np.int32).tobytes())

    def prepare(self, conversation: Conversation) -> Prepared:
        """Make a conversation's tokens and keys."""
        body, truncated = self.prompt.body(conversation)
        unit = Unit(np.array(body, np.int32), self._suffixes)
        shared = self._key.copy()
        shared.update(unit.body.tobytes())
        keys = []
        for suffix in self._suffixes:
            whole = shared.copy()
            whole.update(suffix.tobytes())
            keys.append(whole.hexdigest())
        said = [len(turn.text) for turn in conversation.turns if turn.role == "assistant"]
        return Prepared(unit, tuple(keys), truncated, said[-1] if self._scope == "last_response" else sum(said))

    def layout(self, prepared: Sequence[Prepared], wanted: Sequence[Sequence[int]]) -> Layout:
        """Lay out the prompts of some axes of each conversation so that what they share is decoded once."""
        # A conversation with more axes than the engine takes at once is laid out several times.
        most = self._scorer.max_leaves
        chosen = [
            (index, tuple(axes[first : first + most]))
            for index, axes in enumerate(wanted)
            for first in range(0, len(axes), most)
        ]
        units = [
            Unit(prepared[index].unit.body, tuple(self._suffixes[axis] for axis in axes)) for index, axes in chosen
        ]
        sequence = order(units)
        cut = batches(
            [units[place] for place in sequence],
            capacity=self._scorer.plan.capacity,
            max_leaves=most,
        )
        return Layout(list(segments(cut)), tuple(chosen[place] for place in sequence))

    def score(self, layout: Layout, skip: int = 0) -> Iterator[list[Scored]]:
        """Compute batch by batch, from a segment on.

        Parameters
        ----------
        skip : int
            Segments that are left out.
        """
        left = [batch for segment in layout.segments[skip:] for batch in segment]
        if not left:
            return
        self._scorer.hold(self.prompt.prefix)
        for batch, logits in self._scorer.scores(left, self.prompt.labels.ids):
            said = self._said(batch, logits) if self._explain else [None] * len(logits)
            yield [
                Scored(index, axis, tuple(float(x) for x in row), text)
                for (index, axis), row, text in zip(layout.places(batch), logits, said, strict=True)
            ]

    def _said(self, batch: Batch, logits: NDArray[np.float32]) -> list[str]:
        """A sentence of each prompt's model after its most probable score: its words, not a proved reason."""
        begun = [[self.prompt.labels.ids[int(row.argmax())], *self._why] for row in logits]
        return self._scorer.say(batch, begun, grammar=SENTENCE)

    def explain(self, prepared: Prepared, axis: int, score: int) -> str:
        """The sentence that follows a score, whether or not it is the most probable one."""
        layout = self.layout([prepared], [[axis]])
        self._scorer.hold(self.prompt.prefix)
        said = ""
        for batch, _ in self._scorer.scores(layout.segments[0], self.prompt.labels.ids):
            (said,) = self._scorer.say(batch, [[self.prompt.labels.ids[score - 1], *self._why]], grammar=SENTENCE)
        return said

    def rate(self, conversation: Conversation) -> list[Rating]:
        """Rate one conversation on every axis, in their order."""
        layout = self.layout([self.prepare(conversation)], [range(len(self.axes))])
        found = [scored for batch in self.score(layout) for scored in batch]
        return [read_scores(self.axes[one.axis], one.logits, self.form) for one in sorted(found, key=lambda s: s.axis)]

    @property
    def settings(self) -> dict[str, Any]:
        """Everything a score depends on beside the conversation and the machine, for the provenance."""
        return {
            "order": ORDER,
            "frame": self.prompt.frame.layout,
            "prompt_sha256": self.prompt.sha256,
            "label_spelling": self.prompt.labels.spelling,
            "label_tokens": list(self.prompt.labels.ids),
        }


def refuse_twins(models: Sequence[ModelFile]) -> None:
    """Refuse an ensemble in which a judge stands twice.

    Raises
    ------
    InputError
        If two judges have one name, or are the same file.
    """
    for place, model in enumerate(models):
        for other in models[:place]:
            if model.name == other.name or model.sha256 == other.sha256:
                raise InputError(
                    "A judge stands twice",
                    column="judges",
                    value=f"{other.name}, {model.name}",
                    fix="Name different model files, each by a name of its own in the library.",
                )


def load_scorer(model: ModelFile, *, n_ctx: int, explain: bool = False) -> "LabelScorer":
    """Load a judge's model.

    Raises
    ------
    ModelError
        If it does not fit into memory, has changed, or llama.cpp refuses it.
    """
    from auditor.models.fit import estimate, require
    from auditor.models.llama import LabelScorer

    talk = TALK_TOKENS if explain else 0
    require(estimate(model, n_ctx=n_ctx, talk=talk))
    return LabelScorer(model, n_ctx=n_ctx, talk=talk)
