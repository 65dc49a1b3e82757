"""The prompt of a rating, as tokens: instructions with the whole rubric, conversation, axis question, "Rating:".

The order is part of the instrument and is stated in the findings: the rubric stands first and is decoded once for all
conversations, the axis stands last, so that a conversation is decoded once for all axes. The whole rubric is shown
whichever axes are asked, so that a score does not depend on what else is asked. The wording is ours. Text from a
conversation or a rubric is tokenised without special tokens, so that it cannot close its turn or open another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from auditor.audits.rating.conversation import Conversation, Turn
from auditor.audits.rating.rubric import Axis, Rubric
from auditor.audits.rating.variants import Variant, examples, variant
from auditor.errors import ModelError
from auditor.files import sha256_of_json
from auditor.models.chat_template import TemplateRefused, render

Scope = Literal["conversation", "last_response"]

ORDER = "instructions with the whole rubric, conversation, axis question, then 'Rating:'"
LEFT_OUT = "[earlier turns left out]\n\n"
_FIVE = variant("5")

_PREFACE = (
    "You are a careful rater of conversations between a user and an assistant. You read a conversation and rate "
    "the assistant on one question, with a whole number from 1 to {scale}. Use the description of each number below."
)
#: The same in other words, for the probe.
_PREFACE_PARAPHRASED = (
    "Below you find a conversation between a user and an assistant. Judge how well the assistant did with respect to "
    "one question. Your judgement is a single whole number, 1 at the lowest and {scale} at the highest; the meaning of "
    "every number is given first."
)
_SUBJECT = {
    "conversation": "Rate the assistant over the whole conversation.",
    "last_response": "Rate the assistant's last reply alone; what comes before it is context.",
}
_TITLES = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Tool"}
_RULES_MARK, _BODY_MARK, _AXIS_MARK = "\x02INSTRUCTIONS\x03", "\x02CONVERSATION\x03", "\x02AXIS\x03"
_MARKS = (_RULES_MARK, _BODY_MARK, _AXIS_MARK)


class Tokenizer(Protocol):
    """What a prompt needs of a model."""

    @property
    def chat_template(self) -> str | None:
        """Jinja text of the model's chat template."""

    @property
    def bos(self) -> str:
        """Text of the first token."""

    @property
    def eos(self) -> str:
        """Text of the last token."""

    def tokenize(self, text: str, *, special: bool, begin: bool = False) -> list[int]:
        """Token ids."""


@dataclass(frozen=True)
class Frame:
    """The text around instructions, a conversation and an axis question, from the model's own chat template."""

    begin: str
    head: str
    middle: str
    tail: str
    layout: str


@dataclass(frozen=True)
class Labels:
    """The tokens of the possible answers, and how the words before them are spelled and tokenised."""

    ids: tuple[int, ...]
    spelling: str
    tail: tuple[int, ...]


class Prompt:
    """Builds the tokens of rating prompts for one model, rubric and scope.

    Parameters
    ----------
    tokenizer : Tokenizer
        The model's.
    rubric : Rubric
        Shown whole.
    axes : sequence of str
        Names of the axes that are asked about, in this order.
    scope : str
        Whether the whole conversation or the last reply is rated.
    n_ctx : int
        Positions of the context, tokens. What a conversation may take of them does not depend on which axes are asked.
    reserve : int
        Positions kept free for an explanation.
    form : Variant
        Scale, examples and wording.

    Raises
    ------
    ModelError
        If the template cannot be used, the digits of the scale are not distinct single tokens, or the context is so
        short that nothing of a conversation fits.
    InputError
        If the rubric lacks an axis, or examples are asked for that do not exist.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        rubric: Rubric,
        axes: Sequence[str],
        *,
        scope: Scope,
        n_ctx: int,
        reserve: int,
        form: Variant = _FIVE,
    ) -> None:
        self._tokenizer = tokenizer
        asked = [rubric.axis(name) for name in axes]
        self.frame = frame_of(tokenizer)
        instructions = instructions_of(rubric, scope, form)
        self.labels = labels_of(tokenizer, self.frame.tail, form.scores)
        self.prefix = [
            *tokenizer.tokenize(self.frame.begin, special=True, begin=True),
            *tokenizer.tokenize(instructions, special=False),
            *tokenizer.tokenize(self.frame.head + "Conversation:\n\n", special=True),
        ]
        self.suffixes = [
            tokenizer.tokenize(f"{self.frame.middle}\n\n{question_of(axis, form)}", special=False)
            + list(self.labels.tail)
            for axis in asked
        ]
        questions = (f"{self.frame.middle}\n\n{question_of(axis, form)}" for axis in rubric.axes)
        longest = max(len(tokenizer.tokenize(text, special=False)) for text in questions) + len(self.labels.tail)
        self.room = n_ctx - reserve - len(self.prefix) - longest
        self._left_out = tokenizer.tokenize(LEFT_OUT, special=False)
        if self.room < 2 * len(self._left_out) + 16:
            raise ModelError(
                f"A context of {n_ctx:,} tokens has no room for a conversation beside the question "
                f"({len(self.prefix) + longest:,} tokens): raise the context length."
            )
        self.sha256 = sha256_of_json(
            {
                "frame": [self.frame.begin, instructions, self.frame.head, self.frame.middle, self.frame.tail],
                "axes": [question_of(axis, form) for axis in asked],
            }
        )

    def body(self, conversation: Conversation) -> tuple[list[int], int]:
        """Tokens of a conversation, and how many of its turns were left out or cut.

        What is rated stays: turns after the assistant's last one are left out first, then the oldest; when the last one
        that is left is too long by itself, it is cut from its beginning, behind the word that says whose turn it is.
        """
        parts = [self._tokenizer.tokenize(shown(turn), special=False) for turn in conversation.turns]
        if sum(map(len, parts)) <= self.room:
            return [token for part in parts for token in part], 0
        replies = [place for place, turn in enumerate(conversation.turns) if turn.role == "assistant"]
        dropped = len(parts) - 1 - max(replies, default=len(parts) - 1)
        parts = parts[: len(parts) - dropped]
        if sum(map(len, parts)) <= self.room:
            return [token for part in parts for token in part], dropped
        room = self.room - len(self._left_out)
        kept: list[list[int]] = []
        while parts and len(parts[-1]) <= room:
            room -= len(parts[-1])
            kept.insert(0, parts.pop())
        truncated = len(parts) + dropped
        if not kept:
            whose = conversation.turns[len(parts) - 1].role
            title = self._tokenizer.tokenize(f"{_TITLES[whose]}:", special=False)
            kept = [[*title, *parts[-1][len(title) - room :]]]
        return [*self._left_out, *(token for part in kept for token in part)], truncated


def instructions_of(rubric: Rubric, scope: Scope, form: Variant = _FIVE) -> str:
    """What stands before every conversation: the task, every word of the rubric, and rated examples if asked for."""
    preface = _PREFACE_PARAPHRASED if form.is_paraphrased else _PREFACE
    axes = [
        f"{axis.title}: {axis.question}\n"
        + "\n".join(f"{score} = {text}" for score, text in zip(form.scores, form.levels(axis), strict=True))
        for axis in rubric.axes
    ]
    shown = []
    if form.has_examples:
        for number, example in enumerate(examples(rubric), start=1):
            turns = "\n\n".join(f"{_TITLES[role]}: {text}" for role, text in example.turns)
            given = ", ".join(f"{axis.title} {example.score(axis.name, form.scale)}" for axis in rubric.axes)
            shown.append(f"Example {number}:\n\n{turns}\n\nRatings: {given}.")
    return "\n\n".join([f"{preface.format(scale=form.scale)} {_SUBJECT[scope]}", *axes, *shown])


def question_of(axis: Axis, form: Variant = _FIVE) -> str:
    """The axis as it is asked after a conversation."""
    if form.is_paraphrased:
        return f"How do you judge this: {axis.title}? Give one number, 1 to {form.scale}."
    return f"Question: {axis.title}. Answer with a number from 1 to {form.scale}."


def shown(turn: Turn) -> str:
    """A turn as it stands in a prompt."""
    return f"{_TITLES[turn.role]}: {turn.text.strip()}\n\n"


def frame_of(tokenizer: Tokenizer) -> Frame:
    """Render the model's chat template around marks and split it there.

    Raises
    ------
    ModelError
        If the template fails, or does not carry the texts it is given.
    """
    if tokenizer.chat_template is None:
        return Frame("", "\n\n", "", "\n", "plain text: the model file has no chat template")
    user = f"{_BODY_MARK}{_AXIS_MARK}"
    attempts = (
        ("chat template with a system turn", [("system", _RULES_MARK), ("user", user)]),
        ("chat template without a system turn", [("user", f"{_RULES_MARK}\n\n{user}")]),
    )
    problem = ""
    for layout, turns in attempts:
        try:
            text = render(tokenizer, [{"role": role, "content": content} for role, content in turns])
        except TemplateRefused as error:
            problem = str(error)
            continue
        if all(text.count(mark) == 1 for mark in _MARKS):
            begin, rest = text.split(_RULES_MARK)
            head, rest = rest.split(_BODY_MARK)
            middle, tail = rest.split(_AXIS_MARK)
            return Frame(begin, head, middle, tail, layout)
        problem = "it leaves out what it is given"
    raise ModelError(f"The model's chat template cannot be used for rating: {problem}.")


def labels_of(tokenizer: Tokenizer, tail: str, scores: Sequence[str]) -> Labels:
    """Find how the digits of the scale follow "Rating:" as distinct single tokens.

    Raises
    ------
    ModelError
        If they do not; nothing else is tried, since a score read from part of a digit would be wrong.
    """
    found = find_labels(tokenizer, tail, ("Rating: ", "Rating:"), scores)
    if found is not None:
        return found
    raise ModelError(
        f"The digits 1 to {len(scores)} are not distinct single tokens of this model after 'Rating:', "
        "so its scores cannot be read from one position: choose another model."
    )


def find_labels(tokenizer: Tokenizer, tail: str, spellings: Sequence[str], answers: Sequence[str]) -> Labels | None:
    """The first spelling after which the answers are distinct single tokens behind the same tokens, or None."""
    for spelling in spellings:
        written = [tokenizer.tokenize(tail + spelling + answer, special=True) for answer in answers]
        ids = tuple(tokens[-1] for tokens in written)
        tails = {tuple(tokens[:-1]) for tokens in written}
        if len(set(ids)) == len(answers) and len(tails) == 1:
            return Labels(ids, spelling, tails.pop())
    return None
