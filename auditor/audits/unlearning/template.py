"""Examples to tokens: a prompt from a template, and behind it the answer that losses are taken over.

Prompt and answer are tokenised one by one, so that the place where the answer begins is known, and is the same when the
model is trained, asked and generates. A blank begins the answer and never ends the prompt, since that is where tokenizers
cut a text by themselves.

A model that has a chat template can also be asked through it: the template's marks are then the tokens that they stand for,
while question and answer stay text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from auditor.audits.unlearning.examples import Example
from auditor.models.chat_template import Turn, WithTemplate, turn_of

if TYPE_CHECKING:
    from auditor.audits.unlearning.batches import Tokens

QUESTION = "{question}"
_NOTHING = Turn("", "", "")


class Tokenizer(Protocol):
    """As `auditor.models.words.Words`, of which only this is needed."""

    def tokenize(self, text: str, *, begin: bool) -> list[int]:
        """Token ids of a text; `begin` puts the beginning-of-text token in front, where the model wants one."""
        ...

    def marked(self, text: str, *, begin: bool) -> list[int]:
        """Token ids of what a chat template writes, its marks read as the tokens that they stand for."""
        ...


@dataclass(frozen=True)
class Template:
    """How a question is put.

    Attributes
    ----------
    prompt : str
        With {question} in it once. It ends where the answer begins, without a blank.
    """

    prompt: str = "Question: {question}\nAnswer:"

    def text(self, question: str) -> str:
        """The prompt of a question."""
        return self.prompt.replace(QUESTION, question)

    def prompt_ids(self, words: Tokenizer, question: str) -> list[int]:
        """Tokens of the prompt of a question."""
        return words.tokenize(self.text(question), begin=True)

    def answer_ids(self, words: Tokenizer, answer: str) -> list[int]:
        """Tokens of an answer behind it."""
        return words.tokenize(f" {answer}", begin=False)


@dataclass(frozen=True)
class ChatTemplate(Template):
    """How a question is put to a model by somebody who chats with it.

    Attributes
    ----------
    turn : Turn
        What the model's chat template puts around a question.
    """

    turn: Turn = _NOTHING

    def text(self, question: str) -> str:
        """The opened chat, with the template's marks as they are spelled."""
        return f"{self.turn.head}{question}{self.turn.tail}"

    def prompt_ids(self, words: Tokenizer, question: str) -> list[int]:
        """Tokens of the opened chat; what looks like a mark in the question stays text."""
        head = words.marked(self.turn.head, begin=True)
        return [*head, *words.tokenize(question, begin=False), *words.marked(self.turn.tail, begin=False)]

    def answer_ids(self, words: Tokenizer, answer: str) -> list[int]:
        """Tokens of an answer as the template writes it."""
        return words.tokenize(f"{self.turn.gap}{answer}", begin=False)


def chat_template(words: WithTemplate) -> ChatTemplate | None:
    """How a model is asked in a chat; None if it has no chat template.

    Raises
    ------
    TemplateRefused
        If its template cannot be used.
    """
    return ChatTemplate(turn=turn_of(words)) if words.chat_template is not None else None


def tokens_of(
    words: Tokenizer, example: Example, template: Template, *, end: int | None = None, most: int | None = None
) -> "Tokens":
    """Tokens of an example, and where its answer begins.

    Parameters
    ----------
    words : Tokenizer
    example : Example
        A plain text is all answer, but for the beginning-of-text token.
    template : Template
    end : int, optional
        Token that ends an answer, so that a model that has learnt it stops there. None for texts that go on.
    most : int, optional
        Longest example in tokens; what is longer is cut, the answer first to go.
    """
    from auditor.audits.unlearning.batches import Tokens

    if example.question is None:
        ids = words.tokenize(example.answer, begin=True)
        begin = len(ids) - len(_inside(words, ids))
    else:
        ids = template.prompt_ids(words, example.question)
        begin = len(ids)
        ids = [*ids, *template.answer_ids(words, example.answer)]
    if end is not None:
        ids = [*ids, end]
    kept = tuple(ids[:most])
    return Tokens(kept, min(begin, len(kept)))


def _inside(words: Tokenizer, ids: Sequence[int]) -> Sequence[int]:
    """The tokens of a text that begins a prompt without those that stand for no text."""
    alone = words.tokenize("", begin=True)
    known = len(alone) if list(ids[: len(alone)]) == alone else 0
    return ids[known:]


def pieces(
    words: Tokenizer, example: Example, template: Template, *, end: int | None = None, most: int
) -> list["Tokens"]:
    """Tokens of an example; a plain text that is longer than `most` in several pieces of at most so many tokens.

    The pieces of a text overlap by one token, which the piece before has learnt and the next one goes on from, so that
    every token of the text is predicted once.
    """
    from auditor.audits.unlearning.batches import Tokens

    if example.question is not None:
        return [tokens_of(words, example, template, end=end, most=most)]
    whole = tokens_of(words, example, template)
    ids = whole.ids
    later = [Tokens(ids[start : start + most], 1) for start in range(most - 1, len(ids) - 1, most - 1)]
    return [Tokens(ids[:most], whole.answer_from), *later]
