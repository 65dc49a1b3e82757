"""ROUGE-L of an answer that was generated against the answer that was asked for.

Words are runs of a to z and digits in lower case, longer ones than three letters without their endings (Porter). The
longest common subsequence is compared with the words of either text [1]_. Figures equal those of the package
rouge-score, which benchmarks of unlearning use.

References
----------
.. [1] Lin, C.-Y. (2004). ROUGE: A Package for Automatic Evaluation of Summaries. Text Summarization Branches Out, 74-81.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

_NO_WORD = re.compile(r"[^a-z0-9]+")
#: Words up to this length keep their endings.
_SHORT = 3


@dataclass(frozen=True)
class Rouge:
    """Overlap of two texts.

    Attributes
    ----------
    recall : float
        Words of the wanted answer that were generated, in order, as a share of it.
    f1 : float
        Harmonic mean of recall and of the same share of the generated text.
    """

    recall: float
    f1: float


def rouge_l(wanted: str, generated: str) -> Rouge | None:
    """ROUGE-L, or None where the wanted answer has no word of Latin letters or digits: nothing can be compared then.

    Parameters
    ----------
    wanted : str
        The answer as the file has it.
    generated : str
        What the model said; an empty text scores 0.
    """
    reference, found = words(wanted), words(generated)
    if not reference:
        return None
    common = common_length(reference, found)
    if not common:
        return Rouge(0.0, 0.0)
    recall, precision = common / len(reference), common / len(found)
    return Rouge(recall, 2 * precision * recall / (precision + recall))


def words(text: str) -> list[str]:
    """Stems of a text's words."""
    found = (_stem(word) if len(word) > _SHORT else word for word in _NO_WORD.split(text.lower()))
    return [word for word in found if word]


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    from nltk.stem.porter import PorterStemmer

    return PorterStemmer()


@lru_cache(maxsize=100_000)
def _stem(word: str) -> str:
    return str(_stemmer().stem(word))


def common_length(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest common subsequence.

    One row of the usual table at a time: each entry is the largest of what stands before it in its row, of the entry
    above, and of the one above to the left plus one where the words are the same.
    """
    numbers = {word: number for number, word in enumerate(dict.fromkeys(second))}
    columns = np.array([numbers[word] for word in second], np.int64)
    row = np.zeros(len(second) + 1, np.int64)
    for word in first:
        longer = np.where(columns == numbers.get(word, -1), row[:-1] + 1, row[1:])
        row[1:] = np.maximum.accumulate(np.maximum(longer, row[1:]))
    return int(row[-1])
