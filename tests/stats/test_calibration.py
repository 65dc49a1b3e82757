import json

import numpy as np
import pytest
from auditor.stats.calibration import FLOOR, LEAST, MOST, Isotonic, Temperature
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.isotonic import IsotonicRegression


def _labelled(temperature: float, n: int = 4000, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Logits that are sharper than the truth by the temperature."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 2, (n, 5))
    labels = (logits / temperature + generator.gumbel(size=(n, 5))).argmax(axis=1)
    return logits, labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_finds_the_temperature_that_made_the_labels(temperature: float) -> None:
    found = Temperature.fit(*_labelled(temperature))
    assert found.temperature == pytest.approx(temperature, rel=0.08)
    assert found.n == 4000


def test_is_the_minimum_of_the_negative_log_likelihood() -> None:
    logits, labels = _labelled(2.0, n=300, seed=5)

    def loss(b: float) -> float:
        return float(-log_softmax(b * logits, axis=1)[np.arange(300), labels].sum())

    least = minimize_scalar(loss, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-10})
    assert 1 / Temperature.fit(logits, labels).temperature == pytest.approx(least.x, abs=1e-6)


def test_log_probabilities_and_logits_give_the_same() -> None:
    logits, labels = _labelled(2.0, n=300)
    from_logits = Temperature.fit(logits + 17.0, labels)
    from_logp = Temperature.fit(log_softmax(logits, axis=1), labels)
    assert from_logits.temperature == pytest.approx(from_logp.temperature, rel=1e-9)
    assert from_logits.apply(logits) == pytest.approx(softmax(logits / from_logits.temperature, axis=1), abs=1e-9)


def test_stays_within_bounds_where_the_likelihood_would_run_away() -> None:
    logits = np.random.default_rng(1).normal(size=(50, 5))
    assert Temperature.fit(logits, logits.argmax(axis=1)).temperature == LEAST
    assert Temperature.fit(logits, logits.argmin(axis=1)).temperature == MOST


def test_a_probability_of_zero_for_the_right_score_is_survived() -> None:
    with np.errstate(divide="ignore"):
        logp = np.log(np.array([[1.0, 0, 0], [0.5, 0.25, 0.25], [0.2, 0.6, 0.2]]))
    found = Temperature.fit(logp, [1, 0, 1])
    assert LEAST <= found.temperature <= MOST
    p = found.apply(logp)
    assert np.isfinite(p).all()
    assert p.sum(axis=1) == pytest.approx(1)
    assert Temperature(1.0, 1).apply(logp)[0] == pytest.approx([1, FLOOR, FLOOR], rel=1e-9)


def test_the_most_probable_score_stays() -> None:
    logits, labels = _labelled(3.0, n=200)
    assert (Temperature.fit(logits, labels).apply(logits).argmax(axis=1) == logits.argmax(axis=1)).all()


def test_scores_instead_of_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="subtract 1"):
        Temperature.fit(np.zeros((2, 5)), [1, 5])
    with pytest.raises(ValueError, match="at least one rating"):
        Temperature.fit(np.zeros((2, 5)), [1])
    with pytest.raises(ValueError, match="finite greatest"):
        Temperature.fit(np.full((1, 5), -np.inf), [1])
    with pytest.raises(ValueError, match="table"):
        Temperature.fit(np.zeros(5), [1])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("digits", [1, 8])  # with one digit many confidences tie
def test_isotonic_is_that_of_scikit_learn(seed: int, digits: int) -> None:
    generator = np.random.default_rng(seed)
    confidence = np.round(generator.uniform(0.2, 1, 150), digits)
    correct = generator.random(150) < confidence**2
    ours = Isotonic.fit(confidence, correct)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(confidence, correct)
    grid = np.linspace(0, 1, 301)
    assert ours.apply(grid) == pytest.approx(theirs.predict(grid), abs=1e-9)
    assert ours.x == pytest.approx(theirs.X_thresholds_, abs=1e-9)
    assert ours.y == pytest.approx(theirs.y_thresholds_, abs=1e-9)


def test_isotonic_recovers_a_rising_curve() -> None:
    generator = np.random.default_rng(3)
    confidence = generator.uniform(0, 1, 20_000)
    found = Isotonic.fit(confidence, generator.random(20_000) < confidence**2)
    grid = np.linspace(0.1, 0.9, 9)
    assert found.apply(grid) == pytest.approx(grid**2, abs=0.05)


def test_one_rating_makes_a_level_curve() -> None:
    found = Isotonic.fit([0.7], [True])
    assert found.apply([0.1, 0.9]).tolist() == [1, 1]
    with pytest.raises(ValueError, match="at least one"):
        Isotonic.fit([], [])
    with pytest.raises(ValueError, match="finite"):
        Isotonic.fit([np.nan], [True])


def test_both_go_through_json() -> None:
    temperature = Temperature.fit(*_labelled(2.0, n=100))
    assert Temperature.from_dict(json.loads(json.dumps(temperature.to_dict()))) == temperature
    generator = np.random.default_rng(0)
    curve = Isotonic.fit(generator.random(60), generator.random(60) < 0.5)
    again = Isotonic.from_dict(json.loads(json.dumps(curve.to_dict())))
    assert (again.x == curve.x).all()
    assert (again.y == curve.y).all()
    assert again.n == curve.n


@pytest.mark.parametrize("plain", [{}, {"temperature": "2", "n": 3}, {"temperature": 900.0, "n": 3}])
def test_a_file_that_is_no_temperature_is_refused(plain: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no temperature"):
        Temperature.from_dict(plain)


@pytest.mark.parametrize(
    "plain", [{}, {"x": [0, 1], "y": [1, 0], "n": 2}, {"x": [1, 1], "y": [0, 1], "n": 2}, {"x": [], "y": [], "n": 0}]
)
def test_a_file_that_is_no_curve_is_refused(plain: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="curve"):
        Isotonic.from_dict(plain)
