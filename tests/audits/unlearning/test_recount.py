"""Figures of whole runs counted once more from their rows, with numpy, scipy and scikit-learn alone; and logs as references."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from auditor.audits import InputFile, unlearning
from auditor.audits.memory import MemoryContext
from auditor.audits.unlearning.findings import UnlearningFindings
from auditor.audits.unlearning.inputs import read as inputs_of
from auditor.audits.unlearning.method_text import methods
from auditor.audits.unlearning.reference_log import other_format
from auditor.errors import InputError
from auditor.models import ModelFile
from auditor.tasks_evaluate import evaluate
from tests.audits.unlearning.files import facts, given, jsonl
from tests.audits.unlearning.small_runs import UNLEARN

_PROMPT = "Question: {question}\nAnswer:"
Learnt = tuple[UnlearningFindings, ModelFile]


def with_wrong_answers(rows: list[dict[str, str]]) -> list[dict[str, Any]]:
    return [
        row
        | {"paraphrased_answer": f"It is {row['answer'][2:]}", "perturbed_answers": ["A ladder.", "A hat from 1801."]}
        for row in rows
    ]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, InputFile]:
    """Six examples to forget, of which the model knows three; what it knows, three times over; and what it never saw."""
    folder = tmp_path_factory.mktemp("recount")
    rows = {
        "forget": [*facts(3), *facts(3, first=40)],
        "retain": facts(6, first=3),
        "real_authors": facts(3, first=3),
        "world_facts": facts(3, first=6),
        "holdout": facts(5, first=20),
    }
    return {role: jsonl(folder / f"{role}.jsonl", with_wrong_answers(found)) for role, found in rows.items()}


def evaluated(model: ModelFile, files: dict[str, InputFile], log: Path, **more: Any) -> dict[str, Any]:
    """What `auditor evaluate --log` writes."""
    asked = {
        "model": str(model.path),
        "benchmark": "tofu",
        "files": {role: str(file.path) for role, file in files.items()},
        "prompt": _PROMPT,
        "max_new_tokens": 8,
        "device": "cpu",
        "dtype": "float32",
        "seed": 0,
        "log": str(log),
    }
    evaluate(asked | more, lambda *_told: None)
    return dict(json.loads(log.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def log(blank: ModelFile, files: dict[str, InputFile], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of a model that has never learnt anything."""
    file = tmp_path_factory.mktemp("log") / "reference.json"
    evaluated(blank, {role: files[role] for role in ("forget", "holdout")}, file, benchmark="own", max_new_tokens=0)
    return file


def of(rows: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["set"] == name]


def auc_of_min_k(rows: list[dict[str, Any]]) -> float:
    scores = [row["scores"]["min_k"] for name in ("forget", "holdout") for row in of(rows, name)]
    is_unseen = [0] * len(of(rows, "forget")) + [1] * len(of(rows, "holdout"))
    return float(sklearn.metrics.roc_auc_score(is_unseen, scores))


def privleak(rows: list[dict[str, Any]], reference: list[dict[str, Any]]) -> float:
    rest = 1 - auc_of_min_k(reference)
    return 100 * ((1 - auc_of_min_k(rows)) - rest) / rest


def forget_quality(rows: list[dict[str, Any]], reference: list[dict[str, Any]]) -> float:
    ours, theirs = ([row["truth_ratio"] for row in of(found, "forget")] for found in (rows, reference))
    return float(scipy.stats.ks_2samp(ours, theirs).pvalue)


def test_utility_and_privleak_of_an_evaluation_are_those_of_its_rows(
    learnt: Learnt, files: dict[str, InputFile], log: Path, tmp_path: Path
) -> None:
    found = evaluated(learnt[1], files, tmp_path / "log.json", reference=str(log))
    rows, reference = found["examples"], json.loads(log.read_text(encoding="utf-8"))["examples"]
    figures = []
    for name in ("retain", "real_authors", "world_facts"):
        own = of(rows, name)
        kind = "probability" if name == "retain" else "probability_among"
        figures += [
            np.mean([row[kind] for row in own]),
            np.mean([row["rouge_recall"] for row in own]),
            np.mean(np.clip(1 - np.array([row["truth_ratio"] for row in own]), 0, None)),
        ]
    assert min(figures) > 0, "a mean that is 0 whatever the others are would test nothing"
    assert found["metrics"]["model_utility"]["value"] == pytest.approx(scipy.stats.hmean(figures), rel=1e-12)
    assert found["metrics"]["privleak"]["value"] == pytest.approx(privleak(rows, reference), rel=1e-12)
    assert found["metrics"]["privleak"]["value"] < -1, "what was learnt is told from what was not"
    assert found["metrics"]["forget_quality"]["value"] == pytest.approx(forget_quality(rows, reference), rel=1e-12)


def test_a_log_gives_a_run_what_a_second_model_would(
    learnt: Learnt, blank: ModelFile, files: dict[str, InputFile], log: Path, tmp_path: Path
) -> None:
    """Forget quality, privleak and the reference attack, before and after, are those of its rows; nothing is loaded for them."""
    inputs = {role: files[role] for role in ("forget", "retain", "holdout")}
    spec = unlearning.Spec(**UNLEARN | {"epochs": 1, "new_tokens": 1})
    context = MemoryContext({"model": learnt[1]}, seed=3, folder=tmp_path / "log")
    findings = unlearning.run(spec, inputs | {"reference": given(log)}, context)
    stages = {row["stage"]: row["result"] for row in context.flushed["stages"]}
    reference = json.loads(log.read_text(encoding="utf-8"))["examples"]
    table = {row["metric"]: row for row in context.tables["metrics"].to_pylist()}
    for when in ("before", "after"):
        rows = stages[when]["examples"]
        assert table["privleak"][when] == pytest.approx(privleak(rows, reference), rel=1e-12)
        assert table["forget_quality"][when] == pytest.approx(forget_quality(rows, reference), rel=1e-12)
    assert "reference" not in stages
    assert "reference-format" not in {caution.code for caution in findings.warnings}
    assert "the log reference.json of the model with SHA-256 " + blank.sha256 in dict(methods(findings))["Measures"]
    # The model itself gives the same figures.
    with_model = MemoryContext({"model": learnt[1], "reference": blank}, seed=3, folder=tmp_path / "model")
    again = unlearning.run(spec.model_copy(update={"reference_model": "blank"}), inputs, with_model)
    for name in ("privleak", "forget_quality", "mia_reference"):
        assert again.after[name].value == findings.after[name].value
        assert again.after[name].value is not None


def test_a_log_of_another_number_format_is_told(files: dict[str, InputFile], log: Path, tmp_path: Path) -> None:
    inputs = {role: files[role] for role in ("forget", "retain", "holdout")}
    found, changed = json.loads(log.read_text(encoding="utf-8")), tmp_path / "reference.json"
    assert found["dtype"] == "float32"
    changed.write_text(json.dumps(found | {"dtype": "bfloat16"}), encoding="utf-8")
    read = {file: inputs_of(inputs | {"reference": given(file)}, unlearning.Spec(**UNLEARN)) for file in (log, changed)}
    told = {file: {one.code: one.message for one in read[file].cautions} for file in read}
    assert "reference-format" not in told[log]
    assert "was computed in bfloat16, what is compared with it in float32" in told[changed]["reference-format"]
    # What "auto" stands for is known once the model is loaded.
    auto = inputs_of(inputs | {"reference": given(changed)}, unlearning.Spec(**UNLEARN | {"dtype": "auto"}))
    assert "reference-format" not in {one.code for one in auto.cautions}
    assert auto.reference is not None
    assert [one.code for one in other_format(auto.reference, "float32")] == ["reference-format"]
    assert other_format(auto.reference, "bfloat16") == []


def other_examples(log: dict[str, Any]) -> None:
    for row in log["examples"]:
        row["question"] = f"And {row['question']}"


def fewer_examples(log: dict[str, Any]) -> None:
    log["examples"] = log["examples"][1:]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            other_examples,
            r"^reference\.json: The log is of other examples: none of the 6 to forget is in it \(found 'And ",
        ),
        (fewer_examples, r"says that 6 examples of the file forget were evaluated, and holds 5 of them"),
        (lambda log: log.update(prompt="{question}"), r"column 'prompt': The log was made with another prompt"),
        (lambda log: log["settings"].update(min_k=0.2), "min-k looks at another share of the tokens"),
        (lambda log: log["examples"][0].update(truth_ratio=float("inf")), "row 1, column 'truth_ratio': A figure is"),
        (lambda log: log.update(examples=[log["examples"][0]], n={}), "Nothing of the log can be compared: no forget"),
    ],
)
def test_a_log_that_does_not_fit_is_refused_before_anything_is_loaded(
    learnt: Learnt, files: dict[str, InputFile], log: Path, tmp_path: Path, change: Any, message: str
) -> None:
    found = json.loads(log.read_text(encoding="utf-8"))
    change(found)
    changed = tmp_path / "reference.json"
    changed.write_text(json.dumps(found), encoding="utf-8")
    refuses(learnt[1], files, changed, tmp_path, message)


def refuses(model: ModelFile, files: dict[str, InputFile], log: Path, folder: Path, message: str, **more: Any) -> None:
    inputs = {role: files[role] for role in ("forget", "retain", "holdout")} | {"reference": given(log)}
    context = MemoryContext({"model": model}, seed=3, folder=folder / "run")
    with pytest.raises(InputError, match=message):
        unlearning.run(unlearning.Spec(**UNLEARN | more), inputs, context)
    assert not context.flushed


def test_a_cut_log_one_of_the_start_model_and_two_references_are_refused(
    learnt: Learnt, blank: ModelFile, files: dict[str, InputFile], log: Path, tmp_path: Path
) -> None:
    whole = log.read_text(encoding="utf-8")
    for n in (len(whole) // 2, len(whole) - 3):
        cut = tmp_path / "cut.json"
        cut.write_text(whole[:n], encoding="utf-8")
        refuses(learnt[1], files, cut, tmp_path, r"^cut\.json, row \d+: The log breaks off\. Copy the log anew")
    refuses(blank, files, log, tmp_path, "is of the start model: it has learnt what is to be forgotten")
    refuses(learnt[1], files, log, tmp_path, "Both a log and a model are given", reference_model="blank")
