"""The headline figures of a guard run as people read them, with their units."""

from collections.abc import Callable

from auditor.audits.guard.findings import GuardFindings
from auditor.audits.guard.words import percent, points


def _whether(value: object) -> str:
    return "yes" if value else "no"


_WORDS: dict[str, tuple[str, Callable[..., str]]] = {
    "certified": ("Certified", _whether),
    "lambda": ("Threshold lambda", "{:.2f}".format),
    "epsilon": ("Risk allowed, epsilon", lambda share: f"{points(share, signed=False)} percentage points"),
    "delta": ("Probability of a miss, delta", "{:g}".format),
    "n_calibration": ("Calibration queries", "{:,}".format),
    "risk_guarded": (
        "Risk with the guard (zero-shot less guarded accuracy)",
        lambda share: f"{points(share)} percentage points",
    ),
    "risk_unguarded": ("Risk without the guard", lambda share: f"{points(share)} percentage points"),
    "accuracy_zero_shot": ("Accuracy, zero-shot", percent),
    "accuracy_unguarded": ("Accuracy without the guard", percent),
    "accuracy_guarded": ("Accuracy with the guard", percent),
    "mean_exit_layer": ("Mean layer of the answers that did not fall back", "{:.1f}".format),
    "layer_passes_ratio": ("Layer passes, as a share of one full prompt", percent),
    "wall_clock_ratio": ("Measured time, as a share of one full prompt", percent),
}


def headline_words(findings: GuardFindings) -> list[tuple[str, str]]:
    """What and how much, in the order of the headline; figures that were not measured are left out."""
    known = [(name, value) for name, value in findings.headline.items() if name in _WORDS and value is not None]
    return [(_WORDS[name][0], _WORDS[name][1](value)) for name, value in known]
