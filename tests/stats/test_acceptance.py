import time

import numpy as np
import pytest
from auditor.stats.acceptance import BETTING, BINOMIAL, certify_acceptance, fewest_contexts, start_threshold
from auditor.stats.p_values import clopper_pearson_upper
from numpy.typing import NDArray
from scipy import stats


def _ratings(n: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Confidence from .5 to 1; the share wrong falls from .5 to 0."""
    generator = np.random.default_rng(seed)
    confidence = generator.uniform(0.5, 1, n)
    return confidence, generator.random(n) > confidence


def test_every_step_is_the_binomial_tail_of_its_own_counts() -> None:
    confidence, wrong = _ratings(600, 0)
    thresholds = np.round(np.linspace(0.95, 0.5, 46), 2)
    found = certify_acceptance(confidence, wrong, None, thresholds.tolist(), epsilon=0.1, delta=0.1, seed=0)
    assert found.method == BINOMIAL
    assert (found.n, found.contexts) == (600, 600)
    for t, accepted, n_wrong, p in zip(found.tested, found.accepted, found.wrong, found.p_values, strict=True):
        assert accepted == (confidence >= t).sum()
        assert n_wrong == (wrong & (confidence >= t)).sum()
        assert p == pytest.approx(stats.binom.cdf(n_wrong, accepted, 0.1), abs=1e-12)
    assert all(p <= 0.1 for p in found.p_values[:-1])
    assert found.p_values[-1] > 0.1
    assert found.certified
    assert found.threshold == found.tested[-2]
    assert (found.n_accepted, found.n_wrong) == (found.accepted[-2], found.wrong[-2])
    assert found.upper == pytest.approx(clopper_pearson_upper(found.n_wrong, found.n_accepted, 0.1))
    assert found.upper <= 0.1


def test_all_thresholds_may_pass() -> None:
    found = certify_acceptance(np.linspace(0, 1, 100), np.zeros(100), None, [0.5, 0.0], epsilon=0.1, delta=0.1, seed=0)
    assert (found.threshold, found.n_accepted, found.tested) == (0.0, 100, (0.5, 0.0))


def test_nothing_passes_is_an_answer() -> None:
    confidence, wrong = _ratings(30, 1)
    found = certify_acceptance(confidence, wrong, None, [0.99, 0.9], epsilon=0.05, delta=0.1, seed=0)
    assert not found.certified
    assert (found.threshold, found.n_accepted, found.n_wrong, found.upper) == (None, 0, 0, None)
    assert found.tested == (0.99,)
    none = certify_acceptance(confidence, wrong, None, [], epsilon=0.05, delta=0.1, seed=0)
    assert (none.certified, none.tested, none.p_values) == (False, (), ())
    empty = certify_acceptance([], [], None, [0.5], epsilon=0.05, delta=0.1, seed=0)
    assert (empty.certified, empty.n, empty.p_values) == (False, 0, (1.0,))


def test_contexts_with_several_ratings_are_bet_on_and_alone_they_are_counted() -> None:
    confidence, wrong = np.full(120, 0.9), np.zeros(120, dtype=bool)
    alone = certify_acceptance(confidence, wrong, list(range(120)), [0.5], epsilon=0.1, delta=0.1, seed=0)
    together = certify_acceptance(
        confidence, wrong, [i // 6 for i in range(120)], [0.5], epsilon=0.1, delta=0.1, seed=0
    )
    assert (alone.method, alone.certified) == (BINOMIAL, True)
    # 20 contexts are fewer than the 24 that it takes if the ratings of a context may be right or wrong together.
    assert (together.method, together.certified, together.contexts) == (BETTING, False, 20)
    assert together.p_values[0] > 0.1


def test_names_and_order_of_contexts_do_not_matter_for_counting() -> None:
    confidence, wrong = _ratings(200, 5)
    names = [f"context {i}" for i in range(200)]
    by_name = certify_acceptance(confidence, wrong, names, [0.9, 0.8], epsilon=0.2, delta=0.1, seed=0)
    by_none = certify_acceptance(confidence, wrong, None, [0.9, 0.8], epsilon=0.2, delta=0.1, seed=3)
    assert by_name == by_none


def test_a_larger_context_elsewhere_makes_smaller_bets() -> None:
    confidence, wrong = np.full(120, 0.9), np.zeros(120, dtype=bool)
    groups = [i // 2 for i in range(120)]
    p = [
        certify_acceptance(
            confidence, wrong, groups, [0.5], epsilon=0.1, delta=0.1, seed=0, largest_context=m
        ).p_values[0]
        for m in (2, 6)
    ]
    assert p[0] < p[1]
    with pytest.raises(ValueError, match="holds 2 ratings, more than largest_context = 1"):
        certify_acceptance(confidence, wrong, groups, [0.5], epsilon=0.1, delta=0.1, seed=0, largest_context=1)


def test_the_seed_decides_the_order_of_bets() -> None:
    confidence, wrong = _ratings(300, 2)
    groups = [i // 3 for i in range(300)]
    p = [
        certify_acceptance(confidence, wrong, groups, [0.8], epsilon=0.2, delta=0.1, seed=seed).p_values
        for seed in (1, 1, 2)
    ]
    assert p[0] == p[1]
    assert p[0] != p[2]


@pytest.mark.parametrize(
    ("confidence", "wrong", "groups", "thresholds", "said"),
    [
        ([0.5], [True, False], None, [0.5], "one length"),
        ([0.5, 0.6], [True, False], ["a"], [0.5], "groups and ratings"),
        ([0.5, np.nan], [True, False], None, [0.5], "is a number"),
        ([0.5, 0.6], [True, False], None, [0.5, 0.6], "descend"),
    ],
)
def test_what_does_not_fit_is_refused(
    confidence: list[float], wrong: list[bool], groups: list[str] | None, thresholds: list[float], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        certify_acceptance(confidence, wrong, groups, thresholds, epsilon=0.1, delta=0.1, seed=0)


def test_epsilon_and_delta_lie_between_0_and_1() -> None:
    with pytest.raises(ValueError, match="epsilon and delta"):
        certify_acceptance([0.5], [False], None, [0.5], epsilon=0.0, delta=0.1, seed=0)
    with pytest.raises(ValueError, match="at least one rating"):
        start_threshold([], None, epsilon=0.1, delta=0.1, n_certify=10)


def test_the_start_accepts_enough_to_prove_something() -> None:
    confidence, wrong = _ratings(400, 3)
    thresholds = start_threshold(confidence, None, epsilon=0.15, delta=0.1, n_certify=400, wrong_fit=wrong)
    assert (np.diff(thresholds) < 0).all()
    assert thresholds[-1] == confidence.min()
    assert np.isin(thresholds, confidence).all()
    accepted = (confidence >= thresholds[0]).sum()
    assert accepted >= fewest_contexts(0.15, 0.1, binomial=True)
    assert wrong[confidence >= thresholds[0]].mean() < 0.15


def test_fewer_ratings_to_certify_on_need_a_more_lenient_start() -> None:
    confidence = np.linspace(0.2, 1, 200)
    starts = [start_threshold(confidence, None, epsilon=0.1, delta=0.1, n_certify=n)[0] for n in (60, 200, 1000)]
    assert starts[0] < starts[1] < starts[2]


def test_where_nothing_can_be_proved_the_start_is_still_there() -> None:
    thresholds = start_threshold([0.9, 0.8], ["a", "a"], epsilon=0.1, delta=0.1, n_certify=2, wrong_fit=[True, False])
    assert thresholds.size >= 1


def test_the_start_is_found_quickly_for_many_ratings() -> None:
    confidence, wrong = _ratings(20_000, 4)
    groups = [i // 4 for i in range(20_000)]
    begin = time.perf_counter()
    start_threshold(confidence, groups, epsilon=0.1, delta=0.1, n_certify=20_000, wrong_fit=wrong)
    assert time.perf_counter() - begin < 20


@pytest.mark.parametrize("epsilon", [0.05, 0.1, 0.2])
def test_the_fewest_contexts_are_just_enough(epsilon: float) -> None:
    few = fewest_contexts(epsilon, 0.1, binomial=True)
    p = [stats.binom.cdf(0, n, epsilon) for n in (few - 1, few)]
    assert p[1] <= 0.1 < p[0]
    few = fewest_contexts(epsilon, 0.1, binomial=False)
    passed = []
    for contexts in (few - 1, few):
        groups = [i // 3 for i in range(3 * contexts)]
        rows = np.ones(3 * contexts), np.zeros(3 * contexts)
        passed.append(certify_acceptance(*rows, groups, [0.5], epsilon=epsilon, delta=0.1, seed=0).certified)
    assert passed == [False, True]
    with pytest.raises(ValueError, match="share accepted"):
        fewest_contexts(0.1, 0.1, accepted=0, binomial=True)
