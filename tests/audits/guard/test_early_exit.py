"""The guard on scores written by hand, against a loop that does what the method says one query at a time."""

import numpy as np
import pytest
from auditor.audits.guard import early_exit
from auditor.audits.guard.contextual import calibrated, weights


def _world(seed: int, n: int = 60, n_exits: int = 8, n_labels: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    q = early_exit.softmax(generator.normal(scale=3, size=(n, n_exits, n_labels)))
    return q, generator.integers(0, n_labels, n), generator.integers(0, n_labels, n)


def _by_hand(q: np.ndarray, sure: np.ndarray, zero_shot: int, threshold: float, first: int) -> tuple[int, int]:
    for exit_ in range(first, len(q)):
        if sure[exit_] > threshold:
            return int(q[exit_].argmax()), exit_
    return zero_shot, len(q)


@pytest.mark.parametrize("measure", ["max", "gap", "entropy"])
@pytest.mark.parametrize("first", [0, 4, 7])
def test_the_first_exit_that_is_sure_enough_answers(measure: early_exit.Measure, first: int) -> None:
    q, zero_shot, _ = _world(first)
    sure = early_exit.confidence(q, measure)
    lambdas = early_exit.lambda_grid(0.05)
    found = early_exit.predictions(q, sure, zero_shot, lambdas, first=first)
    for i, threshold in enumerate(lambdas[1:], start=1):
        for j in range(len(q)):
            expected = _by_hand(q[j], sure[j], int(zero_shot[j]), threshold, first)
            assert (found.labels[i, j], found.exits[i, j]) == expected


def test_at_one_the_guard_is_zero_shot_whatever_the_model_is_sure_of() -> None:
    """A model in bfloat16 saturates: its confidence is 1 to the last bit."""
    scores = np.array([[[80.0, -80.0]] * 4, [[0.0, 0.0]] * 4], dtype=np.float32)
    q = early_exit.softmax(scores)
    sure = early_exit.confidence(q, "max")
    assert sure[0].max() == 1
    zero_shot, truth = np.array([1, 1]), np.array([0, 1])
    found = early_exit.predictions(q, sure, zero_shot, np.array([1.0, 0.99, 0.5, 0.0]), first=1)
    assert found.labels[0].tolist() == [1, 1]
    assert found.exits[0].tolist() == [4, 4]
    assert (early_exit.losses(found.labels, truth, zero_shot)[0] == 0).all()
    # Below 1 the sure query exits at the first allowed exit; a tie, confidence 1/2, only where 1/2 exceeds the threshold.
    assert found.exits[:, 0].tolist() == [4, 1, 1, 1]
    assert found.exits[:, 1].tolist() == [4, 4, 4, 1]
    assert found.labels[3, 1] == 0, "of equals the first label"


def test_probabilities_stay_apart_where_float32_would_saturate() -> None:
    sure = early_exit.confidence(early_exit.softmax(np.float32([[20.0, 0.0], [25.0, 0.0]])), "max")
    assert sure[0] < sure[1] < 1


def test_losses_are_harm_help_and_neither() -> None:
    truth, zero_shot = np.array([0, 0, 0, 0]), np.array([0, 1, 0, 1])
    labels = np.array([[1, 0, 0, 2]])
    assert early_exit.losses(labels, truth, zero_shot).tolist() == [[1, -1, 0, 0]]


def test_confidence_by_hand() -> None:
    q = np.array([[0.7, 0.2, 0.1], [1 / 3, 1 / 3, 1 / 3], [1.0, 0.0, 0.0]])
    assert early_exit.confidence(q, "max") == pytest.approx([0.7, 1 / 3, 1])
    assert early_exit.confidence(q, "gap") == pytest.approx([0.5, 0, 1])
    entropy = -(0.7 * np.log(0.7) + 0.2 * np.log(0.2) + 0.1 * np.log(0.1)) / np.log(3)
    assert early_exit.confidence(q, "entropy") == pytest.approx([1 - entropy, 0, 1], abs=1e-12)
    with pytest.raises(ValueError, match='not "other"'):
        early_exit.confidence(q, "other")


def test_thresholds_descend_from_one_in_equal_steps() -> None:
    grid = early_exit.lambda_grid(0.01)
    assert (grid[0], grid[1], grid[-1], len(grid)) == (1, 0.99, 0, 101)
    assert (np.diff(grid) < 0).all()
    assert early_exit.lambda_grid(0.3).tolist() == [1, 0.7, 0.4, 0.1]
    with pytest.raises(ValueError, match="step"):
        early_exit.lambda_grid(0)


@pytest.mark.parametrize(
    ("share", "n_exits", "expected"), [(0.5, 30, 15), (0, 30, 0), (1, 30, 29), (0.5, 1, 0), (0.5, 7, 4)]
)
def test_the_second_half_of_the_layers_may_answer(share: float, n_exits: int, expected: int) -> None:
    assert early_exit.first_exit(share, n_exits) == expected


def test_layer_passes_count_the_zero_shot_pass() -> None:
    exits = np.array([[4, 4], [1, 4], [0, 3]])
    passes = early_exit.layer_passes(exits, np.array([1.0, 0.9, 0.8]), 4)
    assert passes.tolist() == [[4, 4], [2, 8], [1, 4]]


def test_contextual_calibration_takes_a_preference_back() -> None:
    """A model that says the first label with .8 whatever the text: such an answer says nothing, and becomes even."""
    p = np.tile([0.8, 0.2], (5, 4, 1))
    weight = weights(p)
    assert calibrated(p, weight) == pytest.approx(np.full((5, 4, 2), 0.5))


def test_without_a_preference_probabilities_stay_as_they_are() -> None:
    p = early_exit.softmax(np.random.default_rng(0).normal(size=(9, 6, 3)))
    weight = weights(np.full((4, 6, 3), 1 / 3))
    assert calibrated(p, weight) == pytest.approx(p)
    assert float(calibrated(np.array([[[1.0, 0.0]]]), np.ones((1, 2))).max()) == 1, "confidence is not capped"


def test_weights_are_means_over_prompts_smoothed_over_three_layers() -> None:
    p = np.random.default_rng(1).dirichlet([2, 2, 2], size=(7, 5))
    inverse = (1 / p).mean(axis=0)
    expected = np.array([inverse[max(0, i - 1) : i + 2].mean(axis=0) for i in range(5)])
    expected /= expected.mean(axis=1, keepdims=True)
    assert weights(p) == pytest.approx(expected)
    assert weights(p[:, :1]) == pytest.approx((inverse / inverse.mean(axis=1, keepdims=True))[:1])
