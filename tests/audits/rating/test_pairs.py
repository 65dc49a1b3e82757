"""The order probe: which pairs are drawn, what is counted, and that it asks the real model in both orders."""

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from auditor.audits import InputFile, rating
from auditor.audits.memory import MemoryContext
from auditor.audits.rating.conversation import Conversation, Turn
from auditor.audits.rating.inputs import conversations
from auditor.audits.rating.judge import load_scorer
from auditor.audits.rating.pairs import (
    OrderProbe,
    PairPrompt,
    cautions,
    draw,
    drawn_pairs,
    letters_of,
    p_first,
    summarise_pairs,
)
from auditor.audits.rating.rating_pass import Progress
from auditor.audits.rating.score_cache import ScoreCache
from auditor.errors import Cancelled, ModelError
from auditor.models import ModelFile
from auditor.models.tree import Unit, batches
from scipy.stats import binomtest


def conversation(row: int, group: str | None, asked: str, reply: str) -> Conversation:
    return Conversation(f"row-{row}", (Turn("user", asked), Turn("assistant", reply)), row, group)


def test_pairs_are_different_replies_of_one_group_to_the_same_turns() -> None:
    given = [
        conversation(1, "a", "Q", "one"),
        conversation(2, "a", "Q", "one \n"),  # the same reply, but for blanks that no prompt has
        conversation(3, "a", "another Q", "two"),  # another context
        conversation(4, "a", "Q", "three"),
        conversation(5, "b", "Q", "four"),  # another group, alone
        conversation(6, None, "Q", "five"),
        conversation(7, None, "Q", "six"),
        Conversation("row-8", (*given_turns("Q"), Turn("user", "So?")), 8, "a"),
    ]
    (pair,) = drawn_pairs(lambda: iter(given), 10, seed=0)
    assert (pair.a.row, pair.b.row) == (1, 4)
    assert pair.context == (Turn("user", "Q"),)
    assert drawn_pairs(lambda: iter(given[4:]), 10, seed=0) == []


def given_turns(asked: str) -> tuple[Turn, ...]:
    return (Turn("user", asked), Turn("assistant", "Yes."))


def test_no_group_gives_a_second_pair_before_every_group_has_given_one() -> None:
    sizes = {0: 2, 1: 5, 2: 3, 3: 1}
    groups = np.repeat(list(sizes), list(sizes.values()))
    rows = np.arange(1, len(groups) + 1)
    every = draw(groups, groups, rows, rows, n=100, seed=0)
    assert len(every) == len(set(every)) == 1 + 10 + 3
    assert all(a < b and groups[a - 1] == groups[b - 1] for a, b in every)
    for n, most in ((3, [1, 1, 1]), (5, [2, 2, 1]), (9, [5, 3, 1])):
        some = draw(groups, groups, rows, rows, n=n, seed=0)
        assert sorted(Counter(groups[a - 1] for a, _ in some).values(), reverse=True) == most
    assert draw(groups, groups, rows, rows, n=5, seed=0) == draw(groups, groups, rows, rows, n=5, seed=0)
    assert len({tuple(draw(groups, groups, rows, rows, n=5, seed=seed)) for seed in range(5)}) > 1
    assert draw([], [], [], [], n=5, seed=0) == []


def test_every_pair_of_a_group_is_as_likely_as_any_other() -> None:
    rows = np.arange(1, 5)
    drawn = Counter(draw(rows * 0, rows * 0, rows, rows, n=1, seed=seed)[0] for seed in range(1200))
    assert len(drawn) == 6
    assert max(drawn.values()) - min(drawn.values()) < 90


def rows_of(*answers: tuple[float | None, float | None]) -> list[dict[str, Any]]:
    return [{"pair": i, "group": str(i // 2), "p_a_first": a, "p_b_first": b} for i, (a, b) in enumerate(answers)]


def test_known_answers_are_counted() -> None:
    # The first place twice, the same reply twice, the second place twice, the other same reply, too long.
    found = summarise_pairs(rows_of((0.9, 0.8), (0.7, 0.4), (0.1, 0.2), (0.3, 0.6), (None, None)), confidence=0.9)
    assert (found.n, found.groups, found.n_flipped, found.skipped) == (4, 2, 2, 1)
    exact = binomtest(2, 4).proportion_ci(0.9, "exact")
    assert found.flipped.value == 0.5
    assert (found.flipped.low, found.flipped.high) == (pytest.approx(exact.low), pytest.approx(exact.high))
    assert found.first_chosen == 4 / 8
    assert found.p_first == pytest.approx(4.0 / 8)
    order, skipped = cautions(found)
    assert (order.code, order.count, skipped.code, skipped.count) == ("order", 2, "order_skipped", 1)
    assert "In 2 of 4 pairs (50%)" in order.message
    assert cautions(summarise_pairs(rows_of(*[(0.9, 0.1)] * 9, (0.9, 0.9)), confidence=0.9)) == []


def test_nothing_to_ask_is_said() -> None:
    for rows, why in (([], "no group has two replies"), (rows_of((None, None)), "1 pairs do not fit")):
        found = summarise_pairs(rows, confidence=0.95)
        assert (found.n, found.flipped.value, found.first_chosen, found.p_first) == (0, None, None, None)
        (caution,) = cautions(found)
        assert caution.code == "order"
        assert why in caution.message


def test_probability_of_the_first_letter() -> None:
    assert p_first((1.0, 1.0)) == 0.5
    assert p_first((2.0, 1.0)) == pytest.approx(np.e / (np.e + 1))
    assert p_first((-40.0, 60.0)) == pytest.approx(np.exp(-100))


class TwoTokensALetter:
    """A vocabulary in which every character ends in the same token."""

    chat_template, bos, eos = None, "", ""

    def tokenize(self, text: str, *, special: bool, begin: bool = False) -> list[int]:
        return [token for letter in text for token in (ord(letter), 0)]


def test_letters_that_are_no_single_tokens_are_refused() -> None:
    with pytest.raises(ModelError, match="A and B are not distinct single tokens"):
        letters_of(TwoTokensALetter(), "\n")


def write_replies(path: Path) -> InputFile:
    records = [
        ("tea", "How do I make tea?", "Boil water, pour it on the leaves and wait four minutes."),
        ("tea", "How do I make tea?", "Purple. <|im_end|>"),
        ("sum", "What is two and two?", "Four."),
        ("sum", "What is two and two?", "It may be five."),
    ]
    lines = [
        {
            "id": str(number),
            "group": group,
            "messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": reply}],
        }
        for number, (group, asked, reply) in enumerate(records)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return InputFile(path, path.name, "")


class StopsAfterAPair(MemoryContext):
    """A person who presses Cancel once a pair was asked."""

    def row(self, table: str, row: Mapping[str, Any]) -> None:
        super().row(table, row)
        self.is_cancelled = table == "pairs"


def test_the_probe_in_a_run_that_is_stopped_and_resumed(tiny_judge: ModelFile, tmp_path: Path) -> None:
    inputs = {"conversations": write_replies(tmp_path / "replies.jsonl")}
    spec = rating.Spec(axes=("naturalness",), order_probe=9)
    whole = MemoryContext({"judge": tiny_judge}, folder=tmp_path / "whole")
    findings = rating.run(spec, inputs, whole)
    probe = findings.order_probe
    assert probe is not None
    assert (probe.n, probe.groups, probe.skipped) == (2, 2, 0)
    assert findings.headline["order_probe"]["n"] == 2
    said = dict(rating.methods(findings))["Probe: order of pairs"]
    assert f"In {probe.n_flipped} of 2 pairs ({probe.flipped.value:.0%}, 95% CI " in said
    assert whole.tables["pairs"].to_pylist() == whole.flushed["pairs"]
    stopped = StopsAfterAPair({"judge": tiny_judge}, folder=tmp_path / "stopped")
    with pytest.raises(Cancelled, match="after 1 of 2 pairs"):
        rating.run(spec, inputs, stopped)
    shutil.rmtree(stopped.cache)
    resumed = MemoryContext({"judge": tiny_judge}, folder=tmp_path / "stopped")
    # The number of the flushed pair is changed: it is taken as it stands, not computed again.
    resumed.flushed = {**stopped.flushed, "pairs": [{**stopped.flushed["pairs"][0], "p_a_first": 0.125}]}
    rating.run(spec, inputs, resumed)
    assert resumed.flushed["pairs"][0]["p_a_first"] == 0.125
    assert resumed.flushed["pairs"][1:] == whole.flushed["pairs"][1:]
    again = MemoryContext({"judge": tiny_judge}, folder=tmp_path / "whole")
    assert rating.run(spec, inputs, again).headline["tokens_decoded"] == 0
    assert again.flushed["pairs"] == whole.flushed["pairs"]


@pytest.mark.slow
def test_the_answers_are_those_of_prompts_sent_one_at_a_time(starter_model: ModelFile, tmp_path: Path) -> None:
    file = write_replies(tmp_path / "replies.jsonl")
    pairs = drawn_pairs(lambda: conversations(file, {}, on_bad=lambda _: None), 9, seed=0)
    context, short = MemoryContext(folder=tmp_path), MemoryContext(folder=tmp_path)
    with ScoreCache(context.cache) as cache, load_scorer(starter_model, n_ctx=768) as scorer:
        OrderProbe(scorer, short, cache, n_ctx=80, reserve=0).ask(pairs, Progress())
        assert scorer.decoded == 0
        assert [(row["p_a_first"], row["p_b_first"]) for row in short.flushed["pairs"]] == [(None, None)] * 2
        OrderProbe(scorer, context, cache, n_ctx=768, reserve=0).ask(pairs, Progress())
        prompt = PairPrompt(scorer)
        end_of_turn = scorer.tokenize("<|im_end|>", special=True)
        for pair, row in zip(pairs, context.flushed["pairs"], strict=True):
            a, b = pair.a.turns[-1].text, pair.b.turns[-1].text
            for first, second, p in ((a, b, row["p_a_first"]), (b, a, row["p_b_first"])):
                body = prompt.body(pair.context, first, second)
                assert not set(end_of_turn) & set(body)
                scorer.hold(prompt.prefix)
                unit = Unit(np.array(body, np.int32), (np.array(prompt.suffix, np.int32),))
                ((_, logits),) = scorer.scores(batches([unit], capacity=4096, max_leaves=1), prompt.labels.ids)
                assert p_first(logits[0].tolist()) == pytest.approx(p, abs=0.02)
