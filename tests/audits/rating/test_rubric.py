"""Rubrics as files: TOML that reads back to the same hash, every problem named, versions that are never overwritten."""

import copy
import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from auditor.audits.rating import rubric_store
from auditor.audits.rating.conversation import Conversation, Turn
from auditor.audits.rating.prompt import Prompt, instructions_of
from auditor.audits.rating.prompt_preview import preview
from auditor.audits.rating.rubric import MOST_AXES, Axis, Rubric, checked, load, problems, to_toml
from auditor.audits.rating.variants import variant
from auditor.errors import InputError, ModelError
from auditor.models import ModelFile
from auditor.models.vocabulary import Vocabulary
from hypothesis import given, settings
from hypothesis import strategies as st

# Every character that UTF-8 can carry, the troublesome ones often; a text that is blank is refused.
_HARD = st.sampled_from([*"\"'\\\n\r\t\b\f\0\x1b\x7f\x85\u2028\ufeff#=[]", '"""', "'''", "\\u0041", "\r\n"])
_TEXTS = st.lists(st.one_of(_HARD, st.characters(codec="utf-8")), min_size=1, max_size=30).map("".join)
_FILLED = _TEXTS.map(lambda text: text if text.strip() else f"x{text}")
_AXES = st.builds(
    Axis,
    name=st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True),
    title=_FILLED,
    question=_FILLED,
    levels=st.tuples(*[_FILLED] * 5),
)
_RUBRICS = st.builds(
    Rubric,
    name=st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,59}", fullmatch=True),
    title=_FILLED,
    axes=st.lists(
        _AXES,
        min_size=1,
        max_size=3,
        unique_by=(lambda axis: axis.name, lambda axis: " ".join(axis.title.split()).casefold()),
    ).map(tuple),
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(_RUBRICS)
def test_toml_reads_back_to_the_same_rubric_and_hash(rubric: Rubric) -> None:
    text = to_toml(rubric)
    read = checked(tomllib.loads(text.encode().decode()))
    assert read == rubric
    assert read.sha256 == rubric.sha256
    assert all(c == "\n" or not ("\0" <= c < " " or "\x7f" <= c <= "\x9f") for c in text)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(_RUBRICS)
def test_a_file_of_it_reads_back_too(tmp_path_factory: pytest.TempPathFactory, rubric: Rubric) -> None:
    path = tmp_path_factory.mktemp("rubric") / "a.toml"
    path.write_bytes(to_toml(rubric).encode())
    assert load(path).sha256 == rubric.sha256


def test_comments_and_layout_do_not_change_the_hash(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(to_toml(load()), encoding="utf-8")
    assert path.read_text(encoding="utf-8").count("#") == 0
    assert load(path).sha256 == load().sha256


def fields() -> dict[str, Any]:
    return copy.deepcopy(load().model_dump(mode="json"))


def put(place: tuple[str | int, ...], value: object) -> dict[str, Any]:
    """The rubric that ships, with one thing changed."""
    made = fields()
    inner: Any = made
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    return made


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("name",), "Mine Own", "Small letters, digits, “.”"),
        (("name",), "a\n", "Small letters, digits, “.”"),
        (("title",), "", "empty"),
        (("title",), " \n", "empty"),
        (("title",), "\ud800", "half of a character"),
        (("axes",), [], "at least one axis"),
        (("axes", 0, "name"), "On topic", "Small letters, digits and “_”"),
        (("axes", 1, "name"), "", "Small letters, digits and “_”"),
        (("axes", 2, "name"), "naturalness", "Another axis has this name"),
        (("axes", 2, "title"), " naturalness", "Another axis has this title, by which the judge is asked"),
        (("axes", 0, "question"), "x" * 4001, "these are 4,001"),
        (("axes", 0, "question"), 3, "A text is expected"),
        (("axes", 1, "levels", 4), "", "empty"),
        (("axes", 1, "levels", 0), "\t", "empty"),
        (("axes", 1, "levels"), ["a"] * 6, "not more"),
        (("axes", 1, "levels"), "abcde", "A list is expected"),
        (("axes", 1, "weight"), 2, "no such field"),
    ],
)
def test_every_problem_has_its_place(place: tuple[str | int, ...], value: object, words: str) -> None:
    wrong = put(place, value)
    (problem,) = problems(wrong)
    assert problem.place == place
    assert words in problem.sentence
    with pytest.raises(InputError) as refused:
        checked(wrong, "mine.toml")
    assert str(refused.value).startswith("mine.toml")
    assert str(refused.value).isprintable()


def test_several_problems_are_all_named() -> None:
    wrong = put(("axes", 0, "levels", 1), "")
    wrong["axes"][2]["name"] = "naturalness"
    wrong["title"] = " "
    assert [problem.words for problem in problems(wrong)] == ["axis 1, level 2", "title", "axis 3, name"]
    assert problems(fields()) == []
    assert "at most" in problems(put(("axes",), [fields()["axes"][0]] * (MOST_AXES + 1)))[0].sentence
    assert problems({})[0].sentence == "This field is missing."


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"name = ", "not TOML"),
        (b"\xff", "not UTF-8"),
        (b"x = " + b"[" * 100_000, "nests too deep"),
        (b"#" * (5 * 1024 * 1024), "too large"),
        (b'name = "a"\n', "This field is missing"),
    ],
)
def test_a_file_that_is_no_rubric_is_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as refused:
        load(path)
    assert str(refused.value).startswith("bad.toml")


def strict(level: str = "Never.") -> Rubric:
    return checked({**put(("axes", 0, "levels", 0), level), "name": "strict"})


def test_every_saved_state_is_a_version_and_none_is_overwritten(home: Path) -> None:
    first = rubric_store.save(strict("Never."))
    second = rubric_store.save(strict("Not once."))
    assert first.path.parent == home / "rubrics"
    assert first.path.name == f"strict-{strict('Never.').sha256[:12]}.toml"
    before = first.path.read_bytes()
    os.utime(first.path, (1_000, 1_000))
    os.utime(second.path, (2_000, 2_000))
    found, wrong = rubric_store.versions()
    assert [version.name for version in found] == ["default", "strict", "strict"]
    assert [version.sha256 for version in found[1:]] == [second.sha256, first.sha256]
    assert wrong == []
    assert rubric_store.save(strict("Never.")).path == first.path
    assert first.path.read_bytes() == before
    assert rubric_store.versions()[0][1].sha256 == first.sha256  # saved again: the newest again
    assert len(list((home / "rubrics").iterdir())) == 2


def test_the_rubric_that_ships_stays_as_it_is(home: Path) -> None:
    assert rubric_store.save(load()).is_shipped
    assert not (home / "rubrics").exists()
    with pytest.raises(InputError, match="ships with the program"):
        rubric_store.save(checked(put(("title",), "Other")))
    assert rubric_store.free_name("default") == "default-2"
    assert rubric_store.free_name("strict") == "strict"
    rubric_store.save(strict())
    assert rubric_store.free_name("strict") == "strict-2"


def test_a_rubric_is_found_by_name_version_or_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = rubric_store.save(strict("Never.")), rubric_store.save(strict("Not once."))
    os.utime(second.path, (1_000, 1_000))
    assert rubric_store.find("strict") == first.path
    assert rubric_store.find(second.path.stem) == second.path
    assert rubric_store.find(second.path.name) == second.path
    assert rubric_store.find(str(second.path)) == second.path
    assert load(rubric_store.find("default")).sha256 == load().sha256
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(to_toml(strict()))
    assert rubric_store.find("mine.toml") == Path("mine.toml")
    assert rubric_store.find(Path("mine.toml")) == Path("mine.toml")
    with pytest.raises(InputError, match=r"no such rubric.*Kept are: default, strict"):
        rubric_store.find("lenient")


def test_a_version_that_was_changed_by_hand_is_not_used(home: Path) -> None:
    version = rubric_store.save(strict())
    version.path.write_text(version.path.read_text().replace("Never.", "Always."))
    (home / "rubrics" / "notes.toml").write_text("no rubric")
    found, wrong = rubric_store.versions()
    assert [version.name for version in found] == ["default"]
    assert sorted(sentence.split(":")[0] for sentence in wrong) == ["notes.toml", version.path.name]
    for name in ("strict", version.path.stem):
        with pytest.raises(InputError, match="changed after it was saved"):
            rubric_store.find(name)
    with pytest.raises(InputError, match="changed after it was saved"):
        rubric_store.save(strict())


def test_a_draft_is_kept_usable_or_not_and_a_damaged_one_is_none(home: Path) -> None:
    assert rubric_store.draft() is None
    unfinished = put(("axes", 0, "levels", 2), "")
    rubric_store.keep_draft(unfinished)
    found = rubric_store.draft()
    assert found is not None
    assert found[0] == unfinished
    assert [version.name for version in rubric_store.versions()[0]] == ["default"]
    for damaged in ("{", "[]", json.dumps({**fields(), "axes": [{}]}), json.dumps(put(("axes", 0, "levels"), ["a"]))):
        (home / "rubrics" / "draft.json").write_text(damaged)
        assert rubric_store.draft() is None
    rubric_store.drop_draft()
    rubric_store.drop_draft()


_TALK = Conversation("a", (Turn("user", "Hi <|im_end|> é 😀?"), Turn("assistant", "Hello.")), 1)


def test_the_preview_is_what_the_model_reads_token_by_token(starter_model: ModelFile) -> None:
    rubric = load()
    names = [axis.name for axis in rubric.axes]
    with Vocabulary(starter_model) as vocabulary:
        prompt = Prompt(vocabulary, rubric, names, scope="conversation", n_ctx=2048, reserve=0)
        shown = preview(vocabulary, rubric, _TALK, scope="conversation", n_ctx=2048)
        before, talk, *questions = shown.pieces
        assert vocabulary.tokenize(before.text, special=True, begin=True) == list(prompt.prefix)
        four = preview(vocabulary, rubric, _TALK, scope="conversation", n_ctx=2048, form=variant("4"))
        assert "4 = Fully natural" in four.pieces[0].text
        assert [piece.tokens for piece in questions] == [len(suffix) for suffix in prompt.suffixes]
    assert (
        before.text
        == f"{prompt.frame.begin}{instructions_of(rubric, 'conversation')}{prompt.frame.head}Conversation:\n\n"
    )
    assert instructions_of(rubric, "conversation") in before.text
    assert talk.text == "User: Hi <|im_end|> é 😀?\n\nAssistant: Hello.\n\n"
    assert [piece.axis for piece in questions] == names
    assert all(piece.text.endswith(prompt.labels.spelling) for piece in questions)
    assert shown.room == prompt.room == 2048 - before.tokens - max(piece.tokens for piece in questions)


def test_a_rubric_that_leaves_no_room_is_refused_in_a_sentence(starter_model: ModelFile) -> None:
    long = checked(put(("axes", 0, "question"), "Is it good? " * 300))
    with Vocabulary(starter_model) as vocabulary, pytest.raises(ModelError, match="no room for a conversation"):
        preview(vocabulary, long, _TALK, scope="conversation", n_ctx=512)


def test_a_vocabulary_of_a_file_that_is_no_model_is_refused(tmp_path: Path, starter_model: ModelFile) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(b"GGUF")
    with pytest.raises(ModelError, match="has changed"):
        Vocabulary(starter_model.model_copy(update={"path": path}))
    with pytest.raises(ModelError, match="cannot read its vocabulary"):
        Vocabulary(starter_model.model_copy(update={"path": path, "size_bytes": 4}))
    with pytest.raises(ModelError, match="is gone"):
        Vocabulary(starter_model.model_copy(update={"path": tmp_path / "b.gguf"}))
