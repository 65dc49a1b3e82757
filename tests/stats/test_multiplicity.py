import numpy as np
import pytest
from auditor.stats.multiplicity import bh_adjusted, bonferroni, e_bh, fixed_sequence, holm, holm_adjusted
from scipy import stats


def test_holm_adjusted_is_where_holm_starts_to_reject() -> None:
    generator = np.random.default_rng(1)
    for m in (1, 2, 7, 40):
        p = np.round(generator.beta(0.4, 2, m), 3)  # with ties
        adjusted = holm_adjusted(p)
        assert ((adjusted >= p) & (adjusted <= 1)).all()
        for level in (0.01, 0.05, 0.3, 0.9):
            assert (holm(p, level) == (adjusted <= level)).all()


def test_holm_adjusted_by_hand() -> None:
    assert holm_adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@pytest.mark.parametrize("m", [1, 2, 9, 300])
def test_bh_adjusted_is_that_of_scipy(m: int) -> None:
    p = np.random.default_rng(m).beta(0.5, 2, m)
    assert bh_adjusted(p) == pytest.approx(stats.false_discovery_control(p), rel=1e-12)


def test_order_and_nothing() -> None:
    p = np.array([0.2, 0.001, 0.04])
    assert (holm_adjusted(p)[::-1] == holm_adjusted(p[::-1])).all()
    assert (bh_adjusted(p)[::-1] == bh_adjusted(p[::-1])).all()
    for adjust in (holm_adjusted, bh_adjusted):
        assert adjust([]).shape == (0,)
        with pytest.raises(ValueError, match="between 0 and 1"):
            adjust([0.2, 1.2])
        with pytest.raises(ValueError, match="between 0 and 1"):
            adjust([0.2, float("nan")])


def test_e_bh_is_bh_on_reciprocals_and_rejects_the_largest() -> None:
    generator = np.random.default_rng(3)
    for _ in range(50):
        e = generator.lognormal(0, 3, 12)
        rejected = e_bh(e, 0.1)
        assert (rejected == (bh_adjusted(np.minimum(1, 1 / e)) <= 0.1)).all()
    assert e_bh([39.0, 41.0, 0.0, 1.0], 0.1).tolist() == [True, True, False, False]  # 2 of 4 need 20 each
    assert e_bh([19.0, 41.0, 0.0, 1.0], 0.1).tolist() == [False, True, False, False]
    assert not e_bh([], 0.1).any()


@pytest.mark.parametrize(("e", "rate", "match"), [([-1.0], 0.1, "negative"), ([1.0], 0.0, "rate")])
def test_e_bh_refuses(e: list[float], rate: float, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        e_bh(e, rate)


def test_e_bh_keeps_the_false_discovery_rate_of_dependent_e_values() -> None:
    """Twenty hypotheses, five of them false; the likelihood ratios of the true ones share one and the same draw."""
    generator = np.random.default_rng(4)
    shares = []
    for _ in range(2000):
        x = np.concatenate([np.full(15, generator.normal()), generator.normal(3, 1, 5)])
        rejected = e_bh(np.exp(2 * x - 2), 0.1)
        shares.append(rejected[:15].sum() / max(1, rejected.sum()))
    assert np.mean(shares) <= 0.1


def test_procedures_that_reject_nest_as_they_should() -> None:
    p = [0.001, 0.012, 0.04, 0.6]
    assert bonferroni(p, 0.05).sum() <= holm(p, 0.05).sum() <= (bh_adjusted(p) <= 0.05).sum()
    assert fixed_sequence(p, 0.05) == 3
