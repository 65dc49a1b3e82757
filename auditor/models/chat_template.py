"""A model's chat template: what stands around a question when somebody chats with the model.

A template is a program from a stranger's file. It runs in a sandbox that gives it its messages and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

_QUESTION_MARK, _ANSWER_MARK = "\x02QUESTION\x03", "\x02ANSWER\x03"


class TemplateRefused(Exception):
    """A template that fails, or refuses what it is given; the message says why, without a full stop."""


class WithTemplate(Protocol):
    """What a template needs of a tokenizer."""

    @property
    def chat_template(self) -> str | None:
        """Jinja text of the model's chat template, or None."""
        ...

    @property
    def bos(self) -> str:
        """Spelling of the first token."""
        ...

    @property
    def eos(self) -> str:
        """Spelling of the last token."""
        ...


@dataclass(frozen=True)
class Turn:
    """The text around a question that opens a chat, with nothing said before it but what the template says itself.

    Attributes
    ----------
    head : str
        Before the question.
    tail : str
        Behind it, up to where the model begins to answer.
    gap : str
        Blanks that the template puts between `tail` and an answer; mostly none.
    """

    head: str
    tail: str
    gap: str


def render(tokenizer: WithTemplate, messages: Sequence[Mapping[str, str]], *, is_open: bool = True) -> str:
    """What a template makes of messages.

    Parameters
    ----------
    tokenizer : WithTemplate
    messages : sequence of {"role": ..., "content": ...}
    is_open : bool
        Whether the model is to answer next.

    Raises
    ------
    TemplateRefused
        If it fails, or raises what it raises where it does not know what to do.
    """
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise TemplateRefused(message)

    # What it makes is plain text for a model, so nothing is escaped as HTML.
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, autoescape=False)
    environment.globals["raise_exception"] = refuse
    try:
        return environment.from_string(tokenizer.chat_template or "").render(
            messages=messages, add_generation_prompt=is_open, bos_token=tokenizer.bos, eos_token=tokenizer.eos
        )
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
        raise TemplateRefused(f"{type(error).__name__}: {error}") from error


def turn_of(tokenizer: WithTemplate) -> Turn:
    """Render the template around marks and split it there.

    Raises
    ------
    TemplateRefused
        If it fails, or does not carry the question.
    """
    asked = {"role": "user", "content": _QUESTION_MARK}
    text = render(tokenizer, [asked])
    if text.count(_QUESTION_MARK) != 1:
        raise TemplateRefused("it leaves out or repeats what it is given")
    head, tail = text.split(_QUESTION_MARK)
    return Turn(head, tail, _gap(tokenizer, asked, tail))


def _gap(tokenizer: WithTemplate, asked: Mapping[str, str], tail: str) -> str:
    """Blanks that an answer of an earlier turn has before it; none where the template writes such turns otherwise."""
    try:
        text = render(tokenizer, [asked, {"role": "assistant", "content": _ANSWER_MARK}], is_open=False)
    except TemplateRefused:
        return ""
    between = text.partition(_QUESTION_MARK)[2].partition(_ANSWER_MARK)[0]
    rest = between.removeprefix(tail)
    return rest if between.startswith(tail) and not rest.strip() else ""
