"""`auditor agree` and `auditor compare` as people use them, on real runs of the starter model."""

import json
from pathlib import Path

import pytest
from auditor.audits.rating.people import UnitIndex
from auditor.case import Case
from auditor.models import ModelFile
from auditor.models.starter import STARTER_WARNING
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory
from auditor.runs.local import LocalExecutor
from auditor.tasks_compare_rating import people_words
from tests.conftest import SAMPLE
from tests.test_cli import auditor

KEYS = {"spearman", "spearman_ci", "qwk", "alpha", "within1", "human_ceiling", "baseline"}


def written(case: Path, run: Path, *, axes: tuple[str, ...] = ("naturalness", "on_topic")) -> Path:
    """Two people's ratings of every conversation of a run, from 1 to 5."""
    rows = sorted(UnitIndex.from_ratings(RunDirectory(run).table_files()["ratings"]).rows)
    lines = ["conversation_id,axis,rater,score"]
    for row in rows:
        for axis in axes:
            lines += [f"row-{row},{axis},Ada,{row % 5 + 1}", f"row-{row},{axis},Bo,{(row + row % 2) % 5 + 1}"]
    path = case / "humans.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def second_run(finished_case: Path, starter_model: ModelFile) -> str:
    """A second run on the same conversations, the first four of them and two axes."""
    spec = {"limit": 4, "axes": ["on_topic", "naturalness"]}
    with Case.open(finished_case) as case:
        run = case.new_run("rating", spec, {"conversations": SAMPLE}, {"judge": starter_model}, seed=1)
        executor = LocalExecutor()
        executor.start(run.path)
        assert executor.wait(run.path, 300).state is RunState.DONE
        case.link_pending()
        return run.path.name


@pytest.mark.slow
def test_agree_prints_a_table_and_json(finished_case: Path, finished_run: Path, tmp_path: Path) -> None:
    humans = written(tmp_path, finished_run)
    done = auditor("agree", finished_case, finished_run.name, "--humans", humans, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert set(told["axes"]) == {"naturalness", "on_topic"}
    for axis in told["axes"].values():
        assert set(axis) >= KEYS
        assert axis["n"] == 6
        assert axis["baseline"]["score"] in range(1, 6)
        assert axis["human_ceiling"] is not None
    assert STARTER_WARNING in told["warnings"]
    said = auditor("agree", finished_case, finished_run.name, "--humans", humans)
    assert said.returncode == 0, said.stderr
    for words in ("Naturalness: 6 conversations", "Quadratic-weighted kappa", "people", STARTER_WARNING):
        assert words in said.stdout
    assert auditor("verify", finished_case).returncode == 0


def test_agree_takes_the_ratings_of_the_case(finished_case: Path, finished_run: Path) -> None:
    with Case.open(finished_case) as case:
        for row, score in ((1, 4), (2, 5), (3, 2)):
            case.add_human_rating(finished_run.name, str(row), "naturalness", score, rater="Cy")
        case.add_human_rating(finished_run.name, "row of nobody", "naturalness", 3, rater="Cy")
    done = auditor("agree", finished_case, finished_run.name, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["axes"]["naturalness"]["n"] == 3
    assert told["axes"]["naturalness"]["raters"] == ["Ada", "Cy"]
    # The rating that names no row of the run is said.
    assert any("1 ratings given in the case" in warning for warning in told["warnings"])


def test_scales_of_a_file(finished_case: Path, finished_run: Path, tmp_path: Path) -> None:
    humans = tmp_path / "humans.csv"
    humans.write_text("conversation_id,axis,rater,score\nrow-1,naturalness,Ada,0\nrow-2,naturalness,Ada,1\n")
    command = ("agree", finished_case, finished_run.name, "--humans", humans)
    refused = auditor(*command)
    assert refused.returncode == 2
    assert "humans.csv, row 1, column 'score': The score is not on the scale from 1 to 5" in refused.stderr
    ranks = json.loads(auditor(*command, "--human-scale", "naturalness=0-1", "--json").stdout)
    assert ranks["axes"]["naturalness"]["within1"] is None
    mapped = json.loads(auditor(*command, "--human-scale", "0-1", "--map-linear", "--json").stdout)
    assert mapped["axes"]["naturalness"]["within1"] is not None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--humans", "nothere.csv"), "nothere.csv: The file cannot be read"),
        (("--human-scale", "1-3"), "Name the file with --humans"),
        (("--humans", "nothere.csv", "--human-scale", "tall"), "A scale is written LOW-HIGH"),
        (("--humans", "nothere.csv", "--human-scale", "kindness=1-3"), "no such axis"),
    ],
)
def test_bad_input_is_a_sentence(
    finished_case: Path, finished_run: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = auditor("agree", finished_case, finished_run.name, *arguments)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_nobody_has_rated(finished_case: Path, finished_run: Path) -> None:
    with Case.open(finished_case) as case:
        (record,) = case.human_ratings(finished_run.name)
        case.withdraw_human_rating(record.id, rater="Ada")
    done = auditor("agree", finished_case, finished_run.name)
    assert done.returncode == 2
    assert "Nobody has rated the conversations" in done.stderr


@pytest.mark.slow
def test_compare_two_runs(finished_case: Path, finished_run: Path, second_run: str, tmp_path: Path) -> None:
    humans = written(tmp_path, finished_run)
    command = ("compare", finished_case, finished_run.name, second_run)
    done = auditor(*command, "--humans", humans, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    (pair,) = told["pairs"]
    assert (pair["a"], pair["b"], pair["matched_by"], pair["n"]) == (finished_run.name, second_run, "row", 4)
    assert set(pair["axes"]) == {"naturalness", "on_topic"}
    for axis in pair["axes"].values():
        assert axis["wins"] + axis["ties"] + axis["losses"] == 4
        assert abs(axis["difference"]) < 0.2
        assert axis["people"]["n"] == 4
        assert "mae_ci" not in axis["people"]
        assert "difference_ci" in axis["people"]["mae"]
    assert any(STARTER_WARNING[1:] in warning for warning in told["warnings"])
    assert any("only one of" in warning for warning in told["warnings"])
    said = auditor(*command)
    assert said.returncode == 0, said.stderr
    assert "4 conversations matched by row" in said.stdout
    assert "A less B" in said.stdout


@pytest.mark.slow
def test_the_file_that_a_run_was_made_with_is_people_for_agree_and_compare(
    finished_case: Path, finished_run: Path, second_run: str, tmp_path: Path, starter_model: ModelFile
) -> None:
    humans = written(tmp_path, finished_run)
    with Case.open(finished_case) as case:
        (record,) = case.human_ratings(finished_run.name)
        case.withdraw_human_rating(record.id, rater="Ada")
        inputs = {"conversations": SAMPLE, "humans": humans}
        spec = {"limit": 6, "axes": ["naturalness", "on_topic"]}
        run = case.new_run("rating", spec, inputs, {"judge": starter_model}, seed=1)
        executor = LocalExecutor()
        executor.start(run.path)
        assert executor.wait(run.path, 300).state is RunState.DONE
        case.link_pending()
        words = people_words(case)
        held = run.input_file("humans").path
    assert "humans.csv" in words
    done = auditor("agree", finished_case, run.path.name, "--json")
    assert done.returncode == 0, done.stderr
    stated = {axis["name"]: axis for axis in run.findings()["agreement"]}
    for name, axis in json.loads(done.stdout)["axes"].items():
        assert axis["ratings"] == stated[name]["ratings"] == 12
        assert axis["spearman"] == stated[name]["spearman"]["value"]
    command = ("compare", finished_case, second_run, run.path.name, "--json")
    (pair,) = json.loads(auditor(*command).stdout)["pairs"]
    assert pair["axes"]["naturalness"]["people"]["n"] == 4
    held.chmod(0o644)
    held.write_text(held.read_text().replace("Ada,2", "Ada,3"))
    changed = auditor(*command)
    assert changed.returncode == 2
    assert "humans.csv: The file of human ratings has changed" in changed.stderr


def test_compare_refuses_one_run_and_unknown_ones(finished_case: Path, finished_run: Path) -> None:
    for runs, words in (((finished_run.name,), "at least two runs"), ((finished_run.name, "x"), "has no run 'x'")):
        done = auditor("compare", finished_case, *runs)
        assert done.returncode == 2
        assert words in done.stderr
