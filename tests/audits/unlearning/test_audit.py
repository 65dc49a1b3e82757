"""Whole runs with a small model of random weights: it learns, it forgets, what is found hangs together, interrupted or not."""

import json
import math
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from auditor.audits import InputFile, unlearning
from auditor.audits.memory import MemoryContext
from auditor.audits.unlearning.findings import UnlearningFindings
from auditor.audits.unlearning.method_text import methods
from auditor.audits.unlearning.spec import BASELINES
from auditor.audits.unlearning.stage_results import rounding
from auditor.audits.unlearning.work import FOLDER
from auditor.errors import Cancelled, InputError
from auditor.models import ModelFile
from auditor.models.folder import folder_sha256, inspect_folder
from tests.audits.unlearning.files import jsonl
from tests.audits.unlearning.small_runs import UNLEARN


class Kept(MemoryContext):
    """Keeps rows as a run directory does, through JSON, whatever process asks for them; stops after some."""

    def __init__(self, model: ModelFile, folder: Path, rows: list[str], stop_after: int | None = None) -> None:
        super().__init__({"model": model}, seed=3, folder=folder)
        self._written, self._left = rows, stop_after

    def row(self, table: str, row: Mapping[str, Any]) -> None:
        self._written.append(json.dumps({"table": table, "row": dict(row)}, allow_nan=False))
        if self._left is not None:
            self._left -= 1

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        return iter([line["row"] for line in map(json.loads, list(self._written)) if line["table"] == table])

    def cancelled(self) -> bool:
        return self._left is not None and self._left <= 0


def spec(fields: Mapping[str, Any], **more: Any) -> unlearning.Spec:
    return unlearning.Spec(**fields | more)


@pytest.fixture(scope="module")
def whole(
    learnt: tuple[UnlearningFindings, ModelFile], given: dict[str, InputFile], tmp_path_factory: pytest.TempPathFactory
) -> tuple[UnlearningFindings, Kept]:
    """A run that nobody interrupts."""
    context = Kept(learnt[1], tmp_path_factory.mktemp("whole"), [])
    return unlearning.run(spec(UNLEARN, relearn_steps=2), given, context), context


def test_the_model_has_learnt_and_says_so(learnt: tuple[UnlearningFindings, ModelFile]) -> None:
    findings, model = learnt
    assert findings.state == "learnt"
    assert findings.constraint is None
    assert findings.headline["forget_probability_after"] > 0.5 > findings.headline["forget_probability_before"]
    (made,) = findings.exports
    assert (made.kind, made.sha256) == ("folder, float32", folder_sha256(model.path))


def test_it_forgets_and_keeps_the_rest(whole: tuple[UnlearningFindings, Kept]) -> None:
    findings, _ = whole
    head = findings.headline
    assert head["forget_probability_after"] < 0.2 < 0.5 < head["forget_probability_before"]
    assert head["retain_probability_after"] > 0.8 * head["retain_probability_before"]
    assert head["feasible"] is (head["retain_loss_after"] <= head["epsilon"])


def test_the_headline_has_the_keys_of_the_command(whole: tuple[UnlearningFindings, Kept]) -> None:
    findings, _ = whole
    assert list(findings.headline) == [
        *("method", "epsilon", "lambda_final", "retain_loss_before", "retain_loss_after", "feasible"),
        *("forget_probability_before", "forget_probability_after"),
        *("retain_probability_before", "retain_probability_after", "extraction_strength", "artefacts"),
    ]
    assert findings.headline["artefacts"] == ["artefacts/model"]


def test_epsilon_is_proposed_from_the_start_models_loss(whole: tuple[UnlearningFindings, Kept]) -> None:
    constraint = whole[0].constraint
    assert constraint is not None
    start = constraint.retain_loss_before
    assert constraint.measured
    assert constraint.epsilon == pytest.approx(start + max(0.1 * start, 0.05))
    assert constraint.gamma_balanced


def test_every_figure_of_the_headline_stands_in_a_table(whole: tuple[UnlearningFindings, Kept]) -> None:
    findings, context = whole
    rows = {row["metric"]: row for row in context.tables["metrics"].to_pylist()}
    for role in ("forget", "retain"):
        for when in ("before", "after"):
            assert rows[f"{role}_answer_probability"][when] == findings.headline[f"{role}_probability_{when}"]
    assert rows["forget_quality"]["after"] is None
    assert rows["forget_quality"]["unavailable"]
    assert rows["mia_min_k"]["after"] is not None
    assert rows["probes_probability"]["n"] == 1
    assert {info.name for info in findings.tables} == set(context.tables)


def test_every_step_is_a_row_with_lambda_and_epsilon(whole: tuple[UnlearningFindings, Kept]) -> None:
    findings, context = whole
    rows = context.tables["training"].to_pylist()
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert rows[-1]["lambda"] == findings.headline["lambda_final"]
    assert {row["epsilon"] for row in rows} == {findings.headline["epsilon"]}
    assert [row["step"] for row in context.tables["trace"].to_pylist()] == [0, 2, 4, 6, 8, 10, 12]


def test_the_trace_begins_with_what_was_measured_before(whole: tuple[UnlearningFindings, Kept]) -> None:
    """All answers are probed here: both speak of the answers' own tokens."""
    findings, context = whole
    first = context.tables["trace"].to_pylist()[0]
    assert first["forget_probability"] == pytest.approx(findings.headline["forget_probability_before"], abs=1e-4)


def test_answers_stand_side_by_side(whole: tuple[UnlearningFindings, Kept]) -> None:
    _, context = whole
    rows = context.tables["examples"].to_pylist()
    assert [row["kind"] for row in rows] == [*["forget"] * 3, "probes", *["retain"] * 6, *["holdout"] * 3]
    assert all(row["generated_before"] for row in rows if row["kind"] in ("forget", "retain"))
    assert {row["kind"] for row in context.tables["other_ways"].to_pylist()} == {
        *("question", "paraphrase", "prefix", "answer start")
    }


def test_probabilities_are_those_that_transformers_gives_with_the_written_model(
    whole: tuple[UnlearningFindings, Kept],
) -> None:
    """Nothing of ours takes part: prompt and answer are tokenised apart, and every log-probability is read densely."""
    findings, context = whole
    folder = str(context.artefacts / FOLDER)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()

    def probability(question: str, answer: str) -> float:
        prompt = tokenizer(f"Question: {question}\nAnswer:")["input_ids"]
        said = tokenizer(f" {answer}", add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logs = torch.log_softmax(model(torch.tensor([prompt + said])).logits[0].double(), -1)
        places = range(len(prompt) - 1, len(prompt) + len(said) - 1)
        return math.exp(sum(float(logs[place, token]) for place, token in zip(places, said, strict=True)) / len(said))

    rows = context.tables["examples"].to_pylist()
    found: dict[str, list[float]] = {row["kind"]: [] for row in rows}
    for row in rows:
        found[row["kind"]].append(probability(row["question"], row["answer"]))
        assert row["probability_after"] == pytest.approx(found[row["kind"]][-1], rel=1e-3)
    for role in ("forget", "retain"):
        mean = sum(found[role]) / len(found[role])
        assert findings.headline[f"{role}_probability_after"] == pytest.approx(mean, rel=1e-3)


@pytest.mark.parametrize(
    "changes",
    [{"learning_rate": 1e-5}, {"lora_rank": 2, "learning_rate": 1e-3}, {"lora_rank": 2, "dtype": "bfloat16"}],
    ids=["small steps, which bfloat16 rounds away", "adapters", "adapters on bfloat16"],
)
def test_the_figures_after_are_those_of_the_written_model(
    learnt: tuple[UnlearningFindings, ModelFile],
    given: dict[str, InputFile],
    tmp_path: Path,
    changes: dict[str, Any],
) -> None:
    """Read again as a start model, all of its figures are those after: not nearly, the same."""
    context = MemoryContext({"model": learnt[1]}, seed=3, folder=tmp_path / "made")
    findings = unlearning.run(spec(UNLEARN, epochs=2, **changes), given, context)
    made = inspect_folder(context.artefacts / FOLDER)
    again = unlearning.run(
        spec(UNLEARN, epochs=1, epsilon=50.0, **(changes | {"learning_rate": 1e-9})),
        given,
        MemoryContext({"model": made}, seed=3, folder=tmp_path / "again"),
    )
    assert again.before == findings.after
    assert findings.constraint is not None
    assert again.constraint is not None
    assert again.constraint.retain_loss_before == findings.constraint.retain_loss_after


def test_what_rounding_undoes_is_told() -> None:
    assert rounding(0.02, 0.025) == ""
    assert "from 0.1% to 60%: steps that are too small for 16 bits are lost" in rounding(0.001, 0.6)


def test_a_probed_step_may_rise_as_far_above_the_start_as_all_texts_may(
    learnt: tuple[UnlearningFindings, ModelFile], given: dict[str, InputFile], tmp_path: Path
) -> None:
    """One probed text that is harder than the others must not make every step infeasible, nor an easier one allow more."""
    context = MemoryContext({"model": learnt[1]}, seed=3, folder=tmp_path)
    findings = unlearning.run(spec(UNLEARN, epochs=2, probe_examples=1, new_tokens=1), given, context)
    constraint, training = findings.constraint, findings.training
    assert constraint is not None
    assert training.retain_limit is not None
    start = context.tables["trace"].to_pylist()[0]["retain_loss"]
    assert start != pytest.approx(constraint.retain_loss_before)
    assert training.n_probed_retain == 1
    assert training.retain_limit - start == pytest.approx(constraint.epsilon - constraint.retain_loss_before)


def test_a_start_model_among_the_files_of_the_run_is_refused(
    learnt: tuple[UnlearningFindings, ModelFile], given: dict[str, InputFile], tmp_path: Path
) -> None:
    """Learning in a folder and unlearning in the same one: what is written would delete the model it is made of."""
    shutil.copytree(learnt[1].path, tmp_path / "artefacts" / FOLDER)
    start = inspect_folder(tmp_path / "artefacts" / FOLDER)
    with pytest.raises(InputError, match="lies among the files that this run writes"):
        unlearning.run(spec(UNLEARN), given, MemoryContext({"model": start}, seed=3, folder=tmp_path))
    assert folder_sha256(start.path) == start.sha256


def test_what_else_lies_among_the_files_of_a_run_stays(
    learnt: tuple[UnlearningFindings, ModelFile], given: dict[str, InputFile], tmp_path: Path
) -> None:
    context = MemoryContext({"model": learnt[1]}, seed=3, folder=tmp_path)
    (context.artefacts / "notes.txt").write_text("mine")
    half = context.artefacts / f"{FOLDER}.0a1b2c3d.part"
    half.mkdir()
    findings = unlearning.run(spec(UNLEARN, epochs=1, new_tokens=1), given, context)
    assert (context.artefacts / "notes.txt").read_text() == "mine"
    assert not half.exists()
    assert [caution.code for caution in findings.warnings if caution.code.endswith("elsewhere")] == []


def test_parts_that_were_computed_in_other_ways_are_told(
    learnt: tuple[UnlearningFindings, ModelFile], given: dict[str, InputFile], tmp_path: Path
) -> None:
    """Killed when the start model was measured, in float32, and taken up where the precision is another one."""
    rows: list[str] = []
    context = Kept(learnt[1], tmp_path, rows)
    unlearning.run(spec(UNLEARN, epochs=1, new_tokens=1), given, context)
    is_measured = [json.loads(row)["row"].get("stage") in ("data", "before") for row in rows]
    begun = Kept(learnt[1], tmp_path, [row for row, keep in zip(rows, is_measured, strict=True) if keep])
    found = unlearning.run(spec(UNLEARN, epochs=1, new_tokens=1, dtype="bfloat16"), given, begun)
    (told,) = [caution.message for caution in found.warnings if caution.code == "measured-elsewhere"]
    assert "before in float32" in told
    assert "after in bfloat16" in told


def test_checkpoints_are_gone_when_it_is_done(whole: tuple[UnlearningFindings, Kept]) -> None:
    _, context = whole
    assert list(context.checkpoints.iterdir()) == []


def test_the_start_model_is_not_changed(whole: tuple[UnlearningFindings, Kept]) -> None:
    model = whole[1].model("model")
    assert folder_sha256(model.path) == model.sha256


@pytest.mark.slow
def test_a_run_that_stops_again_and_again_ends_with_the_same_findings(
    whole: tuple[UnlearningFindings, Kept], given: dict[str, InputFile], tmp_path: Path
) -> None:
    expected, smooth = whole
    rows: list[str] = []
    attempts = 0
    while True:
        context = Kept(smooth.model("model"), tmp_path, rows, stop_after=3)
        try:
            found = unlearning.run(spec(UNLEARN, relearn_steps=2), given, context)
        except Cancelled:
            attempts += 1
            continue
        break
    assert attempts >= 5
    assert found.verdict == expected.verdict
    assert found.headline == expected.headline
    assert (found.before, found.after) == (expected.before, expected.after)
    assert found.exports == expected.exports, "the same weights, bit for bit"
    assert (found.files, found.relearning) == (expected.files, expected.relearning)
    assert found.training.resumed_at
    for name, table in smooth.tables.items():
        columns = [column for column in table.column_names if column != "tokens_per_s"]
        assert context.tables[name].select(columns).equals(table.select(columns)), name


@pytest.mark.slow
@pytest.mark.parametrize("method", BASELINES)
def test_every_baseline_runs(
    learnt: tuple[UnlearningFindings, ModelFile], given: dict[str, InputFile], tmp_path: Path, method: str
) -> None:
    settings = {"layer": 1} if method == "rmu" else {}
    context = MemoryContext({"model": learnt[1]}, seed=3, folder=tmp_path)
    findings = unlearning.run(spec(UNLEARN, method=method, settings=settings, epochs=2), given, context)
    assert findings.method == method
    assert findings.headline["lambda_final"] is None
    assert findings.headline["epsilon"] is not None
    assert findings.constraint is not None
    assert findings.constraint.gamma is None, "the gamma of primal-dual unlearning had no part in it"
    told = dict(methods(findings))
    assert all(f"{name} = {value:g}" in told["Method"] for name, value in findings.method_settings.items())
    assert {"layer": 1}.items() <= findings.method_settings.items() or method != "rmu"
    assert "does not enforce it" in told["Bound on retention"]


def test_low_rank_adapters_are_merged(
    learnt: tuple[UnlearningFindings, ModelFile], given: dict[str, InputFile], tmp_path: Path
) -> None:
    context = MemoryContext({"model": learnt[1]}, seed=3, folder=tmp_path)
    asked = spec(UNLEARN, lora_rank=2, epochs=2, gguf=True, quantised=(), relearn_steps=2)
    findings = unlearning.run(asked, given, context)
    assert findings.training.trained_weights < findings.training.weights
    assert not list(context.artefacts.rglob("adapter*"))
    assert [made.kind for made in findings.exports] == ["folder, bfloat16", "GGUF, BF16"]
    checked = findings.exports[1]
    assert checked.rms_difference is not None
    assert checked.largest_difference is not None
    assert checked.rms_difference < min(0.05, checked.largest_difference)
    assert 0 < (checked.same_first or 0) <= checked.prompts
    assert all(curve.points for curve in findings.relearning), "copies are trained again with adapters too"


# ---- what is refused before anything is trained


def test_an_epsilon_below_the_start_is_refused_unless_allowed(
    learnt: tuple[UnlearningFindings, ModelFile], given: dict[str, InputFile], tmp_path: Path
) -> None:
    context = MemoryContext({"model": learnt[1]}, seed=3, folder=tmp_path)
    with pytest.raises(InputError, match="would break the constraint before anything is forgotten"):
        unlearning.run(spec(UNLEARN, epsilon=1e-6), given, context)


def test_plain_texts_have_no_answer_that_says_nothing(
    learnt: tuple[UnlearningFindings, ModelFile], given: dict[str, InputFile], tmp_path: Path
) -> None:
    texts = jsonl(tmp_path / "texts.jsonl", [{"text": "The river Isk rises below the old mill."}])
    context = MemoryContext({"model": learnt[1]}, seed=3, folder=tmp_path)
    with pytest.raises(InputError, match="idk_dpo puts answers in place of others, and plain texts have none"):
        unlearning.run(spec(UNLEARN, method="idk_dpo"), given | {"forget": texts}, context)


def test_a_layer_that_is_not_there_is_refused(
    learnt: tuple[UnlearningFindings, ModelFile], given: dict[str, InputFile], tmp_path: Path
) -> None:
    context = MemoryContext({"model": learnt[1]}, seed=3, folder=tmp_path)
    with pytest.raises(InputError, match="steers layer 7, but model has 2 layers"):
        unlearning.run(spec(UNLEARN, method="rmu"), given, context)


def test_a_question_that_leaves_no_room_is_refused(
    learnt: tuple[UnlearningFindings, ModelFile], given: dict[str, InputFile], tmp_path: Path
) -> None:
    context = MemoryContext({"model": learnt[1]}, seed=3, folder=tmp_path)
    with pytest.raises(InputError, match="forget, row 1: Nothing of the answer is left within 8 tokens"):
        unlearning.run(spec(UNLEARN, max_tokens=8), given, context)
