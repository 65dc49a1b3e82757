"""Logs of reference models in three forms, and what is wrong with those that are none."""

import json
from pathlib import Path
from typing import Any

import pytest
from auditor.audits.unlearning.compare_reference import forget_quality, membership_metrics
from auditor.audits.unlearning.reference import read
from auditor.audits.unlearning.scored import Scored
from auditor.errors import InputError


def written(folder: Path, content: Any) -> Path:
    path = folder / "log.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def scored(n: int, name: str = "forget", shift: float = 0.0) -> list[Scored]:
    return [
        Scored(
            set=name,
            id=str(i),
            row=i,
            question=f"Who is {i}?",
            answer=f"The answer {i}",
            n_tokens=3,
            loss=1.0 + shift,
            probability=0.3,
            answer_probability=0.3,
            truth_ratio=0.5 + i / 100,
            scores={"loss": 1 + i / 10 + shift, "min_k": 2 + i / 10 + shift, "min_k_plus_plus": 1.0, "zlib": 1.0},
        )
        for i in range(n)
    ]


def test_a_log_of_tofu_names_its_answers(data_folder: Path) -> None:
    found = read(data_folder / "tofu" / "reference" / "retain90_llama2-7b_eval_log_forget.json")
    assert len(found.truth_ratios) == 300
    assert found.by_answer
    assert found.examples is not None
    assert found.examples[0] == "The author's full name is Hsiao Yun-Hwa."
    own = [one.model_copy(update={"answer": answer}) for one, answer in zip(scored(40), found.examples, strict=False)]
    metric = forget_quality(own, found)
    assert metric.n == 40
    assert metric.value is not None
    half = forget_quality([*own[:20], *scored(30)], found)
    assert half.n == 20
    assert "on the 20 of 50 examples that both have" in half.note


def test_later_logs_of_tofu_go_by_number(tmp_path: Path) -> None:
    found = read(
        written(
            tmp_path,
            {"avg_paraphrased_loss": {"0": 1.0, "1": 2.0}, "average_perturb_loss": {"0": [1.0, 3.0], "1": [2.0, 2.0]}},
        )
    )
    assert found.truth_ratios == pytest.approx((0.36787944117144233, 1.0))
    assert found.examples is None


def test_a_log_of_open_unlearning(tmp_path: Path) -> None:
    by_index = {str(i): {"score": 0.4 + i / 100} for i in range(6)}
    path = written(
        tmp_path,
        {"forget_truth_ratio": {"agg_value": 0.5, "value_by_index": by_index}, "mia_min_k": {"agg_value": 0.4}},
    )
    found = read(path)
    assert found.truth_ratios == pytest.approx([0.4 + i / 100 for i in range(6)])
    metric = forget_quality(scored(6), found)
    assert metric.value is not None
    assert "is not known" in metric.note
    privleak = membership_metrics(scored(8), scored(8, "holdout", 0.2), found, seed=0)["privleak"]
    assert privleak.value is not None
    assert privleak.low is not None
    assert privleak.low < privleak.value < (privleak.high or 0)
    assert "taken as exact" in privleak.note


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("nothing", "no JSON"),
        ([1], "no JSON object"),
        ({"a": 1}, "none of the figures"),
        ({"avg_paraphrased_loss": [1.0], "average_perturb_loss": []}, "not as many losses"),
        ({"avg_paraphrased_loss": [1.0, "x"], "average_perturb_loss": [[1.0], [1.0]]}, "row 2, column .*no number"),
        ({"avg_paraphrased_loss": [1.0], "average_perturb_loss": [[]]}, "row 1, column .*no number"),
        ({"mia_min_k": {"agg_value": 4}}, "between 0 and 1"),
        ({"forget_truth_ratio": {"value_by_index": {"3": {"score": None}}}}, "row 4, column .*no number"),
        ({"metrics": {}, "examples": [{"set": "forget"}], "settings": {}, "seed": 0}, "damaged"),
    ],
)
def test_what_is_no_log_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(written(tmp_path, content))


def test_a_log_without_the_same_holdout_gives_no_privleak(tmp_path: Path) -> None:
    path = written(tmp_path, {"forget_truth_ratio": {"value_by_index": {"0": {"score": 0.4}}}})
    found = membership_metrics(scored(8), scored(8, "holdout"), read(path), seed=0)
    assert "no AUC of min-k" in found["privleak"].unavailable
    assert "no losses" in found["mia_reference"].unavailable
