"""What can be known before the first rating ends a run before it; what is cut of a conversation is the same in any run."""

import json
from pathlib import Path
from typing import Any

import pytest
from auditor import tasks
from auditor.audits import InputFile, get
from auditor.audits.memory import MemoryContext
from auditor.audits.rating.conversation import Conversation, Turn
from auditor.audits.rating.prompt import LEFT_OUT, Prompt
from auditor.audits.rating.rubric import load
from auditor.errors import AuditorError
from auditor.models import ModelFile
from auditor.models.vocabulary import Vocabulary
from tests.conftest import SAMPLE

HEAD = "conversation_id,axis,rater,score\n"


def file_of(path: Path, text: str) -> InputFile:
    path.write_text(text, encoding="utf-8")
    return InputFile(path, path.name, "")


@pytest.mark.parametrize(
    ("options", "humans", "words"),
    [
        ({}, "id,axis\n", "column 'conversation_id': The column is missing"),
        ({}, HEAD + "basil-full,naturalness,Ada,9\n", "not on the scale from 1 to 5"),
        ({}, HEAD + "nobody,naturalness,Ada,3\n", "None of the rated conversations is in the run"),
        ({"limit": 2}, HEAD + "row-9,naturalness,Ada,3\n", "The run's ids begin with basil-full"),
        ({"variants": ("5", "5-examples"), "n_ctx": 640}, "", "no room for a conversation"),
        ({"more_models": ("other",)}, "", "The file of model other has changed"),
    ],
    ids=["header", "scale", "ids", "ids within the limit", "examples too long", "second judge"],
)
def test_a_fault_ends_the_run_before_the_first_rating(
    starter_model: ModelFile, tmp_path: Path, options: dict[str, Any], humans: str, words: str
) -> None:
    other = starter_model.model_copy(update={"name": "other", "sha256": "0" * 64})
    context = MemoryContext({"judge": starter_model, "judge-2": other})
    inputs = {"conversations": InputFile(SAMPLE, SAMPLE.name, "")}
    inputs |= {"humans": file_of(tmp_path / "humans.csv", humans)} if humans else {}
    audit = get("rating")
    with pytest.raises(AuditorError, match=words):
        audit.run(audit.Spec(axes=("naturalness",), **options), inputs, context)
    assert not any(True for _ in context.rows("plans"))


def test_the_cost_beside_run_is_that_of_what_is_asked(starter_model: ModelFile) -> None:
    asked = {"model": "starter", "n_ctx": 2048, "units": 5, "audit": "rating", "case": None}
    plain, said = (tasks.cost({**asked, "spec": {"explain": how}}, print) for how in ("none", "all"))
    assert plain["memory_bytes"] != said["memory_bytes"]
    assert str(plain["sentence"]).endswith("time is not known before the first run.")
    with pytest.raises(AuditorError, match="no model named 'nobody'"):
        tasks.cost({**asked, "spec": {"more_models": ["nobody"]}}, print)


def long_reply(words: int) -> Conversation:
    return Conversation("a", (Turn("user", "Hi?"), Turn("assistant", "word " * words)), 1)


def test_what_is_cut_does_not_depend_on_the_axes_that_are_asked(starter_model: ModelFile) -> None:
    with Vocabulary(starter_model) as vocabulary:
        made = [
            Prompt(vocabulary, load(), axes, scope="last_response", n_ctx=1024, reserve=0)
            for axes in (("naturalness",), ("comprehensiveness",), ("on_topic", "naturalness", "comprehensiveness"))
        ]
        assert len({prompt.room for prompt in made}) == 1
        body, left_out = made[0].body(long_reply(2000))
        # The judge is told whose words are left of a reply that is too long by itself.
        assert vocabulary.text(body).startswith(f"{LEFT_OUT}Assistant: word word")
        assert (len(body), left_out) == (made[0].room, 2)


def test_a_score_does_not_depend_on_whether_a_sentence_was_asked_for(tiny_judge: ModelFile, tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "word " * 2000}]
    file = file_of(tmp_path / "long.jsonl", json.dumps({"messages": turns}))
    audit, found = get("rating"), []
    for explain in ("none", "all"):
        context = MemoryContext({"judge": tiny_judge})
        spec = audit.Spec(axes=("naturalness",), n_ctx=1024, explain=explain)
        settings = audit.run(spec, {"conversations": file}, context).provenance.settings
        row = context.tables["ratings"].to_pylist()[0]
        found.append((row["prompt"], row["truncated_turns"], settings["n_ctx"], settings["room"]))
    assert found[0] == found[1]
    assert row["explanation"]
