"""Examples to tokens: a prompt from a template, and behind it the answer that losses are taken over.

Prompt and answer are tokenised one by one, so that the place where the answer begins is known, and is the same when the
model is trained, asked and generates. A blank begins the answer and never ends the prompt, since that is where tokenizers
cut a text by themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from auditor.audits.unlearning.examples import Example

if TYPE_CHECKING:
    from auditor.audits.unlearning.batches import Tokens

QUESTION = "{question}"


class Tokenizer(Protocol):
    """As `auditor.models.words.Words`, of which only this is needed."""

    def tokenize(self, text: str, *, begin: bool) -> list[int]:
        """Token ids of a text; `begin` puts the beginning-of-text token in front, where the model wants one."""
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


def prompt_ids(words: Tokenizer, question: str, template: Template) -> list[int]:
    """Tokens of a prompt, which the answer follows."""
    return words.tokenize(template.text(question), begin=True)


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
        ids = prompt_ids(words, example.question, template)
        begin = len(ids)
        ids = [*ids, *words.tokenize(f" {example.answer}", begin=False)]
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
