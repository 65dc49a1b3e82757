"""Calibration of a judge on labelled ratings: one temperature, or an isotonic curve.

Both are fitted on one part of the labelled data and judged on another: a curve is never better than on its own part.

References
----------
[1] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural networks", ICML (2017): temperature.
[2] R. E. Barlow, D. J. Bartholomew, J. M. Bremner, H. D. Brunk, Statistical Inference under Order Restrictions
    (1972): pool adjacent violators; B. Zadrozny, C. Elkan, "Transforming classifier scores into accurate multiclass
    probability estimates", KDD (2002): its use for calibration.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: A temperature outside is no calibration but a sign of too few or contradictory labels (ours).
LEAST, MOST = 0.05, 20.0
#: Probabilities below this count as this: a single zero would make the likelihood zero at every temperature (ours).
FLOOR = 1e-12


@dataclass(frozen=True)
class Temperature:
    """Temperature scaling [1]: p = softmax(log p / T). Sharper with T < 1, flatter with T > 1, same most probable score.

    Attributes
    ----------
    temperature : float
        T, between 0.05 and 20; at an end where the likelihood would take it further.
    n : int
        Number of labelled ratings it was fitted on.
    """

    temperature: float
    n: int

    @classmethod
    def fit(cls, logp: ArrayLike, labels: ArrayLike) -> Self:
        """The temperature of the greatest likelihood.

        The negative log likelihood is convex in b = 1 / T; its derivative, sum_i (E_b[z_i] - z_i,label) with
        z = log p and E_b the mean under softmax(b z_i), rises in b: its root is bracketed.

        Parameters
        ----------
        logp : array_like of shape (n, k)
            Logits or log probabilities of the k scores.
        labels : array_like of shape (n,)
            Column of the right score, 0 to k - 1 (a score of 1 to 5 less 1).

        Raises
        ------
        ValueError
            If there are no ratings, the shapes do not fit, or a label is no column.
        """
        from scipy.optimize import brentq

        z = _log_probabilities(logp)
        columns = np.asarray(labels)
        n, k = z.shape
        if n == 0 or columns.shape != (n,):
            raise ValueError("a temperature needs at least one rating, and one label for each")
        if (columns != np.floor(columns)).any() or columns.min() < 0 or columns.max() >= k:
            raise ValueError(f"labels are columns, 0 to {k - 1}: subtract 1 from scores that start at 1")
        right = z[np.arange(n), columns.astype(np.intp)]

        def derivative(b: float) -> float:
            p = _softmax(b * z)
            return float(((p * z).sum(axis=1) - right).sum())

        flattest, sharpest = 1 / MOST, 1 / LEAST
        if derivative(flattest) >= 0:
            return cls(MOST, n)
        if derivative(sharpest) <= 0:
            return cls(LEAST, n)
        return cls(1 / float(brentq(derivative, flattest, sharpest, xtol=1e-12, rtol=1e-12)), n)

    def apply(self, logp: ArrayLike) -> NDArray[np.float64]:
        """Calibrated probabilities, shape (n, k), of logits or log probabilities of that shape."""
        return _softmax(_log_probabilities(logp) / self.temperature)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {"method": "temperature", "temperature": self.temperature, "n": self.n}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """From what `to_dict` gave.

        Raises
        ------
        ValueError
            If it is no temperature.
        """
        temperature, n = plain.get("temperature"), plain.get("n")
        if not isinstance(temperature, int | float) or not isinstance(n, int) or not LEAST <= temperature <= MOST:
            raise ValueError(f"no temperature between {LEAST} and {MOST} with its number of ratings: {dict(plain)}")
        return cls(float(temperature), n)


@dataclass(frozen=True, eq=False)
class Isotonic:
    """Isotonic calibration [2]: the rising curve nearest to the outcomes, from a confidence to a probability of being right.

    Attributes
    ----------
    x, y : ndarray of shape (m,)
        Corners of the curve, straight in between and level outside; x rises strictly, y never falls.
    n : int
        Number of labelled ratings it was fitted on.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    n: int

    @classmethod
    def fit(cls, confidence: ArrayLike, correct: ArrayLike) -> Self:
        """Pool adjacent violators: least squares under the condition that the curve never falls.

        Parameters
        ----------
        confidence : array_like of shape (n,)
            Finite; usually the greatest probability.
        correct : array_like of shape (n,)
            Whether the rating was right: bool, or 0 and 1.

        Raises
        ------
        ValueError
            If there are no ratings, the lengths differ, or a number is not finite.
        """
        sure, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
        if sure.ndim != 1 or sure.size == 0 or sure.shape != right.shape:
            raise ValueError("a curve needs at least one rating, and one outcome for each")
        if not (np.isfinite(sure).all() and np.isfinite(right).all()):
            raise ValueError("confidence and outcome are finite numbers")
        x, inverse, counts = np.unique(sure, return_inverse=True, return_counts=True)
        y = _pool(np.bincount(inverse, weights=right) / counts, counts.astype(np.float64))
        # Inside a level stretch a corner tells nothing.
        differs = np.diff(y) != 0
        corner = np.concatenate([[True], differs]) | np.concatenate([differs, [True]])
        return cls(x[corner], y[corner], sure.size)

    def apply(self, confidence: ArrayLike) -> NDArray[np.float64]:
        """Probability of being right, shape (n,), at confidences of that shape."""
        curve: NDArray[np.float64] = np.interp(np.asarray(confidence, dtype=np.float64), self.x, self.y)
        return curve

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {"method": "isotonic", "x": self.x.tolist(), "y": self.y.tolist(), "n": self.n}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """From what `to_dict` gave.

        Raises
        ------
        ValueError
            If it is no rising curve.
        """
        try:
            x, y, n = np.asarray(plain["x"], np.float64), np.asarray(plain["y"], np.float64), int(plain["n"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no corners of a curve with their number of ratings: {dict(plain)}") from error
        if x.ndim != 1 or x.size == 0 or x.shape != y.shape or (np.diff(x) <= 0).any() or (np.diff(y) < 0).any():
            raise ValueError("an isotonic curve has x that rises and y that never falls, of one length")
        return cls(x, y, n)


def _pool(means: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Merge neighbours until no mean lies below the one before it; returns the merged mean at every place."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, number of places
    for mean, weight in zip(means.tolist(), weights.tolist(), strict=True):
        places = 1
        while blocks and blocks[-1][0] >= mean:
            before, heavy, wide = blocks.pop()
            mean = (before * heavy + mean * weight) / (heavy + weight)
            weight, places = heavy + weight, wide + places
        blocks.append((mean, weight, places))
    pooled = np.array([mean for mean, _, _ in blocks])
    curve: NDArray[np.float64] = np.repeat(pooled, [places for _, _, places in blocks])
    return curve


def _log_probabilities(logp: ArrayLike) -> NDArray[np.float64]:
    z = np.asarray(logp, dtype=np.float64)
    if z.ndim != 2 or z.shape[1] < 2:
        raise ValueError("logits are a table of ratings by scores")
    if z.size and not np.isfinite(z.max(axis=1)).all():
        raise ValueError("every rating needs a finite greatest logit")
    z = z - z.max(axis=1, keepdims=True)
    z = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    floored: NDArray[np.float64] = np.maximum(z, np.log(FLOOR))
    return floored


def _softmax(z: NDArray[np.float64]) -> NDArray[np.float64]:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p: NDArray[np.float64] = e / e.sum(axis=1, keepdims=True)
    return p
