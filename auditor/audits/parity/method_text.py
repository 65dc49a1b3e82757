"""What a report says of the method of a parity run, in plain text."""

from auditor.audits.parity.findings import LEGAL, MODES, ParityFindings, is_distance
from auditor.audits.parity.verdict import difference_of, listed, p_words

_TEST = (
    "Distribution parity, after Khaziev et al. (arXiv:1909.06429, of which only the abstract could be read: the design is "
    "Auditor's own). Null hypothesis: {null}{strata}. Mode {mode}: {what}; this mode because {reason}. {unit}"
)
_UNIT = {
    "A": "The retrieval graph is frozen: which item is found for which stays as it is, so that items that are found often count "
    "as the hubs they are. What must be exchangeable are the items of a stratum.",
    "B": "The results of one query are not independent of each other, and need not be: a list is one unit, and no result is "
    "counted as an observation of its own.",
    "C1": "How much each item is shown stays as it is. What must be exchangeable are the items of a stratum.",
    "C2": "Each query is one unit: its deviation from the target as a whole, and no result is an observation of its own.",
}
_NULL = {
    "A": "the attribute of the results is independent of the attribute of the query",
    "B": "the attribute of the results is independent of the query's group",
    "C1": "the attribute of the results is distributed as in the catalog",
    "C2": "the mean shares of the results are the target shares",
}
_P = (
    "In {exceeding:,} of {n:,} arrangements the statistic reached the observed value: p = {p:.4g}, two-sided{formula}. "
)
_CHANCE = "What chance in drawing the arrangements leaves open: {low:.4g} to {high:.4g} (Clopper-Pearson, 99%)."
_NO_CHANCE = "These are all arrangements that there are, so chance leaves nothing open."
_WEIGHTS = {
    "uniform": "Every result within K counts the same, and every query the same, however long its list.",
    "rank": "A result counts 1 / log2(1 + rank), scaled so that every query counts the same, however long its list.",
}
_SCALES = {
    "nominal": "nominal (names without order): {levels}",
    "ordinal": "ordinal, in this order: {levels}",
    "ita": "individual typology angle in degrees, ITA = arctan((L* - 50) / |b*|) 180 / pi in CIELAB (D65); classes by the "
    "cut-offs 55, 41, 28, 10 and -30: {levels}",
}
_HUE = (
    "Skin of one angle varies in hue as well (Thong, Joniak, Xiang, ICCV 2023): the hue angle h_ab = arctan2(b*, a*) of the "
    "colours, from red (0) to yellow (90), stands beside it, as a mean direction by query group; it is not tested."
)
_MULTIPLICITY = {
    True: "{n} further K or attributes are secondary. Their p-values are adjusted together, {how}, so that "
    "the probability of any false one among them is at most alpha. The primary hypothesis is not adjusted: it was set as such.",
    False: "There is one hypothesis. What else the report shows is descriptive.",
}
_CELLS = (
    "In the table of shares by group and level errors are over queries, and over items where they repeat, and never smaller than "
    "expected under the null hypothesis; the reference is a t-distribution with as many degrees of freedom as the group has "
    "queries, less one (against a target no more than effective items)."
)
_DRILL_DOWN = (
    " Each cell has a p-value for looking closer, adjusted over the cells for the false discovery rate (Benjamini and Hochberg)"
    "{but}. In simulations at most 5% of tables in which nothing deviated showed a false cell."
)
_FEW_EXPECTED = ", unless fewer than five results of the level, or of all others, are expected in effect"
_NO_DRILL_DOWN = " They are for intervals only: there are no p-values, since it is items that the test exchanges."
_VERDICT = (
    "Parity within margin: the {confidence:.0%} interval of every difference that the primary effect was chosen from lies within "
    "the margin{shape}. Disparity detected: p <= {alpha:g} otherwise. Inconclusive: "
    "neither. Parity is never concluded from a large p-value{margin}."
)
_SHAPE = {
    "degrees": ", and so does the upper limit of the Wasserstein-1 distance of every pair, the area between two distribution "
    "functions of degrees",
    "mid-rank": ", and so does the upper limit of the Wasserstein-1 distance of every pair, the area between two distribution "
    "functions over mid-ranks from -1 to 1",
}
_ABOUT_SHAPE = (
    "Distributions may differ in shape where means agree; their distance is in the unit of the margin and never below the "
    "difference of means (Auditor's own choice). Its limit is the estimate and the {confidence:.0%} quantile of the distance of "
    "resampled errors; both are too large rather than too small, so that parity is said too rarely rather than too often."
)
_MEAN_ONLY = "The target is a mean, and so is what parity is about: nothing is said of shapes."
_DESCRIPTIVE = (
    "skew@k of a level is ln(p / r): p its share within the first k results of a query, r the share that the reference leads one "
    "to expect (each query's target where there are targets, else the catalog, else all results); 0 where they agree. NDKL is "
    "the Kullback-Leibler divergence from the reference within the first i results, averaged over i by 1 / log2(1 + i); "
    "0 is best. Before both, the constant of the setting Smoothing is added to every observed and to every expected count, so "
    "that an absent level has a logarithm. AWRF is 1 less the Jensen-Shannon divergence (base 2) between the attention that "
    "levels get, 1 / log2(1 + rank) for each result, and the reference; it takes no smoothing, and 1 is best. All are means over "
    "queries, each query weighing the same. They describe; nothing is tested and nothing concluded from them."
)
_MDE = (
    "The minimum detectable effect is (z(1 - alpha / 2) + z(power)) times the standard error of the primary effect, with alpha "
    "{alpha:g} and the power that was asked for: the size that a study of this kind would have missed no oftener than that. "
    "Where several differences have intervals at once, their wider reach stands for z(1 - alpha / 2), and it is meant for one "
    "difference alone; where an interval is a bound, half of it does. None is given where no arrangement of the data has a "
    "p-value of at most alpha, nor where it would lie beyond every difference that there can be."
)
_AT_ONCE = (
    "Intervals that hold at once are balanced (Beran, Journal of the American Statistical Association 83 (1988) 679-686): each "
    "difference is measured by its own resampled errors before the largest of them is looked at, so that one with a long tail "
    "widens no other."
)
_BOUNDED = (
    "For {which} so few queries of a group differ that a resample may hold none of them: the part of that group is bounded by "
    "betting on the mean of its queries (Waudby-Smith and Ramdas, Journal of the Royal Statistical Society B 86 (2024) 1-27), "
    "which holds for every number of queries and for whatever their lists may hold{share}."
)
#: As `estimates` shares what the intervals may miss.
_BOUNDED_SHARE = (
    "; such differences together get a tenth of the probability with which intervals may miss, the others the rest"
)


def methods(findings: ParityFindings) -> list[tuple[str, str]]:
    """Heading and text pairs, in the order of the report."""
    parts = [
        ("System that was audited", findings.system or "Not stated."),
        ("Sampling window", findings.sampling_window or "Not stated."),
        ("Hypotheses and K", _hypotheses(findings)),
        ("Test", _test(findings)),
        ("Permutations", _permutations(findings)),
        ("Multiplicity", _multiplicity(findings)),
        ("Effects and intervals", _effects(findings)),
        ("Verdict", _verdict(findings)),
        ("Scale", _scale(findings)),
        ("Annotation protocol", _annotation(findings)),
        ("What was left out", _excluded(findings)),
        ("Resemblance within lists", _concentration(findings)),
    ]
    parts.append(("Descriptive measures", _DESCRIPTIVE))
    if findings.power is not None:
        parts.append(("Power", "\n".join((findings.power.sentence, *findings.power.notes))))
    if findings.sensitivity:
        parts.append(("Sensitivity", _sensitivity(findings)))
    return [*parts, ("What this is not", LEGAL)]


def _hypotheses(findings: ParityFindings) -> str:
    lines = [
        f"Primary, as set for this run: {findings.attribute}, {_k(findings.k)}"
        + (f", query groups {', '.join(findings.group_names)}" if findings.mode in ("A", "B") else "")
        + "."
    ]
    if findings.tests:
        lines.append(
            "Secondary: " + "; ".join(f"{test.attribute}, {_k(test.k)}" for test in findings.tests) + " (adjusted)."
        )
    return "\n".join(lines)


def _k(k: int | None) -> str:
    return "all results" if k is None else f"the first {k:,} results of each query"


def _test(findings: ParityFindings) -> str:
    strata = ""
    if findings.strata and findings.n_strata > 1:
        strata = f", within strata by {', '.join(findings.strata)} ({findings.n_strata:,} strata)"
    told = _TEST.format(
        null=_NULL[findings.mode],
        strata=strata,
        mode=findings.mode,
        what=MODES[findings.mode],
        reason=findings.mode_reason,
        unit=_UNIT[findings.mode],
    )
    return f"{told}\n{_WEIGHTS[findings.weights]}"


def _permutations(findings: ParityFindings) -> str:
    test = findings.primary
    told = test.method if test.method.endswith(".") else f"{test.method}."
    if test.n_permutations:
        by_chance = (1 + test.n_exceeding) / (1 + test.n_permutations)
        told += " " + _P.format(
            n=test.n_permutations,
            exceeding=test.n_exceeding,
            p=test.p_value,
            formula=", (1 + reached) / (1 + drawn)" if test.p_value == by_chance else "",
        )
        told += _NO_CHANCE if test.is_exact else _CHANCE.format(low=test.p_low, high=test.p_high)
    naive = findings.concentration.naive_p
    if naive is not None:
        told += (
            f"\nFor contrast only: a chi-squared test that took every result as independent would have said p = {naive:.2g}. "
            "It counts results of one query as if each told something new."
        )
    return told


def _multiplicity(findings: ParityFindings) -> str:
    how = "by max-T over the same relabellings (Westfall and Young)" if findings.mode == "B" else "after Holm"
    told = _MULTIPLICITY[bool(findings.tests)].format(n=len(findings.tests), how=how)
    drill_down = _DRILL_DOWN.format(but=_FEW_EXPECTED if findings.mode == "C2" else "")
    if any(table.name == "cells" and not table.rows for table in findings.tables):
        return told
    return f"{told} {_CELLS}{_NO_DRILL_DOWN if findings.mode in ('A', 'C1') else drill_down}"


def _effects(findings: ParityFindings) -> str:
    first = findings.primary_effect
    asked = [
        one for one in findings.effects if (one.attribute, one.k, one.name) == (first.attribute, first.k, first.name)
    ]
    lines = [f"{first.title}. {first.method}"]
    if first.simultaneous:
        lines.append(_AT_ONCE)
    bounded = [difference_of(one.a, one.b, one.level) for one in asked if one.bounded]
    if bounded:
        both = first.simultaneous and len(bounded) < len(asked)
        lines.append(_BOUNDED.format(which=listed(bounded), share=_BOUNDED_SHARE if both else ""))
    return "\n".join(lines)


def _verdict(findings: ParityFindings) -> str:
    margin = (
        f"; the margin is {findings.margin:g} in the unit of the effect"
        if findings.margin is not None
        else "; no margin was declared, so that parity could not be concluded"
    )
    first = findings.primary_effect
    bounded = any(is_distance(one, first) for one in findings.effects)
    said = _VERDICT.format(
        confidence=findings.confidence,
        alpha=findings.alpha,
        margin=margin,
        shape=_SHAPE[first.unit] if bounded else "",
    )
    about = _ABOUT_SHAPE.format(confidence=findings.confidence) if bounded else ""
    if not bounded and first.unit == "degrees":
        about = _MEAN_ONLY
    return "\n".join(filter(None, (said, about, _omnibus(findings), _MDE.format(alpha=findings.alpha))))


def _omnibus(findings: ParityFindings) -> str:
    test = findings.omnibus
    if test is None:
        return ""
    return (
        f"Beside the primary test {test.statistic_name} looks at whether distributions differ in any way "
        f"({p_words(test.p_value, findings.alpha)}). It is told beside the answer and decides nothing: parity rests on how far "
        "distributions may lie apart, not on whether a difference can be detected."
    )


def _scale(findings: ParityFindings) -> str:
    levels = ", ".join(findings.scale.levels)
    hue = f" {_HUE}" if any(table.name == "hue" and table.rows for table in findings.tables) else ""
    return f"{findings.attribute}: {_SCALES[findings.scale.kind].format(levels=levels)}.{hue}"


def _annotation(findings: ParityFindings) -> str:
    said = findings.annotation_protocol or "Not stated."
    raters = findings.raters
    if raters is None:
        return said
    bounds = "" if raters.low is None or raters.high is None else f" (interval {raters.low:.2f} to {raters.high:.2f})"
    alpha = "not defined" if raters.alpha is None else f"{raters.alpha:.2f}{bounds}"
    who = f"{len(raters.raters)} raters" if len(raters.raters) != 1 else "1 rater"
    return f"{said}\n{who}; Krippendorff's alpha {alpha} on {raters.n_items:,} items. {raters.rule}"


def _excluded(findings: ParityFindings) -> str:
    left = findings.excluded
    part = f"Of {findings.n_queries_read:,} queries {findings.n_queries:,} take part. "
    part += (
        f"{left.slots_without_attribute:,} results within K and {left.items_without_attribute:,} items have no known "
    )
    lines = [f"{part}{findings.attribute} and count neither for nor against."]
    if left.queries_without_known_result:
        lines.append(
            f"{left.queries_without_known_result:,} queries have no result whose {findings.attribute} is known."
        )
    if left.queries_without_group:
        lacking = "target shares" if findings.mode == "C2" else "group"
        lines.append(f"{left.queries_without_group:,} queries have no {lacking}.")
    lines += [f"{reason}: {count:,} results." for reason, count in left.slots_by_reason.items()]
    by_group = left.slots_without_attribute_by_group
    if len(by_group) > 1 and left.slots_without_attribute:
        lines.append("Unknown by query group: " + ", ".join(f"{name} {n:,}" for name, n in by_group.items()) + ".")
    return "\n".join(lines)


def _concentration(findings: ParityFindings) -> str:
    found = findings.concentration
    icc = (
        "Intra-list correlation cannot be estimated here."
        if found.icc is None
        else f"Intra-list correlation {found.icc:.3f}, design effect {found.design_effect or 1:.2f}."
    )
    return (
        f"{icc} The results rest on {found.effective_items:,.0f} items in effect (1 / sum of squared shares), and "
        f"{found.repeated_share:.0%} of them show an item that stands in several lists."
    )


def _sensitivity(findings: ParityFindings) -> str:
    """One line for each question; its rows share what is said of them."""
    lines: dict[tuple[str, str], list[str]] = {}
    for row in findings.sensitivity:
        lines.setdefault((row.kind, row.detail), []).append(f"{row.name} ({row.verdict})")
    return "\n".join(
        f"{_sentence(kind)}: {', '.join(names)}. {_sentence(detail).rstrip('.')}."
        for (kind, detail), names in lines.items()
    )


def _sentence(words: str) -> str:
    """Words as they stand at the beginning of a sentence; findings of earlier versions begin without a capital."""
    return f"{words[:1].upper()}{words[1:]}"
