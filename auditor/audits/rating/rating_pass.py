"""One pass: one judge and one variant of the prompt over the whole file, flushed as it goes.

The file is read in windows. Within a window the prompts that begin alike are decoded together, whatever order they
come in; a prompt that stands there several times is decoded once; what was computed in an earlier run of the case is
taken from there. How a window is cut into batches depends
on the file, the plan and what was taken from earlier runs, and all three stand in the run: an interrupted run begins
its segment anew and ends with the same numbers.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from auditor.audits import Context
from auditor.audits.rating.conversation import Conversation
from auditor.audits.rating.judge import Judge, Prepared, Scored, read_scores
from auditor.audits.rating.score_cache import Entry, ScoreCache
from auditor.errors import Cancelled

#: Conversations whose tokens are held at once, and among which shared beginnings are found: about 80 MiB (ours).
WINDOW = 16_384
#: Conversations whose prompts are made between two looks at whether to stop.
_MADE_AT_ONCE = 256
#: Table of events that says what a window took from earlier runs.
WINDOWS = "windows"


@dataclass(frozen=True)
class Member:
    """One judge with one variant of the prompt.

    Attributes
    ----------
    number : int
        Its place among the run's members, from 0.
    place : int
        Which of the run's models it is, from 0.
    judge : str
        Name of the model.
    variant : str
        Name of the variant.
    table : str
        Table of events that its rows are flushed to.
    """

    number: int
    place: int
    judge: str
    variant: str
    table: str


@dataclass
class Progress:
    """Ratings done in the whole run, how many of them this process computed, and of how many tokens."""

    done: int = 0
    total: int = 0
    computed: int = 0
    tokens: int = 0


@dataclass
class _Flushed:
    """What an earlier process flushed of a member: whole windows, and the places done in the next one."""

    windows: int = 0
    is_open: bool = False
    reused: set[tuple[int, str]] = field(default_factory=set)
    done: set[tuple[int, str]] = field(default_factory=set)
    n: int = 0


def flushed(context: Context, member: Member) -> _Flushed:
    """Read back what was flushed of a member."""
    found = _Flushed()
    for row in context.rows(WINDOWS):
        if row["member"] == member.number:
            found.windows, found.is_open = row["window"], True
    for row in context.rows(member.table):
        if row.get("member", 0) != member.number:
            continue
        found.n += 1
        if row["window"] > found.windows:
            # The window had begun with what it takes from earlier runs when the process was killed.
            found.windows, found.is_open = row["window"], False
            found.reused.clear()
            found.done.clear()
        if row["window"] == found.windows:
            place = (row["row"], row["axis"])
            found.done.add(place)
            if row["reused"]:
                found.reused.add(place)
    return found


class RatingPass:
    """Carries out a pass.

    Parameters
    ----------
    judge : Judge
        Rates.
    member : Member
        Which of the run's members it is.
    context : Context
        Takes rows and tells whether to stop.
    cache : ScoreCache
        Scores of earlier runs.
    progress : Progress
        Of the whole run; counted on.
    explain : bool
        Whether a score without an explanation is no use.
    """

    def __init__(
        self,
        judge: Judge,
        member: Member,
        context: Context,
        cache: ScoreCache,
        progress: Progress,
        *,
        explain: bool,
    ) -> None:
        self._judge, self._member, self._context = judge, member, context
        self._cache, self._progress, self._explain = cache, progress, explain

    def rate(self, conversations: Iterable[Conversation]) -> None:
        """Rate what is not flushed yet.

        Raises
        ------
        Cancelled
            If a person asked for it; what was rated stays.
        """
        before = flushed(self._context, self._member)
        self._progress.done += before.n
        for number, window in enumerate(windows(conversations)):
            if number < before.windows:
                continue
            held = before if number == before.windows else _Flushed(windows=number)
            self._rate_window(number, window, held)

    def _stop_if_asked(self) -> None:
        if self._context.cancelled():
            done, total = self._progress.done, self._progress.total
            # A message of its own, so that the last count is written however short ago the one before it was.
            self._context.progress(done, total, "Stopping")
            raise Cancelled(f"Stopped after {done:,} of {total:,} ratings; what was rated is kept.")

    def _rate_window(self, number: int, window: Sequence[Conversation], held: _Flushed) -> None:
        prepared = self._prepare(window)
        self._context.progress(self._progress.done, self._progress.total, "Rating")
        places = [(conversation.row, axis) for conversation in window for axis in self._judge.axes]
        known = self._known(window, prepared, held) if not held.is_open else {}
        for index, conversation in enumerate(window):
            for axis, name in enumerate(self._judge.axes):
                entry = known.get(prepared[index].keys[axis])
                if entry is not None and (conversation.row, name) not in held.done:
                    scored = Scored(index, axis, entry.logits, entry.explanation)
                    self._flush(number, window, prepared, scored, reused=True)
                    held.reused.add((conversation.row, name))
        if not held.is_open:
            told = {"member": self._member.number, "window": number, "reused": len(held.reused)}
            self._context.row(WINDOWS, told)
        computed = set(places) - held.reused
        wanted = [
            [axis for axis, name in enumerate(self._judge.axes) if (conversation.row, name) in computed]
            for conversation in window
        ]
        self._compute(number, window, prepared, wanted, held.done)

    def _prepare(self, window: Sequence[Conversation]) -> list[Prepared]:
        prepared: list[Prepared] = []
        for begin in range(0, len(window), _MADE_AT_ONCE):
            self._context.progress(self._progress.done, self._progress.total, "Making prompts")
            self._stop_if_asked()
            prepared += map(self._judge.prepare, window[begin : begin + _MADE_AT_ONCE])
        return prepared

    def _known(
        self, window: Sequence[Conversation], prepared: Sequence[Prepared], held: _Flushed
    ) -> Mapping[str, Entry]:
        keys = [
            key
            for conversation, one in zip(window, prepared, strict=True)
            for name, key in zip(self._judge.axes, one.keys, strict=True)
            if (conversation.row, name) not in held.done
        ]
        found = self._cache.get(keys)
        return {key: entry for key, entry in found.items() if entry.explanation is not None or not self._explain}

    def _compute(
        self,
        number: int,
        window: Sequence[Conversation],
        prepared: Sequence[Prepared],
        wanted: Sequence[Sequence[int]],
        done: set[tuple[int, str]],
    ) -> None:
        first, twins = once(prepared, wanted)
        layout = self._judge.layout(prepared, first)
        skip = 0
        for segment in layout.segments:
            leaves = [place for batch in segment for leaf in layout.places(batch) for place in (leaf, *twins[leaf])]
            if not all((window[index].row, self._judge.axes[axis]) in done for index, axis in leaves):
                break
            skip += 1
        for batch in self._judge.score(layout, skip):
            # Known before it is flushed: whatever a later window takes from here, a resumed run takes too.
            self._cache.put({prepared[one.index].keys[one.axis]: Entry(one.logits, one.explanation) for one in batch})
            for scored in batch:
                leaf = (scored.index, scored.axis)
                for index, axis in (leaf, *twins[leaf]):
                    if (window[index].row, self._judge.axes[axis]) not in done:
                        same = replace(scored, index=index, axis=axis)
                        self._flush(number, window, prepared, same, reused=(index, axis) != leaf)
            self._stop_if_asked()

    def _flush(
        self,
        number: int,
        window: Sequence[Conversation],
        prepared: Sequence[Prepared],
        scored: Scored,
        *,
        reused: bool,
    ) -> None:
        conversation, one = window[scored.index], prepared[scored.index]
        rating = read_scores(self._judge.axes[scored.axis], scored.logits, self._judge.form)
        shares = {f"p{score}": share for score, share in enumerate(rating.p, start=1)}
        self._context.row(
            self._member.table,
            {
                "id": conversation.id,
                "row": conversation.row,
                "group": conversation.group,
                "axis": rating.axis,
                "judge": self._member.judge,
                "variant": self._member.variant,
                "scale": self._judge.form.scale,
                **shares,
                "expected": rating.expected,
                "mode": rating.mode,
                "entropy": rating.entropy,
                "length": one.length,
                "truncated_turns": one.truncated_turns,
                "prompt": one.keys[scored.axis],
                # What is known from an earlier run is told only if this one asked for it.
                "explanation": scored.explanation if self._explain else None,
                "member": self._member.number,
                "window": number,
                "reused": reused,
            },
        )
        progress = self._progress
        progress.done += 1
        progress.computed += not reused
        self._context.progress(progress.done, progress.total, "Rating")


def once(
    prepared: Sequence[Prepared], wanted: Sequence[Sequence[int]]
) -> tuple[list[list[int]], dict[tuple[int, int], list[tuple[int, int]]]]:
    """Every prompt once: the axes of each conversation that are computed, and who takes what is found for another.

    Returns
    -------
    list of list of int
        Of the wanted axes those whose prompt does not stand before.
    dict
        (conversation, axis) of each of them -> places with the same prompt.
    """
    leaders = dict[str, tuple[int, int]]()
    twins: dict[tuple[int, int], list[tuple[int, int]]] = {}
    first: list[list[int]] = []
    for index, axes in enumerate(wanted):
        first.append([])
        for axis in axes:
            place = (index, axis)
            leader = leaders.setdefault(prepared[index].keys[axis], place)
            if leader == place:
                first[index].append(axis)
                twins[place] = []
            else:
                twins[leader].append(place)
    return first, twins


def windows(conversations: Iterable[Conversation]) -> Iterator[list[Conversation]]:
    """The conversations in their order, a window at a time."""
    left = iter(conversations)
    while window := list(islice(left, WINDOW)):
        yield window


def rows_of(context: Context, member: Member, axes: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A member's rows in the order of the file; within a conversation in that of the axes. Holds one window."""
    place = {axis: number for number, axis in enumerate(axes)}
    window: list[dict[str, Any]] = []
    for row in context.rows(member.table):
        if row["member"] != member.number:
            continue
        if window and window[0]["window"] != row["window"]:
            yield from sorted(window, key=lambda r: (r["row"], place[r["axis"]]))
            window = []
        window.append(row)
    yield from sorted(window, key=lambda r: (r["row"], place[r["axis"]]))
