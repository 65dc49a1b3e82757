"""What a report says of a guard run: it names what was done, and not what was not."""

from typing import Any

from auditor.audits.guard.findings import PoolsInfo
from auditor.audits.guard.headline import headline_words
from auditor.audits.guard.method_text import methods
from auditor.audits.guard.words import condition_words, interval, listed, percent, points
from tests.audits.guard.made_runs import made_findings


def said(**more: Any) -> dict[str, str]:
    return dict(methods(made_findings(**more)))


def test_prompt_and_labels_stand_word_for_word() -> None:
    findings, found = made_findings(), said()
    assert found["Prompt, word for word"] == findings.prompt.example
    assert found["Prompt without demonstrations, word for word"] == findings.prompt.example_zero_shot
    assert (
        '1: the word positive, scored by the tokens "positive", " positive", " Positive"'
        in found["Labels as the model says them"]
    )


def test_the_certificate_says_its_rule_its_level_and_its_outcome() -> None:
    told = said()["Certificate"]
    assert "5.0 percentage points" in told
    assert "betting" in told
    assert "Fixed-sequence testing" in told
    assert "certified at lambda = 0.62, p = 0.021" in told
    tried = said(certificate={"options_tried": 4, "delta_spent": 0.025})["Certificate"]
    assert "level 0.025 (delta 0.1 over 4 settings tried, after Bonferroni)" in tried
    none = said(certificate={"certified": False, "lambda_hat": 1.0, "p_at": None, "p_first": 0.4})["Certificate"]
    assert "no threshold below 1 passed; at the first one tested p = 0.4" in none
    rule = said(certificate={"select": "uncorrected", "guaranteed": False})["Certificate"]
    assert "This guarantees nothing" in rule
    assert "Outcome: lambda = 0.62, p = 0.021, without a guarantee." in rule
    assert "certified at" not in rule


def test_what_the_guarantee_is_about_follows_the_run() -> None:
    assert "drawn anew for each query" in said()["Queries and demonstrations"]
    pools = PoolsInfo(
        n_calibration=50, n_test=50, n_demonstrations=16, n_per_prompt=16, demonstrations="fixed", n_groups=20
    )
    fixed = said(pools=pools, certificate={"n_units": 10, "largest_group": 5})
    assert "the guarantee is about this set" in fixed["Queries and demonstrations"]
    assert "in 20 groups, which were never split" in fixed["Queries and demonstrations"]
    assert "a group is one unit of the tests" in fixed["Certificate"]
    every = said(certificate={"cover": "every attack", "covered": ("correct", "cyclic:1")})[
        "Queries and demonstrations"
    ]
    assert "under all of them: correct demonstrations and Wrong labels in a circle (100%)" in every
    drawn = said(certificate={"p_value": "binomial", "transform": "clip"})["Queries and demonstrations"]
    assert "one of its two prompts is drawn" in drawn


def test_a_model_of_one_exit_says_so_and_no_calibration_is_said() -> None:
    one = said(readout={"n_layers": 1, "n_exits": 1, "first_exit": 1, "contextual_calibration": False})["Readout"]
    assert "shows no inner layers" in one
    assert "logit lens" not in one
    assert "No contextual calibration" in one
    assert "zero-shot and unguarded answers are the full model's own" in said()["Readout"]


def test_what_was_not_measured_is_not_described() -> None:
    found = said(n_influence=0, n_attention=0, n_timing=0, splits=None)
    assert not {"Influence of demonstrations", "Attention", "Time", "New splits"} & set(found)


def test_every_attack_that_was_tried_is_described_once() -> None:
    told = said(conditions=("zero-shot", "correct", "mixture", "mixture:0.05", "cyclic:1", "cyclic:0.5+last:0.5"))[
        "Attacks"
    ]
    assert told.count("Wrong labels in a circle: the share of demonstrations") == 1
    assert "Wrong labels last: " in told
    assert "Conditions asked: Wrong labels in a circle (100%) and Wrong labels in a circle (50%), then " in told


def test_headline_has_units_and_leaves_out_what_was_not_measured() -> None:
    headline = {"certified": True, "lambda": 0.62, "epsilon": 0.05, "risk_guarded": -0.013, "accuracy_guarded": 0.7125,
                "wall_clock_ratio": None, "verdict": "x"}  # fmt: skip
    assert headline_words(made_findings(headline=headline)) == [
        ("Certified", "yes"),
        ("Threshold lambda", "0.62"),
        ("Risk allowed, epsilon", "5.0 percentage points"),
        ("Risk with the guard (zero-shot less guarded accuracy)", "−1.3 percentage points"),
        ("Accuracy with the guard", "71.2%"),
    ]


def test_numbers_as_people_read_them() -> None:
    assert [points(0.0), points(-0.0001), points(0.1234), points(-0.05)] == ["0.0", "0.0", "+12.3", "−5.0"]
    assert [percent(1.0), percent(0.5), percent(0.123456)] == ["100%", "50%", "12.3%"]
    assert interval(-0.01, 0.02) == " (−1.0 to +2.0)"
    assert interval(None, 0.02) == ""
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert condition_words("mixture:0.05") == "a mixture with 5% corrupted"
    assert condition_words("zero-shot") == "zero-shot"
