"""`auditor guard` as people use it: output, exit codes, resuming, reports; and what the window asks about a run."""

import csv
import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from auditor import tasks_guard
from auditor.audits import guard
from auditor.audits.guard import sample
from auditor.case import Case, verify
from auditor.models.library import Library
from tests.audits.guard.small_model import write
from tests.command import auditor, started
from tests.conftest import home_with
from tests.report.test_report import Page

FILES = sample.files()
QUERIES, DEMOS, POISONED = (FILES[role] for role in ("queries", "demonstrations", "corrupted"))
GIVEN = ("guard", "--queries", QUERIES, "--demos", DEMOS)
#: A run of some seconds: short prompts whose demonstrations are computed once, and little asked beside the certificate.
QUICK: tuple[object, ...] = (
    *("--limit", 60, "--demonstrations", "fixed", "--n-demonstrations", 4, "--attack", "cyclic", "--splits", 3),
    *(
        "--influence-queries",
        2,
        "--attention-queries",
        1,
        "--timing-queries",
        2,
        "--epsilon",
        0.2,
        "--model",
        "starter",
    ),
)
KEYS = {
    "certified",
    "lambda",
    "epsilon",
    "delta",
    "n_calibration",
    "risk_guarded",
    "risk_unguarded",
    "accuracy_zero_shot",
}
KEYS |= {
    "accuracy_unguarded",
    "accuracy_guarded",
    "mean_exit_layer",
    "layer_passes_ratio",
    "wall_clock_ratio",
    "verdict",
}
KEYS |= {"warnings"}


def written(path: Path, *rows: str, header: str = "text,label") -> Path:
    path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, for_all: Path
) -> tuple[Path, dict[str, Any], subprocess.CompletedProcess[str]]:
    """A case with one finished run, what --json printed, and how the command ended."""
    case = tmp_path_factory.mktemp("cli") / "case"
    with pytest.MonkeyPatch.context() as patch:
        # The fixture lives longer than a test's home.
        patch.setenv("AUDITOR_HOME", str(home_with(tmp_path_factory.mktemp("home"), for_all)))
        done = auditor(*GIVEN, *QUICK, "--case", case, "--json", timeout=1_200)
    assert done.returncode == 0, done.stderr
    return case, json.loads(done.stdout), done


@pytest.mark.slow
def test_guard_prints_one_json_object_and_the_case_verifies(
    guarded: tuple[Path, dict[str, Any], subprocess.CompletedProcess[str]],
) -> None:
    case, told, done = guarded
    assert set(told) >= KEYS
    assert (told["audit"], told["epsilon"], told["delta"], told["n_calibration"]) == ("guard", 0.2, 0.1, 30)
    assert told["state"] == ("certified" if told["certified"] else "not certified")
    assert told["certified"] == (told["lambda"] < 1)
    assert 0 < told["accuracy_zero_shot"] <= 1
    assert told["risk_unguarded"] == pytest.approx(told["accuracy_zero_shot"] - told["accuracy_unguarded"])
    assert told["risk_guarded"] == pytest.approx(told["accuracy_zero_shot"] - told["accuracy_guarded"])
    assert 0 < told["layer_passes_ratio"] <= 2
    assert told["wall_clock_ratio"] > 0
    assert "starter model: for trying the program, not evidence" in told["warnings"]
    assert "starter model: for trying the program, not evidence" in told["verdict"]
    assert "Asking the model" in done.stderr
    assert auditor("verify", case, "--head", told["head"]).returncode == 0


@pytest.mark.slow
def test_the_report_of_a_run_is_html_and_pdf(
    guarded: tuple[Path, dict[str, Any], subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    case, told, _ = guarded
    page, pdf = tmp_path / "r.html", tmp_path / "r.pdf"
    assert auditor("report", case, "--html", page, "--pdf", pdf).returncode == 0
    seen = Page(page.read_text(encoding="utf-8"))
    assert not seen.open
    for words in (
        told["verdict"],
        "What the guarantee covers",
        "Risk by threshold",
        "Answer with one of: negative, positive.",
    ):
        assert words in seen.text, words
    assert pdf.read_bytes().startswith(b"%PDF")


@pytest.mark.slow
def test_the_predictor_of_a_run_answers(
    guarded: tuple[Path, dict[str, Any], subprocess.CompletedProcess[str]],
) -> None:
    case, told, _ = guarded
    with Case.open(case, write=False) as opened:
        run = opened.run(told["run"])
    with guard.predictor(run.path) as predictor:
        answer = predictor.answer("The cake was dry and the waiter rude.")
    assert answer.label in ("negative", "positive")


@pytest.mark.slow
def test_ctrl_c_cancels_and_resume_goes_on(tmp_path: Path) -> None:
    case = tmp_path / "case"
    Library().add(write(tmp_path / "small"), name="small")
    process = started(*GIVEN, *QUICK, "--limit", 260, "--model", "small", "--case", case)
    wait_for_rows(case, 3)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 4, said
    assert "auditor resume" in said
    with Case.open(case) as opened:
        (summary,) = opened.runs()
        assert summary.state.value == "cancelled"
        kept = n_scored(case)
    done = auditor("resume", case, summary.id, "--json", timeout=1_200)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n_calibration"] == 130
    assert n_scored(case) == 260 * 3 >= kept >= 3
    assert verify(case).ok


def n_scored(case: Path) -> int:
    """Answers that the case's only run has flushed."""
    return sum(path.read_bytes().count(b'"table":"scores"') for path in case.glob("runs/*/events.jsonl"))


def wait_for_rows(case: Path, rows: int) -> None:
    for _ in range(6_000):
        if n_scored(case) >= rows:
            return
        time.sleep(0.1)
    raise AssertionError("no rows came")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("guard", "--queries", "nothere.csv", "--demos", DEMOS), "nothere.csv: The file cannot be read"),
        (("guard", "--queries", QUERIES), "--demos"),
        (("guard", "--queries", QUERIES, "--demos", DEMOS.parent), "This is a folder, not a file"),
        ((*GIVEN, "--model", "gpt-9"), "There is no model named 'gpt-9'"),
        ((*GIVEN, "--attack", "kindness"), "--attack: there is no attack 'kindness'; there are cyclic, random, targeted"),
        ((*GIVEN, "--attack", "cyclic:2"), "--attack: the strength of cyclic is a number from 0 to 1"),
        ((*GIVEN, "--attack", "own"), "The attack own needs a file of corrupted demonstrations"),
        ((*GIVEN, "--epsilon", "1.5"), "--epsilon: Input should be less than 1"),
        ((*GIVEN, "--delta", "0"), "--delta"),
        ((*GIVEN, "--p-value", "binomial"), "--p-value: binomial is exact for clipped losses only"),
        ((*GIVEN, "--select", "best"), "--select"),
        ((*GIVEN, "--confidence", "sure"), "--confidence"),
        ((*GIVEN, "--demonstrations", "some"), "--demonstrations"),
        ((*GIVEN, "--query-template", "Text: {text} Label: "), "--query-template: it ends in a blank"),
        ((*GIVEN, "--demonstration-template", "{text}"), "--demonstration-template: {label} must stand in it once"),
        ((*GIVEN, "--n-demonstrations", "400"), "set --n-demonstrations to at most 64"),
        ((*GIVEN, "--word", "positive"), "--word is written LABEL=WORD"),
        ((*GIVEN, "--word", "good=fine"), "--word LABEL=WORD names a label that does not occur"),
        ((*GIVEN, "--word", "positive=negative"), "are written with the same word"),
        ((*GIVEN, "--labels", "positive,bad"), "The label is unknown"),
        ((*GIVEN, "--labels", "positive,negative", "--target", "bad"), "--target: the target 'bad' is none of the labels"),
        ((*GIVEN, "--map", "tone=x"), "--map: there is no field 'tone'"),
        ((*GIVEN, "--map", "label=sentiment"), "name another column in --map FIELD=COLUMN"),
        ((*GIVEN, "--seed", "-1"), "--seed"),
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


def test_every_problem_of_a_file_is_named_with_its_row(tmp_path: Path) -> None:
    rows = ("q1,Good tea.,good", "q2,,bad", "q1,Sour tea.,bad", "q3,Cold tea.,bad")
    queries = written(tmp_path / "queries.csv", *rows, header="id,text,label")
    done = auditor("guard", "--queries", queries, "--demos", DEMOS, "--case", tmp_path / "case")
    assert done.returncode == 2
    for words in ("row 3, column 'text': The text is empty", "row 4, column 'id': The id stands in row 2 already"):
        assert words in done.stderr, words


@pytest.mark.slow
def test_labels_that_one_token_cannot_tell_apart_are_refused_with_both_named(tmp_path: Path) -> None:
    words = ("--word", "positive=not bad", "--word", "negative=not good")
    done = auditor(*GIVEN, *words, *QUICK, "--case", tmp_path / "case", timeout=600)
    assert done.returncode == 2, done.stderr
    assert "The labels 'negative' and 'positive' begin with the same token" in done.stderr
    assert "Give words for labels, for example " in done.stderr


def asked(**more: Any) -> dict[str, Any]:
    """A question of the window, on the sample's files."""
    files = {role: str(path) for role, path in FILES.items()}
    return {"files": files, "spec": dict(sample.SETTINGS), "model": "starter", "case": None, "seed": 0} | more


def test_the_window_is_told_what_a_run_would_rest_on_and_whether_it_could_certify() -> None:
    told = tasks_guard.guard_check(asked(), lambda *_: None)
    assert told["fits"]
    assert "260 queries (negative 130, positive 130); 64 demonstrations, of which the first 16" in told["facts"]
    assert "About 130 queries calibrate." in told["planning"]
    assert "unlikely" not in told["planning"]
    assert "prompts" in told["sentence"]
    few = tasks_guard.guard_check(asked(spec={"limit": 20, "epsilon": 0.05}), lambda *_: None)
    assert few["fits"]
    assert "About 10 queries calibrate." in few["planning"]
    assert "A certificate takes 95 queries if demonstrations change no answer" in few["planning"]
    assert "So it is unlikely: add queries, or allow a larger epsilon." in few["planning"]


def test_the_window_sees_the_prompt_with_its_tokens() -> None:
    told = tasks_guard.guard_prompt(asked(condition="cyclic:1"), lambda *_: None)
    (_, before), (_, query) = told["pieces"]
    assert before.startswith("Answer with one of: negative, positive.\n\nText: ")
    assert before.count("\nLabel: ") == 16
    with DEMOS.open(newline="", encoding="utf-8") as stream:
        first = next(csv.DictReader(stream))
    turned = "negative" if first["label"] == "positive" else "positive"
    assert f"Text: {first['text']}\nLabel: {turned}" in before
    assert query.endswith("\nLabel:")
    assert told["tokens"] > 10 * told["tokens_zero_shot"]
    assert [line.split(":")[0] for line in told["labels"]] == ["negative", "positive"]
    assert not told["problem"]


@pytest.mark.slow
def test_the_window_sees_one_query_with_its_prompts(
    guarded: tuple[Path, dict[str, Any], subprocess.CompletedProcess[str]],
) -> None:
    case, told, _ = guarded
    run = case / "runs" / told["run"]
    shown = tasks_guard.guard_query({"run_dir": str(run), "row": 4, "condition": "cyclic:1"}, lambda *_: None)
    parts = dict(shown["parts"])
    # The header is row 1 of the file, so that the third record stands in row 4.
    with QUERIES.open(newline="", encoding="utf-8") as stream:
        third = list(csv.DictReader(stream))[2]
    assert (parts["Text"], parts["Label"]) == (third["text"], third["label"])
    assert parts["Prompt: Wrong labels in a circle (100%)"].endswith(f"Text: {third['text']}\nLabel:")
    assert parts["Prompt: Zero-shot"].count("Label:") == 1
    assert "unguarded" in parts["Correct demonstrations"]


@pytest.mark.slow
def test_the_figures_of_every_condition_are_those_of_the_answers_that_are_listed(
    guarded: tuple[Path, dict[str, Any], subprocess.CompletedProcess[str]],
) -> None:
    """Counted anew from the table of all answers; the headline is the mixture, half of it corrupted."""
    case, told, _ = guarded
    tables = case / "runs" / told["run"] / "tables"
    answers = pq.read_table(tables / "queries.parquet").to_pandas()
    conditions = pq.read_table(tables / "conditions.parquet").to_pandas().set_index("condition")
    test = answers[answers["pool"] == "test"]
    prompt = json.loads((tables.parent / "findings.json").read_text(encoding="utf-8"))["prompt"]
    # A zero-shot prompt is shorter: a pass over it counts so much of one with the demonstrations.
    short = prompt["tokens_zero_shot"] / prompt["tokens"]
    assert 0 < short < 1
    counted = {}
    for condition, rows in test.groupby("condition"):
        right = {name: (rows[name] == rows["label"]).mean() for name in ("zero_shot", "unguarded", "guarded")}
        counted[condition] = right
        shown = conditions.loc[condition]
        assert shown["n"] == len(rows) == 30
        assert shown["fallback"] == pytest.approx(rows["exit"].isna().mean())
        assert shown["layer_passes"] == pytest.approx(rows["layer_passes"].mean())
        by_tokens = [
            passes - 1 + short if fell else passes
            for passes, fell in zip(rows["layer_passes"], rows["exit"].isna(), strict=True)
        ]
        assert shown["token_passes"] == pytest.approx(sum(by_tokens) / len(by_tokens))
        assert shown["n_corrupted"] == (4 if condition == "cyclic:1" else 0)
        assert shown["risk_guarded"] == pytest.approx(right["zero_shot"] - right["guarded"])
        for name, share in right.items():
            assert shown[f"accuracy_{name}"] == pytest.approx(share)
    assert {"correct", "cyclic:1"} <= set(counted)
    for name in ("zero_shot", "unguarded", "guarded"):
        mixture = (counted["correct"][name] + counted["cyclic:1"][name]) / 2
        assert told[f"accuracy_{name}"] == pytest.approx(mixture)
