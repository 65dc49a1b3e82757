"""ROUGE-L equals that of the package rouge-score on texts of every kind."""

import json
from pathlib import Path

import numpy as np
import pytest
from auditor.audits.unlearning.metrics.rouge import common_length, rouge_l, words
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

SCORER = RougeScorer(["rougeL"], use_stemmer=True)
TEXTS = st.text(alphabet=st.sampled_from("aabcdeginrstyz 019.,'-Éİß中\n"), max_size=60)


def check(wanted: str, generated: str) -> None:
    theirs, ours = SCORER.score(wanted, generated)["rougeL"], rouge_l(wanted, generated)
    if ours is None:
        assert not words(wanted)
        assert theirs.recall == theirs.fmeasure == 0
        return
    assert ours.recall == pytest.approx(theirs.recall, abs=1e-12)
    assert ours.f1 == pytest.approx(theirs.fmeasure, abs=1e-12)


@pytest.mark.parametrize(
    ("wanted", "generated"),
    [
        ("The author's full name is Hsiao Yun-Hwa.", "The author's full name is Ming-Yu Chen."),
        ("running runners ran easily", "He runs and run, ran easy"),
        ("Generalizations of generalized things", "general thing"),
        ("a b c d e", "e d c b a"),
        ("one", ""),
        ("1984 was written in 1949", "In 1949, 1984 was written"),
        ("CAFÉ", "cafe"),
        ("skies dying lying ties", "sky die lie tie"),
    ],
)
def test_known_pairs(wanted: str, generated: str) -> None:
    check(wanted, generated)


@given(TEXTS, TEXTS)
def test_any_pair(wanted: str, generated: str) -> None:
    check(wanted, generated)


def test_answers_of_a_published_log(data_folder: Path) -> None:
    path = data_folder / "tofu" / "reference" / "retain99_llama2-7b_eval_log_forget.json"
    log = json.loads(path.read_text())
    for (_, generated, wanted), theirs in zip(log["generated_text"], log["rougeL_recall"], strict=True):
        check(wanted, generated)
        found = rouge_l(wanted, generated)
        assert found is not None
        assert found.recall == pytest.approx(theirs, abs=1e-12)


def test_an_answer_in_other_letters_has_no_figure() -> None:
    assert rouge_l("东京", "东京") is None


def test_the_longest_common_subsequence_is_that_of_the_whole_table() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        first, second = (generator.choice(list("abcd"), generator.integers(0, 12)).tolist() for _ in range(2))
        table = np.zeros((len(first) + 1, len(second) + 1), int)
        for i, a in enumerate(first, 1):
            for j, b in enumerate(second, 1):
                table[i, j] = table[i - 1, j - 1] + 1 if a == b else max(table[i - 1, j], table[i, j - 1])
        assert common_length(first, second) == table[-1, -1]
