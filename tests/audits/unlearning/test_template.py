"""Examples as tokens: where the answer begins, what ends it, and long texts in pieces."""

from collections.abc import Iterator

import pytest
from auditor.audits.unlearning.examples import Example
from auditor.audits.unlearning.template import Template, pieces, tokens_of
from auditor.models.folder import inspect_folder
from auditor.models.words import Words, words_of
from tests.models import small

ASKED = Example("1", "Who keeps the lighthouse {now}?", "Ada Marsh.", 1)
TEXT = Example("2", None, "The quick brown fox jumps over the lazy dog; it didn't stop for 1,234 hours.", 2)


@pytest.fixture(scope="module", params=[True, False], ids=["begins", "bare"])
def words(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Words]:
    model = inspect_folder(small.write(tmp_path_factory.mktemp("models") / "llama", begins=request.param))
    found = words_of(model, model.path)
    yield found
    found.close()


def test_the_answer_begins_behind_the_prompt(words: Words) -> None:
    found = tokens_of(words, ASKED, Template(), end=1)
    prompt = Template().prompt_ids(words, "Who keeps the lighthouse {now}?")
    assert list(found.ids[: found.answer_from]) == prompt
    assert words.text(found.ids[found.answer_from : -1]) == " Ada Marsh."
    assert found.ids[-1] == 1
    assert words.text(prompt).endswith("Question: Who keeps the lighthouse {now}?\nAnswer:")


def test_a_plain_text_is_all_answer(words: Words) -> None:
    found = tokens_of(words, TEXT, Template())
    assert words.text(found.ids[found.answer_from :]) == TEXT.answer


def test_what_is_too_long_is_cut(words: Words) -> None:
    whole = tokens_of(words, ASKED, Template(), end=1)
    cut = tokens_of(words, ASKED, Template(), end=1, most=len(whole.ids) - 2)
    assert cut.ids == whole.ids[:-2]


def test_every_token_of_a_long_text_is_predicted_once(words: Words) -> None:
    whole = tokens_of(words, TEXT, Template())
    parts = pieces(words, TEXT, Template(), most=8)
    assert all(len(part.ids) <= 8 for part in parts)
    predicted = [token for part in parts for token in part.ids[max(1, part.answer_from) :]]
    assert predicted == list(whole.ids[max(1, whole.answer_from) :])
