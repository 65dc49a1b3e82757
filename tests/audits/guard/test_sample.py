"""The sample that ships: balanced, varied, disjoint, and read without a complaint."""

import csv
from collections import Counter
from itertools import pairwise

import pytest
from auditor.audits import InputFile
from auditor.audits.guard import inputs
from auditor.audits.guard.spec import GuardSpec
from auditor.resources import resource

FILES = {"queries": "queries.csv", "demonstrations": "demonstrations.csv", "corrupted": "poisoned.csv"}


def sample() -> inputs.GuardInputs:
    paths = {role: resource("samples", "guard", name) for role, name in FILES.items()}
    return inputs.read(
        {role: InputFile(path, path.name, "") for role, path in paths.items()}, GuardSpec(attacks=("cyclic", "own"))
    )


def test_the_sample_is_read_without_a_complaint() -> None:
    found = sample()
    assert found.cautions == ()
    assert found.task.labels == ("negative", "positive")
    assert len(found.queries) >= 240
    assert len(found.demonstrations) >= 4 * GuardSpec().n_demonstrations
    assert all(shown.corrupted for shown in found.corrupted)


@pytest.mark.parametrize("name", FILES.values())
def test_each_file_is_balanced_and_in_no_order(name: str) -> None:
    with resource("samples", "guard", name).open(newline="", encoding="utf-8") as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    counts = Counter(labels)
    assert counts["positive"] == counts["negative"]
    changes = sum(one != other for one, other in pairwise(labels))
    assert abs(changes - len(labels) / 2) < 3 * len(labels) ** 0.5 / 2


def test_texts_are_varied() -> None:
    found = sample()
    texts = [query.text for query in found.queries]
    assert len({text.casefold() for text in texts}) == len(texts)
    assert max(Counter(" ".join(text.split()[:3]) for text in texts).values()) <= 4
    lengths = [len(text.split()) for text in texts]
    assert min(lengths) >= 5
    assert max(lengths) <= 30
