"""Three states, and the words in which they are said."""

from dataclasses import replace
from typing import Any

import pytest
from auditor.audits.parity.data import ITA_CLASSES, Scale
from auditor.audits.parity.estimates import Effect
from auditor.audits.parity.tones import LEVELS
from auditor.audits.parity.verdict import Shape, minimum_detectable_effect, p_words, verdict

ITA = Scale("ita", ITA_CLASSES)


def effect(
    value: float = 6.1,
    low: float | None = 2.2,
    high: float | None = 9.8,
    *,
    unit: str = "degrees",
    se: float | None = 2.0,
    b: str = "light",
    level: str | None = None,
    simultaneous: bool = False,
) -> Effect:
    a = "results" if b == "target" else "dark"
    return Effect("x", "x", unit, value, low, high, se, a, b, 100, "x", level, simultaneous)


def test_disparity_in_degrees() -> None:
    answer = verdict(effect(), 0.004, alpha=0.05, margin=None, scale=ITA, attribute="tone")
    assert answer.state == "disparity detected"
    assert answer.detectable
    assert answer.sentence == (
        "Results for dark queries show lighter skin than those for light queries, by 6.1 degrees ITA (95% CI 2.2 to 9.8), "
        "p = .004: disparity detected; the smallest difference detectable with 80% power is 5.6 degrees ITA."
    )
    assert answer.minimum_detectable_effect == pytest.approx(2.0 * (1.959964 + 0.841621))


def test_a_negative_difference_is_said_the_other_way_round() -> None:
    answer = verdict(effect(-6.1, -9.8, -1.2), 0.0001, alpha=0.05, margin=None, scale=ITA, attribute="tone")
    assert "show darker skin than those for light queries, by 6.1 degrees ITA (95% CI 1.2 to 9.8), p < .001" in (
        answer.sentence
    )


def test_large_p_never_shows_parity_without_a_margin() -> None:
    answer = verdict(effect(0.1, -0.2, 0.3), 0.99, alpha=0.05, margin=None, scale=ITA, attribute="tone")
    assert answer.state == "inconclusive"
    assert "without a declared margin parity cannot be concluded" in answer.sentence
    assert "fair" not in answer.sentence.lower()


@pytest.mark.parametrize(("p", "detectable"), [(0.01, True), (0.6, False)])
def test_parity_takes_an_interval_inside_the_margin(p: float, detectable: bool) -> None:
    answer = verdict(effect(0.5, 0.1, 1.2), p, alpha=0.05, margin=2.0, scale=ITA, attribute="tone")
    assert answer.state == "parity within margin"
    assert answer.detectable is detectable
    assert ("detectable, but within the margin" in answer.sentence) is detectable
    assert "parity within the margin of 2.0 degrees ITA" in answer.sentence


@pytest.mark.parametrize(
    ("low", "high", "p", "state"),
    [
        (-2.5, 1.0, 0.2, "inconclusive"),
        (-1.0, 2.0, 0.2, "inconclusive"),
        (0.5, 2.5, 0.01, "disparity detected"),
        (None, None, 0.2, "inconclusive"),
        (None, None, 0.05, "disparity detected"),
    ],
)
def test_beyond_the_margin(low: float | None, high: float | None, p: float, state: str) -> None:
    answer = verdict(effect(1.0, low, high), p, alpha=0.05, margin=2.0, scale=ITA, attribute="tone")
    assert answer.state == state
    if low is None:
        assert "(no interval)" in answer.sentence


def test_without_a_standard_error_nothing_is_said_to_be_detectable() -> None:
    answer = verdict(effect(1.0, None, None, se=None), 0.5, alpha=0.05, margin=2.0, scale=ITA, attribute="tone")
    assert answer.minimum_detectable_effect is None
    assert "cannot be estimated from so few queries" in answer.sentence


def test_words_of_other_scales() -> None:
    names = Scale("nominal", ("woman", "man"))
    share = effect(0.12, 0.031, 0.209, unit="share", se=0.05, level="woman", simultaneous=True)
    answer = verdict(share, 0.0104, alpha=0.05, margin=None, scale=names, attribute="gender")
    assert answer.sentence.startswith(
        "Results for dark queries show woman more often than those for light queries, by 12.0 percentage points "
        "(95% simultaneous CI 3.1 to 20.9), p = .010: disparity detected; "
    )
    rank = effect(0.1, 0.05, 0.2, unit="mid-rank", se=0.05)
    monk = verdict(
        rank, 0.03, alpha=0.05, margin=None, scale=Scale("ordinal", LEVELS["monk"]), attribute="tone"
    ).sentence
    assert monk.startswith(
        "Results for dark queries show darker skin than those for light queries, by .10 in mean mid-rank"
    )
    other = verdict(
        rank, 0.03, alpha=0.05, margin=None, scale=Scale("ordinal", ("s", "m", "l")), attribute="size"
    ).sentence
    assert "show higher values of size than" in other
    target = effect(-0.1, -0.2, -0.05, unit="share", b="target", level="woman")
    of_target = verdict(target, 0.03, alpha=0.05, margin=None, scale=names, attribute="gender").sentence
    assert of_target.startswith(
        "Results show woman less often than their target, by 10.0 percentage points (95% CI 5.0 to 20.0)"
    )


def test_a_difference_that_rounds_to_nothing_has_no_direction() -> None:
    answer = verdict(effect(0.04, -1.0, 1.1), 0.9, alpha=0.05, margin=None, scale=ITA, attribute="tone")
    assert answer.sentence.startswith(
        "Results for dark and for light queries differ in tone by 0.0 degrees ITA (dark less light; 95% CI −1.0 to 1.1), "
        "p = .90: inconclusive"
    )


def test_an_interval_that_holds_zero_gives_no_direction() -> None:
    answer = verdict(effect(-6.1, -9.8, 1.2), 0.2, alpha=0.05, margin=None, scale=ITA, attribute="tone")
    assert answer.sentence.startswith(
        "Results for dark and for light queries differ in tone by −6.1 degrees ITA (dark less light; 95% CI −9.8 to 1.2)"
    )
    assert "darker" not in answer.sentence


def test_parity_takes_an_interval_of_every_difference() -> None:
    inside = effect(0.5, -0.5, 1.2, simultaneous=True)
    asked: dict[str, Any] = {"alpha": 0.05, "margin": 2.0, "scale": ITA, "attribute": "tone"}
    missing = replace(effect(4.0, None, None, simultaneous=True), b="medium")
    answer = verdict(inside, 0.3, differences=[inside, missing], **asked)
    assert answer.state == "inconclusive"
    assert "not every difference has an interval: dark less medium" in answer.sentence
    wide = replace(effect(0.4, -3.0, 3.0, simultaneous=True), b="medium")
    answer = verdict(inside, 0.3, differences=[inside, wide], **asked)
    assert answer.state == "inconclusive"
    assert "not every interval lies within the margin of 2.0 degrees ITA: dark less medium" in answer.sentence
    answer = verdict(inside, 0.3, uncompared=["dark less medium"], **asked)
    assert "not every difference has an interval: dark less medium" in answer.sentence
    assert verdict(inside, 0.3, differences=[inside, inside], **asked).state == "parity within margin"


def far(high: float | None, value: float = 1.0) -> Effect:
    """How far two distributions lie apart, with its upper limit."""
    return replace(effect(value, 0.0, high), name="Wasserstein-1")


@pytest.mark.parametrize(
    ("p", "high", "state"),
    [
        (0.6, 1.9, "parity within margin"),
        (0.01, 1.9, "parity within margin"),
        (0.6, 2.0, "inconclusive"),
        (0.01, 2.0, "disparity detected"),
        (0.6, None, "inconclusive"),
        (0.01, None, "disparity detected"),
    ],
)
def test_parity_takes_a_distance_below_the_margin(p: float, high: float | None, state: str) -> None:
    asked: dict[str, Any] = {"alpha": 0.05, "margin": 2.0, "scale": ITA, "attribute": "tone"}
    answer = verdict(effect(0.5, -0.5, 1.2), p, distances=[far(1.0), far(high)], **asked)
    assert answer.state == state
    if state == "parity within margin":
        assert ("(detectable, but within the margin)" in answer.sentence) is (p < 0.05)
    elif high is None:
        assert "the means are within the margin of 2.0 degrees ITA, but the distributions may differ by more" in (
            answer.sentence
        )
    else:
        assert "differ by up to 2.0 degrees ITA, the upper limit of the Wasserstein-1 distance of dark and light" in (
            answer.sentence
        )


@pytest.mark.parametrize(
    ("p", "high", "words"),
    [
        (
            0.6,
            1.5,
            "(that the distributions differ in shape is detectable, but within the margin: energy distance, p = .003)",
        ),
        (
            0.6,
            2.5,
            "the distributions differ in shape (energy distance, p = .003) and may do so by up to 2.5 degrees ITA",
        ),
        (
            0.01,
            2.5,
            "the distributions differ in shape (energy distance, p = .003) and may do so by up to 2.5 degrees ITA",
        ),
    ],
)
def test_a_test_of_shape_is_told_and_decides_nothing(p: float, high: float, words: str) -> None:
    asked: dict[str, Any] = {"alpha": 0.05, "margin": 2.0, "scale": ITA, "attribute": "tone", "distances": [far(high)]}
    one = effect(0.5, -0.5, 1.2)
    answer = verdict(one, p, shape=Shape("energy distance", 0.003), **asked)
    assert answer.state == verdict(one, p, shape=Shape("energy distance", 0.4), **asked).state
    assert words in answer.sentence


def test_the_declared_test_of_shape_is_not_told_twice() -> None:
    declared = Shape("energy distance", 0.003, declared=True)
    asked: dict[str, Any] = {"alpha": 0.05, "margin": 2.0, "scale": ITA, "attribute": "tone", "shape": declared}
    answer = verdict(effect(0.5, -0.5, 1.2), 0.003, distances=[far(1.5)], **asked)
    assert answer.sentence.count("detectable, but within the margin") == 1
    assert "shape" not in answer.sentence


def test_where_no_p_value_reaches_alpha_nothing_is_said_to_be_detectable() -> None:
    answer = verdict(effect(), 0.1, alpha=0.05, margin=None, scale=ITA, attribute="tone", least_p=0.1)
    assert answer.minimum_detectable_effect is None
    assert "no difference could have been detected, as this test cannot give less than p = .10" in answer.sentence


def test_a_simultaneous_interval_needs_more_to_detect_one_difference() -> None:
    one = effect(6.0, 1.0, 11.0, se=2.0, simultaneous=True)
    answer = verdict(one, 0.01, alpha=0.05, margin=None, scale=ITA, attribute="tone", differences=[one, one])
    assert answer.minimum_detectable_effect == pytest.approx(2.0 * (2.5 + 0.841621))
    assert "for this one difference alone" in answer.sentence


def test_the_least_effect_of_an_interval_about_other_items_is_not_that_of_the_test() -> None:
    one = replace(effect(), two_way=True)
    answer = verdict(one, 0.01, alpha=0.05, margin=None, scale=ITA, attribute="tone")
    assert "by its interval and not by the test" in answer.sentence


def test_a_margin_is_not_measured_at_an_interval_that_is_not_there() -> None:
    answer = verdict(effect(1.0, None, None), 0.5, alpha=0.05, margin=2.0, scale=ITA, attribute="tone")
    assert "the interval does not lie" not in answer.sentence
    assert "there is no interval that could lie within the margin" in answer.sentence


def test_a_group_whose_name_is_a_number_reads_as_no_count() -> None:
    one = replace(effect(), a="5", b="6")
    answer = verdict(one, 0.01, alpha=0.05, margin=None, scale=ITA, attribute="tone")
    assert answer.sentence.startswith(
        "Results for queries of group '5' show lighter skin than those for queries of group '6'"
    )


@pytest.mark.parametrize(
    ("p", "words"),
    [
        (0.0, "p < .001"),
        (1e-9, "p < .001"),
        (0.0009999, "p < .001"),
        (0.004, "p = .004"),
        (0.0496, "p = .0496"),
        (0.0504, "p = .0504"),
        (0.05, "p = .050"),
        (0.34, "p = .34"),
        (0.999, "p = .999"),
        (1.0, "p = 1"),
    ],
)
def test_p_values_are_never_printed_as_zero_nor_rounded_onto_alpha(p: float, words: str) -> None:
    assert p_words(p, 0.05) == words


def test_an_interval_that_is_cut_says_nothing_of_what_could_be_detected() -> None:
    """From -100 to 100 points: half of it, and more, was once told to be the smallest detectable difference."""
    names = Scale("nominal", ("man", "woman"))
    cut = effect(0.1, -1.0, 1.0, unit="share", se=0.02, level="woman", simultaneous=True)
    answer = verdict(cut, 0.4, alpha=0.05, margin=0.3, scale=names, attribute="gender")
    assert answer.minimum_detectable_effect is None
    assert "not even the largest difference that there can be would be detected with this power" in answer.sentence
    half_cut = effect(0.9, 0.8, 1.0, unit="share", se=0.04, level="woman", simultaneous=True)
    answer = verdict(half_cut, 0.01, alpha=0.05, margin=0.3, scale=names, attribute="gender")
    assert answer.minimum_detectable_effect == pytest.approx(0.04 * (2.5 + 0.841621))


def test_minimum_detectable_effect_follows_alpha_and_power() -> None:
    assert minimum_detectable_effect(1.0, alpha=0.05, power=0.8) == pytest.approx(2.801585)
    assert minimum_detectable_effect(None, alpha=0.05) is None
