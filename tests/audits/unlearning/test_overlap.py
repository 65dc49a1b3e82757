"""Alike examples: what counts as the same, as near, and what does not."""

from auditor.audits.unlearning.examples import Example
from auditor.audits.unlearning.overlap import overlaps


def example(question: str | None, answer: str, row: int = 1) -> Example:
    return Example(str(row), question, answer, row)


FORGET = [
    example("Who keeps the lighthouse of Vessen on stormy nights?", "Ada Marsh keeps it with her brother.", 1),
    example("What colour is the door?", "yes", 2),
]


def kinds(*others: Example) -> list[tuple[str, int, int]]:
    return [(pair.kind, pair.forget.row, pair.other.row) for pair in overlaps(FORGET, others, "retain")]


def test_case_and_blanks_tell_nothing_apart() -> None:
    same = example("who KEEPS the lighthouse of vessen  on stormy nights?", "ada marsh keeps it with her brother.", 7)
    assert kinds(same) == [("same example", 1, 7)]


def test_questions_and_long_answers_are_compared_alone() -> None:
    assert kinds(example("What colour is the door?", "no", 3)) == [("same question", 2, 3)]
    assert kinds(example("Who sweeps?", "Ada Marsh keeps it with her brother.", 3)) == [("same answer", 1, 3)]
    assert kinds(example("Is it raining?", "yes", 3)) == [], "short answers say nothing"


def test_other_words_around_the_same_ones_are_near() -> None:
    near = example("Say, who keeps the lighthouse of Vessen on stormy nights?", "It is Ada Marsh.", 4)
    (pair,) = overlaps(FORGET, [near], "retain")
    assert pair.kind == "near"
    assert 0.5 <= pair.share < 1


def test_texts_of_one_form_are_not_near() -> None:
    assert kinds(example("Who keeps the garden of Dunmere on Sundays?", "Karl Voss keeps it.", 5)) == []


def test_plain_texts_are_compared_too() -> None:
    forget = [example(None, "The river Isk rises below the old mill and runs to the sea.")]
    other = [example(None, "We know that the river Isk rises below the old mill and runs far.")]
    assert overlaps(forget, other, "retain")[0].kind == "near"


def test_the_worst_stands_first() -> None:
    others = [
        example("Say, who keeps the lighthouse of Vessen on stormy nights?", "It is Ada Marsh.", 1),
        example("What colour is the door?", "no", 2),
        example("What colour is the door?", "yes", 3),
    ]
    assert kinds(*others) == [("same example", 2, 3), ("same question", 2, 2), ("near", 1, 1)]
