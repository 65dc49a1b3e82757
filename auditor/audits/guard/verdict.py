"""The verdict of a guard run in a sentence, what the guarantee covers, and what a reader must know beside it."""

from collections.abc import Mapping, Sequence
from typing import Any

from auditor.audits.findings import Caution, Verdict
from auditor.audits.guard.conditions import CORRECT
from auditor.audits.guard.findings import CertificateInfo, PoolsInfo
from auditor.audits.guard.planning import needed
from auditor.audits.guard.words import MIXTURE, condition_words, listed, percent, points, threshold
from auditor.models.starter import STARTER_WARNING

CERTIFIED, NOT_CERTIFIED = "certified", "not certified"
Row = Mapping[str, Any]


def verdict(certificate: CertificateInfo, row: Row, *, confidence: float, is_starter: bool) -> Verdict:
    """The outcome with its numbers.

    Parameters
    ----------
    row : mapping
        Of the table of conditions, for what the certificate is about.
    confidence : float
        Of the interval of the risk.
    """
    holds = certificate.certified and certificate.guaranteed
    at = threshold(certificate.lambda_hat, certificate.lambda_step)
    accuracies = (
        f"accuracy {percent(row['accuracy_guarded'])} guarded, {percent(row['accuracy_unguarded'])} unguarded, "
        f"{percent(row['accuracy_zero_shot'])} zero-shot"
    )
    if holds:
        risk = (
            f"{points(row['risk_guarded'])}, {percent(confidence)} CI "
            f"{points(row['risk_low'])} to {points(row['risk_high'])}"
        )
        sentence = (
            f"With threshold {at} the guard holds {_what(certificate)} within "
            f"{points(certificate.epsilon, signed=False)} percentage points of zero-shot (risk on {row['n']:,} test queries"
            f"{_worst(certificate, row)} {risk}; certified at confidence {percent(1 - certificate.delta)} on "
            f"{_calibrated_on(certificate)}): {accuracies}"
        )
    elif certificate.certified:
        sentence = (
            f"Not certified: the uncorrected rule guarantees nothing. At the threshold {at} that it picks: {accuracies} "
            f"under {_shown(certificate, row)}"
        )
    else:
        sentence = (
            f"Not certified: answer zero-shot (accuracy {percent(row['accuracy_zero_shot'])}; without a guard "
            f"{percent(row['accuracy_unguarded'])} under {_shown(certificate, row)}). No threshold passed at n = "
            f"{certificate.n_units:,}{' groups' if certificate.largest_group > 1 else ''}, epsilon {certificate.epsilon:g}, "
            f"delta {certificate.delta:g}{_needed(certificate)}"
        )
    sentence += f" ({STARTER_WARNING})." if is_starter else "."
    return Verdict(state=CERTIFIED if holds else NOT_CERTIFIED, sentence=sentence)


def _what(certificate: CertificateInfo) -> str:
    if certificate.cover == "every attack":
        return f"each of {len(certificate.covered):,} conditions"
    if certificate.mixture == 0:
        return "these demonstrations"
    if certificate.mixture == 1:
        return "these corrupted demonstrations"
    return f"these demonstrations ({percent(certificate.mixture)} of the queries corrupted)"


def _worst(certificate: CertificateInfo, row: Row) -> str:
    """Under several conditions, the one that is quoted."""
    return (
        f" under the worst of them, {condition_words(row['condition'])}," if certificate.cover == "every attack" else ""
    )


def _shown(certificate: CertificateInfo, row: Row) -> str:
    if row["condition"] != MIXTURE:
        return condition_words(row["condition"])
    if certificate.mixture in (0, 1):
        return condition_words(certificate.primary if certificate.mixture else CORRECT)
    return f"the mixture ({percent(certificate.mixture)} of queries with corrupted demonstrations)"


def _calibrated_on(certificate: CertificateInfo) -> str:
    grouped = f" in {certificate.n_units:,} groups" if certificate.n_units < certificate.n else ""
    return f"{certificate.n:,} queries{grouped}"


def _needed(certificate: CertificateInfo) -> str:
    wanted = needed(certificate.fewest_harmless, grouped=certificate.largest_group > 1)
    if certificate.fewest_harmless is None:
        return f"; a harmless prompt needs {wanted}"
    return f"; a harmless prompt needs n ≥ {wanted.removesuffix(' queries')}"


def coverage(certificate: CertificateInfo, pools: PoolsInfo) -> str:
    """What the guarantee covers, and what it does not."""
    if not certificate.guaranteed:
        return (
            "Nothing: the smallest threshold whose p-value is small is taken, without correction for the others that were "
            "looked at."
        )
    drawn = (
        "and over the drawing of demonstrations from this pool"
        if pools.demonstrations == "resampled"
        else "for this one set of demonstrations, with which it was calibrated"
    )
    under = (
        f"each by itself: {listed(condition_words(name) for name in certificate.covered)}"
        if certificate.cover == "every attack"
        else f"the mixture in which {percent(certificate.mixture)} of the queries have corrupted demonstrations "
        f"({condition_words(certificate.primary)}) and the others correct ones"
    )
    tried = (
        ""
        if certificate.options_tried == 1
        else f" It holds for all {certificate.options_tried:,} settings tried at once, since each has spent its part of delta."
    )
    alone = (
        " It is for this setting alone: if several are tried on these queries and the best is kept, say so beforehand in "
        "the number of settings tried."
        if certificate.options_tried == 1
        else ""
    )
    groups = ""
    if certificate.largest_group > 1:
        here = (
            "" if certificate.largest_declared else " (the largest group here; declare a bound if larger ones can come)"
        )
        groups = f" that come in groups of at most {certificate.largest_group:,}{here},"
    return (
        f"With probability at least {percent(1 - certificate.delta)} over the calibration queries, the guard's accuracy is at "
        f"most {points(certificate.epsilon, signed=False)} percentage points below zero-shot, on average over queries "
        f"drawn like them{groups} {drawn}, under {under}. It says nothing of single queries, nothing of another attacker, "
        f"and nothing of how good zero-shot is.{tried}{alone}"
    )


def cautions(
    certificate: CertificateInfo,
    rows: Sequence[Row],
    *,
    n_exits: int,
    is_starter: bool,
    n_labels: int,
    largest_class: float,
    plain: float,
    calibrated: float,
) -> list[Caution]:
    """Everything that a reader of the numbers must know, counted.

    Parameters
    ----------
    rows : sequence of mapping
        The table of conditions.
    largest_class : float
        Share of the most frequent label among the test queries.
    plain, calibrated : float
        Accuracy of the full model with correct demonstrations on the calibration queries, as it stands, and as the guard
        reads its last exit.
    """
    found = []
    zero_shot, n = rows[0]["accuracy_zero_shot"], rows[0]["n"]
    if is_starter:
        found.append(Caution(code="starter", message=STARTER_WARNING, count=n))
    if n_exits == 1:
        message = (
            "The model shows no inner layers, so the guard has one exit: the full model's answer, as the guard reads it, or "
            "zero-shot. It saves nothing, and is certified in the same way."
        )
        found.append(Caution(code="one_exit", message=message))
    if certificate.fewest_harmless is None or certificate.n_units < certificate.fewest_harmless:
        grouped = certificate.largest_group > 1
        message = (
            f"With {needed(certificate.n_units, grouped=grouped)} for calibration not even demonstrations that change nothing "
            f"could be certified at epsilon {certificate.epsilon:g} and delta {certificate.delta_spent:g}: that takes "
            f"{needed(certificate.fewest_harmless, grouped=grouped)}. Demonstrations that help need fewer."
        )
        found.append(Caution(code="few_queries", message=message, count=certificate.n_units))
    if not certificate.guaranteed:
        message = "The uncorrected rule was asked for: its threshold carries no guarantee."
        found.append(Caution(code="uncorrected", message=message))
    if rows[0]["guarded_low"] <= max(1 / n_labels, largest_class):
        message = (
            f"Zero-shot accuracy is {percent(zero_shot)} on {n:,} test queries, not clearly above guessing among "
            f"{n_labels:,} labels or always saying the most frequent one ({percent(largest_class)}): the guarantee is relative "
            "to it and worth as little."
        )
        found.append(Caution(code="weak_zero_shot", message=message, count=n))
    if calibrated < plain:
        message = (
            f"Contextual calibration lowers the accuracy of the last layer with correct demonstrations, from {percent(plain)} "
            f"to {percent(calibrated)} on the calibration queries: the guard may do better without it. A new run without it "
            "counts as a setting tried, unless it is made on other queries."
        )
        found.append(Caution(code="calibration_hurts", message=message, count=certificate.n))
    found += _above(certificate, rows)
    return found


def _above(certificate: CertificateInfo, rows: Sequence[Row]) -> list[Caution]:
    """What is clearly above epsilon even with the guard: conditions that are not covered, and, by bad luck, what is."""
    if not (certificate.certified and certificate.guaranteed):
        return []
    above = [row["condition"] for row in rows if row["risk_low"] > certificate.epsilon]
    missed = [name for name in above if name in certificate.covered]
    if missed:
        message = (
            f"On the test queries the guarded risk is clearly above epsilon under {listed(map(condition_words, missed))}. That "
            f"happens to at most {percent(certificate.delta)} of certificates, or where test and calibration queries are "
            "not of one kind: certify on other queries before you rely on it."
        )
        return [Caution(code="risk_above_epsilon", message=message, count=len(missed))]
    alone = {row["condition"] for row in rows if row["kind"] in ("correct", "attack")}
    above = [name for name in above if name in alone]
    if not above:
        return []
    message = (
        f"The guarantee is about the mixture. Taken alone, the guard's risk is clearly above epsilon under "
        f"{listed(map(condition_words, above))}."
    )
    return [Caution(code="above_epsilon", message=message, count=len(above))]
