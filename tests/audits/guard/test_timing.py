"""What a true early exit costs, by a clock that goes on by one for every token in every layer that runs."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from auditor.audits import InputFile
from auditor.audits.guard import inputs, timing
from auditor.audits.guard.answers import Reading
from auditor.audits.guard.attacks import Material
from auditor.audits.guard.conditions import CORRECT, ZERO_SHOT
from auditor.audits.guard.pools import Draw
from auditor.audits.guard.prompts import Prompts
from auditor.audits.guard.spec import GuardSpec
from auditor.audits.guard.task import Example
from auditor.audits.guard.template import Encoder, Template
from auditor.models import ModelFile
from auditor.models.exit_scorer import ExitScorer
from auditor.models.exits import open_scorer
from tests.audits.guard.small_model import N_LAYERS

N, FIRST = 6, 2


@dataclass
class Work:
    """The model, and what it has done so far."""

    scorer: ExitScorer
    prompts: Prompts
    queries: tuple[Example, ...]
    labels: list[tuple[int, ...]]
    done: int = field(default=0)

    def measure(self, threshold: float) -> timing.Timing:
        reading = Reading("max", FIRST, None)
        return timing.measure(
            self.scorer, self.prompts, self.queries, [CORRECT] * N, self.labels, reading, threshold, lambda: None
        )

    def tokens(self, condition: str) -> int:
        """Tokens of the prompts of all queries."""
        return sum(len(self.prompts.encoded(condition, query)) for query in self.queries)


@pytest.fixture(scope="module")
def _work(tiny_model: ModelFile, sample_inputs: dict[str, InputFile]) -> Iterator[Work]:
    spec = GuardSpec(n_demonstrations=4, attacks=("cyclic",))
    given = inputs.read(sample_inputs, spec)
    with open_scorer(tiny_model, device="cpu", dtype="float32", threads=1) as scorer:
        assert isinstance(scorer, ExitScorer)
        prompts = Prompts(
            task=given.task,
            template=Template.of(spec),
            encoder=Encoder(scorer.tokenize),
            draw=Draw(given.demonstrations, spec, seed=3),
            material=Material(),
            seed=3,
        )
        labels = [scorer.label_tokens(word) for word in given.task.words]
        yield Work(scorer, prompts, given.queries[:N], labels)


@pytest.fixture
def work(_work: Work, monkeypatch: pytest.MonkeyPatch) -> Iterator[Work]:
    """The clock of the measurement is the work that is done, so that figures are exact on any machine."""
    _work.scorer.release()

    def count(_layer: Any, given: tuple[Any, ...]) -> None:
        _work.done += given[0].shape[1]

    handles = [layer.register_forward_pre_hook(count) for layer in _work.scorer._parts.layers]
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: float(_work.done)))
    yield _work
    for handle in handles:
        handle.remove()


def zero_shot_tokens(work: Work) -> int:
    """What is run of the zero-shot prompts: their common beginning is computed beforehand."""
    return sum(len(work.prompts.encoded(ZERO_SHOT, query).query) for query in work.queries)


def test_where_every_query_falls_back_the_guard_costs_more_than_no_guard(work: Work) -> None:
    """All layers with the demonstrations, then all layers without: the ratio says so, and it is above 1."""
    found = work.measure(threshold=0.999999)
    full = work.tokens(CORRECT)
    assert found.n == N
    assert found.ratio == pytest.approx((full + zero_shot_tokens(work)) / full)
    assert found.ratio > 1.05
    bare = work.measure(threshold=1.0)
    assert bare.labels == found.labels, "both are zero-shot"
    assert bare.ratio == pytest.approx(zero_shot_tokens(work) / full)


def test_where_no_query_falls_back_the_guard_costs_the_layers_up_to_its_exit(work: Work) -> None:
    found = work.measure(threshold=0.0)
    assert found.ratio == pytest.approx((FIRST + 1) / N_LAYERS)
    rows = {row["exit"]: row for row in found.rows}
    assert list(rows) == [3, 5, 6]
    for exit_, row in rows.items():
        assert row["ratio"] == pytest.approx(exit_ / N_LAYERS)
        assert row["depth"] == exit_ / N_LAYERS
    lengths = sorted(len(work.prompts.encoded(CORRECT, query)) for query in work.queries)
    assert (rows[6]["low"], rows[6]["high"]) == (lengths[0] * N_LAYERS, lengths[-1] * N_LAYERS)
