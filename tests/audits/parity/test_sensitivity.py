"""Sensitivity: against brute force over labels and queries, and against counts that can be worked out by hand."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from auditor.audits.parity import sensitivity as s
from auditor.audits.parity.data import MISSING, Attribute, Results, Scale, lists
from auditor.audits.parity.sensitivity_question import look, relabelled, without_queries
from auditor.audits.parity.spec import ParitySpec
from auditor.audits.parity.subject import Subject
from auditor.audits.parity.subject import subject as catalog_subject
from auditor.errors import Cancelled, InputError
from numpy.typing import NDArray

LEVELS = {"nominal": ("light", "dark"), "ordinal": ("I", "II", "III")}


def results_of(
    lists_: list[list[int]],
    groups: list[int],
    level: list[int],
    *,
    kind: str = "nominal",
    value: list[float] | None = None,
    strata: list[int] | None = None,
) -> Results:
    """Lists of item numbers, group of each query, level of each item."""
    query = np.repeat(np.arange(len(lists_), dtype=np.int32), [len(one) for one in lists_])
    n_items = len(level)
    levels = LEVELS.get(kind, ("dark", "brown", "tan", "intermediate", "light", "very light"))
    attribute = Attribute(
        "tone",
        Scale(kind, levels),
        np.array(level, dtype=np.int16),
        None if value is None else np.array(value),
    )
    stratum = np.array(strata or [0] * len(lists_), dtype=np.int32)
    return Results(
        query_ids=tuple(f"q{i}" for i in range(len(lists_))),
        item_ids=tuple(f"i{i}" for i in range(n_items)),
        query=query,
        item=np.array(list(itertools.chain(*lists_)), dtype=np.int32),
        rank=np.concatenate([np.arange(1, len(one) + 1) for one in lists_]).astype(np.int32),
        score=None,
        group_names=("A", "B"),
        query_group=np.array(groups, dtype=np.int16),
        query_stratum=stratum,
        item_stratum=np.zeros(n_items, dtype=np.int32),
        stratum_names=tuple(str(i) for i in range(int(stratum.max()) + 1)),
        query_item=np.full(len(lists_), MISSING, dtype=np.int32),
        in_catalog=np.zeros(n_items, dtype=bool),
        attributes={"tone": attribute},
    )


def subject_of(results: Results, *, target: NDArray[np.float64] | None = None) -> Subject:
    attribute = results.attributes["tone"]
    found = lists(results, attribute, k=None, rank_aware=False)
    if not len(found.queries):
        raise InputError("nothing is left")
    if target is not None:
        zeros = np.zeros(len(found.queries), np.int16)
        stratum = zeros.astype(np.int32)
        return Subject(attribute, found, zeros, ("all queries",), stratum, target=np.tile(target, (len(zeros), 1)))
    return Subject(
        attribute, found, results.query_group[found.queries], ("A", "B"), results.query_stratum[found.queries]
    )


def asked(results: Results, effect: str = "risk difference", level: str | None = "dark") -> s.Question:
    return s.Question(results, "tone", subject_of, effect, "A", "B", level)


def rerun_of(question: s.Question, threshold: float = 0.3) -> s.Rerun:
    """A verdict that depends on the effect alone, so that what it takes to turn it is known."""

    def rerun(results: Results) -> s.Answer:
        effect = look(question, results).value
        found = abs(effect) >= threshold - 1e-9
        return s.Answer(effect, None, None, 0.01 if found else 0.5, "disparity detected" if found else "inconclusive")

    return rerun


def random_results(seed: int, kind: str, missing: int, strata: bool = False) -> Results:
    draw = np.random.default_rng(seed)
    n_items, n_queries = 14, 12
    level = draw.integers(0, 2 if kind == "nominal" else 3, n_items)
    value = None
    if kind == "ita":
        value = draw.uniform(-40, 60, n_items)
        value[:missing] = np.nan
        level = np.searchsorted([-30, 10, 28, 41, 55], value)
    level[:missing] = MISSING
    found = [draw.choice(n_items, draw.integers(3, 7), replace=False).tolist() for _ in range(n_queries)]
    groups = [i % 2 for i in range(n_queries)]
    of = [i // 6 for i in range(n_queries)] if strata else None
    return results_of(
        found, groups, level.tolist(), kind=kind, value=None if value is None else value.tolist(), strata=of
    )


# Missing labels -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strata", [False, True])
@pytest.mark.parametrize(("kind", "effect"), [("nominal", "risk difference"), ("ita", "mean difference")])
def test_worst_cases_are_those_of_all_assignments(kind: str, effect: str, strata: bool) -> None:
    results = random_results(3, kind, 5, strata)
    question = asked(results, effect)
    found = s.missing_bounds(question, rerun_of(question), bounds=(-60, 70))
    assert found is not None
    labels = results.attributes["tone"]
    effects = []
    for choice in itertools.product((0, 1), repeat=5):
        level, value = labels.level.copy(), None
        if labels.value is None:
            level[:5] = choice
        else:
            value = labels.value.copy()
            value[:5] = np.where(choice, 70.0, -60.0)
        effects.append(look(question, relabelled(results, "tone", level, value)).value)
    assert found.low == pytest.approx(min(effects))
    assert found.high == pytest.approx(max(effects))
    assert found.exact
    assert found.low_answer.effect == pytest.approx(found.low)
    assert found.n_items == 5
    assert found.n_slots == int((results.item < 5).sum())


@pytest.mark.parametrize("seed", range(5))
def test_worst_mid_ranks_come_within_a_little_of_all_assignments(seed: int) -> None:
    results = random_results(seed, "ordinal", 4)
    question = asked(results, "mid-rank difference", None)
    found = s.missing_bounds(question, rerun_of(question))
    assert found is not None
    assert not found.exact
    effects = []
    for choice in itertools.product((0, 1, 2), repeat=4):
        level = results.attributes["tone"].level.copy()
        level[:4] = choice
        effects.append(look(question, relabelled(results, "tone", level)).value)
    assert min(effects) - 1e-9 <= found.low <= min(effects) + 0.02
    assert max(effects) - 0.02 <= found.high <= max(effects) + 1e-9


def test_unlabelled_hubs_move_the_mid_ranks_of_all_lists() -> None:
    # Five hubs without a label stand in every list, so that they move no difference of shares, but what a rank is worth.
    draw = np.random.default_rng(2)
    shown = [[*range(5), *range(5 + 3 * query, 8 + 3 * query)] for query in range(60)]
    own = [draw.choice(3, 3, p=[0.1, 0.3, 0.6] if query % 2 else [0.6, 0.3, 0.1]) for query in range(60)]
    level = [MISSING] * 5 + np.concatenate(own).tolist()
    results = results_of(shown, [query % 2 for query in range(60)], level, kind="ordinal")
    question = asked(results, "mid-rank difference", None)
    found = s.missing_bounds(question, rerun_of(question))
    assert found is not None
    effects = []
    for choice in itertools.combinations_with_replacement(range(3), 5):
        labels = results.attributes["tone"].level.copy()
        labels[:5] = choice
        effects.append(look(question, relabelled(results, "tone", labels)).value)
    assert found.low < found.high
    assert found.low == pytest.approx(min(effects))
    assert found.high == pytest.approx(max(effects))
    assert "not bounds" in found.method
    assert "a little" not in found.method


def test_nothing_missing_gives_no_bounds_and_a_query_without_any_label_joins() -> None:
    complete = asked(random_results(1, "nominal", 0))
    assert s.missing_bounds(complete, rerun_of(complete)) is None
    # Groups A: lists (0, 1) and (4,), where 4 has no label; B: (2, 3).
    question = asked(results_of([[0, 1], [4], [2, 3]], [0, 0, 1], [1, 0, 0, 0, MISSING]))
    found = s.missing_bounds(question, rerun_of(question))
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(0.25), pytest.approx(0.75))
    assert look(question).value == pytest.approx(0.5)


def test_an_item_in_both_groups_keeps_one_label() -> None:
    question = asked(results_of([[0, 1], [0, 2]], [0, 1], [MISSING, 1, 0]))
    found = s.missing_bounds(question, rerun_of(question))
    assert found is not None
    assert found.low == found.high == pytest.approx(0.5)


def test_worst_cases_against_a_target() -> None:
    results = results_of([[0, 1], [2, 3]], [0, 0], [MISSING, 1, 0, 0])
    question = replace(asked(results), subject_of=lambda r: subject_of(r, target=np.array([0.8, 0.2])), a="results")
    question = replace(question, b="target")
    found = s.missing_bounds(question, rerun_of(question))
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(0.25 - 0.2), pytest.approx(0.5 - 0.2))


@pytest.mark.parametrize("strata", [False, True])
@pytest.mark.parametrize(("kind", "effect"), [("nominal", "risk difference"), ("ita", "mean difference")])
def test_in_mode_c1_a_label_counts_in_the_catalog_too(kind: str, effect: str, strata: bool) -> None:
    results = random_results(6, kind, 5)
    results = replace(
        results,
        in_catalog=np.ones(14, dtype=bool),
        item_stratum=np.arange(14, dtype=np.int32) % 2 if strata else np.zeros(14, np.int32),
        query_group=np.full(12, MISSING, np.int16),
    )
    spec = ParitySpec(mode="C1", scale=kind)
    question = s.Question(
        results,
        "tone",
        lambda r: catalog_subject(spec, r, "C1", r.attributes["tone"], None),
        effect,
        "results",
        "target",
        "dark" if kind == "nominal" else None,
        moving_target=True,
    )
    found = s.missing_bounds(question, rerun_of(question), bounds=(-60, 70))
    assert found is not None
    labels, effects = results.attributes["tone"], []
    for choice in itertools.product((0, 1), repeat=5):
        level, value = labels.level.copy(), None
        if labels.value is None:
            level[:5] = choice
        else:
            value = labels.value.copy()
            value[:5] = np.where(choice, 70.0, -60.0)
        effects.append(look(question, relabelled(results, "tone", level, value)).value)
    assert found.exact
    assert (found.low, found.high) == (pytest.approx(min(effects)), pytest.approx(max(effects)))


# Raters ---------------------------------------------------------------------------------------------------------------


def test_confusions_between_raters_are_counted_over_ordered_pairs() -> None:
    labels = [[0, 0, 1], [1, 1, MISSING], [2, MISSING, MISSING]]
    found = s.confusion_between(labels, 3)
    # Item 1: pairs (0,0) twice and (0,1), (1,0) twice each, halved; item 2: (1,1) twice.
    assert found[0] == pytest.approx([0.5, 0.5, 0])
    assert found[1] == pytest.approx([1 / 3, 2 / 3, 0])
    assert found[2] == pytest.approx([0, 0, 1])


def test_labels_drawn_again_follow_the_matrix_and_the_seed() -> None:
    draw = np.random.default_rng(0)
    shown = [draw.choice(400, 20, replace=False).tolist() for _ in range(60)]
    results = results_of(shown, [i % 2 for i in range(60)], draw.integers(0, 2, 400).tolist())
    question = asked(results)
    matrix = [[0.9, 0.1], [0.3, 0.7]]
    one = s.confusion_resampling(question, rerun_of(question), confusion=matrix, n_reruns=60, seed=4)
    again = s.confusion_resampling(question, rerun_of(question), confusion=matrix, n_reruns=60, seed=4)
    assert one == again
    share = (results.attributes["tone"].level == 1).mean()
    assert one.changed == pytest.approx(0.1 * (1 - share) + 0.3 * share, abs=0.01)
    # Twofold labels: what is left of a difference is 1 - .1 - .3.
    assert one.effect_quantiles[1] == pytest.approx(0.6 * look(question).value, abs=0.02)
    assert sum(one.states.values()) == pytest.approx(1)
    same = s.confusion_resampling(question, rerun_of(question), confusion=np.eye(2), n_reruns=5)
    assert same.effect_quantiles == pytest.approx([look(question).value] * 3)
    assert same.changed == 0


def test_degrees_are_drawn_around_the_measurement() -> None:
    question = asked(random_results(2, "ita", 2), "mean difference", None)
    found = s.confusion_resampling(question, rerun_of(question), sd_degrees=5.0, n_reruns=200, seed=1)
    assert found.effect_quantiles[0] < look(question).value < found.effect_quantiles[2]
    with pytest.raises(InputError, match="standard deviation"):
        s.confusion_resampling(question, rerun_of(question), confusion=np.eye(6))


@pytest.mark.parametrize("matrix", [[[0.9, 0.2], [0, 1]], [[1.1, -0.1], [0, 1]], [[1.0]]])
def test_a_matrix_that_is_none_is_refused(matrix: list[list[float]]) -> None:
    question = asked(random_results(1, "nominal", 0))
    with pytest.raises(InputError, match="confusion matrix of 2 levels"):
        s.confusion_resampling(question, rerun_of(question), confusion=matrix)


# Tipping point --------------------------------------------------------------------------------------------------------


def distinct_lists(n_dark_a: int, n_dark_b: int) -> Results:
    """Two groups of ten queries of one list with ten items of its own each, so that every label weighs the same."""
    dark = [1] * n_dark_a + [0] * (100 - n_dark_a) + [1] * n_dark_b + [0] * (100 - n_dark_b)
    return results_of([list(range(10 * i, 10 * i + 10)) for i in range(20)], [0] * 10 + [1] * 10, dark)


def test_a_detected_disparity_turns_after_as_many_labels_as_counted_by_hand() -> None:
    # .70 - .30 = .40; each label moves it by .01 and the verdict needs .30: 11 labels bring it to .29.
    question = asked(distinct_lists(70, 30))
    found = s.tipping_point(question, rerun_of(question), "disparity detected")
    assert (found.n_flips, found.before, found.after) == (11, "disparity detected", "inconclusive")
    assert found.direction == "towards no effect"
    assert not found.exact
    assert len(set(found.item_ids)) == 11
    assert all(pair in {("dark", "light"), ("light", "dark")} for pair in found.from_to)
    assert found.answer is not None
    assert found.answer.effect == pytest.approx(0.29)


def test_an_inconclusive_answer_turns_away_from_no_effect() -> None:
    question = asked(distinct_lists(40, 60))
    found = s.tipping_point(question, rerun_of(question), "inconclusive")
    assert (found.n_flips, found.after, found.direction) == (10, "disparity detected", "away from no effect")
    near = asked(distinct_lists(31, 60))
    one = s.tipping_point(near, rerun_of(near), "inconclusive")
    assert (one.n_flips, one.exact) == (1, True)


def test_the_most_influential_label_is_changed_first() -> None:
    # Item 0 stands in every list of A, the others in one list each.
    shown = [[0, 1], [0, 2], [0, 3], [4, 5], [6, 7], [8, 9]]
    question = asked(results_of(shown, [0, 0, 0, 1, 1, 1], [1, 1, 0, 0, 0, 0, 0, 0, 0, 0]))
    found = s.tipping_point(question, rerun_of(question), "disparity detected")
    assert (found.item_ids, found.from_to) == (("i0",), (("dark", "light"),))


def test_a_verdict_that_nothing_turns_says_so() -> None:
    question = asked(distinct_lists(50, 50))
    found = s.tipping_point(question, lambda _: s.Answer(0.0, None, None, 1.0, "inconclusive"), "inconclusive")
    assert (found.n_flips, found.answer, found.item_ids) == (None, None, ())


@pytest.mark.parametrize(("kind", "effect"), [("ordinal", "mid-rank difference"), ("ita", "mean difference")])
def test_other_scales_tip_as_well(kind: str, effect: str) -> None:
    question = asked(random_results(5, kind, 1), effect, None)
    value = abs(look(question).value)
    rerun = rerun_of(question, value * 0.9)
    found = s.tipping_point(question, rerun, "disparity detected")
    assert found.n_flips is not None
    assert found.after == "inconclusive"
    assert found.answer is not None
    assert abs(found.answer.effect) < value


def test_degrees_against_shares_of_their_classes_tip_by_classes() -> None:
    """A changed label takes a degree inside its new class; with degrees left as they were no label was ever changed."""
    draw = np.random.default_rng(8)
    value = draw.uniform(-40, 70, 60)
    results = results_of(np.arange(60).reshape(12, 5).tolist(), [0] * 12, [0] * 60, kind="ita", value=value.tolist())
    results = relabelled(results, "tone", np.zeros(60, np.int16), value)
    target = np.array([0.4, 0.2, 0.1, 0.1, 0.1, 0.1])

    def against(changed: Results) -> Subject:
        return subject_of(changed, target=target)

    question = s.Question(results, "tone", against, "mid-rank difference", "results", "target")
    value_now = look(question).value
    found = s.tipping_point(question, rerun_of(question, abs(value_now) * 0.9), "disparity detected")
    assert found.n_flips is not None
    assert found.answer is not None
    assert 0 < abs(found.answer.effect) < 0.9 * abs(value_now)
    assert all(before != after for before, after in found.from_to)
    # An unknown label may be of any class, the least and the largest among them.
    results.attributes["tone"].level[0], value[0] = MISSING, np.nan
    unknown = replace(question, results=relabelled(results, "tone", results.attributes["tone"].level, value))
    bounds = s.missing_bounds(unknown, rerun_of(unknown))
    assert bounds is not None
    each = [look(unknown, relabelled(results, "tone", labels.level, np.where(np.isnan(value), at, value))).value
            for labels in (results.attributes["tone"],) for at in (-80, -10, 20, 35, 50, 80)]  # fmt: skip
    assert (bounds.low, bounds.high) == pytest.approx((min(each), max(each)))


# Leave one query out --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strata", [False, True])
@pytest.mark.parametrize(
    ("kind", "effect", "off"),
    [("nominal", "risk difference", 1e-9), ("ita", "mean difference", 1e-9), ("ordinal", "mid-rank difference", 0.03)],
)
def test_the_closed_form_is_the_effect_without_the_query(kind: str, effect: str, off: float, strata: bool) -> None:
    results = random_results(8, kind, 2, strata)
    question = asked(results, effect)
    found = s.leave_one_query_out(question, rerun_of(question), most=2)
    scale = 1 if kind != "ita" else 1e-9
    for query, value in zip(found.queries.tolist(), found.effects.tolist(), strict=True):
        left = without_queries(results, np.arange(results.n_queries) == query)
        assert value == pytest.approx(look(question, left).value, abs=off * max(scale, 1))
    assert found.exact == (kind != "ordinal")
    names = [name for name, _ in found.answers]
    assert names[0] == f"q{found.queries[found.effects.argmin()]}"
    assert found.effect_low == pytest.approx(found.effects.min())
    assert len(names) == 4
    assert found.answers[0][1].effect == pytest.approx(found.effect_low, abs=off)
    assert set(found.states) <= {"disparity detected", "inconclusive"}


def test_the_closed_form_against_a_target() -> None:
    results = random_results(8, "nominal", 2)
    question = replace(
        asked(results), subject_of=lambda r: subject_of(r, target=np.array([0.7, 0.3])), a="results", b="target"
    )
    found = s.leave_one_query_out(question, rerun_of(question))
    for query, value in zip(found.queries.tolist(), found.effects.tolist(), strict=True):
        left = without_queries(results, np.arange(results.n_queries) == query)
        assert value == pytest.approx(look(question, left).value)


def test_leaving_out_the_last_query_of_a_group_is_not_testable() -> None:
    results = results_of([[0, 1], [2, 3], [0, 3]], [0, 1, 1], [1, 0, 0, 1])
    question = asked(results)

    def rerun(changed: Results) -> s.Answer:
        if len(np.unique(changed.query_group)) < 2:
            raise InputError("one group only")
        return rerun_of(question)(changed)

    found = s.leave_one_query_out(question, rerun)
    assert dict(found.answers)["q0"].state == "not testable"


# Together -------------------------------------------------------------------------------------------------------------


def test_all_analyses_come_as_rows_and_can_be_cancelled() -> None:
    results = random_results(4, "nominal", 3)
    question = asked(results)
    ratings = np.stack([results.attributes["tone"].level, np.roll(results.attributes["tone"].level, 1)], axis=1)
    rows = s.sensitivity(question, rerun_of(question), "inconclusive", ratings=ratings, n_reruns=10)
    kinds = [row.kind for row in rows]
    assert kinds[:2] == ["missing labels", "missing labels"]
    assert kinds[2:5] == ["raters", "raters", "raters"]
    assert "tipping point" in kinds
    assert kinds[-1] == "query left out"
    # Sentences: a detail stands alone under the table, and after others in a report.
    assert all(row.detail[0].isupper() and row.detail.endswith(".") for row in rows)
    assert rows[0].effect is not None
    assert rows[1].effect is not None
    assert rows[0].effect <= look(question).value <= rows[1].effect
    with pytest.raises(Cancelled):
        s.sensitivity(question, rerun_of(question), "inconclusive", cancelled=lambda: True)
