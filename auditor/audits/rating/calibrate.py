"""Calibrating a judge on units that people labelled: what its confidence is worth."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from auditor.audits.rating.judged import Judged
from auditor.stats.calibration import Isotonic, Temperature

Calibration = Literal["none", "temperature", "isotonic"]

_SCORES = np.arange(1, 6)
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Calibrator:
    """A fitted calibration of one axis; without one, everything stays as the judge gave it.

    A temperature changes the probabilities, hence the expected score, and leaves the most probable score. An isotonic
    curve changes the confidence alone: the probability that the most probable score is people's.
    """

    fitted: Temperature | Isotonic | None

    @classmethod
    def fit(cls, method: Calibration, judged: Judged, whole: NDArray[np.int64]) -> "Calibrator":
        """Fit to whole human labels, shape (n,)."""
        if method == "temperature":
            return cls(Temperature.fit(_log(judged.p), whole - 1))
        if method == "isotonic":
            return cls(Isotonic.fit(judged.confidence, judged.mode == whole))
        return cls(None)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any] | None) -> "Calibrator":
        """From what `to_dict` gave.

        Raises
        ------
        ValueError
            If it is no calibration.
        """
        if plain is None:
            return cls(None)
        return cls((Temperature if plain.get("method") == "temperature" else Isotonic).from_dict(plain))

    def apply(self, judged: Judged) -> Judged:
        """The same ratings after calibration."""
        if isinstance(self.fitted, Temperature):
            p = self.fitted.apply(_log(judged.p))
            # Scores merged by median or majority are not the mean of their distribution, and stay as they are.
            follows = np.allclose(judged.expected, judged.p @ _SCORES, atol=1e-6)
            confidence = p[np.arange(len(p)), judged.mode - 1]
            return replace(judged, p=p, expected=p @ _SCORES if follows else judged.expected, confidence=confidence)
        if isinstance(self.fitted, Isotonic):
            return replace(judged, confidence=self.fitted.apply(judged.confidence))
        return judged

    def to_dict(self) -> dict[str, Any] | None:
        """What was fitted, as JSON values."""
        return None if self.fitted is None else self.fitted.to_dict()


def _log(p: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.log(np.maximum(p, _SMALLEST))
    return found
