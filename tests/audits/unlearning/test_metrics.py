"""Metrics against a few lines of numpy and scipy, on made-up numbers and on published logs."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from auditor.audits.unlearning.compare_reference import ks_test
from auditor.audits.unlearning.metrics import membership, memorisation
from auditor.audits.unlearning.metrics.metric import Metric, mean, of_draws, unavailable
from auditor.audits.unlearning.metrics.truth_ratio import indistinct, truth_ratio, truthful
from auditor.audits.unlearning.metrics.utility import harmonic_mean, model_utility
from auditor.audits.unlearning.reference import read
from scipy import stats

LOGS = ("retain90_llama2-7b_eval_log_forget.json", "retain99_llama2-7b_eval_log_forget.json")


def log(data_folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((data_folder / "tofu" / "reference" / name).read_text())
    return found


def plain_ratios(one: dict[str, Any]) -> np.ndarray:
    wrong = np.exp(-np.mean(np.array(one["average_perturb_loss"]), axis=1))
    return np.asarray(wrong / np.exp(-np.array(one["avg_paraphrased_loss"])))


@pytest.mark.parametrize("name", LOGS)
def test_truth_ratios_of_a_published_log(data_folder: Path, name: str) -> None:
    one = log(data_folder, name)
    wanted = plain_ratios(one)
    ours = [truth_ratio(*pair) for pair in zip(one["avg_paraphrased_loss"], one["average_perturb_loss"], strict=True)]
    np.testing.assert_allclose(ours, wanted, rtol=1e-12)
    np.testing.assert_allclose(indistinct(np.array(ours)), np.minimum(wanted, 1 / wanted), rtol=1e-12)
    np.testing.assert_allclose(truthful(np.array(ours)), np.maximum(0, 1 - wanted), atol=1e-12)
    reference = read(data_folder / "tofu" / "reference" / name)
    np.testing.assert_allclose(reference.truth_ratios, wanted, rtol=1e-12)


def test_the_distance_of_two_published_logs(data_folder: Path) -> None:
    first, second = (plain_ratios(log(data_folder, name)) for name in LOGS)
    wanted = stats.ks_2samp(first, second)
    both = np.sort(np.concatenate([first, second]))
    apart = [abs((first <= x).mean() - (second <= x).mean()) for x in both]
    statistic, p = ks_test(first.tolist(), second.tolist())
    assert statistic == pytest.approx(max(apart), abs=1e-12)
    assert p == pytest.approx(wanted.pvalue, rel=1e-12)
    # As open-unlearning has it, on 1 / R.
    assert p == pytest.approx(stats.ks_2samp(1 / first, 1 / second).pvalue, rel=1e-9)


def test_truth_ratios_at_the_ends_stay_numbers() -> None:
    assert truth_ratio(0.0, [2000.0]) == pytest.approx(0, abs=1e-300)
    far = truth_ratio(2000.0, [0.0])
    assert np.isfinite(far)
    assert indistinct(np.array([far]))[0] == pytest.approx(0, abs=1e-300)
    assert truthful(np.array([far]))[0] == 0
    assert np.isnan(truth_ratio(1.0, []))


def test_probability_among_choices() -> None:
    assert memorisation.probability(np.log(4)) == pytest.approx(0.25)
    assert memorisation.probability_among(0.25, [0.25, 0.5]) == pytest.approx(0.25)
    assert np.isnan(memorisation.probability_among(0.25, []))


@pytest.mark.parametrize(
    ("hits", "exact", "strength"),
    [("11111", 1, 1), ("00000", 0, 0), ("01011", 0.6, 0.4), ("11110", 0.8, 0), ("00001", 0.2, 0.2), ("1", 1, 1)],
)
def test_memorisation_of_hits(hits: str, exact: float, strength: float) -> None:
    found = np.array([hit == "1" for hit in hits])
    assert memorisation.exact_memorisation(found) == pytest.approx(exact)
    assert memorisation.extraction_strength(found) == pytest.approx(strength)
    # By the definition: the earliest place from which everything is right.
    k = next(k for k in range(len(found) + 1) if found[k:].all())
    assert memorisation.extraction_strength(found) == pytest.approx(1 - k / len(found))


def test_membership_scores() -> None:
    generator = np.random.default_rng(1)
    logits = generator.normal(size=(11, 30)) * 2
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    token = log_p[np.arange(11), generator.integers(0, 30, 11)]
    mu = (np.exp(log_p) * log_p).sum(-1)
    sigma2 = (np.exp(log_p) * log_p**2).sum(-1) - mu**2
    assert membership.loss_score(token) == pytest.approx(-token.mean())
    assert membership.min_k(token) == pytest.approx(-np.mean(sorted(token)[:4]))  # 40% of 11
    assert membership.min_k_plus_plus(token, mu, sigma2) == pytest.approx(
        -np.mean(sorted((token - mu) / np.sqrt(sigma2))[:4])
    )
    text = "Who wrote it? She did, and she did, and she did."
    assert membership.zlib_score(token, text) == pytest.approx(-token.mean() / len(zlib.compress(text.encode())))
    assert membership.min_k(token[:1]) == pytest.approx(-token[0])


def test_privleak() -> None:
    assert membership.privleak(0.5, 0.5) == 0
    assert membership.privleak(1.0, 0.5) == pytest.approx(-100)
    assert membership.privleak(0.0, 0.5) == pytest.approx(100)
    assert np.isnan(membership.privleak(0.4, 1.0))


def test_the_harmonic_mean_equals_scipy() -> None:
    values = np.random.default_rng(2).uniform(0.01, 1, (5, 9))
    np.testing.assert_allclose(harmonic_mean(values), stats.hmean(values, axis=-1))
    assert harmonic_mean(np.array([0.5, 0.0])) == 0


def test_model_utility_is_the_harmonic_mean_of_nine_means() -> None:
    generator = np.random.default_rng(3)
    sets = [generator.uniform(0.1, 1, (n, 3)) for n in (40, 25, 30)]
    found = model_utility(sets, seed=1)
    wanted = stats.hmean(np.concatenate([one.mean(0) for one in sets]))
    assert found.value == pytest.approx(wanted)
    assert found.n == 95
    theirs = [
        stats.hmean(np.concatenate([one[generator.integers(0, len(one), len(one))].mean(0) for one in sets]))
        for _ in range(4000)
    ]
    low, high = np.quantile(theirs, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.05 * (high - low))


def test_an_example_without_a_figure_is_left_out_of_its_mean_only() -> None:
    table = np.array([[0.5, np.nan, 0.5], [0.5, 0.25, 0.5], [0.5, 0.75, 0.5]])
    assert model_utility([table], seed=0).value == pytest.approx(0.5)


def test_a_mean_leaves_out_what_is_missing_and_says_why_there_is_none() -> None:
    found = mean([1.0, float("nan"), 0.0, 0.5], seed=0, empty="Nothing.")
    assert (found.value, found.n) == (0.5, 3)
    assert found.low is not None
    assert found.low <= 0.5
    nothing = mean([float("nan")], seed=0, empty="Nothing was generated.")
    assert nothing == unavailable("Nothing was generated.")


def test_rows_of_one_example_are_drawn_together() -> None:
    values, ids = np.random.default_rng(0).normal(size=20), [str(i) for i in range(20)]
    once = mean(values, seed=0, empty="")
    thrice = mean(np.repeat(values, 3), seed=0, empty="", groups=[i for i in ids for _ in range(3)])
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high))


def test_a_metric_without_value_needs_a_reason_and_draws_without_value_give_no_interval() -> None:
    with pytest.raises(ValueError, match="has a value, or a reason"):
        Metric()
    assert of_draws(0.5, np.array([np.nan, np.nan, 0.5]), 3, fewest=3).low is None


def test_what_an_interval_does_not_say_is_told() -> None:
    assert "fewer than 20" in mean([0.1, 0.2, 0.3], seed=0, empty="").note
    assert "No draw differs" in mean([1.0] * 30, seed=0, empty="").note
    assert mean(np.linspace(0, 1, 30), seed=0, empty="").note == ""
