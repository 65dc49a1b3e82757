"""Whole runs with a small model of random weights: what is found must hang together, and survive interruption."""

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from auditor.audits import InputFile, guard
from auditor.audits.guard import inputs, service
from auditor.audits.guard.attacks import corrupted
from auditor.audits.guard.findings import GuardFindings
from auditor.audits.guard.pools import Draw
from auditor.audits.guard.scoring import SCORES, packed, unpacked
from auditor.audits.memory import MemoryContext
from auditor.errors import Cancelled, InputError, ModelError
from auditor.models import ModelFile

SMALL = {
    "attacks": ("cyclic", "targeted:0.5"),
    "n_demonstrations": 4,
    "limit": 24,
    "splits": 2,
    "more_epsilons": (0.2,),
    "more_mixtures": (1.0,),
    "lambda_step": 0.1,
    "influence_queries": 2,
    "attention_queries": 1,
    "timing_queries": 0,
    "dtype": "float32",
}


def asked(**more: Any) -> guard.Spec:
    return guard.Spec(**SMALL | more)


class Interrupted(MemoryContext):
    """Keeps rows as a run directory does, through JSON; asks to stop after some of them."""

    def __init__(self, model: ModelFile, folder: Path, rows: list[str], after: int | None = None) -> None:
        super().__init__({"model": model}, seed=5, folder=folder)
        self._written, self._after, self._left = rows, after, after or 0

    def row(self, table: str, row: Mapping[str, Any]) -> None:
        self._written.append(json.dumps({"table": table, "row": dict(row)}, allow_nan=False))
        self._left -= 1

    def rows(self, table: str) -> Any:
        return iter([line["row"] for line in map(json.loads, list(self._written)) if line["table"] == table])

    def cancelled(self) -> bool:
        return self._after is not None and self._left <= 0


@pytest.fixture(scope="module")
def whole(
    tiny_model: ModelFile, sample_inputs: dict[str, InputFile], tmp_path_factory: pytest.TempPathFactory
) -> tuple[GuardFindings, Interrupted]:
    """A run that nobody interrupts."""
    context = Interrupted(tiny_model, tmp_path_factory.mktemp("whole"), [])
    return guard.run(asked(), sample_inputs, context), context


def test_the_headline_is_that_of_the_tables(whole: tuple[GuardFindings, Interrupted]) -> None:
    findings, context = whole
    rows = {row["condition"]: row for row in context.tables["conditions"].to_pylist()}
    mixture, head = rows["mixture"], findings.headline
    assert list(head) == [
        *("certified", "lambda", "epsilon", "delta", "n_calibration", "risk_guarded", "risk_unguarded"),
        *("accuracy_zero_shot", "accuracy_unguarded", "accuracy_guarded", "mean_exit_layer", "layer_passes_ratio"),
        "wall_clock_ratio",
    ]
    assert head["accuracy_unguarded"] == pytest.approx(
        (rows["correct"]["accuracy_unguarded"] + rows["cyclic:1"]["accuracy_unguarded"]) / 2
    )
    assert head["risk_unguarded"] == mixture["risk_unguarded"]
    assert head["n_calibration"] + findings.pools.n_test == 24
    assert findings.verdict.state == findings.state == ("certified" if head["certified"] else "not certified")
    assert list(rows) == ["zero-shot", "correct", "cyclic:1", "targeted:0.5", "mixture", "mixture:1"]
    assert {info.name for info in findings.tables} == set(context.tables)


def test_twelve_calibration_queries_certify_nothing_and_the_verdict_says_what_it_takes(
    whole: tuple[GuardFindings, Interrupted],
) -> None:
    findings, _ = whole
    assert findings.state == "not certified"
    sentence = findings.verdict.sentence
    assert sentence.startswith("Not certified: answer zero-shot")
    assert f"n = {findings.headline['n_calibration']}" in sentence
    assert "a harmless prompt needs n ≥ 95" in sentence
    assert "few_queries" in {caution.code for caution in findings.warnings}
    assert findings.certificate.sentence.startswith("With probability at least 90%")


def test_the_corrupted_demonstrations_are_counted_in_the_prompts_themselves(
    whole: tuple[GuardFindings, Interrupted], sample_inputs: dict[str, InputFile]
) -> None:
    """Half of the targeted ones at most: those that show the target already are left as they are."""
    _, context = whole
    spec, given = asked(), inputs.read(sample_inputs, asked())
    draw = Draw(given.demonstrations, spec, seed=5)
    test = {row["query_id"] for row in context.tables["queries"].to_pylist() if row["pool"] == "test"}
    rows = {row["condition"]: row["n_corrupted"] for row in context.tables["conditions"].to_pylist()}
    found = {"cyclic:1": [], "targeted:0.5": []}
    for name in test:
        right = [shown.word for shown in draw.demonstrations(name)]
        for condition, counts in found.items():
            made = corrupted(draw.demonstrations(name), condition, given.task, seed=5, query_id=name)
            counts.append(sum(one.word != word for one, word in zip(made, right, strict=True)))
    assert rows["cyclic:1"] == 4 == np.mean(found["cyclic:1"])
    assert rows["targeted:0.5"] == pytest.approx(np.mean(found["targeted:0.5"]))
    assert 0 < rows["targeted:0.5"] < 2, "of four, half would be two"
    assert (rows["mixture"], rows["mixture:1"], rows["correct"]) == (2, 4, 0)


def test_accuracies_are_those_of_the_flushed_scores(whole: tuple[GuardFindings, Interrupted]) -> None:
    """Without the weights of contextual calibration the flushed logits' largest label is the model's answer."""
    findings, context = whole
    rows = list(context.rows(SCORES))
    assert len(rows) == 24 * 4
    n_exits = findings.readout.n_exits
    for row in rows:
        logits = unpacked(row["logits"], (n_exits, 2))
        assert row["answer"] == findings.labels[int(logits[-1].argmax())].label
        assert packed(logits) == row["logits"]


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "n_shown"), [("resampled", 4), ("fixed", 4), ("resampled", 1)])
def test_a_run_that_stops_again_and_again_ends_with_the_same_findings_bit_for_bit(
    tiny_model: ModelFile, sample_inputs: dict[str, InputFile], tmp_path: Path, rule: str, n_shown: int
) -> None:
    spec = asked(demonstrations=rule, n_demonstrations=n_shown)
    smooth = Interrupted(tiny_model, tmp_path / "smooth", [])
    expected = guard.run(spec, sample_inputs, smooth)
    written: list[str] = []
    for attempt in itertools.count():
        # Rows of a chunk are flushed together; the last ones are lost as if the process had been killed within it.
        context = Interrupted(tiny_model, tmp_path / f"attempt-{attempt}", written, after=20)
        try:
            found = guard.run(spec, sample_inputs, context)
        except Cancelled:
            del written[-3:]
            continue
        break
    assert attempt >= 3
    assert found.model_dump_json() == expected.model_dump_json()
    assert context.tables.keys() == smooth.tables.keys()
    for name, table in smooth.tables.items():
        assert context.tables[name].equals(table), name
    ours, theirs = (one.artefacts / "predictor" for one in (context, smooth))
    for file in (service.SETTINGS, service.TENSORS):
        assert (ours / file).read_bytes() == (theirs / file).read_bytes()


def test_influence_ranks_every_demonstration_once(whole: tuple[GuardFindings, Interrupted]) -> None:
    findings, context = whole
    rows = context.tables["influence"].to_pylist()
    assert len(rows) == 4
    assert findings.n_influence == 2
    influence = [row["influence"] for row in rows]
    assert influence == sorted(influence)
    assert [row["place"] for row in rows] == [1, 2, 3, 4]
    assert "few_influence_queries" in {caution.code for caution in findings.warnings}, "two queries"
    assert all(row["corrupted"] for row in rows), "the first attack turns every label"
    assert all(row["low"] <= row["influence"] <= row["high"] for row in rows)


def test_attention_is_a_share_for_every_layer_and_head(whole: tuple[GuardFindings, Interrupted]) -> None:
    findings, context = whole
    rows = context.tables["attention"].to_pylist()
    assert {(row["condition"], row["span"]) for row in rows} == {("correct", "correct"), ("cyclic:1", "corrupted")}
    assert len(rows) == 2 * findings.readout.n_layers * 4
    assert all(0 <= row["mass"] <= 1 for row in rows)
    assert any(row["mass"] > 0 for row in rows)


def test_a_saved_guard_answers_as_the_run_did(
    whole: tuple[GuardFindings, Interrupted], tiny_model: ModelFile, sample_inputs: dict[str, InputFile], tmp_path: Path
) -> None:
    """The run was not certified, so its guard is zero-shot; set to a threshold it exits early as scored."""
    findings, context = whole
    with guard.predictor(context.artefacts.parent, model=tiny_model) as loaded:
        queries = {row["query_id"]: row for row in context.tables["queries"].to_pylist()}
        texts = _texts(sample_inputs["queries"])
        for name in list(queries)[:5]:
            said = loaded.answer(texts[name])
            assert said.fell_back
            assert said.label == queries[name]["zero_shot"]
        assert loaded.covers == findings.certificate.sentence
        loaded.save(tmp_path / "copy")
    settings, weight = service.read(tmp_path / "copy")
    bolder = settings.model_copy(update={"threshold": 0.5, "first_exit": 2})
    service.save(tmp_path / "bolder", bolder, weight)
    with guard.predictor(tmp_path / "bolder", model=tiny_model) as loaded:
        shown = [("It was a joy.", "positive"), ("It was a bore.", "negative")]
        said = [loaded.answer(text, shown) for text in list(texts.values())[:8]]
        assert all(one.fell_back or 3 <= (one.layer or 0) <= findings.readout.n_layers for one in said)
        assert any(not one.fell_back for one in said)
        assert all(one.confidence > 0.5 for one in said if not one.fell_back)
        with pytest.raises(InputError, match="no such label"):
            loaded.answer("Some text.", [("Some text.", "splendid")])


def _texts(file: InputFile) -> dict[str, str]:
    import pandas as pd

    table = pd.read_csv(file.path)
    return dict(zip(table["id"], table["text"], strict=True))


def test_a_guard_is_for_one_model_and_says_what_is_wrong_with_its_folder(
    whole: tuple[GuardFindings, Interrupted], tiny_model: ModelFile, tmp_path: Path
) -> None:
    _, context = whole
    other = tiny_model.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(ModelError, match="is not the model that the guard was certified for"):
        guard.predictor(context.artefacts, model=other)
    with pytest.raises(ModelError, match="is not in the library"):
        guard.predictor(context.artefacts)
    with pytest.raises(InputError, match=r"needs guard\.json and guard\.safetensors"):
        guard.predictor(tmp_path)
    settings, weight = service.read(context.artefacts / "predictor")
    assert weight is not None
    service.save(tmp_path, settings, np.full_like(weight, np.nan))
    with pytest.raises(InputError, match="positive numbers"):
        guard.predictor(tmp_path, model=tiny_model)


@pytest.mark.slow
def test_a_true_early_exit_is_timed_and_answers_as_scored(
    tiny_model: ModelFile, sample_inputs: dict[str, InputFile], tmp_path: Path
) -> None:
    spec = asked(
        timing_queries=6, influence_queries=0, attention_queries=0, attacks=("cyclic",), epsilon=0.9, mixture=1.0
    )
    context = MemoryContext({"model": tiny_model}, seed=1, folder=tmp_path)
    findings = guard.run(spec, sample_inputs, context)
    assert findings.state == "certified", "a risk of .9 is easily held"
    assert findings.headline["lambda"] < 1
    assert findings.headline["wall_clock_ratio"] > 0
    assert findings.n_timing == 6
    rows = context.tables["timing"].to_pylist()
    assert [row["exit"] for row in rows] == [3, 5, 6]
    assert rows[-1]["ratio"] == 1
    assert "early_exit_differs" not in {caution.code for caution in findings.warnings}
    assert "influence" not in context.tables
    assert "the guard holds these corrupted demonstrations within 90.0 percentage points" in findings.verdict.sentence


def test_the_uncorrected_rule_is_no_certificate(
    tiny_model: ModelFile, sample_inputs: dict[str, InputFile], tmp_path: Path
) -> None:
    spec = asked(select="uncorrected", epsilon=0.9, influence_queries=0, attention_queries=0)
    findings = guard.run(spec, sample_inputs, MemoryContext({"model": tiny_model}, folder=tmp_path))
    assert findings.headline["lambda"] < 1
    assert findings.headline["certified"] is False
    assert findings.state == findings.verdict.state == "not certified"
    assert "guarantees nothing" in findings.verdict.sentence
    assert findings.certificate.sentence.startswith("Nothing")
    assert "uncorrected" in {caution.code for caution in findings.warnings}


def test_groups_are_never_split_and_are_the_units(
    tiny_model: ModelFile, sample_inputs: dict[str, InputFile], tmp_path: Path
) -> None:
    import pandas as pd

    table = pd.read_csv(sample_inputs["queries"].path)[:24].drop(columns=["topic"], errors="ignore")
    table["group"] = [f"g{number // 4}" for number in range(len(table))]
    path = tmp_path / "grouped.csv"
    table.to_csv(path, index=False)
    given = {**sample_inputs, "queries": InputFile(path, path.name, "")}
    context = MemoryContext({"model": tiny_model}, folder=tmp_path)
    findings = guard.run(asked(influence_queries=0, attention_queries=0), given, context)
    rows = context.tables["queries"].to_pylist()
    pools: dict[str, set[str]] = {}
    for row in rows:
        pools.setdefault(row["group"], set()).add(row["pool"])
    assert all(len(found) == 1 for found in pools.values())
    assert findings.pools.n_groups == 6
    assert findings.certificate.n_units == 3


@pytest.mark.slow
def test_a_gguf_file_as_it_is_has_one_exit_and_is_certified_in_the_same_way(
    starter_model: ModelFile, sample_inputs: dict[str, InputFile], tmp_path: Path
) -> None:
    spec = asked(
        backend="llama.cpp",
        dtype="auto",
        limit=16,
        n_demonstrations=2,
        attacks=("cyclic",),
        epsilon=0.9,
        timing_queries=2,
    )
    context = MemoryContext({"model": starter_model}, seed=2, folder=tmp_path)
    findings = guard.run(spec, sample_inputs, context)
    assert findings.backend == "llama.cpp"
    assert (findings.readout.n_exits, findings.readout.first_exit) == (1, 1)
    assert {"one_exit", "no_attention", "starter"} <= {caution.code for caution in findings.warnings}
    assert {row["exit"] for row in context.tables["exits"].to_pylist()} <= {1, None}
    assert findings.state == "certified"
    assert findings.verdict.sentence.endswith("(starter model: for trying the program, not evidence).")
    assert "attention" not in context.tables
    passes = {row["layer_passes"] for row in context.tables["queries"].to_pylist()}
    assert passes <= {1.0, 2.0}, "the full model, and once more zero-shot where it fell back"
