"""`auditor unlearn` as people use it: output, exit codes, kill and resume, report; and the sample with the starter model."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from auditor.audits.unlearning import sample
from auditor.case import Case, verify
from auditor.models.folder import folder_sha256
from tests.audits.unlearning.files import facts, jsonl
from tests.command import auditor
from tests.models import small
from tests.report.test_report import Page

KEYS = [
    *("method", "epsilon", "lambda_final", "retain_loss_before", "retain_loss_after", "feasible"),
    *("forget_probability_before", "forget_probability_after"),
    *("retain_probability_before", "retain_probability_after", "extraction_strength", "artefacts"),
]
#: A run of some seconds.
QUICK: tuple[object, ...] = (
    *("--epochs", 8, "--batch-size", 6, "--learning-rate", 1e-3, "--lambda-start", 10, "--dual-warmup-epochs", 0),
    *("--generated-tokens", 4, "--warmup-epochs", 0, "--device", "cpu", "--dtype", "float32", "--no-gguf"),
    *("--relearn-steps", 2, "--relearn-items", 1),
)
FILES = sample.files()
SAMPLE = ("unlearn", "--forget", FILES["forget"], "--retain", FILES["retain"])


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    """A command on a small model of random weights."""
    folder = tmp_path_factory.mktemp("asked")
    forget = jsonl(folder / "forget.jsonl", facts(3)).path
    retain = jsonl(folder / "retain.jsonl", facts(6, first=3)).path
    model = small.write(folder / "model")
    return ("unlearn", "--model", model, "--forget", forget, "--retain", retain, *QUICK)


@pytest.fixture(scope="module")
def finished(
    asked: tuple[object, ...], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any], subprocess.CompletedProcess[str]]:
    """A case with one finished run, what --json printed, and how the command ended."""
    case = tmp_path_factory.mktemp("cli") / "case"
    with pytest.MonkeyPatch.context() as patch:
        # The fixture lives longer than a test's home.
        patch.setenv("AUDITOR_HOME", str(tmp_path_factory.mktemp("home")))
        done = auditor(*asked, "--case", case, "--json")
    assert done.returncode == 0, done.stderr
    return case, json.loads(done.stdout), done


@pytest.mark.slow
def test_one_json_object_is_printed_and_the_case_verifies(
    finished: tuple[Path, dict[str, Any], subprocess.CompletedProcess[str]],
) -> None:
    case, told, done = finished
    assert [key for key in told if key in KEYS] == KEYS
    assert (told["audit"], told["method"], told["artefacts"]) == ("unlearning", "pdu", ["artefacts/model"])
    assert told["verdict"].lower().startswith(told["state"])
    assert isinstance(told["warnings"], list)
    assert told["feasible"] is (told["retain_loss_after"] <= told["epsilon"])
    assert "epoch 8 of 8" in done.stderr
    assert "Traceback" not in done.stderr
    assert auditor("verify", case, "--head", told["head"]).returncode == 0


@pytest.mark.slow
def test_the_report_is_evidence_and_no_certificate(
    finished: tuple[Path, dict[str, Any], subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    case, told, _ = finished
    page, pdf = tmp_path / "r.html", tmp_path / "r.pdf"
    assert auditor("report", case, "--html", page, "--pdf", pdf).returncode == 0
    seen = Page(page.read_text(encoding="utf-8"))
    assert not seen.open
    for words in (
        *(told["verdict"], "Unlearning evidence report", "What it does not prove", "Losses and lambda by step"),
        *("Probability of answers before and after", "What is forgotten, asked for in other ways"),
        *("What every file still says", "What comes back when a copy is trained again", "Verdict: rule and limits"),
    ):
        assert words in seen.text, words
    assert pdf.read_bytes().startswith(b"%PDF")


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_with_the_same_model(
    asked: tuple[object, ...],
    finished: tuple[Path, dict[str, Any], subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    """kill -9 while it trains, and again while it measures; the weights are those of a run that nobody killed, bit for bit."""
    _, told, _ = finished
    case = tmp_path / "case"
    command = [sys.executable, "-m", "auditor", *map(str, (*asked, "--checkpoint-steps", 2, "--case", case))]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    kill_worker(case, lambda: n_lines(case, b'"table":"training"') >= 5)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 3, said
    with Case.open(case, write=False) as opened:
        (summary,) = opened.runs()
    process = subprocess.Popen(
        [sys.executable, "-m", "auditor", "resume", str(case), summary.id], stderr=subprocess.PIPE
    )
    kill_worker(case, lambda: n_lines(case, b'"stage":"trained"') == 1)
    process.communicate(timeout=120)
    done = auditor("resume", case, summary.id, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {key: found[key] for key in KEYS} == {key: told[key] for key in KEYS}
    run = case / "runs" / summary.id
    assert folder_sha256(run / "artefacts" / "model") == folder_sha256(
        finished[0] / "runs" / told["run"] / "artefacts" / "model"
    )
    assert not list((run / "checkpoints").iterdir())
    assert verify(case).ok


def n_lines(case: Path, part: bytes) -> int:
    """Events of the case's only run that hold something."""
    return sum(path.read_bytes().count(part) for path in case.glob("runs/*/events.jsonl"))


def kill_worker(case: Path, when: Callable[[], bool]) -> None:
    """Kill the worker of the case's only run, and nothing else, once something has happened."""
    for _ in range(6_000):
        if when():
            break
        time.sleep(0.02)
    else:
        raise AssertionError("it did not happen")
    (heartbeat,) = case.glob("runs/*/live/worker.json")
    os.kill(json.loads(heartbeat.read_bytes())["pid"], signal.SIGKILL)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("unlearn", "--forget", "nothere.jsonl", "--retain", FILES["retain"]), "nothere.jsonl: The file cannot be read"),
        (("unlearn", "--forget", FILES["forget"]), "--retain"),
        (("unlearn", "--forget", FILES["forget"].parent, "--retain", FILES["retain"]), "This is a folder, not a file"),
        (("unlearn", "--forget", FILES["forget"], "--retain", FILES["forget"]), "stands in row 1 of what to forget too"),
        ((*SAMPLE, "--model", "gpt-9"), "There is no model named 'gpt-9'"),
        ((*SAMPLE, "--method", "prayer"), "--method"),
        ((*SAMPLE, "--method", "npo", "--set", "beat=1"), "--set: there is no setting 'beat'"),
        ((*SAMPLE, "--set", "beta=1"), "--set: they are for the baselines"),
        ((*SAMPLE, "--method", "npo", "--set", "beta=inf"), "--set: beta: Input should be a finite number (found 'beta=inf')"),
        ((*SAMPLE, "--method", "npo", "--gamma", "2"), "--gamma has no part in npo"),
        ((*SAMPLE, "--method", "learn", "--dual-step", "1"), "--dual-step has no part in learn"),
        ((*SAMPLE, "--set", "beta"), "--set is written NAME=VALUE"),
        ((*SAMPLE, "--method", "rmu", "--set", "layer=99"), "steers layer 99"),
        ((*SAMPLE, "--epsilon", "much"), "--epsilon"),
        ((*SAMPLE, "--epsilon", "-1"), "--epsilon: Input should be greater than 0"),
        ((*SAMPLE, "--lora", "-1"), "--lora"),
        ((*SAMPLE, "--quantised", "Q8_0,Q5"), "--quantised"),
        ((*SAMPLE, "--relearn-items", "0"), "--relearn-items"),
        ((*SAMPLE, "--model", "starter", "--reference-model", "starter"), "The reference model is the start model"),
        ((*SAMPLE, "--reference", FILES["retain"]), "retain.jsonl: The log is no JSON"),
        ((*SAMPLE, "--prompt", "Answer:"), "--prompt: {question} must stand in it once"),
        ((*SAMPLE, "--map", "tone=x"), "--map: there is no field 'tone'"),
        ((*SAMPLE, "--map", "answer=reply"), "name another column in --map FIELD=COLUMN"),
        ((*SAMPLE, "--seed", "-1"), "--seed"),
    ],
)  # fmt: skip
def test_bad_input_is_exit_2_with_a_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = auditor(*arguments)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
