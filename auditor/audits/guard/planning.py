"""From how many calibration queries on a certificate can be had: told before a run, and beside its verdict."""

import numpy as np
from numpy.typing import ArrayLike

from auditor.audits.guard.early_exit import lambda_grid
from auditor.audits.guard.spec import GuardSpec
from auditor.stats.minimum_n import fewest_queries

#: Demonstrations that help: shares of queries harmed and helped.
HARMED, HELPED = 0.05, 0.15
#: Chance of a certificate for them.
POWER = 0.8


def fewest(spec: GuardSpec, sizes: ArrayLike, *, largest: int, harmed: float = 0.0, helped: float = 0.0) -> int | None:
    """Fewest queries, or groups of queries, that certify anything with these settings.

    Parameters
    ----------
    spec : GuardSpec
    sizes : array_like of int
        Queries in each group of the calibration part; others are taken to be of such sizes.
    largest : int
        Queries in the largest group there can be.
    harmed, helped : float
        Shares of queries with loss 1 and -1, in whole groups; without any the answer is exact, else it is the number that
        certifies in `POWER` of draws.

    Returns
    -------
    int or None
        None if it takes more than 20,000.
    """
    return fewest_queries(
        epsilon=spec.epsilon,
        delta=first_level(spec),
        harmed=harmed,
        helped=helped,
        transform=spec.transform,
        p_value=spec.p_value,
        power=POWER,
        shares=np.asarray(sizes) / largest,
    )


def first_level(spec: GuardSpec) -> float:
    """Level at which the first threshold must pass: Holm and Bonferroni divide delta by the number of thresholds."""
    delta = spec.delta / spec.options_tried
    tested = len(lambda_grid(spec.lambda_step)) - 1
    return delta / tested if spec.select in ("holm", "bonferroni") else delta


def needed(n: int | None, *, grouped: bool) -> str:
    """So many queries or groups, in words."""
    what = "groups" if grouped else "queries"
    return f"more {what} than anybody labels" if n is None else f"{n:,} {what}"
