"""Attacks change what they say, as much of it as they say, and draw by seed, query and attack alone."""

from dataclasses import replace

import numpy as np
import pytest
from auditor.audits.guard.attacks import (
    ABSTRACT_WORDS,
    INJECTION,
    IRRELEVANT_TEXTS,
    REGISTRY,
    Material,
    corrupted,
    n_affected,
)
from auditor.audits.guard.conditions import ATTACKS, described, expanded, steps_of, uses
from auditor.audits.guard.spec import MOST_LABELS, GuardSpec
from auditor.audits.guard.task import Demonstration, Task
from hypothesis import given
from hypothesis import strategies as st

TASK = Task(("bad", "fine", "good"), ("poor", "fair", "great"))
OWN = tuple(Demonstration(f"mine {n}", "great", "", f"p{n}", corrupted=True) for n in range(5))
MATERIAL = Material("good", OWN)

tasks = st.integers(2, MOST_LABELS).map(
    lambda n: Task(tuple(f"label {i}" for i in range(n)), tuple(f"word{i}" for i in range(n)))
)
shares = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.floats(0, 1, allow_nan=False))
names = st.sampled_from(list(ATTACKS))


def demonstrations(task: Task, n: int) -> tuple[Demonstration, ...]:
    labels = [task.labels[place % len(task.labels)] for place in range(n)]
    return tuple(Demonstration(f"text {i}", task.word(label), label, f"d{i}") for i, label in enumerate(labels))


def attacked(condition: str, n: int = 12, seed: int = 0, query_id: str = "q") -> tuple[Demonstration, ...]:
    return corrupted(demonstrations(TASK, n), condition, TASK, seed=seed, query_id=query_id, material=MATERIAL)


def changed(condition: str, n: int = 12) -> list[int]:
    before = demonstrations(TASK, n)
    return [place for place, shown in enumerate(attacked(condition, n)) if shown != before[place]]


@given(tasks, names, shares, st.integers(0, 40), st.integers(0, 2**32), st.text(max_size=8))
def test_every_attack_gives_as_many_demonstrations_whose_words_can_be_shown(
    task: Task, name: str, share: float, n: int, seed: int, query_id: str
) -> None:
    material = replace(MATERIAL, target=task.labels[-1])
    before = demonstrations(task, n)
    condition = f"{name}:{share}"
    after = corrupted(before, condition, task, seed=seed, query_id=query_id, material=material)
    assert after == corrupted(before, condition, task, seed=seed, query_id=query_id, material=material)
    assert len(after) == n
    assert all(shown.text and shown.word for shown in after)
    if name != "last":
        differs = [shown != whole for shown, whole in zip(after, before, strict=True)]
        assert differs == [shown.corrupted for shown in after]
    most = n_affected(n, steps_of(condition)[0].strength)
    n_corrupted = sum(shown.corrupted for shown in after)
    assert n_corrupted <= most
    if name != "targeted":  # the target's own demonstrations stay
        assert n_corrupted == most


@given(names, shares, shares, st.integers(1, 30), st.integers(0, 1000))
def test_a_stronger_attack_corrupts_what_a_weaker_one_does(
    name: str, one: float, other: float, n: int, seed: int
) -> None:
    found = []
    for share in sorted((one, other)):
        after = corrupted(
            demonstrations(TASK, n), f"{name}:{share:.9f}", TASK, seed=seed, query_id="q", material=MATERIAL
        )
        found.append({shown for shown in after if shown.corrupted})
    assert found[0] <= found[1]


@given(st.lists(names, min_size=1, max_size=4), st.integers(0, 1000))
def test_attacks_are_joined_in_any_number_and_any_order_of_queries(steps: list[str], seed: int) -> None:
    condition = "+".join(steps)
    by_query = {}
    for query in ("a", "b", "c", "b", "a"):
        after = attacked(condition, seed=seed, query_id=query)
        assert by_query.setdefault(query, after) == after
        assert len(after) == 12


def test_no_attack_at_all_and_strength_0_leave_demonstrations_as_they_are() -> None:
    whole = demonstrations(TASK, 12)
    for condition in ("correct", *(f"{name}:0" for name in ATTACKS)):
        assert attacked(condition) == whole


def test_draws_differ_between_queries_seeds_and_attacks() -> None:
    first = attacked("cyclic:0.5")
    assert first != attacked("cyclic:0.5", query_id="r")
    assert first != attacked("cyclic:0.5", seed=1)
    assert changed("cyclic:0.5") != changed("irrelevant:0.5")


def test_cyclic_shows_the_next_label_and_the_first_behind_the_last() -> None:
    following = {"bad": "fair", "fine": "great", "good": "poor"}
    assert all(shown.word == following[shown.label] for shown in attacked("cyclic"))
    assert attacked("cyclic+cyclic") == attacked("cyclic")


@pytest.mark.parametrize(("share", "n"), [(0.01, 1), (0.25, 3), (0.29, 3), (0.3, 4), (0.5, 6), (1, 12)])
def test_strength_is_the_share_of_demonstrations_and_at_least_one(share: float, n: int) -> None:
    assert len(changed(f"cyclic:{share}")) == n
    assert [shown.word for shown in attacked(f"cyclic:{share}") if not shown.corrupted] == [
        TASK.word(shown.label) for shown in attacked(f"cyclic:{share}") if not shown.corrupted
    ]


def test_random_labels_are_wrong_and_all_wrong_ones_occur_alike() -> None:
    counts = np.zeros((3, 3))
    for query in range(300):
        for shown in attacked("random", query_id=str(query)):
            counts[TASK.number(shown.label), TASK.words.index(shown.word)] += 1
    assert (np.diag(counts) == 0).all()
    wrong = counts[counts > 0]
    assert len(wrong) == 6
    # 1,200 draws of each label: half of them each, within five standard deviations.
    assert np.abs(wrong - 600).max() < 5 * np.sqrt(1200 * 0.25)


def test_targeted_flips_other_labels_only() -> None:
    shown = attacked("targeted")
    assert {one.word for one in shown} == {"great"}
    assert [one.corrupted for one in shown] == [one.label != "good" for one in shown]
    assert len(changed("targeted:0.5")) == 4
    unnamed = corrupted(demonstrations(TASK, 6), "targeted", TASK, seed=0, query_id="q")
    assert {one.word for one in unnamed} == {"poor"}


def test_abstract_words_say_nothing_and_always_the_same_of_a_label() -> None:
    said = {(one.label, one.word) for one in attacked("abstract")}
    assert said == {("bad", "river"), ("fine", "stone"), ("good", "cloud")}
    river = Task(("river", "sea"), ("River", "sea"))
    shown = corrupted(demonstrations(river, 4), "abstract", river, seed=0, query_id="q")
    assert {one.word for one in shown} == {"stone", "cloud"}


def test_there_is_an_abstract_word_for_every_label() -> None:
    assert len(set(ABSTRACT_WORDS)) == len(ABSTRACT_WORDS) >= 2 * MOST_LABELS
    many = Task(tuple(map(str, range(MOST_LABELS))), ABSTRACT_WORDS[:MOST_LABELS])
    shown = corrupted(demonstrations(many, 60), "abstract", many, seed=0, query_id="q")
    assert all(one.word != many.word(one.label) for one in shown)
    assert len({one.word for one in shown}) == MOST_LABELS


def test_wrong_labels_stand_last_beside_those_of_an_attack_before() -> None:
    alone = attacked("last:0.25")
    assert [one.corrupted for one in alone] == [False] * 9 + [True] * 3
    assert [one.source for one in alone[:9]] == sorted((one.source for one in alone[:9]), key=lambda s: int(s[1:]))
    behind = attacked("injection:0.5+last:0.25")
    assert sorted(behind, key=lambda one: one.source) == sorted(attacked("injection:0.5"), key=lambda one: one.source)
    assert [one.corrupted for one in behind] == [False] * 6 + [True] * 6
    topped_up = attacked("injection:0.25+last:0.5")
    assert [one.corrupted for one in topped_up] == [False] * 6 + [True] * 6


def test_one_wrong_demonstration_is_repeated() -> None:
    copies = [one for one in attacked("repeated:0.5") if one.corrupted]
    assert len(copies) == 6
    assert len(set(copies)) == 1
    assert copies[0].word == TASK.words[(TASK.number(copies[0].label) + 1) % 3]


def test_irrelevant_texts_keep_the_labels() -> None:
    before = demonstrations(TASK, 12)
    after = attacked("irrelevant")
    assert [one.word for one in after] == [one.word for one in before]
    assert {one.text for one in after} <= set(IRRELEVANT_TEXTS)
    assert len(set(IRRELEVANT_TEXTS)) == len(IRRELEVANT_TEXTS)


def test_an_injection_ends_the_text_and_shows_the_target() -> None:
    placed = [one for one in attacked("injection") if one.corrupted]
    assert len(placed) == 3
    assert all(one.text.endswith(" " + INJECTION.format(word="great")) and one.word == "great" for one in placed)


def test_own_demonstrations_repeat_only_where_there_are_too_few() -> None:
    few = attacked("own:0.25")
    assert len({one.source for one in few if one.corrupted}) == 3
    counts = [sum(one.source == mine.source for one in attacked("own")) for mine in OWN]
    assert sorted(counts) == [2, 2, 2, 3, 3]
    assert attacked("own+cyclic") == attacked("own")  # nobody said what their true labels are
    with pytest.raises(ValueError, match="needs a file of corrupted demonstrations"):
        corrupted(demonstrations(TASK, 4), "own", TASK, seed=0, query_id="q")


def test_every_attack_is_registered_with_words_and_ascending_strengths() -> None:
    assert list(REGISTRY) == list(ATTACKS)
    for name, attack in REGISTRY.items():
        assert attack.title
        assert attack.description.endswith(".")
        assert list(attack.strengths) == sorted(attack.strengths)
        assert name in str(GuardSpec.model_fields["attacks"].description)


@pytest.mark.parametrize(
    ("written", "means"),
    [
        (["cyclic"], ("cyclic:1",)),
        (["injection", "cyclic:1", "cyclic"], ("injection:0.25", "cyclic:1")),
        (["cyclic : .5 + last"], ("cyclic:0.5+last:0.5",)),
        (["random:all"], ("random:1", "random:0.75", "random:0.5", "random:0.25")),
    ],
)
def test_attacks_have_one_full_spelling(written: list[str], means: tuple[str, ...]) -> None:
    assert expanded(written) == means
    assert expanded(means) == means
    assert GuardSpec(attacks=tuple(written)).conditions == means


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("cyclical", "there is no attack 'cyclical'; there are cyclic, random"),
        ("cyclic:2", "from 0 to 1"),
        ("cyclic:nan", "from 0 to 1"),
        ("cyclic:-0.1", "from 0 to 1"),
        ("cyclic:much", "not 'much'"),
        ("cyclic:all+last", "not 'all'"),
        ("", "there is no attack ''"),
        ("correct", "is always asked and is no attack"),
        ("+".join(["cyclic"] * 5), "at most 4"),
    ],
)
def test_an_attack_that_is_written_wrongly_is_refused_with_how_it_is_written(written: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        GuardSpec(attacks=(written,))


def test_conditions_have_words() -> None:
    assert described("zero-shot") == "Zero-shot"
    assert described("correct") == "Correct demonstrations"
    assert described("cyclic:0.5+last:0.25") == "Wrong labels in a circle (50%), then Wrong labels last (25%)"
    assert uses(["cyclic:0.5+own"], "own")
    assert not uses(["cyclic:all"], "own")
