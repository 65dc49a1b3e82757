"""Probe of order: whether the judge chooses another reply when the two change places.

Two replies to one context are shown to the judge as reply A and reply B, then the other way round. The answer is read
from the logits of the tokens A and B at one position; nothing is sampled. A judge that looks at the replies alone
chooses the same reply both times. What stands first is always called A: a liking for the place and one for the letter
cannot be told apart. The wording and the drawing of pairs are ours.

References
----------
.. [1] L. Zheng et al., Judging LLM-as-a-judge with MT-bench and Chatbot Arena (2023), arXiv:2306.05685, section 3:
       position bias, and asking in both orders.
"""

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from math import isqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditor.audits import Context
from auditor.audits.findings import Caution
from auditor.audits.rating.autoaccept import exact_interval
from auditor.audits.rating.certificate import percent
from auditor.audits.rating.conversation import Conversation, Turn
from auditor.audits.rating.findings import PairOrder
from auditor.audits.rating.prompt import Labels, Tokenizer, find_labels, frame_of, shown
from auditor.audits.rating.rating_pass import Progress
from auditor.audits.rating.score_cache import Entry, ScoreCache
from auditor.errors import Cancelled, ModelError
from auditor.files import sha256_of_json
from auditor.models.tree import Unit, batches

if TYPE_CHECKING:
    from auditor.models.llama import LabelScorer

#: Table of events: a row for each pair, when both orders were asked or it was found too long.
PAIRS = "pairs"
#: Above this share of changed choices the findings warn (ours).
MANY_FLIPPED = 0.1

INSTRUCTIONS = (
    "You are a careful judge of conversations between a user and an assistant. You read a conversation and two replies "
    "that the assistant could give next, reply A and reply B, and say which of them is better."
)
QUESTION = "Question: Which reply is better, A or B? Answer with one letter."
_SPELLINGS = ("Better reply: ", "Better reply:")
_LETTERS = ("A", "B")

Conversations = Callable[[], Iterable[Conversation]]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Pair:
    """Two different last replies to the same turns, in one group."""

    a: Conversation
    b: Conversation

    @property
    def context(self) -> tuple[Turn, ...]:
        """The turns before either reply."""
        return self.a.turns[:-1]


class PairPrompt:
    """Builds the tokens that ask which of two replies is better.

    Parameters
    ----------
    tokenizer : Tokenizer
        The model's.

    Raises
    ------
    ModelError
        If the template cannot be used, or the letters A and B are not distinct single tokens.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        frame = frame_of(tokenizer)
        self.labels = letters_of(tokenizer, frame.tail)
        self.prefix = [
            *tokenizer.tokenize(frame.begin, special=True, begin=True),
            *tokenizer.tokenize(INSTRUCTIONS, special=False),
            *tokenizer.tokenize(frame.head + "Conversation:\n\n", special=True),
        ]
        self.suffix = [*tokenizer.tokenize(f"{frame.middle}{QUESTION}", special=False), *self.labels.tail]

    def body(self, context: Sequence[Turn], first: str, second: str) -> list[int]:
        """Tokens of a conversation and two replies, of which the first is called A."""
        replies = (
            f"Reply {letter}: {text.strip()}\n\n" for letter, text in zip(_LETTERS, (first, second), strict=True)
        )
        parts = (*(shown(turn) for turn in context), *replies)
        return [token for part in parts for token in self._tokenizer.tokenize(part, special=False)]


def letters_of(tokenizer: Tokenizer, tail: str) -> Labels:
    """Find how A and B follow the question as distinct single tokens.

    Raises
    ------
    ModelError
        If they do not.
    """
    found = find_labels(tokenizer, tail, _SPELLINGS, _LETTERS)
    if found is None:
        raise ModelError(
            "The letters A and B are not distinct single tokens of this model after 'Better reply:', so the order of "
            "pairs cannot be probed: choose another model, or no pairs."
        )
    return found


def drawn_pairs(conversations: Conversations, n: int, seed: int) -> list[Pair]:
    """Draw pairs of replies; the file is read twice, so that only the drawn conversations are held.

    Parameters
    ----------
    conversations : callable
        Gives the conversations from the beginning of the file on.
    n : int
        Pairs at most.
    seed : int
        Seed of the draw.

    Returns
    -------
    list of Pair
        Replies belong together when they are the last turns of conversations of one group whose turns before are the
        same. Of equal replies to one context the first stands for all. No group gives a second pair before every
        group that can has given one.
    """
    groups, contexts, replies, rows = (array("q") for _ in range(4))
    for one in conversations():
        if one.group is not None and one.turns[-1].role == "assistant":
            groups.append(_number(one.group))
            contexts.append(_number([one.group, *([turn.role, turn.text] for turn in one.turns[:-1])]))
            # Blanks at the ends are no part of a prompt.
            replies.append(_number(one.turns[-1].text.strip()))
            rows.append(one.row)
    chosen = draw(groups, contexts, replies, rows, n=n, seed=seed)
    wanted = {row for pair in chosen for row in pair}
    held = {one.row: one for one in conversations() if one.row in wanted}
    return [Pair(held[a], held[b]) for a, b in chosen]


def _number(value: Any) -> int:
    """A number of 60 bits that stands for a value; among a million two are the same with probability under 1e-6."""
    return int(sha256_of_json(value)[:15], 16)


def draw(
    groups: ArrayLike, contexts: ArrayLike, replies: ArrayLike, rows: ArrayLike, *, n: int, seed: int
) -> list[tuple[int, int]]:
    """Rows of the pairs; see `drawn_pairs`.

    Parameters
    ----------
    groups, contexts, replies, rows : array_like of int, shape (n_conversations,)
        Numbers that are equal where groups, contexts and replies are; a context lies in one group.

    Returns
    -------
    list of (int, int)
        The smaller row first.
    """
    row = np.asarray(rows, np.int64)
    keys = np.stack([np.asarray(groups, np.int64), np.asarray(contexts, np.int64), np.asarray(replies, np.int64)])
    _, distinct = np.unique(keys, axis=1, return_index=True)
    distinct = distinct[np.lexsort((row[distinct], keys[1, distinct], keys[0, distinct]))]
    several = [runs for runs in _runs(keys[1, distinct]) if runs[1] - runs[0] > 1]
    by_group: dict[int, list[Rows]] = {}
    for begin, end in several:
        by_group.setdefault(int(keys[0, distinct[begin]]), []).append(row[distinct[begin:end]])
    generator = np.random.default_rng(seed)
    names = list(by_group)
    chosen = [by_group[names[place]] for place in generator.permutation(len(names))[:n]]
    queues = [_pairs_of(group, n, generator) for group in chosen]
    return [pair for turn in zip_longest(*queues) for pair in turn if pair is not None][:n]


def _runs(values: Rows) -> Iterator[tuple[int, int]]:
    """Begin and end of each stretch of equal numbers."""
    bounds = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    yield from pairwise(bounds)


def _pairs_of(contexts: Sequence[Rows], n: int, generator: np.random.Generator) -> list[tuple[int, int]]:
    """At most n pairs of a group, each as likely as any other, in random order."""
    ends = np.cumsum([len(rows) * (len(rows) - 1) // 2 for rows in contexts])
    found = []
    for number in generator.choice(int(ends[-1]), size=min(int(ends[-1]), n), replace=False):
        place = int(np.searchsorted(ends, number, side="right"))
        # Pairs (i, j) with i < j, counted 01, 02, 12, 03, ...: j (j - 1) / 2 of them stand before the first with j.
        within = int(number) - (int(ends[place - 1]) if place else 0)
        j = (1 + isqrt(8 * within + 1)) // 2
        i = within - j * (j - 1) // 2
        found.append((int(contexts[place][i]), int(contexts[place][j])))
    return found


class OrderProbe:
    """Asks a judge about pairs, each in both orders.

    A pair is a segment of its own: its numbers depend on nothing outside it, so that a flushed pair is never computed
    again.

    Parameters
    ----------
    scorer : LabelScorer
        The loaded model of the judge.
    context : Context
        Takes rows and tells whether to stop.
    cache : ScoreCache
        Scores of earlier runs.
    n_ctx : int
        Positions of the context, tokens.
    reserve : int
        Positions kept free for an explanation.
    """

    def __init__(self, scorer: "LabelScorer", context: Context, cache: ScoreCache, *, n_ctx: int, reserve: int) -> None:
        from auditor.models.llama import ENGINE

        self._scorer, self._context, self._cache = scorer, context, cache
        self._prompt = PairPrompt(scorer)
        self._room = n_ctx - reserve - len(self._prompt.prefix) - len(self._prompt.suffix)
        self._suffix = np.array(self._prompt.suffix, np.int32)
        self._key = hashlib.sha256(f"{scorer.file.sha256} {ENGINE} {self._prompt.labels.ids} ".encode())
        self._key.update(np.array(self._prompt.prefix, np.int32).tobytes())

    def ask(self, pairs: Sequence[Pair], progress: Progress) -> None:
        """Ask about every pair that is not flushed yet.

        Raises
        ------
        Cancelled
            If a person asked for it; what was asked stays.
        """
        flushed = {row["pair"] for row in self._context.rows(PAIRS)}
        for number, pair in enumerate(pairs):
            if number in flushed:
                continue
            if self._context.cancelled():
                raise Cancelled(f"Stopped after {number:,} of {len(pairs):,} pairs; what was rated is kept.")
            message = f"Probing the order, pair {number + 1:,} of {len(pairs):,}"
            self._context.progress(progress.done, progress.total, message)
            told = {"pair": number, "group": pair.a.group, "row_a": pair.a.row, "row_b": pair.b.row}
            self._context.row(PAIRS, {**told, **self._both_orders(pair)})

    def _both_orders(self, pair: Pair) -> dict[str, float | None]:
        """p(A) with the pair's first reply as A, and with its second one; None where it does not fit."""
        a, b = pair.a.turns[-1].text, pair.b.turns[-1].text
        bodies = [self._prompt.body(pair.context, *replies) for replies in ((a, b), (b, a))]
        if max(map(len, bodies)) > self._room:
            return {"p_a_first": None, "p_b_first": None}
        units = [Unit(np.array(body, np.int32), (self._suffix,)) for body in bodies]
        a_first, b_first = (p_first(logits) for logits in self._logits(units))
        return {"p_a_first": a_first, "p_b_first": b_first}

    def _logits(self, units: Sequence[Unit]) -> list[tuple[float, ...]]:
        keys = [self._key_of(unit) for unit in units]
        known = self._cache.get(keys)
        # Both or none: with one of them alone the batch would be cut otherwise.
        if len(known) < len(units):
            self._scorer.hold(self._prompt.prefix)
            cut = batches(units, capacity=self._scorer.plan.capacity, max_leaves=self._scorer.max_leaves)
            known = {}
            for batch, logits in self._scorer.scores(cut, self._prompt.labels.ids):
                for (unit, _), row in zip(batch.leaves, logits, strict=True):
                    known[keys[unit]] = Entry(tuple(float(x) for x in row), None)
            self._cache.put(known)
        return [known[key].logits for key in keys]

    def _key_of(self, unit: Unit) -> str:
        key = self._key.copy()
        key.update(unit.body.tobytes())
        key.update(unit.suffixes[0].tobytes())
        return key.hexdigest()


def p_first(logits: Sequence[float]) -> float:
    """Probability of the first of two letters, by a softmax over both."""
    first, second = logits
    return float(1 / (1 + np.exp(np.float64(second) - np.float64(first))))


def summarise_pairs(rows: Iterable[Mapping[str, Any]], *, confidence: float) -> PairOrder:
    """What the flushed pairs say; of equal probabilities the reply shown first counts as chosen.

    Parameters
    ----------
    rows : iterable of mappings
        With `p_a_first` and `p_b_first`: probability of the reply shown first, in both orders; None where the pair
        did not fit.
    confidence : float
        Coverage of the exact interval.
    """
    all_pairs = list(rows)
    asked = [row for row in all_pairs if row["p_a_first"] is not None]
    skipped = len(all_pairs) - len(asked)
    p = np.array([(row["p_a_first"], row["p_b_first"]) for row in asked], np.float64).reshape(-1, 2)
    chose_first = p >= 0.5
    # The same place in both orders is another reply.
    n_flipped = int((chose_first[:, 0] == chose_first[:, 1]).sum())
    return PairOrder(
        n=len(asked),
        groups=len({row["group"] for row in asked}),
        n_flipped=n_flipped,
        flipped=exact_interval(n_flipped, len(asked), confidence),
        first_chosen=float(chose_first.mean()) if asked else None,
        p_first=float(p.mean()) if asked else None,
        skipped=skipped,
    )


def figures(order: PairOrder) -> dict[str, float | None]:
    """The probe's headline figures, without nesting."""
    flipped = order.flipped
    return {
        "n": order.n,
        "flipped": flipped.value,
        "flipped_low": flipped.low,
        "flipped_high": flipped.high,
        "first_chosen": order.first_chosen,
        "p_first": order.p_first,
        "skipped": order.skipped,
    }


def cautions(order: PairOrder) -> list[Caution]:
    """What a reader of the scores must know of the probe."""
    if order.n == 0:
        why = (
            f"{order.skipped:,} pairs do not fit into the context"
            if order.skipped
            else "no group has two replies to one context"
        )
        return [Caution(code="order", message=f"The order of replies could not be probed: {why}.", count=order.skipped)]
    found = []
    if order.flipped.value is not None and order.flipped.value > MANY_FLIPPED:
        message = (
            f"In {order.n_flipped:,} of {order.n:,} pairs ({percent(order.flipped.value, 0)}) the judge chooses the other "
            "reply when the two change places: its choices between replies rest on the order too."
        )
        found.append(Caution(code="order", message=message, count=order.n_flipped))
    if order.skipped:
        message = f"{order.skipped:,} pairs of the order probe did not fit into the context and were not asked."
        found.append(Caution(code="order_skipped", message=message, count=order.skipped))
    return found
