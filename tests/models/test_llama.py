"""The scoring engine with the real starter model: the same scores as one prompt at a time, and nothing twice."""

import re
from collections.abc import Iterator

import numpy as np
import pytest
from auditor.audits import InputFile
from auditor.audits.rating import inputs
from auditor.audits.rating.judge import SENTENCE, TALK_TOKENS, Judge, Prepared, load_scorer, read_scores
from auditor.audits.rating.rubric import load
from auditor.errors import ModelError
from auditor.models import ModelFile, native_log
from auditor.models.batch_plan import BatchPlan, PlanStore, candidates, choose
from auditor.models.fit import RESERVE_BYTES, estimate
from auditor.models.library import home
from auditor.models.llama import LabelScorer
from auditor.models.measure import measured_plan, take
from auditor.processor import usable_cores
from tests.conftest import SAMPLE

AXES = ("naturalness", "comprehensiveness", "on_topic")
PLAN = BatchPlan(capacity=256, n_ubatch=128, flash_attention=True, n_threads=usable_cores())


@pytest.fixture(scope="module")
def scorer(starter_model: ModelFile) -> Iterator[LabelScorer]:
    with LabelScorer(starter_model, n_ctx=2048, plan=PLAN) as loaded:
        yield loaded


def judge_of(scorer: LabelScorer) -> Judge:
    return Judge(scorer, load(), AXES, scope="last_response", n_ctx=2048)


def prepared(judge: Judge, n: int) -> list[Prepared]:
    file = InputFile(SAMPLE, SAMPLE.name, "")
    return [judge.prepare(found) for found in inputs.conversations(file, {}, on_bad=print, limit=n)]


def logits_of(judge: Judge, units: list[Prepared], skip: int = 0) -> dict[tuple[int, int], tuple[float, ...]]:
    layout = judge.layout(units, [range(len(AXES))] * len(units))
    return {(one.index, one.axis): one.logits for batch in judge.score(layout, skip) for one in batch}


@pytest.mark.slow
def test_scores_are_those_of_one_prompt_at_a_time_in_plain_llama_cpp(
    scorer: LabelScorer, starter_model: ModelFile
) -> None:
    from llama_cpp import Llama, llama_get_logits_ith

    judge = judge_of(scorer)
    units = prepared(judge, 4)
    ours = logits_of(judge, units)
    plain = Llama(
        str(starter_model.path), n_ctx=2048, n_threads=PLAN.n_threads, n_threads_batch=PLAN.n_threads, verbose=False
    )
    for (index, axis), logits in ours.items():
        if (index + axis) % 2:
            continue  # half of them take long enough: every conversation and every axis has its turn
        plain.reset()
        plain.eval([*judge.prompt.prefix, *units[index].unit.body.tolist(), *judge.prompt.suffixes[axis]])
        row = llama_get_logits_ith(plain.ctx, -1)
        alone = np.array([row[label] for label in judge.prompt.labels.ids])
        # Kernels add up in another order: a tolerance. What all five logits have in common changes no probability.
        first, second = read_scores("a", logits), read_scores("a", alone)
        assert np.abs(np.log(first.p) - np.log(second.p)).max() < 0.5
        assert abs(first.expected - second.expected) < 0.2
        margin = max(second.p) - sorted(second.p)[-2]
        assert first.mode == second.mode or margin < 0.04


@pytest.mark.slow
def test_a_token_is_decoded_once_and_a_held_prefix_never_again(scorer: LabelScorer) -> None:
    judge = judge_of(scorer)
    units = prepared(judge, 6)
    layout = judge.layout(units, [range(len(AXES))] * len(units))
    before = scorer.decoded
    scorer.hold(judge.prompt.prefix)
    first = scorer.decoded - before
    assert first in (0, len(judge.prompt.prefix))
    list(judge.score(layout))
    laid_out = sum(len(batch.tokens) for segment in layout.segments for batch in segment)
    assert scorer.decoded - before == first + laid_out
    # Six replies to two prompts, three questions each: far fewer tokens than the prompts have.
    whole = sum(len(judge.prompt.prefix) + len(u.unit.body) + len(s) for u in units for s in judge.prompt.suffixes)
    assert laid_out < whole / 8


@pytest.mark.slow
def test_a_segment_gives_the_same_bits_whatever_was_computed_before(scorer: LabelScorer) -> None:
    judge = judge_of(scorer)
    units = prepared(judge, 9)
    layout = judge.layout(units, [range(len(AXES))] * len(units))
    assert len(layout.segments) > 1
    whole = logits_of(judge, units)
    assert logits_of(judge, units) == whole
    resumed = logits_of(judge, units, skip=1)
    assert 0 < len(resumed) < len(whole)
    assert all(whole[place] == logits for place, logits in resumed.items())


@pytest.mark.slow
def test_a_prefix_is_never_reused_for_another_rubric(scorer: LabelScorer, starter_model: ModelFile) -> None:
    rubric = load()
    other = rubric.model_copy(update={"axes": (rubric.axes[2], rubric.axes[1], rubric.axes[0])})

    def scores(used: LabelScorer) -> list[tuple[float, ...]]:
        judge = Judge(used, other, AXES, scope="last_response", n_ctx=2048)
        units = prepared(judge, 1)
        return [one.logits for batch in judge.score(judge.layout(units, [range(3)])) for one in batch]

    logits_of(judge_of(scorer), prepared(judge_of(scorer), 1))
    after_another = scores(scorer)
    with LabelScorer(starter_model, n_ctx=2048, plan=PLAN) as fresh:
        assert scores(fresh) == after_another


@pytest.mark.slow
def test_sentences_are_written_side_by_side_under_the_grammar(starter_model: ModelFile) -> None:
    with load_scorer(starter_model, n_ctx=2048, explain=True) as talking:
        judge = Judge(talking, load(), AXES, scope="last_response", n_ctx=2048, explain=True)
        units = prepared(judge, 2)
        found = [one for batch in judge.score(judge.layout(units, [range(3), range(3)])) for one in batch]
    assert len(found) == 6
    for one in found:
        assert one.explanation
        assert re.fullmatch(r"[A-Z][^\n.!?]+[.!?]?", one.explanation), one.explanation
    assert "root" in SENTENCE
    assert TALK_TOKENS < 200


def test_a_prompt_beyond_the_context_is_refused(starter_model: ModelFile) -> None:
    from auditor.models.tree import Unit, batches

    with LabelScorer(starter_model, n_ctx=512, plan=PLAN, check=False) as small:
        small.hold(list(range(100, 110)))
        unit = Unit(np.arange(600, dtype=np.int32) + 100, (np.array([5], np.int32),))
        with pytest.raises(ModelError, match="exceeds 512"):
            list(small.scores(batches([unit], capacity=256, max_leaves=3), [1, 2]))


def test_a_plan_that_does_not_fit_is_neither_tried_nor_taken(
    starter_model: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, plain, small = candidates(on_gpu=False)
    enough = estimate(starter_model, n_ctx=2048, plan=usual).memory_bytes + RESERVE_BYTES
    monkeypatch.setattr("auditor.models.llama.free_memory", lambda: enough)
    with LabelScorer(starter_model, n_ctx=2048, check=False) as tight:
        assert tight.plans == (usual, small)
        with pytest.raises(ModelError, match="begun with more memory"):
            take(tight, plain)
        take(tight, small)
        assert tight.plan == small
    monkeypatch.setattr("auditor.models.llama.free_memory", lambda: enough - 1)
    with LabelScorer(starter_model, n_ctx=2048, check=False) as tighter:
        assert tighter.plan == small


@pytest.mark.slow
def test_the_plan_is_measured_once_for_a_model_and_a_machine(scorer: LabelScorer) -> None:
    (home() / "models" / "plans.json").unlink(missing_ok=True)
    first = measured_plan(scorer)
    # None is tried where a single prompt takes too long, on a machine that is busy otherwise.
    assert len(first.tokens_per_s) <= 3
    assert first.plan in candidates(on_gpu=False)
    assert all(speed > 0 for speed in first.tokens_per_s.values())
    before = scorer.decoded
    assert measured_plan(scorer) == first
    assert scorer.decoded == before
    assert scorer.plan == first.plan
    scorer.use(PLAN)


def test_another_plan_must_be_clearly_faster() -> None:
    plans = [PLAN.model_copy(update={"capacity": capacity}) for capacity in (256, 512, 1024)]
    speeds = {256: 100.0, 512: 104.0, 1024: 90.0}
    assert choose(plans, lambda plan: speeds[plan.capacity]).plan.capacity == 256
    speeds[512] = 106.0
    assert choose(plans, lambda plan: speeds[plan.capacity]).plan.capacity == 512


def test_a_damaged_file_of_plans_is_measured_anew(starter_model: ModelFile) -> None:
    folder = home() / "models"
    folder.mkdir(exist_ok=True)
    (folder / "plans.json").write_text("{", encoding="utf-8")
    assert PlanStore(folder).get(starter_model, "any") is None


def test_a_graphics_processor_has_one_name_whatever_is_free_on_it() -> None:
    told = [
        "llama_prepare_model_devices: skipping device CUDA1 (NVIDIA H100) with id 1 - already using device CUDA0 (x)",
        "llama_prepare_model_devices: using device CUDA0 (NVIDIA H100 80GB HBM3) (0000:06:00.0) - 80432 MiB free",
    ]
    native_log.SAID.clear()
    assert native_log.devices() == []
    native_log.SAID.extend(told)
    try:
        # Plans are kept under this name, and it stands in the findings: a run that goes on finds both again.
        assert native_log.devices() == ["CUDA0 (NVIDIA H100 80GB HBM3) (0000:06:00.0)"]
    finally:
        native_log.SAID.clear()
