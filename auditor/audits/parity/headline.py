"""The numbers of a parity run in words and with their units, as a report begins with them."""

from auditor.audits.parity.findings import MODES, ParityFindings
from auditor.audits.parity.verdict import amount, number, p_words

#: Units of a column of effects, in words; shares and mid-ranks lie between 0 and 1.
UNITS = {"degrees": "degrees ITA", "share": "share", "mid-rank": "mean mid-rank", "levels": "levels"}


def headline_words(findings: ParityFindings) -> list[tuple[str, str]]:
    """(what, value with its unit) pairs of the declared hypothesis."""
    test, effect, left = findings.primary, findings.primary_effect, findings.excluded
    out = left.slots_without_attribute + sum(left.slots_by_reason.values())
    if effect.low is None or effect.high is None:
        interval = f"none: {effect.no_interval or 'it cannot be estimated'}"
    else:
        interval = f"{number(effect.low, effect.unit)} to {amount(effect.high, effect.unit)}"
    smallest = findings.minimum_detectable_effect
    chance = "nothing: p is exact" if test.is_exact else f"{test.p_low:.4f} to {test.p_high:.4f}"
    known = findings.n_slots_known
    return [
        ("Verdict", findings.state),
        ("p-value, two-sided", f"{p_words(test.p_value, findings.alpha)} (alpha {findings.alpha:g})"),
        ("What drawing relabellings leaves open of it, 99%", chance),
        ("Statistic", f"{test.statistic_name}, {test.statistic:.4g}"),
        ("Effect", f"{effect.title}: {amount(effect.value, effect.unit)}"),
        (f"Interval of the effect, {findings.confidence:.0%}", interval),
        ("Margin", "none declared" if findings.margin is None else amount(findings.margin, effect.unit)),
        ("Smallest detectable effect", "cannot be estimated" if smallest is None else amount(smallest, effect.unit)),
        ("Queries that take part", f"{findings.n_queries:,} of {findings.n_queries_read:,}"),
        ("Items", f"{findings.n_items:,}"),
        *([] if known is None else [("Results that count", f"{known:,}")]),
        ("Results left out", f"{out:,}"),
        ("Mode", f"{findings.mode}: {MODES[findings.mode]}"),
    ]
