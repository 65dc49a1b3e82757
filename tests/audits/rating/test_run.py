"""The audit in a notebook's way: without a run directory."""

import json
from pathlib import Path

import numpy as np
import pytest
from auditor.audits import InputFile, get
from auditor.audits.memory import MemoryContext
from auditor.audits.rating.findings import summarise
from auditor.audits.rating.judge import Judge, load_scorer
from auditor.audits.rating.rubric import load
from auditor.errors import Cancelled, InputError
from auditor.models import ModelFile
from tests.conftest import SAMPLE
from tests.usr import write_usr


def sample() -> dict[str, InputFile]:
    return {"conversations": InputFile(SAMPLE, SAMPLE.name, "")}


def test_a_run_in_a_notebook_gives_findings_tables_and_pictures(tiny_judge: ModelFile) -> None:
    audit = get("rating")
    context = MemoryContext({"judge": tiny_judge}, seed=1)
    findings = audit.run(audit.Spec(limit=4, axes=("on_topic", "naturalness")), sample(), context)
    rows = context.tables["ratings"].to_pylist()
    assert len(rows) == 8
    for row in rows:
        p = np.array([row[f"p{score}"] for score in range(1, 6)])
        assert p.sum() == pytest.approx(1)
        assert row["expected"] == pytest.approx(float(p @ np.arange(1, 6)))
        assert row["mode"] == int(p.argmax()) + 1
        assert row["entropy"] == pytest.approx(float(-(p * np.log(p)).sum()))
    assert [axis.name for axis in findings.axes] == ["on_topic", "naturalness"]
    means = {a.name: np.mean([r["expected"] for r in rows if r["axis"] == a.name]) for a in findings.axes}
    assert {axis.name: axis.mean for axis in findings.axes} == pytest.approx(means)
    for theme in ("light", "dark"):
        names = [picture.name for picture in audit.pictures(findings, context.table_files(), theme)]
        assert names == ["distributions", "means", "uncertainty", "axis_correlation"]
    words = dict(audit.methods(findings))
    assert load().axis("on_topic").levels[2] in words["Rubric, On topic"]
    # A second run in the same process finds the same doors and gives the same numbers.
    again = audit.run(
        audit.Spec(limit=4, axes=("on_topic", "naturalness")), sample(), MemoryContext({"judge": tiny_judge})
    )
    assert [axis.mean for axis in again.axes] == [axis.mean for axis in findings.axes]


@pytest.mark.slow
def test_scores_do_not_depend_on_what_was_rated_before(starter_model: ModelFile) -> None:
    from auditor.audits.rating import inputs

    file = InputFile(SAMPLE, SAMPLE.name, "")
    with load_scorer(starter_model, n_ctx=2048) as scorer:
        judge = Judge(scorer, load(), ("naturalness",), scope="last_response", n_ctx=2048)
        first = judge.rate(inputs.conversation_at(file, {}, 3))
        judge.rate(inputs.conversation_at(file, {}, 17))
        assert judge.rate(inputs.conversation_at(file, {}, 3)) == first


def test_a_long_conversation_is_truncated_and_counted(tiny_judge: ModelFile, tmp_path: Path) -> None:
    turns = [{"role": r, "content": "word " * 60} for _ in range(20) for r in ("user", "assistant")]
    path = tmp_path / "long.jsonl"
    path.write_text(json.dumps({"messages": turns}) + "\n")
    audit = get("rating")
    spec = audit.Spec(n_ctx=1024, axes=("naturalness",))
    findings = audit.run(spec, {"conversations": InputFile(path, path.name, "")}, MemoryContext({"judge": tiny_judge}))
    assert findings.n_truncated == 1
    assert any(caution.code == "truncated" for caution in findings.warnings)


def test_a_cancelled_run_stops_before_the_first_rating(tiny_judge: ModelFile) -> None:
    audit = get("rating")
    context = MemoryContext({"judge": tiny_judge})
    context.is_cancelled = True
    with pytest.raises(Cancelled, match="Stopped after 0 of 72 ratings"):
        audit.run(audit.Spec(), sample(), context)


def test_an_axis_that_the_rubric_lacks_is_named(starter_model: ModelFile) -> None:
    audit = get("rating")
    with pytest.raises(InputError, match="kindness"):
        audit.run(audit.Spec(axes=("kindness",)), sample(), MemoryContext({"judge": starter_model}))


def test_summary_of_known_probabilities() -> None:
    p = np.array([[0, 0, 0, 0, 1.0], [1.0, 0, 0, 0, 0], [0, 0, 0.5, 0.5, 0]])
    found = summarise("a", "A", p, None, confidence=0.9, seed=0)
    assert found.mean == pytest.approx((5 + 1 + 3.5) / 3)
    assert found.modes == (1, 0, 1, 0, 1)
    assert found.median == pytest.approx(3.5)
    assert found.entropy == pytest.approx(np.log(2) / 3)
    assert found.p == pytest.approx((1 / 3, 0, 1 / 6, 1 / 6, 1 / 3))


def test_real_responses_are_rated_in_groups(tiny_judge: ModelFile, tmp_path: Path, data_folder: Path) -> None:
    path = tmp_path / "usr.jsonl"
    assert write_usr(path, data_folder, contexts=2) == 12
    audit = get("rating")
    context = MemoryContext({"judge": tiny_judge})
    findings = audit.run(audit.Spec(axes=("on_topic",)), {"conversations": InputFile(path, path.name, "")}, context)
    assert findings.n == 12
    assert findings.axes[0].groups == 2
