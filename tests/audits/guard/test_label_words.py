"""Labels that a model cannot tell apart by one token are refused with both names, and words that would do are offered."""

import pytest
from auditor.audits.guard.label_words import alike, label_tokens_of, suggested
from auditor.audits.guard.task import Task
from auditor.errors import InputError

#: What this tokenizer takes for one token, with the blank before it.
WHOLE = ("positive", "negative", "neutral", "offensive", "great", "very", "good", "news", *"ABCDEFG")
NUMBERS = {word: number for number, word in enumerate(WHOLE)}


def tokenize(text: str, *, begin: bool) -> list[int]:
    """Words that are whole are one token; others are split behind the fourth letter, then letter by letter."""
    found = [999] * begin
    for word in text.split():
        if word in NUMBERS:
            found.append(NUMBERS[word])
        else:
            found += [1000 + sum(map(ord, word[:4])), *map(ord, word[4:])]
    return found


def label_tokens(word: str) -> tuple[int, ...]:
    return (NUMBERS[word],) if word in NUMBERS else ()


def task(*words: str, labels: tuple[str, ...] = ()) -> Task:
    return Task(labels or words, words)


def refused(asked: Task) -> str:
    with pytest.raises(InputError) as error:
        label_tokens_of(asked, tokenize, label_tokens)
    return str(error.value)


def test_labels_of_one_token_each_are_scored_by_it() -> None:
    asked = task("negative", "positive", labels=("0", "1"))
    assert label_tokens_of(asked, tokenize, label_tokens) == [(NUMBERS["negative"],), (NUMBERS["positive"],)]


def test_labels_that_begin_with_one_token_are_refused_with_both_names() -> None:
    said = refused(task("very good", "very bad", labels=("5", "1")))
    assert "The labels '5' and '1' begin with the same token" in said
    assert "found 'very good, very bad'" in said
    assert "5=good, 1=A" in said


def test_two_spellings_of_one_token_are_refused() -> None:
    def same(word: str) -> tuple[int, ...]:
        return (7,) if word in ("good", "great") else label_tokens(word)

    with pytest.raises(InputError, match="'good' and 'great' begin with the same token"):
        label_tokens_of(task("good", "great"), tokenize, same)


def test_a_label_of_several_tokens_is_refused_and_a_word_is_offered() -> None:
    said = refused(task("offensive", "not offensive"))
    assert "The label 'not offensive' is 2 tokens for this model" in said
    assert "offensive=offensive, not offensive=A" in said
    assert "world news=news" in refused(task("world news", "sports results"))


def test_a_word_that_would_say_the_opposite_is_not_offered() -> None:
    assert suggested(task("not offensive", "neutral"), tokenize, label_tokens) == {
        "not offensive": "A",
        "neutral": "neutral",
    }
    assert suggested(task("non-offensive", "neutral"), tokenize, label_tokens)["non-offensive"] == "A"


def test_offered_words_are_never_the_same() -> None:
    many = task(*(f"class {n}" for n in range(6)))
    assert list(suggested(many, tokenize, label_tokens).values()) == list("ABCDEF")


def test_offered_words_are_accepted() -> None:
    asked = task("very good", "very bad", "not offensive", "neutral")
    words = suggested(asked, tokenize, label_tokens)
    mapped = Task(asked.labels, tuple(words[label] for label in asked.labels))
    assert len(label_tokens_of(mapped, tokenize, label_tokens)) == 4


#: Words that this tokenizer has together with the blank before them; before all others the blank is a token of its own.
JOINED = ("great", "news", "A", "C")
BLANK = 500


def tokenize_with_blanks(text: str, *, begin: bool) -> list[int]:
    found = [999] * begin
    for word in text.split():
        found += tokenize(word, begin=False) if word in JOINED else [BLANK, *tokenize(word, begin=False)]
    return found


def test_where_the_blank_is_a_token_of_its_own_only_words_are_offered_that_are_accepted() -> None:
    """At most one word may begin with the blank: of two a model would say the same token first."""
    asked = task("world news", "sports results", "very good", labels=("w", "s", "g"))
    with pytest.raises(InputError, match="begin with the same token") as error:
        label_tokens_of(asked, tokenize_with_blanks, label_tokens)
    words = suggested(asked, tokenize_with_blanks, label_tokens)
    assert words == {"w": "news", "s": "A", "g": "very"}
    assert "w=news, s=A, g=very" in str(error.value)
    mapped = Task(asked.labels, tuple(words.values()))
    assert len(label_tokens_of(mapped, tokenize_with_blanks, label_tokens)) == 3


def test_where_no_word_would_do_none_is_offered() -> None:
    def blank_first(text: str, *, begin: bool) -> list[int]:
        return [BLANK, *tokenize(text, begin=begin)]

    asked = task("positive", "negative")
    assert suggested(asked, blank_first, label_tokens) == {}
    with pytest.raises(
        InputError, match="Give each label a word that is a single token for this model, or take another"
    ):
        label_tokens_of(asked, blank_first, label_tokens)


def test_words_that_differ_in_case_or_blanks_are_alike() -> None:
    assert alike(["good", "bad", " Good"]) == (0, 2)
    assert alike(["very good", "very  good"]) == (0, 1)
    assert alike(["good", "bad"]) is None
