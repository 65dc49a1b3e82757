"""The tree of prompts: whatever is laid out, every prompt comes out whole, and what is shared is there once."""

import numpy as np
import pytest
from auditor.models.tree import Batch, Unit, batches, order, segments, unique_tokens
from hypothesis import given, settings
from hypothesis import strategies as st

_TOKENS = st.lists(st.integers(0, 3), min_size=0, max_size=30)
_SUFFIXES = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=5), min_size=1, max_size=3)
_UNITS = st.lists(st.tuples(_TOKENS, _SUFFIXES), min_size=1, max_size=12)


def units_of(drawn: list[tuple[list[int], list[list[int]]]]) -> list[Unit]:
    return [
        Unit(np.array(body, np.int32), tuple(np.array(suffix, np.int32) for suffix in suffixes))
        for body, suffixes in drawn
    ]


def decoded(all_batches: list[Batch]) -> dict[tuple[int, int], list[int]]:
    """Every prompt as a cache with sequences would hold it at its last token."""
    found = {}
    last: list[int] = []
    for batch in all_batches:
        held = [last[:common] for common in batch.carry]
        for token, position, first, final in zip(batch.tokens, batch.positions, batch.first, batch.last, strict=True):
            for sequence in range(first, final + 1):
                # A token may only look at what stands before it in each of its sequences.
                assert len(held[sequence]) == position
                held[sequence].append(int(token))
        for leaf, (key, end) in enumerate(zip(batch.leaves, batch.ends, strict=True)):
            assert batch.first[end] == leaf
            assert len(held[leaf]) == batch.positions[end] + 1
            found[key] = held[leaf]
        last = held[-1]
    return found


@settings(max_examples=300, deadline=None)
@given(_UNITS, st.integers(1, 60), st.integers(3, 9), st.integers(1, 4), st.booleans())
def test_every_prompt_is_decoded_whole(
    drawn: list[tuple[list[int], list[list[int]]]], capacity: int, leaves: int, segment: int, in_order: bool
) -> None:
    units = units_of(drawn)
    if in_order:
        units = [units[place] for place in order(units)]
    cut = list(batches(units, capacity=capacity, max_leaves=leaves, segment=segment))
    found = decoded(cut)
    assert len(found) == sum(len(unit.suffixes) for unit in units)
    for (number, place), tokens in found.items():
        assert tokens == [*units[number].body.tolist(), *units[number].suffixes[place].tolist()]
    for batch in cut:
        assert len(batch.leaves) <= leaves
    assert [batch for part in segments(cut) for batch in part] == cut
    assert all(part[0].begins_segment and len(part) <= segment for part in segments(cut))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(_TOKENS, min_size=1, max_size=12, unique_by=tuple),
    st.lists(st.lists(st.integers(4, 7), min_size=1, max_size=5), min_size=1, max_size=3, unique_by=tuple),
)
def test_unique_tokens_are_the_nodes_of_a_trie(bodies: list[list[int]], suffixes: list[list[int]]) -> None:
    # As in a run: the questions are the same for all and begin as no conversation does.
    suffixes = sorted(suffixes)
    prompts = [tuple(body + suffix) for body in bodies for suffix in suffixes]
    nodes = {prompt[: depth + 1] for prompt in prompts for depth in range(len(prompt))}
    assert unique_tokens(units_of([(body, suffixes) for body in bodies])) == len(nodes)


def test_units_that_share_a_beginning_stand_together_whatever_order_they_come_in() -> None:
    context = list(range(40))
    other = list(range(50, 90))
    drawn = [([*body, 90 + number], [[1], [2]]) for number in range(3) for body in (context, other)]
    units = units_of(drawn)
    assert order(units) == [0, 2, 4, 1, 3, 5]
    # Both contexts once, a token for each reply, two questions for each reply.
    assert unique_tokens(units) == 40 + 40 + 6 + 12


def test_a_unit_that_does_not_fit_is_refused() -> None:
    unit = Unit(np.arange(3, dtype=np.int32), tuple(np.array([n], np.int32) for n in range(4)))
    with pytest.raises(ValueError, match="too many suffixes"):
        list(batches([unit], capacity=10, max_leaves=3))
    with pytest.raises(ValueError, match="empty"):
        list(batches([Unit(unit.body, (np.empty(0, np.int32),))], capacity=10, max_leaves=3))
