"""A model beside a reference that has never seen what it was made to forget: forget quality, the reference attack, privleak."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.audits.unlearning.metrics.membership import ATTACKS, privleak
from auditor.audits.unlearning.metrics.metric import Metric, of_draws, unavailable
from auditor.audits.unlearning.reference import Reference
from auditor.audits.unlearning.scored import Scored, spaced
from auditor.stats.auc import auc, auc_draws

#: With fewer examples on either side the test says nothing (ours).
FEWEST = 5
NO_REFERENCE = "There is no reference: it takes a model that was trained without the forget set, or a log of one."
NO_HOLDOUT = "There is no holdout set: it takes texts of the same kind that the model never saw."


def ks_test(ratios: Sequence[float], reference: Sequence[float]) -> tuple[float, float]:
    """Two-sample Kolmogorov-Smirnov test of the truth ratios of two models.

    Returns
    -------
    statistic, p_value : float
        The p-value is TOFU's forget quality: near 1, the ratios could be those of one model.
    """
    from scipy.stats import ks_2samp

    found = ks_2samp(np.asarray(ratios, np.float64), np.asarray(reference, np.float64))
    return float(found.statistic), float(found.pvalue)


def forget_quality(forget: Sequence[Scored], reference: Reference | None) -> Metric:
    """p-value of the test on the examples that both models were asked; it has no interval.

    A log that names its answers is compared on those that are asked here too. One that does not must have as many
    examples as there are here.
    """
    if reference is None:
        return unavailable(NO_REFERENCE)
    by_answer = reference.by_answer
    own = [
        (spaced(one.answer) if by_answer else one.key, one.truth_ratio) for one in forget if one.truth_ratio is not None
    ]
    if not own:
        return unavailable("The examples to forget have no wrong answers, which the truth ratio compares with.")
    if len(own) < FEWEST:
        return unavailable(f"It takes {FEWEST} examples or more to forget, and there are {len(own):,}.")
    if not reference.truth_ratios:
        return unavailable(f"There are no truth ratios in {reference.source}.")
    if reference.examples is None:
        if len(own) != len(reference.truth_ratios):
            return unavailable(
                f"There are {len(reference.truth_ratios):,} examples in {reference.source} and {len(own):,} here: a "
                "forget quality compares the same examples."
            )
        ours, theirs = [ratio for _, ratio in own], list(reference.truth_ratios)
    else:
        both = {key for key, _ in own} & set(reference.examples)
        ours = [ratio for key, ratio in own if key in both]
        theirs = [r for r, key in zip(reference.truth_ratios, reference.examples, strict=True) if key in both]
    if min(len(ours), len(theirs)) < FEWEST:
        return unavailable(
            f"Only {len(ours):,} of the {len(own):,} examples to forget are in {reference.source} too: a forget quality "
            "compares the same examples."
        )
    statistic, p = ks_test(ours, theirs)
    told = "" if len(ours) == len(own) else f" on the {len(ours):,} of {len(own):,} examples that both have"
    unnamed = "" if reference.examples is not None else " Whether the examples are the same is not known."
    note = (
        f"p-value of the two-sample Kolmogorov-Smirnov test (distance {statistic:.3f}) against {reference.source}{told}. "
        f"A p-value has no interval, and those of other sizes of forget set cannot be compared.{unnamed}"
    )
    return Metric(value=p, n=len(ours), note=note)


def membership_metrics(
    forget: Sequence[Scored], holdout: Sequence[Scored], reference: Reference | None, *, seed: int
) -> dict[str, Metric]:
    """AUC of every attack, and privleak.

    Parameters
    ----------
    forget, holdout : sequence of Scored
        With their scores of membership.
    seed : int
        Of the bootstrap.
    """
    if not forget or not holdout:
        return {name: unavailable(NO_HOLDOUT) for name in (*(f"mia_{attack}" for attack in ATTACKS), "privleak")}
    found = {
        f"mia_{attack}": _area(_score(forget, attack), _score(holdout, attack), seed)
        for attack in ATTACKS
        if attack != "reference"
    }
    return found | {
        "mia_reference": _reference_attack(forget, holdout, reference, seed),
        "privleak": _privleak(forget, holdout, reference, seed),
    }


def _score(rows: Sequence[Scored], attack: str) -> NDArray[np.float64]:
    return np.array([one.scores[attack] for one in rows])


def _area(lower: NDArray[np.float64], higher: NDArray[np.float64], seed: int, note: str = "") -> Metric:
    found = of_draws(
        auc(lower, higher),
        auc_draws(lower, higher, seed=seed),
        lower.size + higher.size,
        fewest=min(lower.size, higher.size),
        note=note,
    )
    told = " ".join(filter(None, (found.note, _side(found))))
    return found.model_copy(update={"note": told})


def _side(area: Metric) -> str:
    """Which way the texts can be told apart, if they can."""
    if area.low is not None and area.low > 0.5:
        return "The texts to forget can be told: the model still knows them better than texts it never saw."
    if area.high is not None and area.high < 0.5:
        return "The texts to forget can be told: the model avoids them, which gives them away as well."
    return ""


def _paired(rows: Sequence[Scored], known: dict[str, float], attack: str) -> NDArray[np.float64] | None:
    """Own and reference score of every row, shape (n, 2); None if the reference lacks one."""
    if not all(one.key in known for one in rows):
        return None
    return np.array([(one.scores[attack], known[one.key]) for one in rows])


def _both(forget: Sequence[Scored], holdout: Sequence[Scored], known: dict[str, dict[str, float]], attack: str) -> Any:
    pairs = [_paired(rows, known.get(name, {}), attack) for name, rows in (("forget", forget), ("holdout", holdout))]
    return None if any(found is None for found in pairs) else pairs


def _reference_attack(
    forget: Sequence[Scored], holdout: Sequence[Scored], reference: Reference | None, seed: int
) -> Metric:
    if reference is None:
        return unavailable(NO_REFERENCE)
    pairs = _both(forget, holdout, reference.losses, "loss")
    if pairs is None:
        return unavailable(f"There are no losses of every example to forget and to hold out in {reference.source}.")
    lower, higher = (found[:, 0] - found[:, 1] for found in pairs)
    return _area(lower, higher, seed, f"Against {reference.source}.")


def _privleak(forget: Sequence[Scored], holdout: Sequence[Scored], reference: Reference | None, seed: int) -> Metric:
    if reference is None:
        return unavailable(NO_REFERENCE)
    pairs = _both(forget, holdout, reference.min_k, "min_k")
    own = _score(forget, "min_k"), _score(holdout, "min_k")
    draws, n = auc_draws(*own, seed=seed), len(forget) + len(holdout)
    if pairs is not None:
        theirs = pairs[0][:, 1], pairs[1][:, 1]
        area, rest = auc(*theirs), 1 - auc_draws(*theirs, seed=seed)
        note = f"Against {reference.source}, on the same examples."
    elif reference.auc_min_k is not None:
        area, rest = reference.auc_min_k, np.full_like(draws, 1 - reference.auc_min_k)
        note = f"Against the AUC of {reference.auc_min_k:.3f} in {reference.source}, taken as exact in the interval."
    else:
        return unavailable(f"There is no AUC of min-k in {reference.source}.")
    value = privleak(auc(*own), area)
    if np.isnan(value):
        return unavailable(f"The AUC of min-k is 1 for {reference.source}: there is nothing to compare with.")
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = np.asarray(100 * ((1 - draws) - rest) / rest)
    return of_draws(value, drawn, n, fewest=min(len(forget), len(holdout)), note=note)
