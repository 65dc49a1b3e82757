"""Merging of several judges' scores: rules with known answers."""

from typing import Any

import pytest
from auditor.audits.rating.ensemble import merge_rows, merged, own_score
from auditor.audits.rating.judge import read_scores
from auditor.audits.rating.rubric import load
from auditor.audits.rating.variants import examples, variant
from hypothesis import given
from hypothesis import strategies as st


def row(p: list[float], name: str = "5") -> dict[str, Any]:
    form = variant(name)
    expected = form.to_five(sum((place + 1) * share for place, share in enumerate(p)))
    found: dict[str, Any] = {f"p{place + 1}": share for place, share in enumerate(p)}
    mode = max(range(len(p)), key=lambda place: p[place]) + 1
    found |= {"id": "a", "row": 1, "group": None, "axis": "x", "length": 3, "truncated_turns": 0, "prompt": ""}
    return found | {
        "judge": "small",
        "variant": name,
        "scale": form.scale,
        "expected": expected,
        "mode": mode,
        "explanation": None,
    }


def test_scale_of_four_is_mapped_to_five() -> None:
    form = variant("4-examples")
    assert (form.scale, form.has_examples) == (4, True)
    assert [form.to_five(score) for score in (1, 2, 3, 4)] == pytest.approx([1, 7 / 3, 11 / 3, 5])
    assert read_scores("x", [0.0, 0.0, 0.0, 100.0], form).expected == pytest.approx(5)
    assert form.levels(load().axes[0]) == (*load().axes[0].levels[:2], *load().axes[0].levels[3:])


def test_examples_keep_their_meaning_on_the_shorter_scale() -> None:
    shown = examples(load())
    assert {example.score("naturalness", 5) for example in shown} == {5, 1, 4}
    assert {example.score("naturalness", 4) for example in shown} == {4, 1, 3}


def test_mean_median_and_majority() -> None:
    rows = [row([0, 0, 0, 1, 0]), row([0, 0, 0, 1, 0]), row([1, 0, 0, 0, 0])]
    assert merged(rows, "mean")["expected"] == pytest.approx(3)
    assert merged(rows, "median")["expected"] == 4
    assert merged(rows, "majority")["expected"] == 4
    assert merged(rows, "majority")["mode"] == 4
    assert merged(rows, "mean")["spread"] == pytest.approx(2**0.5)
    tied = [row([0, 0, 0, 0, 1]), row([0, 1, 0, 0, 0]), row([0, 0, 0, 1, 0])]
    # One vote each, mean 11/3: the whole score next to it.
    assert merged(tied, "majority")["expected"] == 4


def test_the_most_probable_score_is_that_of_the_distribution_that_is_shown() -> None:
    rows = [row([0, 0.5, 0.05, 0.05, 0.4]), row([0, 0.5, 0.05, 0.05, 0.4]), row([0, 0, 0, 0, 1])]
    voted = merged(rows, "majority")
    assert (voted["mode"], voted["expected"]) == (2, 2)
    assert [voted[f"p{score}"] for score in range(1, 6)] == pytest.approx([0, 2 / 3, 0, 0, 1 / 3])
    middle = merged(rows, "median")
    assert middle["mode"] == 5
    assert middle["p5"] == pytest.approx(0.6)
    assert middle["expected"] == pytest.approx(3.35)


def test_a_sentence_of_an_ensemble_says_whose_it_is_and_of_which_score() -> None:
    first = {**row([0, 0, 0, 1], "4"), "judge": "small", "explanation": "It is fine."}
    second = {**row([1, 0, 0, 0, 0]), "judge": "small", "explanation": "No."}
    assert merged([first, second], "mean")["explanation"] == "small, prompt 4, about its 4 of 4: It is fine."
    assert merged([first], "mean")["explanation"] == "small, prompt 4, about its 4 of 4: It is fine."
    assert merged([second, first], "mean")["explanation"] == "small, prompt 5, about its 1: No."


@pytest.mark.parametrize("own", [1, 2, 3, 4])
def test_a_judge_of_four_scores_is_as_sure_on_five_and_of_the_same_score(own: int) -> None:
    p = [0.01] * 4
    p[own - 1] = 0.97
    found = merged([row(p, "4")], "mean")
    assert found["mode"] == (1, 2, 4, 5)[own - 1]
    assert own_score("4", found["mode"]) == own
    assert max(found[f"p{score}"] for score in range(1, 6)) == pytest.approx(0.97)
    assert found["expected"] == pytest.approx(variant("4").to_five(sum(s * q for s, q in enumerate(p, start=1))))
    sure = [0.0] * 4
    sure[own - 1] = 1.0
    assert merged([row(sure, "4")], "mean")["entropy"] == 0


def test_the_most_probable_of_four_scores_stays_the_most_probable() -> None:
    """Divided between their neighbours, 2 and 3 of 4 would lose to the ends."""
    assert merged([row([0.34, 0.50, 0.10, 0.06], "4")], "mean")["mode"] == 2
    assert merged([row([0.05, 0.05, 0.60, 0.30], "4")], "mean")["mode"] == 4


def test_nobody_asked_for_four_scores_gives_a_three_of_five() -> None:
    with pytest.raises(ValueError, match="counts for 3"):
        own_score("4-examples", 3)


@given(st.lists(st.tuples(st.lists(st.integers(0, 9), min_size=4, max_size=5), st.just(None)), min_size=2, max_size=5))
def test_the_merged_distribution_is_one_and_that_of_five_scores_keeps_the_mean(
    drawn: list[tuple[list[int], None]],
) -> None:
    rows = []
    for weights, _ in drawn:
        total = sum(weights) + len(weights)
        rows.append(row([(weight + 1) / total for weight in weights], str(len(weights))))
    found = merged(rows, "mean")
    assert sum(found[f"p{score}"] for score in range(1, 6)) == pytest.approx(1)
    if all(member["scale"] == 5 for member in rows):
        assert sum(score * found[f"p{score}"] for score in range(1, 6)) == pytest.approx(found["expected"])


def test_members_that_rated_something_else_are_refused() -> None:
    with pytest.raises(ValueError, match="did not rate the same"):
        list(merge_rows([iter([row([1, 0, 0, 0, 0])]), iter([{**row([1, 0, 0, 0, 0]), "row": 2}])], "mean"))
