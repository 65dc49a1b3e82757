"""A parity run from files to findings: what is answered, what survives a kill, what a notebook gets."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from auditor import audits
from auditor.audits import InputFile, parity
from auditor.audits.memory import MemoryContext
from auditor.audits.parity import sensitivity, stages
from auditor.audits.parity.findings import ParityFindings
from auditor.case import Case
from auditor.errors import Cancelled, InputError
from auditor.resources import resource
from auditor.runs import worker
from auditor.runs.contract import RunState
from scipy.stats import chi2_contingency

SAMPLE = resource("samples", "parity")
TONES = ("light", "medium", "dark")


def rows_of(*, n_queries: int = 60, k: int = 10, bias: float = 0.0, seed: int = 1) -> list[dict[str, Any]]:
    """A long table: two query groups; with probability `bias` a result has the tone of the query's group."""
    generator = np.random.default_rng(seed)
    rows = []
    for query in range(n_queries):
        group = TONES[2 * (query % 2)]
        for rank in range(1, k + 1):
            tone = group if generator.random() < bias else TONES[generator.integers(3)]
            rows.append(
                {
                    "query_id": f"q{query}",
                    "item_id": f"i{query}-{rank}",
                    "rank": rank,
                    "query_group": group,
                    "tone": tone,
                }
            )
    return rows


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> InputFile:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return InputFile(path, path.name, "")


def run(path: Path, rows: Sequence[Mapping[str, Any]], **settings: Any) -> tuple[ParityFindings, MemoryContext]:
    context = MemoryContext(seed=3)
    spec = parity.Spec.model_validate({"attribute": "tone", "permutations": 499, "sensitivity": False, **settings})
    return parity.run(spec, {"results": write(path / "results.csv", rows)}, context), context


ORDERED = {"scale": "ordinal", "levels": TONES}


def test_a_bias_is_detected_and_stands_in_every_place(tmp_path: Path) -> None:
    findings, context = run(tmp_path, rows_of(bias=0.4), **ORDERED)
    assert findings.state == "disparity detected"
    assert findings.verdict.state == findings.state
    assert findings.verdict.sentence.endswith(".")
    assert "disparity detected" in findings.verdict.sentence
    assert (findings.mode, findings.n_queries, findings.n_slots) == ("B", 60, 600)
    effect = findings.primary_effect
    assert effect.low is not None
    assert effect.high is not None
    assert effect.low < effect.value < effect.high
    assert findings.headline["p_value"] == findings.primary.p_value == 1 / 500
    assert findings.headline["p_interval"] == [findings.primary.p_low, findings.primary.p_high]
    assert {table.name for table in findings.tables} == set(context.tables)
    assert context.tables["queries"].num_rows == 60
    assert context.tables["null"].num_rows == 499
    assert context.tables["slots"].num_rows == 600
    cells = context.tables["cells"].to_pylist()
    for cell in cells:
        assert cell["deviation"] == pytest.approx(cell["observed"] - cell["expected"])
    dark = next(c for c in cells if (c["group"], c["level"]) == ("dark", "dark"))
    assert dark["deviation"] > 0.1
    assert dark["low"] > 0


def test_no_bias_is_never_called_parity_without_a_margin(tmp_path: Path) -> None:
    rows = rows_of()
    findings, _ = run(tmp_path, rows, **ORDERED)
    assert findings.state == "inconclusive"
    assert findings.minimum_detectable_effect is not None
    within, _ = run(tmp_path, rows, margin=0.5, **ORDERED)
    assert within.state == "parity within margin"
    assert within.primary == findings.primary


def test_the_headline_has_the_keys_of_the_command_line(tmp_path: Path) -> None:
    findings, _ = run(tmp_path, rows_of())
    asked = {"p_value", "p_interval", "statistic", "effect", "effect_name", "ci_low", "ci_high"}
    asked |= {"minimum_detectable_effect", "n_queries", "n_items", "excluded"}
    assert asked <= set(findings.headline)
    json.dumps(findings.headline, allow_nan=False)
    assert ParityFindings.model_validate_json(findings.model_dump_json()) == findings


def test_the_modes_follow_from_what_is_given(tmp_path: Path) -> None:
    rows = rows_of(n_queries=30)
    catalog = [{"item_id": row["item_id"], "tone": row["tone"]} for row in rows]
    bare = [{name: row[name] for name in ("query_id", "item_id", "rank")} for row in rows]
    own = [{**row, "query_id": rows[10 * int(row["query_id"][1:])]["item_id"]} for row in bare]
    shares = [dict.fromkeys(TONES, 1 / 3)]
    spec = parity.Spec(attribute="tone", permutations=199)
    for name, results, more, mode in (
        ("b", rows, {}, "B"),
        ("a", own, {"catalog": catalog}, "A"),
        ("c1", bare, {"catalog": catalog}, "C1"),
        ("c2", [{**row, "tone": full["tone"]} for row, full in zip(bare, rows, strict=True)], {"shares": shares}, "C2"),
    ):
        given = {"results": results, **more}
        files = {role: write(tmp_path / f"{name}-{role}.csv", table) for role, table in given.items()}
        findings = parity.run(spec, files, MemoryContext(seed=1))
        assert findings.mode == mode
        assert findings.mode_reason
        assert 0 < findings.primary.p_value <= 1


def test_nothing_to_compare_with_is_said(tmp_path: Path) -> None:
    bare = [{name: row[name] for name in ("query_id", "item_id", "rank", "tone")} for row in rows_of(n_queries=10)]
    with pytest.raises(InputError, match=r"column of query groups|query_group|nothing to compare"):
        run(tmp_path, bare)
    with pytest.raises(InputError, match="query_group"):
        run(tmp_path, bare, mode="B")


def test_an_attribute_that_does_not_vary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"same tone|fewer than two|one level"):
        run(tmp_path, [{**row, "tone": "dark"} for row in rows_of(n_queries=12)])


def test_further_k_are_adjusted_and_the_declared_one_is_not(tmp_path: Path) -> None:
    findings, context = run(tmp_path, rows_of(bias=0.3), k=10, more_k=(3, 5), **ORDERED)
    assert findings.primary.adjusted_p is None
    assert [test.k for test in findings.tests] == [3, 5]
    for test in findings.tests:
        assert test.adjusted_p is not None
        assert test.adjusted_p >= test.p_value - 1e-12
    assert {row["k"] for row in context.tables["effects"].to_pylist()} == {3, 5, 10}


def test_the_naive_test_is_there_for_contrast(tmp_path: Path) -> None:
    rows = rows_of(bias=0.1)
    findings, _ = run(tmp_path, rows)
    table = np.zeros((2, 3))
    for row in rows:
        table[("dark", "light").index(row["query_group"]), ("dark", "light", "medium").index(row["tone"])] += 1
    assert findings.concentration.naive_p == pytest.approx(chi2_contingency(table).pvalue)


def test_missing_labels_are_counted_by_group(tmp_path: Path) -> None:
    rows = rows_of()
    for place, row in enumerate(rows):
        if row["query_group"] == "dark" and place % 3 == 0:
            row["tone"] = ""
    findings, _ = run(tmp_path, rows)
    n = sum(not row["tone"] for row in rows)
    assert findings.excluded.slots_without_attribute == n
    assert findings.excluded.slots_without_attribute_by_group == {"dark": n, "light": 0}
    assert findings.headline["excluded"] == n
    assert {"missing-attribute", "missing-by-group"} <= {caution.code for caution in findings.warnings}


def test_the_sample_shows_both_verdicts() -> None:
    states = {}
    for engine in ("fair", "biased"):
        files = {
            role: InputFile(SAMPLE / name, name, "")
            for role, name in (("results", f"results-{engine}.csv"), ("catalog", "catalog.csv"))
        }
        spec = parity.Spec(attribute="ita", scale="ita", margin=10, permutations=499)
        states[engine] = parity.run(spec, files, MemoryContext()).state
    assert states == {"fair": "parity within margin", "biased": "disparity detected"}


def test_several_raters_their_agreement_and_their_confusions(tmp_path: Path) -> None:
    rows = rows_of(n_queries=24, k=5, bias=0.3)
    generator = np.random.default_rng(1)
    judged = []
    for row in rows:
        for rater in ("Ada", "Ben", "Cy"):
            tone = row["tone"] if generator.random() < 0.8 else TONES[generator.integers(3)]
            judged.append({"item_id": row["item_id"], "rater": rater, "label": tone})
    bare = [{name: value for name, value in row.items() if name != "tone"} for row in rows]
    files = {"results": write(tmp_path / "r.csv", bare), "annotations": write(tmp_path / "a.csv", judged)}
    spec = parity.Spec(permutations=199, **ORDERED)
    findings = parity.run(spec, files, MemoryContext(seed=1))
    assert findings.raters is not None
    assert findings.raters.raters == ("Ada", "Ben", "Cy")
    assert findings.raters.alpha is not None
    assert 0.3 < findings.raters.alpha < 0.9
    assert "median" in findings.raters.rule
    kinds = [row.kind for row in findings.sensitivity]
    assert kinds[0] == "as it is"
    assert {"raters", "tipping point", "query left out"} <= set(kinds)
    alone = [row for row in findings.sensitivity if row.kind == "rater"]
    assert [row.name for row in alone] == [f"labels of {rater} alone" for rater in ("Ada", "Ben", "Cy")]
    assert len({row.effect for row in alone}) == 3
    only_ada = [row for row in judged if row["rater"] == "Ada"]
    of_ada = {**files, "annotations": write(tmp_path / "ada.csv", only_ada)}
    assert alone[0].effect == pytest.approx(parity.run(spec, of_ada, MemoryContext(seed=1)).primary_effect.value)
    # Fewer errors than a rater's own: the consensus lies further out than the raters do on average.
    assert abs(findings.sensitivity[0].effect or 0) > np.mean([abs(row.effect or 0) for row in alone])
    said = dict(parity.methods(findings))
    assert "Krippendorff" in said["Annotation protocol"]
    assert "most influential" in said["Sensitivity"]


def test_missing_labels_are_bounded(tmp_path: Path) -> None:
    rows = rows_of(n_queries=24, k=5)
    for row in rows[::6]:
        row["tone"] = ""
    findings, context = run(tmp_path, rows, sensitivity=True, **ORDERED)
    low, high = (row for row in findings.sensitivity if row.kind == "missing labels")
    assert low.effect is not None
    assert high.effect is not None
    assert low.effect < findings.primary_effect.value < high.effect
    assert context.tables["sensitivity"].num_rows == len(findings.sensitivity)


class Watched(MemoryContext):
    """Writes down what is told while the test runs."""

    def __init__(self) -> None:
        super().__init__(seed=3)
        self.metrics: list[tuple[str, float, int | None]] = []
        self.stop_at: int | None = None

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        self.metrics.append((name, value, step))
        if name == "p_value" and self.stop_at is not None and (step or 0) >= self.stop_at:
            self.is_cancelled = True


def test_a_first_answer_comes_before_the_permutations_and_sharpens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "_METRIC_SECONDS", 0.0)
    context = Watched()
    file = write(tmp_path / "results.csv", rows_of())
    spec = parity.Spec(attribute="tone", permutations=1999, **ORDERED)
    findings = parity.run(spec, {"results": file}, context)
    assert context.metrics[0][0] == "closed_form_p"
    assert context.metrics[0][1] == pytest.approx(findings.primary.p_value, abs=0.05)
    steps = [step for name, _, step in context.metrics if name == "p_value"]
    assert len(steps) > 3
    assert steps == sorted(steps)
    assert [value for name, value, _ in context.metrics if name == "p_value"][-1] == findings.primary.p_value


def test_a_person_can_cancel_while_it_shuffles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "_METRIC_SECONDS", 0.0)
    context = Watched()
    context.stop_at = 100
    file = write(tmp_path / "results.csv", rows_of())
    with pytest.raises(Cancelled):
        parity.run(parity.Spec(attribute="tone", permutations=99_999), {"results": file}, context)
    assert max(step or 0 for name, _, step in context.metrics) < 10_000


def test_an_interrupted_run_goes_on_and_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = write(tmp_path / "results.csv", rows_of(bias=0.2)).path
    spec = parity.Spec(attribute="tone", permutations=499, k=10, more_k=(5,), **ORDERED).model_dump(mode="json")
    with Case.create(tmp_path / "case") as case:
        whole, broken = (case.new_run("parity", spec, {"results": results}, {}, seed=5) for _ in range(2))
        assert worker.carry_out(whole) == worker.DONE
        with monkeypatch.context() as patch:
            patch.setattr(sensitivity, "leave_one_query_out", _fail)
            assert worker.carry_out(broken) == worker.FAILED
        assert broken.written_state() is RunState.FAILED
        kept = [row["stage"] for row in _stage_rows(broken.events_file)]
        assert {"primary", "secondary", "effects", "rerun 1", "rerun 2"} <= set(kept)
        assert "sensitivity" not in kept
        assert worker.carry_out(broken) == worker.DONE
        again = [row["stage"] for row in _stage_rows(broken.events_file)]
        assert len(again) == len(set(again))
    assert broken.findings_file.read_bytes() == whole.findings_file.read_bytes()
    for name, path in whole.table_files().items():
        assert broken.table_files()[name].read_bytes() == path.read_bytes(), name


def _fail(*_arguments: object) -> None:
    raise OSError(5, "The machine was switched off")


def _stage_rows(events: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    return [event["row"] for event in found if event["kind"] == "row" and event["table"] == "stages"]


def test_the_registry_finds_it_with_all_its_doors() -> None:
    audit = audits.get("parity")
    assert audit.title == "Parity"
    assert audit.FindingsType is ParityFindings
    assert audit.Spec is parity.Spec


def test_every_setting_explains_itself() -> None:
    for name, field in parity.Spec.model_fields.items():
        assert field.title, name
        assert field.description, name
    with pytest.raises(ValueError, match="primary K"):
        parity.Spec(k=10, more_k=(10,))
    with pytest.raises(ValueError, match="name of the expert"):
        parity.Spec(consensus="expert")


def test_a_notebook_gets_the_same_answer_from_any_kind_of_table(tmp_path: Path) -> None:
    rows = rows_of(bias=0.4)
    of_files, _ = run(tmp_path, rows, **ORDERED)
    frame = pd.DataFrame(rows)
    asked = {"attribute": "tone", "permutations": 499, "seed": 3, "sensitivity": False, **ORDERED}
    found = parity.test(frame, **asked)
    assert found.findings.primary == of_files.primary
    assert found.p_value == of_files.primary.p_value
    assert found.verdict == of_files.verdict.sentence
    assert found.effects == of_files.effects
    assert found.verdict in str(found)
    arrow = parity.test(pa.Table.from_pylist(rows), **asked)
    assert arrow.findings == found.findings
    columns = parity.test({name: [row[name] for row in rows] for name in rows[0]}, **asked)
    assert columns.findings == found.findings
    assert found.tables["queries"].num_rows == 60
    assert found.figure("null").axes
    with pytest.raises(InputError, match="One of: "):
        found.figure("nothing")


def test_a_notebook_is_told_what_is_wrong() -> None:
    with pytest.raises(InputError, match="no table"):
        parity.test(7)
    with pytest.raises(InputError, match="permutations"):
        parity.test(pd.DataFrame(rows_of()), permutations=1)
    with pytest.raises(InputError, match="Did you mean attribute"):
        parity.test(pd.DataFrame(rows_of()), atribute="tone")


def test_a_catalog_brings_the_tones(tmp_path: Path) -> None:
    rows = rows_of(bias=0.4)
    results = pd.DataFrame(rows).drop(columns="tone")
    catalog = pd.DataFrame(rows)[["item_id", "tone"]]
    asked = {"attribute": "tone", "permutations": 199, "seed": 3, "sensitivity": False, **ORDERED}
    assert parity.test(results, catalog, **asked).p_value == parity.test(pd.DataFrame(rows), **asked).p_value


def test_tables_hold_no_nan_where_null_is_meant(tmp_path: Path) -> None:
    _, context = run(tmp_path, rows_of(n_queries=12, k=3), **ORDERED)
    for name, table in context.tables.items():
        assert pq.read_table(context.table(name)).schema == table.schema
        for column in table.columns:
            if pa.types.is_floating(column.type):
                values = [value for value in column.to_pylist() if value is not None]
                assert not any(math.isnan(value) for value in values), name


def test_numbers_that_are_ids_of_queries_and_items_alike_are_not_taken_for_query_items(tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    catalog = [{"item_id": str(item), "tone": TONES[generator.integers(3)]} for item in range(60)]
    rows = [
        {"query_id": str(query), "item_id": str(item), "rank": rank}
        for query in range(20)
        for rank, item in enumerate(generator.choice(60, 5, replace=False), start=1)
    ]
    files = {"results": write(tmp_path / "r.csv", rows), "catalog": write(tmp_path / "c.csv", catalog)}
    asked = {"attribute": "tone", "permutations": 99, **ORDERED}
    with pytest.raises(InputError, match="may be a coincidence"):
        parity.run(parity.Spec(**asked), files, MemoryContext())
    for mode in ("A", "C1"):
        assert parity.run(parity.Spec(**asked, mode=mode), files, MemoryContext()).mode == mode
