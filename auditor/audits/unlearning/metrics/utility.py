"""Model utility: the harmonic mean of nine figures of what was to be kept (TOFU)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from auditor.audits.unlearning.metrics.metric import Metric, of_draws
from auditor.stats.bootstrap import N_RESAMPLES

#: Retained facts, real authors and world facts, each with probability, ROUGE-L recall and truth ratio.
PARTS = 9


def harmonic_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Harmonic mean along the last axis; 0 where a value is 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(values.shape[-1] / np.sum(1 / values, axis=-1))


def model_utility(sets: Sequence[NDArray[np.float64]], *, seed: int) -> Metric:
    """Harmonic mean of the mean figures of several sets, with examples drawn anew within each set.

    Parameters
    ----------
    sets : sequence of ndarrays of shape (n_examples, n_figures)
        Figures of each example, between 0 and 1; nan where an example has none.
    seed : int
        Of the bootstrap.
    """
    generator = np.random.default_rng(seed)
    drawn = [_means(values, generator.multinomial(len(values), _even(values), N_RESAMPLES)) for values in sets]
    own = [_means(values, np.ones((1, len(values)), np.int64)) for values in sets]
    value = float(harmonic_mean(np.concatenate(own, axis=-1))[0])
    return of_draws(
        value, harmonic_mean(np.concatenate(drawn, axis=-1)), sum(map(len, sets)), fewest=min(map(len, sets))
    )


def _even(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.full(len(values), 1 / len(values))


def _means(values: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean figures of draws, shape (n_draws, n_figures), over the examples that have them."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray((counts @ np.where(known, values, 0.0)) / (counts @ known.astype(np.int64)))
