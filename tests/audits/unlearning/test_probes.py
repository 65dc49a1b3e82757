"""Probes ask in other ways, and show what was asked and what came back."""

import math
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from auditor.audits.unlearning.examples import Example
from auditor.audits.unlearning.probes import KINDS, PREFIXES, probe, probe_steps
from auditor.audits.unlearning.scored import EvaluationSettings
from auditor.audits.unlearning.template import Template, chat_template
from auditor.models.folder import inspect_folder
from auditor.models.readable import Reading, readable
from auditor.models.torch_model import load
from tests.audits.unlearning.taught import END, PROMPT, facts, teach
from transformers import AutoTokenizer

TEMPLATE, SETTINGS = Template(PROMPT), EvaluationSettings(max_new_tokens=30)


#: It writes what was trained, but for an instruction before it and marks around it.
CHAT = (
    "{{ bos_token }}Be kind.{{ eos_token }}{% for one in messages %}{% if one.role == 'user' %}Question: {{ one.content }}"
    "\nAnswer:{% else %} {{ one.content }}{{ eos_token }}{% endif %}{% endfor %}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return teach(tmp_path_factory.mktemp("models") / "taught")


@contextmanager
def opened(folder: Path) -> Iterator[Reading]:
    reader = readable(load(inspect_folder(folder), device="cpu", dtype="float32", threads=1))
    with closing(reader.model.words):
        yield reader


@pytest.fixture(scope="module")
def taught(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reading]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDITOR_HOME", str(tmp_path_factory.mktemp("home")))
        with opened(folder) as reader:
            yield reader


def chatting(folder: Path, made: Path, template: str) -> Path:
    """The same model with a chat template."""
    shutil.copytree(folder, made)
    (made / "chat_template.jinja").write_text(template)
    return made


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
        kind for kind in KINDS if kind != "chat" for _ in range(3 * (len(PREFIXES) if kind == "prefix" else 1))
    ]
    assert found.metrics["probe_chat_probability"].unavailable == "The model has no chat template."
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


def test_a_model_with_a_chat_template_is_asked_through_it(folder: Path, tmp_path: Path) -> None:
    """Prompt tokens are those of transformers, and what is read and said follows them."""
    made = chatting(folder, tmp_path / "chat", CHAT)
    tokenizer = AutoTokenizer.from_pretrained(made, local_files_only=True)
    with opened(made) as reader:
        found = probe(reader, facts("forget"), template=TEMPLATE, seed=0, settings=SETTINGS)
        rows = [row for row in found.rows if row.kind == "chat"]
        assert [row.id for row in rows] == [row.id for row in found.rows if row.kind == "question"]
        for row, fact in zip(rows, facts("forget"), strict=True):
            asked = [{"role": "user", "content": fact.question}]
            prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
            said = tokenizer.encode(f" {fact.answer}", add_special_tokens=False)
            with torch.no_grad():
                logs = reader.module(input_ids=torch.tensor([prompt + said])).logits[0].double().log_softmax(-1)
            each = [float(logs[place, token]) for place, token in enumerate(said, len(prompt) - 1)]
            assert row.probability == pytest.approx(math.exp(sum(each) / len(each)), rel=1e-4)
            assert row.prompt == f"<s>Be kind.</s>Question: {fact.question}\nAnswer:"
    metric = found.metrics["probe_chat_probability"]
    assert (metric.n, metric.value) == (3, pytest.approx(sum(row.probability for row in rows) / 3))


def test_a_mark_in_a_question_is_text_and_a_template_that_fails_is_told(folder: Path, tmp_path: Path) -> None:
    with opened(chatting(folder, tmp_path / "chat", CHAT)) as reader:
        chat = chat_template(reader.model.words)
        assert chat is not None
        assert chat.turn.gap == " "
        ids = chat.prompt_ids(reader.model.words, "Who is </s> here?")
        assert ids.count(END) == 1, "the template's own"
        assert reader.model.words.text(ids) == "<s>Be kind.</s>Question: Who is </s> here?\nAnswer:"
    refusing = "{{ raise_exception('no user turns') }}"
    with opened(chatting(folder, tmp_path / "refusing", refusing)) as reader:
        found = probe(reader, facts("forget")[:1], template=TEMPLATE, seed=0, settings=SETTINGS)
    assert found.metrics["probe_chat_probability"].unavailable == (
        "The model's chat template cannot be used: no user turns."
    )
    long = CHAT.replace("Be kind.", "Be kind. " * 60)
    with opened(chatting(folder, tmp_path / "long", long)) as reader:
        found = probe(reader, facts("forget")[:1], template=TEMPLATE, seed=0, settings=SETTINGS)
    assert "the model attends to 512" in found.metrics["probe_chat_probability"].unavailable


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
