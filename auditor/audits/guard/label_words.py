"""Whether a model can tell labels apart by one token each, and which words could stand for those that it cannot."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Self

from auditor.audits.guard.task import Task
from auditor.audits.guard.template import Tokenize
from auditor.errors import InputError, printable

LabelTokens = Callable[[str], tuple[int, ...]]

#: Words that turn the meaning of the words beside them round: what is left of a label without them says the opposite.
_TURNING = frozenset({"not", "no", "non", "never", "without", "neither", "anti", "un"})


def label_tokens_of(task: Task, tokenize: Tokenize, label_tokens: LabelTokens) -> list[tuple[int, ...]]:
    """Tokens by which each label is scored.

    Parameters
    ----------
    tokenize, label_tokens : callable
        As `auditor.models.exits.ExitScorer` has them.

    Returns
    -------
    list of tuple of int
        One tuple a label, in the task's order; no token stands in two of them.

    Raises
    ------
    InputError
        If a word is more than one token, or two words begin with the same one. Both labels are named, and words that would
        do are offered.
    """
    seen = [_Seen.of(word, tokenize, label_tokens) for word in task.words]
    for number, label in enumerate(task.labels):
        for other in range(number):
            if seen[number].clashes(seen[other]):
                raise InputError(
                    f"The labels {printable(task.labels[other], 60)} and {printable(label, 60)} begin with the same token "
                    "for this model, which could not tell them apart",
                    value=f"{task.words[other]}, {task.words[number]}",
                    fix=_offer(task, tokenize, label_tokens),
                )
    for label, word, found in zip(task.labels, task.words, seen, strict=True):
        if not found.tokens:
            raise InputError(
                f"The label {printable(label, 60)} is {len(tokenize(' ' + word, begin=False))} tokens for this model, which is "
                "scored for one",
                value=word,
                fix=_offer(task, tokenize, label_tokens),
            )
    return [found.tokens for found in seen]


@dataclass(frozen=True)
class _Seen:
    """A word as a model sees it.

    Attributes
    ----------
    tokens : tuple of int
        Spellings of it that are one token.
    first : int or None
        The token that it begins with behind a blank; that may be the blank itself.
    """

    tokens: tuple[int, ...]
    first: int | None

    @classmethod
    def of(cls, word: str, tokenize: Tokenize, label_tokens: LabelTokens) -> Self:
        behind_blank = tokenize(" " + word, begin=False)
        return cls(label_tokens(word), behind_blank[0] if behind_blank else None)

    def clashes(self, other: Self) -> bool:
        """Whether a model could not tell the two apart."""
        return bool(set(self.tokens) & set(other.tokens)) or self.first == other.first


def _offer(task: Task, tokenize: Tokenize, label_tokens: LabelTokens) -> str:
    words = suggested(task, tokenize, label_tokens)
    if not words:
        return "Give each label a word that is a single token for this model, or take another model."
    return f"Give words for labels, for example {listed(words.items())}."


def listed(words: Iterable[tuple[str, str]]) -> str:
    """Label and word as a person would type them: a=b, c=d."""
    return ", ".join(f"{label}={word}" for label, word in words)


def suggested(task: Task, tokenize: Tokenize, label_tokens: LabelTokens) -> dict[str, str]:
    """A word for each label with which `label_tokens_of` would take the task; empty if none were found.

    A label's own word if it will do, else a word of the label that no other label has, else a letter.
    """
    taken: list[_Seen] = []
    found: dict[str, str] = {}
    for label, word in zip(task.labels, task.words, strict=True):
        for option in (word, *_own_words(task, word), *ascii_uppercase):
            seen = _Seen.of(option, tokenize, label_tokens)
            if seen.tokens and not any(seen.clashes(other) for other in taken):
                taken.append(seen)
                found[label] = option
                break
        else:
            return {}
    return found


def _own_words(task: Task, word: str) -> list[str]:
    """Words of a label that stand in no other; none where they would say the opposite."""
    parts = _parts(word)
    others = {part.casefold() for other in task.words if other != word for part in _parts(other)}
    if _TURNING & {part.casefold() for part in parts}:
        return []
    return [part for part in parts if part.casefold() not in others]


def _parts(word: str) -> list[str]:
    return "".join(c if c.isalnum() else " " for c in word).split()


def alike(words: Sequence[str]) -> tuple[int, int] | None:
    """Places of two words that no model can tell apart, since they differ in case or blanks only; None if there are none."""
    seen: dict[str, int] = {}
    for place, word in enumerate(words):
        plain = " ".join(word.casefold().split())
        if plain in seen:
            return seen[plain], place
        seen[plain] = place
    return None
