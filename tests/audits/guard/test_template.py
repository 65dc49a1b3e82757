"""Prompts: what the model sees, and that tokens of prefix and query are those of the prompt."""

import pytest
from auditor.audits.guard.pools import Draw
from auditor.audits.guard.spec import GuardSpec
from auditor.audits.guard.task import Demonstration, Task
from auditor.audits.guard.template import Encoder, Template, preview
from auditor.models import ModelFile
from auditor.models.vocabulary import Vocabulary
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.audits.guard.test_sample import sample

TASK = Task(("0", "1"), ("bad", "good"))
SHOWN = (Demonstration("Cold soup.", "bad", "0", "d1"), Demonstration("Warm bread.", "good", "1", "d2"))


def of_bytes(text: str, *, begin: bool) -> list[int]:
    """A tokenizer of one token a byte, which any seam leaves as it is."""
    return [256] * begin + list(text.encode())


def test_the_prompt_is_written_by_the_template() -> None:
    made = Template.of(GuardSpec()).prompt(TASK, SHOWN, "Kind staff.")
    assert made.text == (
        "Answer with one of: bad, good.\n\nText: Cold soup.\nLabel: bad\n\nText: Warm bread.\nLabel: good\n\n"
        "Text: Kind staff.\nLabel:"
    )
    assert [made.prefix[place] for place in made.labels] == [" bad", " good"]


def test_zero_shot_is_the_same_without_demonstrations() -> None:
    template = Template.of(GuardSpec())
    assert template.zero_shot(TASK, "Kind staff.").text == (
        "Answer with one of: bad, good.\n\nText: Kind staff.\nLabel:"
    )
    bare = Template.of(GuardSpec(instruction=""))
    assert bare.zero_shot(TASK, "Kind staff.").text == "Text: Kind staff.\nLabel:"
    assert bare.zero_shot(TASK, "Kind staff.").prefix == ()
    assert bare.prompt(TASK, SHOWN[:1], "Kind staff.").text.startswith("Text: Cold soup.\nLabel: bad\n\nText: Kind")


def test_a_text_is_never_taken_for_a_part_of_the_template() -> None:
    tricky = Demonstration("{label} {text}", "bad", "0", "d1")
    made = Template.of(GuardSpec()).prompt(TASK, (tricky,), "{text}{labels}")
    assert "Text: {label} {text}\nLabel: bad" in made.text
    assert made.text.endswith("Text: {text}{labels}\nLabel:")


@given(
    st.lists(st.tuples(st.text(min_size=1), st.sampled_from([0, 1])), max_size=5),
    st.text(),
    st.sampled_from(["", "Say {labels}."]),
    st.sampled_from(["Text: {text}\nLabel: {label}", "{label}:{text}", "{text}   {label}\n(end)"]),
    st.sampled_from(["\n\n", "", " | "]),
)
def test_prefix_and_query_are_the_prompt_and_labels_are_where_they_are_said_to_be(
    texts: list[tuple[str, int]], text: str, instruction: str, demonstration: str, separator: str
) -> None:
    shown = [Demonstration(t, TASK.words[n], TASK.labels[n], str(i)) for i, (t, n) in enumerate(texts)]
    made = Template(instruction, demonstration, "{text} =>", separator).prompt(TASK, shown, text)
    encoded = Encoder(of_bytes).encode(made)
    whole = encoded.prefix + encoded.query
    assert list(whole) == of_bytes(made.text, begin=True)
    assert len(encoded) == len(whole)
    found = [bytes(token for token in whole[begin:end] if token < 256).decode() for begin, end in encoded.labels]
    assert [word.strip(" ") for word in found] == [one.word for one in shown]


def test_segments_are_tokenised_once() -> None:
    asked = []

    def counting(text: str, *, begin: bool) -> list[int]:
        asked.append(text)
        return of_bytes(text, begin=begin)

    encoder, template = Encoder(counting), Template.of(GuardSpec())
    for text in ("a", "b", "a"):
        encoder.encode(template.prompt(TASK, SHOWN, text))
    assert len(asked) == len(set(asked))


def test_a_preview_shows_both_prompts_and_counts_tokens() -> None:
    template = Template.of(GuardSpec())
    shown = preview(template, TASK, SHOWN, "Kind staff.", of_bytes)
    assert shown.n_zero_shot == len(shown.zero_shot) + 1
    assert shown.n_with_demonstrations == len(shown.with_demonstrations) + 1
    assert preview(template, TASK, SHOWN, "Kind staff.").n_zero_shot is None


@pytest.mark.parametrize(
    ("field", "written", "says"),
    [
        ("query", "Label:", r"\{text\} must stand in it once"),
        ("query", "{text} {text}:", "once"),
        ("query", "{text}: ", "ends in a blank"),
        ("demonstration", "{text}", r"\{label\} must stand in it once"),
    ],
)
def test_a_template_that_cannot_work_is_refused(field: str, written: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        GuardSpec(**{field: written})


def test_segments_are_cut_where_the_tokenizer_cuts(starter_model: ModelFile) -> None:
    spec, given = GuardSpec(), sample()
    template, draw = Template.of(spec), Draw(given.demonstrations, spec, seed=0)
    with Vocabulary(starter_model) as vocabulary:

        def tokenize(text: str, *, begin: bool) -> list[int]:
            return vocabulary.tokenize(text, special=False, begin=begin)

        encoder = Encoder(tokenize)
        for query in given.queries[:50]:
            made = template.prompt(given.task, draw.demonstrations(query.id), query.text)
            encoded = encoder.encode(made)
            assert list(encoded.prefix + encoded.query) == tokenize(made.text, begin=True)
            shown = [vocabulary.text(encoded.prefix[begin:end]) for begin, end in encoded.labels]
            assert shown == [f" {one.word}" for one in draw.demonstrations(query.id)]
