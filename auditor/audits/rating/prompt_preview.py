"""The prompt of a rating to look at: every piece as the model reads it, with its number of tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from auditor.audits.rating.conversation import Conversation
from auditor.audits.rating.prompt import Prompt, Scope, Tokenizer
from auditor.audits.rating.rubric import Rubric
from auditor.audits.rating.variants import Variant, variant

FIVE = variant("5")


class Speller(Tokenizer, Protocol):
    """A tokenizer that works both ways."""

    def text(self, tokens: Sequence[int]) -> str:
        """What tokens stand for."""


@dataclass(frozen=True)
class Piece:
    """A part of the prompt.

    Attributes
    ----------
    kind : str
        "prefix": before every conversation. "conversation". "question": after it, one for each axis.
    axis : str or None
        Name of the axis of a question.
    text : str
        Made from the tokens, so that it is what the model reads.
    tokens : int
        How many.
    """

    kind: Literal["prefix", "conversation", "question"]
    axis: str | None
    text: str
    tokens: int


@dataclass(frozen=True)
class PromptPreview:
    """A prompt with its sizes.

    Attributes
    ----------
    layout : str
        How the model's chat template is used, in words.
    pieces : tuple of Piece
        In the order in which the model reads them.
    n_ctx : int
        Tokens the judge sees at once.
    room : int
        Tokens of them that are left for a conversation.
    truncated_turns : int
        Turns of the conversation that were left out for want of room.
    """

    layout: str
    pieces: tuple[Piece, ...]
    n_ctx: int
    room: int
    truncated_turns: int


def preview(
    tokenizer: Speller,
    rubric: Rubric,
    conversation: Conversation,
    *,
    scope: Scope,
    n_ctx: int,
    form: Variant = FIVE,
) -> PromptPreview:
    """Build the prompt of every axis for one conversation, exactly as a run would.

    Parameters
    ----------
    tokenizer : Speller
        The judge's.
    rubric : Rubric
        Shown whole; every axis of it is asked about.
    conversation : Conversation
        What stands where a run's conversations will stand.
    scope, n_ctx, form
        As in `Prompt`; nothing is kept free for an explanation.

    Raises
    ------
    ModelError
        As `Prompt` does, for example if nothing of a conversation fits beside the rubric.
    InputError
        If the variant shows rated examples and there are none for an axis.
    """
    names = [axis.name for axis in rubric.axes]
    prompt = Prompt(tokenizer, rubric, names, scope=scope, n_ctx=n_ctx, reserve=0, form=form)
    body, truncated_turns = prompt.body(conversation)
    pieces = [_piece(tokenizer, "prefix", None, prompt.prefix), _piece(tokenizer, "conversation", None, body)]
    pieces += [_piece(tokenizer, "question", name, suffix) for name, suffix in zip(names, prompt.suffixes, strict=True)]
    return PromptPreview(prompt.frame.layout, tuple(pieces), n_ctx, prompt.room, truncated_turns)


def _piece(
    tokenizer: Speller, kind: Literal["prefix", "conversation", "question"], axis: str | None, tokens: Sequence[int]
) -> Piece:
    return Piece(kind, axis, tokenizer.text(tokens), len(tokens))
