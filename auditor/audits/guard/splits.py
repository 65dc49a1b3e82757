"""The same certificate on new splits of the queries: how the risk on the other queries compares with epsilon.

This is the published figure, and a check of the mean only: test queries of different splits overlap, and their number is
limited, so that a test risk somewhat above epsilon is no violation of the guarantee.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.audits.guard.certificate import Certifier
from auditor.audits.guard.pools import split
from auditor.audits.guard.stress import Outcome
from auditor.audits.guard.task import Example

#: A mean of losses may miss epsilon by the rounding of floating point numbers.
TOLERANCE = 1e-12


def split_rows(
    certifier: Certifier, queries: Sequence[Example], epsilons: Sequence[float], *, uncorrected: bool = False
) -> list[dict[str, Any]]:
    """Rows of the table of splits.

    Parameters
    ----------
    epsilons : sequence of float
        Risks allowed.
    uncorrected : bool
        By the published rule instead of the spec's, for comparison.
    """
    spec, answers = certifier.spec, certifier.answers
    rows = []
    for number in range(1, spec.splits + 1):
        pools = split(queries, spec.calibration_share, seed=certifier.seed, number=number)
        for epsilon in epsilons:
            found = certifier.certify(pools.calibration, epsilon=epsilon, select="uncorrected" if uncorrected else None)
            outcome = worst_outcome(certifier, found.index, pools.test)
            rows.append(
                {
                    "split": number,
                    "epsilon": epsilon,
                    "lambda": found.lambda_hat,
                    "certified": found.certified and found.guaranteed,
                    "risk_test": float(outcome.loss_guarded[pools.test].mean()),
                    "accuracy_guarded": float(outcome.guarded_right[pools.test].mean()),
                    "accuracy_zero_shot": float(answers.zero_shot_right[pools.test].mean()),
                    "layer_passes": float(outcome.passes[pools.test].mean()),
                    "n_calibration": len(pools.calibration),
                    "n_test": len(pools.test),
                }
            )
    return rows


def worst_outcome(certifier: Certifier, index: int, places: NDArray[np.int64]) -> Outcome:
    """What is covered at a threshold: the mixture, or of all conditions the one with the largest risk on these queries."""
    answers, mix = certifier.answers, certifier.mix
    if certifier.spec.cover == "mixture":
        return Outcome.mixed(answers, mix, index)
    outcomes = [Outcome.of(answers, condition, index) for condition in certifier.covered]
    return max(outcomes, key=lambda outcome: float(outcome.loss_guarded[places].mean()))


def n_above(rows: Sequence[dict[str, Any]], epsilon: float) -> int:
    """Splits whose test risk exceeds this epsilon."""
    return sum(row["risk_test"] > row["epsilon"] + TOLERANCE for row in rows if row["epsilon"] == epsilon)
