"""Does risk control hold its guarantee? Losses of known risk; a violation is a lambda_hat whose risk exceeds epsilon.

At delta = .1 the number of violations in 1,000 draws exceeds 123 with probability under 1% if the guarantee holds.
"""

import numpy as np
import pytest
from auditor.stats.risk_control import certify
from numpy.typing import NDArray

_DRAWS, _MOST = 1000, 123
_EPSILON, _DELTA = 0.05, 0.1
_LAMBDAS = np.linspace(1, 0, 13)
#: Hardly above what is allowed: where errors are likeliest.
_JUST_ABOVE = _EPSILON + 1e-9

#: Risks at the twelve lambdas below 1.
_CURVES = {
    "all just above": np.full(12, _JUST_ABOVE),
    "rising": np.concatenate([np.linspace(0, _EPSILON, 6), np.linspace(_JUST_ABOVE, 0.3, 6)]),
    "up and down": np.tile([0.01, _JUST_ABOVE, 0.02, 0.2], 3),
}
_VALID = [
    (transform, p_value, select)
    for transform, p_value in (("scale", "wsr"), ("scale", "hb"), ("clip", "wsr"), ("clip", "hb"), ("clip", "binomial"))
    for select in ("fixed", "holm", "bonferroni")
]


def _draw(generator: np.random.Generator, risks: NDArray[np.float64], n: int, gains: float) -> NDArray[np.float64]:
    """Losses with the given risks, independent between lambdas: harm with probability risk + gains, help with gains."""
    u = generator.random((risks.size, n))
    losses = np.zeros((risks.size + 1, n))
    losses[1:] = (u < (risks + gains)[:, None]).astype(np.float64) - (u > 1 - gains)
    return losses


@pytest.mark.slow
@pytest.mark.parametrize("n", [50, 200, 1000])
@pytest.mark.parametrize("gains", [0.0, 0.1], ids=["binary", "three-valued"])
@pytest.mark.parametrize("curve", list(_CURVES))
def test_every_guaranteed_combination_holds_and_the_published_rule_does_not(curve: str, gains: float, n: int) -> None:
    risks = _CURVES[curve]
    over = np.concatenate([[False], risks > _EPSILON])
    generator = np.random.default_rng(n)
    combinations = [*_VALID, ("scale", "wsr", "uncorrected")]
    violations = dict.fromkeys(combinations, 0)
    for _ in range(_DRAWS):
        losses = _draw(generator, risks, n, gains)
        for transform, p_value, select in combinations:
            found = certify(
                losses,
                _LAMBDAS.tolist(),
                epsilon=_EPSILON,
                delta=_DELTA,
                transform=transform,
                p_value=p_value,
                select=select,
            )
            assert found.guaranteed == (select != "uncorrected")
            violations[transform, p_value, select] += over[found.index]
    published = violations.pop(("scale", "wsr", "uncorrected"))
    assert max(violations.values()) <= _MOST, violations
    if curve == "all just above" and n >= 200:
        assert published > _MOST, published


@pytest.mark.parametrize("n", [50, 130, 400, 1000])
def test_the_betting_p_value_alone_is_close_to_its_level(n: int) -> None:
    """Size at the boundary: at most delta, and not so far below it that the power is gone."""
    generator = np.random.default_rng(n)
    passed = 0
    for _ in range(_DRAWS):
        passed += certify(
            _draw(generator, np.array([_JUST_ABOVE]), n, 0.1), [1, 0.5], epsilon=_EPSILON, delta=_DELTA
        ).certified
    assert 20 <= passed <= _MOST
