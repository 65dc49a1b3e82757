"""`auditor rubric` as people use it."""

import json
from pathlib import Path

import pytest
from auditor.audits.rating.rubric import load
from tests.test_cli import auditor


def test_a_rubric_goes_out_is_changed_and_comes_back_as_a_version(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    assert auditor("rubric", "export", "default", file).returncode == 0
    assert load(file).sha256 == load().sha256
    file.write_text(file.read_text().replace('name = "default"', 'name = "mine"', 1).replace("Off topic:", "Astray:"))
    done = auditor("rubric", "import", file)
    assert done.returncode == 0, done.stderr
    version = f"mine-{load(file).sha256[:12]}"
    assert done.stdout.startswith(f"{version}  SHA-256 {load(file).sha256}")
    other = auditor("rubric", "import", file, "--name", "other")
    assert other.stdout.startswith("other-")
    listed = auditor("rubric", "list").stdout.splitlines()
    assert listed[0].startswith("default  ships with Auditor  naturalness, ")
    assert {line.split("-")[0] for line in listed[1:]} == {"mine", "other"}
    assert auditor("rubric", "show", "mine").stdout == auditor("rubric", "show", version).stdout
    assert "Astray:" in auditor("rubric", "show", "mine").stdout


def test_the_prompt_is_printed_with_token_counts_for_terminals(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    assert auditor("rubric", "export", "default", file).returncode == 0
    file.write_text(file.read_text().replace("Off topic:", "\\u001b[2J"))
    done = auditor("rubric", "preview", file, "--model", "starter", "--scope", "conversation")
    assert done.returncode == 0, done.stderr
    assert "--- Before every conversation: " in done.stdout
    assert "--- Question, on_topic: " in done.stdout
    assert "\\x1b[2J" in done.stdout
    assert "\x1b" not in done.stdout
    told = json.loads(auditor("rubric", "preview", "default", "--model", "starter", "--json").stdout)
    assert [piece["kind"] for piece in told["pieces"]] == ["prefix", "conversation", *["question"] * 3]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "nobody"), "no such rubric"),
        (("import", "nothere.toml"), "nothere.toml: The rubric cannot be read"),
        (("import", "changed.toml"), "stays as it is"),
        (("import", "changed.toml", "--name", "My Rubric"), "Small letters"),
        (("export", "default", "changed.toml"), "exists already"),
        (("preview", "default", "--model", "nobody"), "no model named"),
        (("preview", "default", "--n-ctx", "1"), "--n-ctx"),
        (("preview", "default", "--variant", "6"), "--variants"),
        (("preview", "default", "--scope", "all"), "--scope"),
    ],
)
def test_bad_input_is_exit_2_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    text = auditor("rubric", "show", "default").stdout.replace("Off topic:", "Astray:")
    Path("changed.toml").write_text(text, encoding="utf-8")
    done = auditor("rubric", *arguments)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert Path("changed.toml").read_text(encoding="utf-8") == text
