"""How far the answer of a run holds: the reruns that the sensitivity analyses ask for.

A rerun takes fewer permutations than the test itself, and a normal interval around the primary effect, as many standard
errors wide as that of the run and with errors over queries widened as there (ours); distances between distributions are
bounded anew where all else lies within the margin. What stands beside the rows is a rerun
of the unchanged results, so that like is compared with like.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from auditor.audits import Context
from auditor.audits.parity.annotation import UNSURE, Annotations
from auditor.audits.parity.answers import differences, distances
from auditor.audits.parity.contrasts import influence
from auditor.audits.parity.data import MISSING, Results
from auditor.audits.parity.findings import EffectInfo, SensitivityInfo
from auditor.audits.parity.hypotheses import Tester
from auditor.audits.parity.sensitivity import sensitivity
from auditor.audits.parity.sensitivity_question import Answer, Looked, Question, Rerun, look
from auditor.audits.parity.subject import Subject, subject
from auditor.audits.parity.verdict import lies_below, lies_within, state_of
from auditor.audits.stages import Stages
from auditor.errors import InputError

#: Permutations of a rerun, unless alpha asks for more; a p-value at alpha then rests on 20 of them (ours).
_PERMUTATIONS, _EXCEEDING = 999, 20
#: Reruns with other raters' labels, and results from which on there are fewer (ours).
_MOST_RERUNS, _FEWEST_RERUNS, _MANY_SLOTS = 100, 20, 20_000
#: As many reruns do bounds, tipping point and leaving out queries take together, more or less.
_USUAL_RERUNS = 30


def analyse(
    tester: Tester,
    primary: Subject,
    effects: Sequence[EffectInfo],
    annotations: Annotations | None,
    context: Context,
    stages: Stages,
) -> list[SensitivityInfo]:
    """All sensitivity analyses that the data allow, for the declared hypothesis.

    Parameters
    ----------
    effects : sequence of EffectInfo
        Those of the declared hypothesis, the primary one first.
    annotations : Annotations or None
        What raters said, for drawing labels again from their confusions.
    context : Context
    stages : Stages
        Keeps every rerun: they come in the same order in a resumed run.

    Raises
    ------
    Cancelled
        If a person asked for it.
    """
    name, effect = primary.attribute.name, effects[0]
    question = Question(
        results=tester.results,
        attribute=name,
        subject_of=lambda results: subject(
            tester.spec, results, tester.mode, results.attributes[name], primary.lists.k
        ),
        effect=effect.name,
        a=effect.a,
        b=effect.b,
        level=effect.level,
        moving_groups=tester.mode == "A",
        moving_target=tester.mode == "C1",
    )
    rerun = _kept(_rerun(tester, question, effects, len(primary.group_names)), context, stages)
    as_it_is = rerun(tester.results)
    rows = sensitivity(
        question,
        rerun,
        as_it_is.state,
        ratings=None if annotations is None else _ratings(annotations, tester.results),
        n_reruns=_n_reruns(tester.results),
        seed=tester.seed,
        cancelled=context.cancelled,
    )
    base = SensitivityInfo(
        kind="as it is",
        name="nothing changed",
        effect=as_it_is.effect,
        p_value=as_it_is.p_value,
        verdict=as_it_is.state,
        detail=f"Rerun with {_permutations(tester):,} permutations, as in the rows below.",
    )
    by_rater = [] if annotations is None else _rater_by_rater(annotations, tester.results, name, rerun)
    return [base, *(SensitivityInfo.model_validate(row._asdict()) for row in rows), *by_rater]


def _rater_by_rater(annotations: Annotations, results: Results, name: str, rerun: Rerun) -> list[SensitivityInfo]:
    """The test again with the labels of each rater alone; nothing where one person annotated."""
    if len(annotations.raters) < 2:
        return []
    rows = []
    for rater, attribute in annotations.aligned(results.item_ids).attributes(name).items():
        told = f"Items labelled by this rater: {int((attribute.level != MISSING).sum()):,}."
        row = SensitivityInfo(
            kind="rater",
            name=f"labels of {rater} alone",
            effect=None,
            p_value=None,
            verdict="inconclusive",
            detail=told,
        )
        try:
            answer = rerun(replace(results, attributes={**results.attributes, name: attribute}))
        except InputError as error:
            rows.append(row.model_copy(update={"detail": f"{told} They cannot be tested alone: {error}"}))
            continue
        found = {"effect": answer.effect, "p_value": answer.p_value, "verdict": answer.state}
        rows.append(row.model_copy(update=found))
    return rows


def usual_permutations(tester: Tester, *, several_raters: bool) -> int:
    """Permutations of all reruns together as they usually come out, for telling how long a run takes."""
    reruns = _USUAL_RERUNS + (_n_reruns(tester.results) if several_raters else 0)
    return reruns * _permutations(tester) if tester.spec.sensitivity else 0


def _permutations(tester: Tester) -> int:
    return min(tester.spec.permutations, max(_PERMUTATIONS, round(_EXCEEDING / tester.spec.alpha)))


def _n_reruns(results: Results) -> int:
    return max(_FEWEST_RERUNS, min(_MOST_RERUNS, _MOST_RERUNS * _MANY_SLOTS // max(len(results.item), 1)))


def _rerun(tester: Tester, question: Question, effects: Sequence[EffectInfo], n_groups: int) -> Rerun:
    fewer = tester.spec.model_copy(update={"permutations": _permutations(tester)})
    margin, alpha = tester.spec.margin, tester.spec.alpha
    asked = [(replace(question, a=one.a, b=one.b, level=one.level), one) for one in differences(effects)]
    reaches = [(each, _reach(each, one)) for each, one in asked]
    reach = reaches[0][1]
    # As in the run: every pair of groups must be compared, and every difference have an interval.
    n_pairs = 1 if question.against_target else n_groups * (n_groups - 1) // 2
    whole = len({(one.a, one.b) for _, one in asked}) == n_pairs and all(off is not None for _, off in reaches)

    def within(looked: Looked, each: Question, off: Callable[[Looked], float] | None) -> bool:
        try:
            found = look(replace(each, subject_of=lambda _: looked.subject))
        except InputError:  # a group has no queries left
            return False
        around = 0.0 if off is None else off(found)
        return margin is not None and lies_within(found.value - around, found.value + around, margin)

    def rerun(results: Results) -> Answer:
        looked = look(question, results)
        retester = replace(tester, spec=fewer, results=results)
        test = retester.test(looked.subject, None, tester.declared(), None)
        value = looked.value
        low = high = None
        if reach is not None:
            off = reach(looked)
            low, high = value - off, value + off
        inside = whole and margin is not None and all(within(looked, each, off) for each, off in reaches)
        inside = inside and margin is not None and _bounded(retester, looked.subject, margin)
        return Answer(value, low, high, test.p_value, state_of(inside=inside, p_value=test.p_value, alpha=alpha))

    return rerun


def _bounded(tester: Tester, subject: Subject, margin: float) -> bool:
    """Whether every distance between distributions lies below the margin."""
    return all(lies_below(one.high, margin) for one in distances(tester, subject))


def _reach(question: Question, effect: EffectInfo) -> Callable[[Looked], float] | None:
    """How far the interval of a rerun reaches: as many standard errors over queries as that of the run.

    None where the run has no interval. A bound is no multiple of an error: it stays as it is.
    """
    if effect.low is None or effect.high is None:
        return None
    half, error = (effect.high - effect.low) / 2, _error(look(question))
    if effect.bounded:
        return lambda _: half
    return (lambda looked: half / error * _error(looked)) if error > 0 else None


def _error(looked: Looked) -> float:
    """HC2 standard error over queries."""
    return float(np.sqrt(np.square(influence(looked.contrast, looked.lists, looked.design)).sum()))


def _kept(rerun: Rerun, context: Context, stages: Stages) -> Rerun:
    """Reruns by number, told and flushed."""
    done = 0

    def numbered(results: Results) -> Answer:
        nonlocal done
        done += 1
        context.progress(done, None, "Asking how far the answer holds")
        return stages.once(f"rerun {done}", Answer, lambda: rerun(results))

    return numbered


def _ratings(annotations: Annotations, results: Results) -> NDArray[np.int64]:
    """Levels that raters gave to the items, shape (n_items, n_raters)."""
    said = annotations.aligned(results.item_ids).said.T.astype(np.int64)
    return np.where(said == UNSURE, MISSING, said)
