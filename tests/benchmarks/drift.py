"""Scores of the tree layout against the same prompt tokens sent one at a time, on real conversations.

``python -m tests.benchmarks.drift [--model NAME_OR_FILE] [--conversations N] [--plain] [--keep FILE] [--quick]``

Not a measurement of speed: one round, since a plan's scores are the same every time. The first N conversations of USR
Topical-Chat (else of the bundled sample) are scored on every axis, once in the tree with flash attention (``--plain``:
without), and once each prompt alone from an empty cache with the same attention. Ratio ``argmax_equal`` is the share of
ratings whose most probable score is the same; ``flips_beyond_margin`` counts those that differ although the two scores'
probabilities, in the prompt sent alone, lie `MARGIN` or more apart. Prompts sent alone take an hour with a larger model: with
--keep their logits are kept in a file of JSON lines, and a second call with the same settings goes on from there.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from auditor.audits import InputFile
from auditor.audits.rating import inputs, rubric
from auditor.audits.rating.judge import Judge, Prepared, load_scorer, read_scores
from auditor.models.batch_plan import BatchPlan
from auditor.models.library import Library
from auditor.models.llama import LabelScorer
from auditor.processor import usable_cores
from numpy.typing import NDArray
from tests.benchmarks.harness import is_quick, option, report, summary
from tests.benchmarks.rating import write
from tests.benchmarks.rating_peers import N_CTX

#: Scores whose probabilities lie this close may change places when sums are taken in another order (the specification's).
MARGIN = 0.04
Logits = dict[tuple[int, int], NDArray[np.float32]]


def in_tree(judge: Judge, prepared: Sequence[Prepared]) -> Logits:
    """Logits of every (conversation, axis) as a run computes them."""
    layout = judge.layout(prepared, [range(len(judge.axes))] * len(prepared))
    return {(one.index, one.axis): np.array(one.logits, np.float32) for batch in judge.score(layout) for one in batch}


def one_at_a_time(
    scorer: LabelScorer, judge: Judge, prepared: Sequence[Prepared], keep: Path, settings: dict[str, Any]
) -> Logits:
    """The same prompts, each alone from an empty cache; those that `keep` holds are taken from there."""
    found = _kept(keep, settings)
    with keep.open("a", encoding="utf-8") as file:
        for place, one in enumerate(prepared):
            for axis, suffix in enumerate(one.unit.suffixes):
                if (place, axis) in found:
                    continue
                tokens = [*judge.prompt.prefix, *one.unit.body.tolist(), *suffix.tolist()]
                found[place, axis] = scorer.prefill(tokens, judge.prompt.labels.ids)
                file.write(json.dumps([place, axis, found[place, axis].tolist()]) + "\n")
                file.flush()
            sys.stderr.write(f"{place + 1} of {len(prepared)} alone\n")
    return found


def _kept(keep: Path, settings: dict[str, Any]) -> Logits:
    """What an earlier call with the same settings left, without a line that was cut off; the settings are its first line."""
    first = json.dumps(settings) + "\n"
    whole = (
        [line for line in keep.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
        if keep.exists()
        else []
    )
    if whole and whole[0] != first:
        raise SystemExit(f"{keep} is of other settings: name another file.")
    keep.write_text("".join(whole or [first]), encoding="utf-8")
    return {(place, axis): np.array(logits, np.float32) for place, axis, logits in map(json.loads, whole[1:])}


def differences(tree: Logits, alone: Logits) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures and ratios of how far two sets of logits lie apart."""
    raw, centred, expected, equal, beyond = [], [], [], 0, 0
    for key, theirs in alone.items():
        ours = tree[key]
        raw.append(float(np.abs(ours - theirs).max()))
        # A shift of all five changes no probability.
        centred.append(float(np.abs((ours - ours.mean()) - (theirs - theirs.mean())).max()))
        a, b = read_scores("", ours), read_scores("", theirs)
        expected.append(abs(a.expected - b.expected))
        equal += a.mode == b.mode
        beyond += abs(b.p[a.mode - 1] - b.p[b.mode - 1]) >= MARGIN and a.mode != b.mode
    figures = {
        "logit_difference": summary(raw, "logits"),
        "logit_difference_centred": summary(centred, "logits"),
        "expected_difference": summary(expected, "points"),
        "flips_beyond_margin": summary([beyond], "ratings"),
    }
    share = equal / len(alone)
    return figures, {"argmax_equal": {"median": share, "min": share, "max": share}}


def main() -> None:
    """Measure."""
    n = int(option("--conversations", "1" if is_quick() else "100"))
    model = Library().get(option("--model", "starter"))
    rated_by = rubric.load()
    axes = tuple(axis.name for axis in rated_by.axes)
    n_threads = usable_cores()
    plan = BatchPlan(capacity=1024, n_ubatch=512, flash_attention="--plain" not in sys.argv, n_threads=n_threads)
    with tempfile.TemporaryDirectory() as folder, load_scorer(model, n_ctx=N_CTX) as scorer:
        file = Path(folder) / "conversations.jsonl"
        keep = Path(option("--keep", str(Path(folder) / "alone.jsonl")))
        write(file, n)
        scorer.use(plan)
        judge = Judge(scorer, rated_by, axes, scope="last_response", n_ctx=N_CTX)
        conversations = inputs.conversations(InputFile(file, file.name, ""), {}, on_bad=print)
        prepared = [judge.prepare(conversation) for conversation in conversations]
        settings = {"model": model.name, "conversations": n, "axes": axes, "plan": plan.model_dump()}
        alone = one_at_a_time(scorer, judge, prepared, keep, settings)
        figures, ratios = differences(in_tree(judge, prepared), alone)
    report(settings | {"margin": MARGIN}, figures, ratios)


if __name__ == "__main__":
    main()
