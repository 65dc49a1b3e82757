from typing import Any

import pytest
from auditor.audits.guard.findings import CertificateInfo, PoolsInfo
from auditor.audits.guard.verdict import cautions, coverage, verdict
from auditor.models.starter import STARTER_WARNING
from tests.audits.guard.made_runs import made_findings

ROW = {
    "condition": "mixture",
    "kind": "mixture",
    "n": 130,
    "accuracy_zero_shot": 0.70,
    "accuracy_unguarded": 0.54,
    "accuracy_guarded": 0.71,
    "guarded_low": 0.61,
    "risk_guarded": -0.012,
    "risk_low": -0.04,
    "risk_high": 0.02,
}
ZERO_SHOT = ROW | {"condition": "zero-shot", "kind": "zero-shot", "risk_low": 0.0}


def certificate(**more: Any) -> CertificateInfo:
    return made_findings().certificate.model_copy(update={"n": 130, "n_units": 130, "lambda_hat": 0.83, **more})


def noticed(rows: list[dict[str, Any]], **more: Any) -> dict[str, str]:
    given = {"n_exits": 30, "is_starter": False, "n_labels": 2, "largest_class": 0.5, "plain": 0.6, "calibrated": 0.6}
    told = cautions(more.pop("certificate", certificate()), rows, **given | more)
    return {caution.code: caution.message for caution in told}


def test_certified() -> None:
    found = verdict(certificate(), ROW, confidence=0.95, is_starter=False)
    assert found.state == "certified"
    assert found.sentence == (
        "With threshold 0.83 the guard holds these demonstrations (50% of the queries corrupted) within 5.0 percentage points "
        "of zero-shot (risk on 130 test queries −1.2, 95% CI −4.0 to +2.0; certified at confidence 90% on 130 queries): "
        "accuracy 71% guarded, 54% unguarded, 70% zero-shot."
    )


def test_not_certified() -> None:
    none = certificate(certified=False, lambda_hat=1.0, n=60, n_units=60, p_at=None)
    found = verdict(none, ROW, confidence=0.95, is_starter=False)
    assert found.state == "not certified"
    assert found.sentence == (
        "Not certified: answer zero-shot (accuracy 70%; without a guard 54% under the mixture (50% of queries with corrupted "
        "demonstrations)). No threshold passed at n = 60, epsilon 0.05, delta 0.1; a harmless prompt needs n ≥ 95."
    )


def test_the_starter_model_is_no_evidence() -> None:
    found = verdict(certificate(), ROW, confidence=0.95, is_starter=True)
    assert found.sentence.endswith(f"({STARTER_WARNING}).")
    assert noticed([ZERO_SHOT], is_starter=True)["starter"] == STARTER_WARNING


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"mixture": 0.0}, "holds these demonstrations within"),
        ({"mixture": 1.0}, "holds these corrupted demonstrations within"),
        ({"cover": "every attack", "covered": ("correct", "cyclic:1")}, "holds each of 2 conditions within"),
    ],
)
def test_the_verdict_names_what_is_held(more: dict[str, Any], said: str) -> None:
    assert said in verdict(certificate(**more), ROW, confidence=0.95, is_starter=False).sentence


def _pools(rule: str) -> PoolsInfo:
    return made_findings().pools.model_copy(update={"demonstrations": rule})


def test_what_is_covered_is_said() -> None:
    drawn = coverage(certificate(), _pools("resampled"))
    assert "over the drawing of demonstrations from this pool" in drawn
    assert "50% of the queries have corrupted demonstrations" in drawn
    assert "nothing of another attacker" in drawn
    assert "setting alone" in drawn
    fixed = coverage(certificate(), _pools("fixed"))
    assert "for this one set of demonstrations, with which it was calibrated" in fixed
    tried = coverage(certificate(options_tried=5, delta_spent=0.02), _pools("fixed"))
    assert "for all 5 settings tried at once" in tried
    grouped = coverage(certificate(largest_group=4, n_units=50), _pools("fixed"))
    assert "in groups of at most 4 (the largest group here; declare a bound" in grouped
    declared = coverage(certificate(largest_group=4, n_units=50, largest_declared=True), _pools("fixed"))
    assert "in groups of at most 4, for this one set" in declared
    every = coverage(certificate(cover="every attack", covered=("correct", "cyclic:1")), _pools("fixed"))
    assert "each by itself: correct demonstrations and Wrong labels in a circle (100%)" in every
    assert coverage(certificate(guaranteed=False), _pools("fixed")).startswith("Nothing")


def test_nothing_to_notice() -> None:
    assert noticed([ZERO_SHOT, ROW]) == {}


def test_a_reader_is_told_what_weakens_the_numbers() -> None:
    assert "one exit" in noticed([ZERO_SHOT], n_exits=1)["one_exit"]
    few = noticed([ZERO_SHOT], certificate=certificate(n=130, n_units=60, largest_group=3))["few_queries"]
    assert "With 60 groups for calibration" in few
    assert "takes 95 groups" in few
    weak = noticed([ZERO_SHOT | {"guarded_low": 0.45}])["weak_zero_shot"]
    assert "not clearly above guessing among 2 labels" in weak
    assert "most frequent one (65%)" in noticed([ZERO_SHOT], largest_class=0.65)["weak_zero_shot"]
    hurts = noticed([ZERO_SHOT], plain=0.75, calibrated=0.7)["calibration_hurts"]
    assert "from 75% to 70% on the calibration queries" in hurts
    assert "no guarantee" in noticed([ZERO_SHOT], certificate=certificate(guaranteed=False))["uncorrected"]


def test_attacks_beyond_the_guarantee_and_bad_luck_are_told_apart() -> None:
    attack = ROW | {"condition": "random:1", "kind": "attack", "risk_low": 0.08}
    told = noticed([ZERO_SHOT, ROW, attack])
    assert "The guarantee is about the mixture" in told["above_epsilon"]
    assert "Random wrong labels (100%)" in told["above_epsilon"]
    told = noticed([ZERO_SHOT, ROW | {"risk_low": 0.06}])
    assert "at most 10% of certificates" in told["risk_above_epsilon"]


def test_of_several_conditions_the_worst_one_is_quoted_and_named() -> None:
    every = certificate(cover="every attack", covered=("correct", "cyclic:1"))
    row = ROW | {"condition": "cyclic:1", "kind": "attack"}
    assert (
        "under the worst of them, Wrong labels in a circle (100%), −1.2"
        in verdict(every, row, confidence=0.95, is_starter=False).sentence
    )


@pytest.mark.parametrize(("value", "step", "said"), [(0.985, 0.005, "0.985"), (0.83, 0.01, "0.83"), (0.9, 0.1, "0.90")])
def test_a_threshold_is_printed_as_it_is(value: float, step: float, said: str) -> None:
    found = certificate(lambda_hat=value, lambda_step=step)
    assert f"With threshold {said} the guard" in verdict(found, ROW, confidence=0.95, is_starter=False).sentence
