"""Does the guard's certificate hold its guarantee, as a run makes it: mixtures, groups, several conditions at once?

At delta = .1 the number of violations in 1,000 draws exceeds 123 with probability under 1% if the guarantee holds.
"""

import numpy as np
import pytest
from auditor.audits.guard.answers import Answers, UnderCondition
from auditor.audits.guard.spec import GuardSpec
from tests.audits.guard.worlds import answers, certifier, spec

_DRAWS, _MOST = 1000, 123
_EPSILON, _DELTA = 0.05, 0.1
_JUST_ABOVE = _EPSILON + 1e-9
_GRID = np.linspace(1, 0, 5)


def _under(losses: np.ndarray) -> UnderCondition:
    """A condition of which nothing but its losses is known."""
    n_lambdas, n = losses.shape
    nothing = np.zeros((n_lambdas, n), np.intp)
    of_guard = type("Guarded", (), {"labels": nothing, "exits": nothing})()
    return UnderCondition(
        q=np.zeros((n, 1, 2)),
        sure=np.zeros((n, 1)),
        plain=np.zeros((n, 2)),
        unguarded=np.zeros(n, np.intp),
        guarded=of_guard,
        losses=losses,
        passes=nothing,
    )


def _answers(lambdas: np.ndarray, by_condition: dict[str, UnderCondition], n: int) -> Answers:
    zeros = np.zeros(n, np.intp)
    return Answers(lambdas, zeros, zeros, np.zeros((n, 2)), np.zeros((n, 1, 2)), by_condition)


def _losses(generator: np.random.Generator, risks: np.ndarray, n: int, gains: float = 0.1) -> np.ndarray:
    """Losses with these risks at the thresholds below 1."""
    u = generator.random((len(risks), n))
    return np.vstack([np.zeros(n), (u < (risks + gains)[:, None]).astype(float) - (u > 1 - gains)])


def _violations(asked: GuardSpec, risks: dict[str, np.ndarray], n: int, sizes: tuple[int, ...] = (1,)) -> int:
    """How often the chosen threshold's risk exceeds epsilon; queries of a group share their losses.

    Larger groups are worse: their risk is higher and that of the smaller ones lower, the mean over queries being `risks`.
    """
    generator = np.random.default_rng(n + len(sizes))
    truly = {name: np.concatenate([[0.0], of]) for name, of in risks.items()}
    if asked.cover == "mixture":
        risk = (1 - asked.mixture) * truly["correct"] + asked.mixture * truly["cyclic:1"]
    else:
        risk = np.max(list(truly.values()), axis=0)
    found = 0
    for _ in range(_DRAWS):
        unit = np.repeat(np.arange(n), generator.choice(sizes, size=n))
        tilt = 1.0 if len(sizes) == 1 else None
        by_condition = {}
        for name, of in risks.items():
            of_groups = _losses(generator, of, n) if tilt else _tilted(generator, of, n, unit)
            by_condition[name] = _under(of_groups[:, unit])
        order = generator.permutation(len(unit))
        certificate = certifier(_answers(_GRID, by_condition, len(unit)), asked, unit).certify(order)
        found += bool(risk[certificate.index] > _EPSILON)
    return found


def _tilted(generator: np.random.Generator, risks: np.ndarray, n: int, unit: np.ndarray) -> np.ndarray:
    """Groups of five have one and a half times the risk, single ones so much less that the mean over queries is `risks`."""
    sizes = np.bincount(unit)
    many = sizes == 5
    worse = 1.5 * risks
    better = (risks * 3 - worse * 2.5) / 0.5  # of two groups, six queries: five in the one and one in the other
    return np.where(many, _losses(generator, worse, n), _losses(generator, better, n))


_RISKS = {
    "all just above": np.full(4, _JUST_ABOVE),
    "up and down": np.array([0.01, _JUST_ABOVE, 0.02, 0.2]),
}


@pytest.mark.slow
@pytest.mark.parametrize("curve", list(_RISKS))
@pytest.mark.parametrize("n", [50, 130, 400])
def test_a_mixture_counts_both_prompts_and_holds(curve: str, n: int) -> None:
    risks = _RISKS[curve]
    asked = spec(epsilon=_EPSILON, delta=_DELTA, mixture=0.25)
    # Corrupted demonstrations harm, correct ones help, and the mixture lies at `risks`.
    assert _violations(asked, {"correct": risks - 0.02, "cyclic:1": risks + 0.06}, n) <= _MOST


@pytest.mark.slow
@pytest.mark.parametrize("p_value", ["wsr", "hb", "binomial"])
def test_clipped_losses_hold_in_a_mixture(p_value: str) -> None:
    asked = spec(epsilon=_EPSILON, delta=_DELTA, transform="clip", p_value=p_value)
    harm = np.full(4, _JUST_ABOVE)
    assert _violations(asked, {"correct": harm, "cyclic:1": harm}, 130) <= _MOST


@pytest.mark.slow
@pytest.mark.parametrize("n", [60, 200])
def test_queries_that_come_in_groups_hold(n: int) -> None:
    asked = spec(epsilon=_EPSILON, delta=_DELTA, mixture=1.0)
    risks = {"correct": np.zeros(4), "cyclic:1": np.full(4, _JUST_ABOVE)}
    assert _violations(asked, risks, n, sizes=(1, 5)) <= _MOST


@pytest.mark.slow
def test_rare_large_groups_that_nobody_has_seen_are_covered_by_the_declared_bound() -> None:
    """One group in 200 has 20 queries, all harmed; the others one query, none harmed: a risk of .091."""
    bounded, unbounded = (spec(epsilon=_EPSILON, delta=_DELTA, mixture=1.0, largest_group=m) for m in (20, None))
    risk = 0.005 * 20 / (0.005 * 20 + 0.995)
    assert risk > _EPSILON
    generator = np.random.default_rng(7)
    certified = dict.fromkeys((20, None), 0)
    for _ in range(_DRAWS):
        sizes = np.where(generator.random(200) < 0.005, 20, 1)
        unit = np.repeat(np.arange(200), sizes)
        losses = np.vstack([np.zeros(len(unit)), np.repeat(sizes == 20, sizes).astype(float)])
        for asked in (bounded, unbounded):
            found = certifier(_with(losses), asked, unit).certify(np.arange(len(unit)))
            certified[asked.largest_group] += found.certified
    assert certified[20] <= _MOST
    assert certified[None] > _MOST, "the size of the largest group that happens to be there is no bound"


@pytest.mark.slow
def test_all_attacks_at_once_need_no_correction() -> None:
    asked = spec(epsilon=_EPSILON, delta=_DELTA, cover="every attack", attacks=("cyclic", "random", "last"))
    risks = {
        "correct": np.full(4, -0.1),
        "cyclic:1": np.array([0.0, _JUST_ABOVE, 0.0, 0.1]),
        "random:1": np.full(4, 0.02),
        "last:0.5": np.array([0.0, 0.0, _JUST_ABOVE, 0.0]),
    }
    assert _violations(asked, risks, 200) <= _MOST


@pytest.mark.slow
def test_the_best_of_several_settings_holds_if_they_were_counted() -> None:
    """Five settings, each just above epsilon, tried on the same queries, the first certified one kept."""
    generator = np.random.default_rng(5)
    kept = {1: 0, 5: 0}
    for _ in range(_DRAWS):
        tables = [_losses(generator, np.array([_JUST_ABOVE]), 130) for _ in range(5)]
        for options in kept:
            asked = spec(epsilon=_EPSILON, delta=_DELTA, mixture=1.0, options_tried=options)
            kept[options] += any(certifier(_with(table), asked).certify(np.arange(130)).certified for table in tables)
    assert kept[5] <= _MOST
    assert kept[1] > _MOST, "without the correction it does not hold"


def _with(losses: np.ndarray) -> Answers:
    n = losses.shape[1]
    under = {"correct": _under(np.zeros_like(losses)), "cyclic:1": _under(losses)}
    return _answers(np.array([1.0, 0.5]), under, n)


@pytest.mark.slow
@pytest.mark.parametrize("n", [100, 300])
def test_the_whole_guard_holds_on_models_that_are_misled(n: int) -> None:
    """Early exits of a made model: the risk at every threshold is that of 200,000 queries."""
    asked = spec(epsilon=_EPSILON, delta=_DELTA, mixture=0.5, lambda_step=0.1)
    drifts = {"correct": 2.0, "cyclic:1": -3.0}
    many = answers(10**6, 200_000, drifts, step=0.1)
    risk = certifier(many, asked).losses("mixture").mean(axis=1)
    assert risk.max() > _EPSILON > risk[1], "thresholds on both sides of epsilon"
    violations = certified = 0
    for seed in range(_DRAWS):
        found = certifier(answers(seed, n, drifts, step=0.1), asked, seed=seed).certify(np.arange(n))
        violations += bool(risk[found.index] > _EPSILON)
        certified += found.certified
    assert violations <= _MOST
    assert certified > 0.02 * _DRAWS
