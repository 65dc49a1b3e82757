"""What is asked beside the test: effects, the verdict, how alike lists are, power, what was left out, cautions."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.audits.findings import Caution
from auditor.audits.parity import concentration as resemblance
from auditor.audits.parity import output
from auditor.audits.parity import verdict as conclusions
from auditor.audits.parity.contrasts import Design
from auditor.audits.parity.data import MISSING, Attribute, Results, slot_weights
from auditor.audits.parity.descriptive import describe
from auditor.audits.parity.effects import effects_groups, effects_target, shapes_groups
from auditor.audits.parity.estimates import DISTANCE, Effect
from auditor.audits.parity.findings import (
    Concentration,
    EffectInfo,
    Excluded,
    Mode,
    NullTestInfo,
    is_distance,
)
from auditor.audits.parity.hypotheses import Tester, of_location
from auditor.audits.parity.settings import named
from auditor.audits.parity.spec import ParitySpec
from auditor.audits.parity.subject import Subject, own_group
from auditor.errors import InputError

#: From this share of results without a known attribute on, and from this difference of that share between groups, a
#: warning is given (ours).
_MISSING_SHARE, _MISSING_GAP = 0.05, 0.05
#: Fewer items in effect than this per level are hubs worth a warning (ours).
_FEW_ITEMS = 30


_DISAGREE = (
    "The interval of the primary effect and the test disagree on whether there is a difference. They ask different questions: "
    "the test is about these items and every way in which results may differ, the interval about one difference, and about "
    "other items too where items repeat."
)


def effects(tester: Tester, subject: Subject) -> list[EffectInfo]:
    """Effects of one hypothesis with intervals; the first one is what its verdict is about."""
    found = (
        _of_target(tester, subject)
        if tester.mode in ("C1", "C2")
        else effects_groups(*_groups(subject), **_how(tester))
    )
    of = {"attribute": subject.attribute.name, "k": subject.lists.k}
    return [EffectInfo.model_validate({**of, **dataclasses.asdict(effect)}) for effect in found]


def distances(tester: Tester, subject: Subject) -> list[Effect]:
    """How far distributions lie apart in the unit of the margin, with upper limits; none between names."""
    if tester.mode in ("A", "B"):
        return shapes_groups(*_groups(subject), **_how(tester))
    return [one for one in _of_target(tester, subject, primary_only=True) if one.name == DISTANCE]


def _groups(subject: Subject) -> tuple[Any, ...]:
    return subject.lists, subject.attribute, subject.group, subject.group_names, subject.stratum


def _of_target(tester: Tester, subject: Subject, *, primary_only: bool = False) -> list[Effect]:
    return effects_target(
        subject.lists,
        subject.attribute,
        subject.target,
        subject.target_mean,
        ranked_among=subject.ranked_among,
        expected=subject.expected,
        primary_only=primary_only,
        **_how(tester),
    )


def _how(tester: Tester) -> dict[str, Any]:
    return {"confidence": tester.spec.confidence, "seed": tester.seed, "two_way": tester.results}


def verdict(
    tester: Tester, subject: Subject, effects: list[EffectInfo], test: NullTestInfo, omnibus: NullTestInfo | None
) -> conclusions.Answer:
    """The answer in one of three states, from the effects of the declared hypothesis, the primary one first, and its tests."""
    spec = tester.spec
    return conclusions.verdict(
        _effect(effects[0]),
        test.p_value,
        alpha=spec.alpha,
        margin=spec.margin,
        scale=subject.attribute.scale,
        attribute=subject.attribute.name,
        confidence=spec.confidence,
        power=spec.power_target,
        differences=[_effect(one) for one in differences(effects)],
        uncompared=_uncompared(tester, subject, effects),
        distances=[_effect(one) for one in effects if is_distance(one, effects[0])],
        shape=_shape(subject, test, omnibus),
        least_p=test.least_p,
    )


def differences(effects: Sequence[EffectInfo]) -> list[EffectInfo]:
    """The effects that the first one was chosen from."""
    first = effects[0]
    asked = (first.attribute, first.k, first.name)
    return [one for one in effects if (one.attribute, one.k, one.name) == asked]


def _effect(info: EffectInfo) -> Effect:
    return Effect(**info.model_dump(exclude={"attribute", "k"}))


def _uncompared(tester: Tester, subject: Subject, effects: Sequence[EffectInfo]) -> list[str]:
    """Pairs of groups that no stratum holds both of."""
    if tester.mode not in ("A", "B"):
        return []
    compared = {frozenset((one.a, one.b)) for one in differences(effects)}
    pairs = itertools.combinations(subject.group_names, 2)
    return [f"{a} less {b}" for a, b in pairs if frozenset((a, b)) not in compared]


def _shape(subject: Subject, test: NullTestInfo, omnibus: NullTestInfo | None) -> conclusions.Shape | None:
    """The test of whether distributions differ in any way; names have no shape beside their shares."""
    if omnibus is not None:
        return conclusions.Shape(omnibus.statistic_name, omnibus.p_value)
    if subject.attribute.scale.kind == "nominal" or of_location(test.statistic_name):
        return None
    return conclusions.Shape(test.statistic_name, test.p_value, declared=True)


def of_all_queries(results: Results, subject: Subject) -> NDArray[np.int16]:
    """Group of every query, shape (Q,); `MISSING` for those that take no part."""
    group = np.full(results.n_queries, MISSING, dtype=np.int16)
    group[subject.lists.queries] = subject.group
    return group


def concentration(tester: Tester, subject: Subject) -> Concentration:
    """Intra-list correlation and hubs; the naive test is there for contrast only."""
    results, k = tester.results, subject.lists.k
    group = of_all_queries(results, subject) if tester.mode in ("A", "B") else None
    found = resemblance.icc(results, subject.attribute, k=k, group=group)
    exposure = resemblance.hubs(results, k=k, rank_aware=subject.lists.rank_aware)
    return Concentration(
        icc=None if found is None else found.icc,
        icc_low=None if found is None else found.low,
        mean_length=None if found is None else found.mean_length,
        design_effect=None if found is None else found.design_effect,
        n_items_shown=exposure.n_items,
        effective_items=exposure.effective_items,
        repeated_share=exposure.repeated_share,
        largest_share=exposure.largest_share,
        naive_p=_naive_p(tester, subject),
    )


def _naive_p(tester: Tester, subject: Subject) -> float | None:
    """Chi-squared test over slots as if they were independent; None where its table is degenerate."""
    from scipy.special import chdtrc

    results, n_levels = tester.results, len(subject.attribute.scale.levels)
    slots = output.counted(results, subject)
    group = of_all_queries(results, subject)[results.query[slots]]
    level = subject.attribute.level[results.item[slots]]
    n_groups = len(subject.group_names)
    table = np.bincount(group * np.intp(n_levels) + level, minlength=n_groups * n_levels).reshape(n_groups, n_levels)
    table = table[:, table.sum(axis=0) > 0].astype(np.float64)
    if subject.target is None:
        expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
        df = (table.shape[0] - 1) * (table.shape[1] - 1)
    else:
        per_slot = np.zeros((results.n_queries, n_levels))
        per_slot[subject.lists.queries] = subject.target
        wanted = per_slot[results.query[slots]].sum(axis=0)
        if (wanted <= 0).any() or table.shape[1] != n_levels:
            return None
        expected, df = wanted[None, :], n_levels - 1
    if df < 1:
        return None
    return float(chdtrc(df, float((np.square(table - expected) / expected).sum())))


def descriptive(tester: Tester, subject: Subject) -> list[dict[str, Any]]:
    """skew@k, NDKL and AWRF against the catalog, the target, or all results."""
    results, spec = tester.results, tester.spec
    found = describe(
        results,
        subject.attribute,
        of_all_queries(results, subject),
        subject.group_names if tester.mode in ("A", "B") else (),
        reference(results, subject),
        k=subject.lists.k,
        smoothing=spec.smoothing,
    )
    return [dataclasses.asdict(measure) for measure in found]


def reference(results: Results, subject: Subject) -> NDArray[np.float64]:
    """Shares that lists are described against: each query's target, else the catalog's, else those of all results."""
    pooled = subject.lists.shares.mean(axis=0)
    if subject.target is not None:
        shares = np.tile(subject.target.mean(axis=0), (results.n_queries, 1))
        shares[subject.lists.queries] = subject.target
        return shares
    known = results.in_catalog & (subject.attribute.level != MISSING)
    if known.any():
        counts = np.bincount(subject.attribute.level[known], minlength=len(pooled)).astype(np.float64)
        return np.asarray(counts / counts.sum())
    return np.asarray(pooled)


def excluded(results: Results, subject: Subject, mode: Mode) -> Excluded:
    """What takes no part in the primary test, by reason."""
    has_group = own_group(results, mode, subject.attribute) != MISSING
    takes_part = of_all_queries(results, subject) != MISSING
    by_group = {name: n for name, (n, _) in output.missing_by_group(results, subject, mode).items()}
    inside = slot_weights(results, subject.lists.k, rank_aware=False) > 0
    missing = subject.attribute.level == MISSING
    shown = np.zeros(results.n_items, dtype=np.bool_)
    shown[results.item] = True
    return Excluded(
        slots_by_reason=dict(results.excluded),
        slots_without_attribute=int((inside & missing[results.item] & has_group[results.query]).sum()),
        slots_without_attribute_by_group=by_group,
        items_without_attribute=int((missing & (shown | results.in_catalog)).sum()),
        queries_without_known_result=int((has_group & ~takes_part).sum()),
        queries_without_group=int((~has_group).sum()),
    )


def n_strata(results: Results, subject: Subject, mode: Mode) -> int:
    """Strata within which labels are permuted."""
    strata = subject.stratum if mode == "B" else results.item_stratum if mode in ("A", "C1") else np.zeros(1)
    return len(np.unique(strata))


def cautions(
    tester: Tester, subject: Subject, effect: EffectInfo, p_value: float, found: Concentration, left: Excluded
) -> list[Caution]:
    """Everything that a reader of the numbers must know beside what was noticed while reading."""
    told = [*_clusters(tester.mode, found), *_missing(tester, subject, left), *_strata(tester, subject)]
    if effect.low is not None and effect.high is not None:
        holds_zero = effect.low <= 0 <= effect.high
        if holds_zero == (p_value <= tester.spec.alpha):
            told.append(Caution(code="interval-and-test", message=_DISAGREE))
    k, longest = subject.lists.k, int(subject.lists.size.max())
    if k is not None and longest < k:
        message = f"K is {k:,}, but no list has more than {longest:,} results: all of them count."
        told.append(Caution(code="k-beyond-lists", message=message, count=longest))
    if effect.low is None:
        message = f"There is no interval: {effect.no_interval or 'it cannot be estimated'}."
        told.append(Caution(code="no-interval", message=message, count=effect.n_clusters))
    if found.effective_items < _FEW_ITEMS:
        message = (
            f"The results rest on {found.effective_items:,.0f} items in effect (of {found.n_items_shown:,} that are shown): "
            "a few items stand in many lists, and the answer is about them."
        )
        told.append(Caution(code="hubs", message=message, count=max(1, math.ceil(found.effective_items))))
    return told


def _clusters(mode: Mode, found: Concentration) -> list[Caution]:
    if found.icc is None or found.icc_low is None or found.mean_length is None:
        return []
    correlation = resemblance.ListCorrelation(found.icc, found.icc_low, found.mean_length)
    caution = resemblance.caution_of_clusters(mode, correlation)
    return [caution] if caution else []


def _strata(tester: Tester, subject: Subject) -> list[Caution]:
    """Strata that cannot be used, and queries that nothing can be compared with within theirs."""
    told = []
    spec, mode = tester.spec, tester.mode
    declared = ", ".join(spec.strata or [name for field, name in spec.mapping.items() if field == "stratum"])
    if declared and n_strata(tester.results, subject, mode) == 1:
        items = "it is items that are shuffled, and all items are in one stratum"
        why = {
            "A": f"{items}; neither the test nor the effect is stratified",
            "B": "all queries are in one stratum",
            "C1": items,
            "C2": "a query is compared with its own target",
        }[mode]
        message = f"The strata by {declared} do nothing in mode {mode}: {why}."
        told.append(Caution(code="strata-unused", message=message, count=1))
    if mode in ("A", "B"):
        alone = int(np.count_nonzero(~Design(subject.group, len(subject.group_names), subject.stratum).partnered))
        if alone:
            words = "query stands" if alone == 1 else "queries stand"
            message = (
                f"{alone:,} {words} in strata without a partner of another group and say nothing of the difference."
            )
            told.append(Caution(code="strata-without-partner", message=message, count=alone))
    return told


def _missing(tester: Tester, subject: Subject, left: Excluded) -> list[Caution]:
    by_group = output.missing_by_group(tester.results, subject, tester.mode)
    n = sum(size for _, size in by_group.values())
    told = []
    if left.slots_without_attribute > _MISSING_SHARE * n:
        message = (
            f"{left.slots_without_attribute:,} of {n:,} results within K have no known {subject.attribute.name}; the sensitivity "
            "analysis says what they could change."
        )
        told.append(Caution(code="missing-attribute", message=message, count=left.slots_without_attribute))
    shares = {name: missing / size for name, (missing, size) in by_group.items()}
    if len(shares) > 1 and max(shares.values()) - min(shares.values()) > _MISSING_GAP:
        words = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
        message = (
            f"How often the {subject.attribute.name} of a result is not known depends on the query group: {words}."
        )
        told.append(Caution(code="missing-by-group", message=message, count=left.slots_without_attribute))
    return [*told, *_target_unlabelled(tester, subject)]


def _target_unlabelled(tester: Tester, subject: Subject) -> list[Caution]:
    """Items of the catalog without a label, where the others decide the target."""
    if tester.mode != "C1":
        return []
    catalog = tester.results.in_catalog
    n, n_known = int(catalog.sum()), int((catalog & (subject.attribute.level != MISSING)).sum())
    if n - n_known <= _MISSING_SHARE * n:
        return []
    message = (
        f"Of {n:,} items of the catalog {n_known:,} ({n_known / n:.0%}) have a known {subject.attribute.name}: what is expected "
        "of the results rests on these alone. If items are labelled because they are shown, it is drawn towards what is shown; "
        "the sensitivity analysis says what the other items could change."
    )
    return [Caution(code="catalog-unlabelled", message=message, count=n - n_known)]


def check_levels(attribute: Attribute, results: Results) -> None:
    """Refuse an attribute that does not vary.

    Raises
    ------
    InputError
        If every item is of one level.
    """
    levels = np.unique(attribute.level[attribute.level != MISSING])
    if len(levels) != 1 or attribute.value is not None:
        return
    raise InputError(
        f"Every item of {results.n_items:,} shows the same {attribute.name}",
        column=attribute.name,
        value=attribute.scale.levels[int(levels[0])],
        fix="There is nothing to compare; check the column of the attribute.",
    )


def check_margin(spec: ParitySpec, subject: Subject) -> None:
    """Refuse a margin that is not in the unit of the effect: shares and mid-ranks never differ by more than 1.

    Raises
    ------
    InputError
        If it is 1 or more where the effect is not in degrees.
    """
    in_degrees = subject.attribute.scale.kind == "ita" and (subject.target is None or subject.target_mean is not None)
    if spec.margin is None or spec.margin < 1 or in_degrees:
        return
    points = "percentage point" if spec.margin == 1 else "percentage points"
    raise InputError(
        f"{named('margin')}: {spec.margin:g} is beyond every difference of shares or mid-ranks, where 1 is 100 percentage points",
        fix=f"Write {spec.margin / 100:g} for {spec.margin:g} {points}.",
    )
