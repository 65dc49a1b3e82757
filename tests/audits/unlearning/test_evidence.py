"""What is opened again after a run: every file read by itself, copies trained again, a reference to compare with."""

import json
import math
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from auditor.audits import InputFile, unlearning
from auditor.audits.memory import MemoryContext
from auditor.audits.unlearning.curves import Curves
from auditor.audits.unlearning.findings import UnlearningFindings
from auditor.audits.unlearning.inputs import read
from auditor.audits.unlearning.method_text import methods
from auditor.audits.unlearning.relearning import benign, points, split_items
from auditor.audits.unlearning.room import room
from auditor.audits.unlearning.written import Written, opened
from auditor.errors import Cancelled, InputError
from auditor.files import sha256_of
from auditor.models import ModelFile, fit
from auditor.models.folder import folder_sha256
from llama_cpp import Llama
from tests.audits.unlearning.files import facts, jsonl
from tests.audits.unlearning.small_runs import UNLEARN
from tests.command import auditor
from tests.models import small

SEED = 3
#: A run that writes every file and trains copies again.
ASKED: Mapping[str, Any] = UNLEARN | {"gguf": True, "relearn_steps": 4, "relearn_rate": 1e-3}
NAMES = ["artefacts/model", "artefacts/model.gguf", "artefacts/model-Q8_0.gguf", "artefacts/model-Q4_0.gguf"]
Whole = tuple[UnlearningFindings, MemoryContext]


@pytest.fixture(scope="module")
def whole(
    learnt: tuple[UnlearningFindings, ModelFile], given: dict[str, InputFile], tmp_path_factory: pytest.TempPathFactory
) -> Whole:
    context = MemoryContext({"model": learnt[1]}, seed=SEED, folder=tmp_path_factory.mktemp("evidence"))
    return unlearning.run(unlearning.Spec(**ASKED), given, context), context


# ---- files


def test_every_file_is_listed_with_its_hash_and_its_figures(whole: Whole) -> None:
    findings, context = whole
    assert [file.name for file in findings.files] == [made.name for made in findings.exports] == NAMES
    assert findings.headline["artefacts"] == NAMES
    for file in findings.files[1:]:
        path = context.artefacts.parent / file.name
        assert (file.sha256, file.size_bytes) == (sha256_of(path), path.stat().st_size)
        assert "llama" in file.engine
    assert [file.is_quantised for file in findings.files] == [False, False, True, True]
    sizes = [file.size_bytes for file in findings.files[1:]]
    assert sizes == sorted(sizes, reverse=True), "fewer bits, smaller files"
    estimated = room(unlearning.Spec(**ASKED), context.model("model"), 0).files
    # The tokenizer of so small a model is as large as some of its matrices.
    assert estimated * 0.9 < sum(file.size_bytes for file in findings.files) < estimated * 1.25
    rows = context.tables["files"].to_pylist()
    assert [row["forget_probability"] for row in rows] == [file.forget.value for file in findings.files]
    assert all(row["forget_low"] <= row["forget_probability"] <= row["forget_high"] for row in rows)
    assert all(row["n_forget"] == 3 and row["n_retain"] == 6 for row in rows)


def test_the_folder_says_what_was_measured_after(whole: Whole) -> None:
    """Loaded anew, it is the model that the figures after are of."""
    findings, _ = whole
    for name in ("forget", "retain"):
        measured, read_again = findings.after[f"{name}_answer_probability"], getattr(findings.files[0], name)
        assert read_again.value == pytest.approx(measured.value, rel=1e-5)
        assert read_again.n == measured.n
    ways = ["probes_probability", "probe_paraphrase_probability", "probe_prefix_probability"]
    assert sorted(findings.files[0].otherwise) == sorted(ways)
    for name, metric in findings.files[0].otherwise.items():
        assert metric.value == pytest.approx(findings.after[name].value, rel=1e-5)
        if metric.high is not None:  # a single probe has no interval
            assert metric.high == pytest.approx(findings.after[name].high, rel=1e-5)
        assert metric.n == findings.after[name].n
    assert findings.files[1].retain.value == pytest.approx(findings.files[0].retain.value, abs=0.05)


@pytest.mark.parametrize("place", [1, 2, 3], ids=["BF16", "Q8_0", "Q4_0"])
def test_a_files_probabilities_are_those_that_llama_cpp_gives_alone(
    whole: Whole, given: dict[str, InputFile], place: int
) -> None:
    """Nothing of ours takes part: tokenised and computed by llama_cpp's own class, token by token, densely."""
    findings, context = whole
    file = findings.files[place]
    spec = unlearning.Spec(**ASKED)
    with closing(Llama(str(context.artefacts.parent / file.name), n_ctx=128, logits_all=True, verbose=False)) as llm:

        def probability(question: str | None, answer: str) -> float:
            prompt = llm.tokenize(f"Question: {question}\nAnswer:".encode(), add_bos=True, special=False)
            said = llm.tokenize(f" {answer}".encode(), add_bos=False, special=False)
            llm.reset()
            llm.eval(prompt + said)
            total = 0.0
            for at, token in enumerate(said, len(prompt) - 1):
                logits = [float(value) for value in llm.scores[at]]
                highest = max(logits)
                total += logits[token] - highest - math.log(sum(math.exp(value - highest) for value in logits))
            return math.exp(total / len(said))

        found = read(given, spec)
        each = {
            "forget": [probability(one.question, one.answer) for one in found.forget],
            "retain": [probability(one.question, one.answer) for one in found.retain],
            "probe_paraphrase_probability": [probability(one.paraphrased_question, one.answer) for one in found.forget],
            "probes_probability": [probability(one.question, one.answer) for one in found.probes],
        }
    for name, values in each.items():
        metric = file.otherwise[name] if name in file.otherwise else getattr(file, name)
        assert metric.value == pytest.approx(sum(values) / len(values), rel=0.03), name
    assert file.n_asked == len(found.forget) + len(found.probes)
    least = sum(value > spec.most_probability for value in each["forget"])
    assert least <= file.survivors <= file.n_asked


def test_a_file_that_was_changed_is_not_measured(whole: Whole, given: dict[str, InputFile], tmp_path: Path) -> None:
    findings, context = whole
    spec = unlearning.Spec(**ASKED)
    other = MemoryContext(seed=SEED, folder=tmp_path)
    changed = bytearray((context.artefacts / "model-Q4_0.gguf").read_bytes())
    changed[-1] ^= 1
    (other.artefacts / "model-Q4_0.gguf").write_bytes(changed)
    found = Written(spec, read(given, spec), other).figures(findings.exports[3], "float32")
    assert found.forget.value is None
    assert "has changed since it was written" in found.forget.unavailable


def test_a_file_that_lacked_memory_names_a_command_that_measures_it_later(
    whole: Whole, given: dict[str, InputFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is sealed without its figures; whoever follows the words finds them."""
    findings, context = whole
    spec, made, file = unlearning.Spec(**ASKED), findings.exports[3], findings.files[3]
    with monkeypatch.context() as patch:
        patch.setattr(fit, "free_memory", lambda: 1000)
        found = Written(spec, read(given, spec), context).figures(made, "float32")
    assert found.forget.value is None
    assert "artefacts/model-Q4_0.gguf could not be measured: model-Q4_0 needs about" in found.forget.unavailable
    _, _, begun = found.forget.unavailable.partition(" auditor evaluate ")
    asked = begun.partition(" (")[0].split()
    places = {
        "FORGET": given["forget"].path,
        "RETAIN": given["retain"].path,
        made.name: context.artefacts.parent / made.name,
    }
    done = auditor("evaluate", *(places.get(word, word) for word in asked), "--prompt", spec.prompt, "--json")
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout)["metrics"]
    figures = {"forget_answer_probability": file.forget, "retain_answer_probability": file.retain, **file.otherwise}
    for name in figures.keys() & metrics.keys():
        assert metrics[name]["value"] == pytest.approx(figures[name].value, rel=0.05), name
    assert {"forget_answer_probability", "probe_paraphrase_probability", "probe_prefix_probability"} <= metrics.keys()


def test_an_architecture_without_gguf_says_so_and_is_measured_as_a_folder(
    given: dict[str, InputFile], tmp_path: Path
) -> None:
    from auditor.models.folder import inspect_folder

    model = inspect_folder(small.write(tmp_path / "gpt2", "gpt2"))
    context = MemoryContext({"model": model}, seed=SEED, folder=tmp_path / "run")
    findings = unlearning.run(
        unlearning.Spec(**ASKED | {"epochs": 1, "relearn_steps": 0, "new_tokens": 1}), given, context
    )
    assert [file.name for file in findings.files] == NAMES[:1]
    (caution,) = (one for one in findings.warnings if one.code == "no_gguf")
    assert "no quantised ones either" in caution.message
    assert "gpt2" in caution.message
    assert "switched off" in dict(methods(findings))["Trained again"]


# ---- copies that are trained again


def test_a_curve_begins_with_what_was_measured_after(whole: Whole, given: dict[str, InputFile]) -> None:
    findings, context = whole
    rows = [row for row in context.tables["examples"].to_pylist() if row["kind"] == "forget"]
    after = {row["row"]: row["probability_after"] for row in rows}
    items, others = split_items(read(given, unlearning.Spec(**ASKED)).forget, 5, SEED)
    measured = {"benign": list(after), "items": [one.row for one in others]}
    assert [curve.data for curve in findings.relearning] == ["benign", "items"]
    for curve in findings.relearning:
        expected = [after[row] for row in measured[curve.data]]
        assert curve.points[0].forget.value == pytest.approx(sum(expected) / len(expected), rel=1e-4)
        assert curve.points[0].forget.n == len(expected)
        assert [point.step for point in curve.points] == [0, 1, 2, 3, 4]
    assert (findings.relearning[0].n_trained, findings.relearning[1].n_trained) == (6, len(items)) == (6, 1)
    losses = [point.loss for point in findings.relearning[1].points[1:]]
    assert None not in losses
    assert losses[-1] < losses[0], "it learns what it is trained on again"
    assert context.tables["relearning"].num_rows == 10


def test_the_same_seed_gives_the_same_curve_and_leaves_the_folder_as_it_is(
    whole: Whole, given: dict[str, InputFile], tmp_path: Path
) -> None:
    findings, context = whole
    spec = unlearning.Spec(**ASKED)
    folder = context.artefacts / "model"
    before = folder_sha256(folder)
    again = Curves(spec, read(given, spec), MemoryContext(seed=SEED, folder=tmp_path), "float32")
    found = again.curve("unlearned", lambda: opened(context, findings.exports[0]), "items")
    assert found == findings.relearning[1]
    assert folder_sha256(folder) == before == findings.exports[0].sha256


def test_a_curve_stops_when_a_person_asks(whole: Whole, given: dict[str, InputFile], tmp_path: Path) -> None:
    findings, context = whole
    spec = unlearning.Spec(**ASKED)
    stopped = MemoryContext(seed=SEED, folder=tmp_path)
    stopped.is_cancelled = True
    with pytest.raises(Cancelled):
        Curves(spec, read(given, spec), stopped, "float32").curve(
            "unlearned", lambda: opened(context, findings.exports[0]), "benign"
        )


def test_what_is_trained_on_again_is_never_what_is_measured(tmp_path: Path) -> None:
    rows = [*facts(4), facts(1)[0] | {"question": "And what does she keep?"}]
    files = {
        "forget": jsonl(tmp_path / "forget.jsonl", rows),
        "retain": jsonl(tmp_path / "retain.jsonl", [facts(1)[0] | {"answer": "Nothing at all."}, *facts(3, first=6)]),
    }
    found = read(files, unlearning.Spec())
    for seed in range(8):
        items, others = split_items(found.forget, 2, seed)
        assert len(items) == 2
        assert not {one.answer for one in items} & {one.answer for one in others}
        assert not {one.question for one in items} & {one.question for one in others}
    assert split_items(found.forget, 2, 1) == split_items(found.forget, 2, 1)
    assert split_items(found.forget[:1], 2, 1)[0] == (), "nothing would be left to measure"
    assert [one.row for one in benign(found)] == [2, 3, 4], "its first question is one to forget"
    assert points(5) == set(range(6))
    assert len(points(1000)) == 9
    assert {0, 1000} <= points(1000)


# ---- a reference


def test_a_reference_is_measured_and_trained_again_beside_it(
    learnt: tuple[UnlearningFindings, ModelFile], blank: ModelFile, given: dict[str, InputFile], tmp_path: Path
) -> None:
    context = MemoryContext({"model": learnt[1], "reference": blank}, seed=SEED, folder=tmp_path)
    asked = UNLEARN | {"epochs": 1, "relearn_steps": 1, "new_tokens": 1, "reference_model": "blank"}
    findings = unlearning.run(unlearning.Spec(**asked), given, context)
    assert findings.after["privleak"].value is not None
    assert "the model blank" in findings.after["privleak"].note
    assert findings.after["mia_reference"].value is not None
    assert [(curve.model, curve.data) for curve in findings.relearning] == [
        *(("unlearned", "benign"), ("unlearned", "items"), ("reference", "benign"), ("reference", "items"))
    ]
    assert findings.relearning[2].points[0].forget.value < 0.05, "it has never learnt them"
    assert blank.sha256 in dict(methods(findings))["Trained again"]


@pytest.mark.parametrize("role", ["start model", "none"])
def test_a_reference_that_is_none_is_refused(
    learnt: tuple[UnlearningFindings, ModelFile], given: dict[str, InputFile], tmp_path: Path, role: str
) -> None:
    models = {"model": learnt[1]} | ({"reference": learnt[1]} if role == "start model" else {})
    words = "is the start model" if role == "start model" else "the run was not given it"
    with pytest.raises(InputError, match=words):
        unlearning.run(
            unlearning.Spec(**UNLEARN, reference_model="other"),
            given,
            MemoryContext(models, seed=SEED, folder=tmp_path),
        )


def test_no_way_of_asking_a_file_gives_more_than_is_said_of_its_worst(whole: Whole) -> None:
    """Counted anew: as trained and in every other way. The largest mean, not that of the widest interval."""
    findings, context = whole
    for file, row in zip(findings.files, context.tables["files"].to_pylist(), strict=True):
        means = [metric.value for metric in (file.forget, *file.otherwise.values()) if metric.value is not None]
        assert row["worst_probability"] == max(means), file.name


# ---- what the report says


def test_the_report_names_every_limit_in_one_place_and_what_relearning_does_not_prove(whole: Whole) -> None:
    findings, _ = whole
    told = dict(methods(findings))
    assert findings.constraint is not None
    for words in (
        *(
            "the worst file decides",
            "a probability of at most 5% a token",
            f"epsilon, {findings.constraint.epsilon:.3f} nats",
        ),
        *("at most 5% of the start's probability", "root mean square difference over the vocabulary of at most 0.05"),
        *("It met ", "The largest difference of a single logit", "has no limit"),
    ):
        assert words in told["Verdict: rule and limits"], words
    assert "What it does not prove: a flat curve" in told["Trained again"]
    assert "no model that has never learnt the answers to compare with" in told["Trained again"]
    assert "made from artefacts/model.gguf" in told["Files made of the model"]
    assert "read itself" in told["Files, measured one by one"]
