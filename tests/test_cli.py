"""The command as people use it: output, exit codes, interruption."""

import json
import signal
import time
from pathlib import Path

import pytest
from auditor import console
from auditor.case import Case, verify
from auditor.models import ModelFile
from auditor.models.library import Library
from auditor.resources import resource
from auditor.runs.directory import RunDirectory
from tests.command import auditor, started
from tests.conftest import SAMPLE
from tests.ratings import write_many


@pytest.mark.slow
def test_rate_prints_one_json_object_and_the_case_verifies(tmp_path: Path) -> None:
    done = auditor("rate", SAMPLE, "--limit", 3, "--model", "starter", "--case", tmp_path / "case", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["audit"], told["n"], told["ratings"]) == ("rating", 3, 9)
    assert set(told["axes"]) == {"naturalness", "comprehensiveness", "on_topic"}
    assert 1 <= told["axes"]["on_topic"]["mean"] <= 5
    assert told["ratings_per_s"] > 0
    assert "starter model: for trying the program, not evidence" in told["warnings"]
    assert "starter model: for trying the program, not evidence" in told["verdict"]
    assert "Rating" in done.stderr
    assert auditor("verify", tmp_path / "case", "--head", told["head"]).returncode == 0
    html, pdf = tmp_path / "r.html", tmp_path / "r.pdf"
    assert auditor("report", tmp_path / "case", "--html", html, "--pdf", pdf).returncode == 0
    assert told["verdict"] in html.read_text(encoding="utf-8")
    assert pdf.read_bytes().startswith(b"%PDF")


@pytest.mark.slow
def test_explanations_and_chosen_axes(tmp_path: Path) -> None:
    arguments = ("--limit", 1, "--axes", "on_topic", "--explain", "all", "--scope", "conversation", "--json")
    done = auditor("rate", SAMPLE, "--model", "starter", "--case", tmp_path / "case", *arguments)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert list(told["axes"]) == ["on_topic"]
    run = tmp_path / "case" / "runs" / told["run"]
    # Fields that were taken for id and group by their names stand in the run.
    assert RunDirectory(run).spec().spec["mapping"] == {"id": "id", "group": "group"}
    rows = [
        json.loads(line)["row"]
        for line in (run / "events.jsonl").read_text().splitlines()
        if '"table":"ratings"' in line
    ]
    assert len(rows) == 1
    assert rows[0]["explanation"].strip()[-1] in ".!?" or len(rows[0]["explanation"]) > 40


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("rate", "nothere.jsonl"), "nothere.jsonl: The file cannot be read"),
        (("rate", str(SAMPLE), "--model", "gpt-9"), "There is no model named 'gpt-9'"),
        (("rate", str(SAMPLE), "--axes", "kindness"), "no such axis"),
        (("rate", str(SAMPLE), "--n-ctx", "7"), "--n-ctx"),
        (("rate", str(SAMPLE), "--map", "response"), "FIELD=COLUMN"),
        (("rate", str(SAMPLE), "--map", "reply=x"), "does not exist"),
        (("rate", str(SAMPLE), "--seed", "-1"), "--seed"),
        (("report", "nocase"), "There is no case"),
        (("resume", "nocase", "x"), "There is no case"),
        (("models", "add", "nothere.gguf"), "nothere.gguf"),
        (("models", "check", "nobody"), "There is no model named 'nobody'"),
        (("nonsense",), "No such command"),
    ],
)
def test_bad_input_is_exit_2_with_a_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = auditor(*arguments)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_wrong_with_human_ratings_or_examples_is_said_before_a_case_is_made(tmp_path: Path) -> None:
    humans, rubric = tmp_path / "humans.csv", tmp_path / "own.toml"
    humans.write_text("id,axis,rater,score\n", encoding="utf-8")
    own = resource("rubrics", "default.toml").read_text(encoding="utf-8")
    rubric.write_text(own.replace('name = "on_topic"', 'name = "kindness"'), encoding="utf-8")
    command = ("rate", SAMPLE, "--model", "starter", "--case", tmp_path / "case")
    for more, words in (
        (("--humans", humans), "column 'conversation_id': The column is missing"),
        (("--rubric", rubric, "--variant", "5-examples"), "'kindness': There are no rated examples for this axis"),
    ):
        done = auditor(*command, *more)
        assert done.returncode == 2
        assert words in done.stderr
    assert not (tmp_path / "case").exists()


def test_nothing_to_rate_fails_in_the_run_as_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "users.jsonl"
    path.write_text('{"messages": [{"role": "user", "content": "nobody answers"}]}\n')
    done = auditor("rate", path, "--model", "starter", "--case", tmp_path / "case")
    assert done.returncode == 2
    assert "holds no conversation that can be rated" in done.stderr


@pytest.mark.slow
def test_ctrl_c_cancels_and_resume_goes_on(tmp_path: Path, tiny_judge: ModelFile) -> None:
    Library().add(tiny_judge.path, name="tiny")
    case, many = tmp_path / "case", write_many(tmp_path / "many.jsonl", 800)
    process = started("rate", many, "--model", "tiny", "--case", case)
    wait_for_rows(case, 3)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 4
    assert "auditor resume" in said
    with Case.open(case) as opened:
        (summary,) = opened.runs()
        assert summary.state.value == "cancelled"
    done = auditor("resume", case, summary.id, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n"] == 800
    assert verify(case).ok
    again = auditor("resume", case, summary.id)
    assert again.returncode == 3
    assert "sealed" in again.stderr


def wait_for_rows(case: Path, rows: int) -> None:
    for _ in range(600):
        if sum(path.read_bytes().count(b'"table":"ratings"') for path in case.glob("runs/*/events.jsonl")) >= rows:
            return
        time.sleep(0.1)
    raise AssertionError("no rows came")


def test_a_locked_case_names_its_owner(tmp_path: Path) -> None:
    with Case.create(tmp_path / "case") as case:
        done = auditor("rate", SAMPLE, "--model", "starter", "--case", case.path)
    assert done.returncode == 2
    assert "open for writing by" in done.stderr


def test_notes_sign_offs_and_erasure_from_the_terminal(finished_case: Path, finished_run: Path) -> None:
    assert auditor("note", finished_case, "seen", "--author", "Ada").returncode == 0
    assert auditor("sign-off", finished_case, finished_run.name, "--name", "Bo", "--statement", "fine").returncode == 0
    (stored,) = (finished_case / "inputs").iterdir()
    erased = auditor("erase", finished_case, stored.name, "--reason", "asked", "--by", "Ada")
    assert erased.returncode == 0
    assert f"Tables and events of these runs may still quote it: {finished_run.name}." in erased.stdout
    assert not stored.exists()
    assert auditor("verify", finished_case).returncode == 0
    assert finished_run.name in auditor("runs", finished_case).stdout


def test_a_run_that_never_began_quotes_nothing_that_is_erased(tmp_path: Path) -> None:
    with Case.create(tmp_path / "case") as case:
        case.new_run("rating", {}, {"conversations": SAMPLE}, {}, seed=0)
    (stored,) = (tmp_path / "case" / "inputs").iterdir()
    erased = auditor("erase", tmp_path / "case", stored.name, "--reason", "asked", "--by", "Ada")
    assert erased.returncode == 0
    assert "quote" not in erased.stdout


@pytest.mark.slow
def test_self_test_passes_whole_with_the_starter_installed() -> None:
    done = auditor("self-test")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 7
    assert all(line.startswith("ok ") for line in lines)


def test_without_a_screen_the_desktop_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    done = auditor()
    assert done.returncode == 3
    assert "no screen" in done.stderr


def test_what_a_file_or_another_machine_says_gives_the_terminal_no_commands(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "run\x1b]0;title\x07 \x9b2J é\u00a0– 漢\ttab\nline"
    console.say(hostile)
    console.out(json.dumps({"verdict": hostile}, ensure_ascii=False))
    told = capsys.readouterr()
    assert told.err == "run\\u001b]0;title\\u0007 \\u009b2J é\u00a0– 漢\ttab\nline\n"
    assert json.loads(told.out)["verdict"] == hostile
    assert not set(told.out) & {"\x1b", "\x9b"}
