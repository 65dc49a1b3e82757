"""New splits: every threshold and every test risk is found again, query by query, from the logits alone."""

import numpy as np
import pytest
from auditor.audits.guard.attacks import generator
from auditor.audits.guard.pools import split
from auditor.audits.guard.splits import split_rows
from auditor.stats.risk_control import certify
from tests.audits.guard.worlds import FIRST, N_EXITS, answers, certifier, queries, scores, spec

N, SEED, SHARE = 240, 7, 0.25
DRIFTS = {"correct": 1.0, "cyclic:1": -3.0}
EPSILONS = (0.01, 0.1, 0.2, 0.4)


def guarded(logits: np.ndarray, threshold: float, zero_shot: int) -> tuple[int, float]:
    """Label of one query and layers run, as a share of all: exit after exit, as the method is told."""
    if threshold >= 1:
        return zero_shot, 1.0
    for exit_ in range(FIRST, N_EXITS):
        powers = np.exp(logits[exit_].astype(float) - logits[exit_].max())
        p = powers / powers.sum()
        if p.max() > threshold:
            return int(p.argmax()), (exit_ + 1) / N_EXITS
    return zero_shot, 2.0


@pytest.fixture(scope="module")
def counted() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Losses, right answers and layers at every threshold under the mixture, (n_lambdas, n), and zero-shot right."""
    found, truth = scores(np.random.default_rng(21), N, DRIFTS)
    lambdas = answers(21, N, DRIFTS).lambdas
    zero_shot = found.zero_shot[:, -1].argmax(axis=-1)
    losses, right, passes = (np.zeros((len(lambdas), N)) for _ in range(3))
    for condition, weight in (("correct", 1 - SHARE), ("cyclic:1", SHARE)):
        for i, threshold in enumerate(lambdas.tolist()):
            for place in range(N):
                label, layers = guarded(found.by_condition[condition][place], threshold, int(zero_shot[place]))
                is_right, was_right = label == truth[place], zero_shot[place] == truth[place]
                losses[i, place] += weight * (int(was_right) - int(is_right))
                right[i, place] += weight * is_right
                passes[i, place] += weight * layers
    return losses, right, passes, zero_shot == truth


def test_every_split_is_found_again_from_the_logits(counted: tuple[np.ndarray, ...]) -> None:
    losses, right, passes, zero_shot_right = counted
    made, asked = answers(21, N, DRIFTS), spec(splits=6, mixture=SHARE, calibration_share=0.6)
    texts, lambdas = queries(made), made.lambdas.tolist()
    rows = split_rows(certifier(made, asked, seed=SEED), texts, EPSILONS)
    assert [(row["split"], row["epsilon"]) for row in rows] == [(s, e) for s in range(1, 7) for e in EPSILONS]
    for row in rows:
        pools = split(texts, 0.6, seed=SEED, number=row["split"])
        order = generator(SEED, "order of betting").permutation(len(pools.calibration))
        certificate = certify(losses[:, pools.calibration[order]], lambdas, epsilon=row["epsilon"], delta=asked.delta)
        assert row["lambda"] == certificate.lambda_hat
        assert row["certified"] == (certificate.lambda_hat < 1)
        at = lambdas.index(row["lambda"])
        assert row["risk_test"] == pytest.approx(losses[at, pools.test].mean(), abs=1e-12)
        assert row["accuracy_guarded"] == pytest.approx(right[at, pools.test].mean())
        assert row["accuracy_zero_shot"] == zero_shot_right[pools.test].mean()
        assert row["layer_passes"] == pytest.approx(passes[at, pools.test].mean())
        assert (row["n_calibration"], row["n_test"]) == (len(pools.calibration), len(pools.test)) == (144, 96)
    # Of both kinds there are some, and thresholds differ, or little would be tested.
    assert {row["certified"] for row in rows} == {False, True}
    assert len({row["lambda"] for row in rows}) > 3


def test_a_smaller_epsilon_never_certifies_a_lower_threshold() -> None:
    made, asked = answers(21, N, DRIFTS), spec(splits=6, mixture=SHARE, calibration_share=0.6)
    rows = split_rows(certifier(made, asked, seed=SEED), queries(made), EPSILONS)
    for number in range(1, 7):
        of_split = [row["lambda"] for row in rows if row["split"] == number]
        assert of_split == sorted(of_split, reverse=True)
