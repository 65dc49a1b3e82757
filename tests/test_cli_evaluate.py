"""`auditor evaluate` as people use it: figures, reasons, logs as references, and what is said to wrong input."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.audits.unlearning.taught import facts, teach
from tests.command import auditor


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return teach(tmp_path_factory.mktemp("models") / "taught")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    for name in ("forget", "retain", "holdout"):
        rows = [
            {
                "question": one.question,
                "answer": one.answer,
                "paraphrased_question": one.paraphrased_question,
                "paraphrased_answer": one.paraphrased_answer,
                "perturbed_answer": list(one.perturbed_answers),
            }
            for one in facts(name)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {name: folder / f"{name}.jsonl" for name in ("forget", "retain", "holdout")}


def given(model: Path, files: dict[str, Path]) -> list[object]:
    named = [part for name, path in files.items() for part in (f"--{name}", path)]
    return ["evaluate", "--model", model, *named, "--device", "cpu", "--dtype", "float32", "--max-new-tokens", 30]


def ok(*arguments: object) -> dict[str, Any]:
    done = auditor(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_a_model_is_measured_and_its_log_is_a_reference(model: Path, files: dict[str, Path], tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    first = ok(*given(model, files), "--benchmark", "own", "--probes", "--log", log)
    assert first["n"] == {"forget": 3, "retain": 3, "holdout": 3}
    metrics = first["metrics"]
    assert metrics["forget_rouge_recall"]["value"] == 1
    assert metrics["forget_probability"]["low"] > 0.8
    assert "no reference" in metrics["forget_quality"]["unavailable"]
    assert metrics["probe_answer_start_rouge_recall"]["value"] == 1
    assert {row["kind"] for row in first["probes"]} == {"question", "paraphrase", "prefix", "answer start"}
    assert len(json.loads(log.read_text())["examples"]) == 9
    second = ok(*given(model, files), "--reference", log)
    assert second["reference"] == "the log log.json"
    assert second["metrics"]["mia_reference"]["value"] == 0.5
    assert "It takes 5 examples or more" in second["metrics"]["forget_quality"]["unavailable"]
    assert any("the evaluated model itself" in warning for warning in second["warnings"])
    other = auditor(*given(model, files), "--reference", log, "--prompt", "{question}")
    assert other.returncode == 2
    assert "made with another prompt" in other.stderr


@pytest.mark.slow
def test_words_for_people_and_a_reference_model(model: Path, files: dict[str, Path]) -> None:
    done = auditor(*given(model, files), "--reference-model", model, "--limit", 2)
    assert done.returncode == 0, done.stderr
    assert "Generating answers, forget" in done.stderr
    lines = done.stdout.splitlines()
    assert sum("the interval is too narrow" in line for line in lines) == 1
    assert any(line.startswith("forget probability") and "n = 2" in line for line in lines)
    assert any(line.startswith("model utility") and "not available" in line for line in lines)
    assert "Warning: Only the first 2 examples of each file were read." in lines


@pytest.mark.slow
def test_tofu_files_are_read(model: Path, data_folder: Path) -> None:
    tofu = data_folder / "tofu"
    found = ok(
        *("evaluate", "--model", model, "--forget", tofu / "forget10_perturbed.json"),
        *("--retain", tofu / "retain_perturbed.json", "--real-authors", tofu / "real_authors_perturbed.json"),
        *("--world-facts", tofu / "world_facts_perturbed.json", "--limit", 6, "--max-new-tokens", 4),
        *("--reference", tofu / "reference" / "retain90_llama2-7b_eval_log_forget.json"),
        *("--device", "cpu", "--dtype", "float32"),
    )
    for name, metric in found["metrics"].items():
        if not name.startswith(("mia_", "privleak")):
            assert metric["value"] is not None, (name, metric)
    assert found["metrics"]["forget_quality"]["n"] == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--benchmark", "wmdp", "--forget", "forget"), "--benchmark is one of tofu, muse, own"),
        (("--holdout", "holdout"), "There is no file to evaluate on. Give one of --forget"),
        (("--forget", "forget", "--verbmem", "retain"), "The benchmark tofu has no file --verbmem"),
        (("--forget", "forget", "--prompt", "no place"), "--prompt: {question} must stand in it once"),
        (("--forget", "forget", "--prompt", "Q: {question} "), "it ends in a blank"),
        (("--forget", "missing"), "there is no such file"),
        (("--forget", "forget", "--reference", "retain", "--reference-model", "starter"), "Both a log and a model"),
        (("--retain", "retain", "--probes"), "--probes ask for what was to be forgotten"),
        (("--forget", "forget", "--dtype", "int4"), "--dtype is one of"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_loaded(
    files: dict[str, Path], tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    named = {**files, "missing": tmp_path / "missing.jsonl"}
    previous = ("", *arguments)
    placed = [
        named[one] if one in named and before.startswith("--") else one
        for before, one in zip(previous, arguments, strict=False)
    ]
    done = auditor("evaluate", "--model", "nobody", *placed)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_a_log_never_replaces_a_file(files: dict[str, Path], tmp_path: Path) -> None:
    """Said before anything is loaded: the model is none."""
    held = files["forget"].read_bytes()
    for log, told in (
        (files["forget"], "There is a file already where the log is to be written"),
        (tmp_path / "nowhere" / "log.json", "There is no folder for the log"),
    ):
        done = auditor("evaluate", "--model", "nobody", "--forget", files["forget"], "--log", log)
        assert done.returncode == 2
        assert told in done.stderr
    assert files["forget"].read_bytes() == held


def test_a_bad_row_is_named_by_its_file(tmp_path: Path, model: Path) -> None:
    file = tmp_path / "forget.jsonl"
    file.write_text('{"question": "Who?", "answer": "She"}\n{"question": "Why?", "answer": ""}\n')
    done = auditor("evaluate", "--model", model, "--forget", file)
    assert done.returncode == 2
    assert "forget.jsonl, row 2, column 'answer': The answer is empty" in done.stderr
