"""Unlearning runs side by side: figures counted once more from their rows, what is said of them, and what is refused."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from auditor.audits import InputFile, unlearning
from auditor.audits.memory import MemoryContext
from auditor.audits.unlearning.compare import Comparison, RunTables, compare
from auditor.audits.unlearning.compare_examples import measured_of
from auditor.audits.unlearning.compare_measures import Estimate
from auditor.audits.unlearning.compare_text import difference_words, forgotten, ground, headline, outcomes
from auditor.audits.unlearning.figures_compare import compare_pictures
from auditor.audits.unlearning.findings import UnlearningFindings
from auditor.errors import InputError
from auditor.models import ModelFile
from auditor.stats.auc import auc_draws
from tests.audits.unlearning.small_runs import UNLEARN

Runs = tuple[RunTables, RunTables, dict[str, list[dict[str, Any]]]]


def ran(
    name: str, model: ModelFile, inputs: Mapping[str, InputFile], folder: Any, **more: Any
) -> tuple[RunTables, list[dict[str, Any]]]:
    """A run as far as it is compared, and the rows of its table of examples."""
    spec = unlearning.Spec(**UNLEARN | more)
    context = MemoryContext({"model": model}, seed=3, folder=folder / name)
    findings = unlearning.run(spec, inputs, context).model_dump(mode="json")
    stages = {row["stage"]: row["result"] for row in context.flushed["stages"]}
    hashes = {role: file.sha256 for role, file in inputs.items()}
    before, after = measured_of(name, stages)
    run = RunTables(name, findings, spec.model_dump(mode="json"), 3, before, after, hashes)
    return run, context.tables["examples"].to_pylist()


@pytest.fixture(scope="module")
def runs(
    learnt: tuple[UnlearningFindings, ModelFile],
    given: dict[str, InputFile],
    tmp_path_factory: pytest.TempPathFactory,
) -> Runs:
    """Two methods that have forgotten the same facts, and their tables of examples by name."""
    folder = tmp_path_factory.mktemp("compared")
    first, rows_a = ran("long", learnt[1], given, folder)
    second, rows_b = ran("short", learnt[1], given, folder, method="grad_diff", epochs=2)
    return first, second, {"long": rows_a, "short": rows_b}


@pytest.fixture(scope="module")
def compared(runs: Runs) -> Comparison:
    return compare(runs[:2], seed=7)


def of(rows: list[dict[str, Any]], kind: str, name: str) -> np.ndarray[Any, Any]:
    """A column of a kind of example, by question."""
    return np.array([row[name] for row in sorted(rows, key=lambda row: str(row["question"])) if row["kind"] == kind])


def test_a_difference_and_its_interval_are_those_of_the_rows(runs: Runs, compared: Comparison) -> None:
    """Paired over questions: the same draws for both runs, percentiles of the mean difference."""
    (pair,) = compared.pairs
    for kind, name in (("forget", "forget_answer_probability"), ("retain", "retain_answer_probability")):
        a, b = (of(runs[2][run], kind, "probability_after") for run in ("long", "short"))
        found = pair.measure(name)
        assert found.n == len(a) == len(b)
        assert found.start == pytest.approx(of(runs[2]["long"], kind, "probability_before").mean(), rel=1e-12)
        assert found.difference.value == pytest.approx((a - b).mean(), rel=1e-12)
        drawn = np.random.default_rng(1).integers(0, len(a), (20_000, len(a)))
        ends = np.quantile((a - b)[drawn].mean(axis=1), [0.025, 0.975])
        assert [found.difference.low, found.difference.high] == pytest.approx(ends.tolist(), abs=0.1 * np.ptp(ends))
    loss = pair.measure("retain_loss")
    for run, estimate in ((runs[0], loss.a), (runs[1], loss.b)):
        assert estimate.value == pytest.approx(run.findings["constraint"]["retain_loss_after"], abs=1e-4)
    rows = compared.table.to_pylist()
    assert [row["kind"] for row in rows] == ["forget"] * 3 + ["probes"] + ["retain"] * 6 + ["holdout"] * 3
    assert {row["above"] for row in rows[:3]} <= {"neither", "A alone", "B alone", "both"}
    assert {row["above"] for row in rows[3:]} == {None}


def test_areas_are_those_of_the_scores_and_the_worst_way_is_the_highest(runs: Runs, compared: Comparison) -> None:
    (pair,) = compared.pairs
    found = pair.measure("mia_min_k")
    for run, estimate in ((runs[0], found.a), (runs[1], found.b)):
        own = {kind: [one for one in run.after.examples if one.set == kind] for kind in ("forget", "holdout")}
        scores = [one.scores["min_k"] for rows in own.values() for one in rows]
        area = sklearn.metrics.roc_auc_score([0] * len(own["forget"]) + [1] * len(own["holdout"]), scores)
        assert estimate.value == pytest.approx(area)
    worst = []
    for one in (one for one in runs[0].after.examples if one.set == "forget"):
        ways = [way for way in runs[0].after.other_ways if way.row == one.row and way.kind != "answer start"]
        worst.append(max([one.answer_probability, *(way.probability for way in ways)]))
    assert pair.measure("worst_way_probability").a.value == pytest.approx(np.mean(worst))


def test_words_name_what_differs_and_claim_no_more_than_the_intervals(runs: Runs, compared: Comparison) -> None:
    (pair,) = compared.pairs
    assert pair.differs == ("method", "epochs")
    told = headline(pair)
    assert told.startswith("3 answers to forget: ")
    assert "6 answers to keep: " in told
    assert "better" not in told
    assert "They differ in method, epochs." in ground(pair, compared)
    messages = {caution.code: caution.message for caution in compared.cautions}
    assert "another seed would move it is not in the intervals" in messages["one_training"]
    assert "long differs from short in method and epochs" in messages["several_causes"]
    assert "rest on 1 different example: they have no intervals" in messages["few_groups"], "there is one probe"
    rows = {row[0]: row[1:] for row in outcomes(pair).rows}
    assert rows["Method"] == ("pdu", "grad_diff")
    assert rows["Verdict"] == (runs[0].findings["state"], runs[1].findings["state"])
    assert len(forgotten(pair, 0.95).rows) == sum(one.group == "forget" for one in pair.measures)
    (picture,) = compare_pictures(compared, "dark")
    assert picture.data.num_rows == len(pair.measures)
    picture.figure.draw_without_rendering()
    ticks = [label.get_text() for axes in picture.figure.axes for label in axes.get_yticklabels()]
    assert "0.1" in ticks
    assert "$" not in "".join(ticks), "numbers, never formulas"


def test_a_seed_alone_is_said_and_of_the_same_run_nothing_differs(runs: Runs) -> None:
    again = compare([runs[0], replace(runs[0], name="again", seed=4)])
    (pair,) = again.pairs
    assert pair.differs == ("seed",)
    assert any("differ in the seed alone" in caution.message for caution in again.cautions)
    assert all(one.difference.value == 0 and not one.is_clear for one in pair.measures)
    told = headline(pair)
    assert "no clear difference" not in told.partition("to keep")[0], "three examples cannot tell"
    assert "no clear difference" in told.partition("to keep")[2]
    assert told.endswith("With fewer than 6 different examples nothing is called clear.")


def repeated(run: RunTables) -> RunTables:
    """The same question and answer for every example to forget, as a careless file has it."""
    before, after = (
        measured.model_copy(
            update={
                "examples": tuple(
                    one.model_copy(update={"question": "Who?", "answer": "Ada."}) if one.set == "forget" else one
                    for one in measured.examples
                )
            }
        )
        for measured in (run.before, run.after)
    )
    return replace(run, before=before, after=after)


def test_an_example_that_stands_often_is_one_example(runs: Runs) -> None:
    found = compare([repeated(run) for run in runs[:2]])
    (pair,) = found.pairs
    for name in ("forget_answer_probability", "mia_loss"):
        one = pair.measure(name)
        assert (one.n_different, one.difference.low) == (1, None)
        assert not one.is_clear
    assert pair.measure("forget_answer_probability").n == 3
    assert "With fewer than 6 different examples nothing is called clear." in headline(pair)
    assert any("rest on 1 different example" in caution.message for caution in found.cautions)


def test_areas_draw_an_example_that_stands_twice_as_one(runs: Runs) -> None:
    """Against the draws by hand: two of the three examples to forget have one question and answer."""
    kept = [one.key for one in runs[0].after.examples if one.set == "forget"][-1]

    def twice(run: RunTables) -> RunTables:
        old = repeated(run)
        before, after = (
            mixed.model_copy(
                update={
                    "examples": tuple(
                        own if own.key == kept else other
                        for own, other in zip(whole.examples, mixed.examples, strict=True)
                    )
                }
            )
            for whole, mixed in ((run.before, old.before), (run.after, old.after))
        )
        return replace(run, before=before, after=after)

    (pair,) = compare([twice(run) for run in runs[:2]], seed=7).pairs
    area = pair.measure("mia_loss")
    draws = []
    for run in runs[:2]:
        own = {kind: [one for one in run.after.examples if one.set == kind] for kind in ("forget", "holdout")}
        scores = [np.array([one.scores["loss"] for one in own[kind]]) for kind in ("forget", "holdout")]
        of_forget, of_holdout = (
            [one.key for one in twice(run).after.examples if one.set == kind] for kind in ("forget", "holdout")
        )
        groups = of_forget, of_holdout
        assert [len(set(each)) for each in groups] == [2, 3]
        draws.append(auc_draws(*scores, seed=7, groups=groups))
    assert area.n_different == 2
    wanted = np.quantile(draws[0] - draws[1], [0.025, 0.975])
    assert [area.difference.low, area.difference.high] == pytest.approx(wanted.tolist(), abs=1e-12)


def test_what_a_run_chose_itself_and_its_device_are_compared(runs: Runs) -> None:
    constraint = {**runs[0].findings["constraint"], "gamma": 0.5}
    found = {**runs[0].findings, "constraint": constraint, "device": "CUDA, another card"}
    (pair,) = compare([runs[0], replace(runs[0], name="other", findings=found)]).pairs
    assert pair.differs == ("gamma", "device")


def test_a_loss_just_above_its_bound_does_not_read_as_the_bound(runs: Runs, compared: Comparison) -> None:
    (pair,) = compared.pairs
    first, second = pair.outcomes
    above = first.model_copy(update={"retain_loss": 0.3004, "epsilon": 0.3})
    told = {row[0]: row[1] for row in outcomes(pair.model_copy(update={"outcomes": (above, second)})).rows}
    assert told["Retain loss and epsilon"] == "0.3004 of 0.3000 nats"


def other_model(run: RunTables) -> RunTables:
    return replace(run, findings={**run.findings, "model_sha256": "0" * 64, "model_name": "other"})


def learning(run: RunTables) -> RunTables:
    return replace(run, findings={**run.findings, "constraint": None})


def other_answers(run: RunTables) -> RunTables:
    """Another file of what is kept, with other answers."""
    return replace(with_answers(run), inputs={**run.inputs, "retain": "1" * 64})


def with_answers(run: RunTables) -> RunTables:
    before, after = (
        measured.model_copy(
            update={
                "examples": tuple(
                    one.model_copy(update={"answer": f"{one.answer} No."}) if one.set == "retain" else one
                    for one in measured.examples
                )
            }
        )
        for measured in (run.before, run.after)
    )
    return replace(run, before=before, after=after)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_model, r"^long and short begin with different models, model and other: what differs afterwards may"),
        (learning, r"^short has learnt: nothing was to be forgotten"),
        (other_answers, r"^short keeps other texts than long"),
        (with_answers, r"^long and short measured no example to keep together"),
        (lambda run: replace(run, name="long"), r"^A comparison needs two or more different runs"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused_in_a_sentence(runs: Runs, change: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compare([runs[0], change(runs[1])])


def test_the_same_texts_in_another_file_are_compared_and_a_run_that_measured_nothing_is_not(runs: Runs) -> None:
    other = replace(runs[1], inputs={**runs[1].inputs, "forget": "1" * 64})
    assert compare([runs[0], other]).pairs[0].n["forget"] == 3
    with pytest.raises(InputError, match="The run x is not finished: nothing was measured after the training"):
        measured_of("x", {"before": {}})


@pytest.mark.parametrize(
    ("estimate", "unit", "words"),
    [
        (Estimate(value=-0.041, low=-0.06, high=-0.022), "share", "−4.1 (−6.0 to −2.2)"),
        (Estimate(value=-0.0004, low=-0.0006, high=-0.00002), "share", "−0.040 (−0.060 to −0.002)"),
        (Estimate(value=0.002, low=-0.1, high=0.1), "share", "+0.2 (−10.0 to +10.0)"),
        (Estimate(value=3e-9, low=None, high=None), "share", "+3e−07"),
        (Estimate(value=0.0, low=0.0, high=0.0), "nats", "0.000 (0.000 to 0.000)"),
    ],
)
def test_a_difference_that_is_not_0_never_reads_0(estimate: Estimate, unit: Any, words: str) -> None:
    assert difference_words(estimate, unit) == words
