"""Evaluating a model that knows some facts by heart: every figure, and the reasons where there is none."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from auditor.audits.unlearning.evaluation import (
    answer_losses,
    evaluate,
    evaluation_steps,
    metrics_of,
    side_by_side,
)
from auditor.audits.unlearning.examples import Example
from auditor.audits.unlearning.metrics.metric import Metric
from auditor.audits.unlearning.reference import Reference, of_evaluation, read
from auditor.audits.unlearning.scored import Evaluation, EvaluationSettings, told_of_cuts
from auditor.audits.unlearning.template import Template, tokens_of
from auditor.errors import InputError
from auditor.models.folder import inspect_folder
from auditor.models.make_trainable import trainable
from auditor.models.readable import Reading, readable
from auditor.models.torch_model import load
from scipy import stats
from tests.audits.unlearning.taught import END, PROMPT, facts, teach
from tests.models.tiny import write

TEMPLATE = Template(PROMPT)
SETTINGS = EvaluationSettings(max_new_tokens=30)
SETS = {name: facts(name) for name in ("forget", "retain", "holdout")}
#: The retained facts play the parts of real authors and world facts, so that all nine figures are there.
NINE = SETS | {"real_authors": facts("retain"), "world_facts": facts("holdout")}


def opened(folder: Path) -> Reading:
    return readable(load(inspect_folder(folder), device="cpu", dtype="float32", threads=1))


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reading]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDITOR_HOME", str(tmp_path_factory.mktemp("home")))
        reader = opened(teach(tmp_path_factory.mktemp("models") / "taught"))
        yield reader
        reader.model.words.close()


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reading]:
    """A model that knows nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDITOR_HOME", str(tmp_path_factory.mktemp("home")))
        folder = tmp_path_factory.mktemp("models") / "blank"
        reader = opened(write(folder, "llama", seed=1, hidden_size=64, num_hidden_layers=2, eos_token_id=END))
        yield reader
        reader.model.words.close()


@pytest.fixture(scope="module")
def found(taught: Reading) -> Evaluation:
    return evaluate(taught, NINE, template=TEMPLATE, seed=0, settings=SETTINGS)


@pytest.fixture(scope="module")
def untaught(blank: Reading) -> Evaluation:
    return evaluate(blank, NINE, template=TEMPLATE, seed=0, settings=SETTINGS)


def value(evaluation: Evaluation, name: str) -> float:
    found = evaluation.metrics[name].value
    assert found is not None, evaluation.metrics[name].unavailable
    return found


def dense_loss(reader: Reading, question: str, answer: str) -> float:
    words = reader.model.words
    asked = words.tokenize(PROMPT.replace("{question}", question), begin=True)
    ids = torch.tensor([[*asked, *words.tokenize(f" {answer}", begin=False), END]])
    with torch.no_grad():
        logits = reader.module(input_ids=ids).logits[0, len(asked) - 1 : -1].double()
    return float(torch.nn.functional.cross_entropy(logits, ids[0, len(asked) :]))


def test_what_was_learnt_is_seen_as_known(found: Evaluation) -> None:
    for name in ("forget", "retain"):
        assert value(found, f"{name}_probability") > 0.9
        assert value(found, f"{name}_rouge_recall") == value(found, f"{name}_rouge_f1") == 1
    assert value(found, "exact_memorisation") == value(found, "extraction_strength") == 1
    assert [one.generation for one in found.of("forget")] == [one.answer for one in facts("forget")]
    for attack in ("loss", "min_k", "min_k_plus_plus", "zlib"):
        assert value(found, f"mia_{attack}") == 1


def test_what_was_never_learnt_is_not(untaught: Evaluation) -> None:
    assert value(untaught, "forget_probability") < 0.05
    assert value(untaught, "forget_rouge_recall") < 0.2
    assert value(untaught, "extraction_strength") < 0.2


def test_figures_equal_the_dense_computation(taught: Reading, found: Evaluation) -> None:
    for name in ("forget", "world_facts"):
        for one, fact in zip(found.of(name), NINE[name], strict=True):
            assert one.loss == pytest.approx(dense_loss(taught, fact.question or "", fact.answer), abs=1e-5)
            assert one.probability == pytest.approx(np.exp(-one.loss))
            right = dense_loss(taught, fact.question or "", fact.paraphrased_answer)
            wrong = [dense_loss(taught, fact.question or "", answer) for answer in fact.perturbed_answers]
            assert one.truth_ratio == pytest.approx(np.exp(-np.mean(wrong)) / np.exp(-right), rel=1e-4)
    fact = facts("retain")[0]
    p = np.exp(-dense_loss(taught, fact.question or "", fact.answer))
    others = [np.exp(-dense_loss(taught, fact.question or "", answer)) for answer in fact.perturbed_answers]
    assert found.of("real_authors")[0].probability_among == pytest.approx(p / (p + sum(others)), rel=1e-4)


def test_aggregates_are_those_of_tofu(found: Evaluation) -> None:
    forget = np.array([one.truth_ratio for one in found.of("forget")])
    retain = np.array([one.truth_ratio for one in found.of("retain")])
    assert value(found, "forget_truth_ratio") == pytest.approx(np.minimum(forget, 1 / forget).mean())
    assert value(found, "retain_truth_ratio") == pytest.approx(np.maximum(0, 1 - retain).mean())
    nine = [
        value(found, f"{name}_{figure}")
        for name in ("retain", "real_authors", "world_facts")
        for figure in ("probability", "rouge_recall", "truth_ratio")
    ]
    assert value(found, "model_utility") == pytest.approx(stats.hmean(nine))


def test_every_mean_lies_in_its_interval(found: Evaluation, untaught: Evaluation) -> None:
    for evaluation in (found, untaught):
        for name, metric in evaluation.metrics.items():
            if metric.low is not None and name != "model_utility":
                assert metric.high is not None
                assert metric.value is not None
                assert metric.low - 1e-9 <= metric.value <= metric.high + 1e-9, name


def test_the_end_of_an_answer_counts_for_its_loss_alone(taught: Reading) -> None:
    kept = evaluate(taught, {"forget": facts("forget")}, template=TEMPLATE, seed=0, settings=SETTINGS)
    bare = evaluate(
        taught,
        {"forget": facts("forget")},
        template=TEMPLATE,
        seed=0,
        settings=SETTINGS.model_copy(update={"ends_answers": False}),
    )
    for one, other in zip(kept.examples, bare.examples, strict=True):
        assert one.n_tokens == other.n_tokens + 1
        assert one.exact_memorisation == other.exact_memorisation
        assert one.loss != other.loss
        assert one.answer_probability == other.answer_probability == other.probability != one.probability


def test_a_model_that_says_an_answer_and_does_not_end_there_knows_it(taught: Reading) -> None:
    """What decides a verdict is the answer's own tokens: an end that was unlearnt alone hides nothing."""
    head = taught.module.get_output_embeddings()
    bias = torch.zeros(head.out_features)
    bias[END] = -40.0
    head.bias = torch.nn.Parameter(bias, requires_grad=False)
    try:
        found = evaluate(taught, {"forget": facts("forget")}, template=TEMPLATE, seed=0, settings=SETTINGS)
    finally:
        head.bias = None
    assert value(found, "forget_rouge_recall") == 1
    assert value(found, "forget_answer_probability") > 0.9
    assert value(found, "forget_probability") < 0.3


def test_the_same_again_gives_the_same(taught: Reading, found: Evaluation) -> None:
    assert evaluate(taught, NINE, template=TEMPLATE, seed=0, settings=SETTINGS) == found


def test_what_is_missing_says_why(taught: Reading) -> None:
    forget = tuple(replace(one, perturbed_answers=()) for one in facts("forget"))
    bare = evaluate(
        taught, {"forget": forget}, template=TEMPLATE, seed=0, settings=EvaluationSettings(max_new_tokens=0)
    )
    why = {name: metric.unavailable for name, metric in bare.metrics.items() if metric.value is None}
    assert "No answers were generated" in why["forget_rouge_recall"]
    assert "no wrong answers" in why["forget_truth_ratio"]
    assert "no such examples" in why["retain_probability"]
    assert "retain" in why["model_utility"]
    assert "no reference" in why["forget_quality"]
    assert "no holdout set" in why["mia_min_k"]
    assert "no holdout set" in why["privleak"]
    assert bare.metrics["forget_probability"].value is not None


def test_a_rouge_of_shorter_answers_than_the_published_says_so(taught: Reading, found: Evaluation) -> None:
    for name in ("forget_rouge_recall", "retain_rouge_f1", "model_utility"):
        assert "at most 30 tokens" in found.metrics[name].note, name
    assert "tokens" not in found.metrics["forget_answer_probability"].note
    published = told_of_cuts(found.metrics | {"forget_rouge_recall": Metric(value=0.5, n=20)}, EvaluationSettings())
    assert published["forget_rouge_recall"].note == ""


def test_utility_names_the_set_it_lacks(taught: Reading) -> None:
    some = {name: facts("retain") for name in ("retain", "real_authors")}
    lacking = evaluate(taught, some, template=TEMPLATE, seed=0, settings=SETTINGS)
    assert "world facts" in lacking.metrics["model_utility"].unavailable


# ---- against a reference


def test_a_model_beside_itself_and_beside_another(found: Evaluation, untaught: Evaluation) -> None:
    scored = [*found.examples, *_more(found)]
    theirs = Evaluation(metrics={}, examples=(*untaught.examples, *_more(untaught)), settings=SETTINGS, seed=0)
    ours = Evaluation(metrics={}, examples=tuple(scored), settings=SETTINGS, seed=0)
    same = metrics_of(scored, seed=0, reference=of_evaluation(ours, "itself"))
    assert same["forget_quality"].value == pytest.approx(1)
    assert "no interval" in same["forget_quality"].note
    other = metrics_of(scored, seed=0, reference=of_evaluation(theirs, "another"))
    ratios = [[one.truth_ratio for one in run.of("forget")] for run in (ours, theirs)]
    assert other["forget_quality"].value == pytest.approx(stats.ks_2samp(*ratios).pvalue)
    areas = [metrics_of(run.examples, seed=0)["mia_min_k"].value or 0 for run in (ours, theirs)]
    assert other["privleak"].value == pytest.approx(100 * ((1 - areas[0]) - (1 - areas[1])) / (1 - areas[1]))
    assert other["privleak"].low is not None
    assert other["mia_reference"].value is not None


def _more(evaluation: Evaluation) -> list[Any]:
    """Further examples to forget, so that there are enough for a test."""
    return [
        one.model_copy(update={"question": f"{one.question} {n}", "truth_ratio": (one.truth_ratio or 1) * (1 + n / 50)})
        for one in evaluation.of("forget")
        for n in range(1, 4)
    ]


def test_privleak_of_a_model_beside_itself_is_nothing(untaught: Evaluation) -> None:
    beside = metrics_of(untaught.examples, seed=0, reference=of_evaluation(untaught, "itself"))
    privleak = beside["privleak"]
    if privleak.value is None:
        assert "nothing to compare" in privleak.unavailable
    else:
        assert privleak.value == 0
        assert (privleak.low, privleak.high) == (0, 0)


def test_other_examples_give_no_forget_quality(found: Evaluation) -> None:
    strange = Reference(source="the log x", truth_ratios=(0.5,) * 9, examples=tuple("abcdefghi"))
    unnamed = Reference(source="the log x", truth_ratios=(0.5,) * 9)

    def why(examples: Any, reference: Reference) -> str:
        return metrics_of(examples, seed=0, reference=reference)["forget_quality"].unavailable

    more = [*found.examples, *_more(found)]
    assert "Only 0 of the 12" in why(more, strange)
    assert "9 examples in the log x and 12 here" in why(more, unnamed)
    assert "takes 5 examples or more to forget, and there are 3" in why(found.examples, strange)


def test_an_evaluation_that_was_written_is_a_reference(found: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps(found.model_dump(mode="json") | {"model": "taught"}, allow_nan=False))
    assert read(path) == of_evaluation(found, "the log log.json")
    path.write_text(json.dumps(found.model_dump(mode="json") | {"prompt": "{question}?", "sha256": "ab"}))
    assert (read(path).prompt, read(path).sha256) == ("{question}?", "ab")


def test_answers_alike_of_different_questions_are_told_apart(found: Evaluation) -> None:
    one = found.of("forget")[0]
    twin = one.model_copy(update={"question": "And who else?", "scores": one.scores | {"min_k": 9.0}})
    reference = of_evaluation(
        Evaluation(metrics={}, examples=(one, twin), settings=SETTINGS, seed=0), "two of one answer"
    )
    assert sorted(reference.min_k["forget"].values()) == sorted([one.scores["min_k"], 9.0])


# ---- texts


def test_plain_texts_are_read_whole_in_pieces_and_gone_on_with(taught: Reading) -> None:
    text = "It rained all night, and in the morning the river stood in the street. " * 3
    example = Example("1", None, text.strip(), 1)
    whole = evaluate(taught, {"forget": (example,)}, template=TEMPLATE, seed=0, settings=SETTINGS)
    cut = evaluate(
        taught,
        {"forget": (example,)},
        template=TEMPLATE,
        seed=0,
        settings=SETTINGS.model_copy(update={"max_tokens": 40}),
    )
    n_bytes = len(text.strip())
    assert whole.examples[0].n_tokens == cut.examples[0].n_tokens == n_bytes
    prompt, wanted = whole.examples[0].prompt or "", whole.examples[0].wanted or ""
    assert len(prompt) == pytest.approx(n_bytes / 2, abs=1)
    assert len(wanted) == SETTINGS.max_new_tokens
    assert text.startswith(prompt + wanted)
    assert whole.metrics["forget_rouge_recall"].value is not None


def test_a_question_too_long_for_the_model_names_its_row(taught: Reading) -> None:
    example = Example("1", "why? " * 200, "because", 7)
    with pytest.raises(InputError, match=r"forget, row 7: The question with its answer has [0-9,]+ tokens"):
        evaluate(taught, {"forget": (example,)}, template=TEMPLATE, seed=0)


def test_losses_of_tokens(taught: Reading) -> None:
    fact = facts("holdout")[0]
    tokens = [tokens_of(taught.model.words, one, TEMPLATE, end=END) for one in facts("holdout")]
    found = answer_losses(taught, tokens)
    assert found.shape == (3,)
    assert found[0] == pytest.approx(dense_loss(taught, fact.question or "", fact.answer), abs=1e-5)


def test_a_model_made_ready_to_train_is_read_as_it_is_now_and_can_be_trained_on(tmp_path: Path) -> None:
    folder = write(tmp_path / "m", "llama", seed=1, hidden_size=64, num_hidden_layers=2, eos_token_id=END)
    learner = trainable(inspect_folder(folder), lora_rank=4, device="cpu", dtype="float32", threads=1)
    plain = opened(folder)
    try:
        sets = {"forget": facts("forget")}
        start = evaluate(learner, sets, template=TEMPLATE, seed=0, settings=SETTINGS)
        assert start == evaluate(plain, sets, template=TEMPLATE, seed=0, settings=SETTINGS)
        ids = torch.tensor([list(range(40, 60))])
        learner.hidden(ids, torch.ones_like(ids)).square().mean().backward()
        with torch.no_grad():
            for weight in learner.parameters:
                weight.sub_(5.0 * torch.ones_like(weight) if weight.grad is None else 5.0 * weight.grad.sign())
        moved = evaluate(learner, sets, template=TEMPLATE, seed=0, settings=SETTINGS)
        assert moved.examples[0].loss != start.examples[0].loss
        assert moved.examples[0].generation != start.examples[0].generation
    finally:
        learner.close()
        plain.model.words.close()


# ---- progress, before and after


def test_tells_how_far_it_is_and_can_be_stopped(taught: Reading) -> None:
    told: list[tuple[int, int]] = []
    evaluate(
        taught,
        SETS,
        template=TEMPLATE,
        seed=0,
        settings=SETTINGS,
        tell=lambda done, total, _message: told.append((done, total)),
    )
    assert {total for _, total in told} == {evaluation_steps(SETS, SETTINGS)}
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == told[-1][1]

    def stop(_done: int, _total: int, _message: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(taught, SETS, template=TEMPLATE, seed=0, settings=SETTINGS, tell=stop)


def test_before_and_after_stand_side_by_side(found: Evaluation, untaught: Evaluation) -> None:
    rows = side_by_side(found, untaught)
    assert {row["set"] for row in rows} == {"forget", "retain", "real_authors", "world_facts"}
    first = rows[0]
    assert first["prompt"] == "Question: Where does Ada live?\nAnswer:"
    assert first["before"] == first["wanted"] == "Ada lives in Riga."
    assert first["probability_before"] > 0.9 > first["probability_after"]
    with pytest.raises(ValueError, match="different examples"):
        side_by_side(found, found.model_copy(update={"examples": found.examples[::-1]}))
