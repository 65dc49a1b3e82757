"""TOFU and MUSE as they are published: lengths, prompts and figures."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from auditor.audits.unlearning import benchmarks
from auditor.audits.unlearning.examples import Example
from auditor.audits.unlearning.template import Template
from auditor.models.folder import inspect_folder
from auditor.models.readable import Reading, readable
from auditor.models.torch_model import load
from tests.audits.unlearning.taught import PROMPT, facts, teach

TEXT = "It rained all night, and in the morning the river stood in the street before the old mill. "


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reading]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDITOR_HOME", str(tmp_path_factory.mktemp("home")))
        file = inspect_folder(teach(tmp_path_factory.mktemp("models") / "taught"))
        reader = readable(load(file, device="cpu", dtype="float32", threads=1))
        yield reader
        reader.model.words.close()


def test_tofu_reads_two_hundred_tokens(taught: Reading) -> None:
    found = benchmarks.run(
        "tofu", taught, {"forget": facts("forget"), "retain": facts("retain")}, template=Template(PROMPT), seed=0
    )
    assert found.settings.max_new_tokens == 200
    assert found.metrics["forget_rouge_recall"].value == 1


def test_muse_continues_texts_and_answers_after_shots(taught: Reading) -> None:
    texts = tuple(Example(str(i), None, TEXT + str(i), i) for i in range(1, 7))
    files = {
        "verbmem": (Example("1", TEXT.strip(), "A" + TEXT * 3, 1),),
        "knowmem_forget": facts("forget"),
        "knowmem_retain": facts("retain"),
        "shots_forget": (replace(facts("holdout")[0], question="Who is {question}?"),),
        "forget": texts,
        "holdout": texts[:3],
    }
    told: list[tuple[int, int]] = []
    found = benchmarks.run(
        "muse",
        taught,
        files,
        template=Template(PROMPT),
        seed=0,
        tell=lambda done, total, _message: told.append((done, total)),
    )
    assert told[-1][0] == told[-1][1]
    (text,) = found.of("verbmem")
    assert text.prompt == TEXT.strip()
    assert text.wanted == ("A" + TEXT * 3)[:128].strip()  # the tokenizer knows bytes
    assert len(text.generation or "") <= 128
    asked = found.of("knowmem_forget")[0]
    assert asked.prompt == (
        "Question: Who is { question }?\nAnswer: Gus lives in Baku.\n\nQuestion: Where does Ada live?\nAnswer: "
    )
    assert "\nQuestion" not in (asked.generation or "")
    assert len(asked.generation or "") <= 32
    for name in ("verbmem_rouge_f1", "knowmem_forget_rouge_f1", "knowmem_retain_rouge_f1", "mia_min_k"):
        assert found.metrics[name].value is not None, name
    assert "no reference" in found.metrics["privleak"].unavailable
    # The texts held out are among those to forget, so that nothing tells them apart.
    assert found.metrics["mia_min_k"].value == pytest.approx(0.5, abs=0.3)


def test_muse_says_which_file_is_missing(taught: Reading) -> None:
    found = benchmarks.run("muse", taught, {"knowmem_retain": facts("retain")}, template=Template(PROMPT), seed=0)
    assert "no such file" in found.metrics["verbmem_rouge_f1"].unavailable
    assert "no holdout" in found.metrics["privleak"].unavailable
    assert found.metrics["knowmem_retain_rouge_f1"].value is not None
