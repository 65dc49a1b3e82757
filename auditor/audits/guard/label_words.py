"""Whether a model can tell labels apart by one token each, and which words could stand for those that it cannot."""

from collections.abc import Callable, Iterable, Sequence
from string import ascii_uppercase

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
    tokens = [label_tokens(word) for word in task.words]
    first = [_first_token(word, tokenize) for word in task.words]
    for number, label in enumerate(task.labels):
        for other in range(number):
            is_one = set(tokens[number]) & set(tokens[other]) or first[number] == first[other]
            if is_one:
                raise InputError(
                    f"The labels {printable(task.labels[other], 60)} and {printable(label, 60)} begin with the same token "
                    "for this model, which could not tell them apart",
                    value=f"{task.words[other]}, {task.words[number]}",
                    fix=_offer(task, label_tokens),
                )
    for label, word, found in zip(task.labels, task.words, tokens, strict=True):
        if not found:
            raise InputError(
                f"The label {printable(label, 60)} is {len(tokenize(' ' + word, begin=False))} tokens for this model, which is "
                "scored for one",
                value=word,
                fix=_offer(task, label_tokens),
            )
    return tokens


def _first_token(word: str, tokenize: Tokenize) -> int | None:
    tokens = tokenize(" " + word, begin=False)
    return tokens[0] if tokens else None


def _offer(task: Task, label_tokens: LabelTokens) -> str:
    words = suggested(task, label_tokens)
    return f"Give words for labels, for example {listed(words.items())}."


def listed(words: Iterable[tuple[str, str]]) -> str:
    """Label and word as a person would type them: a=b, c=d."""
    return ", ".join(f"{label}={word}" for label, word in words)


def suggested(task: Task, label_tokens: LabelTokens) -> dict[str, str]:
    """A word of one token for each label, no token in two of them.

    A label's own word if it will do, else a word of the label that no other label has, else a letter.
    """
    taken: set[int] = set()
    found: dict[str, str] = {}
    letters = iter(ascii_uppercase)
    for label, word in zip(task.labels, task.words, strict=True):
        options = (word, *_own_words(task, word))
        choice = next((option for option in options if _is_free(option, label_tokens, taken)), None)
        while choice is None:
            letter = next(letters)
            choice = letter if _is_free(letter, label_tokens, taken) else None
        taken |= set(label_tokens(choice))
        found[label] = choice
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


def _is_free(word: str, label_tokens: LabelTokens, taken: set[int]) -> bool:
    tokens = label_tokens(word)
    return bool(tokens) and not taken & set(tokens)


def alike(words: Sequence[str]) -> tuple[int, int] | None:
    """Places of two words that no model can tell apart, since they differ in case or blanks only; None if there are none."""
    seen: dict[str, int] = {}
    for place, word in enumerate(words):
        plain = " ".join(word.casefold().split())
        if plain in seen:
            return seen[plain], place
        seen[plain] = place
    return None
