"""What a report says of people: how agreement was measured, and each certificate of auto-accept with its terms."""

from collections.abc import Sequence

from auditor.audits.rating.agreement import AxisAgreement
from auditor.audits.rating.certificate import AxisCertificate, percent

_LABEL = (
    "The human label of a conversation is the mean of its raters' scores. Exact and within-1 accuracy, kappa, alpha, the "
    "confusion matrix and reliability take that mean rounded half up and the judge's most probable score; Spearman and the "
    "mean absolute error take the mean as it is and the judge's expected score. These choices are Auditor's own."
)
_COEFFICIENTS = (
    "Spearman's rank correlation with midranks for ties; Cohen's kappa with quadratic weights on the scores 1 to 5; "
    "Krippendorff's alpha for ordinal data. People among themselves: Spearman of one rater with the mean of the others, "
    "averaged over the raters, and alpha among all raters. The baseline is the one whole score that, given every time, is "
    "most often within 1 of the label; its kappa is 0 by construction."
)
_PARTS = (
    "The contexts that people rated were split at random into three disjoint parts. On the first the calibration and the "
    "thresholds were fixed, on the second thresholds were tested one after the other from the strictest down until one "
    "failed (fixed-sequence testing at level delta), on the third the chosen one was looked at. Where a context holds "
    "several rated conversations the test bets context by context and takes nothing for independent within one."
)
_COVERS = (
    "A certificate covers ratings by the same judge, rubric and order of conversations drawn like those that people rated, "
    "taken together: not each group of them, no other source, and no other people. Each axis has its own: all of them "
    "hold at once with probability 1 less the sum of their deltas. Trying several settings on the same ratings and "
    "keeping the best weakens it."
)


def people_methods(
    agreement: Sequence[AxisAgreement], certificates: Sequence[AxisCertificate]
) -> list[tuple[str, str]]:
    """Heading and text pairs; empty where no people took part."""
    if not agreement:
        return []
    found = [
        ("People, label", _LABEL),
        ("People, coefficients", _COEFFICIENTS),
        ("People, intervals", _intervals(agreement)),
    ]
    notes = [f"{axis.title}: {note}" for axis in agreement for note in axis.notes]
    if notes:
        found.append(("People, notes", "\n".join(notes)))
    if certificates:
        found += [
            ("Auto-accept", "\n".join(certificate.sentence for certificate in certificates)),
            ("Auto-accept, how it was certified", "\n".join([_PARTS, *(_terms(c) for c in certificates)])),
            ("Auto-accept, what it covers", _COVERS),
        ]
    return found


def _intervals(agreement: Sequence[AxisAgreement]) -> str:
    drawn = ", ".join(f"{axis.title} {axis.resamples:,} draws of {axis.groups:,} contexts" for axis in agreement)
    return (
        f"{percent(agreement[0].confidence)} percentile bootstrap: whole contexts drawn with replacement, all figures of an axis "
        f"from the same draws ({drawn})."
    )


def _terms(certificate: AxisCertificate) -> str:
    """Parts, calibration and what the part kept for the report shows."""
    fit, certify, report = certificate.units
    text = (
        f"{certificate.title}: {fit:,} units to fit, {certify:,} to certify, {report:,} to report; seed {certificate.seed}; "
        f"calibration: {certificate.calibration}"
    )
    if certificate.method:
        text += f"; test: {certificate.method}, {len(certificate.tested)} thresholds tried"
    if certificate.certified:
        text += (
            f"; on the certifying part {certificate.n_wrong:,} of {certificate.n_accepted:,} accepted ones disagreed"
        )
    shown = certificate.report_disagreement
    if shown.value is not None and shown.low is not None and shown.high is not None:
        text += (
            f"; on the part kept for the report {certificate.report_wrong:,} of {certificate.report_accepted:,} "
            f"({percent(shown.value, 1)}, exact interval {percent(shown.low, 1)} to {percent(shown.high, 1)})"
        )
    return " ".join([f"{text}.", *certificate.notes])
