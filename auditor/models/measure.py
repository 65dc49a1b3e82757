"""Which batch plan is fastest for a model on this machine. Imported by worker processes only."""

import time

import numpy as np

from auditor.errors import ModelError
from auditor.models.batch_plan import BatchPlan, Measured, PlanStore, candidates, choose
from auditor.models.library import home
from auditor.models.llama import ENGINE, LabelScorer
from auditor.models.tree import Unit, batches

#: A plan is tried on prompts of this shape: prefix, body, and three suffixes, tokens (ours: a usual rubric and reply).
_PREFIX, _BODY, _SUFFIX, _SUFFIXES = 128, 160, 28, 3
_SEED = 0
#: Seconds that one round of one plan should take; slower models are tried on fewer prompts, at least one.
_SECONDS = 1.0
_MOST_UNITS = 3
#: Partial results come, and a wish to stop is heard, batch by batch: none should take longer than this (ours).
_BATCH_SECONDS = 10.0
#: A model that takes longer than this for a single prompt is not measured: the plan of small batches is taken.
_TOO_SLOW_SECONDS = 15.0


def measured_plan(scorer: LabelScorer) -> Measured:
    """The fastest plan for a loaded model on this machine, measured unless it was before; the scorer uses it then."""
    store = PlanStore(home() / "models")
    key = f"{ENGINE}, {scorer.processor}"
    found = store.get(scorer.file, key)
    plans = scorer.plans or (scorer.plan,)
    if found is not None and not scorer.fits(found.plan):
        found = None
    if found is None and len(plans) < len(candidates(on_gpu=scorer.on_gpu)):
        # What is fastest of those that fit now says nothing of the others.
        key += "".join(f", {plan.model_dump_json()}" for plan in plans)
        found = store.get(scorer.file, key)
    if found is None:
        found = _measure(scorer, list(plans))
        store.put(scorer.file, key, found)
    if scorer.plan != found.plan:
        scorer.use(found.plan)
    return found


def take(scorer: LabelScorer, plan: BatchPlan) -> None:
    """Use the plan that a run began with.

    Raises
    ------
    ModelError
        If it does not fit into memory now. Another plan would give other digits in the same run.
    """
    if not scorer.fits(plan):
        raise ModelError(
            f"{scorer.file.name} was begun with more memory than is free now, and goes on only as it began: "
            "close other programs and resume, or start a new run."
        )
    if scorer.plan != plan:
        scorer.use(plan)


def _measure(scorer: LabelScorer, plans: list[BatchPlan]) -> Measured:
    # The first decoding also pays for memory that is touched for the first time.
    _seconds(scorer, plans[0], 1)
    once = _seconds(scorer, plans[0], 1)
    smallest = min(plans, key=lambda plan: plan.capacity)
    if once > _TOO_SLOW_SECONDS:
        return Measured(plan=smallest)
    a_unit = _BODY + _SUFFIX * _SUFFIXES
    plans = [plan for plan in plans if plan.capacity / a_unit * once <= _BATCH_SECONDS] or [smallest]
    units = int(max(1, min(_MOST_UNITS, _SECONDS / once)))
    tokens = units * a_unit
    return choose(plans, lambda plan: tokens / _seconds(scorer, plan, units), rounds=2)


def _seconds(scorer: LabelScorer, plan: BatchPlan, n_units: int) -> float:
    """Seconds for prompts of random tokens under a plan, without the prefix."""
    draw = np.random.default_rng(_SEED)

    def tokens(n: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.int32]]":
        return draw.integers(1, scorer.n_tokens, n).astype(np.int32)

    if scorer.plan != plan:
        scorer.use(plan)
    scorer.hold(tokens(_PREFIX).tolist())
    suffixes = tuple(tokens(_SUFFIX) for _ in range(_SUFFIXES))
    units = [Unit(tokens(_BODY), suffixes) for _ in range(n_units)]
    begun = time.perf_counter()
    for _ in scorer.scores(batches(units, capacity=plan.capacity, max_leaves=scorer.max_leaves), [0]):
        pass
    return time.perf_counter() - begun
