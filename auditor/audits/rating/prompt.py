"""The prompt of a rating, as tokens: shared preface, conversation, axis question, "Rating:".

The order is part of the instrument (the axis stands last, so that a conversation is decoded once for all axes)
and is stated in the findings. The wording is ours. Text from a conversation is tokenised without special tokens,
so that it cannot close its turn or open another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from auditor.audits.rating.conversation import Conversation, Turn
from auditor.audits.rating.rubric import Axis
from auditor.errors import ModelError
from auditor.files import sha256_of_json

Scope = Literal["conversation", "last_response"]

ORDER = "instructions, conversation, axis question with the text of each level, then 'Rating:'"
LEFT_OUT = "[earlier turns left out]\n\n"
SCORES = ("1", "2", "3", "4", "5")

_PREFACE = (
    "You are a careful rater of conversations between a user and an assistant. You read a conversation and rate "
    "the assistant on one question, with a whole number from 1 to 5. Use the description of each number."
)
_SUBJECT = {
    "conversation": "Rate the assistant over the whole conversation.",
    "last_response": "Rate the assistant's last reply alone; what comes before it is context.",
}
_TITLES = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Tool"}
_BODY_MARK, _AXIS_MARK = "\x02CONVERSATION\x03", "\x02AXIS\x03"


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
    """The text around a conversation and an axis question, from the model's own chat template."""

    head: str
    middle: str
    tail: str
    layout: str


@dataclass(frozen=True)
class Labels:
    """The five score tokens and how "Rating:" is spelled before them."""

    ids: tuple[int, ...]
    spelling: str
    tail: tuple[int, ...]


class Prompt:
    """Builds the tokens of rating prompts for one model, rubric and scope.

    Parameters
    ----------
    tokenizer : Tokenizer
        The model's.
    axes : sequence of Axis
        Asked about, in this order.
    scope : str
        Whether the whole conversation or the last reply is rated.
    n_ctx : int
        Positions of the context, tokens.
    reserve : int
        Positions kept free for an explanation.

    Raises
    ------
    ModelError
        If the template cannot be used, the five digits are not distinct single tokens, or the context is so short
        that nothing of a conversation fits.
    """

    def __init__(self, tokenizer: Tokenizer, axes: Sequence[Axis], *, scope: Scope, n_ctx: int, reserve: int) -> None:
        self._tokenizer = tokenizer
        self.frame = frame_of(tokenizer)
        self.labels = labels_of(tokenizer, self.frame.tail)
        self.prefix = tokenizer.tokenize(self.frame.head + "Conversation:\n\n", special=True, begin=True)
        self.suffixes = [
            tokenizer.tokenize(self.frame.middle + "\n\n" + question_of(axis, scope), special=False)
            + list(self.labels.tail)
            for axis in axes
        ]
        longest = max(len(suffix) for suffix in self.suffixes)
        self.room = n_ctx - reserve - len(self.prefix) - longest
        self._left_out = tokenizer.tokenize(LEFT_OUT, special=False)
        if self.room < 2 * len(self._left_out) + 16:
            raise ModelError(
                f"A context of {n_ctx:,} tokens has no room for a conversation beside the question "
                f"({len(self.prefix) + longest:,} tokens): raise the context length."
            )
        self.sha256 = sha256_of_json(
            {
                "frame": [self.frame.head, self.frame.middle, self.frame.tail],
                "axes": [question_of(a, scope) for a in axes],
            }
        )

    def body(self, conversation: Conversation) -> tuple[list[int], int]:
        """Tokens of a conversation, and how many of its turns were left out or cut.

        The oldest turns are left out first; when the last turn alone is too long, it is cut from its beginning.
        """
        parts = [self._tokenizer.tokenize(_shown(turn), special=False) for turn in conversation.turns]
        if sum(map(len, parts)) <= self.room:
            return [token for part in parts for token in part], 0
        room = self.room - len(self._left_out)
        kept: list[list[int]] = []
        while parts and len(parts[-1]) <= room:
            room -= len(parts[-1])
            kept.insert(0, parts.pop())
        truncated = len(parts)
        if not kept:
            kept = [parts[-1][-room:]]
        return [*self._left_out, *(token for part in kept for token in part)], truncated


def question_of(axis: Axis, scope: Scope) -> str:
    """The axis as the model reads it."""
    levels = "\n".join(f"{score} = {text}" for score, text in zip(SCORES, axis.levels, strict=True))
    return f"Question ({axis.title}): {axis.question}\n{levels}\n{_SUBJECT[scope]}"


def _shown(turn: Turn) -> str:
    return f"{_TITLES[turn.role]}: {turn.text.strip()}\n\n"


def frame_of(tokenizer: Tokenizer) -> Frame:
    """Render the model's chat template around marks and split it there.

    Raises
    ------
    ModelError
        If the template fails, or does not carry the texts it is given.
    """
    if tokenizer.chat_template is None:
        return Frame(f"{_PREFACE}\n\n", "", "\n", "plain text: the model file has no chat template")
    user = f"{_BODY_MARK}{_AXIS_MARK}"
    attempts = (
        ("chat template with a system turn", [("system", _PREFACE), ("user", user)]),
        ("chat template without a system turn", [("user", f"{_PREFACE}\n\n{user}")]),
    )
    problem = ""
    for layout, turns in attempts:
        try:
            text = _render(tokenizer, [{"role": role, "content": content} for role, content in turns])
        except _TemplateRefused as error:
            problem = str(error)
            continue
        if _PREFACE in text and text.count(_BODY_MARK) == text.count(_AXIS_MARK) == 1:
            head, rest = text.split(_BODY_MARK)
            middle, tail = rest.split(_AXIS_MARK)
            return Frame(head, middle, tail, layout)
        problem = "it leaves out what it is given"
    raise ModelError(f"The model's chat template cannot be used for rating: {problem}.")


class _TemplateRefused(Exception):
    pass


def _render(tokenizer: Tokenizer, messages: list[dict[str, str]]) -> str:
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise _TemplateRefused(message)

    # A template is a program from a stranger's file: the sandbox gives it nothing but these names.
    # What it makes is plain text for a model, so nothing is escaped as HTML.
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, autoescape=False)
    environment.globals["raise_exception"] = refuse
    try:
        return environment.from_string(tokenizer.chat_template or "").render(
            messages=messages, add_generation_prompt=True, bos_token=tokenizer.bos, eos_token=tokenizer.eos
        )
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
        raise _TemplateRefused(f"{type(error).__name__}: {error}") from error


def labels_of(tokenizer: Tokenizer, tail: str) -> Labels:
    """Find how the five digits follow "Rating:" as distinct single tokens.

    Raises
    ------
    ModelError
        If they do not; nothing else is tried, since a score read from part of a digit would be wrong.
    """
    for spelling in ("Rating: ", "Rating:"):
        written = [tokenizer.tokenize(tail + spelling + score, special=True) for score in SCORES]
        ids = tuple(tokens[-1] for tokens in written)
        tails = {tuple(tokens[:-1]) for tokens in written}
        if len(set(ids)) == len(SCORES) and len(tails) == 1:
            return Labels(ids, spelling, tails.pop())
    raise ModelError(
        "The digits 1 to 5 are not five distinct single tokens of this model after 'Rating:', "
        "so its scores cannot be read from one position: choose another model."
    )
