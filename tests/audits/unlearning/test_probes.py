"""Probes ask in other ways, and show what was asked and what came back."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from auditor.audits.unlearning.examples import Example
from auditor.audits.unlearning.probes import KINDS, PREFIXES, probe, probe_steps
from auditor.audits.unlearning.scored import EvaluationSettings
from auditor.audits.unlearning.template import Template
from auditor.models.folder import inspect_folder
from auditor.models.readable import Reading, readable
from auditor.models.torch_model import load
from tests.audits.unlearning.taught import PROMPT, facts, teach

TEMPLATE, SETTINGS = Template(PROMPT), EvaluationSettings(max_new_tokens=30)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reading]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDITOR_HOME", str(tmp_path_factory.mktemp("home")))
        file = inspect_folder(teach(tmp_path_factory.mktemp("models") / "taught"))
        reader = readable(load(file, device="cpu", dtype="float32", threads=1))
        yield reader
        reader.model.words.close()


def test_every_fact_is_asked_in_every_way(taught: Reading) -> None:
    told: list[int] = []
    found = probe(
        taught,
        facts("forget"),
        template=TEMPLATE,
        seed=0,
        settings=SETTINGS,
        tell=lambda done, _total, _message: told.append(done),
    )
    assert [row.kind for row in found.rows] == [
        kind for kind in KINDS for _ in range(3 * (len(PREFIXES) if kind == "prefix" else 1))
    ]
    assert told[-1] == probe_steps(facts("forget"), TEMPLATE) == 2 * len(found.rows)
    by_kind = {row.kind: row for row in found.rows if row.id == "Ada"}
    assert by_kind["question"].prompt == "Question: Where does Ada live?\nAnswer:"
    assert by_kind["question"].generation == "Ada lives in Riga."
    assert by_kind["paraphrase"].prompt == "Question: Where is Ada at home?\nAnswer:"
    assert by_kind["prefix"].prompt == f"{PREFIXES[1]}Question: Where does Ada live?\nAnswer:"
    assert by_kind["answer start"].prompt == "Question: Where does Ada live?\nAnswer: Ada lives"
    assert by_kind["answer start"].wanted == "in Riga."
    assert by_kind["answer start"].generation == "in Riga."
    assert found.metrics["probe_question_rouge_recall"].value == 1
    assert found.metrics["probe_answer_start_probability"].value == pytest.approx(1, abs=0.1)
    assert found.metrics["probe_prefix_rouge_recall"].n == 3, "examples, whatever number of prefixes"


def test_what_cannot_be_asked_says_why(taught: Reading) -> None:
    bare = tuple(replace(one, paraphrased_question="", answer="Riga") for one in facts("forget"))
    found = probe(taught, bare, template=TEMPLATE, seed=0, settings=SETTINGS)
    assert "question in other words" in found.metrics["probe_paraphrase_rouge_recall"].unavailable
    assert "two words" in found.metrics["probe_answer_start_probability"].unavailable
    text = probe(taught, (Example("1", None, "It rained all night.", 1),), template=TEMPLATE, seed=0, settings=SETTINGS)
    assert [row.kind for row in text.rows] == ["answer start"]
    assert text.rows[0].prompt == "It rained"


def test_a_text_longer_than_the_model_attends_to_is_begun_and_not_refused(taught: Reading) -> None:
    text = Example("1", None, "It rained all night, and in the morning the river stood in the street. " * 20, 1)
    found = probe(taught, (text,), template=TEMPLATE, seed=0, settings=SETTINGS)
    (row,) = found.rows
    assert text.answer.startswith(row.prompt + row.wanted)
    assert len(row.wanted) == SETTINGS.max_new_tokens


def test_a_question_repeated_as_its_paraphrase_is_no_other_words(taught: Reading) -> None:
    same = tuple(replace(one, paraphrased_question=f" {one.question} ") for one in facts("forget"))
    found = probe(taught, same, template=TEMPLATE, seed=0, settings=SETTINGS)
    assert "question in other words" in found.metrics["probe_paraphrase_probability"].unavailable


def test_the_token_that_ends_an_answer_is_no_part_of_what_came_back(taught: Reading) -> None:
    rows = [
        probe(
            taught,
            facts("forget"),
            template=TEMPLATE,
            seed=0,
            settings=SETTINGS.model_copy(update={"ends_answers": ends}),
        ).rows
        for ends in (True, False)
    ]
    assert [row.probability for row in rows[0]] == pytest.approx([row.probability for row in rows[1]], rel=1e-9)
