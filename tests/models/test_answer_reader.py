"""Answers read from a GGUF file are as probable as llama_cpp alone finds them, however many are read at once."""

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
from auditor.errors import ModelError
from auditor.models import ModelFile
from auditor.models.answer_reader import AnswerReader, answer_reader
from auditor.models.export_gguf import export_gguf
from auditor.models.folder import inspect_folder
from auditor.models.inspect import inspect
from auditor.models.make_trainable import trainable
from auditor.models.quantise import requantise
from llama_cpp import Llama
from numpy.typing import NDArray
from tests.models import small

_GENERATOR = np.random.default_rng(5)
#: More texts than the cache has sequences for, among them ones that are longer than a batch has places to be read.
ANSWERS = [
    (_GENERATOR.integers(3, 390, length).tolist(), int(begin))
    for length, begin in [(2, 0), (200, 3), (150, 149), *((12 + place % 30, 4 + place % 7) for place in range(90))]
]


#: Nats between two orders of computing the same: keys and values are kept in float16, and Q4_0 rounds what it multiplies.
NEAR = {"F32": 0.002, "Q4_0": 0.02}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelFile]:
    folder = tmp_path_factory.mktemp("answers")
    with closing(
        trainable(inspect_folder(small.write(folder / "source")), device="cpu", dtype="float32", threads=1)
    ) as learner:
        made = {"F32": export_gguf(learner, folder / "model.gguf", "F32").file}
    requantise(folder / "model.gguf", folder / "q4.gguf", "Q4_0", made_from=made["F32"].sha256)
    return made | {"Q4_0": inspect(folder / "q4.gguf")}


@pytest.fixture(params=["F32", "Q4_0"])
def reader(files: dict[str, ModelFile], request: pytest.FixtureRequest) -> Iterator[AnswerReader]:
    with answer_reader(files[request.param], 200) as opened:
        yield opened


def alone(llm: Llama, ids: list[int], answer_from: int) -> NDArray[np.float64]:
    """Every log-probability densely, by llama_cpp's own class."""
    llm.reset()
    llm.eval(ids)
    logits = np.array(llm.scores[: len(ids)], np.float64)
    logs = (
        logits
        - np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True))
        - logits.max(-1, keepdims=True)
    )
    first = max(answer_from, 1)
    return np.array([logs[place - 1, ids[place]] for place in range(first, len(ids))])


def test_log_probabilities_are_those_that_llama_cpp_gives_alone(reader: AnswerReader) -> None:
    told: list[int] = []
    found = reader.log_probabilities(ANSWERS, told.append)
    assert told[-1] == len(ANSWERS)
    assert len(told) > 1, "several batches"
    with closing(Llama(str(reader.file.path), n_ctx=256, logits_all=True, verbose=False)) as llm:
        for (ids, answer_from), logs in zip(ANSWERS, found, strict=True):
            assert logs == pytest.approx(alone(llm, ids, answer_from), abs=NEAR[reader.file.quantisation])


def test_an_answer_is_as_probable_alone_as_among_others(reader: AnswerReader) -> None:
    together = reader.log_probabilities(ANSWERS)
    for place in (0, 1, 2, 40, len(ANSWERS) - 1):
        (one,) = reader.log_probabilities([ANSWERS[place]])
        assert one == pytest.approx(together[place], abs=NEAR[reader.file.quantisation])
    again = reader.log_probabilities(ANSWERS)
    assert all(np.array_equal(one, other) for one, other in zip(together, again, strict=True)), "the same every time"


def test_what_cannot_be_read_is_refused(reader: AnswerReader) -> None:
    with pytest.raises(ModelError, match="A text of 201 tokens exceeds 200"):
        reader.log_probabilities([([5] * 201, 1)])
    with pytest.raises(ValueError, match="needs a token behind the first"):
        reader.log_probabilities([([5, 6], 2)])
