"""What stands in two files at once: examples that are to be forgotten and kept cannot be both.

Two examples are compared by their words, without case and blanks. An exact repetition contradicts itself; a near one may be
meant, and is shown with the share of the words that both have in the same order.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auditor.audits.unlearning.examples import Example, plain

#: Words in a row that two examples must share to be near each other (ours).
RUN_WORDS = 5
#: Share of the runs of the shorter example that the other one has, from which on they count as near (ours).
NEAR = 0.5
#: Fewer common runs than these happen between short questions of one form (ours).
_LEAST_RUNS = 4
#: Rarer answers than this say something: "yes" stands in many rows by right (ours).
_LEAST_ANSWER_WORDS = 4
SAME, SAME_QUESTION, SAME_ANSWER, NEAR_KIND = "same example", "same question", "same answer", "near"


@dataclass(frozen=True)
class Overlap:
    """Two examples of two files that are alike.

    Attributes
    ----------
    kind : str
        "same example", "same question", "same answer" (of four words or more) or "near".
    forget, other : Example
    role : str
        File of the other one.
    share : float
        Runs of five words that both have, over those of the shorter one; 1 for the same example.
    """

    kind: str
    forget: Example
    other: Example
    role: str
    share: float


def overlaps(forget: Sequence[Example], others: Sequence[Example], role: str) -> list[Overlap]:
    """Pairs that are alike, worst first, one for each example of `others` and the nearest of `forget`.

    Parameters
    ----------
    forget, others : sequence of Example
    role : str
        Of `others`.
    """
    index = _Index(forget)
    found = [pair for other in others if (pair := index.nearest(other, role)) is not None]
    order = (SAME, SAME_QUESTION, SAME_ANSWER, NEAR_KIND)
    return sorted(found, key=lambda pair: (order.index(pair.kind), -pair.share, pair.other.row))


class _Index:
    """The examples to forget, by what they hold."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self._examples = examples
        self._by_text = {_key(example): example for example in reversed(examples)}
        self._by_question = {plain(e.question): e for e in reversed(examples) if e.question is not None}
        self._by_answer = {plain(e.answer): e for e in reversed(examples) if _tells(e.answer)}
        self._runs = [frozenset(_runs(example)) for example in examples]
        self._with_run = defaultdict[tuple[str, ...], list[int]](list)
        for place, runs in enumerate(self._runs):
            for run in runs:
                self._with_run[run].append(place)

    def nearest(self, other: Example, role: str) -> Overlap | None:
        if same := self._by_text.get(_key(other)):
            return Overlap(SAME, same, other, role, 1.0)
        share, place = self._closest(other)
        if other.question is not None and (same := self._by_question.get(plain(other.question))):
            return Overlap(SAME_QUESTION, same, other, role, self._share(same, other))
        if _tells(other.answer) and (same := self._by_answer.get(plain(other.answer))):
            return Overlap(SAME_ANSWER, same, other, role, self._share(same, other))
        return Overlap(NEAR_KIND, self._examples[place], other, role, share) if share >= NEAR else None

    def _closest(self, other: Example) -> tuple[float, int]:
        """Largest share of runs in common, and the place of the example that has it."""
        runs = frozenset(_runs(other))
        shared = Counter[int](place for run in runs for place in self._with_run.get(run, ()))
        scored = [
            (n / min(len(runs), len(self._runs[place])), -place) for place, n in shared.items() if n >= _LEAST_RUNS
        ]
        share, place = max(scored, default=(0.0, 0))
        return share, -place

    def _share(self, one: Example, other: Example) -> float:
        ours, theirs = set(_runs(one)), set(_runs(other))
        return len(ours & theirs) / min(len(ours), len(theirs)) if ours and theirs else 0.0


def _key(example: Example) -> tuple[str, str]:
    return plain(example.question or ""), plain(example.answer)


def _tells(answer: str) -> bool:
    return len(answer.split()) >= _LEAST_ANSWER_WORDS


def _runs(example: Example) -> Iterator[tuple[str, ...]]:
    words = plain(example.text).split()
    for start in range(len(words) - RUN_WORDS + 1):
        yield tuple(words[start : start + RUN_WORDS])
