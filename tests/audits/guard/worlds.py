"""Answers of a model that never ran, with risks that are known."""

from collections.abc import Mapping, Sequence

import numpy as np
from auditor.audits.guard.answers import Answers, Reading, Scores, answered
from auditor.audits.guard.certificate import Certifier, shares
from auditor.audits.guard.early_exit import lambda_grid
from auditor.audits.guard.spec import GuardSpec
from auditor.audits.guard.task import Example

N_EXITS, FIRST = 6, 2


def spec(**more: object) -> GuardSpec:
    return GuardSpec(**{"attacks": ("cyclic",), "lambda_step": 0.05, "splits": 0, **more})


def scores(
    generator: np.random.Generator, n: int, drifts: Mapping[str, float], n_labels: int = 3
) -> tuple[Scores, np.ndarray]:
    """Scores in which the right label is ahead zero-shot, and wins or loses over the layers as each drift says."""
    truth = generator.integers(0, n_labels, n)
    right = np.eye(n_labels)[truth]

    def made(drift: float) -> np.ndarray:
        depth = np.linspace(0, 1, N_EXITS)[None, :, None]
        noise = generator.normal(size=(n, 1, n_labels)) + 0.4 * generator.normal(size=(n, N_EXITS, n_labels))
        return (right[:, None, :] * (1.2 + drift * depth) + noise * (1 + 2 * depth)).astype(np.float32)

    return Scores(made(0.8), {condition: made(drift) for condition, drift in drifts.items()}), truth


def answers(
    seed: int, n: int, drifts: Mapping[str, float] | None = None, step: float = 0.05, weight: np.ndarray | None = None
) -> Answers:
    found, truth = scores(np.random.default_rng(seed), n, drifts or {"correct": 3.0, "cyclic:1": -3.0})
    return answered(found, truth.tolist(), Reading("max", FIRST, weight), lambda_grid(step))


def certifier(
    of: Answers, asked: GuardSpec, unit: Sequence[int] | np.ndarray | None = None, seed: int = 0
) -> Certifier:
    n = len(of.truth)
    ids = [f"q{place}" for place in range(n)]
    groups = np.arange(n) if unit is None else np.asarray(unit)
    return Certifier(asked, of, groups.astype(np.int64), shares(asked, ids, asked.mixture, seed=seed), seed)


def queries(of: Answers, unit: Sequence[int] | None = None) -> list[Example]:
    return [
        Example(f"q{place}", f"text {place}", "abc"[truth], "" if unit is None else f"g{unit[place]}", place + 2)
        for place, truth in enumerate(of.truth.tolist())
    ]
