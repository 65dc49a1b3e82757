"""`auditor compare` on guard runs, in a process of its own; on rating runs see test_cli_rating."""

import json
from pathlib import Path

import pytest
from auditor.case import Case
from auditor.files import write_json
from tests.audits.guard.made_runs import made_findings, made_tables
from tests.command import auditor


@pytest.fixture
def case(tmp_path: Path) -> tuple[Path, list[str]]:
    """A case with two guard runs written by hand: the second model is right on 10 of 40 queries fewer when guarded."""
    queries, names = tmp_path / "queries.csv", []
    queries.write_text("text,label\na,0\nb,1\n")
    with Case.create(tmp_path / "case", "Reviews") as opened:
        for n_right, model in ((36, "one"), (26, "two")):
            run = opened.new_run("guard", {"model": model}, {"queries": queries, "demonstrations": queries}, {}, seed=3)
            rows = [
                {"row": i + 1, "query_id": f"q{i}", "label": "1", "pool": "test", "condition": condition, "zero_shot": "1",
                 "unguarded": "0", "guarded": "1" if i < n_right else "0"}
                for condition in ("correct", "cyclic:1")
                for i in range(40)
            ]  # fmt: skip
            made_tables(run.tables, {"queries": rows})
            findings = made_findings(model_name=model, model_sha256=str(n_right) * 32, is_starter=False)
            write_json(run.findings_file, findings.model_dump(mode="json"))
            names.append(run.path.name)
    return tmp_path / "case", names


@pytest.mark.slow
def test_guard_runs_are_compared_in_words_and_json(case: tuple[Path, list[str]]) -> None:
    path, runs = case
    said = auditor("compare", path, *runs)
    assert said.returncode == 0, said.stderr
    assert "40 queries that test in both; 95% intervals" in said.stdout
    assert "(one, lambda 0.62)" in said.stdout
    line = next(line for line in said.stdout.splitlines() if line.startswith("Guarded accuracy under correct"))
    for words in ("90.0", "65.0", "+25.0 (", "10", "0", "0.00195"):
        assert words in line, words
    assert "Whoever keeps the best of 2 runs" in said.stdout
    told = json.loads(auditor("compare", path, *runs, "--json").stdout)
    (pair,) = told["pairs"]
    assert told["models"] == {runs[0]: "one", runs[1]: "two"}
    assert pair["differs"] == ["model"]
    guarded = next(one for one in pair["measures"] if (one["name"], one["condition"]) == ("guarded", "cyclic:1"))
    assert guarded["difference"] == pytest.approx(0.25)
    low, high = guarded["difference_ci"]
    assert 0.1 < low < 0.25 < high < 0.45


@pytest.mark.slow
def test_what_belongs_to_ratings_is_refused(case: tuple[Path, list[str]]) -> None:
    path, runs = case
    done = auditor("compare", path, *runs, "--humans", "humans.csv")
    assert done.returncode == 2
    assert "People's ratings belong to rating runs" in done.stderr
    alone = auditor("compare", path, runs[0])
    assert alone.returncode == 2
    assert "two or more different runs" in alone.stderr
