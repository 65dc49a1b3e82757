"""Answers as they are read: their own tokens behind a prompt, without the one that ends them, whatever reads them.

The verdict counts the mean, over examples, of the probability a token of these.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from auditor.audits.unlearning.batches import Tokens
from auditor.audits.unlearning.examples import Example
from auditor.audits.unlearning.metrics.memorisation import probability
from auditor.audits.unlearning.template import Template, Tokenizer, pieces, tokens_of

#: Reads (ids, answer_from) pairs: log-probabilities of the tokens of each answer, nats, an array of shape (n_tokens,) each.
ReadAnswers = Callable[[Sequence[tuple[Sequence[int], int]]], Sequence[NDArray[np.float64]]]


def answers(words: Tokenizer, examples: Sequence[Example], template: Template, most: int) -> list[list[Tokens]]:
    """Tokens of every answer behind its prompt; of long plain texts in pieces.

    Parameters
    ----------
    words : Tokenizer
    examples : sequence of Example
    template : Template
    most : int
        Longest piece of a plain text, tokens. A question with its answer is read whole.
    """
    found = []
    for example in examples:
        is_text = example.question is None
        whole = pieces(words, example, template, most=most) if is_text else [tokens_of(words, example, template)]
        found.append([text for text in whole if len(text.ids) > max(text.answer_from, 1)])
    return found


def probabilities(read: ReadAnswers, texts: Sequence[Sequence[Tokens]]) -> list[float]:
    """Probability a token of each answer, exp of the mean log-probability over all of its pieces.

    Parameters
    ----------
    read : callable
    texts : sequence of sequences of Tokens
        As `answers` gives them.
    """
    found = iter(read([(piece.ids, piece.answer_from) for text in texts for piece in text]))
    return [probability(-float(np.concatenate([next(found) for _ in text]).mean())) for text in texts]
