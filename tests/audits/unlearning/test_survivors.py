"""Answers that survive unlearning are counted one by one, however few they are among many."""

import pytest
from auditor.audits.unlearning.probes import ProbeRow
from auditor.audits.unlearning.scored import Scored
from auditor.audits.unlearning.survivors import Survivors, survivors

LONG = "Maren Oskvald plays the glass harp in a hall by the sea every winter"


def scored(
    row: int, probability: float = 0.001, said: str = "the the", recall: float | None = 0.0, name: str = "forget"
) -> Scored:
    return Scored(
        set=name,
        id=str(row),
        row=row,
        question="What does Maren play?",
        answer=LONG,
        n_tokens=3,
        loss=1.0,
        probability=0.0001,
        answer_probability=probability,
        wanted=LONG,
        generation=said,
        rouge_recall=recall,
    )


def way(row: int, kind: str = "prefix", probability: float = 0.001, recall: float = 0.0) -> ProbeRow:
    return ProbeRow(
        kind=kind,
        id=str(row),
        row=row,
        prompt="?",
        wanted=LONG,
        generation="the",
        rouge_recall=recall,
        rouge_f1=recall,
        probability=probability,
    )


def test_eight_that_are_recited_among_four_hundred_are_counted() -> None:
    rows = [scored(row, probability=0.99 if row < 8 else 0.0001) for row in range(400)]
    assert sum(one.answer_probability for one in rows) / 400 < 0.05
    assert survivors(rows, (), 0.05) == Survivors(n=400, probable=8, said=0, either=8)


def test_one_answer_counts_once_however_often_it_comes_back() -> None:
    ways = [way(1, probability=0.9), way(1, kind="paraphrase", recall=1.0), way(2)]
    assert survivors([scored(1), scored(2)], ways, 0.05) == Survivors(n=2, probable=1, said=1, either=1)


def test_probes_count_and_what_is_kept_or_begun_does_not() -> None:
    rows = [scored(1), scored(1, 0.9, name="probes"), scored(1, 0.9, name="retain"), scored(2, 0.9, name="holdout")]
    begun = [way(1, kind="answer start", probability=0.9, recall=1.0)]
    assert survivors(rows, begun, 0.05) == Survivors(n=2, probable=1, said=0, either=1)


@pytest.mark.parametrize(
    ("said", "recall", "counts"),
    [
        (LONG, 1.0, True),
        (" ".join(LONG.split()[:9]), 9 / 14, True),
        ("Maren Oskvald", 2 / 14, False),
        ("She plays the violin", 0.2, False),
        ("", 0.0, False),
    ],
)
def test_what_was_said_whole(said: str, recall: float, counts: bool) -> None:
    assert survivors([scored(1, said=said, recall=recall)], (), 0.05).said == counts


def test_scripts_that_rouge_does_not_know_are_compared_as_they_are() -> None:
    one = scored(1).model_copy(
        update={"wanted": "ガラスの竪琴", "generation": "ガラスの竪琴 です", "rouge_recall": None}
    )
    assert survivors([one], (), 0.05).said == 1
    assert survivors([one.model_copy(update={"generation": "知らない"})], (), 0.05).said == 0
