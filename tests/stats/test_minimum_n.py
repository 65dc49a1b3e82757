import numpy as np
import pytest
from auditor.stats.minimum_n import certifying_power
from auditor.stats.risk_control import certify, fewest_queries


@pytest.mark.parametrize(
    ("p_value", "transform", "expected"), [("wsr", "scale", 95), ("hb", "scale", 1320), ("binomial", "clip", 45)]
)
def test_a_loss_of_nothing_needs_the_numbers_of_the_method(p_value: str, transform: str, expected: int) -> None:
    """Epsilon .05, delta .1; known from the method's source."""
    found = fewest_queries(epsilon=0.05, delta=0.1, p_value=p_value, transform=transform)
    assert found == expected
    for n, certified in ((expected, True), (expected - 1, False)):
        losses = np.zeros((2, n))
        told = certify(losses, [1, 0.5], epsilon=0.05, delta=0.1, p_value=p_value, transform=transform)
        assert told.certified == certified


def test_helpful_demonstrations_of_130_queries_are_certified_nearly_always() -> None:
    """The known power of betting at -15% / +5%."""
    power = certifying_power(130, epsilon=0.05, delta=0.1, harmed=0.05, helped=0.15)
    assert power == pytest.approx(0.98, abs=0.015)


@pytest.mark.parametrize(("p_value", "power"), [("wsr", 0.8), ("wsr", 0.95), ("hb", 0.5), ("hb", 0.8)])
def test_the_fewest_queries_agree_with_certificates_of_fresh_losses(p_value: str, power: float) -> None:
    n = fewest_queries(epsilon=0.05, delta=0.1, harmed=0.05, helped=0.15, p_value=p_value, power=power)
    assert n is not None
    generator = np.random.default_rng(20261126)
    certified = {n: 0, round(0.75 * n): 0}
    for size in certified:
        for _ in range(1000):
            losses = np.zeros((2, size))
            losses[1] = generator.choice([1.0, -1.0, 0.0], size=size, p=[0.05, 0.15, 0.8])
            certified[size] += certify(losses, [1, 0.5], epsilon=0.05, delta=0.1, p_value=p_value).certified
    assert certified[n] / 1000 == pytest.approx(power, abs=0.05)
    assert certified[round(0.75 * n)] / 1000 < power - 0.02


def test_what_harms_too_much_is_never_certified() -> None:
    assert fewest_queries(epsilon=0.05, delta=0.1, harmed=0.2, helped=0.1) is None


def test_shares_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 1"):
        fewest_queries(epsilon=0.05, delta=0.1, harmed=0.7, helped=0.7)
    with pytest.raises(ValueError, match="power"):
        fewest_queries(epsilon=0.05, delta=0.1, power=1.0)
    with pytest.raises(ValueError, match="third value"):
        fewest_queries(epsilon=0.05, delta=0.1, p_value="binomial", transform="scale")
