"""What is computed, what is reused, and that an interrupted run ends with the same numbers; whoever judges."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from auditor.audits import InputFile, rating
from auditor.audits.memory import MemoryContext
from auditor.audits.rating import inputs, rubric
from auditor.audits.rating.judge import TALK_TOKENS, Judge, load_scorer
from auditor.audits.rating.rating_pass import Member, flushed, rows_of
from auditor.audits.rating.rubric import Axis
from auditor.audits.rating.score_cache import Entry, ScoreCache
from auditor.errors import Cancelled, InputError
from auditor.models import ModelFile
from auditor.models.batch_plan import BatchPlan, Measured
from tests.conftest import SAMPLE

AXES = ("on_topic", "naturalness")


def run(context: MemoryContext, file: Path = SAMPLE, **fields: Any) -> Any:
    spec = rating.Spec(axes=AXES, **fields)
    return rating.run(spec, {"conversations": InputFile(file, file.name, "")}, context)


def scores(context: MemoryContext) -> list[tuple[Any, ...]]:
    names = ("row", "axis", "p1", "p2", "p3", "p4", "p5", "expected", "prompt")
    return [tuple(row[name] for name in names) for row in context.tables["ratings"].to_pylist()]


class StopsAfter(MemoryContext):
    """A person who presses Cancel after some rows."""

    stop_after = 1_000_000

    def row(self, table: str, row: Mapping[str, Any]) -> None:
        super().row(table, row)
        self.is_cancelled = len(self.flushed.get("ratings", ())) >= self.stop_after


def test_a_run_again_decodes_nothing_and_a_longer_one_only_what_is_new(tiny_judge: ModelFile, tmp_path: Path) -> None:
    contexts = [MemoryContext({"judge": tiny_judge}, folder=tmp_path / "case") for _ in range(3)]
    first, again, longer = (run(c, limit=n) for c, n in zip(contexts, (4, 4, 5), strict=True))
    assert first.headline["computed"] == 8
    assert first.headline["tokens_decoded"] > 0
    assert (again.headline["computed"], again.headline["reused"], again.headline["tokens_decoded"]) == (0, 8, 0)
    assert again.headline["ratings_per_s"] is None
    assert scores(contexts[1]) == scores(contexts[0])
    assert (longer.headline["computed"], longer.headline["reused"]) == (2, 8)
    # The rubric, one conversation and two questions: not the four conversations before.
    assert longer.headline["tokens_decoded"] < first.headline["tokens_decoded"]
    assert scores(contexts[2])[:8] == scores(contexts[0])


def test_a_conversation_that_stands_three_times_is_computed_once(tiny_judge: ModelFile, tmp_path: Path) -> None:
    single, triple = tmp_path / "single.jsonl", tmp_path / "triple.jsonl"
    record = json.dumps({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]})
    single.write_text(record + "\n", encoding="utf-8")
    triple.write_text((record + "\n") * 3, encoding="utf-8")
    alone = run(MemoryContext({"judge": tiny_judge}, folder=tmp_path / "a"), single)
    context = MemoryContext({"judge": tiny_judge}, folder=tmp_path / "b")
    found = run(context, triple)
    assert found.headline["tokens_decoded"] == alone.headline["tokens_decoded"]
    assert (found.headline["computed"], found.headline["reused"], found.n) == (2, 4, 3)
    rows = scores(context)
    assert len(rows) == 6
    assert {row[1:] for row in rows} == {row[1:] for row in rows[:2]}
    # Killed after the first of three rows was written, and what was computed is lost.
    again = MemoryContext({"judge": tiny_judge}, folder=tmp_path / "c")
    again.flushed |= {**context.flushed, "ratings": context.flushed["ratings"][:1]}
    assert run(again, triple).headline["reused"] == 4
    assert scores(again) == rows


def test_more_axes_than_the_engine_takes_at_once_are_asked_one_after_the_other(tiny_judge: ModelFile) -> None:
    """30 axes while sentences are asked for: 24 branches fit. Each gets the score that it gets among five."""
    levels = ("awful", "poor", "fair", "good", "great")
    axes = [
        Axis(name=f"axis_{n}", title=f"Wording {n}", question=f"How good is wording {n}?", levels=levels)
        for n in range(30)
    ]
    many = rubric.load().model_copy(update={"axes": tuple(axes)})
    conversation = next(iter(inputs.conversations(InputFile(SAMPLE, SAMPLE.name, ""), {}, on_bad=print)))
    found: dict[int, list[tuple[float, ...]]] = {}
    with load_scorer(tiny_judge, n_ctx=2048 + TALK_TOKENS, explain=True) as scorer:
        assert scorer.max_leaves < 30
        for asked in (30, 5):
            names = [axis.name for axis in axes]
            judge = Judge(scorer, many, names, scope="last_response", n_ctx=2048)
            layout = judge.layout([judge.prepare(conversation)], [range(asked)])
            scored = sorted((one for batch in judge.score(layout) for one in batch), key=lambda one: one.axis)
            assert [one.axis for one in scored] == list(range(asked))
            found[asked] = [one.logits for one in scored]
    np.testing.assert_allclose(found[30][:5], found[5], atol=0.5)


def test_another_rubric_or_prompt_reuses_nothing(tiny_judge: ModelFile, tmp_path: Path) -> None:
    rubric = tmp_path / "mine.toml"
    text = (Path(rating.__file__).parents[3] / "resources" / "rubrics" / "default.toml").read_text(encoding="utf-8")
    rubric.write_text(text.replace("How natural is", "How lifelike is"), encoding="utf-8")
    folder = tmp_path / "case"
    run(MemoryContext({"judge": tiny_judge}, folder=folder), limit=1)
    other = MemoryContext({"judge": tiny_judge}, folder=folder)
    inputs = {
        "conversations": InputFile(SAMPLE, SAMPLE.name, ""),
        "rubric": InputFile(rubric, rubric.name, ""),
    }
    assert rating.run(rating.Spec(axes=AXES, limit=1), inputs, other).headline["reused"] == 0
    assert run(MemoryContext({"judge": tiny_judge}, folder=folder), limit=1, variants=("4",)).headline["reused"] == 0


def test_a_run_that_was_stopped_ends_with_the_numbers_of_one_that_was_not(
    tiny_judge: ModelFile, tmp_path: Path
) -> None:
    # Small batches, as a run on a slow machine would have begun with.
    plan = BatchPlan(capacity=256, n_ubatch=256, flash_attention=True, n_threads=2)
    begun = {"judge": 0, "measured": Measured(plan=plan).model_dump(mode="json")}
    whole = MemoryContext({"judge": tiny_judge}, folder=tmp_path / "whole")
    whole.row("plans", begun)
    run(whole, limit=9)
    stopped = StopsAfter({"judge": tiny_judge}, folder=tmp_path / "stopped")
    stopped.row("plans", begun)
    stopped.stop_after = 3
    with pytest.raises(Cancelled, match="of 18 ratings"):
        run(stopped, limit=9)
    held = len(stopped.flushed["ratings"])
    assert 3 <= held < 18
    # What another run of the case has computed meanwhile changes nothing.
    shutil.copytree(tmp_path / "whole" / "cache", tmp_path / "stopped" / "cache", dirs_exist_ok=True)
    stopped.is_cancelled, stopped.stop_after = False, 1_000_000
    findings = run(stopped, limit=9)
    # Of the whole run, by whichever process: nothing was taken from an earlier run.
    assert (findings.headline["computed"], findings.headline["reused"]) == (18, 0)
    assert sum(not row["reused"] for row in stopped.flushed["ratings"]) == 18
    assert scores(stopped) == scores(whole)
    assert len(stopped.flushed["plans"]) == 1


def test_replies_to_one_context_share_it_whatever_order_they_come_in(tiny_judge: ModelFile, tmp_path: Path) -> None:
    def record(context: int, reply: int) -> str:
        asked = f"Question {context}: " + "please tell me about the garden and its many plants. " * 6
        turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": f"Reply {reply}."}]
        return json.dumps({"id": f"{context}-{reply}", "group": str(context), "messages": turns})

    pairs = [(context, reply) for reply in range(3) for context in range(2)]
    decoded = []
    for name, order in (("sorted", sorted(pairs)), ("mixed", pairs)):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("\n".join(record(*pair) for pair in order) + "\n", encoding="utf-8")
        context = MemoryContext({"judge": tiny_judge}, folder=tmp_path / name)
        decoded.append(run(context, path).headline["tokens_decoded"])
        assert [row["id"] for row in context.tables["ratings"].to_pylist()[::2]] == [f"{c}-{r}" for c, r in order]
    assert decoded[0] == decoded[1]


def test_an_ensemble_keeps_every_judgement_and_their_spread(tiny_judge: ModelFile, tmp_path: Path) -> None:
    context = MemoryContext({"judge": tiny_judge}, folder=tmp_path)
    findings = run(context, limit=2, variants=("5", "4", "5-examples"), merge="median", paraphrase=True)
    rows = context.tables["judgements"].to_pylist()
    assert len(rows) == 2 * 2 * 3
    assert {row["variant"] for row in rows} == {"5", "4", "5-examples"}
    for row in context.tables["ratings"].to_pylist():
        own = sorted(r["expected"] for r in rows if (r["row"], r["axis"]) == (row["row"], row["axis"]))
        assert row["expected"] == pytest.approx(own[1])
        assert row["spread"] > 0
        assert sum(row[f"p{score}"] for score in range(1, 6)) == pytest.approx(1)
    four = [row for row in rows if row["variant"] == "4"]
    assert all(row["p5"] is None and row["scale"] == 4 and 1 <= row["expected"] <= 5 for row in four)
    assert [probe.axis for probe in findings.paraphrase] == list(AXES)
    assert all(0 <= probe.same <= 1 and probe.n == 2 for probe in findings.paraphrase)
    assert set(findings.judges[0].means) == {"5", "4", "5-examples", "5-paraphrased"}


def test_a_sentence_known_from_before_is_told_only_if_it_is_asked_for(tiny_judge: ModelFile, tmp_path: Path) -> None:
    told, silent = (MemoryContext({"judge": tiny_judge}, folder=tmp_path) for _ in range(2))
    run(told, limit=1, explain="all")
    assert all(row["explanation"] for row in told.tables["ratings"].to_pylist())
    again = run(silent, limit=1)
    assert again.headline["reused"] == 2
    assert all(row["explanation"] is None for row in silent.tables["ratings"].to_pylist())


def test_a_judge_that_stands_twice_is_refused(tiny_judge: ModelFile) -> None:
    copy = tiny_judge.model_copy(update={"name": "other"})
    context = MemoryContext({"judge": tiny_judge, "judge-2": copy})
    with pytest.raises(InputError, match="stands twice"):
        run(context, more_models=("other",))
    with pytest.raises(InputError, match="from 1 to 5"):
        run(MemoryContext({"judge": tiny_judge}), variants=("4",), paraphrase=True)


def test_a_damaged_entry_or_file_of_known_scores_is_no_score(tmp_path: Path) -> None:
    key, other = "ab" * 32, "cd" * 32
    with ScoreCache(tmp_path) as cache:
        cache.put({key: Entry((1.0, 2.5), None), other: Entry((0.5,), "Because.")})
        cache.put({other: Entry((0.5,), None)})
        assert cache.get([key, other, "ef" * 32]) == {key: Entry((1.0, 2.5), None), other: Entry((0.5,), "Because.")}
        cache._database.execute("UPDATE scores SET logits = x'0000000000000000' WHERE key = ?", (bytes.fromhex(key),))
        cache._database.commit()
        assert set(cache.get([key, other])) == {other}
    (tmp_path / "scores-1.sqlite").write_bytes(b"no database at all" * 100)
    with ScoreCache(tmp_path) as cache:
        assert cache.get([other]) == {}
    assert (tmp_path / "scores-1.damaged").is_file()


def test_a_page_that_is_damaged_later_costs_what_it_held_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "scores-1.sqlite"
    with ScoreCache(tmp_path) as cache:
        cache.put({f"{number:064x}": Entry((float(number),), None) for number in range(3000)})
    data = bytearray(file.read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    file.write_bytes(bytes(data))
    with ScoreCache(tmp_path) as cache:
        assert cache.get([f"{2999:064x}"]) == {}
        cache.put({"ab" * 32: Entry((1.0,), None)})
        assert cache.get(["ab" * 32]) == {"ab" * 32: Entry((1.0,), None)}


def test_what_is_rated_is_not_cut_away(starter_model: ModelFile) -> None:
    from auditor.audits.rating.conversation import Conversation, Turn
    from auditor.audits.rating.prompt import Prompt
    from auditor.audits.rating.rubric import load
    from auditor.models.vocabulary import Vocabulary

    turns = (Turn("user", "Hi"), Turn("assistant", "The reply that is rated."), Turn("user", "word " * 3000))
    with Vocabulary(starter_model) as vocabulary:
        prompt = Prompt(vocabulary, load(), AXES, scope="last_response", n_ctx=1024, reserve=0)
        body, truncated = prompt.body(Conversation("a", turns, 1))
        text = vocabulary.text(body)
    assert text == "User: Hi\n\nAssistant: The reply that is rated.\n\n"
    assert truncated == 1


def row_of(member: int, window: int, number: int, axis: str, *, reused: bool) -> dict[str, Any]:
    return {"member": member, "window": window, "row": number, "axis": axis, "reused": reused}


def test_a_resumed_pass_knows_where_its_own_member_stopped() -> None:
    first, second = (Member(number, 0, "judge", str(number), "judgements") for number in range(2))
    context = MemoryContext()
    context.row("windows", {"member": 0, "window": 0, "reused": 1})
    context.row("judgements", row_of(0, 0, 1, "on_topic", reused=True))
    context.row("judgements", row_of(0, 0, 2, "on_topic", reused=False))
    found = flushed(context, first)
    assert (found.windows, found.is_open, found.n) == (0, True, 2)
    assert (found.reused, found.done) == ({(1, "on_topic")}, {(1, "on_topic"), (2, "on_topic")})
    # Killed while the next window was taking what is known: that window is not open yet, and nothing of the last counts.
    context.row("judgements", row_of(0, 1, 3, "on_topic", reused=True))
    found = flushed(context, first)
    assert (found.windows, found.is_open, found.n) == (1, False, 3)
    assert found.reused == found.done == {(3, "on_topic")}
    # Another member has its own place.
    assert (flushed(context, second).n, flushed(context, second).is_open) == (0, False)
    assert [row["row"] for row in rows_of(context, first, AXES)] == [1, 2, 3]


def test_rows_come_in_the_order_of_the_file_however_they_were_decoded() -> None:
    member = Member(0, 0, "judge", "5", "ratings")
    context = MemoryContext()
    for number, axis in ((3, "naturalness"), (1, "on_topic"), (3, "on_topic"), (1, "naturalness"), (2, "on_topic")):
        context.row("ratings", row_of(0, 0, number, axis, reused=False))
    context.row("ratings", row_of(0, 1, 4, "on_topic", reused=False))
    found = [(row["row"], row["axis"]) for row in rows_of(context, member, AXES)]
    assert found == [
        (1, "on_topic"),
        (1, "naturalness"),
        (2, "on_topic"),
        (3, "on_topic"),
        (3, "naturalness"),
        (4, "on_topic"),
    ]
