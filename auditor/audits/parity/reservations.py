"""What limits the answer of a run beside its numbers: tests that cannot reject, and intervals that are missing or rough."""

from collections.abc import Sequence

import numpy as np

from auditor.audits.findings import Caution
from auditor.audits.parity.answers import differences
from auditor.audits.parity.effects import AGAINST_TARGET, SITUATIONS
from auditor.audits.parity.findings import EffectInfo, NullTestInfo
from auditor.audits.parity.hypotheses import Tester
from auditor.audits.parity.intervals import measured_coverage
from auditor.audits.parity.subject import Subject
from auditor.audits.parity.verdict import amount, difference_of, listed, p_words

#: Below so many queries in the smaller group intervals get a caution (ours).
_FEW_QUERIES = 30


def reservations(
    tester: Tester,
    subject: Subject,
    effects: Sequence[EffectInfo],
    test: NullTestInfo,
    omnibus: NullTestInfo | None,
) -> list[Caution]:
    """Cautions about the primary test and the intervals of its differences.

    Parameters
    ----------
    effects : sequence of EffectInfo
        The primary one first.
    test : NullTestInfo
        The primary one.
    omnibus : NullTestInfo or None
        The test of whether distributions differ in any way, beside it.
    """
    alpha = tester.spec.alpha
    told = [*_no_rejection(test, alpha), *_without_interval(effects), *_few_queries(tester, subject, effects[0])]
    if omnibus is not None and omnibus.p_value <= alpha < test.p_value:
        message = (
            f"The distributions differ ({omnibus.statistic_name}, {p_words(omnibus.p_value, alpha)}): an effect that compares "
            "means says where they lie only."
        )
        told.append(Caution(code="shape", message=message, count=len(subject.lists.queries)))
    return told


def _no_rejection(test: NullTestInfo, alpha: float) -> list[Caution]:
    """A test whose every possible p-value is above alpha."""
    if test.least_p <= alpha:
        return []
    least = p_words(test.least_p, alpha)
    drawn = test.p_low < test.p_high
    if drawn:
        words = f"B = {round(1 / test.least_p) - 1:,} is too small for alpha = {alpha:g}: the test cannot give less than {least}."
        return [Caution(code="no-rejection-possible", message=words, count=test.n_permutations)]
    words = (
        f"Too few queries for any rejection: there are {test.n_permutations:,} arrangements, and the test cannot give less than "
        f"{least} (alpha = {alpha:g})."
    )
    return [Caution(code="no-rejection-possible", message=words, count=test.n_permutations)]


def _without_interval(effects: Sequence[EffectInfo]) -> list[Caution]:
    """Differences that are larger than the primary one, which has an interval where they have none."""
    first = effects[0]
    larger = [one for one in differences(effects) if one.low is None and abs(one.value) > abs(first.value)]
    if first.low is None or not larger:
        return []
    names = [f"{difference_of(one.a, one.b, one.level)} ({amount(one.value, one.unit)})" for one in larger]
    message = f"Larger than the effect that is told, but without an interval: {listed(names)}."
    return [Caution(code="larger-without-interval", message=message, count=len(larger))]


def _few_queries(tester: Tester, subject: Subject, effect: EffectInfo) -> list[Caution]:
    """Intervals that rest on few queries of the smaller group."""
    sizes = np.bincount(subject.group)
    fewest = int(sizes[sizes > 0].min())
    if effect.low is None or fewest >= _FEW_QUERIES:
        return []
    of_groups = tester.mode in ("A", "B")
    situation = SITUATIONS[subject.attribute.scale.kind] if of_groups else AGAINST_TARGET
    measured = measured_coverage(situation, 2 * fewest if of_groups else fewest)
    who = "The smallest group has" if of_groups else "There are"
    message = f"{who} {fewest:,} queries: intervals are rough"
    if measured is not None:
        message += f"; measured coverage of nominal 95% intervals at about so few: {measured[1]:.1%}"
    return [Caution(code="few-queries", message=f"{message}.", count=fewest)]
