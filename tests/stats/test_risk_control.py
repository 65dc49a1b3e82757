import numpy as np
import pytest
from auditor.stats.multiplicity import bonferroni, fixed_sequence, holm
from auditor.stats.risk_control import certify, hoeffding_bentkus_p_value
from mapie.risk_control.fwer_control import control_fwer

GRID = np.round(np.linspace(1, 0, 101), 2)


@pytest.mark.parametrize("seed", range(20))
def test_selection_is_that_of_mapie(seed: int) -> None:
    generator = np.random.default_rng(seed)
    p = generator.beta(0.3, 2, size=int(generator.integers(1, 40)))
    assert np.flatnonzero(holm(p, 0.1)).tolist() == control_fwer(p, 0.1, "bonferroni_holm").tolist()
    assert np.flatnonzero(bonferroni(p, 0.1)).tolist() == control_fwer(p, 0.1, "bonferroni").tolist()
    assert list(range(fixed_sequence(p, 0.1))) == control_fwer(p, 0.1, "fixed_sequence").tolist()


def test_selection_at_the_level_itself_and_of_nothing() -> None:
    assert fixed_sequence([0.1, 0.1, 0.11, 0.0], 0.1) == 2
    assert holm([0.1, 0.05], 0.1).tolist() == [True, True]
    assert bonferroni([0.1, 0.05], 0.1).tolist() == [False, True]
    assert fixed_sequence([], 0.1) == 0
    assert holm([], 0.1).size == 0
    assert bonferroni([], 0.1).size == 0
    assert fixed_sequence([float("nan"), 0.0], 0.1) == 0


def _losses(n: int = 130, harm: float = 0.05, help_: float = 0.15, seed: int = 0) -> np.ndarray:
    """The same three-valued losses at every lambda below 1."""
    row = np.random.default_rng(seed).choice([1.0, -1.0, 0.0], size=n, p=[harm, help_, 1 - harm - help_])
    losses = np.tile(row, (GRID.size, 1))
    losses[0] = 0
    return losses


def test_helpful_demonstrations_are_certified_down_to_the_end() -> None:
    found = certify(_losses(), GRID.tolist(), epsilon=0.05, delta=0.1)
    assert found.certified
    assert (found.index, found.lambda_hat) == (100, 0.0)
    assert found.guaranteed
    assert np.isnan(found.p_values[0])
    assert (found.p_values[1:] <= 0.1).all()
    assert found.risks[0] == 0
    assert "0.05 with probability at most 0.1" in found.covers


def test_power_is_that_of_the_source() -> None:
    """At n = 130, epsilon = .05, demonstrations -15% / +5%: clipped .03, Hoeffding-Bentkus scaled .30, betting .98."""
    rates = {}
    for name, transform, p_value in (("clip", "clip", "binomial"), ("hb", "scale", "hb"), ("wsr", "scale", "wsr")):
        passed = 0
        for seed in range(400):
            losses = _losses(seed=seed)[:2]
            passed += certify(losses, [1, 0.5], epsilon=0.05, delta=0.1, transform=transform, p_value=p_value).certified
        rates[name] = passed / 400
    assert rates["wsr"] >= 0.95
    assert rates["hb"] == pytest.approx(0.30, abs=0.08)
    assert rates["clip"] == pytest.approx(0.03, abs=0.03)


def test_nothing_passes_is_an_answer() -> None:
    found = certify(_losses(harm=0.4, help_=0), GRID.tolist(), epsilon=0.05, delta=0.1)
    assert (found.certified, found.index, found.lambda_hat) == (False, 0, 1.0)


def test_a_fixed_sequence_stops_where_the_risk_is_first_too_high() -> None:
    losses = np.zeros((5, 400))
    losses[3] = 1
    lambdas = [1, 0.9, 0.8, 0.7, 0.6]
    assert certify(losses, lambdas, epsilon=0.05, delta=0.1).lambda_hat == 0.8
    assert certify(losses, lambdas, epsilon=0.05, delta=0.1, select="holm").lambda_hat == 0.6
    assert certify(losses, lambdas, epsilon=0.05, delta=0.1, select="bonferroni").lambda_hat == 0.6


def test_the_published_rule_is_labelled() -> None:
    found = certify(_losses(), GRID.tolist(), epsilon=0.05, delta=0.1, select="uncorrected")
    assert not found.guaranteed
    assert found.covers.startswith("Nothing")


def test_p_values_are_those_of_the_transformed_losses() -> None:
    losses = _losses(seed=3)
    scaled = certify(losses, GRID.tolist(), epsilon=0.05, delta=0.1, p_value="hb")
    mean = ((losses[1:] + 1) / 2).mean(axis=1)
    assert scaled.p_values[1:] == pytest.approx(hoeffding_bentkus_p_value(mean, 130, 0.525), abs=1e-12)
    clipped = certify(losses, GRID.tolist(), epsilon=0.05, delta=0.1, p_value="hb", transform="clip")
    harm = np.maximum(losses[1:], 0).mean(axis=1)
    assert clipped.p_values[1:] == pytest.approx(hoeffding_bentkus_p_value(harm, 130, 0.05), abs=1e-12)


def test_a_risk_of_nothing_may_be_asked_for() -> None:
    losses = np.full((2, 300), -0.5)
    assert certify(losses, [1, 0.5], epsilon=0.0, delta=0.1).certified
    assert not certify(losses, [1, 0.5], epsilon=0.0, delta=0.1, transform="clip").certified


def test_the_binomial_tail_is_refused_where_no_theorem_covers_it() -> None:
    with pytest.raises(ValueError, match="third value"):
        certify(_losses(), GRID.tolist(), epsilon=0.05, delta=0.1, p_value="binomial")
    with pytest.raises(ValueError, match="here are others"):
        certify(np.full((2, 9), 0.3), [1, 0.5], epsilon=0.05, delta=0.1, p_value="binomial", transform="clip")


@pytest.mark.parametrize(
    ("losses", "lambdas", "said"),
    [
        (np.zeros((2, 5)), [0.9, 0.8], "descend from 1"),
        (np.zeros((2, 5)), [1, 1], "descend from 1"),
        (np.zeros((3, 5)), [1, 0.5], "one row for each of the 2 lambdas"),
        (np.zeros((2, 0)), [1, 0.5], "at least one column"),
        (np.full((2, 5), 1.5), [1, 0.5], "between -1 and 1"),
        (np.full((2, 5), np.nan), [1, 0.5], "between -1 and 1"),
    ],
)
def test_what_does_not_fit_is_refused(losses: np.ndarray, lambdas: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        certify(losses, lambdas, epsilon=0.05, delta=0.1)


@pytest.mark.parametrize("setting", ["transform", "p_value", "select"])
def test_an_unknown_name_is_refused(setting: str) -> None:
    with pytest.raises(ValueError, match='not "other"'):
        certify(np.zeros((2, 5)), [1, 0.5], epsilon=0.05, delta=0.1, **{setting: "other"})
    with pytest.raises(ValueError, match="delta"):
        certify(np.zeros((2, 5)), [1, 0.5], epsilon=0.05, delta=1.0)
